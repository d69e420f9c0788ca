"""Deletions: forgetting runs that have ended or were imported, and code that nobody runs any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.worlds.postgres.transaction import Transaction

# A statement of its own, before it is asked: it waits for a fork that is just being made of the run.
_HOLD: Final = "SELECT 1 FROM runs WHERE run_id = %s FOR UPDATE"
_DELETABLE: Final = """
SELECT id FROM runs WHERE run_id = %s
  AND (ended_at IS NOT NULL OR origin IS NOT NULL) AND owner IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM runs AS p WHERE p.run_id = runs.parent_run_id AND p.ended_at IS NULL AND p.origin IS NULL)
  AND NOT EXISTS (
    SELECT 1 FROM runs AS f WHERE f.status IN ('pending', 'running') AND f.forked_from = runs.run_id AND f.seq = 1
      AND f.origin IS NULL)
  AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.kind = 'child_ended' AND i.meta::json ->> 'run_id' = runs.run_id)
"""
_BELONGINGS: Final = ("events", "chunks", "logs", "deliveries", "waits", "hooks", "inbox", "refusals", "locks", "runs")
_DELETE: Final = tuple(f"DELETE FROM {table} WHERE run_id = %s" for table in _BELONGINGS)

_DELETE_DEPLOYMENTS: Final = """
DELETE FROM deployments AS d
WHERE NOT EXISTS (SELECT 1 FROM runs WHERE runs.deployment_id = d.deployment_id)
  AND NOT EXISTS (
    SELECT 1 FROM workers AS w
    WHERE w.deployment_id = d.deployment_id OR d.deployment_id = ANY(coalesce(w.deployments, '{}')))
  AND d.deployment_id <> (SELECT deployment_id FROM deployments ORDER BY used_at DESC, deployment_id DESC LIMIT 1)
RETURNING 1
"""
_DELETE_SOURCES: Final = """
DELETE FROM sources WHERE digest NOT IN (
  SELECT value FROM deployments, json_each_text(deployments.manifest::json))
"""


def delete_runs(tx: Transaction, run_ids: Sequence[str]) -> list[str]:
    tx.cross()
    deleted = []
    for run_id in dict.fromkeys(run_ids):
        # One by one: whether a run stays may depend on those before it.
        tx.execute(_HOLD, (run_id,))
        row = tx.one(_DELETABLE, (run_id,))
        if row is None:
            continue
        for statement in _DELETE:
            tx.execute(statement, (run_id,))
        deleted.append(run_id)
        tx.deleted.append((row[0], run_id))
        tx.ring("runs", run_id)
    return deleted


def delete_unused_code(tx: Transaction) -> int:
    tx.cross()
    count = len(tx.rows(_DELETE_DEPLOYMENTS))
    tx.execute(_DELETE_SOURCES)
    return count
