"""`wf logs` and `wf stream`: what a run says while it runs."""

from __future__ import annotations

from typing import Annotated

import typer

from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_run, open_client
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.errors import NotFoundError
from wfstudio.core.views import ChunkView, LogView
from wfstudio.text.moments import show_instant
from wfstudio.text.printable import printable, printable_lines, to_json

_PAGE = 10_000

Following = Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until the run has ended.")]


def logs(
    run: parameters.Run,
    is_following: Following = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Show what the steps of a run printed and logged. An attempt's lines come when it ends.

    Examples:

        wf logs wrun_01K3 -f
    """
    _check_form(is_following, is_json)

    async def show() -> int:
        terminal = results()
        count = 0
        items = list[LogView]()
        async with open_client(world) as client:
            run_id = await find_run(client, run)
            if is_following:
                async for line in client.follow_logs(run_id):
                    _show_line(terminal, line, is_jsonl)
                    count += 1
            else:
                after = None
                while found := await client.read_logs(run_id, after, _PAGE):
                    for line in found:
                        items.append(line) if is_json else _show_line(terminal, line, is_jsonl)
                    count += len(found)
                    after = found[-1].position
        if is_json:
            terminal.print_json({"items": items})
        elif not count:
            words().print("the run's steps printed nothing")
        return 0

    return carry_out(show())


def _check_form(is_following: bool, is_json: bool) -> None:
    if is_following and is_json:
        raise Misuse("--json is one value, and --follow goes on", hint="`--jsonl`: a value a line")


def _show_line(terminal: Terminal, line: LogView, is_jsonl: bool) -> None:
    if is_jsonl:
        terminal.print_jsonl([line])
        return
    style = "red" if line.source in ("logging:ERROR", "logging:CRITICAL") else "dim"
    place = terminal.paint(f"{show_instant(terminal, line.at)} {line.correlation_id}:{line.attempt}", "dim")
    source = "" if line.source == "stdout" else terminal.paint(f"{line.source.removeprefix('logging:')} ", style)
    terminal.print(f"{place} {source}{printable(line.text)}")


def stream(
    run: parameters.Run,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="The stream (default: the only one there is).")
    ] = None,
    is_following: Following = False,
    start: Annotated[
        int,
        typer.Option("--start", metavar="INDEX", help="Begin with this chunk; a negative one counts from the tail."),
    ] = 0,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Show what a run writes to a stream: a text as it is, any other value as JSON.

    Examples:

        wf stream wrun_01K3 -f

        wf stream wrun_01K3 progress --start -10
    """
    _check_form(is_following, is_json)

    async def show() -> int:
        terminal = results()
        items = list[ChunkView]()
        async with open_client(world) as client:
            run_id = await find_run(client, run)
            wanted = name
            if wanted is None:
                names = [found.name for found in await client.list_streams(run_id)]
                if len(names) > 1:
                    listed = ", ".join(f"`{printable(found)}`" for found in names)
                    raise NotFoundError(f"the run has {len(names)} streams", f"name one of them: {listed}")
                wanted = names[0] if names else "default"
            elif not is_following:
                names = [found.name for found in await client.list_streams(run_id)]
                if wanted not in names:
                    hint = suggest(wanted, names) or "`wf inspect streams RUN` lists them"
                    raise NotFoundError(f"the run has no stream {wanted!r:.80}", hint)
            is_line_open, count = False, 0
            async for chunk in client.read_stream(run_id, wanted, start, is_following=is_following):
                count += 1
                if is_json:
                    items.append(chunk)
                    continue
                _show_chunk(terminal, chunk, is_jsonl)
                is_line_open = isinstance(chunk.value, str) and not chunk.value.endswith("\n") and not is_jsonl
            if is_json:
                terminal.print_json({"items": items})
            elif not count:
                words().print("the run has written nothing to it" if name else "the run has written no stream")
            if is_line_open and terminal.is_tty:
                terminal.print("")
        return 0

    return carry_out(show())


def _show_chunk(terminal: Terminal, chunk: ChunkView, is_jsonl: bool) -> None:
    if is_jsonl:
        terminal.print_jsonl([chunk])
    elif chunk.is_locked:
        terminal.print("(locked: the key of this chunk is not here)")
    elif isinstance(chunk.value, str):
        # As `print(..., end="")` would: tokens of a model make words only when they stand together.
        terminal.write(printable_lines(chunk.value))
    else:
        terminal.print(to_json(chunk.value))
