"""A run as it was at an event, for a pane: the source on the left, the variables beside it. Pure.

The command line draws the same below each other (`text.moment`): it has room. A pane of ten lines is to show where
the code stands and what its variables are without being scrolled.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import zip_longest
from typing import Final

from wfstudio.core.bench.views import FrameView, MomentView, TaskView
from wfstudio.core.reasons import short_name
from wfstudio.text.moment import WIDEST_NAME, draw_end, draw_local, say_call
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.text.widths import cell_width, cut, wrap

SIDE_BY_SIDE: Final = 72
"""From so many cells on the variables are beside the source."""
_GAP: Final = "  "
_HERE: Final = ("▶", ">")


def draw_moment_pane(pen: Pen, view: MomentView) -> list[str]:
    """Draw a moment: the event, each coroutine with its frames, and what is open."""
    lines = [_draw_event(pen, view)]
    if not view.has_begun:
        return [*lines, "the run had not begun"]
    if not view.is_own:
        lines.append(pen.paint(f"replayed by {view.deployment_id}, which is not the run's own code", "yellow"))
    if view.is_plain:
        lines.append(pen.paint("no __repr__ was called: one hangs", "yellow"))
    if view.trouble is not None and (view.seq == view.reached_seq or view.trouble.is_extension):
        where = f" at {view.trouble.where}" if view.trouble.where else ""
        said = printable(f"this code goes no further{where}: {view.trouble.message}")
        lines += [pen.paint(part, "yellow") for part in wrap(said, max(20, pen.width))]
    for task in view.tasks:
        lines += _draw_task(pen, task)
    if view.more_tasks:
        lines.append(f"{pen.ellipsis} and {view.more_tasks} more coroutines")
    if view.end is not None:
        lines += draw_end(pen, view)
    if view.open_calls:
        lines += ["", pen.paint("open calls", "bold")]
        lines += [cut(f"  {say_call(pen, call)}", pen.width, pen.ellipsis) for call in view.open_calls]
    return lines


def _draw_event(pen: Pen, view: MomentView) -> str:
    event = view.event
    name = "" if event.name is None else f" {printable(short_name(event.name))}"
    call = "" if event.correlation_id is None else f" (call {event.correlation_id})"
    head = f"{event.type}{name}{call}"
    where = "" if event.where is None else cut(f"  made at {printable(event.where)}", max(0, pen.width - len(head)))
    return pen.paint(head, "bold") + pen.paint(where, "dim")


def _draw_task(pen: Pen, task: TaskView) -> list[str]:
    waits = ""
    if task.awaits is not None:
        call = "" if task.awaits.correlation_id is None else f" (call {task.awaits.correlation_id})"
        waits = f"  waits for {printable(task.awaits.text)}{call}"
    name = printable(task.name)
    lines = [pen.paint(name, "bold") + cut(waits, max(8, pen.width - cell_width(name)), pen.ellipsis)]
    for frame in task.frames:
        lines += _draw_frame(pen, frame)
    return lines


def _draw_frame(pen: Pen, frame: FrameView) -> list[str]:
    lines = [pen.paint(f"{printable(frame.file)}:{frame.line} in {printable(frame.function)}", "blue")]
    source = _draw_source(pen, frame)
    if pen.width < SIDE_BY_SIDE:
        return [*lines, *source, *_draw_locals(pen, frame, pen.width)]
    values = _draw_locals(pen, frame, pen.width)
    left = max(pen.width - max(map(_measure, values), default=0) - len(_GAP), pen.width * 3 // 5)
    left = min(left, max(map(_measure, source), default=0))
    values = _draw_locals(pen, frame, pen.width - left - len(_GAP))
    pairs = zip_longest([_fit(line, left) for line in source], values, fillvalue=None)
    return lines + [(one or " " * left) + (_GAP + other if other else "") for one, other in pairs]


def _draw_source(pen: Pen, frame: FrameView) -> list[str]:
    """Draw the lines around the one where the frame stands, without what all of them are indented by."""
    lines = frame.lines_around()
    texts = [line.text.expandtabs() for line in lines]
    indent = min((len(text) - len(text.lstrip()) for text in texts if text.strip()), default=0)
    width = len(str(max((line.number for line in lines), default=0)))
    drawn = []
    for line, text in zip(lines, texts, strict=True):
        number, shown = f"{line.number:>{width}}", printable(text[indent:])
        if line.number == frame.line:
            drawn.append(f"{pen.paint(_HERE[not pen.is_unicode], 'yellow')} {number}  {pen.paint(shown, 'bold')}")
        else:
            drawn.append(pen.paint(f"  {number}  {shown}", "dim"))
    return drawn


def _draw_locals(pen: Pen, frame: FrameView, width: int) -> list[str]:
    narrow = Pen(width=width, has_colour=pen.has_colour, is_unicode=pen.is_unicode)
    longest = min(max((len(local.name) for local in frame.locals), default=0), WIDEST_NAME)
    lines = [draw_local(narrow, local, longest) for local in frame.locals]
    lines += [f"  - {pen.paint(printable(name), 'dim')}" for name in frame.gone]
    return [*lines, f"    {pen.ellipsis} and {frame.more_locals} more"] if frame.more_locals else lines


def _measure(line: str) -> int:
    return sum(map(cell_width, _split(line)[::2]))


def _fit(line: str, width: int) -> str:
    """Give a painted line in exactly so many cells."""
    kept: list[str] = []
    room = width
    for place, part in enumerate(_split(line)):
        if place % 2:
            kept.append(f"\x1b[{part}m")
            continue
        short = cut(part, room, "")
        room -= cell_width(short)
        kept.append(short)
    return "".join(kept) + " " * room


def _split(line: str) -> Sequence[str]:
    """Split a painted line into texts and, between them, what they are painted with."""
    parts: list[str] = []
    for piece in line.split("\x1b["):
        if not parts:
            parts.append(piece)
        else:
            codes, _, text = piece.partition("m")
            parts += [codes, text]
    return parts
