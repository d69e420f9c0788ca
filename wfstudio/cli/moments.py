"""Moments: instants as people write them on a command line. How they are shown is in `wfstudio.text.moments`."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from wf.durations import parse_duration
from wfstudio.cli.misuse import Misuse


def parse_moment(text: str, option: str) -> datetime:
    """Read an instant: ISO 8601 (without a zone: local time), or a duration before now like `1h 30m`."""
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        try:
            return datetime.now(UTC) - timedelta(microseconds=parse_duration(text, option))
        except ValueError:
            raise Misuse(
                f"{option}: {text!r:.80} is neither an instant nor a duration",
                hint="write it like `2026-11-22T09:00`, or `1h 30m` for how long ago",
            ) from None
    return found.astimezone(UTC)
