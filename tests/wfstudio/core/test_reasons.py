"""Reasons: hand-written logs, and the one line that is said of them."""

from __future__ import annotations

import msgspec
import pytest

from wf.events import Event
from wf.world import RunRow, WaitRow
from wfstudio.core.reasons import Openings, say_reason

NOW = 1_700_000_000_000_000
DUE = NOW + 60_000_000
DUE_TEXT = "2023-11-14T22:14:20.000000Z"


def row(status: str = "running", wake_at: int | None = None) -> RunRow:
    return RunRow(
        run_id="wrun_1", workflow="m:flow", status=status, deployment_id="", created_at=NOW, started_at=NOW,
        ended_at=None, seq=1, head=b"", mac=b"", epoch=1, owner=None, wake_at=wake_at, attributes={},
        parent_run_id=None, parent_correlation_id=None, continued_from=None, continued_as=None, forked_from=None,
        error_code=None, result_seq=None, payload_bytes=0, attention=None,
    )  # fmt: skip


def event(seq: int, type: str, id: int | None = None, name: str | None = None, attempt: int | None = None,
          **meta: object) -> Event:  # fmt: skip
    text = msgspec.json.encode(meta).decode() if meta else None
    return Event("wrun_1", seq, type, id, name, attempt, NOW, text, None, b"")


def say(*events: Event, waits: tuple[WaitRow, ...] = ()) -> str | None:
    openings = Openings()
    for each in events:
        openings.add(each)
    return say_reason(row(), openings, waits, lambda hook: f"token-{hook.correlation_id}", NOW)


HOOK = event(1, "hook_created", 1, "m:Approval")
LOCK = event(2, "lock_requested", 2, "lock:printer", limit=1)
CHILD = event(3, "child_started", 3, "m:ship", run_id="wrun_2")
QUEUED = event(4, "step_created", 4, "m:pay", 0)
RUNNING = event(5, "step_created", 5, "m:pay", 1)
RETRYING = event(6, "step_retrying", 5, "m:pay", 1, due_at=DUE)
SLEEP = WaitRow("wrun_1", 9, "sleep", DUE)
DEADLINE = WaitRow("wrun_1", 8, "deadline", DUE)


@pytest.mark.parametrize(
    ("events", "waits", "reason"),
    [
        ([], (), None),
        ([HOOK], (), "waiting for hook token-1"),
        ([HOOK], (DEADLINE,), "waiting for hook token-1"),
        ([HOOK, event(2, "hook_created", 2, "m:B")], (), "waiting for hook token-2 and 1 more"),
        ([HOOK, event(2, "hook_received", 1)], (), None),
        (
            [event(1, "cancel_requested"), event(2, "hook_created", 2, "m:B")],
            (),
            "cancelling: waiting for hook token-2 (cancel it again to end it at once)",
        ),
        (
            [event(1, "cancel_requested")],
            (SLEEP,),
            f"cancelling: sleeping until {DUE_TEXT} (cancel it again to end it at once)",
        ),
        ([event(1, "cancel_requested"), event(2, "step_created", 5, "m:pay", 1)], (), None),
        ([CHILD, event(4, "child_cancelled", 3, "m:ship", run_id="wrun_2")], (), None),
        ([HOOK, event(2, "hook_disposed", 1)], (SLEEP,), f"sleeping until {DUE_TEXT}"),
        ([HOOK, event(2, "hook_conflict", 1)], (), None),
        ([HOOK, LOCK], (), "waiting for lock printer"),
        ([LOCK, event(3, "lock_acquired", 2, "lock:printer")], (), None),
        ([CHILD], (), "waiting for run wrun_2"),
        ([CHILD, event(4, "child_completed", 3, run_id="wrun_2")], (), None),
        ([HOOK, QUEUED], (), "waiting for a slot for pay"),
        ([QUEUED, event(5, "step_started", 4, "m:pay", 1)], (), None),
        ([HOOK, LOCK, CHILD, QUEUED, RUNNING], (SLEEP,), None),
        ([HOOK, RUNNING, RETRYING], (), f"retrying pay at {DUE_TEXT}"),
        ([RUNNING, RETRYING, event(7, "step_started", 5, "m:pay", 2)], (), None),
        ([RUNNING, event(6, "step_completed", 5, "m:pay", 1)], (SLEEP, DEADLINE), f"sleeping until {DUE_TEXT}"),
        ([], (DEADLINE,), f"waiting until {DUE_TEXT}"),
        ([], (WaitRow("wrun_1", 0, "run", DUE),), None),
    ],
)
def test_a_run_says_why_it_rests(events: list[Event], waits: tuple[WaitRow, ...], reason: str | None) -> None:
    assert say(*events, waits=waits) == reason


def test_an_event_that_was_read_twice_counts_once() -> None:
    assert say(HOOK, event(2, "hook_received", 1), HOOK) is None


@pytest.mark.parametrize(
    ("state", "reason"),
    [
        (row("completed"), None),
        (row("failed"), None),
        (row("pending"), "waiting for a worker"),
        (row("pending", NOW), "waiting for a worker"),
        (row("pending", DUE), f"starts at {DUE_TEXT}"),
    ],
)
def test_a_run_that_has_not_begun_or_has_ended(state: RunRow, reason: str | None) -> None:
    assert say_reason(state, Openings(), (), lambda hook: "", NOW) == reason
