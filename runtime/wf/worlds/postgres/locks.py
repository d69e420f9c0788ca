"""Locks: queues for a name, and the gates that bound how many runs of a workflow execute.

A request is granted when it is the first of its name's queue and fewer than its limit hold the
name. The grant of a lock is a message to the run; that of a gate makes a pending run claimable.
All of it reaches out of a run, so it is done with the world's lock: names need none of their own.
"""

from __future__ import annotations

from typing import Final

from wf.worlds.postgres import inbox
from wf.worlds.postgres.transaction import Transaction

GATE: Final = 0
"""The correlation id of a gate: calls of a body count from 1."""

# Not ON CONFLICT, which would use up a position for a request that is there already.
_REQUEST: Final = """
INSERT INTO locks (name, run_id, correlation_id, holders) SELECT %s, %s, %s, %s
WHERE NOT EXISTS (SELECT 1 FROM locks WHERE run_id = %s AND correlation_id = %s)
"""
_FIRST: Final = """
SELECT position, run_id, correlation_id FROM locks
WHERE position = (SELECT min(position) FROM locks WHERE name = %s AND NOT is_held)
  AND holders > (SELECT count(*) FROM locks WHERE name = %s AND is_held)
"""

_LOCK: Final = "SELECT name, run_id, correlation_id, holders, position, is_held FROM locks"
LIST_LOCKS: Final = f"{_LOCK} ORDER BY name, position LIMIT %s"
LIST_LOCKS_OF_NAME: Final = f"{_LOCK} WHERE name = %s ORDER BY position LIMIT %s"


def request(tx: Transaction, run_id: str, correlation_id: int, name: str, limit: int, at: int) -> None:
    tx.cross()
    tx.execute(_REQUEST, (name, run_id, correlation_id, limit, run_id, correlation_id))
    _grant(tx, name, at)


def release(tx: Transaction, run_id: str, correlation_id: int, at: int) -> None:
    """Leave a queue or give a lock up; the next in line gets it."""
    tx.cross()
    row = tx.one("DELETE FROM locks WHERE run_id = %s AND correlation_id = %s RETURNING name", (run_id, correlation_id))
    if row is not None:
        _grant(tx, row[0], at)


def release_all(tx: Transaction, run_id: str, at: int) -> None:
    """Take an ended run out of all queues, its gate's included."""
    tx.cross()
    left = tx.rows("DELETE FROM locks WHERE run_id = %s RETURNING position, name", (run_id,))
    for name in dict.fromkeys(name for _, name in sorted(left)):
        _grant(tx, name, at)


def enter_gate(tx: Transaction, run_id: str, workflow: str, limit: int) -> bool:
    """Queue a pending run for its workflow's gate; tell whether it is open for it already."""
    tx.cross()
    name = f"workflow:{workflow}"
    tx.execute("UPDATE runs SET barred = 1 WHERE run_id = %s", (run_id,))
    tx.execute(_REQUEST, (name, run_id, GATE, limit, run_id, GATE))
    _grant(tx, name, 0)
    return is_gate_open(tx, run_id) is True


def is_gate_open(tx: Transaction, run_id: str) -> bool | None:
    """Tell whether a run has a place at its gate, or waits for one; None: it did not ask yet."""
    row = tx.one("SELECT is_held FROM locks WHERE run_id = %s AND correlation_id = %s", (run_id, GATE))
    return None if row is None else bool(row[0])


def _grant(tx: Transaction, name: str, at: int) -> None:
    while first := tx.one(_FIRST, (name, name)):
        position, run_id, correlation_id = first
        tx.execute("UPDATE locks SET is_held = true WHERE position = %s", (position,))
        if correlation_id == GATE:
            tx.execute("UPDATE runs SET barred = 0 WHERE run_id = %s AND barred = 1", (run_id,))
            tx.ring("claimable")
        else:
            inbox.notify(tx, run_id, "lock_granted", at, correlation_id)
