"""`wf dev`: what it is asked for; `wfstudio.dev` does it."""

from __future__ import annotations

from typing import Annotated

import typer

from wfstudio.cli import parameters
from wfstudio.cli.openness import check_known, check_token
from wfstudio.core.options import DevOptions


def dev(
    target: Annotated[
        str | None,
        typer.Argument(
            metavar="TARGET", help="A file, a package or a directory (default: [tool.wf] modules, else discovery)."
        ),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option("--port", metavar="PORT", min=0, max=65_535, help="The port (default: [tool.wf] port, 4600)."),
    ] = None,
    is_strict_port: Annotated[
        bool, typer.Option("--strict-port", help="Fail if the port is taken, rather than take the next one.")
    ] = False,
    host: Annotated[str, typer.Option("--host", metavar="ADDRESS", help="The address to listen on.")] = "127.0.0.1",
    allowed_hosts: Annotated[
        list[str] | None,
        typer.Option("--allow-host", metavar="NAME", help="Another name that the studio answers to; may be repeated."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", help="The session token (default: drawn).", envvar="WF_TOKEN"),
    ] = None,
    is_opening: Annotated[bool, typer.Option("--open/--no-open", help="Open the studio in the browser.")] = True,
    world: parameters.World = None,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, max=64, help="How many worker processes.")
    ] = 1,
    is_json: Annotated[bool, typer.Option("--json", help="Print JSON lines, for programs.")] = False,
) -> int:
    """Serve the studio and run the project's workflows, with hot reload and a verdict on every save.

    Examples:

        wf dev

        wf dev flow.py --port 4700 --no-open
    """
    check_token(token)
    check_known(host, token)
    options = DevOptions(
        target=target,
        port=port,
        is_strict_port=is_strict_port,
        host=host,
        allowed_hosts=allowed_hosts or [],
        token=token,
        is_opening=is_opening,
        world=world,
        workers=workers,
        is_json=is_json,
    )
    from wfstudio.dev.main import run_dev  # server, watcher and supervisor, which `--help` need not load

    return run_dev(options)
