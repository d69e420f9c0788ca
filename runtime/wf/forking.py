"""Forking: a new run that shares the history of another up to an event, and goes on from there.

The new run's first event says where its history comes from; its first owner copies it (only a run's
owner appends to its log). The old run is left as it is.

A fork runs *beside* the old run: its hooks have tokens of their own. A retry, or a remedy that ends the
old run, puts the new one *in its place*: who has a token reaches the new run with it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from wf.engine import fork as cuts
from wf.engine.replay import Opened
from wf.errors import RunNotFoundError, WorkflowError
from wf.events import ENDED, HOOK_RECEIVED, Event
from wf.origin import say_unreplayable
from wf.records import Answer, Edit, Fork, decode_meta, read_fork, seal_new_run
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


class Source(NamedTuple):
    """The run that a fork goes on from: its row, and its whole log, verified and opened."""

    row: RunRow
    log: list[Opened]

    @property
    def events(self) -> list[Event]:
        return [event for event, _ in self.log]


async def read_source(session: Session, run_id: str) -> Source:
    """Read a run that is to be forked. Raises `RunNotFoundError`, and `ForkError` where no log of it can be taken."""
    row = await session.world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    reason = say_unreplayable(row.origin)
    if reason is not None:
        raise ForkError(f"run {run_id} cannot be forked: {reason}", "start the workflow anew")
    return Source(row, open_log(row, session.keyring.run(run_id), await read_whole_log(session.world, row)))


async def fork_run(
    session: Session,
    run_id: str,
    from_seq: int,
    *,
    answers: Sequence[Answer] = (),
    deployment: str | None = None,
    concurrency: int | None = None,
) -> Run[Any]:
    """Start a run with the history of another up to the last delivery at or before `from_seq`, beside that run.

    It runs on the session's deployment unless another is named. `concurrency` is the bound on runs of
    the workflow at once, which only its code knows. `answers` take the place of what calls of the history
    were answered, or are delivered where it ends. Raises `ForkError` inside a `wf.lock` block.
    """
    source = await read_source(session, run_id)
    cut = cuts.find_cut(source.events, from_seq)
    new = seal_fork(session, source, cut, answers=answers, deployment=deployment, concurrency=concurrency)
    return await create_fork(session, new)


async def retry_run(
    session: Session, run_id: str, *, deployment: str | None = None, concurrency: int | None = None
) -> Run[Any]:
    """Try an ended run again, in a new run in its place: completed steps keep their results, what failed runs again.

    One that was imported need not have ended: here nothing of it goes on.
    """
    source = await read_source(session, run_id)
    if source.row.status not in ENDED and source.row.origin is None:
        raise ForkError(f"run {run_id} has not ended", "cancel it first, or fork it from an event")
    cut = cuts.find_retry_cut(source.events)
    new = seal_fork(session, source, cut, is_beside=False, deployment=deployment, concurrency=concurrency)
    return await create_fork(session, new)


async def prepare_fork(
    session: Session, run_id: str, from_seq: int, *, deployment: str | None = None, concurrency: int | None = None
) -> NewRun:
    """Make a fork that takes a run's place, for `create_fork` to start: the old run is to be ended in between."""
    source = await read_source(session, run_id)
    cut = cuts.find_cut(source.events, from_seq)
    return seal_fork(session, source, cut, is_beside=False, deployment=deployment, concurrency=concurrency)


async def create_fork(session: Session, new: NewRun) -> Run[Any]:
    await session.world.create_run(new)
    return Run(new.event.run_id)


def seal_fork(
    session: Session,
    source: Source,
    cut: int,
    *,
    answers: Sequence[Answer] = (),
    arguments: bytes | None = None,
    attributes: Mapping[str, str] | None = None,
    run_id: str | None = None,
    is_beside: bool = True,
    deployment: str | None = None,
    concurrency: int | None = None,
) -> NewRun:
    """Make the first event of a fork that is cut after the event `cut`, a delivery, or 1 for a fresh start.

    `arguments` are other ones than the run's, as JSON values (then `cut` is 1); `attributes` come on top of
    those that it was started with. Raises `ForkError` where it would not be sound.
    """
    row, log = source
    events = source.events
    if row.forked_from is not None and row.seq == 1 and arguments is None:
        raise ForkError(
            f"run {row.run_id} is a fork that has not begun: its history is yet to be copied",
            f"fork {row.forked_from}, or wait until a worker has taken it up",
        )
    if cuts.holds_lock(events, cut):
        raise ForkError(
            f"run {row.run_id} holds a lock at event {cut}",
            "fork from an event before `wf.lock`, or after its block",
        )
    reason = cuts.say_misplaced(events, cut, answers)
    if reason is not None:
        raise ForkError(f"run {row.run_id} cannot be forked after event {cut}: {reason}")
    created, given = log[0]
    before = read_fork(created)
    new_id = run_id or session.new_run_id()
    edits = [] if arguments is None else [Edit("input")]
    edits += [Edit(_say_what(answer), answer.id, answer.name) for answer in answers]
    meta = decode_meta(created.meta)
    return seal_new_run(
        session.keyring,
        run_id=new_id,
        workflow=row.workflow,
        arguments=arguments or cuts.swap_id(given, row.run_id, new_id) or b"{}",
        at=session.now_us(),
        deployment_id=deployment or session.deployment_id,
        attributes={**(meta.get("attributes") or {}), **(attributes or {})},
        concurrency=concurrency,
        is_plain=arguments is not None or bool(meta.get("plain")),
        fork=Fork(
            row.run_id,
            cut,
            before.seed_id if before is not None else row.run_id,
            is_beside or (before is not None and before.is_beside),
            edits,
        ),
        answers=answers,
    )


def _say_what(answer: Answer) -> Literal["output", "error", "payload"]:
    if answer.type == HOOK_RECEIVED:
        return "payload"
    return "output" if answer.error_type is None else "error"
