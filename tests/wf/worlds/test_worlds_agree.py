"""Every world does what the plainest one does: the same acts on both give the same answers.

Hypothesis draws sequences of acts; each is done to a `MemoryWorld` and to an `SqliteWorld`, or a `PostgresWorld`, and
every answer and all that can be read afterwards must be equal, ids and order included.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import Cluster
from tests.wf.worlds.acts import T0, ManualTime, event, hello, imported_run, link_of, new_run
from wf.events import ENDED
from wf.world import (
    Append,
    Attention,
    CancelChild,
    Claims,
    DropHook,
    DropWait,
    Effect,
    EndRun,
    Fence,
    Message,
    PutHook,
    PutLog,
    PutWait,
    Release,
    ReleaseLock,
    RequestLock,
    RunFilter,
    SetAttributes,
    StartChild,
    StartRun,
    WatchRun,
    World,
)
from wf.worlds.memory import MemoryWorld
from wf.worlds.sqlite import SqliteWorld

RUNS = ["r1", "r2", "r3", "r4"]
WORKERS = ["w1", "w2"]
FLOWS = ["flows.a:main", "flows.b:main"]
VERBS = (
    "create send commit commit commit hook end claim claim release attention open close pass heartbeat chunks"
    " import delete"
).split()
Act = Callable[[World], Awaitable[Any]]

runs = st.sampled_from(RUNS)
workers = st.sampled_from(WORKERS)
flows = st.sampled_from(FLOWS)
numbers = st.integers(1, 3)
soon = st.integers(0, 30).map(lambda offset: T0 + offset)

effects: st.SearchStrategy[Effect] = st.one_of(
    st.builds(PutWait, numbers, st.sampled_from(["sleep", "deadline"]), soon),
    st.builds(DropWait, numbers),
    st.builds(DropHook, numbers),
    st.builds(RequestLock, numbers, st.sampled_from(["db", "cache"]), st.integers(1, 2)),
    st.builds(ReleaseLock, numbers),
    st.builds(
        lambda number, run_id, flow, parent: StartChild(number, new_run(run_id, flow, parent_run_id=parent)),
        *(numbers, runs, flows, st.none() | runs),
    ),
    st.builds(WatchRun, numbers, st.sampled_from([*RUNS, "r?"])),
    st.builds(CancelChild, numbers, st.sampled_from([*RUNS, "r?"]), st.just("parent cancelled")),
    st.builds(SetAttributes, st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))),
    st.builds(StartRun, soon),
    st.builds(lambda number, index: PutLog(number, 1, index, T0, b"log"), numbers, st.integers(0, 2)),
)


class Twins:
    """Both worlds, and what a careful worker remembers of its leases."""

    def __init__(self, *worlds: World) -> None:
        self.worlds = worlds
        self.leases: dict[str, tuple[str, int, int]] = {}  # run → worker, epoch, seq

    def a_run(self, draw: Callable[..., Any]) -> Any:
        """Draw a run: mostly one that was leased, or acts would come to nothing."""
        return draw(st.sampled_from(sorted(self.leases) * 3 + RUNS))

    async def do(self, act: Act) -> Any:
        answers = [await act(world) for world in self.worlds]
        assert answers[0] == answers[1], f"{answers[0]}\n{answers[1]}"
        return answers[0]

    async def claim(self, worker_id: str, now: int, limit: int) -> None:
        claims: Claims = await self.do(lambda world: world.claim(worker_id, now, limit))
        for claimed in (*claims.claimed, *claims.unregistered):
            self.leases[claimed.run.run_id] = (worker_id, claimed.run.epoch, claimed.run.seq)

    async def commit(self, run_id: str, count: int, some: list[Effect], takes: bool) -> None:
        worker_id, epoch, seq = self.leases.get(run_id, ("w1", 1, 1))
        taken: list[int] = []
        if takes:
            messages = await self.do(lambda world: world.read_inbox(worker_id, [run_id], 0))
            taken = [message.id for message in messages[:2]]
        last = seq + count
        added = [event(run_id, seq + n, at=T0 + seq) for n in range(1, count + 1)]
        append = Append(run_id, epoch, seq, added, link_of(run_id, last), b"mac", some, taken)
        outcomes = await self.do(lambda world: world.commit([append]))
        if outcomes == ["applied"] and run_id in self.leases:
            self.leases[run_id] = (worker_id, epoch, last)

    async def compare(self) -> None:
        for flow in (None, "main", *FLOWS):
            await self.do(lambda world, flow=flow: world.list_runs(RunFilter(workflow=flow)))  # type: ignore[misc]
        for status in (["pending", "running"], list(ENDED)):
            await self.do(lambda world, status=status: world.list_runs(RunFilter(status=status)))  # type: ignore[misc]
        await self.do(lambda world: world.list_hooks())
        await self.do(lambda world: world.list_waits())
        await self.do(lambda world: world.list_locks())
        for run_id in RUNS:
            await self.do(lambda world, id=run_id: world.read_events(id))  # type: ignore[misc]
            await self.do(lambda world, id=run_id: world.list_streams(id))  # type: ignore[misc]
            await self.do(lambda world, id=run_id: world.read_chunks(id, "default", 0))  # type: ignore[misc]
            await self.do(lambda world, id=run_id: world.read_logs(id))  # type: ignore[misc]
        for worker_id in WORKERS:
            await self.do(lambda world, id=worker_id: world.read_inbox(id, RUNS, 0))  # type: ignore[misc]


async def create(draw: Callable[..., Any], twins: Twins, run_id: str) -> None:
    run = new_run(
        run_id,
        draw(flows),
        at=T0 + draw(st.integers(0, 3)),
        not_before=draw(st.none() | soon),
        concurrency=draw(st.sampled_from([None, None, 1, 2])),
        attributes=draw(st.dictionaries(st.sampled_from("ab"), st.sampled_from("xy"))),
    )
    await twins.do(lambda world: world.create_run(run))


async def act(data: st.DataObject, twins: Twins, time: ManualTime) -> None:
    draw = data.draw
    verb = draw(st.sampled_from(VERBS))
    if verb == "create":
        await create(draw, twins, draw(runs))
    elif verb == "send":
        run_id = twins.a_run(draw)
        message = Message(
            draw(st.sampled_from(["hook_payload", "cancel", "terminate", "wake"])),
            T0,
            draw(st.none() | numbers),
            delivery_id=draw(st.none() | st.sampled_from(["d1", "d2", "d3"])),
        )
        token = draw(st.none() | st.sampled_from([b"t1", b"t2"]))
        await twins.do(lambda world: world.send(run_id, message, token))
    elif verb == "commit":
        await twins.commit(
            twins.a_run(draw), draw(st.integers(0, 2)), draw(st.lists(effects, max_size=3)), draw(st.booleans())
        )
    elif verb == "hook":
        run_id = twins.a_run(draw)
        seq = twins.leases.get(run_id, ("", 0, 1))[2]
        number = draw(numbers)
        token = draw(st.sampled_from([b"t1", b"t2"]))
        # As an owner does: a correlation id has one hook.
        await twins.commit(run_id, 1, [DropHook(number), PutHook(number, token, seq + 1, "hook")], False)
    elif verb == "end":
        run_id = twins.a_run(draw)
        seq = twins.leases.get(run_id, ("", 0, 1))[2]
        status = draw(st.sampled_from(sorted(ENDED)))
        heir = draw(st.none() | runs.filter(lambda other: other != run_id))
        known = heir is not None and await twins.do(lambda world: world.get_run(heir)) is not None
        continued = None if heir is None or known else new_run(heir, draw(flows))
        await twins.commit(run_id, 1, [EndRun(status, T0 + 9, seq + 1, None, continued)], draw(st.booleans()))
    elif verb == "claim":
        await twins.claim(draw(workers), draw(soon), draw(st.sampled_from([4, 4, 1, 0])))
    elif verb == "release":
        run_id = twins.a_run(draw)
        worker_id, epoch, _ = twins.leases.pop(run_id, ("w1", 1, 1))
        await twins.do(lambda world: world.release(worker_id, [Release(run_id, epoch)]))
    elif verb == "attention":
        run_id = twins.a_run(draw)
        worker_id, epoch, _ = twins.leases.get(run_id, ("w1", 1, 1))
        attention = draw(st.sampled_from([None, Attention("DECRYPTION", "no key"), Attention("NOT_REGISTERED", "x")]))
        await twins.do(lambda world: world.set_attention(worker_id, run_id, epoch, attention))
    elif verb == "open":
        worker = hello(draw(workers), *draw(st.sets(flows, min_size=1)))
        await twins.do(lambda world: world.open_worker(worker))
    elif verb == "close":
        worker_id = draw(workers)
        await twins.do(lambda world: world.close_worker(worker_id))
    elif verb == "heartbeat":
        worker_id = draw(workers)
        await twins.do(lambda world: world.heartbeat(worker_id))
    elif verb == "import":
        status = draw(st.sampled_from(["pending", "running", *sorted(ENDED)]))
        parent = draw(st.none() | runs)
        imported = imported_run(draw(runs), status, at=T0 + draw(st.integers(0, 3)), parent_run_id=parent)
        await twins.do(lambda world: world.import_run(imported))
    elif verb == "delete":
        run_ids = draw(st.lists(runs, max_size=2))
        await twins.do(lambda world: world.delete_runs(run_ids))
    elif verb == "pass":
        time.pass_by(draw(st.sampled_from([0.1, 1.0, 6.0, 11.0])))
    else:
        run_id, index = twins.a_run(draw), draw(st.integers(0, 4))
        payloads = draw(st.sampled_from([[b"a"], [b"a", b"b"], [None], [b"a", None], []]))
        lease = twins.leases.get(run_id)
        fence = draw(st.none() | st.just(Fence(run_id, lease[1] if lease else 1)))
        await twins.do(lambda world: world.append_chunks(run_id, "default", index, T0, payloads, fence))


@settings(max_examples=150)
@given(st.data())
def test_the_same_acts_have_the_same_answers_in_every_world(data: st.DataObject) -> None:
    async def compare() -> None:
        time = ManualTime()
        with tempfile.TemporaryDirectory() as folder:
            sqlite = SqliteWorld(Path(folder) / "world.db", "process", monotonic=time)
            await sqlite.open()
            try:
                await play(data, time, sqlite)
            finally:
                await sqlite.close()

    asyncio.run(compare())


@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_a_database_gives_the_same_answers_too(
    postgres: Cluster, emptied_postgres_url: str, data: st.DataObject
) -> None:
    async def compare() -> None:
        from wf.worlds.postgres import PostgresWorld

        time = ManualTime()
        postgres.empty(emptied_postgres_url)
        world = PostgresWorld(emptied_postgres_url, "process", monotonic=time)
        await world.open()
        try:
            await play(data, time, world)
        finally:
            await world.close()

    asyncio.run(compare())


async def play(data: st.DataObject, time: ManualTime, other: World) -> None:
    """Do the same to a world in memory and to another one."""
    twins = Twins(MemoryWorld(monotonic=time), other)
    for worker_id in WORKERS:
        await twins.do(lambda world, id=worker_id: world.open_worker(hello(id, *FLOWS)))  # type: ignore[misc]
    for run_id in RUNS[:3]:
        await create(data.draw, twins, run_id)
    for _ in range(data.draw(st.integers(1, 40))):
        await act(data, twins, time)
    await twins.compare()
