"""The mirror: a DuckDB file beside the world, for SQL over all its runs.

1. It is disposable. Whatever is wrong with it (missing, older, corrupt, of another world), it is made
   anew from the world, and nothing is lost.
2. A question sees all that was committed when it was asked: what the file does not have yet is read from the
   world into memory, and the views are both together.
3. Nobody owns it. Readers share it (a `flock` of `<mirror>.lock`), as many as there are, in as many
   processes; it is written only while nobody reads, by whoever finds that it is far behind and free. Nobody
   waits for a reader, since memory does instead.
4. It holds no payload, sealed or not. Those stay in the world and are opened one by one (`payloads`).
5. It is written in transactions that move its position, too: a writer that is killed costs what it had
   not committed.

    with History(world_path) as history:
        history.connection.execute("SELECT count(*) FROM past.runs")

A DuckDB file cannot be open for writing in one process and for reading in another; that is why it is not
simply kept up to date by the studio, and why a command line need not ask the studio.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import duckdb
import msgspec
import pyarrow as pa

from wf import events as types
from wf.worlds.sqlite.feed import CHUNK_COLUMNS, DEPLOYMENT_COLUMNS, EVENT_COLUMNS, LOG_COLUMNS, RUN_COLUMNS, Feed
from wf.worlds.sqlite.transaction import Row
from wfstudio.history.locks import Lock

VERSION: Final = 1
"""Of the tables and of what is in them. A mirror of another version, or of another DuckDB, is made anew."""

FAR_BEHIND: Final = 2_000
"""Changes of the world from which on the file is brought up to date before a question is answered."""
HEADS: Final = 64
"""Changes whose runs the mirror remembers the world by."""
PAGE: Final = 2_000
"""Runs that are read at once: one snapshot of the world, one transaction of the mirror."""
_HERE: Final = Path(__file__).parent
_TABLES: Final = {
    match[1]: match[0]
    for match in re.finditer(
        r"^CREATE TABLE \{schema\}\.(\w+) .*?;$",
        (_HERE / "tables.sql").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}
_PARTS: Final = {
    name: select.rstrip().rstrip(";")
    for name, _, select in (
        part.partition("\n") for part in (_HERE / "derive.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    )
}
"""The SELECTs of derive.sql by name, in an order in which each one has what it needs."""
_NEEDS: Final = {"hooks": types.HOOK_CREATED, "waits": types.WAIT_CREATED}
"""Parts that are empty where no event of a type is: a small statement takes a millisecond, and most logs have none."""
_NOT_NEGATIVE: Final = "CREATE TEMP MACRO not_negative(x) AS CASE WHEN x < 0 THEN 0 ELSE x END"
_COPIED: Final = ("events", "chunks", "logs")
_DERIVED: Final = ("runs", "steps", "attempts", "hooks", "waits")
TABLES: Final = (*_DERIVED, *_COPIED)

_RUN = pa.schema(
    [
        ("run", pa.int64()), ("run_id", pa.string()), ("workflow", pa.string()), ("status", pa.string()),
        ("deployment_id", pa.string()), ("created_at", pa.int64()), ("started_at", pa.int64()),
        ("ended_at", pa.int64()), ("seq", pa.int32()), ("attributes", pa.string()), ("parent_run_id", pa.string()),
        ("continued_from", pa.string()), ("continued_as", pa.string()), ("forked_from", pa.string()),
        ("error_code", pa.string()), ("result_seq", pa.int32()), ("payload_bytes", pa.int64()),
        ("attention", pa.string()), ("origin", pa.string()),
    ]
)  # fmt: skip
_EVENT = pa.schema(
    [
        ("run", pa.int64()), ("seq", pa.int32()), ("type", pa.string()), ("correlation_id", pa.int32()),
        ("name", pa.string()), ("attempt", pa.int32()), ("at_us", pa.int64()), ("meta", pa.string()),
        ("payload_bytes", pa.int32()),
    ]
)  # fmt: skip
_CHUNK = pa.schema(
    [
        ("run", pa.int64()),
        ("name", pa.string()),
        ("place", pa.int32()),
        ("at_us", pa.int64()),
        ("payload_bytes", pa.int32()),
    ]
)
_LOG = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("attempt", pa.int32()), ("place", pa.int32()),
        ("at_us", pa.int64()), ("payload_bytes", pa.int32()),
    ]
)  # fmt: skip
_RUNS_ASKED = pa.schema([("run", pa.int64())])
_PENDING = pa.schema([("run", pa.int64()), ("correlation_id", pa.int32())])
_DEPLOYMENT = pa.schema(
    [("deployment_id", pa.string()), ("created_at", pa.int64()), ("used_at", pa.int64()), ("manifest", pa.string())]
)
_STAGED: Final = {"changed": _RUNS_ASKED, "gone": _RUNS_ASKED, "fresh": _RUN, "pending": _PENDING}
_LOG_NOW: Final = """
SELECT * FROM mirror.events WHERE run IN (SELECT run FROM delta.changed) AND run NOT IN (SELECT run FROM delta.gone)
UNION ALL SELECT * FROM delta.events
"""
_SAID: Final = (
    (_RUN, ("run", *RUN_COLUMNS[1:])),
    (_EVENT, EVENT_COLUMNS),
    (_CHUNK, CHUNK_COLUMNS),
    (_LOG, LOG_COLUMNS),
)
# Rows go from the feed into the tables by place: one that lists other columns would put them into the wrong ones.
assert all(tuple(schema.names) == columns for schema, columns in (*_SAID, (_DEPLOYMENT, DEPLOYMENT_COLUMNS)))


def mirror_path(world_path: Path) -> Path:
    """Give where the mirror of a world lies: beside it."""
    return world_path.with_name(world_path.name + ".history")


class Place(msgspec.Struct, frozen=True):
    """What a mirror's file is a copy of, and how far: up to `position` of the world's changes.

    `heads` are (run, run id, seq, link) of the runs that changed last. A link is like no other, so a world that
    was put back to an older state, and went on from there, does not have them.
    """

    version: int
    duckdb: str
    device: int
    inode: int
    position: int
    heads: list[tuple[int, str, int, str]]

    def find_changed(self, feed: Feed) -> list[int] | None:
        """List the runs that changed since; None where the file cannot be continued from this world."""
        if (self.version, self.duckdb) != (VERSION, duckdb.__version__):
            return None
        if (self.device, self.inode) != _identify(feed.path) or self.position > feed.position():
            return None
        changed = feed.changed_since(self.position)
        if changed is None:
            return None
        runs = set(changed)
        for run, run_id, seq, link in self.heads:
            found = feed.find_link(run_id, seq)
            # One that is not there was deleted since, which is a change, or it never was in this world.
            if run not in runs if found is None else found.hex() != link:
                return None
        return changed


class History:
    """A world's history, as of when it was opened, behind one DuckDB connection in memory.

    The tables of `tables.sql` are there in the schema `past`, and `past.deployments`; `views` makes of them
    what users see. `connection` and `feed` may be used from any thread, from one at a time.
    """

    def __init__(self, world_path: Path, *, memory_limit: str = "512MB", threads: int = 2) -> None:
        """Open it: bring the file up to date where that pays, and read the rest into memory.

        Raises `WorldError` where the world cannot be read, or the mirror's place cannot be written.
        """
        self.path: Final = mirror_path(world_path)
        self.feed: Final = Feed(world_path)
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            ":memory:",
            config={"memory_limit": memory_limit, "threads": 1},  # of small statements a second one makes slower ones
        )
        self._lock = Lock(self.path)
        try:
            self._overlay(self._attach())
            self.connection.execute(f"SET threads = {threads}")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> History:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self.connection.close()
        self._lock.close()
        self.feed.close()

    def _attach(self) -> list[int]:
        """Take part in reading the file, brought up to date if that was due and nobody read it; give what it lacks."""
        has_tried = False
        while True:
            self._lock.share()
            place = _attach(self.connection, self.path)
            changed = None if place is None else place.find_changed(self.feed)
            if place is not None and changed is not None and (has_tried or not self._is_far_behind(place)):
                return changed
            with suppress(duckdb.Error):
                self.connection.execute("DETACH mirror")
            # Where it only lags nobody need wait for readers: memory holds the rest.
            if self._lock.try_to_write() if changed is not None else self._lock.write():
                bring_up_to_date(self.path, self.feed)
            has_tried = True

    def _is_far_behind(self, place: Place) -> bool:
        return self.feed.count_changes(place.position) > FAR_BEHIND

    def _overlay(self, changed: list[int]) -> None:
        """Read these runs, which the file does not have as they are now, into memory, and put both together."""
        connection = self.connection
        connection.execute("CREATE SCHEMA delta; CREATE SCHEMA past")
        made = {*_COPIED} if changed else set()
        if changed:
            connection.execute(_NOT_NEGATIVE)
            _make_tables(connection, "delta", _COPIED)
            for name, schema in _STAGED.items():
                _stage(connection, f"delta.{name}", (), schema)
            for page in _pages(changed):
                _read_news(connection, self.feed, page)
            connection.execute(f"CREATE TABLE delta.log AS {_LOG_NOW}")
            found = {type for (type,) in connection.execute("SELECT DISTINCT type FROM delta.log").fetchall()}
            for name, select in _PARTS.items():
                if _NEEDS.get(name) in (None, *found):
                    connection.execute(f"CREATE TABLE delta.{name} AS {select.format(s='delta.')}")
                    made.add(name)
        has_gone = changed and connection.execute("SELECT count(*) FROM delta.gone").fetchone() != (0,)
        for table in TABLES:
            hidden = "changed" if table != "events" and changed else "gone" if has_gone else None
            where = "" if hidden is None else f" WHERE run NOT IN (SELECT run FROM delta.{hidden})"
            both = f" UNION ALL BY NAME SELECT * FROM delta.{table}" if table in made else ""
            connection.execute(f"CREATE VIEW past.{table} AS SELECT * FROM mirror.{table}{where}{both}")
        connection.register("deployments_now", _make_table(self.feed.read_deployments(), _DEPLOYMENT))
        connection.execute("CREATE TABLE past.deployments AS SELECT * FROM deployments_now")
        connection.unregister("deployments_now")


# -- the file --------------------------------------------------------------------------------------


def bring_up_to_date(path: Path, feed: Feed) -> int:
    """Write what changed in the world into the mirror's file; give how many runs were looked at.

    The caller holds the lock alone. A file that does not fit the world, or cannot be opened, is made anew.
    """
    position = feed.position()  # before anything is read: what comes later will be named again
    with _writing(path, feed) as (connection, changed):
        count = 0
        for page in _all_pages(feed) if changed is None else _pages(changed):
            connection.execute("BEGIN")
            _load(connection, feed, page)
            connection.execute("COMMIT")
            count += len(page)
        _write_place(connection, feed, position)
    return count


def remove(path: Path) -> None:
    """Remove a mirror's file. The caller holds the lock alone."""
    for file in (path, path.with_name(path.name + ".wal")):
        file.unlink(missing_ok=True)


@contextmanager
def _writing(path: Path, feed: Feed) -> Iterator[tuple[duckdb.DuckDBPyConnection, list[int] | None]]:
    """Open a file to write, with the runs that changed since it was; with None where it is new."""
    mask = os.umask(0o077)  # as private as the world
    connection = duckdb.connect(":memory:")
    try:
        connection.execute(_NOT_NEGATIVE)
        place = _attach(connection, path, is_writing=True)
        changed = None if place is None else place.find_changed(feed)
        if changed is None:
            with suppress(duckdb.Error):
                connection.execute("DETACH mirror")
            remove(path)
            connection.execute(f"ATTACH {_literal(path)} AS mirror")
            _make_tables(connection, "mirror", TABLES)
        yield connection, changed
        connection.execute("CHECKPOINT mirror")
    finally:
        connection.close()
        os.umask(mask)


def _attach(connection: duckdb.DuckDBPyConnection, path: Path, *, is_writing: bool = False) -> Place | None:
    """Attach a file as `mirror` and give its place; None where it is missing, half made, or cannot be opened."""
    if not path.exists():
        return None
    try:
        connection.execute(f"ATTACH {_literal(path)} AS mirror{'' if is_writing else ' (READ_ONLY)'}")
        found = connection.execute("SELECT place FROM mirror.place").fetchall()
        return msgspec.json.decode(found[0][0], type=Place)
    except (duckdb.Error, IndexError, msgspec.MsgspecError):
        return None


def _write_place(connection: duckdb.DuckDBPyConnection, feed: Feed, position: int) -> None:
    heads = [(run, run_id, seq, link.hex()) for run, run_id, seq, link in feed.list_heads(HEADS)]
    place = Place(VERSION, duckdb.__version__, *_identify(feed.path), position, heads)
    connection.execute("BEGIN; CREATE OR REPLACE TABLE mirror.place (place VARCHAR)")
    connection.execute("INSERT INTO mirror.place VALUES (?)", [msgspec.json.encode(place).decode()])
    connection.execute("COMMIT")


def _identify(path: Path) -> tuple[int, int]:
    found = os.stat(path)
    return found.st_dev, found.st_ino


# -- from the world into tables --------------------------------------------------------------------


def _pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


def _all_pages(feed: Feed) -> Iterator[Sequence[int]]:
    last = 0
    while ids := feed.list_ids(last, PAGE):
        yield ids
        last = ids[-1]


def _load(connection: duckdb.DuckDBPyConnection, feed: Feed, ids: Sequence[int]) -> None:
    """Read runs from the world into the file that is written, and derive what they say."""
    known = _find_known(connection, ids)
    with feed.snapshot():
        rows = feed.read_runs(ids)
        gone = _find_gone(rows, known)
        if known or gone:
            _stage(connection, "asked", [(run,) for run in ids], _RUNS_ASKED)
            _stage(connection, "gone", [(run,) for run in gone], _RUNS_ASKED)
            connection.execute("DELETE FROM mirror.events WHERE run IN (SELECT run FROM gone)")
            for table in TABLES:
                if table != "events":
                    connection.execute(f"DELETE FROM mirror.{table} WHERE run IN (SELECT run FROM asked)")
        pending = _copy(connection, feed, rows, known, into="mirror")
    _stage(connection, "fresh", rows, _RUN)
    _stage(connection, "pending", pending, _PENDING)
    between = f"run BETWEEN {min(ids)} AND {max(ids)}"  # lets it skip row groups
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE log AS"
        f" SELECT * FROM mirror.events WHERE {between} AND run IN (SELECT run FROM fresh)"
    )
    for name, select in _PARTS.items():
        if name in _DERIVED:
            connection.execute(f"INSERT INTO mirror.{name} BY NAME {select.format(s='')}")
        else:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select.format(s='')}")


def _read_news(connection: duckdb.DuckDBPyConnection, feed: Feed, ids: Sequence[int]) -> None:
    """Read runs from the world into memory: of their events those that the file lacks."""
    known = _find_known(connection, ids)
    with feed.snapshot():
        rows = feed.read_runs(ids)
        gone = _find_gone(rows, known)
        pending = _copy(connection, feed, rows, known, into="delta")
    _insert(connection, "delta.changed", [(run,) for run in ids], _RUNS_ASKED)
    _insert(connection, "delta.gone", [(run,) for run in gone], _RUNS_ASKED)
    _insert(connection, "delta.fresh", rows, _RUN)
    _insert(connection, "delta.pending", pending, _PENDING)


def _find_known(connection: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Give (run id, seq) of the runs that the file has, by their number."""
    asked = ", ".join(map(str, ids))
    sql = f"SELECT run, run_id, seq FROM mirror.runs WHERE run BETWEEN {min(ids)} AND {max(ids)} AND run IN ({asked})"
    return {run: (run_id, seq) for run, run_id, seq in connection.execute(sql).fetchall()}


def _find_gone(rows: Sequence[Row], known: dict[int, tuple[str, int]]) -> list[int]:
    """List the runs that the file has and the world has not, and take them out of what is known."""
    found = {row[0]: row[1] for row in rows}
    gone = [run for run, (run_id, _) in known.items() if found.get(run) != run_id]
    for run in gone:
        del known[run]
    return gone


def _copy(
    connection: duckdb.DuckDBPyConnection,
    feed: Feed,
    rows: Sequence[Row],
    known: dict[int, tuple[str, int]],
    *,
    into: str,
) -> list[Row]:
    """Copy what runs have besides their rows, of events those that are not known; give their pending waits."""
    ids = [row[0] for row in rows]
    for batch in feed.read_events([(run, known[run][1] if run in known else 0) for run in ids]):
        _insert(connection, f"{into}.events", batch, _EVENT)
    _insert(connection, f"{into}.chunks", feed.read_chunks(ids), _CHUNK)
    _insert(connection, f"{into}.logs", feed.read_logs(ids), _LOG)
    return feed.read_pending_waits(ids)


def _make_tables(connection: duckdb.DuckDBPyConnection, schema: str, tables: Sequence[str]) -> None:
    for table in tables:
        connection.execute(_TABLES[table].format(schema=schema))


def _stage(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    connection.register("staged", _make_table(rows, schema))
    kind = "TABLE" if "." in name else "TEMP TABLE"
    connection.execute(f"CREATE OR REPLACE {kind} {name} AS SELECT * FROM staged")
    connection.unregister("staged")


def _insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    if rows:
        connection.register("staged", _make_table(rows, schema))
        connection.execute(f"INSERT INTO {table} SELECT * FROM staged")
        connection.unregister("staged")


def _make_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    columns: Iterable[Sequence[object]] = zip(*rows, strict=True) if rows else [()] * len(schema.names)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
