"""Storage and clocks that fail: a full disk, a folder that may not be written, time that jumps."""

from __future__ import annotations

import asyncio
import json
import os
import random
import shutil
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import KEY, Place, make_worker, open_world, read_log, until
from tests.wf.worlds.acts import new_run, own
from wf import registry
from wf.clock import SystemClock
from wf.errors import StorageFull, WorldError
from wf.worlds.shared import SharedWorld
from wf.worlds.sqlite import SqliteWorld

HOUR_US = 3600 * 1_000_000


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


# -- a full disk --------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.getuid() != 0:
        pytest.skip("mounting takes root; the limit on a file's size is tried below")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "wf-test", str(disk)], capture_output=True)
    if done.returncode != 0:
        pytest.skip("this machine mounts no tmpfs")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def _count(path: Path) -> dict[str, int]:
    db = sqlite3.connect(path)
    try:
        return {table: db.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in ("runs", "events")}
    finally:
        db.close()


async def test_a_full_disk_refuses_starts_and_a_running_run_finishes_when_space_returns(small_disk: Path):
    begun = asyncio.Event()
    go_on = asyncio.Event()

    @wf.step(name="big")
    async def big() -> bytes:
        begun.set()
        await go_on.wait()
        return random.Random(1).randbytes(200_000)

    @wf.workflow(name="grows")
    async def grows() -> int:
        return sum([len(await big()) for _ in range(2)])

    world = await open_world("sqlite", small_disk)
    async with make_worker(world) as embedded:
        run = await wf.start(grows)
        await asyncio.wait_for(begun.wait(), 20)
        filler = _fill(small_disk)
        before = _count_by(await world.list_runs(wf.world.RunFilter()))
        with pytest.raises(StorageFull, match="no space is left for the world"):
            for _ in range(200):  # what the file has room for inside is used up first
                await wf.start(grows.with_options(attributes={"filling": "x" * 200}))
        full = _count_by(await world.list_runs(wf.world.RunFilter(limit=1000)))
        go_on.set()
        await until(lambda: embedded.worker.busy > 0, "the result waits for its commit")
        assert await run.status() == "running", "reads still work"
        filler.unlink()
        assert await run.return_value(timeout=30) == 400_000
        events = await read_log(world, run.run_id)
        assert [e.type for e in events].count("step_completed") == 2
        assert len(full) >= len(before)
        for run_id in full:  # none is half there
            await read_log(world, run_id)
            await wf.get_run(run_id).return_value(timeout=30)
    await world.close()
    assert _count(small_disk / "world.db")["runs"] == len(full)


def _fill(disk: Path) -> Path:
    filler = disk / "filler"
    with open(filler, "wb", buffering=0) as file:
        try:
            while file.write(b"x" * 4096):
                pass
        except OSError:
            pass
    return filler


@pytest.mark.parametrize("is_clean", [True, False])
async def test_a_full_disk_is_no_reason_not_to_look_when_nobody_serves(
    is_clean: bool, small_disk: Path, tmp_path: Path
) -> None:
    """Neither where its last owner closed the file nor where that was killed and left all in the WAL."""
    writer = await open_world("sqlite", tmp_path)
    owner = await own(writer, "r1")
    await owner.commit(events=300)
    if is_clean:
        await writer.close()
    for name in ("world.db", "world.db-wal"):
        if (tmp_path / name).exists():
            shutil.copy(tmp_path / name, small_disk / name)
    filler = _fill(small_disk)
    client = SharedWorld(small_disk / "world.db")
    await client.open()
    assert [run.run_id for run in await client.list_runs(wf.world.RunFilter())] == ["r1"]
    assert len(await client.read_events("r1")) == 301
    assert len(await client.read_events("r1", 0, 10)) == 10
    worker = SharedWorld(small_disk / "world.db", role="worker")
    for refused in (client.create_run(new_run("r2")), worker.open()):
        with pytest.raises(StorageFull, match="no space"):
            await refused
    assert len(await client.read_events("r1")) == 301
    filler.unlink()
    await worker.close()
    worker = SharedWorld(small_disk / "world.db", role="worker")
    await worker.open()
    assert (await client.create_run(new_run("r2"))).is_new
    assert {run.run_id for run in await worker.list_runs(wf.world.RunFilter())} == {"r1", "r2"}
    await client.close()
    await worker.close()
    if not is_clean:
        await writer.close()


def _count_by(rows: list[Any]) -> list[str]:
    return [row.run_id for row in rows]


FULL = """
import resource, signal
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
begun, go_on = asyncio.Event(), asyncio.Event()

@wf.step(name="big")
async def big() -> bytes:
    begun.set()
    await go_on.wait()
    return os.urandom(300_000)

@wf.workflow(name="grows")
async def grows() -> int:
    return len(await big())

async with wf.worker() as worker:
    run = await wf.start(grows)
    await begun.wait()
    hard = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
    size = max(os.path.getsize(os.path.join(".", name)) for name in os.listdir("."))
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        for _ in range(500):
            await wf.start(grows.with_options(delay="1d", attributes={"filling": "x" * 200}))
    except wf.errors.StorageFull as error:
        refused = str(error)
    go_on.set()
    await asyncio.sleep(0.1)
    status = await run.status()
    resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
    value = await run.return_value(timeout=20)
    print(json.dumps([refused, status, value]))
"""


def test_a_file_that_may_not_grow_is_a_full_disk_and_the_run_finishes_when_it_may(tmp_path: Path):
    place = Place(tmp_path)
    refused, status, value = json.loads(place.run(FULL).stdout)
    assert refused.startswith(f"no space is left for the world {place.db}")
    assert (status, value) == ("running", 300_000)
    db = sqlite3.connect(place.db)
    assert db.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    db.close()


@pytest.fixture
def locked_folder(tmp_path: Path) -> Iterator[Path]:
    """A folder that this user may not write: for root that takes a file system that nobody may."""
    folder = tmp_path / "locked"
    folder.mkdir()
    if os.getuid() != 0:
        folder.chmod(0o555)
        yield folder
        return
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "ro,size=1m", "wf-test", str(folder)]).returncode != 0:
        pytest.skip("this machine mounts no tmpfs")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.parametrize("key", ["given", "to be made"])
async def test_a_folder_that_may_not_be_written_is_a_world_error_that_names_it(
    locked_folder: Path, key: str, monkeypatch: pytest.MonkeyPatch
):
    if key == "given":
        monkeypatch.setenv("WF_KEY", KEY)
    with pytest.raises(WorldError) as caught:
        async with wf.worker(f"sqlite:///{locked_folder}/world.db"):
            pass
    assert str(locked_folder) in str(caught.value)
    assert "Read-only file system" in str(caught.value) or "Permission denied" in str(caught.value)
    assert list(locked_folder.iterdir()) == []


async def test_a_world_that_is_not_open_refuses_calls_in_words(tmp_path: Path):
    world = SqliteWorld(tmp_path / "world.db", "process")
    with pytest.raises(WorldError):
        await world.get_run("wrun_1")
    await world.close()


# -- clocks -------------------------------------------------------------------------------------


class JumpingClock:
    """The wall clock, moved by whoever holds it."""

    is_virtual = False

    def __init__(self) -> None:
        self.offset_us = 0
        self._clock = SystemClock()

    def now_us(self) -> int:
        return self._clock.now_us() + self.offset_us


async def test_a_clock_that_jumps_fires_nothing_early_and_what_is_due_once(tmp_path: Path):
    fired: list[str] = []

    @wf.step(name="note")
    async def note(text: str) -> None:
        fired.append(text)

    @wf.workflow(name="sleeps")
    async def sleeps(label: str, hours: float) -> str:
        await wf.sleep(hours * 3600)
        await note(label)
        return label

    clock = JumpingClock()
    world = await open_world("sqlite", tmp_path)
    async with make_worker(world, clock=clock) as embedded:

        async def jump(hours: float) -> None:
            clock.offset_us += round(hours * HOUR_US)
            embedded.worker.look()
            await embedded.drain()

        one = await wf.start(sleeps, "one", 1)
        three = await wf.start(sleeps, "three", 3)
        await until(lambda: _has_waits(world, 2), "both sleep")
        await jump(-2)
        assert fired == []
        await jump(2.5)  # half an hour after the start
        assert fired == []
        await jump(1)
        assert await one.return_value(timeout=20) == "one"
        assert fired == ["one"]
        await jump(-24 * 365)
        assert fired == ["one"]
        late = await wf.start(sleeps, "late", 1)
        await embedded.drain()
        await jump(24 * 365 + 2)
        assert await three.return_value(timeout=20) == "three"
        assert await late.return_value(timeout=20) == "late"
        await jump(24)
        assert sorted(fired) == ["late", "one", "three"]
        for run in (one, three, late):
            events = await read_log(world, run.run_id)  # its times never go back
            assert [e.type for e in events].count("wait_completed") == 1
            wait = next(e for e in events if e.type == "wait_created")
            done = next(e for e in events if e.type == "wait_completed")
            assert done.at >= json.loads(wait.meta or "{}")["due_at"]
    await world.close()


async def test_a_clock_that_went_back_does_not_take_bodies_back(tmp_path: Path):
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow(name="watches")
    async def watches() -> list[int]:
        times = [wf.time_ns()]
        await wf.hook(token="go")
        times.append(wf.time_ns())
        await one()
        return [*times, wf.time_ns()]

    clock = JumpingClock()
    world = await open_world("sqlite", tmp_path)
    async with make_worker(world, clock=clock):
        run = await wf.start(watches)
        await until(lambda: _has_hooks(world), "it waits")
        clock.offset_us -= 5 * HOUR_US
        await wf.resume_hook("go")
        times = await run.return_value(timeout=20)
        assert times == sorted(times)
        await read_log(world, run.run_id)
    await world.close()


async def _has_waits(world: Any, count: int) -> bool:
    return len(await world.list_waits()) == count


async def _has_hooks(world: Any) -> bool:
    return bool(await world.list_hooks())
