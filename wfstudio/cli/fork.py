"""`wf fork`: a new run that shares another's history up to an event, and goes on with today's code."""

from __future__ import annotations

import asyncio
import json
from contextlib import nullcontext
from typing import Annotated, Any

import typer

from wf.errors import FatalError, NotRegisteredError, PayloadTooLargeError, SerializationError, ValidationError
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_run, open_client, tell_who_serves
from wfstudio.cli.exits import FAILED
from wfstudio.cli.failures import tell_end
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.progress import Progress, make_progress, see_through
from wfstudio.cli.start import read_json_file
from wfstudio.cli.terminal import results, words
from wfstudio.core.errors import ConflictError, NotFoundError, UsageError
from wfstudio.core.forks import ForkRequest
from wfstudio.core.views import ForkedView, RunView
from wfstudio.text.printable import printable

_MISFITS = (
    NotRegisteredError, ValidationError, SerializationError, PayloadTooLargeError, UsageError, ConflictError,
    NotFoundError, FatalError,
)  # fmt: skip


def fork(
    run: parameters.Run,
    start: Annotated[
        str | None,
        typer.Option(
            "--from",
            metavar="SEQ|STEP",
            help="Share the log up to this event, or up to this step, which then runs again (default: after the "
            "first edit; else from what failed).",
        ),
    ] = None,
    outputs: Annotated[
        list[str] | None,
        typer.Option(
            "--set",
            metavar="STEP=JSON",
            help="What a step, or a child run, gave instead; `@FILE` reads it from a file.",
        ),
    ] = None,
    errors: Annotated[
        list[str] | None,
        typer.Option("--raise", metavar="STEP=TYPE[:MESSAGE]", help="The exception that it raised instead."),
    ] = None,
    payloads: Annotated[
        list[str] | None,
        typer.Option("--payload", metavar="HOOK=JSON", help="What a hook was sent instead; HOOK may be its token."),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option(
            "--input",
            metavar="JSON|@FILE",
            help="Other arguments, from the beginning: an object by name, a list in order; `-` is stdin.",
        ),
    ] = None,
    id: parameters.Id = None,
    attributes: parameters.Attributes = None,
    deployment: Annotated[
        str | None, typer.Option("--deployment", metavar="ID", help="Go on with this code (default: the newest).")
    ] = None,
    keeps_tokens: Annotated[
        bool,
        typer.Option("--keep-tokens", help="Take the place of a run that has ended: its hooks keep their tokens."),
    ] = False,
    is_waiting: Annotated[bool, typer.Option("--wait", help="Wait for the end and print the result.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Start a run that shares another's history up to an event and goes on with today's code; print its id.

    STEP is a name, `name#2` for its second call, or the number of the call. The run that is forked stays
    as it is. The hooks of the fork have tokens of their own.

    Examples:

        wf fork wrun_01K3 --from charge

        wf fork wrun_01K3 --set 'charge={"paid": true}' --wait

        wf fork wrun_01K3 --raise 'charge=shop.Declined: stolen card'

        wf fork wrun_01K3 --input '{"order": 18}'
    """
    request = ForkRequest(
        start=int(start) if start is not None and start.isascii() and start.isdecimal() and len(start) < 10 else start,
        outputs=_read_values(outputs, "--set"),
        errors=_read_texts(errors, "--raise"),
        payloads=_read_values(payloads, "--payload"),
        input=None if input is None else _read_input(input),
        id=id,
        attributes=parameters.read_pairs(attributes, "--attr"),
        deployment=deployment,
        keeps_tokens=keeps_tokens,
    )

    async def begin(progress: Progress | None) -> ForkedView | RunView:
        async with open_client(world) as client:
            run_id = await find_run(client, run)
            try:
                forked = await client.fork(run_id, request)
            except _MISFITS as error:
                raise Misuse.of(error) from None
            words().print(*(printable(note) for note in forked.notes))
            tell_who_serves(client)
            if not is_waiting:
                words().print(f"follow it: wf inspect {forked.run.id} --watch")
                return forked
            words().print(f"run {forked.run.id}")
            try:
                return await see_through(client, forked.run.id, progress)
            except asyncio.CancelledError:
                words().print(f"interrupted; the run goes on without you: `wf inspect {forked.run.id}`")
                raise

    progress = make_progress(words()) if is_waiting else None
    with nullcontext() if progress is None else progress.shown():
        told = carry_out(begin(progress))
    if is_json:
        results().print_json(told)
    elif isinstance(told, ForkedView):
        results().print(told.run.id)
    if isinstance(told, ForkedView):
        return 0
    is_completed = tell_end(words(), told)
    if is_completed and not is_json:
        results().print_json(told.output)
    return 0 if is_completed else FAILED


def _read_texts(given: list[str] | None, option: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for text in given or []:
        name, mark, value = text.partition("=")
        if not mark or not name:
            raise Misuse(f"{option}: {text!r:.80} is not like {'HOOK' if option == '--payload' else 'STEP'}=…")
        if name in found:
            raise Misuse(f"{option}: {name!r:.80} is given twice", hint="`name#2` is the second call of a step")
        found[name] = value
    return found


def _read_values(given: list[str] | None, option: str) -> dict[str, Any]:
    return {name: _read_json(text, f"{option} {name}") for name, text in _read_texts(given, option).items()}


def _read_json(text: str, option: str) -> Any:
    """Read a JSON value, or the file that `@` is in front of."""
    if text.startswith("@"):
        return read_json_file(text[1:], option)
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        quoted = json.dumps(text, ensure_ascii=False)
        raise Misuse(
            f"{option}: {text!r:.80} is not JSON: {error}", hint=f"a text has quotes: `{quoted:.80}`"
        ) from None


def _read_input(text: str) -> Any:
    value = read_json_file("-", "--input") if text == "-" else _read_json(text, "--input")
    if not isinstance(value, (dict, list)):
        raise Misuse("--input: the JSON is neither an object nor a list", hint='`{"name": value}`, or `[value]`')
    return value
