"""Bodies that do not come back: the others go on, and the run is left alone until its code is other code."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from tests.wfstudio.dev.stage import Dev, Project, developing, until
from tests.wfstudio.dev.test_dead_letters import has_ended, wait_for_attention
from wf.errors import BlockedError
from wfstudio.dev import fleet

FLOW = """
    import time
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
    async def stuck(name: str) -> str:
        await wf.hook(token=f"stuck:{name}")
        return await hear("cured")
"""
SLEEPS = FLOW.replace('return await hear("cured")', "time.sleep(3600)")


def play(tmp_path: Path, text: str, scene: Callable[[Dev], Awaitable[None]]) -> None:
    async def perform() -> None:
        project = Project(tmp_path / "project")
        project.write("flow.py", text)
        async with developing(project) as dev:
            await scene(dev)

    asyncio.run(perform())


def ends(dev: Dev) -> list[str]:
    return [facts["cause"] for facts in dev.told("worker") if "could not be interrupted" in facts["cause"]]


def test_a_body_that_cannot_be_interrupted_costs_its_process_once_and_goes_on_with_other_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fleet, "LOOK_SECONDS", 0.1)
    monkeypatch.setattr(fleet, "BLOCKED_SECONDS", 1.0)

    async def scene(dev: Dev) -> None:
        neighbour = await dev.start("neighbour", "n")
        await dev.wait_for_hook(neighbour)
        run = await dev.start("stuck", "s")
        await dev.client.resume(await dev.wait_for_hook(run), "now")
        assert await wait_for_attention(dev, run.run_id) == "BLOCKED"
        assert ends(dev) == [f"the body of run {run.run_id} kept it busy for 1 s and could not be interrupted"]
        with pytest.raises(BlockedError):
            await run.return_value()
        await dev.client.resume("go:n", "went on")
        assert await neighbour.return_value("20s") == ["before", "went on", "after"]

        await dev.save("flow.py", FLOW)
        await until(lambda: has_ended(dev, run.run_id), "the run goes on")
        assert await run.return_value("20s") == "cured"
        assert len(ends(dev)) == 1

    play(tmp_path, SLEEPS, scene)
