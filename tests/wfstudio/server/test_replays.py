"""Replays, step replays and moments over HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.recorded import Recording, recording
from tests.wfstudio.site import PORT, TOKEN, Answer, call
from wf.worlds.memory import MemoryWorld
from wfstudio.core.live import Feed
from wfstudio.server.access import Access
from wfstudio.server.app import App, make_app


class Asked:
    """A recording behind an app."""

    def __init__(self, found: Recording, app: App) -> None:
        self.found = found
        self.app = app

    async def ask(self, method: str, path: str, json: Any = None) -> Answer:
        import msgspec

        headers = [("host", f"127.0.0.1:{PORT}"), ("authorization", f"Bearer {TOKEN}")]
        body = b"" if json is None else msgspec.json.encode(json)
        if body:
            headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
        return await call(self.app, method, path, headers, [body])


@asynccontextmanager
async def asking(root: Path) -> AsyncIterator[Asked]:
    async with recording(root) as found:
        access = Access(TOKEN, port=PORT)
        app = make_app(found.client, Feed(), access=access, replays=found.replays)
        try:
            yield Asked(found, app)
        finally:
            await app.end_replays()
            await app.end_queries()


async def test_a_run_is_replayed_against_the_code_that_is_named(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.rest("order", "ada")
        before = await site.found.read_everything(run_id)
        clean = await site.ask("POST", f"/api/runs/{run_id}/replay")
        assert (clean.status, clean.json["outcome"]) == (200, "clean")
        site.found.edit("charge(card, number)", "charge(card, 9)")
        diverging = (await site.ask("POST", f"/api/runs/{run_id}/replay", {})).json
        assert (diverging["outcome"], diverging["seq"], diverging["where"]) == ("diverges", 3, "flow.py:26 in order")
        own = (await site.ask("POST", f"/api/runs/{run_id}/replay", {"deployment": "own"})).json
        assert (own["outcome"], own["deployment_id"]) == ("clean", site.found.session.deployment_id)
        assert await site.found.read_everything(run_id) == before


async def test_several_runs_are_replayed_at_once(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        await site.found.run("pay", "ada")
        await site.found.rest("order", "ada")
        answer = (await site.ask("POST", "/api/replay", {"runs": "all"})).json
        assert ([item["outcome"] for item in answer["items"]], answer["clean"]) == (["clean", "clean"], 2)
        assert len((await site.ask("POST", "/api/replay")).json["items"]) == 1
        assert (await site.ask("POST", "/api/replay", {"runs": "some"})).slug == "usage"


async def test_a_step_is_carried_out_once_more_with_edited_input(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.run("pay", "ada")
        before = await site.found.read_everything(run_id)
        same = (await site.ask("POST", f"/api/runs/{run_id}/steps/charge/replay")).json
        assert (same["outcome"], same["logs"][0]["text"]) == ("same", "charging ada")
        edited = (await site.ask("POST", f"/api/runs/{run_id}/steps/1/replay", {"input": {"amount": 9}})).json
        assert edited["changes"] == [{"path": "result.amount", "kind": "changed", "before": 3, "after": 9}]
        assert await site.found.read_everything(run_id) == before


async def test_a_moment_is_shown_with_frames_and_locals(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.rest("order", "ada")
        view = (await site.ask("GET", f"/api/runs/{run_id}/at/4")).json
        [main] = view["tasks"]
        [frame] = main["frames"]
        assert (frame["file"], frame["line"], frame["function"]) == ("flow.py", 26, "order")
        assert {local["name"]: local["change"] for local in frame["locals"]} == {
            "card": None, "total": None, "number": "changed", "receipt": "new",
        }  # fmt: skip
        assert main["awaits"]["text"] == "step flow:charge"
        assert (await site.ask("GET", f"/api/runs/{run_id}/at/last")).json["seq"] == 7
        today = (await site.ask("GET", f"/api/runs/{run_id}/at/4?deployment=today")).json
        assert today["tasks"] == view["tasks"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "slug"),
    [
        ("POST", "/api/runs/wrun_none/replay", {}, 404, "run-not-found"),
        ("POST", "/api/runs/RUN/replay", {"deployment": "dep_none"}, 404, "not-found"),
        ("POST", "/api/runs/RUN/replay", {"deployment": ""}, 400, "usage"),
        ("POST", "/api/runs/RUN/replay", {"code": "x"}, 400, "usage"),
        ("POST", "/api/runs/RUN/steps/99/replay", {}, 404, "not-found"),
        ("POST", "/api/runs/RUN/steps/1/replay", {"input": {"amount": "x"}}, 400, "usage"),
        ("POST", "/api/runs/RUN/steps/1/replay", {"timeout": 0}, 400, "usage"),
        ("POST", "/api/runs/RUN/steps/1/replay", {"attempt": 2}, 404, "not-found"),
        ("GET", "/api/runs/RUN/at/99", None, 404, "not-found"),
        ("GET", "/api/runs/RUN/at/x", None, 400, "usage"),
        ("GET", "/api/runs/RUN/at/1?deployment=dep_none", None, 404, "not-found"),
    ],
)
async def test_what_cannot_be_answered_has_a_status_and_a_slug(
    tmp_path: Path, method: str, path: str, body: Any, status: int, slug: str
) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.run("pay", "ada")
        answer = await site.ask(method, path.replace("RUN", run_id), body)
        assert (answer.status, answer.slug) == (status, slug)


async def test_code_that_does_not_load_or_dies_is_no_failure_of_the_server(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.run("pay", "ada")
        site.found.edit("import asyncio", "import asyncioo")
        replay = await site.ask("POST", f"/api/runs/{run_id}/replay")
        assert (replay.status, replay.json["outcome"], replay.json["code"]) == (200, "cannot_load", "LOAD")
        step = await site.ask("POST", f"/api/runs/{run_id}/steps/1/replay")
        assert (step.status, step.slug) == (422, "load")
        assert step.json["error"]["where"] == "flow.py:1 in <module>"
        site.found.edit("import asyncioo", "import os")
        site.found.edit('    print("charging", card)', "    os._exit(3)")
        step = await site.ask("POST", f"/api/runs/{run_id}/steps/1/replay")
        assert (step.status, step.slug) == (422, "bench")
        moment = await site.ask("GET", f"/api/runs/{run_id}/at/1?deployment=today")
        assert moment.status == 200


async def test_a_run_that_was_imported_without_payloads_cannot_be_replayed(tmp_path: Path) -> None:
    import msgspec

    from wf.world import ImportedRun

    async with asking(tmp_path) as site:
        row, log, _, _ = await site.found.read_everything(await site.found.run("pay", "ada"))
        other = MemoryWorld()
        await other.import_run(ImportedRun(msgspec.structs.replace(row, origin="redacted:a.wfbundle"), log))
        site.found.session.world = other
        answer = await site.ask("GET", f"/api/runs/{row.run_id}/at/1")
        assert (answer.status, answer.slug) == (409, "conflict")
        assert "its payloads were left out" in answer.json["error"]["message"]
        replay = (await site.ask("POST", f"/api/runs/{row.run_id}/replay")).json
        assert (replay["outcome"], replay["code"]) == ("cannot_load", "IMPORTED")
