"""Staging: rows that the feed gave, as tables of a DuckDB connection.

Rows go into tables by place, so the schemas here list the columns in the feed's order.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

import duckdb
import pyarrow as pa

from wf.worlds.feed import CHUNK_COLUMNS, DEPLOYMENT_COLUMNS, EVENT_COLUMNS, LOG_COLUMNS, RUN_COLUMNS, Feed, Row

PAGE: Final = 2_000
"""Runs that are read at once: one snapshot of the world, one transaction of the mirror."""

COPIED: Final = ("events", "chunks", "logs")
DERIVED: Final = ("runs", "steps", "attempts", "hooks", "waits")
TABLES: Final = (*DERIVED, *COPIED)

_HERE: Final = Path(__file__).parent
_TABLES: Final = {
    match[1]: match[0]
    for match in re.finditer(
        r"^CREATE TABLE \{schema\}\.(\w+) .*?;$",
        (_HERE / "tables.sql").read_text(encoding="utf-8"),
        re.DOTALL | re.MULTILINE,
    )
}
PARTS: Final = {
    name: select.rstrip().rstrip(";")
    for name, _, select in (
        part.partition("\n") for part in (_HERE / "derive.sql").read_text(encoding="utf-8").split("-- name: ")[1:]
    )
}
"""The SELECTs of derive.sql by name, in an order in which each one has what it needs."""
NOT_NEGATIVE: Final = "CREATE TEMP MACRO not_negative(x) AS CASE WHEN x < 0 THEN 0 ELSE x END"
"""What they ask for besides."""

RUN: Final = pa.schema(
    [
        ("run", pa.int64()), ("run_id", pa.string()), ("workflow", pa.string()), ("status", pa.string()),
        ("deployment_id", pa.string()), ("created_at", pa.int64()), ("started_at", pa.int64()),
        ("ended_at", pa.int64()), ("seq", pa.int32()), ("attributes", pa.string()), ("parent_run_id", pa.string()),
        ("continued_from", pa.string()), ("continued_as", pa.string()), ("forked_from", pa.string()),
        ("error_code", pa.string()), ("result_seq", pa.int32()), ("payload_bytes", pa.int64()),
        ("attention", pa.string()), ("origin", pa.string()),
    ]
)  # fmt: skip
EVENT: Final = pa.schema(
    [
        ("run", pa.int64()), ("seq", pa.int32()), ("type", pa.string()), ("correlation_id", pa.int32()),
        ("name", pa.string()), ("attempt", pa.int32()), ("at_us", pa.int64()), ("meta", pa.string()),
        ("payload_bytes", pa.int32()),
    ]
)  # fmt: skip
CHUNK: Final = pa.schema(
    [
        ("run", pa.int64()), ("name", pa.string()), ("place", pa.int32()), ("at_us", pa.int64()),
        ("payload_bytes", pa.int32()),
    ]
)  # fmt: skip
LOG: Final = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("attempt", pa.int32()), ("place", pa.int32()),
        ("at_us", pa.int64()), ("payload_bytes", pa.int32()),
    ]
)  # fmt: skip
RUNS_ASKED: Final = pa.schema([("run", pa.int64())])
PENDING: Final = pa.schema([("run", pa.int64()), ("correlation_id", pa.int32())])
DEPLOYMENT: Final = pa.schema(
    [("deployment_id", pa.string()), ("created_at", pa.int64()), ("used_at", pa.int64()), ("manifest", pa.string())]
)
_SAID: Final = (
    (RUN, ("run", *RUN_COLUMNS[1:])),
    (EVENT, EVENT_COLUMNS),
    (CHUNK, CHUNK_COLUMNS),
    (LOG, LOG_COLUMNS),
    (DEPLOYMENT, DEPLOYMENT_COLUMNS),
)
# A schema that lists other columns than the feed would put rows into the wrong ones.
assert all(tuple(schema.names) == columns for schema, columns in _SAID)


def pages(ids: Sequence[int]) -> Iterator[Sequence[int]]:
    for start in range(0, len(ids), PAGE):
        yield ids[start : start + PAGE]


def find_known(connection: duckdb.DuckDBPyConnection, ids: Sequence[int]) -> dict[int, tuple[str, int]]:
    """Give (run id, seq) of the runs that the mirror's file has, by their number."""
    asked = ", ".join(map(str, ids))
    sql = f"SELECT run, run_id, seq FROM mirror.runs WHERE run BETWEEN {min(ids)} AND {max(ids)} AND run IN ({asked})"
    return {run: (run_id, seq) for run, run_id, seq in connection.execute(sql).fetchall()}


def find_gone(rows: Sequence[Row], known: dict[int, tuple[str, int]]) -> list[int]:
    """List the runs that the file has and the world has not, and take them out of what is known."""
    found = {row[0]: row[1] for row in rows}
    gone = [run for run, (run_id, _) in known.items() if found.get(run) != run_id]
    for run in gone:
        del known[run]
    return gone


def copy(
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
        insert(connection, f"{into}.events", batch, EVENT)
    insert(connection, f"{into}.chunks", feed.read_chunks(ids), CHUNK)
    insert(connection, f"{into}.logs", feed.read_logs(ids), LOG)
    return feed.read_pending_waits(ids)


def make_tables(connection: duckdb.DuckDBPyConnection, schema: str, tables: Sequence[str]) -> None:
    """Make tables of `tables.sql`, without rows."""
    for table in tables:
        connection.execute(_TABLES[table].format(schema=schema))


def stage(connection: duckdb.DuckDBPyConnection, name: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Make a table of rows, in the place of one of that name; a temporary one unless its schema is named."""
    connection.register("staged", _make_table(rows, schema))
    kind = "TABLE" if "." in name else "TEMP TABLE"
    connection.execute(f"CREATE OR REPLACE {kind} {name} AS SELECT * FROM staged")
    connection.unregister("staged")


def insert(connection: duckdb.DuckDBPyConnection, table: str, rows: Sequence[Row], schema: pa.Schema) -> None:
    """Add rows to a table."""
    if rows:
        connection.register("staged", _make_table(rows, schema))
        connection.execute(f"INSERT INTO {table} SELECT * FROM staged")
        connection.unregister("staged")


def _make_table(rows: Sequence[Row], schema: pa.Schema) -> pa.Table:
    columns: Iterable[Sequence[object]] = zip(*rows, strict=True) if rows else [()] * len(schema.names)
    return pa.table(
        [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)], schema=schema
    )
