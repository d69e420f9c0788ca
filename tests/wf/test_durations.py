"""What users may write for a time, and the integers it becomes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.durations import MAX_DURATION_US, SECOND_US, from_instant, parse_duration, show_duration, to_instant


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (0, 0), (3, 3), (0.5, 0.5), (1e-6, 1e-6),
        ("250ms", 0.25), ("90s", 90), ("5m", 300), ("1h", 3600), ("2d", 172_800), ("1w", 604_800),
        ("1h 30m", 5400), ("1h30m", 5400), ("1 h, 30 m", 5400), (" 1.5h ", 5400), ("1H 30M", 5400), ("30m 1h", 5400),
        ("1 second", 1), ("5 minutes", 300), ("1 hour 30 Minutes", 5400), ("2days", 172_800), ("1 week", 604_800),
        (timedelta(days=1, microseconds=1), 86_400.000001),
    ],
)  # fmt: skip
def test_seconds_texts_and_timedeltas_are_durations(value: Any, seconds: float) -> None:
    assert parse_duration(value) == round(seconds * SECOND_US)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("", "timeout: '' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("soon", "timeout: 'soon' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("10", "timeout: '10' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("5 minuets", "timeout: '5 minuets' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("5 months", "timeout: '5 months' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("1h soon", "timeout: '1h soon' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("-1h", "timeout: '-1h' is not a duration; write it like '1h 30m' (ms s m h d w)"),
        ("s" * 300, "timeout: a text of 300 characters is not a duration"),
        (-1, "timeout: -1 is negative"),
        (timedelta(seconds=-1), "timeout: datetime.timedelta(days=-1, seconds=86399) is negative"),
        (float("inf"), "timeout: inf is not a finite number of seconds"),
        (float("nan"), "timeout: nan is not a finite number of seconds"),
        ("1001w 366000d", "timeout: '1001w 366000d' is more than a thousand years"),
        (timedelta(days=400_000), "timeout: datetime.timedelta(days=400000) is more than a thousand years"),
    ],
)
def test_a_bad_value_is_refused_by_what_it_was_for(value: Any, text: str) -> None:
    with pytest.raises(ValueError) as error:
        parse_duration(value, "timeout")
    assert str(error.value) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (True, "timeout: True is not a duration"),
        (None, "timeout: NoneType is not a duration; give seconds, '1h 30m' or a timedelta"),
        (b"1s", "timeout: bytes is not a duration; give seconds, '1h 30m' or a timedelta"),
    ],
)
def test_a_bad_type_is_refused_by_what_it_was_for(value: Any, text: str) -> None:
    with pytest.raises(TypeError) as error:
        parse_duration(value, "timeout")
    assert str(error.value) == text


@given(st.one_of(st.text(), st.floats(), st.integers(), st.timedeltas()))
def test_whatever_is_given_is_refused_or_within_a_thousand_years(value: Any) -> None:
    try:
        micros = parse_duration(value)
    except ValueError:
        return
    assert 0 <= micros <= MAX_DURATION_US


@given(st.datetimes(timezones=st.timezones() | st.just(UTC)))
def test_an_instant_comes_back_to_the_microsecond(value: datetime) -> None:
    try:
        utc = value.astimezone(UTC)
    except OverflowError:
        return  # the first and the last day of the calendar have no UTC everywhere
    assert from_instant(to_instant(value)) == utc


def test_zones_are_one_instant() -> None:
    east = datetime(2024, 6, 1, 14, 0, tzinfo=timezone(timedelta(hours=2)))
    assert to_instant(east) == to_instant(datetime(2024, 6, 1, 12, 0, tzinfo=UTC))
    assert to_instant(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)) == SECOND_US


def test_a_naive_datetime_is_no_instant() -> None:
    with pytest.raises(ValueError) as error:
        to_instant(datetime(2024, 6, 1), "until")  # noqa: DTZ001
    assert str(error.value) == "until: datetime.datetime(2024, 6, 1, 0, 0) has no time zone; use an aware datetime"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 ms"), (0.0125, "12.5 ms"), (0.35, "350 ms"), (1, "1 s"), (2.5, "2.5 s"), (60, "1m"), (5400, "1h 30m"),
        (3 * 86_400, "3d"), (3 * 86_400 + 3600 + 61, "3d 1h"),
    ],
)  # fmt: skip
def test_durations_are_shown_as_people_write_them(seconds: float, text: str) -> None:
    assert show_duration(round(seconds * SECOND_US)) == text
