"""The timeline as a widget: what is drawn of a long run, and where the cursor is when it grows."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from textual.app import App, ComposeResult
from textual.events import MouseScrollUp
from textual.pilot import Pilot

from tests.wfstudio.tui.spans import names, order_rows, span, trace
from tests.wfstudio.tui.stage import read_screen, until
from wfstudio.text import timeline as drawing
from wfstudio.text.looks import Look, Row, lay_out
from wfstudio.tui.run_rows import Place, Wanted, place_of
from wfstudio.tui.widgets import timeline as widget
from wfstudio.tui.widgets.timeline import Timeline

HEIGHT = 20


class Host(App[None]):
    def __init__(self) -> None:
        super().__init__()
        self.selected: list[str] = []

    def compose(self) -> ComposeResult:
        yield Timeline()

    def on_timeline_selected(self, event: Timeline.Selected) -> None:
        self.selected.append(event.row.span.id)


@asynccontextmanager
async def shown(rows: list[Row], now_ms: float = 1000) -> AsyncIterator[tuple[Pilot[None], Timeline]]:
    app = Host()
    async with app.run_test(size=(80, HEIGHT)) as pilot:
        timeline = app.query_one(Timeline)
        timeline.show(rows, now_ms)
        await pilot.pause()
        yield pilot, timeline


def many(count: int, end: float | None = None) -> list[Row]:
    steps = [span(str(number), f"step_{number}", ("running", number, number + 1)) for number in range(1, count + 1)]
    run = span("run", "shop:order", ("running", 0, end), kind="run", status="running" if end is None else "completed")
    return lay_out(Look(trace(run, *steps)))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """Which spans were drawn."""
    found: list[str] = []

    def draw(pen, row, *rest):
        found.append(row.id)
        return drawing.draw_row(pen, row, *rest)

    monkeypatch.setattr(widget, "draw_row", draw)
    return found


async def test_of_ten_thousand_spans_those_in_sight_are_drawn(drawn: list[str]) -> None:
    async with shown(many(10_000, 10_001), 10_001) as (pilot, timeline):
        assert len(set(drawn)) <= HEIGHT
        drawn.clear()
        await pilot.press("end")
        await until(pilot, lambda: "step_10000" in read_screen(pilot.app))
        assert set(drawn) <= {"run", *(str(number) for number in range(9_980, 10_001)), *(str(n) for n in range(1, 20))}
        assert timeline.row is not None
        assert timeline.row.span.id == "10000"


async def test_the_cursor_stays_on_its_span_when_others_come() -> None:
    async with shown(many(5)) as (pilot, timeline):
        await pilot.press("down", "down")
        timeline.show(many(50), 1000)
        assert timeline.row is not None
        assert timeline.row.span.id == "2"


async def test_a_cursor_on_the_last_span_goes_with_a_run_that_grows() -> None:
    async with shown(many(5)) as (pilot, timeline):
        await pilot.press("end")
        timeline.show(many(50), 1000)
        assert timeline.cursor == 50


async def test_what_is_under_a_fold_is_found_by_going_there() -> None:
    async with shown(order_rows()) as (pilot, timeline):
        assert timeline.select(Place("wrun_1", "2"))
        await pilot.press("left")
        assert names(timeline.rows) == ["order", "charge", "pack", "ship"]
        assert timeline.select(Place("wrun_2", "2"))
        assert names(timeline.rows) == ["order", "charge", "pack", "box", "tape", "ship"]
        assert timeline.row is not None
        assert place_of(timeline.row) == Place("wrun_2", "2")
        assert not timeline.select(Place("wrun_9"))


async def test_who_listens_hears_which_span_is_chosen() -> None:
    async with shown(order_rows()) as (pilot, timeline):
        await pilot.press("down", "down")
        await pilot.pause()
        assert pilot.app.selected == ["run", "1", "2"]
        timeline.wanted = Wanted("ship")
        await pilot.pause()
        assert names(timeline.rows) == ["order", "ship"]
        assert pilot.app.selected[-1] == "run", "its span is not shown any more"


async def test_the_playhead_is_where_the_instant_is() -> None:
    async with shown(order_rows()) as (pilot, timeline):
        timeline.playhead_ms = 650
        await pilot.pause()
        lines = read_screen(pilot.app).split("\n")
        column = lines[0].index("▼")
        assert {line[column] for line in lines[1:7]} == {"█", "│", "─"}
        timeline.playhead_ms = None
        await pilot.pause()
        assert "▼" not in read_screen(pilot.app)


async def test_a_wheel_with_ctrl_zooms_at_the_pointer() -> None:
    async with shown(order_rows()) as (pilot, timeline):
        x = timeline._bar_x + 10
        before = timeline.scale.at(10)
        await pilot._post_mouse_events([MouseScrollUp], Timeline, offset=(x, 2), control=True)
        assert timeline.camera.end_ms - timeline.camera.start_ms == pytest.approx(700)
        assert timeline.scale.at(10) == pytest.approx(before)


async def test_nothing_is_drawn_of_nothing() -> None:
    async with shown([]) as (pilot, timeline):
        await pilot.press("down", "enter", "left", "right", "w", "f", "n", "z", "i")
        assert timeline.row is None
        assert "█" not in read_screen(pilot.app)
