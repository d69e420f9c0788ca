"""Spans written by hand, for what draws and chooses them."""

from __future__ import annotations

from typing import Any

from wfstudio.core.traces import Segment, Span, Trace
from wfstudio.text.looks import Look, Row, lay_out

AT = "2026-01-01T00:00:00.000000Z"


def span(id: str, name: str, *parts: tuple[Any, ...], **facts: Any) -> Span:
    """Make a span, a completed step by default, of segments: kind, start, end and, of an attempt, its outcome."""
    segments = [
        Segment(kind=part[0], start_ms=part[1], end_ms=part[2], outcome=part[3] if len(part) > 3 else None)
        for part in parts
    ]
    known = {
        "kind": "step",
        "status": "completed",
        "seq": 1,
        "at": AT,
        "correlation_id": int(id) if id.isdecimal() else None,
        "start_ms": segments[0].start_ms,
        "end_ms": segments[-1].end_ms,
        "attempts": sum(part.kind == "running" for part in segments),
    }
    return Span(id=id, name=name, segments=segments, **{**known, **facts})


def trace(*spans: Span, run_id: str = "wrun_1", at: str = AT) -> Trace:
    return Trace(
        run_id=run_id, workflow="shop:order", status=spans[0].status, seq=9, at=at, end_ms=spans[0].end_ms,
        spans=list(spans), markers=[],
    )  # fmt: skip


CHARGE = span(
    "1", "shop:charge", ("running", 100, 300, "failed"), ("retry_wait", 300, 500), ("running", 500, 600, "completed")
)
ORDER = trace(
    span("run", "shop:order", ("queued", 0, 100), ("running", 100, 1000), kind="run", status="failed"),
    CHARGE,
    span("2", "shop:pack", ("waiting", 600, 900), kind="child", child_run_id="wrun_2"),
    span("3", "shop:ship", ("running", 900, 1000, "failed"), status="failed", error_type="shop.Lost"),
)
PACK = trace(
    span("run", "shop:pack", ("running", 0, 300), kind="run"),
    span("1", "shop:box", ("running", 0, 100)),
    span("2", "shop:tape", ("running", 100, 300)),
    run_id="wrun_2",
    at="2026-01-01T00:00:00.600000Z",
)


def order_rows() -> list[Row]:
    """A run of two steps, with a child of two steps between them."""
    return lay_out(Look(ORDER, {"wrun_2": PACK}))


def names(rows: list[Row]) -> list[str]:
    return [row.span.name.rpartition(":")[2] for row in rows]
