"""Failures: since when the exception that ends a run has been on its way.

A body goes on running after an exception was raised in it: what `except`, `finally` and sagas call takes deliveries
of its own. Who tries the run again wants to go back behind them all, to before the exception was there. So an exception
is *marked* with the delivery in whose course it was first seen, and a run that fails looks for the earliest mark in
all that its exception was made of.

1. Seen is what a step or a child came to, what is being handled when a call is made, and what ended a task. In
   between the body cannot have heard anything, so these are the moments that count.
2. A mark is an attribute that no value carries.
"""

from __future__ import annotations

from typing import Any, Final

MARK: Final = "__wf_since__"
MOST_LINKS: Final = 1000

_get: Final = object.__getattribute__  # a class may answer every question of its own


def mark(error: BaseException, life: int, seq: int) -> None:
    """Note that an exception was there at the delivery `seq`; the first note in a life of a body counts.

    `life` tells bodies apart: a program may raise one exception object in many of them.
    """
    attributes: dict[str, Any] = _get(error, "__dict__")
    known = attributes.get(MARK)
    if known is None or known[0] != life:
        attributes[MARK] = (life, seq)


def find_since(error: BaseException, life: int) -> int | None:
    """Give the earliest mark of an exception, of its causes and contexts, and of the members of groups."""
    earliest: int | None = None
    met: set[int] = set()
    left: list[BaseException | None] = [error]
    while left and len(met) < MOST_LINKS:
        link = left.pop()
        if link is None or id(link) in met:
            continue
        met.add(id(link))
        known = _get(link, "__dict__").get(MARK)
        if known is not None and known[0] == life and (earliest is None or known[1] < earliest):
            earliest = known[1]
        left += [_get(link, "__cause__"), _get(link, "__context__")]
        if isinstance(link, BaseExceptionGroup):
            left += _get(link, "exceptions")
    return earliest
