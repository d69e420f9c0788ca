"""Moments: a run as its body stands between two deliveries, for people.

1. Everything is taken from the body as it is, and rendered within bounds (`rendering`).
2. What has changed is told by plain renderings of both states, for which nothing of the user's is called:
   a `__repr__` that changes what it shows would change the state that is looked at next.
"""

from __future__ import annotations

import linecache
import os
from collections.abc import Iterable
from types import CodeType, FrameType
from typing import Any, Final, Literal

import msgspec

from wf import events as types
from wf.durations import from_instant
from wf.engine import frames as standing
from wf.engine.body import Body, ChildState, HookState, LockState, StepState, WaitState
from wf.engine.replay import Replay
from wf.events import Event
from wfstudio.core.bench.rendering import Renderer, fingerprint
from wfstudio.core.bench.views import (
    AwaitView,
    EndView,
    FrameView,
    LineView,
    LocalView,
    MomentEventView,
    OpenCallView,
    TaskView,
)
from wfstudio.core.values import show_arguments
from wfstudio.core.views import show_instant

MOST_TASKS: Final = 200
MOST_CALLS: Final = 500
MOST_LOCALS: Final = 100
LINES_BESIDE: Final = 3
MOST_LINES: Final = 30
"""Before and after the line where a frame stands."""
LARGEST_INPUT: Final = 20_000

Notes = dict[tuple[int, int, int, str], tuple[bytes, int]]
"""What variables held, by task, depth and code of their frame, and their name."""

_encode = msgspec.msgpack.Encoder().encode


def take_notes(replay: Replay) -> Notes:
    """Note what all variables of a body hold, to tell later what has changed."""
    renderer, notes = Renderer(is_plain=True), Notes()
    for task in standing.list_tasks(replay.body)[:MOST_TASKS]:
        for depth, frame in enumerate(task.frames):
            for name, value in _list_locals(frame.frame)[:MOST_LOCALS]:
                notes[task.number, depth, id(frame.code), name] = _note(renderer, value)
    return notes


def _note(renderer: Renderer, value: Any) -> tuple[bytes, int]:
    view = renderer.render(value)
    return _encode(view), fingerprint(value) if view.is_cut else 0


class Scene:
    """Shows the state of a body. `before` are the notes of the state that it is compared with."""

    def __init__(self, replay: Replay, root: str, before: Notes | None, *, is_plain: bool) -> None:
        self._body = replay.body
        self._folder = os.path.join(root, "")
        self._before = before
        self._renderer = Renderer(is_plain=is_plain)
        self._plain = Renderer(is_plain=True)
        self._tasks = standing.list_tasks(replay.body) if replay.is_started else []
        self._names = {task.number: self._name(task) for task in self._tasks}

    def show_now(self) -> str | None:
        """Give what `wf.now()` gives to the body."""
        return show_instant(self._body.loop.now_us) if self._body.main is not None else None

    # -- tasks

    def show_tasks(self) -> list[TaskView]:
        known = None if self._before is None else {key[0] for key in self._before}
        return [self._show_task(task, known) for task in self._tasks[:MOST_TASKS]]

    @property
    def more_tasks(self) -> int:
        return max(0, len(self._tasks) - MOST_TASKS)

    def _show_task(self, task: standing.TaskState, known: set[int] | None) -> TaskView:
        return TaskView(
            number=task.number,
            name=self._names[task.number],
            is_new=known is not None and bool(task.frames) and task.number not in known,
            frames=[self._show_frame(frame, task.number, depth) for depth, frame in enumerate(task.frames)],
            awaits=self._show_awaited(task),
        )

    def _name(self, task: standing.TaskState) -> str:
        if task.is_main:
            return "main"
        if task.name is not None:
            return task.name
        if task.frames:
            return f"{task.frames[0].code.co_qualname} #{task.number}"
        return f"{task.awaited.name or task.awaited.kind} #{task.number}" if task.awaited else f"task #{task.number}"

    def _show_frame(self, frame: standing.Frame, number: int, depth: int) -> FrameView:
        code = frame.code
        file = code.co_filename
        held = _list_locals(frame.frame)
        keys = {key for key in self._before or () if key[:3] == (number, depth, id(code))}
        return FrameView(
            file=file.removeprefix(self._folder),
            line=frame.line,
            function=code.co_qualname,
            source=_read_lines(file, code, frame.line),
            locals=[
                self._show_local(name, value, (number, depth, id(code), name)) for name, value in held[:MOST_LOCALS]
            ],
            gone=sorted(key[3] for key in keys if key[3] not in dict(held)),
            more_locals=max(0, len(held) - MOST_LOCALS),
        )

    def _show_local(self, name: str, value: Any, key: tuple[int, int, int, str]) -> LocalView:
        change: Literal["new", "changed"] | None = None
        if self._before is not None:  # first: the user's `__repr__` may change what it shows
            known = self._before.get(key)
            change = "new" if known is None else "changed" if known != _note(self._plain, value) else None
        return LocalView(name=name, value=self._renderer.render(value), change=change)

    # -- what they wait for

    def _show_awaited(self, task: standing.TaskState) -> AwaitView | None:
        awaited = task.awaited
        if awaited is None:
            return None
        text = self._say_awaited(awaited)
        due_at = awaited.call.due_at if isinstance(awaited.call, WaitState) else None
        if task.deadlines:
            due_at = due_at or task.deadlines[0].due_at
            text += f", until {_say_instant(task.deadlines[0].due_at)} at most"
        return AwaitView(
            kind=awaited.kind,
            text=text,
            name=awaited.name,
            correlation_id=None if awaited.call is None else awaited.call.correlation_id,
            due_at=None if due_at is None else show_instant(due_at),
            tasks=list(awaited.tasks),
        )

    def _say_awaited(self, awaited: standing.Awaited) -> str:
        match awaited.call:
            case StepState(name=name):
                return f"operation {name}" if name.startswith("wf/") else f"step {name}"
            case WaitState(due_at=due_at):
                return f"a sleep until {_say_instant(due_at)}"
            case HookState(token=token, kind=kind):
                return f"{kind} {token}"
            case LockState(name=name):
                return f"lock {name.removeprefix('lock:')}"
            case ChildState(run_id=run_id, workflow=workflow):
                return f"run {run_id}" + (f" of {workflow}" if workflow else "")
        others = [self._names[number] for number in awaited.tasks if number in self._names]
        what = "task" if awaited.kind == "task" else f"asyncio.{awaited.name}" if awaited.name else "a future"
        return f"{what} of {', '.join(others)}" if others and awaited.kind != "task" else " ".join([what, *others])

    # -- open calls

    def list_calls(self) -> tuple[list[OpenCallView], int]:
        """Give the calls that have no result yet, in order, and how many more there are."""
        calls = sorted(_list_calls(self._body), key=lambda call: call.correlation_id)
        return calls[:MOST_CALLS], max(0, len(calls) - MOST_CALLS)

    # -- the end

    def show_end(self) -> EndView | None:
        end = standing.find_end(self._body)
        if end is None:
            return None
        number = standing.number_of(self._body, self._body.main)
        frames = [self._show_frame(frame, number, depth) for depth, frame in enumerate(end.frames)]
        value = self._renderer.render(end.value) if end.kind in ("returned", "raised") else None
        error = None
        if isinstance(end.value, BaseException) and value is not None:
            error = value.text
        return EndView(kind=end.kind, value=value, error=error, frames=frames)


def show_event(event: Event, where: str | None, root: str) -> MomentEventView:
    return MomentEventView(
        seq=event.seq,
        type=event.type,
        at=show_instant(event.at),
        correlation_id=event.correlation_id,
        name=event.name,
        attempt=event.attempt,
        where=None if where is None or event.type not in types.CALLS else where.removeprefix(os.path.join(root, "")),
    )


def _list_locals(frame: FrameType) -> list[tuple[str, Any]]:
    """Give a frame's variables in the order of its code; what the compiler named for itself is left out."""
    held = frame.f_locals
    code = frame.f_code
    order = {name: place for place, name in enumerate((*code.co_varnames, *code.co_cellvars, *code.co_freevars))}
    names = sorted((name for name in held if not name.startswith(".")), key=lambda name: order.get(name, len(order)))
    return [(name, held[name]) for name in names]


def _read_lines(file: str, code: CodeType, line: int) -> list[LineView]:
    """Give the lines of a function, and a little of what is beside a short one."""
    lines = linecache.getlines(file)
    begin, end = min(code.co_firstlineno, line - LINES_BESIDE), max(_find_end(code), line + LINES_BESIDE)
    first, last = max(1, begin, line - MOST_LINES), min(len(lines), end, line + MOST_LINES)
    return [LineView(number, lines[number - 1].rstrip("\n")) for number in range(first, last + 1)]


def _find_end(code: CodeType) -> int:
    """Give the last line of a function, with those that are defined in it."""
    last = max((line for _, _, line in code.co_lines() if line is not None), default=code.co_firstlineno)
    return max([last, *(_find_end(inner) for inner in code.co_consts if isinstance(inner, CodeType))])


def _say_instant(at_us: int) -> str:
    return f"{from_instant(at_us):%Y-%m-%d %H:%M:%S} UTC"


def _list_calls(body: Body) -> Iterable[OpenCallView]:
    for step in body.steps.values():
        status = "queued" if not step.attempt else "retrying" if step.due_at is not None else "running"
        yield OpenCallView(
            correlation_id=step.correlation_id,
            kind="operation" if step.name.startswith("wf/") else "step",
            name=step.name,
            status=status,
            attempt=step.attempt or None,
            due_at=None if step.due_at is None else show_instant(step.due_at),
            input=show_arguments(step.arguments, LARGEST_INPUT),
        )
    for wait in body.waits.values():
        yield OpenCallView(
            correlation_id=wait.correlation_id, kind=wait.kind, status="waiting", due_at=show_instant(wait.due_at)
        )
    for hook in body.hooks.values():
        if not hook.is_disposed and hook.conflict is None:
            yield OpenCallView(
                correlation_id=hook.correlation_id,
                kind="hook",
                status="received" if hook.payloads else "waiting",
                token=hook.token,
                payloads=len(hook.payloads),
            )
    for lock in body.locks.values():
        is_held = lock.future.done() and not lock.future.cancelled()
        yield OpenCallView(
            correlation_id=lock.correlation_id,
            kind="lock",
            name=lock.name.removeprefix("lock:"),
            status="held" if is_held else "queued",
        )
    for child in body.children.values():
        if not child.future.done():
            yield OpenCallView(
                correlation_id=child.correlation_id,
                kind="child" if child.workflow else "watch",
                name=child.workflow,
                status="waiting",
                run_id=child.run_id,
            )
