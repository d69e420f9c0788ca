"""A workflow body: the calls it may make, and the state that its open calls are in.

1. Position is identity: the Nth call has correlation id N, whatever it is.
2. A call is made when it is first awaited, as in plain Python; only registrations that a caller
   can see at once (hooks, attributes, `wf.start`) are made when called.
3. Every call leaves a command behind, in order. Nothing here waits, stores or sends.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
from collections import deque
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

import msgspec

from wf import codec, ids
from wf.context import WorkflowInfo, current_body
from wf.durations import MAX_DURATION_US
from wf.engine import commands
from wf.engine.fork import own_token
from wf.engine.loop import BodyFuture, BodyLoop, BodyTimer
from wf.engine.parity import even_out
from wf.errors import FatalError, HookDisposedError, PayloadTooLargeError, WorkflowRunCancelledError

MAX_ATTRIBUTES = 64
MAX_ATTRIBUTE_KEY = 256
MAX_ATTRIBUTE_VALUE_BYTES = 256
MAX_REFUSALS = 100

even_out(BodyLoop)


class BodyClosed(BaseException):
    """Unwinds what is left of a body that has ended or was put away. Do not catch it."""


class ContinueRun(BaseException):
    """Unwinds a body that goes on as a new run. Do not catch it."""

    def __init__(self, arguments: bytes, deployment: str | None) -> None:
        super().__init__()
        self.arguments = arguments
        self.deployment = deployment


class StepState(msgspec.Struct, eq=False):
    """An open step call. `attempt` is 0 while it is queued; `due_at` is set between attempts."""

    correlation_id: int
    name: str
    step: Any
    arguments: bytes
    future: BodyFuture
    attempt: int = 0
    started_at: int = 0
    attempt_started_at: int = 0
    due_at: int | None = None
    is_cancelled: bool = False
    message: str | None = None


class WaitState:
    __slots__ = ("correlation_id", "due_at", "kind", "timer")

    def __init__(self, correlation_id: int, kind: str, due_at: int, timer: BodyTimer | None) -> None:
        self.correlation_id = correlation_id
        self.kind = kind
        self.due_at = due_at
        self.timer = timer


class HookState:
    """A registered hook: payloads that nobody awaited yet, and the awaits that nothing answered yet.

    `token` is what resumers have; `given` what the body knows, which in a fork is another (engine/fork.py, law 4).
    `count` is how many payloads have come.
    """

    __slots__ = (
        "conflict", "correlation_id", "count", "given", "is_disposed", "kind", "name", "payloads", "token", "waiters",
    )  # fmt: skip

    def __init__(self, correlation_id: int, name: str, token: str, given: str, kind: str) -> None:
        self.correlation_id = correlation_id
        self.name = name
        self.token = token
        self.given = given
        self.count = 0
        self.payloads: deque[bytes] = deque()
        self.waiters: list[BodyFuture] = []
        self.conflict: BaseException | None = None
        self.kind = kind
        self.is_disposed = False


class LockState:
    __slots__ = ("correlation_id", "future", "limit", "name")

    def __init__(self, correlation_id: int, name: str, limit: int, future: BodyFuture) -> None:
        self.correlation_id = correlation_id
        self.name = name
        self.limit = limit
        self.future = future


class ChildOutcome(msgspec.Struct, frozen=True):
    """How an awaited run ended. `value` is its result, its exception, or its cancel reason."""

    run_id: str
    status: str
    code: str | None
    value: Any


class ChildState:
    """A run that the body hears the end of. `is_awaited` while it is the awaited call of a workflow, and no handle."""

    __slots__ = ("correlation_id", "future", "is_awaited", "run_id", "workflow")

    def __init__(self, correlation_id: int, run_id: str, workflow: str | None, future: BodyFuture) -> None:
        self.correlation_id = correlation_id
        self.run_id = run_id
        self.workflow = workflow
        self.future = future
        self.is_awaited = False

    @property
    def meta(self) -> str:
        return msgspec.json.encode({"run_id": self.run_id}).decode()


class Body:
    """One workflow body on its loop. `Replay` delivers events to it and takes its commands.

    `seed_id` is the run id that fixes the body's randomness (a fork keeps its origin's).
    `draw_token` gives a hook's secret token for a correlation id, drawn now or read from the log;
    `find_child` the id of a child that the log has started (of a fork, by the run it comes from). A fork
    that `is_beside` its origin gives its hooks tokens of their own.
    """

    def __init__(
        self,
        *,
        run_id: str,
        seed_id: str,
        draw_token: Callable[[int], str],
        find_child: Callable[[int], str | None],
        payload_limit: int,
        is_beside: bool = False,
    ) -> None:
        self.run_id = run_id
        self.is_beside = is_beside
        self.seed = int.from_bytes(hashlib.sha256(seed_id.encode()).digest()[:7], "big")
        self.loop = BodyLoop(self.seed, self._start_timer, self._drop_wait)
        self.commands: deque[commands.Command] = deque()
        self.steps: dict[int, StepState] = {}
        self.waits: dict[int, WaitState] = {}
        self.hooks: dict[int, HookState] = {}
        self.locks: dict[int, LockState] = {}
        self.children: dict[int, ChildState] = {}
        self.child_runs: dict[str, ChildState] = {}
        self.attributes: dict[str, str] = {}
        self.info: WorkflowInfo
        self.random: Any = None  # made by the API on first use, seeded with `seed`
        self.main: asyncio.Task[Any] | None = None
        self.is_ending = False
        self.is_tracing = False  # while a log is replayed: note the caller of each command
        self._draw_token = draw_token
        self._find_child = find_child
        self.payload_limit = payload_limit
        self._calls = 0
        self._refusals = 0

    # -- running

    def start(self, coroutine: Coroutine[Any, Any, Any]) -> None:
        """Make the body's main task ready; every task it creates inherits the body's context."""
        context = copy_context()
        context.run(current_body.set, self)
        self.main = self.loop.create_task(coroutine, context=context)

    def close(self) -> None:
        """Put the body away. Its `finally` blocks see `BodyClosed` on the first call they make."""
        self.is_ending = True
        self.loop.close()
        for _ in range(100):  # a `finally` may make further tasks, and a coroutine go on awaiting: not for ever
            tasks = sorted(self.loop.tasks, key=hash)
            if not tasks:
                return
            for task in tasks:
                self.loop.unwind(task)
        self.loop.abandon()

    def let_go(self) -> None:
        """Undo the circles that a body and its loop are, once it is closed.

        Else only the garbage collector would find it: of thousands that end in a second it made a tenth of the work.
        """
        self.main = None
        self._draw_token = _draw_nothing
        self.loop.let_go()

    def abandon(self) -> None:
        """Leave the body as it is, for ever, without running any more of its code."""
        self.is_ending = True
        self.loop.close()
        self.loop.abandon()

    # -- the calls, from bottom to top

    @property
    def calls(self) -> int:
        """How many calls the body has made so far. May be asked from another thread."""
        return self._calls

    def _refuse(self) -> None:
        """Refuse a call of a body that has ended.

        One that catches this and calls again (`while True: try: … except: …`) would never let go of the
        thread. After some tries its calls come to nothing instead: they are never answered.
        """
        self._refusals += 1
        if self._refusals <= MAX_REFUSALS:
            raise BodyClosed

    def _issue(self, command: commands.Command) -> None:
        if self.is_ending:
            self._refuse()
            return
        if command.data is not None and len(command.data) > self.payload_limit:
            what = f"the arguments of {command.name}" if command.name else "the payload"
            raise PayloadTooLargeError(what, len(command.data), self.payload_limit)
        if self.is_tracing:
            command.where = find_caller() or find_position(self.main)
        self._see_handled()
        self.commands.append(command)

    def _see_handled(self) -> None:
        """Note the exception in whose `except`, `finally` or saga the body calls or waits for something."""
        error = sys.exception()
        if error is not None:
            self.loop.see(error)

    def _next_id(self) -> int:
        if self.is_ending:
            self._refuse()
        return self._calls + 1

    async def call_step(self, step: Any, arguments: bytes) -> Any:
        """Schedule a step, and give its result or raise its exception."""
        number = self._next_id()
        self._issue(commands.ScheduleStep(number, step.id, None, arguments))
        self._calls = number
        future = self.loop.create_future()
        state = StepState(number, step.id, step, arguments, future)
        self.steps[number] = state
        try:
            return await future
        except asyncio.CancelledError as error:
            if future.cancelled() and number in self.steps:
                state.is_cancelled = True
                state.message = str(error.args[0]) if error.args else None
                if step.is_cancellable and not self.is_ending:
                    self.commands.append(commands.CancelStep(number, message=state.message))
            raise

    def _start_timer(self, timer: BodyTimer, delay_us: int, is_sleep: bool) -> None:
        due_at = self.loop.now_us + min(delay_us, MAX_DURATION_US)
        timer.correlation_id = self._start_wait("sleep" if is_sleep else "deadline", due_at, timer)

    def _start_wait(self, kind: str, due_at: int, timer: BodyTimer) -> int:
        number = self._next_id()
        meta = f'{{"kind":"{kind}","due_at":{due_at}}}'
        self._issue(commands.StartWait(number, None, meta, kind=kind, due_at=due_at))
        self._calls = number
        self.waits[number] = WaitState(number, kind, due_at, timer)
        return number

    def _drop_wait(self, correlation_id: int) -> None:
        if self.waits.pop(correlation_id, None) is not None and not self.is_ending:
            self.commands.append(commands.DropWait(correlation_id))

    async def sleep_until(self, due_at: int) -> None:
        """Wait until an instant; one that has passed is only a turn of the loop."""
        delay_us = due_at - self.loop.now_us
        if delay_us <= 0:
            await asyncio.sleep(0)
            return
        await asyncio.sleep(delay_us / 1_000_000)

    def create_hook(self, name: str, *, token: str | None, kind: str, metadata: Any, schema: Any) -> HookState:
        """Register a hook now; whoever owns its token already arrives as a conflict."""
        number = self._next_id()
        given = self._draw_token(number) if token is None else token
        own = given if token is None or not self.is_beside else own_token(given, self.run_id)
        record = {"token": own, "metadata": metadata, "schema": schema}
        data = codec.encode_arguments(record)
        meta = None if token is not None else '{"generated":true}'
        self._issue(commands.CreateHook(number, name, meta, data, token=own, kind=kind))
        self._calls = number
        state = HookState(number, name, own, given, kind)
        self.hooks[number] = state
        return state

    def find_token(self, given: str) -> str:
        """Give the token that a hook of this body has in the world, by the one that it was given here."""
        hooks = self.hooks.values() if self.is_beside else ()
        return next((hook.token for hook in hooks if hook.given == given and not hook.is_disposed), given)

    async def next_payload(self, hook: HookState) -> bytes:
        """Give the next payload of a hook, encoded; kept ones first, each once."""
        if hook.conflict is not None:
            raise hook.conflict
        if hook.payloads:
            return hook.payloads.popleft()
        if hook.is_disposed:
            raise HookDisposedError(hook.given)
        self._see_handled()
        future = self.loop.create_future()
        hook.waiters.append(future)
        try:
            return await future  # type: ignore[no-any-return]
        finally:
            if future in hook.waiters:
                hook.waiters.remove(future)

    def dispose_hook(self, hook: HookState) -> None:
        """Give the token up; awaits that are pending raise. Disposing twice is harmless."""
        if hook.is_disposed:
            return
        if hook.conflict is None:
            self._issue(commands.DisposeHook(hook.correlation_id))
        hook.is_disposed = True
        hook.payloads.clear()
        waiters, hook.waiters = hook.waiters, []
        for future in waiters:
            if not future.done():
                future.set_exception(HookDisposedError(hook.given))

    def request_lock(self, name: str, limit: int) -> LockState:
        number = self._next_id()
        self._issue(commands.RequestLock(number, name, f'{{"limit":{limit}}}', limit=limit))
        self._calls = number
        state = LockState(number, name, limit, self.loop.create_future())
        self.locks[number] = state
        return state

    def release_lock(self, lock: LockState) -> None:
        if self.locks.pop(lock.correlation_id, None) is not None and not self.is_ending:
            self._issue(commands.ReleaseLock(lock.correlation_id, lock.name))

    def start_child(self, workflow: Any, arguments: bytes, run_id: str | None = None) -> ChildState:
        """Start a child run with this call; its id is known at once."""
        number = self._next_id()
        child = run_id or self._choose_child(number)
        meta = msgspec.json.encode({"run_id": child}).decode()
        self._issue(
            commands.StartChild(
                number, workflow.id, meta, arguments, run_id=child, workflow=workflow, options=workflow.options
            )
        )
        self._calls = number
        return self._add_child(ChildState(number, child, workflow.id, self.loop.create_future()))

    def _choose_child(self, number: int) -> str:
        return self._find_child(number) or ids.derive_run_id(self.loop.now_us, self.run_id, number)

    def watch_run(self, run_id: str) -> ChildState:
        """Find the child of this id, or ask to hear of the end of a run that is none."""
        known = self.child_runs.get(run_id)
        if known is not None:
            return known
        number = self._next_id()
        meta = msgspec.json.encode({"run_id": run_id, "watch": True}).decode()
        self._issue(commands.StartChild(number, None, meta, run_id=run_id))
        self._calls = number
        return self._add_child(ChildState(number, run_id, None, self.loop.create_future()))

    def _add_child(self, state: ChildState) -> ChildState:
        self.children[state.correlation_id] = state
        self.child_runs[state.run_id] = state
        return state

    async def wait_child(self, state: ChildState) -> ChildOutcome:
        """Wait for the end of a run without using it up: others may wait for it, too."""
        self._see_handled()
        return await asyncio.shield(state.future)

    async def call_child(self, workflow: Any, arguments: bytes) -> Any:
        """Run a child and give its result, or raise the exception that its body raised.

        Who cancels the call cancels the child, as with any coroutine that is awaited. It is told so and not waited for,
        like a step's attempt: a `CancelledError` is raised at the await, whatever becomes of what was awaited.
        """
        options = workflow.options
        state = self.start_child(workflow, arguments, options.id if options else None)
        state.is_awaited = True
        try:
            outcome = await self.wait_child(state)
        except asyncio.CancelledError:
            if not state.future.done():
                self._cancel_child(state)
            raise
        finally:
            state.is_awaited = False
        return take_outcome(outcome, workflow.id)

    def _cancel_child(self, state: ChildState) -> None:
        """Also of a body that ends: what it leaves behind awaits no child any more."""
        command = commands.CancelChild(state.correlation_id, state.workflow, state.meta, run_id=state.run_id)
        if self.is_tracing:
            command.where = find_caller() or find_position(self.main)
        self.commands.append(command)

    def next_run_id(self) -> str:
        """Name the run that this one continues as; the same name at every replay."""
        return ids.derive_run_id(self.loop.now_us, self.run_id, "next")

    def set_attributes(self, changes: dict[str, str | None]) -> None:
        """Record changes that `check_attributes` let pass; None removes."""
        number = self._next_id()
        meta = msgspec.json.encode({"set": changes}).decode()
        self._issue(commands.SetAttributes(number, None, meta, changes=changes))
        self._calls = number
        self.attributes = merge_attributes(self.attributes, changes)


def _draw_nothing(correlation_id: int) -> str:
    return ""


def take_outcome(outcome: ChildOutcome, name: str) -> Any:
    """Give a child's result; raise its own exception with a note that names the child."""
    if outcome.status == "completed":
        return outcome.value
    if outcome.status == "cancelled":
        raise WorkflowRunCancelledError(outcome.run_id, outcome.value)
    error: BaseException = outcome.value
    add_note(error, f"in the child run {outcome.run_id} of {name}")
    raise error


def add_note(error: BaseException, note: str) -> None:
    try:
        error.add_note(note)
    except Exception:  # a class may refuse notes, as a frozen dataclass does
        if isinstance(getattr(error, "__dict__", None), dict):
            vars(error)["__notes__"] = [*getattr(error, "__notes__", ()), note]


def check_attributes(present: dict[str, str], changes: dict[str, str | None], *, allow_reserved: bool = False) -> None:
    """Raise `FatalError` for a key, a value or a number of attributes over the limits."""
    for key, value in changes.items():
        if not isinstance(key, str) or not 1 <= len(key) <= MAX_ATTRIBUTE_KEY:
            raise FatalError(f"attribute key {key!r:.80} is not a text of 1 to {MAX_ATTRIBUTE_KEY} characters")
        if key.startswith("$") and not allow_reserved:
            raise FatalError(f"attribute key {key!r:.80} begins with `$`, which is reserved")
        if value is None:
            continue
        if not isinstance(value, str):
            raise FatalError(f"attribute {key!r:.80}: {type(value).__name__} is not a text")
        try:
            size = len(value.encode()), key.encode()
        except UnicodeEncodeError:
            raise FatalError(f"attribute {key!r:.80} holds a lone surrogate") from None
        if size[0] > MAX_ATTRIBUTE_VALUE_BYTES:
            raise FatalError(f"attribute {key!r:.80} is {size[0]} bytes, over the limit of {MAX_ATTRIBUTE_VALUE_BYTES}")
    count = len(merge_attributes(present, changes))
    if count > MAX_ATTRIBUTES:
        raise FatalError(f"the run would have {count} attributes, over the limit of {MAX_ATTRIBUTES}")


def merge_attributes(present: dict[str, str], changes: dict[str, str | None]) -> dict[str, str]:
    merged = {**present, **changes}
    return {key: value for key, value in merged.items() if value is not None}


_PACKAGE = __file__.rsplit("/engine/", 1)[0].rsplit("\\engine\\", 1)[0]
_ASYNCIO = (asyncio.__file__ or "").rsplit("__init__", 1)[0]


def show_frame(frame: Any) -> str:
    return f"{frame.f_code.co_filename}:{frame.f_lineno} in {frame.f_code.co_name}"


def is_user_frame(frame: Any) -> bool:
    name = frame.f_code.co_filename
    return not (name.startswith((_PACKAGE, _ASYNCIO, "<frozen")))


def find_caller() -> str | None:
    """Name the innermost frame of the body on the stack that is neither wf's nor asyncio's.

    There is none where a task is the call itself, as in `gather(step(), step())`.
    """
    frame: Any = sys._getframe(1)
    while frame is not None and frame.f_code is not BodyLoop.run_until_blocked.__code__:
        if is_user_frame(frame):
            return show_frame(frame)
        frame = frame.f_back
    return None


def find_position(task: asyncio.Task[Any] | None) -> str | None:
    """Name the line of user code at which a suspended task waits."""
    place: str | None = None
    awaited: Any = task.get_coro() if task is not None else None
    while awaited is not None:
        frame = _first(awaited, "cr_frame", "gi_frame", "ag_frame")
        if frame is not None and is_user_frame(frame):
            place = show_frame(frame)
        awaited = _first(awaited, "cr_await", "gi_yieldfrom", "ag_await")
    return place


def _first(awaited: Any, *names: str) -> Any:
    """Give what a coroutine, a generator or an asynchronous one calls by different names."""
    return next((found for name in names if (found := getattr(awaited, name, None)) is not None), None)
