"""The contract of every world: runs are created once, found, listed, and read as they were written."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from msgspec.structs import replace

from tests.wf.worlds.acts import FLOW, SECOND, T0, claim_all, event, hello, link_of, new_run, own
from wf.errors import WorldError
from wf.world import EndRun, Message, RunFilter, RunRow, SetAttributes, StartRun, World


async def test_a_created_run_is_pending_and_holds_its_first_event(world: World) -> None:
    run = new_run("r1", attributes={"team": "süd"}, parent_run_id="p", parent_correlation_id=7, forked_from="f")
    created = await world.create_run(run)
    assert created.is_new
    assert created.run == RunRow(
        run_id="r1",
        workflow=FLOW,
        status="pending",
        deployment_id="dpl_1",
        created_at=T0,
        started_at=None,
        ended_at=None,
        seq=1,
        head=link_of("r1", 1),
        mac=b"mac 1",
        epoch=0,
        owner=None,
        wake_at=T0,
        attributes={"team": "süd"},
        parent_run_id="p",
        parent_correlation_id=7,
        continued_from=None,
        continued_as=None,
        forked_from="f",
        error_code=None,
        result_seq=None,
        payload_bytes=len(b"arguments"),
        attention=None,
    )
    assert await world.get_run("r1") == created.run
    assert await world.read_events("r1") == [run.event]


async def test_a_new_run_brings_messages_for_its_first_owner(world: World) -> None:
    first = Message("fork", T0, None, '{"a":1}', b"sealed")
    await world.create_run(new_run("r1", inbox=[first, Message("wake", T0 + 1)]))
    await world.create_run(new_run("r1", inbox=[Message("fork", T0)]))  # it is there already: nothing is written
    await world.open_worker(hello())
    inbox = (await claim_all(world))["r1"].claimed.inbox
    told = [(m.run_id, m.kind, m.at, m.correlation_id, m.meta, m.payload) for m in inbox]
    assert told == [("r1", "fork", T0, None, '{"a":1}', b"sealed"), ("r1", "wake", T0 + 1, None, None, None)]


async def test_a_new_run_that_is_to_wait_brings_no_messages(world: World) -> None:
    with pytest.raises(WorldError):
        await world.create_run(new_run("r1", inbox=[Message("fork", T0)], not_before=T0 + SECOND))
    assert await world.get_run("r1") is None


async def test_creating_a_run_again_finds_it_whatever_its_workflow_and_status(world: World) -> None:
    owner = await own(world, "r1")
    await owner.end()
    again = await world.create_run(new_run("r1", "flows.other:main", at=T0 + SECOND))
    assert not again.is_new
    assert again.run == await world.get_run("r1")
    assert (again.run.workflow, again.run.status) == (FLOW, "completed")
    assert len(await world.read_events("r1")) == 2


async def test_of_many_who_create_one_run_at_once_one_creates_it(world: World) -> None:
    created = await asyncio.gather(*(world.create_run(new_run("r1")) for _ in range(20)))
    assert [each.is_new for each in created].count(True) == 1
    assert {each.run.run_id for each in created} == {"r1"}


async def test_unknown_ids_give_none_or_nothing(world: World) -> None:
    assert await world.get_run("r?") is None
    assert await world.read_events("r?") == []
    assert await world.find_hook(b"?") is None
    assert await world.read_chunks("r?", "default", 0) == []
    assert await world.list_streams("r?") == []
    assert await world.read_logs("r?") == []
    assert await world.get_deployment("dpl?") is None
    assert await world.read_source("00") is None
    assert await world.heartbeat("w?") is False
    assert (await world.claim("w?", T0, 10)).claimed == []
    await world.close_worker("w?")


@pytest.mark.parametrize("limit", [3, 1000])
async def test_events_are_read_in_order_after_any_seq(world: World, limit: int) -> None:
    owner = await own(world)
    await owner.commit(events=9)
    assert [e.seq for e in await world.read_events("r1", 4, limit)] == [5, 6, 7, 8, 9, 10][:limit]
    assert await world.read_events("r1", 10, limit) == []


async def test_events_come_back_as_they_were_written(world: World) -> None:
    owner = await own(world)
    append = owner.append(events=3)
    assert await world.commit([append]) == ["applied"]
    assert await world.read_events("r1", 1) == append.events
    assert await world.read_events("r1", 1, 1000) == append.events


@pytest.mark.parametrize(
    ("payload", "meta"),
    [(None, None), (b"", ""), (b"\x00" * 5, '{"text":"Zürich ☃"}'), (bytes(range(256)) * 4096, "{}")],
)
async def test_payloads_and_meta_are_kept_byte_for_byte(world: World, payload: bytes | None, meta: str | None) -> None:
    owner = await own(world)
    written = replace(event("r1", 2, payload=payload), meta=meta, correlation_id=None, name=None, attempt=None)
    append = replace(owner.append(), events=[written])
    assert await world.commit([append]) == ["applied"]
    assert await world.read_events("r1", 1) == [written]
    run = await world.get_run("r1")
    assert run is not None
    assert run.payload_bytes == len(b"arguments") + len(payload or b"")


async def test_a_started_run_is_running_since_then(world: World) -> None:
    owner = await own(world)
    await owner.commit(StartRun(T0 + 5))
    await owner.commit(StartRun(T0 + 9))
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.started_at, run.seq, run.head, run.mac) == (
        "running",
        T0 + 5,
        3,
        link_of("r1", 3),
        b"mac 3",
    )


async def test_attributes_are_replaced_as_a_whole(world: World) -> None:
    owner = await own(world, attributes={"a": "1", "b": "2"})
    await owner.commit(SetAttributes({"b": "3", "c": ""}))
    run = await world.get_run("r1")
    assert run is not None
    assert run.attributes == {"b": "3", "c": ""}
    await owner.commit(SetAttributes({}))
    run = await world.get_run("r1")
    assert run is not None
    assert run.attributes == {}


# -- the list


async def found(world: World, **filter: Any) -> list[str]:
    return [run.run_id for run in await world.list_runs(RunFilter(**filter))]


async def fill(world: World) -> None:
    await world.create_run(new_run("a", at=T0 + 1, attributes={"team": "x", "city": "Bern"}))
    await world.create_run(new_run("c", "flows.other:fulfil", at=T0 + 2, attributes={"team": "x"}))
    await world.create_run(new_run("b", "main", at=T0 + 2))
    await world.create_run(new_run("d", at=T0 + 3, attributes={"team": "y"}))
    await world.open_worker(hello("w1", FLOW))
    owners = await claim_all(world, now=T0 + 10)
    await owners["d"].commit(StartRun(T0 + 10))
    await owners["a"].end("failed", error_code="USER_ERROR")


async def test_runs_are_listed_newest_first_and_by_their_creation_within_an_instant(world: World) -> None:
    await fill(world)
    assert await found(world) == ["d", "b", "c", "a"]
    rows = await world.list_runs(RunFilter())
    assert rows == [await world.get_run(row.run_id) for row in rows]


async def test_runs_are_listed_by_status(world: World) -> None:
    await fill(world)
    assert await found(world, status=["pending"]) == ["b", "c"]
    assert await found(world, status=["running", "pending"]) == ["d", "b", "c"]
    assert await found(world, status=["failed", "cancelled"]) == ["a"]
    assert await found(world, status=["running", "failed"]) == ["d", "a"]
    assert await found(world, status=[]) == []


async def test_runs_are_listed_by_workflow_id_or_bare_name(world: World) -> None:
    await fill(world)
    assert await found(world, workflow=FLOW) == ["d", "a"]
    assert await found(world, workflow="fulfil") == ["d", "c", "a"]
    assert await found(world, workflow="main") == ["b"]
    assert await found(world, workflow="ulfil") == []
    assert await found(world, workflow="%") == []


async def test_runs_are_listed_by_attributes_all_of_which_must_match(world: World) -> None:
    await fill(world)
    assert await found(world, attributes={"team": "x"}) == ["c", "a"]
    assert await found(world, attributes={"team": "x", "city": "Bern"}) == ["a"]
    assert await found(world, attributes={"team": "z"}) == []
    assert await found(world, attributes={"team": ""}) == []


async def test_runs_are_listed_since_an_instant_and_until_before_another(world: World) -> None:
    await fill(world)
    assert await found(world, since=T0 + 2) == ["d", "b", "c"]
    assert await found(world, until=T0 + 2) == ["a"]
    assert await found(world, since=T0 + 2, until=T0 + 3) == ["b", "c"]


async def test_pages_join_without_gap_or_repeat(world: World) -> None:
    await fill(world)
    assert await found(world, limit=2) == ["d", "b"]
    assert await found(world, limit=2, cursor="b") == ["c", "a"]
    assert await found(world, limit=2, cursor="a") == []
    assert await found(world, cursor="b", workflow="fulfil", status=["failed"]) == ["a"]
    assert await found(world, cursor="r?") == []


# -- the end of the world


async def test_a_closed_world_refuses_every_call(world: World) -> None:
    await world.create_run(new_run("r1"))
    await world.close()
    for call in (
        world.get_run("r1"),
        world.create_run(new_run("r2")),
        world.list_runs(RunFilter()),
        world.commit([]),
        world.claim("w1", T0, 1),
        world.subscribe("runs", print),
    ):
        with pytest.raises(WorldError):
            await call
    await world.close()


async def test_an_ended_run_says_how_and_wants_no_worker(world: World) -> None:
    owner = await own(world)
    await owner.commit(EndRun("failed", T0 + 7, 2, "TIMEOUT"))
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.ended_at, run.result_seq, run.error_code, run.wake_at) == (
        "failed",
        T0 + 7,
        2,
        "TIMEOUT",
        None,
    )
    await owner.release()
    assert (await world.claim("w1", T0 * 2, 10)).claimed == []
