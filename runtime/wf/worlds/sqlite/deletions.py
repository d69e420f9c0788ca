"""Deletions: forgetting runs that have ended or were imported, and code that nobody runs any more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.worlds.sqlite.transaction import Transaction

_IS_DELETABLE: Final = """
SELECT 1 FROM runs WHERE run_id = ? AND (ended_at IS NOT NULL OR origin IS NOT NULL) AND owner IS NULL
  AND NOT EXISTS (
    SELECT 1 FROM runs AS p WHERE p.run_id = runs.parent_run_id AND p.ended_at IS NULL AND p.origin IS NULL)
  AND NOT EXISTS (
    SELECT 1 FROM runs AS f WHERE f.status IN ('pending', 'running') AND f.forked_from = runs.run_id AND f.seq = 1
      AND f.origin IS NULL)
  AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.kind = 'child_ended' AND i.meta ->> 'run_id' = runs.run_id)
"""
_BELONGINGS: Final = ("events", "chunks", "logs", "deliveries", "waits", "hooks", "inbox", "refusals", "locks", "runs")
_DELETE: Final = tuple(f"DELETE FROM {table} WHERE run_id = ?" for table in _BELONGINGS)

_DELETE_DEPLOYMENTS: Final = """
DELETE FROM deployments
WHERE deployment_id NOT IN (SELECT deployment_id FROM runs)
  AND deployment_id NOT IN (SELECT deployment_id FROM workers)
  AND deployment_id NOT IN (SELECT value FROM workers, json_each(ifnull(workers.deployments, '[]')))
  AND deployment_id <> (SELECT deployment_id FROM deployments ORDER BY used_at DESC, deployment_id DESC LIMIT 1)
"""
_DELETE_SOURCES: Final = """
DELETE FROM sources WHERE digest NOT IN (SELECT value FROM deployments, json_each(deployments.manifest))
"""


def delete_runs(tx: Transaction, run_ids: Sequence[str]) -> list[str]:
    deleted = []
    for run_id in dict.fromkeys(run_ids):
        if tx.execute(_IS_DELETABLE, (run_id,)).fetchone() is None:
            continue
        for statement in _DELETE:
            tx.execute(statement, (run_id,))
        deleted.append(run_id)
        tx.ring("runs", run_id)
    return deleted


def delete_unused_code(tx: Transaction) -> int:
    count = tx.execute(_DELETE_DEPLOYMENTS).rowcount
    tx.execute(_DELETE_SOURCES)
    return count
