"""Forking: a new run that shares the history of another up to an event, and goes on from there.

The new run's first event says where its history comes from; its first owner copies it (only a run's
owner appends to its log). The old run is left as it is.
"""

from __future__ import annotations

from typing import Any

from wf.engine import fork as cuts
from wf.errors import RunNotFoundError, WorkflowError
from wf.events import ENDED, Event
from wf.origin import say_unreplayable
from wf.records import Fork, decode_meta, read_fork, seal_new_run
from wf.run import Run
from wf.session import Session
from wf.worker.opening import open_log, read_whole_log
from wf.world import NewRun, RunRow


class ForkError(WorkflowError):
    """A run cannot be forked there; nothing was written."""

    slug = "fork"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint


async def fork_run(
    session: Session, run_id: str, from_seq: int, *, deployment: str | None = None, concurrency: int | None = None
) -> Run[Any]:
    """Start a run with the history of another up to the last delivery at or before `from_seq`.

    It runs on the session's deployment unless another is named. `concurrency` is the bound on runs of
    the workflow at once, which only its code knows. Raises `ForkError` inside a `wf.lock` block.
    """
    new = await prepare_fork(session, run_id, from_seq, deployment=deployment, concurrency=concurrency)
    return await create_fork(session, new)


async def retry_run(
    session: Session, run_id: str, *, deployment: str | None = None, concurrency: int | None = None
) -> Run[Any]:
    """Try an ended run again, in a new run: completed steps keep their results, what failed runs again.

    One that was imported need not have ended: here nothing of it goes on.
    """
    row = await _read_row(session, run_id)
    if row.status not in ENDED and row.origin is None:
        raise ForkError(f"run {run_id} has not ended", "cancel it first, or fork it from an event")
    log = await read_whole_log(session.world, row)
    return await create_fork(session, _seal(session, row, log, cuts.find_retry_cut(log), deployment, concurrency))


async def prepare_fork(
    session: Session, run_id: str, from_seq: int, *, deployment: str | None = None, concurrency: int | None = None
) -> NewRun:
    """Make a fork that `create_fork` starts: in between, the old run can be ended and free its hooks' tokens."""
    row = await _read_row(session, run_id)
    log = await read_whole_log(session.world, row)
    return _seal(session, row, log, cuts.find_cut(log, from_seq), deployment, concurrency)


async def create_fork(session: Session, new: NewRun) -> Run[Any]:
    await session.world.create_run(new)
    return Run(new.event.run_id)


async def _read_row(session: Session, run_id: str) -> RunRow:
    row = await session.world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    reason = say_unreplayable(row.origin)
    if reason is not None:
        raise ForkError(f"run {run_id} cannot be forked: {reason}", "start the workflow anew")
    return row


def _seal(
    session: Session, row: RunRow, log: list[Event], cut: int, deployment: str | None, concurrency: int | None
) -> NewRun:
    if cuts.holds_lock(log, cut):
        raise ForkError(
            f"run {row.run_id} holds a lock, or queues for one, at event {cut}",
            "fork from an event before `wf.lock`, or after its block",
        )
    created, arguments = open_log(row, session.keyring.run(row.run_id), log)[0]
    before = read_fork(created)
    new_id = session.new_run_id()
    return seal_new_run(
        session.keyring,
        run_id=new_id,
        workflow=row.workflow,
        arguments=cuts.swap_id(arguments, row.run_id, new_id) or b"{}",
        at=session.now_us(),
        deployment_id=deployment or session.deployment_id,
        attributes=decode_meta(created.meta).get("attributes") or {},
        concurrency=concurrency,
        is_plain=bool(decode_meta(created.meta).get("plain")),
        fork=Fork(row.run_id, cut, before.seed_id if before is not None else row.run_id),
    )
