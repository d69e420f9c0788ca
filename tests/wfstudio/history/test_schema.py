"""The schema: what docs/sql.md says is what a query finds, both ways."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pytest

from tests.wfstudio.history.past import ask, make_past, open_past
from wfstudio.history.library import Library
from wfstudio.history.schema import MACROS, VIEWS, View, show_schema

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "sql.md").read_text("utf-8")
HEAVY = {"duckdb", "pyarrow", "numpy", "prompt_toolkit", "pygments", "textual", "starlette"}


@pytest.fixture(scope="module")
def connection(tmp_path_factory: pytest.TempPathFactory) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_past(make_past(tmp_path_factory.mktemp("past"))) as found:
        yield found


# -- the page ------------------------------------------------------------------------------------


def section(title: str) -> str:
    """Give what the page has under a heading of the second level."""
    found = re.search(rf"^## {title}$(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, title
    return found[1].strip()


def tables_of(text: str) -> list[str]:
    return re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)


def describe(view: View) -> str:
    """Write what the page must say of a table; paste it there."""
    rows = [
        f"| `{column.name}` | {column.type.replace('TIMESTAMP WITH TIME ZONE', 'TIMESTAMPTZ')} | {column.doc} |"
        for column in view.columns
    ]
    return "\n".join([f"### `{view.name}`", "", view.doc, "", "| column | type | |", "| --- | --- | --- |", *rows])


def test_the_page_lists_every_table_with_every_column_and_no_other() -> None:
    expected = "\n\n".join(describe(view) for view in VIEWS)
    text = section("Tables")
    assert text[text.index("###") :] == expected, f"paste:\n\n{expected}"


def test_the_page_lists_every_function_and_no_other() -> None:
    rows = [f"| `{macro.name}({macro.parameters})` | {macro.doc} |" for macro in MACROS]
    expected = "\n".join(["| function | |", "| --- | --- |", *rows])
    assert [table.strip() for table in tables_of(section("Functions"))] == [expected], f"paste:\n\n{expected}"


def test_the_page_lists_every_query_that_comes_with_wf_and_no_other(tmp_path: Path) -> None:
    rows = [f"| `{query.name}` | {query.doc} |" for query in Library(tmp_path).list()]
    expected = "\n".join(["| name | what it asks |", "| --- | --- |", *rows])
    tables = tables_of(section("Parameters and saved queries"))
    assert [table.strip() for table in tables] == [expected], f"paste:\n\n{expected}"


def test_every_query_on_the_page_can_be_asked(connection: duckdb.DuckDBPyConnection, tmp_path: Path) -> None:
    asked = [text.replace("\\$", "$") for text in re.findall(r'wf query "(.*?)"', PAGE) if text != "SELECT …"]
    assert len(asked) >= 3
    for sql in asked:
        connection.execute(sql, {"tenant": "acme"} if "$tenant" in sql else None).fetchall()
    named = re.findall(r"wf query ([a-z][\w-]*)", PAGE)
    assert {name for name in named if Library(tmp_path).find(name) is None} == {"runs", "tenant"}


# -- the views -----------------------------------------------------------------------------------


def test_a_query_finds_these_tables_and_no_other(connection: duckdb.DuckDBPyConnection) -> None:
    assert sorted(row["name"] for row in ask(connection, "SHOW TABLES")) == sorted(view.name for view in VIEWS)


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_a_table_has_the_columns_and_types_that_are_listed(view: View, connection: duckdb.DuckDBPyConnection) -> None:
    found = [(row["column_name"], row["column_type"]) for row in ask(connection, f"DESCRIBE {view.name}")]
    assert found == [(column.name, column.type) for column in view.columns]


@pytest.mark.parametrize("view", VIEWS, ids=[view.name for view in VIEWS])
def test_every_column_of_a_table_can_be_read(view: View, connection: duckdb.DuckDBPyConnection) -> None:
    rows = ask(connection, f"FROM {view.name}")
    assert rows or view.name in ("streams", "chunks"), "the past has some of each"


def test_columns_that_every_table_of_runs_has_come_first() -> None:
    for view in VIEWS:
        assert view.columns[0].name == ("deployment_id" if view.name == "deployments" else "run_id"), view.name


def test_what_has_not_ended_lasts_until_now(connection: duckdb.DuckDBPyConnection) -> None:
    [row] = ask(connection, "SELECT ended_at, duration_ms FROM runs WHERE workflow = 'studio.busy'")
    assert row["ended_at"] is None
    [later] = ask(connection, "SELECT duration_ms FROM runs WHERE workflow = 'studio.busy'")
    assert later["duration_ms"] > row["duration_ms"] > 0


def test_the_functions_do_what_they_say(connection: duckdb.DuckDBPyConnection) -> None:
    [row] = ask(
        connection,
        "SELECT p50(range) AS p50, p95(range) AS p95, p99(range) AS p99, since('1h 30m') AS since FROM range(101)",
    )
    assert (row["p50"], row["p95"], row["p99"]) == (50, 95, 99)
    assert abs(datetime.now(UTC) - row["since"] - timedelta(minutes=90)) < timedelta(minutes=1)


def test_the_schema_that_programs_are_given_is_the_same() -> None:
    doc = show_schema()
    assert [(table.name, [column.name for column in table.columns]) for table in doc.tables] == [
        (view.name, [column.name for column in view.columns]) for view in VIEWS
    ]
    assert [function.signature for function in doc.functions] == [f"{m.name}({m.parameters})" for m in MACROS]
    assert [table.name for table in show_schema(VIEWS[:1]).tables] == ["runs"]


# -- what it costs -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "program",
    [
        "import wfstudio.cli.query",
        "import wfstudio.history.asking, wfstudio.history.library, wfstudio.history.wire",
        "from wfstudio.cli.app import main; main(['--help'])",
        "from wfstudio.cli.app import main; main(['query', '--help'])",
        "from wfstudio.cli.app import main; main(['query', '--schema', 'runs'])",
    ],
)
def test_who_asks_no_question_does_not_load_what_answers_one(program: str) -> None:
    program += f"; import sys; print(*sorted(set(sys.modules) & {HEAVY!r}), file=sys.stderr)"
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stderr.strip()) == (0, "")
