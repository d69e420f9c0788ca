"""What is said of workflows and hooks, to the letter."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wfstudio.core.stats import StatsView
from wfstudio.core.views import FindingView, HookView, ParameterView, WorkflowView
from wfstudio.text.pen import Pen
from wfstudio.tui.descriptions import METADATA_LINES, draw_hook, draw_workflow, say_rate, write_signature

PEN = Pen(width=80, has_colour=False)
NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def make_workflow(**facts) -> WorkflowView:
    return WorkflowView(
        **{"id": "flow:order", "name": "order", "file": "flow.py", "line": 7, "deployment_id": "d", **facts}
    )


def make_hook(**facts) -> HookView:
    known = {"run_id": "wrun_1", "correlation_id": 3, "kind": "hook", "created_at": "2026-01-02T03:01:05.000000Z"}
    return HookView(**{**known, **facts})


def test_a_workflow_is_described_with_its_figures_and_findings():
    stats = StatsView(runs=40, in_flight=2, failed=1, failure_rate=0.026, p50_ms=12.4, p95_ms=None)
    finding = FindingView(
        code="WF101",
        message="it reads the clock",
        where="in order",
        file="flow.py",
        line=9,
        why="time moves",
        fix="wf.now()",
    )
    replayed = FindingView(code="NONDETERMINISM", message="it differs", run_id="wrun_1", severity="warning")
    workflow = make_workflow(doc="Sell it.\n\n\tCarefully.", stats=stats, findings=[finding, replayed])
    assert draw_workflow(PEN, workflow, has_findings=True) == [
        "async def order()",
        "flow.py:7",
        "",
        "Sell it.",
        "",
        "    Carefully.",
        "",
        "40 runs · 2 in flight · 2.6 % failed · p50 12 ms · p95 –  of the newest 200",
        "",
        "‼ WF101 it reads the clock",
        "  flow.py:9 in order",
        "  time moves",
        "  fix: wf.now()",
        "",
        "! NONDETERMINISM it differs",
        "  run wrun_1",
    ]


def test_where_nobody_looked_for_findings_it_is_said_who_does():
    assert draw_workflow(PEN, make_workflow(), has_findings=False)[-1] == (
        "findings come with `wf dev`; `wf check` looks for them, too"
    )


def test_a_signature_reads_as_python():
    parameters = [
        ParameterView(name="card", kind="positional", is_required=True, schema={"type": "string"}),
        ParameterView(name="lines", kind="positional", is_required=False, schema={"type": "array"}, default="()"),
        ParameterView(name="loud", kind="keyword", is_required=False, schema={"type": "boolean"}, default="False"),
        ParameterView(name="more", kind="kwargs", is_required=False),
    ]
    assert write_signature(make_workflow(parameters=parameters)) == (
        "async def order(card: str, lines: list = (), *, loud: bool = False, **more)"
    )
    rest = [ParameterView(name="rest", kind="args", is_required=False), parameters[2]]
    assert write_signature(make_workflow(parameters=rest)) == "async def order(*rest, loud: bool = False)"


@pytest.mark.parametrize(
    ("rate", "said"), [(None, "–"), (0.0, "0 %"), (0.004, "0.4 %"), (0.26, "26 %"), (1.0, "100 %")]
)
def test_a_rate_is_as_fine_as_it_is_small(rate, said):
    assert say_rate(rate) == said


def test_a_hook_is_described_with_what_its_run_said_of_it():
    hook = make_hook(token="site:ada", name="flow:Approval", metadata={"site": "ada"})
    assert draw_hook(PEN, hook, NOW) == [
        "site:ada",
        "hook of flow:Approval · waits for 3m · wrun_1",
        "",
        "{",
        '  "site": "ada"',
        "}",
    ]
    assert draw_hook(PEN, make_hook(name="hook", created_at="2026-01-02T03:04:05.000000Z"), NOW) == [
        "locked",
        "hook · waits for a moment · wrun_1",
    ]


def test_long_metadata_is_cut():
    lines = draw_hook(PEN, make_hook(token="x", metadata=list(range(100))), NOW)
    assert len(lines) == 3 + METADATA_LINES + 1
    assert lines[-1] == f"… {102 - METADATA_LINES} more lines"


def test_what_others_wrote_is_made_harmless():
    hostile = "\x1b[2J\u202e"
    workflow = make_workflow(
        doc=hostile, name=hostile, file=hostile, findings=[FindingView(code=hostile, message=hostile)]
    )
    hook = make_hook(token=hostile, name=hostile, metadata={hostile: hostile})
    text = "".join([*draw_workflow(PEN, workflow, has_findings=True), *draw_hook(PEN, hook, NOW)])
    assert "\x1b" not in text
    assert "\u202e" not in text
