"""Bundles over HTTP: what is given to download, what is taken in, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wfstudio.history.worlds import bundle_of, open_source
from tests.wfstudio.site import Answer, Site, open_site
from tests.wfstudio.studio import rest, run
from wf.world import RunFilter
from wfstudio.history.bundle.form import MAX_BUNDLE_BYTES
from wfstudio.history.bundle.reading import Bundle

ZIP = [("content-type", "application/zip")]


async def upload(site: Site, data: bytes, query: str = "", **options: Any) -> Answer:
    options.setdefault("headers", ZIP)
    return await site.ask("POST", f"/api/import{query}", body=data, **options)


async def test_a_bundle_is_given_to_download() -> None:
    async with open_site() as site:
        view = await run(site.client, "greet", "ada")
        answer = await site.ask("GET", f"/api/export?run={view.id}")
        assert (answer.status, answer.header("content-type")) == (200, "application/zip")
        assert answer.header("content-disposition") == f'attachment; filename="{view.id}.wf.zip"'
        bundle = Bundle(answer.body)
        bundle.check()
        assert (bundle.manifest.runs, bundle.manifest.is_redacted) == ([view.id], False)


async def test_runs_are_chosen_by_filters_and_bring_their_children() -> None:
    async with open_site() as site:
        parent = await run(site.client, "parent", "ada")
        await run(site.client, "fail", "no")
        chosen = await site.ask("GET", "/api/export?workflow=a&workflow=b")
        assert (chosen.status, chosen.slug) == (400, "usage")
        chosen = await site.ask("GET", "/api/export?workflow=studio.greet&since=1h")
        assert len(Bundle(chosen.body).manifest.runs) == 1
        family = await site.ask("GET", f"/api/export?run={parent.id}&run={parent.id}&children=true&redact=true")
        manifest = Bundle(family.body).manifest
        assert (manifest.runs[0], len(manifest.runs), manifest.is_redacted) == (parent.id, 2, True)


@pytest.mark.parametrize(
    ("query", "status", "slug"),
    [
        ("", 400, "usage"),
        ("?redact=true", 400, "usage"),
        ("?run=wrun_1&workflow=greet", 400, "usage"),
        ("?run=wrun_1", 404, "run-not-found"),
        ("?workflow=nobody", 404, "not-found"),
        ("?since=later", 400, "usage"),
        ("?odd=1", 400, "usage"),
    ],
)
async def test_an_export_that_is_none_says_so(query: str, status: int, slug: str) -> None:
    async with open_site() as site:
        answer = await site.ask("GET", f"/api/export{query}")
        assert (answer.status, answer.slug) == (status, slug)


async def test_a_log_that_is_not_authentic_has_a_status_of_its_own() -> None:
    async with open_site() as site:
        view = await run(site.client, "greet", "ada")
        world: Any = site.client.session.world
        world._runs[view.id].change(mac=b"x" * 32)
        answer = await site.ask("GET", f"/api/export?run={view.id}")
        assert (answer.status, answer.slug) == (423, "decryption")


async def test_a_bundle_is_taken_in_and_its_runs_are_read_only() -> None:
    async with open_source() as elsewhere, open_site() as site:
        waiting = await elsewhere.start("approve", ["42"])
        await rest(elsewhere, waiting.id)
        data = await bundle_of(elsewhere, waiting.id)
        looked = await upload(site, data, "?name=order.wf.zip&dry_run=true")
        assert [item["outcome"] for item in looked.json["items"]] == ["new"]
        assert await site.client.session.world.list_runs(RunFilter()) == []
        answer = await upload(site, data, "?name=order.wf.zip")
        assert answer.status == 200
        assert answer.json == {
            "source": "order.wf.zip",
            "kind": "bundle",
            "deployments": 0,  # it is the code of this world, too
            "problems": [],
            "items": [
                {
                    "id": waiting.id,
                    "workflow": "studio.approve",
                    "status": "running",
                    "events": 3,
                    "outcome": "imported",
                }
            ],
        }
        shown = (await site.ask("GET", f"/api/runs/{waiting.id}")).json
        assert (shown["origin"], shown["reason"]) == ("bundle:order.wf.zip", "imported from order.wf.zip, read-only")
        for path in ("cancel", "wake"):
            refused = await site.ask("POST", f"/api/runs/{waiting.id}/{path}", {})
            assert (refused.status, refused.slug) == (409, "imported")
        assert (await site.ask("GET", "/api/hooks")).json["items"] == []
        again = await upload(site, data)
        assert (again.json["source"], again.json["items"][0]["outcome"]) == ("upload", "present")


async def test_what_is_no_bundle_is_not_taken_in() -> None:
    async with open_site() as site:
        for data in (b"", b"{}", b"PK\x03\x04broken"):
            answer = await upload(site, data)
            assert (answer.status, answer.slug) == (422, "bundle"), data
        assert await site.client.session.world.list_runs(RunFilter()) == []


@pytest.mark.parametrize(
    "type_",
    ["application/json", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", ""],
)
async def test_only_a_zip_is_taken_and_no_form_can_send_one(type_: str) -> None:
    """A page of another site may send the last four without being asked first; so they must not be enough."""
    async with open_source() as elsewhere, open_site() as site:
        data = await bundle_of(elsewhere, (await run(elsewhere, "greet", "ada")).id)
        for headers, token in ((site.browser(), None), ([], "t" * 43)):
            answer = await upload(site, data, headers=[*headers, ("content-type", type_)], token=token)
            assert (answer.status, answer.json["error"]["message"]) == (415, "the body is not what this path takes")
            assert answer.json["error"]["hint"] == "send `Content-Type: application/zip`"
        assert await site.client.session.world.list_runs(RunFilter()) == []
        elsewhere_sent = [*site.browser(origin="http://evil.com"), *ZIP]
        assert (await upload(site, data, headers=elsewhere_sent, token=None)).status == 403
        assert (await upload(site, data, token=None)).status == 401
        assert (await upload(site, data, headers=[*site.browser(), *ZIP], token=None)).status == 200


async def test_a_zip_is_taken_nowhere_else() -> None:
    async with open_site() as site:
        for path in ("/api/runs", "/api/import/", "/api/import/x", "/api/query"):
            assert (await site.ask("POST", path, body=b"PK", headers=ZIP)).status == 415, path


async def test_a_body_over_the_cap_is_refused_by_its_length_before_it_is_read() -> None:
    async with open_site() as site:
        large = [*ZIP, ("content-length", str(MAX_BUNDLE_BYTES + 1))]
        answer = await site.ask("POST", "/api/import", headers=large, body=[b"PK"])
        assert (answer.status, answer.slug) == (413, "payload-too-large")
        json = [("content-type", "application/json"), ("content-length", str(MAX_BUNDLE_BYTES - 1))]
        assert (await site.ask("POST", "/api/runs", headers=json, body=[b"{"])).status == 413
