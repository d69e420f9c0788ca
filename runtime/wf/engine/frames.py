"""Frames: where the tasks of a body stand between two deliveries, and what each of them waits for.

Nothing of the user's is called: coroutines, futures and the body's open calls are looked at, and the
frames are handed out as they are. Who renders what their variables hold does it at its own risk.

A suspended task is a chain: its coroutine awaits another, and so on to a future. Between them lie wf's
and asyncio's own, which are left out, and helpers of the interpreter (what `async for` and `__await__`
make), which do not say what they lead to: the garbage collector knows.
"""

from __future__ import annotations

import asyncio
import gc
import re
from collections.abc import Iterator
from types import AsyncGeneratorType, CodeType, CoroutineType, FrameType, GeneratorType
from typing import Any, Final, Literal, NamedTuple

from wf.engine import parity
from wf.engine.body import Body, ChildState, HookState, LockState, StepState, WaitState, is_user_frame
from wf.engine.loop import BodyTask

Kind = Literal["step", "sleep", "hook", "lock", "child", "task", "asyncio"]

_DEFAULT_NAME = re.compile(r"Task-\d+")  # numbered by the process, so another one at every replay
_MOST_LINKS: Final = 10_000
_ASYNCIO = (asyncio.__file__ or "").rsplit("__init__", 1)[0]
_PARITY = parity.__file__  # what stands in for asyncio's own code
_PLAIN_NAMES: Final = {
    "_wait": "wait",
    "TaskGroup.__aexit__": "TaskGroup",
    "TaskGroup._aexit": "TaskGroup",  # since 3.14
    "_leave_group": "TaskGroup",
    "_wait_for_notice": "Condition.wait",
}


class Frame(NamedTuple):
    """A frame of the user's, and the line that it stands at: where it awaits, or where it raised."""

    frame: FrameType
    line: int

    @property
    def code(self) -> CodeType:
        return self.frame.f_code


class Awaited(NamedTuple):
    """What a task waits for. `call` is the open call, `tasks` are the numbers of tasks of this body.

    `name` says of `asyncio` which of its functions waits (`gather`, `Queue.get`).
    """

    kind: Kind
    call: StepState | WaitState | HookState | LockState | ChildState | None = None
    name: str | None = None
    tasks: tuple[int, ...] = ()


class TaskState(NamedTuple):
    """A task that has not ended. `number` counts tasks and futures of the run, so it is the same at every
    replay; `frames` go from the outermost inwards. `deadlines` are timeouts that would end its wait."""

    number: int
    name: str | None
    is_main: bool
    frames: list[Frame]
    awaited: Awaited | None
    deadlines: list[WaitState]


class End(NamedTuple):
    """How a body ended: `returned` a value, `raised` an exception in `frames`, was `cancelled`, or `forced` to."""

    kind: Literal["returned", "raised", "cancelled", "forced"]
    value: Any
    frames: list[Frame]


def list_tasks(body: Body) -> list[TaskState]:
    """Give the tasks of a body that have not ended, the main one first, then in order of creation."""
    tasks = sorted(body.loop.tasks, key=hash)
    return [_look_at(body, task) for task in sorted(tasks, key=lambda task: task is not body.main)]


def find_end(body: Body) -> End | None:
    """Say how the body's main task ended, None while it has not."""
    main = body.main
    if main is None or not main.done():
        return End("forced", None, []) if body.loop.is_closed() else None
    if main.cancelled():
        return End("cancelled", None, [])
    error = main.exception()
    if error is None:
        return End("returned", main.result(), [])
    return End("raised", error, trace_frames(error))


def trace_frames(error: BaseException) -> list[Frame]:
    """Give the user's frames that an exception went through, the outermost first."""
    found: list[Frame] = []
    trace = error.__traceback__
    while trace is not None:
        if is_user_frame(trace.tb_frame):
            found.append(Frame(trace.tb_frame, trace.tb_lineno))
        trace = trace.tb_next
    return found


def _look_at(body: Body, task: BodyTask) -> TaskState:
    links = list(_walk(task.get_coro()))
    frames = [frame for frame in map(_frame_of, links) if frame is not None]
    given = task.get_name()
    return TaskState(
        number=number_of(body, task),
        name=None if _DEFAULT_NAME.fullmatch(given) else given,
        is_main=task is body.main,
        frames=[Frame(frame, frame.f_lineno) for frame in frames if is_user_frame(frame)],
        awaited=_find_awaited(body, task, frames),
        deadlines=_find_deadlines(body, task),
    )


def number_of(body: Body, task: Any) -> int:
    """Number a task or future of a body by its order of creation: the same at every replay."""
    return hash(task) - body.seed


def _walk(awaited: Any) -> Iterator[Any]:
    """Follow what a coroutine awaits, inwards."""
    for _ in range(_MOST_LINKS):  # a recursion of coroutines is bounded by Python, a hostile object is not
        if awaited is None:
            return
        yield awaited
        match awaited:
            case CoroutineType():
                awaited = awaited.cr_await
            case GeneratorType():
                awaited = awaited.gi_yieldfrom
            case AsyncGeneratorType():
                awaited = awaited.ag_await
            case _:
                awaited = _look_behind(awaited)


def _look_behind(helper: Any) -> Any:
    """Give the coroutine or generator that one of the interpreter's helpers stands for."""
    if type(helper).__name__ not in ("async_generator_asend", "async_generator_athrow", "coroutine_wrapper"):
        return None
    behind = (CoroutineType, AsyncGeneratorType)
    return next((found for found in gc.get_referents(helper) if isinstance(found, behind)), None)


def _frame_of(link: Any) -> FrameType | None:
    match link:
        case CoroutineType():
            return link.cr_frame
        case GeneratorType():
            return link.gi_frame
        case AsyncGeneratorType():
            return link.ag_frame
    return None


# -- what a task waits for ----------------------------------------------------------------------


def _find_awaited(body: Body, task: BodyTask, frames: list[FrameType]) -> Awaited | None:
    waiter: Any = getattr(task, "_fut_waiter", None)
    if waiter is None:
        return None
    for step in body.steps.values():
        if step.future is waiter:
            return Awaited("step", step, step.name)
    for hook in body.hooks.values():
        if any(waiter is one for one in hook.waiters):
            return Awaited("hook", hook)
    for lock in body.locks.values():
        if lock.future is waiter:
            return Awaited("lock", lock, lock.name)
    for wait in body.waits.values():
        if wait.kind == "sleep" and wait.timer is not None and _holds(wait, waiter):
            return Awaited("sleep", wait)
    child = next((f.f_locals.get("state") for f in frames if f.f_code is Body.wait_child.__code__), None)
    if isinstance(child, ChildState):  # several may wait for one child, each behind a future of its own
        return Awaited("child", child, child.workflow)
    if isinstance(waiter, asyncio.Task):
        return Awaited("task", tasks=(number_of(body, waiter),))
    return _find_in_asyncio(body, waiter, frames)


def _find_in_asyncio(body: Body, waiter: Any, frames: list[FrameType]) -> Awaited:
    """Name the function of asyncio that waits, and the tasks that it waits for, where it says so."""
    inner = frames[-1] if frames and frames[-1].f_code.co_filename.startswith((_ASYNCIO, _PARITY)) else None
    children: Any = getattr(waiter, "_children", None)  # of `gather`, which is no coroutine
    name = "gather" if children is not None else None
    if inner is not None:
        qualname = inner.f_code.co_qualname.removesuffix(".<locals>._wait_for_one")
        name = _PLAIN_NAMES.get(qualname, qualname)
        held = inner.f_locals
        group = getattr(held.get("self", held.get("group")), "_tasks", ()) if name == "TaskGroup" else ()
        children = group or held.get("fs") or [held.get("fut")]
    tasks = sorted(number_of(body, one) for one in children or () if isinstance(one, BodyTask) and not one.done())
    return Awaited("asyncio", name=name, tasks=tuple(tasks))


def _holds(wait: WaitState, waiter: Any) -> bool:
    """Tell whether a timer's firing would answer a future."""
    return any(argument is waiter for argument in (wait.timer and wait.timer._args) or ())


def _find_deadlines(body: Body, task: BodyTask) -> list[WaitState]:
    waiter: Any = getattr(task, "_fut_waiter", None)
    found = []
    for wait in body.waits.values():
        if wait.kind != "deadline" or wait.timer is None:
            continue
        owner = getattr(getattr(wait.timer, "_callback", None), "__self__", None)  # of `asyncio.timeout`
        if _holds(wait, waiter) or getattr(owner, "_task", None) is task:
            found.append(wait)
    return sorted(found, key=lambda wait: wait.due_at)
