"""`wf query`: what is typed, what is printed, and how it ends."""

from __future__ import annotations

import io
import json
import os
import pty
import re
import select
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.wfstudio.cli.conftest import Screen, Serving, Wf, World
from tests.wfstudio.studio import run
from wfstudio.cli.query import complete_query, read_parameters

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
WF = [sys.executable, "-m", "wfstudio"]


# -- answers -------------------------------------------------------------------------------------


def test_an_answer_is_a_table_with_its_names_as_they_are(world: World, wf_cli: Wf) -> None:
    sql = "SELECT workflow, status, count(*) AS n FROM runs GROUP BY ALL ORDER BY ALL LIMIT 4"
    assert wf_cli("query", sql, "--world", world.url) == (
        0,
        "workflow        status     n\n"
        "studio.approve  running    1\n"
        "studio.fail     failed     1\n"
        "studio.greet    completed  2\n"
        "studio.nap      running    1\n",
        "",
    )


def test_payloads_are_opened_unless_it_is_locked(world: World, wf_cli: Wf) -> None:
    words = ["query", f"SELECT input, output, steps FROM runs WHERE run_id = '{world.completed}'", "--json"]
    assert wf_cli(*words, "--world", world.url).json == [
        {"input": {"name": "ada", "times": 2}, "output": ["hello, ada", "hello, ada"], "steps": 2}
    ]
    assert wf_cli(*words, "--locked", "--world", world.url).json == [{"input": None, "output": None, "steps": 2}]


def test_a_saved_query_and_a_table_are_asked_by_their_names(world: World, wf_cli: Wf) -> None:
    [row] = wf_cli("query", "failures", "--json", "--world", world.url).json
    assert (row["workflow"], row["error_type"], row["runs"], row["last_run"]) == (
        "studio.fail", "builtins.ValueError", 1, world.failed,
    )  # fmt: skip
    hooks = wf_cli("query", "hooks", "--format", "jsonl", "--world", world.url).jsonl
    assert [(hook["run_id"], hook["token"], hook["is_live"]) for hook in hooks] == [(world.waiting, "site:docs", True)]


def test_a_query_comes_from_a_file_from_stdin_and_with_parameters(
    world: World, wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "mine.sql"
    file.write_text("\ufeffSELECT run_id FROM runs WHERE workflow = $w AND steps >= $n", "utf-8")
    asked = ["-p", "w=studio.greet", "--param", "n=2", "--format", "csv", "--world", world.url]
    assert wf_cli("query", "-f", str(file), *asked) == (0, f"run_id\r\n{world.completed}\r\n", "")
    for words in (["-"], []):
        monkeypatch.setattr("sys.stdin", io.StringIO("SELECT $w AS w, $n AS n"))
        assert wf_cli("query", *words, *asked).out == "w,n\r\nstudio.greet,2\r\n"
    monkeypatch.setattr("sys.stdin", None)
    assert wf_cli("query", "--world", world.url).err.splitlines()[0] == "there is no query"


def test_a_table_is_capped_and_says_so_unless_a_limit_was_asked_for(world: World, wf_cli: Wf) -> None:
    told = wf_cli("query", "FROM range(2000)", "--world", world.url)
    assert (told.code, told.out.count("\n")) == (0, 1001)
    assert told.err == "only the first 1000 rows; `--limit N` gives more, `--format csv` all of them\n"
    told = wf_cli("query", "FROM range(2000)", "-n", "3", "--world", world.url)
    assert told == (0, "range\n    0\n    1\n    2\n", "")
    told = wf_cli("query", "FROM range(2000)", "--format", "jsonl", "--world", world.url)
    assert (told.out.count("\n"), told.err) == (2000, "")


@pytest.mark.parametrize(
    ("given", "value"),
    [
        ("2", 2), ("-1.5", -1.5), ("true", True), ("null", None), ("acme", "acme"), ("", ""), ("a=b", "a=b"),
        ('"2"', "2"), ("007", "007"), ("[1]", "[1]"), ('{"a":1}', '{"a":1}'), ("NaN", "NaN"),
        ("9223372036854775807", 2**63 - 1), ("9223372036854775808", "9223372036854775808"),
        ("99999999999999999999999999", "99999999999999999999999999"),
    ],
)  # fmt: skip
def test_a_parameter_is_what_json_says_and_else_a_text(given: str, value: Any) -> None:
    found = read_parameters([f"x={given}"])["x"]
    assert (found, type(found)) == (value, type(value))


# -- files ---------------------------------------------------------------------------------------


def test_a_file_is_written_in_the_format_that_its_name_says(world: World, wf_cli: Wf, tmp_path: Path) -> None:
    sql = "SELECT run_id, created_at FROM runs ORDER BY run_id"
    for name in ("runs.parquet", "runs.arrow", "runs.csv", "runs.txt"):
        assert wf_cli("query", sql, "-o", str(tmp_path / name), "--world", world.url) == (0, "", "")
    parquet = pyarrow.parquet.read_table(tmp_path / "runs.parquet")
    with pyarrow.ipc.open_stream(str(tmp_path / "runs.arrow")) as stream:
        assert stream.read_all().to_pylist() == parquet.to_pylist()
    assert str(parquet.schema.field("created_at").type) == "timestamp[us, tz=UTC]"
    ids = parquet.column("run_id").to_pylist()
    assert (len(ids), ids) == (8, sorted(ids))
    assert {*world[1:]} < {*ids}, "and a child run"
    lines = (tmp_path / "runs.csv").read_text("utf-8").splitlines()
    assert [line.partition(",")[0] for line in lines] == ["run_id", *ids]
    assert (tmp_path / "runs.txt").read_text("utf-8").splitlines()[1].split()[0] == ids[0]
    assert {stat.S_IMODE(path.stat().st_mode) for path in tmp_path.glob("runs.*")} == {0o600}


def test_a_file_is_written_whole_or_not_at_all(world: World, wf_cli: Wf, tmp_path: Path) -> None:
    target = tmp_path / "out.csv"
    target.write_text("precious")
    (tmp_path / "link.csv").symlink_to(target)
    sql = "SELECT CASE WHEN range < 100000 THEN 1 ELSE error('stop') END FROM range(200000)"
    told = wf_cli("query", sql, "-o", str(tmp_path / "link.csv"), "--world", world.url)
    assert (told.code, target.read_text()) == (1, "precious")
    assert wf_cli("query", "SELECT 1 AS n", "-o", str(tmp_path / "link.csv"), "--world", world.url).code == 0
    assert target.read_bytes() == b"n\r\n1\r\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link.csv", "out.csv"], "and no draft is left"


def test_what_is_no_file_is_written_to_and_not_replaced(world: World, wf_cli: Wf, tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with subprocess.Popen(["cat", str(pipe)], stdout=subprocess.PIPE) as reading:
        told = wf_cli("query", "SELECT 1 AS n", "--format", "csv", "-o", str(pipe), "--world", world.url)
        assert told == (0, "", "")
        assert reading.communicate(timeout=10)[0] == b"n\r\n1\r\n"
    assert stat.S_ISFIFO(pipe.stat().st_mode)
    told = wf_cli("query", "SELECT 1", "-o", str(tmp_path), "--world", world.url)
    assert (told.code, told.err) == (2, f"--output {tmp_path}: Is a directory\n  more: wf query --help\n")
    told = wf_cli("query", "SELECT 1", "-o", str(tmp_path / "no" / "x"), "--world", world.url)
    assert told.err == f"--output {tmp_path}/no/x: No such file or directory\n  more: wf query --help\n"


# -- saved queries -------------------------------------------------------------------------------


def test_a_query_is_kept_with_the_project_and_asked_by_its_name(
    project: Path, world: World, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch
) -> None:
    sql = "-- Runs of one workflow.\nSELECT count(*) AS n FROM runs WHERE workflow = $w"
    saved = wf_cli("query", "--save", "mine", "--", sql)
    assert saved == (0, "", f"saved as {project}/queries/mine.sql\n")
    assert wf_cli("query", "mine", "-p", "w=studio.greet", "--world", world.url).out == "n\n2\n"
    listed = wf_cli("query", "--list")
    assert listed.out.splitlines()[:3] == [
        "NAME                FROM     WHAT IT ASKS",
        "mine                project  Runs of one workflow.",
        "code-in-flight      wf       Deployments that runs in flight still need, newest first.",
    ]
    items = wf_cli("query", "--list", "--json").json["items"]
    assert items[0] == {
        "name": "mine", "doc": "Runs of one workflow.", "sql": f"{sql}\n", "origin": "project",
    }  # fmt: skip
    assert wf_cli("query", "--list", "--format", "jsonl").jsonl == items
    assert wf_cli("query", "SELECT 2", "--save", "mine") == (
        1,
        "",
        f"there is a query 'mine' already: {project}/queries/mine.sql\n"
        "  fix: give another name, or edit the file\n  more: docs/errors/conflict.md\n",
    )
    assert wf_cli("query", "SELECT 2", "--save", "../mine").err == (
        "'../mine' is no name for a query\n  fix: use lower-case letters, digits, - and _: `slow-orders`\n"
        "  more: docs/errors/usage.md\n"
    )
    assert complete_query(None, "mi") == ["mine"]  # type: ignore[arg-type]
    assert complete_query(None, "st") == ["stuck-runs", "steps", "streams"]  # type: ignore[arg-type]


def test_an_unknown_name_is_suggested(wf_cli: Wf) -> None:
    assert wf_cli("query", "failurs") == (
        2, "", "there is no query 'failurs'\n  fix: did you mean `failures`?\n  more: wf query --help\n",
    )  # fmt: skip
    assert wf_cli("query", "stps").err.splitlines()[1] == "  fix: did you mean `steps`?"
    assert wf_cli("query", "zzzz").err.splitlines()[1] == "  fix: `wf query --list` lists them"


# -- the schema ----------------------------------------------------------------------------------


def test_the_schema_lists_tables_columns_and_functions(wf_cli: Wf) -> None:
    told = wf_cli("query", "--schema", "chunks")
    assert told.out.splitlines() == [
        "chunks: One row a chunk of a stream.",
        "COLUMN         TYPE",
        "run_id         VARCHAR      The run.",
        "name           VARCHAR      The stream's name.",
        "place          BIGINT       Its index in the stream, from 0.",
        "recorded_at    TIMESTAMPTZ  When it was written.",
        "payload_bytes  BIGINT       Its size, sealed.",
        "value          JSON         Its value.",
        "",
        "functions",
        "NAME",
        "since(ago)  The instant so long ago: `WHERE created_at > since('1h 30m')`.",
        "p50(x)      The median of a group.",
        "p95(x)      The 95th percentile of a group: `p95(duration_ms)`.",
        "p99(x)      The 99th percentile of a group.",
    ]
    found = wf_cli("query", "--schema", "--json").json
    assert [table["name"] for table in found["tables"]][:3] == ["runs", "steps", "attempts"]
    assert found["functions"][0]["signature"] == "since(ago)"
    assert [table["name"] for table in wf_cli("query", "--schema", "--format", "jsonl").jsonl] == [
        table["name"] for table in found["tables"]
    ]
    assert wf_cli("query", "--schema", "rns").err == (
        "there is no table 'rns'\n  fix: did you mean `runs`?\n  more: wf query --help\n"
    )


# -- misuse and errors ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["SELECT 1", "--format", "cvs"], "--format: 'cvs' is no format\n  fix: did you mean `csv`?"),
        (["SELECT 1", "-f", "x.sql"], "a query and --file are two queries\n  fix: give one of them"),
        (["-f", "nowhere.sql"], "--file nowhere.sql: No such file or directory"),
        (["SELECT 1", "--timeout", "soon"], "--timeout: 'soon' is not a duration"),
        (["SELECT 1", "--timeout", "2h"], "--timeout: '2h' is not between 0 and 3600 s"),
        (["SELECT 1", "-p", "x"], "--param: 'x' is not `key=value`"),
        (["SELECT 1", "-w", "--json"], "--watch shows a table\n  fix: leave --format and --output out"),
        (["SELECT 1", "-w"], "--watch needs a terminal\n  fix: leave it out, and ask again when you want to know"),
        (["--schema", "--format", "csv"], "--schema: there is no csv of it\n  fix: one of table, json, jsonl"),
        (["--list", "-o", "x"], "--list is printed, not written to a file\n  fix: leave --output out: `wf query"),
    ],
)  # fmt: skip
def test_a_command_line_that_makes_no_sense_is_refused(
    words: list[str], message: str, wf_cli: Wf, world: World
) -> None:
    told = wf_cli("query", *words, "--world", world.url)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(message), told.err
    assert told.err.endswith("  more: wf query --help\n")


@pytest.mark.parametrize("words", [["-w"], ["-o", "x.csv"], ["--format", "parquet"]], ids=" ".join)
def test_nothing_asked_for_is_only_a_prompt_where_a_prompt_makes_sense(
    words: list[str], wf_cli: Wf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Screen())
    told = wf_cli("query", *words)
    assert (told.code, told.err.splitlines()[0]) == (2, "what is to be asked?")
    told = wf_cli("query", "--save", "x")
    assert told.err.splitlines()[:2] == ["what is to be saved?", '  fix: `wf query --save NAME "SELECT …"`']


def test_parquet_is_nothing_for_a_terminal(world: World, make_terminal: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from wfstudio.cli.app import main

    monkeypatch.setattr("sys.stdout", make_terminal(80).stream)
    monkeypatch.setattr("sys.stderr", io.StringIO())
    assert main(["query", "SELECT 1", "--format", "parquet", "--world", world.url]) == 2
    assert sys.stderr.getvalue().splitlines()[:2] == [  # type: ignore[attr-defined]
        "parquet is nothing for a terminal",
        "  fix: name a file: `-o FILE`",
    ]


def test_a_query_that_is_not_understood_fails_in_duckdbs_words(world: World, wf_cli: Wf) -> None:
    assert wf_cli("query", "FROM rns", "--world", world.url) == (
        1,
        "",
        'Catalog Error: Table with name rns does not exist!\nDid you mean "runs"?\n\nLINE 1: FROM rns\n'
        "             ^^^\n  fix: `wf query --schema` lists the tables and their columns\n"
        "  more: docs/errors/query.md\n",
    )
    told = wf_cli("query", "SELECT $who", "--world", world.url)
    assert told.code == 1
    assert "\n  fix: give a value for each `$name`: `--param name=value`\n" in told.err
    told = wf_cli("query", "SELEC '\x1b[2J\u202e'", "--world", world.url)
    assert "LINE 1: SELEC '\\x1b[2J\\u202e'\n" in told.err


def test_a_query_that_takes_too_long_is_ended(world: World, wf_cli: Wf) -> None:
    assert wf_cli("query", ENDLESS, "--timeout", "0.5", "--world", world.url) == (
        1,
        "",
        "the query took more than the 0.5 s that it may take\n"
        "  fix: ask for less: a narrower WHERE, fewer columns, no payloads\n  more: docs/errors/query-limit.md\n",
    )


def test_a_world_that_is_not_there_is_said(wf_cli: Wf, tmp_path: Path) -> None:
    told = wf_cli("query", "SELECT 1", "--world", f"sqlite:///{tmp_path}/none.db")
    assert (told.code, told.err.splitlines()[0]) == (1, f"there is no world at {tmp_path}/none.db")
    told = wf_cli("query", "SELECT 1", "--world", "memory://")
    assert told.err.splitlines()[0] == "a world in memory belongs to one process, and this is another"
    assert list(tmp_path.iterdir()) == []


# -- real processes ------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["csv", "table"])
def test_a_reader_that_has_enough_is_no_error(world: World, form: str) -> None:
    words = [*WF, "query", "FROM range(30000)", "--format", form, "-n", "30000", "--world", world.url]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as asking:
        assert asking.stdout is not None
        assert asking.stderr is not None
        assert asking.stdout.readline() == "range\n" if form == "csv" else " range\n"
        asking.stdout.close()
        assert asking.stderr.read() == ""
        assert asking.wait(20) == 1


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
def test_a_disk_that_is_full_is_said(world: World) -> None:
    words = [*WF, "query", "FROM range(9000)", "--format", "csv", "--world", world.url]
    with open("/dev/full", "wb") as full:
        told = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True)
    assert told.stderr.splitlines()[0] == "standard output: No space left on device"
    assert told.returncode == 2


def test_ctrl_c_ends_a_query_and_its_process(world: World) -> None:
    words = [*WF, "query", ENDLESS, "--world", world.url]
    with subprocess.Popen(
        words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as asking:
        [child] = wait_for(lambda: busy_children(asking.pid))
        os.killpg(asking.pid, signal.SIGINT)
        assert asking.communicate(timeout=20) == ("", "")
    assert asking.returncode == 130
    wait_for(lambda: not Path(f"/proc/{child}").exists())


def test_two_ask_at_once_while_a_worker_serves_and_see_what_has_just_been_done(serving: Serving) -> None:
    done = serving.do(lambda client: run(client, "greet", "ada"))
    words = [*WF, "query", "SELECT run_id, output FROM runs", "--json", "--world", serving.url]
    asking = [subprocess.Popen(words, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    for process in asking:
        with process:
            out, _ = process.communicate(timeout=20)
            assert (process.returncode, json.loads(out)) == (0, [{"run_id": done.id, "output": ["hello, ada"]}])


def test_a_watched_query_is_shown_again_when_the_world_changes(serving: Serving) -> None:
    serving.do(lambda client: run(client, "greet", "ada"))
    words = ["query", "-w", "SELECT 'seen ' || count(*) AS n FROM runs", "--world", serving.url]
    with Watched(words) as watched:
        watched.wait_for("seen 1")
        serving.do(lambda client: run(client, "greet", "bob"))
        watched.wait_for("seen 2")
        watched.press(b"\x03")
    assert watched.code == 130
    assert "Traceback" not in watched.shown


class Watched:
    """`wf` on a terminal of 80 columns, and all that it has shown."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self.shown = ""
        self.code: int | None = None

    def __enter__(self) -> Watched:
        environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24"}
        self._main, other = pty.openpty()
        self._process = subprocess.Popen(
            [*WF, *self._words], stdin=other, stdout=other, stderr=other, env=environ, start_new_session=True,
            preexec_fn=take_terminal,
        )  # fmt: skip
        os.close(other)
        return self

    def wait_for(self, text: str) -> None:
        deadline = time.monotonic() + 20
        while text not in re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", self.shown):
            assert time.monotonic() < deadline, self.shown
            if select.select([self._main], [], [], 0.1)[0]:
                self.shown += os.read(self._main, 65_536).decode()

    def press(self, key: bytes) -> None:
        os.write(self._main, key)

    def __exit__(self, *error: object) -> None:
        try:
            self.code = self._process.wait(20)
        finally:
            self._process.kill()
            self._process.wait()
            os.close(self._main)


def take_terminal() -> None:
    """Make standard input the terminal of this session, from which Ctrl-C comes."""
    import fcntl
    import termios

    fcntl.ioctl(0, termios.TIOCSCTTY, 0)


def busy_children(pid: int) -> list[int]:
    """Give the children of a process that have worked for a while: those that are at an endless query."""
    return [child for child in children_of(pid) if ticks_of(child) > 80]


def children_of(pid: int) -> Iterator[int]:
    for path in Path(f"/proc/{pid}/task").glob("*/children"):
        yield from map(int, path.read_text().split())


def ticks_of(pid: int) -> int:
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def wait_for(look: Any) -> Any:
    deadline = time.monotonic() + 20
    while not (found := look()):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    return found
