"""The process that answers one question, and then ends: `python -m wfstudio.history.child`.

A query is somebody's program. DuckDB can be talked into spinning through an interrupt and into memory past
its limit, so a query gets a process of its own that its asker can kill, and that can do no harm:

1. Before the query is looked at: keys and history are loaded, the environment is emptied, and DuckDB
   is shut off from files, extensions and settings, for good.
2. The system bounds its address space and its processor time, and lets it write to no file.
3. One statement is carried out, if it only reads. The mirror is attached read-only besides.
4. It ends with its asker.
"""

from __future__ import annotations

import os
import re
import resource
import sys
from pathlib import Path
from typing import Any, BinaryIO, Final

import duckdb

from wf.errors import WorkflowError
from wf.keys import Keyring
from wf.session import load_keys
from wf.settings import parse_world_url
from wfstudio.core.parentage import die_with_parent
from wfstudio.history import answers
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.mirror import History
from wfstudio.history.payloads import Payloads
from wfstudio.history.schema import make_views
from wfstudio.history.wire import Failed, Question, decode_question, write_answer

ADDRESS_SPACE: Final = 1 << 30
"""Bytes that a query may have beyond what the process has when it begins; DuckDB's own limit is lower."""

_CLOSED: Final = (
    "SET TimeZone = 'UTC'",
    "SET python_enable_replacements = false",
    "SET autoinstall_known_extensions = false",
    "SET autoload_known_extensions = false",
    "SET allow_community_extensions = false",
    "SET allow_persistent_secrets = false",
    "SET max_temp_directory_size = '0B'",
    "SET enable_external_access = false",
    "SET lock_configuration = true",  # from here on none of them can be taken back
)
_READS: Final = frozenset({"SELECT", "EXPLAIN"})
_EXPLAIN: Final = re.compile(r"\s*explain\s+(analyze\s+)?(\([^()]*\)\s*)?", re.IGNORECASE)
_PIVOT: Final = re.compile(r"\bpivot\b", re.IGNORECASE)
_OUT_OF_MEMORY: Final = (MemoryError, duckdb.OutOfMemoryException)


def main() -> int:
    die_with_parent()
    # What is printed by mistake must not end up among the answers.
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    question = decode_question(sys.stdin.buffer.read())
    try:
        answer(question, out)
    except WorkflowError as error:
        write_answer(out, Failed(error.slug, error.message, error.hint))
        return 1
    return 0


def answer(question: Question, out: BinaryIO) -> None:
    """Answer a question into a stream. Raises `WorkflowError`; the process is good for nothing else afterwards."""
    world = Path(question.world)
    keyring = None if question.is_locked else _load_keys(question)
    with History(world, url=question.url, memory_limit=f"{question.memory_mb}MB") as history:
        connection = history.connection
        Payloads(history.feed, keyring).register(connection)
        make_views(connection)
        os.environ.clear()
        for setting in _CLOSED:
            connection.execute(setting)
        _confine(question)
        try:
            check_statement(connection, question.sql)
            answers.give(connection, question, out)
        except _OUT_OF_MEMORY as error:
            raise QueryLimitError(
                f"the query needs more memory than the {question.memory_mb} MB that it may have"
            ) from error
        except duckdb.Error as error:
            raise QueryError(str(error).rstrip(), find_hint(str(error))) from error


def _load_keys(question: Question) -> Keyring:
    root = Path(question.root)
    return load_keys(parse_world_url(question.url or f"sqlite:///{question.world}", root), root)


def _confine(question: Question) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))  # a core would hold opened payloads
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (question.cpu_seconds, question.cpu_seconds))
    if sys.platform == "linux":
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        most = pages * resource.getpagesize() + ADDRESS_SPACE
        resource.setrlimit(resource.RLIMIT_AS, (most, most))


def check_statement(connection: duckdb.DuckDBPyConnection, sql: str) -> None:
    """Raise `QueryError` for anything but one statement that reads."""
    statements = connection.extract_statements(sql)
    if not statements:
        raise QueryError("there is no query", "for example: SELECT status, count(*) FROM runs GROUP BY status")
    if len(statements) > 1:
        raise QueryError(f"a question is one statement, and these are {len(statements)}", "ask one after the other")
    kind = _kind(statements[0])
    if kind == "EXPLAIN":
        explained = _EXPLAIN.match(sql)
        inner = connection.extract_statements(sql[explained.end() :]) if explained else []
        kind = _kind(inner[0]) if len(inner) == 1 else "EXPLAIN of this form"
    if kind == "MULTI" and _PIVOT.search(sql):  # it makes a type for its columns first
        return
    if kind not in _READS:
        raise QueryError(
            f"a query only reads, and this is {kind}", "SELECT, FROM, WITH, DESCRIBE, SUMMARIZE, PIVOT and EXPLAIN read"
        )


def _kind(statement: Any) -> str:
    return str(statement.type).removeprefix("StatementType.")


def find_hint(message: str) -> str | None:
    """Give the cure for a message of DuckDB's, where one can be told."""
    if "operations are disabled by configuration" in message or "configuration has been locked" in message:
        return "a query sees the history and nothing else: no files, no network, no settings"
    if 'syntax error at or near "at"' in message:
        return "`at` is a word of SQL: the column is called `recorded_at`"
    if "Values were not provided for the following" in message:
        return "give a value for each `$name`: `--param name=value`"
    if message.startswith("Conversion Error"):
        return "`TRY_CAST(x AS type)` is NULL where a value does not fit"
    if message.startswith(("Binder Error", "Catalog Error", "Parser Error")):
        return "`wf query --schema` lists the tables and their columns"
    return None


if __name__ == "__main__":
    sys.exit(main())
