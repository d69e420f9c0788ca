"""Sealed records that clients and workers both write and read: new runs, messages, outcomes.

A world sees only what these functions give it; they are the one place where clear values become
rows and back, besides the log's tail in the worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from wf import chain, codec, events
from wf.errors import DecryptionError, ImportedRunError, RunNotFoundError
from wf.events import Event
from wf.keys import Keyring, RunKey
from wf.world import InboxMessage, Message, NewRun, RunRow, World

INBOX = "inbox"
_STATUS = {
    events.RUN_COMPLETED: events.COMPLETED,
    events.RUN_FAILED: events.FAILED,
    events.RUN_CANCELLED: events.CANCELLED,
}


def encode_meta(content: Mapping[str, Any]) -> str:
    return msgspec.json.encode(content).decode()


def decode_meta(meta: str | None) -> dict[str, Any]:
    return msgspec.json.decode(meta) if meta else {}


class Fork(msgspec.Struct, frozen=True):
    """Where a forked run's history comes from: `run_id`'s log up to `seq`. `seed_id` fixes its randomness."""

    run_id: str
    seq: int
    seed_id: str


def seal_new_run(
    keyring: Keyring,
    *,
    run_id: str,
    workflow: str,
    arguments: bytes,
    at: int,
    deployment_id: str,
    attributes: Mapping[str, str],
    concurrency: int | None = None,
    delay_us: int | None = None,
    parent_run_id: str | None = None,
    parent_correlation_id: int | None = None,
    continued_from: str | None = None,
    fork: Fork | None = None,
    is_plain: bool = False,
) -> NewRun:
    """Make a run's first event, `run_created`, and what the world needs to keep of it.

    `is_plain`: the arguments are JSON values, which the body's process gives their types.
    """
    key = keyring.run(run_id)
    not_before = at + delay_us if delay_us else None
    facts = {
        "deployment_id": deployment_id,
        "attributes": dict(attributes) or None,
        "parent_run_id": parent_run_id,
        "parent_correlation_id": parent_correlation_id,
        "continued_from": continued_from,
        "not_before": not_before,
        "plain": is_plain or None,
        "fork": None if fork is None else msgspec.to_builtins(fork),
    }
    meta = encode_meta({name: fact for name, fact in facts.items() if fact is not None})
    payload = key.seal(1, events.RUN_CREATED, codec.pack(arguments))
    link = chain.link(chain.genesis(run_id), run_id, 1, events.RUN_CREATED, None, workflow, None, at, meta, payload)
    return NewRun(
        event=Event(run_id, 1, events.RUN_CREATED, None, workflow, None, at, meta, payload, link),
        mac=key.mac(1, link),
        workflow=workflow,
        deployment_id=deployment_id,
        not_before=not_before,
        attributes=dict(attributes),
        concurrency=concurrency,
        parent_run_id=parent_run_id,
        parent_correlation_id=parent_correlation_id,
        continued_from=continued_from,
        forked_from=None if fork is None else fork.run_id,
    )


def read_fork(created: Event) -> Fork | None:
    """Give what a run's first event says of the run that it was forked from."""
    found = decode_meta(created.meta).get("fork")
    return None if found is None else msgspec.convert(found, Fork)


def seal_message(
    keyring: Keyring,
    run_id: str,
    kind: str,
    at: int,
    data: bytes | None = None,
    *,
    correlation_id: int | None = None,
    meta: Mapping[str, Any] | None = None,
    delivery_id: str | None = None,
) -> Message:
    """Make a message for a run's inbox; `data` is encoded and gets packed and sealed."""
    payload = keyring.run(run_id).seal(INBOX, kind, codec.pack(data)) if data is not None else None
    return Message(kind, at, correlation_id, encode_meta(meta) if meta else None, payload, delivery_id)


def open_message(key: RunKey, message: InboxMessage) -> bytes | None:
    if message.payload is None:
        return None
    return codec.unpack(key.open(INBOX, message.kind, message.payload))


def open_event(key: RunKey, event: Event) -> bytes | None:
    """Open and unpack an event's payload; what it yields is encoded as the codec says."""
    if event.payload is None:
        return None
    return codec.unpack(key.open(event.seq, event.type, event.payload))


class End(msgspec.Struct, frozen=True):
    """How a run ended. `data` is its encoded result, exception, or cancel reason."""

    run_id: str
    status: str
    code: str | None
    data: bytes | None


async def find_last(world: World, keyring: Keyring, run_id: str) -> RunRow:
    """Give the run, or the last one of the chain that it continued as.

    Raises `RunNotFoundError`, and `DecryptionError` where a run's log does not say that it continued.
    """
    row = await world.get_run(run_id)
    while row is not None and row.continued_as is not None:
        await read_end(world, keyring, row)
        row = await world.get_run(row.continued_as)
    if row is None:
        raise RunNotFoundError(run_id)
    return row


async def read_end(world: World, keyring: Keyring, row: RunRow) -> End:
    """Read and authenticate how an ended run ended. Raises `DecryptionError`.

    Raises `ImportedRunError` for one that had not ended when it was taken from where it ran.
    """
    if row.origin is not None and row.status not in events.ENDED:
        raise ImportedRunError(row.run_id, row.origin)
    key = keyring.run(row.run_id)
    seq = row.result_seq or row.seq
    start = max(0, seq - 2)  # one event more, for its link
    tail = await world.read_events(row.run_id, start, row.seq - start)
    tail = [event for event in tail if event.seq <= row.seq]  # a step in flight may have ended since
    before = tail.pop(0) if start else None
    if not key.check_mac(row.seq, row.head, row.mac):
        raise DecryptionError(row.run_id, row.seq, "log", "the head of the log is not authentic")
    if not tail or tail[-1].seq < row.seq:
        missing = tail[-1].seq + 1 if tail else seq
        raise DecryptionError(row.run_id, missing, "log", "the event is missing")
    head = chain.verify(tail, row.run_id, before.link if before else None, before.seq if before else 0)
    if head != row.head:
        raise DecryptionError(row.run_id, row.seq, "log", "the log does not end where the run says it does")
    end = tail[seq - tail[0].seq]
    meta = decode_meta(end.meta)
    said = (_STATUS.get(end.type), meta.get("code"), meta.get("continued_as"))
    if said != (row.status, row.error_code, row.continued_as):
        raise DecryptionError(row.run_id, end.seq, "log", "the run's row says another end than its log")
    return End(row.run_id, row.status, row.error_code, open_event(key, end))
