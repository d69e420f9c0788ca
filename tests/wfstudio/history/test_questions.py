"""Questions: what a query may do and what not, and that nothing it does is felt by anybody else."""

from __future__ import annotations

import asyncio
import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from tests.wfstudio.history.stage import KEYRING, Log, WorldFile, make_completed
from wf import codec
from wf import events as types
from wf.errors import WorldError
from wf.settings import Settings
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.history import asking
from wfstudio.history.asking import Asker, make_question
from wfstudio.history.child import check_statement
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.mirror import mirror_path
from wfstudio.history.wire import Done, Piece, Rows

CANARY = "canary-7f3a91"
ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with a world, whose secrets are a canary each."""
    root = tmp_path_factory.mktemp("project")
    world = WorldFile(root / "world.db")
    for number in range(20):
        world.write(make_completed(f"wrun_{number:02}", at=1_700_000_000_000_000 + number * 10**9).events)
    log = Log("wrun_secret", at=1_700_000_000_000_000)
    log.add(types.RUN_STARTED)
    log.add(types.STEP_CREATED, 1, name="shop:charge", attempt=1, value={"card": CANARY})
    error = ValueError(CANARY)
    log.add(types.STEP_FAILED, 1, name="shop:charge", attempt=1, value=error, error_type="builtins.ValueError")
    log.add(types.HOOK_CREATED, 2, name="hook", value={"token": CANARY, "metadata": {"for": "boss"}, "schema": None})
    log.add(types.HOOK_RECEIVED, 2, value={"approved": CANARY})
    log.add(types.RUN_FAILED, value=error, code="USER_ERROR", error_type="builtins.ValueError")
    world.write(log.events, error_code="USER_ERROR", attributes='{"tenant":"acme","cost":"0.25"}')
    world.close()
    return root


@pytest.fixture
def settings(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("WF_KEY", base64.b64encode(b"k" * 32).decode())
    return Settings(root=folder, world=f"sqlite:///{folder}/world.db")


@asynccontextmanager
async def open_asker(settings: Settings, **options: Any) -> AsyncIterator[Asker]:
    asker = Asker(settings, **options)
    try:
        yield asker
    finally:
        await asker.close()


async def fetch(asker: Asker, sql: str, *, seconds: float = 20, **options: Any) -> tuple[list[Any], Done]:
    rows: list[Any] = []
    async with aclosing(asker.ask(make_question(sql, **options), seconds=seconds)) as answers:
        async for answer in answers:
            if isinstance(answer, Rows):
                rows += json.loads(answer.data)
            elif isinstance(answer, Done):
                done = answer
    return rows, done


def ask(settings: Settings, sql: str, **options: Any) -> list[Any]:
    async def perform() -> list[Any]:
        async with open_asker(settings) as asker:
            return (await fetch(asker, sql, **options))[0]

    return asyncio.run(perform())


# -- answers ---------------------------------------------------------------------------------------


def test_payloads_are_opened_where_a_query_names_them(settings: Settings) -> None:
    sql = """
        SELECT r.input ->> 'number', r.error ->> 'message', s.input ->> 'card', s.error ->> 'type', h.token,
          h.metadata ->> 'for', h.payload ->> 'approved', r.attributes['tenant'], r.error_type, s.status
        FROM runs AS r JOIN steps AS s USING (run_id) JOIN hooks AS h USING (run_id) WHERE run_id = 'wrun_secret'
    """
    assert ask(settings, sql) == [
        ["1", CANARY, CANARY, "ValueError", CANARY, "boss", CANARY, "acme", "builtins.ValueError", "failed"]
    ]


def test_a_column_of_json_is_json(settings: Settings) -> None:
    [row] = ask(settings, "SELECT input, output, run_id FROM runs WHERE run_id = 'wrun_00'")
    assert row == [{"number": 1}, "done", "wrun_00"]


@pytest.mark.parametrize("how", ["locked", "without the key", "with another key"])
def test_payloads_that_are_not_to_be_opened_are_null_and_the_rest_is_there(
    settings: Settings, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    if how != "locked":
        monkeypatch.setenv("WF_KEY", "off" if how == "without the key" else base64.b64encode(b"x" * 32).decode())
    sql = "SELECT status, input, error, attributes['cost'] FROM runs WHERE run_id = 'wrun_secret'"
    assert ask(settings, sql, is_locked=how == "locked") == [["failed", None, None, "0.25"]]


def test_values_are_written_as_json_has_them(settings: Settings) -> None:
    sql = r"""
        SELECT 1.50::DECIMAL(5, 2), 'NaN'::DOUBLE, '-inf'::FLOAT, INTERVAL '1 hour', '\xAA'::BLOB, MAP {1: 'a'},
          {'a': [1, NULL]}, DATE '2026-01-02', TIME '10:11:12', TIMESTAMPTZ '2026-01-02 03:04:05+00',
          2::HUGEINT ** 70, NULL, 'é"', true, '7f000000-0000-0000-0000-000000000001'::UUID
    """
    [row] = ask(settings, sql)
    assert row == [
        1.5, "NaN", "-Infinity", "1:00:00", "qg==", {"1": "a"}, {"a": [1, None]}, "2026-01-02", "10:11:12",
        "2026-01-02T03:04:05.000000Z", 2**70, None, 'é"', True, "7f000000-0000-0000-0000-000000000001",
    ]  # fmt: skip


def test_parameters_stand_for_values_and_never_for_sql(settings: Settings) -> None:
    found = ask(settings, "SELECT $a, $b + 1, $c", parameters={"a": "'; DROP VIEW runs; --", "b": 4, "c": None})
    assert found == [["'; DROP VIEW runs; --", 5, None]]


def test_an_answer_is_cut_at_its_rows_and_its_bytes_and_says_so(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings) as asker:
            rows, done = await fetch(asker, "FROM range(1000)", row_limit=7)
            assert (rows, done.rows, done.is_capped) == ([[n] for n in range(7)], 7, True)
            rows, done = await fetch(asker, "FROM range(7)", row_limit=7)
            assert (len(rows), done.rows, done.is_capped) == (7, 7, False)
            rows, done = await fetch(asker, "SELECT repeat('x', 1000) FROM range(1000)", byte_limit=10_000)
            assert (len(rows), done.rows, done.is_capped) == (9, 9, True)

    asyncio.run(perform())


def test_tables_come_as_arrow_and_as_parquet(settings: Settings) -> None:
    async def take(asker: Asker, shape: str, **options: Any) -> tuple[bytes, Done]:
        data = b""
        sql = "SELECT run_id, steps, created_at, input FROM runs ORDER BY run_id"
        question = make_question(sql, shape=shape, **options)
        async for answer in asker.ask(question):
            if isinstance(answer, Piece):
                data += answer.data
            elif isinstance(answer, Done):
                done = answer
        return data, done

    async def perform() -> None:
        async with open_asker(settings) as asker:
            data, done = await take(asker, "arrow")
            table = pa.ipc.open_stream(data).read_all()
            assert (table.num_rows, done.rows) == (21, 21)
            assert table.column_names == ["run_id", "steps", "created_at", "input"]
            assert table["created_at"].type == pa.timestamp("us", "UTC")
            data, done = await take(asker, "parquet", row_limit=5)
            table = pyarrow.parquet.read_table(pa.BufferReader(data))
            assert (table.num_rows, done.is_capped) == (5, True)
            assert table["run_id"][0].as_py() == "wrun_00"
            assert json.loads(table["input"][0].as_py()) == {"number": 1}

    asyncio.run(perform())


def test_chunks_and_lines_of_logs_are_opened_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_KEY", base64.b64encode(b"k" * 32).decode())
    world = WorldFile(tmp_path / "world.db")
    world.write(make_completed("wrun_1").events)
    key = KEYRING.run("wrun_1")
    chunk = key.seal("stream:default:0", "chunk", codec.pack(codec.encode({"token": "hi"})))
    world.sqlite.execute("INSERT INTO chunks VALUES ('wrun_1', 'default', 0, 1000000, ?)", [chunk])
    world.sqlite.execute("INSERT INTO chunks VALUES ('wrun_1', 'default', 1, 2000000, NULL)")
    lines = codec.pack(json.dumps([[3_000_000, "stdout", "one"], [4_000_000, "logging:ERROR", "two"]]).encode())
    batch = key.seal("log:1:1:0", "log", lines)
    world.sqlite.execute("INSERT INTO logs VALUES ('wrun_1', 1, 1, 0, 5000000, ?)", [batch])
    world.close()
    settings = Settings(root=tmp_path, world=f"sqlite:///{tmp_path}/world.db")
    assert ask(settings, "SELECT name, place, value ->> 'token' FROM chunks") == [["default", 0, "hi"]]
    assert ask(settings, "SELECT name, chunks, is_closed FROM streams") == [["default", 1, True]]
    assert ask(settings, "SELECT step, attempt, source, text, recorded_at FROM logs ORDER BY recorded_at") == [
        ["shop:step_1", 1, "stdout", "one", "1970-01-01T00:00:03.000000Z"],
        ["shop:step_1", 1, "logging:ERROR", "two", "1970-01-01T00:00:04.000000Z"],
    ]


def test_nothing_that_was_opened_is_on_the_disk_afterwards(settings: Settings, folder: Path) -> None:
    ask(settings, "SELECT *, r.input, r.error FROM runs AS r JOIN steps AS s USING (run_id) JOIN hooks USING (run_id)")
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert mirror_path(folder / "world.db") in files
    for path in files:
        assert CANARY.encode() not in path.read_bytes(), path


# -- refusals --------------------------------------------------------------------------------------

NO_QUESTIONS = {
    "INSERT INTO runs VALUES (1)": "a query only reads, and this is INSERT",
    "UPDATE mirror.runs SET status = 'x'": "a query only reads, and this is UPDATE",
    "DELETE FROM mirror.runs": "a query only reads, and this is DELETE",
    "MERGE INTO mirror.runs USING mirror.steps ON false WHEN MATCHED THEN DELETE": "this is MERGE_INTO",
    "CREATE TABLE x (a INT)": "a query only reads, and this is CREATE",
    "CREATE TEMP TABLE x AS SELECT 1": "a query only reads, and this is CREATE",
    "CREATE OR REPLACE VIEW runs AS SELECT 1": "a query only reads, and this is CREATE",
    "CREATE MACRO f(x) AS x": "a query only reads, and this is CREATE",
    "CREATE SECRET s (TYPE s3)": "a query only reads, and this is ",
    "DROP VIEW runs": "a query only reads, and this is DROP",
    "ALTER VIEW runs RENAME TO walks": "a query only reads, and this is ALTER",
    "COMMENT ON VIEW runs IS 'x'": "a query only reads, and this is ALTER",
    "VACUUM": "a query only reads, and this is VACUUM",
    "ANALYZE": "a query only reads, and this is ",
    "CHECKPOINT": "a query only reads, and this is CALL",
    "BEGIN": "a query only reads, and this is TRANSACTION",
    "PREPARE p AS SELECT 1": "a query only reads, and this is PREPARE",
    "EXECUTE p": "a query only reads, and this is EXECUTE",
    "USE mirror": "a query only reads, and this is SET",
    "SET VARIABLE x = 1": "a query only reads, and this is SET",
    "CALL pragma_version()": "a query only reads, and this is CALL",
    "PRAGMA database_list": "a query only reads, and this is PRAGMA",
    "EXPLAIN ANALYZE INSERT INTO mirror.runs VALUES (1)": "a query only reads, and this is INSERT",
    "EXPLAIN ANALYZE COPY (SELECT 1) TO '/tmp/x'": "a query only reads, and this is COPY",
    "EXPLAIN (ANALYZE) CREATE TABLE x (a INT)": "a query only reads, and this is ",
    "SET enable_external_access = true": "a query only reads, and this is SET",
    "SET memory_limit = '100GB'": "a query only reads, and this is SET",
    "RESET lock_configuration": "a query only reads, and this is SET",
    "COPY runs TO '/tmp/out.csv'": "a query only reads, and this is COPY",
    "COPY (SELECT 1) TO '/tmp/out.csv'": "a query only reads, and this is COPY",
    "EXPORT DATABASE '/tmp/out'": "a query only reads, and this is EXPORT",
    "IMPORT DATABASE '/tmp/out'": "a query only reads, and this is ",
    "ATTACH '/tmp/x.db' AS x": "a query only reads, and this is ATTACH",
    "ATTACH ':memory:' AS x": "a query only reads, and this is ATTACH",
    "DETACH mirror": "a query only reads, and this is DETACH",
    "INSTALL httpfs": "a query only reads, and this is LOAD",
    "LOAD httpfs": "a query only reads, and this is LOAD",
    "LOAD '/tmp/x.so'": "a query only reads, and this is LOAD",
    "SELECT 1; SELECT 2": "a question is one statement, and these are 2",
    "SELECT 1; DROP VIEW runs": "a question is one statement, and these are 2",
    "": "there is no query",
    "-- only words": "there is no query",
}
REFUSED = {
    "DROP VIEW runs": "a query only reads, and this is DROP",
    "COPY runs TO '{canary}'": "a query only reads, and this is COPY",
    "FROM read_text('{canary}')": "disabled by configuration",
    "FROM read_blob('{canary}')": "disabled by configuration",
    "FROM read_csv('{canary}')": "disabled by configuration",
    "FROM read_csv_auto('{canary}')": "disabled by configuration",
    "FROM sniff_csv('{canary}')": "disabled by configuration",
    "FROM read_json('{canary}')": "disabled by configuration",
    "FROM read_json_auto('{canary}')": "disabled by configuration",
    "FROM read_ndjson_objects('{canary}')": "disabled by configuration",
    "FROM read_parquet('{canary}')": "disabled by configuration",
    "FROM parquet_metadata('{canary}')": "disabled by configuration",
    "FROM parquet_schema('{canary}')": "disabled by configuration",
    "FROM glob('{folder}/*')": "disabled by configuration",
    "FROM '{canary}'": "does not exist",
    "FROM '{canary}.csv'": "",
    'FROM "{canary}"': "does not exist",
    "FROM query('SELECT * FROM read_text(''{canary}'')')": "disabled by configuration",
    "FROM query_table('{canary}')": "",
    "FROM read_text('https://example.org/')": "",
    "FROM read_csv('s3://bucket/x')": "",
    "FROM read_text('/dev/stdin')": "disabled by configuration",
    "FROM read_text('/proc/self/environ')": "disabled by configuration",
    "SELECT getenv('WF_KEY')": "does not exist",
    "FROM sqlite_scan('{folder}/world.db', 'runs')": "",
    "FROM postgres_scan('host=127.0.0.1', 'public', 'x')": "",
    "FROM load_aws_credentials()": "exists in the aws extension",
    "SELEC 1": "syntax error",
    "SELECT nme FROM runs": "nme",
    "SELECT at FROM events": "",
    "SELECT $a": "Values were not provided",
    "SELECT 'x'::INT": "Conversion Error",
    "SELECT error('stop')": "stop",
}


@pytest.mark.parametrize("sql", NO_QUESTIONS)
def test_only_one_statement_that_reads_is_a_question(sql: str) -> None:
    with duckdb.connect(":memory:") as connection, pytest.raises(QueryError) as caught:
        check_statement(connection, sql)
    assert NO_QUESTIONS[sql] in caught.value.message


def test_whatever_is_not_a_question_about_the_history_is_refused(settings: Settings, folder: Path) -> None:
    """All of them one after the other; the canary file is never read, and nothing is written anywhere."""
    canary = folder / "canary.txt"
    canary.write_text(CANARY)
    before = sorted(path.name for path in folder.iterdir())

    async def perform() -> list[str]:
        wrong: list[str] = []
        async with open_asker(settings, keeps_warm=True) as asker:
            for template, expected in REFUSED.items():
                sql = template.format(canary=canary, folder=folder) if "{" in template else template
                try:
                    rows, _ = await fetch(asker, sql)
                    wrong.append(f"{sql}: answered {rows!r:.100}")
                except QueryError as error:
                    if expected not in error.message or CANARY in error.message.replace(str(canary), ""):
                        wrong.append(f"{sql}: {error.message!r:.300}")
        return wrong

    try:
        assert asyncio.run(perform()) == []
        assert canary.read_text() == CANARY
    finally:
        canary.unlink()
    assert [name for name in before if name != "canary.txt"] == sorted(path.name for path in folder.iterdir())


def test_a_refusal_says_what_to_do(settings: Settings) -> None:
    with pytest.raises(QueryError) as caught:
        ask(settings, "FROM read_text('/etc/hostname')")
    assert caught.value.hint == "a query sees the history and nothing else: no files, no network, no settings"
    with pytest.raises(QueryError) as caught:
        ask(settings, "SELECT count(*) FROM events GROUP BY at")
    assert caught.value.hint == "`at` is a word of SQL: the column is called `recorded_at`"
    with pytest.raises(QueryError) as caught:
        ask(settings, "SELECT $since")
    assert caught.value.hint == "give a value for each `$name`: `--param name=value`"
    with pytest.raises(QueryError) as caught:
        ask(settings, "FROM rns")
    assert caught.value.message == (
        'Catalog Error: Table with name rns does not exist!\nDid you mean "runs"?\n\nLINE 1: FROM rns\n             ^^^'
    )
    assert caught.value.hint == "`wf query --schema` lists the tables and their columns"


def test_what_reads_is_answered(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings, keeps_warm=True) as asker:
            for sql in (
                "FROM runs", "DESCRIBE runs", "SUMMARIZE SELECT steps FROM runs", "SHOW TABLES", "VALUES (1)",
                "WITH x AS MATERIALIZED (FROM steps) SELECT count(*) FROM x", "EXPLAIN FROM runs",
                "EXPLAIN ANALYZE FROM runs", "PIVOT runs ON status USING count(*)", "TABLE steps",
                "UNPIVOT (SELECT 1 AS a, 2 AS b) ON a, b", "FROM query('SELECT 42')",
                "SELECT since('1h') < now(), p95(n), p50(n), p99(n) FROM range(9) AS t(n)",
            ):  # fmt: skip
                rows, done = await fetch(asker, sql)
                assert rows, sql
                assert done.rows == len(rows), sql

    asyncio.run(perform())


# -- limits ----------------------------------------------------------------------------------------

GREEDY = {
    "SELECT list(n) FROM range(1000000000) AS t(n)": "memory",
    "SELECT string_agg(repeat('x', 1000000), '') FROM range(100000)": "memory",
    "SELECT repeat('x', 4000000000)": "memory",
    "SELECT count(*) FROM range(100000000) AS a JOIN range(100000000) AS b ON a.range <> b.range": "either",
    "SELECT max(md5(n::VARCHAR)) FROM range(100000000000) AS t(n)": "time",
    ENDLESS: "either",
}


@pytest.mark.parametrize("sql", GREEDY)
def test_a_query_that_takes_too_much_is_ended_and_others_are_answered(settings: Settings, sql: str) -> None:
    async def perform() -> None:
        async with open_asker(settings) as asker:
            began = time.monotonic()
            seconds = 60 if GREEDY[sql] == "memory" else 1.5  # on a busy machine it fills slowly
            with pytest.raises(QueryLimitError) as caught:
                await fetch(asker, sql, seconds=seconds)
            assert time.monotonic() - began < seconds + 20  # no figure: only that it ends
            words = {"memory": "more memory than the 512 MB", "time": "more than the 1.5 s", "either": "more"}
            assert words[GREEDY[sql]] in caught.value.message
            assert (await fetch(asker, "SELECT count(*) FROM runs"))[0] == [[21]]

    asyncio.run(perform())


def test_a_query_is_cancelled_by_its_id_and_by_who_leaves(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings) as asker:
            asking = asyncio.create_task(_drain(asker, "q1"))
            await until(lambda: bool(children()))
            assert asker.cancel("q1")
            with pytest.raises(QueryLimitError, match="the query was cancelled"):
                await asking
            assert not asker.cancel("q1")
            asking = asyncio.create_task(_drain(asker, "q2"))
            await until(lambda: bool(children()))
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
            await until(lambda: not children())
            assert not asker.cancel("q2")

    asyncio.run(perform())


async def _drain(asker: Asker, id: str) -> None:
    async with aclosing(asker.ask(make_question(ENDLESS), seconds=60, id=id)) as answers:
        async for _ in answers:
            pass


def children() -> list[int]:
    """List the processes that answer for this one."""
    found = []
    for entry in os.scandir("/proc"):
        if entry.name.isdigit():
            try:
                stat = Path(entry.path, "stat").read_text().rpartition(")")[2].split()
                command = Path(entry.path, "cmdline").read_bytes()
            except OSError:
                continue
            if int(stat[1]) == os.getpid() and stat[0] != "Z" and b"wfstudio.history.child" in command:
                found.append(int(entry.name))
    return found


async def until(look: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not look():
            await asyncio.sleep(0.005)


def test_two_queries_with_one_id_are_told_apart(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings) as asker:
            asking = asyncio.create_task(_drain(asker, "same"))
            await until(lambda: bool(children()))
            with pytest.raises(ConflictError, match="a query with the id 'same' is being answered"):
                await _drain(asker, "same")
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)

    asyncio.run(perform())


def test_many_questions_at_once_are_all_answered(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings, at_once=3) as asker:
            found = await asyncio.gather(*(fetch(asker, f"SELECT {n}, count(*) FROM runs") for n in range(8)))
            assert [rows for rows, _ in found] == [[[n, 21]] for n in range(8)]
            assert len(children()) <= 1

    asyncio.run(perform())


def test_a_process_that_is_killed_is_no_crash_of_ours(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings) as asker:
            asking = asyncio.create_task(_drain(asker, "q"))
            await until(lambda: bool(children()))
            await asyncio.sleep(0)
            for pid in children():
                os.kill(pid, 11)
            with pytest.raises(QueryLimitError):
                await asking
            assert (await fetch(asker, "SELECT 1"))[0] == [[1]]

    asyncio.run(perform())


def test_a_warm_process_that_died_while_it_waited_is_replaced(settings: Settings) -> None:
    async def perform() -> None:
        async with open_asker(settings, keeps_warm=True) as asker:
            assert (await fetch(asker, "SELECT 1"))[0] == [[1]]
            await until(lambda: len(children()) == 1)
            for pid in children():
                os.kill(pid, 9)
            await until(lambda: not asker._has_spare())  # the loop has heard of it
            assert (await fetch(asker, "SELECT 2"))[0] == [[2]]

    asyncio.run(perform())


# -- worlds ----------------------------------------------------------------------------------------


def test_a_world_in_memory_has_no_sql_and_says_so(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        Asker(Settings(root=tmp_path, world="memory://"))
    assert caught.value.message == "SQL needs a world in a file, and this is memory://"


def test_a_world_that_is_none_is_an_error_of_the_world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_KEY", "off")
    (tmp_path / "world.db").write_bytes(b"something else" * 1000)
    with pytest.raises(WorldError):
        ask(Settings(root=tmp_path, world=f"sqlite:///{tmp_path}/world.db"), "SELECT 1")


def test_a_server_keeps_its_mirror_near(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_KEY", "off")
    monkeypatch.setattr(asking, "KEEP_UP_SECONDS", 0.01)
    monkeypatch.setattr(asking, "KEEP_UP_CHANGES", 5)
    monkeypatch.setattr(asking, "_start", _start_eagerly)
    world = WorldFile(tmp_path / "world.db")
    path = mirror_path(world.path)

    def count_mirrored() -> int:
        try:
            with duckdb.connect(str(path), read_only=True) as connection:
                return connection.execute("SELECT count(*) FROM runs").fetchall()[0][0]
        except duckdb.Error:  # not there yet, or being written
            return -1

    async def perform() -> None:
        lazy = asking.LazyAsker(Settings(root=tmp_path, world=f"sqlite:///{tmp_path}/world.db"))
        keeping = asyncio.create_task(lazy.keep_up())
        try:
            await until(lambda: lazy.kept == 0)
            assert count_mirrored() == -1
            for number in range(8):
                world.write(make_completed(f"wrun_{number}").events)
            await until(lambda: count_mirrored() == 8)
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
            await lazy.close()

    asyncio.run(perform())
    world.close()


async def _start_eagerly() -> asyncio.subprocess.Process:
    """Start a process whose mirror is far behind at the first change."""
    program = "import sys; from wfstudio.history import child, mirror; mirror.FAR_BEHIND = 0; sys.exit(child.main())"
    pipe = asyncio.subprocess.PIPE
    return await asyncio.create_subprocess_exec(sys.executable, "-c", program, stdin=pipe, stdout=pipe, stderr=pipe)
