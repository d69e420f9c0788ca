"""Locks and sagas: blocks of a workflow body that clean up after themselves, durably."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from wf.durations import Duration, parse_duration
from wf.engine.body import BodyClosed, ContinueRun, LockState, add_note
from wf.errors import LockTimeoutError, NotInRunError
from wf.run import running_body

MAX_NAME = 256


class Lock:
    """A lock across all runs of the world; with `limit` over 1 a semaphore. Waiters are served in order.

    It is freed when the block ends and, whatever happens, when the run ends. It cannot be entered
    again while it is held.
    """

    def __init__(self, name: str, limit: int = 1, timeout: Duration | None = None) -> None:
        if not isinstance(name, str):
            raise TypeError(f"lock name: {type(name).__name__} is not a text")
        if not 1 <= len(name) <= MAX_NAME:
            raise ValueError(f"lock name: a text of {len(name)} characters; use 1 to {MAX_NAME}")
        if isinstance(limit, bool) or not isinstance(limit, int):
            raise TypeError(f"limit: {limit!r:.40} is not a number")
        if limit < 1:
            raise ValueError(f"limit: {limit} is less than 1")
        self.name = name
        self.limit = limit
        self._timeout_us = None if timeout is None else parse_duration(timeout, "timeout")
        self._held: tuple[Any, LockState] | None = None

    async def __aenter__(self) -> Self:
        body = running_body()
        if body is None:
            raise NotInRunError("a lock is taken in a workflow body, and this is none")
        if self._held is not None:
            raise RuntimeError(f"the lock {self.name!r:.80} is held already by this block")
        state = body.request_lock(f"lock:{self.name}", self.limit)
        try:
            if self._timeout_us is None:
                await state.future
            else:
                await self._wait_until(state, self._timeout_us)
        except BaseException:
            body.release_lock(state)
            raise
        self._held = (body, state)
        return self

    async def _wait_until(self, state: LockState, timeout_us: int) -> None:
        deadline = asyncio.timeout(timeout_us / 1_000_000)
        try:
            async with deadline:
                await state.future
        except TimeoutError:
            raise LockTimeoutError(self.name) from None

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._held is not None:
            body, state = self._held
            self._held = None
            body.release_lock(state)


def lock(name: str, limit: int = 1, timeout: Duration | None = None) -> Lock:
    """Take a durable lock for the time of a block: `async with wf.lock("printer"):`.

    Raises `LockTimeoutError` when it was not granted within `timeout`.
    """
    return Lock(name, limit, timeout)


class Saga:
    """A block whose compensations run in reverse order when it raises, or the run is cancelled."""

    def __init__(self) -> None:
        self._undo: list[tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]] = []

    def undo(self, step: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        """Register a compensation: a step, with the arguments to call it with."""
        if not callable(step):
            raise TypeError(f"undo: {type(step).__name__} is not a step")
        self._undo.append((step, args, kwargs))

    async def __aenter__(self) -> Self:
        if running_body() is None:
            raise NotInRunError("a saga runs in a workflow body, and this is none")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is None or isinstance(error, GeneratorExit):
            return
        if isinstance(error, (BodyClosed, ContinueRun)):  # not a failure of the block
            return
        while self._undo:
            step, args, kwargs = self._undo.pop()
            try:
                made = step(*args, **kwargs)
                if asyncio.iscoroutine(made) or asyncio.isfuture(made):
                    await made
            except Exception as failure:  # the others must run all the same; the first error goes on
                name = getattr(step, "id", getattr(step, "__name__", step))
                add_note(error, f"the compensation {name} failed: {type(failure).__name__}: {failure}")


def saga() -> Saga:
    """Open a saga: `async with wf.saga() as saga: ...; saga.undo(step, *args)`."""
    return Saga()
