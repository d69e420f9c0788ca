"""Attempts on the bench: one step, carried out once more, beside its run.

1. The step is really carried out: what it does to the outside (files, networks, databases) it does. What it
   asks of *wf* goes nowhere: streams, attributes and starts are noted as what it would have done, and
   everything that would have to be answered by the world is refused.
2. It sees what the recorded attempt saw: its ids, its number, its times, its run's attributes.
3. It ends in time. An `async def` step is cancelled, code that blocks is interrupted by an alarm, and a
   `def` step's thread is left behind.
"""

from __future__ import annotations

import asyncio
import concurrent.futures.thread
import contextlib
import functools
import inspect
import signal
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextvars import Context, copy_context
from types import FrameType, SimpleNamespace
from typing import Any, Final, Literal, NoReturn

import msgspec

from wf import codec, registry
from wf.arguments import give_types
from wf.context import current_attempt
from wf.durations import show_duration
from wf.engine.body import check_attributes, is_user_frame, merge_attributes
from wf.errors import NotRegisteredError, StepTimeoutError, ValidationError, WorkflowError, WorldError
from wf.keys import Keyring
from wf.records import open_event
from wf.registry import Step
from wf.session import Session
from wf.settings import load_settings
from wf.streams import chunk_place
from wf.worker import logs
from wf.world import Appended, Created, Fence, Message, NewRun, RunRow, Sent
from wfstudio.core.bench import wire
from wfstudio.core.bench.views import EffectView
from wfstudio.core.values import show_arguments, show_value

MOST_EFFECTS: Final = 1_000
LARGEST_SHOWN: Final = 100_000
ALARM_SECONDS: Final = 0.5
"""How long after its time a step that blocks its loop is interrupted."""


class _Overran(BaseException):
    """Ends an attempt that takes longer than it was given. Do not catch it."""


def try_step(question: wire.TryStep, code: wire.Code) -> wire.Tried | wire.Refused:
    """Carry out a step with its recorded arguments, or with some of them edited."""
    name = question.info.step_name
    step = registry.find_step(name)
    if step is None:
        missing = NotRegisteredError("step", name, [known.id for known in registry.list_steps()])
        return wire.Refused("not-found", f"this code has no step {name}", missing.hint)
    try:
        arguments = {**codec.decode_arguments(question.arguments), **give_types(step.func, question.edited)}
        args, kwargs = step.signature.apply(arguments)
        step.signature.parameters.bind(*args, **kwargs)
    except ValidationError as error:
        return wire.Refused("usage", str(error), error.hint)
    except (TypeError, ValueError) as error:
        text = f"the input does not fit {step.__name__}{step.signature.parameters}: {error}"
        return wire.Refused("usage", text, "parameters that are not named keep their recorded value")
    except WorkflowError as error:
        return wire.Refused("conflict", f"this code cannot rebuild the recorded input: {error}", error.hint)
    trial = _Trial(question, step, code)
    if question.debugger is not None:  # what it prints is seen as it comes, between what the debugger prints
        return trial.perform(args, kwargs)
    logs.capture()
    try:
        return trial.perform(args, kwargs)
    finally:
        logs.stop_capture()


class _Trial:
    """One attempt; also what the step's own code reaches through `current_attempt`, as it would in a worker."""

    def __init__(self, question: wire.TryStep, step: Step[Any, Any], code: wire.Code) -> None:
        self.step = step
        self.info = question.info
        self.workflow_info = question.workflow_info
        self.attempt = question.info.attempt
        self.number = question.correlation_id
        self.name = step.id
        self.log = logs.AttemptLog()
        self.writers: list[Any] = []
        self.is_parked = False
        self.effects: list[EffectView] = []
        self.attributes = dict(question.attributes)
        self.world = _Nowhere(self)
        self.keyring = Keyring.off()
        self.fence = Fence(question.info.run_id, 0)
        settings = msgspec.structs.replace(load_settings(), limits=code.limits)
        session = Session(self.world, self.keyring, settings)  # type: ignore[arg-type]
        session.deployment_id = question.workflow_info.deployment_id
        self.live = SimpleNamespace(run_id=question.info.run_id, worker=SimpleNamespace(session=session), is_lost=False)
        self._seconds = question.timeout_seconds
        self._debugger = question.debugger
        self._root = code.root

    # -- what the step asks of its attempt

    def now_us(self) -> int:
        return time.time_ns() // 1000

    def set_attributes(self, changes: dict[str, str | None], *, allow_reserved: bool) -> None:
        check_attributes(self.attributes, changes, allow_reserved=allow_reserved)
        self.attributes = merge_attributes(self.attributes, changes)
        self.note("attributes", "would have set attributes", {"set": dict(changes)})

    def note(self, kind: str, text: str, data: Any = None) -> None:
        if len(self.effects) < MOST_EFFECTS:
            self.effects.append(EffectView(kind=kind, text=text, data=data))

    # -- carrying it out

    def perform(self, args: Sequence[Any], kwargs: dict[str, Any]) -> wire.Tried:
        context = copy_context()
        context.run(current_attempt.set, self)
        loop = asyncio.new_event_loop()  # never closed: that would wait for threads that do not end
        began = time.perf_counter()
        outcome: Literal["returned", "raised", "timed_out"] = "raised"
        data = b""
        try:
            with self._alarm():
                work = self._perform(args, kwargs, context)
                result = loop.run_until_complete(loop.create_task(work, context=context))
            data = codec.encode(result, "result")
            outcome = "returned"
        except _Overran:
            outcome = "timed_out"
        except BaseException as error:  # SystemExit of a step ends the attempt only
            data = codec.encode(_begin_at_the_step(error), "error")
        took_ms = (time.perf_counter() - began) * 1000
        return wire.Tried(outcome, data, round(took_ms, 3), self.log.finish(), self.effects)

    async def _perform(self, args: Sequence[Any], kwargs: dict[str, Any], context: Context) -> Any:
        if self._debugger is not None:
            from wfstudio.core.bench import debugging  # pdb is heavy, and hardly ever wanted

            with debugging.stopping_in(self._debugger, self.step.func, self._root):
                return await self._call(args, kwargs, None)
        async with self._in_time():
            return await self._call(args, kwargs, context)

    @contextlib.asynccontextmanager
    async def _in_time(self) -> AsyncIterator[None]:
        """Bound the block by the step's own timeout, which is an error of its, and by ours, which is none."""
        own = None if self.step.timeout_us is None else self.step.timeout_us / 1_000_000
        timeout = asyncio.timeout(self._seconds if own is None else min(own, self._seconds))
        try:
            async with timeout:
                yield
        except TimeoutError as error:
            if not timeout.expired():
                raise
            if own is None or own > self._seconds:
                raise _Overran from None
            what = f"attempt {self.attempt} of step {self.name}"
            raise StepTimeoutError(f"{what} took longer than {show_duration(self.step.timeout_us or 0)}") from error

    async def _call(self, args: Sequence[Any], kwargs: dict[str, Any], context: Context | None) -> Any:
        """Call the step's function: a `def` in a thread, with the attempt's context, as a worker does."""
        function: Callable[..., Any] = self.step.func
        if self.step.is_async or inspect.iscoroutinefunction(function) or context is None:
            result = function(*args, **kwargs)
        else:
            call = functools.partial(context.copy().run, function, *args, **kwargs)
            result = await asyncio.get_running_loop().run_in_executor(None, call)
        return await result if inspect.isawaitable(result) else result

    @contextlib.contextmanager
    def _alarm(self) -> Iterator[None]:
        """Interrupt, a little after its time, what blocks the loop and so cannot be cancelled."""
        if self._debugger is not None:
            yield
            return
        before = signal.signal(signal.SIGALRM, _on_alarm)
        signal.setitimer(signal.ITIMER_REAL, self._seconds + ALARM_SECONDS)
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def _on_alarm(number: int, frame: FrameType | None) -> NoReturn:
    raise _Overran


def _begin_at_the_step(error: BaseException) -> BaseException:
    """Drop the frames that lead to the step: ours, asyncio's, and those of its thread."""
    trace = error.__traceback__
    while trace is not None and not _is_of_the_step(trace.tb_frame):
        trace = trace.tb_next
    return error if trace is None else error.with_traceback(trace)


def _is_of_the_step(frame: FrameType) -> bool:
    return is_user_frame(frame) and frame.f_code.co_filename not in (__file__, concurrent.futures.thread.__file__)


class _Nowhere:
    """The world of a step that is tried: it takes what is written for done, notes it, and answers nothing."""

    url = "nowhere:"
    durability = "process"

    def __init__(self, trial: _Trial) -> None:
        self._trial = trial
        self._tails: dict[tuple[str, str], int] = {}

    async def create_run(self, run: NewRun) -> Created:
        name = run.event.run_id
        data = open_event(self._trial.keyring.run(name), run.event) or b"{}"
        shown = {"run_id": name, "workflow": run.workflow, "input": show_arguments(data, LARGEST_SHOWN)}
        self._trial.note("start", f"would have started a run of {run.workflow}", shown)
        return Created(True, _make_row(run))

    async def append_chunks(
        self, run_id: str, name: str, start_index: int, at: int, payloads: Sequence[bytes | None], fence: Fence | None
    ) -> Appended:
        key, stream = self._trial.keyring.run(run_id), {"run_id": run_id, "stream": name}
        for index, payload in enumerate(payloads, start_index):
            if payload is None:
                self._trial.note("close", f"would have closed the stream {name}", stream)
                continue
            data = codec.unpack(key.open(chunk_place(name, index), "chunk", payload))
            shown = {**stream, "value": show_value(data, LARGEST_SHOWN)}
            self._trial.note("chunk", f"would have written to the stream {name}", shown)
        return Appended("written", start_index + len(payloads) - 1)

    async def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Sent:
        self._trial.note("message", f"would have sent {message.kind} to run {run_id}", {"run_id": run_id})
        return Sent("queued")

    def __getattr__(self, method: str) -> Any:
        """Refuse what asks the world for something."""

        async def refuse(*arguments: Any, **options: Any) -> NoReturn:
            self._trial.note("refused", f"asked the world: {method}")
            error = WorldError(f"a step that is replayed alone has no world to ask (`{method}`)")
            error.hint = "give it what it asks for in its input, or replay the whole run"
            raise error

        return refuse


def _make_row(run: NewRun) -> RunRow:
    """Make the row of a run that was not started, as a caller of `start` looks at it."""
    return RunRow(
        run_id=run.event.run_id,
        workflow=run.workflow,
        status="pending",
        deployment_id=run.deployment_id,
        created_at=run.event.at,
        started_at=None,
        ended_at=None,
        seq=1,
        head=run.event.link,
        mac=run.mac,
        epoch=0,
        owner=None,
        wake_at=None,
        attributes=run.attributes,
        parent_run_id=run.parent_run_id,
        parent_correlation_id=run.parent_correlation_id,
        continued_from=run.continued_from,
        continued_as=None,
        forked_from=run.forked_from,
        error_code=None,
        result_seq=None,
        payload_bytes=0,
        attention=None,
    )
