"""SQL over HTTP: answers as they come, every way to fail, and no query that outlives who asked it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.ipc
import pyarrow.parquet
import pytest

from tests.wfstudio.history.processes import LISTS, children, wait_for_children, wait_until_gone
from tests.wfstudio.site import Answer, Site, Wire, enc, open_site, serving
from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.history.library import Library
from wfstudio.history.schema import show_schema
from wfstudio.server import query

ENDLESS = "WITH RECURSIVE t(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM t) SELECT count(*) FROM t"
UNDER_WAY = (
    "SELECT CASE WHEN range < 18000 THEN repeat('x', 1000) || range ELSE error('stop') END AS x FROM range(20000)"
)
"""Fails when there have been 18 MB of it: DuckDB works ahead of its reader by one."""
ARROW = ("accept", "application/vnd.apache.arrow.stream")
PARQUET = ("accept", "application/vnd.apache.parquet")


@asynccontextmanager
async def open_past(folder: Path) -> AsyncIterator[Site]:
    """Open a site on which two runs completed, one failed and one waits."""
    async with open_site("sqlite", folder) as site:
        await run(site.client, "greet", "ada", times=2)
        await run(site.client, "greet", "bob")
        await run(site.client, "fail", "no money")
        await rest(site.client, (await site.client.start("approve", ["docs"])).id)
        yield site


async def ask(site: Site, sql: str, *, headers: Any = None, **options: Any) -> Answer:
    return await site.ask("POST", "/api/query", {"sql": sql, **options}, headers=headers)


# -- answers -------------------------------------------------------------------------------------


async def test_an_answer_has_columns_rows_and_how_it_went(tmp_path: Path) -> None:
    async with open_past(tmp_path) as site:
        sql = (
            "SELECT workflow, count(*) AS n, any_value(input) AS input FROM runs"
            " WHERE status = $s AND steps >= $n GROUP BY ALL"
        )
        answer = await ask(site, sql, parameters={"s": "completed", "n": 2})
        assert (answer.status, answer.header("content-type")) == (200, "application/json")
        found = answer.json
        assert found.pop("elapsed_ms") > 0
        assert found == {
            "columns": [
                {"name": "workflow", "type": "VARCHAR"},
                {"name": "n", "type": "BIGINT"},
                {"name": "input", "type": "JSON"},
            ],
            "rows": [["studio.greet", 1, {"name": "ada", "times": 2}]],
            "row_count": 1,
            "is_capped": False,
            "error": None,
        }
        locked = (await ask(site, "SELECT input, status FROM runs LIMIT 1", locked=True)).json
        assert locked["rows"] == [[None, "completed"]]
        nothing = (await ask(site, "FROM runs SELECT run_id WHERE false")).json
        assert (nothing["rows"], nothing["row_count"], nothing["columns"][0]["name"]) == ([], 0, "run_id")
        two = (await ask(site, "SELECT 1 AS a, 2 AS a, 12345678901234567890.10::DECIMAL(38, 2) AS d")).body
        assert b'"rows":[[1,2,12345678901234567890.10]]' in two


async def test_an_answer_in_arrow_is_read_by_others(tmp_path: Path) -> None:
    async with open_past(tmp_path) as site:
        sql = "SELECT run_id, created_at, steps, output FROM runs ORDER BY created_at"
        answer = await ask(site, sql, headers=[ARROW])
        assert (answer.status, answer.header("content-type")) == (200, "application/vnd.apache.arrow.stream")
        table = pa.ipc.open_stream(answer.body).read_all()
        assert [str(field.type) for field in table.schema] == ["string", "timestamp[us, tz=UTC]", "int64", "string"]
        rows = (await ask(site, sql)).json["rows"]
        assert table.column("run_id").to_pylist() == [row[0] for row in rows]
        assert table.column("steps").to_pylist() == [2, 1, 1, 0]
        assert json.loads(table.column("output")[0].as_py()) == ["hello, ada", "hello, ada"]
        nothing = await ask(site, "FROM runs WHERE false", headers=[ARROW])
        assert pa.ipc.open_stream(nothing.body).read_all().num_rows == 0


async def test_an_answer_in_parquet_is_a_file_that_others_read(tmp_path: Path) -> None:
    async with open_past(tmp_path) as site:
        sql = "SELECT run_id, created_at, steps FROM runs ORDER BY created_at"
        answer = await ask(site, sql, headers=[PARQUET])
        assert (answer.status, answer.header("content-type")) == (200, "application/vnd.apache.parquet")
        table = pa.parquet.read_table(pa.BufferReader(answer.body))
        assert [str(field.type) for field in table.schema] == ["string", "timestamp[us, tz=UTC]", "int64"]
        assert table.column("steps").to_pylist() == [2, 1, 1, 0]
        wrong = await ask(site, "SELECT nope FROM runs", headers=[PARQUET])
        assert (wrong.status, wrong.json["error"]["slug"]) == (400, "query")
        broken = await ask(site, UNDER_WAY, limit=100_000, headers=[PARQUET])
        assert (broken.status, broken.body[-4:] == b"PAR1") == (200, False)
        with pytest.raises((pa.ArrowException, OSError)):
            pa.parquet.read_table(pa.BufferReader(broken.body))


async def test_answers_are_capped_by_rows_and_by_bytes_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with open_site("sqlite", tmp_path) as site:
        found = (await ask(site, "FROM range(100)", limit=3)).json
        assert (found["rows"], found["row_count"], found["is_capped"]) == ([[0], [1], [2]], 3, True)
        found = (await ask(site, "FROM range(20000)")).json
        assert (found["row_count"], found["is_capped"]) == (query.ROWS, True) == (10_000, True)
        table = pa.ipc.open_stream((await ask(site, "FROM range(100)", limit=3, headers=[ARROW])).body).read_all()
        assert table.column("range").to_pylist() == [0, 1, 2]
        monkeypatch.setattr(query, "JSON_BYTES", 10_000)
        monkeypatch.setattr(query, "BINARY_BYTES", 200_000)
        answer = await ask(site, "SELECT repeat('x', 1000) AS x FROM range(100)")
        assert (answer.json["row_count"], answer.json["is_capped"], len(answer.body) < 10_500) == (9, True, True)
        answer = await ask(site, "SELECT repeat('x', 50) AS x FROM range(100000)", limit=100_000, headers=[ARROW])
        assert 0 < pa.ipc.open_stream(answer.body).read_all().num_rows < 4_000


async def test_several_are_answered_at_once(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site:
        answers = await asyncio.gather(*(ask(site, f"SELECT {n} AS n", id=f"q{n}") for n in range(3)))
        assert [answer.json["rows"] for answer in answers] == [[[0]], [[1]], [[2]]]


async def test_the_schema_is_what_the_page_lists(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site:
        answer = await site.ask("GET", "/api/query/schema")
        assert (answer.status, answer.json) == (200, msgspec.to_builtins(show_schema()))
    async with open_site() as site:
        assert (await site.ask("GET", "/api/query/schema")).status == 200, "it needs no world in a file"


# -- failures ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "the body does not fit: Object missing required field `sql`"),
        ({"sql": 1}, "the body does not fit: Expected `str`, got `int` - at `$.sql`"),
        ({"sql": "FROM runs", "rows": 1}, "the body does not fit: Object contains unknown field `rows`"),
        ({"sql": "FROM runs", "limit": 0}, "the body does not fit: Expected `int` >= 1 - at `$.limit`"),
        ({"sql": "FROM runs", "limit": 100_001}, "the body does not fit: Expected `int` <= 100000 - at `$.limit`"),
        ({"sql": "FROM runs", "timeout_seconds": 0}, "the body does not fit: Expected `float` > 0.0"),
        ({"sql": "FROM runs", "timeout_seconds": 301}, "the body does not fit: Expected `float` <= 300.0"),
        ({"sql": "FROM runs", "id": "a/b"}, "the body does not fit: Expected `str` matching regex"),
        ({"sql": "FROM runs", "parameters": {"a": [1]}}, "the body does not fit: Expected `bool | int | float"),
        ({"sql": "FROM runs", "parameters": {"a": 2**64}}, "the body does not fit: Expected `int` <= 92233720368"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_before_anything_starts(body: Any, message: str) -> None:
    async with open_site() as site:
        answer = await site.ask("POST", "/api/query", body)
        assert (answer.status, answer.slug) == (400, "usage")
        assert answer.json["error"]["message"].startswith(message)


WRONG = {
    "SELECT 'x'::INT": "Conversion Error: Could not convert string 'x' to INT32",
    "SELEC 1": 'Parser Error: syntax error at or near "SELEC"',
    "DROP VIEW runs": "a query only reads, and this is DROP",
    "": "there is no query",
}


@pytest.mark.parametrize("headers", [[], [ARROW]], ids=["json", "arrow"])
async def test_what_is_wrong_with_a_query_has_its_own_status(tmp_path: Path, headers: Any) -> None:
    async with open_site("sqlite", tmp_path) as site:
        for sql in list(WRONG)[: 1 if headers else None]:
            answer = await ask(site, sql, headers=headers)
            assert (answer.status, answer.slug) == (400, "query"), sql
            assert answer.json["error"]["message"].startswith(WRONG[sql]), sql
            assert answer.json["error"]["hint"], sql
        answer = await ask(site, ENDLESS, timeout_seconds=0.3, headers=headers)
        assert (answer.status, answer.slug) == (422, "query-limit")
        assert answer.json["error"]["message"] == "the query took more than the 0.3 s that it may take"


async def test_a_world_in_memory_has_no_sql() -> None:
    async with open_studio() as client:
        client.session.settings = msgspec.structs.replace(client.session.settings, world="memory://")
        site = Site(client)
        answer = await ask(site, "SELECT 1")
        assert (answer.status, answer.slug) == (400, "usage")
        assert answer.json["error"]["message"] == "SQL needs a world in a file, and this is memory://"
        assert (await site.ask("POST", "/api/query/q/cancel")).status == 400


async def test_what_fails_under_way_has_its_error_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "JSON_BYTES", 64 << 20)
    async with open_site("sqlite", tmp_path) as site:
        answer = await ask(site, UNDER_WAY, limit=100_000)
        found = answer.json
        assert answer.status == 200, "the rows had begun"
        assert 0 < len(found["rows"]) < 18_000
        assert (found["row_count"], found["is_capped"], found["elapsed_ms"]) == (None, None, None)
        assert (found["error"]["slug"], found["error"]["message"]) == ("query", "Invalid Input Error: stop")


async def test_an_arrow_stream_that_fails_under_way_cannot_be_taken_for_a_whole_one(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site:
        answer = await ask(site, UNDER_WAY, limit=100_000, headers=[ARROW])
        assert answer.status == 200
        reader = pa.ipc.open_stream(answer.body)
        with pytest.raises((pa.ArrowException, OSError)):
            reader.read_all()
        error = json.loads(answer.body[answer.body.rindex(b'{"error"') :])["error"]
        assert (error["slug"], error["message"]) == ("query", "Invalid Input Error: stop")


# -- ends ----------------------------------------------------------------------------------------


@LISTS
async def test_a_query_is_cancelled_by_another_request(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site:
        asking = asyncio.create_task(ask(site, ENDLESS, id="q-1", timeout_seconds=60))
        busy = await wait_for_children()
        taken = await ask(site, "SELECT 1", id="q-1")
        assert (taken.status, taken.slug) == (409, "conflict")
        assert taken.json["error"]["message"] == "a query with the id 'q-1' is being answered"
        assert (await site.ask("POST", "/api/query/q-1/cancel", {})).status == 204
        answer = await asking
        assert (answer.status, answer.slug) == (422, "query-limit")
        assert answer.json["error"]["message"] == "the query was cancelled"
        assert not busy & children()
        gone = await site.ask("POST", "/api/query/q-1/cancel")
        assert (gone.status, gone.slug) == (404, "not-found")
        assert gone.json["error"]["message"] == "no query with the id 'q-1' is being answered"
        assert (await ask(site, "SELECT 1", id="q-1")).status == 200, "the id is free again"
        assert len(children()) == 1, "and one process is kept warm"
    assert children() == set()


async def wait_until_free(site: Site, id: str, host: str) -> None:
    """Wait until no query of an id is being answered: that is when its process is gone, and another one is ready."""
    async with asyncio.timeout(20):
        while (await site.ask("POST", f"/api/query/{id}/cancel", host=host)).status != 404:
            await asyncio.sleep(0.01)


@LISTS
async def test_a_client_that_leaves_before_its_answer_ends_its_query(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site, serving(site) as server:
        wire = await Wire.open(server.port)
        host = f"127.0.0.1:{server.port}"
        body = msgspec.json.encode({"sql": ENDLESS, "id": "q", "timeout_seconds": 60})
        await wire.ask("POST", "/api/query", body=body)
        busy = await wait_for_children()
        await wire.close()
        await wait_until_gone(busy)
        await wait_until_free(site, "q", host)


@LISTS
async def test_a_client_that_leaves_within_its_answer_ends_its_query(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site, serving(site) as server:
        wire = await Wire.open(server.port)
        host = f"127.0.0.1:{server.port}"
        body = msgspec.json.encode(
            {"sql": "SELECT repeat('x', 10000) AS x FROM range(100000)", "limit": 100_000, "id": "q"}
        )
        await wire.ask("POST", "/api/query", f"{ARROW[0]}: {ARROW[1]}", body=body)
        assert (await wire.head())[0] == 200
        busy = await wait_for_children()
        await wire.close()  # most of it is unread
        await wait_until_gone(busy)
        await wait_until_free(site, "q", host)


@LISTS
async def test_a_server_that_closes_ends_its_queries(tmp_path: Path) -> None:
    async with open_site("sqlite", tmp_path) as site:
        async with serving(site) as server:
            wire = await Wire.open(server.port)
            await wire.ask("POST", "/api/query", body=msgspec.json.encode({"sql": ENDLESS, "timeout_seconds": 60}))
            await wait_for_children()
        await wait_until_gone(children())
        await wire.close()


# -- saved queries -------------------------------------------------------------------------------


async def test_queries_are_listed_kept_and_never_replaced_by_accident(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\n")
    async with open_site("sqlite", tmp_path) as site:
        shipped = (await site.ask("GET", "/api/queries")).json["items"]
        assert shipped == msgspec.to_builtins(Library(tmp_path).list())
        assert {item["origin"] for item in shipped} == {"wf"}
        answer = await site.ask("POST", "/api/queries", {"name": "mine", "sql": "-- Mine.\nFROM runs\n\n"})
        mine = {"name": "mine", "doc": "Mine.", "sql": "-- Mine.\nFROM runs\n", "origin": "project"}
        assert (answer.status, answer.json) == (201, mine)
        assert (tmp_path / "queries" / "mine.sql").read_text() == mine["sql"]
        answer = await site.ask("POST", "/api/queries", {"name": "mine", "sql": "SELECT 2"})
        assert (answer.status, answer.slug) == (409, "conflict")
        answer = await site.ask("POST", "/api/queries", {"name": "mine", "sql": "SELECT 2", "replace": True})
        assert (answer.status, answer.json["sql"]) == (201, "SELECT 2\n")
        assert (await site.ask("GET", "/api/queries")).json["items"][0] == answer.json


@pytest.mark.parametrize(
    "name", ["../x", "..", "/etc/cron.d/x", "a/b", "a\\b", "x.sql", "X", "", "x\n", "x\u0000", "a" * 65, "ä", "-x"]
)
async def test_a_name_is_no_way_out_of_the_projects_folder(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "project"
    root.mkdir()
    (root / "pyproject.toml").write_text("[tool.wf]\n")
    monkeypatch.chdir(root)
    async with open_site("sqlite", tmp_path) as site:
        answer = await site.ask("POST", "/api/queries", {"name": name, "sql": "SELECT 1", "replace": True})
        assert (answer.status, answer.slug) == (400, "usage")
        assert answer.json["error"]["message"] == f"{name!r:.80} is no name for a query"
    assert [path.name for path in root.iterdir()] == ["pyproject.toml"]
    assert not list(tmp_path.rglob("*.sql"))


# -- who may ask ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/api/query", {"sql": "SELECT 1"}),
        ("POST", f"/api/query/{enc('q')}/cancel", {}),
        ("GET", "/api/query/schema", msgspec.UNSET),
        ("GET", "/api/queries", msgspec.UNSET),
        ("POST", "/api/queries", {"name": "mine", "sql": "SELECT 1"}),
    ],
)
async def test_nobody_asks_without_a_token_or_from_another_site(
    method: str, path: str, body: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_site() as site:
        assert (await site.ask(method, path, body, token=None)).status == 401
        assert (await site.ask(method, path, body, token="x" * 43)).status == 401
        for foreign in (
            [("origin", "https://evil.example")],
            [("origin", "null"), ("x-wf", "1")],
            [("sec-fetch-site", "cross-site")],
            site.browser(origin="http://127.0.0.1:9999"),
        ):
            assert (await site.ask(method, path, body, headers=foreign)).status == 403, foreign
        assert (await site.ask(method, path, body, host="evil.example:4600")).status == 403
        if body:
            plain = [("content-type", "text/plain")]
            answer = await site.ask(method, path, body=msgspec.json.encode(body), headers=plain)
            assert answer.status == 415
    assert not (tmp_path / "queries").exists()
