"""Commits: what runs' owners append to their logs, and what comes with it.

The hot path of the world. Per append one UPDATE both proves ownership and moves the run on; then
the events of all appends are inserted by one call. A savepoint each would cost as much as both.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from msgspec.structs import astuple

from wf.errors import WorldError
from wf.events import Event
from wf.world import (
    Append,
    CancelChild,
    DropHook,
    DropWait,
    EndRun,
    Outcome,
    PutHook,
    PutLog,
    PutWait,
    ReleaseLock,
    RequestLock,
    SetAttributes,
    StartChild,
    StartRun,
    WatchRun,
)
from wf.worlds.sqlite import hooks, inbox, locks, runs
from wf.worlds.sqlite.leases import Leases
from wf.worlds.sqlite.runs import INSERT_EVENT
from wf.worlds.sqlite.transaction import Transaction, encode_attributes

_ADVANCE: Final = """
UPDATE runs SET seq = ?, head = ?, mac = ?, payload_bytes = payload_bytes + ?
WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL AND seq = ?
"""
_HEAD: Final = "SELECT seq, head, epoch FROM runs WHERE run_id = ?"
_TAKE: Final = "DELETE FROM inbox WHERE id = ? AND run_id = ?"
_PUT_LOG: Final = """
INSERT INTO logs (run_id, correlation_id, attempt, "index", at, payload) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""


def commit(tx: Transaction, leases: Leases, appends: Sequence[Append]) -> list[Outcome]:
    """Apply each append whole, or leave it and call it fenced."""
    outcomes: list[Outcome] = []
    rows: list[Event] = []
    written = 0
    applied: list[str] = []
    execute = tx.execute
    for append in appends:
        events, run_id = append.events, append.run_id
        count, after_seq = len(events), append.after_seq
        if count and (events[0].seq != after_seq + 1 or events[-1].seq != after_seq + count):
            raise WorldError(f"events appended to run {run_id} after {after_seq} are not numbered from there")
        size = 0
        for event in events:
            payload = event.payload
            if payload is not None:
                size += len(payload)
        advanced = execute(
            _ADVANCE, (after_seq + count, append.head, append.mac, size, run_id, append.epoch, after_seq)
        ).rowcount
        if not advanced:
            outcomes.append(_find_outcome(tx, append))
            continue
        outcomes.append("applied")
        applied.append(run_id)
        rows += events
        written += size
        if append.taken:
            tx.executemany(_TAKE, [(message_id, run_id) for message_id in append.taken])
        if append.effects:
            at = events[-1].at if count else 0
            for effect in append.effects:
                _EFFECTS[type(effect)](tx, run_id, effect, at)
    if rows:
        tx.executemany(INSERT_EVENT, map(astuple, rows))
        tx.written += written
    if applied:
        tx.grown += applied
        leases.heard_of_holder(applied[-1])  # a batch has one sender, so one run is enough
    return outcomes


def _find_outcome(tx: Transaction, append: Append) -> Outcome:
    """Tell an append that was applied before, and whose answer was lost, from one of a past owner."""
    result = (append.after_seq + len(append.events), append.head, append.epoch)
    if not append.events or tx.execute(_HEAD, (append.run_id,)).fetchone() != result:
        return "fenced"
    tx.grown.append(append.run_id)  # when it was written, nobody may have lived to ring
    return "applied"


# -- effects


def _request_lock(tx: Transaction, run_id: str, effect: RequestLock, at: int) -> None:
    locks.request(tx, run_id, effect.correlation_id, effect.name, effect.limit, at)


def _release_lock(tx: Transaction, run_id: str, effect: ReleaseLock, at: int) -> None:
    locks.release(tx, run_id, effect.correlation_id, at)


def _start_child(tx: Transaction, run_id: str, effect: StartChild, at: int) -> None:
    created = runs.create(tx, effect.run)
    child = created.run
    if child.workflow != effect.run.workflow or child.origin is not None:
        inbox.notify(tx, run_id, "child_conflict", at, effect.correlation_id, {"run_id": child.run_id})
    else:
        inbox.watch(tx, child.run_id, run_id, effect.correlation_id, at)


def _watch_run(tx: Transaction, run_id: str, effect: WatchRun, at: int) -> None:
    inbox.watch(tx, effect.run_id, run_id, effect.correlation_id, at)


def _cancel_child(tx: Transaction, run_id: str, effect: CancelChild, at: int) -> None:
    inbox.cancel_child(tx, effect.run_id, run_id, effect.reason, at)


def _set_attributes(tx: Transaction, run_id: str, effect: SetAttributes, at: int) -> None:
    tx.execute("UPDATE runs SET attributes = ? WHERE run_id = ?", (encode_attributes(effect.attributes), run_id))


def _put_log(tx: Transaction, run_id: str, effect: PutLog, at: int) -> None:
    tx.execute(_PUT_LOG, (run_id, effect.correlation_id, effect.attempt, effect.index, effect.at, effect.payload))
    tx.written += len(effect.payload)


_EFFECTS: Final[dict[type, Callable[[Transaction, str, Any, int], None]]] = {
    PutWait: lambda tx, run_id, effect, at: hooks.put_wait(tx, run_id, effect),
    DropWait: lambda tx, run_id, effect, at: hooks.drop_wait(tx, run_id, effect),
    PutHook: hooks.put_hook,
    DropHook: lambda tx, run_id, effect, at: hooks.drop_hook(tx, run_id, effect),
    RequestLock: _request_lock,
    ReleaseLock: _release_lock,
    StartChild: _start_child,
    WatchRun: _watch_run,
    CancelChild: _cancel_child,
    SetAttributes: _set_attributes,
    StartRun: lambda tx, run_id, effect, at: runs.start(tx, run_id, effect),
    EndRun: lambda tx, run_id, effect, at: runs.end(tx, run_id, effect),
    PutLog: _put_log,
}
