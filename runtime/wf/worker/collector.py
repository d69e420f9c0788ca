"""The garbage collector's pace while a worker is open.

Python looks for cycles after every 700 objects that outlive their birth, and thousands of live runs
mean that most of what it walks through then is alive: a third of the time of a busy worker. While a
worker is open it looks less often. A program that has set a pace of its own keeps it.
"""

from __future__ import annotations

import gc
from typing import Final

PACE: Final = (10_000, 20, 100)
"""Up to 10 000 young objects are a few MB; older generations follow in proportion."""

DEFAULTS: Final = ((700, 10, 10), (2000, 10, 10), (2000, 10, 0))
"""What CPython 3.11 to 3.14 begin with."""

_found = DEFAULTS[0]
_open = 0


def slow_down() -> None:
    """Collect less often until `restore` was called as many times."""
    global _open, _found
    _open += 1
    if gc.get_threshold() in DEFAULTS:
        _found = gc.get_threshold()
        gc.set_threshold(*PACE)


def restore() -> None:
    global _open
    _open -= 1
    if _open == 0 and gc.get_threshold() == PACE:
        gc.set_threshold(*_found)
