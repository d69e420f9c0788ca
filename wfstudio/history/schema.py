"""Schema: the tables that SQL is written against, with what each column means. docs/sql.md is made of this.

1. Names are those of the JSON that every face gives, where SQL has not taken them (`at` is `recorded_at`).
2. Instants are TIMESTAMPTZ in UTC, durations numbers named `_ms`. What has not ended has NULL for its end, and
   a duration until now.
3. `input`, `output`, `error`, `payload`, `value` and their kin are JSON that is opened when a query asks for
   it: a query that does not name them needs no key and is quick.
4. Columns and views are only ever added.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

if TYPE_CHECKING:
    import duckdb  # whoever lists columns does not load it


class Column(NamedTuple):
    name: str
    type: str
    sql: str
    doc: str


class View(NamedTuple):
    name: str
    doc: str
    source: str
    columns: tuple[Column, ...]

    @property
    def sql(self) -> str:
        chosen = ", ".join(f"({column.sql}) AS {column.name}" for column in self.columns)
        return f"CREATE VIEW {self.name} AS SELECT {chosen} FROM {self.source}"


class Macro(NamedTuple):
    name: str
    parameters: str
    sql: str
    doc: str


def _text(name: str, doc: str, sql: str | None = None) -> Column:
    return Column(name, "VARCHAR", sql or name, doc)


def _count(name: str, doc: str, sql: str | None = None) -> Column:
    return Column(name, "BIGINT", f"({sql or name})::BIGINT", doc)


def _instant(name: str, doc: str, sql: str | None = None) -> Column:
    return Column(name, "TIMESTAMP WITH TIME ZONE", f"make_timestamptz({sql or name})", doc)


def _ms(name: str, doc: str, sql: str) -> Column:
    return Column(name, "DOUBLE", f"({sql}) / 1000.0", doc)


def _json(name: str, doc: str, sql: str) -> Column:
    return Column(name, "JSON", f"({sql})::JSON", doc)


_NOW: Final = "epoch_us(now())"
_RUN_ID: Final = _text("run_id", "The run.", "r.run_id")
_WORKFLOW: Final = _text("workflow", "The run's workflow.", "r.workflow")
_DEPLOYMENT: Final = _text("deployment_id", "The code that the run is pegged to.", "r.deployment_id")

VIEWS: Final[tuple[View, ...]] = (
    View(
        "runs",
        "One row a run.",
        "past.runs AS r",
        (
            _RUN_ID,
            _text("workflow", "Its workflow's id, `module:name`."),
            _text("status", "`pending`, `running`, `completed`, `failed` or `cancelled`."),
            _text("deployment_id", "The code that it is pegged to; empty where it was not kept."),
            _instant("created_at", "When it was started by somebody."),
            _instant("started_at", "When its body began."),
            _instant("ended_at", "When it ended, however it did."),
            _instant(
                "completed_at",
                "When it completed; NULL unless it did.",
                "CASE WHEN status = 'completed' THEN ended_at END",
            ),
            _ms("duration_ms", "From its start to its end, or until now.", f"coalesce(ended_at, {_NOW}) - started_at"),
            _ms(
                "queued_ms",
                "From its creation to its start (or end), or until now.",
                f"greatest(0, coalesce(started_at, ended_at, {_NOW}) - created_at)",
            ),
            Column(
                "attributes",
                "MAP(VARCHAR, VARCHAR)",
                "coalesce(from_json(attributes, '\"MAP(VARCHAR, VARCHAR)\"'), MAP {})",
                "Its tags: `attributes['tenant']`.",
            ),
            _text("parent_run_id", "The run whose child it is."),
            _text("forked_from", "The run whose history it shares."),
            _text("continued_from", "The run that it goes on from."),
            _text("continued_as", "The run that goes on in its place."),
            _text("origin", "Where it came from, if it was imported."),
            _text("error_type", "Of a failed run: its exception's class, `module.name`."),
            _text("error_code", "Of a failed run: `USER_ERROR`, `TIMEOUT`, `LIMIT_EXCEEDED` or `RUNTIME_ERROR`."),
            _text(
                "attention",
                "Why it rests without an end: `NONDETERMINISM`, `NOT_REGISTERED`, `DECRYPTION`, `DEAD_LETTER` or"
                " `BLOCKED`.",
                "attention ->> 'code'",
            ),
            _count("steps", "Steps that its body called."),
            _count("retries", "Attempts of them beyond the first."),
            _count("events", "Events in its log.", "seq"),
            _count("payload_bytes", "The size of all payloads in its log, sealed."),
            _json("input", "Its arguments by name.", "payload_at(run, 1)"),
            _json(
                "output",
                "What it returned; of a cancelled run the reason.",
                "CASE WHEN status IN ('completed', 'cancelled') THEN payload_at(run, result_seq) END",
            ),
            _json(
                "error",
                "Of a failed run: the exception (`type`, `message`, `traceback`, …).",
                "CASE WHEN status = 'failed' THEN payload_at(run, result_seq) END",
            ),
        ),
    ),
    View(
        "steps",
        "One row a step: a call of a step by a body, with all of its attempts.",
        "past.steps AS s JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _count("correlation_id", "Which call of the body it is: the Nth is N.", "s.correlation_id"),
            _text("name", "The step's id, `module:name`.", "s.name"),
            _WORKFLOW,
            _DEPLOYMENT,
            _text(
                "status",
                "`queued`, `running`, `retrying`, `completed`, `failed`, `cancelled`, or `abandoned`:"
                " the run ended first.",
                "s.status",
            ),
            _count("attempts", "How often it was attempted.", "s.attempts"),
            _count("retries", "Attempts beyond the first.", "greatest(0, s.attempts - 1)"),
            _instant("created_at", "When the body called it.", "s.created_at"),
            _instant("started_at", "When its first attempt began.", "s.started_at"),
            _instant("ended_at", "When it ended.", "s.ended_at"),
            _ms(
                "duration_ms",
                "From the call to its end, waits for retries included, or until now.",
                f"coalesce(s.duration_us, {_NOW} - s.created_at)",
            ),
            _ms("queued_ms", "How long it waited for a slot; NULL while it does.", "s.queued_us"),
            _text(
                "error_type",
                "The class of the exception of its last attempt that failed, unless it completed.",
                "s.error_type",
            ),
            _json("input", "Its arguments by name.", "payload_at(run, s.created_seq)"),
            _json(
                "output", "What it returned.", "CASE WHEN s.status = 'completed' THEN payload_at(run, s.ended_seq) END"
            ),
            _json(
                "error",
                "The exception that it raised in the body.",
                "CASE WHEN s.status <> 'completed' THEN payload_at(run, s.ended_seq) END",
            ),
        ),
    ),
    View(
        "attempts",
        "One row an attempt of a step.",
        "past.attempts AS a JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _count("correlation_id", "The step's.", "a.correlation_id"),
            _count("number", "From 1.", "a.number"),
            _text("name", "The step's id.", "a.name"),
            _WORKFLOW,
            _DEPLOYMENT,
            _text(
                "status",
                "`running`, `completed`, `failed`, `cancelled`, `lost` (its process was killed) or `abandoned`.",
                "a.status",
            ),
            _instant("started_at", "When it began.", "a.started_at"),
            _instant("ended_at", "When it ended.", "a.ended_at"),
            _ms(
                "duration_ms",
                "From its beginning to its end, or until now.",
                f"coalesce(a.duration_us, {_NOW} - a.started_at)",
            ),
            _ms("queued_ms", "How long it waited for a slot before it began.", "a.queued_us"),
            _text("error_type", "The class of the exception that it raised.", "a.error_type"),
            _json(
                "error", "That exception.", "CASE WHEN a.status <> 'completed' THEN payload_at(run, a.ended_seq) END"
            ),
        ),
    ),
    View(
        "events",
        "One row an event: the logs themselves, as docs/event-log.md describes them.",
        "past.events AS e JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _count("seq", "Its place in its run's log, from 1.", "e.seq"),
            _text("type", "What happened: `step_completed`, `hook_received`, …", "e.type"),
            _count("correlation_id", "The call that it belongs to; NULL: none.", "e.correlation_id"),
            _text("name", "The id of a workflow, step, lock or hook.", "e.name"),
            _count("attempt", "Which attempt of a step.", "e.attempt"),
            _instant("recorded_at", "When. The order is `seq`, not this.", "e.at_us"),
            _WORKFLOW,
            Column("meta", "JSON", "e.meta::JSON", "What it says in clear: `meta ->> 'due_at'`."),
            _count("payload_bytes", "The size of its payload, sealed.", "e.payload_bytes"),
            _json("payload", "Its payload.", "CASE WHEN e.payload_bytes > 0 THEN payload_at(run, e.seq) END"),
        ),
    ),
    View(
        "hooks",
        "One row a hook or webhook that a body registered, live or not.",
        "past.hooks AS h JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _count("correlation_id", "Which call of the body it is.", "h.correlation_id"),
            _text("name", "Its model's id, or `hook`, or `webhook`.", "h.name"),
            _WORKFLOW,
            _text(
                "status",
                "`waiting`, `received`, `disposed`, `conflict` (another run has its token) or `abandoned`.",
                "h.status",
            ),
            Column("is_live", "BOOLEAN", "h.ended_at IS NULL", "A payload can be sent to it."),
            _instant("created_at", "When it was registered.", "h.created_at"),
            _instant("received_at", "When its first payload came.", "h.received_at"),
            _instant("ended_at", "When it was disposed of, or its run ended.", "h.ended_at"),
            _ms(
                "waited_ms",
                "From its registration to its first payload (or end), or until now.",
                f"coalesce(h.waited_us, {_NOW} - h.created_at)",
            ),
            _count("payloads", "How many payloads came.", "h.payloads"),
            _text("token", "Its token.", "payload_at(run, h.created_seq) ->> 'token'"),
            _json("metadata", "What the body said of it.", "payload_at(run, h.created_seq) -> 'metadata'"),
            _json("payload", "The first payload that came.", "payload_at(run, h.received_seq)"),
        ),
    ),
    View(
        "waits",
        "One row a sleep or timeout of a body.",
        "past.waits AS w JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _count("correlation_id", "Which call of the body it is.", "w.correlation_id"),
            _text("kind", "`sleep`, or `deadline` (of `asyncio.timeout`, `wait_for`).", "w.kind"),
            _WORKFLOW,
            _text("status", "`waiting`, `completed`, or `abandoned`: given up before its time.", "w.status"),
            _instant("created_at", "When it began.", "w.created_at"),
            _instant("due_at", "When it is to end.", "w.due_at"),
            _instant("ended_at", "When it ended; of one that was given up, when at the latest.", "w.ended_at"),
        ),
    ),
    View(
        "streams",
        "One row a stream of a run.",
        "(SELECT run, name, count(payload_bytes) AS chunks, sum(payload_bytes) AS payload_bytes,"
        " min(at_us) AS opened_at, max(at_us) AS last_at, bool_or(payload_bytes IS NULL) AS is_closed"
        " FROM past.chunks GROUP BY run, name) AS c"
        " JOIN past.runs AS r USING (run)",
        (
            _RUN_ID,
            _text("name", "Its name: `default`, or its namespace.", "c.name"),
            _WORKFLOW,
            _count("chunks", "How many chunks it has.", "c.chunks"),
            _count("payload_bytes", "Their size, sealed.", "coalesce(c.payload_bytes, 0)"),
            Column("is_closed", "BOOLEAN", "c.is_closed", "Nothing more can be written to it."),
            _instant("opened_at", "When its first chunk came.", "c.opened_at"),
            _instant("last_at", "When its last one came, or its end.", "c.last_at"),
        ),
    ),
    View(
        "chunks",
        "One row a chunk of a stream.",
        "past.chunks AS c JOIN past.runs AS r USING (run) WHERE c.payload_bytes IS NOT NULL",
        (
            _RUN_ID,
            _text("name", "The stream's name.", "c.name"),
            _count("place", "Its index in the stream, from 0.", "c.place"),
            _instant("recorded_at", "When it was written.", "c.at_us"),
            _count("payload_bytes", "Its size, sealed.", "c.payload_bytes"),
            _json("value", "Its value.", "chunk_at(run, c.name, c.place)"),
        ),
    ),
    View(
        "logs",
        "One row a line that an attempt printed or logged. They are sealed, too: every query over them opens them.",
        "(SELECT run, correlation_id, attempt, unnest(lines_at(run, correlation_id, attempt, place)) AS line"
        " FROM past.logs) AS l JOIN past.runs AS r USING (run)"
        " LEFT JOIN past.steps AS s ON s.run = l.run AND s.correlation_id = l.correlation_id",
        (
            _RUN_ID,
            _count("correlation_id", "The step's.", "l.correlation_id"),
            _count("attempt", "Which attempt of it.", "l.attempt"),
            _text("step", "The step's id.", "s.name"),
            _WORKFLOW,
            _instant("recorded_at", "When.", "l.line.at_us"),
            _text("source", "`stdout`, `stderr`, or `logging:` and its level.", "l.line.source"),
            _text("text", "The line.", "l.line.text"),
        ),
    ),
    View(
        "deployments",
        "One row a snapshot of the code.",
        "past.deployments AS d LEFT JOIN (SELECT deployment_id, count(*) AS runs,"
        " count(*) FILTER (status IN ('pending', 'running')) AS live FROM past.runs GROUP BY deployment_id) AS n"
        " USING (deployment_id)",
        (
            _text("deployment_id", "Its id.", "d.deployment_id"),
            _instant("created_at", "When it was first loaded.", "d.created_at"),
            _instant("used_at", "When a worker last loaded it.", "d.used_at"),
            _count("files", "How many files it has.", "len(json_keys(d.manifest))"),
            Column(
                "manifest",
                "MAP(VARCHAR, VARCHAR)",
                "from_json(d.manifest, '\"MAP(VARCHAR, VARCHAR)\"')",
                "The SHA-256 (hex) of each file's content, by its path.",
            ),
            _count("runs", "Runs that are pegged to it.", "coalesce(n.runs, 0)"),
            _count("live_runs", "Those of them that have not ended.", "coalesce(n.live, 0)"),
        ),
    ),
)

MACROS: Final[tuple[Macro, ...]] = (
    Macro("since", "ago", "now() - ago::INTERVAL", "The instant so long ago: `WHERE created_at > since('1h 30m')`."),
    Macro("p50", "x", "quantile_cont(x, 0.5)", "The median of a group."),
    Macro("p95", "x", "quantile_cont(x, 0.95)", "The 95th percentile of a group: `p95(duration_ms)`."),
    Macro("p99", "x", "quantile_cont(x, 0.99)", "The 99th percentile of a group."),
)


class ColumnDoc(msgspec.Struct, frozen=True):
    name: str
    type: str
    doc: str


class TableDoc(msgspec.Struct, frozen=True):
    name: str
    doc: str
    columns: list[ColumnDoc]


class FunctionDoc(msgspec.Struct, frozen=True):
    name: str
    signature: str
    doc: str


class SchemaDoc(msgspec.Struct, frozen=True):
    """What SQL is written against. DuckDB's own functions are there besides."""

    tables: list[TableDoc]
    functions: list[FunctionDoc]


def show_schema(views: Sequence[View] = VIEWS) -> SchemaDoc:
    return SchemaDoc(
        [
            TableDoc(view.name, view.doc, [ColumnDoc(column.name, column.type, column.doc) for column in view.columns])
            for view in views
        ],
        [FunctionDoc(macro.name, f"{macro.name}({macro.parameters})", macro.doc) for macro in MACROS],
    )


def make_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Make views and macros over the schema `past`; the functions of `payloads` are there already."""
    for macro in MACROS:
        connection.execute(f"CREATE MACRO {macro.name}({macro.parameters}) AS {macro.sql}")
    for view in VIEWS:
        connection.execute(view.sql)
