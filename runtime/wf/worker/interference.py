"""Interference: who may disturb what a worker does, on purpose, to see what becomes of it. The dev server does.

A worker that has none (all but those of `wf dev`) pays for it with one look. What is done to a run is
recorded on it as a change of its attribute `$fault`, by the name `wf/fault`, so that nobody takes it for real.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    from wf.engine.body import HookState
    from wf.worker.attempts import Attempt
    from wf.worker.live import LiveRun

FAULT: Final = "wf/fault"
ATTRIBUTE: Final = "$fault"
LONGEST: Final = 256
"""Bytes of an attribute's value."""


class Interference(Protocol):
    async def meet(self, attempt: Attempt) -> None:
        """Be called before an attempt's function, within the step's timeout: raise, wait, or end the process."""

    def repeat(self, run: LiveRun, hook: HookState) -> str | None:
        """Say why a payload that has come to a hook is to be delivered a second time; None: it is not."""


def cut_text(text: str) -> str:
    """Make a text fit for an attribute."""
    data = text.encode("utf-8", "replace")
    return text if len(data) <= LONGEST else data[: LONGEST - 3].decode("utf-8", "ignore") + "…"
