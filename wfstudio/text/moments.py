"""Moments: instants and durations as people read them.

Views carry instants as ISO 8601 text in UTC and durations in milliseconds. On a terminal an instant
is shown relative to now, piped as the view has it.
"""

from __future__ import annotations

from datetime import UTC, datetime

from wf.durations import show_duration
from wfstudio.text.pen import Pen


def show_instant(pen: Pen, iso: str | None, now: datetime | None = None) -> str:
    """Write an instant: `3m ago` for a reader, ISO for a program."""
    if iso is None:
        return ""
    if not pen.is_tty:
        return iso
    return show_relative(datetime.fromisoformat(iso), now or pen.now or datetime.now(UTC))


def show_relative(at: datetime, now: datetime) -> str:
    """Write how long ago, or in how long, with its largest unit."""
    seconds = (now - at).total_seconds()
    if abs(seconds) < 1:
        return "now"
    text = show_duration(int(abs(seconds)) * 1_000_000).split(" ")
    largest = text[0] if len(text) == 1 or not text[1].isalpha() else "".join(text)
    return f"{largest} ago" if seconds > 0 else f"in {largest}"


def show_ms(milliseconds: float | None) -> str:
    """Write a duration of a view, to three digits; nothing for None."""
    if milliseconds is None:
        return ""
    if milliseconds < 10:
        return f"{milliseconds:.1f} ms"
    return f"{milliseconds:.0f} ms" if milliseconds < 1000 else show_duration(int(milliseconds * 1000))
