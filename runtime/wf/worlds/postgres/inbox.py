"""Inboxes: messages on their way into a run's log, and who is told when a run ends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.world import InboxMessage, Message, Sent
from wf.worlds.postgres.transaction import LockedRun, Transaction
from wf.worlds.rows import MESSAGE, to_json

ENDINGS: Final = frozenset({"cancel", "terminate"})

_PUT: Final = """
INSERT INTO inbox (run_id, kind, correlation_id, at, meta, payload) VALUES (%s, %s, %s, %s, %s, %s)
"""
_WAKE: Final = "UPDATE runs SET wake_at = 0 WHERE run_id = %s AND owner IS NULL"
_WAKE_ANYHOW: Final = "UPDATE runs SET wake_at = 0, barred = 0 WHERE run_id = %s AND owner IS NULL"
_IS_TO_END: Final = "SELECT 1 FROM inbox WHERE run_id = %s AND kind IN ('cancel', 'terminate') LIMIT 1"
_READ: Final = f"SELECT {MESSAGE} FROM inbox WHERE run_id = ANY(%s::text[]) ORDER BY id"
READ_LEASED: Final = f"""
SELECT {", ".join(f"i.{column}" for column in MESSAGE.split(", "))} FROM inbox AS i JOIN runs AS r USING (run_id)
WHERE i.run_id = ANY(%s::text[]) AND i.id > %s AND r.owner = %s ORDER BY i.id
"""
_SLEEPS: Final = "SELECT correlation_id FROM waits WHERE run_id = %s AND kind = 'sleep' ORDER BY correlation_id"
FIND_DELIVERY: Final = "SELECT run_id FROM deliveries WHERE delivery_id = %s"
_DELIVER: Final = """
INSERT INTO deliveries (delivery_id, run_id) VALUES (%s, %s) ON CONFLICT DO NOTHING RETURNING 1
"""
_HAS_HOOK: Final = "SELECT 1 FROM hooks WHERE token_hash = %s AND run_id = %s"
_WATCHED: Final = """
SELECT run_id, ended_at, continued_as, origin FROM runs WHERE run_id = %s FOR NO KEY UPDATE
"""
_CHILD: Final = "SELECT parent_run_id, continued_as, origin FROM runs WHERE run_id = %s FOR NO KEY UPDATE"
_WATCH: Final = """
INSERT INTO watchers (run_id, watcher_run_id, correlation_id) VALUES (%s, %s, %s) ON CONFLICT DO NOTHING
"""
_WATCHERS: Final = """
DELETE FROM watchers WHERE run_id = %s RETURNING watcher_run_id, correlation_id
"""


def send(tx: Transaction, run_id: str, message: Message, token_hash: bytes | None) -> Sent:
    """Put a client's message into an inbox, if the run and the hook are there to take it."""
    run = tx.lock_one(run_id)
    if run is None:
        return Sent("unknown")
    if run.origin is not None:
        return Sent("imported")
    delivery_id = message.delivery_id
    # Before "ended": who delivers twice must get the same answer, whatever the run did since.
    if delivery_id is not None and tx.one(FIND_DELIVERY, (delivery_id,)):
        return Sent("duplicate")
    if run.ended_at is not None:
        return Sent("ended")
    if token_hash is not None and not tx.one(_HAS_HOOK, (token_hash, run_id)):
        return Sent("no_hook")
    meta, waits = message.meta, 0
    if message.kind == "wake":
        # Named now: a sleep that the run begins later is not one that this message was to end.
        sleeps = [number for (number,) in tx.rows(_SLEEPS, (run_id,))]
        if not sleeps:
            return Sent("queued")
        meta, waits = to_json({"waits": sleeps}), len(sleeps)
    # The row itself decides: two that deliver the same to different runs meet here, and one waits for the other.
    if delivery_id is not None and not tx.one(_DELIVER, (delivery_id, run_id)):
        return Sent("duplicate")
    _put(tx, run, message.kind, message.at, message.correlation_id, meta, message.payload)
    return Sent("queued", waits)


def put_first(tx: Transaction, run_id: str, messages: Sequence[Message]) -> None:
    """Put the messages of a new run into its inbox. It is due in any case, so nothing rings for them."""
    for message in messages:
        tx.execute(_PUT, (run_id, message.kind, message.correlation_id, message.at, message.meta, message.payload))


def notify(
    tx: Transaction, run_id: str, kind: str, at: int, correlation_id: int | None, meta: dict[str, str] | None = None
) -> None:
    """Put a message of the world's own into an inbox, unless the run has ended."""
    if run_id not in tx.held:
        tx.cross()
    run = tx.lock_one(run_id)
    if run is not None and run.ended_at is None:
        _put(tx, run, kind, at, correlation_id, None if meta is None else to_json(meta), None)


def cancel_child(tx: Transaction, run_id: str, parent_run_id: str, reason: str, at: int) -> None:
    """Cancel a run that another one started; the last one, where it continued as new (the parent stays the same)."""
    tx.cross()
    while True:
        row = tx.one(_CHILD, (run_id,))
        if row is None or row[0] != parent_run_id or row[2] is not None:
            return
        if row[1] is None:
            break
        run_id = row[1]
    notify(tx, run_id, "cancel", at, None, {"reason": reason})


def _put(
    tx: Transaction,
    run: LockedRun,
    kind: str,
    at: int,
    correlation_id: int | None,
    meta: str | None,
    payload: bytes | None,
) -> None:
    tx.execute(_PUT, (run.run_id, kind, correlation_id, at, meta, payload))
    if run.owner is not None:
        tx.ring(f"worker:{run.owner}", run.run_id)
        return
    # A run that is to end executes nothing: neither a closed gate nor missing code may keep it.
    tx.execute(_WAKE_ANYHOW if kind in ENDINGS else _WAKE, (run.run_id,))
    tx.ring("claimable")


def is_to_end(tx: Transaction, run_id: str) -> bool:
    """Tell whether somebody asked to end a run."""
    return tx.one(_IS_TO_END, (run_id,)) is not None


def read(tx: Transaction, run_ids: Sequence[str]) -> dict[str, list[InboxMessage]]:
    """Read whole inboxes, in order of arrival."""
    found: dict[str, list[InboxMessage]] = {}
    for row in tx.rows(_READ, (list(run_ids),)):
        found.setdefault(row[1], []).append(InboxMessage(*row))
    return found


# -- watchers


def watch(tx: Transaction, run_id: str, watcher_run_id: str, correlation_id: int, at: int) -> None:
    """Tell a run when another one ends; at once if it has ended, does not exist, or was imported."""
    tx.cross()
    while True:
        row = tx.one(_WATCHED, (run_id,))
        if row is None or row[2] is None:
            break
        run_id = row[2]
    if row is None or row[1] is not None or row[3] is not None:
        notify(tx, watcher_run_id, "child_ended", at, correlation_id, {"run_id": run_id})
    else:
        tx.execute(_WATCH, (run_id, watcher_run_id, correlation_id))


def tell_watchers(tx: Transaction, run_id: str, at: int) -> None:
    """Tell those who watch an ended run; they watch its continuation instead, if there is one."""
    tx.cross()
    for watcher_run_id, correlation_id in sorted(tx.rows(_WATCHERS, (run_id,))):
        watch(tx, run_id, watcher_run_id, correlation_id, at)
