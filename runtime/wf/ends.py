"""Ends: who waits on a loop of this process for runs to end, and how the news reaches them.

1. While anybody waits there is one subscription, to the ends of all runs: thousands may wait for a run each.
2. Who waits looks once, and again whenever the run rings. Not at first for a run that was started here while the
   subscription was there, and that has not rung since: either it has not ended, or its ring is on its way.
3. An end that this process itself commits is handed over as it is: who has just sealed it need not open it again.
4. A doorbell is a hint, so all look again now and then.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

from wf.records import End
from wf.world import World

LOOK_AGAIN_SECONDS: Final = 30.0

MOST_STARTED: Final = 10_000
"""Runs of which it is kept that they were started here and have not rung; of others there is a look more."""


class Waiter:
    """One who waits for a run. `is_rung`: it is to look; `end` is set where there is nothing left to look for."""

    __slots__ = ("_future", "_loop", "end", "is_rung")

    def __init__(self, loop: asyncio.AbstractEventLoop, *, is_rung: bool) -> None:
        self._loop = loop
        self._future: asyncio.Future[None] | None = None
        self.is_rung = is_rung
        self.end: End | None = None

    def ring(self) -> None:
        self.is_rung = True
        if self._future is not None and not self._future.done():
            self._future.set_result(None)

    async def wait(self, seconds: float | None) -> None:
        """Wait for the next ring, or so long."""
        if self.is_rung:
            return
        self._future = self._loop.create_future()
        timer = None if seconds is None else self._loop.call_later(seconds, self.ring)
        try:
            await self._future
        finally:
            self._future = None
            if timer is not None:
                timer.cancel()


class Ends:
    """See the laws at the top of this module. For one loop."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._waiters: dict[str, list[Waiter]] = {}
        self._started: dict[str, None] = {}  # law 2
        self._undo: Callable[[], None] | None = None
        self._subscribing = asyncio.Lock()  # guards `_undo` while it is made
        self._again: asyncio.TimerHandle | None = None

    def note_start(self, run_id: str) -> None:
        """Note that a run is about to be started here."""
        if self._undo is not None:
            if len(self._started) >= MOST_STARTED:
                self._started.clear()
            self._started[run_id] = None

    def forget_start(self, run_id: str) -> None:
        """Note that a run was there before: it may have ended long ago."""
        self._started.pop(run_id, None)

    async def enter(self, run_id: str) -> Waiter:
        """Begin to wait for a run; `leave` has to follow."""
        waiter = Waiter(asyncio.get_running_loop(), is_rung=run_id not in self._started)
        self._waiters.setdefault(run_id, []).append(waiter)
        if self._undo is None:
            try:
                await self._subscribe()
            except BaseException:
                self.leave(run_id, waiter)
                raise
        return waiter

    def leave(self, run_id: str, waiter: Waiter) -> None:
        waiters = self._waiters[run_id]
        waiters.remove(waiter)
        if not waiters:
            del self._waiters[run_id]
        if not self._waiters:
            self._unsubscribe()

    def tell(self, end: End) -> None:
        """Tell those who wait for it how a run ended, now that it is durable."""
        for waiter in self._waiters.get(end.run_id, ()):
            waiter.end = end
            waiter.ring()

    async def _subscribe(self) -> None:
        async with self._subscribing:
            if self._undo is None and self._waiters:
                self._undo = await self._world.subscribe("results", self._ring)
                self._look_again_later()
        if not self._waiters:  # all went meanwhile
            self._unsubscribe()

    def _unsubscribe(self) -> None:
        undo, self._undo = self._undo, None
        again, self._again = self._again, None
        self._started.clear()
        if undo is not None:
            undo()
        if again is not None:
            again.cancel()

    def _ring(self, run_id: str) -> None:
        if not run_id:
            self._ring_all()
            return
        self._started.pop(run_id, None)
        for waiter in self._waiters.get(run_id, ()):
            waiter.ring()

    def _ring_all(self) -> None:
        self._started.clear()
        for waiters in self._waiters.values():
            for waiter in waiters:
                waiter.ring()

    def _look_again_later(self) -> None:
        self._again = asyncio.get_running_loop().call_later(LOOK_AGAIN_SECONDS, self._look_again)

    def _look_again(self) -> None:
        self._ring_all()
        self._look_again_later()
