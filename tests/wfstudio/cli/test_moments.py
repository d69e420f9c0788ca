"""Moments: how instants and durations are read and shown."""

from __future__ import annotations

import io
from datetime import UTC, datetime, timedelta

import pytest

from wfstudio.cli.misuse import Misuse
from wfstudio.cli.moments import parse_moment, show_instant, show_ms, show_relative
from wfstudio.cli.terminal import Terminal

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "now"), (5, "5s ago"), (65, "1m ago"), (3_700, "1h ago"), (90_000, "1d ago"), (-65, "in 1m")],
)
def test_a_reader_sees_how_long_ago(seconds: float, text: str) -> None:
    assert show_relative(NOW - timedelta(seconds=seconds), NOW) == text


def test_a_program_sees_the_instant(make_terminal) -> None:
    iso = "2026-11-22T11:59:00.000000Z"
    assert show_instant(Terminal(io.StringIO()), iso) == iso
    assert show_instant(make_terminal(), iso, NOW) == "1m ago"
    assert show_instant(make_terminal(), None) == ""


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(None, ""), (0.04, "0.0 ms"), (1.25, "1.2 ms"), (52.4, "52 ms"), (1_500, "1.5 s"), (5_400_000, "1h 30m")],
)
def test_durations_have_three_digits_at_most(milliseconds: float | None, text: str) -> None:
    assert show_ms(milliseconds) == text


def test_a_moment_is_an_instant_or_a_duration_ago() -> None:
    assert parse_moment("2026-11-22T12:00:00Z", "--since") == NOW
    assert parse_moment("2026-11-22T13:00:00+01:00", "--since") == NOW
    before = datetime.now(UTC)
    assert before - timedelta(hours=1) <= parse_moment("1h", "--since") <= datetime.now(UTC) - timedelta(hours=1)


def test_a_moment_without_a_zone_is_local_time() -> None:
    assert parse_moment("2026-11-22T12:00", "--since") == datetime(2026, 11, 22, 12, 0).astimezone(UTC)


def test_what_is_no_moment_is_refused_with_the_cure() -> None:
    with pytest.raises(Misuse, match="--since: 'yesterday' is neither an instant nor a duration"):
        parse_moment("yesterday", "--since")
