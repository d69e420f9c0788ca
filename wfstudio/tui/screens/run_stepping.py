"""Stepping through the events of the run that is shown, or of a child's: one place, which bars, list and code share.

Whose events are stepped through is said by the span under the cursor where the stepping begins, and by `t`.
"""

from __future__ import annotations

from typing import ClassVar, Final

from textual.binding import Binding, BindingType
from textual.timer import Timer

from wf.events import ENDED
from wfstudio.core.followed import FollowedRun
from wfstudio.core.replays import Replays
from wfstudio.core.views import RunView
from wfstudio.text.looks import Looker
from wfstudio.text.printable import printable_lines
from wfstudio.tui.event_lines import find_failure, leap
from wfstudio.tui.moment_lines import draw_moment_pane
from wfstudio.tui.studio_screen import StudioScreen
from wfstudio.tui.travel import Sight, Travel
from wfstudio.tui.widgets.event_list import EventList
from wfstudio.tui.widgets.sheet import Sheet
from wfstudio.tui.widgets.tabline import TabLine
from wfstudio.tui.widgets.timeline import Timeline

PLAY_SECONDS: Final = 0.7


class RunStepping(StudioScreen):
    """The half of a run's screen that steps through its events."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "play", "Play", id="run.play"),
        Binding("comma", "step(-1)", "Step back", id="run.step_back", show=False),
        Binding("full_stop", "step(1)", "Step", id="run.step", key_display=", ."),
        Binding("less_than_sign", "seek(-1)", "Seek back", id="run.seek_back", show=False),
        Binding("greater_than_sign", "seek(1)", "Seek", id="run.seek", key_display="< >"),
        Binding("exclamation_mark", "to_failure", "To the next failure", id="run.to_failure", show=False),
        Binding("t", "travel_here", "Code here", id="run.code_here"),
    ]

    run_id: str
    run: RunView | None
    _looker: Looker | None

    def __init__(self) -> None:
        super().__init__()
        self.seq: int | None = None
        """The event that is stepped to; None: nobody steps."""
        self._stepped_id: str | None = None
        """The run that is stepped through."""
        self._travel: Travel | None = None
        self._playing: Timer | None = None

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
        raise NotImplementedError

    def action_tab(self, name: str) -> None:
        raise NotImplementedError

    def show_shown(self) -> None:
        """Show events, logs and streams of the run that is stepped through, or whose span is under the cursor."""
        raise NotImplementedError

    @property
    def shown_id(self) -> str:
        """The run whose events, code, logs and streams are shown."""
        row = self.timeline.row
        return self._stepped_id or (self.run_id if row is None else row.run_id)

    @property
    def shown(self) -> FollowedRun | None:
        """The same, as far as it was read; None: nothing was yet."""
        return None if self._looker is None or self.run is None else self._looker.runs.get(self.shown_id)

    def _go(self, seq: int) -> None:
        """Show the run as it was right after an event."""
        shown = self.shown
        if shown is None or self._looker is None:
            return
        self._stepped_id = shown.run_id
        self.show_shown()
        log = shown.log
        self.seq = min(max(seq, 1), len(log))
        since_ms = (log[self.seq - 1].at - log[0].at) / 1000
        gap_ms = shown.trace.inherited_gap_ms if since_ms < 0 else 0.0  # nobody's: see `core.traces`
        begun_ms = (log[0].at - self._looker.run.log[0].at) / 1000
        self.timeline.playhead_ms = begun_ms + since_ms + gap_ms
        self.event_list.seq = self.seq
        if self._travel is None:
            self._travel = Travel(Replays(self.client.session), self._show_sight)
            self.query_one("#code", Sheet).present(lambda pen: [pen.paint("the code is loaded …", "dim")])
        self._travel.go(shown.run_id, self.seq)
        if self.tab not in ("code", "events"):
            self.action_tab("code")
        self._tell_place()

    def _tell_place(self) -> None:
        self.query_one(TabLine).note = self.note()
        self.refresh_headline()

    def _show_sight(self, sight: Sight) -> None:
        if not self.is_mounted or self.seq is None or sight.run_id != self._stepped_id:
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
        if self.shown is not None:
            self._go(leap(self._place(), by, len(self.shown.log)))

    def action_to_failure(self) -> None:
        self._pause()
        found = None if self.shown is None else find_failure(self.shown.log, self._place())
        if found is None:
            self.studio.say("nothing failed in this run")
        else:
            self._go(found)

    def action_travel_here(self) -> None:
        """Show the code at the event that the span under the cursor ended with; of one that goes on, as it is now."""
        row = self.timeline.row
        if row is None:
            return
        self._stepped_id = row.run_id
        if self.shown is not None:
            goes_on = row.span.end_ms is None
            self._go(len(self.shown.log) if goes_on else row.span.end_seq or row.span.seq)

    def action_play(self) -> None:
        if self._playing is not None:
            self._pause()
            return
        if self.shown is None:
            return
        if self.seq is None or self.seq >= len(self.shown.log):
            self._go(1)
        self._playing = self.set_interval(PLAY_SECONDS, self._play_on)
        self._tell_place()

    def _play_on(self) -> None:
        shown = self.shown
        if shown is None or self.seq is None or self._travel is None or self._travel.is_busy:
            return
        if self.seq >= len(shown.log):
            if shown.trace.status in ENDED:
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
        self.seq = self._stepped_id = None
        self.show_shown()
        self.timeline.playhead_ms = None
        if self.tab == "code":
            self.action_tab("span")
        self._tell_place()
