"""Moments: how instants are read on a command line."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from wfstudio.cli.misuse import Misuse
from wfstudio.cli.moments import parse_moment

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


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
