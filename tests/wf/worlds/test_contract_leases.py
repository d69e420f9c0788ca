"""The contract of every world: one owner a run, who is found in time and replaced when it is gone."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.wf.worlds.acts import (
    FLOW,
    SECOND,
    T0,
    Bell,
    ManualTime,
    Owner,
    claim,
    claim_all,
    hello,
    new_run,
    own,
    send,
)
from wf.world import (
    EVENTS_PER_CLAIM,
    LEASE_SECONDS,
    Attention,
    DropWait,
    PutWait,
    Release,
    StartRun,
    World,
)

OTHER = "flows.other:main"
TROUBLE = Attention("NONDETERMINISM", "it replayed differently", 3, "step a", "step b", "flows.py:7 in fulfil")


async def wake_at(world: World, run_id: str = "r1") -> int | None:
    run = await world.get_run(run_id)
    assert run is not None
    return run.wake_at


# -- claiming


async def test_a_claim_gives_a_lease_with_the_log_and_the_inbox(world: World) -> None:
    await world.create_run(new_run("r1"))
    await send(world, "r1", correlation_id=3, meta="{}", payload=b"sealed")
    await world.open_worker(hello("w1"))
    claims = await world.claim("w1", T0, 10)
    (claimed,) = claims.claimed
    assert claimed.run == await world.get_run("r1")
    assert (claimed.run.owner, claimed.run.epoch, claimed.run.wake_at) == ("w1", 1, None)
    assert claimed.events == [new_run("r1").event]
    (message,) = claimed.inbox
    assert (message.run_id, message.kind, message.correlation_id, message.at, message.meta, message.payload) == (
        "r1",
        "hook_payload",
        3,
        T0,
        "{}",
        b"sealed",
    )
    assert claims.unregistered == []


async def test_a_leased_run_is_offered_to_nobody_else(world: World) -> None:
    await own(world, worker_id="w1")
    await world.open_worker(hello("w2"))
    assert await claim(world, "w1") == []
    assert await claim(world, "w2", T0 * 2) == []


async def test_a_long_log_is_claimed_by_its_beginning(world: World) -> None:
    owner = await own(world)
    await owner.commit(events=EVENTS_PER_CLAIM + 5)
    await world.close_worker("w1")
    await world.open_worker(hello("w2"))
    (claimed,) = (await world.claim("w2", T0, 1)).claimed
    assert [event.seq for event in claimed.events] == list(range(1, EVENTS_PER_CLAIM + 1))
    assert claimed.run.seq == EVENTS_PER_CLAIM + 6
    assert len(await world.read_events("r1", EVENTS_PER_CLAIM)) == 6


async def test_runs_are_claimed_by_their_oldest_wish_and_then_as_they_were_created(world: World) -> None:
    for run_id, at in (("z", T0), ("late", T0 + 2), ("a", T0), ("soon", T0 + 1)):
        await world.create_run(new_run(run_id, at=at))
    await world.open_worker(hello())
    assert await claim(world, now=T0 + 9, limit=3) == ["z", "a", "soon"]
    assert await claim(world, now=T0 + 9, limit=3) == ["late"]


async def test_a_claim_says_when_the_next_run_is_due(world: World) -> None:
    await world.open_worker(hello())
    assert (await world.claim("w1", T0, 10)).next_due_at is None
    await world.create_run(new_run("r1"))
    await world.create_run(new_run("r2", not_before=T0 + 50))
    assert (await world.claim("w1", T0, 0)).next_due_at == T0
    claims = await world.claim("w1", T0, 10)
    assert [each.run.run_id for each in claims.claimed] == ["r1"]
    assert claims.next_due_at == T0 + 50


async def test_a_delayed_run_is_not_offered_early(world: World) -> None:
    await world.create_run(new_run("r1", not_before=T0 + SECOND))
    await world.open_worker(hello())
    assert await claim(world, now=T0 + SECOND - 1) == []
    assert await claim(world, now=T0 + SECOND) == ["r1"]


async def test_a_not_before_in_the_past_does_not_jump_the_queue(world: World) -> None:
    await world.create_run(new_run("r1", not_before=T0 - SECOND))
    assert await wake_at(world) == T0


async def test_a_run_of_an_unknown_workflow_goes_to_whoever_knows_it(world: World) -> None:
    await world.create_run(new_run("r1", OTHER))
    await world.open_worker(hello("w1", FLOW))
    await world.open_worker(hello("w2", FLOW, OTHER))
    claims = await world.claim("w1", T0, 10)
    assert (claims.claimed, claims.unregistered, claims.next_due_at) == ([], [], None)
    assert await claim(world, "w2") == ["r1"]


async def test_a_run_whose_workflow_nobody_knows_is_leased_as_unregistered(world: World) -> None:
    await world.create_run(new_run("r1", OTHER))
    await world.open_worker(hello("w1", FLOW))
    claims = await world.claim("w1", T0, 10)
    assert claims.claimed == []
    (lost,) = claims.unregistered
    assert (lost.run.run_id, lost.run.owner, lost.run.epoch, len(lost.events)) == ("r1", "w1", 1, 1)


async def test_a_worker_that_learnt_a_workflow_is_offered_its_runs(world: World) -> None:
    await world.open_worker(hello("w1", FLOW))
    await world.open_worker(hello("w1", FLOW, OTHER))
    await world.create_run(new_run("r1", OTHER))
    assert await claim(world) == ["r1"]


async def test_runs_of_a_closed_worker_that_alone_knew_their_workflow_are_anybodys(world: World) -> None:
    await world.open_worker(hello("w1", FLOW))
    await world.open_worker(hello("w2", OTHER))
    await world.create_run(new_run("r1", OTHER))
    assert (await world.claim("w1", T0, 10)).unregistered == []
    bell = await Bell.at(world, "claimable")
    await world.close_worker("w2")
    assert len(await bell.heard()) == 1
    assert len((await world.claim("w1", T0, 10)).unregistered) == 1


# -- giving back


async def test_a_released_run_without_messages_and_waits_wants_nobody(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0))
    await owner.release()
    run = await world.get_run("r1")
    assert run is not None
    assert (run.owner, run.wake_at, run.epoch) == (None, None, 1)
    assert await claim(world, now=T0 * 2) == []


async def test_a_released_run_is_woken_by_its_first_wait(world: World) -> None:
    owner = await own(world)
    await owner.commit(
        StartRun(T0),
        PutWait(1, "sleep", T0 + 30),
        PutWait(2, "deadline", T0 + 20),
        PutWait(3, "retry", T0 + 10),
        DropWait(3),
    )
    await owner.release()
    assert await wake_at(world) == T0 + 20
    assert (await world.claim("w1", T0 + 19, 10)).next_due_at == T0 + 20
    assert await claim(world, now=T0 + 20) == ["r1"]


async def test_a_released_run_with_messages_is_due_at_once(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0), PutWait(1, "sleep", T0 + 30))
    await send(world, "r1")
    await owner.release()
    assert await wake_at(world) == 0
    assert await claim(world) == ["r1"]


async def test_a_run_that_was_released_before_it_started_is_offered_again(world: World) -> None:
    owner = await own(world)
    await owner.release()
    assert await claim(world) == ["r1"]


async def test_an_ended_run_stays_leased_until_its_release_and_then_wants_nobody(world: World) -> None:
    owner = await own(world)
    await owner.end()
    assert await owner.try_commit() == "applied", "a step in flight may still report"
    await owner.release()
    assert await wake_at(world) is None
    assert await claim(world, now=T0 * 2) == []
    assert await owner.try_commit() == "fenced"


async def test_a_release_of_another_epoch_or_worker_changes_nothing(world: World) -> None:
    owner = await own(world)
    await world.release("w1", [Release("r1", owner.epoch + 1), Release("r?", 1)])
    await world.release("w2", [Release("r1", owner.epoch)])
    await owner.commit()


async def test_every_lease_has_an_epoch_of_its_own(world: World) -> None:
    for epoch in (1, 2, 3):
        await world.create_run(new_run("r1"))
        await world.open_worker(hello())
        owner = (await claim_all(world))["r1"]
        assert owner.epoch == epoch
        await owner.release()


# -- losing


async def test_closing_a_worker_frees_its_runs_as_due(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0), PutWait(1, "sleep", T0 + 30))
    ended = await own(world, "r2")
    await ended.end()
    await world.close_worker("w1")
    assert await wake_at(world, "r1") == 0
    assert await wake_at(world, "r2") is None
    assert await owner.try_commit() == "fenced"
    assert await ended.try_commit() == "fenced"
    assert await world.heartbeat("w1") is False
    await world.open_worker(hello("w2"))
    assert await claim(world, "w2") == ["r1"]


@pytest.mark.parametrize("sign_of_life", ["heartbeat", "open_worker", "claim", "commit", None])
async def test_a_worker_keeps_its_leases_as_long_as_it_is_heard_of(
    world: World, time: ManualTime, sign_of_life: str | None
) -> None:
    owner = await own(world)
    await world.open_worker(hello("w2"))
    signs: dict[str | None, Any] = {
        "heartbeat": lambda: world.heartbeat("w1"),
        "open_worker": lambda: world.open_worker(hello("w1")),
        "claim": lambda: world.claim("w1", T0, 10),
        "commit": owner.try_commit,
    }
    for _ in range(3):
        time.pass_by(LEASE_SECONDS * 0.6)
        await world.heartbeat("w2")
        if sign_of_life is not None:
            await signs[sign_of_life]()
    assert await claim(world, "w2") == ([] if sign_of_life else ["r1"])
    assert await world.heartbeat("w1") is (sign_of_life is not None)


async def test_an_expired_lease_is_found_by_whoever_speaks_next(world: World, time: ManualTime) -> None:
    owner = await own(world)
    await world.open_worker(hello("w2"))
    time.pass_by(LEASE_SECONDS * 0.6)
    await world.heartbeat("w2")
    bell = await Bell.at(world, "claimable")
    time.pass_by(LEASE_SECONDS * 0.6)
    assert await world.heartbeat("w2") is True
    assert len(await bell.heard()) == 1
    assert await owner.try_commit() == "fenced"
    assert await claim(world, "w2") == ["r1"]


async def test_a_worker_that_was_silent_for_too_long_is_told_so_even_if_nobody_noticed(
    world: World, time: ManualTime
) -> None:
    owner = await own(world)
    time.pass_by(LEASE_SECONDS)
    assert await world.heartbeat("w1") is False
    assert await owner.try_commit() == "fenced"
    assert await claim(world, "w1") == []
    await world.open_worker(hello("w1"))
    assert await claim(world, "w1") == ["r1"]


async def test_a_worker_that_announces_itself_again_after_too_long_a_silence_has_lost_its_leases(
    world: World, time: ManualTime
) -> None:
    owner = await own(world)
    time.pass_by(LEASE_SECONDS)
    await world.open_worker(hello("w1"))
    assert await world.heartbeat("w1") is True
    assert await owner.try_commit() == "fenced"
    assert await claim(world, "w1") == ["r1"]


async def test_a_claim_of_a_worker_that_was_lost_gives_nothing(world: World, time: ManualTime) -> None:
    await own(world)
    time.pass_by(LEASE_SECONDS)
    assert await claim(world, "w1") == []
    assert await wake_at(world) == 0


# -- attention


async def attend(world: World, owner: Owner, attention: Attention | None = TROUBLE) -> str:
    return await world.set_attention(owner.worker_id, owner.run_id, owner.epoch, attention)


async def test_attention_gives_the_lease_back_and_is_not_offered_to_the_same_worker(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0))
    assert await attend(world, owner) == "applied"
    run = await world.get_run("r1")
    assert run is not None
    assert (run.attention, run.owner, run.wake_at, run.status) == (TROUBLE, None, 0, "running")
    claims = await world.claim("w1", T0 * 2, 10)
    assert (claims.claimed, claims.next_due_at) == ([], None)
    assert await owner.try_commit() == "fenced"


async def test_attention_is_offered_to_a_worker_of_another_id_whenever_it_comes(world: World) -> None:
    await world.open_worker(hello("w2"))
    owner = await own(world, worker_id="w1")
    await attend(world, owner)
    second = (await claim_all(world, "w2"))["r1"]
    assert second.claimed.run.attention == TROUBLE
    await attend(world, second)
    assert await claim(world, "w1") == await claim(world, "w2") == []
    bell = await Bell.at(world, "claimable")
    await world.open_worker(hello("w3"))
    assert len(await bell.heard()) == 1
    assert await claim(world, "w1") == await claim(world, "w2") == []
    assert await claim(world, "w3") == ["r1"]


async def test_an_ordinary_message_does_not_offer_attention_again(world: World) -> None:
    owner = await own(world)
    await attend(world, owner)
    await send(world, "r1")
    assert await claim(world) == []
    await world.open_worker(hello("w2"))
    (claimed,) = (await world.claim("w2", T0, 1)).claimed
    assert [message.kind for message in claimed.inbox] == ["hook_payload"]


@pytest.mark.parametrize("kind", ["cancel", "terminate"])
async def test_who_asks_to_end_a_run_in_attention_is_heard_by_the_same_worker(world: World, kind: str) -> None:
    owner = await own(world)
    await attend(world, owner)
    await send(world, "r1", kind)
    owner = (await claim_all(world))["r1"]
    assert [message.kind for message in owner.claimed.inbox] == [kind]
    await owner.end("cancelled")
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.attention) == ("cancelled", None)


async def test_a_cancel_that_crossed_with_the_attention_is_offered_once_more_but_not_for_ever(world: World) -> None:
    owner = await own(world)
    await send(world, "r1", "cancel")
    await attend(world, owner)  # the worker had not read its inbox
    owner = (await claim_all(world))["r1"]
    await attend(world, owner)  # it has now, and can do nothing with it
    assert await claim(world) == []
    await send(world, "r1", "terminate")
    assert await claim(world) == ["r1"]


async def test_attention_is_cleared_by_its_owner_and_the_run_goes_on(world: World) -> None:
    owner = await own(world, worker_id="w1")
    await attend(world, owner)
    await world.open_worker(hello("w2"))
    second = (await claim_all(world, "w2"))["r1"]
    assert await attend(world, second, None) == "applied"
    run = await world.get_run("r1")
    assert run is not None
    assert (run.attention, run.owner) == (None, "w2")
    await second.commit(StartRun(T0))
    await world.close_worker("w2")
    assert await claim(world, "w1") == ["r1"], "what was refused once is not refused for ever"


async def test_attention_of_a_past_owner_is_fenced(world: World) -> None:
    owner = await own(world, worker_id="w1")
    assert await world.set_attention("w2", "r1", owner.epoch, TROUBLE) == "fenced"
    assert await world.set_attention("w1", "r1", owner.epoch - 1, TROUBLE) == "fenced"
    assert await world.set_attention("w1", "r?", 1, TROUBLE) == "fenced"
    await world.close_worker("w1")
    assert await attend(world, owner) == "fenced"
    assert await attend(world, owner, None) == "fenced"
    run = await world.get_run("r1")
    assert run is not None
    assert run.attention is None


async def test_setting_the_same_attention_again_after_a_lost_answer_is_applied(world: World) -> None:
    owner = await own(world)
    assert await attend(world, owner) == "applied"
    assert await attend(world, owner) == "applied"
    assert await attend(world, owner, Attention("DECRYPTION", "another")) == "fenced"


async def test_an_ended_run_gets_no_attention(world: World) -> None:
    owner = await own(world)
    await owner.end()
    assert await attend(world, owner) == "fenced"
    await owner.commit()


# -- gates


async def gated(world: World, *run_ids: str, **more: Any) -> None:
    for number, run_id in enumerate(run_ids):
        await world.create_run(new_run(run_id, at=T0 + number, concurrency=1, **more))


async def test_no_more_runs_of_a_workflow_are_offered_than_its_gate_lets_through(world: World) -> None:
    await gated(world, "r1", "r2", "r3")
    await world.create_run(new_run("free", "flows.other:main", at=T0 + 9))
    await world.open_worker(hello("w1", FLOW, OTHER))
    claims = await world.claim("w1", T0 + 99, 10)
    assert [each.run.run_id for each in claims.claimed] == ["r1", "free"]
    assert claims.next_due_at is None
    assert [(lock.name, lock.run_id, lock.is_held) for lock in await world.list_locks(f"workflow:{FLOW}")] == [
        (f"workflow:{FLOW}", "r1", True),
        (f"workflow:{FLOW}", "r2", False),
        (f"workflow:{FLOW}", "r3", False),
    ]


async def test_the_end_of_a_run_lets_the_next_through_in_order_of_creation(world: World) -> None:
    await gated(world, "r1", "r2", "r3")
    await world.open_worker(hello())
    bell = await Bell.at(world, "claimable")
    for run_id in ("r1", "r2", "r3"):
        owners = await claim_all(world, now=T0 + 99)
        assert list(owners) == [run_id]
        await bell.heard()
        await owners[run_id].end()
        assert len(await bell.heard()) == (run_id != "r3")
    assert await world.list_locks() == []


async def test_a_run_keeps_its_place_at_the_gate_while_it_rests(world: World) -> None:
    await gated(world, "r1", "r2")
    await world.open_worker(hello())
    owner = (await claim_all(world, now=T0 + 99))["r1"]
    await owner.commit(StartRun(T0))
    await owner.release()
    await send(world, "r1")
    assert await claim(world, now=T0 + 99) == ["r1"]
    await world.close_worker("w1")
    await world.open_worker(hello("w2"))
    assert await claim(world, "w2", now=T0 + 99) == ["r1"]


async def test_a_delayed_run_takes_no_place_at_the_gate_before_its_time(world: World) -> None:
    await gated(world, "later", not_before=T0 + SECOND)
    await gated(world, "r1", "r2")
    await world.open_worker(hello())
    owner = (await claim_all(world, now=T0 + 99))["r1"]
    assert await claim(world, now=T0 + 2 * SECOND) == []
    await owner.end()
    owner = (await claim_all(world, now=T0 + 2 * SECOND))["r2"]
    await owner.end()
    assert await claim(world, now=T0 + 2 * SECOND) == ["later"]


async def test_a_message_does_not_carry_a_run_through_a_closed_gate(world: World) -> None:
    await gated(world, "r1", "r2")
    await world.open_worker(hello())
    await send(world, "r2")
    assert await claim(world, now=T0 + 99) == ["r1"]


@pytest.mark.parametrize("not_before", [None, T0 + SECOND])
async def test_a_cancelled_run_need_not_wait_for_the_gate_to_end(world: World, not_before: int | None) -> None:
    await gated(world, "r1")
    await gated(world, "r2", not_before=not_before)
    await gated(world, "r3")
    await world.open_worker(hello())
    assert await claim(world, now=T0 + 99) == ["r1"]
    await send(world, "r2", "cancel")
    assert await claim(world, now=T0 + 99) == ["r2"]
    await world.close_worker("w1")
    await world.open_worker(hello("w2"))
    owners = await claim_all(world, "w2", now=T0 + 99)
    assert sorted(owners) == ["r1", "r2"]
    await owners["r2"].end("cancelled")
    assert await claim(world, "w2", now=T0 + 99) == []
    await owners["r1"].end()
    assert await claim(world, "w2", now=T0 + 99) == ["r3"]


async def test_a_run_that_continues_as_new_queues_behind_those_that_wait(world: World) -> None:
    await gated(world, "r1", "r2")
    await world.open_worker(hello())
    owner = (await claim_all(world, now=T0 + 99))["r1"]
    await owner.end(continued=new_run("r1b", concurrency=1))
    owner = (await claim_all(world, now=T0 + 99))["r2"]
    await owner.end()
    assert await claim(world, now=T0 + 99) == ["r1b"]


# -- deployments


async def test_a_worker_that_names_deployments_is_offered_their_runs_only(world: World) -> None:
    for run_id, deployment_id in (("r1", "dpl_1"), ("r2", "dpl_2"), ("r3", "")):
        await world.create_run(new_run(run_id, deployment_id=deployment_id))
    await world.open_worker(hello("w1", deployments=["dpl_2", ""]))
    assert sorted(await claim(world, "w1")) == ["r2", "r3"]
    assert await claim(world, "w1") == []


async def test_who_names_no_deployments_leaves_those_that_a_living_worker_names_to_it(world: World) -> None:
    await world.create_run(new_run("r1", deployment_id="dpl_1"))
    await world.create_run(new_run("r2", deployment_id="dpl_2"))
    await world.open_worker(hello("w1", deployments=["dpl_1"]))
    await world.open_worker(hello("w2"))
    assert await claim(world, "w2") == ["r2"]
    await world.close_worker("w1")
    assert await claim(world, "w2") == ["r1"]


async def test_a_worker_may_come_to_name_other_deployments(world: World) -> None:
    await world.create_run(new_run("r1", deployment_id="dpl_1"))
    await world.open_worker(hello("w1", deployments=["dpl_2"]))
    claims = await world.claim("w1", T0, 10)
    assert (claims.claimed, claims.next_due_at) == ([], None)
    await world.open_worker(hello("w1", deployments=["dpl_1"]))
    assert await claim(world, "w1") == ["r1"]


async def test_a_run_that_is_pegged_anew_goes_to_its_new_deployment_with_the_next_claim(world: World) -> None:
    await world.create_run(new_run("r1", deployment_id="dpl_1"))
    await world.open_worker(hello("w1", deployments=["dpl_1"]))
    await world.open_worker(hello("w2", deployments=["dpl_2"]))
    (claimed,) = (await world.claim("w1", T0, 10)).claimed
    owner = Owner(world, "w1", claimed)
    assert await world.peg_runs(["r1", "r?"], "dpl_2") == ["r1"]
    await owner.commit(StartRun(T0))  # who has the lease keeps it
    assert await claim(world, "w2") == []
    await owner.commit(PutWait(1, "sleep", T0))
    await owner.release()
    assert await claim(world, "w1") == []
    assert await claim(world, "w2") == ["r1"]
    run = await world.get_run("r1")
    assert run is not None
    assert run.deployment_id == "dpl_2"


async def test_pegging_rings_for_the_worker_that_may_have_the_run_now(world: World) -> None:
    await world.create_run(new_run("r1"))
    await world.open_worker(hello("w1", deployments=["dpl_2"]))
    bell = await Bell.at(world, "claimable")
    await world.peg_runs(["r1"], "dpl_2")
    while not await bell.heard():  # of a remote world it comes over the wire
        await asyncio.sleep(0)
    assert await claim(world, "w1") == ["r1"]


async def test_a_run_that_has_ended_stays_where_it_was(world: World) -> None:
    owner = await own(world)
    await owner.end()
    assert await world.peg_runs(["r1"], "dpl_2") == []
    run = await world.get_run("r1")
    assert run is not None
    assert run.deployment_id == "dpl_1"


async def test_a_lease_that_is_given_back_for_another_look_leaves_a_run_that_is_due(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0), PutWait(1, "sleep", T0 + 60 * SECOND))
    await world.release("w1", [Release("r1", owner.epoch, is_due=True)])
    assert await wake_at(world) == 0
    assert await claim(world, "w1") == ["r1"]
