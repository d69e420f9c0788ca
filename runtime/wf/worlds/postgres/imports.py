"""Imports: runs that ran elsewhere, kept to be read.

No worker finds one: it has no owner, no `wake_at` and no row in any of the tables that make a run
want something.
"""

from __future__ import annotations

from typing import Final

from msgspec.structs import astuple, replace

from wf.errors import WorldError
from wf.world import Created, ImportedRun, RunRow
from wf.worlds.postgres import runs
from wf.worlds.postgres.transaction import Transaction
from wf.worlds.rows import RUN, encode_attributes, to_json

_MARKS: Final = ", ".join(["%s"] * len(RUN.split(",")))
_INSERT_RUN: Final = f"INSERT INTO runs ({RUN}) VALUES ({_MARKS}) ON CONFLICT (run_id) DO NOTHING RETURNING 1"
_INSERT_CHUNKS: Final = """
INSERT INTO chunks (run_id, name, index, at, payload)
SELECT %s, %s, index, at, payload FROM unnest(%b::bigint[], %b::bigint[], %b::bytea[]) AS a (index, at, payload)
"""
_INSERT_LOG: Final = """
INSERT INTO logs (run_id, correlation_id, attempt, index, at, payload) VALUES (%s, %s, %s, %s, %s, %s)
"""
_EVENTS_AT_ONCE: Final = 5_000


def import_run(tx: Transaction, imported: ImportedRun) -> Created:
    """Keep an imported run whole, or find the run that has its id."""
    run, events = replace(imported.run, epoch=0, owner=None, wake_at=None), imported.events
    if not run.origin:
        raise WorldError(f"the run {run.run_id} cannot be imported: it does not say where it came from")
    if not events or [event.seq for event in events] != list(range(1, run.seq + 1)):
        raise WorldError(f"the run {run.run_id} cannot be imported: its log is not numbered from 1 to its end")
    if not tx.one(_INSERT_RUN, _columns(run)):
        known = runs.get(tx, run.run_id)
        if known is None:
            raise WorldError(f"the run {run.run_id} was deleted while it was looked at")
        return Created(False, known)
    for first in range(0, len(events), _EVENTS_AT_ONCE):
        runs.insert_events(tx, events[first : first + _EVENTS_AT_ONCE])
    for name, stream in imported.streams.items():
        indexes, times, payloads = zip(*map(astuple, stream), strict=True) if stream else ((), (), ())
        tx.execute(_INSERT_CHUNKS, (run.run_id, name, list(indexes), list(times), list(payloads)))
    for log in imported.logs:
        tx.execute(_INSERT_LOG, astuple(log))
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
