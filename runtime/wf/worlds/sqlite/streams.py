"""Streams, logs and deployments: what runs leave behind beside their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.errors import WorldError
from wf.world import Appended, DeploymentRow, Fence
from wf.worlds.rows import DEPLOYMENT, read_deployment, to_json
from wf.worlds.sqlite.transaction import Transaction

_IS_CURRENT: Final = "SELECT 1 FROM runs WHERE run_id = ? AND epoch = ? AND owner IS NOT NULL"
_TAIL: Final = 'SELECT "index", payload IS NULL FROM chunks WHERE run_id = ? AND name = ? ORDER BY "index" DESC LIMIT 1'
_ADD: Final = 'INSERT INTO chunks (run_id, name, "index", at, payload) VALUES (?, ?, ?, ?, ?)'
READ_CHUNKS: Final = """
SELECT "index", at, payload FROM chunks WHERE run_id = ? AND name = ? AND "index" >= ? ORDER BY "index" LIMIT ?
"""
LIST_STREAMS: Final = """
WITH RECURSIVE names (name) AS (
  SELECT min(name) FROM chunks WHERE run_id = ?
  UNION ALL
  SELECT (SELECT min(c.name) FROM chunks AS c WHERE c.run_id = ? AND c.name > names.name) FROM names
  WHERE names.name IS NOT NULL
), tails (name, tail) AS (
  SELECT name, (SELECT max("index") FROM chunks AS c WHERE c.run_id = ? AND c.name = names.name) FROM names
  WHERE name IS NOT NULL
)
SELECT name, tail, payload IS NULL FROM tails JOIN chunks USING (name)
WHERE run_id = ? AND "index" = tail ORDER BY name
"""
"""Streams of a run (given four times), by steps of the index: one a name, not one a chunk."""

READ_LOGS: Final = """
SELECT run_id, correlation_id, attempt, "index", at, payload FROM logs
WHERE run_id = ? ORDER BY at, correlation_id, attempt, "index" LIMIT ?
"""


def append_chunks(
    tx: Transaction,
    run_id: str,
    name: str,
    start_index: int,
    at: int | list[int],
    payloads: Sequence[bytes | None],
    fence: Fence | None,
) -> Appended:
    """Add chunks to a stream, if its tail is where the writer thinks it is."""
    if None in payloads[:-1]:
        raise WorldError(f"chunks after the end mark of stream {name!r} of run {run_id}")
    times = at if isinstance(at, list) else [at] * len(payloads)
    if len(times) != len(payloads):
        raise WorldError(f"{len(payloads)} chunks of stream {name!r} of run {run_id} with {len(times)} times")
    run = tx.execute("SELECT id, origin FROM runs WHERE run_id = ?", (run_id,)).fetchone()
    if run is None:
        return Appended("unknown")
    if fence is not None and tx.execute(_IS_CURRENT, (fence.run_id, fence.epoch)).fetchone() is None:
        return Appended("fenced")
    tail_index, is_closed = tx.execute(_TAIL, (run_id, name)).fetchone() or (-1, False)
    if run[1] is not None:
        return Appended("closed", tail_index - bool(is_closed))
    if is_closed:
        tail_index -= 1  # the end mark is no chunk
        return Appended("written" if list(payloads) == [None] else "closed", tail_index)
    if start_index != tail_index + 1:
        return Appended("moved", tail_index)
    if payloads:
        chunks = zip(times, payloads, strict=True)
        rows = [(run_id, name, index, *chunk) for index, chunk in enumerate(chunks, start_index)]
        tx.executemany(_ADD, rows)
        tx.execute("INSERT INTO changes (run) VALUES (?)", run[:1])
        tx.written += sum(len(payload) for payload in payloads if payload is not None)
        tx.ring(f"stream:{run_id}/{name}", run_id)
        tx.grown.append(run_id)
        tail_index += len(payloads) - (payloads[-1] is None)
    return Appended("written", tail_index)


# -- deployments

_PUT_DEPLOYMENT: Final = (
    "INSERT INTO deployments (deployment_id, created_at, manifest, used_at, catalog) VALUES (?, ?, ?, ?, ?)"
    " ON CONFLICT DO UPDATE SET used_at = max(used_at, excluded.used_at), catalog = ifnull(excluded.catalog, catalog)"
)
_PUT_SOURCE: Final = "INSERT INTO sources (digest, content) VALUES (?, ?) ON CONFLICT DO NOTHING"
_GET_DEPLOYMENT: Final = f"SELECT {DEPLOYMENT} FROM deployments WHERE deployment_id = ?"
LIST_DEPLOYMENTS: Final = f"SELECT {DEPLOYMENT} FROM deployments ORDER BY used_at DESC, deployment_id DESC"
READ_SOURCE: Final = "SELECT content FROM sources WHERE digest = ?"


def put_deployment(tx: Transaction, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
    created_at = deployment.created_at
    tx.execute(
        _PUT_DEPLOYMENT,
        (
            deployment.deployment_id,
            created_at,
            to_json(deployment.manifest),
            created_at if deployment.used_at is None else deployment.used_at,
            deployment.catalog,
        ),
    )
    tx.executemany(_PUT_SOURCE, sources.items())
    tx.written += sum(map(len, sources.values()))


def get_deployment(tx: Transaction, deployment_id: str) -> DeploymentRow | None:
    row = tx.execute(_GET_DEPLOYMENT, (deployment_id,)).fetchone()
    return None if row is None else read_deployment(row)
