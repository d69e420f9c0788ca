"""Faults over HTTP: under `wf dev` they are injected; elsewhere every route says why not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wfstudio.site import PORT, TOKEN, call, open_site
from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.core.live import Feed
from wfstudio.server.access import Access
from wfstudio.server.app import make_app


async def test_a_fault_is_added_listed_and_taken_back() -> None:
    async with open_site() as site:
        body = {"action": "fail=ValueError: no", "workflow": "greet", "attempt": 1, "probability": 0.5, "seed": 7}
        added = await site.ask("POST", "/api/faults", body)
        rule = {
            "id": "f1", "action": "fail", "run": None, "workflow": "greet", "step": None, "hook": None, "attempt": 1,
            "probability": 0.5, "seed": 7, "error": "ValueError", "message": "no", "delay_ms": None,
        }  # fmt: skip
        assert (added.status, added.json) == (201, rule)
        await site.ask("POST", "/api/faults", {"action": "crash", "run": "wrun_to_come"})
        assert [item["id"] for item in (await site.ask("GET", "/api/faults")).json["items"]] == ["f1", "f2"]
        assert (await site.ask("DELETE", "/api/faults/f1")).json == {"cleared": 1}
        assert (await site.ask("DELETE", "/api/faults/f1")).slug == "fault"
        assert (await site.ask("DELETE", "/api/faults")).json == {"cleared": 1}
        assert (await site.ask("GET", "/api/faults")).json == {"items": []}


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"action": "explode", "run": "r"}, 400, "usage"),
        ({"action": "fail"}, 400, "usage"),
        ({"action": "fail", "run": "r", "attempt": 0}, 400, "usage"),
        ({"action": "fail", "run": "r", "probability": 2}, 400, "usage"),
        ({"action": "fail", "run": "r", "when": "now"}, 400, "usage"),
        ({"action": "fail", "workflow": "gret"}, 404, "not-registered"),
        ({"action": "fail", "run": "done"}, 409, "fault"),
    ],
)
async def test_what_is_no_fault_is_refused(body: dict[str, Any], status: int, slug: str) -> None:
    async with open_site() as site:
        done = await site.client.start("greet", ["ada"], id="done")
        await site.client.wait_for_end(done.id, 10)
        answer = await site.ask("POST", "/api/faults", body)
        assert (answer.status, answer.slug) == (status, slug)


async def test_a_run_jumps_to_its_next_due_time() -> None:
    async with open_site() as site:
        nap = await site.client.start("nap", [3600])
        await rest(site.client, nap.id, "sleeping")
        answer = await site.ask("POST", f"/api/runs/{nap.id}/jump")
        assert (answer.status, answer.json["kind"]) == (200, "sleep")
        assert (await site.client.wait_for_end(nap.id, 10)).output == "rested"
        assert (await site.ask("POST", f"/api/runs/{nap.id}/jump")).slug == "fault"
        assert (await site.ask("POST", "/api/runs/none/jump")).status == 404


async def test_without_wf_dev_nothing_is_disturbed_and_the_reason_is_told() -> None:
    async with open_studio() as client:
        done = await run(client, "greet", "ada")
        app = make_app(client, Feed(), access=Access(TOKEN, port=PORT))
        for method, path in (("GET", "/api/faults"), ("POST", "/api/faults"), ("DELETE", "/api/faults"),
                             ("DELETE", "/api/faults/f1"), ("POST", f"/api/runs/{done.id}/jump")):  # fmt: skip
            headers = [("host", f"127.0.0.1:{PORT}"), ("authorization", f"Bearer {TOKEN}")]
            body = b'{"action":"crash","run":"r"}' if path == "/api/faults" and method == "POST" else b""
            if body:
                headers += [("content-type", "application/json"), ("content-length", str(len(body)))]
            answer = await call(app, method, path, headers, [body])
            assert (answer.status, answer.slug) == (409, "fault")
            assert answer.json["error"]["message"] == (
                "faults are injected under `wf dev` only: this server serves for production"
            )
        await app.end_queries()
