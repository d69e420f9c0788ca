"""Gathering: calls of one turn of a loop travel together, as one transaction.

Starts and messages come in bursts; each as a transaction of its own would be an fsync of its own. They are put into
the order of their runs, so that two bursts which meet cannot wait for each other in a circle.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any, Final, Generic, TypeVar

from wf.worlds.postgres.core import Core, Operation

T = TypeVar("T")

TURN_LIMIT: Final = 128
"""Calls that share a transaction; those beyond wait for the next turn, so that a burst of starts does not hold back
the runs that it started first."""

Outcome = tuple[Any, BaseException | None]


class _Call(Generic[T]):
    """An operation that somebody waits for on some loop."""

    __slots__ = ("future", "key", "operation")

    def __init__(self, key: str, operation: Operation[T]) -> None:
        self.key = key
        self.operation = operation
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

    def settle(self, result: T, error: BaseException | None) -> None:
        if self.future.done():  # nobody waits any more
            return
        if error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)


class _Turn(threading.local):
    """What the loop of this thread gathers in this turn."""

    loop: asyncio.AbstractEventLoop | None = None
    calls: list[_Call[Any]]

    def __init__(self) -> None:
        self.calls = []


class Gathering:
    """Calls that wait for the end of the turn. Any loop may use it."""

    def __init__(self, core: Core, run: Callable[[Callable[[], Any]], Coroutine[Any, Any, Any]]) -> None:
        self._core = core
        self._run = run
        self._turn = _Turn()
        self._tasks: set[asyncio.Task[None]] = set()

    async def write(self, key: str, operation: Operation[T]) -> T:
        call = _Call(key, operation)
        loop, turn = call.future.get_loop(), self._turn
        if turn.loop is loop:
            turn.calls.append(call)
        else:  # of a loop that was closed before it could flush nobody waits any more
            turn.loop, turn.calls = loop, [call]
            loop.call_soon(self.flush)
        return await call.future

    def flush(self) -> None:
        """Send what was gathered on this thread's loop."""
        turn = self._turn
        calls, rest = turn.calls[:TURN_LIMIT], turn.calls[TURN_LIMIT:]
        turn.calls = rest
        if rest and turn.loop is not None:
            turn.loop.call_soon(self.flush)
        else:
            turn.loop = None
        if calls:
            task = asyncio.get_running_loop().create_task(self._send(calls))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send(self, calls: list[_Call[Any]]) -> None:
        calls.sort(key=lambda call: call.key)  # stable: calls of one run stay in their order
        outcomes: list[Outcome]
        try:
            outcomes = await self._run(lambda: self._core.write_group([call.operation for call in calls]))
        except BaseException as error:  # a call that is never answered would hang its caller for ever
            outcomes = [(None, error)] * len(calls)
        for call, (result, failure) in zip(calls, outcomes, strict=True):
            call.settle(result, failure)
