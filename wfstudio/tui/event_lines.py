"""A run's events as lines: one each, and under those that are open what they hold. Pure."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Final

from wf import events as types
from wf.events import Event
from wfstudio.core.reasons import short_name
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.text.sizes import show_size
from wfstudio.text.widths import cell_width, cut

_STYLES: Final = {
    "completed": "green", "failed": "red", "cancelled": "yellow", "retrying": "yellow", "conflict": "red",
    "received": "green",
}  # fmt: skip
_TYPE_WIDTH: Final = 18
_SINCE_WIDTH: Final = 10


def draw_event_line(pen: Pen, event: Event, created_us: int, seq_width: int) -> str:
    """Draw an event: its number, when it was, its type, of which call, how large its payload is."""
    since = show_ms((event.at - created_us) / 1000) if event.at >= created_us else "before"
    style = _STYLES.get(event.type.rpartition("_")[2])
    kind = event.type.ljust(_TYPE_WIDTH)
    head = f"{pen.paint(f'{event.seq:>{seq_width}}', 'dim')} {since:>{_SINCE_WIDTH}}  "
    head += pen.paint(kind, style) if style else kind
    of = f"{event.correlation_id:>4} " if event.correlation_id else "     "
    name = printable(short_name((event.name or "").removeprefix("lock:")))
    attempt = f" #{event.attempt}" if event.attempt and event.attempt > 1 else ""
    size = show_size(len(event.payload)) if event.payload else ""
    room = max(8, pen.width - seq_width - _SINCE_WIDTH - _TYPE_WIDTH - 3 - len(of) - len(attempt) - len(size) - 2)
    text = cut(name, room, pen.ellipsis)
    tail = " " * max(1, room - cell_width(text) + 1) + pen.paint(size, "dim") if size else ""
    return f"{head}{pen.paint(of, 'dim')}{text}{pen.paint(attempt, 'yellow')}{tail}"


class EventLines:
    """Which line shows what. `events` only grow; `open` are those whose contents are shown, by seq."""

    def __init__(self) -> None:
        self.events: Sequence[Event] = ()
        self._open: dict[int, list[str]] = {}
        self._open_seqs: list[int] = []
        self._lines_to: list[int] = []
        """How many lines of contents there are up to each of the open events."""

    def __len__(self) -> int:
        return len(self.events) + (self._lines_to[-1] if self._lines_to else 0)

    def is_open(self, seq: int) -> bool:
        return seq in self._open

    def open(self, seq: int, lines: list[str]) -> None:
        self._open[seq] = lines
        self._count()

    def close(self, seq: int) -> None:
        self._open.pop(seq, None)
        self._count()

    def redraw(self, draw: Callable[[Event], list[str]]) -> None:
        """Draw the contents of what is open anew: the width changed."""
        self._open = {seq: draw(self.events[seq - 1]) for seq in self._open}
        self._count()

    def _count(self) -> None:
        self._open_seqs = sorted(self._open)
        self._lines_to = []
        count = 0
        for seq in self._open_seqs:
            count += len(self._open[seq])
            self._lines_to.append(count)

    def line_of(self, seq: int) -> int:
        """Give the line on which an event is."""
        before = bisect_right(self._open_seqs, seq - 1)
        return seq - 1 + (self._lines_to[before - 1] if before else 0)

    def at(self, line: int) -> tuple[Event, str | None] | None:
        """Give what a line shows: an event, or (with its text) a part of what an event holds; None beyond the end."""
        if not 0 <= line < len(self):
            return None
        low, high = 1, len(self.events)
        while low < high:  # the last event whose line is not below this one
            middle = (low + high + 1) // 2
            if self.line_of(middle) <= line:
                low = middle
            else:
                high = middle - 1
        place = line - self.line_of(low)
        event = self.events[low - 1]
        return event, None if place == 0 else self._open[low][place - 1]


def find_failure(log: Sequence[Event], seq: int) -> int | None:
    """Give the number of the next event after one that says that something failed, round from the beginning."""
    failed = [event.seq for event in log if event.type in (types.STEP_FAILED, types.STEP_RETRYING, types.RUN_FAILED)]
    return next((one for one in failed if one > seq), failed[0] if failed else None)


def leap(seq: int, by: int, last: int) -> int:
    """Give the number of the event that is a tenth of the log away, at least five events; within the log."""
    return min(max(seq + by * max(5, last // 10), 1), last)
