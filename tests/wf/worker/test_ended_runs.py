"""What a run leaves behind in its worker when it ends: nothing that only the garbage collector would find."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

import wf
from tests.reliability.stage import until
from wf import registry
from wf.engine.body import Body
from wf.engine.loop import BodyLoop, BodyTask
from wf.engine.replay import Replay
from wf.testing import WorkflowEnvironment
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
