"""Details: one run, one step, as a reader sees it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from wf.origin import read_origin
from wfstudio.core.reasons import short_name
from wfstudio.core.traces import Trace
from wfstudio.core.views import ForkView, RunView, StepView
from wfstudio.text.looks import Look, lay_out
from wfstudio.text.moments import show_instant, show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, to_json
from wfstudio.text.timeline import draw_timeline
from wfstudio.text.told_reasons import show_reason
from wfstudio.text.tracebacks import describe_error
from wfstudio.text.widths import cut

MOST_LINES = 200
"""Spans that a timeline draws unless more are asked for."""
_MOST_FAULTS = 10
_KEY_WIDTH = 11
_VALUE_WIDTH = 2_000


def draw_run(pen: Pen, run: RunView, look: Look, limit: int | None = MOST_LINES) -> list[str]:
    """Draw a run: what it is, its timeline, and why it failed."""
    now = time.time() if pen.now is None else pen.now.timestamp()
    now_ms = (now - datetime.fromisoformat(look.trace.at).timestamp()) * 1000
    lines = [f"{pen.paint(run.id, 'bold')}  {pen.show_status(run.status)}  {printable(run.workflow)}"]
    lines += list_facts(
        pen,
        [
            *list_run_facts(pen, run),
            *_show_values(run.input, run.output if run.status == "completed" else None, run.is_locked),
        ],
    )
    if run.status == "cancelled" and isinstance(run.output, str):
        lines += list_facts(pen, [("because", run.output)])
    lines += list_faults(pen, look.trace)
    lines += ["", *draw_timeline(pen, lay_out(look), max(now_ms, 0.001), limit=limit)]
    return [*lines, *draw_trouble(pen, run)]


def list_run_facts(pen: Pen, run: RunView) -> list[tuple[str, str | None]]:
    """List what a run is, but for what went in and came out."""
    return [
        ("reason", show_reason(pen, run.reason) if run.attention is None and run.origin is None else None),
        ("created", show_instant(pen, run.created_at)),
        ("queued", show_ms(run.queued_ms)),
        ("took", show_ms(run.duration_ms)),
        ("deployment", run.deployment_id),
        ("attributes", " ".join(f"{key}={value}" for key, value in run.attributes.items())),
        ("parent", run.parent_run_id),
        ("continues", run.continued_from),
        ("goes on as", run.continued_as),
        ("forked from", run.forked_from if run.fork is None else _say_fork(run.fork)),
        ("imported", None if run.origin is None else f"from {read_origin(run.origin).name}, read-only"),
    ]


def draw_trouble(pen: Pen, run: RunView) -> list[str]:
    """Draw why a run cannot go on, or what it failed of; nothing where all is well."""
    lines: list[str] = []
    if run.attention is not None:
        lines += ["", pen.paint(f"needs attention: {printable(run.attention.message)}", "yellow")]
        stack = (run.attention.actual or "").splitlines() if run.attention.code == "BLOCKED" else []
        lines += [f"  at {printable(place)}" for place in stack or [run.attention.where or ""] if place]
    if run.error is not None:
        lines += ["", *describe_error(run.error)]
    return lines


def list_faults(pen: Pen, trace: Trace) -> list[str]:
    """List what was done to a run on purpose, so that nobody takes it for real."""
    texts = [str(marker.data.get("text", "")) for marker in trace.markers if marker.kind == "fault"]
    shown = [("injected", text) for text in texts[:_MOST_FAULTS]]
    more = len(texts) - len(shown)
    lines = list_facts(pen, [*shown, *([("", f"and {more} more faults")] if more else [])])
    return [pen.paint(line, "yellow") for line in lines]


def _say_fork(fork: ForkView) -> str:
    """Say where a fork comes from, whether it stands in that run's place, and what it heard otherwise."""
    place = "from its beginning" if fork.seq == 1 else f"after event {fork.seq}"
    parts = [f"{fork.run_id} {place}" + ("" if fork.is_beside else ", in its place")]
    for edit in fork.edits:
        of = "" if edit.name is None else f" of {short_name(edit.name)} (position {edit.correlation_id})"
        parts.append(f"another {edit.what}{of}")
    return ", ".join(parts)


def draw_step(pen: Pen, step: StepView) -> list[str]:
    """Draw a step: what it is, its attempts, and why it failed."""
    lines = [f"{pen.paint(step.id, 'bold')}  {pen.show_status(step.status)}  {printable(step.name)}"]
    lines += list_facts(
        pen,
        [
            ("created", show_instant(pen, step.created_at)),
            ("queued", show_ms(step.queued_ms)),
            ("took", show_ms(step.duration_ms)),
            ("next at", show_instant(pen, step.due_at)),
            *_show_values(step.input, step.output if step.status == "completed" else None, step.is_locked),
        ],
    )
    for attempt in step.attempts:
        error = ""
        if attempt.error is not None:
            error = f"  {attempt.error.type or ''}: {attempt.error.message or ''}".rstrip(": ")
        status = pen.show_status(attempt.status)
        lines.append(f"  attempt {attempt.number}  {status}  {show_ms(attempt.duration_ms)}{printable(error)}")
    if step.error is not None:
        lines += ["", *describe_error(step.error)]
    return lines


def _show_values(given: Any, result: Any, is_locked: bool) -> list[tuple[str, str | None]]:
    if is_locked:
        return [("payloads", "locked: not opened, or their key is not here")]
    return [
        ("input", None if given is None else to_json(given)),
        ("output", None if result is None else to_json(result)),
    ]


def list_facts(pen: Pen, facts: list[tuple[str, str | None]]) -> list[str]:
    """Draw what is known of something, a line each, cut to the pen's width; what is not known is left out."""
    width = max(pen.width - _KEY_WIDTH - 3, 20) if pen.is_tty else _VALUE_WIDTH
    return [
        f"  {pen.paint(key.ljust(_KEY_WIDTH), 'dim')} {cut(printable(value), width, pen.ellipsis)}"
        for key, value in facts
        if value
    ]
