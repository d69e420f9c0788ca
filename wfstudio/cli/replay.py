"""`wf replay`: what code would do with a recorded run, a single step of it, or the run as it was at an event.

Exit code 0: clean, or the same as recorded. 1: anything else, so that a script may go by it. 2: the command line
is wrong.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any, Final, Literal, cast

import msgspec
import typer

from wf.durations import parse_duration
from wfstudio.cli import parameters
from wfstudio.cli.completion import complete_run
from wfstudio.cli.connection import carry_out, find_run, open_client
from wfstudio.cli.exits import FAILED
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, results, words
from wfstudio.core.bench.views import ReplayView
from wfstudio.core.client import Client
from wfstudio.core.excerpts import read_excerpt
from wfstudio.core.replays import Replays, list_verdicts
from wfstudio.core.step_replays import TIMEOUT_SECONDS
from wfstudio.text.moment import draw_moment
from wfstudio.text.printable import printable
from wfstudio.text.step_trial import draw_step_replay
from wfstudio.text.verdicts import OUTCOMES, draw_verdict, name_outcome

WORDS: Final = ("today", "latest", "own")
DEBUGGERS: Final = ("pdb", "debugpy")


class Wish(msgspec.Struct, frozen=True):
    """What was asked for, read and checked."""

    run: str | None
    runs: str | None
    step: str | None
    at: str | None
    code: str | None
    targets: list[str]
    edited: dict[str, Any]
    attempt: int | None
    seconds: float
    debugger: Literal["pdb", "debugpy"] | None
    form: Literal["text", "json", "jsonl"]
    world: str | None


def replay(
    run: Annotated[
        str | None,
        typer.Argument(metavar="RUN", help="A run's id, or a beginning of it.", autocompletion=complete_run),
    ] = None,
    runs: Annotated[
        str | None,
        typer.Option("--runs", metavar="WHICH", help="Replay several: open, failed, all, or last:50."),
    ] = None,
    step: Annotated[
        str | None,
        typer.Option(
            "--step", metavar="STEP", help="Carry out this step once more: its name, `name#2`, or its number."
        ),
    ] = None,
    at: Annotated[
        str | None,
        typer.Option("--at", metavar="SEQ", help="Show the run right after this event; `last` for the last one."),
    ] = None,
    code: Annotated[
        str | None,
        typer.Option(
            "--code",
            metavar="CODE",
            help="Which code: today, latest, own, a deployment's id, or a file (default: today; with --at own).",
        ),
    ] = None,
    input: Annotated[
        str | None,
        typer.Option("--input", metavar="JSON", help="With --step: arguments to replace, as an object by name."),
    ] = None,
    attempt: Annotated[
        int | None, typer.Option("--attempt", metavar="N", min=1, help="With --step: repeat this attempt (the last).")
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option("--timeout", metavar="DURATION", help="With --step: how long it may take (60s)."),
    ] = None,
    is_debugging: Annotated[
        bool, typer.Option("--debug", help="Stop in a debugger: in the step, or in the body at --at.")
    ] = False,
    debugger: Annotated[
        str | None, typer.Option("--debugger", metavar="NAME", help="Which one: pdb, or debugpy for an editor.")
    ] = None,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Replay a run against today's code: clean, or where it differs. Nothing is written and no step runs.

    With --step one step runs once more, for real, beside its run. With --at the run is shown as it was.

    Examples:

        wf replay wrun_01K3

        wf replay --runs open

        wf replay wrun_01K3 --step charge --input '{"amount": 5}'

        wf replay wrun_01K3 --at 12
    """
    own_code, targets = _read_code(code, at)
    wish = Wish(
        run=run,
        runs=runs,
        step=step,
        at=at,
        code=own_code,
        targets=targets,
        edited=_read_input(input),
        attempt=attempt,
        seconds=TIMEOUT_SECONDS if timeout is None else _read_seconds(timeout),
        debugger=_read_debugger(debugger, is_debugging=is_debugging),
        form="json" if is_json else "jsonl" if is_jsonl else "text",
        world=world,
    )
    _check(wish, has_timeout=timeout is not None, has_input=input is not None)
    return carry_out(_carry_out(wish))


# -- what was asked for -------------------------------------------------------------------------


def _read_code(code: str | None, at: str | None) -> tuple[str | None, list[str]]:
    """Give the word or id that names the code, and targets where it is a file or module."""
    if code is None:
        return ("own" if at is not None else None), []
    if code in WORDS or code.startswith("dep_"):
        return code, []
    if os.path.exists(code):
        return None, [os.path.abspath(code)]
    if all(part.isidentifier() for part in code.split(".")) and "." in code:
        return None, [code]
    hint = suggest(code, WORDS) or "today, latest, own, a deployment's id, or a file"
    raise Misuse(f"--code: {code!r:.80} is no code", hint=hint)


def _read_input(text: str | None) -> dict[str, Any]:
    if text is None:
        return {}
    try:
        found = msgspec.json.decode(text)
    except msgspec.DecodeError:
        found = None
    if not isinstance(found, dict):
        raise Misuse(f"--input: {text!r:.80} is no JSON object", hint="arguments by name: '{\"amount\": 5}'")
    return found


def _read_seconds(text: str) -> float:
    try:
        return parse_duration(float(text) if text.replace(".", "", 1).isdigit() else text, "--timeout") / 1_000_000
    except ValueError as error:
        raise Misuse.of(error) from None


def _read_debugger(name: str | None, *, is_debugging: bool) -> Literal["pdb", "debugpy"] | None:
    if name is None:
        return "pdb" if is_debugging else None
    if name not in DEBUGGERS:
        raise Misuse(f"--debugger: {name!r:.80} is none", hint=suggest(name, DEBUGGERS) or "pdb or debugpy")
    return cast(Literal["pdb", "debugpy"], name)


def _check(wish: Wish, *, has_timeout: bool, has_input: bool) -> None:
    if (wish.run is None) == (wish.runs is None):
        raise Misuse("name a run, or several with --runs", hint="`wf replay RUN`, or `wf replay --runs open`")
    if wish.runs is not None and (wish.step is not None or wish.at is not None or wish.debugger is not None):
        raise Misuse("--runs goes with neither --step, --at nor --debug: they are about one run")
    if wish.step is not None and wish.at is not None:
        raise Misuse("--step and --at are two questions", hint="ask one after the other")
    if wish.step is None and (has_input or wish.attempt is not None or has_timeout):
        raise Misuse("--input, --attempt and --timeout go with --step")


# -- carrying it out ----------------------------------------------------------------------------


async def _carry_out(wish: Wish) -> int:
    async with open_client(wish.world) as client, _replaying(client, wish.targets) as replays:
        if wish.runs is not None:
            return await _replay_several(replays, wish, wish.runs)
        run_id = await find_run(client, wish.run or "")
        if wish.step is not None:
            return await _replay_step(replays, wish, run_id, wish.step)
        if wish.debugger is not None:
            return await _debug_run(replays, wish, run_id)
        if wish.at is not None:
            return await _look(replays, wish, run_id, wish.at)
        return await _replay_run(replays, wish, run_id)


@asynccontextmanager
async def _replaying(client: Client, targets: list[str]) -> AsyncIterator[Replays]:
    replays = Replays(client.session, targets=targets)
    try:
        yield replays
    finally:
        await replays.close()


async def _replay_run(replays: Replays, wish: Wish, run_id: str) -> int:
    view = await replays.replay_run(run_id, deployment=wish.code)
    terminal = results()
    if wish.form != "text":
        terminal.print_json(view) if wish.form == "json" else terminal.print_jsonl([view])
    else:
        is_today = wish.code in (None, "today") and view.where is not None
        source = read_excerpt(replays.workbench.root, view.where or "") if is_today else None
        terminal.print(*draw_verdict(terminal, view, source))
    return 0 if view.outcome == "clean" else FAILED


async def _replay_several(replays: Replays, wish: Wish, which: str) -> int:
    terminal = results()
    found: list[ReplayView] = []
    async for view in replays.replay_runs(await replays.choose_runs(which), deployment=wish.code):
        found.append(view)
        if wish.form == "jsonl":
            terminal.print_jsonl([view])
    verdicts = list_verdicts(found)
    if wish.form == "json":
        terminal.print_json(verdicts)
    elif wish.form == "text":
        terminal.print(*draw_verdicts(terminal, found))
    words().print(say_counts(found) if found else "no run is like that")
    return 0 if verdicts.clean == len(found) else FAILED


async def _replay_step(replays: Replays, wish: Wish, run_id: str, step: str) -> int:
    how: dict[str, Any] = {"attempt": wish.attempt, "edited": wish.edited, "deployment": wish.code}
    if wish.debugger is None:
        view = await replays.replay_step(run_id, step, timeout_seconds=wish.seconds, **how)
    else:
        with _leaving_interrupts():
            found = await replays.debug_step(run_id, step, wish.debugger, **how)
        if found is None:
            words().print("quit; nothing was recorded")
            return 0
        view = found
    terminal = results()
    if wish.form != "text":
        terminal.print_json(view) if wish.form == "json" else terminal.print_jsonl([view])
    else:
        terminal.print(*draw_step_replay(terminal, view))
    return 0 if view.outcome in ("same", "unrecorded") else FAILED


async def _debug_run(replays: Replays, wish: Wish, run_id: str) -> int:
    with _leaving_interrupts():
        is_through = await replays.debug_run(run_id, wish.at or 1, cast(Any, wish.debugger), deployment=wish.code)
    words().print("the log ends here; nothing was written" if is_through else "quit; nothing was written")
    return 0


async def _look(replays: Replays, wish: Wish, run_id: str, at: str) -> int:
    view = await replays.look(run_id, at, deployment=wish.code)
    terminal = results()
    if wish.form != "text":
        terminal.print_json(view) if wish.form == "json" else terminal.print_jsonl([view])
    else:
        terminal.print(*draw_moment(terminal, view))
    is_there = view.seq == view.events if at == "last" else str(view.seq) == at.lstrip("0")
    return 0 if is_there else FAILED


class _leaving_interrupts:
    """While a debugger has the terminal, Ctrl-C is for the code in it."""

    def __enter__(self) -> None:
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, lambda: None)

    def __exit__(self, *error: object) -> None:
        asyncio.get_running_loop().remove_signal_handler(signal.SIGINT)


# -- verdicts -----------------------------------------------------------------------------------


_COLUMNS: Final = [
    Column("run"),
    Column("verdict"),
    Column("workflow", is_flexible=True),
    Column("status"),
    Column("event", is_number=True),
    Column("actual", is_flexible=True),
    Column("where", is_flexible=True),
]


def draw_verdicts(terminal: Terminal, views: list[ReplayView]) -> list[str]:
    rows = [
        [
            view.run_id,
            terminal.paint(name_outcome(view.outcome), OUTCOMES[view.outcome][0]),
            printable(view.workflow),
            view.status,
            "" if view.seq is None else str(view.seq),
            printable(view.actual or view.message or ""),
            printable(view.where or ""),
        ]
        for view in views
    ]
    return draw_table(terminal, _COLUMNS, rows)


def say_counts(views: list[ReplayView]) -> str:
    counts = [(sum(view.outcome == outcome for view in views), outcome) for outcome in OUTCOMES]
    return ", ".join(f"{count} {name_outcome(outcome, count)}" for count, outcome in counts if count)
