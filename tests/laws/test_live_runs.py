"""Random bodies in a real worker: after each commit the log replays, whoever dies, and so do forks and retries of it.

`test_bodies.py` tries the engine under a driver that writes logs as they should be; here the worker writes them. A
program is nested lists: `[kind, number, *parts]`. A seed makes the program, and says when the worker dies and when the
run is cancelled.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import pytest

import wf
from wf import events
from wf.embedding import EmbeddedWorker
from wf.forking import ForkError, fork_run, retry_run
from wf.testing import WorkflowEnvironment
from wf.worker.verdicts import judge

Program = list[Any]
HOUR = 3600
PATIENCE_SECONDS = 60

CALLS = ("plain", "plain", "fails", "flaky", "flaky", "narrow", "narrow", "tag", "sleep", "child", "child", "start")
ONE_PART = ("timeout", "guard", "finally", "lock", "saga")
PARTS = ("seq", "gather", "race", "group", "left", "cancel")


def make_program(rnd: random.Random) -> Program:
    count, left = 0, rnd.randint(3, 14)

    def node(depth: int) -> Program:
        nonlocal count, left
        count += 1
        number = count
        kind = rnd.choice((*CALLS[:6], *ONE_PART, *PARTS)) if depth and left > 1 else rnd.choice(CALLS)
        if kind in CALLS:
            left -= 1
            return [rnd.choice(CALLS), number]
        parts = 1 if kind in ONE_PART else rnd.randint(1, 4)
        return [kind, number, *(node(depth - 1) for _ in range(parts))]

    program: Program = ["seq", 0]
    while left > 0:
        program.append(node(3))
    return program


@wf.step(name="live.plain")
async def plain(number: int) -> int:
    await asyncio.sleep(0)
    return number


@wf.step(name="live.fails", max_retries=0)
async def fails(number: int) -> None:
    raise ValueError(number)


@wf.step(name="live.flaky", retry_delay="1h", cancellable=True)
async def flaky(number: int) -> int:
    if (number + wf.get_step_metadata().attempt) % 3:
        raise OSError(number)
    return number


@wf.step(name="live.narrow", concurrency=1, cancellable=True, retry_delay="30m")
async def narrow(number: int) -> int:
    await asyncio.sleep(0)
    if number % 4 == 0 and wf.get_step_metadata().attempt < 3:
        raise OSError(number)
    return number


@wf.step(name="live.tag")
async def tag(number: int) -> None:
    await wf.set_attributes({f"tag{number % 5}": str(number)})


@wf.workflow(name="live.child")
async def child(number: int) -> int:
    try:
        if number % 3 == 0:
            await wf.sleep("2h")
        if number % 5 == 0:
            raise ValueError(number)
        return await plain(number)
    finally:
        if number % 2:
            await plain(number)


@wf.workflow(name="live.main")
async def main(program: Program) -> None:
    await play(program)


@wf.workflow(name="live.timed", timeout="3h")
async def timed(program: Program) -> None:
    await play(program)


async def play(program: Program) -> Any:
    kind, number, *parts = program
    if kind in CALLS:
        return await call(kind, number)
    return await combine(kind, number, parts)


async def call(kind: str, number: int) -> Any:
    match kind:
        case "plain":
            return await plain(number)
        case "fails":
            return await fails(number)
        case "flaky":
            return await flaky(number)
        case "narrow":
            return await narrow(number)
        case "tag":
            wf.set_attributes({f"body{number % 5}": str(number)})
            return await tag(number)
        case "sleep":
            return await asyncio.sleep((number % 4 + 1) * HOUR / 2)
        case "child":
            return await child(number)
        case "start":
            run = await wf.start(child, number)
            return await run.return_value() if number % 2 else None
    raise AssertionError(kind)


async def combine(kind: str, number: int, parts: Sequence[Program]) -> Any:
    match kind:
        case "timeout":
            try:
                async with asyncio.timeout(number % 5 * HOUR / 2):
                    return await play(parts[0])
            except TimeoutError:
                return await plain(number)
        case "guard":
            try:
                return await play(parts[0])
            except Exception:
                return await plain(number)
        case "finally":
            try:
                return await play(parts[0])
            finally:
                await plain(number)
        case "lock":
            async with wf.lock(f"lock{number}"):
                return await play(parts[0])
        case "saga":
            async with wf.saga() as saga:
                saga.undo(plain, await plain(number))
                return await play(parts[0])
        case "seq":
            return [await play(part) for part in parts]
        case "gather":
            return await asyncio.gather(*map(play, parts), return_exceptions=bool(number % 2))
        case "group":
            async with asyncio.TaskGroup() as group:
                for part in parts:
                    group.create_task(play(part))
        case "race":
            tasks = [asyncio.create_task(play(part)) for part in parts]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()
            return await plain(number)
        case "cancel":
            tasks = [asyncio.create_task(play(part)) for part in parts]
            await asyncio.sleep(HOUR if number % 2 else 0)
            for task in tasks:
                task.cancel()
            await plain(number)
            await asyncio.wait(tasks)
        case "left":
            tasks = [asyncio.create_task(play(part)) for part in parts]
            await asyncio.sleep(number % 3 * HOUR)


class Scene:
    """A run of a random program. `troubles` are the logs that did not replay, and runs that did not end."""

    def __init__(self, env: WorkflowEnvironment, seed: int, slots: int) -> None:
        self.env = env
        self.random = random.Random(seed)
        self.troubles: list[str] = []
        self._slots = slots

    @property
    def world(self) -> Any:
        return self.env.session.world

    async def start(self) -> wf.Run[Any]:
        program = make_program(self.random)
        return await wf.start(timed if self.random.random() < 0.2 else main, program)

    async def wait_a_little(self) -> None:
        for _ in range(self.random.randint(0, 30)):
            await asyncio.sleep(0)

    async def judge(self, run_id: str) -> None:
        session = self.env.session
        row = await self.world.get_run(run_id)
        verdict = await judge(self.world, session.keyring, row, session.settings.limits)
        if verdict.trouble is not None:
            self.troubles.append(f"{run_id}: {verdict.trouble}")

    def judge_each_commit(self) -> None:
        commit = self.world.commit

        async def and_judge(appends: Sequence[Any]) -> Any:
            outcomes = await commit(appends)
            for append in appends:
                await self.judge(append.run_id)
            return outcomes

        self.world.commit = and_judge

    async def end(self, run: wf.Run[Any]) -> None:
        try:
            await run.return_value(timeout=PATIENCE_SECONDS)
        except (wf.WorkflowRunFailedError, wf.WorkflowRunCancelledError):
            pass
        except (TimeoutError, wf.NondeterminismError) as error:
            self.troubles.append(f"{run.run_id} does not end: {error}")

    async def kill(self) -> None:
        """Have the worker lose all that it has not committed, and another one come."""
        old, session = self.env._embedded, self.env.session
        old.worker.is_leaving = True
        old.worker.leases.lose_all()
        await old.__aexit__(None, None, None)
        new = EmbeddedWorker(
            session.world, grace=0, concurrency=self._slots, clock=session.clock, keyring=session.keyring,
            capture_logs=False,
        )  # fmt: skip
        await new.__aenter__()
        self.env._embedded = new

    async def judge_all(self) -> None:
        async for run in wf.list_runs():
            await self.judge(run.run_id)


def act_out(seed: int, scene: Callable[[Scene], Awaitable[None]]) -> None:
    async def act() -> list[str]:
        slots = (1, 2, 100)[seed % 3]
        async with WorkflowEnvironment(concurrency=slots) as env:
            stage = Scene(env, seed, slots)
            await scene(stage)
            await stage.judge_all()
        return stage.troubles

    assert asyncio.run(act()) == []


async def cancel_perhaps(scene: Scene, run: wf.Run[Any]) -> None:
    chance = scene.random.random()
    if chance < 0.3:
        await scene.wait_a_little()
        await (run.cancel("enough") if chance < 0.2 else run.terminate("enough"))


@pytest.mark.parametrize("seed", range(24))
def test_after_each_commit_the_log_replays(seed: int) -> None:
    async def scene(stage: Scene) -> None:
        stage.judge_each_commit()
        run = await stage.start()
        await cancel_perhaps(stage, run)
        await stage.end(run)

    act_out(seed, scene)


@pytest.mark.parametrize("seed", range(100, 120))
def test_a_run_ends_whenever_its_worker_dies(seed: int) -> None:
    async def scene(stage: Scene) -> None:
        run = await stage.start()
        for _ in range(stage.random.randint(1, 4)):
            await stage.wait_a_little()
            await stage.kill()
        await cancel_perhaps(stage, run)
        await stage.end(run)

    act_out(seed, scene)


@pytest.mark.parametrize("seed", range(205, 217))
def test_forks_from_anywhere_and_retries_end_and_replay(seed: int) -> None:
    async def scene(stage: Scene) -> None:
        run = await stage.start()
        await cancel_perhaps(stage, run)
        await stage.end(run)
        session = stage.env.session
        cuts = [event.seq for event in await stage.world.read_events(run.run_id) if event.type in events.DELIVERIES]
        makers = [lambda cut=cut: fork_run(session, run.run_id, cut) for cut in cuts if stage.random.random() < 0.5]
        for make in [*makers, lambda: retry_run(session, run.run_id)]:
            try:
                await stage.end(await make())
            except ForkError:  # inside of a lock
                continue

    act_out(seed, scene)
