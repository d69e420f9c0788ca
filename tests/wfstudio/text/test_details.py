"""Details: what is told of a run that cannot go on."""

from __future__ import annotations

import pytest

from wfstudio.core.views import AttentionView, RunView
from wfstudio.text.details import draw_trouble
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
