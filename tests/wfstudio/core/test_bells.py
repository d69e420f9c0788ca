"""Bells: at once after a pause, gathered in a storm, and never silent for longer than was asked for."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable

import pytest

from tests.jumping import jump
from tests.wf.worlds.acts import Owner, new_run, own
from wf.errors import WorldError
from wf.worlds.memory import MemoryWorld
from wfstudio.core.bells import LONGEST_SECONDS, SHORTEST_SECONDS, Bell


async def begin(world: MemoryWorld) -> Owner:
    return await own(world, "r1")


def test_after_a_pause_a_bell_rings_at_once_whether_or_not_it_paces() -> None:
    async def body() -> None:
        loop, world = asyncio.get_running_loop(), MemoryWorld()
        owner = await begin(world)
        for is_pacing in (False, True):
            async with Bell(world, "log:r1", is_pacing=is_pacing) as bell:
                for _ in range(3):
                    waiting = asyncio.ensure_future(bell.wait(60))
                    await asyncio.sleep(SHORTEST_SECONDS)
                    before = loop.time()
                    await owner.commit()
                    await waiting
                    assert loop.time() == before

    jump(body)


def test_a_bell_that_does_not_pace_rings_for_each_piece_of_news() -> None:
    async def body() -> None:
        loop, world = asyncio.get_running_loop(), MemoryWorld()
        owner, before = await begin(world), asyncio.get_running_loop().time()
        async with Bell(world, "log:r1") as bell:
            for _ in range(50):
                await owner.commit()
                await bell.wait(60)
        assert loop.time() == before

    jump(body)


def test_a_pacing_bell_gathers_news_that_come_fast_and_loses_none() -> None:
    async def body() -> None:
        loop, world = asyncio.get_running_loop(), MemoryWorld()
        owner = await begin(world)
        began = loop.time()

        async def work() -> None:
            for _ in range(1000):
                await owner.commit()
                await asyncio.sleep(0.001)

        looks: list[tuple[float, int]] = []
        async with asyncio.TaskGroup() as group, Bell(world, "log:r1", is_pacing=True) as bell:
            working = group.create_task(work())
            while not working.done() or looks[-1][1] < owner.seq:
                await bell.wait(60)
                looks.append((loop.time() - began, len(await world.read_events("r1", 0, 10_000))))
        gaps = [later - earlier for (earlier, _), (later, _) in itertools.pairwise(looks)]
        assert min(gaps) == pytest.approx(SHORTEST_SECONDS)
        assert max(gaps) < SHORTEST_SECONDS + 0.002
        assert looks[-1][1] == owner.seq

    jump(body)


@pytest.mark.parametrize(("spent", "rest"), [(0.004, 0.006), (0.05, 0.05), (4.0, LONGEST_SECONDS)])
def test_who_looks_for_long_rests_for_as_long_and_never_longer_than_is_bearable(spent: float, rest: float) -> None:
    async def body() -> None:
        loop, world = asyncio.get_running_loop(), MemoryWorld()
        owner = await begin(world)
        async with Bell(world, "log:r1", is_pacing=True) as bell:
            await owner.commit()
            await bell.wait(60)
            await owner.commit()  # while it looks
            await asyncio.sleep(spent)
            before = loop.time()
            await bell.wait(60)
            assert loop.time() - before == pytest.approx(rest)

    jump(body)


def test_without_news_it_comes_back_when_the_time_is_over() -> None:
    async def body() -> None:
        loop, world = asyncio.get_running_loop(), MemoryWorld()
        await begin(world)
        async with Bell(world, "log:r1", is_pacing=True) as bell:
            before = loop.time()
            await bell.wait(7)
            assert loop.time() - before == 7

    jump(body)


async def test_outside_its_block_nobody_listens() -> None:
    world = MemoryWorld()
    async with Bell(world, "log:r1", "run:r1"):
        assert world._doorbells.followed == {"r1"}
    assert not world._doorbells._topics


async def test_a_bell_that_cannot_have_all_its_topics_has_none() -> None:
    class Half(MemoryWorld):
        async def subscribe(self, topic: str, ring: Callable[[str], None]) -> Callable[[], None]:
            if topic == "run:r1":
                raise WorldError("gone")
            return await super().subscribe(topic, ring)

    world = Half()
    await world.create_run(new_run("r1"))
    with pytest.raises(WorldError, match="gone"):
        async with Bell(world, "log:r1", "run:r1"):
            pass
    assert not world._doorbells._topics
