"""Durations and instants: what users may write, and the integers we keep.

Inside wf an instant is integer microseconds since 1970 UTC (`_us`) and a duration integer
microseconds. Users write seconds, `"1h 30m"`, a timedelta or, for instants, an aware datetime.
"""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta

Duration = int | float | str | timedelta

SECOND_US = 1_000_000
MAX_DURATION_US = 1000 * 366 * 24 * 3600 * SECOND_US  # a thousand years: anything more is a mistake
_UNITS_US = {
    "ms": 1_000,
    "s": SECOND_US,
    "m": 60 * SECOND_US,
    "h": 3_600 * SECOND_US,
    "d": 86_400 * SECOND_US,
    "w": 604_800 * SECOND_US,
}
# The words are those that programs of Vercel's SDK may hold; what we write has the short units.
_PART = re.compile(
    r"\s*(\d+(?:\.\d+)?)\s*(ms|s(?:econds?)?|m(?:inutes?)?|h(?:ours?)?|d(?:ays?)?|w(?:eeks?)?)(?![a-z])\s*,?",
    re.IGNORECASE,
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_duration(value: Duration, what: str = "duration") -> int:
    """Give a duration in microseconds.

    Raises `TypeError` for another type and `ValueError` for a text that is not like `"1h 30m"`,
    a negative or non-finite number, or more than a thousand years.
    """
    if isinstance(value, bool):
        raise TypeError(f"{what}: {value!r} is not a duration")
    if isinstance(value, (int, float)):
        if isinstance(value, float) and not math.isfinite(value):
            raise ValueError(f"{what}: {value!r} is not a finite number of seconds")
        if abs(value) > MAX_DURATION_US // SECOND_US:
            raise ValueError(f"{what}: {value!r:.40} seconds is more than a thousand years")
        micros = round(value * SECOND_US)
    elif isinstance(value, timedelta):
        micros = value // _MICROSECOND
    elif isinstance(value, str):
        micros = _parse_text(value, what)
    else:
        raise TypeError(f"{what}: {type(value).__name__} is not a duration; give seconds, '1h 30m' or a timedelta")
    if micros < 0:
        raise ValueError(f"{what}: {value!r} is negative")
    if micros > MAX_DURATION_US:
        raise ValueError(f"{what}: {value!r:.40} is more than a thousand years")
    return micros


def _parse_text(text: str, what: str) -> int:
    position, total = 0, 0.0
    if len(text) > 200:
        raise ValueError(f"{what}: a text of {len(text)} characters is not a duration")
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            break
        unit = match[2].lower()
        total += float(match[1]) * _UNITS_US[unit if unit == "ms" else unit[0]]
        position = match.end()
    if position == 0 or text[position:].strip():
        raise ValueError(f"{what}: {text!r} is not a duration; write it like '1h 30m' (ms s m h d w)")
    if not math.isfinite(total) or total > MAX_DURATION_US:
        raise ValueError(f"{what}: {text!r:.40} is more than a thousand years")
    return round(total)


def to_instant(value: datetime, what: str = "instant") -> int:
    """Give an aware datetime as microseconds since 1970 UTC; a naive one is a `ValueError`."""
    if value.tzinfo is None or value.utcoffset() is None:
        raise ValueError(f"{what}: {value!r} has no time zone; use an aware datetime")
    return (value - _EPOCH) // _MICROSECOND


def from_instant(at_us: int) -> datetime:
    """Give microseconds since 1970 as an aware datetime in UTC, exactly."""
    return _EPOCH + timedelta(microseconds=at_us)


def show_duration(micros: int) -> str:
    """Write a duration the way a person would: `350 ms`, `2.5 s`, `1h 30m`, `3d`."""
    if micros < SECOND_US:
        return f"{micros / 1000:g} ms"
    if micros < 60 * SECOND_US:
        return f"{micros / SECOND_US:.3g} s"
    rest, parts = micros // SECOND_US, []
    for unit, size in (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1)):
        count, rest = divmod(rest, size)
        if count:
            parts.append(f"{count}{unit}")
    return " ".join(parts[:2])
