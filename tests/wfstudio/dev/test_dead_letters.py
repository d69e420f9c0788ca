"""Bodies that take their process down: the others go on, and the run is left alone until its code is other code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

from tests.wfstudio.dev.stage import Dev, Project, developing, until
from wf.errors import DeadLetterError
from wf.worker.casualties import MOST_DEATHS

FLOW = """
    import os
    import wf

    @wf.step
    async def hear(word: str) -> str:
        return word

    @wf.workflow
    async def neighbour(name: str) -> list[str]:
        heard = [await hear("before")]
        heard.append(await wf.hook(token=f"go:{name}"))
        return heard + [await hear("after")]

    @wf.workflow
    async def poison(name: str) -> str:
        await wf.hook(token=f"poison:{name}")
        return await hear("cured")
"""
DEADLY = FLOW.replace('return await hear("cured")', "os._exit(7)")
DEADLY_FROM_THE_START = FLOW.replace('await wf.hook(token=f"poison:{name}")', "os._exit(7)")


def play(tmp_path: Path, text: str, scene: Callable[[Dev], Awaitable[None]], *, size: int = 1) -> None:
    async def perform() -> None:
        project = Project(tmp_path / "project")
        project.write("flow.py", text)
        async with developing(project, size=size) as dev:
            await scene(dev)

    asyncio.run(perform())


def deaths(dev: Dev) -> int:
    return sum("exited with code 7" in facts["cause"] for facts in dev.told("worker"))


async def has_ended(dev: Dev, run_id: str) -> bool:
    row = await dev.session.world.get_run(run_id)
    return row is not None and row.ended_at is not None


async def wait_for_attention(dev: Dev, run_id: str) -> str:
    async def has_attention() -> bool:
        row = await dev.session.world.get_run(run_id)
        return row is not None and row.attention is not None

    await until(has_attention, "the run needs attention")
    row = await dev.session.world.get_run(run_id)
    assert row is not None
    assert row.attention is not None
    return row.attention.code


def test_a_body_that_ends_its_process_is_left_alone_after_three_deaths_and_goes_on_with_other_code(
    tmp_path: Path,
) -> None:
    async def scene(dev: Dev) -> None:
        neighbour = await dev.start("neighbour", "n")
        await dev.wait_for_hook(neighbour)
        run = await dev.start("poison", "p")
        await dev.client.resume(await dev.wait_for_hook(run), "now")
        assert await wait_for_attention(dev, run.run_id) == "DEAD_LETTER"
        assert deaths(dev) == MOST_DEATHS
        try:
            await run.return_value()
        except DeadLetterError as error:
            assert error.deaths == MOST_DEATHS
            assert str(error) == (
                f"the body of flow:poison ended the process that it ran in, 3 times with run {run.run_id}"
            )
        else:
            raise AssertionError("it has no result")

        await dev.client.resume("go:n", "went on")
        assert await neighbour.return_value("20s") == ["before", "went on", "after"]
        steps = await dev.client.list_steps(neighbour.run_id)
        assert [len(step.attempts) for step in steps] == [1, 1], "no attempt of the neighbour was lost"
        assert deaths(dev) == MOST_DEATHS

        await dev.save("flow.py", FLOW)
        await until(lambda: has_ended(dev, run.run_id), "the run goes on")
        assert await run.return_value("20s") == "cured"

    play(tmp_path, DEADLY, scene)


def test_a_body_that_ends_its_process_while_it_is_judged_keeps_nobody_from_the_new_code(tmp_path: Path) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("poison", "p")
        neighbour = await dev.start("neighbour", "n")
        await dev.wait_for_hook(run)
        await dev.wait_for_hook(neighbour)
        before = await dev.deployment_of(run)

        reload = await dev.save("flow.py", DEADLY_FROM_THE_START)
        assert (reload["clean"], [verdict["run_id"] for verdict in reload["diverging"]]) == (1, [run.run_id])
        assert reload["diverging"][0]["trouble"]["code"] == "DEAD_LETTER"
        assert deaths(dev) == 1
        assert await dev.deployment_of(run) == before
        assert await dev.deployment_of(neighbour) == reload["deployment_id"]

        await dev.client.resume("poison:p", "now")
        assert await run.return_value("20s") == "cured", "its own code serves it still"

    play(tmp_path, FLOW, scene)


def test_with_two_workers_the_one_that_lives_counts_too(tmp_path: Path) -> None:
    async def scene(dev: Dev) -> None:
        run = await dev.start("poison", "p")
        assert await wait_for_attention(dev, run.run_id) == "DEAD_LETTER"
        neighbour = await dev.start("neighbour", "n")
        await dev.client.resume(await dev.wait_for_hook(neighbour), "went on")
        assert await neighbour.return_value("20s") == ["before", "went on", "after"]

    play(tmp_path, DEADLY_FROM_THE_START, scene, size=2)
