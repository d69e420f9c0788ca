"""Inboxes: messages on their way into a run's log, and who is told when a run ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.world import InboxMessage, Message, Sent
from wf.worlds.rows import MESSAGE, to_json
from wf.worlds.sqlite.transaction import Transaction

ENDINGS: Final = frozenset({"cancel", "terminate"})

_PUT: Final = "INSERT INTO inbox (run_id, kind, correlation_id, at, meta, payload) VALUES (?, ?, ?, ?, ?, ?)"
_OF_RUN: Final = "SELECT owner, ended_at, origin FROM runs WHERE run_id = ?"
_PARENT: Final = "SELECT parent_run_id, continued_as, origin FROM runs WHERE run_id = ?"
_WAKE: Final = "UPDATE runs SET wake_at = 0 WHERE run_id = ? AND owner IS NULL"
_WAKE_ANYHOW: Final = "UPDATE runs SET wake_at = 0, barred = 0 WHERE run_id = ? AND owner IS NULL"
_IS_TO_END: Final = "SELECT 1 FROM inbox WHERE run_id = ? AND kind IN ('cancel', 'terminate') LIMIT 1"
_READ: Final = f"SELECT {MESSAGE} FROM inbox WHERE run_id = ? ORDER BY id"
_READ_AFTER: Final = f"""
SELECT {MESSAGE} FROM inbox
WHERE run_id = ? AND id > ? AND EXISTS (SELECT 1 FROM runs WHERE run_id = ? AND owner = ?)
ORDER BY id
"""
FIND_DELIVERY: Final = "SELECT run_id FROM deliveries WHERE delivery_id = ?"
_SLEEPS: Final = "SELECT correlation_id FROM waits WHERE run_id = ? AND kind = 'sleep' ORDER BY correlation_id"


def send(tx: Transaction, run_id: str, message: Message, token_hash: bytes | None) -> Sent:
    """Put a client's message into an inbox, if the run and the hook are there to take it."""
    row = tx.execute(_OF_RUN, (run_id,)).fetchone()
    if row is None:
        return Sent("unknown")
    owner, ended_at, origin = row
    if origin is not None:
        return Sent("imported")
    delivery_id = message.delivery_id
    # Before "ended": who delivers twice must get the same answer, whatever the run did since.
    if delivery_id is not None and tx.execute(FIND_DELIVERY, (delivery_id,)).fetchone():
        return Sent("duplicate")
    if ended_at is not None:
        return Sent("ended")
    if (
        token_hash is not None
        and not tx.execute("SELECT 1 FROM hooks WHERE token_hash = ? AND run_id = ?", (token_hash, run_id)).fetchone()
    ):
        return Sent("no_hook")
    meta, waits = message.meta, 0
    if message.kind == "wake":
        # Named now: a sleep that the run begins later is not one that this message was to end.
        sleeps = [number for (number,) in tx.execute(_SLEEPS, (run_id,)).fetchall()]
        if not sleeps:
            return Sent("queued")
        meta, waits = to_json({"waits": sleeps}), len(sleeps)
    if delivery_id is not None:
        tx.execute("INSERT INTO deliveries (delivery_id, run_id) VALUES (?, ?)", (delivery_id, run_id))
    _put(tx, run_id, owner, message.kind, message.at, message.correlation_id, meta, message.payload)
    return Sent("queued", waits)


def put_first(tx: Transaction, run_id: str, messages: Sequence[Message]) -> None:
    """Put the messages of a new run into its inbox. It is due in any case, so nothing rings for them."""
    for message in messages:
        tx.execute(_PUT, (run_id, message.kind, message.correlation_id, message.at, message.meta, message.payload))
        tx.written += len(message.payload or b"")


def notify(
    tx: Transaction, run_id: str, kind: str, at: int, correlation_id: int | None, meta: dict[str, str] | None = None
) -> None:
    """Put a message of the world's own into an inbox, unless the run has ended."""
    row = tx.execute(_OF_RUN, (run_id,)).fetchone()
    if row is not None and row[1] is None:
        _put(tx, run_id, row[0], kind, at, correlation_id, None if meta is None else to_json(meta), None)


def cancel_child(tx: Transaction, run_id: str, parent_run_id: str, reason: str, at: int) -> None:
    """Cancel a run that another one started; the last one, where it continued as new (the parent stays the same)."""
    while True:
        row = tx.execute(_PARENT, (run_id,)).fetchone()
        if row is None or row[0] != parent_run_id or row[2] is not None:
            return
        if row[1] is None:
            break
        run_id = row[1]
    notify(tx, run_id, "cancel", at, None, {"reason": reason})


def _put(
    tx: Transaction,
    run_id: str,
    owner: str | None,
    kind: str,
    at: int,
    correlation_id: int | None,
    meta: str | None,
    payload: bytes | None,
) -> None:
    tx.execute(_PUT, (run_id, kind, correlation_id, at, meta, payload))
    if payload is not None:
        tx.written += len(payload)
    if owner is not None:
        tx.ring(f"worker:{owner}", run_id)
        return
    # A run that is to end executes nothing: neither a closed gate nor missing code may keep it.
    tx.execute(_WAKE_ANYHOW if kind in ENDINGS else _WAKE, (run_id,))
    tx.ring("claimable")


def is_to_end(tx: Transaction, run_id: str) -> bool:
    """Tell whether somebody asked to end a run."""
    return tx.execute(_IS_TO_END, (run_id,)).fetchone() is not None


def read(tx: Transaction, run_id: str) -> list[InboxMessage]:
    return [InboxMessage(*row) for row in tx.execute(_READ, (run_id,)).fetchall()]


def read_leased(tx: Transaction, worker_id: str, run_ids: Sequence[str], after_id: int) -> list[InboxMessage]:
    """Read what is new for runs that a worker has leased, in order of arrival."""
    messages = [
        InboxMessage(*row)
        for run_id in dict.fromkeys(run_ids)
        for row in tx.execute(_READ_AFTER, (run_id, after_id, run_id, worker_id)).fetchall()
    ]
    if len(run_ids) > 1:
        messages.sort(key=_id_of)
    return messages


def _id_of(message: InboxMessage) -> int:
    return message.id


# -- watchers


def watch(tx: Transaction, run_id: str, watcher_run_id: str, correlation_id: int, at: int) -> None:
    """Tell a run when another one ends; at once if it has ended, does not exist, or was imported."""
    while True:
        row = tx.execute("SELECT ended_at, continued_as, origin FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        if row is None or row[1] is None:
            break
        run_id = row[1]
    if row is None or row[0] is not None or row[2] is not None:
        notify(tx, watcher_run_id, "child_ended", at, correlation_id, {"run_id": run_id})
    else:
        tx.execute(
            "INSERT INTO watchers (run_id, watcher_run_id, correlation_id) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            (run_id, watcher_run_id, correlation_id),
        )


def tell_watchers(tx: Transaction, run_id: str, at: int) -> None:
    """Tell those who watch an ended run; they watch its continuation instead, if there is one."""
    watchers = tx.execute(
        "SELECT watcher_run_id, correlation_id FROM watchers WHERE run_id = ? ORDER BY watcher_run_id, correlation_id",
        (run_id,),
    ).fetchall()
    if not watchers:
        return
    tx.execute("DELETE FROM watchers WHERE run_id = ?", (run_id,))
    for watcher_run_id, correlation_id in watchers:
        watch(tx, run_id, watcher_run_id, correlation_id, at)
