"""Sealed records that clients and workers both write and read: new runs, messages, outcomes.

A world sees only what these functions give it; they are the one place where clear values become
rows and back, besides the log's tail in the worker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

import msgspec

from wf import chain, codec, events
from wf.errors import DecryptionError, ImportedRunError, RunNotFoundError
from wf.events import Event
from wf.keys import Keyring, RunKey
from wf.world import InboxMessage, Message, NewRun, RunRow, World

INBOX = "inbox"
FORK = "fork"
_STATUS = {
    events.RUN_COMPLETED: events.COMPLETED,
    events.RUN_FAILED: events.FAILED,
    events.RUN_CANCELLED: events.CANCELLED,
}


def encode_meta(content: Mapping[str, Any]) -> str:
    return msgspec.json.encode(content).decode()


def decode_meta(meta: str | None) -> dict[str, Any]:
    return msgspec.json.decode(meta) if meta else {}


class Edit(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a fork's history has otherwise than the log that it comes from, in clear: never a value.

    `id` and `name` are those of the call, for `output` and `error` (of a step or a child) and `payload`
    (of a hook); an `input` is the run's own.
    """

    what: Literal["input", "output", "error", "payload"]
    id: int | None = None
    name: str | None = None


class Fork(msgspec.Struct, frozen=True, omit_defaults=True):
    """Where a forked run's history comes from: `run_id`'s log up to `seq`. `seed_id` fixes its randomness.

    One that `is_beside` the other run, rather than in its place, gives its hooks tokens of their own.
    """

    run_id: str
    seq: int
    seed_id: str
    is_beside: bool = msgspec.field(default=False, name="beside")
    edits: list[Edit] = []


class Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a fork answers a call in place of who answered it, or is yet to. `type` is that of the event.

    `data` is encoded; one that `is_plain` is JSON from who has no classes, which the call's code gives
    its type. Of an exception `error_type` is the class, as `module.qualname`.
    """

    id: int
    type: str
    name: str
    data: msgspec.Raw
    is_plain: bool = False
    error_type: str | None = None


class Made(msgspec.Struct, frozen=True):
    """A first event as this process has sealed it: who finds the very same in the world need not open it again."""

    event: Event
    mac: bytes
    arguments: bytes


MOST_KEPT: Final = 1024
"""Bytes of arguments that are kept in clear until a run is taken up: a key ring keeps thousands of runs."""


def open_as_made(key: RunKey, row: RunRow, log: Sequence[Event]) -> bytes | None:
    """Give a new run's arguments, if its log and row are what this process has made; None: they are to be opened."""
    made = key.made
    key.made = None
    if not isinstance(made, Made) or len(log) != 1 or log[0] != made.event:
        return None
    return made.arguments if (row.seq, row.head, row.mac) == (1, made.event.link, made.mac) else None


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
    answers: Sequence[Answer] = (),
    is_plain: bool = False,
) -> NewRun:
    """Make a run's first event, `run_created`, and what the world needs to keep of it.

    `is_plain`: the arguments are JSON values, which the body's process gives their types. `answers` are a
    fork's, and wait sealed in its inbox for its first owner.
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
    event, mac = Event(run_id, 1, events.RUN_CREATED, None, workflow, None, at, meta, payload, link), key.mac(1, link)
    if len(arguments) <= MOST_KEPT:
        key.made = Made(event, mac, arguments)
    return NewRun(
        event=event,
        mac=mac,
        workflow=workflow,
        deployment_id=deployment_id,
        not_before=not_before,
        attributes=dict(attributes),
        concurrency=concurrency,
        parent_run_id=parent_run_id,
        parent_correlation_id=parent_correlation_id,
        continued_from=continued_from,
        forked_from=None if fork is None else fork.run_id,
        inbox=[seal_message(keyring, run_id, FORK, at, msgspec.json.encode(answers))] if answers else [],
    )


def read_fork(created: Event) -> Fork | None:
    """Give what a run's first event says of the run that it was forked from."""
    found = decode_meta(created.meta).get("fork")
    return None if found is None else msgspec.convert(found, Fork)


def read_answers(key: RunKey, fork: Fork, inbox: Sequence[InboxMessage]) -> tuple[Answer, ...]:
    """Open what a fork's calls are to be answered with; `inbox` is what its first owner finds.

    Raises `DecryptionError` where it is not what the fork's first event says that was edited.
    """
    answers: tuple[Answer, ...] = ()
    for message in inbox:
        if message.kind == FORK:
            answers = msgspec.json.decode(open_message(key, message) or b"[]", type=tuple[Answer, ...])
    if [(answer.id, answer.name) for answer in answers] != [(e.id, e.name) for e in fork.edits if e.id is not None]:
        raise DecryptionError(key.run_id, 1, FORK, "the answers that the fork was made with are not there")
    return answers


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


def chunk_place(name: str, index: int) -> str:
    """Name the place that a stream's chunk is sealed for."""
    return f"stream:{name}:{index}"


def open_message(key: RunKey, message: InboxMessage) -> bytes | None:
    if message.payload is None:
        return None
    return codec.unpack(key.open(INBOX, message.kind, message.payload))


def open_reason(key: RunKey, message: InboxMessage) -> bytes | None:
    """Open why a run is to end. To a child whose parent gave it up the world says so itself, in clear."""
    data = open_message(key, message)
    reason = decode_meta(message.meta).get("reason") if data is None else None
    return data if reason is None else codec.encode(reason, "reason")


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
    before = tail.pop(0) if start and tail else None  # no tail: it is forgotten meanwhile
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
