"""The feed of an SQLite world; `wf.worlds.feed` says what a feed is."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from wf.errors import WorldError
from wf.worlds.feed import BATCH, RUN_COLUMNS, Mark, Row
from wf.worlds.sqlite import failures
from wf.worlds.sqlite.connection import APPLICATION_ID, MIGRATIONS
from wf.worlds.sqlite.reader import SETTINGS

_MARK: Final = """
SELECT c.position, ifnull(r.seq, 0) FROM changes AS c LEFT JOIN runs AS r ON r.id = c.run
ORDER BY c.position DESC LIMIT 1
"""
_FIRST: Final = "SELECT ifnull(min(position), 0) FROM changes"
_WENT_ON: Final = "SELECT c.run FROM changes AS c JOIN runs AS r ON r.id = c.run WHERE c.position = ? AND r.seq <> ?"
_CHANGED: Final = f"SELECT run FROM changes WHERE position > ? UNION {_WENT_ON} ORDER BY run"
_COUNT: Final = f"SELECT count(*) + EXISTS ({_WENT_ON}) FROM changes WHERE position > ?"
_LAST: Final = """
SELECT r.id, r.run_id, r.seq, r.head
FROM (SELECT DISTINCT run FROM (SELECT run FROM changes ORDER BY position DESC LIMIT ?)) AS c
  JOIN runs AS r ON r.id = c.run
"""
_LINK: Final = "SELECT link FROM events WHERE run_id = ? AND seq = ?"
_IDS: Final = "SELECT id FROM runs WHERE id > ? ORDER BY id LIMIT ?"
_ASKED: Final = "FROM json_each(?) AS asked JOIN runs AS r ON r.id = asked.value"

_RUNS: Final = f"SELECT {', '.join(f'r.{column}' for column in RUN_COLUMNS)} {_ASKED} ORDER BY r.id"
_EVENTS: Final = """
SELECT r.id, e.seq, e.type, e.correlation_id, e.name, e.attempt, e.at, e.meta, ifnull(length(e.payload), 0)
FROM json_each(?) AS asked JOIN runs AS r ON r.id = asked.value ->> 0
  JOIN events AS e ON e.run_id = r.run_id AND e.seq > asked.value ->> 1
"""
_CHUNKS: Final = f"""
SELECT r.id, c.name, c."index", c.at, length(c.payload) {_ASKED} JOIN chunks AS c ON c.run_id = r.run_id
WHERE c.name NOT LIKE '$%'
"""
_LOGS: Final = f"""
SELECT r.id, l.correlation_id, l.attempt, l."index", l.at, length(l.payload)
{_ASKED} JOIN logs AS l ON l.run_id = r.run_id
"""
_WAITS: Final = f"SELECT r.id, w.correlation_id {_ASKED} JOIN waits AS w ON w.run_id = r.run_id"
_DEPLOYMENTS: Final = "SELECT deployment_id, created_at, used_at, manifest FROM deployments"

_PAYLOAD: Final = (
    "SELECT r.run_id, e.type, e.payload FROM runs AS r JOIN events AS e USING (run_id) WHERE r.id = ? AND e.seq = ?"
)
_CHUNK: Final = """
SELECT r.run_id, c.payload FROM runs AS r JOIN chunks AS c USING (run_id)
WHERE r.id = ? AND c.name = ? AND c."index" = ?
"""
_LOG: Final = """
SELECT r.run_id, l.payload FROM runs AS r JOIN logs AS l USING (run_id)
WHERE r.id = ? AND l.correlation_id = ? AND l.attempt = ? AND l."index" = ?
"""


class SqliteFeed:
    """One read-only connection. May be used from any thread, from one at a time."""

    def __init__(self, path: Path) -> None:
        """Open a world's file. Raises `WorldError` where it is none, or of another version than this one."""
        self.path: Final = path
        try:
            self._connection = sqlite3.connect(
                f"{path.absolute().as_uri()}?mode=ro",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                timeout=5.0,
            )
        except sqlite3.Error as error:
            raise failures.translate(error, str(path)) from error
        try:
            for setting in SETTINGS:
                self._connection.execute(setting).fetchall()
            self._check()
        except sqlite3.Error as error:
            self.close()
            raise failures.translate(error, str(path)) from error
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> SqliteFeed:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        self._connection.close()

    def identify(self) -> tuple[int, int]:
        found = os.stat(self.path)
        return found.st_dev, found.st_ino

    def _check(self) -> None:
        [(application,)] = self._connection.execute("PRAGMA application_id").fetchall()
        [(version,)] = self._connection.execute("PRAGMA user_version").fetchall()
        if application != APPLICATION_ID:
            raise WorldError(f"{self.path} is not a world")
        newest = MIGRATIONS[-1][0]
        if version > newest:
            newer = WorldError(f"the world {self.path} was written by a newer wf (schema version {version})")
            newer.hint = "upgrade wf, or name another world"
            raise newer
        if version < newest:
            older = WorldError(f"the world {self.path} was last used by an older wf (schema version {version})")
            older.hint = "open it once with this one: `wf inspect`"
            raise older

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """Have all that is read in the block be of one moment. Keep it short: the WAL cannot be emptied meanwhile."""
        self._fetch("BEGIN")
        try:
            yield
        finally:
            self._connection.rollback()

    # -- what changed

    def mark(self) -> Mark:
        """Give the place of the last change."""
        found = self._fetch(_MARK)
        return Mark(*found[0]) if found else Mark(0, 0)

    def count_changes(self, mark: Mark) -> int:
        """Count the changes after a mark. A run that goes on alone makes one every 16 events."""
        return int(self._fetch(_COUNT, (*mark, mark.position))[0][0])

    def list_heads(self, limit: int) -> list[tuple[int, str, int, bytes]]:
        """Give (run, run id, seq, link) of the last events of runs that changed lately: no other history has them."""
        return [(run, run_id, seq, head) for run, run_id, seq, head in self._fetch(_LAST, (limit,))]

    def find_link(self, run_id: str, seq: int) -> bytes | None:
        found = self._fetch(_LINK, (run_id, seq))
        return found[0][0] if found else None

    def changed_since(self, mark: Mark) -> list[int] | None:
        """List the runs that changed after a mark, or None where the feed does not reach back so far."""
        # The row at the mark must be there still: of its run there may be no other.
        if max(mark.position, 1) < self._fetch(_FIRST)[0][0]:
            return None
        return [run for (run,) in self._fetch(_CHANGED, (mark.position, *mark))]

    def list_ids(self, after: int, limit: int) -> list[int]:
        return [run for (run,) in self._fetch(_IDS, (after, limit))]

    # -- rows, in the order of the columns named above

    def read_runs(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_RUNS, (_encode(ids),))

    def read_events(self, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Row]]:
        """Give events, in batches; `wanted` are (run, seq after which they are wanted)."""
        try:
            cursor = self._connection.execute(_EVENTS, (_encode(wanted),))
            while rows := cursor.fetchmany(BATCH):
                yield rows
        except sqlite3.Error as error:
            raise failures.translate(error, str(self.path)) from error

    def read_chunks(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_CHUNKS, (_encode(ids),))

    def read_logs(self, ids: Sequence[int]) -> list[Row]:
        return self._fetch(_LOGS, (_encode(ids),))

    def read_pending_waits(self, ids: Sequence[int]) -> list[Row]:
        """Give (run, correlation id) of the waits that are pending."""
        return self._fetch(_WAITS, (_encode(ids),))

    def read_deployments(self) -> list[Row]:
        return self._fetch(_DEPLOYMENTS)

    # -- single payloads, sealed

    def find_payload(self, run: int, seq: int) -> tuple[str, str, bytes | None] | None:
        """Give an event's run id, type and sealed payload."""
        found = self._fetch(_PAYLOAD, (run, seq))
        return tuple(found[0]) if found else None

    def find_chunk(self, run: int, name: str, place: int) -> tuple[str, bytes | None] | None:
        found = self._fetch(_CHUNK, (run, name, place))
        return tuple(found[0]) if found else None

    def find_log(self, run: int, correlation_id: int, attempt: int, place: int) -> tuple[str, bytes] | None:
        found = self._fetch(_LOG, (run, correlation_id, attempt, place))
        return tuple(found[0]) if found else None

    def _fetch(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        try:
            return self._connection.execute(sql, parameters).fetchall()
        except sqlite3.Error as error:
            raise failures.translate(error, str(self.path)) from error


_encode = msgspec.json.Encoder().encode
