"""Moments on a terminal: a run as it was at an event, with source lines and local variables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wfstudio.core.bench.views import FrameView, LineView, LocalView, MomentView, OpenCallView, TaskView
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, to_json
from wfstudio.text.widths import cut

_SIGNS: Final = {"new": "+", "changed": "*", None: " "}
WIDEST_NAME: Final = 24
_WIDEST_PIPED: Final = 500


def draw_moment(pen: Pen, view: MomentView) -> list[str]:
    """Draw a moment: the event, each coroutine with its frames, and what is open."""
    event = view.event
    what = f"{event.type} {printable(event.name)}" if event.name else event.type
    call = f" (call {event.correlation_id})" if event.correlation_id is not None else ""
    lines = [
        f"{pen.paint(view.run_id, 'bold')}  event {view.seq} of {view.events}: {what}{call}",
        pen.paint(_describe(view), "dim"),
    ]
    if view.event.where is not None:
        lines.append(pen.paint(f"  made at {printable(view.event.where)}", "dim"))
    if not view.has_begun:
        return [*lines, "", "the run had not begun"]
    for task in view.tasks:
        lines += ["", *_draw_task(pen, task)]
    if view.more_tasks:
        lines += ["", f"… and {view.more_tasks} more coroutines"]
    if view.end is not None:
        lines += ["", *draw_end(pen, view)]
    if view.open_calls:
        lines += ["", pen.paint("open calls", "bold")]
        lines += [f"  {say_call(pen, call)}" for call in view.open_calls]
    if view.trouble is not None and (view.seq == view.reached_seq or view.trouble.is_extension):
        trouble = view.trouble
        where = f" at {printable(trouble.where)}" if trouble.where else ""
        lines += ["", pen.paint(f"this code goes no further{where}: {printable(trouble.message)}", "yellow")]
    return lines


def _describe(view: MomentView) -> str:
    code = f"its own code, {view.deployment_id}" if view.is_own else f"the code {view.deployment_id}"
    parts = [view.event.at, f"the run is {view.status}", f"replayed by {code}"]
    if view.is_plain:
        parts.append("no __repr__ was called: one hangs")
    return "  " + " · ".join(parts)


def _draw_task(pen: Pen, task: TaskView) -> list[str]:
    waits = f"  waits for {printable(task.awaits.text)}" if task.awaits is not None else ""
    if task.awaits is not None and task.awaits.correlation_id is not None:
        waits += f" (call {task.awaits.correlation_id})"
    lines = [f"{pen.paint(printable(task.name), 'bold')}{waits}"]
    for frame in task.frames:
        lines += _draw_frame(pen, frame)
    return lines


def _draw_frame(pen: Pen, frame: FrameView) -> list[str]:
    lines = [f"  {printable(frame.file)}:{frame.line} in {printable(frame.function)}"]
    lines += draw_source(pen, frame.lines_around(), frame.line)
    width = min(max((len(local.name) for local in frame.locals), default=0), WIDEST_NAME)
    lines += [draw_local(pen, local, width) for local in frame.locals]
    lines += [f"  - {pen.paint(printable(name), 'dim')}" for name in frame.gone]
    if frame.more_locals:
        lines.append(f"    … and {frame.more_locals} more")
    return lines


def draw_source(pen: Pen, lines: Sequence[LineView], marked: int) -> list[str]:
    """Draw source lines with their numbers, one of them marked."""
    drawn = []
    for line in lines:
        text = printable(line.text.expandtabs())
        if line.number == marked:
            drawn.append(f"  > {line.number:>5} | {pen.paint(text, 'bold')}")
        else:
            drawn.append(pen.paint(f"    {line.number:>5} | {text}", "dim"))
    return drawn


def draw_local(pen: Pen, local: LocalView, width: int) -> str:
    """Draw a local variable, its name in so many cells, with a sign for what is new or has changed."""
    room = max(pen.width - width - 8, 20) if pen.is_tty else _WIDEST_PIPED
    text = cut(printable(local.value.text), room, pen.ellipsis)
    if local.value.problem is not None:
        text += pen.paint(f"  ({printable(local.value.problem)})", "yellow")
    name = printable(local.name).ljust(width)
    style = ("green",) if local.change == "new" else ("yellow",) if local.change == "changed" else ()
    return f"  {pen.paint(f'{_SIGNS[local.change]} {name}', *style)}  {text}"


def draw_end(pen: Pen, view: MomentView) -> list[str]:
    """Draw how the body had ended."""
    end = view.end
    assert end is not None
    said = {"forced": "the run was ended from outside", "cancelled": "the body was cancelled"}.get(end.kind)
    if said is None:
        text = "" if end.value is None else printable(end.value.text)
        said = f"the body {end.kind} {text}"
    lines = [pen.paint(said, "red" if end.kind == "raised" else "bold")]
    for frame in end.frames:
        lines += _draw_frame(pen, frame)
    return lines


def say_call(pen: Pen, call: OpenCallView) -> str:
    """Say what an open call is, in a line."""
    name = call.name or call.token or call.run_id or ""
    parts = [f"{call.correlation_id:>3}", call.kind, printable(name), call.status]
    if call.attempt is not None:
        parts.append(f"attempt {call.attempt}")
    if call.payloads:
        parts.append(f"{call.payloads} payload{'' if call.payloads == 1 else 's'} kept")
    if call.due_at is not None:
        parts.append(f"due {call.due_at}")
    if call.input is not None:
        parts.append(cut(to_json(call.input), 60, pen.ellipsis))
    return "  ".join(part for part in parts if part)
