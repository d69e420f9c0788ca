"""The workflows that are measured. Their steps do nothing, so what is measured is the runtime."""

from __future__ import annotations

import asyncio
from time import perf_counter

import wf


@wf.step
async def do_nothing() -> None:
    pass


@wf.step
async def add_one(number: int) -> int:
    return number + 1


@wf.step
async def note_time() -> None:
    step_times.append(perf_counter())


step_times: list[float] = []
"""When each `note_time` ran; of one process, emptied by whoever measures."""


@wf.workflow
async def run_steps(count: int) -> None:
    for _ in range(count):
        await do_nothing()


@wf.workflow
async def run_five(number: int) -> int:
    for _ in range(5):
        number = await add_one(number)
    return number


@wf.workflow
async def run_timed_steps(count: int) -> None:
    for _ in range(count):
        await note_time()


@wf.workflow
async def fan_out(count: int) -> None:
    await asyncio.gather(*(do_nothing() for _ in range(count)))


@wf.workflow
async def run_steps_and_sleep(count: int) -> None:
    for _ in range(count):
        await do_nothing()
    if arrivals is not None:
        arrivals.count_one()
    await wf.sleep("1h")


class Arrivals:
    """Counts bodies that have come to their sleep, for the first time or in a replay."""

    def __init__(self, wanted: int) -> None:
        self._missing = wanted
        self._loop = asyncio.get_running_loop()
        self._all_here = asyncio.Event()
        self.last_at = 0.0

    def count_one(self) -> None:
        """Called by a body, in whose loop nothing of the outside may be awaited or woken directly."""
        self._missing -= 1
        if self._missing == 0:
            self.last_at = perf_counter()
            self._loop.call_soon_threadsafe(self._all_here.set)

    async def wait_all(self) -> float:
        """Wait for the last of them; give the `perf_counter()` of its arrival."""
        await self._all_here.wait()
        return self.last_at


arrivals: Arrivals | None = None


def expect(wanted: int) -> Arrivals:
    """Count arrivals from now on."""
    global arrivals
    arrivals = Arrivals(wanted)
    return arrivals
