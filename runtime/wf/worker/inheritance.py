"""Inheritance: how a fork begins, in the first append of its first owner.

1. All of it is one append: the history that the fork shares, the answers that it was made with, and the
   calls that today's code then makes. An owner that dies before has left nothing but copied chunks, which
   the next one finds and goes on from.
2. The answers wait in the inbox, sealed, and are taken with that append. Each is delivered as what the
   call would have heard; nobody else is asked for it.
3. The other run's log is read and verified, and never written to.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import msgspec

from wf import arguments, codec, events, ids, registry
from wf.engine.body import find_position
from wf.engine.fork import answer_last, make_own, outcome_meta, take_history
from wf.engine.replay import Opened
from wf.errors import NondeterminismError, RunNotFoundError, ValidationError
from wf.events import Event
from wf.keys import Keyring
from wf.records import FORK, Answer, Fork, chunk_place, encode_meta, read_answers, read_fork
from wf.worker.opening import open_log, read_whole_log
from wf.world import (
    Claimed,
    Fence,
    PutHook,
    PutWait,
    RequestLock,
    RunRow,
    StartRun,
    WatchRun,
    World,
)

if TYPE_CHECKING:
    from wf.worker.live import LiveRun

CHUNKS_AT_ONCE: Final = 256


async def inherit(run: LiveRun, created: Opened, fork: Fork, claimed: Claimed) -> None:
    """Begin as a fork. Raises `NondeterminismError` where today's code does not fit what is inherited."""
    answers = [_give_type(answer) for answer in read_answers(run.tail.key, fork, claimed.inbox)]
    history, left = await _read_history(run.worker.world, run.worker.keyring, run.run_id, fork, answers)
    if history:
        await _copy_streams(run, fork, history[-1][0].at)
    for message in claimed.inbox:
        if message.kind == FORK:
            run.take_message(message)
    _append(run, created, fork, history, left)


async def read_inherited(world: World, keyring: Keyring, row: RunRow, created: Event) -> list[Opened]:
    """Give the history that a fork which has not begun goes on from, without what it hears otherwise."""
    fork = read_fork(created) if row.forked_from is not None and row.seq == 1 else None
    return [] if fork is None else (await _read_history(world, keyring, row.run_id, fork, ()))[0]


async def _read_history(
    world: World, keyring: Keyring, run_id: str, fork: Fork, answers: Sequence[Answer]
) -> tuple[list[Opened], list[Answer]]:
    """Read and verify the log that a fork goes on from; give what it inherits, and the answers that are left."""
    row = await world.get_run(fork.run_id)
    if row is None:
        raise RunNotFoundError(fork.run_id)
    log = open_log(row, keyring.run(fork.run_id), await read_whole_log(world, row))
    payloads = {event.seq: data for event, data in log}
    history = [(event, payloads[event.seq]) for event in take_history([event for event, _ in log], fork.seq)]
    history, left = answer_last(history, answers)
    own = make_own(history, old_id=fork.run_id, new_id=run_id, is_beside=fork.is_beside, draw_token=ids.new_token)
    return own, left


def _append(run: LiveRun, created: Opened, fork: Fork, history: Sequence[Opened], answers: Sequence[Answer]) -> None:
    run.touch()
    tail = run.tail
    at = run.worker.clock.now_us()
    note = tail.add(at, events.RUN_FORKED, None, fork.run_id, None, encode_meta({"seq": fork.seq}))
    log = [created, (note, None)]
    tail.at = 0  # the history is older, and keeps its times: a body's `now()` is among them
    for event, data in history:
        own = tail.add(event.at, event.type, event.correlation_id, event.name, event.attempt, event.meta, data)
        log.append((own, data))
        if event.type == events.RUN_STARTED:
            tail.add_effect(StartRun(at))
    run.answered = frozenset(answer.id for answer in answers)
    run.recover(log, is_inherited=True)
    for answer in answers:
        if not run.is_over:
            _deliver(run, answer)
    run.answered = frozenset()
    if run.replay.blocked is not None:  # nothing of it is written then: who comes next begins anew
        raise run.replay.blocked


# -- answers ------------------------------------------------------------------------------------


def _give_type(answer: Answer) -> Answer:
    """Give a plain answer the type that its call's code says it has; as it came where it says none."""
    if not answer.is_plain or answer.error_type is not None:
        return answer
    called = registry.find_step(answer.name) or registry.find_workflow(answer.name)
    if called is None:
        return answer
    try:
        value = arguments.give_result_type(called.func, codec.decode(bytes(answer.data)))
    except ValidationError:  # the code is another than the one that it was checked against
        return answer
    return Answer(answer.id, answer.type, answer.name, msgspec.Raw(codec.encode(value, "output")))


def _deliver(run: LiveRun, answer: Answer) -> None:
    """Answer an open call: with the event that ends it, and all that the body makes of that."""
    body, number, data = run.replay.body, answer.id, bytes(answer.data)
    name: str | None = answer.name
    attempt: int | None = None
    meta: str | None = None
    is_open = False
    match answer.type:
        case events.STEP_COMPLETED | events.STEP_FAILED:
            state = body.steps.get(number)
            is_open = state is not None and state.name == name
            attempt = 1
            if answer.error_type is not None:
                meta = encode_meta({"error_type": answer.error_type})
        case events.HOOK_RECEIVED:
            hook = body.hooks.get(number)
            is_open = hook is not None and not hook.is_disposed and hook.conflict is None
            name = None
        case events.CHILD_COMPLETED:
            child = body.children.get(number)
            is_open = child is not None and child.workflow == name and not child.future.done()
            meta = outcome_meta(child.run_id if child is not None else "", answer)
    if not is_open:
        raise NondeterminismError(
            f"run {run.run_id} cannot go on: it brings an answer to {answer.name} (position {number}), and its body"
            " does not wait for one there",
            run_id=run.run_id,
            recorded=f"an answer to {answer.name} (position {number})",
            actual="no such call",
            where=find_position(body.main),
        )
    if attempt is not None:
        run.replay.apply(run.add_event(events.STEP_STARTED, number, name, attempt), None)
    run.replay.apply(run.add_event(answer.type, number, name, attempt, meta, data), data)
    run.process_commands()


# -- beside the log -----------------------------------------------------------------------------


async def _copy_streams(run: LiveRun, fork: Fork, until: int) -> None:
    """Copy the chunks that the other run's streams had at an instant; go on from where an owner left off."""
    world, run_id = run.worker.world, run.run_id
    theirs, own = run.worker.keyring.run(fork.run_id), run.tail.key
    there = {stream.name: stream.tail_index + 1 + stream.is_closed for stream in await world.list_streams(run_id)}
    for stream in await world.list_streams(fork.run_id):
        if stream.name.startswith("$"):  # the runtime's own: answers to callers who do not wait for this run
            continue
        index = there.get(stream.name, 0)
        while True:
            found = await world.read_chunks(fork.run_id, stream.name, index, CHUNKS_AT_ONCE)
            taken = [chunk for chunk in found if chunk.at <= until]
            payloads = [
                None
                if chunk.payload is None
                else own.seal(
                    chunk_place(stream.name, chunk.index),
                    "chunk",
                    theirs.open(chunk_place(stream.name, chunk.index), "chunk", chunk.payload),
                )
                for chunk in taken
            ]
            if taken:
                fence = Fence(run_id, run.tail.epoch)
                times = [chunk.at for chunk in taken]
                await world.append_chunks(run_id, stream.name, index, times, payloads, fence)
            index += len(taken)
            if not taken or len(taken) < len(found):
                break


def find_deadline(timeout_us: int | None, log: Sequence[Opened]) -> int:
    """Give when the run's own timeout is over; a fork's counts from the fork."""
    begun = [event.at for event, _ in log if event.type in (events.RUN_STARTED, events.RUN_FORKED)]
    return max(begun) + (timeout_us or 0)


def take_up_the_world(run: LiveRun, log: Sequence[Opened], fresh: set[int | None]) -> None:
    """Tell the world what an inherited body waits for: of its history it knows nothing yet."""
    body, tail = run.replay.body, run.tail
    if run.workflow.timeout_us is not None:
        tail.add_effect(PutWait(0, "run", find_deadline(run.workflow.timeout_us, log)))
    for number, wait in body.waits.items():
        if number not in fresh:
            tail.add_effect(PutWait(number, wait.kind, wait.due_at))
    for event, _ in log:
        hook = body.hooks.get(event.correlation_id or 0) if event.type == events.HOOK_CREATED else None
        if hook is not None and not hook.is_disposed and hook.conflict is None:
            tail.add_effect(PutHook(hook.correlation_id, ids.hash_token(hook.token), event.seq, hook.kind))
    for number, lock in body.locks.items():
        if number not in fresh and not lock.future.done():
            tail.add_effect(RequestLock(number, lock.name, lock.limit))
    for number, child in body.children.items():
        if number not in fresh and number not in run.answered and not child.future.done():
            tail.add_effect(WatchRun(number, child.run_id))
    for number, state in body.steps.items():
        if number not in fresh and number not in run.answered:
            run.request_turn(state)
