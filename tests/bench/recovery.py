"""Recovery: a process is killed with runs asleep, and the next one takes them up.

The first process starts its runs, waits until all sleep, and is killed with SIGKILL. The second
opens a worker on the same world. A kill leaves the leases behind as they were; the owner of the
world frees those of a process that is gone, and a freed run wants a worker at once. So nothing has
to wake the runs: the new worker claims and replays every one of them of its own accord, and the
clock stops when the last body stands at its sleep again. Then the rows are asked who owns them.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
from time import perf_counter

import wf
from tests.bench import flows
from tests.bench.reading import Reading
from wf.world import RunFilter


async def measure_replay(is_quick: bool) -> list[Reading]:
    """One run of 5 000 steps: it has 10 000 events behind it, and a few."""
    steps = 1000 if is_quick else 5000
    seconds, events = await take_up(runs=1, steps=steps)
    return [Reading("replay", seconds, 1, f"{events} events, the world opened in that time, too")]


async def measure_recovery(is_quick: bool) -> list[Reading]:
    """1 000 runs asleep in their first call."""
    runs = 200 if is_quick else 1000
    seconds, _ = await take_up(runs=runs, steps=0)
    return [Reading("recovery", seconds, runs, f"{runs} runs, the world opened in that time, too")]


async def take_up(*, runs: int, steps: int) -> tuple[float, int]:
    """Kill a process with sleeping runs and take them up here.

    Gives the seconds from opening the worker until the last body was replayed, and the number of
    events of the last run.
    """
    kill_after_sleep(runs, steps)
    arrivals = flows.expect(runs)
    began = perf_counter()
    async with wf.worker() as worker:
        arrived = await arrivals.wait_all()
        rows = await worker.world.list_runs(RunFilter(limit=runs + 1))
        owners = {row.owner for row in rows}
        if len(rows) != runs or owners != {worker.worker.worker_id}:
            raise AssertionError(f"{len(rows)} runs are owned by {owners}")
        return arrived - began, rows[-1].seq


def kill_after_sleep(runs: int, steps: int) -> None:
    command = [sys.executable, "-m", "tests.bench.recovery", str(runs), str(steps)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as sleeper:
        assert sleeper.stdout is not None
        word = sleeper.stdout.readline()
        sleeper.kill()
    if word != "asleep\n":
        raise AssertionError(f"the process that was to be killed said {word!r}")


async def sleep_until_killed(runs: int, steps: int) -> None:
    arrivals = flows.expect(runs)
    async with wf.worker() as worker:
        await asyncio.gather(*(wf.start(flows.run_steps_and_sleep, steps) for _ in range(runs)))
        await arrivals.wait_all()
        await worker.drain()  # the waits are committed, too
        print("asleep", flush=True)
        await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(sleep_until_killed(*map(int, sys.argv[1:])))
