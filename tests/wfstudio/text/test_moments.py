"""Moments: how instants and durations are shown."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wfstudio.text.moments import show_instant, show_ms, show_relative
from wfstudio.text.pen import Pen

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "now"), (5, "5s ago"), (65, "1m ago"), (3_700, "1h ago"), (90_000, "1d ago"), (-65, "in 1m")],
)
def test_a_reader_sees_how_long_ago(seconds: float, text: str) -> None:
    assert show_relative(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_program_sees_the_instant() -> None:
    iso = "2026-11-22T11:59:00.000000Z"
    assert show_instant(Pen(width=100, is_tty=False), iso) == iso
    assert show_instant(Pen(width=100), iso, NOW) == "1m ago"
    assert show_instant(Pen(width=100), None) == ""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, ""), (0.04, "0.0 ms"), (1.25, "1.2 ms"), (52.4, "52 ms"), (1_500, "1.5 s"), (5_400_000, "1h 30m")],
)
def test_durations_have_three_digits_at_most(milliseconds: float | None, text: str) -> None:
    assert show_ms(milliseconds) == text
