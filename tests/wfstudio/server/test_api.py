"""The API, route by route, on a real world with a real worker."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.wfstudio.site import enc, open_site
from tests.wfstudio.studio import DEPLOYMENT, DIGEST, SOURCE, rest, run
from wfstudio.core.views import RunQuery
from wfstudio.server import studio


async def test_a_run_is_started_read_and_listed() -> None:
    async with open_site() as site:
        body = {"workflow": "greet", "args": ["ada"], "kwargs": {"times": 2}, "attributes": {"tenant": "acme"}}
        answer = await site.ask("POST", "/api/runs", body)
        assert (answer.status, answer.json["workflow"]) == (201, "studio.greet")
        run_id = answer.json["id"]
        await site.client.wait_for_end(run_id, 10)
        answer = await site.ask("GET", f"/api/runs/{run_id}")
        assert answer.status == 200
        assert answer.header("content-type") == "application/json"
        assert answer.json["output"] == ["hello, ada", "hello, ada"]
        assert answer.json["attributes"] == {"tenant": "acme", "name": "ada"}
        listed = (await site.ask("GET", "/api/runs?attr=tenant=acme&status=completed&limit=1")).json
        assert ([item["id"] for item in listed["items"]], listed["cursor"]) == ([run_id], None)
        assert (await site.ask("GET", f"/api/runs/{run_id}?locked=true")).json["output"] is None


async def test_runs_are_listed_by_pages_and_times() -> None:
    async with open_site() as site:
        ids = [(await run(site.client, "greet", name)).id for name in "abc"]
        first = (await site.ask("GET", "/api/runs?limit=2")).json
        second = (await site.ask("GET", f"/api/runs?limit=2&cursor={enc(first['cursor'])}")).json
        assert [item["id"] for item in first["items"] + second["items"]] == ids[::-1]
        counts = {
            "since=1h": 3,
            "until=1h": 0,
            f"since={enc(datetime.now(UTC).isoformat())}": 0,
            "status=failed&status=completed": 3,
            "workflow=studio.greet": 3,
            "workflow=x": 0,
        }
        for query, count in counts.items():
            assert len((await site.ask("GET", f"/api/runs?{query}")).json["items"]) == count, query
        soon = (datetime.now(UTC) + timedelta(minutes=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        assert len((await site.ask("GET", f"/api/runs?until={soon}")).json["items"]) == 3


async def test_a_run_id_may_hold_any_of_its_characters() -> None:
    async with open_site() as site:
        for run_id in ("my/run:1@x", "a+b=c", "x..y"):
            await site.client.start("nap", id=run_id)
            answer = await site.ask("GET", f"/api/runs/{enc(run_id)}")
            assert (answer.status, answer.json["id"]) == (200, run_id)
            assert (await site.ask("GET", f"/api/runs/{enc(run_id)}/events")).status == 200
            assert (await site.ask("POST", f"/api/runs/{enc(run_id)}/cancel")).status == 200
        assert (await site.ask("GET", "/api/runs/my/run:1@x")).status == 404, "a bare slash parts segments"


async def test_what_a_run_did_is_read_in_pages() -> None:
    async with open_site() as site:
        done = await run(site.client, "greet", "ada", times=3)
        base = f"/api/runs/{done.id}"
        events = (await site.ask("GET", f"{base}/events?limit=4")).json
        rest_ = (await site.ask("GET", f"{base}/events?cursor={events['cursor']}")).json
        assert [event["seq"] for event in events["items"] + rest_["items"]] == list(range(1, done.events + 1))
        assert rest_["cursor"] is None
        assert (await site.ask("GET", f"{base}/events?locked=1")).json["items"][0]["is_locked"] is True
        steps = (await site.ask("GET", f"{base}/steps?limit=2")).json
        more = (await site.ask("GET", f"{base}/steps?limit=2&cursor={steps['cursor']}")).json
        assert [step["correlation_id"] for step in steps["items"] + more["items"]] == [2, 3, 4]
        trace = (await site.ask("GET", f"{base}/trace")).json
        assert [span["id"] for span in trace["spans"]] == ["run", "2", "3", "4"]
        logs = (await site.ask("GET", f"{base}/logs?limit=5")).json
        more = (await site.ask("GET", f"{base}/logs?cursor={enc(logs['cursor'])}")).json
        assert [line["text"] for line in logs["items"] + more["items"]] == ["greeting ada", "about ada"] * 3


async def test_a_large_payload_is_given_to_who_asks_for_it() -> None:
    async with open_site() as site:
        done = await run(site.client, "studio.gather", 1, x="a" * 2_000_000)
        base = f"/api/runs/{done.id}"
        small = (await site.ask("GET", base)).json
        assert list(small["input"]) == list(small["output"]) == ["$large"]
        assert len((await site.ask("GET", f"{base}?max_bytes=3000000")).json["output"][2]["x"]) == 2_000_000
        assert list((await site.ask("GET", f"{base}/events")).json["items"][0]["payload"]) == ["$large"]
        failed = await run(site.client, "studio.mend", "a" * 2000)
        [step, _] = (await site.ask("GET", f"/api/runs/{failed.id}/steps?max_bytes=1000")).json["items"]
        assert (step["input"], step["output"]) == ({"$large": 2011}, {"$large": 2009})
        streamed = await run(site.client, "stream", 2)
        page = (await site.ask("GET", f"/api/runs/{streamed.id}/streams/default?max_bytes=3")).json
        assert [chunk["value"] for chunk in page["items"]] == [{"$large": 7}] * 2


async def test_streams_are_read_by_index() -> None:
    async with open_site() as site:
        done = await run(site.client, "stream", 5)
        base = f"/api/runs/{done.id}/streams"
        [stream] = (await site.ask("GET", base)).json["items"]
        assert (stream["name"], stream["tail_index"], stream["is_closed"]) == ("default", 4, True)
        page = (await site.ask("GET", f"{base}/default?limit=3")).json
        assert ([chunk["value"]["n"] for chunk in page["items"]], page["is_closed"]) == ([0, 1, 2], False)
        page = (await site.ask("GET", f"{base}/default?start={page['next_index']}")).json
        assert ([chunk["value"]["n"] for chunk in page["items"]], page["is_closed"]) == ([3, 4], True)
        assert (await site.ask("GET", f"{base}/default?start=-1")).json["items"][0]["index"] == 4
        assert (await site.ask("GET", f"{base}/other")).slug == "not-found"


async def test_a_run_is_cancelled_and_woken() -> None:
    async with open_site() as site:
        nap = await site.client.start("nap")
        await rest(site.client, nap.id)
        assert (await site.ask("POST", f"/api/runs/{nap.id}/wake", {})).json == {"woken": 1}
        await site.client.wait_for_end(nap.id, 10)
        other = await site.client.start("nap")
        await rest(site.client, other.id)
        answer = await site.ask("POST", f"/api/runs/{other.id}/cancel", {"reason": "enough", "force": True})
        assert (answer.json["status"], answer.json["output"]) == ("cancelled", "enough")


async def test_an_ended_run_is_tried_again() -> None:
    async with open_site() as site:
        failed = await run(site.client, "fail", "no")
        answer = await site.ask("POST", f"/api/runs/{failed.id}/retry")
        assert (answer.status, answer.json["forked_from"]) == (201, failed.id)
        nap = await site.client.start("nap")
        refused = await site.ask("POST", f"/api/runs/{nap.id}/retry", {})
        assert (refused.status, refused.slug) == (409, "fork")


async def test_hooks_are_listed_and_resumed() -> None:
    async with open_site() as site:
        started = await site.client.start("approve", ["a/b"])
        await rest(site.client, started.id)
        [hook] = (await site.ask("GET", f"/api/hooks?run={started.id}")).json["items"]
        assert (hook["token"], hook["metadata"]) == ("site:a/b", {"site": "a/b"})
        path = f"/api/hooks/{enc(hook['token'])}/resume"
        misfit = await site.ask("POST", path, {"payload": {"approved": 1}})
        assert (misfit.status, misfit.slug) == (422, "validation")
        body = {"payload": {"approved": True}, "delivery_id": "d1"}
        assert (await site.ask("POST", path, body)).json["token"] == "site:a/b"
        assert (await site.client.wait_for_end(started.id, 10)).output == "live"
        assert (await site.ask("POST", path, body)).json["token"] == "site:a/b", "who repeats it is answered alike"
        gone = await site.ask("POST", path, {**body, "delivery_id": "d2"})
        assert (gone.status, gone.slug) == (404, "hook-not-found")


async def test_workflows_deployments_and_sources_are_given() -> None:
    async with open_site() as site:
        found = {item["id"]: item for item in (await site.ask("GET", "/api/workflows")).json["items"]}
        assert found["studio.greet"]["parameters"][0]["name"] == "name"
        [finding] = found["studio.greet"]["findings"]
        assert (finding["code"], finding["message"], finding["run_id"]) == ("NONDETERMINISM", "it differs", "wrun_1")
        assert found["studio.nap"]["findings"] == []
        assert set(found["studio.nap"]["stats"]) == {"runs", "in_flight", "failed", "failure_rate", "p50_ms", "p95_ms"}
        assert (await site.ask("GET", "/api/deployments")).json["items"][0]["id"] == DEPLOYMENT
        assert (await site.ask("GET", f"/api/deployments/{DEPLOYMENT}")).json["files"] == {"flows.py": DIGEST}
        assert (await site.ask("GET", "/api/deployments/dep_none")).status == 404
        source = await site.ask("GET", f"/api/sources/{DIGEST}")
        assert (source.body, source.header("content-type")) == (SOURCE, "text/plain; charset=utf-8")
        assert (await site.ask("GET", "/api/sources/none")).status == 404


async def test_the_dev_server_is_asked_where_it_runs() -> None:
    async with open_site() as site:
        nap = await site.client.start("nap")
        assert (await site.ask("GET", "/api/dev")).json["status"]["deployment_id"] == "dep_1"
        assert (await site.ask("POST", "/api/dev/reload")).json == {"result": {"is_reloaded": True}}
        path = f"/api/runs/{nap.id}/remedy"
        assert (await site.ask("POST", path, {"action": "keep"})).json == {"result": {"run_id": nap.id}}
        assert (await site.ask("POST", path, {"action": "pray"})).slug == "usage"
        assert (await site.ask("POST", "/api/runs/none/remedy", {"action": "keep"})).slug == "run-not-found"
        assert site.dev.calls == [("reload",), ("remedy", nap.id, "keep")]


async def test_a_place_is_opened_by_the_dev_server_for_who_may_write() -> None:
    async with open_site() as site:
        place = {"file": "flow.py", "line": 41}
        assert (await site.ask("POST", "/api/open", place)).json == {"editor": "code"}
        assert (await site.ask("POST", "/api/open", {**place, "line": 0})).slug == "usage"
        assert (await site.ask("POST", "/api/open", {"file": "", "shell": "rm"})).slug == "usage"
        assert (await site.ask("POST", "/api/open", place, token=None)).status == 401
        for headers in (
            site.browser(origin="http://evil.test"),
            site.browser(cookie="none"),
            site.browser(site="none"),
        ):
            answer = await site.ask("POST", "/api/open", place, token=None, headers=headers)
            assert (answer.slug, answer.status in (401, 403)) == ("access", True)
        assert (await site.ask("POST", "/api/open", place, token=None, headers=site.browser())).status == 200
        assert site.dev.calls == [("open", "flow.py:41:1")] * 2


async def test_health_and_the_page_need_nothing() -> None:
    async with open_site() as site:
        assert (await site.ask("GET", "/health", token=None)).json["status"] == "ok"
        page = await site.ask("GET", "/", token=None)
        assert (page.status, page.header("content-type")) == (200, "text/html; charset=utf-8")
        head = await site.ask("HEAD", "/health", token=None)
        assert head.status == 200


async def test_a_built_studio_is_served_from_its_folder_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ui" / "assets" / "fonts").mkdir(parents=True)
    (tmp_path / "ui" / "index.html").write_text("<!doctype html>built")
    (tmp_path / "ui" / "assets" / "studio.1f.js").write_text("1")
    (tmp_path / "ui" / "assets" / "fonts" / "a.woff2").write_text("2")
    (tmp_path / "secret").write_text("secret")
    (tmp_path / "ui" / "assets" / "link").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(studio, "WEB_UI", tmp_path / "ui")
    async with open_site() as site:
        page = await site.ask("GET", "/", token=None)
        assert (page.body, page.header("cache-control")) == (b"<!doctype html>built", "no-store")
        script = await site.ask("GET", "/assets/studio.1f.js", token=None)
        assert (script.body, script.header("content-type")) == (b"1", "text/javascript; charset=utf-8")
        assert script.header("cache-control") == "public, max-age=31536000, immutable"
        assert (await site.ask("GET", "/assets/fonts/a.woff2", token=None)).body == b"2"
        for path in ("link", "..%2f..%2fsecret", "../../secret", "fonts", "fonts/", "..%2findex.html"):
            assert (await site.ask("GET", f"/assets/{path}", token=None)).status == 404, path


async def test_a_head_is_a_get_without_its_body_and_never_waits() -> None:
    async with open_site() as site:
        nap = await site.client.start("nap")
        accept = [("accept", "text/event-stream")]
        assert (await site.ask("HEAD", f"/api/runs/{nap.id}/events", headers=accept)).status == 200
        assert (await site.ask("HEAD", "/api/live", headers=accept)).status == 405
        assert (await site.ask("HEAD", "/hooks/x")).status == 405


REFUSED = [
    ("GET", "/api/runs?status=done", None, 400, "usage"),
    ("GET", "/api/runs?limit=0", None, 400, "usage"),
    ("GET", "/api/runs?limit=many", None, 400, "usage"),
    ("GET", "/api/runs?limit=1&limit=2", None, 400, "usage"),
    ("GET", "/api/runs?statsu=failed", None, 400, "usage"),
    ("GET", "/api/runs?attr=tenant", None, 400, "usage"),
    ("GET", "/api/runs?since=yesterday", None, 400, "usage"),
    ("GET", "/api/runs?since=2026-01-01T00:00:00", None, 400, "usage"),
    ("GET", "/api/runs/wrun_none", None, 404, "run-not-found"),
    ("GET", "/api/runs/%00", None, 404, "run-not-found"),
    ("GET", "/api/runs/%ff", None, 404, "usage"),
    ("GET", "/api/runs/wrun_none/events", None, 404, "run-not-found"),
    ("GET", "/api/runs/wrun_none/trace", None, 404, "run-not-found"),
    ("POST", "/api/runs/wrun_none/cancel", {}, 404, "run-not-found"),
    ("POST", "/api/runs", {"workflow": "greeet"}, 404, "not-registered"),
    ("POST", "/api/runs", {"workflow": "greet"}, 422, "validation"),
    ("POST", "/api/runs", {"workflow": "nap", "attributes": {"$x": "y"}}, 422, "fatal"),
    ("POST", "/api/runs", {"workflow": "nap", "id": "a b"}, 400, "usage"),
    ("POST", "/api/runs", {"workflow": "nap", "delay": "soon"}, 400, "usage"),
    ("POST", "/api/runs", {"workflow": "nap", "wrokflow": 1}, 400, "usage"),
    ("POST", "/api/runs", {}, 400, "usage"),
    ("POST", "/api/runs", [], 400, "usage"),
    ("GET", "/api/nothing", None, 404, "usage"),
    ("GET", "/api/runs/", None, 404, "usage"),
    ("DELETE", "/api/runs", None, 405, "usage"),
    ("OPTIONS", "/api/runs", None, 405, "usage"),
    ("GET", "/assets/..%2f..%2fpyproject.toml", None, 404, "not-found"),
    ("GET", "/assets/..%2f..%2f__init__.py", None, 404, "not-found"),
    ("GET", "/assets/%2fetc%2fpasswd", None, 404, "not-found"),
    ("GET", "/assets/%00", None, 404, "not-found"),
    ("GET", "/assets/../index.html", None, 404, "not-found"),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "slug"), REFUSED)
async def test_what_cannot_be_answered_says_why(method: str, path: str, body: object, status: int, slug: str) -> None:
    async with open_site() as site:
        answer = await site.ask(method, path) if body is None else await site.ask(method, path, body)
        assert (answer.status, answer.slug) == (status, slug)
        assert set(answer.json["error"]) == {"slug", "message", "where", "hint"}
        assert answer.json["error"]["message"]
        assert (await site.client.list_runs(RunQuery())).items == []


@pytest.mark.parametrize("body", [b"{", b"\xff", b'{"workflow": NaN}', b'{"a":1}{', b"[" * 100_000, b"null", b'"x"'])
async def test_malformed_json_is_the_callers_mistake(body: bytes) -> None:
    async with open_site() as site:
        answer = await site.ask("POST", "/api/runs", body=body, headers=[("content-type", "application/json")])
        assert (answer.status, answer.slug) == (400, "usage")


async def test_an_id_of_another_workflow_is_a_conflict() -> None:
    async with open_site() as site:
        await site.ask("POST", "/api/runs", {"workflow": "nap", "id": "mine"})
        again = await site.ask("POST", "/api/runs", {"workflow": "nap", "id": "mine"})
        assert (again.status, again.json["id"]) == (201, "mine")
        other = await site.ask("POST", "/api/runs", {"workflow": "greet", "args": ["a"], "id": "mine"})
        assert (other.status, other.slug) == (409, "conflict")


async def test_reading_changes_nothing() -> None:
    async with open_site() as site:
        nap = await site.client.start("nap")
        await rest(site.client, nap.id)
        before = await site.client.list_events(nap.id)
        for route in site.app.routes:
            if route.method == "GET" and route.streams != "always":
                path = route.path.replace("{id}", nap.id).replace("{name}", "default").replace("{digest}", DIGEST)
                await site.ask("GET", path.replace("{path...}", "x"))
        assert await site.client.list_events(nap.id) == before
        assert len((await site.client.list_runs(RunQuery())).items) == 1


async def test_a_thousand_clients_at_once_are_answered() -> None:
    async with open_site() as site:
        done = await run(site.client, "greet", "ada")

        async def ask(number: int) -> int:
            if number % 10 == 0:
                return (await site.ask("POST", "/api/runs", {"workflow": "nap", "id": f"n{number}"})).status
            path = ["/api/runs?limit=5", f"/api/runs/{done.id}", f"/api/runs/{done.id}/trace"][number % 3]
            return (await site.ask("GET", path)).status

        async with asyncio.timeout(20):
            answers = await asyncio.gather(*(ask(number) for number in range(1000)))
        assert {status: answers.count(status) for status in set(answers)} == {200: 900, 201: 100}


async def test_an_unforeseen_error_tells_its_kind_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    async with open_site() as site:

        async def break_down() -> dict:
            raise RuntimeError("the secret is 42")

        site.dev.reload = break_down  # type: ignore[method-assign]
        answer = await site.ask("POST", "/api/dev/reload")
        assert (answer.status, answer.slug) == (500, "internal")
        assert "42" not in answer.body.decode()
        assert "the secret is 42" in caplog.text, "the log says it all"


async def test_numbers_keep_their_value() -> None:
    async with open_site() as site:
        body = {"workflow": "studio.gather", "args": [2**62, 1], "kwargs": {"x": "y"}}
        answer = await site.ask("POST", "/api/runs", body)
        ended = await site.client.wait_for_end(answer.json["id"], 10)
        assert json.loads((await site.ask("GET", f"/api/runs/{ended.id}")).body)["output"] == [2**62, [1], {"x": "y"}]
