from __future__ import annotations

from datetime import UTC, datetime

import pytest

from wfstudio.text.pen import Pen
from wfstudio.text.told_reasons import show_reason, tell_reason

NOW = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        ("sleeping until 2026-01-02T03:07:05.000000Z", "sleeping for another 3m"),
        ("waiting until 2026-01-03T03:04:05.500000Z", "waiting for another 1d"),
        ("retrying charge at 2026-01-02T03:04:09.000000Z", "retrying charge in 4s"),
        ("starts at 2026-01-02T05:04:05.000000Z", "starts in 2h"),
        ("sleeping until 2026-01-02T03:04:05.100000Z", "sleeping for another moment"),
        ("retrying charge at 2026-01-02T03:04:00.000000Z", "retrying charge now"),
        ("waiting for hook until 2026-01-02T03:07:05.000000Z!", "waiting for hook until 2026-01-02T03:07:05.000000Z!"),
        ("waiting for hook order:1", "waiting for hook order:1"),
        ("waiting for hook at 2026-01-02T03:07:05.000000Z", "waiting for hook at 2026-01-02T03:07:05.000000Z"),
        (
            "cancelling: sleeping until 2026-01-02T03:07:05.000000Z (cancel it again to end it at once)",
            "cancelling: sleeping for another 3m (cancel it again to end it at once)",
        ),
    ],
)
def test_an_instant_to_come_is_told_as_how_long_it_takes_yet(reason: str, told: str) -> None:
    assert tell_reason(reason, NOW) == told


def test_a_program_gets_the_instant_and_a_reader_how_long_it_takes_yet() -> None:
    reason = "starts at 2026-01-02T05:04:05.000000Z"
    assert show_reason(Pen(width=80, now=NOW), reason) == "starts in 2h"
    assert show_reason(Pen(width=80, is_tty=False, now=NOW), reason) == reason
    assert show_reason(Pen(width=80, now=NOW), None) is None
