"""Commands: what a body asks of the outside, in the order in which it asked.

A recorded command becomes the event named by its `event`, with the command's correlation id, name,
meta and data, so a replay compares a command with its event field by field. Commands without an
event (`DropWait`, `CancelStep`) only undo something, and follow from what the body did.
"""

from __future__ import annotations

from typing import Any, ClassVar

import msgspec

from wf import events


class Command(msgspec.Struct):
    """`data` is encoded and not yet sealed; `meta` is clear JSON text.

    `where` is the caller's `file:line in function`, looked up only while a log is replayed.
    """

    event: ClassVar[str | None] = None

    correlation_id: int | None
    name: str | None = None
    meta: str | None = None
    data: bytes | None = None
    where: str | None = None


class ScheduleStep(Command):
    event = events.STEP_CREATED


class StartWait(Command, kw_only=True):
    event = events.WAIT_CREATED

    kind: str
    due_at: int


class CreateHook(Command, kw_only=True):
    event = events.HOOK_CREATED

    token: str
    kind: str


class DisposeHook(Command):
    event = events.HOOK_DISPOSED


class RequestLock(Command, kw_only=True):
    event = events.LOCK_REQUESTED

    limit: int


class ReleaseLock(Command):
    event = events.LOCK_RELEASED


class StartChild(Command, kw_only=True):
    """Start a child run (`name` is its workflow), or, without a name, watch a run that exists."""

    event = events.CHILD_STARTED

    run_id: str
    workflow: Any = None
    options: Any = None


class CancelChild(Command, kw_only=True):
    """Tell a child run to cancel: what awaited it was cancelled, and nobody else has its result."""

    event = events.CHILD_CANCELLED

    run_id: str


class SetAttributes(Command, kw_only=True):
    event = events.ATTRIBUTES_SET

    changes: dict[str, str | None]


class CompleteRun(Command):
    event = events.RUN_COMPLETED


class ContinueAsNew(Command, kw_only=True):
    """Complete the run and start the next; `arguments` are the next run's."""

    event = events.RUN_COMPLETED

    run_id: str
    arguments: bytes
    deployment: str | None


class FailRun(Command, kw_only=True):
    event = events.RUN_FAILED

    code: str


class CancelRun(Command):
    event = events.RUN_CANCELLED


class DropWait(Command):
    pass


class CancelStep(Command, kw_only=True):
    message: str | None = None
