"""Recorded logs with the traces that the server gives of them, for the browser, which folds events by itself.

    python -m tests.wfstudio.core.trace_recordings      writes web_ui/fixtures/traces.jsonl anew

A line is one log: its events as HTTP gives them, and traces of its beginnings by the seq that each ends with.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import msgspec

from tests.wfstudio.history.stage import BEGAN, KEYRING, Log, RandomLog
from wf import events as types
from wf.events import Event
from wfstudio.core.rows import Opener, show_event
from wfstudio.core.traces import make_trace

PATH: Final = Path(__file__).parents[3] / "web_ui" / "fixtures" / "traces.jsonl"
SEEDS: Final = 40
CANCELLED: Final = "asyncio.exceptions.CancelledError"


def make_logs() -> list[list[Event]]:
    """Make logs by chance, and by hand what chance does not do: locks, children, notes, cancels."""
    return [*(RandomLog(seed).events for seed in range(SEEDS)), *(log.events for log in _write_by_hand())]


def _write_by_hand() -> list[Log]:
    return [_write_locks(), _write_children(), _write_ends(), _write_waits()]


def _write_locks() -> Log:
    log = Log("wrun_locks")
    log.add(types.RUN_STARTED)
    log.add(types.LOCK_REQUESTED, 1, name="lock:stock", limit=1)
    log.add(types.LOCK_REQUESTED, 2, name="lock:stock", limit=1)
    log.add(types.LOCK_ACQUIRED, 1, name="lock:stock")
    log.add(types.STEP_CREATED, 3, name="shop:count", attempt=1)
    log.add(types.STEP_COMPLETED, 3, name="shop:count", attempt=1)
    log.add(types.LOCK_RELEASED, 1, name="lock:stock", by=0)
    log.add(types.LOCK_ACQUIRED, 2, name="lock:stock", by=0)
    log.add(types.LOCK_REQUESTED, 4, name="lock:till", limit=2)
    log.add(types.LOCK_RELEASED, 4, name="lock:till")
    log.add(types.ATTRIBUTES_SET, 5, set={"tenant": "acme", "old": None})
    log.add(types.CANCEL_REQUESTED)
    log.add(types.RUN_CANCELLED)
    return log


def _write_children() -> Log:
    log = Log("wrun_children", at=BEGAN + 123_456)
    log.add(types.RUN_STARTED)
    log.add(types.CHILD_STARTED, 1, name="shop:ship", run_id="wrun_ship")
    log.add(types.CHILD_STARTED, 2, run_id="wrun_other", watch=True)
    log.add(types.CHILD_STARTED, 3, name="shop:bill", run_id="wrun_bill")
    log.add(types.CHILD_COMPLETED, 1, name="shop:ship", run_id="wrun_ship_2", status="completed", code=None)
    log.add(types.CHILD_COMPLETED, 2, run_id="wrun_other", status="failed", code="USER_ERROR")
    log.add(types.RUN_COMPLETED)
    return log


def _write_ends() -> Log:
    log = Log("wrun_ends")
    log.add(types.RUN_STARTED)
    log.add(types.HOOK_CREATED, 1, name="shop:Approval")
    log.add(types.HOOK_CONFLICT, 1, run_id="wrun_other", by=0)
    log.add(types.HOOK_CREATED, 2, name="hook")
    log.add(types.HOOK_RECEIVED, 2)
    log.add(types.STEP_CREATED, 3, name="shop:slow", attempt=1)
    log.add(types.STEP_CREATED, 4, name="shop:never", attempt=0)
    log.add("something_new", 5, name="of a later version")
    log.add(types.STEP_STARTED, 3, name="shop:slow", attempt=2)
    log.add(types.WAIT_COMPLETED, 0)
    log.add(types.RUN_FAILED, code="TIMEOUT", error_type="builtins.TimeoutError")
    log.add(types.STEP_FAILED, 3, name="shop:slow", attempt=2, error_type="shop.Broke", by=400_000)
    return log


def _write_waits() -> Log:
    """Waits that are given up, or whose end is recorded late, while the log goes on."""
    log = Log("wrun_waits")
    log.add(types.RUN_STARTED)
    for number, kind in ((1, "sleep"), (2, "deadline"), (3, "sleep")):
        log.add(types.WAIT_CREATED, number, kind=kind, due_at=log.at + 5_000)
    log.add(types.STEP_CREATED, 4, name="shop:a", attempt=0, by=20_000)
    log.add(types.STEP_FAILED, 4, name="shop:a", attempt=0, error_type=CANCELLED)
    log.add(types.WAIT_COMPLETED, 1)
    log.add(types.STEP_CREATED, 5, name="shop:b", attempt=1)
    log.add(types.STEP_RETRYING, 5, name="shop:b", attempt=1, due_at=log.at, error_type="shop.Busy", by=0)
    log.add(types.STEP_STARTED, 5, name="shop:b", attempt=2, by=2_000)
    log.add(types.STEP_COMPLETED, 5, name="shop:b", attempt=2)
    log.add(types.RUN_COMPLETED)
    return log


def record(events: list[Event]) -> dict[str, Any]:
    """Give a log's line: its beginnings at two places, and the whole."""
    opener = Opener(KEYRING, events[0].run_id, is_locked=True)
    cuts = sorted({1, len(events) // 2, len(events)} - {0})
    return {
        "run_id": events[0].run_id,
        "events": [show_event(event, opener) for event in events],
        "traces": {str(cut): make_trace(events[:cut]) for cut in cuts},
    }


def write_all() -> str:
    return "".join(msgspec.json.encode(record(events)).decode() + "\n" for events in make_logs())


if __name__ == "__main__":
    PATH.write_text(write_all(), "utf-8")
