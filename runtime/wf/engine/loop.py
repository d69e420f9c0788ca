"""The body's event loop: deterministic, and unable to wait.

1. It runs what is ready, in order, until nothing is. Time passes only when an event says so.
2. A timer is a command to the outside (`on_timer`), never a clock that is read.
3. Iteration order never depends on addresses: tasks and futures hash by their order of creation.
   asyncio keeps tasks in sets (`wait`, `TaskGroup` on abort), and a set of objects that hash by
   address is iterated differently in every process, so a replay would cancel in another order.
4. It does no I/O: every method that would raises `WorkflowIOError`.

Things that don't work: running bodies on the worker's own loop (its timers are real, its order
depends on the network), and catching I/O by wrapping modules (anything may be imported before).
"""

from __future__ import annotations

import asyncio
import sys
from asyncio import events as asyncio_events
from collections import deque
from collections.abc import AsyncGenerator, Callable, Coroutine, Generator, Iterable
from contextvars import Context, copy_context
from typing import Any, NoReturn

from wf.engine.failures import find_since, mark
from wf.errors import WorkflowError, WorkflowIOError

MAX_CALLBACKS = 1_000_000
"""Callbacks of one activation after which a body is held to spin for ever (about a second)."""

_set_running_loop = asyncio_events._set_running_loop
_get_running_loop = asyncio_events._get_running_loop
# asyncio.sleep's own callback tells a sleep, which `wake_up` may end, from a deadline.
_SLEEP_CALLBACK = asyncio.futures._set_result_unless_cancelled  # type: ignore[attr-defined]

_swap_current_task: Callable[[Any, Any], Any] | None = None
if sys.version_info >= (3, 14):  # there, one thread may step one task at a time, whatever the loop
    from asyncio.tasks import _swap_current_task


def _ordered_set(items: Iterable[Any] = ()) -> Any:
    """Stand in for `set` in asyncio.tasks: in a body, coroutines keep their order.

    `as_completed` makes its tasks in the order of a set of coroutines, and those hash by address.
    Wrapping `asyncio.as_completed` is not enough: modules import it by name before us.
    """
    members = list(items)
    if isinstance(_get_running_loop(), BodyLoop) and any(asyncio.iscoroutine(member) for member in members):
        return list(dict.fromkeys(members))
    return set(members)


asyncio.tasks.set = _ordered_set  # type: ignore[attr-defined]


class BodySpins(WorkflowError):
    """One activation of a body ran a million callbacks without ever waiting for anything."""

    slug = "body-spins"
    hint = "await a step, a hook or wf.sleep in the loop"


class BodyFuture(asyncio.Future[Any]):
    """A future that hashes by its order of creation in the run (law 3); its loop says what that is."""

    __slots__ = ("_order",)

    _order: int

    def __hash__(self) -> int:
        return self._order


class BodyTask(asyncio.Task[Any]):
    """A task that hashes by its order of creation in the run (law 3)."""

    __slots__ = ("_order", "context")

    _log_destroy_pending: bool

    def __init__(
        self, coro: Any, *, loop: BodyLoop, order: int, name: str | None, context: Context | None, **options: Any
    ) -> None:
        self._order = order  # before super(): asyncio puts the task into a set at once
        self.context = copy_context() if context is None else context  # `get_context` came with 3.12
        super().__init__(coro, loop=loop, name=name, context=self.context, **options)

    def __hash__(self) -> int:
        return self._order


class BodyHandle(asyncio.Handle):
    """A callback of the body. Made as asyncio makes its own, but for the debug mode that no body has."""

    __slots__ = ()

    def __init__(
        self, callback: Callable[..., Any], args: tuple[Any, ...], loop: BodyLoop, context: Context | None
    ) -> None:
        self._context = copy_context() if context is None else context
        self._loop = loop
        self._callback = callback
        self._args = args
        self._cancelled = False
        self._repr = None
        self._source_traceback = None


class BodyTimer(asyncio.TimerHandle):
    """A timer of the body: a durable wait with a correlation id; cancelling it drops the wait."""

    __slots__ = ("_drop", "correlation_id")

    def __init__(
        self,
        when: float,
        callback: Callable[..., Any],
        args: tuple[Any, ...],
        loop: BodyLoop,
        context: Context | None,
        drop: Callable[[int], None],
    ) -> None:
        super().__init__(when, callback, args, loop, context)
        self.correlation_id = 0
        self._drop: Callable[[int], None] | None = drop

    def cancel(self) -> None:
        if not self._cancelled:
            super().cancel()
            self.done()(self.correlation_id)

    def done(self) -> Callable[[int], None]:
        """Detach from the wait: it has fired, or is dropped now."""
        drop, self._drop = self._drop, None
        return drop or _nothing


def _nothing(correlation_id: int) -> None:
    pass


def _set_no_timer(timer: BodyTimer, delay_us: int, is_sleep: bool) -> None:
    pass


def _refusal(name: str) -> Any:
    def refuse(self: BodyLoop, *args: Any, **kwargs: Any) -> NoReturn:
        raise WorkflowIOError(f"a workflow body cannot use `loop.{name}`: it would not replay; move it into a step")

    refuse.__name__ = name
    return refuse


class BodyLoop(asyncio.AbstractEventLoop):
    """See the laws at the top of this module.

    `seed` (56 bits, the same at every replay) is where the hashes start.
    `on_timer(timer, delay_us, is_sleep)` is asked to make a durable wait and sets the timer's
    correlation id; `on_drop(correlation_id)` hears of a wait that is not wanted any more.
    """

    def __init__(
        self, seed: int, on_timer: Callable[[BodyTimer, int, bool], None], on_drop: Callable[[int], None]
    ) -> None:
        self.now_us = 0
        self.seq = 0  # of the event that is being delivered
        self.tasks: set[BodyTask] = set()
        self._on_timer = on_timer
        self._on_drop = on_drop
        self._ready: deque[Any] = deque()  # handles, for what checkers do not know of them
        # Consecutive from a number of the run's own: were it from 1 in every run, the process-wide
        # set in which asyncio keeps all tasks would put thousands into one bucket.
        self._order = self._life = seed
        self._closed = False

    # -- running

    def run_until_blocked(self) -> None:
        """Run everything that is ready, and what becomes ready by that, in order."""
        ready = self._ready
        if not ready:
            return
        outer = _get_running_loop()
        outer_task = _swap_current_task(outer, None) if _swap_current_task and outer else None
        hooks = sys.get_asyncgen_hooks()
        sys.set_asyncgen_hooks(firstiter=None, finalizer=self._finalize_asyncgen)
        _set_running_loop(self)
        budget = MAX_CALLBACKS
        try:
            while ready:
                handle = ready.popleft()
                if handle._cancelled:
                    continue
                try:  # what `Handle._run` does, whose report nobody here would hear
                    handle._context.run(handle._callback, *handle._args)
                except (SystemExit, KeyboardInterrupt):
                    raise
                except BaseException:
                    pass
                budget -= 1
                if not budget:
                    raise BodySpins("the body ran a million callbacks without waiting for anything")
        finally:
            _set_running_loop(outer)
            sys.set_asyncgen_hooks(*hooks)
            if _swap_current_task and outer:
                _swap_current_task(outer, outer_task)

    def _finalize_asyncgen(self, agen: AsyncGenerator[Any, Any]) -> None:
        # Reached when the last reference goes, at once in CPython, so in the same place each time.
        if not self._closed and _get_running_loop() is self:
            _ = self.create_task(agen.aclose())

    # -- what asyncio asks of a loop

    def time(self) -> float:
        return self.now_us / 1_000_000

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = BodyHandle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    def call_later(  # type: ignore[override]
        self, delay: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        delay_us = round(delay * 1_000_000)
        timer = BodyTimer(self.time() + delay, callback, args, self, context, self._on_drop)
        if delay_us <= 0:
            timer.done()
            self._ready.append(timer)
        else:
            self._on_timer(timer, delay_us, callback is _SLEEP_CALLBACK)
        return timer

    def call_at(  # type: ignore[override]
        self, when: float, callback: Callable[..., Any], *args: Any, context: Context | None = None
    ) -> asyncio.TimerHandle:
        return self.call_later(when - self.time(), callback, *args, context=context)

    def fire(self, timer: BodyTimer) -> None:
        """Make a timer's callback ready: its wait is over."""
        timer.done()
        self._ready.append(timer)

    def create_future(self) -> BodyFuture:
        future = BodyFuture(loop=self)
        future._order = self._order = self._order + 1
        return future

    def create_task(
        self,
        coro: Generator[Any, None, Any] | Coroutine[Any, Any, Any],
        *,
        name: str | None = None,
        context: Context | None = None,
        **options: Any,  # `eager_start`, since 3.14
    ) -> BodyTask:
        self._order += 1
        task = BodyTask(coro, loop=self, order=self._order, name=name, context=context, **options)
        self.tasks.add(task)
        task.add_done_callback(self._on_done)
        return task

    def _on_done(self, task: asyncio.Task[Any]) -> None:
        self.tasks.discard(task)
        if not task.cancelled():
            error = task.exception()
            if error is not None:
                self.see(error)

    def see(self, error: BaseException) -> None:
        """Note since when an exception is there (engine/failures.py)."""
        mark(error, self._life, self.seq)

    def find_since(self, error: BaseException) -> int | None:
        return find_since(error, self._life)

    def call_exception_handler(self, context: dict[str, Any]) -> None:
        """Ignore what asyncio reports of lost tasks: it comes from the garbage collector, at no
        moment a replay could repeat. A body's own failure ends its run and is recorded."""

    def default_exception_handler(self, context: dict[str, Any]) -> None: ...

    def get_exception_handler(self) -> None:
        return None

    def set_exception_handler(self, handler: Any) -> None: ...

    get_debug: Any = staticmethod(bool)  # False; of C, since each future asks

    def set_debug(self, enabled: bool) -> None: ...

    def is_running(self) -> bool:
        return _get_running_loop() is self

    def is_closed(self) -> bool:
        return self._closed

    def close(self) -> None:
        self._closed = True
        self._ready.clear()

    def let_go(self) -> None:
        """Forget whose loop this was. What is still called on it, closed as it is, comes to nothing."""
        self._on_timer = _set_no_timer
        self._on_drop = _nothing

    def unwind(self, task: BodyTask) -> None:
        """Close a task's coroutine without running the loop; one that goes on awaiting stays.

        On this loop and in the task's own context: elsewhere a step that a `finally` calls would be a
        plain call outside a run, and really run; a task it makes would be one of the worker's.
        """
        outer = _get_running_loop()
        outer_task = _swap_current_task(outer, None) if _swap_current_task and outer else None
        _set_running_loop(self)
        task._log_destroy_pending = False
        try:
            task.context.run(task.get_coro().close)
        except RuntimeError:
            return
        except BaseException:
            pass
        finally:
            _set_running_loop(outer)
            if _swap_current_task and outer:
                _swap_current_task(outer, outer_task)
        self.tasks.discard(task)

    def abandon(self) -> None:
        """Leave the tasks that nothing unwinds as they are, for ever.

        Were they ever freed, Python would close them once more, in whatever thread and context that
        happens: they would swallow it, and the steps they call would be plain calls and really run.
        """
        if not self.tasks:
            return
        import ctypes  # 14 ms that hardly any process pays

        for task in self.tasks:
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(task.get_coro()))
        self.tasks.clear()

    async def shutdown_asyncgens(self) -> None: ...

    def get_task_factory(self) -> None:
        return None

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None: ...

    # -- what would wait for the outside (law 4)

    add_reader = _refusal("add_reader")
    add_signal_handler = _refusal("add_signal_handler")
    add_writer = _refusal("add_writer")
    call_soon_threadsafe = _refusal("call_soon_threadsafe")
    connect_accepted_socket = _refusal("connect_accepted_socket")
    connect_read_pipe = _refusal("connect_read_pipe")
    connect_write_pipe = _refusal("connect_write_pipe")
    create_connection = _refusal("create_connection")
    create_datagram_endpoint = _refusal("create_datagram_endpoint")
    create_server = _refusal("create_server")
    create_unix_connection = _refusal("create_unix_connection")
    create_unix_server = _refusal("create_unix_server")
    getaddrinfo = _refusal("getaddrinfo")
    getnameinfo = _refusal("getnameinfo")
    remove_reader = _refusal("remove_reader")
    remove_signal_handler = _refusal("remove_signal_handler")
    remove_writer = _refusal("remove_writer")
    run_forever = _refusal("run_forever")
    run_in_executor = _refusal("run_in_executor")
    run_until_complete = _refusal("run_until_complete")
    sendfile = _refusal("sendfile")
    set_default_executor = _refusal("set_default_executor")
    set_task_factory = _refusal("set_task_factory")
    shutdown_default_executor = _refusal("shutdown_default_executor")
    sock_accept = _refusal("sock_accept")
    sock_connect = _refusal("sock_connect")
    sock_recv = _refusal("sock_recv")
    sock_recv_into = _refusal("sock_recv_into")
    sock_recvfrom = _refusal("sock_recvfrom")
    sock_recvfrom_into = _refusal("sock_recvfrom_into")
    sock_sendall = _refusal("sock_sendall")
    sock_sendfile = _refusal("sock_sendfile")
    sock_sendto = _refusal("sock_sendto")
    start_tls = _refusal("start_tls")
    stop = _refusal("stop")
    subprocess_exec = _refusal("subprocess_exec")
    subprocess_shell = _refusal("subprocess_shell")
