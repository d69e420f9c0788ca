"""The contract of every world: runs that ran elsewhere can be kept, read and forgotten, and nothing else."""

from __future__ import annotations

import msgspec
import pytest

from tests.wf.worlds.acts import FLOW, T0, Bell, Owner, claim, hello, imported_run, new_run, own, send
from wf.errors import WorldError
from wf.world import (
    Append,
    Attention,
    ChunkRow,
    DeploymentRow,
    ImportedRun,
    LogRow,
    RunFilter,
    SetAttributes,
    StartChild,
    WatchRun,
    World,
)

LATER = T0 + 3600 * 1_000_000


async def test_an_imported_run_is_kept_whole(world: World) -> None:
    chunks = [ChunkRow(0, T0, b"zero"), ChunkRow(1, T0 + 1, b"one"), ChunkRow(2, T0 + 2, None)]
    lines = LogRow("r1", 1, 1, 0, T0, b"lines")
    imported = imported_run("r1", "completed", streams={"default": chunks, "open": chunks[:2]}, logs=[lines])
    created = await world.import_run(imported)
    assert created.is_new
    assert created.run == msgspec.structs.replace(imported.run, epoch=0, owner=None, wake_at=None)
    assert await world.get_run("r1") == created.run
    assert await world.read_events("r1") == imported.events
    assert await world.read_chunks("r1", "default", 0) == chunks
    assert [(stream.name, stream.tail_index, stream.is_closed) for stream in await world.list_streams("r1")] == [
        ("default", 1, True),
        ("open", 1, False),
    ]
    assert await world.read_logs("r1") == [lines]


async def test_attention_and_attributes_come_with_it(world: World) -> None:
    attention = Attention("NONDETERMINISM", "differs", 3, "a", "b", "flows.py:1 in main")
    await world.import_run(imported_run("r1", attention=attention))
    row = await world.get_run("r1")
    assert row is not None
    assert (row.attention, row.attributes, row.origin) == (attention, {"tenant": "acme"}, "bundle:order.wf.zip")


async def test_a_run_that_is_there_already_is_left_as_it_is(world: World) -> None:
    await world.create_run(new_run("ours"))
    ours = await world.get_run("ours")
    answer = await world.import_run(imported_run("ours", "completed"))
    assert not answer.is_new
    assert answer.run == ours == await world.get_run("ours")
    assert len(await world.read_events("ours")) == 1
    first = await world.import_run(imported_run("theirs"))
    again = await world.import_run(imported_run("theirs", events=5))
    assert not again.is_new
    assert again.run == first.run
    assert len(await world.read_events("theirs")) == 3


@pytest.mark.parametrize(
    ("damage", "text"),
    [
        ({"origin": None}, "the run r1 cannot be imported: it does not say where it came from"),
        ({"origin": ""}, "the run r1 cannot be imported: it does not say where it came from"),
        ({"seq": 4}, "the run r1 cannot be imported: its log is not numbered from 1 to its end"),
        ({"seq": 2}, "the run r1 cannot be imported: its log is not numbered from 1 to its end"),
    ],
)
async def test_one_that_is_not_whole_is_refused(world: World, damage: dict[str, object], text: str) -> None:
    with pytest.raises(WorldError) as caught:
        await world.import_run(imported_run("r1", **damage))
    assert str(caught.value) == text
    assert await world.get_run("r1") is None


async def test_one_with_a_hole_in_its_log_is_refused(world: World) -> None:
    whole = imported_run("r1")
    holed = ImportedRun(whole.run, [whole.events[0], whole.events[2], whole.events[2]])
    with pytest.raises(WorldError):
        await world.import_run(holed)
    assert await world.read_events("r1") == []


@pytest.mark.parametrize("status", ["pending", "running", "completed"])
async def test_no_worker_claims_it(world: World, status: str) -> None:
    await world.import_run(imported_run("theirs", status))
    await world.open_worker(hello("w1"))
    claims = await world.claim("w1", LATER, 10)
    assert (claims.claimed, claims.unregistered, claims.next_due_at) == ([], [], None)
    await world.create_run(new_run("ours"))
    assert await claim(world, "w1", LATER) == ["ours"]


@pytest.mark.parametrize("status", ["running", "completed"])
@pytest.mark.parametrize("kind", ["cancel", "terminate", "wake", "hook_payload"])
async def test_it_takes_no_message(world: World, status: str, kind: str) -> None:
    await world.import_run(imported_run("r1", status))
    assert await send(world, "r1", kind) == "imported"
    assert await send(world, "r1", kind, delivery_id="d1") == "imported"
    await world.open_worker(hello("w1"))
    assert await claim(world, "w1", LATER) == []


async def test_nobody_appends_to_it(world: World) -> None:
    await world.import_run(imported_run("r1"))
    imported = await world.get_run("r1")
    assert imported is not None
    assert await world.commit([Append("r1", 0, 3, [], b"head", b"mac", [SetAttributes({})])]) == ["fenced"]
    assert await world.get_run("r1") == imported


async def test_its_streams_are_closed_to_writers(world: World) -> None:
    await world.import_run(imported_run("r1", streams={"default": [ChunkRow(0, T0, b"zero")]}))
    for name, tail in (("default", 0), ("other", -1)):
        appended = await world.append_chunks("r1", name, tail + 1, T0, [b"more"], None)
        assert (appended.status, appended.tail_index) == ("closed", tail)
    assert len(await world.read_chunks("r1", "default", 0)) == 1


async def test_it_is_pegged_to_what_it_ran_on(world: World) -> None:
    await world.import_run(imported_run("theirs"))
    await world.create_run(new_run("ours"))
    assert await world.peg_runs(["theirs", "ours"], "dpl_2") == ["ours"]
    row = await world.get_run("theirs")
    assert row is not None
    assert row.deployment_id == "dpl_1"


async def test_lists_can_leave_it_out(world: World) -> None:
    await world.import_run(imported_run("theirs", at=T0 + 1))
    await world.create_run(new_run("ours"))

    async def ids(**more: object) -> list[str]:
        return [row.run_id for row in await world.list_runs(RunFilter(**more))]  # type: ignore[arg-type]

    assert await ids() == ["theirs", "ours"]
    assert await ids(is_imported=True) == ["theirs"]
    assert await ids(is_imported=False) == ["ours"]
    assert await ids(is_imported=True, status=["pending"]) == []


async def test_who_watches_it_hears_at_once_that_there_is_nothing_to_wait_for(world: World) -> None:
    await world.import_run(imported_run("theirs"))
    watcher = await own(world, "r1")
    await watcher.commit(WatchRun(1, "theirs"))
    assert await watcher.inbox() == [("child_ended", 1, '{"run_id":"theirs"}')]


async def test_it_is_no_child_of_a_run_that_lives_here(world: World) -> None:
    await world.import_run(imported_run("theirs"))
    parent = await own(world, "r1")
    await parent.commit(StartChild(1, new_run("theirs", FLOW)))
    assert await parent.inbox() == [("child_conflict", 1, '{"run_id":"theirs"}')]


@pytest.mark.parametrize("status", ["pending", "running", "completed"])
async def test_it_can_be_forgotten_whether_or_not_it_had_ended(world: World, status: str) -> None:
    lines = LogRow("r1", 1, 1, 0, T0, b"lines")
    await world.import_run(imported_run("r1", status, streams={"default": [ChunkRow(0, T0, b"x")]}, logs=[lines]))
    await world.import_run(imported_run("child", "running", parent_run_id="r1", parent_correlation_id=1))
    assert await world.delete_runs(["child", "r1"]) == ["child", "r1"]
    assert await world.get_run("r1") is None
    assert await world.read_events("r1") == []
    assert await world.read_logs("r1") == []
    assert await world.list_streams("r1") == []
    assert (await world.import_run(imported_run("r1"))).is_new


async def test_it_stays_while_a_fork_has_not_copied_its_history(world: World) -> None:
    await world.import_run(imported_run("theirs"))
    await world.create_run(new_run("fork", forked_from="theirs"))
    assert await world.delete_runs(["theirs"]) == []
    await world.open_worker(hello("w1"))
    (claimed,) = (await world.claim("w1", T0, 10)).claimed
    await Owner(world, "w1", claimed).commit()
    assert await world.delete_runs(["theirs"]) == ["theirs"]


async def test_an_imported_fork_keeps_no_run_of_ours(world: World) -> None:
    owner = await own(world, "r1")
    await owner.end()
    await owner.release()
    await world.import_run(imported_run("theirs", events=1, forked_from="r1"))
    assert await world.delete_runs(["r1"]) == ["r1"]


async def test_an_import_rings_for_lists_and_for_who_waits_for_a_result(world: World) -> None:
    runs, results = await Bell.at(world, "runs"), await Bell.at(world, "results")
    await world.import_run(imported_run("done", "failed"))
    await world.import_run(imported_run("open"))
    heard: list[str] = []
    while len(heard) < 2:
        heard += await runs.heard()
    assert sorted(heard) == ["done", "open"]
    assert await results.heard() == ["done"]


async def test_code_that_came_with_an_import_was_never_used_here(world: World) -> None:
    await world.put_deployment(DeploymentRow("theirs", LATER, {}, used_at=0), {})
    await world.put_deployment(DeploymentRow("ours", T0, {}), {})
    assert [(row.deployment_id, row.used_at) for row in await world.list_deployments()] == [("ours", T0), ("theirs", 0)]
    await world.put_deployment(DeploymentRow("ours", LATER, {}, used_at=0), {})
    assert [(row.deployment_id, row.used_at) for row in await world.list_deployments()] == [("ours", T0), ("theirs", 0)]
    await world.put_deployment(DeploymentRow("theirs", LATER, {}), {})
    row = await world.get_deployment("theirs")
    assert row is not None
    assert row.used_at == LATER
