"""Events: the rows of a run's log, the only truth about a run.

1. `seq` is dense and starts at 1; `seq` alone orders a log, never `at`.
2. `correlation_id` ties the events of one call together: the Nth call of a body is N. It is None
   for events of the run as a whole and for attributes that a step set.
3. `meta` is clear JSON text, kept byte for byte because the chain covers it; `payload` is sealed.

docs/event-log.md specifies the format for a second implementation.
"""

from __future__ import annotations

from typing import Final

import msgspec

RUN_CREATED: Final = "run_created"
RUN_STARTED: Final = "run_started"
RUN_COMPLETED: Final = "run_completed"
RUN_FAILED: Final = "run_failed"
RUN_CANCELLED: Final = "run_cancelled"
STEP_CREATED: Final = "step_created"
STEP_STARTED: Final = "step_started"
STEP_RETRYING: Final = "step_retrying"
STEP_COMPLETED: Final = "step_completed"
STEP_FAILED: Final = "step_failed"
WAIT_CREATED: Final = "wait_created"
WAIT_COMPLETED: Final = "wait_completed"
HOOK_CREATED: Final = "hook_created"
HOOK_RECEIVED: Final = "hook_received"
HOOK_DISPOSED: Final = "hook_disposed"
HOOK_CONFLICT: Final = "hook_conflict"
LOCK_REQUESTED: Final = "lock_requested"
LOCK_ACQUIRED: Final = "lock_acquired"
LOCK_RELEASED: Final = "lock_released"
CHILD_STARTED: Final = "child_started"
CHILD_CANCELLED: Final = "child_cancelled"
CHILD_COMPLETED: Final = "child_completed"
ATTRIBUTES_SET: Final = "attributes_set"
CANCEL_REQUESTED: Final = "cancel_requested"
RUN_BLOCKED: Final = "run_blocked"
RUN_FORKED: Final = "run_forked"

ENDS: Final = frozenset({RUN_COMPLETED, RUN_FAILED, RUN_CANCELLED})
"""Events that end a run. Only results of steps that were in flight may follow one."""

CALLS: Final = frozenset(
    {
        STEP_CREATED, WAIT_CREATED, HOOK_CREATED, HOOK_DISPOSED, LOCK_REQUESTED, LOCK_RELEASED,
        CHILD_STARTED, CHILD_CANCELLED, ATTRIBUTES_SET, RUN_COMPLETED, RUN_FAILED, RUN_CANCELLED,
    }
)  # fmt: skip
"""Events that record what a body did; a replay must do the same, in the same order."""

DELIVERIES: Final = frozenset(
    {
        RUN_STARTED, STEP_COMPLETED, STEP_FAILED, WAIT_COMPLETED, HOOK_RECEIVED, HOOK_CONFLICT,
        LOCK_ACQUIRED, CHILD_COMPLETED, CANCEL_REQUESTED,
    }
)  # fmt: skip
"""Events that reach the body; the time of the last one is the body's `now()`."""

PENDING: Final = "pending"
RUNNING: Final = "running"
COMPLETED: Final = "completed"
FAILED: Final = "failed"
CANCELLED: Final = "cancelled"
ENDED: Final = frozenset({COMPLETED, FAILED, CANCELLED})


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One row of a log. `at` is microseconds since 1970 UTC; `link` is its link of the chain."""

    run_id: str
    seq: int
    type: str
    correlation_id: int | None
    name: str | None
    attempt: int | None
    at: int
    meta: str | None
    payload: bytes | None
    link: bytes
