"""Hooks and waits: what a run waits for."""

from __future__ import annotations

from typing import Final

from wf.world import DropHook, DropWait, HookRow, PutHook, PutWait
from wf.worlds.rows import Row, read_hook
from wf.worlds.sqlite import inbox
from wf.worlds.sqlite.transaction import Transaction

_PUT_WAIT: Final = """
INSERT INTO waits (run_id, correlation_id, kind, due_at) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET kind = excluded.kind, due_at = excluded.due_at
"""
_HOOK: Final = """
SELECT h.token_hash, h.run_id, h.correlation_id, h.kind,
  e.run_id, e.seq, e.type, e.correlation_id, e.name, e.attempt, e.at, e.meta, e.payload, e.link
FROM hooks AS h JOIN events AS e ON e.run_id = h.run_id AND e.seq = h.seq
"""
FIND_HOOK: Final = f"{_HOOK} WHERE h.token_hash = ?"
LIST_HOOKS: Final = f"{_HOOK} ORDER BY e.at, h.run_id, h.correlation_id LIMIT ?"
LIST_HOOKS_OF_RUN: Final = f"{_HOOK} WHERE h.run_id = ? ORDER BY e.at, h.run_id, h.correlation_id LIMIT ?"
LIST_WAITS: Final = (
    "SELECT run_id, correlation_id, kind, due_at FROM waits ORDER BY due_at, run_id, correlation_id LIMIT ?"
)
LIST_WAITS_OF_RUN: Final = (
    "SELECT run_id, correlation_id, kind, due_at FROM waits WHERE run_id = ? ORDER BY due_at, correlation_id LIMIT ?"
)


def put_wait(tx: Transaction, run_id: str, effect: PutWait) -> None:
    tx.execute(_PUT_WAIT, (run_id, effect.correlation_id, effect.kind, effect.due_at))


def drop_wait(tx: Transaction, run_id: str, effect: DropWait) -> None:
    tx.execute("DELETE FROM waits WHERE run_id = ? AND correlation_id = ?", (run_id, effect.correlation_id))


def put_hook(tx: Transaction, run_id: str, effect: PutHook, at: int) -> None:
    """Register a token, or tell the run whose it is."""
    row = tx.execute("SELECT run_id FROM hooks WHERE token_hash = ?", (effect.token_hash,)).fetchone()
    if row is not None:
        inbox.notify(tx, run_id, "hook_conflict", at, effect.correlation_id, {"run_id": row[0]})
        return
    tx.execute(
        "INSERT INTO hooks (token_hash, run_id, correlation_id, kind, seq) VALUES (?, ?, ?, ?, ?)",
        (effect.token_hash, run_id, effect.correlation_id, effect.kind, effect.seq),
    )


def drop_hook(tx: Transaction, run_id: str, effect: DropHook) -> None:
    tx.execute("DELETE FROM hooks WHERE run_id = ? AND correlation_id = ?", (run_id, effect.correlation_id))


def find(tx: Transaction, token_hash: bytes) -> HookRow | None:
    row: Row | None = tx.execute(FIND_HOOK, (token_hash,)).fetchone()
    return None if row is None else read_hook(row)
