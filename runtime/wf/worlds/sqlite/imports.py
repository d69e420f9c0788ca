"""Imports: runs that ran elsewhere, kept to be read.

No worker finds one: it has no owner, no `wake_at` and no row in any of the tables that make a run
want something.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import astuple, replace

from wf.errors import WorldError
from wf.world import ChunkRow, Created, ImportedRun, RunRow
from wf.worlds.rows import RUN, encode_attributes, to_json
from wf.worlds.sqlite import runs
from wf.worlds.sqlite.runs import INSERT_EVENT
from wf.worlds.sqlite.transaction import Transaction

_INSERT_RUN: Final = (
    f"INSERT INTO runs ({RUN}) VALUES ({', '.join('?' * len(RUN.split(',')))}) ON CONFLICT (run_id) DO NOTHING"
)
_INSERT_CHUNK: Final = 'INSERT INTO chunks (run_id, name, "index", at, payload) VALUES (?, ?, ?, ?, ?)'
_INSERT_LOG: Final = (
    'INSERT INTO logs (run_id, correlation_id, attempt, "index", at, payload) VALUES (?, ?, ?, ?, ?, ?)'
)


def import_run(tx: Transaction, imported: ImportedRun) -> Created:
    """Keep an imported run whole, or find the run that has its id."""
    run, events = replace(imported.run, epoch=0, owner=None, wake_at=None), imported.events
    if not run.origin:
        raise WorldError(f"the run {run.run_id} cannot be imported: it does not say where it came from")
    if not events or [event.seq for event in events] != list(range(1, run.seq + 1)):
        raise WorldError(f"the run {run.run_id} cannot be imported: its log is not numbered from 1 to its end")
    if not tx.execute(_INSERT_RUN, _columns(run)).rowcount:
        known = runs.get(tx, run.run_id)
        assert known is not None
        return Created(False, known)
    tx.executemany(INSERT_EVENT, map(astuple, events))
    chunks = [
        (run.run_id, name, chunk.index, chunk.at, chunk.payload)
        for name, stream in imported.streams.items()
        for chunk in stream
    ]
    tx.executemany(_INSERT_CHUNK, chunks)
    tx.executemany(_INSERT_LOG, map(astuple, imported.logs))
    tx.written += run.payload_bytes + sum(map(_size, (c for stream in imported.streams.values() for c in stream)))
    tx.written += sum(len(log.payload) for log in imported.logs)
    tx.ring_run(run.run_id)
    tx.grown.append(run.run_id)
    if run.ended_at is not None:
        tx.ring("results", run.run_id)
    return Created(True, run)


def _columns(run: RunRow) -> list[object]:
    """Give a run's columns in the order of `RUN`, which is that of the struct."""
    values: list[object] = list(astuple(run))
    values[13] = encode_attributes(run.attributes)
    values[22] = None if run.attention is None else to_json(run.attention)
    return values


def _size(chunk: ChunkRow) -> int:
    return len(chunk.payload or b"")
