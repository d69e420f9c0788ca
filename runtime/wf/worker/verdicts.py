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
from wf.engine.replay import Opened, Replay, Watch, Witness
from wf.errors import BlockedError, DeadLetterError, DecryptionError, NondeterminismError, NotRegisteredError
from wf.events import PENDING
from wf.keys import Keyring
from wf.settings import Limits
from wf.worker.attention import describe_trouble, find_missing_step
from wf.worker.casualties import Casualties
from wf.worker.inheritance import read_inherited
from wf.worker.opening import make_replay, open_log, read_whole_log
from wf.worker.tracing import quiet_context
from wf.world import Attention, RunRow, World

log = logging.getLogger("wf.worker")


class Verdict(msgspec.Struct, frozen=True):
    """`clean`: it goes on. `diverges`: it does not, and `trouble` says where and why.

    With `is_extension` everything that is recorded fits, and the code goes on where the log ends. A run in
    flight cannot be moved to such code either: what its body asks for there was never committed.
    """

    run_id: str
    workflow: str
    outcome: Literal["clean", "diverges"]
    trouble: Attention | None = None
    is_extension: bool = False


_TROUBLES = (NondeterminismError, NotRegisteredError, DecryptionError, DeadLetterError, BlockedError)


async def judge(
    world: World,
    keyring: Keyring,
    row: RunRow,
    limits: Limits,
    casualties: Casualties | None = None,
    watch: Watch | None = None,
) -> Verdict:
    """Replay one run under today's code, without any effect; not again what took a process down here."""
    blocked = None if casualties is None else casualties.find_blocked(row.run_id)
    if blocked is not None:
        return _diverges(row, BlockedError(row.run_id, row.workflow, blocked.stack))
    deaths = 0 if casualties is None else casualties.count(row.run_id)
    if deaths:
        return _diverges(row, DeadLetterError(row.run_id, row.workflow, deaths))
    try:
        opened = open_log(row, keyring.run(row.run_id), await read_whole_log(world, row))
        inherited = await read_inherited(world, keyring, row, opened[0][0])
    except Exception as error:
        return _diverges(row, error)
    log = [*opened, *inherited]
    return judge_log(row, log, limits, is_open_ended=bool(inherited), witness=casualties, watch=watch)


def judge_log(
    row: RunRow,
    log: list[Opened],
    limits: Limits,
    *,
    is_open_ended: bool = False,
    witness: Witness | None = None,
    watch: Watch | None = None,
) -> Verdict:
    """Replay one run under today's code from its opened log: who has neither world nor keys can do it, too.

    An open-ended log is that of a fork which has not begun, with what it inherits: the calls of its last
    delivery are not in it.
    """
    try:
        _replay(row, log, limits, is_open_ended, witness, watch)
    except Exception as error:
        return _diverges(row, error)
    return Verdict(row.run_id, row.workflow, "clean")


def _diverges(row: RunRow, error: Exception) -> Verdict:
    if not isinstance(error, _TROUBLES):
        log.exception("run %s cannot be replayed", row.run_id)
        error = NondeterminismError(f"the run cannot be replayed: {error!r}", run_id=row.run_id)
    is_extension = isinstance(error, NondeterminismError) and error.is_extension
    return Verdict(row.run_id, row.workflow, "diverges", describe_trouble(error), is_extension)


def _replay(
    row: RunRow,
    log: list[Opened],
    limits: Limits,
    is_open_ended: bool,
    witness: Witness | None,
    watch: Watch | None,
) -> None:
    replay = begin_replay(row, log, limits)
    if replay is None:
        return
    replay.witness = witness
    replay.watch = watch
    try:
        # A user's spans in the body were made when it ran.
        quiet_context().run(replay.replay, log, is_open_ended=is_open_ended)
    except NondeterminismError as error:
        missing = find_missing_step(error, [event for event, _ in log])
        if missing is None:
            raise
        raise missing from error
    finally:
        replay.close()


def begin_replay(row: RunRow, log: list[Opened], limits: Limits) -> Replay | None:
    """Give a run's body, to be fed with its log; None for a run that has not begun, and whose arguments fit."""
    workflow = registry.find_workflow(row.workflow)
    if workflow is None:
        raise NotRegisteredError("workflow", row.workflow, [other.id for other in registry.list_workflows()])
    if (row.status == PENDING or row.seq == 1) and len(log) == 1:
        try:
            args, kwargs = workflow.signature.apply(codec.decode_arguments(log[0][1] or b"{}"))
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
        return None
    return make_replay(row, workflow, log[0][0], payload_limit=limits.payload)
