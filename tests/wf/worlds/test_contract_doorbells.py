"""The contract of every world: whoever listens is told, after the fact and not for others' business."""

from __future__ import annotations

import asyncio

from tests.wf.worlds.acts import SECOND, T0, Bell, Owner, claim, claim_all, hello, imported_run, new_run, own, send
from wf.world import (
    Attention,
    PutLog,
    PutWait,
    RequestLock,
    SetAttributes,
    StartChild,
    StartRun,
    WatchRun,
    World,
)


async def test_a_new_run_rings_claimable_and_runs(world: World) -> None:
    claimable, runs = await Bell.at(world, "claimable"), await Bell.at(world, "runs")
    await world.create_run(new_run("r1"))
    assert len(await claimable.heard()) == 1
    assert await runs.heard() == ["r1"]
    await world.create_run(new_run("r1"))
    assert await claimable.heard() == await runs.heard() == []


async def test_a_delayed_run_rings_so_that_workers_learn_its_time(world: World) -> None:
    bell = await Bell.at(world, "claimable")
    await world.create_run(new_run("r1", not_before=T0 + SECOND))
    assert len(await bell.heard()) == 1


async def test_a_message_rings_the_owner_of_its_run_and_nobody_else(world: World) -> None:
    await own(world, worker_id="w1")
    await world.open_worker(hello("w2"))
    owner, other, claimable = [await Bell.at(world, topic) for topic in ("worker:w1", "worker:w2", "claimable")]
    await send(world, "r1")
    assert await owner.heard() == ["r1"]
    assert await other.heard() == await claimable.heard() == []


async def test_a_message_to_a_run_that_nobody_owns_rings_claimable(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0))
    await owner.release()
    bell, mine = await Bell.at(world, "claimable"), await Bell.at(world, "worker:w1")
    await send(world, "r1")
    assert len(await bell.heard()) == 1
    assert await mine.heard() == []


async def test_a_message_that_was_not_written_rings_nobody(world: World) -> None:
    owner = await own(world)
    await send(world, "r1", delivery_id="d1")
    bell = await Bell.at(world, "worker:w1")
    await send(world, "r1", delivery_id="d1")
    await send(world, "r1", "wake")
    await owner.end()
    await send(world, "r1")
    assert await bell.heard() == []


async def test_messages_of_the_world_ring_like_any_other(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    bell = await Bell.at(world, "worker:w1")
    await first.commit(RequestLock(1, "db", 1))
    assert await bell.heard() == ["r1"]
    await second.commit(RequestLock(1, "db", 1), WatchRun(2, "r1"))
    assert await bell.heard() == []
    await first.end()
    assert await bell.heard() == ["r2"]


async def test_a_run_rings_when_its_status_changes(world: World) -> None:
    owner = await own(world)
    bell, runs = await Bell.at(world, "run:r1"), await Bell.at(world, "runs")
    await owner.commit(StartRun(T0))
    assert (len(await bell.heard()), await runs.heard()) == (1, ["r1"])
    await owner.commit(StartRun(T0))
    await owner.commit(PutWait(1, "sleep", T0))
    assert await bell.heard() == await runs.heard() == []
    await owner.end()
    assert (len(await bell.heard()), await runs.heard()) == (1, ["r1"])


async def test_a_run_rings_when_its_attention_changes(world: World) -> None:
    owner = await own(world, worker_id="w1")
    await world.open_worker(hello("w2"))
    bell, claimable = await Bell.at(world, "run:r1"), await Bell.at(world, "claimable")
    await world.set_attention("w1", "r1", owner.epoch, Attention("DECRYPTION", "no key"))
    assert (len(await bell.heard()), len(await claimable.heard())) == (1, 1)
    owner = (await claim_all(world, "w2"))["r1"]
    assert await bell.heard() == []
    await world.set_attention("w2", "r1", owner.epoch, None)
    assert len(await bell.heard()) == 1


async def test_a_continuation_rings_both_runs(world: World) -> None:
    owner = await own(world)
    old, new = await Bell.at(world, "run:r1"), await Bell.at(world, "run:r2")
    await owner.end(continued=new_run("r2"))
    assert (len(await old.heard()), len(await new.heard())) == (1, 1)


async def test_chunks_ring_their_stream(world: World) -> None:
    await own(world)
    bell, other = await Bell.at(world, "stream:r1/default"), await Bell.at(world, "stream:r1/other")
    await world.append_chunks("r1", "default", 0, T0, [b"a", b"b"], None)
    assert len(await bell.heard()) == 1
    await world.append_chunks("r1", "default", 0, T0, [b"a"], None)
    assert await bell.heard() == await other.heard() == []


async def test_cancellation_rings_the_readers_of_all_streams_even_of_those_without_a_chunk(world: World) -> None:
    owner, other = await own(world, "r1"), await own(world, "r11")
    await world.append_chunks("r1", "default", 0, T0, [b"a"], None)
    bells = [await Bell.at(world, f"stream:{stream}") for stream in ("r1/default", "r1/not yet", "r11/default")]
    await owner.end("cancelled")
    assert [len(await bell.heard()) for bell in bells] == [1, 1, 0]
    await other.end("completed")
    assert [len(await bell.heard()) for bell in bells] == [0, 0, 0]


async def test_the_log_of_a_run_rings_for_whatever_can_be_read_of_it_and_of_no_other_run(world: World) -> None:
    bell, other = await Bell.at(world, "log:r1"), await Bell.at(world, "log:r11")
    owner = await own(world, "r1")
    assert await bell.heard() == ["r1"], "it was created"
    await owner.commit(StartRun(T0))
    assert await bell.heard() == ["r1"]
    await owner.commit(PutLog(1, 1, 0, T0, b"lines"), events=0)
    assert await bell.heard() == ["r1"]
    await owner.commit(SetAttributes({"tenant": "acme"}))
    assert await bell.heard() == ["r1"]
    await world.append_chunks("r1", "default", 0, T0, [b"a"], owner.fence)
    assert await bell.heard() == ["r1"]
    await world.append_chunks("r1", "default", 1, T0, [None], None)
    assert await bell.heard() == ["r1"]
    await owner.end()
    assert await bell.heard() == ["r1"]
    assert await other.heard() == []


async def test_the_log_of_a_run_does_not_ring_for_what_was_not_written(world: World) -> None:
    owner = await own(world)
    await world.append_chunks("r1", "default", 0, T0, [b"a"], None)
    bell = await Bell.at(world, "log:r1")
    await world.create_run(new_run("r1"))
    await send(world, "r1")
    owner.epoch += 1
    assert await owner.try_commit(StartRun(T0)) == "fenced"
    await world.append_chunks("r1", "default", 0, T0, [b"b"], None)
    await world.append_chunks("r1", "other", 0, T0, [b"b"], owner.fence)
    await world.append_chunks("r1", "default", 1, T0, [], None)
    assert await bell.heard() == []


async def test_runs_that_others_write_ring_their_logs_too(world: World) -> None:
    owner = await own(world)
    topics = ("log:child", "log:next", "log:imported")
    child, following, imported = [await Bell.at(world, topic) for topic in topics]
    await owner.commit(StartChild(1, new_run("child")))
    assert await child.heard() == ["child"]
    await owner.end(continued=new_run("next"))
    assert await following.heard() == ["next"]
    await world.import_run(imported_run("imported"))
    assert await imported.heard() == ["imported"]


async def test_an_append_whose_answer_was_lost_rings_again_when_it_is_repeated(world: World) -> None:
    owner = await own(world)
    append = owner.append(StartRun(T0))
    await world.commit([append])
    bell = await Bell.at(world, "log:r1")
    assert await world.commit([append]) == ["applied"]
    assert await bell.heard() == ["r1"], "the first time the ring may have died with who would have rung"


async def test_one_commit_rings_each_of_its_logs_once_and_only_those_that_are_followed(world: World) -> None:
    owners = [await own(world, run_id) for run_id in ("r1", "r2", "r3")]
    first, third = await Bell.at(world, "log:r1"), await Bell.at(world, "log:r3")
    undone = await Bell.at(world, "log:r2")
    undone.undo()
    await world.commit([owner.append(StartRun(T0), PutLog(1, 1, 0, T0, b"lines"), events=3) for owner in owners])
    assert [await bell.heard() for bell in (first, undone, third)] == [["r1"], [], ["r3"]]


async def test_who_follows_a_log_and_looks_when_rung_misses_nothing(world: World) -> None:
    """However appends and looks interleave: at every ring, and after the last, what was rung for is there."""
    owner = await own(world)
    await owner.commit(StartRun(T0))
    has_news = asyncio.Event()
    seen = [0]

    async def follow() -> None:
        await world.subscribe("log:r1", lambda run_id: has_news.set())
        while seen[-1] < 60:
            seen.append(seen[-1] + len(await world.read_events("r1", seen[-1])))
            if seen[-1] == seen[-2]:
                await has_news.wait()
                has_news.clear()

    following = asyncio.create_task(follow())
    while owner.seq < 60:
        await owner.commit(events=owner.seq % 3 + 1)
        if owner.seq % 4 == 0:
            await asyncio.sleep(0)
    async with asyncio.timeout(10):
        await following
    assert seen[-1] == owner.seq


async def test_a_release_rings_only_if_workers_would_come_too_late(world: World) -> None:
    async def rest(owner: Owner, due_at: int) -> None:
        await owner.commit(StartRun(T0), PutWait(1, "sleep", due_at))
        await owner.release()

    first, second, third = [await own(world, run_id) for run_id in ("r1", "r2", "r3")]
    await claim(world)  # the worker is told that nothing is due
    bell = await Bell.at(world, "claimable")
    await rest(first, T0 + 50)
    assert len(await bell.heard()) == 1
    assert (await world.claim("w1", T0, 10)).next_due_at == T0 + 50
    await rest(second, T0 + 60)
    assert await bell.heard() == []
    await rest(third, T0 + 40)
    assert len(await bell.heard()) == 1


async def test_each_worker_is_told_of_what_is_due_for_it(world: World) -> None:
    await world.open_worker(hello("w2", "flows.other:main"))
    await world.create_run(new_run("other", "flows.other:main", not_before=T0 + 90))
    owner = await own(world, worker_id="w1")
    assert (await world.claim("w2", T0, 10)).next_due_at == T0 + 90
    assert (await world.claim("w1", T0, 10)).next_due_at is None
    bell = await Bell.at(world, "claimable")
    await owner.commit(StartRun(T0), PutWait(1, "sleep", T0 + 100))
    await owner.release()
    assert len(await bell.heard()) == 1, "w1 waits for nothing, and would never come"


async def test_leases_that_are_free_again_ring_claimable(world: World) -> None:
    await own(world)
    bell = await Bell.at(world, "claimable")
    await world.close_worker("w1")
    assert len(await bell.heard()) == 1


async def test_after_the_undo_nothing_rings_even_if_it_was_on_its_way(world: World) -> None:
    bell, other = await Bell.at(world, "runs"), await Bell.at(world, "runs")
    await world.create_run(new_run("r1"))
    assert await bell.heard() == ["r1"]
    bell.undo()
    await world.create_run(new_run("r2"))
    assert await bell.heard() == []
    assert await other.heard() == ["r1", "r2"]
    bell.undo()


async def test_whoever_is_rung_finds_the_news_already_written(world: World) -> None:
    seen: list[str | None] = []

    def look(run_id: str) -> None:
        loop_tasks.append(looking(run_id))

    async def looking(run_id: str) -> None:
        run = await world.get_run(run_id)
        seen.append(None if run is None else run.status)

    loop_tasks: list[object] = []
    await world.subscribe("runs", look)
    await world.create_run(new_run("r1"))
    bell = await Bell.at(world, "nothing")
    await bell.heard()
    for task in loop_tasks:
        await task  # type: ignore[misc]
    assert seen == ["pending"]


async def test_who_waits_for_a_result_is_rung_at_the_end_and_for_an_attention_only(world: World) -> None:
    bell = await Bell.at(world, "results")
    owner = await own(world, "r1")
    await owner.commit(StartRun(T0))
    await owner.commit(SetAttributes({"a": "b"}))
    assert await bell.heard() == []
    assert await world.set_attention("w1", "r1", owner.epoch, Attention("NONDETERMINISM", "differs")) == "applied"
    await heard(bell, "r1")
    await world.open_worker(hello("w2"))
    (claimed,) = (await world.claim("w2", T0, 1)).claimed
    await Owner(world, "w2", claimed).end()
    await heard(bell, "r1")


async def heard(bell: Bell, detail: str) -> None:
    """Wait for a ring; over a wire it takes more than a few turns of the loop."""
    while True:
        rings = await bell.heard()
        if rings:
            assert set(rings) == {detail}
            return
