"""Looking: verdicts on runs in flight, and moments of a long run, from processes that load a project's code.

The clock covers all that a caller waits for: starting the process, loading the code, reading and opening the logs.
"""

from __future__ import annotations

import random
from pathlib import Path
from statistics import median, quantiles
from time import perf_counter

import wf
from tests.bench.reading import Reading
from wf.embedding import EmbeddedWorker
from wf.loading import find_in, load_target
from wfstudio.core.replays import Replays

FLOW = """
import wf


@wf.step
async def add(number: int) -> dict:
    return {"number": number, "text": "x" * 50}


@wf.workflow
async def collect(count: int) -> int:
    total, seen = 0, []
    for number in range(count):
        found = await add(number)
        total += found["number"]
        seen.append(found)
    await wf.hook()
    return total
"""


async def measure_moments(is_quick: bool) -> list[Reading]:
    """A run of 10 000 events: looked at anywhere, and then from event to event."""
    async with _recorded(runs=1, steps=500 if is_quick else 5_000) as (worker, [run_id]):
        row = await worker.world.get_run(run_id)
        assert row is not None
        first, anywhere, next_to = [], [], []
        for place in (row.seq, row.seq // 2, 1):
            replays = Replays(worker.session, targets=["flow.py"])
            first.append(await _look(replays, run_id, place))
            chosen = random.Random(place).sample(range(1, row.seq), 20)
            anywhere += [await _look(replays, run_id, seq) for seq in chosen]
            middle = row.seq // 2
            next_to += [await _look(replays, run_id, middle + n) for n in range(40)]
            next_to += [await _look(replays, run_id, middle - n) for n in range(40)]
            await replays.close()
    ms = [1000 * seconds for seconds in next_to]
    shown = f"{row.seq} events; the first look; afterwards anywhere {1000 * median(anywhere):.0f} ms"
    spread = f"p95 {quantiles(ms, n=20)[-1]:.0f} ms, slowest {max(ms):.0f} ms"
    return [Reading("moment", max(first + anywhere), 63, shown), Reading("moment-next", median(ms), len(ms), spread)]


async def measure_verdicts(is_quick: bool) -> list[Reading]:
    """100 runs in flight of 50 events, judged by the code on the disk."""
    runs = 10 if is_quick else 100
    async with _recorded(runs=runs, steps=23) as (worker, _):
        replays = Replays(worker.session, targets=["flow.py"])
        began = perf_counter()
        verdicts = await replays.replay_all("open")
        seconds = perf_counter() - began
        await replays.close()
    if verdicts.clean != runs:
        raise AssertionError(f"{verdicts.clean} of {runs} are clean")
    return [Reading("verdicts", seconds, runs, f"{runs} runs of {verdicts.items[0].events} events")]


class _recorded:
    """Runs of `collect` that wait for their hook, while the block lasts."""

    def __init__(self, *, runs: int, steps: int) -> None:
        self._runs = runs
        self._steps = steps

    async def __aenter__(self) -> tuple[EmbeddedWorker, list[str]]:
        Path("flow.py").write_text(FLOW)
        workflow = find_in(load_target("flow.py"), "collect")
        self._worker = wf.worker(modules=["flow.py"])
        await self._worker.__aenter__()
        started = [await wf.start(workflow, self._steps) for _ in range(self._runs)]
        await self._worker.drain()
        return self._worker, [run.run_id for run in started]

    async def __aexit__(self, *error: object) -> None:
        await self._worker.__aexit__(None, None, None)


async def _look(replays: Replays, run_id: str, seq: int) -> float:
    began = perf_counter()
    view = await replays.look(run_id, seq)
    seconds = perf_counter() - began
    if view.seq != seq:
        raise AssertionError(f"event {seq} was shown as {view.seq}")
    return seconds
