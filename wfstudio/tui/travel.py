"""Travelling: runs as they were right after one event after the other. No textual in it.

    travel = Travel(replays, shown)
    travel.go(run_id, seq)      `shown` is called with what there is, later

Moments are made one at a time. Whoever goes on before one is there gets the last that was asked for, not all of
them: a key that is held down costs no more than a key that is pressed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from wf.errors import WorkflowError
from wfstudio.core.bench.views import MomentView
from wfstudio.core.replays import Replays


class Sight(NamedTuple):
    """What was found at an event of a run: the moment, or why there is none."""

    run_id: str
    seq: int
    moment: MomentView | None = None
    error: WorkflowError | None = None


class Travel:
    """See the top of this module."""

    def __init__(self, replays: Replays, shown: Callable[[Sight], None]) -> None:
        self._replays = replays
        self._shown = shown
        self._wanted: tuple[str, int] | None = None
        self._task: asyncio.Task[None] | None = None

    @property
    def is_busy(self) -> bool:
        """Tell whether something is asked for that is not there yet."""
        return self._task is not None and not self._task.done()

    def go(self, run_id: str, seq: int) -> None:
        """Ask for the moment right after an event."""
        self._wanted = run_id, seq
        if not self.is_busy:
            self._task = asyncio.get_running_loop().create_task(self._look())

    async def close(self) -> None:
        """Ask for nothing any more, and end the process in which the run is replayed."""
        self._wanted = None
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._replays.close()

    async def _look(self) -> None:
        seen: tuple[str, int] | None = None
        while self._wanted is not None and self._wanted != seen:
            seen = self._wanted
            try:
                sight = Sight(*seen, await self._replays.look(*seen))
            except WorkflowError as error:
                sight = Sight(*seen, error=error)
            if self._wanted is not None:
                self._shown(sight)
