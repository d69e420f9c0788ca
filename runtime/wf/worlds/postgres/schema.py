"""The schema of a Postgres world: made, and brought up to date, by whoever opens it first.

1. All of a migration is one transaction, whose last act is the version: it was carried out or it was not.
2. Of several who come at once one makes it, the others wait for that (an advisory lock for as long as the transaction).
3. Who only looks makes nothing.
4. It knows the ids of the keys that its payloads are sealed with, so that a machine which has made a key of its own is
   told so at once, and not when a run that it sealed can be opened by nobody else.
5. A world that was restored from a dump has positions of another server's transactions in its feed of changes. They
   are dropped, and `era` is drawn anew, so that nobody who remembers one takes it for one of these.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from psycopg import Connection, errors, sql

from wf.errors import WorldError
from wf.worlds.postgres.place import Place

MIGRATIONS: Final[tuple[tuple[int, str], ...]] = (
    (1, Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")),
)
"""(schema version, SQL that leads to it)."""

OLDEST_SERVER: Final = 130000
"""Postgres 13: the first with xid8, by which the feed of changes knows what is over."""

_IS_RESTORED: Final = """
SELECT EXISTS (SELECT 1 FROM changes WHERE xid >= pg_snapshot_xmax(pg_current_snapshot()))
"""


def find_version(connection: Connection[Any]) -> int:
    """Give the version of the world that the search path leads to; 0: there is none."""
    try:
        row = connection.execute("SELECT version FROM world").fetchone()
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        return 0
    return 0 if row is None else int(row[0])


def settle(connection: Connection[Any], place: Place, *, is_making: bool, keys: Sequence[str] = ()) -> str:
    """See that the world is there, and of this version; make it, or bring it up to date. Give its era.

    `keys` are the ids of ours, the one that seals first.
    """
    if connection.info.server_version < OLDEST_SERVER:
        raise WorldError(
            f"the world {place.shown} is on Postgres {connection.info.server_version // 10000}; 13 is the oldest"
        )
    version = find_version(connection)
    if version == 0 and not is_making:
        raise _missing(place)
    if version < MIGRATIONS[-1][0]:
        _migrate(connection, place)
    if keys:
        _compare_keys(connection, place, list(keys))
    if connection.execute(_IS_RESTORED).fetchone() == (True,):
        with connection.transaction():
            connection.execute("LOCK TABLE changes IN ACCESS EXCLUSIVE MODE")
            connection.execute("DELETE FROM changes")
            connection.execute("UPDATE world SET era = %s", (secrets.token_hex(8),))
    return check(connection, place)


def check(connection: Connection[Any], place: Place) -> str:
    """See that the world is there and of this version, without changing anything. Give its era."""
    version, newest = find_version(connection), MIGRATIONS[-1][0]
    if version == 0:
        raise _missing(place)
    if version > newest:
        newer = WorldError(f"the world {place.shown} was written by a newer wf (schema version {version})")
        newer.hint = "upgrade wf, or name another world"
        raise newer
    if version < newest:
        older = WorldError(f"the world {place.shown} was last used by an older wf (schema version {version})")
        older.hint = "open it once with this one: `wf inspect`"
        raise older
    row = connection.execute("SELECT era FROM world").fetchone()
    assert row is not None
    return str(row[0])


def _migrate(connection: Connection[Any], place: Place) -> None:
    with connection.transaction():
        connection.execute("SELECT pg_advisory_xact_lock(%s)", (place.lock_key,))
        name = sql.Identifier(place.schema)
        known = connection.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (place.schema,)).fetchone()
        if known is None:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
        version = 0
        if connection.execute("SELECT to_regclass('world')").fetchone() != (None,):
            version = find_version(connection)  # somebody else made it while we waited
        for step, statements in MIGRATIONS:
            if step <= version:
                continue
            connection.execute(statements.encode())
            if version == 0:
                connection.execute("INSERT INTO world (version, era) VALUES (%s, %s)", (step, secrets.token_hex(8)))
            else:
                connection.execute("UPDATE world SET version = %s", (step,))
            version = step


def _compare_keys(connection: Connection[Any], place: Place, keys: list[str]) -> None:
    row = connection.execute("SELECT keys FROM world").fetchone()
    known = [] if row is None else row[0]
    if keys[0] in known:
        return
    if known and not set(keys) & set(known):
        foreign = WorldError(
            f"the world {place.shown} is sealed with other keys ({', '.join(known)}) than this process has"
            f" ({', '.join(keys)})"
        )
        foreign.hint = "give all processes of the world the same keys: put those of its first one into WF_KEY"
        raise foreign
    connection.execute(
        "UPDATE world SET keys = CASE WHEN keys = %s::text[] THEN %s::text[] || keys ELSE keys END", (known, keys[:1])
    )
    _compare_keys(connection, place, keys)  # somebody else may have been first


def _missing(place: Place) -> WorldError:
    missing = WorldError(f"there is no world at {place.shown}")
    missing.hint = "run something first, `wf run flow.py:main`, or name another with --world or WF_WORLD"
    return missing
