"""The catalog: what code defines, as plain data that is kept sealed with its deployment."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any

import jsonschema
import pytest

import wf
from wf import registry
from wf.catalog import DEPLOYMENTS, Catalog, WorkflowEntry, make_catalog, open_catalog, open_source, seal_source
from wf.deployment import keep_deployment, read_deployment
from wf.errors import DecryptionError
from wf.ids import is_run_id
from wf.keys import Keyring
from wf.session import Session
from wf.settings import Settings
from wf.worlds.memory import MemoryWorld

ROOT = Path(__file__).resolve().parents[2]


@dataclass
class Order:
    name: str
    lines: list[int]


class Opaque:
    def __repr__(self) -> str:
        raise RuntimeError("no text of this")


OPAQUE = Opaque()


def catalog_of(define: Any) -> Catalog:
    with registry.isolated():
        before = {workflow.id for workflow in registry.list_workflows()} | {s.id for s in registry.list_steps()}
        define()
        made = make_catalog(ROOT)
    return Catalog(
        [entry for entry in made.workflows if entry.id not in before],
        [entry for entry in made.steps if entry.id not in before],
    )


def define_flows() -> None:
    @wf.workflow(timeout="2s", concurrency=3)
    async def fulfil(order: Order, /, note: str = "none", *rest: int, is_gift: bool, **more: str) -> list[int]:
        """Fulfil an order.

        At length.
        """
        return []

    @wf.workflow
    async def bare(x, y=OPAQUE):  # type: ignore[no-untyped-def]
        "use workflow"

    @wf.step(max_retries=7, timeout="1s")
    def charge(card: str) -> None: ...


@pytest.fixture(scope="module")
def made() -> Catalog:
    return catalog_of(define_flows)


def entry_of(made: Catalog, name: str) -> WorkflowEntry:
    return next(entry for entry in made.workflows if entry.name == name)


def test_a_workflow_is_described_with_its_place_and_its_words(made: Catalog) -> None:
    entry = entry_of(made, "fulfil")
    assert entry.file == "tests/wf/test_catalog.py"
    assert "async def fulfil" in (ROOT / entry.file).read_text().splitlines()[entry.line]
    assert entry.doc == "Fulfil an order.\n\nAt length."
    assert (entry.timeout_ms, entry.concurrency) == (2000.0, 3)
    assert entry.returns == {"type": "array", "items": {"type": "integer"}}


def test_parameters_are_described_by_kind_need_and_default(made: Catalog) -> None:
    assert [(p.name, p.kind, p.is_required, p.default) for p in entry_of(made, "fulfil").parameters] == [
        ("order", "positional", True, None),
        ("note", "positional", False, "'none'"),
        ("rest", "args", False, None),
        ("is_gift", "keyword", True, None),
        ("more", "kwargs", False, None),
    ]


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({"order": {"name": "a", "lines": [1]}, "is_gift": True}, True),
        ({"order": {"name": "a", "lines": ["x"]}, "is_gift": True}, False),
        ({"order": {"name": "a", "lines": []}}, False),
        ({"order": {"name": "a", "lines": []}, "is_gift": False, "rest": [1, 2], "other": "allowed"}, True),
        ({"order": {"name": "a", "lines": []}, "is_gift": False, "note": 5}, False),
    ],
)
def test_the_schema_of_the_arguments_tells_which_fit(made: Catalog, arguments: dict[str, Any], fits: bool) -> None:
    assert jsonschema.Draft202012Validator(entry_of(made, "fulfil").schema).is_valid(arguments) is fits


def test_what_has_no_annotation_or_text_is_described_by_nothing(made: Catalog) -> None:
    entry = entry_of(made, "bare")
    assert [(p.schema, p.default) for p in entry.parameters] == [({}, None), ({}, "...")]
    assert (entry.doc, entry.returns) == (None, None)


def test_steps_are_described_and_wfs_own_are_not(made: Catalog) -> None:
    (step,) = made.steps
    assert (step.name, step.is_async, step.max_retries, step.timeout_ms) == ("charge", False, 7, 1000.0)
    assert not [entry for entry in make_catalog(ROOT).steps if entry.id.startswith("wf/")]


def make_session() -> Session:
    return Session(MemoryWorld(), Keyring([b"k" * 32]), Settings(root=ROOT))


def test_a_deployment_is_kept_with_its_sources_and_its_catalog() -> None:
    session = make_session()

    async def keep() -> tuple[str, dict[str, bytes] | None]:
        name = await keep_deployment(session, [])
        assert await keep_deployment(session, []) == name
        return name, await read_deployment(session, name)

    name, files = asyncio.run(keep())
    assert files is not None
    assert files["tests/wf/test_catalog.py"] == Path(__file__).read_bytes()
    row = asyncio.run(session.world.get_deployment(name))
    assert row is not None
    assert open_catalog(session.keyring, row) == make_catalog(ROOT)
    assert asyncio.run(read_deployment(session, "dep_other")) is None


def test_neither_sources_nor_catalog_are_kept_in_clear() -> None:
    session = make_session()

    async def keep() -> list[bytes]:
        row = await session.world.get_deployment(await keep_deployment(session, []))
        assert row is not None
        assert row.catalog is not None
        blobs = [await session.world.read_source(digest) for digest in row.manifest.values()]
        return [row.catalog, *(blob for blob in blobs if blob is not None)]

    for blob in asyncio.run(keep()):
        assert b"Fulfil an order" not in blob
        assert b"async def" not in blob


def test_a_source_opens_as_itself_only() -> None:
    keyring = Keyring([b"k" * 32])
    digest, other = sha256(b"print(1)").hexdigest(), sha256(b"print(2)").hexdigest()
    blob = seal_source(keyring, digest, b"print(1)")
    assert open_source(keyring, digest, blob) == b"print(1)"
    with pytest.raises(DecryptionError):
        open_source(keyring, other, blob)
    with pytest.raises(DecryptionError, match="the content is another"):
        open_source(keyring, other, seal_source(keyring, other, b"print(1)"))


def test_no_run_can_have_the_id_that_deployments_are_sealed_under() -> None:
    assert not is_run_id(DEPLOYMENTS)
