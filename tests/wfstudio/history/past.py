"""A past to ask about: a world in which runs completed, failed, were tried again, were cut off, and wait."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import duckdb

import wf
from tests.wfstudio import flows
from tests.wfstudio.studio import keep_code, rest, run, until
from wf.embedding import EmbeddedWorker
from wf.keys import Keyring
from wf.registry import isolated
from wfstudio.core.client import Client
from wfstudio.history.mirror import History
from wfstudio.history.payloads import Payloads
from wfstudio.history.schema import make_views


class Past(NamedTuple):
    """The world's file, its keys, and its runs by what became of them. No worker serves it now."""

    path: Path
    keyring: Keyring
    greeted: str
    costly: str
    large: str
    failed: list[str]
    flaky: str
    patient: str
    waiting: str
    answered: str
    sleeping: str
    cut_off: str
    fanned_out: str
    cancelled: str


def make_past(folder: Path) -> Past:
    return asyncio.run(_make(folder))


async def _make(folder: Path) -> Past:
    path = folder / "world.db"
    with isolated():

        @wf.workflow(name="past.fan_out")
        async def fan_out() -> list[str]:
            return await asyncio.gather(flows.greet_one("ada"), flows.greet_one("bob"))

        # One slot: what is called side by side has to wait for it.
        async with _open_worker(path) as client:
            greeted = (await run(client, "greet", "ada", times=2)).id
            costly = (await client.start("greet", ["bob"], attributes={"cost": "0.25"})).id
            also_costly = (await client.start("greet", ["eve"], attributes={"cost": "0.5"})).id
            for run_id in (costly, also_costly):
                await client.wait_for_end(run_id, 10)
            large = (await run(client, "studio.gather", 1, x=_incompressible(50_000))).id
            failed = [(await run(client, "fail", message)).id for message in ("no money", "no luck")]
            flaky = (await run(client, "retry")).id
            patient = (await client.start("retry", [True])).id
            await rest(client, patient)
            waiting = (await rest(client, (await client.start("approve", ["docs"])).id)).id
            answered = (await rest(client, (await client.start("approve", ["shop"])).id)).id
            await client.resume("site:shop", {"approved": True})
            await client.wait_for_end(answered, 10)
            sleeping = (await rest(client, (await client.start("nap", [])).id)).id
            cancelled = (await rest(client, (await client.start("nap", [])).id)).id
            await client.cancel(cancelled, "enough")
            await client.wait_for_end(cancelled, 10)
            fanned_out = (await wf.start(fan_out)).run_id
            await client.wait_for_end(fanned_out, 10)
            cut_off = (await client.start("busy")).id
            await until(lambda: _is_running(client, cut_off, attempt=1))
        async with _open_worker(path) as client:  # it finds an attempt that nobody is at any more
            await until(lambda: _is_running(client, cut_off, attempt=2))
        return Past(
            path, client.session.keyring, greeted, costly, large, failed, flaky, patient, waiting, answered, sleeping,
            cut_off, fanned_out, cancelled,
        )  # fmt: skip


@asynccontextmanager
async def _open_worker(path: Path) -> AsyncIterator[Client]:
    async with EmbeddedWorker(f"sqlite:///{path}", concurrency=1, grace=0) as embedded:
        await keep_code(embedded.session)
        yield Client(embedded.session)


async def _is_running(client: Client, run_id: str, *, attempt: int) -> bool:
    steps = await client.list_steps(run_id)
    return [(step.status, len(step.attempts)) for step in steps] == [("running", attempt)]


def _incompressible(size: int) -> str:
    return random.Random(7).randbytes(size).hex()


@contextmanager
def open_past(past: Past) -> Iterator[duckdb.DuckDBPyConnection]:
    """Open a past as the process that answers does, in this one."""
    with History(past.path) as history:
        Payloads(history.feed, past.keyring).register(history.connection)
        make_views(history.connection)
        history.connection.execute("SET TimeZone = 'UTC'")
        yield history.connection


def ask(connection: duckdb.DuckDBPyConnection, sql: str) -> list[dict[str, Any]]:
    found = connection.execute(sql)
    names = [column[0] for column in found.description or ()]
    return [dict(zip(names, row, strict=True)) for row in found.fetchall()]
