"""Runs go from one world into another by a bundle, and are there what they were."""

from __future__ import annotations

import asyncio
import io
import zipfile
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.test_event_log_doc import OLD_KEY, run_program
from tests.wfstudio.history.worlds import bundle_of, ids, look_at, open_source, open_target, without
from tests.wfstudio.studio import DEPLOYMENT, DIGEST, SOURCE, flows, rest, run
from wf import codec
from wf import events as types
from wf.errors import DecryptionError, ImportedRunError, NotRegisteredError, RunNotFoundError
from wf.forking import ForkError, retry_run
from wf.keys import Keyring
from wf.session import Session
from wf.settings import Settings
from wf.world import RunFilter
from wf.worlds.sqlite import SqliteWorld
from wfstudio.cli.checkup import _verify
from wfstudio.core.bench.workbench import Workbench
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError, NotFoundError
from wfstudio.core.views import RunQuery
from wfstudio.history.bundle import writing
from wfstudio.history.bundle.form import BundleError
from wfstudio.history.transfers import add_descendants, import_bundle, list_chosen

TARGETS = ["memory", "sqlite"]


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return lambda: open_target(tmp_path if request.param == "sqlite" else None)


async def start_all(client: Client) -> list[str]:
    """Have a run of every shape: ended in each way, and at rest for each reason."""
    found = [
        await run(client, "greet", "ada", times=3),
        await run(client, "fail", "no money"),
        await run(client, "retry"),
        await run(client, "stream", 3),
        await run(client, "parent", "bob"),
        await run(client, "studio.gather", 1, 2, 3, x="y"),
    ]
    waiting = [
        await client.start("approve", ["42"], attributes={"tenant": "acme"}),
        await client.start("nap"),
        await client.start("guard", ["printer"]),
        await client.start("stream", [2], {"is_closing": False, "waits_for": "more"}),
        await client.start("retry", [], {"is_patient": True}),
        await client.start("receive", ["token"]),
    ]
    for view in waiting:
        await rest(client, view.id)
    cancelled = await client.start("nap")
    await rest(client, cancelled.id)
    await client.cancel(cancelled.id, "wrong order")
    await client.wait_for_end(cancelled.id, 10)
    delayed = await client.start("nap", delay="1h")
    return [*ids(found), *ids(waiting), cancelled.id, delayed.id]


async def test_every_shape_of_a_run_arrives_as_it_was(target: Any) -> None:
    async with open_source() as here, target() as there:
        run_ids = await start_all(here)
        before = {run_id: await look_at(here, run_id) for run_id in run_ids}
        done = await import_bundle(there.session, await bundle_of(here, *run_ids), "all.wf.zip")
        assert [(item.id, item.outcome) for item in done.items] == [(run_id, "imported") for run_id in run_ids]
        assert (done.kind, done.source, done.deployments, done.problems) == ("bundle", "all.wf.zip", 1, [])
        for run_id in run_ids:
            after = await look_at(there, run_id)
            # A trace without a world's waits takes them for pending, as they were.
            assert without(after) == without(before[run_id]), run_id
            assert after["run"].origin == "bundle:all.wf.zip"
            is_over = after["run"].ended_at is not None
            assert after["run"].reason == (None if is_over else "imported from all.wf.zip, read-only")


def test_every_type_of_event_arrives_as_it_was(tmp_path: Path) -> None:
    """The program of docs/event-log.md's tests writes them all: sagas, locks, children, forks, continuations."""
    (tmp_path / "a").mkdir()
    for part in ("first", "second", "forks"):
        run_program(tmp_path / "a", part, OLD_KEY.hex())

    async def carry() -> None:
        world = SqliteWorld(tmp_path / "a" / "world.db", "process")
        await world.open()
        here = Client(Session(world, Keyring([OLD_KEY]), Settings(root=tmp_path)))
        async with open_target(tmp_path) as there:
            rows = await world.list_runs(RunFilter(limit=1000))
            run_ids = [row.run_id for row in rows][::-1]
            done = await import_bundle(there.session, await bundle_of(here, *run_ids), "all.wf.zip")
            assert [item.outcome for item in done.items] == ["imported"] * len(run_ids)
            kinds: set[str] = set()
            for run_id in run_ids:
                before, after = await look_at(here, run_id), await look_at(there, run_id)
                assert without(after, "trace") == without(before, "trace"), run_id
                kinds.update(event.type for event in after["events"])
            assert kinds == {*types.CALLS, *types.DELIVERIES, *NOTES}
            redacted = await bundle_of(here, *run_ids, is_redacted=True)
        async with open_target() as there:
            await import_bundle(there.session, redacted, "all.wf.zip")
            for run_id in run_ids:
                await look_at(there, run_id)
        await world.close()

    asyncio.run(carry())


NOTES = {types.RUN_CREATED, types.RUN_FORKED, types.RUN_BLOCKED, types.STEP_STARTED, types.STEP_RETRYING}


async def test_its_row_says_what_its_log_says(target: Any) -> None:
    async with open_source() as here, target() as there:
        run_ids = await start_all(here)
        await import_bundle(there.session, await bundle_of(here, *run_ids), "all.wf.zip")
        for run_id in run_ids:
            theirs, ours = await here.session.world.get_run(run_id), await there.session.world.get_run(run_id)
            assert theirs is not None
            assert ours is not None
            made_here = ("head", "mac", "epoch", "owner", "wake_at", "origin", "payload_bytes")
            same = {name: value for name, value in msgspec.structs.asdict(ours).items() if name not in made_here}
            assert same == {n: v for n, v in msgspec.structs.asdict(theirs).items() if n not in made_here}
            assert (ours.owner, ours.wake_at, ours.epoch) == (None, None, 0)
            assert ours.payload_bytes > 0
            assert await _verify(there, ours) == ours.seq


async def test_code_comes_with_its_runs_and_is_nobodys_newest(target: Any) -> None:
    async with open_source() as here, target() as there:
        view = await run(here, "greet", "ada")
        assert view.deployment_id == DEPLOYMENT
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        [deployment] = await there.list_deployments()
        assert (deployment.id, deployment.files, deployment.used_at) == (DEPLOYMENT, {"flows.py": DIGEST}, None)
        assert "studio.greet" in deployment.workflows
        assert await there.read_source(DIGEST) == SOURCE
        assert await there.list_workflows() == []


async def test_importing_again_changes_nothing(target: Any) -> None:
    async with open_source() as here, target() as there:
        one, two = await run(here, "greet", "ada"), await run(here, "greet", "bob")
        await import_bundle(there.session, await bundle_of(here, one.id), "one.wf.zip")
        first = await there.session.world.get_run(one.id)
        done = await import_bundle(there.session, await bundle_of(here, one.id, two.id), "both.wf.zip")
        assert [(item.id, item.outcome) for item in done.items] == [(one.id, "present"), (two.id, "imported")]
        assert done.deployments == 0
        assert await there.session.world.get_run(one.id) == first


async def test_an_import_never_touches_a_run_of_this_world() -> None:
    async with open_source() as here:
        view = await run(here, "greet", "ada")
        row = await here.session.world.get_run(view.id)
        done = await import_bundle(here.session, await bundle_of(here, view.id), "one.wf.zip")
        assert [item.outcome for item in done.items] == ["present"]
        assert await here.session.world.get_run(view.id) == row


async def test_a_dry_run_says_what_there_is_and_writes_nothing() -> None:
    async with open_source() as here, open_target() as there:
        view = await run(here, "fail", "no money")
        done = await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip", is_dry=True)
        [item] = done.items
        assert (item.id, item.workflow, item.status, item.outcome) == (view.id, "studio.fail", "failed", "new")
        assert (item.events, done.deployments) == (view.events, 0)
        assert await there.session.world.list_runs(RunFilter()) == []
        assert await there.list_deployments() == []


async def test_nothing_can_be_done_to_an_imported_run(target: Any) -> None:
    async with open_source() as here, target() as there:
        view = await here.start("approve", ["42"])
        await rest(here, view.id)
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        for act in (there.cancel(view.id), there.cancel(view.id, force=True), there.wake(view.id)):
            with pytest.raises(ImportedRunError) as caught:
                await act
            assert str(caught.value) == f"run {view.id} was imported from 'one.wf.zip' and can only be read"
        with pytest.raises(ImportedRunError):
            await there.wait_for_end(view.id, 10)
        assert await there.list_hooks() == []
        assert (await there.get_run(view.id)).status == "running"


async def test_followers_of_an_imported_run_come_to_an_end() -> None:
    async with open_source() as here, open_target() as there:
        view = await here.start("stream", [2], {"is_closing": False, "waits_for": "more"})
        await rest(here, view.id)
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        async with asyncio.timeout(10):
            events = [event.seq async for event in there.follow_events(view.id)]
            chunks = [chunk.value async for chunk in there.read_stream(view.id, "default", is_following=True)]
            lines = [line async for line in there.follow_logs(view.id)]
        assert (events, chunks, lines) == (list(range(1, view_events(events) + 1)), [{"n": 0}, {"n": 1}], [])


def view_events(events: list[int]) -> int:
    assert events
    return events[-1]


async def test_an_imported_run_can_be_retried_where_its_code_is() -> None:
    async with open_source() as here, open_source() as there:
        key = "retried elsewhere"
        view = await run(here, "mend", key)
        assert view.status == "failed"
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        flows.mended.add(key)
        again = await there.retry(view.id)
        assert (again.forked_from, again.origin) == (view.id, None)
        ended = await there.wait_for_end(again.id, 10)
        assert ended.output == [f"hello, {key}", f"{key} is mended"]
        assert (await there.get_run(view.id)).status == "failed"


async def test_one_that_had_not_ended_goes_on_in_a_run_of_ones_own() -> None:
    async with open_source() as here, open_source() as there:
        view = await here.start("approve", ["42"])
        await rest(here, view.id)
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        again = await there.retry(view.id)
        await rest(there, again.id, "waiting for hook site:42")
        await there.resume("site:42", {"approved": True})
        assert (await there.wait_for_end(again.id, 10)).output == "live"
        assert (await here.get_run(view.id)).status == "running"


async def test_code_that_came_with_a_run_is_not_run() -> None:
    async with open_source() as here, open_target() as there:
        view = await run(here, "fail", "no money")
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        with pytest.raises(ForkError) as caught:
            await there.retry(view.id)
        assert str(caught.value) == f"run {view.id} was imported, and today's code has no workflow 'studio.fail'"


async def test_nothing_is_started_on_code_that_came_with_a_run() -> None:
    async with open_source() as here, open_target() as there:
        view = await run(here, "greet", "ada")
        await import_bundle(there.session, await bundle_of(here, view.id), "one.wf.zip")
        with pytest.raises(ConflictError) as caught:
            await there.start("greet", ["ada"], deployment=DEPLOYMENT)
        text = f"the code of {DEPLOYMENT} came with a run that was imported, and is not run here"
        assert str(caught.value) == text
        with pytest.raises(NotRegisteredError):
            await there.start("greet", ["ada"])
        workbench = Workbench(there.session)
        row = await workbench.read_row(view.id)
        with pytest.raises(ConflictError) as caught:
            await workbench.describe_code(await workbench.choose_code(row, "own"))
        text = f"the code of '{DEPLOYMENT}' came with a run that was imported, and is not run here"
        assert str(caught.value) == text
        with pytest.raises(NotFoundError):
            await workbench.choose_code(row, "latest")


async def test_the_same_id_starts_nothing_beside_an_imported_run() -> None:
    async with open_source() as here, open_source() as there:
        view = await here.start("nap", id="nap-1")
        await rest(here, view.id)
        await import_bundle(there.session, await bundle_of(here, "nap-1"), "one.wf.zip")
        with pytest.raises(ImportedRunError):
            await there.start("nap", id="nap-1")


# -- redaction ----------------------------------------------------------------------------------


CANARIES = ("canary-argument", "canary-attribute", "hello, canary", "greeting canary", "about canary", "import wf")


async def test_a_redacted_bundle_holds_no_value(target: Any) -> None:
    async with open_source() as here, target() as there:
        view = await run(here, "greet", "canary-argument")
        plain, redacted = await bundle_of(here, view.id), await bundle_of(here, view.id, is_redacted=True)
        members = {name: zipfile.ZipFile(io.BytesIO(redacted)).read(name) for name in names(redacted)}
        text = b"\n".join(members.values())
        for canary in CANARIES:
            assert canary.encode() not in text, canary
        assert b"canary-argument" in b"".join(zipfile.ZipFile(io.BytesIO(plain)).read(name) for name in names(plain))
        assert not any(name.startswith("sources/") for name in members)
        done = await import_bundle(there.session, redacted, "shared.wf.zip")
        assert (done.kind, done.deployments) == ("redacted", 0)
        look = await look_at(there, view.id)
        shown = look["run"]
        assert (shown.status, shown.origin) == ("completed", "redacted:shared.wf.zip")
        assert shown.input == {"$redacted": len(codec.encode({"name": "canary-argument"}, "x"))}
        assert list(shown.output) == ["$redacted"]
        assert shown.attributes == {"name": "redacted"}
        assert [event.type for event in look["events"]] == [e.type for e in await here.list_events(view.id)]
        assert (look["logs"], len(look["steps"])) == ([], 1)


def names(data: bytes) -> list[str]:
    return zipfile.ZipFile(io.BytesIO(data)).namelist()


async def test_every_shape_of_a_redacted_run_can_be_looked_at(target: Any) -> None:
    async with open_source() as here, target() as there:
        run_ids = await start_all(here)
        await import_bundle(there.session, await bundle_of(here, *run_ids, is_redacted=True), "all.wf.zip")
        for run_id in run_ids:
            theirs, ours = await look_at(here, run_id), await look_at(there, run_id)
            assert ours["trace"].spans == theirs["trace"].spans
            assert [step.status for step in ours["steps"]] == [step.status for step in theirs["steps"]]
            assert [(s.name, s.tail_index, s.is_closed) for s in ours["streams"]] == [
                (s.name, s.tail_index, s.is_closed) for s in theirs["streams"]
            ]
        [failed] = [item.id for item in (await there.list_runs(RunQuery(status=["failed"]))).items]
        error = (await there.get_run(failed)).error
        assert error is not None
        assert (error.code, error.message) == ("USER_ERROR", None)
        [step] = await there.list_steps(failed)
        assert step.error is not None
        assert step.error.type == "builtins.ValueError"


async def test_a_redacted_run_cannot_be_forked_and_says_why() -> None:
    async with open_source() as here, open_source() as there:
        view = await run(here, "fail", "no money")
        await import_bundle(there.session, await bundle_of(here, view.id, is_redacted=True), "one.wf.zip")
        with pytest.raises(ForkError) as caught:
            await there.retry(view.id)
        text = f"run {view.id} cannot be forked: its payloads were left out of the bundle that it came in"
        assert str(caught.value) == text


async def test_a_redacted_run_stays_one_when_it_goes_on() -> None:
    async with open_source() as here, open_target() as there, open_source() as further:
        view = await run(here, "fail", "no money")
        await import_bundle(there.session, await bundle_of(here, view.id, is_redacted=True), "one.wf.zip")
        await import_bundle(further.session, await bundle_of(there, view.id), "two.wf.zip")
        assert (await further.get_run(view.id)).origin == "redacted:two.wf.zip"
        with pytest.raises(ForkError):
            await retry_run(further.session, view.id)


# -- what is exported ---------------------------------------------------------------------------


async def test_what_is_not_authentic_is_not_exported() -> None:
    async with open_source() as here:
        view = await run(here, "greet", "ada")
        world: Any = here.session.world
        log = world._runs[view.id].events
        world._runs[view.id].events = [*log[:3], msgspec.structs.replace(log[3], name="studio.other"), *log[4:]]
        with pytest.raises(DecryptionError) as caught:
            await bundle_of(here, view.id)
        assert str(caught.value) == (
            f"run {view.id} event 4: cannot open log (its columns, its payload or its link were changed)"
        )


async def test_chunks_and_lines_are_verified_too() -> None:
    async with open_source() as here:
        view = await run(here, "stream", 2)
        world: Any = here.session.world
        stream = world._runs[view.id].streams["default"]
        stream[0], stream[1] = (
            msgspec.structs.replace(stream[1], index=0),
            msgspec.structs.replace(stream[0], index=1),
        )
        with pytest.raises(DecryptionError) as caught:
            await bundle_of(here, view.id)
        assert f"run {view.id}: cannot open chunk (stream:default:0: " in str(caught.value)


async def test_an_unknown_run_is_not_exported() -> None:
    async with open_source() as here:
        with pytest.raises(RunNotFoundError):
            await bundle_of(here, "wrun_1")


async def test_a_run_that_goes_on_is_exported_as_it_is() -> None:
    async with open_source() as here, open_target() as there:
        view = await here.start("approve", ["42"])
        await rest(here, view.id)
        data = await bundle_of(here, view.id)
        await here.resume("site:42", {"approved": True})
        await here.wait_for_end(view.id, 10)
        await import_bundle(there.session, data, "one.wf.zip")
        assert [event.type for event in await there.list_events(view.id)] == [
            "run_created", "run_started", "hook_created",
        ]  # fmt: skip


async def test_with_children_means_the_tree_below() -> None:
    async with open_source() as here:
        view = await run(here, "parent", "ada")
        other = await run(here, "greet", "bob")
        [child] = [r.id for r in (await here.list_runs(RunQuery())).items if r.parent_run_id == view.id]
        assert await add_descendants(here.session, [view.id]) == [view.id, child]
        assert await add_descendants(here.session, [other.id, child]) == [other.id, child]
        with pytest.raises(RunNotFoundError):
            await add_descendants(here.session, ["wrun_1"])


async def test_filters_choose_runs_oldest_first() -> None:
    async with open_source() as here:
        runs = [await run(here, "greet", name) for name in ("ada", "bob")]
        await run(here, "fail", "x")
        assert await list_chosen(here.session, RunQuery(workflow="studio.greet")) == ids(runs)
        assert await list_chosen(here.session, RunQuery(attributes={"name": "bob"})) == [runs[1].id]


async def test_an_import_that_was_cut_off_is_completed_by_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    async with open_source() as here, open_target() as there:
        runs = [await run(here, "greet", name) for name in ("ada", "bob", "eve")]
        data = await bundle_of(here, *ids(runs))
        world: Any = there.session.world
        keep, count = world.import_run, 0

        async def die(imported: Any) -> Any:
            nonlocal count
            count += 1
            if count == 2:
                raise KeyboardInterrupt
            return await keep(imported)

        monkeypatch.setattr(world, "import_run", die)
        with pytest.raises(KeyboardInterrupt):
            await import_bundle(there.session, data, "all.wf.zip")
        monkeypatch.undo()
        assert len(await world.list_runs(RunFilter())) == 1
        done = await import_bundle(there.session, data, "all.wf.zip")
        assert [item.outcome for item in done.items] == ["present", "imported", "imported"]


async def test_code_that_is_not_what_its_id_names_is_not_exported() -> None:
    async with open_source() as here:
        view = await run(here, "greet", "ada")
        world: Any = here.session.world
        row = world._deployments[DEPLOYMENT]
        world._deployments[DEPLOYMENT] = msgspec.structs.replace(row, manifest={"other.py": DIGEST})
        with pytest.raises(BundleError) as caught:
            await bundle_of(here, view.id)
        assert str(caught.value) == f"the files of deployment {DEPLOYMENT} are not those that its id names"
        assert await bundle_of(here, view.id, is_redacted=True)


async def test_what_compresses_too_well_to_be_believed_is_stored() -> None:
    async with open_source() as here, open_target() as there:
        view = await run(here, "studio.gather", 1, x="a" * 3_000_000)
        data = await bundle_of(here, view.id)
        await import_bundle(there.session, data, "large.wf.zip")
        output = (await there.get_run(view.id)).output
        assert len(output[2]["x"]) == 3_000_000
        assert len(await bundle_of(here, view.id, is_redacted=True)) < 3_000


@pytest.mark.parametrize(
    ("name", "limit", "text"),
    [
        ("MAX_OPEN_BYTES", 1_000, "the bundle would be over 1000 bytes, unpacked"),
        ("MAX_BUNDLE_BYTES", 300, "the bundle would be over 300 bytes"),
        ("MAX_MEMBERS", 3, "the bundle would have over 3 members"),
    ],
)
async def test_a_bundle_that_could_not_be_read_is_not_written(
    monkeypatch: pytest.MonkeyPatch, name: str, limit: int, text: str
) -> None:
    async with open_source() as here:
        view = await run(here, "greet", "ada", times=5)
        monkeypatch.setattr(writing, name, limit)
        with pytest.raises(BundleError) as caught:
            await bundle_of(here, view.id)
        assert str(caught.value) == text
        assert caught.value.hint == "export fewer runs at a time, or leave their payloads out with `--redact`"
