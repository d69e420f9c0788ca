"""Details: one run, one step, as a reader sees it."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

from wf.origin import read_origin
from wfstudio.cli.terminal import Terminal
from wfstudio.core.reasons import short_name
from wfstudio.core.traces import Trace
from wfstudio.core.views import ForkView, RunView, StepView
from wfstudio.text.looks import Look, lay_out
from wfstudio.text.moments import show_instant, show_ms
from wfstudio.text.printable import printable, to_json
from wfstudio.text.timeline import draw_timeline
from wfstudio.text.tracebacks import describe_error
from wfstudio.text.widths import cut

MOST_LINES = 200
"""Spans that a timeline draws unless more are asked for."""
_MOST_FAULTS = 10
_KEY_WIDTH = 11
_VALUE_WIDTH = 2_000


def draw_run(terminal: Terminal, run: RunView, look: Look, limit: int | None = MOST_LINES) -> list[str]:
    """Draw a run: what it is, its timeline, and why it failed."""
    now_ms = (time.time() - datetime.fromisoformat(look.trace.at).timestamp()) * 1000
    lines = [f"{terminal.paint(run.id, 'bold')}  {terminal.show_status(run.status)}  {printable(run.workflow)}"]
    facts: list[tuple[str, str | None]] = [
        ("reason", run.reason if run.attention is None and run.origin is None else None),
        ("created", show_instant(terminal, run.created_at)),
        ("queued", show_ms(run.queued_ms)),
        ("took", show_ms(run.duration_ms)),
        ("deployment", run.deployment_id),
        ("attributes", " ".join(f"{key}={value}" for key, value in run.attributes.items())),
        ("parent", run.parent_run_id),
        ("continues", run.continued_from),
        ("goes on as", run.continued_as),
        ("forked from", run.forked_from if run.fork is None else _say_fork(run.fork)),
        ("imported", None if run.origin is None else f"from {read_origin(run.origin).name}, read-only"),
        *_show_values(run.input, run.output if run.status == "completed" else None, run.is_locked),
    ]
    lines += _list_facts(terminal, facts)
    if run.status == "cancelled" and isinstance(run.output, str):
        lines += _list_facts(terminal, [("because", run.output)])
    lines += _list_faults(terminal, look.trace)
    lines += ["", *draw_timeline(terminal, lay_out(look), max(now_ms, 0.001), limit=limit)]
    if run.attention is not None:
        lines += ["", terminal.paint(f"needs attention: {printable(run.attention.message)}", "yellow")]
        if run.attention.where:
            lines.append(f"  at {printable(run.attention.where)}")
    if run.error is not None:
        lines += ["", *describe_error(run.error)]
    return lines


def _list_faults(terminal: Terminal, trace: Trace) -> list[str]:
    """List what was done to a run on purpose, so that nobody takes it for real."""
    texts = [str(marker.data.get("text", "")) for marker in trace.markers if marker.kind == "fault"]
    shown = [("injected", text) for text in texts[:_MOST_FAULTS]]
    more = len(texts) - len(shown)
    lines = _list_facts(terminal, [*shown, *([("", f"and {more} more faults")] if more else [])])
    return [terminal.paint(line, "yellow") for line in lines]


def _say_fork(fork: ForkView) -> str:
    """Say where a fork comes from, whether it stands in that run's place, and what it heard otherwise."""
    place = "from its beginning" if fork.seq == 1 else f"after event {fork.seq}"
    parts = [f"{fork.run_id} {place}" + ("" if fork.is_beside else ", in its place")]
    for edit in fork.edits:
        of = "" if edit.name is None else f" of {short_name(edit.name)} (position {edit.correlation_id})"
        parts.append(f"another {edit.what}{of}")
    return ", ".join(parts)


def draw_step(terminal: Terminal, step: StepView) -> list[str]:
    """Draw a step: what it is, its attempts, and why it failed."""
    lines = [f"{terminal.paint(step.id, 'bold')}  {terminal.show_status(step.status)}  {printable(step.name)}"]
    lines += _list_facts(
        terminal,
        [
            ("created", show_instant(terminal, step.created_at)),
            ("queued", show_ms(step.queued_ms)),
            ("took", show_ms(step.duration_ms)),
            ("next at", show_instant(terminal, step.due_at)),
            *_show_values(step.input, step.output if step.status == "completed" else None, step.is_locked),
        ],
    )
    for attempt in step.attempts:
        error = ""
        if attempt.error is not None:
            error = f"  {attempt.error.type or ''}: {attempt.error.message or ''}".rstrip(": ")
        status = terminal.show_status(attempt.status)
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


def _list_facts(terminal: Terminal, facts: list[tuple[str, str | None]]) -> list[str]:
    width = max(terminal.width - _KEY_WIDTH - 3, 20) if terminal.is_tty else _VALUE_WIDTH
    return [
        f"  {terminal.paint(key.ljust(_KEY_WIDTH), 'dim')} {cut(printable(value), width, terminal.ellipsis)}"
        for key, value in facts
        if value
    ]
