"""`wf worker`: a worker for production. It loads the project, runs until told to stop, and says little.

SIGTERM and SIGINT stop it: it claims nothing more, gives attempts in flight their grace, and hands
its runs over. A second signal ends it at once; nothing is lost by that either.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, redirect_stdout
from types import ModuleType
from typing import Annotated, Final

import typer

from wf.durations import parse_duration
from wf.embedding import DEFAULT_GRACE, EmbeddedWorker
from wf.errors import WorkflowError
from wf.events import FAILED
from wf.invocation import adopt_settings
from wf.loading import LoadError, load_target
from wf.registry import list_workflows
from wf.session import Session
from wf.settings import Settings
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, check_world
from wfstudio.cli.failures import refuse_load
from wfstudio.cli.journal import Journal, JournalHandler
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import results
from wfstudio.core.client import Client
from wfstudio.core.offspring import leave_signals_behind
from wfstudio.core.retention import keep_forgetting

Concurrency = Annotated[
    int | None,
    typer.Option("--concurrency", metavar="N", min=1, help="Attempts at once (default: [tool.wf] concurrency, 100)."),
]
Grace = Annotated[
    str,
    typer.Option("--grace", metavar="DURATION", help="How long attempts in flight may go on when it is told to stop."),
]
Target = Annotated[
    str | None,
    typer.Argument(
        metavar="TARGET", help="A file, a package or a directory (default: [tool.wf] modules, else discovery)."
    ),
]
STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def worker(
    target: Target = None,
    world: parameters.World = None,
    concurrency: Concurrency = None,
    grace: Grace = DEFAULT_GRACE,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> int:
    """Run the project's workflows until told to stop (SIGTERM or Ctrl-C).

    Examples:

        wf worker

        wf worker flows/ --concurrency 20 --grace 1m --json
    """
    journal = Journal(results(), is_json=is_json)
    check_grace(grace)
    with redirect_stdout(sys.stderr):
        settings, modules = load_project(target, world)
        logging.getLogger("wf").addHandler(JournalHandler(journal))
        carry_out(_serve(journal, settings, modules, concurrency, grace))
    return 0


def check_grace(grace: str) -> None:
    try:
        parse_duration(grace, "--grace")
    except ValueError as error:
        raise Misuse.of(error) from None


def load_project(target: str | None, world: str | None) -> tuple[Settings, list[ModuleType]]:
    """Put the project's settings in force and import its modules. What they print goes where stdout does."""
    place = target or os.curdir
    settings = adopt_settings(place, world)
    check_world(settings, is_making=True)
    try:
        return settings, load_target(target or str(settings.root))
    except LoadError as error:
        raise refuse_load(error) from None


async def _serve(
    journal: Journal, settings: Settings, modules: list[ModuleType], concurrency: int | None, grace: str
) -> None:
    async with watching_for_stop() as stop:
        async with EmbeddedWorker(modules=modules, concurrency=concurrency, grace=grace, settings=settings) as embedded:
            await run_until(stop, journal, embedded.session, grace)
        journal.tell("stopped", "stopped; its runs go on with the next worker")


async def run_until(stop: asyncio.Event, journal: Journal, session: Session, grace: str) -> None:
    """Say what is notable of an open worker until it is told to stop."""
    tell_ready(journal, session)
    async with asyncio.TaskGroup() as group:
        telling = group.create_task(tell_troubles(journal, session))
        forgetting = group.create_task(
            keep_forgetting(session, lambda text, count: journal.tell("retention", text, message=text, runs=count))
        )
        await stop.wait()
        telling.cancel()
        forgetting.cancel()
    journal.tell("stopping", f"stopping: attempts in flight have {grace}", grace=grace)


def tell_ready(journal: Journal, session: Session) -> None:
    names = [workflow.id for workflow in list_workflows()]
    count = f"{len(names)} workflow{'' if len(names) == 1 else 's'}"
    journal.tell(
        "ready",
        f"ready: {count} from {session.settings.root}, world {session.settings.address.shown}",
        pid=os.getpid(),
        workflows=names,
        deployment_id=session.deployment_id,
        world=session.settings.address.shown,
    )


async def tell_troubles(journal: Journal, session: Session) -> None:
    """Say which runs fail or need attention, until cancelled. Rows only: no payload is opened for it."""
    async for run_id in Client(session).watch():
        try:
            row = await session.world.get_run(run_id)
        except WorkflowError as error:  # the database is away for a moment: no reason for a worker to end
            text = f"run {run_id} could not be looked at: {error}"
            journal.tell("warning", text, run_id=run_id, message=text)
            continue
        if row is None:
            continue
        if row.status == FAILED:
            text = f"run {run_id} of {row.workflow} failed ({row.error_code})"
            journal.tell("run_failed", text, run_id=run_id, workflow=row.workflow, code=row.error_code)
        elif row.attention is not None:
            text = f"run {run_id} of {row.workflow} needs attention: {row.attention.message}"
            code = row.attention.code
            journal.tell("attention", text, run_id=run_id, workflow=row.workflow, code=code)


@asynccontextmanager
async def watching_for_stop() -> AsyncIterator[asyncio.Event]:
    """Give an event that the first SIGTERM or SIGINT sets; a second one has its usual effect."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()

    def on_signal() -> None:
        stop.set()
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)

    leave_signals_behind()
    for number in STOP_SIGNALS:
        loop.add_signal_handler(number, on_signal)
    try:
        yield stop
    finally:
        for number in STOP_SIGNALS:
            loop.remove_signal_handler(number)
