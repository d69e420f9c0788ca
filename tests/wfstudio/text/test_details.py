"""Details: what is told of a run, and of one that cannot go on."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wfstudio.core.views import AttentionView, RunView
from wfstudio.text.details import draw_trouble, list_run_facts
from wfstudio.text.pen import Pen

STACK = "flow.py:14 in fulfil\nflow.py:5 in find_cheapest"


def draw(code: str, actual: str | None, where: str | None) -> list[str]:
    attention = AttentionView(code=code, message="it rests", actual=actual, where=where)
    run = RunView(
        id="wrun_1", workflow="flow:fulfil", status="running", created_at="2026-01-01T00:00:00Z", queued_ms=0,
        attention=attention, events=5, payload_bytes=0,
    )  # fmt: skip
    return draw_trouble(Pen(width=100, is_tty=False, has_colour=False), run)


@pytest.mark.parametrize(
    ("code", "actual", "where", "places"),
    [
        (
            "BLOCKED",
            STACK,
            "flow.py:5 in find_cheapest",
            ["  at flow.py:14 in fulfil", "  at flow.py:5 in find_cheapest"],
        ),
        ("BLOCKED", None, None, []),
        ("NONDETERMINISM", "a sleep", "flow.py:9 in fulfil", ["  at flow.py:9 in fulfil"]),
    ],
)
def test_an_attention_is_told_with_its_place_and_of_an_interrupted_body_with_the_stack(
    code: str, actual: str | None, where: str | None, places: list[str]
) -> None:
    assert draw(code, actual, where) == ["", "needs attention: it rests", *places]


@pytest.mark.parametrize(("is_tty", "told"), [(True, "sleeping for another 3h"), (False, "sleeping until {at}")])
def test_a_reader_is_told_for_how_long_a_run_rests_and_a_program_until_when(is_tty: bool, told: str) -> None:
    at = "2026-01-01T03:00:00.000000Z"
    run = RunView(
        id="wrun_1", workflow="flow:fulfil", status="running", created_at="2026-01-01T00:00:00Z", queued_ms=0,
        reason=f"sleeping until {at}", events=5, payload_bytes=0,
    )  # fmt: skip
    facts = dict(list_run_facts(Pen(width=80, is_tty=is_tty, now=datetime(2026, 1, 1, tzinfo=UTC)), run))
    assert facts["reason"] == told.format(at=at)
