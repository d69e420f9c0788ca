"""`wf mcp`: asked by the SDK's own client over standard input and output, about a world that a worker serves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from mcp import Client, StdioServerParameters

from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.core.client import Client as Studio
from wfstudio.mcp.paging import CAP
from wfstudio.mcp.server import make_schema
from wfstudio.mcp.tools import TOOLS

ROOT = Path(__file__).resolve().parents[3]
READING = ["list_runs", "inspect_run", "list_events", "query", "hooks", "logs", "workflows", "replay", "diff"]
ACTING = ["start", "resume", "wake", "retry", "fork", "cancel", "replay_step"]


class Agent:
    """A client of the server, and the worker of the world that it looks at."""

    def __init__(self, client: Client, studio: Studio) -> None:
        self.client = client
        self.studio = studio

    async def ask(self, tool: str, **arguments: Any) -> Any:
        is_error, answer = await self._call(tool, arguments)
        assert not is_error, answer
        return answer

    async def refused(self, tool: str, **arguments: Any) -> Any:
        is_error, answer = await self._call(tool, arguments)
        assert is_error, answer
        assert set(answer["error"]) == {"slug", "message", "where", "hint"}
        return answer["error"]

    async def _call(self, tool: str, arguments: dict[str, Any]) -> tuple[bool, Any]:
        result = await self.client.call_tool(tool, arguments)
        [content] = result.content
        assert content.type == "text"
        assert len(content.text.encode()) <= CAP
        return result.is_error, json.loads(content.text)


@asynccontextmanager
async def agent(folder: Path, *options: str, mode: str = "auto") -> AsyncIterator[Agent]:
    # Told by name which modules there are: a replay then loads the flows of these tests, from the root of the tree.
    environ = {
        "PATH": os.environ["PATH"],
        "HOME": str(folder),
        "WF_WORLD": f"sqlite:///{folder}/world.db",
        "PYTHONPATH": str(ROOT),
    }
    server = StdioServerParameters(
        command=sys.executable, args=["-m", "wfstudio", "mcp", *options], env=environ, cwd=folder
    )
    async with asyncio.timeout(60), open_studio("sqlite", folder) as studio:
        async with Client(server, mode=mode, read_timeout_seconds=30) as client:
            yield Agent(client, studio)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.wf]\nmodules = ["tests.wfstudio.flows"]\n')
    return tmp_path


async def test_the_tools_say_what_they_take_and_what_they_do(project: Path) -> None:
    async with agent(project) as one:
        tools = {tool.name: tool for tool in (await one.client.list_tools()).tools}
    assert list(tools) == READING + ACTING
    for name, tool in tools.items():
        jsonschema.Draft202012Validator.check_schema(tool.input_schema)
        assert tool.input_schema["type"] == "object"
        assert tool.description
        notes = tool.annotations
        assert notes is not None
        assert notes.read_only_hint is (name in READING)
        assert notes.destructive_hint is (name in ("cancel", "replay_step"))
        assert notes.open_world_hint is (name in ACTING and name != "cancel")


async def test_a_reading_server_offers_no_way_to_act(project: Path) -> None:
    async with agent(project, "--read-only", mode="legacy") as one:
        assert [tool.name for tool in (await one.client.list_tools()).tools] == READING
        assert (await one.refused("cancel", run="wrun_1"))["message"] == "there is no tool 'cancel'"


async def test_an_agent_debugs_a_run_from_its_failure_to_a_mended_fork(project: Path) -> None:
    async with agent(project) as one:
        failed = await one.ask("start", workflow="fail", arguments={"message": "no money"}, wait_seconds=20)
        assert failed["run"]["status"] == "failed"
        run_id = failed["run"]["id"]
        [listed] = (await one.ask("list_runs", status=["failed"], since="1h"))["items"]
        assert listed["id"] == run_id
        seen = await one.ask("inspect_run", run=run_id)
        assert seen["run"]["error"]["message"] == "no money"
        assert "raise ValueError(message)" in seen["run"]["error"]["traceback"]
        [step] = seen["steps"]
        assert (step["name"], step["input"]) == ("studio.explode", {"message": "no money"})
        events = (await one.ask("list_events", run=run_id))["items"]
        assert [event["type"] for event in events][-1] == "run_failed"
        assert (await one.ask("replay", run=run_id))["outcome"] == "clean"
        moment = await one.ask("replay", run=run_id, at=3)
        [task] = moment["tasks"]
        assert task["frames"][0]["locals"][0]["name"] == "message"
        again = await one.ask("replay_step", run=run_id, step="explode", input={"message": "still none"})
        assert again["outcome"] == "differs"
        fork = await one.ask("fork", run=run_id, outputs={"explode": None}, wait_seconds=20)
        assert fork["run"]["status"] == "completed"
        assert fork["notes"]
        parted = await one.ask("diff", a=run_id, b=fork["run"]["id"])
        assert parted["divergence"]["name"] == "studio.explode"
        assert [call["state"] for call in parted["calls"]] == ["changed"]
        assert (await one.ask("diff", a=run_id, codes=["own", "today"]))["is_same"] is True


async def test_an_agent_answers_hooks_wakes_sleepers_retries_and_cancels(project: Path) -> None:
    async with agent(project) as one:
        waiting = (await one.ask("start", workflow="approve", arguments=["docs"], id="site-docs"))["run"]["id"]
        assert waiting == "site-docs"
        await rest(one.studio, waiting)
        [hook] = (await one.ask("hooks"))["items"]
        assert (hook["token"], hook["run_id"]) == ("site:docs", waiting)
        assert (await one.refused("resume", token="site:docs", payload={"approved": "maybe"}))["slug"] == "validation"
        await one.ask("resume", token="site:docs", payload={"approved": True})
        assert (await one.ask("inspect_run", run=waiting, wait_seconds=20))["run"]["output"] == "live"

        napping = (await one.ask("start", workflow="nap"))["run"]["id"]
        await rest(one.studio, napping, "sleeping")
        assert (await one.ask("inspect_run", run=napping))["waits"][0]["kind"] == "sleep"
        assert await one.ask("wake", run=napping) == {"id": napping, "sleeps": 1}

        other = (await one.ask("start", workflow="nap"))["run"]["id"]
        await rest(one.studio, other, "sleeping")
        await one.ask("cancel", run=other, reason="enough")
        assert (await one.ask("inspect_run", run=other, wait_seconds=20))["run"]["status"] == "cancelled"
        again = await one.ask("retry", run=other)
        assert again["run"]["forked_from"] == other


async def test_an_agent_asks_in_sql_reads_logs_and_finds_workflows(project: Path) -> None:
    async with agent(project) as one:
        ended = await run(one.studio, "greet", "ada", times=3)
        found = await one.ask("query", sql="SELECT name, count(*) AS n FROM steps WHERE run_id = $r GROUP BY name",
                              parameters={"r": ended.id})  # fmt: skip
        assert found == {"columns": ["name", "n"], "rows": [["studio.greet_one", 3]], "cursor": None}
        lines = (await one.ask("logs", run=ended.id))["items"]
        assert [line["text"] for line in lines[:2]] == ["greeting ada", "about ada"]
        [greet] = (await one.ask("workflows", name="greet"))["items"]
        assert greet["id"] == "studio.greet"
        assert greet["doc"] == "Greet somebody, several times."
        verdicts = await one.ask("replay", runs="last:5")
        assert (verdicts["clean"], len(verdicts["items"])) == (1, 1)


async def test_pages_go_on_where_the_one_before_ended(project: Path) -> None:
    async with agent(project) as one:
        ended = await run(one.studio, "greet", "x" * 200, times=150)
        for tool, name, arguments in (
            ("list_events", "items", {"run": ended.id, "limit": 500}),
            ("inspect_run", "steps", {"run": ended.id}),
            ("logs", "items", {"run": ended.id, "limit": 60}),
            ("query", "rows", {"sql": "SELECT seq, repeat('y', 500) FROM events ORDER BY seq", "limit": 120}),
        ):
            found, cursor, count = list[Any](), None, 0
            while True:
                page = await one.ask(tool, **arguments, cursor=cursor)
                found += page[name]
                count += 1
                cursor = page["cursor"]
                if cursor is None:
                    break
            keys = [item["seq"] if isinstance(item, dict) and "seq" in item else json.dumps(item) for item in found]
            assert count > 1, tool
            assert len(set(keys)) == len(keys), tool
            assert len(found) == {"list_events": 304, "inspect_run": 150, "logs": 300, "query": 304}[tool]


async def test_a_large_payload_is_told_by_its_size_and_read_with_sql(project: Path) -> None:
    async with agent(project) as one:
        ended = await run(one.studio, "studio.gather", 1, text="n" * 50_000)
        seen = await one.ask("inspect_run", run=ended.id)
        assert seen["run"]["output"]["$large"] > 50_000
        sql = "SELECT substr(output->>'$[2].text', 1, 3) FROM runs WHERE run_id = $r"
        assert (await one.ask("query", sql=sql, parameters={"r": ended.id}))["rows"] == [["nnn"]]


async def test_what_does_not_fit_is_refused_with_its_cure(project: Path) -> None:
    async with agent(project) as one:
        nobody = await one.refused("inspect_run", run="wrun_none")
        assert nobody["slug"] == "run-not-found"
        close = await one.refused("start", workflow="gret")
        assert (close["slug"], "greet" in close["hint"] + close["message"]) == ("not-registered", True)
        assert await one.refused("inspect_run", run=5) == {
            "slug": "usage",
            "message": "inspect_run: expected `str`, got `int` - at `$.run`",
            "where": None,
            "hint": "it takes run, max_bytes, wait_seconds, cursor",
        }
        assert (await one.refused("inspect_rnu"))["hint"] == "did you mean inspect_run or list_runs?"
        assert (await one.refused("list_runs", limit=0))["slug"] == "usage"
        assert (await one.refused("list_runs", since="soon"))["hint"] == "write `2h`, or `1d`"
        assert (await one.refused("query", sql="SELECT nothing FROM runs"))["slug"] == "query"
        assert (await one.refused("query", sql="DROP TABLE runs"))["slug"] == "query"
        assert (await one.refused("replay"))["message"] == "name a run, or several with `runs`"
        assert (await one.refused("diff", a="x"))["message"] == "name the run to compare it with, or codes"


async def test_in_a_world_without_code_nothing_is_started_and_the_cure_is_a_worker(project: Path) -> None:
    server = StdioServerParameters(command=sys.executable, args=["-m", "wfstudio", "mcp"], cwd=project)
    loads_nothing = "import asyncio, wf\nasync def main():\n    async with wf.worker(): pass\nasyncio.run(main())"
    subprocess.run([sys.executable, "-c", loads_nothing], cwd=project, check=True, timeout=30)
    async with asyncio.timeout(30), Client(server) as client:
        result = await client.call_tool("start", {"workflow": "greet"})
    [content] = result.content
    assert content.type == "text"
    assert json.loads(content.text)["error"] == {
        "slug": "not-found",
        "message": "no worker has told of its workflows here yet",
        "where": None,
        "hint": "start one: `wf dev`, or `wf worker`",
    }


async def test_a_world_that_is_not_there_is_named_and_none_is_made(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "wfstudio", "mcp", "--world", "sqlite:///none/world.db"]
    server = StdioServerParameters(command=command[0], args=command[1:], cwd=tmp_path)
    async with asyncio.timeout(30), Client(server) as client:
        result = await client.call_tool("list_runs", {})
    assert result.is_error
    [content] = result.content
    assert content.type == "text"
    assert "there is no world at" in content.text
    assert list(tmp_path.iterdir()) == []


def test_every_tool_has_a_schema_of_its_own_arguments() -> None:
    for tool in TOOLS.values():
        assert list(make_schema(tool)["properties"]) == list(tool.ask.__struct_fields__)
