"""Cameras: which stretch of a run's time its timeline shows. Pure.

1. A camera never shows what lies outside of the run, and never less than a microsecond.
2. One that shows all of it goes on doing so while the run grows; so does one that stands at its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

SHORTEST_MS: Final = 0.001
_STEPS_MS: Final = [
    *(digit * 10.0**power for power in range(-3, 3) for digit in (1, 2, 5)),
    *(seconds * 1000.0 for seconds in (1, 2, 5, 10, 15, 30)),
    *(minutes * 60_000.0 for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * 3_600_000.0 for hours in (1, 2, 3, 6, 12)),
    *(days * 86_400_000.0 for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
]


class Camera(NamedTuple):
    """`first_ms` and `last_ms` bound the run; `start_ms` to `end_ms` is shown."""

    first_ms: float
    last_ms: float
    start_ms: float
    end_ms: float

    @classmethod
    def whole(cls, first_ms: float, last_ms: float) -> Camera:
        """Show all of it."""
        last_ms = max(last_ms, first_ms + SHORTEST_MS)
        return cls(first_ms, last_ms, first_ms, last_ms)

    @property
    def is_whole(self) -> bool:
        return self.start_ms <= self.first_ms and self.end_ms >= self.last_ms

    def fit(self) -> Camera:
        return Camera.whole(self.first_ms, self.last_ms)

    def grow(self, first_ms: float, last_ms: float) -> Camera:
        """Follow a run that grew."""
        if self.is_whole:
            return Camera.whole(first_ms, last_ms)
        shift = last_ms - self.last_ms if self.end_ms >= self.last_ms else 0.0
        return Camera(first_ms, last_ms, self.start_ms + shift, self.end_ms + shift)._bounded()

    def zoom(self, factor: float, at_ms: float | None = None) -> Camera:
        """Show `factor` times as much, around an instant that stays where it is; by default the middle."""
        at_ms = (self.start_ms + self.end_ms) / 2 if at_ms is None else at_ms
        start = at_ms - (at_ms - self.start_ms) * factor
        end = at_ms + (self.end_ms - at_ms) * factor
        if end - start < SHORTEST_MS:
            return self
        return self._replace(start_ms=start, end_ms=end)._bounded()

    def pan(self, share: float) -> Camera:
        """Move by a share of what is shown."""
        by = (self.end_ms - self.start_ms) * share
        by = min(max(by, self.first_ms - self.start_ms), self.last_ms - self.end_ms)
        return self._replace(start_ms=self.start_ms + by, end_ms=self.end_ms + by)

    def show(self, start_ms: float, end_ms: float) -> Camera:
        """Show a stretch with a little around it."""
        around = max((end_ms - start_ms) * 0.1, SHORTEST_MS)
        return self._replace(start_ms=start_ms - around, end_ms=end_ms + around)._bounded()

    def _bounded(self) -> Camera:
        start, end = max(self.start_ms, self.first_ms), min(self.end_ms, self.last_ms)
        return self._replace(start_ms=start, end_ms=end) if end - start >= SHORTEST_MS else self.fit()


def list_ticks(start_ms: float, end_ms: float, most: int) -> Iterator[float]:
    """Give round instants within a stretch, at most `most` of them and one more."""
    least = (end_ms - start_ms) / max(most, 1)
    step = next((step for step in _STEPS_MS if step >= least), least)
    place = math.ceil(start_ms / step - 1e-9)
    while place * step <= end_ms:
        yield place * step
        place += 1


def show_tick(at_ms: float) -> str:
    """Write an instant of an axis exactly, so that ticks that lie close together differ."""
    if at_ms < 0:
        return f"-{show_tick(-at_ms)}"
    if at_ms < 1000:
        return f"{round(at_ms, 3):.6g} ms" if at_ms else "0"
    minutes, seconds = divmod(round(at_ms / 1000, 6), 60)
    hours, minutes = divmod(int(minutes), 60)
    days, hours = divmod(hours, 24)
    parts = [f"{days}d" if days else "", f"{hours}h" if hours else "", f"{minutes}m" if minutes else ""]
    tail = f"{seconds:.8g}" + ("s" if any(parts) else " s") if seconds else ""
    return " ".join(part for part in [*parts, tail] if part)
