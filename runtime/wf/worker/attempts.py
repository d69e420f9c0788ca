"""Attempts: one execution of a step's function, from decoded arguments to encoded result.

1. An attempt starts only after the event that records it is committed, and ends in exactly one
   call of `attempt_succeeded` or `attempt_failed`.
2. `async def` steps run as tasks of the worker's loop; `def` steps in a pool of threads, with the
   attempt's context variables. A thread cannot be stopped: a `def` step that overruns its timeout
   goes on in its thread, and what it still returns is ignored.
3. A result counts only when the chunks that the attempt wrote are durable.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import inspect
from collections.abc import Callable
from contextvars import Context
from typing import TYPE_CHECKING, Any

from wf import codec
from wf.context import StepInfo, WorkflowInfo, current_attempt
from wf.durations import from_instant, show_duration
from wf.engine.body import StepState, check_attributes
from wf.errors import PayloadTooLargeError, SerializationError, StepTimeoutError
from wf.ids import step_id
from wf.worker.logs import AttemptLog
from wf.world import Fence

if TYPE_CHECKING:
    from wf.worker.live import LiveRun


LOOK_AGAIN_SECONDS = 1.0  # how long a step's thread waits for the loop before it looks if that is still there


class Attempt:
    """A running attempt; also what the step's own code reaches through `current_attempt`."""

    __slots__ = (
        "_info", "_is_begun", "arguments", "attempt", "cancel_message", "is_parked", "is_unwanted",
        "live", "log", "name", "number", "started_at",
        "state", "step", "task", "writers",
    )  # fmt: skip

    def __init__(self, live: LiveRun, state: StepState) -> None:
        self.live = live
        self.state = state
        self.step = state.step
        self.number = state.correlation_id
        self.name = state.name
        self.arguments = state.arguments
        self.writers: list[Any] = []
        self.log = AttemptLog()
        self.cancel_message: str | None = None
        self.is_unwanted = False
        self._is_begun = False
        self.is_parked = False  # it waits for another run or a stream, so a virtual clock may move
        self.attempt = state.attempt
        self.started_at = state.attempt_started_at
        self._info: StepInfo | None = None
        context = live.worker.context.copy()
        context.run(current_attempt.set, self)
        self.task = live.worker.create_task(self._run(context), context=context)

    # -- what the step sees

    @property
    def info(self) -> StepInfo:
        if self._info is None:
            state = self.state
            self._info = StepInfo(
                run_id=self.live.run_id,
                step_id=step_id(self.live.run_id, self.number),
                step_name=self.name,
                attempt=self.attempt,
                step_started_at=from_instant(state.started_at),
                attempt_started_at=from_instant(self.started_at),
            )
        return self._info

    @property
    def workflow_info(self) -> WorkflowInfo:
        return self.live.replay.body.info

    @property
    def world(self) -> Any:
        return self.live.worker.world

    @property
    def keyring(self) -> Any:
        return self.live.worker.keyring

    @property
    def fence(self) -> Fence:
        return Fence(self.live.run_id, self.live.tail.epoch)

    def now_us(self) -> int:
        return self.live.worker.clock.now_us()

    def set_attributes(self, changes: dict[str, str | None], *, allow_reserved: bool) -> asyncio.Future[None] | None:
        """Change the run's attributes with this call; the future says when they are durable.

        None in a step's thread: nothing can be awaited there, and the step's end comes after it.
        """
        loop = self.live.worker.loop

        def record() -> asyncio.Future[None]:
            check_attributes(self.live.replay.body.attributes, changes, allow_reserved=allow_reserved)
            durable: asyncio.Future[None] = loop.create_future()
            self.live.set_attributes(self.name, changes, functools.partial(_set_done, durable))
            return durable

        if asyncio._get_running_loop() is loop:
            return record()
        self._call_on_loop(record)
        return None

    def _call_on_loop(self, action: Callable[[], object]) -> None:
        """Do something on the worker's loop from a step's thread; raise what it raises."""
        outcome: concurrent.futures.Future[None] = concurrent.futures.Future()

        def act() -> None:
            try:
                action()
            except BaseException as error:
                outcome.set_exception(error)
            else:
                outcome.set_result(None)

        self.live.worker.loop.call_soon_threadsafe(act)
        while not concurrent.futures.wait([outcome], timeout=LOOK_AGAIN_SECONDS).done:
            if self.live.is_lost:  # the loop may have ended, and would never answer
                raise asyncio.CancelledError("the worker lost this run")
        outcome.result()

    # -- running

    def cancel(self, message: str | None) -> None:
        """Cancel an `async def` attempt; a thread runs on and its result is ignored."""
        self.cancel_message = message
        self.is_unwanted = True
        if self._is_begun:  # a task that is cancelled before its first turn runs nothing, not even law 1
            self.task.cancel(message)

    async def _run(self, context: Context) -> None:
        live, number, attempt = self.live, self.number, self.attempt
        is_final = False
        failure: BaseException | None = None
        data = b""
        self._is_begun = True
        try:
            if self.is_unwanted:
                raise asyncio.CancelledError(self.cancel_message)
            args, kwargs = self.step.signature.apply(codec.decode_arguments(self.arguments))
            function = live.worker.find_function(self.step)
            is_usual = self.step.timeout_us is None and function is self.step.func and self.step.is_async
            if is_usual and live.worker.interference is None:
                result = await function(*args, **kwargs)  # the usual case, without a detour
            else:
                result = await self._call(function, args, kwargs, context)
            for writer in self.writers:
                await writer.drain()
            try:
                data = codec.encode(result, "result")
                if len(data) > live.worker.limits.payload:
                    raise PayloadTooLargeError(f"the result of {self.name}", len(data), live.worker.limits.payload)
            except (SerializationError, PayloadTooLargeError):
                is_final = True  # the same result would be refused again
                raise
        except BaseException as error:  # SystemExit and KeyboardInterrupt of a step end the attempt only
            failure = error
        # The body goes on in the calls below. Not in the handler: what it raises next would get the step's own
        # exception as its context, and no replay would do the same.
        self._end(failure)
        if failure is None:
            live.attempt_succeeded(number, attempt, data, self.log.take(self))
        elif not isinstance(failure, asyncio.CancelledError):
            live.attempt_failed(number, attempt, _strip(failure), self.log.take(self), is_final=is_final)
        elif not live.is_lost and not live.worker.is_leaving:
            # Cancelled from within (the step cancelled itself), or by the body.
            live.attempt_failed(number, attempt, failure, self.log.take(self), is_final=self.state.is_cancelled)
        failure = None  # its traceback holds this frame
        if not live.is_dirty:
            live.worker.attempt_ended(live)

    def _end(self, error: BaseException | None) -> None:
        """Leave the run's attempts and give the slot back; `error` is how it ended, None for a result."""
        self.live.attempts.pop(self.number, None)
        del self.task  # its context has this attempt: without the circle both go at once, not with the garbage
        self.live.worker.free_slot(self.step)

    async def _call(self, function: Callable[..., Any], args: Any, kwargs: Any, context: Context) -> Any:
        timeout_us = self.step.timeout_us
        if timeout_us is None:
            return await self._carry_out(function, args, kwargs, context)
        timeout = asyncio.timeout(timeout_us / 1_000_000)
        try:
            async with timeout:
                return await self._carry_out(function, args, kwargs, context)
        except TimeoutError as error:
            if timeout.expired():
                what = f"attempt {self.attempt} of step {self.name}"
                raise StepTimeoutError(f"{what} took longer than {show_duration(timeout_us)}") from error
            raise

    async def _carry_out(self, function: Callable[..., Any], args: Any, kwargs: Any, context: Context) -> Any:
        interference = self.live.worker.interference
        if interference is not None:
            await interference.meet(self)
        if self.step.is_async or inspect.iscoroutinefunction(function):
            return await _settle(function(*args, **kwargs))
        call = functools.partial(context.copy().run, _call_in_thread, function, *args, **kwargs)
        failure, result = await asyncio.get_running_loop().run_in_executor(self.live.worker.threads, call)
        try:
            if isinstance(failure, StopIteration):  # made what it is in a coroutine, in Python's own way
                raise RuntimeError("the step raised StopIteration") from failure
            if failure is not None:
                raise failure
        finally:
            del failure  # its traceback holds this frame
        return await result if asyncio.iscoroutine(result) else result


def _call_in_thread(function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> tuple[BaseException | None, Any]:
    """Call a plain function, and give what it raised or its result.

    No future carries the exception: asyncio makes a new `TimeoutError` of one, without its cause and frames.
    """
    try:
        return None, function(*args, **kwargs)
    except BaseException as error:
        return error, None


async def _settle(waiting: Any) -> Any:
    """Await a call, and once more when a plain `def` gave a coroutine (a wrapped `async def` does).

    A plain function that stands in for an `async def` step has given its result already.
    """
    result = await waiting if inspect.isawaitable(waiting) else waiting
    return await result if asyncio.iscoroutine(result) else result


def _set_done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


def _strip(error: BaseException) -> BaseException:
    """Drop wf's own frames from the top of a traceback: the reader wants the step's."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None and trace.tb_frame.f_code.co_filename in _OWN_FILES:
        trace = trace.tb_next
    return error.with_traceback(trace)


_OWN_FILES = {__file__, asyncio.timeouts.__file__, functools.__file__}
