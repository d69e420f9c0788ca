"""The check over HTTP: what is found in the code that workers have loaded."""

from __future__ import annotations

from tests.wfstudio.site import open_site
from tests.wfstudio.studio import DEPLOYMENT


async def test_the_newest_code_is_checked() -> None:
    async with open_site() as site:
        answer = await site.ask("GET", "/api/check")
        assert answer.status == 200
        assert answer.json == {
            "deployment_id": DEPLOYMENT,
            "errors": 0,
            "warnings": 0,
            "codes": {},
            "findings": [],
            "workflows": [],
            "files": 1,
            "replay": None,
        }
        assert (await site.ask("GET", f"/api/check?deployment={DEPLOYMENT}")).json == answer.json


async def test_a_deployment_that_is_none_is_not_found() -> None:
    async with open_site() as site:
        answer = await site.ask("GET", "/api/check?deployment=dep_1")
        assert (answer.status, answer.slug) == (404, "not-found")


async def test_workflows_have_what_replays_have_shown() -> None:
    async with open_site() as site:
        items = (await site.ask("GET", "/api/workflows")).json["items"]
        [finding] = next(item for item in items if item["id"] == "studio.greet")["findings"]
        assert (finding["code"], finding["run_id"], finding["file"]) == ("NONDETERMINISM", "wrun_1", None)
