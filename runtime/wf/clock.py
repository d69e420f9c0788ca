"""Clocks: where a worker's instants come from. Both count microseconds since 1970 UTC."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """`is_virtual`: time moves only when somebody moves it, so nobody should wait for it."""

    is_virtual: bool

    def now_us(self) -> int: ...


class SystemClock:
    """The wall clock. It may jump: order comes from `seq`, and a worker looks again every second."""

    is_virtual = False

    def now_us(self) -> int:
        return time.time_ns() // 1000


class ManualClock:
    """A clock that stands still until moved; it never goes back."""

    is_virtual = True

    def __init__(self, at_us: int) -> None:
        self._at_us = at_us

    def now_us(self) -> int:
        return self._at_us

    def move_to(self, at_us: int) -> None:
        self._at_us = max(self._at_us, at_us)
