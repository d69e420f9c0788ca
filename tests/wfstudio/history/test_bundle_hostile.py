"""A bundle may come from anybody: whatever is wrong with it is said, and nothing of it is kept."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import warnings
import zipfile
from collections.abc import Callable
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wfstudio.history.worlds import bundle_of, look_at, open_source, open_target
from tests.wfstudio.studio import rest, run
from wf.errors import WorldError
from wf.world import RunFilter
from wfstudio.history.bundle import reading
from wfstudio.history.bundle.form import MANIFEST, BundleError
from wfstudio.history.bundle.reading import Bundle
from wfstudio.history.transfers import import_bundle

Members = dict[str, bytes]


@cache
def whole() -> bytes:
    """A bundle of three runs, with chunks, lines and code."""

    async def make() -> bytes:
        async with open_source() as client:
            streamed = await run(client, "stream", 2)
            failed = await run(client, "fail", "no money")
            waiting = await client.start("approve", ["42"], attributes={"tenant": "acme"})
            await rest(client, waiting.id)
            greeted = await run(client, "greet", "ada")
            return await bundle_of(client, streamed.id, failed.id, waiting.id, greeted.id)

    return asyncio.run(make())


def unpack(data: bytes) -> Members:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def pack(members: Members, *, method: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return file.getvalue()


def sign(members: Members, **changes: Any) -> Members:
    """Have the manifest say what the members are now."""
    manifest = {**msgspec.json.decode(members[MANIFEST]), **changes}
    manifest["members"] = {
        name: {"size": len(content), "sha256": sha256(content).hexdigest()}
        for name, content in members.items()
        if name != MANIFEST
    }
    return {**members, MANIFEST: msgspec.json.encode(manifest)}


def edit_lines(members: Members, name: str, edit: Callable[[list[dict[str, Any]]], object]) -> bytes:
    lines = [msgspec.json.decode(line) for line in members[name].splitlines()]
    edit(lines)
    return pack(sign({**members, name: b"".join(msgspec.json.encode(line) + b"\n" for line in lines)}))


def refusal(data: bytes) -> BundleError:
    with pytest.raises(BundleError) as caught:
        Bundle(data).check()
    return caught.value


def keeps_nothing(data: bytes) -> None:
    async def take_in() -> None:
        async with open_target() as there:
            with pytest.raises(BundleError):
                await import_bundle(there.session, data, "x.wf.zip")
            assert await there.session.world.list_runs(RunFilter()) == []
            assert await there.list_deployments() == []

    asyncio.run(take_in())


def test_the_bundle_of_these_tests_is_whole() -> None:
    Bundle(whole()).check()
    Bundle(pack(sign(unpack(whole())))).check()


# -- the file -----------------------------------------------------------------------------------


@pytest.mark.parametrize("data", [b"", b"PK", b"PK\x03\x04", b"not a zip at all", b"PK\x05\x06" + b"\0" * 10])
def test_what_is_no_zip_is_no_bundle(data: bytes) -> None:
    error = refusal(data)
    assert str(error).startswith("the file is no bundle: ")
    assert error.hint == "give a file that `wf export` wrote, or a `.workflow-data` folder"


def test_a_zip_of_other_things_is_no_bundle() -> None:
    assert str(refusal(pack({}))) == "the file is no bundle: it has no manifest.json"
    assert str(refusal(pack({"report.txt": b"x"}))) == "a bundle has no member 'report.txt'"


@pytest.mark.parametrize("cut", [1, 22, 100, 5_000])
def test_a_file_that_was_cut_off_is_refused(cut: int) -> None:
    refusal(whole()[:-cut])
    keeps_nothing(whole()[:-cut])


@pytest.mark.parametrize(
    "name",
    [
        "../../etc/passwd", "/etc/passwd", "runs/../../x", "runs\\1\\run.json", "C:\\x", "runs/1/run.json/", "runs/",
        "runs/0/run.json", "runs/01/run.json", "RUNS/1/run.json", "sources/../x", "sources/" + "g" * 64,
        "sources/" + "A" * 64, "runs/1/run.json\n", "runs/1/run.json\0.txt", "runs/9999999/run.json",
        ".", "..", "x" * 5000,
    ],
)  # fmt: skip
def test_a_name_that_no_bundle_has_is_refused(name: str) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for known, content in unpack(whole()).items():
            archive.writestr(known, content)
        info = zipfile.ZipInfo("x")
        info.filename = name
        archive.writestr(info, b"evil")
    assert str(refusal(file.getvalue())).startswith("a bundle has no member ")
    keeps_nothing(file.getvalue())


def test_two_members_of_one_name_are_refused() -> None:
    members = unpack(whole())
    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in [*members.items(), ("runs/1/run.json", b"{}")]:
                archive.writestr(name, content)
    error = refusal(file.getvalue())
    assert (str(error), error.where) == ("there are two members of this name", "runs/1/run.json")


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o060644, 0o140644, 0o040755])
def test_links_and_devices_are_refused(mode: int) -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in unpack(whole()).items():
            info = zipfile.ZipInfo(name)
            info.external_attr = (mode if name == "runs/1/run.json" else 0o100644) << 16
            archive.writestr(info, content)
    error = refusal(file.getvalue())
    assert (str(error), error.where) == ("it is a link or another thing that is no file", "runs/1/run.json")


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_other_ways_of_packing_are_refused(method: int) -> None:
    assert str(refusal(pack(unpack(whole()), method=method))) == "it is packed in a way that bundles are not"


def test_an_encrypted_member_is_refused() -> None:
    data = bytearray(pack(unpack(whole())))
    central = data.index(b"PK\x01\x02")
    data[central + 8] |= 1
    assert str(refusal(bytes(data))) == "it is packed in a way that bundles are not"


def test_a_bomb_is_refused_before_it_goes_off() -> None:
    members = unpack(whole())
    bomb = b"\n" * 5_000_000
    error = refusal(pack(sign({**members, "runs/1/chunks.jsonl": bomb}), method=zipfile.ZIP_DEFLATED))
    assert (str(error), error.where) == ("it is packed more than 100 to 1, as no bundle is", "runs/1/chunks.jsonl")


def test_a_member_that_hides_its_size_is_not_unpacked_beyond_it() -> None:
    members = sign({**unpack(whole()), "runs/1/chunks.jsonl": b"\n" * 2_000_000})
    data = bytearray(pack(members, method=zipfile.ZIP_DEFLATED))
    manifest = msgspec.json.decode(members[MANIFEST])
    manifest["members"]["runs/1/chunks.jsonl"]["size"] = 10
    data = bytearray(pack({**members, MANIFEST: msgspec.json.encode(manifest)}, method=zipfile.ZIP_DEFLATED))
    place = data.index(b"runs/1/chunks.jsonl", data.index(b"PK\x01\x02")) - 46
    struct.pack_into("<I", data, place + 24, 10)  # what the directory says is ten bytes, too
    error = refusal(bytes(data))
    assert error.where == "runs/1/chunks.jsonl"
    keeps_nothing(bytes(data))


def test_sizes_are_capped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MAX_OPEN_BYTES", 1000)
    assert "over the limit of 1000" in str(refusal(whole()))
    monkeypatch.setattr(reading, "MAX_BUNDLE_BYTES", 500)
    assert str(refusal(whole())) == f"the file has {len(whole())} bytes, over the limit of 500"
    monkeypatch.undo()
    monkeypatch.setattr(reading, "MAX_MEMBERS", 3)
    assert "members, over the limit of 3" in str(refusal(whole()))


# -- the manifest -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"format": "tar"}, "its format is 'tar', not wf-bundle"),
        ({"version": 2}, "its format has the version 2, and this version of wf reads 1"),
        ({"version": 0}, "its format has the version 0, and this version of wf reads 1"),
        ({"version": "1"}, "it does not fit: expected `int`, got `str` - at `$.version`"),
        ({"runs": "all"}, "it does not fit: expected `array`, got `str` - at `$.runs`"),
        ({"is_redacted": True}, "it is not redacted, and the manifest says that all runs are"),
    ],
)
def test_a_manifest_that_does_not_fit_is_refused(changes: dict[str, Any], text: str) -> None:
    data = pack(sign(unpack(whole()), **changes))
    assert str(refusal(data)) == text
    keeps_nothing(data)


@pytest.mark.parametrize(
    "manifest", [b"", b"{", b"[]", b"null", b"[" * 100_000, b"\xff\xfe", b'{"format": "wf-bundle"}']
)
def test_a_manifest_that_is_none_is_refused(manifest: bytes) -> None:
    assert refusal(pack({**unpack(whole()), MANIFEST: manifest})).where == MANIFEST


def test_members_and_manifest_must_agree() -> None:
    members = unpack(whole())
    first = msgspec.json.decode(members[MANIFEST])["runs"][0]
    size = len(members["runs/1/run.json"])
    lost = {name: content for name, content in members.items() if name != "runs/2/events.jsonl"}
    cases: list[tuple[Members, str, str]] = [
        (lost, "the member is missing", "runs/2/events.jsonl"),
        (sign(lost), "the member is missing", "runs/2/events.jsonl"),
        ({**members, "runs/7/run.json": b"{}"}, "the manifest does not name this member", "runs/7/run.json"),
        (sign({**members, "runs/7/run.json": b"{}"}), "it belongs to no run of the manifest", "runs/7/run.json"),
        (sign(members, runs=[first, first]), "it names a run twice", MANIFEST),
        (
            {**members, "runs/1/run.json": members["runs/1/run.json"] + b" "},
            f"it has {size + 1} bytes, and the manifest says {size}",
            "runs/1/run.json",
        ),
        (
            {**members, "runs/1/run.json": members["runs/1/run.json"].replace(b"bundle", b"vercel")},
            "its content is not the one that the manifest names",
            "runs/1/run.json",
        ),
    ]
    for case, text, where in cases:
        error = refusal(pack(case))
        assert (str(error), error.where) == (text, where)
        keeps_nothing(pack(case))


# -- what members hold --------------------------------------------------------------------------


def events_of(number: int) -> str:
    return f"runs/{number}/events.jsonl"


def drop(place: int) -> Callable[[list[dict[str, Any]]], object]:
    return lambda lines: lines.pop(place)


def change(place: int, **changes: Any) -> Callable[[list[dict[str, Any]]], object]:
    return lambda lines: lines[place].update(changes)


@pytest.mark.parametrize(
    ("name", "edit", "text", "where"),
    [
        (events_of(1), drop(2), "it has 4 events, and its record says 5", events_of(1)),
        (events_of(1), change(2, seq=9), "event 3 is missing, event 9 stands in its place", f"{events_of(1)}:3"),
        (events_of(1), change(0, type="run_started"), "the log does not begin with `run_created`", f"{events_of(1)}:1"),
        (events_of(1), change(1, type="run_created"), "the log has a second `run_created`", f"{events_of(1)}:2"),
        (
            events_of(1),
            change(2, type="step_paused"),
            "'step_paused' is no type of event that this version knows",
            f"{events_of(1)}:3",
        ),
        (events_of(1), change(2, correlation_id=2), "`step_created` is call 1, not 2", f"{events_of(1)}:3"),
        (
            events_of(1),
            change(3, correlation_id=7),
            "`step_completed` belongs to no step: there is no call 7 that is one",
            f"{events_of(1)}:4",
        ),
        (
            events_of(3),
            change(2, type="step_completed", attempt=1),
            "`step_completed` belongs to no step: there is no call 1 that is one",
            f"{events_of(3)}:3",
        ),
        (events_of(1), change(2, name=None), "`step_created` has no name", f"{events_of(1)}:3"),
        (events_of(1), change(2, attempt=None), "`step_created` has no attempt", f"{events_of(1)}:3"),
        (events_of(1), change(2, at=-1), "the line does not fit: expected `int` >= 0 - at `$.at`", f"{events_of(1)}:3"),
        (
            events_of(1),
            change(2, at=10**18),
            "the line does not fit: expected `int` <= 253402300799999999 - at `$.at`",
            f"{events_of(1)}:3",
        ),
        (
            events_of(1),
            change(2, seq="3"),
            "the line does not fit: expected `int`, got `str` - at `$.seq`",
            f"{events_of(1)}:3",
        ),
        (
            events_of(2),
            change(4, meta='{"code":5}'),
            "the meta of `run_failed` does not fit: Expected `str`, got `int` - at `$.code`",
            f"{events_of(2)}:5",
        ),
        (
            events_of(2),
            change(3, meta="{"),
            "the meta of `step_failed` does not fit: Input data was truncated",
            f"{events_of(2)}:4",
        ),
        (
            events_of(2),
            change(3, meta=None),
            "the meta of `step_failed` does not fit: Object missing required field `error_type`",
            f"{events_of(2)}:4",
        ),
        (
            "runs/1/chunks.jsonl",
            change(1, index=5),
            "the chunks of stream 'default' are not numbered from 0",
            events_of(1),
        ),
        (
            "runs/1/chunks.jsonl",
            lambda lines: lines[0].pop("payload"),
            "there are chunks behind the end of stream 'default'",
            events_of(1),
        ),
        (
            "runs/4/logs.jsonl",
            change(0, lines=[[1, "stdout"]]),
            "the line does not fit: expected `array` of length 3 - at `$.lines[0]`",
            "runs/4/logs.jsonl:1",
        ),
        (
            "deployments.jsonl",
            change(0, files={"flows.py": "0" * 64}),
            "the files of 'dep_{}' are those of another deployment",
            "deployments.jsonl:1",
        ),
        ("deployments.jsonl", change(0, files={"flows.py": "x"}), None, "deployments.jsonl:1"),
        (
            "deployments.jsonl",
            change(0, catalog={"workflows": 1}),
            "the catalog does not fit: Expected `array`, got `int` - at `$.workflows`",
            "deployments.jsonl:1",
        ),
    ],
)
def test_a_line_that_does_not_fit_is_named(name: str, edit: Any, text: str | None, where: str) -> None:
    data = edit_lines(unpack(whole()), name, edit)
    error = refusal(data)
    if text is not None:
        head, _, tail = text.partition("{}")
        assert str(error).startswith(head)
        assert str(error).endswith(tail)
    assert error.where == where
    keeps_nothing(data)


def test_the_run_is_the_one_that_the_manifest_names() -> None:
    members = unpack(whole())
    swapped = {**members, "runs/1/run.json": members["runs/2/run.json"], "runs/2/run.json": members["runs/1/run.json"]}
    assert str(refusal(pack(sign(swapped)))).endswith("and the manifest names another")
    runs = ["../evil", *msgspec.json.decode(members[MANIFEST])["runs"][1:]]
    record = {**msgspec.json.decode(members["runs/1/run.json"]), "run_id": "../evil"}
    evil = sign({**members, "runs/1/run.json": msgspec.json.encode(record)}, runs=runs)
    assert str(refusal(pack(evil))) == "'../evil' is no run id"


@pytest.mark.parametrize(
    "line",
    [
        b"", b"{", b"null", b"[]", b'{"seq":1,"type":"run_created","at":1,"name":"x","payload":[1,}',
        b'{"seq":1,"type":"run_created","at":1,"name":"x","payload":"\xff"}',
        b'{"seq":1,"type":"run_created","at":1,"name":"x","payload":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"seq":1,"type":"run_created","at":1,"name":"\xff"}',
        b'{"seq":99999999999999999999999999,"type":"run_created","at":1}',
    ],
)  # fmt: skip
def test_a_line_that_is_no_json_is_named(line: bytes) -> None:
    members = unpack(whole())
    lines = members[events_of(1)].splitlines(keepends=True)
    data = pack(sign({**members, events_of(1): b"".join([line + b"\n", *lines[1:]])}))
    assert refusal(data).where == f"{events_of(1)}:1"
    keeps_nothing(data)


def test_a_last_line_that_is_cut_off_is_named() -> None:
    members = unpack(whole())
    data = pack(sign({**members, events_of(1): members[events_of(1)][:-1]}))
    assert str(refusal(data)) == "its last line is cut off"


def test_a_source_is_what_its_name_says() -> None:
    members = unpack(whole())
    [source] = [name for name in members if name.startswith("sources/")]
    data = pack(sign({**members, source: b"import os; os.abort()\n"}))
    assert str(refusal(data)) == "its content is not the one that its name says"
    keeps_nothing(data)


# -- whatever else ------------------------------------------------------------------------------


@settings(max_examples=250)
@given(st.data())
def test_a_bundle_with_any_bytes_changed_is_refused_or_whole(data: st.DataObject) -> None:
    changed = bytearray(whole())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        changed[place] = data.draw(st.integers(0, 255))
    try:
        Bundle(bytes(changed)).check()
    except BundleError:
        pass


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.floats() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8) | st.just("$bytes"), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(max_examples=150)
@given(st.data())
def test_whatever_is_taken_in_can_be_looked_at(data: st.DataObject) -> None:
    """Members are changed as JSON and signed anew: what gets by the rules must not break any reader."""
    members = unpack(whole())
    name = data.draw(st.sampled_from(sorted(set(members) - {MANIFEST})))
    if name.startswith("sources/"):
        return
    lines = [msgspec.json.decode(line) for line in members[name].splitlines()]
    for _ in range(data.draw(st.integers(1, 3))):
        if not lines:
            break
        line = data.draw(st.sampled_from(lines))
        key = data.draw(st.sampled_from(sorted(line)))
        verb = data.draw(st.sampled_from(["replace", "drop", "copy", "swap", "meta"]))
        if verb == "replace":
            line[key] = data.draw(JSON)
        elif verb == "drop":
            del line[key]
            if not line:
                break
        elif verb == "copy":
            lines.insert(data.draw(st.integers(0, len(lines))), dict(line))
        elif verb == "swap":
            other = data.draw(st.sampled_from(lines))
            if key in other:
                line[key], other[key] = other[key], line[key]
        else:
            line["meta"] = msgspec.json.encode(data.draw(JSON)).decode()
    try:
        content = b"".join(msgspec.json.encode(line) + b"\n" for line in lines)
    except (OverflowError, ValueError):
        return
    if name == "runs/1/run.json":
        content = content.rstrip()
    changed = pack(sign({**members, name: content}))

    async def take_in() -> None:
        async with open_target() as there:
            try:
                done = await import_bundle(there.session, changed, "x.wf.zip")
            except (BundleError, WorldError):
                assert await there.session.world.list_runs(RunFilter()) == []
                return
            for item in done.items:
                look = await look_at(there, item.id)
                msgspec.json.encode(look)
                await there.get_run(item.id, is_locked=True)
            await there.list_deployments()

    asyncio.run(take_in())


def test_a_value_that_is_signed_is_what_it_is() -> None:
    """The property above is not about refusals alone: what keeps the rules is taken in."""
    data = edit_lines(unpack(whole()), events_of(4), change(-1, payload={"$tuple": [{"$datetime": 5}]}))

    async def take_in() -> None:
        async with open_target() as there:
            done = await import_bundle(there.session, data, "x.wf.zip")
            assert (await there.get_run(done.items[3].id)).output == [{"$datetime": 5}]

    asyncio.run(take_in())


def test_reading_a_bundle_touches_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    opened: list[str] = []
    monkeypatch.setattr("builtins.open", lambda *args, **options: opened.append(str(args[0])))
    monkeypatch.setattr(os, "open", lambda *args, **options: opened.append(str(args[0])))
    Bundle(whole()).check()
    assert opened == []
    assert list(tmp_path.iterdir()) == []
