"""Why a run rests, told to somebody who looks at it: for how long yet, instead of until which instant. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

from wfstudio.text.moments import show_relative

_INSTANT: Final = re.compile(r" (until|at) (\d{4}-\d\d-\d\dT[\d:.]+Z)$")


def tell_reason(reason: str | None, now: datetime | None) -> str | None:
    """Give a reason as it is told now: `sleeping until …` as `sleeping for another 3m`, `… at …` as `… in 3m`."""
    found = None if reason is None or now is None else _INSTANT.search(reason)
    if reason is None or now is None or found is None:
        return reason
    at = datetime.fromisoformat(found[2])
    is_due = (at - now).total_seconds() < 1
    left = "moment" if is_due else show_relative(at, now).removeprefix("in ")
    told = f"for another {left}" if found[1] == "until" else "now" if is_due else f"in {left}"
    return f"{reason[: found.start()]} {told}"
