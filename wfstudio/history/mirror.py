"""The mirror: a DuckDB file beside the world (of one in a database: in the project's `.wf`), for SQL over all its runs.

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
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

import duckdb
import msgspec

from wf.worlds.feed import Feed, Mark
from wfstudio.history import staging
from wfstudio.history.feeds import open_feed
from wfstudio.history.locks import Lock
from wfstudio.history.news import read_news

VERSION: Final = 1
"""Of the tables and of what is in them. A mirror of another version, or of another DuckDB, is made anew."""

FAR_BEHIND: Final = 2_000
"""Changes of the world from which on the file is brought up to date before a question is answered."""
HEADS: Final = 64
"""Changes whose runs the mirror remembers the world by."""


def mirror_path(world_path: Path) -> Path:
    """Give where the mirror of a world lies: beside it."""
    return world_path.with_name(world_path.name + ".history")


class Place(msgspec.Struct, frozen=True):
    """What a mirror's file is a copy of, and how far: up to the mark (`position`, `seq`) of the world's changes.

    `heads` are (run, run id, seq, link) of the runs that changed last. A link is like no other, so a world that
    was put back to an older state, and went on from there, does not have them.
    """

    version: int
    duckdb: str
    device: int
    inode: int
    position: int
    heads: list[tuple[int, str, int, str]]
    seq: int = -1  # that of no run: of a file from before there were marks

    @property
    def mark(self) -> Mark:
        return Mark(self.position, self.seq)

    def find_changed(self, feed: Feed) -> list[int] | None:
        """List the runs that changed since; None where the file cannot be continued from this world."""
        if (self.version, self.duckdb) != (VERSION, duckdb.__version__):
            return None
        if (self.device, self.inode) != feed.identify() or self.position > feed.mark().position:
            return None
        changed = feed.changed_since(self.mark)
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

    The tables of `tables.sql` are there in the schema `past`, and `past.deployments`; `schema` makes of them
    what users see. `connection` and `feed` may be used from any thread, from one at a time.
    """

    def __init__(
        self, world_path: Path, *, url: str | None = None, memory_limit: str = "512MB", threads: int = 2
    ) -> None:
        """Open it, of a world's file, or of the database that `url` names, whose mirror lies at `world_path` all the
        same: bring the file up to date where that pays, and read the rest into memory.

        Raises `WorldError` where the world cannot be read, or the mirror's place cannot be written.
        """
        self.path: Final = mirror_path(world_path)
        self.feed: Final = open_feed(world_path, url)
        self.connection: duckdb.DuckDBPyConnection = duckdb.connect(
            ":memory:",
            config={"memory_limit": memory_limit, "threads": 1},  # of small statements a second one makes slower ones
        )
        self._lock = Lock(self.path)
        try:
            read_news(self.connection, self.feed, self._attach())
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
        return self.feed.count_changes(place.mark) > FAR_BEHIND


# -- the file --------------------------------------------------------------------------------------


def bring_up_to_date(path: Path, feed: Feed) -> int:
    """Write what changed in the world into the mirror's file; give how many runs were looked at.

    The caller holds the lock alone. A file that does not fit the world, or cannot be opened, is made anew.
    """
    mark = feed.mark()  # before anything is read: what comes later will be named again
    with _writing(path, feed) as (connection, changed):
        count = 0
        for page in _all_pages(feed) if changed is None else staging.pages(changed):
            connection.execute("BEGIN")
            _load(connection, feed, page)
            connection.execute("COMMIT")
            count += len(page)
        _write_place(connection, feed, mark)
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
        connection.execute(staging.NOT_NEGATIVE)
        place = _attach(connection, path, is_writing=True)
        changed = None if place is None else place.find_changed(feed)
        if changed is None:
            with suppress(duckdb.Error):
                connection.execute("DETACH mirror")
            remove(path)
            connection.execute(f"ATTACH {_literal(path)} AS mirror")
            staging.make_tables(connection, "mirror", staging.TABLES)
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


def _write_place(connection: duckdb.DuckDBPyConnection, feed: Feed, mark: Mark) -> None:
    heads = [(run, run_id, seq, link.hex()) for run, run_id, seq, link in feed.list_heads(HEADS)]
    place = Place(VERSION, duckdb.__version__, *feed.identify(), mark.position, heads, mark.seq)
    connection.execute("BEGIN; CREATE OR REPLACE TABLE mirror.place (place VARCHAR)")
    connection.execute("INSERT INTO mirror.place VALUES (?)", [msgspec.json.encode(place).decode()])
    connection.execute("COMMIT")


# -- from the world into tables --------------------------------------------------------------------


def _all_pages(feed: Feed) -> Iterator[Sequence[int]]:
    last = 0
    while ids := feed.list_ids(last, staging.PAGE):
        yield ids
        last = ids[-1]


def _load(connection: duckdb.DuckDBPyConnection, feed: Feed, ids: Sequence[int]) -> None:
    """Read runs from the world into the file that is written, and derive what they say."""
    known = staging.find_known(connection, ids)
    with feed.snapshot():
        rows = feed.read_runs(ids)
        gone = staging.find_gone(rows, known)
        if known or gone:
            staging.stage(connection, "asked", [(run,) for run in ids], staging.RUNS_ASKED)
            staging.stage(connection, "gone", [(run,) for run in gone], staging.RUNS_ASKED)
            connection.execute("DELETE FROM mirror.events WHERE run IN (SELECT run FROM gone)")
            for table in staging.TABLES:
                if table != "events":
                    connection.execute(f"DELETE FROM mirror.{table} WHERE run IN (SELECT run FROM asked)")
        pending = staging.copy(connection, feed, rows, known, into="mirror")
    staging.stage(connection, "fresh", rows, staging.RUN)
    staging.stage(connection, "pending", pending, staging.PENDING)
    between = f"run BETWEEN {min(ids)} AND {max(ids)}"  # lets it skip row groups
    connection.execute(
        "CREATE OR REPLACE TEMP TABLE log AS"
        f" SELECT * FROM mirror.events WHERE {between} AND run IN (SELECT run FROM fresh)"
    )
    for name, select in staging.PARTS.items():
        if name in staging.DERIVED:
            connection.execute(f"INSERT INTO mirror.{name} BY NAME {select.format(s='')}")
        else:
            connection.execute(f"CREATE OR REPLACE TEMP TABLE {name} AS {select.format(s='')}")


def _literal(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"
