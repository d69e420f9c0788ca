"""Why a run rests, told to somebody who looks at it: for how long yet, instead of until which instant. Pure.

Views have the instant, and so has what is piped: JSON, and lines that a program reads.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Final

from wfstudio.text.moments import show_relative
from wfstudio.text.pen import Pen

_TIMED: Final = re.compile(
    r"(?P<what>(?:cancelling: )?(?:starts|retrying .+|sleeping|waiting)) (?P<word>until|at)"
    r" (?P<at>\d{4}-\d\d-\d\dT[\d:.]+Z)(?P<rest>| \(cancel it again .+\))",
    re.DOTALL,
)
"""The reasons of `core.reasons` that end at an instant: no token or name that merely looks like one."""


def show_reason(pen: Pen, reason: str | None) -> str | None:
    """Write a reason: `sleeping for another 3m` for a reader, `sleeping until …` for a program."""
    return tell_reason(reason, pen.now or datetime.now(UTC)) if pen.is_tty else reason


def tell_reason(reason: str | None, now: datetime) -> str | None:
    """Give a reason as it is told now: `sleeping until …` as `sleeping for another 3m`, `… at …` as `… in 3m`."""
    found = None if reason is None else _TIMED.fullmatch(reason)
    if found is None:
        return reason
    at = datetime.fromisoformat(found["at"])
    is_due = (at - now).total_seconds() < 1
    left = "moment" if is_due else show_relative(at, now).removeprefix("in ")
    told = f"for another {left}" if found["word"] == "until" else "now" if is_due else f"in {left}"
    return f"{found['what']} {told}{found['rest']}"
