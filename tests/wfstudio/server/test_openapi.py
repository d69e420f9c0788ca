"""The OpenAPI document, and whether the server does what it says, asked by a machine."""

from __future__ import annotations

import asyncio
import re
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from tests.wfstudio.site import TOKEN, Site, open_site, serving
from tests.wfstudio.studio import rest, run
from wf import errors
from wfstudio.core import errors as studio_errors
from wfstudio.server.answers import STATUSES
from wfstudio.server.app import list_routes
from wfstudio.server.openapi import make_document

ROUTES = list_routes(has_dev=True)
DOCUMENT = make_document(ROUTES)
PAGE = (Path(__file__).resolve().parents[3] / "docs" / "http-api.md").read_text("utf-8")


async def test_the_document_is_served() -> None:
    async with open_site() as site:
        assert (await site.ask("GET", "/api/openapi.json")).json == DOCUMENT


def test_every_route_is_in_the_document_with_what_it_takes_and_gives() -> None:
    described = {(path, method) for path, item in DOCUMENT["paths"].items() for method in item}
    for route in ROUTES:
        methods = ["get", "post", "put", "patch", "delete"] if route.method == "ANY" else [route.method.lower()]
        for method in methods:
            path = route.path.replace("...}", "}")
            described.remove((path, method))
            operation = DOCUMENT["paths"][path][method]
            assert operation["summary"]
            assert {p["name"] for p in operation["parameters"] if p["in"] == "path"} == set(re.findall(r"{(\w+)", path))
            assert ("requestBody" in operation) == (route.body is not None or route.upload is not None)
            assert (operation.get("security") == []) == route.is_public
    assert described == set()


def test_operations_have_names_of_their_own() -> None:
    ids = [operation["operationId"] for item in DOCUMENT["paths"].values() for operation in item.values()]
    assert sorted(ids) == sorted(set(ids))


def test_every_reference_leads_somewhere() -> None:
    references = set(re.findall(r"'\$ref': '#/components/(\w+)/(\w+)'", str(DOCUMENT)))
    assert len(references) > 20
    assert [name for kind, name in references if name not in DOCUMENT["components"][kind]] == []


def test_every_slug_has_a_status() -> None:
    slugs = {getattr(module, name).slug for module in (errors, studio_errors) for name in module.__all__}
    never_answered = {
        "blocked", "dead-letter", "hook-disposed", "lock-timeout", "not-in-run", "retryable", "run-cancelled",
        "run-failed", "step-error", "step-timeout", "workflow-error", "workflow-io",
    }  # fmt: skip
    assert slugs - never_answered - {studio_errors.AccessError.slug} <= set(STATUSES)


# -- docs/http-api.md ---------------------------------------------------------------------------


def test_the_page_names_every_route_and_no_other() -> None:
    written = set(re.findall(r"^### `(\w+) (/\S*)`$", PAGE, re.MULTILINE))
    assert written == {(route.method, route.path.replace("...}", "}")) for route in ROUTES}


def test_every_section_of_the_page_shows_an_example() -> None:
    sections = re.split(r"^### ", PAGE, flags=re.MULTILINE)[1:]
    assert [section.splitlines()[0] for section in sections if "```" not in section] == []


def test_the_page_names_every_parameter() -> None:
    pattern = re.compile(r"^### `(\w+ /\S*)`$(.*?)(?=^##|\Z)", re.MULTILINE | re.DOTALL)
    sections = dict(pattern.findall(PAGE))
    missing = [
        (route.method, route.path, name)
        for route in ROUTES
        for struct in (route.query, route.body)
        if struct is not None
        for name in struct.__struct_encode_fields__
        if f"`{name}`" not in sections[f"{route.method} {route.path.replace('...}', '}')}"]
    ]
    assert missing == []


def test_the_page_names_every_status_with_its_slugs() -> None:
    for slug, status in STATUSES.items():
        assert re.search(rf"^\| {status} \|.*`{slug}`", PAGE, re.MULTILINE), slug


# -- does it keep its word? ---------------------------------------------------------------------


@contextmanager
def background_site(folder: Path) -> Iterator[tuple[str, dict[str, list[Any]]]]:
    """Serve a site on a thread of its own; give its URL and names that exist."""
    is_up, stop = threading.Event(), asyncio.Event()
    found: dict[str, Any] = {}

    async def main() -> None:
        async with open_site("sqlite", folder) as site, serving(site) as server:
            found.update(url=server.url, loop=asyncio.get_running_loop(), known=await fill(site))
            is_up.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(main(),))
    thread.start()
    try:
        assert is_up.wait(20)
        yield found["url"], found["known"]
    finally:
        found["loop"].call_soon_threadsafe(stop.set)
        thread.join(20)


async def fill(site: Site) -> dict[str, list[Any]]:
    done = [(await run(site.client, "greet", "ada")).id, (await run(site.client, "stream", 2)).id]
    done.append((await run(site.client, "fail", "no")).id)
    hook = await site.client.start("approve", ["42"], id="with/slash:1")
    await rest(site.client, hook.id)
    deployment = (await site.client.list_deployments())[0]
    return {
        "id": [*done, hook.id, deployment.id],
        "token": ["site:42"],
        "name": ["default"],
        "digest": list(deployment.files.values()),
        "workflow": ["nap", "greet", "studio.fail"],
    }


def test_a_machine_that_reads_the_document_finds_no_lie_and_no_failure(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once with whatever the document allows, once with names that exist."""
    statuses: Counter[int] = Counter()
    monkeypatch.chdir(tmp_path)  # queries are saved with the project
    with background_site(tmp_path) as (url, known):
        for document in (make_document(ROUTES), name_what_exists(make_document(ROUTES), known)):
            for result in schemathesis.openapi.from_dict(document).get_all_operations():
                operation = result.ok()
                if operation.path != "/api/live":  # it never ends
                    try_operation(operation, url, statuses)
    assert statuses[200] + statuses[201] > 100
    assert statuses[404] > 100
    assert statuses[400] > 10


@schemathesis.serializer("application/zip")
def send_zip(context: Any, value: Any) -> bytes:
    """Send whatever was drawn for a bundle: it is none, and has to be refused like one."""
    return value if isinstance(value, bytes) else bytes(value.data) if hasattr(value, "data") else str(value).encode()


def try_operation(operation: Any, url: str, statuses: Counter[int]) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

    @settings(max_examples=8, deadline=None, database=None, phases=[Phase.generate], suppress_health_check=HealthCheck)
    @given(case=operation.as_strategy())
    def ask(case: Any) -> None:
        response = case.call(base_url=url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=checks)

    ask()


def name_what_exists(document: dict[str, Any], known: dict[str, list[Any]]) -> dict[str, Any]:
    """Allow only names that exist. (Beside any others they would never be drawn.)"""
    for item in document["paths"].values():
        for operation in item.values():
            for parameter in operation["parameters"]:
                if parameter["in"] == "path" and parameter["name"] in known:
                    parameter["schema"] = {"enum": known[parameter["name"]]}
                elif parameter["name"] in ("cursor", "since", "until"):
                    parameter["schema"] = {"enum": ["1", "1h", "2026-01-02T03:04:05Z"]}
    schemas = document["components"]["schemas"]
    schemas["StartBody"]["properties"] |= {
        "workflow": {"enum": known["workflow"]},
        "args": {"type": "array", "items": {"enum": ["ada", 1, 2]}, "maxItems": 1},
        "kwargs": {"type": "object", "maxProperties": 0},
        "deployment": {"type": "null"},
        "delay": {"enum": [None, 0, "1h", 0.5]},
    }
    schemas["QueryBody"]["properties"]["sql"] = {"enum": ["FROM runs", "SELECT count(*) FROM steps", "selec 1"]}
    schemas["RemedyBody"]["properties"]["action"] = {"enum": ["keep"]}
    return document


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "WHAT"]),
    path=st.lists(st.sampled_from(["api", "runs", "hooks", "live", "x", "..", "%2e", "%00", "%ff", "", "é", "events"])),
    query=st.text(max_size=20),
    body=st.binary(max_size=40),
)
def test_whatever_is_asked_is_answered_without_a_failure(method: str, path: list[str], query: str, body: bytes) -> None:
    async def ask() -> int:
        async with open_site() as site:
            target = "/" + "/".join(path) + "?" + query.replace("?", "")
            headers = [("content-type", "application/json")]
            return (await site.ask(method, target, headers=headers, body=body)).status

    if path[:2] != ["api", "live"]:
        assert asyncio.run(ask()) < 500
