"""Timelines: hand-written traces, and the lines that they are drawn as."""

from __future__ import annotations

from typing import Any

import msgspec

from wfstudio.core.traces import Segment, Span, Trace
from wfstudio.text.looks import Look, Row, lay_out
from wfstudio.text.pen import Pen
from wfstudio.text.timeline import Columns, Scale, draw_row, draw_timeline
from wfstudio.text.widths import cell_width


def span(id: str, name: str, *parts: tuple[Any, ...], kind: str = "step", status: str = "completed") -> Span:
    segments = [
        Segment(kind=part[0], start_ms=part[1], end_ms=part[2], outcome=part[3] if len(part) > 3 else None)
        for part in parts
    ]
    attempts = sum(part.kind == "running" for part in segments)
    return Span(
        id=id, kind=kind, name=name, status=status, seq=1, at="2026-01-01T00:00:00.000000Z",
        start_ms=segments[0].start_ms, end_ms=segments[-1].end_ms, segments=segments, attempts=attempts,
    )  # fmt: skip


def trace(*spans: Span) -> Trace:
    return Trace(
        run_id="wrun_1", workflow="shop:order", status="completed", seq=9, at="2026-01-01T00:00:00.000000Z",
        end_ms=spans[0].end_ms, spans=list(spans), markers=[],
    )  # fmt: skip


def rows(drawn: Trace) -> list[Row]:
    return lay_out(Look(drawn))


ORDER = trace(
    span("run", "shop:order", ("queued", 0, 100), ("running", 100, 1000), kind="run"),
    span(
        "1", "shop:charge",
        ("running", 100, 300, "failed"), ("retry_wait", 300, 500), ("running", 500, 600, "completed"),
    ),
    span("2", "sleep", ("waiting", 600, 900), kind="sleep"),
    span("3", "shop:Approval", ("waiting", 600, 800), ("open", 800, 1000), kind="hook", status="received"),
)  # fmt: skip


def test_a_timeline_has_a_line_for_every_span_on_one_axis() -> None:
    assert draw_timeline(Pen(width=80, has_colour=False), rows(ORDER), 1000) == [
        "                 0                         500 ms                  1 s",
        "✓ order          ░░░░░████████████████████████████████████████████████       1 s",
        "✓ charge x2           ▓▓▓▓▓▓▓▓▓▓▓┄┄┄┄┄┄┄┄┄┄██████                         500 ms",
        "✓ sleep                                         ─────────────────         300 ms",
        "✓ hook Approval                                 ───────────╌╌╌╌╌╌╌╌╌╌╌    400 ms",
        "  ░ queued  █ running  ┄ waits to retry  ─ waiting  ╌ had a payload",
        "  ▓ failed attempt",
    ]


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    lines = draw_timeline(Pen(width=60, is_unicode=False, has_colour=False), rows(ORDER), 1000)
    assert all(line.isascii() for line in lines)
    assert lines[2].startswith("+ charge x2")
    assert "xxx" in lines[2]
    assert "~~~" in lines[2]


def test_no_line_is_wider_than_the_terminal() -> None:
    long = trace(*ORDER.spans, span("4", "shop:" + "日本" * 40, ("running", 0, 1000)))
    for width in (40, 80, 81, 132, 200):
        lines = draw_timeline(Pen(width=width, has_colour=False), rows(long), 1000)
        assert max(cell_width(line) for line in lines) <= width
        assert len({cell_width(line) for line in lines[1:6]}) == 1, "durations end in one column"


def test_an_attempt_of_no_length_still_shows() -> None:
    day = 86_400_000
    drawn = trace(
        span("run", "shop:order", ("running", 0, day), kind="run"), span("1", "blink", ("running", day - 1, day - 0.5))
    )
    assert "█" in draw_timeline(Pen(width=80, has_colour=False), rows(drawn), day)[2]


def test_what_has_not_ended_reaches_to_now() -> None:
    drawn = trace(span("run", "shop:order", ("running", 0, None), kind="run", status="running"))
    line = draw_timeline(Pen(width=80, has_colour=False), rows(drawn), 2_000)[1]
    assert line.endswith("2 s")
    assert line.startswith("● order")


def test_a_run_of_many_spans_says_how_many_it_left_out() -> None:
    many = trace(ORDER.spans[0], *(span(str(n), f"step_{n}", ("running", 0, 10)) for n in range(1, 50)))
    lines = draw_timeline(Pen(width=100, has_colour=False), rows(many), 1000, limit=10)
    assert len(lines) == 1 + 10 + 1 + 1
    assert lines[11] == "… 40 more spans; --limit draws more of them"


def test_names_from_users_are_escaped() -> None:
    hostile = trace(span("run", "shop:\x1b[2Jorder", ("running", 0, 10), kind="run"))
    assert "\x1b" not in "".join(draw_timeline(Pen(width=100, has_colour=False), rows(hostile), 10))


def test_a_childs_spans_lie_under_its_call_at_their_time() -> None:
    parent = trace(
        span("run", "shop:order", ("running", 0, 1000), kind="run"),
        msgspec.structs.replace(span("1", "shop:pay", ("waiting", 500, 1000), kind="child"), child_run_id="wrun_2"),
        span("2", "ship", ("running", 0, 100)),
    )
    child = msgspec.structs.replace(
        trace(span("run", "shop:pay", ("running", 0, 500), kind="run"), span("1", "charge", ("running", 250, 500))),
        run_id="wrun_2", at="2026-01-01T00:00:00.500000Z",
    )  # fmt: skip
    found = lay_out(Look(parent, {"wrun_2": child}))
    assert [(row.span.name, row.depth, row.span.start_ms, row.span.end_ms) for row in found] == [
        ("shop:order", 0, 0, 1000),
        ("shop:pay", 1, 500, 1000),
        ("charge", 2, 750, 1000),
        ("ship", 1, 0, 100),
    ]
    lines = draw_timeline(Pen(width=80, has_colour=False), found, 1000)
    assert lines[3].startswith("✓   charge ")
    assert lines[3].index("█") > lines[2].index("─")


def test_what_a_fork_inherited_lies_left_of_its_beginning() -> None:
    fork = trace(
        span("run", "shop:order", ("running", 0, 500), kind="run"),
        span("1", "charge", ("running", -500, 0)),
        span("2", "ship", ("running", 250, 500)),
    )
    lines = draw_timeline(Pen(width=60, has_colour=False), rows(fork), 500)
    assert lines[:4] == [
        "          -500 ms             0             500 ms",
        "✓ order                       ████████████████████    500 ms",
        "✓ charge  ████████████████████                        500 ms",
        "✓ ship                                  ██████████    250 ms",
    ]


def draw_in(start_ms: float, end_ms: float, drawn: Span) -> str:
    """Draw a span's bar of a stretch of time, ten cells wide."""
    line = draw_row(Pen(width=40, has_colour=False), drawn, "x", Columns(1, 10), Scale(start_ms, end_ms, 10), 1000)
    return line[5:15]


def test_a_stretch_of_time_shows_what_lies_in_it() -> None:
    charge = ORDER.spans[1]
    assert draw_in(0, 1000, charge) == " ▓▓┄┄█    "
    assert draw_in(200, 300, charge) == "▓▓▓▓▓▓▓▓▓▓"
    assert draw_in(280, 320, charge) == "▓▓▓▓▓┄┄┄┄┄"
    assert draw_in(700, 1000, charge) == "          "
    assert draw_in(0, 90, charge) == "          "
    assert draw_in(590, 690, charge) == "█         "


def test_cells_and_instants_are_the_same_place() -> None:
    scale = Scale(100, 300, 40)
    assert (scale.cell(100), scale.cell(300), scale.cell(200)) == (0, 40, 20)
    assert [scale.at(scale.cell(at_ms)) for at_ms in (50, 100, 299, 400)] == [50, 100, 299, 400]
