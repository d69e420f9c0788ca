"""Virtual time for tests of what waits: a loop whose clock jumps."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any


class JumpingLoop(asyncio.SelectorEventLoop):
    """A loop whose clock stands still while something can run, and jumps to the next timer when nothing can."""

    def __init__(self) -> None:
        self.now = 1000.0
        super().__init__()

    def time(self) -> float:
        return self.now

    def _run_once(self) -> None:
        ready: Any = self._ready  # type: ignore[attr-defined]
        scheduled: Any = self._scheduled  # type: ignore[attr-defined]
        if not ready and scheduled:
            self.now = max(self.now, scheduled[0].when())
        super()._run_once()  # type: ignore[misc]


def jump(body: Callable[[], Awaitable[None]]) -> None:
    """Run a test in virtual time."""
    with asyncio.Runner(loop_factory=JumpingLoop) as runner:
        runner.run(body())  # type: ignore[arg-type]
