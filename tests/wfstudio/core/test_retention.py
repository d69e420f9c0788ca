"""Retention: old runs go, live ones and those that are needed stay, and the disk gets smaller."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import until
from wf import registry
from wf.embedding import EmbeddedWorker
from wfstudio.core.errors import UsageError
from wfstudio.core.retention import Keep, find_old, forget, parse_keep


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def play(tmp_path: Path, scene: Callable[[EmbeddedWorker], Awaitable[None]]) -> None:
    async def perform() -> None:
        async with EmbeddedWorker(f"sqlite:///{tmp_path}/world.db", capture_logs=False) as worker:
            await scene(worker)

    asyncio.run(perform())


def define() -> Any:
    @wf.step
    async def bulk(size: int) -> bytes:
        return __import__("os").urandom(size)

    @wf.workflow
    async def flow(size: int = 10) -> int:
        return len(await bulk(size))

    return flow


async def are_released(worker: EmbeddedWorker, runs: list[Any]) -> bool:
    worker.worker._give_back()  # leases of ended runs go back in batches
    rows = [await worker.world.get_run(run.run_id) for run in runs]
    return all(row is not None and row.owner is None for row in rows)


@pytest.mark.parametrize(
    ("text", "keep"),
    [("30d", Keep(age_us=30 * 86_400_000_000)), ("1000", Keep(count=1000)), ("0", Keep(count=0))],
)
def test_an_age_or_a_number_says_what_stays(text: str, keep: Keep) -> None:
    assert parse_keep(text) == keep


def test_anything_else_is_refused() -> None:
    with pytest.raises(UsageError, match="neither an age nor a number"):
        parse_keep("some")


def test_the_newest_stay_by_number_and_the_youngest_by_age(tmp_path: Path) -> None:
    async def scene(worker: EmbeddedWorker) -> None:
        flow = define()
        runs = [await wf.start(flow) for _ in range(4)]
        for run in runs:
            await run.return_value()
        assert await find_old(worker.session, Keep(count=1)) == [run.run_id for run in runs[:3]]
        assert await find_old(worker.session, Keep(count=9)) == []
        assert await find_old(worker.session, Keep(age_us=0)) == [run.run_id for run in runs]
        assert await find_old(worker.session, Keep(age_us=3_600_000_000)) == []

    play(tmp_path, scene)


def test_forgetting_deletes_runs_and_frees_the_disk(tmp_path: Path) -> None:
    async def scene(worker: EmbeddedWorker) -> None:
        flow = define()
        runs = [await wf.start(flow, 200_000) for _ in range(10)]
        for run in runs:
            await run.return_value()
        await until(lambda: are_released(worker, runs), "their leases are given back")
        done = await forget(worker.session, await find_old(worker.session, Keep(count=1)))
        assert (len(done.runs), done.kept) == (9, 0)
        assert done.freed_bytes is not None
        assert done.freed_bytes > 1_000_000
        assert (await wf.list_runs()).items == [runs[-1]]
        assert await runs[-1].return_value() == 200_000

    play(tmp_path, scene)


def test_what_a_run_in_flight_needs_stays(tmp_path: Path) -> None:
    async def scene(worker: EmbeddedWorker) -> None:
        flow = define()

        @wf.workflow
        async def parent() -> int:
            n = await flow(5)
            await wf.hook(token="go")
            return int(n)

        run = await wf.start(parent)
        await until(lambda: worker.world.list_hooks(run.run_id), "the child has ended and the parent waits")
        (child,) = await find_old(worker.session, Keep(count=0))
        row = await worker.world.get_run(child)
        assert row is not None
        assert row.parent_run_id == run.run_id
        worker.worker._give_back()
        done = await forget(worker.session, [child])
        assert (done.runs, done.kept) == ([], 1)
        await wf.resume_hook("go", None)
        assert await run.return_value() == 5
        await until(lambda: are_released(worker, [run]), "its lease is given back")
        done = await forget(worker.session, await find_old(worker.session, Keep(count=0)))
        assert sorted(done.runs) == sorted([child, run.run_id])

    play(tmp_path, scene)
