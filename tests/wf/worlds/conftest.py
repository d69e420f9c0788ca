"""Worlds under test: one registry, one loop a test, one clock that stands still.

To put another world through the contract, add a factory to `WORLDS`. It is given a folder of its
own and the monotonic clock by which leases expire, and returns an open world.
"""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.wf.worlds.acts import ManualTime
from wf.world import World
from wf.worlds.lockfile import socket_paths
from wf.worlds.memory import MemoryWorld
from wf.worlds.remote import RemoteWorld
from wf.worlds.server import WorldServer
from wf.worlds.sqlite import SqliteWorld
from wf.worlds.wire import METHOD, Method

WorldFactory = Callable[[Path, ManualTime], Awaitable[World]]


async def open_memory(folder: Path, time: ManualTime) -> World:
    return MemoryWorld(monotonic=time)


async def open_sqlite(folder: Path, time: ManualTime) -> World:
    world = SqliteWorld(folder / "world.db", durability="process", monotonic=time)
    await world.open()
    return world


class ServedWorld(RemoteWorld):
    """An SQLite world seen through a server's socket; it closes with both."""

    def __init__(self, inner: SqliteWorld, server: WorldServer) -> None:
        super().__init__(server.endpoint)
        self.inner = inner
        self.server = server

    async def call(self, method: Method, *arguments: Any) -> Any:
        """Let the rings of a call arrive before its answer, as they do with a world on this loop."""
        try:
            return await super().call(method, *arguments)
        finally:
            if not self.is_lost:
                await super().call(METHOD["read_source"], "")

    async def close(self) -> None:
        await super().close()
        await self.server.stop()
        await self.inner.close()


async def open_remote(folder: Path, time: ManualTime) -> World:
    inner = SqliteWorld(folder / "world.db", durability="process", monotonic=time)
    await inner.open()
    server = WorldServer(inner, socket_paths(str(folder / "world.db")))
    await server.start()
    world = ServedWorld(inner, server)
    await world.open()
    return world


WORLDS: dict[str, WorldFactory] = {"memory": open_memory, "sqlite": open_sqlite, "remote": open_remote}


async def open_postgres(url: str, time: ManualTime) -> World:
    from wf.worlds.postgres import PostgresWorld

    world = PostgresWorld(url, durability="process", monotonic=time)
    await world.open()
    return world


@pytest.fixture
def time() -> ManualTime:
    return ManualTime()


@pytest.fixture(params=[*WORLDS, "postgres"])
def world(request: pytest.FixtureRequest, runner: asyncio.Runner, tmp_path: Path, time: ManualTime) -> Iterator[World]:
    if request.param == "postgres":
        # What is rung for is told by who did it; who looks for himself may find it again.
        request.getfixturevalue("monkeypatch").setattr("wf.worlds.postgres.bell.POLL_SECONDS", 3600.0)
        opened = runner.run(open_postgres(request.getfixturevalue("emptied_postgres_url"), time))
    else:
        opened = runner.run(_open(WORLDS[request.param], tmp_path, time))
    yield opened
    runner.run(opened.close())


async def _open(factory: WorldFactory, folder: Path, time: ManualTime) -> World:
    return await factory(folder, time)


@pytest.fixture(autouse=True)
def runner() -> Iterator[asyncio.Runner]:
    """The loop of a test: its fixtures, its body and its world share it."""
    with asyncio.Runner() as one:
        yield one


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run `async def` tests on the test's loop; no plugin needed."""
    if not inspect.iscoroutinefunction(pyfuncitem.obj):
        return None
    arguments = {name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}
    runner = pyfuncitem.funcargs["runner"]
    assert isinstance(runner, asyncio.Runner)
    runner.run(pyfuncitem.obj(**arguments))
    return True
