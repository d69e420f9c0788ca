"""Streams, logs and deployments: what runs leave behind beside their events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wf.errors import WorldError
from wf.world import Appended, DeploymentRow, Fence
from wf.worlds.postgres.transaction import Again, Transaction
from wf.worlds.rows import DEPLOYMENT, to_json

# KEY SHARE: it waits for no commit of the run's owner, and keeps the next claim, which is FOR UPDATE, from coming in
# between. So nothing of a past owner is written once there is another one.
_IS_CURRENT: Final = "SELECT 1 FROM runs WHERE run_id = %s AND epoch = %s AND owner IS NOT NULL FOR KEY SHARE"
_RUN: Final = "SELECT origin FROM runs WHERE run_id = %s FOR KEY SHARE"
_TAIL: Final = "SELECT index, payload IS NULL FROM chunks WHERE run_id = %s AND name = %s ORDER BY index DESC LIMIT 1"
_ADD: Final = """
INSERT INTO chunks (run_id, name, index, at, payload)
SELECT %s, %s, index, at, payload FROM unnest(%b::bigint[], %b::bigint[], %b::bytea[]) AS a (index, at, payload)
ON CONFLICT DO NOTHING RETURNING 1
"""
READ_CHUNKS: Final = """
SELECT index, at, payload FROM chunks WHERE run_id = %s AND name = %s AND index >= %s ORDER BY index LIMIT %s
"""
LIST_STREAMS: Final = """
WITH RECURSIVE names (name) AS (
  SELECT min(name) FROM chunks WHERE run_id = %(run_id)s
  UNION ALL
  SELECT (SELECT min(c.name) FROM chunks AS c WHERE c.run_id = %(run_id)s AND c.name > names.name) FROM names
  WHERE names.name IS NOT NULL
)
SELECT name, c.index, c.payload IS NULL FROM names CROSS JOIN LATERAL (
  SELECT index, payload FROM chunks WHERE run_id = %(run_id)s AND chunks.name = names.name ORDER BY index DESC LIMIT 1
) AS c
WHERE name IS NOT NULL ORDER BY name
"""
"""Streams of a run, by steps of the index: one a name, not one a chunk."""

READ_LOGS: Final = """
SELECT run_id, correlation_id, attempt, index, at, payload FROM logs
WHERE run_id = %s ORDER BY at, correlation_id, attempt, index LIMIT %s
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
    asked = tx.execute(_RUN, (run_id,))
    is_current = None if fence is None else tx.execute(_IS_CURRENT, (fence.run_id, fence.epoch))
    last = tx.execute(_TAIL, (run_id, name))
    tx.settle()
    run = asked.fetchone()
    if run is None:
        return Appended("unknown")
    if is_current is not None and is_current.fetchone() is None:
        return Appended("fenced")
    tail_index, is_closed = last.fetchone() or (-1, False)
    if run[0] is not None:
        return Appended("closed", tail_index - bool(is_closed))
    if is_closed:
        tail_index -= 1  # the end mark is no chunk
        return Appended("written" if list(payloads) == [None] else "closed", tail_index)
    if start_index != tail_index + 1:
        return Appended("moved", tail_index)
    if payloads:
        indexes = list(range(start_index, start_index + len(payloads)))
        if len(tx.rows(_ADD, (run_id, name, indexes, times, list(payloads)))) < len(payloads):
            raise Again  # another writer was there first: the tail is elsewhere by now
        tx.ring(f"stream:{run_id}/{name}", run_id)
        tx.grown.append(run_id)
        tail_index += len(payloads) - (payloads[-1] is None)
    return Appended("written", tail_index)


# -- deployments

_PUT_DEPLOYMENT: Final = """
INSERT INTO deployments (deployment_id, created_at, manifest, used_at, catalog) VALUES (%s, %s, %s, %s, %s)
ON CONFLICT (deployment_id) DO UPDATE SET used_at = greatest(deployments.used_at, excluded.used_at),
  catalog = coalesce(excluded.catalog, deployments.catalog)
"""
_PUT_SOURCE: Final = "INSERT INTO sources (digest, content) VALUES (%s, %s) ON CONFLICT DO NOTHING"
GET_DEPLOYMENT: Final = f"SELECT {DEPLOYMENT} FROM deployments WHERE deployment_id = %s"
LIST_DEPLOYMENTS: Final = f"SELECT {DEPLOYMENT} FROM deployments ORDER BY used_at DESC, deployment_id DESC"
READ_SOURCE: Final = "SELECT content FROM sources WHERE digest = %s"


def put_deployment(tx: Transaction, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
    tx.cross()  # who deletes unused code at this moment would not see that it needs files of what is deleted
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
    for digest in sorted(sources):  # in everybody's order: workers that start together keep the same files
        tx.execute(_PUT_SOURCE, (digest, sources[digest]))
