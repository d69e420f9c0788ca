"""What is said of a workflow and of a hook, above their forms: lines that a pen draws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

from wfstudio.core.views import FindingView, HookView, ParameterView, WorkflowView
from wfstudio.text.moments import show_ms, show_relative
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, printable_lines, to_json
from wfstudio.text.widths import wrap

METADATA_LINES: Final = 12
_PYTHON: Final = {
    "string": "str", "integer": "int", "number": "float", "boolean": "bool", "array": "list", "object": "dict",
    "null": "None",
}  # fmt: skip


def draw_workflow(pen: Pen, workflow: WorkflowView, *, has_findings: bool) -> list[str]:
    """Say what a workflow is, how it fares, and what is wrong with it. `has_findings`: they were looked for."""
    lines = [
        pen.paint(printable(write_signature(workflow)), "bold"),
        pen.paint(printable(f"{workflow.file}:{workflow.line}"), "dim"),
    ]
    if workflow.doc:
        lines += ["", *printable_lines(workflow.doc).expandtabs(4).split("\n")]
    if workflow.stats is not None:
        lines += ["", _draw_stats(pen, workflow)]
    for finding in workflow.findings:
        lines += ["", *_draw_finding(pen, finding)]
    if not has_findings:
        lines += ["", pen.paint("findings come with `wf dev`; `wf check` looks for them, too", "dim")]
    return lines


def write_signature(workflow: WorkflowView) -> str:
    parameters = ", ".join(_write_parameters(workflow.parameters))
    return f"async def {workflow.name}({parameters})"


def _write_parameters(parameters: Sequence[ParameterView]) -> list[str]:
    """Write parameters as in Python; a star goes before the first that has to be named."""
    written: list[str] = []
    has_star = False
    for parameter in parameters:
        if parameter.kind == "keyword" and not has_star:
            written.append("*")
        has_star = has_star or parameter.kind in ("args", "keyword")
        star = {"args": "*", "kwargs": "**"}.get(parameter.kind, "")
        kind = parameter.schema.get("type")
        type = f": {_PYTHON.get(kind, kind)}" if isinstance(kind, str) else ""
        written.append(f"{star}{parameter.name}{type}" + (f" = {parameter.default}" if parameter.default else ""))
    return written


def say_rate(rate: float | None) -> str:
    """Write a share as per cent: finer where it is small, and never as nothing where it is something."""
    if rate is None:
        return "–"
    return f"{rate * 100:.{1 if 0 < rate < 0.1 else 0}f} %"


def _draw_stats(pen: Pen, workflow: WorkflowView) -> str:
    stats = workflow.stats
    assert stats is not None
    rate = say_rate(stats.failure_rate)
    figures = [
        f"{stats.runs} {'run' if stats.runs == 1 else 'runs'}",
        f"{stats.in_flight} in flight",
        pen.paint(f"{rate} failed", "red") if stats.failed else f"{rate} failed",
        f"p50 {show_ms(stats.p50_ms) or '–'}",
        f"p95 {show_ms(stats.p95_ms) or '–'}",
    ]
    return " · ".join(figures) + pen.paint("  of the newest 200", "dim")


def _draw_finding(pen: Pen, finding: FindingView) -> list[str]:
    sign = "‼" if finding.severity == "error" else "!"
    colour = "red" if finding.severity == "error" else "yellow"
    lines = [f"{pen.paint(f'{sign} {printable(finding.code)}', colour)} {printable(finding.message)}"]
    place = f"{finding.file}:{finding.line}" if finding.file and finding.line else None
    where = " ".join(part for part in (place, finding.where) if part)
    told = [where, finding.why, finding.fix and f"fix: {finding.fix}", finding.run_id and f"run {finding.run_id}"]
    pieces = [piece for part in told if part for piece in wrap(printable(part), max(20, pen.width - 2))]
    return lines + [pen.paint(f"  {piece}", "dim") for piece in pieces]


def draw_hook(pen: Pen, hook: HookView, now: datetime) -> list[str]:
    """Say what waits, since when, and what its run said of it."""
    kind = hook.kind if hook.name in (None, hook.kind) else f"{hook.kind} of {hook.name}"
    since = show_relative(datetime.fromisoformat(hook.created_at), now).removesuffix(" ago")
    waits = "waits for a moment" if since == "now" else f"waits for {since}"
    lines = [
        pen.paint(name_hook(hook), "bold"),
        f"{printable(kind)} · {waits} · {pen.paint(printable(hook.run_id), 'dim')}",
    ]
    if hook.metadata is not None:
        text = to_json(hook.metadata, indent=True).split("\n")
        lines += ["", *text[:METADATA_LINES]]
        if len(text) > METADATA_LINES:
            lines.append(pen.paint(f"… {len(text) - METADATA_LINES} more lines", "dim"))
    return lines


def name_hook(hook: HookView) -> str:
    """Name a hook by its token; that of a locked one is not known."""
    return "locked" if hook.token is None else printable(hook.token)
