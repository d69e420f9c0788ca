"""When a failed attempt is tried again: pure arithmetic on given instants."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.durations import MAX_DURATION_US, SECOND_US, to_instant
from wf.errors import FatalError, RetryableError
from wf.retry import RetryPolicy, say_malformed

NOW = 1_700_000_000 * SECOND_US
POLICY = RetryPolicy()


def delay_s(policy: RetryPolicy, attempt: int, error: BaseException | None = None) -> float | None:
    due = policy.retry_at(attempt, error, NOW)
    return None if due is None else (due - NOW) / SECOND_US


def test_three_retries_are_four_attempts_with_doubling_delays() -> None:
    assert [delay_s(POLICY, attempt, ValueError()) for attempt in range(1, 6)] == [1, 2, 4, None, None]


def test_without_retries_the_first_failure_is_final() -> None:
    assert delay_s(RetryPolicy(max_retries=0), 1) is None


def test_delays_are_capped() -> None:
    policy = RetryPolicy(max_retries=20, max_delay_us=10 * SECOND_US)
    assert [delay_s(policy, attempt) for attempt in (3, 4, 5, 20)] == [4, 8, 10, 10]


def test_a_first_delay_over_the_cap_is_capped_too() -> None:
    assert delay_s(RetryPolicy(retry_delay_us=20 * SECOND_US, max_delay_us=10 * SECOND_US), 1) == 10


def test_a_backoff_of_one_keeps_the_delay_and_one_of_zero_ends_it() -> None:
    assert [delay_s(RetryPolicy(backoff=1.0), attempt) for attempt in (1, 2, 3)] == [1, 1, 1]
    assert [delay_s(RetryPolicy(backoff=0.0), attempt) for attempt in (1, 2, 3)] == [1, 0, 0]


def test_a_fatal_error_is_final_whatever_is_left() -> None:
    class CardDeclined(FatalError): ...

    assert delay_s(POLICY, 1, FatalError("no")) is None
    assert delay_s(POLICY, 1, CardDeclined("no")) is None


@pytest.mark.parametrize(
    ("retry_after", "seconds"),
    [(90, 90), (0.25, 0.25), ("10s", 10), ("1h 30m", 5400), (timedelta(minutes=2), 120), (0, 0), (None, 1)],
)
def test_a_retryable_error_names_its_own_delay(retry_after: Any, seconds: float) -> None:
    assert delay_s(POLICY, 1, RetryableError("busy", retry_after)) == seconds


def test_a_retryable_error_is_not_capped_by_the_policy() -> None:
    assert delay_s(POLICY, 1, RetryableError("tomorrow", "24h")) == 86_400


def test_a_retryable_error_may_name_an_instant() -> None:
    at = datetime(2031, 5, 4, 12, tzinfo=timezone(timedelta(hours=2)))
    assert POLICY.retry_at(1, RetryableError("later", at), NOW) == to_instant(at)


def test_an_instant_in_the_past_is_due_at_once() -> None:
    due = POLICY.retry_at(1, RetryableError("now", datetime(2001, 1, 1, tzinfo=UTC)), NOW)
    assert due is not None
    assert due <= NOW


@pytest.mark.parametrize(
    "retry_after",
    ["soon", -5, float("nan"), True, datetime(2030, 1, 1), object(), "9" * 300 + "s", []],  # noqa: DTZ001
)
def test_a_malformed_wish_falls_back_to_the_policy_and_says_why(retry_after: Any) -> None:
    error = RetryableError("busy", retry_after)
    assert delay_s(POLICY, 2, error) == 2
    told = say_malformed(error)
    assert told is not None
    assert told.startswith("retry_after: ")
    assert told.endswith("; the step's own delay is used instead")


@pytest.mark.parametrize("error", [RetryableError("busy", "10s"), RetryableError("busy"), ValueError("busy")])
def test_nothing_is_said_of_a_wish_that_is_none_or_can_be_met(error: Exception) -> None:
    assert say_malformed(error) is None


def test_a_retryable_error_does_not_add_attempts() -> None:
    assert delay_s(POLICY, 4, RetryableError("busy", "1s")) is None


@given(
    attempt=st.integers(1, 10**12),
    delay=st.integers(0, MAX_DURATION_US),
    backoff=st.floats(0, 1e6),
    most=st.integers(0, MAX_DURATION_US),
)
def test_no_attempt_is_too_late_to_reckon(attempt: int, delay: int, backoff: float, most: int) -> None:
    policy = RetryPolicy(max_retries=10**12, retry_delay_us=delay, backoff=backoff, max_delay_us=most)
    due = policy.retry_at(attempt, None, NOW)
    assert isinstance(due, int)
    assert NOW <= due <= NOW + most
