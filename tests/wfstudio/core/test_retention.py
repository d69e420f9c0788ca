"""Retention: old runs go, live ones and those that are needed stay, and the disk gets smaller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import until
from tests.wf.worlds.acts import SECOND, T0, imported_run, new_run, own
from wf import registry
from wf.clock import ManualClock
from wf.embedding import EmbeddedWorker
from wf.errors import StorageFull
from wf.keys import Keyring
from wf.session import Session
from wf.settings import Keep, Settings
from wf.world import RunFilter
from wf.worlds.memory import MemoryWorld
from wf.worlds.sqlite import SqliteWorld
from wfstudio.core import retention
from wfstudio.core.errors import UsageError
from wfstudio.core.retention import HOUR_SECONDS, find_old, forget, keep_forgetting, parse_keep


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
    worker.worker.leases.give_back()  # leases of ended runs go back in batches
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
        worker.worker.leases.give_back()
        done = await forget(worker.session, [child])
        assert (done.runs, done.kept) == ([], 1)
        await wf.resume_hook("go", None)
        assert await run.return_value() == 5
        await until(lambda: are_released(worker, [run]), "its lease is given back")
        done = await forget(worker.session, await find_old(worker.session, Keep(count=0)))
        assert sorted(done.runs) == sorted([child, run.run_id])

    play(tmp_path, scene)


# -- in the background --------------------------------------------------------------------------

DAY_US = 86_400 * SECOND
MONTH = Keep(age_us=30 * DAY_US)


class Hours:
    """A way to wait that stands still at every hour until it is told to go on; shorter pauses are nothing."""

    def __init__(self) -> None:
        self.pauses = 0
        self._is_waiting = asyncio.Event()
        self._go_on = asyncio.Event()

    async def wait(self, seconds: float) -> None:
        if seconds < HOUR_SECONDS:
            self.pauses += 1
            return
        assert seconds == HOUR_SECONDS
        self._is_waiting.set()
        await self._go_on.wait()
        self._go_on.clear()

    async def come(self) -> None:
        """Wait until the work of an hour is done."""
        async with asyncio.timeout(10):
            await self._is_waiting.wait()
        self._is_waiting.clear()

    async def pass_by(self) -> None:
        self._go_on.set()
        await self.come()


class Keeper:
    """A world at T0, and retention at work on it."""

    def __init__(self, keep: Keep | None, world: Any = None) -> None:
        self.world = world or MemoryWorld()
        self.clock = ManualClock(T0)
        settings = Settings(root=Path("/nowhere"), world="memory://", retention=keep)
        self.session = Session(self.world, Keyring.off(), settings, clock=self.clock)
        self.hours = Hours()
        self.told: list[tuple[str, int]] = []

    async def end(self, run_id: str, at: int = T0, **more: Any) -> None:
        owner = await own(self.world, run_id, at=at, **more)
        await owner.end(at=at)
        await owner.release()

    async def ids(self) -> list[str]:
        return sorted(row.run_id for row in await self.world.list_runs(RunFilter()))

    @asynccontextmanager
    async def at_work(self) -> AsyncIterator[Keeper]:
        work = asyncio.create_task(
            keep_forgetting(self.session, lambda text, count: self.told.append((text, count)), wait=self.hours.wait)
        )
        try:
            await self.hours.come()
            yield self
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)


async def test_old_runs_go_at_the_start_and_then_every_hour() -> None:
    keeper = Keeper(MONTH)
    await keeper.end("old", T0 - 31 * DAY_US)
    await keeper.end("newer", T0 - 29 * DAY_US)
    await keeper.end("new", T0)
    async with keeper.at_work():
        assert await keeper.ids() == ["new", "newer"]
        assert keeper.told == [("1 old run deleted (retention 30d)", 1)]
        await keeper.hours.pass_by()
        assert await keeper.ids() == ["new", "newer"]
        assert len(keeper.told) == 1, "nothing was deleted, so nothing is said"
        keeper.clock.move_to(T0 + 31 * DAY_US)
        await keeper.hours.pass_by()
        assert await keeper.ids() == []
        assert keeper.told[1:] == [("2 old runs deleted (retention 30d)", 2)]


async def test_the_newest_stay_where_retention_is_a_number() -> None:
    keeper = Keeper(Keep(count=2))
    for number in range(5):
        await keeper.end(f"r{number}", T0 - 10 + number)
    async with keeper.at_work():
        assert await keeper.ids() == ["r3", "r4"]
        assert keeper.told == [("3 old runs deleted (retention 2 runs)", 3)]


@pytest.mark.parametrize("keep", [MONTH, Keep(count=1)])
async def test_live_runs_and_what_was_imported_stay(keep: Keep) -> None:
    keeper = Keeper(keep)
    await keeper.world.create_run(new_run("waiting", at=T0 - 90 * DAY_US))
    await own(keeper.world, "running", at=T0 - 80 * DAY_US)
    await keeper.world.import_run(imported_run("theirs", "completed", at=T0 - 70 * DAY_US))
    await keeper.end("ended", T0 - 60 * DAY_US)
    await keeper.end("new", T0)
    async with keeper.at_work():
        assert await keeper.ids() == ["new", "running", "theirs", "waiting"]


async def test_without_a_retention_nothing_goes() -> None:
    keeper = Keeper(None)
    await keeper.end("old", T0 - 1000 * DAY_US)
    await keep_forgetting(keeper.session, lambda text, count: None, wait=keeper.hours.wait)
    assert await keeper.ids() == ["old"]


async def test_a_process_that_does_not_own_the_world_leaves_it_to_the_owner() -> None:
    class Shared(MemoryWorld):
        is_owner = False

    keeper = Keeper(MONTH, Shared())
    await keeper.end("old", T0 - 31 * DAY_US)
    async with keeper.at_work():
        assert await keeper.ids() == ["old"]
        keeper.world.is_owner = True
        await keeper.hours.pass_by()
        assert await keeper.ids() == []


async def test_a_world_that_fails_is_told_and_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper(MONTH)
    await keeper.end("old", T0 - 31 * DAY_US)

    async def refuse(run_ids: Any) -> Any:
        raise StorageFull("no space is left")

    monkeypatch.setattr(keeper.world, "delete_runs", refuse)
    async with keeper.at_work():
        assert keeper.told == [("old runs could not be deleted: no space is left", 0)]
        monkeypatch.undo()
        await keeper.hours.pass_by()
        assert await keeper.ids() == []


async def test_few_events_are_deleted_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retention, "FEW_EVENTS", 10)
    monkeypatch.setattr(retention, "PAGE", 3)
    keeper = Keeper(MONTH)
    for number in range(10):
        owner = await own(keeper.world, f"r{number}", at=T0 - 40 * DAY_US)
        await owner.commit(events=12 if number == 4 else 2)
        await owner.end(at=T0 - 40 * DAY_US)
        await owner.release()
    sizes: list[int] = []
    delete = keeper.world.delete_runs

    async def measure(run_ids: Any) -> Any:
        rows = [await keeper.world.get_run(run_id) for run_id in run_ids]
        sizes.append(sum(row.seq for row in rows if row is not None))
        return await delete(run_ids)

    monkeypatch.setattr(keeper.world, "delete_runs", measure)
    async with keeper.at_work():
        assert await keeper.ids() == []
        assert sizes == [8, 8, 4, 14, 8, 8]
        assert keeper.hours.pauses == len(sizes) - 1


async def test_what_was_imported_goes_when_it_is_asked_for(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path / "world.db", "process")
    await world.open()
    try:
        keeper = Keeper(MONTH, world)
        await keeper.end("ours", T0 - 60 * DAY_US)
        await own(world, "running", at=T0 - 60 * DAY_US)
        await world.import_run(imported_run("ended", "completed", at=T0 - 60 * DAY_US))
        await world.import_run(imported_run("open", at=T0 - 60 * DAY_US))
        await world.import_run(imported_run("young", at=T0))
        assert await find_old(keeper.session, MONTH) == ["ours", "ended", "open"]
        assert await find_old(keeper.session, MONTH, is_imported=True) == ["ended", "open"]
        assert await find_old(keeper.session, MONTH, is_imported=False) == ["ours"]
        assert await find_old(keeper.session, Keep(count=0), is_imported=True) == ["ended", "open", "young"]
        assert await find_old(keeper.session, Keep(count=1)) == ["ours", "ended", "open"]
        done = await forget(keeper.session, await find_old(keeper.session, Keep(count=0), is_imported=True))
        assert (done.runs, done.kept) == (["ended", "open", "young"], 0)
        assert await keeper.ids() == ["ours", "running"]
    finally:
        await world.close()
