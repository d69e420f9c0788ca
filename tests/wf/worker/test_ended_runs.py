"""What a run leaves behind in its worker when it ends: nothing that only the garbage collector would find."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest

import wf
from tests.reliability.stage import until
from wf import registry
from wf.engine.body import Body
from wf.engine.loop import BodyLoop, BodyTask
from wf.engine.replay import Replay
from wf.testing import WorkflowEnvironment
from wf.worker import worker as worker_module
from wf.worker.attempts import Attempt
from wf.worker.live import LiveRun

KINDS = (Attempt, Body, BodyLoop, BodyTask, LiveRun, Replay)


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@contextmanager
def uncollected() -> Iterator[None]:
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def count_kept() -> dict[str, int]:
    kept = [type(thing).__name__ for thing in gc.get_objects() if isinstance(thing, KINDS)]
    return {kind.__name__: kept.count(kind.__name__) for kind in KINDS}


async def test_a_run_that_has_ended_is_gone_at_once_with_its_body_and_its_attempts(wf_env: WorkflowEnvironment) -> None:
    @wf.step(name="add")
    async def add(number: int) -> int:
        await asyncio.sleep(0)
        return number + 1

    @wf.step(name="halve")
    def halve(number: int) -> int:
        return number // 2

    @wf.workflow(name="adds")
    async def adds(number: int) -> int:
        number, _ = await asyncio.gather(add(number), wf.sleep("1m"))
        return number + await halve(number)

    await wf_env.run(adds, 1)  # what is made once in a process
    with uncollected():
        await until(lambda: not wf_env._embedded.worker.leases.runs, "the run before is forgotten")
        before = count_kept()
        for number in range(3):
            assert await wf_env.run(adds, number) == (number + 1) * 3 // 2
        await until(lambda: not wf_env._embedded.worker.leases.runs, "the runs are forgotten")
        assert count_kept() == before


async def test_timers_that_nobody_wants_any_more_are_forgotten_and_those_that_are_wanted_are_not(
    wf_env: WorkflowEnvironment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker_module, "FEW_TIMERS", 10)

    @wf.step(name="shaky", retry_delay="1d")
    async def shaky() -> int:
        if wf.get_step_metadata().attempt == 1:
            raise OSError("once")
        return 1

    @wf.workflow(name="quick", timeout="52w")
    async def quick() -> None:
        async with asyncio.timeout(7 * 86400):
            await wf.sleep("1ms")

    @wf.workflow(name="patient", timeout="4d")
    async def patient() -> list[object]:
        return await asyncio.gather(shaky(), wf.sleep("2d"), wf.sleep("9d"))

    worker = wf_env._embedded.worker
    worker._most_timers = 10
    run = await wf_env.start(patient)
    await wf_env.wait_for_sleep(run)
    begun = wf_env.time
    await wf_env.skip(0)
    for _ in range(30):
        await wf_env.run(quick)
        assert len(worker._timers) <= 20
    assert wf_env.time - begun < timedelta(hours=1)
    with pytest.raises(wf.WorkflowRunFailedError, match="TIMEOUT"):
        await run.return_value()
    assert (wf_env.time - begun).days == 4
    log = await wf_env.session.world.read_events(run.run_id)
    ends = ["step_started", "step_completed", "wait_completed", "wait_completed", "run_failed"]
    assert [event.type for event in log][-5:] == ends, "the retry, the sleep, and the run's own timeout came"
