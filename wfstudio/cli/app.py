"""The `wf` command: which commands there are, and how every one of them ends.

A command is named here and lives in a module of its own, which is imported when it is called. Until
then a stand-in with its name and its line of help is all there is of it, so `wf --help` is quick.
"""

from __future__ import annotations

import re
import sys
import traceback
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Final, NamedTuple, cast

import typer
from typer.core import TyperCommand, TyperGroup
from typer.exceptions import TyperException

import wfstudio
from wfstudio.cli.exits import FAILED, MISUSED
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.terminal import words
from wfstudio.text.printable import printable_lines

_NAMES: Final = ("wf", "wfstudio")


class Entry(NamedTuple):
    """A command: where it is defined (`module:function`, in this package) and its line of help."""

    place: str
    summary: str


COMMANDS: Final[dict[str, dict[str, Entry]]] = {
    "Develop": {
        "new": Entry("new:new", "Write a new project, or a workflow or step for one."),
        "dev": Entry("dev:dev", "Serve the studio and run the project's workflows, with hot reload."),
        "run": Entry("run:run", "Run one workflow in this process and print its result."),
        "fault": Entry("fault:fault", "Disturb runs on purpose, under wf dev."),
        "check": Entry("check:check", "Check workflow bodies for what a replay would not repeat."),
        "tui": Entry("tui:tui", "Open the studio in the terminal."),
        "test": Entry("test:gen", "Write a pytest file that holds a recorded run against the code."),
        "skill": Entry("skill:skill", "Teach coding agents this project's workflows: a skill, and AGENTS.md."),
        "mcp": Entry("mcp:mcp", "Serve these actions as MCP tools, for coding agents."),
    },
    "Runs": {
        "start": Entry("start:start", "Start a run; a worker of the world carries it out."),
        "inspect": Entry("inspect:inspect", "Show runs, steps, events, hooks and whatever else the world holds."),
        "query": Entry("query:query", "Ask all history in SQL."),
        "hooks": Entry("hooks:hooks", "List the hooks that wait for a payload."),
        "resume": Entry("hooks:resume", "Send a payload to a hook."),
        "cancel": Entry("control:cancel", "Cancel runs."),
        "wake": Entry("control:wake", "End the pending sleeps of runs."),
        "retry": Entry("control:retry", "Try failed runs again, from where they failed."),
        "fork": Entry("fork:fork", "Start a run from a point of another's history, with today's code."),
        "diff": Entry("diff:diff", "Compare two runs call by call, or a run with what some code does."),
        "replay": Entry("replay:replay", "Replay runs against today's code, or look at one as it was."),
        "logs": Entry("tail:logs", "Show what the steps of a run printed."),
        "stream": Entry("tail:stream", "Show what a run writes to a stream."),
        "export": Entry("transfer:export_runs", "Write runs into a file that another project can read."),
        "import": Entry("transfer:import_runs", "Take runs in that ran elsewhere, to look at them."),
    },
    "Operate": {
        "worker": Entry("worker:worker", "Run the project's workflows until told to stop."),
        "serve": Entry("serve:serve", "A worker with HTTP API and webhooks, for production."),
        "link": Entry("link:link", "Print a link that opens the studio of the running server."),
        "doctor": Entry("doctor:doctor", "Check this machine, the project and its world."),
        "gc": Entry("gc:gc", "Forget runs that ended long ago, and free the disk."),
        "keys": Entry("keys:keys", "List the keys of the world, or put a fresh one in front."),
    },
}


class Commands(TyperGroup):
    """The group of all commands. Its own are stand-ins; `resolve_command` gives the real one."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for entries in COMMANDS.values():
            for name, entry in entries.items():
                self.add_command(TyperCommand(name, help=entry.summary, short_help=entry.summary))

    def resolve_command(self, ctx: Any, args: list[str]) -> tuple[str | None, Any, list[str]]:
        word = args[0]
        if word not in self.commands and not word.startswith("-") and not ctx.resilient_parsing:
            raise Misuse(
                f"there is no command {word!r:.80}", hint=suggest(word, self.commands) or "`wf --help` lists them"
            )
        name, standin, rest = super().resolve_command(ctx, args)
        return name, load_command(name) if name is not None and standin is not None else None, rest

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        longest = max(len(name) for name in self.commands)
        for title, entries in COMMANDS.items():
            with formatter.section(title):
                formatter.write_dl([(name.ljust(longest), entry.summary) for name, entry in entries.items()])


class Command(TyperCommand):
    """A command whose help names arguments as docs/cli.md does: no types of Python, `1 to 64` for a range."""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return [_BRACES.sub(r"\1", piece) for piece in super().collect_usage_pieces(ctx)]

    def format_options(self, ctx: Any, formatter: Any) -> None:
        records: dict[str, list[tuple[str, str]]] = {"Arguments": [], "Options": []}
        for param in self.get_params(ctx):
            record = param.get_help_record(ctx)
            if record is not None:
                is_argument = param.param_type_name == "argument"
                name = record[0].partition(" <")[0] if is_argument else record[0]
                help = _AT_LEAST.sub(r"\1 or more", _RANGE.sub(r"\1 to \2", record[1]))
                records["Arguments" if is_argument else "Options"].append((name, help))
        for title, found in records.items():
            if found:
                with formatter.section(title):
                    formatter.write_dl(found)


_BRACES: Final = re.compile(r"\{(.+)\}")
_RANGE: Final = re.compile(r"\b(\d+)<=x<=(\d+)\b")
_AT_LEAST: Final = re.compile(r"\bx>=(\d+)\b")


def load_command(name: str) -> Any:
    """Import a command and give it as typer has it."""
    entry = next(entries[name] for entries in COMMANDS.values() if name in entries)
    module, _, function = entry.place.partition(":")
    single = typer.Typer(add_completion=False, rich_markup_mode=None)
    settings = {**_HELP, "ignore_unknown_options": name in _TAKE_VALUES}
    single.command(name, cls=Command, short_help=entry.summary, context_settings=settings)(
        getattr(import_module(f"wfstudio.cli.{module}"), function)
    )
    return typer.main.get_command(single)


_TAKE_VALUES: Final = ("run", "start", "resume")
"""Commands whose arguments are JSON, which may begin with a minus."""

_HELP: Final = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

app: Final = typer.Typer(
    cls=Commands,
    rich_markup_mode=None,
    context_settings=dict(_HELP),
    epilog="`wf COMMAND --help` says more about a command; docs/cli.md about all of them.",
)


def _show_version(is_asked: bool) -> None:
    if is_asked:
        typer.echo(f"wf {wfstudio.__version__} (Python {sys.version.split()[0]})")
        raise typer.Exit


@app.callback()
def wf(
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Say the version and stop.")
    ] = False,
) -> None:
    """Durable workflows in plain Python: develop, run and look into them."""


# -- how a command ends -------------------------------------------------------------------------


def main(argv: list[str] | None = None) -> int:
    """Carry out a command line and give its exit code: 1 it failed, 2 it is wrong, 130 it was interrupted."""
    given = sys.argv[1:] if argv is None else argv
    program = Path(sys.argv[0]).name
    command = cast(Commands, typer.main.get_command(app))
    try:
        _check_text(given)
        code = command.main(
            given or ["--help"], prog_name=program if program in _NAMES else _NAMES[0], standalone_mode=False
        )
    except TyperException as error:
        name = next((word for word in given if not word.startswith("-")), "")
        return _explain_misuse(error, name if name in command.commands else "")
    except typer.Abort:
        words().print("aborted; nothing was done")
        return FAILED
    except Exception as error:
        return _explain(error)
    return code if isinstance(code, int) else 0


def _check_text(given: list[str]) -> None:
    """Refuse bytes that are no text: nothing in a world is named so."""
    for word in given:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise Misuse(f"the argument {word!r:.80} is not UTF-8") from None


def _explain_misuse(error: TyperException, name: str) -> int:
    text = error.format_message().rstrip(".")
    text = text[:1].lower() + text[1:]
    possible = getattr(error, "possibilities", None)
    hint = getattr(error, "hint", None)
    if possible and not hint:
        text = text.partition(" (Possible options")[0]
        hint = "did you mean " + " or ".join(f"`{option}`" for option in sorted(possible)) + "?"
    lines = [text]
    if hint:
        lines.append(f"  fix: {hint}")
    lines.append(f"  more: wf {name} --help" if name else "  more: wf --help")
    words().print(printable_lines("\n".join(lines)))
    return error.exit_code


def _explain(error: Exception) -> int:
    """Show an error that ends a command. What knows to explain itself does; anything else is a bug of ours."""
    explain = getattr(error, "explain", None)
    if callable(explain):
        words().print(printable_lines(explain()))
    else:
        words().print(printable_lines("".join(traceback.format_exception(error)).rstrip()))
        words().print("this is a bug in wf; what it did before is in the world, and nothing of it is lost")
    return MISUSED if getattr(error, "slug", None) == "usage" else FAILED
