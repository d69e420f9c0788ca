"""The events of a run, one a line; Enter shows what the one under the cursor holds, below it.

    events.show(log, seq)       the log, grown or not; of another run than before, from an event of it on

Its payload is opened when it is asked for: `open_event` is whoever can do so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from wf.events import Event
from wfstudio.core.views import EventView
from wfstudio.text.pen import Pen
from wfstudio.tui.event_lines import EventLines, draw_event_line
from wfstudio.tui.inks import Inks
from wfstudio.tui.inspection import draw_event
from wfstudio.tui.widgets.cursor_list import CursorList, cursor_keys


class EventList(CursorList, can_focus=True):
    HELP = """
    The run's log, an event a line. Enter shows what the event holds. While the code is stepped through, the cursor is
    where it stands.
    """
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_keys("events"),
        Binding("enter,right,l", "contents", "Contents", show=False, id="events.toggle"),
        Binding("left,h", "shut", "Close", show=False, id="events.close"),
    ]
    DEFAULT_CSS = """
    EventList {
        padding: 0 1;
    }
    """

    class Selected(Message):
        """Another event is under the cursor, because somebody moved it there."""

        def __init__(self, event_list: EventList, seq: int) -> None:
            super().__init__()
            self.event_list = event_list
            self.seq = seq

        @property
        def control(self) -> EventList:
            return self.event_list

    def __init__(
        self, open_event: Callable[[Event], EventView], *, id: str | None = None, classes: str | None = None
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._open_event = open_event
        self._lines = EventLines()
        self._run_id = ""
        self._shown = 0
        """Events that there were when they were last shown: a log grows in its place."""
        self._created_us = 0
        self._inks: tuple[Inks, Inks] | None = None

    # -- what is shown

    def __len__(self) -> int:
        return len(self._lines.events)

    @property
    def seq(self) -> int:
        """The number of the event under the cursor; 1 where there is none."""
        return self.cursor + 1

    @seq.setter
    def seq(self, seq: int) -> None:
        self.cursor = seq - 1

    def line_of(self, index: int) -> int:
        return self._lines.line_of(index + 1)

    def show(self, log: Sequence[Event], seq: int = 1) -> None:
        """Show a log; the cursor stays, but for the last event of a log that grows. In another run it goes to `seq`."""
        if log[0].run_id != self._run_id:
            self._run_id, self._created_us = log[0].run_id, log[0].at
            self._lines, self._shown = EventLines(), len(log)
            self._lines.events = log
            self.set_reactive(EventList.cursor, self.validate_cursor(seq - 1))
            self._measure()
            self.reveal()
            return
        is_at_end = 1 < self.seq == self._shown
        self._lines.events, self._shown = log, len(log)
        self._measure()
        if is_at_end:
            self.seq = len(log)

    def _measure(self) -> None:
        self.set_extent(Size(self._width, len(self._lines)))
        self.refresh()

    @property
    def _width(self) -> int:
        return self.scrollable_content_region.width

    def on_resize(self, event: events.Resize) -> None:
        self._lines.redraw(self._draw_contents)
        self._measure()
        self.reveal()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks = None

    # -- moving

    def watch_cursor(self) -> None:
        self.reveal()
        self.refresh()

    def go(self, index: int) -> None:
        self.cursor = index
        self.post_message(self.Selected(self, self.seq))

    def action_contents(self) -> None:
        """Show what the event holds, or no more."""
        if not self._lines.events:
            return
        if self._lines.is_open(self.seq):
            self._lines.close(self.seq)
        else:
            self._lines.open(self.seq, self._draw_contents(self._lines.events[self.seq - 1]))
        self._measure()
        self.reveal()

    def action_shut(self) -> None:
        if self._lines.is_open(self.seq):
            self.action_contents()

    def _draw_contents(self, event: Event) -> list[str]:
        return [f"    {line}" for line in draw_event(Pen(width=max(20, self._width - 6)), self._open_event(event))]

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        found = None if place is None else self._lines.at(round(self.scroll_y) + place.y)
        if found is None:
            return
        if found[0].seq == self.seq and event.chain >= 2:
            self.action_contents()
        self.go(found[0].seq - 1)

    # -- drawing

    def render_line(self, y: int) -> Strip:
        width = self._width
        if self._inks is None:
            variables = self.app.theme_variables
            cursor = self.get_component_rich_style("list--cursor")
            self._inks = Inks(variables, self.rich_style), Inks(variables, cursor)
        plain, marked = self._inks
        found = self._lines.at(round(self.scroll_y) + y)
        if found is None:
            return plain.to_strip("", width)
        event, part = found
        if part is not None:
            return plain.to_strip(part, width)
        line = draw_event_line(Pen(width=width), event, self._created_us, len(str(len(self._lines.events))))
        if event.seq != self.seq:
            return plain.to_strip(line, width)
        if self.app.no_color and self.has_focus:
            marked = Inks({}, self.cursor_style())
        return marked.to_strip(line, width)
