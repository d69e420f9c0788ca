"""The writer's connection: settings, schema, transactions and checkpoints of one world file.

1. There is one. SQLite up to 3.51.2 can lose a WAL reset when two connections checkpoint.
2. Every setting that durability rests on is read back; a world that cannot have it is not opened.
3. After an error that leaves a commit's outcome unknown the connection is made anew before it is
   used again: what SQLite then reads from the file is the outcome.
4. It never creates a file in place of one that vanished, and it notices that (within a second).
5. One that `is_frozen` reads where the disk has no room for a byte, not even for the file by which connections share
   the index of the WAL: it has that in memory, which takes it that nobody else has the file open.

Not thread-safe by itself: `core.Core` guards it.
"""

from __future__ import annotations

import os
import sqlite3
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from wf.errors import StorageFull, WorldError
from wf.worlds.sqlite import failures, files

APPLICATION_ID: Final = 0x77666462  # "wfdb"; tells a world from any other SQLite file

MIGRATIONS: Final[tuple[tuple[int, str], ...]] = (
    (1, Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")),
    (2, Path(__file__).with_name("schema_2.sql").read_text(encoding="utf-8")),
    (3, Path(__file__).with_name("schema_3.sql").read_text(encoding="utf-8")),
    (4, Path(__file__).with_name("schema_4.sql").read_text(encoding="utf-8")),
)
"""(schema version, SQL that leads to it). Each runs in one transaction whose last act is the version."""

PAGE: Final = 4096
CHECKPOINT_BYTES: Final = 4 << 20
TRUNCATE_BYTES: Final = 32 << 20
LOOK_AGAIN_SECONDS: Final = 1.0
CHANGES_KEPT: Final = 250_000
"""Rows of the feed of changes that stay, at about 12 bytes each: the last 25 000 runs of five steps."""
_DROP_CHANGES: Final = "DELETE FROM changes WHERE position <= (SELECT max(position) FROM changes) - ?"


def _say_what_needs_no_adapter() -> None:
    """Tell `sqlite3` that bytes and None are stored as they are.

    It asks of every parameter but numbers and texts whether somebody adapts it, and where nobody does it finds that
    out by an exception, which took a fifth of the time of inserting an event. What it is told here holds in the
    whole process, and changes nothing there but that. Who adapts them in a way of their own did so before, or will.
    """
    adapters = getattr(sqlite3, "adapters", {})
    as_they_are: dict[type, Any] = {bytes: bytes, type(None): {}.get}  # of C: a function of Python takes longer
    for kind, keep in as_they_are.items():
        if (kind, sqlite3.PrepareProtocol) not in adapters:
            sqlite3.register_adapter(kind, keep)


_say_what_needs_no_adapter()


class Connection:
    """One SQLite connection that owns a world file."""

    def __init__(
        self,
        path: Path,
        durability: str,
        busy_timeout_ms: int = 5000,
        migrations: Sequence[tuple[int, str]] = MIGRATIONS,
        *,
        is_frozen: bool = False,
    ) -> None:
        self.path = path
        self.is_frozen = is_frozen
        self.backlog = 0
        """An estimate of the bytes in the WAL that no checkpoint has copied yet."""
        self.commit_seconds = 0.0
        """The exponentially weighted mean of what COMMIT took: the speed of the disk."""
        self._durability = durability
        self._busy_timeout_ms = busy_timeout_ms
        self._migrations = migrations
        self._sqlite: sqlite3.Connection | None = None
        self._cursor: sqlite3.Cursor | None = None
        self._patience_ms = -1
        self._identity: tuple[int, int] | None = None
        self._look_again_at = 0.0
        self._changes = 0
        self._pages_per_change = 0.5

    # -- opening and closing

    def open(self) -> None:
        """Open the file, or create it; raise `WorldError` for one that is not ours to use."""
        files.refuse_network(self.path)
        files.make_private(self.path)
        self._identity = files.identify(self.path)
        self._connect()

    def close(self) -> None:
        """Copy the WAL into the file, empty it, and let go."""
        if self._sqlite is None:
            return
        try:
            self.checkpoint(is_last=True)
        finally:
            self._disconnect()

    @property
    def is_open(self) -> bool:
        return self._sqlite is not None

    def cursor(self) -> sqlite3.Cursor:
        """Give the connection's cursor; make the connection anew if it was given up."""
        if self._cursor is None:
            self._look_at_file()
            self._connect()
        cursor = self._cursor
        assert cursor is not None
        return cursor

    def give_up(self) -> None:
        """Distrust the connection after a failure; the next use makes it anew."""
        self._disconnect()

    def _connect(self) -> None:
        try:
            # `rw`: never create. cached_statements: all statements of this package are constants.
            self._sqlite = sqlite3.connect(
                f"{self.path.absolute().as_uri()}?mode=rw",
                uri=True,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=256,
                timeout=self._busy_timeout_ms / 1000,
            )
            if self.is_frozen:  # before it looks at the file: then its index of the WAL is its own
                self._sqlite.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._refuse_strangers(self._sqlite)
            self._configure(self._sqlite)
            self._migrate(self._sqlite)
            self._cursor = self._sqlite.cursor()
        except sqlite3.Error as error:
            self._disconnect()
            raise failures.translate(error, str(self.path)) from error
        except BaseException:
            self._disconnect()
            raise
        self._patience_ms = self._busy_timeout_ms
        self._changes = 0
        self._look_again_at = time.monotonic() + LOOK_AGAIN_SECONDS

    def _disconnect(self) -> None:
        connection, self._sqlite, self._cursor = self._sqlite, None, None
        if connection is not None:
            try:
                connection.close()
            except sqlite3.Error:  # it is given up anyway, and the file tells what became of it
                pass

    def _refuse_strangers(self, connection: sqlite3.Connection) -> None:
        """Look before anything is written: a file that is not ours stays as it is."""
        application = _pragma(connection, "application_id")
        version = int(_pragma(connection, "user_version") or 0)
        newest = self._migrations[-1][0]
        if application != APPLICATION_ID and (
            application != 0 or connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
        ):
            stranger = WorldError(f"{self.path} is not a world: it is the SQLite file of another program")
            stranger.hint = "check the path of the world (`WF_WORLD`, `[tool.wf] world`)"
            raise stranger
        if version > newest:
            newer = WorldError(
                f"the world {self.path} was written by a newer wf (schema version {version}; this one knows {newest})"
            )
            newer.hint = "upgrade wf, or name another world"
            raise newer

    def _configure(self, connection: sqlite3.Connection) -> None:
        is_power = self._durability == "power"
        settings: list[tuple[str, str | int, str | int | None]] = [
            ("journal_mode", "WAL", "wal"),
            ("synchronous", "FULL" if is_power else "NORMAL", 2 if is_power else 1),
            ("busy_timeout", self._busy_timeout_ms, self._busy_timeout_ms),
            ("foreign_keys", "ON", 1),
            ("wal_autocheckpoint", 0, 0),  # this class checkpoints, off the event loop
            ("journal_size_limit", 64 << 20, 64 << 20),
            ("mmap_size", 0, 0),  # a disk error under a mapping is a signal, not an error code
            ("trusted_schema", "OFF", 0),
            ("cell_size_check", "ON", 1),
            ("secure_delete", "FAST", 2),
            ("temp_store", "MEMORY", 2),  # no copies of anything outside the world's folder
            ("cache_size", -16384, -16384),
        ]
        if sys.platform == "darwin":  # a plain fsync does not reach the disk there
            settings += [("fullfsync", "ON", 1), ("checkpoint_fullfsync", "ON", 1)]
        for name, value, expected in settings:
            connection.execute(f"PRAGMA {name} = {value}").fetchall()
            actual = _pragma(connection, name)
            if actual != expected and actual is not None:  # None: compiled out, as mmap may be
                raise WorldError(
                    f"the world {self.path} cannot be opened safely: {name} is {actual!r}, not {expected!r}"
                )

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = int(_pragma(connection, "user_version") or 0)
        for step, sql in self._migrations:
            if step <= version:
                continue
            try:
                # A script commits what is open before it begins, so it brings its own transaction.
                connection.executescript(
                    f"BEGIN IMMEDIATE;\n{sql}\n"
                    f"PRAGMA application_id = {APPLICATION_ID};\nPRAGMA user_version = {step};\nCOMMIT;"
                )
            except BaseException:
                if connection.in_transaction:
                    connection.rollback()
                raise
        if _pragma(connection, "user_version") != self._migrations[-1][0]:
            raise WorldError(f"the world {self.path} did not take its schema version")

    def _look_at_file(self) -> None:
        now = time.monotonic()
        if now < self._look_again_at and self._sqlite is not None:
            return
        self._look_again_at = now + LOOK_AGAIN_SECONDS
        if files.identify(self.path) != self._identity:
            gone = WorldError(f"the world {self.path} was deleted or replaced while it was open")
            gone.hint = "put the file back with its -wal, or restart wf to begin a new world"
            raise gone

    # -- transactions

    def begin(self, patience_ms: int) -> sqlite3.Cursor:
        """Begin to write, waiting so long for another process; give the cursor to write with."""
        if self.is_frozen:
            raise StorageFull(f"no space is left for the world {self.path}")
        if time.monotonic() >= self._look_again_at:
            self._look_at_file()
        cursor = self.cursor()
        if patience_ms != self._patience_ms:
            cursor.execute(f"PRAGMA busy_timeout = {patience_ms}")
            self._patience_ms = patience_ms
        if cursor.connection.in_transaction:  # an interrupt may have hit between begin and rollback
            cursor.execute("ROLLBACK")
        cursor.execute("BEGIN IMMEDIATE")
        return cursor

    def commit(self, written: int) -> None:
        """Make a transaction durable; `written` is the size of its large values in bytes."""
        cursor = self._cursor
        assert cursor is not None
        began = time.perf_counter()
        cursor.execute("COMMIT")
        took = time.perf_counter() - began
        changes = cursor.connection.total_changes
        if changes != self._changes:
            self.commit_seconds += 0.2 * (took - self.commit_seconds)
            # Pages are not counted one by one: SQLite has no cheap way to ask. Two for the ends of
            # a transaction, and a share for each row, which the last checkpoint has corrected.
            self.backlog += int((2 + (changes - self._changes) * self._pages_per_change) * PAGE) + written
            self._changes = changes

    def rollback(self) -> None:
        """Undo a transaction; SQLite has done it already after a full or failing disk."""
        connection = self._sqlite
        if connection is not None and connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except sqlite3.Error:
                self.give_up()

    # -- checkpoints

    def checkpoint(self, *, is_last: bool = False) -> bool:
        """Copy the WAL into the file. False: a reader or a failure kept some of it back.

        A PASSIVE one waits for nobody. One that empties the WAL is tried when it has grown large,
        and gives way to readers at once.
        """
        if self.is_frozen:
            return False
        cursor = self.cursor()
        assumed, self.backlog = self.backlog, 0
        try:
            cursor.execute(_DROP_CHANGES, (CHANGES_KEPT,))
            if is_last or self.wal_size() > TRUNCATE_BYTES:
                cursor.execute("PRAGMA busy_timeout = 0")
                self._patience_ms = 0
                _, pages, copied = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            else:
                _, pages, copied = cursor.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
        except sqlite3.Error as error:
            if failures.is_outcome_unknown(error):
                self.give_up()
            return False
        if assumed and pages > 0:
            correction = min(max(pages * PAGE / assumed, 0.5), 2.0)
            self._pages_per_change = min(max(self._pages_per_change * correction, 0.05), 4.0)
        return bool(pages == copied)

    def compact(self) -> None:
        """Rewrite the file whole, without its free pages. It needs as much room again while it does."""
        self.cursor().execute("VACUUM")
        self.checkpoint(is_last=True)

    def wal_size(self) -> int:
        try:
            return os.stat(f"{self.path}-wal").st_size
        except OSError:
            return 0


def _pragma(connection: sqlite3.Connection, name: str) -> str | int | None:
    row = connection.execute(f"PRAGMA {name}").fetchone()
    value: str | int | None = row[0] if row else None
    return value
