"""Forks under the dev server: a new run goes on with today's code, whatever code its history was made by."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.wfstudio.dev.stage import Dev, Project, developing, until
from wf.run import Run
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import RunView

FIRST = """
    from dataclasses import dataclass

    import wf

    @dataclass
    class Price:
        amount: int

    class Declined(ValueError):
        pass

    @wf.step
    async def price(name: str) -> Price:
        return Price(len(name))

    @wf.step
    async def charge(amount: int) -> str:
        return f"charged {amount}"

    @wf.workflow
    async def buy(name: str) -> list[str]:
        found = await price(name)
        try:
            paid = await charge(found.amount)
        except Declined as error:
            paid = f"declined: {error}"
        answer = await wf.hook(token=f"ask:{name}")
        return [paid, answer]
"""
SECOND = FIRST.replace('f"charged {amount}"', 'f"paid {amount}"').replace(
    "return [paid, answer]", 'return [paid, "v2"]'
)
WITHOUT_PRICE = FIRST.replace("found = await price(name)", "found = Price(7)")


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("flow.py", FIRST)
    return made


def play(project: Project, scene: Callable[[Dev], Awaitable[None]]) -> None:
    async def perform() -> None:
        async with developing(project) as dev:
            await scene(dev)

    asyncio.run(perform())


async def fork(dev: Dev, run: Run[Any], **more: Any) -> Run[Any]:
    return wf.get_run((await dev.client.fork(run.run_id, ForkRequest(**more))).run.id)


async def end(dev: Dev, run: Run[Any]) -> Any:
    await dev.client.resume(await dev.wait_for_hook(run), "yes")
    return await run.return_value("20s")


def test_an_ended_run_of_older_code_is_forked_with_todays(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        old = await dev.start("buy", "ada")
        assert await end(dev, old) == ["charged 3", "yes"]
        reload = await dev.save("flow.py", SECOND)
        assert await end(dev, await fork(dev, old, start="ask:ada")) == ["charged 3", "v2"]
        again = await fork(dev, old, start="charge")
        assert await end(dev, again) == ["paid 3", "v2"]
        assert await dev.deployment_of(again) == reload["deployment_id"] != await dev.deployment_of(old)
        assert await end(dev, await fork(dev, old, outputs={"price": {"amount": 50}})) == ["paid 50", "v2"]
        assert await end(dev, await fork(dev, old, errors={"charge": "Declined: no"})) == ["declined: no", "v2"]
        assert await old.return_value() == ["charged 3", "yes"]

    play(project, scene)


def test_a_waiting_run_is_forked_and_both_are_answered(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        old = await dev.start("buy", "ada")
        await dev.wait_for_hook(old)
        forked = await fork(dev, old)
        assert await dev.wait_for_hook(forked) == f"ask:ada~{forked.run_id}"
        assert await end(dev, forked) == ["charged 3", "yes"]
        assert await old.status() == "running"
        assert await end(dev, old) == ["charged 3", "yes"]

    play(project, scene)


def test_a_run_that_stays_with_its_own_code_is_forked_from_before_the_two_part(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        old = await dev.start("buy", "ada")
        await dev.wait_for_hook(old)
        reload = await dev.save("flow.py", WITHOUT_PRICE)
        assert [verdict["run_id"] for verdict in reload["diverging"]] == [old.run_id]
        astray = await fork(dev, old, start="charge")

        async def told() -> bool:
            return await astray.attention() is not None

        await until(told, "the fork needs attention")
        attention = await astray.attention()
        assert attention is not None
        assert attention.code == "NONDETERMINISM"
        assert (await dev.client.get_run(old.run_id)).status == "running"
        afresh = await fork(dev, old, start=2)
        assert await end(dev, afresh) == ["charged 7", "yes"]
        assert await end(dev, old) == ["charged 3", "yes"]

    play(project, scene)


def test_a_fork_may_be_kept_to_the_code_of_the_run_that_it_comes_from(project: Project) -> None:
    async def scene(dev: Dev) -> None:
        old = await dev.start("buy", "ada")
        assert await end(dev, old) == ["charged 3", "yes"]
        own = await dev.deployment_of(old)
        await dev.save("flow.py", WITHOUT_PRICE)
        forked = await fork(dev, old, start="charge", deployment=own)
        view: RunView = await dev.client.get_run(forked.run_id)
        assert view.deployment_id == own
        assert await end(dev, forked) == ["charged 3", "yes"]

    play(project, scene)
