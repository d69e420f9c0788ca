"""Subscriptions while nobody serves the world: whoever subscribes is rung."""

from __future__ import annotations

import asyncio

from wf.worlds.subscriptions import Backend, Bench


class EmptySeat:
    """A world that nobody serves."""

    async def find_bell(self) -> Backend | None:
        return None

    def lose(self, backend: Backend | None) -> None:
        raise AssertionError("there is none to lose")


async def test_who_subscribes_when_the_last_one_goes_is_rung() -> None:
    bench = Bench(EmptySeat(), asyncio.get_running_loop())
    first, second = asyncio.Event(), asyncio.Event()
    undo = await bench.subscribe("run:1", lambda detail: first.set())
    async with asyncio.timeout(5):
        await first.wait()
    undo()  # cancels the search, which has not ended when the next one comes
    await bench.subscribe("run:1", lambda detail: second.set())
    async with asyncio.timeout(5):
        await second.wait()
    bench.close_from_anywhere()
