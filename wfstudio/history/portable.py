"""Portable runs: a run with its payloads open, on its way from one world to another.

    open_run(session, run_id) -> PortableRun        verified and opened with the keys of the world it is in
    seal_run(keyring, run, source) -> ImportedRun   sealed and chained with those of the world it goes to

1. Nothing leaves a world that was not verified: the log's chain and its MAC, and the seal of each payload,
   chunk and batch of lines. What does not fit is a `DecryptionError` that names it.
2. Nothing enters a world whose log is not one (`log_rules`).
3. What a world keeps beside a log (status, times, attributes, links to other runs) is made from the log
   anew, so that a run's row cannot say something else than its log.
"""

from __future__ import annotations

import asyncio
from typing import Final

import msgspec

from wf import chain, codec, events
from wf.engine.body import merge_attributes
from wf.errors import DecryptionError, RunNotFoundError, SerializationError
from wf.events import Event
from wf.keys import Keyring, RunKey
from wf.origin import Kind, read_origin, write_origin
from wf.records import decode_meta
from wf.session import Session
from wf.streams import chunk_place
from wf.worker.opening import open_log, read_whole_log
from wf.world import Attention, ChunkRow, ImportedRun, LogRow, RunRow

PAGE: Final = 1_000
MOST_BATCHES: Final = 1_000_000

_ENDS: Final = {
    events.RUN_COMPLETED: events.COMPLETED,
    events.RUN_FAILED: events.FAILED,
    events.RUN_CANCELLED: events.CANCELLED,
}


class PortableEvent(msgspec.Struct, frozen=True, gc=False):
    """An event without its run, its link and its seal. `data` is the encoded value, None where there is none."""

    seq: int
    type: str
    correlation_id: int | None
    name: str | None
    attempt: int | None
    at: int
    meta: str | None
    data: bytes | None


class PortableChunk(msgspec.Struct, frozen=True, gc=False):
    """A chunk of a stream; `data` None is the end mark."""

    index: int
    at: int
    data: bytes | None


class PortableLog(msgspec.Struct, frozen=True, gc=False):
    """A batch of lines; `data` is JSON, `[[at, source, text], …]`."""

    correlation_id: int
    attempt: int
    index: int
    at: int
    data: bytes


class PortableRun(msgspec.Struct, frozen=True):
    """A run, open. What its log says of it is in `events` alone.

    `kind` says what may be done with it where it comes to (see `wf.origin`). `deployment_id` is what it was
    pegged to last. `parent_run_id` is what started it: the next run of a chain inherits that, and its own log
    does not say it.
    """

    run_id: str
    kind: Kind
    deployment_id: str
    parent_run_id: str | None
    parent_correlation_id: int | None
    attention: Attention | None
    events: list[PortableEvent]
    streams: dict[str, list[PortableChunk]] = {}
    logs: list[PortableLog] = []

    @property
    def deployments(self) -> list[str]:
        """The deployments that it began on and was pegged to last, where its code was kept at all."""
        began = decode_meta(self.events[0].meta).get("deployment_id", "")
        return [name for name in dict.fromkeys((began, self.deployment_id)) if name]

    @property
    def workflow(self) -> str:
        return self.events[0].name or ""

    @property
    def status(self) -> str:
        return tell_state(self.events).status


class State(msgspec.Struct, frozen=True):
    """What a log says of its run, as `RunRow` keeps it."""

    status: str
    started_at: int | None
    ended_at: int | None
    result_seq: int | None
    error_code: str | None
    continued_as: str | None
    attributes: dict[str, str]


def tell_state(log: list[PortableEvent]) -> State:
    """Fold a log into what its run's row says."""
    created = decode_meta(log[0].meta)
    attributes: dict[str, str] = dict(created.get("attributes") or {})
    started_at: int | None = None
    forked_at = 0
    end: PortableEvent | None = None
    for event in log:
        if event.type == events.RUN_FORKED:
            forked_at = event.at
        elif event.type == events.RUN_STARTED:
            # The history of a fork keeps its times; the fork itself began when it was copied, or afresh after that.
            started_at = max(event.at, forked_at)
        elif event.type == events.ATTRIBUTES_SET and end is None:
            attributes = merge_attributes(attributes, decode_meta(event.meta).get("set") or {})
        elif event.type in events.ENDS:
            end = event
    if end is None:
        status = events.PENDING if started_at is None else events.RUNNING
        return State(status, started_at, None, None, None, None, attributes)
    meta = decode_meta(end.meta)
    code = meta.get("code") if end.type == events.RUN_FAILED else None
    return State(_ENDS[end.type], started_at, end.at, end.seq, code, meta.get("continued_as"), attributes)


# -- out of a world -----------------------------------------------------------------------------


async def open_run(session: Session, run_id: str) -> PortableRun:
    """Read, verify and open a run as it is now. Of one that goes on it is what its log held a moment ago.

    Raises `RunNotFoundError`, and `DecryptionError` for the first thing that is not what was written.
    """
    row = await session.world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    key = session.keyring.run(run_id)
    try:
        # On a thread: a log of a hundred thousand events takes a second, and a server has others to serve.
        opened = await asyncio.to_thread(open_log, row, key, await read_whole_log(session.world, row))
    except SerializationError as error:
        raise DecryptionError(run_id, None, "log", str(error)) from error
    return PortableRun(
        run_id=run_id,
        kind=_tell_kind(row),
        deployment_id=row.deployment_id,
        parent_run_id=row.parent_run_id,
        parent_correlation_id=row.parent_correlation_id,
        attention=row.attention,
        events=[
            PortableEvent(
                event.seq, event.type, event.correlation_id, event.name, event.attempt, event.at, event.meta, data
            )
            for event, data in opened
        ],
        streams={
            stream.name: await _open_stream(session, key, stream.name)
            for stream in await session.world.list_streams(run_id)
        },
        logs=[
            PortableLog(log.correlation_id, log.attempt, log.index, log.at, _open(key, _log_place(log), "log", log))
            for log in await session.world.read_logs(run_id, MOST_BATCHES)
        ],
    )


def _tell_kind(row: RunRow) -> Kind:
    """A run that was imported stays what it was: one without payloads does not get them by going on."""
    if row.origin is None:
        return "bundle"
    return read_origin(row.origin).kind or "vercel"


async def _open_stream(session: Session, key: RunKey, name: str) -> list[PortableChunk]:
    chunks: list[PortableChunk] = []
    while True:
        page = await session.world.read_chunks(key.run_id, name, len(chunks), PAGE)
        for chunk in page:
            data = None if chunk.payload is None else _open(key, chunk_place(name, chunk.index), "chunk", chunk)
            chunks.append(PortableChunk(chunk.index, chunk.at, data))
        if len(page) < PAGE:
            return chunks


def _open(key: RunKey, place: str, field: str, row: ChunkRow | LogRow) -> bytes:
    try:
        return codec.unpack(key.open(place, field, row.payload or b""))
    except SerializationError as error:
        raise DecryptionError(key.run_id, None, field, f"{place}: {error}") from error


def _log_place(log: LogRow | PortableLog) -> str:
    return f"log:{log.correlation_id}:{log.attempt}:{log.index}"


# -- into a world -------------------------------------------------------------------------------


def seal_run(keyring: Keyring, run: PortableRun, source: str) -> ImportedRun:
    """Seal a run for a world, with a chain and a MAC of its own. Its log is one: see `log_rules`.

    `source` names the file or folder that it came in.
    """
    run_id, key = run.run_id, keyring.run(run.run_id)
    head, size, log = chain.genesis(run_id), 0, list[Event]()
    for event in run.events:
        payload = None if event.data is None else key.seal(event.seq, event.type, codec.pack(event.data))
        columns = (event.type, event.correlation_id, event.name, event.attempt, event.at, event.meta, payload)
        head = chain.link(head, run_id, event.seq, *columns)
        size += len(payload or b"")
        log.append(Event(run_id, event.seq, *columns, head))
    state, created = tell_state(run.events), decode_meta(run.events[0].meta)
    row = RunRow(
        run_id=run_id,
        workflow=run.workflow,
        status=state.status,
        deployment_id=run.deployment_id,
        created_at=run.events[0].at,
        started_at=state.started_at,
        ended_at=state.ended_at,
        seq=len(log),
        head=head,
        mac=key.mac(len(log), head),
        epoch=0,
        owner=None,
        wake_at=None,
        attributes=state.attributes,
        parent_run_id=run.parent_run_id,
        parent_correlation_id=run.parent_correlation_id,
        continued_from=created.get("continued_from"),
        continued_as=state.continued_as,
        forked_from=(created.get("fork") or {}).get("run_id"),
        error_code=state.error_code,
        result_seq=state.result_seq,
        payload_bytes=size,
        attention=None if state.ended_at is not None else run.attention,
        origin=write_origin(run.kind, source),
    )
    return ImportedRun(
        row,
        log,
        {
            name: [ChunkRow(c.index, c.at, _seal(key, chunk_place(name, c.index), "chunk", c.data)) for c in chunks]
            for name, chunks in run.streams.items()
        },
        [
            LogRow(run_id, batch.correlation_id, batch.attempt, batch.index, batch.at,
                   key.seal(_log_place(batch), "log", codec.pack(batch.data)))
            for batch in run.logs
        ],
    )  # fmt: skip


def _seal(key: RunKey, place: str, field: str, data: bytes | None) -> bytes | None:
    return None if data is None else key.seal(place, field, codec.pack(data))
