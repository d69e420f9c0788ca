"""The contract of every world: what ended can be forgotten, and nothing that somebody still needs."""

from __future__ import annotations

import pytest

from tests.wf.worlds.acts import T0, Bell, Owner, hello, new_run, own, send
from wf.world import DeploymentRow, PutHook, PutLog, RequestLock, RunFilter, StartChild, WatchRun, World


async def end(world: World, run_id: str, **more: object) -> None:
    owner = await own(world, run_id)
    await owner.commit(PutLog(1, 1, 0, T0, b"line"))
    await owner.end(**more)  # type: ignore[arg-type]
    await owner.release()


async def test_a_run_that_ended_is_deleted_with_all_that_belongs_to_it(world: World) -> None:
    owner = await own(world, "r1")
    await owner.commit(PutLog(1, 1, 0, T0, b"line"))
    await world.append_chunks("r1", "default", 0, T0, [b"chunk", None], owner.fence)
    await send(world, "r1", delivery_id="d1")
    await owner.end()
    await owner.release()
    await end(world, "r2")
    assert await world.delete_runs(["r1", "r?"]) == ["r1"]
    assert await world.get_run("r1") is None
    assert await world.read_events("r1") == []
    assert await world.read_chunks("r1", "default", 0) == []
    assert await world.read_logs("r1") == []
    assert await world.list_streams("r1") == []
    assert await world.get_run("r2") is not None
    assert len(await world.read_events("r2")) == 3


async def test_what_an_append_behind_the_end_left_is_deleted_too(world: World) -> None:
    owner = await own(world, "r1")
    await owner.end()
    await owner.commit(PutHook(1, b"token", owner.seq + 1, "hook"), RequestLock(2, "db", 1))
    await owner.release()
    assert await world.delete_runs(["r1"]) == ["r1"]
    assert await world.list_hooks() == []
    assert await world.find_hook(b"token") is None
    assert await world.list_locks() == []


async def test_its_id_and_its_deliveries_can_be_used_again(world: World) -> None:
    owner = await own(world, "r1")
    assert await send(world, "r1", delivery_id="d1") == "queued"
    await owner.end()
    await owner.release()
    await world.delete_runs(["r1"])
    created = await world.create_run(new_run("r1"))
    assert created.is_new
    assert await send(world, "r1", delivery_id="d1") == "queued"


@pytest.mark.parametrize("is_ended", [False, True])
async def test_a_run_that_goes_on_or_whose_lease_is_held_stays(world: World, is_ended: bool) -> None:
    owner = await own(world, "r1")
    if is_ended:
        await owner.end()
    assert await world.delete_runs(["r1"]) == []
    assert await world.get_run("r1") is not None
    if is_ended:
        await owner.release()
        assert await world.delete_runs(["r1"]) == ["r1"]


async def test_a_child_stays_until_its_parent_has_ended(world: World) -> None:
    parent = await own(world, "p1")
    await parent.commit(StartChild(1, new_run("c1", parent_run_id="p1", parent_correlation_id=1)))
    (claimed,) = (await world.claim("w1", T0, 10)).claimed
    child = Owner(world, "w1", claimed)
    await child.end()
    await child.release()
    assert await world.delete_runs(["c1"]) == []
    (message,) = await world.read_inbox("w1", ["p1"], 0)
    await parent.commit(taken=[message.id])
    assert await world.delete_runs(["c1"]) == []
    await parent.end()
    await parent.release()
    assert sorted(await world.delete_runs(["c1", "p1"])) == ["c1", "p1"]


async def test_a_run_stays_while_a_watcher_has_not_read_of_its_end(world: World) -> None:
    watcher = await own(world, "r1")
    await watcher.commit(WatchRun(1, "r2"))
    await end(world, "r2")
    assert await world.delete_runs(["r2"]) == []
    (message,) = await world.read_inbox("w1", ["r1"], 0)
    await watcher.commit(taken=[message.id])
    assert await world.delete_runs(["r2"]) == ["r2"]


async def test_a_run_stays_while_a_fork_has_not_copied_its_history(world: World) -> None:
    await end(world, "r1")
    await world.create_run(new_run("r2", forked_from="r1"))
    assert await world.delete_runs(["r1"]) == []
    fork = await own(world, "r2")
    await fork.commit()
    assert await world.delete_runs(["r1"]) == ["r1"]


async def test_deletions_ring_for_lists(world: World) -> None:
    await end(world, "r1")
    bell = await Bell.at(world, "runs")
    await bell.heard()
    await world.delete_runs(["r1"])
    while not (rings := await bell.heard()):
        pass
    assert "r1" in rings


async def test_code_that_nobody_has_is_deleted_with_its_sources(world: World) -> None:
    for name, at in (("dpl_1", T0), ("dpl_2", T0 + 1), ("dpl_3", T0 + 2), ("dpl_4", T0 + 3), ("dpl_5", T0 + 4)):
        await world.put_deployment(
            DeploymentRow(name, at, {"a.py": name, "b.py": "shared"}), {name: b"x", "shared": b"y"}
        )
    await world.create_run(new_run("r1", deployment_id="dpl_2"))
    await world.open_worker(hello("w1", deployments=["dpl_3"]))  # it runs dpl_1, as `hello` says
    assert await world.delete_unused_code() == 1
    assert {row.deployment_id for row in await world.list_deployments()} == {"dpl_1", "dpl_2", "dpl_3", "dpl_5"}
    assert await world.read_source("dpl_4") is None
    assert await world.read_source("dpl_1") == b"x"
    assert await world.read_source("shared") == b"y"


async def test_what_is_left_after_compacting_is_what_was_there(world: World) -> None:
    for number in range(20):
        await end(world, f"r{number}")
    await world.delete_runs([f"r{number}" for number in range(19)])
    await world.compact()
    assert [row.run_id for row in await world.list_runs(RunFilter())] == ["r19"]
    await end(world, "r20")
    assert await world.get_run("r20") is not None
