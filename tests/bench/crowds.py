"""Crowds: many runs in one process, at once, one after the other, or asleep."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from statistics import median
from time import perf_counter, process_time

import wf
from tests.bench import flows
from tests.bench.machine import read_peak_memory
from tests.bench.reading import Reading
from tests.bench.steps import time_run, warm_up

STEPS = 5
IDLE_SECONDS = 10.0


async def measure_throughput(is_quick: bool) -> list[Reading]:
    """Start 5 000 runs of 5 steps at once and wait for all results, as one client in the process.

    The clock runs from before the first `start` until the last `return_value` has given its result.
    """
    count = 1000 if is_quick else 5000
    async with wf.worker():
        await warm_up()
        before = read_peak_memory() / 1e6
        starts: list[float] = []
        results: list[float] = []

        async def run_one(number: int) -> None:
            run = await wf.start(flows.run_five, number)
            starts.append(perf_counter() - began)
            if await run.return_value() != number + STEPS:
                raise AssertionError(f"run {run.run_id} gave a wrong result")
            results.append(perf_counter() - began)

        began = perf_counter()
        await asyncio.gather(*(run_one(number) for number in range(count)))
        peak = read_peak_memory() / 1e6
    whole = results[-1]
    note = f"{count} runs in {whole:.2f} s; all started after {starts[-1]:.2f} s"
    return [
        Reading("throughput", count * STEPS / whole, count, note),
        Reading("throughput-memory", peak, count, f"peak resident set; {before:.0f} MB of it before the first start"),
        Reading("first-result", results[0] / whole * 100, count, f"after {results[0] * 1000:.0f} ms"),
        Reading("median-completion", median(results) / whole * 100, count, f"after {median(results):.2f} s"),
    ]


async def measure_growth(is_quick: bool) -> list[Reading]:
    """Runs of one step before and after 10 000 others went through the same process and world."""
    n, others, at_once = (100 if is_quick else 500), (2000 if is_quick else 10_000), 500
    async with wf.worker():
        await warm_up()
        for _ in range(n):
            await time_run(1)
        before = [await time_run(1) * 1000 for _ in range(n)]
        for _ in range(others // at_once):
            await asyncio.gather(*(time_run(1) for _ in range(at_once)))
        after = [await time_run(1) * 1000 for _ in range(n)]
    note = f"{median(before):.3f} ms before, {median(after):.3f} ms after {others} runs"
    return [Reading("after-10000-runs", median(after) / median(before), n, note)]


async def measure_idle(is_quick: bool) -> list[Reading]:
    """The processor time of all threads of a process whose 100 runs sleep, in a window of 10 s."""
    count, window = 100, 3.0 if is_quick else IDLE_SECONDS
    arrivals = flows.expect(count)
    async with wf.worker() as worker:
        await asyncio.gather(*(wf.start(flows.run_steps_and_sleep, 0) for _ in range(count)))
        await arrivals.wait_all()
        await worker.drain()
        spent, began = process_time(), perf_counter()
        await asyncio.sleep(window)
        spent, wall = process_time() - spent, perf_counter() - began
    return [Reading("idle-cpu", spent / wall * 100, 1, f"{spent * 1000:.0f} ms in {wall:.0f} s, {count} runs asleep")]


async def measure_disk(is_quick: bool) -> list[Reading]:
    """The size of the world's file, its WAL copied into it, by the runs in it."""
    count = 500 if is_quick else 2000
    async with wf.worker():
        runs = await asyncio.gather(*(wf.start(flows.run_five, number) for number in range(count)))
        await asyncio.gather(*(run.return_value() for run in runs))
    path = Path(os.environ["WF_WORLD"].removeprefix("sqlite:///"))
    size = sum(file.stat().st_size for file in path.parent.glob(f"{path.name}*") if not file.name.endswith(".key"))
    return [Reading("disk", size / count / 1000, count, f"{size / 1e6:.1f} MB, with {STEPS * 2 + 3} events a run")]
