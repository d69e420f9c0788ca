"""Connections: from a command line to a world, and from what was typed to the run that is meant.

A command that reads never makes a world: a mistyped `--world` would otherwise look like one without
runs. Whoever owns the world's file is found through the world itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any, Final, TypeVar

import msgspec

from wf.errors import RunNotFoundError, WorkflowError, WorldError
from wf.ids import is_run_id
from wf.session import Session, enter_session, leave_session, make_world
from wf.settings import Settings, load_settings, parse_world_url
from wf.world import RunFilter
from wf.worlds.lockfile import read_holder
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import words
from wfstudio.core.client import Client
from wfstudio.core.server_file import ServerFile, read_server_file, server_file_path
from wfstudio.text.printable import printable

T = TypeVar("T")

RUN_PREFIX: Final = "wrun_"
MOST_LOOKED_AT: Final = 10_000
"""A prefix is looked for among so many runs, the newest ones."""
_PAGE: Final = 1_000
_MOST_NAMED: Final = 5


def settle(world: str | None) -> Settings:
    """Give the settings in force here, with the world that a command line names."""
    settings = load_settings()
    if world is None:
        return settings
    return msgspec.structs.replace(settings, world=parse_world_url(world, settings.root).url)


def find_server(settings: Settings) -> ServerFile | None:
    """Give the studio's server that runs beside this world, or None."""
    return read_server_file(server_file_path(settings))


@asynccontextmanager
async def open_client(world: str | None, *, is_making: bool = False) -> AsyncIterator[Client]:
    """Connect to a world for the time of a block; `is_making` makes the world if it is not there."""
    settings = settle(world)
    check_world(settings, is_making=is_making)
    backend, keyring = make_world(settings, role="client", is_making=is_making)
    session = Session(backend, keyring, settings)
    enter_session(session)
    try:
        yield Client(session)
    finally:
        leave_session(session)
        await backend.close()


def check_world(settings: Settings, *, is_making: bool = False) -> None:
    """Refuse a world that no other process can be in, or, unless one is made, that is not there."""
    address = settings.address
    if address.kind == "memory":
        error = WorldError("a world in memory belongs to one process, and this is another")
        error.hint = "name a file: `--world sqlite:///.wf/world.db`, or WF_WORLD"
        raise error
    if address.path is not None and not is_making and not address.path.exists():
        error = WorldError(f"there is no world at {address.path}")
        error.hint = "run something first, `wf run flow.py:main`, or name another with --world or WF_WORLD"
        raise error


def tell_who_serves(client: Client) -> None:
    """Say so if nobody serves the world's file: what was written then waits for the next worker.

    Of a database it is not known without asking, which a start or a message need not wait for; `wf doctor` does.
    """
    path = client.session.settings.address.path
    if path is None:
        return
    holder = read_holder(str(path))
    if holder is None or holder.endpoint is None:  # who serves nobody has only borrowed it, as we have
        words().print(f"no worker serves {printable(str(path))} now; the next `wf dev` or `wf worker` takes this up")


def carry_out(work: Coroutine[Any, Any, T]) -> T:
    """Run a command's coroutine to its end. An error comes out of its task groups alone: one is enough to say."""
    try:
        return asyncio.run(work)
    except BaseExceptionGroup as group:
        error: BaseException = group
        while isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        raise error from None


async def tell_none(client: Client, text: str, workflow: str | None) -> None:
    """Say that no run is as it was asked for; where the workflow's name may be mistyped, say that, too."""
    words().print(text)
    if workflow is not None:
        known = await list_workflow_names(client)
        hint = None if workflow in known else suggest(workflow, known)
        if hint is not None:
            words().print(f"  fix: the newest code has no workflow {printable(repr(workflow)):.80}; {hint}")


async def list_workflow_names(client: Client) -> list[str]:
    """List the names and ids of the newest code's workflows; none, where its catalog cannot be opened."""
    with suppress(WorkflowError):
        return [name for entry in await client.list_workflows() for name in (entry.name, entry.id)]
    return []


# -- the run that is meant ----------------------------------------------------------------------


async def find_run(client: Client, text: str) -> str:
    """Give the id of the run that is meant: an id, or a beginning of one, that only one run has.

    The beginning may leave `wrun_` out. Raises `RunNotFoundError`, and `Misuse` if several begin so.
    """
    if is_run_id(text) and await client.session.world.get_run(text) is not None:
        return text
    known = await list_run_ids(client)
    wanted = text.upper()
    found = [
        run_id
        for run_id in known
        if run_id.startswith(text) or (run_id.startswith(RUN_PREFIX) and run_id[len(RUN_PREFIX) :].startswith(wanted))
    ]
    if len(found) == 1:
        return found[0]
    if found:
        named = ", ".join(found[:_MOST_NAMED]) + (" …" if len(found) > _MOST_NAMED else "")
        raise Misuse(f"{len(found)} runs begin with {text!r:.80}", hint=f"write more of it: {named}")
    error = RunNotFoundError(text)
    error.hint = suggest(text, known) or "`wf inspect` lists the newest runs; another world is named with --world"
    raise error


async def list_run_ids(client: Client, limit: int = MOST_LOOKED_AT) -> list[str]:
    """List the ids of the newest runs. Rows only: no payload is opened for it."""
    found: list[str] = []
    cursor = None
    while len(found) < limit:
        page = min(_PAGE, limit - len(found))
        rows = await client.session.world.list_runs(RunFilter(limit=page, cursor=cursor))
        found += [row.run_id for row in rows]
        if len(rows) < page:
            break
        cursor = found[-1]
    return found
