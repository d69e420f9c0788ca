"""The lane: on which thread a call of the world runs, and which calls share a commit.

A hop to another thread costs 180 µs on an idle machine, a commit 30 µs (`process`) to 300 µs
(`power`). So calls run on the loop that makes them, as long as that is quick: the guard is free,
no other process writes, no checkpoint is due, and the disk commits in less than `SLOW_SECONDS`
(a moving mean). Otherwise they queue for one writer thread, which runs all that wait as one
transaction; the loops stay responsive, and the slower the disk, the larger the groups. While any
wait there all others queue behind them, so that no write overtakes one whose caller has left.

Things that don't work: a thread always (three times the latency of a step); a lock per loop
(commits of two loops would wait for each other's fsync on the loop); cancelling a write with its
caller (whether it happened would be anybody's guess; the caller leaves, the write stays).
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Generic, TypeVar

from wf.errors import WorldError
from wf.worlds.sqlite.core import Contended, Core, Operation

T = TypeVar("T")

SLOW_SECONDS: Final = 0.005
FAST_AGAIN_SECONDS: Final = 0.0025
IDLE_SECONDS: Final = 1.0
GROUP_LIMIT: Final = 256
TURN_LIMIT: Final = 128
"""Calls of one turn of a loop that share a commit; those beyond wait for the next turn, so that a
burst of starts does not hold back the runs that it started first."""


class _Call(Generic[T]):
    """An operation that somebody waits for on some loop."""

    __slots__ = ("future", "on_lost", "operation")

    def __init__(self, operation: Operation[T], on_lost: Callable[[T], None] | None = None) -> None:
        self.operation = operation
        self.future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.on_lost = on_lost

    def settle(self, result: T, error: BaseException | None) -> None:
        """Answer, on the caller's loop. Nobody may be left to hear it."""
        if self.future.done():
            if error is None and self.on_lost is not None:
                self.on_lost(result)
        elif error is None:
            self.future.set_result(result)
        else:
            self.future.set_exception(error)

    def settle_from_afar(self, result: T, error: BaseException | None) -> None:
        try:
            self.future.get_loop().call_soon_threadsafe(self.settle, result, error)
        except RuntimeError:  # the caller's loop is closed, and the caller with it
            if error is None and self.on_lost is not None:
                self.on_lost(result)


class _Gathering(threading.local):
    """What the loop of this thread gathers in this turn."""

    loop: asyncio.AbstractEventLoop | None = None
    calls: list[_Call[Any]]

    def __init__(self) -> None:
        self.calls = []


class Lane:
    """The way of an async world's calls to its core. Any loop may use it."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wf-writer")
        self._guard = threading.Lock()  # guards _waiting, _is_draining and _is_checkpointing
        self._waiting: list[_Call[Any]] = []
        self._is_draining = False
        self._is_checkpointing = False
        self._is_slow = False
        self._is_closed = False
        self._gathering = _Gathering()
        self._idle_timer: tuple[asyncio.AbstractEventLoop, asyncio.TimerHandle] | None = None

    # -- the ways to call

    async def write(self, operation: Operation[T], on_lost: Callable[[T], None] | None = None) -> T:
        """Write at once, as a transaction of its own.

        `on_lost` gets a result that the caller, cancelled meanwhile, did not wait for.
        """
        if self._is_inline():
            try:
                result = self._core.write(operation, is_brief=True)
            except Contended:
                pass
            else:
                self._look_after_wal()
                return result
        call = _Call(operation, on_lost)
        self._queue([call])
        return await call.future

    async def write_together(self, operation: Operation[T]) -> T:
        """Write with all others who call this in the same turn of the loop."""
        call = _Call(operation)
        loop, gathering = call.future.get_loop(), self._gathering
        if gathering.loop is loop:
            gathering.calls.append(call)
        else:  # of a loop that was closed before it could flush nobody waits any more
            gathering.loop, gathering.calls = loop, [call]
            loop.call_soon(self._flush)
        return await call.future

    async def write_apart(self, operation: Operation[T]) -> T:
        """Write much, as a transaction of its own, on the writer thread: it would hold up a loop."""
        result = await self.on_thread(lambda: self._core.write(operation))
        self._look_after_wal()
        return result

    async def read(self, operation: Operation[T]) -> T:
        """Read a little: on the spot if the connection is free, else behind whoever has it."""
        try:
            return self._core.read(operation, is_brief=True)
        except Contended:
            return await self.on_thread(lambda: self._core.read(operation))

    def write_later(self, operation: Operation[Any]) -> None:
        """Write when there is time, for nobody who waits. May be called from any thread."""

        def write() -> None:
            try:
                self._core.write(operation)
            except WorldError:
                pass

        self._submit(write)

    async def on_thread(self, function: Callable[[], T]) -> T:
        """Run something that may take its time on the writer thread."""
        try:
            future = self._thread.submit(function)
        except RuntimeError:
            raise WorldError(f"the world {self._core.path} is closed") from None
        return await asyncio.shield(asyncio.wrap_future(future))

    async def close(self) -> None:
        """Finish what was begun, and close the core."""
        loop = asyncio.get_running_loop()
        while self._gathering.calls:
            self._flush()
        if self._idle_timer is not None:
            timer_loop, timer = self._idle_timer
            if timer_loop is loop:
                timer.cancel()
        if not self._is_closed:
            self._is_closed = True
            try:
                await self.on_thread(self._core.close)
            finally:
                self._thread.shutdown(wait=False)

    # -- on the loop

    def _is_inline(self) -> bool:
        seconds = self._core.connection.commit_seconds
        if self._is_slow:
            self._is_slow = seconds > FAST_AGAIN_SECONDS
        elif seconds > SLOW_SECONDS:
            self._is_slow = True
        return not (self._is_slow or self._is_checkpointing or self._is_draining)

    def _flush(self) -> None:
        gathering = self._gathering
        calls, rest = gathering.calls[:TURN_LIMIT], gathering.calls[TURN_LIMIT:]
        gathering.calls = rest
        if rest and gathering.loop is not None:
            gathering.loop.call_soon(self._flush)
        else:
            gathering.loop = None
        if not calls:
            return
        if self._is_inline():
            try:
                outcomes = self._core.write_group([call.operation for call in calls], is_brief=True)
            except Contended:
                pass
            else:
                for call, (result, error) in zip(calls, outcomes, strict=True):
                    call.settle(result, error)
                self._look_after_wal()
                return
        self._queue(calls)

    def _queue(self, calls: list[_Call[Any]]) -> None:
        with self._guard:
            self._waiting += calls
            if self._is_draining:
                return
            self._is_draining = True
        self._submit(self._drain)
        self._look_after_wal()

    def _submit(self, function: Callable[[], None]) -> None:
        try:
            self._thread.submit(function)
        except RuntimeError:  # closed: what waits is told so by the core
            function()

    # -- on the writer thread

    def _drain(self) -> None:
        while True:
            with self._guard:
                calls, self._waiting = self._waiting[:GROUP_LIMIT], self._waiting[GROUP_LIMIT:]
            outcomes: list[tuple[Any, BaseException | None]]
            try:
                outcomes = self._core.write_group([call.operation for call in calls])
            except BaseException as error:  # a call that is never answered would hang its caller for ever
                outcomes = [(None, error)] * len(calls)
            with self._guard:  # before anybody is answered: what they ask for next may run on their loop again
                is_over = not self._waiting
                self._is_draining = not is_over
            for call, (result, failure) in zip(calls, outcomes, strict=True):
                call.settle_from_afar(result, failure)
            if is_over:
                return

    def _checkpoint(self) -> None:
        try:
            self._core.checkpoint()
        except WorldError:
            pass  # whoever writes next is told; nothing is lost by a WAL that stays
        finally:
            self._is_checkpointing = False

    # -- the WAL

    def _look_after_wal(self) -> None:
        """Have the WAL copied when it is long, or when nobody has written for a second."""
        if self._core.wants_checkpoint:
            self._begin_checkpoint()
            return
        backlog, timer = self._core.connection.backlog, self._idle_timer  # which is another loop's to take away
        if backlog and (timer is None or timer[0].is_closed()):
            loop = asyncio.get_running_loop()
            self._idle_timer = (loop, loop.call_later(IDLE_SECONDS, self._on_idle, backlog))

    def _on_idle(self, backlog_then: int) -> None:
        self._idle_timer = None
        backlog = self._core.connection.backlog
        if not self._core.is_open or backlog == 0:
            return
        if backlog == backlog_then:
            self._begin_checkpoint()
        else:  # somebody wrote since; once there is a backlog, a timer is always set
            self._look_after_wal()

    def _begin_checkpoint(self) -> None:
        with self._guard:
            if self._is_checkpointing:
                return
            self._is_checkpointing = True
        # From now on writes queue behind it on the thread, or the loop could starve it of the guard.
        self._submit(self._checkpoint)
