"""Adoption: from a run that was just leased to a body that stands where its log ends.

A run that cannot go on here is not failed: it gets an attention, and its lease goes back with it. One
that was asked to end before it ever began, or that cannot run here, is ended without its code.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from wf import events, registry
from wf.errors import (
    BlockedError,
    DeadLetterError,
    DecryptionError,
    NondeterminismError,
    NotRegisteredError,
    WorldError,
)
from wf.records import decode_meta, encode_meta, open_reason, read_fork
from wf.worker.attention import describe_trouble, explain, find_missing_step
from wf.worker.casualties import MOST_DEATHS
from wf.worker.inheritance import inherit
from wf.worker.live import LiveRun
from wf.worker.opening import open_log, read_whole_log
from wf.worker.tail import LogTail
from wf.world import Claimed, EndRun, InboxMessage

if TYPE_CHECKING:
    from wf.worker.worker import Worker

log = logging.getLogger("wf.worker")


async def take_up(worker: Worker, claimed: Claimed) -> LiveRun | None:
    """Recover a run from its log, or start it. None: it was ended, or left alone with an attention.

    Raises `WorldError` where the storage fails, which says nothing about the run.
    """
    row = claimed.run
    workflow = registry.find_workflow(row.workflow)
    if needs_no_body(claimed):
        await _end_without_body(worker, claimed)
        return None
    if workflow is None:
        known = [other.id for other in registry.list_workflows()]
        await _give_up(worker, claimed, NotRegisteredError("workflow", row.workflow, known))
        return None
    blocked = worker.leases.find_blocked(row)
    if blocked is not None:
        await _give_up(worker, claimed, BlockedError(row.run_id, row.workflow, blocked.stack))
        return None
    deaths = worker.leases.count_deaths(row)
    if deaths >= MOST_DEATHS:
        await _give_up(worker, claimed, DeadLetterError(row.run_id, row.workflow, deaths))
        return None
    try:
        run = LiveRun(worker, row, workflow, claimed.events[0])
    except Exception:  # nothing was verified yet: whatever there is instead of a first event must harm nobody else
        log.exception("run %s could not be taken up", row.run_id)
        await _give_up(worker, claimed, DecryptionError(row.run_id, 1, "log", "it does not begin as a log does"))
        return None
    worker.leases.hold(run)  # before anything is awaited: a message may come meanwhile
    trouble = await _open(worker, claimed, run)
    if trouble is not None:
        worker.leases.forget(run)
        await _give_up(worker, claimed, trouble)
        return None
    if row.attention is not None:
        await worker.world.set_attention(worker.worker_id, row.run_id, row.epoch, None)
    return run


async def _open(worker: Worker, claimed: Claimed, run: LiveRun) -> Exception | None:
    """Bring a run's body to where its log ends; give what stands in the way, if anything does."""
    row = claimed.run
    log_events = claimed.events
    try:
        log_events = await read_whole_log(worker.world, row, claimed.events)
        opened = open_log(row, run.tail.key, log_events)
        fork = read_fork(log_events[0]) if row.forked_from and row.seq == 1 else None
        if fork is not None:
            await inherit(run, opened[0], fork, claimed)
        else:
            run.recover(opened)
        if not run.replay.is_started:
            run.start()
    except (DecryptionError, BlockedError) as error:
        return error
    except NondeterminismError as error:
        return find_missing_step(error, log_events) or error
    except WorldError:
        raise
    except Exception as error:  # a body that fails the engine itself must not stop the worker
        log.exception("run %s could not be taken up", row.run_id)
        return NondeterminismError(f"the run cannot be replayed: {error!r}", run_id=row.run_id)
    return None


async def _end_without_body(worker: Worker, claimed: Claimed) -> None:
    """End a run whose body never ran, or cannot run here, without its code."""
    row, key = claimed.run, worker.keyring.run(claimed.run.run_id)
    message = next(m for m in claimed.inbox if m.kind in ("cancel", "terminate"))
    try:
        data = open_reason(key, message)
    except DecryptionError:
        data = None  # the reason is lost with its key; the end that was asked for is not
    tail = LogTail(row, key)
    tail.at = claimed.events[-1].at if claimed.events else 0
    meta = encode_meta({"forced": True})
    event = tail.add(worker.clock.now_us(), events.RUN_CANCELLED, None, None, None, meta, data)
    for waiting in claimed.inbox:
        tail.take_message(waiting.id)
    tail.add_effect(EndRun("cancelled", event.at, event.seq))
    outcomes = await worker.world.commit([tail.take()])
    worker.leases.give_back_ended(row.run_id, row.epoch)
    if worker.tracing is not None and outcomes == ["applied"]:
        worker.tracing.run_ended(row, event, "cancelled", None)


async def _give_up(worker: Worker, claimed: Claimed, error: Exception) -> None:
    """Leave a run alone that cannot go on here, and say why; a terminate ends it all the same."""
    row = claimed.run
    if any(is_final(message) for message in claimed.inbox):
        await _end_without_body(worker, claimed)
        return
    attention = describe_trouble(error)
    log.error("run %s needs attention (%s)\n%s", row.run_id, attention.code, explain(error))
    await worker.world.set_attention(worker.worker_id, row.run_id, row.epoch, attention)


def needs_no_body(claimed: Claimed) -> bool:
    """Tell whether a run that was never started is ended by what waits in its inbox."""
    return claimed.run.seq == 1 and any(message.kind in ("cancel", "terminate") for message in claimed.inbox)


def is_final(message: InboxMessage) -> bool:
    """Tell whether a message ends its run at once, without its body."""
    return message.kind == "terminate" or (message.kind == "cancel" and "force" in decode_meta(message.meta))
