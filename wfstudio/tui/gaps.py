"""Gaps: stretches of a run's time in which no attempt ran, which a timeline need not show at full length. Pure.

A run that waits a day for a word did its work in a second. Drawn to scale the second is one cell; with its gaps
squeezed one sees what happened. Times are milliseconds since the run's creation; squeezed ones are what a clock would
show that is stopped in gaps, but for what is left of each.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from wfstudio.text.looks import Row
from wfstudio.text.timeline import Scale

_LEFT: Final = 0.15
"""What is left of a gap, as a part of the time in which something ran."""
_SHORTEST_MS: Final = 1000.0
"""Shorter gaps are shown as they are: nobody waits for them."""
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
        for place, gap in enumerate(self.gaps):
            start = gap.start_ms - self._saved[place]
            if squeezed_ms < start:
                return squeezed_ms + self._saved[place]
            if squeezed_ms < start + self.left_ms:
                return gap.start_ms + (squeezed_ms - start) / self.left_ms * (gap.end_ms - gap.start_ms)
        return squeezed_ms + self._saved[-1]

    def end_at(self, now_ms: float) -> Gaps:
        """Let time go on: the gap that the run is in, if it is in one, reaches to now."""
        if not self.is_open:
            return self
        return Gaps([*self.gaps[:-1], self.gaps[-1]._replace(end_ms=now_ms)], self.left_ms, is_open=True)

    def list_busy(self, first_ms: float, last_ms: float) -> Iterator[tuple[float, float]]:
        """Give the stretches between the gaps."""
        for gap in self.gaps:
            yield first_ms, gap.start_ms
            first_ms = gap.end_ms
        yield first_ms, max(first_ms, last_ms)


class SqueezedScale(Scale, frozen=True):
    """A scale whose stretch is squeezed time."""

    gaps: Gaps

    def cell(self, at_ms: float) -> float:
        return super().cell(self.gaps.squeeze(at_ms))

    def at(self, cell: float) -> float:
        return self.gaps.stretch(super().at(cell))


def find_gaps(rows: Sequence[Row], now_ms: float) -> Gaps:
    """Find the gaps of a run, as far as squeezing them is worth it.

    Time counts as busy while an attempt runs, and at each instant at which something begins or ends.
    """
    stretches: list[tuple[float, float]] = [(0.0, 0.0)]
    is_live = False
    for row in rows:
        span = row.span
        is_live = is_live or (span.kind == "run" and span.end_ms is None)
        for segment in span.segments:
            end_ms = now_ms if segment.end_ms is None else segment.end_ms
            if segment.kind == "running" and span.kind != "run":
                stretches.append((segment.start_ms, end_ms))
            else:
                stretches += [(segment.start_ms, segment.start_ms), (end_ms, end_ms)]
    stretches.sort()
    return _choose(_list_gaps(stretches), stretches[0][0], max(end for _, end in stretches), is_live=is_live)


def _list_gaps(stretches: list[tuple[float, float]]) -> list[Gap]:
    gaps: list[Gap] = []
    reached = stretches[0][1]
    for start, end in stretches:
        if start > reached:
            gaps.append(Gap(reached, start))
        reached = max(reached, end)
    return gaps


def _choose(gaps: Sequence[Gap], first_ms: float, last_ms: float, *, is_live: bool) -> Gaps:
    """Choose the gaps that are squeezed: those that are much longer than what would be left of them."""
    whole_ms = last_ms - first_ms
    long = [gap for gap in gaps if gap.end_ms - gap.start_ms >= _SHORTEST_MS]
    left_ms = (whole_ms - sum(gap.end_ms - gap.start_ms for gap in long)) * _LEFT
    chosen = [gap for gap in long if gap.end_ms - gap.start_ms > 2 * left_ms] if left_ms else []
    saved_ms = sum(gap.end_ms - gap.start_ms - left_ms for gap in chosen)
    if not chosen or whole_ms - saved_ms > whole_ms * _WORTH:
        return Gaps()
    return Gaps(chosen, left_ms, is_open=is_live and chosen[-1].end_ms >= last_ms)
