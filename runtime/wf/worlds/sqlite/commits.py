"""Commits: what runs' owners append to their logs, and what comes with it.

The hot path of the world. Per append one UPDATE proves ownership, moves the run on, and as a rule also
starts or ends it; then the events of all appends are inserted by one call.

Of its parameters none is `bytes` or None where that can be helped: of all but numbers, texts and a
`bytearray` sqlite3 asks who adapts them, which costs as much as to bind five. Things that don't work: a
savepoint for each append (as much as its UPDATE and its events), and many events in one statement.
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
    Effect,
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
from wf.worlds.rows import encode_attributes
from wf.worlds.sqlite import hooks, inbox, locks, runs
from wf.worlds.sqlite.leases import Leases
from wf.worlds.sqlite.runs import INSERT_EVENT
from wf.worlds.sqlite.transaction import Transaction

_MOVE: Final = "UPDATE runs SET seq = ?, head = ?, mac = ?, payload_bytes = payload_bytes + ?"
_OWNED: Final = "WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL AND seq = ?"
_ADVANCE: Final = f"{_MOVE} {_OWNED}"
_ADVANCE_AND_START: Final = f"{_MOVE}, {runs.START} {_OWNED} AND {runs.CAN_START}"
_ADVANCE_AND_END: Final = f"{_MOVE}, {runs.END} {_OWNED} AND {runs.CAN_END}"
_INSERT_WITHOUT_META: Final = """
INSERT INTO events (run_id, seq, type, correlation_id, name, attempt, at, payload, link)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
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
    usual: list[tuple[Any, ...]] = []  # rows of events that have a payload and no meta, as those of steps
    others: list[Event] = []
    written = 0
    applied: list[str] = []
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
        effects = append.effects
        is_ours, done = _advance(tx, append, size)
        if not is_ours:
            outcomes.append(_find_outcome(tx, append))
            continue
        outcomes.append("applied")
        applied.append(run_id)
        written += size
        for event in events:
            payload = event.payload
            if payload is None or event.meta is not None:
                others.append(event)
            else:
                place = (run_id, event.seq, event.type, event.correlation_id, event.name, event.attempt, event.at)
                usual.append((*place, bytearray(payload), bytearray(event.link)))
        if append.taken:
            tx.executemany(_TAKE, [(message_id, run_id) for message_id in append.taken])
        if effects:
            at = events[-1].at if count else 0
            for effect in effects:
                (_DONE if effect is done else _EFFECTS)[type(effect)](tx, run_id, effect, at)
    if usual:
        tx.executemany(_INSERT_WITHOUT_META, usual)
    if others:
        tx.executemany(INSERT_EVENT, map(astuple, others))
    tx.written += written
    if applied:
        tx.grown += applied
        leases.heard_of_holder(applied[-1])  # a batch has one sender, so one run is enough
    return outcomes


def _advance(tx: Transaction, append: Append, size: int) -> tuple[bool, Effect | None]:
    """Move a run on. False: somebody else has it. The effect that was carried out with it, if one was, is left to tell.

    One that starts and ends with the same append does so by statements of their own.
    """
    seq, effects = append.after_seq, append.effects
    moved = (seq + len(append.events), bytearray(append.head), bytearray(append.mac), size)
    owned = (append.run_id, append.epoch, seq)
    if effects:
        first, last = effects[0], effects[-1]
        if type(first) is StartRun:
            if tx.execute(_ADVANCE_AND_START, (*moved, first.at, *owned)).rowcount:
                return True, first
        elif type(last) is EndRun and tx.execute(_ADVANCE_AND_END, (*moved, *runs.describe_end(last), *owned)).rowcount:
            return True, last
    return bool(tx.execute(_ADVANCE, (*moved, *owned)).rowcount), None


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

_DONE: Final[dict[type, Callable[[Transaction, str, Any, int], None]]] = {
    StartRun: lambda tx, run_id, effect, at: tx.ring_run(run_id),
    EndRun: lambda tx, run_id, effect, at: runs.clean_up(tx, run_id, effect),
}
"""What is left to do for an effect that was carried out with the UPDATE of its append."""
