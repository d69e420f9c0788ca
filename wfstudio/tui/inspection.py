"""What is known of one span, as lines: the inspector of a run's screen. Pure.

The run: what it is, what went in and came out, its traceback. A step: its attempts, too, and what they
printed. Any other call: its events with what they hold.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import msgspec

from wfstudio.core import views
from wfstudio.core.reasons import short_name
from wfstudio.core.traces import Span, Trace
from wfstudio.core.views import ChunkView, ErrorView, EventView, LogView, RunView, StepView, StreamView
from wfstudio.text.details import draw_trouble, list_faults, list_run_facts
from wfstudio.text.moments import show_instant, show_ms
from wfstudio.text.payloads import draw_payload
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable
from wfstudio.text.timeline import label_span, status_sign
from wfstudio.text.tracebacks import describe_error
from wfstudio.text.widths import cut, wrap

LARGEST_SHOWN: Final = 1_000_000
"""Bytes of a payload that are opened to be shown."""
_MOST_LOGS: Final = 500
_MOST_SAID: Final = 3
_MARGIN: Final = "  "
_KEY_WIDTH: Final = 12
_LONGEST_FACT: Final = 400


class Found(msgspec.Struct, frozen=True):
    """What was read of a span: of the run its view, of a step its view and logs, of any other call its events."""

    span: Span
    trace: Trace
    run: RunView | None = None
    step: StepView | None = None
    events: Sequence[EventView] = ()
    logs: Sequence[LogView] = ()


def inspect_span(pen: Pen, found: Found) -> list[str]:
    """Draw what is known of a span."""
    if found.run is not None:
        return _inspect_run(pen, found.run, found.trace)
    if found.step is not None:
        return _inspect_step(pen, found.span, found.step, found.logs)
    return _inspect_call(pen, found.span, found.events)


# -- the run ------------------------------------------------------------------------------------


def _inspect_run(pen: Pen, run: RunView, trace: Trace) -> list[str]:
    lines = [f"{pen.show_status(run.status)}  {pen.paint(printable(run.workflow), 'bold')}"]
    lines += say_error(pen, run.error)
    lines += draw_facts(pen, [("id", run.id), *list_run_facts(pen, run)])
    if run.status == "cancelled" and isinstance(run.output, str):
        lines += draw_facts(pen, [("because", run.output)])
    lines += list_faults(pen, trace)
    lines += _draw_error(pen, draw_trouble(pen, run))
    lines += _draw_values(pen, run.input, run.output, run.is_locked, has_output=run.status == "completed")
    return lines


# -- a step -------------------------------------------------------------------------------------


def _inspect_step(pen: Pen, span: Span, step: StepView, logs: Sequence[LogView]) -> list[str]:
    lines = [_head(pen, span, step.name), *say_error(pen, step.error)]
    lines += draw_facts(
        pen,
        [
            ("position", f"{step.correlation_id}" + (", inherited" if span.is_inherited else "")),
            ("created", show_instant(pen, step.created_at)),
            ("queued", show_ms(step.queued_ms) if step.queued_ms else None),
            ("took", show_ms(step.duration_ms)),
            ("next at", show_instant(pen, step.due_at)),
        ],
    )
    if len(step.attempts) > 1 or step.status not in ("completed", "failed"):
        lines += ["", pen.paint("attempts", "bold")]
        for attempt in step.attempts:
            error = attempt.error
            said = "" if error is None else f"  {error.type or ''}: {error.message or ''}".rstrip(": ")
            took = show_ms(attempt.duration_ms)
            lines += _draw_attempt(pen, attempt.number, attempt.status, f"  {took}{printable(said)}")
    if step.error is not None:
        lines += ["", *_draw_error(pen, describe_error(step.error))]
    lines += _draw_values(pen, step.input, step.output, step.is_locked, has_output=step.status == "completed")
    return lines + _draw_logs(pen, logs)


def _draw_logs(pen: Pen, logs: Sequence[LogView]) -> list[str]:
    if not logs:
        return []
    lines = ["", pen.paint("printed", "bold")]
    several = len({line.attempt for line in logs}) > 1
    for line in logs[:_MOST_LOGS]:
        lines += draw_log(pen, line, f"{line.attempt} " if several else "")
    if len(logs) > _MOST_LOGS:
        lines.append(pen.paint(f"{_MARGIN}{pen.ellipsis} and {len(logs) - _MOST_LOGS} more", "dim"))
    return lines


def draw_log(pen: Pen, line: LogView, place: str) -> list[str]:
    """Draw a line that was printed or logged, behind where it comes from."""
    level = "" if line.source == "stdout" else line.source.removeprefix("logging:") + " "
    style = "red" if level.strip() in ("ERROR", "CRITICAL", "stderr") else "dim"
    head = _MARGIN + pen.paint(place, "dim") + pen.paint(level, style)
    width = len(_MARGIN) + len(place) + len(level)
    first, *rest = wrap(printable(line.text.expandtabs(4)), max(20, pen.width - width - 1))
    return [head + first, *(" " * (len(_MARGIN) + 2) + more for more in rest)]


# -- any other call -----------------------------------------------------------------------------


def _inspect_call(pen: Pen, span: Span, events: Sequence[EventView]) -> list[str]:
    lines = [_head(pen, span, span.name)]
    spent = None if span.end_ms is None else span.end_ms - span.start_ms
    lines += draw_facts(
        pen,
        [
            ("position", None if span.correlation_id is None else str(span.correlation_id)),
            ("created", show_instant(pen, span.at)),
            ("took", show_ms(spent)),
            ("due", show_instant(pen, span.due_at) if span.end_ms is None else None),
            ("run", span.child_run_id),
            ("error", span.error_type),
        ],
    )
    for event in events:
        lines += ["", f"{pen.paint(event.type, 'bold')}  {pen.paint(f'event {event.seq}', 'dim')}"]
        lines += draw_event(pen, event)
    return lines


def draw_event(pen: Pen, event: EventView) -> list[str]:
    """Draw what an event holds: what is said of it in clear, and its payload."""
    lines = []
    if event.meta:
        lines += draw_payload(pen, _show_due(event.meta), _MARGIN)
    if event.is_locked:
        lines.append(pen.paint(f"{_MARGIN}locked: its key is not here", "yellow"))
    elif event.payload is not None:
        lines += draw_payload(pen, event.payload, _MARGIN)
    return lines or [pen.paint(f"{_MARGIN}holds nothing more", "dim")]


def _show_due(meta: Mapping[str, Any]) -> dict[str, Any]:
    """Write an instant as people do, which a log has in microseconds."""
    due = meta.get("due_at")
    return {**meta, "due_at": views.show_instant(due)} if isinstance(due, int) else dict(meta)


# -- what they share ----------------------------------------------------------------------------


def draw_facts(pen: Pen, facts: Sequence[tuple[str, str | None]]) -> list[str]:
    """Draw what is known of something; what has no room on its line goes on below. What is not known is left out."""
    lines: list[str] = []
    room = len(_MARGIN) + _KEY_WIDTH
    for key, value in facts:
        if value:
            first, *rest = wrap(cut(printable(value), _LONGEST_FACT, pen.ellipsis), max(20, pen.width - room))
            lines.append(f"{_MARGIN}{pen.paint(key.ljust(_KEY_WIDTH), 'dim')}{first}")
            lines += [" " * room + part for part in rest]
    return lines


def _head(pen: Pen, span: Span, name: str) -> str:
    kind = "" if span.kind == "step" else pen.paint(f"  {span.kind}", "dim")
    title = pen.paint(label_span(span), "bold")
    where = printable(name.rpartition(":")[0]) if short_name(name) != name else ""
    return f"{status_sign(pen, span.status)} {title}  {span.status}{kind}  {pen.paint(where, 'dim')}".rstrip()


def _draw_values(pen: Pen, given: Any, result: Any, is_locked: bool, *, has_output: bool) -> list[str]:
    if is_locked:
        return ["", pen.paint("locked: the key of these payloads is not here", "yellow")]
    lines = ["", pen.paint("input", "bold"), *draw_payload(pen, given, _MARGIN)] if given is not None else []
    if has_output:
        lines += ["", pen.paint("output", "bold"), *draw_payload(pen, result, _MARGIN)]
    return lines


def _draw_attempt(pen: Pen, number: int, status: str, text: str) -> list[str]:
    width = len(f"{_MARGIN}{number}  ") + len(status) + 2  # its sign, and a space
    first, *rest = wrap(text, max(20, pen.width - width))
    return [f"{_MARGIN}{number}  {pen.show_status(status)}{first}", *(f"{_MARGIN}   {more.strip()}" for more in rest)]


def say_error(pen: Pen, error: ErrorView | None) -> list[str]:
    """Say what was raised, in a few lines; the traceback is said elsewhere."""
    if error is None:
        return []
    said = printable(f"{error.type or error.code or 'error'}: {error.message or ''}".rstrip(": "))
    parts = wrap(said, max(20, pen.width - len(_MARGIN)))
    return [_MARGIN + pen.paint(part, "red") for part in parts[:_MOST_SAID]]


def _draw_error(pen: Pen, lines: Sequence[str]) -> list[str]:
    """Draw a traceback: what was raised stands out, lines that are too long are broken."""
    drawn: list[str] = []
    for line in lines:
        if "\x1b" in line:  # it is painted, and as it is to be
            drawn.append(line)
            continue
        is_raised = bool(line) and not line.startswith((" ", "Traceback "))
        parts = wrap(line, max(20, pen.width))
        drawn += [pen.paint(part, "red") for part in parts] if is_raised else parts
    return drawn


# -- the whole run's ----------------------------------------------------------------------------


def list_logs(pen: Pen, logs: Sequence[LogView], *, is_cut: bool) -> list[str]:
    """List what all attempts printed and logged, each line behind its call and attempt."""
    if not logs:
        return [pen.paint("the run's steps printed nothing so far; an attempt's lines come when it ends", "dim")]
    width = max(len(_place(line)) for line in logs)
    lines = [part for line in logs for part in draw_log(pen, line, _place(line).rjust(width) + "  ")]
    return [*lines, pen.paint("`wf logs` has all of it", "dim")] if is_cut else lines


def _place(line: LogView) -> str:
    return f"{line.correlation_id}:{line.attempt}"


def draw_streams(pen: Pen, streams: Sequence[StreamView], chunks: Mapping[str, Sequence[ChunkView]]) -> list[str]:
    """Draw the streams of a run: texts as they are, other values as JSON."""
    if not streams:
        return [pen.paint("the run has written to no stream", "dim")]
    lines: list[str] = []
    for stream in streams:
        count = stream.tail_index + 1
        state = "closed" if stream.is_closed else "open"
        said = f"{count} {'chunk' if count == 1 else 'chunks'}, {state}"
        lines += [f"{pen.paint(printable(stream.name), 'bold')}  {pen.paint(said, 'dim')}"]
        found = chunks.get(stream.name, ())
        if len(found) < count:
            lines.append(pen.paint(f"{_MARGIN}{pen.ellipsis} {count - len(found)} before these", "dim"))
        lines += [*_draw_chunks(pen, found), ""]
    return lines


def _draw_chunks(pen: Pen, chunks: Sequence[ChunkView]) -> list[str]:
    """Draw chunks; texts that follow each other are one text: tokens of a model make words only together."""
    lines: list[str] = []
    for is_text, group in groupby(chunks, key=lambda chunk: isinstance(chunk.value, str)):
        if is_text:
            text = "".join(chunk.value for chunk in group)
            for line in text.splitlines():
                lines += [_MARGIN + part for part in wrap(printable(line.expandtabs(4)), max(20, pen.width - 2))]
            continue
        for chunk in group:
            if chunk.is_locked:
                lines.append(pen.paint(f"{_MARGIN}locked: its key is not here", "yellow"))
            else:
                lines += draw_payload(pen, chunk.value, _MARGIN)
    return lines
