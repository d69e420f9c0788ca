"""Forks over HTTP: the same as `wf fork`, with the statuses of what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wfstudio.site import Site, open_site
from tests.wfstudio.studio import rest, until

ORIGIN = "origin-of-all-forks"
PATH = f"/api/runs/{ORIGIN}/fork"


async def begin(site: Site) -> None:
    """Start a run that has priced two items, charged them, and waits for a word."""
    started = await site.client.start("order", [["tea", "milk"]], id=ORIGIN)
    await rest(site.client, started.id, "waiting for hook")


async def end(site: Site, run_id: str) -> Any:
    hooks = await until(lambda: site.client.list_hooks(run_id))
    await site.client.resume(str(hooks[0].token), {"approved": True})
    return (await site.client.wait_for_end(run_id, 10)).output


async def test_a_fork_is_made_and_described() -> None:
    async with open_site() as site:
        await begin(site)
        error = {"type": "OSError", "message": "cut"}
        body = {"from": 8, "raise": {"charge": error}, "id": "mine", "attributes": {"why": "test"}}
        answer = await site.ask("POST", PATH, body)
        assert answer.status == 201
        assert answer.json["notes"] == [
            f"forked from {ORIGIN} after event 8, step_completed studio.charge (position 3)"
        ]
        run = answer.json["run"]
        assert (run["id"], run["forked_from"], run["attributes"]) == ("mine", ORIGIN, {"why": "test"})
        assert run["fork"] == {
            "run_id": ORIGIN, "seq": 8, "is_beside": True,
            "edits": [{"what": "error", "correlation_id": 3, "name": "studio.charge"}],
        }  # fmt: skip
        assert await end(site, "mine") == "no line (cut): True"
        assert (await site.ask("GET", "/api/runs/mine")).json["fork"] == run["fork"]


@pytest.mark.parametrize(
    ("body", "output"),
    [
        ({}, "paid 7: True"),
        ({"from": 1}, "paid 7: True"),
        ({"from": "price#2"}, "paid 7: True"),
        ({"set": {"price#2": {"name": "milk", "price": "0.5", "note": ""}}}, "paid 3.5: True"),
        ({"raise": {"charge": "OSError: gone"}}, "no line (gone): True"),
        ({"input": {"names": ["a", "bc"]}}, "paid 3: True"),
        ({"input": [["a"], "bad"]}, "declined (bad): True"),
    ],
)
async def test_a_fork_goes_on_from_what_the_body_says(body: dict[str, Any], output: str) -> None:
    async with open_site() as site:
        await begin(site)
        run = (await site.ask("POST", PATH, body)).json["run"]
        assert await end(site, run["id"]) == output


async def test_a_fork_is_sent_another_payload() -> None:
    async with open_site() as site:
        await begin(site)
        run = (await site.ask("POST", PATH, {"payload": {"order:tea+milk": {"approved": False}}})).json["run"]
        assert (await site.client.wait_for_end(run["id"], 10)).output == "paid 7: False"


@pytest.mark.parametrize(
    ("body", "status", "slug"),
    [
        ({"from": 99}, 400, "usage"),
        ({"from": 1.5}, 400, "usage"),
        ({"form": 5}, 400, "usage"),
        ({"set": ["charge"]}, 400, "usage"),
        ({"raise": {"charge": "NoSuchError"}}, 400, "usage"),
        ({"raise": {"charge": {"typ": "OSError"}}}, 400, "usage"),
        ({"set": {"chrage": 1}}, 404, "not-found"),
        ({"deployment": "dep_none"}, 404, "not-found"),
        ({"from": 8, "set": {"price#1": {"name": "", "price": 1, "note": ""}}}, 409, "fork"),
        ({"id": ORIGIN}, 409, "conflict"),
        ({"payload": {"4": {}}}, 422, "validation"),
        ({"input": {"names": 5}}, 422, "validation"),
        ({"attributes": {"$x": "y"}}, 422, "fatal"),
    ],
)
async def test_what_cannot_be_forked_is_refused_with_its_status(body: dict[str, Any], status: int, slug: str) -> None:
    async with open_site() as site:
        await begin(site)
        answer = await site.ask("POST", PATH, body)
        assert (answer.status, answer.slug) == (status, slug)
        assert len((await site.ask("GET", "/api/runs")).json["items"]) == 1


async def test_an_unknown_run_has_no_fork() -> None:
    async with open_site() as site:
        answer = await site.ask("POST", "/api/runs/wrun_none/fork", {})
        assert (answer.status, answer.slug) == (404, "run-not-found")
