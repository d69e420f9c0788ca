"""`wf serve`: a worker with the HTTP API and webhooks, for production.

It listens on this machine only. Who lets others in says so twice, with `--host` and `--allow-remote`,
and gives the token that they need: a drawn one would be known to nobody but this machine.
"""

from __future__ import annotations

import logging
import os
import sys
from contextlib import redirect_stdout
from types import ModuleType
from typing import Annotated

import msgspec
import typer

from wf.embedding import DEFAULT_GRACE, EmbeddedWorker
from wf.settings import Settings
from wf.worlds.process import process_token
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_server
from wfstudio.cli.exits import TAKEN
from wfstudio.cli.journal import Journal, JournalHandler
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.openness import check_known, check_token
from wfstudio.cli.terminal import results
from wfstudio.cli.worker import (
    Concurrency,
    Grace,
    Target,
    check_grace,
    load_project,
    run_until,
    watching_for_stop,
)
from wfstudio.core.client import Client
from wfstudio.core.cookie_secret import cookie_secret_path, keep_cookie_secret
from wfstudio.core.live import Feed, ids_from_now
from wfstudio.core.replays import Replays
from wfstudio.core.server_file import ServerFile, remove_server_file, server_file_path, write_server_file
from wfstudio.core.views import show_instant
from wfstudio.server.access import Access, is_loopback
from wfstudio.server.app import make_app
from wfstudio.server.serving import Server
from wfstudio.server.serving import serve as serve_app


class _Address(msgspec.Struct, frozen=True):
    """Where to listen, and who may come. `token` None: one is drawn, which the server file keeps."""

    host: str
    port: int | None
    allowed_hosts: list[str]
    token: str | None


def serve(
    target: Target = None,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65_535, help="The port (default: [tool.wf] port, 4600)."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option(
            "--token",
            metavar="TEXT",
            help="What every caller of the API must show (default: drawn).",
            envvar="WF_TOKEN",
        ),
    ] = None,
    is_remote: Annotated[
        bool, typer.Option("--allow-remote", help="Let other machines in, with --host and --token.")
    ] = False,
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name that it answers to; may be repeated."),
    ] = None,
    world: parameters.World = None,
    concurrency: Concurrency = None,
    grace: Grace = DEFAULT_GRACE,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> int:
    """Run the project's workflows and serve the API, webhooks and the studio, until told to stop (SIGTERM or Ctrl-C).

    Examples:

        wf serve

        wf serve --host 0.0.0.0 --allow-remote --allow-host flows.example.com
    """
    _check_openness(host, token, is_remote=is_remote)
    check_grace(grace)
    journal = Journal(results(), is_json=is_json)
    address = _Address(host, port, allowed_hosts or [], token)
    with redirect_stdout(sys.stderr):
        settings, modules = load_project(target, world)
        _check_alone(settings)
        logging.getLogger("wf").addHandler(JournalHandler(journal))
        targets = [] if target is None else [os.path.abspath(target) if os.path.exists(target) else target]
        carry_out(_serve(journal, settings, modules, concurrency, grace, address, targets))
    return 0


def _check_openness(host: str, token: str | None, *, is_remote: bool) -> None:
    check_token(token)
    if not is_loopback(host) and not is_remote:
        raise Misuse(f"--host {host} lets other machines in", hint="say so: `--allow-remote`, with a `--token`")
    check_known(host, token)


def _check_alone(settings: Settings) -> None:
    other = find_server(settings)
    if other is not None:
        error = Misuse(
            f"this world is served already: {other.url}, process {other.pid}",
            hint=f"stop that one first, `kill {other.pid}`, or run a `wf worker` beside it",
        )
        error.exit_code = TAKEN
        raise error


async def _serve(
    journal: Journal,
    settings: Settings,
    modules: list[ModuleType],
    concurrency: int | None,
    grace: str,
    address: _Address,
    targets: list[str],
) -> None:
    async with watching_for_stop() as stop:
        async with EmbeddedWorker(modules=modules, concurrency=concurrency, grace=grace, settings=settings) as embedded:
            session = embedded.session
            # A token that was chosen may be meant to shut out whoever had another.
            secret = None if address.token else keep_cookie_secret(cookie_secret_path(session.settings))
            access = Access(address.token, allowed_hosts=address.allowed_hosts, cookie_secret=secret)
            replays = Replays(session, targets=targets)
            app = make_app(Client(session), Feed(after=ids_from_now()), access=access, replays=replays)
            port = session.settings.port if address.port is None else address.port
            async with serve_app(app, access, address.host, port, is_strict_port=True) as server:
                path = server_file_path(session.settings)
                told = _describe(server, access, session.now_us())
                write_server_file(path, told)
                try:
                    _tell_serving(journal, server)
                    await run_until(stop, journal, session, grace)
                finally:
                    remove_server_file(path, told)
        journal.tell("stopped", "stopped; its runs go on with the next worker")


def _describe(server: Server, access: Access, now_us: int) -> ServerFile:
    return ServerFile(os.getpid(), process_token(), server.url, access.token, show_instant(now_us))


def _tell_serving(journal: Journal, server: Server) -> None:
    text = f"serving {server.url}, webhooks at {server.url}/hooks/TOKEN; `wf link` opens the studio"
    journal.tell("serving", text, url=server.url)
    if not is_loopback(server.host):
        text = "other machines can reach this: put TLS in front of it, and name it with --allow-host"
        journal.tell("warning", text, message=text)
