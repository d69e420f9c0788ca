"""One run: its calls as a tree with bars, and beside them what is known of the one under the cursor, the events,
the code as it ran, logs and streams.

1. What is shown is read again when something is new, and only what is new of it. Cursor, folds and zoom stay.
2. Events, code, logs and streams are those of the run whose span is under the cursor: of a child, too.
3. Stepping through events moves one place, which the bars, the list of events and the code share.
4. Each action says the `wf` command that does the same.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from datetime import datetime
from functools import partial
from typing import Any, ClassVar, Final

from msgspec import structs
from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from wf.errors import RunNotFoundError, WorkflowError
from wf.events import ENDED, Event
from wfstudio.core.bells import Bell
from wfstudio.core.views import ChunkView, EventView, LogView, RunView
from wfstudio.text.looks import Layout, Looker, Row
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, printable_lines
from wfstudio.text.timeline import label_span
from wfstudio.text.told_reasons import tell_reason
from wfstudio.tui import clock
from wfstudio.tui.inspection import LARGEST_SHOWN, Found, draw_streams, inspect_span, list_logs
from wfstudio.tui.run_commands import inspect_command, write_command
from wfstudio.tui.run_rows import Place, Wanted, place_of
from wfstudio.tui.screens.run_acting import RunActing, short_name
from wfstudio.tui.tasks import begin_newest
from wfstudio.tui.widgets.event_list import EventList
from wfstudio.tui.widgets.sheet import Sheet
from wfstudio.tui.widgets.tabline import TabLine
from wfstudio.tui.widgets.timeline import Timeline

TABS: Final = ("span", "events", "code", "logs", "streams")
TICK_SECONDS: Final = 0.25
OLD_MS: Final = 60_000.0
YOUNG_TICK_MS: Final = 150.0
OLD_TICK_MS: Final = 1_000.0
"""What was drawn by a look is not drawn again; from a minute on, durations are told in whole seconds."""
LOOK_SECONDS: Final = 0.5
"""How often a run that goes on is looked at when no bell rings."""
SHORTEST_SECONDS: Final = 0.2
"""From one look to the next, however often it rings: nobody reads faster, and each of them draws most of the screen."""
LONGEST_SECONDS: Final = 1.0
_LOAD: Final = 2
"""After a look it is waited so many times as long as that took, within those bounds: a long run costs more to read."""
_COLOURS: Final = {"completed": "$success", "failed": "$error", "cancelled": "$warning", "running": "$primary"}
_MOST_LOGS: Final = 10_000
_MOST_STREAMS: Final = 20
_MOST_CHUNKS: Final = 500


class RunScreen(RunActing):
    """One run: the tree of its calls over time, and what is known of the one under the cursor."""

    can_filter = True
    BINDINGS: ClassVar[list[BindingType]] = [
        *(Binding(str(number), f"tab('{name}')", name.capitalize(), id=f"run.{name}", show=False)
          for number, name in enumerate(TABS, 1)),
        Binding("p", "open_origin", "Where it comes from", id="run.origin", show=False),
        Binding("o", "open_next", "What it goes on as", id="run.next", show=False),
    ]  # fmt: skip
    DEFAULT_CSS = """
    RunScreen #split {
        height: 1fr;
    }
    RunScreen #timeline {
        height: 1fr;
    }
    RunScreen #side {
        height: 1fr;
    }
    RunScreen.-wide #split {
        layout: horizontal;
    }
    RunScreen.-wide #timeline {
        width: 3fr;
        height: 100%;
    }
    RunScreen.-wide #side {
        width: 2fr;
        height: 100%;
    }
    RunScreen ContentSwitcher {
        height: 1fr;
    }
    RunScreen ContentSwitcher > * {
        height: 100%;
    }
    """

    def __init__(self, run_id: str, span: int | None = None) -> None:
        super().__init__()
        self.run_id = run_id
        self.crumb = run_id
        self.run: RunView | None = None
        self._wanted_span = span
        self._looker: Looker | None = None
        self._layout = Layout()
        self._is_looking = False
        self._is_behind = False
        self._next_look = 0.0
        self._again: Timer | None = None
        self._trouble: str | None = None
        self._logs: dict[str, list[LogView]] = {}
        self._listed_id = ""
        """The run whose logs or streams are shown."""
        self._found: Found | None = None
        self._gone_along: Place | None = None

    def compose_body(self) -> Iterable[Widget]:
        with Container(id="split"):
            timeline = Timeline(id="timeline", classes="pane")
            timeline.border_title = "timeline"
            yield timeline
            with Vertical(id="side", classes="pane"):
                yield TabLine(TABS)
                with ContentSwitcher(initial="span"):
                    yield Sheet(id="span")
                    yield EventList(self._open_event, id="events")
                    yield Sheet(id="code")
                    yield Sheet(id="logs")
                    yield Sheet(id="streams")

    def on_mount(self) -> None:
        self._looker = Looker(self.client, self.run_id)
        self.timeline.focus()
        self.set_interval(TICK_SECONDS, self._tick)
        begin_newest(self, "follow", self._follow)

    @property
    def tab(self) -> str:
        return self.query_one(ContentSwitcher).current or TABS[0]

    def command(self) -> str:
        row = self.timeline.row
        match self.tab:
            case "events":
                return inspect_command(self.shown_id, None, "events")
            case "code" if self.seq is not None:
                return write_command("wf", "replay", self.shown_id, "--at", str(self.seq))
            case "logs":
                return write_command("wf", "logs", self.shown_id)
            case "streams":
                return inspect_command(self.shown_id, None, "streams")
        return inspect_command(self.run_id if row is None else row.run_id, None if row is None else row.span)

    def note(self) -> str:
        parts = [super().note()]
        if self.seq is not None and self.shown is not None:
            parts.append(f"event {self.seq} of {len(self.shown.log)}" + (" ▶" if self._playing else ""))
        return " · ".join(part for part in parts if part)

    def go_back(self) -> bool:
        if self._playing is not None:
            self._pause()
        elif self.seq is not None:
            self._leave_travel()
        else:
            return False
        return True

    # -- reading

    async def on_changed(self, run_ids: list[str]) -> None:
        looker = self._looker
        if looker is not None and (not run_ids or self.run is None or any(id in looker.runs for id in run_ids)):
            await self.look()

    def _tick(self) -> None:
        """Let time go on for a run that does."""
        if self.run is None or _is_over(self.run):
            return
        now_ms = self._now_ms()
        if now_ms - self.timeline.now_ms >= (YOUNG_TICK_MS if now_ms < OLD_MS else OLD_TICK_MS):
            self.timeline.tick(now_ms)
            self._show_title()

    async def _follow(self) -> None:
        """Look whenever the run has more, and now and then in any case: its children ring bells of their own."""
        while self.run is None or not _is_over(self.run):
            try:
                topics = (f"log:{self.run_id}", f"run:{self.run_id}")
                async with Bell(self.client.session.world, *topics, is_pacing=True) as bell:
                    while self.run is None or not _is_over(self.run):
                        await bell.wait(LOOK_SECONDS)
                        await asyncio.sleep(max(0.0, self._next_look - time.monotonic()))
                        await self.look()
            except WorkflowError:  # the world's owner went; the headline says so
                await asyncio.sleep(LOOK_SECONDS)

    async def look(self) -> None:
        """Read what is new, and show it. What is told of meanwhile may be too late for that, and is read after."""
        if self._looker is None:
            return
        self._is_behind = self._is_looking
        if self._is_looking:
            return
        await self._look(self._looker)
        if self._is_behind and self._again is None and self.is_running:
            self._again = self.set_timer(max(0.0, self._next_look - time.monotonic()), self._look_again)

    def _look_again(self) -> None:
        self._again = None
        if self._is_behind:
            self.run_worker(self.look(), group="again")

    async def _look(self, looker: Looker) -> None:
        self._is_looking = True
        began = time.monotonic()
        try:
            look = await looker.look()
            before = self.run
            self.run = await self._read_run(before)
        except WorkflowError as error:
            self._tell_trouble(error)
            return
        finally:
            self._is_looking = False
            spent = time.monotonic() - began
            self._next_look = time.monotonic() + min(max(SHORTEST_SECONDS, _LOAD * spent), LONGEST_SECONDS)
        self._trouble = None
        if not self.is_mounted:
            return
        if looker.is_new or before is None:
            self.timeline.show(self._layout.lay_out(look), self._now_ms())
            self._show_events()
            self._show_more()
            if self.seq is not None:
                self._tell_place()
        if before is None:
            self._begin()
        elif _timeless(before) != _timeless(self.run) or self._is_open():
            self._inspect(self.timeline.row)
        self._show_title()

    async def _read_run(self, before: RunView | None) -> RunView:
        """Read what is known of the run. Its arguments are opened once: they may be large, and stay what they are."""
        view = None if before is None else await self.client.find_run(self.run_id)
        if before is None or view is None or view.status in ENDED:
            return await self.client.get_run(self.run_id, max_bytes=LARGEST_SHOWN)
        return structs.replace(view, input=before.input, fork=before.fork, is_locked=before.is_locked)

    def _is_open(self) -> bool:
        """Tell whether the span under the cursor goes on, so that what is said of it grows old."""
        row = self.timeline.row
        return row is not None and row.span.end_ms is None and self.tab == "span"

    def _tell_trouble(self, error: WorkflowError) -> None:
        if isinstance(error, RunNotFoundError) or self.run is None:
            lines = printable_lines(error.explain()).split("\n")
            self.query_one("#span", Sheet).present(lambda pen: lines)
        elif self._trouble != str(error):
            self._trouble = str(error)
            self.studio.say(self._trouble, "error")

    def _begin(self) -> None:
        """Go to the span that was asked for, when there is something to go to."""
        if self._wanted_span is not None:
            self.timeline.select(Place(self.run_id, str(self._wanted_span)))
        self._inspect(self.timeline.row)
        self.refresh_headline()

    def _now_ms(self) -> float:
        assert self._looker is not None
        created = datetime.fromisoformat(self._looker.run.trace.at)
        return max((clock.now() - created).total_seconds() * 1000, 0.001)

    def _show_title(self) -> None:
        run = self.run
        if run is None:
            return
        spent = show_ms(run.duration_ms if run.status in ENDED else self._now_ms() - run.queued_ms)
        if run.status == "pending":
            spent = ""  # it has not begun to take any time
        parts = [short_name(run.workflow), spent]
        said = " · ".join(part for part in parts if part)
        status = (f"{Pen(width=0).sign(run.status)} {run.status}", _COLOURS.get(run.status, ""))
        self.timeline.border_title = Content.assemble(status, f" · {said}")
        told = tell_reason(run.reason, clock.now())
        reason = "needs attention" if run.attention is not None else told or ""
        spans = f"{len(self.timeline.rows)} spans"
        self.timeline.border_subtitle = Content(printable(reason or spans))

    # -- the span under the cursor

    def on_timeline_selected(self, event: Timeline.Selected) -> None:
        self._inspect(event.row)
        self.show_shown()
        if self.seq is None:
            self._go_along(event.row)

    def _go_along(self, row: Row) -> None:
        """Let the list of events go to where another span begins: there the stepping begins, too."""
        place = place_of(row)
        if place != self._gone_along and self._gone_along is not None and place.run_id == self.shown_id:
            self.event_list.seq = row.span.seq
        self._gone_along = place

    def on_timeline_opened(self, event: Timeline.Opened) -> None:
        """Open a child run as a run; of anything else go to what is known of it."""
        span = event.row.span
        if span.kind in ("child", "watch") and span.child_run_id is not None:
            self.studio.open_run(span.child_run_id)
        else:
            self.action_tab("span")
            self.query_one("#span", Sheet).focus()

    def action_open_origin(self) -> None:
        """Open the run that this one was forked from, goes on from, or is a child of."""
        run = self.run
        self._open(
            None if run is None else run.forked_from or run.continued_from or run.parent_run_id, "comes from none"
        )

    def action_open_next(self) -> None:
        self._open(None if self.run is None else self.run.continued_as, "goes on as no other")

    def _open(self, run_id: str | None, otherwise: str) -> None:
        if run_id is None:
            self.studio.say(f"this run {otherwise}")
        else:
            self.studio.open_run(run_id)

    def _inspect(self, row: Row | None) -> None:
        if row is not None and self.run is not None:
            begin_newest(self, "inspect", partial(self._read_span, row))

    async def _read_span(self, row: Row) -> None:
        assert self._looker is not None
        followed = self._looker.runs[row.run_id]
        span, number = row.span, row.span.correlation_id or 0
        if span.kind == "run":
            found = Found(span, followed.trace, run=self.run)
        elif span.kind == "step":
            step = followed.show_step(number, LARGEST_SHOWN)
            found = Found(span, followed.trace, step=step, logs=await followed.read_logs_of(number))
        else:
            events = [followed.show_event(event, LARGEST_SHOWN) for event in followed.events_of(number)]
            found = Found(span, followed.trace, events=events)
        before = self._found
        is_same = before is not None and before.span.id == span.id and before.trace.run_id == row.run_id
        self._found = found
        self.query_one("#side").border_title = Content(label_span(span))
        self.query_one("#span", Sheet).present(lambda pen: inspect_span(pen, found), is_same=is_same)

    def _open_event(self, event: Event) -> EventView:
        assert self._looker is not None
        return self._looker.runs[event.run_id].show_event(event, LARGEST_SHOWN)

    # -- the other tabs

    def action_tab(self, name: str) -> None:
        has_focus = self.focused is not None and self.query_one("#side") in self.focused.ancestors_with_self
        self.query_one(ContentSwitcher).current = name
        self.query_one(TabLine).active = name
        if has_focus:
            self.query_one(f"#{name}").focus()
        if name == "code" and self.seq is None:
            self.action_travel_here()
        self._show_more()

    def on_tab_line_chosen(self, event: TabLine.Chosen) -> None:
        self.action_tab(event.tab)

    def show_shown(self) -> None:
        """Show events, logs and streams of the run that is stepped through, or whose span is under the cursor."""
        shown = self.shown
        if shown is None:
            return
        name = "" if shown.run_id == self.run_id else f"of {short_name(shown.trace.workflow)} {shown.run_id}"
        self.query_one("#side").border_subtitle = Content(printable(name))
        self._show_events()
        if self._listed_id != shown.run_id:
            self._show_more()

    def _show_events(self) -> None:
        shown, row = self.shown, self.timeline.row
        if shown is not None:
            is_its = row is not None and row.run_id == shown.run_id
            self.event_list.show(shown.log, row.span.seq if row is not None and is_its else 1)

    def _show_more(self) -> None:
        """Read what the tab shows beyond spans and events, which are there already."""
        if self.run is not None and self.tab in ("logs", "streams"):
            reading = self._read_logs if self.tab == "logs" else self._read_streams
            begin_newest(self, "more", partial(reading, self.shown_id))

    async def _read_logs(self, run_id: str) -> None:
        logs = self._logs.setdefault(run_id, [])
        while len(logs) < _MOST_LOGS:
            after = logs[-1].position if logs else None
            found = await self.client.read_logs(run_id, after, _MOST_LOGS)
            logs += found
            if len(found) < _MOST_LOGS:
                break
        sheet, lines = self.query_one("#logs", Sheet), list(logs[:_MOST_LOGS])
        is_same, self._listed_id = self._listed_id == run_id, run_id
        is_at_end = sheet.is_vertical_scroll_end and is_same
        sheet.present(lambda pen: list_logs(pen, lines, is_cut=len(lines) == _MOST_LOGS), is_same=is_same)
        if is_at_end:
            sheet.scroll_end(animate=False)

    async def _read_streams(self, run_id: str) -> None:
        streams = (await self.client.list_streams(run_id))[:_MOST_STREAMS]
        chunks: dict[str, list[ChunkView]] = {}
        for stream in streams:
            found = self.client.read_stream(run_id, stream.name, -_MOST_CHUNKS, max_bytes=LARGEST_SHOWN)
            chunks[stream.name] = [chunk async for chunk in found]
        is_same, self._listed_id = self._listed_id == run_id, run_id
        sheet = self.query_one("#streams", Sheet)
        sheet.present(lambda pen: draw_streams(pen, streams, chunks), is_same=is_same)

    # -- what is shown of all spans

    def apply_filter(self) -> str | None:
        text = self.filter_text
        self.timeline.wanted = Wanted(text.removeprefix("!"), text.startswith("!"), self.is_errors_only)
        return None

    def restore_focus(self) -> None:
        self.timeline.focus()


def _is_over(run: RunView) -> bool:
    """Tell whether nothing comes any more."""
    return run.status in ENDED or run.origin is not None


def _timeless(run: RunView) -> tuple[Any, ...]:
    """Leave out what goes on with the clock."""
    return run.status, run.reason, run.attention, run.events, run.attributes, run.continued_as
