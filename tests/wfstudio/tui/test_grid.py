"""The grid: rows in sight, the cursor, and what users wrote in its cells."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from rich.cells import cell_len
from textual.app import App, ComposeResult
from textual.pilot import Pilot

from wfstudio.tui.columns import Column
from wfstudio.tui.widgets.grid import Grid, fit

HOSTILE = "\x1b[2J\x1b]0;title\x07 [bold red]x[/] \u202eabc 日本語 🧑‍🚀"


class Numbers:
    def __init__(self, count: int) -> None:
        self.numbers = list(range(count))
        self.drawn = 0

    def __len__(self) -> int:
        return len(self.numbers)

    def cells(self, index: int) -> Sequence[str]:
        self.drawn += 1
        return (f"row {self.numbers[index]}", HOSTILE)


class GridApp(App[None]):
    def __init__(self, rows: Any) -> None:
        super().__init__()
        self.rows = rows
        self.told: list[tuple[str, int]] = []

    def compose(self) -> ComposeResult:
        yield Grid([Column("name", 10), Column("text", 10, share=1)], self.rows)

    def on_grid_highlighted(self, event: Grid.Highlighted) -> None:
        self.told.append(("highlighted", event.index))

    def on_grid_chosen(self, event: Grid.Chosen) -> None:
        self.told.append(("chosen", event.index))


@asynccontextmanager
async def showing(count: int, size: tuple[int, int] = (60, 11)) -> AsyncIterator[tuple[Grid, Numbers, Pilot[None]]]:
    rows = Numbers(count)
    app = GridApp(rows)
    async with app.run_test(size=size) as pilot:
        yield app.query_one(Grid), rows, pilot


def lines(grid: Grid) -> list[str]:
    return [grid.render_line(y).text.rstrip() for y in range(grid.size.height)]


def names(grid: Grid) -> list[str]:
    return [line[:10].rstrip() for line in lines(grid)[1:] if line]


async def test_a_hundred_thousand_rows_cost_what_is_in_sight() -> None:
    async with showing(100_000) as (grid, rows, pilot):
        await pilot.press("end")
        assert names(grid)[-1] == "row 99999"
        await pilot.press("home", "pagedown")
        assert rows.drawn < 1_000


async def test_the_cursor_stays_in_sight_wherever_it_goes() -> None:
    async with showing(100) as (grid, _, pilot):
        for key, cursor in (
            ("down", 1),
            ("j", 2),
            ("pagedown", 11),
            ("G", 99),
            ("k", 98),
            ("pageup", 89),
            ("g", 0),
            ("up", 0),
        ):
            await pilot.press(key)
            assert grid.cursor == cursor
            assert f"row {cursor}" in names(grid)


async def test_rows_that_come_in_front_do_not_move_the_one_under_the_cursor() -> None:
    async with showing(100) as (grid, rows, pilot):
        await pilot.press("pagedown", "pagedown", "down")
        before = names(grid)
        rows.numbers[:0] = [-3, -2, -1]
        grid.refresh_rows(cursor=grid.cursor + 3)
        await pilot.pause()
        assert names(grid) == before
        assert rows.numbers[grid.cursor] == 19


async def test_rows_that_go_leave_the_cursor_on_one_that_is_there() -> None:
    async with showing(20) as (grid, rows, pilot):
        await pilot.press("end")
        del rows.numbers[5:]
        grid.refresh_rows()
        await pilot.pause()
        assert (grid.cursor, names(grid)) == (4, [f"row {n}" for n in range(5)])
        rows.numbers.clear()
        grid.refresh_rows()
        await pilot.press("down", "enter")
        assert names(grid) == []
        assert ("chosen", 0) not in grid.app.told


async def test_enter_and_a_second_click_choose() -> None:
    async with showing(20) as (grid, _, pilot):
        await pilot.press("down", "enter")
        await pilot.click(Grid, offset=(3, 5), times=2)
        await pilot.click(Grid, offset=(3, 0))  # the titles are no row
        told = ["highlighted 0", "highlighted 1", "chosen 1", "highlighted 4", "chosen 4"]
        assert [f"{what} {index}" for what, index in grid.app.told] == told


async def test_what_users_wrote_is_shown_and_not_obeyed() -> None:
    async with showing(3, size=(100, 8)) as (grid, _, _):
        line = lines(grid)[1]
        assert r"\x1b[2J\x1b]0;title\x07 [bold red]x[/] \u202eabc 日本語" in line
        assert not any(code in line for code in ("\x1b", "\x07", "\u202e", "\u200d"))
        assert {grid.render_line(y).cell_length for y in range(8)} == {grid.scrollable_content_region.width}


def test_a_cell_has_its_width_whatever_is_in_it() -> None:
    for text in (HOSTILE, "", "short", "日本語日本語日本語", "e\u0301" * 20, "x" * 10_000):
        for width in (1, 2, 3, 8, 15):
            assert cell_len(fit(text, width)) == width
    assert fit("12", 5, "right") == "   12"
    assert fit("日本語", 4) == "日 …"


async def test_columns_that_have_no_room_are_scrolled_to() -> None:
    app = GridApp(Numbers(3))
    async with app.run_test(size=(20, 8)) as pilot:
        grid = app.query_one(Grid)
        grid.show([Column("a", 15), Column("b", 4), Column("bb", 15)], Numbers(3))
        await pilot.pause()
        assert "bb" not in lines(grid)[0]
        await pilot.press("right", "right")
        assert "bb" in lines(grid)[0]
