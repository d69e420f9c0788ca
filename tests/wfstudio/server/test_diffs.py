"""Diffs over HTTP: two runs by a GET, a run and code by a POST."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wfstudio.server.test_replays import asking
from tests.wfstudio.site import open_site
from tests.wfstudio.studio import run


async def test_two_runs_are_compared() -> None:
    async with open_site() as site:
        first, second = await run(site.client, "greet", "ada", times=2), await run(site.client, "greet", "ada", times=3)
        answer = await site.ask("GET", f"/api/diff?a={first.id}&b={second.id}")
        assert answer.status == 200
        view = answer.json
        assert (view["is_same"], view["same_calls"], view["only_b"]) == (False, 2, 1)
        assert [(call["name"], call["occurrence"], call["state"]) for call in view["calls"]] == [
            ("studio.greet_one", 3, "only_b")
        ]
        assert view["divergence"] == {
            "what": "input", "text": "the runs differ in input.times", "name": None, "seq_a": 1, "seq_b": 1,
            "correlation_id_a": None, "correlation_id_b": None,
        }  # fmt: skip
        listed = (await site.ask("GET", f"/api/diff?a={first.id}&b={second.id}&all=true")).json
        assert len(listed["calls"]) == 3
        locked = (await site.ask("GET", f"/api/diff?a={first.id}&b={second.id}&locked=1")).json
        assert (locked["is_locked"], locked["input"]) == (True, [])
        assert (await site.ask("GET", f"/api/diff?a={first.id}&b={first.id}")).json["is_same"] is True
        alone = await site.ask("GET", f"/api/diff?a={first.id}")
        assert (alone.status, alone.json["error"]["message"]) == (400, "two runs are compared")


@pytest.mark.parametrize(
    ("query", "status", "slug"),
    [
        ("", 400, "usage"),
        ("?a=wrun_1&b=wrun_2", 404, "run-not-found"),
        ("?a=1&c=2", 400, "usage"),
        ("?a=1&a=2", 400, "usage"),
        ("?all=perhaps", 400, "usage"),
    ],
)
async def test_what_cannot_be_compared_is_refused(query: str, status: int, slug: str) -> None:
    async with open_site() as site:
        answer = await site.ask("GET", f"/api/diff{query}")
        assert (answer.status, answer.slug) == (status, slug)


async def test_a_run_is_compared_with_what_codes_do(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.run("pay", "ada")
        before = await site.found.read_everything(run_id)
        own = site.found.session.deployment_id
        same = await site.ask("POST", f"/api/runs/{run_id}/diff", {"codes": ["own"]})
        assert (same.status, same.json["is_same"], same.json["first"], same.json["files"]) == (200, True, None, [])
        site.found.edit("await charge(card)", "await charge(card, 9)")
        told = (await site.ask("POST", f"/api/runs/{run_id}/diff", {"codes": [own, "today"]})).json
        assert [(code["outcome"], code["seq"]) for code in told["codes"]] == [("clean", None), ("diverges", 3)]
        assert (told["is_same"], told["first"]) == (False, 1)
        assert await site.found.read_everything(run_id) == before


async def test_codes_that_are_none_are_refused(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        run_id = await site.found.run("pay", "ada")
        for body, slug in (({}, "usage"), ({"codes": []}, "usage"), ({"codes": ["a", "b", "c"]}, "usage"),
                           ({"codes": ["dep_none"]}, "not-found")):  # fmt: skip
            assert (await site.ask("POST", f"/api/runs/{run_id}/diff", body)).slug == slug
        assert (await site.ask("POST", "/api/runs/none/diff", {"codes": ["own"]})).slug == "run-not-found"
