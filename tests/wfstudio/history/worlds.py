"""Two worlds for tests of transfers: one where runs run, and one that they come to."""

from __future__ import annotations

import io
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec

from tests.wfstudio.studio import keep_code
from wf.embedding import EmbeddedWorker
from wf.keys import Keyring
from wf.session import Session
from wf.settings import Settings
from wf.world import World
from wf.worlds.memory import MemoryWorld
from wf.worlds.sqlite import SqliteWorld
from wfstudio.core.client import Client
from wfstudio.history.bundle.writing import write_bundle


@asynccontextmanager
async def open_source() -> AsyncIterator[Client]:
    """Open a world in memory with a worker that runs `flows`, pegged to code that is kept."""
    embedded = EmbeddedWorker(MemoryWorld(), keyring=Keyring([os.urandom(32)]), grace=0)
    async with embedded:
        await keep_code(embedded.session)
        yield Client(embedded.session)


@asynccontextmanager
async def open_target(folder: Path | None = None) -> AsyncIterator[Client]:
    """Open a world of another key that nobody works in: in memory, or in a folder."""
    world: World
    if folder is None:
        world = MemoryWorld()
    else:
        world = SqliteWorld(folder / "target.db", "process")
        await world.open()
    try:
        yield Client(Session(world, Keyring([os.urandom(32)]), Settings(root=Path("/nowhere"))))
    finally:
        await world.close()


async def bundle_of(client: Client, *run_ids: str, is_redacted: bool = False) -> bytes:
    file = io.BytesIO()
    await write_bundle(client.session, run_ids, file, is_redacted=is_redacted)
    return file.getvalue()


async def look_at(client: Client, run_id: str) -> dict[str, Any]:
    """Read all that a face can show of a run."""
    streams = await client.list_streams(run_id)
    return {
        "run": await client.get_run(run_id),
        "listed": await client.find_run(run_id),
        "events": await client.list_events(run_id),
        "steps": await client.list_steps(run_id),
        "trace": await client.read_trace(run_id),
        "logs": await client.read_logs(run_id),
        "streams": streams,
        "chunks": [[chunk async for chunk in client.read_stream(run_id, stream.name)] for stream in streams],
    }


def without(look: dict[str, Any], *names: str) -> dict[str, Any]:
    """Leave out of a look at a run what differs from world to world, or goes on with the clock."""
    fixed = {"origin": None, "reason": None, "duration_ms": None, "queued_ms": 0.0, "payload_bytes": 0}
    changed = dict(look)
    for name in ("run", "listed"):
        changed[name] = msgspec.structs.replace(look[name], **{key: fixed[key] for key in fixed})
    changed["events"] = [msgspec.structs.replace(event, payload_bytes=0) for event in look["events"]]
    return {name: value for name, value in changed.items() if name not in names}


def ids(items: Sequence[Any]) -> list[str]:
    return [item.id for item in items]
