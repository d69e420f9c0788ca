"""Pruning: the oldest changes are dropped, and it is remembered up to where, so that nobody misses them unawares."""

from __future__ import annotations

from typing import Final

from wf.worlds.postgres.transaction import Transaction

CHANGES_KEPT: Final = 250_000
"""Changes that stay for who keeps a copy: the last 25 000 runs of five steps."""
AT_ONCE: Final = 50_000

# SKIP LOCKED: another process may be at it.
_DROP: Final = """
WITH old AS (
  SELECT position FROM changes WHERE position <= (SELECT max(position) FROM changes) - %s
  ORDER BY position LIMIT %s FOR UPDATE SKIP LOCKED
), dropped AS (
  DELETE FROM changes USING old WHERE changes.position = old.position RETURNING xid
)
SELECT max(xid::text::bigint) FROM dropped
"""
_REMEMBER: Final = "UPDATE world SET pruned_xid = greatest(pruned_xid, %s)"


def prune(tx: Transaction) -> None:
    row = tx.one(_DROP, (CHANGES_KEPT, AT_ONCE))
    if row is not None and row[0] is not None:
        tx.execute(_REMEMBER, row)
