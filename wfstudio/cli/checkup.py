"""The checkup: what `wf doctor` looks at, one check at a time. Looking changes nothing and makes nothing."""

from __future__ import annotations

import os
import platform
import shutil
import sqlite3
import stat
from collections.abc import AsyncIterator, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec

import wfstudio
from wf import chain
from wf.errors import DecryptionError, WorkflowError
from wf.keys import Keyring
from wf.records import open_event
from wf.settings import Settings
from wf.world import RunFilter, RunRow
from wf.worlds.lockfile import lock_path, read_holder
from wfstudio.cli.connection import find_server, open_client, settle
from wfstudio.core.client import Client
from wfstudio.core.server_file import server_file_path

if TYPE_CHECKING:
    from wf.worlds.postgres import PostgresWorld
    from wf.worlds.postgres.server import ServerFacts

LIBRARIES: Final = ("msgspec", "cryptography", "typer", "starlette", "uvicorn", "watchfiles")
LOW_SPACE: Final = 500 * 10**6
"""Bytes of free disk below which a busy world is soon in trouble."""
_EVENTS: Final = 5_000
_RUNS: Final = 1_000
_MOST_NAMED: Final = 10


class Check(msgspec.Struct, frozen=True):
    """What was looked at and what was found. `hint` is the cure of a finding."""

    name: str
    status: Literal["ok", "finding", "note"]
    detail: str
    hint: str | None = None


async def examine(world: str | None, *, is_verifying: bool) -> list[Check]:
    """Look at everything; a check that cannot be made is a finding, not an end."""
    checks = [_check_python(), _check_libraries(), _check_sqlite()]
    try:
        settings = settle(world)
    except WorkflowError as error:
        return [*checks, Check("settings", "finding", error.message, error.hint)]
    checks.append(Check("project", "ok", f"{settings.root}"))
    checks += _check_disk(settings)
    address = settings.address
    if address.kind == "postgresql":
        key = _check_key(settings)
        checks.append(key)
        if key.status != "finding":
            checks += [check async for check in _check_database(world, settings, is_verifying=is_verifying)]
        return checks
    if address.path is None:
        return [*checks, Check("world", "note", f"{address.shown}: nothing of it is on this disk")]
    if not address.path.exists():
        return [*checks, Check("world", "note", f"{address.shown} is not there yet; it is made with the first run")]
    checks += _check_modes(settings, address.path)
    key = _check_key(settings)
    checks.append(key)
    if key.status != "finding":  # connecting would put a fresh key where one is missing
        checks += [check async for check in _check_world(world, settings, is_verifying=is_verifying)]
    return checks


# -- the machine ----------------------------------------------------------------------------------


def _check_python() -> Check:
    found = f"{platform.python_implementation()} {platform.python_version()}, {platform.system()} {platform.machine()}"
    return Check("python", "ok", found)


def _check_libraries() -> Check:
    return Check("wf", "ok", ", ".join([wfstudio.__version__, *(f"{name} {version(name)}" for name in LIBRARIES)]))


def _check_sqlite() -> Check:
    found = sqlite3.sqlite_version
    if sqlite3.sqlite_version_info < (3, 37):
        return Check("sqlite", "finding", found, "use a Python with SQLite 3.37 or newer")
    return Check("sqlite", "ok", found)


def _check_disk(settings: Settings) -> Iterator[Check]:
    place = settings.address.path or settings.root
    while not place.exists():
        place = place.parent
    free = shutil.disk_usage(place).free
    detail = f"{free / 10**9:.1f} GB free"
    if free < LOW_SPACE:
        yield Check("disk", "finding", detail, f"free space on the disk of {place}")
    else:
        yield Check("disk", "ok", detail)


# -- files ----------------------------------------------------------------------------------------


def _check_modes(settings: Settings, world: Path) -> Iterator[Check]:
    """Whoever can read these files can read what runs do, and with the key also what they carry."""
    if os.name != "posix":
        return
    wanted = [world, Path(f"{world}-wal"), Path(f"{world}-shm"), Path(lock_path(str(world)))]
    wanted += [path for path in (settings.key_path, server_file_path(settings)) if path is not None]
    private = 0
    for path in wanted:
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
        except FileNotFoundError:
            continue
        if mode & (stat.S_IRWXG | stat.S_IRWXO):
            yield Check("modes", "finding", f"{path} is open to other users (mode {mode:04o})", f"chmod 600 {path}")
        private += 1
    yield Check("modes", "ok", f"{private} files looked at")


def _check_key(settings: Settings) -> Check:
    path = settings.key_path
    if "WF_KEY" not in os.environ and path is not None and not path.exists():
        hint = "put the world's key back; what was sealed with a lost key cannot be read again"
        return Check("key", "finding", f"there is no key at {path}", hint)
    try:
        ring = Keyring.load(path or settings.root, os.environ)
    except WorkflowError as error:
        return Check("key", "finding", error.message, error.hint)
    source = "WF_KEY" if "WF_KEY" in os.environ else str(path)
    if ring.is_off:
        return Check("key", "note", f"{source} is off: payloads are stored in clear")
    return Check("key", "ok", f"{source}, {', '.join(id.hex() for id in ring.key_ids)}")


# -- the world ------------------------------------------------------------------------------------


async def _check_world(world: str | None, settings: Settings, *, is_verifying: bool) -> AsyncIterator[Check]:
    path = settings.address.path
    assert path is not None
    holder = read_holder(str(path))
    if holder is None:
        yield Check("owner", "note", "nobody has the world; runs rest until a worker comes")
    else:
        yield Check("owner", "ok", f"process {holder.pid} has the world")
    yield _check_studio(settings)
    try:
        async with open_client(world) as client:
            async for check in _check_runs(client, settings, is_verifying=is_verifying):
                yield check
    except WorkflowError as error:
        yield Check("world", "finding", error.message, error.hint)


async def _check_database(world: str | None, settings: Settings, *, is_verifying: bool) -> AsyncIterator[Check]:
    yield _check_studio(settings)
    try:
        async with open_client(world) as client:
            facts = await cast("PostgresWorld", client.session.world).read_server_facts()
            yield Check("postgres", "ok", f"{facts.version}, {facts.world_bytes / 10**6:.1f} MB of world")
            yield _check_keeping(facts)
            if facts.connections > facts.most_connections * 0.8:
                detail = f"{facts.connections} of {facts.most_connections} connections are in use"
                yield Check(
                    "connections", "finding", detail, "raise max_connections; a process of wf holds up to seven"
                )
            if facts.workers:
                yield Check("workers", "ok", f"{facts.workers} announced")
            else:
                yield Check("workers", "note", "no worker runs; runs rest until one comes")
            async for check in _check_runs(client, settings, is_verifying=is_verifying):
                yield check
    except WorkflowError as error:
        yield Check("world", "finding", error.message, error.hint)


def _check_keeping(facts: ServerFacts) -> Check:
    """Look at what an answer of the database is worth."""
    if not facts.is_fsyncing or not facts.is_writing_full_pages:
        name = "fsync" if not facts.is_fsyncing else "full_page_writes"
        return Check("durability", "finding", f"the server has {name} = off: a power cut may ruin it", f"{name} = on")
    return Check("durability", "ok", f"synchronous_commit = {facts.synchronous_commit}")


def _check_studio(settings: Settings) -> Check:
    server = find_server(settings)
    return Check("studio", "note", "no studio runs" if server is None else f"{server.url}, process {server.pid}")


async def _check_runs(client: Client, settings: Settings, *, is_verifying: bool) -> AsyncIterator[Check]:
    newest = await client.session.world.list_runs(RunFilter(limit=1))
    yield Check("world", "ok", settings.address.shown)
    if newest:
        yield await _check_payload(client, newest[0])
    async for check in _check_attentions(client):
        yield check
    if is_verifying:
        yield await _verify_all(client)


async def _check_payload(client: Client, row: RunRow) -> Check:
    """Open what the newest run was started with: is the key the one that the world was written with?"""
    first = await client.session.world.read_events(row.run_id, 0, 1)
    try:
        open_event(client.session.keyring.run(row.run_id), first[0])
    except DecryptionError as error:
        return Check("payloads", "finding", error.message, error.hint)
    return Check("payloads", "ok", f"the newest run, {row.run_id}, can be read")


async def _check_attentions(client: Client) -> AsyncIterator[Check]:
    rows = await client.session.world.list_runs(
        RunFilter(status=["pending", "running"], limit=_RUNS, is_imported=False)
    )
    troubled = [row for row in rows if row.attention is not None]
    for row in troubled[:_MOST_NAMED]:
        assert row.attention is not None
        yield Check(
            "run", "finding", f"{row.run_id} needs attention: {row.attention.message}", f"wf inspect {row.run_id}"
        )
    if len(troubled) > _MOST_NAMED:
        yield Check("run", "finding", f"{len(troubled) - _MOST_NAMED} more runs need attention", "wf inspect")


async def _verify_all(client: Client) -> Check:
    """Verify every log against its hash chain, and its head against the key's signature."""
    verified, events = 0, 0
    cursor: str | None = None
    while True:
        rows = await client.session.world.list_runs(RunFilter(limit=_RUNS, cursor=cursor))
        for row in rows:
            try:
                events += await _verify(client, row)
            except DecryptionError as error:
                return Check("logs", "finding", f"{error.message}; {verified} runs before it are whole", error.hint)
            verified += 1
        if len(rows) < _RUNS:
            return Check("logs", "ok", f"{verified} runs with {events} events are whole")
        cursor = rows[-1].run_id


async def _verify(client: Client, row: RunRow) -> int:
    """Verify one log and give the number of its events. Raises `DecryptionError`."""
    run_id, seq, head = row.run_id, 0, chain.genesis(row.run_id)
    while seq < row.seq:
        page = await client.session.world.read_events(run_id, seq, min(_EVENTS, row.seq - seq))
        if not page:
            raise DecryptionError(run_id, seq + 1, "log", "the event is missing")
        head = chain.verify(page, run_id, head, seq)
        seq = page[-1].seq
    if head != row.head:
        raise DecryptionError(run_id, seq, "log", "the log does not end where the run says it does")
    if not client.session.keyring.run(run_id).check_mac(row.seq, row.head, row.mac):
        raise DecryptionError(run_id, seq, "log", "the head of the log is not authentic")
    return seq
