"""Verdicts: whether a run in flight would go on under the code that is loaded here.

1. Nothing is written and no step runs: the body is replayed under its log, then put away.
2. A verdict speaks of the log as it was read. A run that went on meanwhile may still diverge, which
   its next owner notices and says by an attention.
"""

from __future__ import annotations

import logging
from typing import Literal

import msgspec

from wf import codec, registry
from wf.errors import DecryptionError, NondeterminismError, NotRegisteredError
from wf.events import PENDING
from wf.keys import Keyring
from wf.settings import Limits
from wf.worker.attention import describe_trouble, find_missing_step
from wf.worker.opening import make_replay, open_log, read_whole_log
from wf.worker.tracing import quiet_context
from wf.world import Attention, RunRow, World

log = logging.getLogger("wf.worker")


class Verdict(msgspec.Struct, frozen=True):
    """`clean`: it goes on. `diverges`: it does not, and `trouble` says where and why."""

    run_id: str
    workflow: str
    outcome: Literal["clean", "diverges"]
    trouble: Attention | None = None


async def judge(world: World, keyring: Keyring, row: RunRow, limits: Limits) -> Verdict:
    """Replay one run under today's code, without any effect."""
    try:
        await _replay(world, keyring, row, limits)
    except (NondeterminismError, NotRegisteredError, DecryptionError) as error:
        return Verdict(row.run_id, row.workflow, "diverges", describe_trouble(error))
    except Exception as error:
        log.exception("run %s cannot be replayed", row.run_id)
        trouble = NondeterminismError(f"the run cannot be replayed: {error!r}", run_id=row.run_id)
        return Verdict(row.run_id, row.workflow, "diverges", describe_trouble(trouble))
    return Verdict(row.run_id, row.workflow, "clean")


async def _replay(world: World, keyring: Keyring, row: RunRow, limits: Limits) -> None:
    workflow = registry.find_workflow(row.workflow)
    if workflow is None:
        raise NotRegisteredError("workflow", row.workflow, [other.id for other in registry.list_workflows()])
    events = await read_whole_log(world, row)
    opened = open_log(row, keyring.run(row.run_id), events)
    if row.status == PENDING or row.seq == 1:
        try:
            args, kwargs = workflow.signature.apply(codec.decode_arguments(opened[0][1] or b"{}"))
            workflow.signature.parameters.bind(*args, **kwargs)
        except TypeError as error:
            raise NondeterminismError(
                f"run {row.run_id} was started with arguments for another signature: {error}",
                run_id=row.run_id,
                seq=1,
                recorded="the arguments of the start",
                actual=f"{workflow.id}{workflow.signature.parameters}",
                where=f"{workflow.where[0]}:{workflow.where[1]} in {workflow.__name__}",
            ) from error
        return
    replay = make_replay(row, workflow, events[0], payload_limit=limits.payload)
    try:
        quiet_context().run(replay.replay, opened)  # a user's spans in the body were made when it ran
    except NondeterminismError as error:
        missing = find_missing_step(error, events)
        if missing is None:
            raise
        raise missing from error
    finally:
        replay.close()
