"""`wf hooks` and `wf resume`: what waits for the outside, and how the outside answers."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from wf.errors import HookNotFoundError, ValidationError
from wfstudio.cli import parameters
from wfstudio.cli.completion import complete_run
from wfstudio.cli.connection import carry_out, find_run, open_client, tell_who_serves
from wfstudio.cli.listings import LISTINGS, Page, Question, draw_page, name_schema
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.start import read_json_file
from wfstudio.cli.terminal import results, words
from wfstudio.text.printable import printable


def hooks(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="Only hooks of this run.", autocompletion=complete_run),
    ] = None,
    is_locked: Annotated[bool, typer.Option("--locked", help="Do not decrypt: show no token and no payload.")] = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """List the hooks that wait for a payload, with what it must be."""

    async def look() -> Page:
        async with open_client(world) as client:
            name = None if run is None else await find_run(client, run)
            return await LISTINGS["hooks"].read(client, Question(name=name, is_locked=is_locked))

    page = carry_out(look())
    terminal = results()
    if is_json:
        terminal.print_json(page)
    elif is_jsonl:
        terminal.print_jsonl(page.items)
    elif page.items:
        terminal.print(*draw_page(terminal, LISTINGS["hooks"], page))
    else:
        words().print(LISTINGS["hooks"].empty)
    return 0


def resume(
    ctx: typer.Context,
    token: parameters.Token,
    payload: Annotated[
        list[str] | None, typer.Argument(metavar="JSON", help="The payload as JSON (default: null).")
    ] = None,
    input: Annotated[
        str | None, typer.Option("--input", metavar="FILE", help="Take the payload from a JSON file; `-` is stdin.")
    ] = None,
    delivery_id: Annotated[
        str | None,
        typer.Option("--delivery-id", metavar="ID", help="The same id delivers once, however often it is sent."),
    ] = None,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Send a payload to the hook with a token. It is checked against the hook's schema first.

    Examples:

        wf resume site:ada '{"approved": true}'
    """
    given = parameters.check_values(ctx, payload)
    value = _read_payload(given, input)

    async def send() -> int:
        async with open_client(world) as client:
            try:
                hook = await client.resume(token, value, delivery_id=delivery_id)
            except HookNotFoundError as error:
                tokens = [hook.token for hook in await client.list_hooks() if hook.token is not None]
                error.hint = suggest(token, tokens) or "`wf hooks` lists the live ones"
                raise
            except ValidationError as error:
                schema = next((hook.schema for hook in await client.list_hooks() if hook.token == token), None)
                wanted = (
                    None if schema is None else f"it must be {name_schema(schema)}; a star marks what must be there"
                )
                raise Misuse(str(error), hint=wanted) from None
            tell_who_serves(client)
        if is_json:
            results().print_json(hook)
        else:
            words().print(f"resumed the {hook.kind} {printable(token)} of run {hook.run_id}")
        return 0

    return carry_out(send())


def _read_payload(given: list[str], input: str | None) -> object:
    if input is not None:
        if given:
            raise Misuse("the payload is given twice: on the command line, and with --input")
        return read_json_file(input, "--input")
    if not given:
        return None
    if len(given) > 1:
        raise Misuse("the payload is one JSON value", hint=f"quote it: '{' '.join(given):.80}'")
    try:
        return json.loads(given[0])
    except ValueError:
        raise Misuse(
            f"the payload {given[0]!r:.80} is not JSON", hint=f"for a text write '{json.dumps(given[0]):.80}'"
        ) from None
