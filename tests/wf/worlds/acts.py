"""What the tests of worlds do: start runs, own them, append to them."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from typing import Any

from wf.events import ENDED, RUN_CREATED, STEP_COMPLETED, Event
from wf.world import (
    Append,
    Claimed,
    Claims,
    Effect,
    EndRun,
    Fence,
    ImportedRun,
    Message,
    NewRun,
    Outcome,
    Release,
    RunRow,
    WorkerHello,
    World,
)
from wf.worlds.process import process_token

T0 = 1_700_000_000_000_000
"""The instant at which these tests happen; runs are created at it unless they say otherwise."""

SECOND = 1_000_000
FLOW = "flows.order:fulfil"


class ManualTime:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds

    def pass_by(self, seconds: float) -> None:
        self.seconds += seconds


def link_of(run_id: str, seq: int) -> bytes:
    """A link that is as good as a real one for a world, which never checks it."""
    return hashlib.sha256(f"{run_id} {seq}".encode()).digest()


def event(
    run_id: str, seq: int, type: str = STEP_COMPLETED, *, at: int = T0, payload: bytes | None = b"sealed"
) -> Event:
    return Event(run_id, seq, type, seq, "flows.order:charge", 1, at, None, payload, link_of(run_id, seq))


def new_run(run_id: str, workflow: str = FLOW, *, at: int = T0, **more: Any) -> NewRun:
    first = Event(run_id, 1, RUN_CREATED, None, workflow, None, at, None, b"arguments", link_of(run_id, 1))
    return NewRun(first, b"mac 1", workflow, more.pop("deployment_id", "dpl_1"), **more)


def hello(
    worker_id: str = "w1", *workflows: str, process: str | None = None, deployments: list[str] | None = None
) -> WorkerHello:
    return WorkerHello(worker_id, process or process_token(), list(workflows or (FLOW,)), "dpl_1", deployments)


def imported_run(run_id: str, status: str = "running", *, events: int = 3, at: int = T0, **more: Any) -> ImportedRun:
    """Make a run that ran elsewhere; `more` are other columns of its row."""
    log = [Event(run_id, 1, RUN_CREATED, None, FLOW, None, at, None, b"arguments", link_of(run_id, 1))]
    log += [event(run_id, seq, at=at) for seq in range(2, events + 1)]
    columns = {
        "run_id": run_id,
        "workflow": FLOW,
        "status": status,
        "deployment_id": "dpl_1",
        "created_at": at,
        "started_at": at,
        "ended_at": at + 9 if status in ENDED else None,
        "seq": events,
        "head": link_of(run_id, events),
        "mac": b"mac",
        "epoch": 7,
        "owner": "their worker",
        "wake_at": 1,
        "attributes": {"tenant": "acme"},
        "parent_run_id": None,
        "parent_correlation_id": None,
        "continued_from": None,
        "continued_as": None,
        "forked_from": None,
        "error_code": None,
        "result_seq": events if status in ENDED else None,
        "payload_bytes": 20,
        "attention": None,
        "origin": "bundle:order.wf.zip",
    }
    streams = more.pop("streams", {})
    logs = more.pop("logs", [])
    return ImportedRun(RunRow(**{**columns, **more}), log, streams, logs)


class Owner:
    """A worker's hold on a run: it knows the epoch and where the log ends."""

    def __init__(self, world: World, worker_id: str, claimed: Claimed) -> None:
        self.world = world
        self.worker_id = worker_id
        self.claimed = claimed
        self.run_id = claimed.run.run_id
        self.epoch = claimed.run.epoch
        self.seq = claimed.run.seq

    @property
    def fence(self) -> Fence:
        return Fence(self.run_id, self.epoch)

    def append(self, *effects: Effect, events: int = 1, taken: Sequence[int] = (), at: int = T0) -> Append:
        """Make an append of so many events; nothing is sent yet."""
        after = self.seq
        added = [event(self.run_id, after + n, at=at) for n in range(1, events + 1)]
        last = after + events
        return Append(
            self.run_id,
            self.epoch,
            after,
            added,
            link_of(self.run_id, last),
            b"mac %d" % last,
            list(effects),
            list(taken),
        )

    async def try_commit(self, *effects: Effect, **more: Any) -> Outcome:
        append = self.append(*effects, **more)
        (outcome,) = await self.world.commit([append])
        if outcome == "applied":
            self.seq += len(append.events)
        return outcome

    async def commit(self, *effects: Effect, **more: Any) -> None:
        assert await self.try_commit(*effects, **more) == "applied"

    async def end(self, status: str = "completed", at: int = T0, **more: Any) -> None:
        await self.commit(EndRun(status, at, self.seq + 1, **more), at=at)

    async def release(self) -> None:
        await self.world.release(self.worker_id, [Release(self.run_id, self.epoch)])

    async def inbox(self) -> list[tuple[str, int | None, str | None]]:
        """What waits for this run, without the parts that differ from world to world."""
        messages = await self.world.read_inbox(self.worker_id, [self.run_id], 0)
        return [(message.kind, message.correlation_id, message.meta) for message in messages]


async def claim(world: World, worker_id: str = "w1", now: int = T0, limit: int = 100) -> list[str]:
    """Claim, and name what was got."""
    return [claimed.run.run_id for claimed in (await world.claim(worker_id, now, limit)).claimed]


async def claim_all(world: World, worker_id: str = "w1", now: int = T0) -> dict[str, Owner]:
    claims: Claims = await world.claim(worker_id, now, 1000)
    return {claimed.run.run_id: Owner(world, worker_id, claimed) for claimed in claims.claimed}


async def own(world: World, run_id: str = "r1", worker_id: str = "w1", **more: Any) -> Owner:
    """Start a run and own it, with a worker that knows its workflow."""
    await world.create_run(new_run(run_id, **more))
    await world.open_worker(hello(worker_id, *({more.get("workflow", FLOW), FLOW})))
    return (await claim_all(world, worker_id))[run_id]


async def send(world: World, run_id: str, kind: str = "hook_payload", **more: Any) -> str:
    return (await world.send(run_id, Message(kind, T0, **more))).status


class Bell:
    """A doorbell that remembers its rings. They arrive by the loop, so let it turn before looking."""

    def __init__(self) -> None:
        self.rings: list[str] = []
        self.undo: Callable[[], None] = lambda: None

    @classmethod
    async def at(cls, world: World, topic: str) -> Bell:
        bell = cls()
        bell.undo = await world.subscribe(topic, bell.rings.append)
        return bell

    async def heard(self) -> list[str]:
        """Give the rings since the last look, once they had time to arrive."""
        for _ in range(3):
            await asyncio.sleep(0)
        rings = self.rings.copy()
        self.rings.clear()
        return rings
