"""The news: what the mirror's file does not have yet, read into memory, and both put together.

    read_news(connection, feed, changed)      then `past.runs`, `past.events` … are all that was committed

The file is attached as `mirror`; `changed` are the runs that changed since it was written. Of their events only
those that it lacks are read where they are many; what they say is derived anew. Of a few events it is told by
`retelling`, in less time than DuckDB needs to plan its statements.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import duckdb
import msgspec

from wf import events as types
from wf.worlds.feed import Feed, Row
from wfstudio.history import staging
from wfstudio.history.retelling import SCHEMAS, retell

FEW: Final = 4_000
"""Events, in all the logs that changed, up to which they are retold: about here both ways take as long."""

_LOG_NOW: Final = """
SELECT * FROM mirror.events WHERE run IN (SELECT run FROM delta.changed) AND run NOT IN (SELECT run FROM delta.gone)
UNION ALL SELECT * FROM delta.events
"""
_STAGED: Final = {
    "changed": staging.RUNS_ASKED, "gone": staging.RUNS_ASKED, "fresh": staging.RUN, "pending": staging.PENDING,
}  # fmt: skip
_NEEDS: Final = {"hooks": types.HOOK_CREATED, "waits": types.WAIT_CREATED}
"""Parts that are empty where no event of a type is: a small statement takes a millisecond, and most logs have none."""


class _News(NamedTuple):
    """`made` are the tables in the schema `delta`; `has_gone`: runs of the file are not in the world any more."""

    made: set[str]
    has_gone: bool


def read_news(connection: duckdb.DuckDBPyConnection, feed: Feed, changed: Sequence[int]) -> None:
    """Make the schema `past`: the file as it is, but for runs that changed, and those as they are now."""
    connection.execute("CREATE SCHEMA delta; CREATE SCHEMA past")
    news = _News(set(), False)
    if changed:
        news = _retell(connection, feed, changed) or _derive(connection, feed, changed)
    for table in staging.TABLES:
        hidden = "changed" if table != "events" and changed else "gone" if news.has_gone else None
        where = "" if hidden is None else f" WHERE run NOT IN (SELECT run FROM delta.{hidden})"
        both = f" UNION ALL BY NAME SELECT * FROM delta.{table}" if table in news.made else ""
        connection.execute(f"CREATE VIEW past.{table} AS SELECT * FROM mirror.{table}{where}{both}")
    staging.stage(connection, "past.deployments", feed.read_deployments(), staging.DEPLOYMENT)


# -- a few events -----------------------------------------------------------------------------------


def _retell(connection: duckdb.DuckDBPyConnection, feed: Feed, changed: Sequence[int]) -> _News | None:
    """Read runs whose logs are short, and retell them; None where they are too many, too long, or one is no log."""
    if len(changed) > FEW:
        return None
    known = staging.find_known(connection, changed)
    with feed.snapshot():
        rows = feed.read_runs(changed)
        if sum(_seq(row) for row in rows) > FEW:
            return None
        ids = [row[0] for row in rows]
        events = [event for batch in feed.read_events([(run, 0) for run in ids]) for event in batch]
        chunks, logs, pending = feed.read_chunks(ids), feed.read_logs(ids), feed.read_pending_waits(ids)
    gone = staging.find_gone(rows, known)
    try:
        told = retell(rows, events, pending)
    except (ValueError, OverflowError, msgspec.MsgspecError):  # derive.sql takes a damaged run as it is
        return None
    found = {
        **{name: (told[name], schema) for name, schema in SCHEMAS.items()},
        "events": ([event for event in events if event[1] > _known_seq(known, event[0])], staging.EVENT),
        "chunks": (chunks, staging.CHUNK),
        "logs": (logs, staging.LOG),
    }
    made = {name for name, (news, _) in found.items() if news}
    for name in made:
        staging.stage(connection, f"delta.{name}", *found[name])
    staging.stage(connection, "delta.changed", [(run,) for run in changed], staging.RUNS_ASKED)
    if gone:
        staging.stage(connection, "delta.gone", [(run,) for run in gone], staging.RUNS_ASKED)
    return _News(made, bool(gone))


def _seq(row: Row) -> int:
    return int(row[staging.RUN.names.index("seq")])


def _known_seq(known: dict[int, tuple[str, int]], run: int) -> int:
    return known[run][1] if run in known else 0


# -- many -------------------------------------------------------------------------------------------


def _derive(connection: duckdb.DuckDBPyConnection, feed: Feed, changed: Sequence[int]) -> _News:
    """Read what the file lacks of runs, and derive what their logs say."""
    connection.execute(staging.NOT_NEGATIVE)
    staging.make_tables(connection, "delta", staging.COPIED)
    for name, schema in _STAGED.items():
        staging.stage(connection, f"delta.{name}", (), schema)
    for page in staging.pages(changed):
        _read_page(connection, feed, page)
    connection.execute(f"CREATE TABLE delta.log AS {_LOG_NOW}")
    found = {type for (type,) in connection.execute("SELECT DISTINCT type FROM delta.log").fetchall()}
    made = {*staging.COPIED}
    for name, select in staging.PARTS.items():
        if name not in staging.DERIVED:
            connection.execute(f"CREATE TABLE delta.{name} AS {select.format(s='delta.')}")
        elif _NEEDS.get(name) in (None, *found):
            staging.make_tables(connection, "delta", (name,))  # columns have the types of the file's
            connection.execute(f"INSERT INTO delta.{name} BY NAME {select.format(s='delta.')}")
            made.add(name)
    return _News(made, connection.execute("SELECT count(*) FROM delta.gone").fetchone() != (0,))


def _read_page(connection: duckdb.DuckDBPyConnection, feed: Feed, ids: Sequence[int]) -> None:
    known = staging.find_known(connection, ids)
    with feed.snapshot():
        rows = feed.read_runs(ids)
        gone = staging.find_gone(rows, known)
        pending = staging.copy(connection, feed, rows, known, into="delta")
    staging.insert(connection, "delta.changed", [(run,) for run in ids], staging.RUNS_ASKED)
    staging.insert(connection, "delta.gone", [(run,) for run in gone], staging.RUNS_ASKED)
    staging.insert(connection, "delta.fresh", rows, staging.RUN)
    staging.insert(connection, "delta.pending", pending, staging.PENDING)
