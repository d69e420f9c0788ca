"""The contract of every world: only a run's owner appends, all of it or none, and once."""

from __future__ import annotations

import asyncio

import pytest
from msgspec.structs import replace

from tests.wf.worlds.acts import T0, claim_all, event, hello, new_run, own, send
from wf.errors import WorldError
from wf.world import LogRow, PutLog, PutWait, RequestLock, StartRun, World


async def seqs(world: World, run_id: str = "r1") -> list[int]:
    return [each.seq for each in await world.read_events(run_id)]


async def test_an_append_of_a_past_epoch_is_fenced_and_leaves_no_trace(world: World) -> None:
    owner = await own(world, worker_id="w1")
    await send(world, "r1")
    (message,) = await world.read_inbox("w1", ["r1"], 0)
    await world.close_worker("w1")
    await world.open_worker(hello("w2"))
    second = (await claim_all(world, "w2"))["r1"]
    before = await world.get_run("r1")
    assert await owner.try_commit(StartRun(T0), PutWait(1, "sleep", T0), taken=[message.id]) == "fenced"
    assert await world.get_run("r1") == before
    assert await seqs(world) == [1]
    assert await world.list_waits() == []
    assert await second.inbox() == [("hook_payload", None, None)]


async def test_an_append_to_a_run_that_nobody_owns_is_fenced(world: World) -> None:
    owner = await own(world)
    await owner.release()
    assert await owner.try_commit() == "fenced"


async def test_an_append_to_an_unknown_run_is_fenced(world: World) -> None:
    owner = await own(world)
    assert await world.commit([replace(owner.append(), run_id="r?")]) == ["fenced"]


async def test_an_append_at_another_place_of_the_log_is_fenced(world: World) -> None:
    owner = await own(world)
    stale = owner.append()
    await owner.commit(events=2)
    other = replace(stale, head=b"another head", events=[event("r1", 2, payload=b"other")])
    assert await world.commit([other]) == ["fenced"]
    owner.seq += 1
    assert await owner.try_commit() == "fenced"
    assert await seqs(world) == [1, 2, 3]


async def test_an_append_whose_answer_was_lost_is_applied_again_without_effect(world: World) -> None:
    owner = await own(world)
    append = owner.append(RequestLock(1, "db", 1), PutWait(2, "sleep", T0), events=2)
    assert await world.commit([append]) == ["applied"]
    before = await world.get_run("r1")
    inbox = await owner.inbox()
    assert await world.commit([append]) == ["applied"]
    assert await world.commit([append, append]) == ["applied", "applied"]
    assert await world.get_run("r1") == before
    assert await seqs(world) == [1, 2, 3]
    assert await owner.inbox() == inbox == [("lock_granted", 1, None)]


async def test_a_fenced_append_leaves_the_others_of_its_batch_alone(world: World) -> None:
    first, second, third = [await own(world, run_id) for run_id in ("r1", "r2", "r3")]
    await world.release("w1", [])
    await second.release()
    outcomes = await world.commit([first.append(), second.append(), third.append(StartRun(T0))])
    assert outcomes == ["applied", "fenced", "applied"]
    assert [len(await seqs(world, run_id)) for run_id in ("r1", "r2", "r3")] == [2, 1, 2]


async def test_appends_of_one_run_in_one_batch_follow_each_other(world: World) -> None:
    owner = await own(world)
    first = owner.append()
    owner.seq += 1
    assert await world.commit([first, owner.append(events=2)]) == ["applied", "applied"]
    assert await seqs(world) == [1, 2, 3, 4]


async def test_nothing_to_commit_is_nothing(world: World) -> None:
    assert await world.commit([]) == []


async def test_messages_are_taken_by_the_append_they_became(world: World) -> None:
    owner = await own(world)
    for number in (1, 2, 3):
        await send(world, "r1", correlation_id=number)
    first, second, _ = await world.read_inbox("w1", ["r1"], 0)
    await owner.commit(taken=[first.id, second.id])
    assert [number for _, number, _ in await owner.inbox()] == [3]


async def test_no_append_takes_the_messages_of_another_run(world: World) -> None:
    owner, other = await own(world, "r1"), await own(world, "r2")
    await send(world, "r2")
    (message,) = await world.read_inbox("w1", ["r2"], 0)
    await owner.commit(taken=[message.id])
    assert len(await other.inbox()) == 1


async def test_an_append_without_events_still_takes_messages_and_keeps_logs(world: World) -> None:
    owner = await own(world)
    await send(world, "r1")
    (message,) = await world.read_inbox("w1", ["r1"], 0)
    log = PutLog(3, 1, 0, T0 + 5, b"sealed lines")
    append = owner.append(log, events=0, taken=[message.id])
    before = await world.get_run("r1")
    assert await world.commit([append]) == ["applied"]
    assert await world.commit([append]) == ["applied"]
    assert await world.get_run("r1") == before
    assert await owner.inbox() == []
    assert await world.read_logs("r1") == [LogRow("r1", 3, 1, 0, T0 + 5, b"sealed lines")]


async def test_an_append_without_events_is_fenced_like_any_other(world: World) -> None:
    owner = await own(world)
    await owner.release()
    assert await owner.try_commit(PutLog(1, 1, 0, T0, b"x"), events=0) == "fenced"
    assert await world.read_logs("r1") == []


async def test_events_that_leave_a_gap_are_refused_and_nothing_is_written(world: World) -> None:
    owner, other = await own(world, "r1"), await own(world, "r2")
    wrong = replace(owner.append(), events=[event("r1", 3)])
    with pytest.raises(WorldError, match="not numbered"):
        await world.commit([other.append(), wrong])
    assert await seqs(world, "r2") == [1]
    await other.commit()


async def test_logs_are_read_in_the_order_of_time(world: World) -> None:
    owner = await own(world)
    await owner.commit(
        PutLog(2, 1, 0, T0 + 3, b"d"),
        PutLog(1, 1, 1, T0 + 2, b"c"),
        PutLog(1, 1, 0, T0 + 1, b"a"),
        PutLog(1, 2, 0, T0 + 2, b""),
    )
    assert [log.payload for log in await world.read_logs("r1")] == [b"a", b"c", b"", b"d"]
    assert [log.payload for log in await world.read_logs("r1", 2)] == [b"a", b"c"]
    assert len(await seqs(world)) == 2, "logs are no part of the events"


async def test_commits_of_many_tasks_at_once_lose_nothing(world: World) -> None:
    for number in range(20):
        await world.create_run(new_run(f"r{number}"))
    await world.open_worker(hello())
    owners = await claim_all(world)

    async def work(run_id: str) -> None:
        for _ in range(20):
            await owners[run_id].commit()

    await asyncio.gather(*(work(run_id) for run_id in owners))
    for run_id in owners:
        assert await seqs(world, run_id) == list(range(1, 22))


async def test_a_cancelled_caller_does_not_half_write(world: World) -> None:
    owner = await own(world)
    for _ in range(50):
        task = asyncio.ensure_future(world.commit([owner.append(PutWait(owner.seq, "sleep", T0))]))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        run = await world.get_run("r1")
        assert run is not None
        owner.seq = run.seq
        assert await seqs(world) == list(range(1, run.seq + 1))
        assert len(await world.list_waits("r1")) == run.seq - 1


async def test_cancelled_starts_are_whole_or_nothing(world: World) -> None:
    for number in range(50):
        task = asyncio.ensure_future(world.create_run(new_run(f"r{number}")))
        for _ in range(number % 3):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    await world.create_run(new_run("last"))
    for number in range(50):
        run = await world.get_run(f"r{number}")
        assert len(await world.read_events(f"r{number}")) == (run is not None)
