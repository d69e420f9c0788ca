"""Commits: what runs' owners append to their logs, and what comes with it.

The hot path of the world. The rows of all runs of a batch are locked, and seen, by one statement; from what it says
it is known which appends are fenced. Everything else goes without waiting for an answer: one statement moves all
runs on, one inserts all events. So a commit is two round trips, whatever it holds, unless it reaches out of its runs.

The fence is looked at under the lock, and named again by the statement that writes (`_ADVANCE`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from wf.errors import WorldError
from wf.events import PENDING, RUNNING, Event
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
from wf.worlds.postgres import hooks, inbox, locks, runs
from wf.worlds.postgres.transaction import LockedRun, Transaction
from wf.worlds.rows import encode_attributes

_ADVANCE: Final = """
UPDATE runs AS r SET seq = a.seq, head = a.head, mac = a.mac, payload_bytes = r.payload_bytes + a.size,
  status = CASE WHEN a.started_at IS NULL THEN r.status ELSE 'running' END,
  started_at = coalesce(a.started_at, r.started_at)
FROM unnest(%b::text[], %b::bigint[], %b::bigint[], %b::bigint[], %b::bytea[], %b::bytea[], %b::bigint[], %b::bigint[])
  AS a (run_id, epoch, after_seq, seq, head, mac, size, started_at)
WHERE r.run_id = a.run_id AND r.epoch = a.epoch AND r.owner IS NOT NULL AND r.seq = a.after_seq
RETURNING 1
"""
_TAKE: Final = """
DELETE FROM inbox AS i USING unnest(%b::bigint[], %b::text[]) AS a (id, run_id)
WHERE i.id = a.id AND i.run_id = a.run_id
"""
_PUT_LOG: Final = """
INSERT INTO logs (run_id, correlation_id, attempt, index, at, payload) VALUES (%s, %s, %s, %s, %s, %s)
ON CONFLICT DO NOTHING
"""
_REACHING: Final = (RequestLock, ReleaseLock, StartChild, WatchRun, CancelChild)
"""Effects that reach out of their run for certain: with one of them a commit need not try without the world's lock."""
_HOLDING: Final = (PutWait, PutHook, RequestLock, StartChild, WatchRun)
"""Effects after which a run that ends in the same append holds more than it did before."""


class _Move:
    """An append that is applied, as a row of `_ADVANCE`."""

    __slots__ = ("append", "size", "started_at")

    def __init__(self, append: Append, state: LockedRun) -> None:
        self.append = append
        self.size = sum(len(event.payload) for event in append.events if event.payload is not None)
        starts = [effect.at for effect in append.effects if type(effect) is StartRun]
        self.started_at = starts[0] if starts and state.status == PENDING else None

    def row(self) -> tuple[Any, ...]:
        append = self.append
        after = append.after_seq
        return (
            append.run_id, append.epoch, after, after + len(append.events), append.head, append.mac, self.size,
            self.started_at,
        )  # fmt: skip


def commit(tx: Transaction, appends: Sequence[Append], heard: set[str]) -> list[Outcome]:
    """Apply each append whole, or leave it and call it fenced. `heard` gets the workers whose appends these are."""
    for append in appends:
        count, after = len(append.events), append.after_seq
        if count and (append.events[0].seq != after + 1 or append.events[-1].seq != after + count):
            raise WorldError(f"events appended to run {append.run_id} after {after} are not numbered from there")
    if any(isinstance(effect, _REACHING) for append in appends for effect in append.effects):
        tx.cross()
    states, holdings = _look(tx, appends)
    outcomes: list[Outcome] = []
    moves: list[_Move] = []
    for append in appends:
        outcome, move = _judge(append, states)
        outcomes.append(outcome)
        if outcome == "applied":
            tx.grown.append(append.run_id)  # also when it was written before: nobody may have lived to ring
        if move is not None:
            heard.add(states[append.run_id].owner or "")
            if any(other.append.run_id == append.run_id for other in moves):
                _write(tx, moves, holdings)  # two appends of one run are two rows of it, one after the other
                moves = []
            moves.append(move)
    _write(tx, moves, holdings)
    return outcomes


def _look(tx: Transaction, appends: Sequence[Append]) -> tuple[dict[str, LockedRun], dict[str, list[bool]]]:
    """Lock the runs of all appends, and find what those hold that are to end; in one round trip."""
    wanted = list(dict.fromkeys(append.run_id for append in appends))
    ending = [append.run_id for append in appends if any(type(effect) is EndRun for effect in append.effects)]
    locking = tx.send_lock(wanted)
    # A statement of its own, after the lock: it sees what was committed while that waited.
    asking = tx.execute(runs.HOLDINGS, (ending,)) if ending else None
    states = tx.take_locked(wanted, locking)
    holdings = {run_id: [has_own, has_shared] for run_id, has_own, has_shared in asking or ()}
    return states, holdings


def _judge(append: Append, states: dict[str, LockedRun]) -> tuple[Outcome, _Move | None]:
    """Tell whether an append is its run's next one, one that was applied before, or one of a past owner."""
    state = states.get(append.run_id)
    if state is None:
        return "fenced", None
    last = append.after_seq + len(append.events)
    if state.owner is None or (state.epoch, state.seq) != (append.epoch, append.after_seq):
        is_repeated = bool(append.events) and (state.seq, state.head, state.epoch) == (last, append.head, append.epoch)
        return ("applied" if is_repeated else "fenced"), None
    move = _Move(append, state)
    ends = [effect for effect in append.effects if type(effect) is EndRun]
    states[append.run_id] = state._replace(
        seq=last,
        head=append.head,
        status=RUNNING if move.started_at is not None else state.status,
        ended_at=ends[0].at if ends and state.ended_at is None else state.ended_at,
    )
    if state.ended_at is not None and ends:  # it has ended before, and a run ends once
        kept = [effect for effect in append.effects if type(effect) is not EndRun]
        move.append = Append(
            append.run_id, append.epoch, append.after_seq, append.events, append.head, append.mac, kept, append.taken
        )
    return "applied", move


def _write(tx: Transaction, moves: Sequence[_Move], holdings: dict[str, list[bool]]) -> None:
    """Write appends, one of each run at most."""
    if not moves:
        return
    columns = zip(*(move.row() for move in moves), strict=True)
    tx.execute(_ADVANCE, [list(column) for column in columns])
    events: list[Event] = [event for move in moves for event in move.append.events]
    if events:
        runs.insert_events(tx, events)
    taken = [(message_id, move.append.run_id) for move in moves for message_id in move.append.taken]
    if taken:
        tx.execute(_TAKE, [list(column) for column in zip(*taken, strict=True)])
    for move in moves:
        append = move.append
        if move.started_at is not None:
            tx.ring_run(append.run_id)
        if append.effects:
            if any(isinstance(effect, _HOLDING) for effect in append.effects):
                holdings[append.run_id] = [True, tx.is_crossing or holdings.get(append.run_id, [False, False])[1]]
            at = append.events[-1].at if append.events else 0
            for effect in append.effects:
                if type(effect) is EndRun:
                    has_own, has_shared = holdings.get(append.run_id, [True, True])
                    runs.end(tx, append.run_id, effect, has_own=has_own, has_shared=has_shared)
                else:
                    _EFFECTS[type(effect)](tx, append.run_id, effect, at)


# -- effects


def _request_lock(tx: Transaction, run_id: str, effect: RequestLock, at: int) -> None:
    locks.request(tx, run_id, effect.correlation_id, effect.name, effect.limit, at)


def _release_lock(tx: Transaction, run_id: str, effect: ReleaseLock, at: int) -> None:
    locks.release(tx, run_id, effect.correlation_id, at)


def _start_child(tx: Transaction, run_id: str, effect: StartChild, at: int) -> None:
    child = runs.create(tx, effect.run).run
    if child.workflow != effect.run.workflow or child.origin is not None:
        inbox.notify(tx, run_id, "child_conflict", at, effect.correlation_id, {"run_id": child.run_id})
    else:
        inbox.watch(tx, child.run_id, run_id, effect.correlation_id, at)


def _watch_run(tx: Transaction, run_id: str, effect: WatchRun, at: int) -> None:
    inbox.watch(tx, effect.run_id, run_id, effect.correlation_id, at)


def _cancel_child(tx: Transaction, run_id: str, effect: CancelChild, at: int) -> None:
    inbox.cancel_child(tx, effect.run_id, run_id, effect.reason, at)


def _set_attributes(tx: Transaction, run_id: str, effect: SetAttributes, at: int) -> None:
    tx.execute("UPDATE runs SET attributes = %s WHERE run_id = %s", (encode_attributes(effect.attributes), run_id))


def _put_log(tx: Transaction, run_id: str, effect: PutLog, at: int) -> None:
    tx.execute(_PUT_LOG, (run_id, effect.correlation_id, effect.attempt, effect.index, effect.at, effect.payload))


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
    StartRun: lambda tx, run_id, effect, at: None,  # a row of `_ADVANCE` starts its run
    PutLog: _put_log,
}
