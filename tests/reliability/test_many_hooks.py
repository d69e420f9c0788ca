"""Ten thousand runs that wait for somebody: they cost no task, survive a restart, and are resumed in any order."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

import wf
from tests.reliability.stage import make_worker, open_world, until
from wf import registry

COUNT = 10_000
RESUMED = 500


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def test_ten_thousand_pending_hooks_wait_at_no_cost_and_are_resumed_in_any_order(tmp_path: Path) -> None:
    @wf.workflow
    async def ask(number: int) -> list[int]:
        return [number, await wf.hook(token=f"ask:{number}")]

    async def perform() -> None:
        world = await open_world("sqlite", tmp_path)
        async with make_worker(world) as worker:
            tasks = len(asyncio.all_tasks())
            runs = await asyncio.gather(*(wf.start(ask, number) for number in range(COUNT)))
            await worker.drain()
            assert len(await world.list_hooks(limit=2 * COUNT)) == COUNT
            # Leases of runs that were put away for others go back in tasks of their own, for a moment.
            await until(lambda: len(asyncio.all_tasks()) <= tasks, "no task is left for them")
            assert len(worker.worker.leases.runs) <= worker.worker.leases.live_runs
        async with make_worker(world) as worker:
            chosen = random.Random(7).sample(range(COUNT), RESUMED)
            for number in chosen:
                await wf.resume_hook(f"ask:{number}", -number)
            for number in chosen:
                assert await runs[number].return_value("60s") == [number, -number]
            assert len(await world.list_hooks(limit=2 * COUNT)) == COUNT - RESUMED
        await world.close()

    asyncio.run(perform())
