"""docs/bundle.md is enough: a bundle is read and written here with Python's standard library alone."""

from __future__ import annotations

import hashlib
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

from tests.wfstudio.history.worlds import bundle_of, look_at, open_source, open_target
from tests.wfstudio.studio import DIGEST, SOURCE, rest, run
from wfstudio.history.bundle import form
from wfstudio.history.transfers import import_bundle

PAGE = (Path(__file__).resolve().parents[3] / "docs" / "bundle.md").read_text("utf-8")


def read(data: bytes) -> tuple[dict[str, Any], dict[str, bytes]]:
    """Read a bundle's manifest and members, as §1 and §2 say, and check what they say to check."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    manifest = json.loads(members.pop("manifest.json"))
    assert (manifest["format"], manifest["version"]) == ("wf-bundle", 1)
    assert set(manifest["members"]) == set(members)
    for name, said in manifest["members"].items():
        assert said == {"size": len(members[name]), "sha256": hashlib.sha256(members[name]).hexdigest()}
    return manifest, members


def lines(content: bytes) -> list[Any]:
    assert content == b"" or content.endswith(b"\n")
    return [json.loads(line) for line in content.split(b"\n")[:-1]]


def write(runs: dict[str, dict[str, Any]]) -> bytes:
    """Write a bundle of runs, each with its `record`, `events`, `chunks` and `logs`."""
    members: dict[str, bytes] = {"deployments.jsonl": b""}
    for number, run_ in enumerate(runs.values(), 1):
        members[f"runs/{number}/run.json"] = json.dumps(run_["record"]).encode()
        for name in ("events", "chunks", "logs"):
            members[f"runs/{number}/{name}.jsonl"] = b"".join(
                json.dumps(line, separators=(",", ":")).encode() + b"\n" for line in run_[name]
            )
    manifest = {
        "format": "wf-bundle",
        "version": 1,
        "created_at": "2026-01-02T03:04:05Z",
        "wf_version": "by hand",
        "schema_version": 3,
        "is_redacted": False,
        "runs": list(runs),
        "members": {n: {"size": len(c), "sha256": hashlib.sha256(c).hexdigest()} for n, c in members.items()},
    }
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in [("manifest.json", json.dumps(manifest).encode()), *members.items()]:
            archive.writestr(name, content)
    return file.getvalue()


async def test_what_wf_writes_is_what_the_page_says() -> None:
    async with open_source() as here:
        view = await run(here, "stream", 2)
        greeted = await run(here, "greet", "ada")
        manifest, members = read(await bundle_of(here, view.id, greeted.id))
        events = await here.list_events(view.id)
    assert manifest["runs"] == [view.id, greeted.id]
    record = json.loads(members["runs/1/run.json"])
    assert record == {
        "run_id": view.id,
        "kind": "bundle",
        "deployment_id": view.deployment_id,
        "parent_run_id": None,
        "parent_correlation_id": None,
        "attention": None,
        "events": len(events),
    }
    found = lines(members["runs/1/events.jsonl"])
    assert [(event["seq"], event["type"]) for event in found] == [(event.seq, event.type) for event in events]
    assert found[0]["payload"] == {"count": 2}
    assert json.loads(found[0]["meta"])["deployment_id"] == view.deployment_id
    assert "payload" not in found[1]
    chunks = lines(members["runs/1/chunks.jsonl"])
    assert [(c["stream"], c["index"], c.get("payload", "end")) for c in chunks] == [
        ("default", 0, {"n": 0}), ("default", 1, {"n": 1}), ("default", 2, "end"),
    ]  # fmt: skip
    [log] = lines(members["runs/2/logs.jsonl"])
    assert [(source, text) for _, source, text in log["lines"]] == [
        ("stdout", "greeting ada"), ("logging:WARNING", "about ada"),
    ]  # fmt: skip
    [deployment] = lines(members["deployments.jsonl"])
    named = "".join(f"{path}\0{digest}\n" for path, digest in sorted(deployment["files"].items()))
    assert deployment["deployment_id"] == "dep_" + hashlib.sha256(named.encode()).hexdigest()[:24]
    assert members[f"sources/{DIGEST}"] == SOURCE


async def test_wf_reads_what_the_page_allows() -> None:
    at = 1_767_322_245_000_000
    events = [
        {
            "seq": 1,
            "type": "run_created",
            "at": at,
            "name": "by.hand:main",
            "meta": "{}",
            "payload": {"n": 1},
            "odd": 1,
        },
        {"seq": 2, "type": "run_started", "at": at + 1},
        {"seq": 3, "type": "step_created", "at": at + 2, "correlation_id": 1, "name": "by.hand:pay", "attempt": 1},
        {
            "seq": 4,
            "type": "step_completed",
            "at": at + 3,
            "correlation_id": 1,
            "name": "by.hand:pay",
            "attempt": 1,
            "payload": None,
        },
        {"seq": 5, "type": "run_completed", "at": at + 4, "payload": {"$decimal": "1.50"}},
    ]
    record = {
        "run_id": "by-hand-1",
        "kind": "bundle",
        "deployment_id": "",
        "parent_run_id": None,
        "parent_correlation_id": None,
        "attention": None,
        "events": 5,
    }
    chunks = [
        {"stream": "default", "index": 0, "at": at, "payload": "hello"},
        {"stream": "default", "index": 1, "at": at},
    ]
    logs = [{"correlation_id": 1, "attempt": 1, "index": 0, "at": at, "lines": [[at, "stdout", "printed"]]}]
    data = write({"by-hand-1": {"record": record, "events": events, "chunks": chunks, "logs": logs}})
    async with open_target() as there:
        done = await import_bundle(there.session, data, "by-hand.zip")
        assert [item.outcome for item in done.items] == ["imported"]
        look = await look_at(there, "by-hand-1")
        assert (look["run"].status, look["run"].input, look["run"].output) == ("completed", {"n": 1}, "1.50")
        assert [line.text for line in look["logs"]] == ["printed"]
        assert look["streams"][0].is_closed


async def test_the_page_says_what_redact_leaves_out() -> None:
    async with open_source() as here:
        view = await here.start("approve", ["42"], attributes={"tenant": "acme"})
        await rest(here, view.id)
        manifest, members = read(await bundle_of(here, view.id, is_redacted=True))
    assert manifest["is_redacted"] is True
    assert json.loads(members["runs/1/run.json"])["kind"] == "redacted"
    created, _, hook = lines(members["runs/1/events.jsonl"])
    assert created["payload"] == {"$redacted": len('{"site":"42"}')}
    assert json.loads(created["meta"])["attributes"] == {"tenant": "redacted"}
    assert list(hook["payload"]) == ["$redacted"]
    assert set(members) == {"deployments.jsonl", *form.run_members(1)}
    assert members["deployments.jsonl"] == members["runs/1/logs.jsonl"] == b""


def test_the_pages_numbers_are_the_programs() -> None:
    assert f"over {form.MAX_BUNDLE_BYTES // 10**6} MB" in PAGE
    assert f"over {form.MAX_OPEN_BYTES // 10**6} MB together" in PAGE
    assert f"over {form.MAX_MEMBERS:,} members".replace(",", " ") in PAGE
    assert f"more than {form.MAX_RATIO} times" in PAGE
    assert (form.FORMAT, form.VERSION) == ("wf-bundle", 1)


def test_the_page_names_every_key() -> None:
    structs = [form.Manifest, form.RunRecord, form.EventLine, form.ChunkLine, form.LogLine, form.DeploymentLine]
    named = set(re.findall(r"`(\w+)`", PAGE))
    missing = {field for struct in structs for field in struct.__struct_fields__} - named
    assert missing == set()
