"""Retries: when a failed attempt is tried again.

The delay before attempt n+1 is `retry_delay * backoff ** (n - 1)`, at most `max_delay`. No jitter:
a step's attempts are few, and a replay, a test and a reader want to know the instant.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from wf.durations import SECOND_US, parse_duration, to_instant
from wf.errors import FatalError, RetryableError


class RetryPolicy(msgspec.Struct, frozen=True):
    """How often and how late a step is tried again. `max_retries` = 3 means at most 4 attempts."""

    max_retries: int = 3
    retry_delay_us: int = SECOND_US
    backoff: float = 2.0
    max_delay_us: int = 300 * SECOND_US

    def retry_at(self, attempt: int, error: BaseException | None, now_us: int) -> int | None:
        """Give the instant of the next try after attempt `attempt` (from 1) failed, or None to give up.

        A `FatalError` gives up at once. A `RetryableError` names its own instant, which may lie
        before `now_us` (then the step is due at once); if it is malformed (`say_malformed`) the policy's delay holds.
        """
        if attempt > self.max_retries or isinstance(error, FatalError):
            return None
        if isinstance(error, RetryableError) and error.retry_after is not None and say_malformed(error) is None:
            return _read_retry_after(error.retry_after, now_us)
        return now_us + self.delay_us(attempt)

    def delay_us(self, attempt: int) -> int:
        """Give the policy's own delay after attempt `attempt` (from 1) failed."""
        if self.retry_delay_us == 0:
            return 0
        try:
            delay = self.retry_delay_us * float(self.backoff) ** (attempt - 1)
        except OverflowError:
            return self.max_delay_us
        return round(min(delay, self.max_delay_us))


def say_malformed(error: BaseException) -> str | None:
    """Say what is wrong with the time that a `RetryableError` asks for; None: nothing.

    It is no error of its own: the step failed for another reason, which a mistake in the hint must not hide.
    """
    if not isinstance(error, RetryableError) or error.retry_after is None:
        return None
    try:
        _read_retry_after(error.retry_after, 0)
    except (TypeError, ValueError, OverflowError) as mistake:
        return f"{mistake}; the step's own delay is used instead"
    return None


def _read_retry_after(value: Any, now_us: int) -> int:
    if isinstance(value, datetime):
        return to_instant(value, "retry_after")
    return now_us + parse_duration(value, "retry_after")
