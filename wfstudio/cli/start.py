"""`wf start`: start a run in the world; whichever worker serves it carries it out."""

from __future__ import annotations

import asyncio
import json
import sys
from contextlib import nullcontext, redirect_stdout
from pathlib import Path
from typing import Annotated, Any

import typer

from wf.deployment import keep_deployment
from wf.errors import FatalError, NotRegisteredError, PayloadTooLargeError, SerializationError, ValidationError
from wf.invocation import read_arguments
from wf.loading import LoadError, load_target
from wfstudio.cli import parameters
from wfstudio.cli.completion import complete_workflow
from wfstudio.cli.connection import carry_out, open_client, tell_who_serves
from wfstudio.cli.exits import FAILED
from wfstudio.cli.failures import refuse_load, tell_end
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.progress import Progress, make_progress, see_through
from wfstudio.cli.terminal import results, words
from wfstudio.core.client import Client
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.views import RunView

_MISFITS = (
    NotRegisteredError, ValidationError, SerializationError, PayloadTooLargeError, UsageError, ConflictError,
    NotFoundError, FatalError,
)  # fmt: skip


def start(
    ctx: typer.Context,
    workflow: Annotated[
        str,
        typer.Argument(
            metavar="WORKFLOW",
            help="A workflow's id, or its short name.",
            autocompletion=complete_workflow,
        ),
    ],
    arguments: Annotated[
        list[str] | None, typer.Argument(metavar="ARG", help="JSON values in order, or name=JSON.")
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="FILE",
            help="Take the arguments from a JSON file, `-` is stdin: an object by name, a list in order.",
        ),
    ] = None,
    id: parameters.Id = None,
    attributes: parameters.Attributes = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment", metavar="ID", help="Run on this code (default: the newest).")
    ] = None,
    delay: Annotated[
        str | None, typer.Option("--delay", metavar="DURATION", help="Begin after so long: `1h 30m`.")
    ] = None,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Wait for the end and print the result.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Start a run and print its id, or with --wait its result.

    The arguments are checked against the workflow's signature before anything is written. The same
    --id gives the same run.

    Examples:

        wf start order '"ada"' amount=3 --wait
    """
    args, kwargs = _read_arguments(parameters.check_values(ctx, arguments), input)
    tags = parameters.read_pairs(attributes, "--attr")

    async def begin(progress: Progress | None) -> RunView:
        async with open_client(world, is_making=True) as client:
            try:
                if not await client.list_deployments():
                    await _load_project(client)
                run = await client.start(
                    workflow, args, kwargs, id=id, attributes=tags, deployment=deployment, delay=delay
                )
            except LoadError as error:
                raise refuse_load(error) from None
            except _MISFITS as error:
                raise Misuse.of(error) from None
            tell_who_serves(client)
            if not is_waiting:
                return run
            words().print(f"run {run.id}")
            try:
                return await see_through(client, run.id, progress)
            except asyncio.CancelledError:
                words().print(f"interrupted; the run goes on without you: `wf inspect {run.id}`")
                raise

    progress = make_progress(words()) if is_waiting else None
    with nullcontext() if progress is None else progress.shown():
        run = carry_out(begin(progress))
    if is_json:
        results().print_json(run)
    elif not is_waiting:
        results().print(run.id)
    is_completed = not is_waiting or tell_end(words(), run)
    if is_waiting and is_completed and not is_json:
        results().print_json(run.output)
    return 0 if is_completed else FAILED


def _read_arguments(given: list[str], input: str | None) -> tuple[list[Any], dict[str, Any]]:
    if input is None:
        try:
            return read_arguments(given)
        except ValueError as error:
            raise Misuse.of(error) from None
    if given:
        raise Misuse("the arguments are given twice: on the command line, and with --input")
    value = read_json_file(input, "--input")
    if isinstance(value, dict):
        return [], value
    if isinstance(value, list):
        return value, {}
    raise Misuse("--input: the JSON is neither an object nor a list", hint='`{"name": value}`, or `[value]`')


def read_json_file(name: str, option: str) -> Any:
    """Read JSON from a file, or from stdin for `-`."""
    try:
        text = sys.stdin.read() if name == "-" else Path(name).read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        raise Misuse(f"{option}: {name} cannot be read: {why}") from None
    try:
        return json.loads(text)
    except ValueError as error:
        raise Misuse(f"{option}: {'stdin' if name == '-' else name} is not JSON: {error}") from None


async def _load_project(client: Client) -> None:
    """Keep the project's code in a world that knows none yet, so that the run finds its workflow."""
    session = client.session
    with redirect_stdout(sys.stderr):  # stdout is the result's, whatever a module prints
        modules = load_target(str(session.settings.root))
    await keep_deployment(session, modules)
