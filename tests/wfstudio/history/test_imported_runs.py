"""What user code meets when it asks something of a run that was imported."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

import wf
from wf import registry
from wf.embedding import EmbeddedWorker
from wf.errors import ImportedRunError
from wf.keys import Keyring
from wf.world import World
from wf.worlds.memory import MemoryWorld
from wfstudio.history.portable import open_run, seal_run


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@asynccontextmanager
async def two_worlds() -> AsyncIterator[tuple[EmbeddedWorker, World, Keyring]]:
    """A world with a worker, and the world that its runs are taken to."""
    async with EmbeddedWorker(MemoryWorld(), keyring=Keyring([os.urandom(32)]), capture_logs=False) as here:
        yield here, MemoryWorld(), Keyring([os.urandom(32)])


async def take_over(here: EmbeddedWorker, world: World, keyring: Keyring, run_id: str) -> None:
    run = await open_run(here.session, run_id)
    assert (await world.import_run(seal_run(keyring, run, "x.wf.zip"))).is_new


def define() -> tuple[Any, Any]:
    @wf.step
    async def write(out: Any) -> None:
        await out.write("one")

    @wf.workflow
    async def waits() -> None:
        await write(wf.get_writable())
        await wf.hook(token="go")

    @wf.workflow
    async def ends(value: int) -> int:
        return value

    return waits, ends


async def test_a_run_that_had_not_ended_has_no_result_to_wait_for() -> None:
    waits, ends = define()
    async with two_worlds() as (here, world, keyring):
        open_one, ended = await wf.start(waits), await wf.start(ends, 5)
        assert await ended.return_value() == 5
        async with asyncio.timeout(10):
            while not await here.world.list_hooks(open_one.run_id):
                await asyncio.sleep(0.002)
        for run in (open_one, ended):
            await take_over(here, world, keyring, run.run_id)
    async with EmbeddedWorker(world, keyring=keyring, capture_logs=False):

        @wf.workflow
        async def asks(run_id: str) -> Any:
            return await wf.get_run(run_id).return_value()

        async with asyncio.timeout(10):
            assert await wf.get_run(ended.run_id).return_value() == 5
            assert await (await wf.start(asks, ended.run_id)).return_value() == 5
            with pytest.raises(ImportedRunError) as caught:
                await wf.get_run(open_one.run_id).return_value()
            assert str(caught.value) == f"run {open_one.run_id} was imported from 'x.wf.zip' and can only be read"
            with pytest.raises(wf.WorkflowRunFailedError) as failed:
                await (await wf.start(asks, open_one.run_id)).return_value()
            assert isinstance(failed.value.__cause__, ImportedRunError)
            assert [chunk async for chunk in wf.get_run(open_one.run_id).readable()] == ["one"]
            for act in ("cancel", "terminate", "wake_up"):
                with pytest.raises(ImportedRunError):
                    await getattr(wf.get_run(open_one.run_id), act)()
            with pytest.raises(ImportedRunError):
                await wf.start(ends.with_options(id=ended.run_id), 5)
            assert await wf.get_run(open_one.run_id).status() == "running"
