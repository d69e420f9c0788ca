"""A worker process of the dev server: loads the user's code once, judges runs with it, serves them.

It imports `wf` and the user's code, and nothing else of the studio. Code that changes is never
loaded again here: the next process loads it.

1. Every message is answered, in order, until the process leaves.
2. When the studio is gone, so is the reason to serve: attempts in flight get a short grace.
"""

from __future__ import annotations

import asyncio
import contextlib
import faulthandler
import linecache
import logging
import os
import signal
import socket
import sys
import traceback
from pathlib import Path
from types import ModuleType
from typing import Any, Final

import msgspec

from wf.catalog import open_catalog
from wf.deployment import keep_deployment, read_deployment
from wf.errors import WorkflowError
from wf.loading import LoadError, load_target
from wf.registry import list_steps, list_workflows
from wf.session import Session, enter_session, make_world
from wf.settings import Settings, configure, load_settings
from wf.worker import guard, verdicts
from wf.worker.casualties import Casualties, open_casualties
from wf.worker.watching import BodyWatch
from wf.worker.worker import Worker
from wfstudio.core.bench.code import list_entries, load_stored
from wfstudio.core.bytecode import keep_none_of_fresh_files
from wfstudio.core.offspring import leave_signals_behind
from wfstudio.dev.faults import WorkerFaults
from wfstudio.dev.wire import (
    LONGEST_LINE,
    Failed,
    FaultsSet,
    HandOver,
    Judge,
    Judged,
    Leave,
    Loaded,
    Newest,
    NotLoaded,
    Order,
    Ping,
    Pong,
    Serve,
    Serving,
    SetFaults,
    decode_command,
    encode_line,
    read_line,
)

ORPHAN_GRACE_SECONDS: Final = 2.0
FRAME_LINES: Final = 2
LOG_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"


def run_child(control: socket.socket, order: Order) -> int:
    """Be a worker process until told to leave. `control` is its end of the socket pair."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole terminal; the studio decides
    # A group's signal (`timeout`, a service manager) is the studio's to decide about, too. Not `SIG_IGN`, which
    # programs that a step starts would inherit.
    signal.signal(signal.SIGTERM, lambda number, frame: None)
    leave_signals_behind()
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format=LOG_FORMAT)
    keep_none_of_fresh_files()
    configure(world=order.world)
    try:
        modules = _load(order) if order.pegged_to is None else _load_pegged(order, order.pegged_to)
    except LoadError as error:
        control.sendall(encode_line(_describe_failure(error)))
        return 1
    except WorkflowError as error:
        control.sendall(encode_line(NotLoaded(error.slug, str(error), error.where, error.hint)))
        return 1
    return asyncio.run(_Child(control, order, modules).run())


def _read_settings(order: Order) -> Settings:
    root = Path(order.root)
    return msgspec.structs.replace(
        load_settings(root),
        root=root,
        world=order.world,
        durability=order.durability,
        concurrency=order.concurrency,
    )


async def _read_pegged(order: Order, deployment_id: str) -> tuple[dict[str, bytes], dict[str, str]]:
    """Give the files of a deployment, and which of them defines what."""
    settings = _read_settings(order)
    world, keyring = make_world(settings, role="client")
    try:
        row = await world.get_deployment(deployment_id)
        files = await read_deployment(Session(world, keyring, settings), deployment_id)
    finally:
        await world.close()
    if row is None or files is None:
        raise LoadError(f"the deployment {deployment_id} is not kept whole")
    return files, list_entries(open_catalog(keyring, row))


def _load_pegged(order: Order, deployment_id: str) -> list[ModuleType]:
    """Load a deployment as it was loaded once, which need not have been as this server's targets say."""
    files, entries = asyncio.run(_read_pegged(order, deployment_id))
    before = os.getcwd()
    os.chdir(order.root)
    try:
        modules = load_stored(order.root, files, entries)
    finally:
        os.chdir(before)
    return modules or _load(order)  # of one without a catalog this is the best guess


def _load(order: Order) -> list[ModuleType]:
    """Load the targets as seen from their root; the working directory is the user's again afterwards."""
    before = os.getcwd()
    os.chdir(order.root)
    try:
        return [module for target in order.targets for module in load_target(target)]
    finally:
        os.chdir(before)


class _Child:
    def __init__(self, control: socket.socket, order: Order, modules: list[ModuleType]) -> None:
        self._control = control
        self._order = order
        self._modules = modules
        self._worker: Worker | None = None
        self._casualties: Casualties | None = None
        self._watch: BodyWatch | None = None
        self._faults = WorkerFaults()

    async def run(self) -> int:
        self._control.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=self._control, limit=LONGEST_LINE)
        try:
            await self._open()
        except WorkflowError as error:
            await self._say(Failed(error.slug, str(error), error.hint))
            return 1
        grace = ORPHAN_GRACE_SECONDS
        try:
            while (line := await read_line(reader)) is not None:
                command = decode_command(line)
                if isinstance(command, Leave):
                    grace = command.grace_seconds
                    break
                await self._obey(command)
        finally:
            await self._close(grace)
        return 0

    async def _open(self) -> None:
        order = self._order
        settings = _read_settings(order)
        world, keyring = make_world(settings, role="worker")
        opening = getattr(world, "open", None)
        if opening is not None:
            await opening()
        self._session = Session(world, keyring, settings)
        if order.pegged_to is None:
            self._session.deployment_id = await keep_deployment(self._session, self._modules)
        else:
            self._session.deployment_id = order.pegged_to
        enter_session(self._session)
        self._casualties = open_casualties(settings, self._session.deployment_id)
        self._watch = guard.install()
        if self._watch is not None and self._casualties is not None:
            self._watch.casualties.append(self._casualties)
        names = [workflow.id for workflow in list_workflows()]
        steps = sum(not step.id.startswith("wf/") for step in list_steps())
        await self._say(Loaded(self._session.deployment_id, names, steps))

    async def _close(self, grace_seconds: float) -> None:
        with contextlib.suppress(WorkflowError):
            if self._worker is not None:
                await self._worker.close(grace_seconds)
            await self._session.world.close()
        if self._casualties is not None:
            if self._watch is not None:
                self._watch.casualties.remove(self._casualties)
            self._casualties.close()

    async def _obey(self, command: Judge | Serve | HandOver | Newest | SetFaults | Ping) -> None:
        match command:
            case Judge():
                await self._say(Judged([verdict async for verdict in self._judge(command)]))
            case Serve():
                await self._serve(command.deployments)
                await self._say(Serving(command.deployments))
            case HandOver():
                if self._worker is not None:
                    self._worker.hand_over(command.run_ids)
            case Newest():
                self._session.newest_deployment_id = command.deployment_id
            case SetFaults():
                unknown = self._faults.set_rules(command.rules)
                self._interfere()
                await self._say(FaultsSet(unknown))
            case Ping():
                await self._say(Pong())

    async def _judge(self, command: Judge) -> Any:
        session = self._session
        for run_id in command.run_ids:
            row = await session.world.get_run(run_id)
            if row is not None and (row.ended_at is not None) == command.is_ended:
                limits = session.settings.limits
                yield await verdicts.judge(session.world, session.keyring, row, limits, self._casualties, self._watch)

    async def _serve(self, deployments: list[str]) -> None:
        if self._worker is not None:
            await self._worker.serve(deployments)
            return
        session, url = self._session, self._order.url
        self._worker = Worker(
            session,
            concurrency=session.settings.concurrency,
            deployments=deployments,
            page_url=(lambda run_id: f"{url}/runs/{run_id}") if url else None,
        )
        self._interfere()
        await self._worker.open()

    def _interfere(self) -> None:
        if self._worker is not None:
            self._worker.interference = self._faults if self._faults.rules else None

    async def _say(self, report: Any) -> None:
        self._writer.write(encode_line(report))
        with contextlib.suppress(ConnectionError):
            await self._writer.drain()


def _describe_failure(error: LoadError) -> NotLoaded:
    cause = error.__cause__
    text = None
    if cause is not None:
        text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    return NotLoaded(error.slug, str(error), error.where, error.hint, text, _show_frame(error.where))


def _show_frame(where: str | None) -> str | None:
    """Give the lines around `file:line in function`, the one in question marked."""
    if where is None:
        return None
    file, _, rest = where.rpartition(":")
    digits = rest.split(" ", 1)[0]
    if not digits.isdigit():
        return None
    number = int(digits)
    lines = [
        f"{'>' if n == number else ' '} {n:>4} | {linecache.getline(file, n).rstrip()}"
        for n in range(max(1, number - FRAME_LINES), number + FRAME_LINES + 1)
        if linecache.getline(file, n)
    ]
    return "\n".join(lines) or None


def main(argv: list[str]) -> int:
    """Be started as a process of its own: `child.py FD ORDER`, where forking a warm one is not possible."""
    control = socket.socket(fileno=int(argv[0]))
    return run_child(control, msgspec.json.decode(argv[1], type=Order))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
