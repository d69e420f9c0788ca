"""The feed of a Postgres world; `wf.worlds.feed` says what a feed is.

Transactions of many processes commit in another order than that in which they drew their numbers. So a mark is no
position in `changes`, but the first transaction that was not over, as far as could be seen: all before it had ended,
and whatever they wrote was visible. Who asks for the changes since gets those of that transaction and of all later
ones: some of them again, and none never.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final

import psycopg
from psycopg import Connection, sql

from wf.errors import WorldError
from wf.worlds.feed import BATCH, RUN_COLUMNS, Mark, Row
from wf.worlds.postgres import failures, schema
from wf.worlds.postgres.place import Place

# One past the last change, where nothing is under way: so that a mark does not move while nothing happens here.
_MARK: Final = """
SELECT least(pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
    coalesce((SELECT xid::text::bigint + 1 FROM changes ORDER BY xid DESC LIMIT 1), 1)),
  coalesce((SELECT position FROM changes ORDER BY position DESC LIMIT 1), 0)
"""
_PRUNED: Final = "SELECT pruned_xid FROM world"
_CHANGED: Final = "SELECT DISTINCT run FROM changes WHERE xid >= %s::text::xid8 ORDER BY run"
_COUNT: Final = "SELECT count(*) FROM changes WHERE xid >= %s::text::xid8"
_LAST: Final = """
SELECT r.id, r.run_id, r.seq, r.head
FROM (SELECT DISTINCT run FROM (SELECT run FROM changes ORDER BY position DESC LIMIT %s) AS newest) AS c
  JOIN runs AS r ON r.id = c.run
"""
_LINK: Final = "SELECT link FROM events WHERE run_id = %s AND seq = %s"
_IDS: Final = "SELECT id FROM runs WHERE id > %s ORDER BY id LIMIT %s"
_ASKED: Final = "FROM unnest(%s::bigint[]) AS asked (id) JOIN runs AS r ON r.id = asked.id"
_RUNS: Final = f"SELECT {', '.join(f'r.{column}' for column in RUN_COLUMNS)} {_ASKED} ORDER BY r.id"
_EVENTS: Final = """
SELECT r.id, e.seq, e.type, e.correlation_id, e.name, e.attempt, e.at, e.meta, coalesce(octet_length(e.payload), 0)
FROM unnest(%s::bigint[], %s::bigint[]) AS asked (id, after_seq) JOIN runs AS r ON r.id = asked.id
  CROSS JOIN LATERAL (
    SELECT * FROM events WHERE events.run_id = r.run_id AND events.seq > asked.after_seq ORDER BY events.seq) AS e
"""
_CHUNKS: Final = f"""
SELECT r.id, c.name, c.index, c.at, octet_length(c.payload) {_ASKED} JOIN chunks AS c ON c.run_id = r.run_id
WHERE left(c.name, 1) <> '$'
"""
_LOGS: Final = f"""
SELECT r.id, l.correlation_id, l.attempt, l.index, l.at, octet_length(l.payload)
{_ASKED} JOIN logs AS l ON l.run_id = r.run_id
"""
_WAITS: Final = f"SELECT r.id, w.correlation_id {_ASKED} JOIN waits AS w ON w.run_id = r.run_id"
_DEPLOYMENTS: Final = "SELECT deployment_id, created_at, used_at, manifest FROM deployments"

_PAYLOAD: Final = (
    "SELECT r.run_id, e.type, e.payload FROM runs AS r JOIN events AS e USING (run_id) WHERE r.id = %s AND e.seq = %s"
)
_CHUNK: Final = """
SELECT r.run_id, c.payload FROM runs AS r JOIN chunks AS c USING (run_id)
WHERE r.id = %s AND c.name = %s AND c.index = %s
"""
_LOG: Final = """
SELECT r.run_id, l.payload FROM runs AS r JOIN logs AS l USING (run_id)
WHERE r.id = %s AND l.correlation_id = %s AND l.attempt = %s AND l.index = %s
"""


class PostgresFeed:
    """One read-only connection."""

    def __init__(self, url: str) -> None:
        """Connect. Raises `WorldError` where there is no world, or one of another version than this one."""
        self._place = Place(url)
        self._connection: Connection[Any] | None = None
        try:
            self._connection = connection = self._place.connect()
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self._place.schema)))
            connection.execute("SET default_transaction_read_only = on")
            connection.execute("SET max_parallel_workers_per_gather = 0")  # it would mix the order of events
            self._era = schema.check(connection, self._place)
        except psycopg.Error as error:
            self.close()
            raise self._translate(error) from None
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> PostgresFeed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()

    def identify(self) -> tuple[int, int]:
        return int(self._era[:8], 16), int(self._era[8:], 16)

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        self._fetch("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self._fetch("ROLLBACK")

    # -- what changed

    def mark(self) -> Mark:
        return Mark(*self._fetch(_MARK)[0])

    def count_changes(self, mark: Mark) -> int:
        return int(self._fetch(_COUNT, (str(mark.position),))[0][0])

    def list_heads(self, limit: int) -> list[tuple[int, str, int, bytes]]:
        return [(run, run_id, seq, head) for run, run_id, seq, head in self._fetch(_LAST, (limit,))]

    def find_link(self, run_id: str, seq: int) -> bytes | None:
        found = self._fetch(_LINK, (run_id, seq))
        return found[0][0] if found else None

    def changed_since(self, mark: Mark) -> list[int] | None:
        if mark.position <= self._fetch(_PRUNED)[0][0]:
            return None
        return [run for (run,) in self._fetch(_CHANGED, (str(mark.position),))]

    def list_ids(self, after: int, limit: int) -> list[int]:
        return [run for (run,) in self._fetch(_IDS, (after, limit))]

    # -- rows, in the order of the columns of `wf.worlds.feed`

    def read_runs(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_RUNS, (list(ids),))

    def read_events(self, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Row]]:
        columns = [list(column) for column in zip(*wanted, strict=True)] or [[], []]
        connection = self._open()
        try:
            with connection.transaction(), connection.cursor(name="events", binary=True) as cursor:
                cursor.execute(_EVENTS, columns)
                while rows := cursor.fetchmany(BATCH):
                    yield rows
        except psycopg.Error as error:
            raise self._translate(error) from error

    def read_chunks(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_CHUNKS, (list(ids),))

    def read_logs(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_LOGS, (list(ids),))

    def read_pending_waits(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_WAITS, (list(ids),))

    def read_deployments(self) -> list[Row]:
        return self._fetch(_DEPLOYMENTS)

    # -- single payloads, sealed

    def find_payload(self, run: int, seq: int) -> tuple[str, str, bytes | None] | None:
        found = self._fetch(_PAYLOAD, (run, seq))
        return tuple(found[0]) if found else None

    def find_chunk(self, run: int, name: str, place: int) -> tuple[str, bytes | None] | None:
        found = self._fetch(_CHUNK, (run, name, place))
        return tuple(found[0]) if found else None

    def find_log(self, run: int, correlation_id: int, attempt: int, place: int) -> tuple[str, bytes] | None:
        found = self._fetch(_LOG, (run, correlation_id, attempt, place))
        return tuple(found[0]) if found else None

    def _open(self) -> Connection[Any]:
        if self._connection is None:
            raise WorldError(f"the world {self._place.shown} is closed")
        return self._connection

    def _fetch(self, query: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            cursor = self._open().execute(query, parameters, binary=True)
            return [] if cursor.description is None else cursor.fetchall()
        except psycopg.Error as error:
            raise self._translate(error) from error

    def _translate(self, error: psycopg.Error) -> WorldError:
        return failures.translate(error, self._place.shown, self._place.secrets)
