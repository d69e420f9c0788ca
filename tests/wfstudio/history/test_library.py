"""The library: queries that a project keeps, and what those that come with wf say of a real past."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.wfstudio.history.past import Past, ask, make_past, open_past
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.history.library import LARGEST, STARTERS, Library, SavedQuery, is_query_name


@pytest.fixture(scope="module")
def past(tmp_path_factory: pytest.TempPathFactory) -> Past:
    return make_past(tmp_path_factory.mktemp("past"))


@pytest.fixture(scope="module")
def connection(past: Past) -> Iterator[duckdb.DuckDBPyConnection]:
    with open_past(past) as found:
        yield found


# -- what comes with wf --------------------------------------------------------------------------


def answer(connection: duckdb.DuckDBPyConnection, name: str, *columns: str) -> list[tuple[Any, ...]]:
    """Ask a query that comes with wf, and give some of its columns."""
    query = Library(Path("/nowhere")).find(name)
    assert query is not None
    assert query.origin == "wf"
    return [tuple(row[column] for column in columns) for row in ask(connection, query.sql)]


def test_there_are_at_least_ten_and_every_one_says_what_it_asks() -> None:
    found = Library(Path("/nowhere")).list()
    assert len(found) == len(list(STARTERS.iterdir())) >= 10
    for query in found:
        assert query.doc.endswith("."), query.name
        assert query.sql.startswith(f"-- {query.doc}\n"), query.name


def test_failures_are_grouped_by_their_error_with_the_last_run(connection, past: Past) -> None:
    found = answer(connection, "failures", "workflow", "error_type", "error_code", "runs", "last_run")
    assert found == [("studio.fail", "builtins.ValueError", "USER_ERROR", 2, past.failed[1])]


def test_flaky_steps_are_those_that_complete_after_a_retry(connection) -> None:
    found = answer(connection, "flaky-steps", "name", "completed", "after_retries", "percent", "most_attempts")
    assert found == [("studio.flaky", 1, 1, 100.0, 3)]


def test_retry_storms_count_failed_and_lost_attempts(connection) -> None:
    found = answer(connection, "retry-storms", "name", "failed_attempts", "runs", "mostly")
    assert sorted(found, key=str) == [
        ("studio.block", 1, 1, None),
        ("studio.explode", 2, 2, "builtins.ValueError"),
        ("studio.flaky", 2, 1, "builtins.OSError"),
        ("studio.patient", 1, 1, "builtins.OSError"),
    ]
    assert [row[1] for row in found] == [2, 2, 1, 1], "the most first"


def test_lost_attempts_are_those_that_were_cut_off(connection) -> None:
    assert answer(connection, "lost-attempts", "name", "lost", "runs") == [("studio.block", 1, 1)]


def test_stuck_runs_are_those_that_rest_the_oldest_first(connection, past: Past) -> None:
    found = answer(connection, "stuck-runs", "run_id", "status", "last_event", "last_call")
    assert found == [
        (past.patient, "running", "step_retrying", "studio.patient"),
        (past.waiting, "running", "hook_created", "tests.wfstudio.flows:Approval"),
        (past.sleeping, "running", "wait_created", None),
        (past.cut_off, "running", "step_started", "studio.block"),
    ]


def test_hooks_are_listed_by_how_long_they_waited(connection, past: Past) -> None:
    found = answer(connection, "longest-hook-waits", "run_id", "status", "waited_minutes")
    assert [row[:2] for row in found] == [(past.waiting, "waiting"), (past.answered, "received")]
    assert all(0 <= minutes < 10 for _, _, minutes in found)


def test_the_largest_run_comes_first(connection, past: Past) -> None:
    found = answer(connection, "largest-runs", "run_id", "payload_bytes", "events", "steps")
    assert found[0][0] == past.large
    assert found[0][1] > 50_000 > found[1][1]
    assert found[0][2:] == (3, 0)
    assert len(found) == 14


def test_costs_are_the_sum_of_an_attribute(connection) -> None:
    found = answer(connection, "cost-by-workflow", "workflow", "runs", "cost", "cost_per_run")
    assert found[0] == ("studio.greet", 3, 0.75, 0.375)
    assert all(cost is None for _, _, cost, _ in found[1:])


def test_queue_times_are_of_steps_that_waited_for_a_slot(connection) -> None:
    found = {row[0]: row[1:] for row in answer(connection, "queue-times", "name", "steps", "max_ms")}
    assert set(found) >= {"studio.greet_one"}
    assert "studio.explode" not in found, "it never waited"
    assert found["studio.greet_one"][0] == 6


def test_the_slowest_steps_are_those_that_completed(connection) -> None:
    found = answer(connection, "slowest-steps", "name", "steps", "p50_ms", "p95_ms", "max_ms")
    assert {row[0] for row in found} == {"studio.flaky", "studio.greet_one"}
    assert sum(row[1] for row in found) == 7
    assert all(0 < p50 <= p95 <= most for _, _, p50, p95, most in found)
    assert [row[3] for row in found] == sorted((row[3] for row in found), reverse=True)


def test_throughput_counts_every_run_once(connection) -> None:
    rows = answer(connection, "throughput", "runs", "completed", "failed", "cancelled")
    assert tuple(map(sum, zip(*rows, strict=True))) == (14, 7, 2, 1)


def test_code_in_flight_is_what_runs_still_need(connection, past: Past) -> None:
    [(deployment, live, runs, workflows)] = answer(
        connection, "code-in-flight", "deployment_id", "live_runs", "runs", "workflows"
    )
    assert deployment.startswith("dep_")
    assert (live, runs) == (4, 13)
    assert sorted(workflows) == ["studio.approve", "studio.busy", "studio.nap", "studio.retry"]


# -- what a project keeps ------------------------------------------------------------------------


def test_a_query_is_kept_as_a_file_and_found_again(tmp_path: Path) -> None:
    library = Library(tmp_path)
    path = library.save("slow-orders", "\n-- Orders that\n-- took long.\nFROM runs;\n\n")
    assert path == tmp_path / "queries" / "slow-orders.sql"
    assert path.read_text() == "-- Orders that\n-- took long.\nFROM runs;\n"
    assert library.find("slow-orders") == library.list()[0]
    assert library.list()[0] == SavedQuery("slow-orders", "Orders that took long.", path.read_text(), "project")


def test_a_projects_query_hides_the_one_of_its_name_that_comes_with_wf(tmp_path: Path) -> None:
    library = Library(tmp_path)
    library.save("failures", "SELECT 'mine'")
    found = library.find("failures")
    assert found is not None
    assert (found.sql, found.origin) == ("SELECT 'mine'\n", "project")
    assert [query.origin for query in library.list() if query.name == "failures"] == ["project"]


def test_a_query_is_never_replaced_by_accident(tmp_path: Path) -> None:
    library = Library(tmp_path)
    path = library.save("one", "SELECT 1")
    with pytest.raises(ConflictError) as caught:
        library.save("one", "SELECT 2")
    assert caught.value.message == f"there is a query 'one' already: {path}"
    assert caught.value.hint == "give another name, or edit the file"
    assert path.read_text() == "SELECT 1\n"
    library.save("one", "SELECT 2", is_replacing=True)
    assert path.read_text() == "SELECT 2\n"


@pytest.mark.parametrize(
    "name",
    ["", "../x", "..", ".", "a/b", "/etc/x", "a.sql", "A", "x\n", "x\0", "-x", "_x", "\u00e4", "a b", "x" * 65, "a\\b"],
)
def test_only_a_plain_word_is_a_name(tmp_path: Path, name: str) -> None:
    root = tmp_path / "project"
    root.mkdir()
    assert not is_query_name(name)
    library = Library(root)
    with pytest.raises(UsageError) as caught:
        library.save(name, "SELECT 1")
    assert caught.value.message == f"{name!r:.80} is no name for a query"
    assert library.find(name) is None
    assert [*tmp_path.iterdir()] == [root]
    assert list(root.iterdir()) == []


@pytest.mark.parametrize("sql", ["", " \n", "x" * (LARGEST + 1)])
def test_what_is_no_query_is_not_kept(tmp_path: Path, sql: str) -> None:
    with pytest.raises(UsageError, match="this is no query to keep"):
        Library(tmp_path).save("one", sql)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "queries").mkdir()
    target = tmp_path / "target"
    target.write_text("precious")
    (tmp_path / "queries" / "one.sql").symlink_to(target)
    with pytest.raises(ConflictError, match="is a link"):
        Library(tmp_path).save("one", "SELECT 1", is_replacing=True)
    assert target.read_text() == "precious"


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "queries").write_text("a file")
    library = Library(tmp_path)
    with pytest.raises(UsageError) as caught:
        library.save("one", "SELECT 1")
    assert caught.value.message == f"{tmp_path}/queries/one.sql cannot be written: File exists"
    assert all(query.origin == "wf" for query in library.list())


def test_what_cannot_be_read_as_a_query_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "queries"
    folder.mkdir()
    (folder / "binary.sql").write_bytes(b"\xff\xfe")
    (folder / "huge.sql").write_bytes(b"x" * (LARGEST + 1))
    (folder / "folder.sql").mkdir()
    (folder / "gone.sql").symlink_to(tmp_path / "nothing")
    (folder / "Upper.sql").write_text("SELECT 1")
    (folder / "notes.txt").write_text("SELECT 1")
    os.mkfifo(folder / "pipe.sql")
    (folder / "good.sql").write_text("\ufeffSELECT 1", "utf-8")
    own = [query for query in Library(tmp_path).list() if query.origin == "project"]
    assert own == [SavedQuery("good", "", "SELECT 1", "project")]
