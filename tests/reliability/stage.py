"""The stage of the reliability tests: worlds with a lease clock, workers, and processes that work."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from wf import chain
from wf.embedding import EmbeddedWorker
from wf.events import ENDS, Event
from wf.keys import Keyring
from wf.world import World
from wf.worlds.memory import MemoryWorld
from wf.worlds.sqlite import SqliteWorld

KEY = "c7" * 32
KEYRING = Keyring.parse(KEY)
PATIENCE_SECONDS = 30.0
postgres_urls: list[str] = []
"""Where the Postgres world of the running test is; see conftest.py."""


class LeaseClock:
    """The monotonic clock by which leases expire; it moves when a test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def __call__(self) -> float:
        return self.seconds


async def open_world(kind: str, folder: Path, clock: LeaseClock | None = None) -> Any:
    timing: dict[str, Any] = {} if clock is None else {"monotonic": clock}
    if kind == "memory":
        return MemoryWorld(**timing)
    if kind == "postgres":
        from wf.worlds.postgres import PostgresWorld

        database = PostgresWorld(postgres_urls[-1], "process", **timing)
        await database.open()
        return database
    world = SqliteWorld(folder / "world.db", "process", **timing)
    await world.open()
    return world


def make_worker(world: World, **options: Any) -> EmbeddedWorker:
    return EmbeddedWorker(world, grace=0, keyring=KEYRING, capture_logs=False, **options)


async def until(condition: Callable[[], bool | Awaitable[bool]], what: str = "it") -> None:
    """Wait until something is so; a test that waits in vain says for what."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        met = condition()
        if isinstance(met, Awaitable):
            met = await met
        if met:
            return
        assert time.monotonic() < deadline, f"waited in vain until {what}"
        await asyncio.sleep(0.002)


async def read_log(world: World, run_id: str) -> list[Event]:
    """Give a run's whole log, and check that it is one chain with one end at most."""
    events = await world.read_events(run_id, 0, 100_000)
    row = await world.get_run(run_id)
    assert row is not None
    assert chain.verify(events, run_id) == row.head
    assert [event.seq for event in events] == list(range(1, row.seq + 1))
    assert KEYRING.run(run_id).check_mac(row.seq, row.head, row.mac)
    assert sum(event.type in ENDS for event in events) <= 1
    times = [event.at for event in events]
    assert times == sorted(times), "the log's time goes back"
    return events


def check_steps(events: list[Event], executed: dict[str, list[int]]) -> None:
    """Every step has one end, and every attempt that executed is in the log and executed once."""
    began: dict[int, list[int]] = {}
    ended: list[int] = []
    for event in events:
        number = event.correlation_id or 0
        if event.type in ("step_created", "step_started") and event.attempt:
            began.setdefault(number, []).append(event.attempt)
            assert number not in ended, f"step {number} began after its end"
        if event.type in ("step_completed", "step_failed"):
            assert number not in ended, f"step {number} ended twice"
            ended.append(number)
    for number, attempts in began.items():
        ran = executed.get(f"{events[0].run_id}:{number}", [])
        assert len(set(ran)) == len(ran), f"an attempt of step {number} executed twice: {ran}"
        assert set(ran) <= set(attempts), f"step {number} executed {ran}, the log knows {attempts}"


def read_effects(path: Path) -> dict[str, list[int]]:
    executed: dict[str, list[int]] = {}
    for line in path.read_text().splitlines() if path.exists() else []:
        step_id, attempt = line.rsplit(" ", 1)
        executed.setdefault(step_id, []).append(int(attempt))
    return executed


class Place:
    """A folder with a world file, a key and a flow module, and processes that work there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.db = folder / "world.db"
        self.environ = {
            **os.environ,
            "WF_WORLD": f"sqlite:///{self.db}",
            "WF_DURABILITY": "process",
            "WF_KEY": KEY,
            "EFFECTS": str(folder / "effects"),
            "PYTHONDONTWRITEBYTECODE": "1",  # an edit within one second would be taken for the old code
            "PYTHONPATH": str(folder),
        }

    def write(self, source: str, name: str = "flow.py") -> None:
        (self.folder / name).write_text(textwrap.dedent(source).lstrip("\n"))

    def run(
        self, program: str, *, timeout: float = 60, check: bool = True, **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run a program (the inside of an `async def`, after `import wf, asyncio, flow`) to its end."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", as_program(program)],
            cwd=self.folder, env={**self.environ, **environ}, capture_output=True, text=True, timeout=timeout,
        )  # fmt: skip
        if check:
            assert done.returncode == 0, done.stderr
        return done

    def spawn(self, program: str, **environ: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-W", "error", "-c", as_program(program)],
            cwd=self.folder, env={**self.environ, **environ},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def effects(self) -> dict[str, list[int]]:
        return read_effects(self.folder / "effects")


HEAD = """
import asyncio, faulthandler, json, os, sys, time

faulthandler.dump_traceback_later(45, exit=True)  # who hangs says where
import wf
from wf.loading import load_target

async def until(condition):
    deadline = time.monotonic() + 20
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.003)

async def until_attention(run):
    async def is_there():
        return await run.attention() is not None
    await until(is_there)

async def main():
"""


def as_program(body: str) -> str:
    return HEAD + textwrap.indent(textwrap.dedent(body), "    ") + "\nasyncio.run(main())\n"
