"""Gaps: stretches of a run's time in which no attempt ran, which a timeline need not show at full length. Pure.

A run that waits a day for a word did its work in a second. Drawn to scale the second is one cell; with its gaps
squeezed one sees what happened. Times are milliseconds since the run's creation; squeezed ones are what a clock would
show that is stopped in gaps, but for what is left of each.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from wfstudio.core.traces import Span
from wfstudio.text.looks import Row
from wfstudio.text.timeline import Scale
from wfstudio.tui.run_rows import Change

_LEFT: Final = 0.15
"""What is left of a gap, as a part of the time in which something ran."""
_SHORTEST_MS: Final = 1000.0
"""Shorter gaps are shown as they are: nobody waits for them."""
_SHORTEST_RUN_MS: Final = 0.001
_WORTH: Final = 0.5
"""Squeezing that leaves more than this part of the time is not worth a break in the axis."""


class Gap(NamedTuple):
    start_ms: float
    end_ms: float


class Gaps:
    """Gaps in order, none of them empty, each squeezed to `left_ms`. Without any, time is as it is.

    Of those that are `open` the last one goes on: the run is in it.
    """

    def __init__(self, gaps: Sequence[Gap] = (), left_ms: float = 0.0, *, is_open: bool = False) -> None:
        self.gaps = list(gaps)
        self.left_ms = left_ms
        self.is_open = is_open
        self._starts = [gap.start_ms for gap in gaps]
        self._saved = [0.0]
        for gap in gaps:
            self._saved.append(self._saved[-1] + (gap.end_ms - gap.start_ms) - left_ms)
        self._squeezed_starts = [gap.start_ms - saved for gap, saved in zip(gaps, self._saved, strict=False)]

    def squeeze(self, at_ms: float) -> float:
        """Give where an instant is when gaps are squeezed."""
        place = bisect_right(self._starts, at_ms)
        if not place:
            return at_ms
        gap = self.gaps[place - 1]
        if at_ms >= gap.end_ms:
            return at_ms - self._saved[place]
        share = (at_ms - gap.start_ms) / (gap.end_ms - gap.start_ms)
        return gap.start_ms - self._saved[place - 1] + share * self.left_ms

    def stretch(self, squeezed_ms: float) -> float:
        """Give the instant that is at a place when gaps are squeezed."""
        place = bisect_right(self._squeezed_starts, squeezed_ms)
        if not place:
            return squeezed_ms
        gap, start = self.gaps[place - 1], self._squeezed_starts[place - 1]
        if squeezed_ms < start + self.left_ms:
            return gap.start_ms + (squeezed_ms - start) / self.left_ms * (gap.end_ms - gap.start_ms)
        return squeezed_ms + self._saved[place]

    def end_at(self, now_ms: float) -> Gaps:
        """Let time go on: the gap that the run is in, if it is in one, reaches to now."""
        if not self.is_open:
            return self
        return Gaps([*self.gaps[:-1], self.gaps[-1]._replace(end_ms=now_ms)], self.left_ms, is_open=True)

    def within(self, first_ms: float, last_ms: float) -> Sequence[Gap]:
        """Give the gaps that lie in a stretch, at least in part."""
        return self.gaps[max(0, bisect_right(self._starts, first_ms) - 1) : bisect_right(self._starts, last_ms)]

    def list_busy(self, first_ms: float, last_ms: float) -> Iterator[tuple[float, float]]:
        """Give what lies between the gaps, of a stretch."""
        for gap in self.within(first_ms, last_ms):
            if gap.start_ms > first_ms:
                yield first_ms, gap.start_ms
            first_ms = max(first_ms, gap.end_ms)
        yield first_ms, max(first_ms, last_ms)


class SqueezedScale(Scale, frozen=True):
    """A scale whose stretch is squeezed time."""

    gaps: Gaps

    def cell(self, at_ms: float) -> float:
        return super().cell(self.gaps.squeeze(at_ms))

    def at(self, cell: float) -> float:
        return self.gaps.stretch(super().at(cell))


class BusyTime:
    """When something ran, or began or ended, of rows that come and go: each of them is looked at once.

    busy.change(compare_rows(before, now))
    busy.find_gaps(now_ms)      costs what has not ended, and the stretches that there are
    """

    def __init__(self) -> None:
        self._starts: list[float] = [0.0]
        self._ends: list[float] = [0.0]
        """Stretches in order, of rows that have ended. Between any two of them is a gap that can be squeezed."""
        self._open: dict[int, Row] = {}
        self._ended: dict[int, Row] = {}
        self._first_ms, self._last_ms = 0.0, _SHORTEST_RUN_MS

    def reach(self, now_ms: float) -> tuple[float, float]:
        """Give the instants at which the first row begins and, so far, the last one ends."""
        return self._first_ms, max(self._last_ms, now_ms) if self._open else self._last_ms

    def change(self, change: Change) -> None:
        """Take rows that are gone and rows that are new."""
        is_undone = False
        for row in change.gone:
            is_undone |= self._open.pop(id(row), None) is None
            self._ended.pop(id(row), None)
        for row in change.new:
            (self._open if row.span.end_ms is None else self._ended)[id(row)] = row
        added: Collection[Row] = change.new
        if is_undone:  # what had ended is another: it cannot be told what it alone had filled
            self._starts, self._ends = [0.0], [0.0]
            self._first_ms, self._last_ms = 0.0, _SHORTEST_RUN_MS
            added = [*self._ended.values(), *self._open.values()]
        ended = [row.span for row in added if row.span.end_ms is not None]
        self._first_ms = min([self._first_ms, *(row.span.start_ms for row in added)])
        self._last_ms = max([self._last_ms, *(span.end_ms or 0.0 for span in ended)])
        self._add(stretch for span in ended for stretch in _list_stretches(span, 0.0))

    def find_gaps(self, now_ms: float) -> Gaps:
        """Find the gaps, as far as squeezing them is worth it."""
        live = BusyTime()
        live._starts, live._ends = list(self._starts), list(self._ends)
        rows = self._open.values()
        live._add(stretch for row in rows for stretch in _list_stretches(row.span, now_ms))
        is_live = any(row.span.kind == "run" for row in rows)
        gaps = [Gap(end, start) for end, start in zip(live._ends, live._starts[1:], strict=False)]
        return _choose(gaps, live._starts[0], live._ends[-1], is_live=is_live)

    def _add(self, stretches: Iterable[tuple[float, float]]) -> None:
        """Add stretches; what touches becomes one, and so does what lies close: its gap is shown as it is."""
        starts, ends = self._starts, self._ends
        for start, end in stretches:
            first, last = bisect_right(ends, start - _SHORTEST_MS), bisect_left(starts, end + _SHORTEST_MS)
            if first < last:
                start, end = min(start, starts[first]), max(end, ends[last - 1])
            starts[first:last], ends[first:last] = [start], [end]


def find_gaps(rows: Sequence[Row], now_ms: float) -> Gaps:
    """Find the gaps of a run, as far as squeezing them is worth it.

    Time counts as busy while an attempt runs, and at each instant at which something begins or ends.
    """
    busy = BusyTime()
    busy.change(Change([], list(rows)))
    return busy.find_gaps(now_ms)


def _list_stretches(span: Span, now_ms: float) -> Iterator[tuple[float, float]]:
    for segment in span.segments:
        end_ms = now_ms if segment.end_ms is None else segment.end_ms
        if segment.kind == "running" and span.kind != "run":
            yield segment.start_ms, end_ms
        else:
            yield segment.start_ms, segment.start_ms
            yield end_ms, end_ms


def _choose(gaps: Sequence[Gap], first_ms: float, last_ms: float, *, is_live: bool) -> Gaps:
    """Choose the gaps that are squeezed: those that are much longer than what would be left of them."""
    whole_ms = last_ms - first_ms
    left_ms = (whole_ms - sum(gap.end_ms - gap.start_ms for gap in gaps)) * _LEFT
    chosen = [gap for gap in gaps if gap.end_ms - gap.start_ms > 2 * left_ms] if left_ms else []
    saved_ms = sum(gap.end_ms - gap.start_ms - left_ms for gap in chosen)
    if not chosen or whole_ms - saved_ms > whole_ms * _WORTH:
        return Gaps()
    return Gaps(chosen, left_ms, is_open=is_live and chosen[-1].end_ms >= last_ms)
