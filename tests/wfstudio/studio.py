"""A small studio for tests: a world, a worker that runs `flows`, its stored code, and a client."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from tests.wfstudio import flows
from wf.catalog import Catalog, make_catalog, seal_catalog, seal_source
from wf.clock import Clock
from wf.deployment import deployment_id
from wf.embedding import EmbeddedWorker
from wf.keys import Keyring
from wf.session import Session
from wf.world import DeploymentRow
from wf.worlds.memory import MemoryWorld
from wfstudio.core.client import Client
from wfstudio.core.views import RunView

T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[2]
WORLDS = ["memory", "sqlite"]
SOURCE = b"import wf\n"
DIGEST = sha256(SOURCE).hexdigest()
DEPLOYMENT = deployment_id({"flows.py": DIGEST})


@asynccontextmanager
async def open_studio(
    kind: str = "memory", folder: Path | None = None, *, clock: Clock | None = None
) -> AsyncIterator[Client]:
    if kind == "memory":
        embedded = EmbeddedWorker(MemoryWorld(), keyring=Keyring([os.urandom(32)]), grace=0, clock=clock)
    else:
        embedded = EmbeddedWorker(f"sqlite:///{folder}/world.db", grace=0, clock=clock)
    async with embedded:
        await keep_code(embedded.session)
        yield Client(embedded.session)


async def keep_code(session: Session, name: str = DEPLOYMENT, *, leaves_out: str = "") -> None:
    """Store the catalog of `flows`, as a worker that loaded it would."""
    entries = [
        entry
        for entry in make_catalog(ROOT).workflows
        if entry.file == "tests/wfstudio/flows.py" and entry.id != leaves_out
    ]
    catalog = seal_catalog(session.keyring, name, Catalog(entries))
    row = DeploymentRow(name, session.now_us(), {"flows.py": DIGEST}, catalog=catalog)
    await session.world.put_deployment(row, {DIGEST: seal_source(session.keyring, DIGEST, SOURCE)})


async def until(look: Callable[[], Awaitable[T | None]]) -> T:
    """Look until there is something."""
    async with asyncio.timeout(10):
        while True:
            found = await look()
            if found:
                return found
            await asyncio.sleep(0.002)


async def rest(client: Client, run_id: str, reason: str = "") -> RunView:
    """Wait until a run rests, for a reason that begins so."""

    async def look() -> RunView | None:
        view = await client.get_run(run_id)
        return view if view.reason is not None and view.status == "running" and view.reason.startswith(reason) else None

    return await until(look)


async def run(client: Client, workflow: str, *args: Any, **kwargs: Any) -> RunView:
    """Start a run and wait for its end."""
    started = await client.start(workflow, args, kwargs)
    return await client.wait_for_end(started.id, 10)


__all__ = ["DEPLOYMENT", "DIGEST", "SOURCE", "WORLDS", "flows", "keep_code", "open_studio", "rest", "run", "until"]
