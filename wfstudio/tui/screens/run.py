"""One run: its calls as a tree with bars, and beside them what is known of the one under the cursor, the events,
the code as it ran, logs and streams.

1. What is shown is read again when something is new, and only what is new of it. Cursor, folds and zoom stay.
2. Stepping through events moves one place, which the bars, the list of events and the code share.
3. Each action says the `wf` command that does the same.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Iterable
from datetime import datetime
from typing import Any, ClassVar, Final, TypeVar

from textual.binding import Binding, BindingType
from textual.containers import Container, Vertical
from textual.content import Content
from textual.timer import Timer
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from wf.errors import RunNotFoundError, WorkflowError
from wf.events import ENDED, Event
from wfstudio.core.bench.views import ReplayView, StepReplayView
from wfstudio.core.excerpts import read_excerpt
from wfstudio.core.forks import ForkRequest
from wfstudio.core.replays import Replays
from wfstudio.core.views import ChunkView, EventView, LogView, RunView
from wfstudio.text.looks import Looker, Row, lay_out
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, printable_lines
from wfstudio.text.step_trial import draw_step_replay
from wfstudio.text.timeline import label_span
from wfstudio.text.verdicts import draw_verdict
from wfstudio.tui import clock
from wfstudio.tui.event_lines import find_failure, leap
from wfstudio.tui.inspection import LARGEST_SHOWN, Found, draw_streams, inspect_span, list_logs
from wfstudio.tui.moment_lines import draw_moment_pane
from wfstudio.tui.run_commands import (
    cancel_command,
    fork_command,
    inspect_command,
    name_call,
    replay_step_command,
    write_command,
)
from wfstudio.tui.run_rows import Place, Wanted
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.travel import Sight, Travel
from wfstudio.tui.widgets.dialog import Question, SheetDialog
from wfstudio.tui.widgets.event_list import EventList
from wfstudio.tui.widgets.run_dialogs import Cancel, CancelDialog, Forkable, ForkDialog, StepTrial, StepTrialDialog
from wfstudio.tui.widgets.sheet import Sheet
from wfstudio.tui.widgets.tabline import TabLine
from wfstudio.tui.widgets.timeline import Timeline

T = TypeVar("T")

TABS: Final = ("span", "events", "code", "logs", "streams")
TICK_SECONDS: Final = 0.25
LOOK_SECONDS: Final = 0.5
"""How often a run that goes on is looked at: worlds ring for what a run comes to, not for each event."""
PLAY_SECONDS: Final = 0.7
_COLOURS: Final = {"completed": "$success", "failed": "$error", "cancelled": "$warning", "running": "$primary"}
_ANSWERS: Final = ("step_completed", "child_completed", "hook_received")
_LOAD: Final = 4
"""Reading takes at most one part in so many of the time."""
_MOST_LOGS: Final = 10_000
_MOST_STREAMS: Final = 20
_MOST_CHUNKS: Final = 500


class RunScreen(StudioScreen):
    """One run: the tree of its calls over time, and what is known of the one under the cursor."""

    can_filter = True
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", id="run.play"),
        Binding("comma", "step(-1)", "Step back", id="run.step_back", show=False),
        Binding("full_stop", "step(1)", "Step", id="run.step", key_display=", ."),
        Binding("less_than_sign", "seek(-1)", "Seek back", id="run.seek_back", show=False),
        Binding("greater_than_sign", "seek(1)", "Seek", id="run.seek", key_display="< >"),
        Binding("exclamation_mark", "to_failure", "To the next failure", id="run.to_failure", show=False),
        Binding("t", "travel_here", "Code here", id="run.code_here"),
        *(Binding(str(number), f"tab('{name}')", name.capitalize(), id=f"run.{name}", show=False)
          for number, name in enumerate(TABS, 1)),
        Binding("c,C", "cancel", "Cancel", id="run.cancel"),
        Binding("W", "wake", "Wake", id="run.wake"),
        Binding("r,R", "retry", "Retry", id="run.retry"),
        Binding("F", "fork", "Fork", id="run.fork"),
        Binding("v,V", "verdict", "Verdict", id="run.verdict"),
        Binding("S", "replay_step", "Replay step", id="run.replay_step"),
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
        self.seq: int | None = None
        """The event that is stepped to; None: nobody steps."""
        self._wanted_span = span
        self._looker: Looker | None = None
        self._is_looking = False
        self._next_look = 0.0
        self._travel: Travel | None = None
        self._playing: Timer | None = None
        self._logs: list[LogView] = []
        self._found: Found | None = None

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

    async def on_unmount(self) -> None:
        if self._travel is not None:
            await self._travel.close()

    @property
    def timeline(self) -> Timeline:
        return self.query_one("#timeline", Timeline)

    @property
    def event_list(self) -> EventList:
        return self.query_one("#events", EventList)

    @property
    def tab(self) -> str:
        return self.query_one(ContentSwitcher).current or TABS[0]

    def command(self) -> str:
        row = self.timeline.row
        match self.tab:
            case "events":
                return inspect_command(self.run_id, None, "events")
            case "code" if self.seq is not None:
                return write_command("wf", "replay", self.run_id, "--at", str(self.seq))
            case "logs":
                return write_command("wf", "logs", self.run_id)
            case "streams":
                return inspect_command(self.run_id, None, "streams")
        return inspect_command(self.run_id if row is None else row.run_id, None if row is None else row.span)

    def note(self) -> str:
        parts = [super().note()]
        if self.seq is not None and self._looker is not None:
            parts.append(f"event {self.seq} of {len(self._looker.run.log)}" + (" ▶" if self._playing else ""))
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
            await self._look()

    def _tick(self) -> None:
        """Let time go on for a run that does, and look at it now and then."""
        if self.run is None or self.run.status in ENDED or self.run.origin is not None:
            return
        self.timeline.tick(self._now_ms())
        self._show_title()
        if not self._is_looking and time.monotonic() >= self._next_look and self.is_current:
            self.run_worker(self._look(), group="look", exit_on_error=True)

    async def _look(self) -> None:
        """Read what is new, and show it."""
        if self._is_looking or self._looker is None:
            return
        self._is_looking = True
        began = time.monotonic()
        try:
            look = await self._looker.look()
            before = self.run
            self.run = await self.client.get_run(self.run_id, max_bytes=LARGEST_SHOWN)
        except WorkflowError as error:
            self._tell_trouble(error)
            return
        finally:
            self._is_looking = False
            spent = time.monotonic() - began
            self._next_look = time.monotonic() + max(LOOK_SECONDS, _LOAD * spent)
        if not self.is_mounted:
            return
        if self._looker.is_new or before is None:
            self.timeline.show(lay_out(look), self._now_ms())
            self.event_list.show(self._looker.run.log, self._looker.run.log[0].at)
            self._show_more()
        if before is None:
            self._begin()
        elif _timeless(before) != _timeless(self.run):
            self._inspect(self.timeline.row)
        self._show_title()

    def _tell_trouble(self, error: WorkflowError) -> None:
        if isinstance(error, RunNotFoundError) or self.run is None:
            lines = printable_lines(error.explain()).split("\n")
            self.query_one("#span", Sheet).present(lambda pen: lines)
        else:
            self.studio.say(str(error), "error")

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
        parts = [_short(run.workflow), spent]
        said = " · ".join(part for part in parts if part)
        status = (f"{Pen(width=0).sign(run.status)} {run.status}", _COLOURS.get(run.status, ""))
        self.timeline.border_title = Content.assemble(status, f" · {said}")
        reason = "needs attention" if run.attention is not None else run.reason or ""
        spans = f"{len(self.timeline.rows)} spans"
        self.timeline.border_subtitle = Content(printable(reason or spans))

    # -- the span under the cursor

    def on_timeline_selected(self, event: Timeline.Selected) -> None:
        self._inspect(event.row)

    def on_timeline_opened(self, event: Timeline.Opened) -> None:
        """Open a child run as a run; of anything else go to what is known of it."""
        span = event.row.span
        if span.kind in ("child", "watch") and span.child_run_id is not None:
            self.studio.open_run(span.child_run_id)
        else:
            self.action_tab("span")
            self.query_one("#span", Sheet).focus()

    def _inspect(self, row: Row | None) -> None:
        if row is not None and self.run is not None:
            self.run_worker(self._read_span(row), group="inspect", exclusive=True)

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
        return self._looker.run.show_event(event, LARGEST_SHOWN)

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

    def _show_more(self) -> None:
        """Read what the tab shows beyond spans and events, which are there already."""
        if self.run is not None and self.tab in ("logs", "streams"):
            reading = self._read_logs() if self.tab == "logs" else self._read_streams()
            self.run_worker(reading, group="more", exclusive=True)

    async def _read_logs(self) -> None:
        sheet, is_first = self.query_one("#logs", Sheet), not self._logs
        while len(self._logs) < _MOST_LOGS:
            after = self._logs[-1].position if self._logs else None
            found = await self.client.read_logs(self.run_id, after, _MOST_LOGS)
            self._logs += found
            if len(found) < _MOST_LOGS:
                break
        lines = list(self._logs[:_MOST_LOGS])
        is_at_end = sheet.is_vertical_scroll_end and not is_first
        sheet.present(lambda pen: list_logs(pen, lines, is_cut=len(lines) == _MOST_LOGS), is_same=not is_first)
        if is_at_end:
            sheet.scroll_end(animate=False)

    async def _read_streams(self) -> None:
        streams = (await self.client.list_streams(self.run_id))[:_MOST_STREAMS]
        chunks: dict[str, list[ChunkView]] = {}
        for stream in streams:
            found = self.client.read_stream(self.run_id, stream.name, -_MOST_CHUNKS, max_bytes=LARGEST_SHOWN)
            chunks[stream.name] = [chunk async for chunk in found]
        self.query_one("#streams", Sheet).present(lambda pen: draw_streams(pen, streams, chunks), is_same=True)

    # -- what is shown of all spans

    def apply_filter(self) -> str | None:
        text = self.filter_text
        self.timeline.wanted = Wanted(text.removeprefix("!"), text.startswith("!"), self.is_errors_only)
        return None

    def restore_focus(self) -> None:
        self.timeline.focus()

    # -- stepping through the events

    def _go(self, seq: int) -> None:
        """Show the run as it was right after an event."""
        if self._looker is None or self.run is None:
            return
        log = self._looker.run.log
        self.seq = min(max(seq, 1), len(log))
        self.timeline.playhead_ms = (log[self.seq - 1].at - log[0].at) / 1000
        self.event_list.seq = self.seq
        if self._travel is None:
            self._travel = Travel(Replays(self.client.session), self.run_id, self._show_sight)
            self.query_one("#code", Sheet).present(lambda pen: [pen.paint("the code is loaded …", "dim")])
        self._travel.go(self.seq)
        if self.tab not in ("code", "events"):
            self.action_tab("code")
        self._tell_place()

    def _tell_place(self) -> None:
        self.query_one(TabLine).note = self.note()
        self.refresh_headline()

    def _show_sight(self, sight: Sight) -> None:
        if not self.is_mounted or self.seq is None:
            return
        sheet = self.query_one("#code", Sheet)
        moment, error = sight.moment, sight.error
        if moment is not None:
            sheet.present(lambda pen: draw_moment_pane(pen, moment), is_same=True)
        elif error is not None:
            lines = printable_lines(error.explain()).split("\n")
            sheet.present(lambda pen: [pen.paint(lines[0], "red"), *lines[1:]])
            self._pause()

    def on_event_list_selected(self, event: EventList.Selected) -> None:
        if self.seq is not None:
            self._go(event.seq)

    def _place(self) -> int:
        """Where stepping goes on from, or begins: at the event that is under the cursor of the list."""
        return self.event_list.seq if self.seq is None else self.seq

    def action_step(self, by: int) -> None:
        self._pause()
        self._go(self._place() + (by if self.seq is not None else 0))

    def action_seek(self, by: int) -> None:
        self._pause()
        if self._looker is not None and self.run is not None:
            self._go(leap(self._place(), by, len(self._looker.run.log)))

    def action_to_failure(self) -> None:
        self._pause()
        found = None if self._looker is None or self.run is None else find_failure(self._looker.run.log, self._place())
        if found is None:
            self.studio.say("nothing failed in this run")
        else:
            self._go(found)

    def action_travel_here(self) -> None:
        """Show the code at the event that the span under the cursor ended with, or began with."""
        row = self.timeline.row
        if row is None or row.run_id != self.run_id:
            self._go(self._place())
        else:
            self._go(row.span.end_seq or row.span.seq)

    def action_play(self) -> None:
        if self._playing is not None:
            self._pause()
            return
        if self._looker is None or self.run is None:
            return
        if self.seq is None or self.seq >= len(self._looker.run.log):
            self._go(1)
        self._playing = self.set_interval(PLAY_SECONDS, self._play_on)
        self._tell_place()

    def _play_on(self) -> None:
        if self._looker is None or self.seq is None or self._travel is None or self._travel.is_busy:
            return
        if self.seq >= len(self._looker.run.log):
            if self.run is not None and self.run.status in ENDED:
                self._pause()
            return
        self._go(self.seq + 1)

    def _pause(self) -> None:
        if self._playing is not None:
            self._playing.stop()
            self._playing = None
            self._tell_place()

    def _leave_travel(self) -> None:
        self._pause()
        self.seq = None
        self.timeline.playhead_ms = None
        if self.tab == "code":
            self.action_tab("span")
        self._tell_place()

    # -- actions

    def _ask(self, dialog: Any, then: Callable[[Any], Awaitable[None]]) -> None:
        """Ask, and do it if it is wished."""

        async def take(wish: Any) -> None:
            if wish:
                await then(wish)

        self.app.push_screen(dialog, take)

    def action_cancel(self) -> None:
        if self.run is None:
            return

        async def cancel(wish: Cancel) -> None:
            command = cancel_command(self.run_id, wish.reason, is_forced=wish.is_forced)
            work = self.client.cancel(self.run_id, wish.reason, force=wish.is_forced)
            await self.studio.act(command, work, lambda run: run.status if run.ended_at else "it is being cancelled")
            await self._look()

        self._ask(CancelDialog(self.run_id, _short(self.run.workflow)), cancel)

    async def action_wake(self) -> None:
        def tell(count: int) -> str:
            return f"{count} {'sleep' if count == 1 else 'sleeps'} ended early"

        await self.studio.act(write_command("wf", "wake", self.run_id), self.client.wake(self.run_id), tell)

    def action_retry(self) -> None:
        if self.run is None:
            return
        command = write_command("wf", "retry", self.run_id)

        async def retry(_: bool) -> None:
            again = await self.studio.act(command, self.client.retry(self.run_id))
            if again is not None:
                self.studio.open_run(again.id)

        text = "A new run takes its place, with today's code. What completed keeps its result, what failed runs again."
        self._ask(Question(f"retry {_short(self.run.workflow)}", text, command, "retries it"), retry)

    def action_fork(self) -> None:
        of = self._describe_fork()
        if of is None:
            return

        async def fork(request: ForkRequest) -> None:
            work = self.client.fork(of.run_id, request)
            forked = await self.studio.act(
                fork_command(of.run_id, request), work, lambda made: "\n".join(printable(note) for note in made.notes)
            )
            if forked is not None:
                self.studio.open_run(forked.run.id)

        self._ask(ForkDialog(of), fork)

    def _describe_fork(self) -> Forkable | None:
        row = self.timeline.row
        if row is None or self.run is None or self._looker is None:
            return None
        has_ended = self._looker.runs[row.run_id].trace.status in ENDED
        if row.span.kind == "run":
            return Forkable(self.run_id, row.span, None, self.run.input, has_ended)
        followed = self._looker.runs[row.run_id]
        call = name_call(row.run_id, followed.trace.spans, row.span)
        answered = [e for e in followed.events_of(row.span.correlation_id or 0) if e.type in _ANSWERS]
        value = followed.show_event(answered[0], LARGEST_SHOWN).payload if answered else None
        return Forkable(row.run_id, row.span, call, value, has_ended)

    def action_verdict(self) -> None:
        self.studio.say("the run is replayed against today's code …")
        self.run_worker(self._judge(), group="judge", exclusive=True)

    async def _judge(self) -> None:
        replays = Replays(self.client.session)
        try:
            command = write_command("wf", "replay", self.run_id)
            view: ReplayView | None = await self.studio.act(command, replays.replay_run(self.run_id))
        finally:
            await replays.close()
        if view is not None and self.is_mounted:
            shown = view
            source = None if shown.where is None else read_excerpt(replays.workbench.root, shown.where)
            self.app.push_screen(SheetDialog("verdict of today's code", lambda pen: draw_verdict(pen, shown, source)))

    def action_replay_step(self) -> None:
        row = self.timeline.row
        if row is None or row.span.kind != "step" or self._looker is None:
            self.studio.say("put the cursor on a step: it is carried out once more, and compared", "warning")
            return
        followed = self._looker.runs[row.run_id]
        call = name_call(row.run_id, followed.trace.spans, row.span)
        step = followed.show_step(row.span.correlation_id or 0, LARGEST_SHOWN)
        recorded = None if step is None else step.input

        async def begin(wish: StepTrial) -> None:
            self.studio.say(f"{label_span(row.span)} is carried out once more …")
            self.run_worker(self._try_step(row.run_id, wish), group="judge", exclusive=True)

        self._ask(StepTrialDialog(row.run_id, call, label_span(row.span), recorded), begin)

    async def _try_step(self, run_id: str, wish: StepTrial) -> None:
        replays = Replays(self.client.session)
        try:
            command = replay_step_command(run_id, wish.call, wish.edited)
            trial = replays.replay_step(run_id, wish.call, edited=wish.edited)
            view: StepReplayView | None = await self.studio.act(command, trial)
        finally:
            await replays.close()
        if view is not None and self.is_mounted:
            shown = view
            self.app.push_screen(SheetDialog("once more", lambda pen: draw_step_replay(pen, shown)))


def _short(name: str) -> str:
    return printable(name.rpartition(":")[2])


def _timeless(run: RunView) -> tuple[Any, ...]:
    """Leave out what goes on with the clock."""
    return run.status, run.reason, run.attention, run.events, run.attributes, run.continued_as
