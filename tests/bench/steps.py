"""Steps: what one costs in a run that does nothing else, wherever in the run it is."""

from __future__ import annotations

from itertools import pairwise
from statistics import median
from time import perf_counter

import wf
from tests.bench import flows
from tests.bench.reading import Reading

WARM_UP_RUNS = 30
"""Of ten steps each: enough for imports, statement caches and the interpreter's specialised code."""


async def measure_ten(is_quick: bool) -> list[Reading]:
    """Ten steps in a row: from calling `start` until `return_value` gives the result."""
    n = 50 if is_quick else 300
    totals, starts = [], []
    async with wf.worker():
        await warm_up()
        for _ in range(n):
            began = perf_counter()
            run = await wf.start(flows.run_steps, 10)
            started = perf_counter()
            await run.return_value()
            totals.append((perf_counter() - began) * 1000)
            starts.append((started - began) * 1000)
    note = f"`start` is {median(starts):.2f} ms of it; the slowest of a hundred took {percentile(totals, 99):.1f} ms"
    return [Reading("ten-steps", median(totals), n, note)]


async def measure_cost(is_quick: bool) -> list[Reading]:
    """The slope between a short and a long run, so that starting and ending a run cancel out."""
    n, short, long = (3 if is_quick else 7), 200, 1200
    slopes = []
    async with wf.worker():
        await warm_up()
        for _ in range(n):
            slopes.append((await time_run(long) - await time_run(short)) / (long - short) * 1000)
    return [Reading("step-cost", median(slopes), n, f"{min(slopes):.3f} to {max(slopes):.3f} ms")]


async def time_run(steps: int) -> float:
    began = perf_counter()
    run = await wf.start(flows.run_steps, steps)
    await run.return_value()
    return perf_counter() - began


async def measure_depth(is_quick: bool) -> list[Reading]:
    """The last hundred steps of a run of 10 000 against its first hundred, by the times between steps."""
    n, depth, width = (1 if is_quick else 3), 10_000, 100
    first, last = [], []
    async with wf.worker():
        await warm_up()
        await (await wf.start(flows.run_timed_steps, 300)).return_value()
        for _ in range(n):
            flows.step_times.clear()
            run = await wf.start(flows.run_timed_steps, depth)
            await run.return_value()
            times = flows.step_times
            gaps = [(after - before) * 1000 for before, after in pairwise(times)]
            first += gaps[:width]
            last += gaps[-width:]
    note = f"{median(first):.3f} ms a step at the start, {median(last):.3f} ms at the end"
    return [Reading("step-at-depth", median(last) / median(first), n * width, note)]


async def measure_fan_out(is_quick: bool) -> list[Reading]:
    """500 steps under one `gather`, from calling `start` until `return_value` gives the result."""
    n = 5 if is_quick else 20
    times = []
    async with wf.worker():
        await warm_up()
        for _ in range(n + 1):
            began = perf_counter()
            run = await wf.start(flows.fan_out, 500)
            await run.return_value()
            times.append((perf_counter() - began) * 1000)
    first, *rest = times
    note = f"{min(rest):.0f} to {max(rest):.0f} ms; the first took {first:.0f} ms"
    return [Reading("fan-out", median(rest), n, note)]


async def warm_up() -> None:
    for _ in range(WARM_UP_RUNS):
        await time_run(10)


def percentile(values: list[float], percent: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]
