"""Forks: a new run shares the history of another up to an event, and goes on with today's code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import make_worker, open_world, until
from wf import events, registry
from wf.embedding import EmbeddedWorker
from wf.errors import RunNotFoundError, WorkflowRunFailedError
from wf.forking import ForkError, fork_run, retry_run


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.fixture(params=["memory", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def play(kind: str, folder: Path, scene: Callable[[EmbeddedWorker], Awaitable[None]]) -> None:
    async def perform() -> None:
        world = await open_world(kind, folder)
        async with make_worker(world) as worker:
            await scene(worker)
        await world.close()

    asyncio.run(perform())


async def seqs_of(worker: EmbeddedWorker, run_id: str, type_: str) -> list[int]:
    return [event.seq for event in await worker.world.read_events(run_id) if event.type == type_]


def test_a_fork_keeps_what_was_done_and_does_the_rest_again(kind: str, tmp_path: Path) -> None:
    done: list[str] = []

    @wf.step
    async def work(name: str) -> str:
        done.append(name)
        return f"{name}{len(done)}"

    @wf.workflow
    async def flow() -> list[str]:
        return [await work("a"), await work("b"), await work("c")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        assert await run.return_value() == ["a1", "b2", "c3"]
        (first, *_) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == ["a1", "b4", "c5"]
        row = await worker.world.get_run(forked.run_id)
        assert row is not None
        assert row.forked_from == run.run_id
        assert await run.return_value() == ["a1", "b2", "c3"]

    play(kind, tmp_path, scene)
    assert done == ["a", "b", "c", "b", "c"]


def test_a_fork_goes_on_with_other_code_after_the_cut(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(name: str) -> str:
        return name.upper()

    plan = ["a", "b"]

    @wf.workflow
    async def flow() -> list[str]:
        return [await work(name) for name in plan]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        (first, *_) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        plan[:] = ["a", "x", "y"]
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == ["A", "X", "Y"]
        plan[:] = ["z"]
        astray = await fork_run(worker.session, run.run_id, first)
        with pytest.raises(wf.errors.NondeterminismError):
            await astray.return_value()

    play(kind, tmp_path, scene)


def test_a_retry_runs_what_failed_and_keeps_what_did_not(kind: str, tmp_path: Path) -> None:
    calls: list[str] = []
    is_broken = True

    @wf.step(max_retries=0)
    async def good(name: str) -> str:
        calls.append(name)
        return name

    @wf.step(max_retries=0)
    async def bad() -> str:
        calls.append("bad")
        if is_broken:
            raise ValueError("not yet")
        return "fixed"

    @wf.workflow
    async def flow() -> Any:
        return [await good("one"), *await asyncio.gather(good("two"), bad())]

    async def scene(worker: EmbeddedWorker) -> None:
        nonlocal is_broken
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError):
            await run.return_value()
        is_broken = False
        again = await retry_run(worker.session, run.run_id)
        assert await again.return_value() == ["one", "two", "fixed"]

    play(kind, tmp_path, scene)
    assert sorted(calls) == ["bad", "bad", "one", "two"]


def test_a_retry_of_a_run_whose_body_failed_goes_on_from_what_it_heard_last(kind: str, tmp_path: Path) -> None:
    calls: list[int] = []
    is_broken = True

    @wf.step
    async def work(n: int) -> int:
        calls.append(n)
        return n

    @wf.workflow
    async def flow() -> int:
        n = await work(1)
        if is_broken:
            raise KeyError("body")
        return n + await work(2)

    async def scene(worker: EmbeddedWorker) -> None:
        nonlocal is_broken
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError):
            await run.return_value()
        is_broken = False
        assert await (await retry_run(worker.session, run.run_id)).return_value() == 3

    play(kind, tmp_path, scene)
    assert calls == [1, 2]


def test_a_run_in_flight_is_not_retried_and_an_unknown_one_neither(tmp_path: Path) -> None:
    @wf.workflow
    async def flow() -> None:
        await wf.sleep("1h")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        with pytest.raises(ForkError, match="has not ended"):
            await retry_run(worker.session, run.run_id)
        with pytest.raises(RunNotFoundError):
            await fork_run(worker.session, "wrun_none", 1)

    play("memory", tmp_path, scene)


def test_a_fork_waits_for_the_hooks_that_were_open_at_the_cut(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def tell(token: str) -> str:
        return f"sent {token}"

    @wf.workflow
    async def flow() -> Any:
        hook = wf.hook()
        await tell(hook.token)
        return await hook

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the step is done")
        (told,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        (hook,) = await worker.world.list_hooks(run.run_id)
        await run.terminate()
        forked = await fork_run(worker.session, run.run_id, told)
        await until(lambda: worker.world.list_hooks(forked.run_id), "the fork has registered its hook")
        (own,) = await worker.world.list_hooks(forked.run_id)
        assert own.token_hash == hook.token_hash
        payload = codec_token(worker, forked.run_id, own.event)
        await wf.resume_hook(payload, {"yes": 1})
        assert await forked.return_value() == {"yes": 1}

    play(kind, tmp_path, scene)


def codec_token(worker: EmbeddedWorker, run_id: str, event: events.Event) -> str:
    from wf import codec
    from wf.records import open_event

    data = open_event(worker.session.keyring.run(run_id), event)
    assert data is not None
    return str(codec.decode_arguments(data)["token"])


def test_a_fork_sleeps_on_what_is_left_and_survives_its_worker(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(n: int) -> int:
        return n

    @wf.workflow
    async def flow() -> int:
        n = await work(1)
        await wf.sleep("1h")
        return n + await work(2)

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await until(lambda: seqs_of(first, run.run_id, events.WAIT_CREATED), "it sleeps")
            last = (await seqs_of(first, run.run_id, events.WAIT_CREATED))[0]
            forked = await fork_run(first.session, run.run_id, last)
            await until(lambda: world.list_waits(forked.run_id), "the fork sleeps")
            (mine,), (theirs,) = await world.list_waits(forked.run_id), await world.list_waits(run.run_id)
            assert mine.due_at == theirs.due_at, "the same instant: `now()` is inherited"
        async with make_worker(world):
            assert await forked.wake_up() == 1
            assert await forked.return_value() == 3
            assert await run.status() == "running"
        await world.close()

    asyncio.run(scene())


def test_a_body_that_uses_its_runs_id_uses_its_own_in_a_fork(tmp_path: Path) -> None:
    @wf.step
    async def name_it(text: str) -> str:
        return text

    @wf.workflow
    async def flow() -> list[str]:
        mine = wf.get_workflow_metadata().run_id
        return [await name_it(f"for {mine}"), await name_it("end")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        assert await run.return_value() == [f"for {run.run_id}", "end"]
        (first, _) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == [f"for {forked.run_id}", "end"]

    play("memory", tmp_path, scene)


def test_a_fork_draws_the_same_chance_as_its_first_ancestor(tmp_path: Path) -> None:
    @wf.step
    async def keep(number: float) -> float:
        return number

    @wf.workflow
    async def flow() -> list[float]:
        return [await keep(wf.random().random()) for _ in range(3)]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        drawn = await run.return_value()
        _, second, _ = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, second)
        assert await forked.return_value() == drawn
        (once, *_) = await seqs_of(worker, forked.run_id, events.STEP_COMPLETED)
        assert await (await fork_run(worker.session, forked.run_id, once)).return_value() == drawn

    play("memory", tmp_path, scene)


def test_a_fork_hears_of_the_child_that_its_history_waits_for(kind: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    started: list[int] = []

    @wf.step
    async def wait_outside() -> str:
        started.append(1)
        await gate.wait()
        return "grown"

    @wf.workflow
    async def child() -> str:
        return await wait_outside()

    @wf.step
    async def before() -> int:
        return 7

    @wf.workflow
    async def parent() -> tuple[int, str]:
        task = asyncio.create_task(child())
        return await before(), await task

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(parent)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the step is done")
        (done,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, done)
        await until(lambda: seqs_of(worker, forked.run_id, events.STEP_COMPLETED), "the fork has its history")
        gate.set()
        assert await forked.return_value() == (7, "grown")
        assert await run.return_value() == (7, "grown")

    play(kind, tmp_path, scene)
    assert started == [1], "the child is shared, not started twice"


def test_a_run_is_not_forked_inside_a_lock(tmp_path: Path) -> None:
    @wf.step
    async def work() -> None:
        pass

    @wf.workflow
    async def flow() -> None:
        async with wf.lock("door"):
            await work()
        await work()

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        inside, outside = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        with pytest.raises(ForkError, match="holds a lock"):
            await fork_run(worker.session, run.run_id, inside)
        assert await (await fork_run(worker.session, run.run_id, outside)).return_value() is None

    play("memory", tmp_path, scene)


def test_a_fork_from_the_beginning_is_a_fresh_start_with_the_same_arguments(kind: str, tmp_path: Path) -> None:
    runs: list[str] = []

    @wf.step
    async def work(text: str) -> str:
        runs.append(text)
        return text

    @wf.workflow
    async def flow(text: str, *, twice: bool = False) -> str:
        return await work(text * (2 if twice else 1))

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(attributes={"tenant": "acme"}), "ab", twice=True)
        await run.return_value()
        forked = await fork_run(worker.session, run.run_id, 1)
        assert await forked.return_value() == "abab"
        assert await forked.attributes() == {"tenant": "acme"}

    play(kind, tmp_path, scene)
    assert runs == ["abab", "abab"]


def test_a_step_under_way_at_the_cut_begins_anew_with_its_first_attempt(kind: str, tmp_path: Path) -> None:
    attempts: list[tuple[str, int]] = []
    gate = asyncio.Event()

    @wf.step(concurrency=2)
    async def slow() -> int:
        info = wf.get_step_metadata()
        attempts.append((info.run_id, info.attempt))
        await gate.wait()
        return info.attempt

    @wf.step
    async def quick() -> int:
        return 0

    @wf.workflow
    async def flow() -> list[int]:
        return list(await asyncio.gather(slow(), quick()))

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the quick one is done")
        (done,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, done)
        await until(lambda: len(attempts) == 2, "both run")
        gate.set()
        assert await forked.return_value() == [1, 0]
        assert await run.return_value() == [1, 0]
        assert sorted(attempts) == sorted([(run.run_id, 1), (forked.run_id, 1)])

    play(kind, tmp_path, scene)
