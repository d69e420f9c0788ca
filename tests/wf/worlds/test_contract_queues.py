"""The contract of every world: messages, hooks, waits, locks and children reach the right run, in order."""

from __future__ import annotations

import asyncio

import pytest

from tests.wf.worlds.acts import FLOW, T0, Bell, Owner, claim_all, hello, imported_run, link_of, new_run, own, send
from wf.events import HOOK_CREATED, Event
from wf.world import (
    CancelChild,
    DropHook,
    DropWait,
    HookRow,
    LockRow,
    Message,
    NewRun,
    PutHook,
    PutWait,
    ReleaseLock,
    RequestLock,
    Sent,
    StartChild,
    StartRun,
    WaitRow,
    WatchRun,
    World,
)

# -- the inbox


async def test_messages_wait_in_order_of_arrival(world: World) -> None:
    owner = await own(world)
    for number in range(5):
        await send(world, "r1", correlation_id=number)
    messages = await world.read_inbox("w1", ["r1"], 0)
    assert [message.correlation_id for message in messages] == [0, 1, 2, 3, 4]
    assert [message.id for message in messages] == sorted({message.id for message in messages})
    assert await world.read_inbox("w1", ["r1"], messages[2].id) == messages[3:]
    assert await world.read_inbox("w1", ["r1"], messages[4].id) == []
    await owner.commit()


async def test_a_message_arrives_as_it_was_sent(world: World) -> None:
    await own(world)
    await world.send("r1", Message("hook_payload", T0 + 7, 3, '{"a":"ü"}', b"\x00sealed", "d1"))
    (message,) = await world.read_inbox("w1", ["r1"], 0)
    assert (message.run_id, message.kind, message.correlation_id, message.at, message.meta, message.payload) == (
        "r1",
        "hook_payload",
        3,
        T0 + 7,
        '{"a":"ü"}',
        b"\x00sealed",
    )


async def test_messages_of_several_runs_are_read_by_their_id(world: World) -> None:
    for run_id in ("r1", "r2", "r3"):
        await own(world, run_id)
    for run_id in ("r2", "r1", "r3", "r2"):
        await send(world, run_id)
    messages = await world.read_inbox("w1", ["r1", "r2", "r1", "r?"], 0)
    assert [message.run_id for message in messages] == ["r2", "r1", "r2"]


async def test_an_inbox_is_read_only_by_the_worker_that_has_the_lease(world: World) -> None:
    owner = await own(world, worker_id="w1")
    await send(world, "r1")
    assert await world.read_inbox("w2", ["r1"], 0) == []
    await owner.release()
    assert await world.read_inbox("w1", ["r1"], 0) == []


async def test_message_ids_are_never_used_again(world: World) -> None:
    owner = await own(world)
    last = 0
    for _ in range(3):
        await send(world, "r1")
        (message,) = await world.read_inbox("w1", ["r1"], 0)
        assert message.id > last
        last = message.id
        await owner.commit(taken=[message.id])


async def test_messages_to_runs_that_are_not_there_are_refused(world: World) -> None:
    assert await send(world, "r?") == "unknown"
    owner = await own(world)
    await owner.end()
    assert await send(world, "r1") == "ended"
    assert await owner.inbox() == []


async def test_a_delivery_id_is_delivered_once_whatever_became_of_it(world: World) -> None:
    owner = await own(world, "r1")
    await own(world, "r2")
    assert await send(world, "r1", delivery_id="d1") == "queued"
    assert await send(world, "r1", delivery_id="d1") == "duplicate"
    assert await send(world, "r2", delivery_id="d1") == "duplicate"
    assert await send(world, "r1", delivery_id="d2") == "queued"
    messages = await world.read_inbox("w1", ["r1", "r2"], 0)
    assert len(messages) == 2
    await owner.commit(taken=[message.id for message in messages])
    assert await send(world, "r1", delivery_id="d1") == "duplicate"
    await owner.end()
    assert await send(world, "r1", delivery_id="d1") == "duplicate"
    assert await send(world, "r1", delivery_id="d3") == "ended"
    assert [await world.find_delivery(id) for id in ("d1", "d2", "d3", "")] == ["r1", "r1", None, None]


async def test_of_many_equal_deliveries_at_once_one_is_written(world: World) -> None:
    owner = await own(world)
    statuses = await asyncio.gather(*(send(world, "r1", delivery_id="d1") for _ in range(20)))
    assert statuses.count("queued") == 1
    assert statuses.count("duplicate") == 19
    assert len(await owner.inbox()) == 1


async def test_a_message_wakes_a_run_that_rests(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0))
    await owner.release()
    await send(world, "r1")
    run = await world.get_run("r1")
    assert run is not None
    assert run.wake_at == 0
    (claimed,) = (await world.claim("w1", T0, 1)).claimed
    assert [message.kind for message in claimed.inbox] == ["hook_payload"]


async def test_a_wake_names_the_sleeps_that_it_ends_and_counts_them(world: World) -> None:
    owner = await own(world)
    await owner.commit(
        PutWait(9, "sleep", T0), PutWait(2, "sleep", T0), PutWait(3, "deadline", T0), PutWait(4, "retry", T0)
    )
    assert await world.send("r1", Message("wake", T0)) == Sent("queued", 2)
    assert await owner.inbox() == [("wake", None, '{"waits":[2,9]}')]


async def test_a_wake_without_sleeps_is_no_message(world: World) -> None:
    owner = await own(world)
    await owner.commit(PutWait(3, "deadline", T0))
    assert await world.send("r1", Message("wake", T0)) == Sent("queued", 0)
    assert await owner.inbox() == []
    await owner.end()
    assert await world.send("r1", Message("wake", T0)) == Sent("ended")


# -- waits


async def test_waits_are_kept_by_their_correlation_id(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    await first.commit(PutWait(1, "sleep", T0 + 3), PutWait(2, "run", T0 + 2))
    await first.commit(PutWait(1, "retry", T0 + 1))
    await second.commit(PutWait(1, "sleep", T0 + 2))
    assert await world.list_waits() == [
        WaitRow("r1", 1, "retry", T0 + 1),
        WaitRow("r1", 2, "run", T0 + 2),
        WaitRow("r2", 1, "sleep", T0 + 2),
    ]
    assert await world.list_waits(limit=1) == [WaitRow("r1", 1, "retry", T0 + 1)]
    assert await world.list_waits("r2") == [WaitRow("r2", 1, "sleep", T0 + 2)]
    await first.commit(DropWait(1), DropWait(7))
    assert [wait.correlation_id for wait in await world.list_waits("r1")] == [2]
    await first.end()
    assert await world.list_waits("r1") == []


# -- hooks


async def put_hook(owner: Owner, token_hash: bytes, kind: str = "hook") -> Event:
    """Create a hook as an owner does: the event and its registration in one append."""
    seq = owner.seq + 1
    created = Event(
        owner.run_id, seq, HOOK_CREATED, seq, None, None, T0 + seq, "{}", b"sealed token", link_of(owner.run_id, seq)
    )
    append = owner.append(PutHook(seq, token_hash, seq, kind))
    append.events[0] = created
    assert await owner.world.commit([append]) == ["applied"]
    owner.seq += 1
    return created


async def test_a_hook_is_found_by_its_token_with_its_event(world: World) -> None:
    owner = await own(world)
    created = await put_hook(owner, b"token", "webhook")
    hook = HookRow(b"token", "r1", 2, "webhook", created.at, created)
    assert await world.find_hook(b"token") == hook
    assert await world.find_hook(b"other") is None
    assert await world.list_hooks() == await world.list_hooks("r1") == [hook]
    assert await world.list_hooks("r2") == []


async def test_hooks_are_listed_as_they_were_created(world: World) -> None:
    first, second = await own(world, "r2"), await own(world, "r1")
    await put_hook(first, b"a")
    await put_hook(second, b"b")
    await put_hook(first, b"c")
    assert [hook.token_hash for hook in await world.list_hooks()] == [b"b", b"a", b"c"]
    assert [hook.token_hash for hook in await world.list_hooks(limit=2)] == [b"b", b"a"]
    assert [hook.token_hash for hook in await world.list_hooks("r2")] == [b"a", b"c"]


async def test_a_live_token_belongs_to_one_hook_and_the_other_run_is_told(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    await put_hook(first, b"token")
    await put_hook(second, b"token")
    assert await second.inbox() == [("hook_conflict", 2, '{"run_id":"r1"}')]
    assert await first.inbox() == []
    hook = await world.find_hook(b"token")
    assert hook is not None
    assert hook.run_id == "r1"


async def test_a_token_is_free_again_after_its_hook_or_its_run(world: World) -> None:
    first, second, third = [await own(world, run_id) for run_id in ("r1", "r2", "r3")]
    await put_hook(first, b"token")
    await first.commit(DropHook(2))
    assert await world.find_hook(b"token") is None
    await put_hook(second, b"token")
    await second.end()
    assert await world.find_hook(b"token") is None
    await put_hook(third, b"token")
    assert await third.inbox() == []


async def test_a_message_to_a_hook_is_written_only_while_that_hook_lives(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    await put_hook(first, b"token")

    async def resume(run_id: str) -> str:
        return (await world.send(run_id, Message("hook_payload", T0, 2), b"token")).status

    assert await resume("r1") == "queued"
    assert await resume("r2") == "no_hook"
    await first.commit(DropHook(2))
    assert await resume("r1") == "no_hook"
    await second.end()
    assert await resume("r2") == "ended"
    assert len(await first.inbox()) == 1
    assert await second.inbox() == []


# -- locks


async def holders(world: World, name: str = "db") -> list[tuple[str, bool]]:
    return [(lock.run_id, lock.is_held) for lock in await world.list_locks(name)]


async def test_a_free_lock_is_granted_at_once(world: World) -> None:
    owner = await own(world)
    await owner.commit(RequestLock(4, "db", 1))
    assert await owner.inbox() == [("lock_granted", 4, None)]
    (lock,) = await world.list_locks()
    assert lock == LockRow("db", "r1", 4, 1, lock.position, True)


async def test_a_lock_passes_on_in_order_of_request(world: World) -> None:
    owners = [await own(world, run_id) for run_id in ("r3", "r1", "r2")]
    for owner in owners:
        await owner.commit(RequestLock(1, "db", 1))
    assert await holders(world) == [("r3", True), ("r1", False), ("r2", False)]
    for position, owner in enumerate(owners):
        assert [bool(await each.inbox()) for each in owners] == [number <= position for number in range(3)]
        await owner.commit(ReleaseLock(1))
    assert await holders(world) == []


async def test_whoever_leaves_the_queue_lets_the_others_move_up(world: World) -> None:
    first, second, third = [await own(world, run_id) for run_id in ("r1", "r2", "r3")]
    for owner in (first, second, third):
        await owner.commit(RequestLock(1, "db", 1))
    await second.commit(ReleaseLock(1))
    await second.commit(ReleaseLock(1))
    await first.commit(ReleaseLock(1))
    assert await holders(world) == [("r3", True)]
    assert await second.inbox() == []


async def test_so_many_hold_a_name_as_each_request_allows(world: World) -> None:
    owners = [await own(world, f"r{number}") for number in range(4)]
    for owner in owners:
        await owner.commit(RequestLock(1, "db", 2))
    assert [is_held for _, is_held in await holders(world)] == [True, True, False, False]
    strict = await own(world, "strict")
    await strict.commit(RequestLock(1, "db", 1))
    for owner in owners:
        await owner.end()
    assert await holders(world) == [("strict", True)]


async def test_a_first_in_line_that_cannot_have_it_keeps_its_place(world: World) -> None:
    first, strict, third = [await own(world, run_id) for run_id in ("r1", "strict", "r3")]
    await first.commit(RequestLock(1, "db", 2))
    await strict.commit(RequestLock(1, "db", 1))
    await third.commit(RequestLock(1, "db", 2))
    assert await holders(world) == [("r1", True), ("strict", False), ("r3", False)], "r3 may not overtake"
    await first.commit(ReleaseLock(1))
    assert await holders(world) == [("strict", True), ("r3", True)]


async def test_the_end_of_a_run_frees_all_its_locks(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    await first.commit(RequestLock(1, "db", 1), RequestLock(2, "cache", 1))
    await second.commit(RequestLock(1, "cache", 1), RequestLock(2, "db", 1))
    await first.end("failed")
    assert sorted(await second.inbox()) == [("lock_granted", 1, None), ("lock_granted", 2, None)]
    assert [(lock.name, lock.run_id) for lock in await world.list_locks()] == [("cache", "r2"), ("db", "r2")]
    assert len(await world.list_locks(limit=1)) == 1


async def test_a_grant_wakes_a_run_that_rests(world: World) -> None:
    first, second = await own(world, "r1"), await own(world, "r2")
    await first.commit(RequestLock(1, "db", 1))
    await second.commit(StartRun(T0), RequestLock(1, "db", 1))
    await second.release()
    await first.commit(ReleaseLock(1))
    second = (await claim_all(world))["r2"]
    assert [message.kind for message in second.claimed.inbox] == ["lock_granted"]


# -- children


async def test_a_child_is_created_with_the_append_that_starts_it(world: World) -> None:
    owner = await own(world)
    child = new_run("c1", parent_run_id="r1", parent_correlation_id=5)
    await owner.commit(StartChild(5, child))
    run = await world.get_run("c1")
    assert run is not None
    assert (run.status, run.parent_run_id, run.parent_correlation_id) == ("pending", "r1", 5)
    assert await world.read_events("c1") == [child.event]
    assert await owner.inbox() == []
    await (await claim_all(world))["c1"].end()
    assert await owner.inbox() == [("child_ended", 5, '{"run_id":"c1"}')]


async def test_a_fenced_append_starts_no_child(world: World) -> None:
    owner = await own(world)
    await owner.release()
    assert await owner.try_commit(StartChild(5, new_run("c1"))) == "fenced"
    assert await world.get_run("c1") is None


async def test_an_existing_run_of_the_same_workflow_is_awaited_like_a_child(world: World) -> None:
    ended = await own(world, "c1")
    await ended.end()
    live = await own(world, "c2")
    owner = await own(world)
    await owner.commit(StartChild(5, new_run("c1")), StartChild(6, new_run("c2")))
    assert await owner.inbox() == [("child_ended", 5, '{"run_id":"c1"}')]
    await live.end()
    assert (await owner.inbox())[1:] == [("child_ended", 6, '{"run_id":"c2"}')]
    assert len(await world.read_events("c1")) == 2


async def test_an_id_of_another_workflow_is_a_conflict(world: World) -> None:
    await world.create_run(new_run("c1", "flows.other:main"))
    owner = await own(world)
    await owner.commit(StartChild(5, new_run("c1", FLOW)))
    assert await owner.inbox() == [("child_conflict", 5, '{"run_id":"c1"}')]


async def test_every_watcher_is_told_once_a_call(world: World) -> None:
    child = await own(world, "c1")
    first, second = await own(world, "r1"), await own(world, "r2")
    await first.commit(WatchRun(1, "c1"), WatchRun(2, "c1"), WatchRun(2, "c1"))
    await second.commit(WatchRun(1, "c1"))
    await child.end("cancelled")
    told = '{"run_id":"c1"}'
    assert await first.inbox() == [("child_ended", 1, told), ("child_ended", 2, told)]
    assert await second.inbox() == [("child_ended", 1, told)]


async def test_watching_an_ended_or_unknown_run_is_answered_at_once(world: World) -> None:
    await (await own(world, "c1")).end()
    owner = await own(world)
    await owner.commit(WatchRun(1, "c1"), WatchRun(2, "r?"))
    assert await owner.inbox() == [("child_ended", 1, '{"run_id":"c1"}'), ("child_ended", 2, '{"run_id":"r?"}')]


async def test_a_watcher_that_has_ended_is_left_in_peace(world: World) -> None:
    child, owner = await own(world, "c1"), await own(world)
    await owner.commit(WatchRun(1, "c1"))
    await owner.end()
    await child.end()
    assert await owner.inbox() == []
    await owner.commit(WatchRun(2, "c1"))
    assert await owner.inbox() == []


async def test_the_end_of_a_child_wakes_a_parent_that_rests(world: World) -> None:
    child, parent = await own(world, "c1"), await own(world)
    await parent.commit(StartRun(T0), WatchRun(1, "c1"))
    await parent.release()
    bell = await Bell.at(world, "claimable")
    await child.end()
    assert len(await bell.heard()) == 1
    assert list(await claim_all(world)) == ["r1"]


# -- continuation


async def test_a_run_that_continues_hands_its_parent_and_its_watchers_on(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(5, new_run("c1", parent_run_id="r1", parent_correlation_id=5)))
    first = (await claim_all(world))["c1"]
    await first.end(continued=new_run("c2"))
    old, new = await world.get_run("c1"), await world.get_run("c2")
    assert old is not None
    assert new is not None
    assert (old.status, old.continued_as) == ("completed", "c2")
    assert (new.status, new.continued_from, new.parent_run_id, new.parent_correlation_id) == ("pending", "c1", "r1", 5)
    assert await parent.inbox() == []
    second = (await claim_all(world))["c2"]
    await second.end()
    assert await parent.inbox() == [("child_ended", 5, '{"run_id":"c2"}')]


async def test_who_watches_a_run_that_continued_watches_the_last_of_the_chain(world: World) -> None:
    for number in range(3):
        owner = await own(world, "c0") if number == 0 else (await claim_all(world))[f"c{number}"]
        await owner.end(continued=new_run(f"c{number + 1}"))
    last = (await claim_all(world))["c3"]
    watcher = await own(world)
    await watcher.commit(WatchRun(1, "c0"), StartChild(2, new_run("c1")))
    assert await watcher.inbox() == []
    await last.end()
    told = '{"run_id":"c3"}'
    assert await watcher.inbox() == [("child_ended", 1, told), ("child_ended", 2, told)]
    await watcher.commit(WatchRun(3, "c0"))
    assert (await watcher.inbox())[2:] == [("child_ended", 3, told)]


# -- children that are given up

GIVEN_UP = ("cancel", None, '{"reason":"parent cancelled"}')


def child_of(parent: str, run_id: str) -> NewRun:
    return new_run(run_id, parent_run_id=parent, parent_correlation_id=1)


async def test_a_child_that_its_parent_gives_up_gets_a_cancel_in_the_same_commit(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(1, child_of("r1", "c1")))
    child = (await claim_all(world))["c1"]
    bell = await Bell.at(world, "worker:w1")
    await parent.commit(CancelChild(1, "c1", "parent cancelled"))
    assert await child.inbox() == [GIVEN_UP]
    assert "c1" in await bell.heard()


async def test_a_child_that_is_started_and_given_up_in_one_commit_is_cancelled_before_it_begins(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(1, child_of("r1", "c1")), CancelChild(1, "c1", "parent cancelled"))
    assert await (await claim_all(world))["c1"].inbox() == [GIVEN_UP]


async def test_a_child_at_rest_is_due_when_it_is_given_up(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(1, child_of("r1", "c1")))
    child = (await claim_all(world))["c1"]
    await child.commit(StartRun(T0))
    await child.release()
    assert await claim_all(world) == {}
    bell = await Bell.at(world, "claimable")
    await parent.commit(CancelChild(1, "c1", "parent cancelled"))
    assert len(await bell.heard()) == 1
    assert list(await claim_all(world)) == ["c1"]


async def test_a_child_that_continued_is_cancelled_where_it_goes_on(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(1, child_of("r1", "c1")))
    await (await claim_all(world))["c1"].end(continued=new_run("c2"))
    await parent.commit(CancelChild(1, "c1", "parent cancelled"))
    assert await (await claim_all(world))["c2"].inbox() == [GIVEN_UP]


async def test_a_run_that_somebody_else_started_is_left_alone(world: World) -> None:
    parent, others = await own(world), await own(world, "r2")
    await world.create_run(child_of("r2", "c1"))
    await parent.commit(
        StartChild(1, child_of("r1", "c1")), *(CancelChild(1, name, "parent cancelled") for name in ("c1", "r2", "r?"))
    )
    assert await (await claim_all(world))["c1"].inbox() == []
    assert await others.inbox() == []


async def test_an_imported_child_and_one_that_has_ended_get_no_message(world: World) -> None:
    parent = await own(world)
    await world.import_run(imported_run("theirs", parent_run_id="r1", parent_correlation_id=1))
    await parent.commit(StartChild(2, child_of("r1", "c1")))
    child = (await claim_all(world))["c1"]
    await child.end()
    await parent.commit(CancelChild(1, "theirs", "parent cancelled"), CancelChild(2, "c1", "parent cancelled"))
    assert await child.inbox() == []


async def test_a_past_owner_gives_up_nothing(world: World) -> None:
    parent = await own(world)
    await parent.commit(StartChild(1, child_of("r1", "c1")))
    child = (await claim_all(world))["c1"]
    await parent.release()
    await send(world, "r1")
    await claim_all(world)
    assert await parent.try_commit(CancelChild(1, "c1", "parent cancelled")) == "fenced"
    assert await child.inbox() == []


# -- the end


async def test_a_run_ends_once(world: World) -> None:
    owner, watcher = await own(world), await own(world, "w")
    await watcher.commit(WatchRun(1, "r1"))
    await owner.end("completed", at=T0 + 1)
    await owner.end("failed", at=T0 + 2, error_code="USER_ERROR")
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.ended_at, run.result_seq, run.error_code) == ("completed", T0 + 1, 2, None)
    assert len(await watcher.inbox()) == 1


async def test_what_waits_in_the_inbox_of_a_run_ends_with_it(world: World) -> None:
    owner = await own(world)
    await send(world, "r1")
    await owner.end()
    assert await owner.inbox() == []


@pytest.mark.parametrize("status", ["completed", "failed", "cancelled"])
async def test_results_of_steps_in_flight_may_follow_the_end(world: World, status: str) -> None:
    owner = await own(world)
    await owner.end(status)
    await owner.commit(events=2)
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.seq, run.result_seq, run.head) == (status, 4, 2, link_of("r1", 4))


async def test_a_worker_with_many_runs_reads_its_mail_at_once(world: World) -> None:
    await world.open_worker(hello())
    for number in range(60):
        await world.create_run(new_run(f"r{number}"))
        await send(world, f"r{number}")
    owners = await claim_all(world)
    messages = await world.read_inbox("w1", list(owners), 0)
    assert [message.run_id for message in messages] == [f"r{number}" for number in range(60)]
