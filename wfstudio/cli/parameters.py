"""Parameters: arguments and options that several commands take, each written once."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

import typer

from wfstudio.cli.completion import complete_run, complete_token, complete_workflow
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.moments import parse_moment
from wfstudio.core.views import RunQuery

STATUSES = ("pending", "running", "completed", "failed", "cancelled")
_OPTION = re.compile(r"--?[A-Za-z]")
_PAIR = re.compile(r"([^=]+)=(.*)", re.DOTALL)

World = Annotated[
    str | None,
    typer.Option("--world", metavar="URL", help="The world (default: WF_WORLD, [tool.wf] world, .wf/world.db)."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, stable for programs.")]
JsonLines = Annotated[bool, typer.Option("--jsonl", help="Print one JSON value a line.")]
Run = Annotated[
    str, typer.Argument(metavar="RUN", help="A run's id, or a beginning of it.", autocompletion=complete_run)
]
Runs = Annotated[
    list[str] | None,
    typer.Argument(metavar="RUN", help="Ids of runs, or beginnings of them.", autocompletion=complete_run),
]
Token = Annotated[str, typer.Argument(metavar="TOKEN", help="The hook's token.", autocompletion=complete_token)]
Id = Annotated[
    str | None, typer.Option("--id", metavar="ID", help="The run's id: the same id goes on with the same run.")
]
Attributes = Annotated[
    list[str] | None, typer.Option("--attr", metavar="KEY=VALUE", help="An attribute of the run; may be repeated.")
]

# -- which runs -----------------------------------------------------------------------------------

Status = Annotated[
    list[str] | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help=f"Only runs in this status ({' '.join(STATUSES)}); may be repeated.",
        autocompletion=lambda: list(STATUSES),
    ),
]
Workflow = Annotated[
    str | None,
    typer.Option("--workflow", metavar="NAME", help="Only runs of this workflow.", autocompletion=complete_workflow),
]
WithAttributes = Annotated[
    list[str] | None, typer.Option("--attr", metavar="KEY=VALUE", help="Only runs with this attribute.")
]
Since = Annotated[
    str | None,
    typer.Option("--since", metavar="WHEN", help="Only runs created since: an instant, or `2h` for how long ago."),
]
Until = Annotated[str | None, typer.Option("--until", metavar="WHEN", help="Only runs created until then.")]


def check_values(ctx: typer.Context, given: list[str] | None) -> list[str]:
    """Give the words that stand for JSON values; one that looks like an option is a mistyped option.

    Commands that take values leave unknown options in them, since `-5` is a number.
    """
    for word in given or []:
        if _OPTION.match(word):
            name = word.partition("=")[0]
            known = [option for parameter in ctx.command.params for option in parameter.opts if option[:1] == "-"]
            raise Misuse(f"no such option: {name:.80}", hint=suggest(name, known))
    return given or []


def read_pairs(pairs: list[str] | None, option: str) -> dict[str, str]:
    """Read repeated `key=value` options."""
    found: dict[str, str] = {}
    for pair in pairs or []:
        match = _PAIR.fullmatch(pair)
        if match is None:
            raise Misuse(f"{option}: {pair!r:.80} is not `key=value`")
        found[match[1]] = match[2]
    return found


def read_query(
    status: list[str] | None,
    workflow: str | None,
    attributes: list[str] | None,
    since: str | None,
    until: str | None,
    limit: int = 100,
    cursor: str | None = None,
) -> RunQuery:
    """Make a query of the options that choose runs. `--status a,b` is two statuses."""
    states = [word for text in status or [] for word in text.split(",") if word]
    for word in states:
        if word not in STATUSES:
            raise Misuse(
                f"--status: {word!r:.80} is no status", hint=suggest(word, STATUSES) or f"one of {' '.join(STATUSES)}"
            )
    return RunQuery(
        status=states or None,
        workflow=workflow,
        attributes=read_pairs(attributes, "--attr"),
        since=_read_moment(since, "--since"),
        until=_read_moment(until, "--until"),
        limit=limit,
        cursor=cursor,
    )


def _read_moment(text: str | None, option: str) -> datetime | None:
    return None if text is None else parse_moment(text, option)
