"""`wf test gen`: a recorded run becomes a pytest file, and a history that lies beside it."""

from __future__ import annotations

import os
import shlex
import sys
from typing import Annotated, Final

import msgspec
import typer

from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_run, open_client
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import results, words
from wfstudio.core.bench.workbench import Workbench
from wfstudio.core.errors import UsageError
from wfstudio.core.written_tests.generation import TestMaker, Wish, write_files
from wfstudio.text.printable import printable, printable_lines

ACTIONS: Final = ("gen",)
STDOUT: Final = "-"


class WrittenView(msgspec.Struct, frozen=True):
    """What `--json` prints: where the files are, and what is in them."""

    run_id: str
    workflow: str
    test: str
    history: str
    calls: list[str]
    steps: list[int]
    is_redacted: bool
    notes: list[str]


def gen(
    action: Annotated[
        str, typer.Argument(metavar="gen", help="gen: write a test.", autocompletion=lambda: list(ACTIONS))
    ],
    run: parameters.Run,
    steps: Annotated[
        list[str] | None,
        typer.Option("--step", metavar="STEP", help="Also a test of this step: its name or number; may be repeated."),
    ] = None,
    folder: Annotated[
        str | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="Where to (default: the project's tests); `-` only shows it."
        ),
    ] = None,
    is_redacting: Annotated[
        bool, typer.Option("--redact", help="Replace every text that the run was given by another of its shape.")
    ] = False,
    hide: Annotated[
        list[str] | None,
        typer.Option("--hide", metavar="PLACE", help="Replace this, whatever its type: `input.user`, `charge.card`."),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="PLACE", help="Leave this as it was, since the workflow decides by it."),
    ] = None,
    is_forced: Annotated[bool, typer.Option("--force", help="Write over files that are there.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Write a test that replays a run against today's code and names its calls, and the history that it needs.

    The run must replay clean now. Steps get tests of their own with --step: with what they were called with.

    Examples:

        wf test gen wrun_01K3

        wf test gen wrun_01K3 --step charge --step 7

        wf test gen wrun_01K3 --redact --keep decide.status
    """
    if action not in ACTIONS:
        raise Misuse(f"test cannot {action!r:.80}", hint=suggest(action, ACTIONS) or "`wf test gen RUN`")
    wish = Wish(
        steps=steps or (),
        folder=None if folder in (None, STDOUT) else folder,
        is_redacting=is_redacting,
        keep=keep or (),
        hide=hide or (),
    )
    return carry_out(_generate(run, wish, is_shown=folder == STDOUT, is_forced=is_forced, is_json=is_json, world=world))


async def _generate(run: str, wish: Wish, *, is_shown: bool, is_forced: bool, is_json: bool, world: str | None) -> int:
    async with open_client(world) as client:
        run_id = await find_run(client, run)
        wish = msgspec.structs.replace(wish, command=_repeat(run_id, wish))
        workbench = Workbench(client.session)
        try:
            view = await TestMaker(workbench).make(run_id, wish)
        except UsageError as error:
            raise Misuse.of(error) from None
    terminal = results()
    if is_shown:
        if is_json:
            terminal.print_json(view)
        else:
            terminal.write(printable_lines(view.test.text))
        return 0
    test_path, history_path = [os.path.relpath(path) for path in write_files(view, workbench.root, is_forced=is_forced)]
    if is_json:
        terminal.print_json(
            WrittenView(
                view.run_id,
                view.workflow,
                test_path,
                history_path,
                view.calls,
                view.steps,
                view.is_redacted,
                view.notes,
            )
        )
        return 0
    terminal.print(printable(test_path), printable(history_path))
    for note in view.notes:
        words().print(f"note: {printable(note)}")
    if not view.is_redacted:
        words().print("the history holds what the run was given in clear; --redact makes it unrecognizable")
    words().print(f"run it: {os.path.basename(sys.executable)} -m pytest {printable(shlex.quote(test_path))}")
    return 0


def _repeat(run_id: str, wish: Wish) -> str:
    """Write the command that writes this test again."""
    parts = ["wf", "test", "gen", run_id]
    for option, values in (("--step", wish.steps), ("--hide", wish.hide), ("--keep", wish.keep)):
        for value in values:
            parts += [option, value]
    if wish.is_redacting:
        parts.append("--redact")
    return shlex.join(parts)
