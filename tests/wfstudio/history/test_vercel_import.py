"""Data directories of Vercel's local world: their runs can be looked at here, whatever state the files are in."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.wfstudio.history.vercel_writer import (
    BEGAN,
    RunWriter,
    Tagged,
    Writer,
    blob,
    devl,
    frame,
    gzipped,
    instance,
    iso,
    zstd,
)
from tests.wfstudio.history.worlds import bundle_of, look_at, open_source, open_target
from wf.errors import ImportedRunError
from wf.forking import ForkError
from wf.world import RunFilter
from wfstudio.core.client import Client
from wfstudio.core.errors import NotFoundError
from wfstudio.core.views import RunQuery
from wfstudio.history.transfers import ImportView, import_bundle, import_folder
from wfstudio.history.vercel.reading import DataDirectory

LAYOUTS = [True, False]


@pytest.fixture(params=LAYOUTS, ids=["folder per run", "flat"])
def writer(request: pytest.FixtureRequest, tmp_path: Path) -> Writer:
    return Writer(tmp_path / "shop" / ".workflow-data", is_nested=request.param)


def files_of(folder: Path) -> dict[str, tuple[bytes, int]]:
    found = [path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()]
    return {path.relative_to(folder).as_posix(): (path.read_bytes(), path.stat().st_mtime_ns) for path in found}


async def take_in(there: Client, writer: Writer) -> ImportView:
    """Import, and see that their folder is what it was."""
    before = files_of(writer.path)
    done = await import_folder(there.session, writer.path)
    assert files_of(writer.path) == before
    return done


# -- a whole run --------------------------------------------------------------------------------


def write_order(writer: Writer) -> RunWriter:
    """A run of every type of event, as the Python SDK leaves it."""
    run = RunWriter(writer)
    run.create([{"order_id": 7, "at": BEGAN}], attributes={"tenant": "acme"})
    run.start()
    run.step("step//shop.flows//fetch", [{"url": "https://x"}], {"tags": {"a", "b"}, "raw": b"\0\1"})
    failing = run.create_step("step//shop.flows//charge", [7, {}])
    run.event("step_started", failing)
    stack = 'Traceback (most recent call last):\n  File "x.py", line 1, in charge\nshop.errors.Declined: no money'
    run.event(
        "step_retrying",
        failing,
        {"error": "no money", "stack": stack, "retryAfter": iso(writer.now + timedelta(seconds=5))},
    )
    writer.tick(5000)
    run.event("step_started", failing)
    run.event("step_failed", failing, {"error": "no money", "stack": stack})
    wait = writer.new_id("wait")
    run.event("wait_created", wait, {"resumeAt": iso(writer.now + timedelta(hours=1))})
    run.event("wait_completed", wait)
    hook = writer.new_id("hook")
    run.event("hook_created", hook, {"token": "order:7", "metadata": writer.payload({"who": "ada"}), "isWebhook": True})
    run.event("hook_received", hook, {"payload": writer.payload({"approved": True}), "token": "order:7"})
    run.event("hook_disposed", hook)
    taken = writer.new_id("hook")
    run.event("hook_conflict", taken, {"token": "taken", "conflictingRunId": "wrun_other"})
    run.event(
        "attr_set",
        writer.new_id("attr"),
        {
            "changes": [{"key": "stage", "value": "paid"}, {"key": "tenant", "value": None}],
            "writer": {"type": "workflow"},
        },
    )
    run.event(
        "attr_set",
        data={"changes": [{"key": "n", "value": "1"}], "writer": {"type": "step", "stepId": failing, "attempt": 2}},
    )
    run.event("noop")
    run.chunk(run.stream_name(), frame(devl({"n": 0})))
    run.chunk(run.stream_name(), frame(devl({"n": 1})) + frame(devl({"n": 2})))
    run.chunk(run.stream_name(), b"", is_end=True)
    run.chunk(run.stream_name("log/é"), frame(devl("line")))
    run.complete({"total": instance("class//decimal//Decimal", "1.50")})
    return run


async def test_a_run_is_shown_with_all_that_it_did(writer: Writer) -> None:
    run = write_order(writer)
    async with open_target() as there:
        done = await take_in(there, writer)
        assert (done.kind, done.source, done.problems) == ("vercel", "shop/.workflow-data", [])
        [item] = done.items
        assert (item.id, item.workflow, item.status, item.outcome) == (
            run.run_id, "shop.flows:order", "completed", "imported",
        )  # fmt: skip
        look = await look_at(there, run.run_id)
        view = look["run"]
        assert (view.origin, view.deployment_id) == ("vercel:shop/.workflow-data", "dpl_local")
        assert view.input == {"order_id": 7, "at": "2026-08-20T10:00:00+00:00"}
        assert view.output == {"total": "1.50"}
        assert view.attributes == {"stage": "paid", "n": "1"}
        assert view.created_at == "2026-08-20T10:00:00.010000Z"
        assert view.duration_ms is not None
        assert [(event.type, event.correlation_id) for event in look["events"]] == [
            ("run_created", None), ("run_started", None),
            ("step_created", 1), ("step_started", 1), ("step_completed", 1),
            ("step_created", 2), ("step_started", 2), ("step_retrying", 2), ("step_started", 2), ("step_failed", 2),
            ("wait_created", 3), ("wait_completed", 3),
            ("hook_created", 4), ("hook_received", 4), ("hook_disposed", 4),
            ("hook_created", 5), ("hook_conflict", 5),
            ("attributes_set", 6), ("attributes_set", None),
            ("run_completed", None),
        ]  # fmt: skip
        fetch, charge = look["steps"]
        assert (fetch.name, fetch.status, fetch.input) == ("shop.flows:fetch", "completed", {"url": "https://x"})
        assert fetch.output == {"tags": ["a", "b"], "raw": {"$bytes": "AAE="}}
        assert (charge.status, charge.input) == ("failed", {"*args": [7]})
        assert [(attempt.number, attempt.status) for attempt in charge.attempts] == [(1, "failed"), (2, "failed")]
        assert charge.error is not None
        assert (charge.error.type, charge.error.message) == ("shop.errors.Declined", "no money")
        assert "in charge" in (charge.error.traceback or "")
        hook = look["events"][12]
        assert (hook.name, hook.payload) == (
            "webhook", {"token": "order:7", "metadata": {"who": "ada"}, "schema": None},
        )  # fmt: skip
        assert look["events"][13].payload == {"approved": True}
        assert look["events"][16].meta == {"run_id": "wrun_other"}
        assert look["events"][18].name == "shop.flows:charge"
        assert [(span.kind, span.status) for span in look["trace"].spans] == [
            ("run", "completed"), ("step", "completed"), ("step", "failed"), ("sleep", "completed"),
            ("hook", "disposed"), ("hook", "conflict"),
        ]  # fmt: skip
        assert [(stream.name, stream.tail_index, stream.is_closed) for stream in look["streams"]] == [
            ("default", 2, True), ("log/é", 0, False),
        ]  # fmt: skip
        assert [chunk.value for chunk in look["chunks"][0]] == [{"n": 0}, {"n": 1}, {"n": 2}]
        assert [chunk.value for chunk in look["chunks"][1]] == ["line"]


async def test_it_can_be_found_and_nothing_can_be_done_to_it(writer: Writer) -> None:
    run = write_order(writer)
    async with open_source() as there:
        await take_in(there, writer)
        query = RunQuery(workflow="order", attributes={"stage": "paid"}, since=BEGAN, status=["completed"])
        assert [item.id for item in (await there.list_runs(query)).items] == [run.run_id]
        with pytest.raises(ImportedRunError):
            await there.cancel(run.run_id)
        with pytest.raises(ForkError) as caught:
            await there.retry(run.run_id)
        reason = "it ran on another runtime, and its log here is a translation"
        assert str(caught.value) == f"run {run.run_id} cannot be forked: {reason}"


async def test_importing_again_takes_in_what_is_new(writer: Writer) -> None:
    write_order(writer)
    async with open_target() as there:
        await take_in(there, writer)
        later = write_order(writer)
        done = await take_in(there, writer)
        assert sorted((item.outcome, item.id == later.run_id) for item in done.items) == [
            ("imported", True), ("present", False),
        ]  # fmt: skip
        dry = await import_folder(there.session, writer.path, is_dry=True)
        assert [item.outcome for item in dry.items] == ["present", "present"]


async def test_a_bundle_carries_it_on(writer: Writer) -> None:
    run = write_order(writer)
    async with open_target() as there, open_target() as further:
        await take_in(there, writer)
        await import_bundle(further.session, await bundle_of(there, run.run_id), "one.wf.zip")
        view = await further.get_run(run.run_id)
        assert (view.origin, view.output) == ("vercel:one.wf.zip", {"total": "1.50"})


# -- versions -----------------------------------------------------------------------------------


@pytest.mark.parametrize("spec", [1, 2, 3, 4, 5, 6, 7])
@pytest.mark.parametrize("is_python", [True, False])
async def test_every_version_of_their_format_is_read(writer: Writer, spec: int, is_python: bool) -> None:
    writer.spec, writer.is_python = spec, is_python
    workflow = "workflow//shop.flows//order" if is_python else "workflow//./src/flows/order//order"
    run = RunWriter(writer, workflow)
    run.create([{"n": 1}])
    run.start()
    run.step("step//./src/pay//pay", [1, "x"], {"when": BEGAN, "ids": {1, 2}})
    run.complete([2**70, b"\1"])
    async with open_target() as there:
        done = await take_in(there, writer)
        assert done.problems == []
        view = await there.get_run(run.run_id)
        assert view.workflow == ("shop.flows:order" if is_python else "./src/flows/order:order")
        assert view.input == ({"n": 1} if is_python else {"*args": [{"n": 1}]})
        assert view.output == [str(2**70), {"$bytes": "AQ=="}]
        [step] = await there.list_steps(run.run_id)
        assert (step.name, step.input) == ("./src/pay:pay", {"*args": [1, "x"]})
        assert step.output == {"when": "2026-08-20T10:00:00+00:00", "ids": [1, 2]}


async def test_slots_as_event_ids_keep_their_order(writer: Writer) -> None:
    """Version 6 numbers events; of one millisecond, the id decides."""
    run = RunWriter(writer)
    moment = iso(writer.now)
    run.save(status="running", startedAt=moment)
    for slot, type_ in enumerate(["run_created", "run_started", "step_created", "step_started", "step_completed"], 1):
        data = {"workflowName": "workflow//a//b", "input": writer.payload([])} if slot == 1 else None
        data = {"stepName": "step//a//c", "input": writer.payload({"args": []})} if slot == 3 else data
        run.event(type_, "step_1" if slot > 2 else None, data, createdAt=moment, eventId=f"evnt_{slot:020}")
    async with open_target() as there:
        done = await take_in(there, writer)
        assert done.problems == []
        assert [event.type for event in await there.list_events(run.run_id)][-1] == "step_completed"


async def test_a_legacy_run_is_made_from_its_rows(writer: Writer) -> None:
    """Version 1 has no events of a run's or a step's creation; `workflow_*` are their names of the others."""
    writer.spec = 1
    run = RunWriter(writer, "workflow//./src/a//main")
    run.save(input=writer.payload([5]), status="running")
    run.event("workflow_started")
    run.step_row("step_1", stepName="step//./src/a//pay", input=writer.payload({"args": [5]}), status="completed")
    run.event("step_started", "step_1")
    run.event("step_completed", "step_1", {"result": writer.payload("paid")})
    hook = {"runId": run.run_id, "hookId": "hook_1", "token": "t", "metadata": [["m"]], "createdAt": iso(writer.now)}
    writer.put("hooks/hook_1.json", hook)
    run.event("hook_created", "hook_1")
    run.event(
        "workflow_failed", data={"error": {"message": "broke", "stack": "TypeError: broke\n  at x", "code": "E1"}}
    )
    async with open_target() as there:
        done = await take_in(there, writer)
        assert done.problems == []
        look = await look_at(there, run.run_id)
        assert [event.type for event in look["events"]] == [
            "run_created", "run_started", "step_created", "step_started", "step_completed", "hook_created",
            "run_failed",
        ]  # fmt: skip
        assert look["run"].input == {"*args": [5]}
        assert look["events"][5].payload["token"] == "t"
        assert look["run"].error is not None
        assert (look["run"].error.type, look["run"].error.message) == ("js.TypeError", "broke")
        [step] = look["steps"]
        assert (step.name, step.input, step.output) == ("./src/a:pay", {"*args": [5]}, "paid")


@pytest.mark.parametrize(
    ("status", "columns", "expected"),
    [
        ("cancelled", {}, ("cancelled", None)),
        ("completed", {"output": blob(devl("out"))}, ("completed", "out")),
        ("failed", {"error": {"message": "ValueError: no"}}, ("failed", None)),
        ("running", {}, ("running", None)),
        ("paused", {}, ("running", None)),
        ("pending", {}, ("pending", None)),
    ],
)
async def test_a_row_says_what_its_log_does_not(
    writer: Writer, status: str, columns: dict[str, Any], expected: tuple[str, Any]
) -> None:
    run = RunWriter(writer)
    run.create([])
    run.save(status=status, completedAt=iso(writer.tick(1000)), **columns)
    async with open_target() as there:
        await take_in(there, writer)
        view = await there.get_run(run.run_id)
        assert (view.status, view.output) == expected
        assert (view.ended_at is None) == (status in ("running", "paused", "pending"))


async def test_a_step_that_is_started_lazily_is_created_by_it(writer: Writer) -> None:
    run = RunWriter(writer, "workflow//./a//b")
    run.create([])
    run.start()
    run.event(
        "step_started", "step_1", {"stepName": "step//./a//pay", "input": writer.payload({"args": [1]}), "attempt": 1}
    )
    run.event("step_started", "step_1", {"attempt": 2})
    run.event("step_completed", "step_1", {"result": writer.payload(None)})
    run.event("step_failed", "step_1", {"error": "late"})
    async with open_target() as there:
        done = await take_in(there, writer)
        assert [problem.message for problem in done.problems] == ["`step_failed` of no step that goes on was left out"]
        [step] = await there.list_steps(run.run_id)
        assert (step.status, [attempt.status for attempt in step.attempts]) == ("completed", ["lost", "completed"])


# -- payloads -----------------------------------------------------------------------------------


async def test_packed_payloads_are_unpacked(writer: Writer) -> None:
    run = RunWriter(writer)
    run.create([])
    run.start()
    for payload in (gzipped(devl("gzip")), zstd(devl("zstd")), gzipped(zstd(devl("both"))), devl("plain")[4:]):
        step = run.create_step("step//a//b", [])
        run.event("step_started", step)
        run.event("step_completed", step, {"result": blob(payload)})
    async with open_target() as there:
        done = await take_in(there, writer)
        assert done.problems == []
        assert [step.output for step in await there.list_steps(run.run_id)] == ["gzip", "zstd", "both", "plain"]


async def test_what_cannot_be_opened_stands_for_itself_and_is_told_once(writer: Writer) -> None:
    run = RunWriter(writer)
    run.create([])
    run.start()
    shown = []
    for payload in (
        b"encr" + b"x" * 40,
        b"encr" + b"y" * 40,
        b"encp" + b"x" * 90,
        b"cbor\0",
        b"",
        b"gzipbroken",
        b"devl{",
    ):
        step = run.create_step("step//a//b", [])
        run.event("step_started", step)
        run.event("step_completed", step, {"result": blob(payload)})
    run.complete("fine")
    async with open_target() as there:
        done = await take_in(there, writer)
        shown = [step.output for step in await there.list_steps(run.run_id)]
        assert shown == [
            {"$locked": "encr"}, {"$locked": "encr"}, {"$locked": "encp"}, {"$unreadable": 5}, {"$unreadable": 0},
            {"$unreadable": 10}, {"$unreadable": 5},
        ]  # fmt: skip
        told = [problem.message for problem in done.problems]
        assert told[0] == "2 times: the payload of step_completed is encrypted (encr), for a key that is not here"
        assert told[1] == "the payload of step_completed is encrypted (encp), for a key that is not here"
        assert told[2] == "the payload of step_completed is not readable: its format is b'cbor', not known here"
        assert len(told) == 6
        assert {problem.where for problem in done.problems} == {f"runs/{run.run_id}.json"}
        assert (await there.get_run(run.run_id)).output == "fine"


async def test_a_packed_bomb_is_not_unpacked(writer: Writer) -> None:
    run = RunWriter(writer)
    run.create([])
    run.start()
    run.event("run_completed", data={"output": blob(gzipped(b"devl" + b" " * 70_000_000 + b"[1]"))})
    async with open_target() as there:
        done = await take_in(there, writer)
        [problem] = done.problems
        assert problem.message.endswith("gzip: it unpacks to over 67108864 bytes")


# -- errors -------------------------------------------------------------------------------------

PYTHON_STACK = 'Traceback (most recent call last):\n  File "x.py", line 3, in f\n    f()\n'


@pytest.mark.parametrize(
    ("data", "type_", "message"),
    [
        ({"error": "no", "stack": PYTHON_STACK + "ValueError: no"}, "ValueError", "no"),
        ({"error": "a\nb", "stack": PYTHON_STACK + "KeyError: a\nb"}, "KeyError", "a\nb"),
        ({"error": "no", "stack": PYTHON_STACK + "shop.Declined: no"}, "shop.Declined", "no"),
        ({"error": "OSError: disk"}, "OSError", "OSError: disk"),
        ({"error": {"message": "m", "stack": "RangeError: m\n  at f"}}, "js.RangeError", "m"),
        ({"error": {"message": "m", "name": "CustomError"}}, "js.CustomError", "m"),
        ({"error": {"message": "m"}, "code": "ValueError"}, "ValueError", "m"),
        ({"error": "strange"}, "js.Error", "strange"),
        ({"error": blob(devl(Tagged("FatalError", {"message": "stop"})))}, "wf.errors.FatalError", "stop"),
        ({"error": blob(devl("thrown text"))}, "js.Error", "thrown text"),
        ({"error": blob(devl({"code": 5}))}, "js.Error", '{"code":5}'),
        ({}, "js.Error", "null"),
    ],
)
async def test_an_error_is_an_exception_with_its_class(tmp_path: Path, data: Any, type_: str, message: str) -> None:
    writer = Writer(tmp_path / ".workflow-data")
    is_python = not type_.startswith("js.") or type_ == "js.Error"
    run = RunWriter(writer, "workflow//a//b" if is_python else "workflow//./a//b")
    run.create([])
    run.start()
    run.event("run_failed", data={"errorCode": "USER_ERROR", **data})
    run.save(status="failed")
    async with open_target() as there:
        await take_in(there, writer)
        error = (await there.get_run(run.run_id)).error
        assert error is not None
        assert (error.type, error.message, error.code) == (type_, message, "USER_ERROR")


# -- streams ------------------------------------------------------------------------------------


async def test_every_kind_of_stream_is_read(writer: Writer) -> None:
    run = RunWriter(writer)
    run.create([])
    run.start()
    run.chunk(run.stream_name("lines"), b'[{"n":1},1]\n[{"n')
    run.chunk(run.stream_name("lines"), b'":1},2]\n')
    run.chunk(run.stream_name("bytes"), b"\x89PNG....")
    run.chunk(run.stream_name("bytes"), b"more")
    run.chunk(run.stream_name("text"), b"[INFO] no devalue")
    whole = frame(devl("in two files"))
    run.chunk(run.stream_name("split"), whole[:9])
    run.chunk(run.stream_name("split"), whole[9:] + frame(devl("cut off"))[:-2])
    run.chunk(run.stream_name("empty"), b"", is_end=True)
    run.chunk("0b-4c5d", frame(devl("by name")))
    writer.put(f"streams/runs/{run.run_id}.json", {"streams": ["0b-4c5d", "gone"]})
    async with open_target() as there:
        done = await take_in(there, writer)
        assert done.problems == []
        found = {
            stream.name: ([chunk.value async for chunk in there.read_stream(run.run_id, stream.name)], stream.is_closed)
            for stream in await there.list_streams(run.run_id)
        }
        assert found == {
            "lines": ([{"n": 1}, {"n": 2}], False),
            "bytes": ([{"$bytes": "iVBORy4uLi4="}, {"$bytes": "bW9yZQ=="}], False),
            "text": ([{"$bytes": "W0lORk9dIG5vIGRldmFsdWU="}], False),
            "split": (["in two files"], False),
            "empty": ([], True),
            "0b-4c5d": (["by name"], False),
        }


# -- files in a bad state -----------------------------------------------------------------------


async def test_a_folder_without_runs_is_none(tmp_path: Path) -> None:
    async with open_target() as there:
        for folder in (tmp_path, tmp_path / "nothing"):
            with pytest.raises(NotFoundError) as caught:
                await import_folder(there.session, folder)
            assert "is no data directory of a workflow: it has no runs" in str(caught.value)
        (tmp_path / "runs").mkdir()
        with pytest.raises(NotFoundError):
            await import_folder(there.session, tmp_path)


async def test_bad_files_are_told_and_the_others_are_read(writer: Writer) -> None:
    good = write_order(writer)
    bad = RunWriter(writer)
    bad.create([])
    bad.start()
    folder = f"events/{bad.run_id}/" if writer.is_nested else "events/"
    for name, text in (("1", "{"), ("2", "[]"), ("3", '{"eventType": "run_started"}'), ("4", "\ufffd{")):
        file = writer.path / f"{folder}{bad.run_id}-evnt_{name}.json"
        file.write_text(text)
    writer.put("runs/wrun_cut.json", {})
    (writer.path / "runs" / "wrun_cut.json").write_text('{"runId": "wrun_c')
    writer.put("runs/wrun_nameless.json", {"runId": "wrun_nameless"})
    writer.put("runs/wrun_timeless.json", {"runId": "wrun_timeless", "workflowName": "w", "createdAt": "yesterday"})
    writer.put(
        "runs/evil.json", {"runId": "../../evil", "workflowName": "w", "createdAt": iso(BEGAN), "status": "running"}
    )
    (writer.path / "runs" / "x.json.tmp.01K").write_text("{")
    async with open_target() as there:
        done = await take_in(there, writer)
        assert {item.id for item in done.items} == {good.run_id, bad.run_id}
        told = {problem.where: problem.message for problem in done.problems}
        assert set(told) == {
            *(f"{folder}{bad.run_id}-evnt_{name}.json" for name in "1234"),
            "runs/wrun_cut.json", "runs/wrun_nameless.json", "runs/wrun_timeless.json", "runs/evil.json",
        }  # fmt: skip
        assert told[f"{folder}{bad.run_id}-evnt_2.json"] == "it is no JSON object"
        assert told[f"{folder}{bad.run_id}-evnt_3.json"] == (
            "it is no event: it lacks `eventId`, `createdAt` or `eventType`"
        )
        assert told["runs/wrun_nameless.json"] == "the run cannot be taken in: its row names no run and workflow"
        assert told["runs/wrun_timeless.json"] == "the run cannot be taken in: it does not say when it was created"
        assert told["runs/evil.json"] == "the run cannot be taken in: '../../evil' is no run id"


async def test_links_are_not_followed(writer: Writer, tmp_path: Path) -> None:
    run = write_order(writer)
    secret = tmp_path / "secret.json"
    secret.write_text(json.dumps({"runId": "wrun_secret", "workflowName": "w", "createdAt": iso(BEGAN)}))
    os.symlink(secret, writer.path / "runs" / "wrun_secret.json")
    os.symlink(tmp_path, writer.path / "events" / "wrun_elsewhere")
    async with open_target() as there:
        done = await import_folder(there.session, writer.path)
        assert [item.id for item in done.items] == [run.run_id]
        assert sorted((problem.where, problem.message) for problem in done.problems) == [
            ("events/wrun_elsewhere", "it is a link, which is not followed"),
            ("runs/wrun_secret.json", "it is a link, which is not followed"),
        ]


def test_a_file_that_goes_while_it_is_read_is_told(writer: Writer) -> None:
    run = write_order(writer)
    told: list[tuple[str, str]] = []
    directory = DataDirectory(writer.path, lambda where, why: told.append((where, why)))
    (writer.path / "runs" / f"{run.run_id}.json").unlink()
    assert directory.read_run(run.run_id) is None
    assert told == [(f"runs/{run.run_id}.json", "it cannot be read: No such file or directory")]


async def test_names_that_can_be_read_in_two_ways_are_settled_by_the_file(tmp_path: Path) -> None:
    writer = Writer(tmp_path / ".workflow-data", is_nested=False)
    run = RunWriter(writer, run_id="custom-evnt_run")
    run.create([])
    run.start()
    run.step("step//a//b", [], 1)
    async with open_target() as there:
        done = await take_in(there, writer)
        assert [(item.id, item.events) for item in done.items] == [("custom-evnt_run", 5)]


async def test_events_of_both_layouts_are_one_log(tmp_path: Path) -> None:
    """A folder that was upgraded in part: some files were moved, and one lies at both places."""
    writer = Writer(tmp_path / ".workflow-data", is_nested=False)
    run = RunWriter(writer)
    run.create([])
    run.start()
    writer.is_nested = True
    run.step("step//a//b", [], 1)
    for file in list((writer.path / "events" / run.run_id).glob("*.json"))[:1]:
        (writer.path / "events" / file.name).write_bytes(file.read_bytes())
    async with open_target() as there:
        done = await take_in(there, writer)
        assert ([item.events for item in done.items], done.problems) == ([5], [])


MUTATIONS = st.sampled_from(["replace", "drop", "delete file", "cut file", "type"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(max_size=8) | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
TYPES = (
    "run_created run_started run_completed run_failed run_cancelled attr_set step_created step_started step_retrying"
    " step_completed step_failed hook_created hook_received hook_disposed hook_conflict wait_created wait_completed"
    " noop workflow_started odd"
).split()


@settings(max_examples=120, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data(), is_nested=st.booleans())
def test_whatever_the_files_hold_what_is_taken_in_can_be_looked_at(
    data: st.DataObject, is_nested: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    writer = Writer(tmp_path_factory.mktemp("data") / ".workflow-data", is_nested=is_nested)
    write_order(writer)
    files = sorted(writer.path.rglob("*.json"))
    for _ in range(data.draw(st.integers(1, 5))):
        mutate(data, data.draw(st.sampled_from(files)))

    async def look() -> None:
        async with open_target() as there:
            try:
                done = await import_folder(there.session, writer.path)
            except NotFoundError:  # the only run's file is gone
                return
            for item in done.items:
                msgspec.json.encode(await look_at(there, item.id))
            assert len(await there.session.world.list_runs(RunFilter())) == len(done.items)

    asyncio.run(look())


def mutate(data: st.DataObject, file: Path) -> None:
    verb = data.draw(MUTATIONS)
    if not file.exists():
        return
    if verb == "delete file":
        file.unlink()
        return
    if verb == "cut file":
        content = file.read_bytes()
        file.write_bytes(content[: data.draw(st.integers(0, len(content)))])
        return
    try:
        row = json.loads(file.read_bytes())
    except ValueError:
        return
    places = list(walk(row))
    if not places:
        return
    box, key = data.draw(st.sampled_from(places))
    if verb == "drop":
        del box[key]
    elif verb == "type" and isinstance(row, dict) and "eventType" in row:
        row["eventType"] = data.draw(st.sampled_from(TYPES))
    else:
        box[key] = data.draw(JSON)
    file.write_text(json.dumps(row))


def walk(tree: Any) -> Iterator[tuple[Any, Any]]:
    """Give every place of a JSON tree: what holds it, and its key."""
    if isinstance(tree, dict):
        for key, value in list(tree.items()):
            yield tree, key
            yield from walk(value)
    elif isinstance(tree, list):
        for place, value in enumerate(list(tree)):
            if place:  # so that a place stays one after a drop before it
                yield tree, place
                yield from walk(value)
