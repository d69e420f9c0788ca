"""What asyncio orders differently from one Python to the next, made alike in bodies.

1. A body makes its calls in the same order on every Python: a run that began on one goes on on another.
2. Beside bodies everything stays the own of the Python that runs.

The newest order holds, that of Python 3.13 and 3.14, where nothing is exchanged. Before 3.12, `wait_for` made a
task of what it waits for, whose calls came a turn later, and `gather` heard a turn later of what was done before.
Before 3.13, `as_completed` began with its first iteration, a condition's waiter that was cancelled took its notice
along, and a group that failed swallowed the cancel that came meanwhile. What follows them is Python's own code
of 3.12 and 3.13, shortened.

Things that don't work: wrappers under the names in `asyncio`. Modules have imported the functions before us, so
the code inside of them is exchanged. It runs among the names of its own module, and finds `_parity` there.
"""

from __future__ import annotations

import asyncio
import itertools
import sys
import types
from collections.abc import Awaitable, Callable, Iterable
from typing import Any


class _Parity:
    """What exchanged code asks: whether it runs in a body, and what the function did before."""

    loop_class: type[asyncio.AbstractEventLoop] | None = None

    def __init__(self) -> None:
        self.own: dict[str, Callable[..., Any]] = {}

    def is_in_body(self) -> bool:
        return self.loop_class is not None and isinstance(asyncio._get_running_loop(), self.loop_class)


_parity: Any = _Parity()


def even_out(loop_class: type[asyncio.AbstractEventLoop]) -> None:
    """Exchange the code of what orders calls differently on this Python, for bodies on loops of this class."""
    if _parity.loop_class is not None:
        return
    _parity.loop_class = loop_class
    _parity.wait_for, _parity.gather, _parity.as_completed = _wait_for, _gather, _AsCompleted
    _parity.wait_for_notice, _parity.leave_group = _wait_for_notice, _leave_group
    if sys.version_info < (3, 12):
        _exchange(asyncio.wait_for, wait_for)
        _exchange(asyncio.gather, gather)
    if sys.version_info < (3, 13):
        _exchange(asyncio.as_completed, as_completed)
        _exchange(asyncio.Condition.wait, wait)
        _exchange(asyncio.TaskGroup.__aexit__, __aexit__)


def _exchange(function: Any, other: Any) -> None:
    """Give a function other code. It is called as before, and what it was is kept under its name."""
    own = types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    own.__kwdefaults__ = function.__kwdefaults__
    _parity.own[function.__name__] = own
    function.__globals__["_parity"] = _parity
    function.__code__ = other.__code__


# -- code that runs among the names of asyncio's modules


async def wait_for(fut: Any, timeout: Any) -> Any:
    if _parity.is_in_body():
        return await _parity.wait_for(fut, timeout)
    return await _parity.own["wait_for"](fut, timeout)


def gather(*coros_or_futures: Any, return_exceptions: bool = False) -> Any:
    if _parity.is_in_body():
        return _parity.gather(coros_or_futures, return_exceptions)
    return _parity.own["gather"](*coros_or_futures, return_exceptions=return_exceptions)


def as_completed(fs: Any, *, timeout: Any = None) -> Any:
    if _parity.is_in_body():
        return _parity.as_completed(fs, timeout)
    return _parity.own["as_completed"](fs, timeout=timeout)


async def wait(self: Any) -> Any:
    if _parity.is_in_body():
        return await _parity.wait_for_notice(self)
    return await _parity.own["wait"](self)


async def __aexit__(self: Any, et: Any, exc: Any, tb: Any) -> Any:
    if _parity.is_in_body():
        return await _parity.leave_group(self, et, exc)
    return await _parity.own["__aexit__"](self, et, exc, tb)


# -- what it does in bodies


async def _wait_for(awaitable: Awaitable[Any], timeout: float | None) -> Any:
    if timeout is not None and timeout <= 0:
        return await _parity.own["wait_for"](awaitable, timeout)
    async with asyncio.timeout(timeout):
        return await awaitable


def _gather(awaitables: tuple[Any, ...], return_exceptions: bool) -> Any:
    """Gather, and let it hear at once of what is done already."""
    own = _parity.own["gather"]
    done = [one for one in awaitables if asyncio.isfuture(one) and one.done()]
    if not done:
        return own(*awaitables, return_exceptions=return_exceptions)
    ready: Any = asyncio._get_running_loop()._ready  # type: ignore[union-attr]
    begun = len(ready)
    outer = own(*awaitables, return_exceptions=return_exceptions)
    for handle in list(itertools.islice(ready, begun, None)):
        if handle._args and any(handle._args[0] is one for one in done):
            ready.remove(handle)
            handle._run()
    return outer


class _AsCompleted:
    """Iterates over what is done, in that order; `async for` gives the futures themselves."""

    def __init__(self, awaitables: Iterable[Any], timeout: float | None) -> None:
        if asyncio.isfuture(awaitables) or asyncio.iscoroutine(awaitables):
            raise TypeError(f"expects an iterable of awaitables, not {type(awaitables).__name__}")
        loop = asyncio.get_running_loop()
        self._done: asyncio.Queue[Any] = asyncio.Queue()
        self._todo = {asyncio.ensure_future(one, loop=loop) for one in dict.fromkeys(awaitables)}
        self._left = len(self._todo)
        for future in self._todo:
            future.add_done_callback(self._complete)
        self._timer = loop.call_later(timeout, self._give_up) if self._todo and timeout is not None else None

    def __iter__(self) -> _AsCompleted:
        return self

    def __aiter__(self) -> _AsCompleted:
        return self

    def __next__(self) -> Awaitable[Any]:
        if not self._left:
            raise StopIteration
        self._left -= 1
        return self._take_result()

    async def __anext__(self) -> Any:
        if not self._left:
            raise StopAsyncIteration
        self._left -= 1
        return await self._take()

    def _give_up(self) -> None:
        for future in self._todo:
            future.remove_done_callback(self._complete)
            self._done.put_nowait(None)
        self._todo.clear()

    def _complete(self, future: Any) -> None:
        if self._todo:
            self._todo.remove(future)
            self._done.put_nowait(future)
            if not self._todo and self._timer is not None:
                self._timer.cancel()

    async def _take(self) -> Any:
        future = await self._done.get()
        if future is None:
            raise TimeoutError
        return future

    async def _take_result(self) -> Any:
        return (await self._take()).result()


async def _wait_for_notice(condition: Any) -> bool:
    if not condition.locked():
        raise RuntimeError("cannot wait on un-acquired lock")
    future = condition._get_loop().create_future()
    condition.release()
    try:
        try:
            condition._waiters.append(future)
            try:
                await future
                return True
            finally:
                condition._waiters.remove(future)
        finally:
            await _acquire_again(condition)
    except BaseException:
        condition.notify(1)  # it may have been this one's, and somebody else must have it
        raise


async def _acquire_again(condition: Any) -> None:
    cancelled = None
    while True:
        try:
            await condition.acquire()
            break
        except asyncio.CancelledError as error:
            cancelled = error
    if cancelled is not None:
        try:
            raise cancelled
        finally:
            cancelled = None


async def _leave_group(group: Any, error_type: type[BaseException] | None, error: BaseException | None) -> None:
    group._exiting = True
    if error is not None and group._is_base_error(error) and group._base_error is None:
        group._base_error = error
    cancelled = error if isinstance(error, asyncio.CancelledError) else None
    if error_type is not None and not group._aborting:
        group._abort()
    while group._tasks:  # it may be woken by its own cancel, too
        if group._on_completed_fut is None:
            group._on_completed_fut = group._loop.create_future()
        try:
            await group._on_completed_fut
        except asyncio.CancelledError as waking:
            if not group._aborting:
                cancelled = waking
                group._abort()
        group._on_completed_fut = None
    if group._base_error is not None:
        raise group._base_error
    if group._parent_cancel_requested and group._parent_task.uncancel() == 0:
        cancelled = None  # it was the group's own
    if cancelled is not None and not group._errors:
        raise cancelled
    if error is not None and not isinstance(error, asyncio.CancelledError):
        group._errors.append(error)
    if group._errors:
        if group._parent_task.cancelling():  # from outside: the next await hears of it
            group._parent_task.uncancel()
            group._parent_task.cancel()
        try:
            raise BaseExceptionGroup("unhandled errors in a TaskGroup", group._errors) from None
        finally:
            group._errors = None
