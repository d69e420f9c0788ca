"""`wf cancel`, `wf wake`, `wf retry`: act on runs, named or chosen by the filters of `wf inspect`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final, Literal

import msgspec
import typer

from wf.errors import WorkflowError
from wfstudio.cli import parameters
from wfstudio.cli.connection import carry_out, find_run, open_client, tell_none, tell_who_serves
from wfstudio.cli.consent import ask
from wfstudio.cli.exits import FAILED
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import results, words
from wfstudio.core.client import Client
from wfstudio.core.views import RunQuery, RunView
from wfstudio.text.printable import printable_lines

_PAGE: Final = 1_000

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

Form = Literal["text", "json", "jsonl"]

Act = Callable[[Client, str], Awaitable[Any]]
"""Does it to one run and gives what `--json` prints of it."""


class Errand(msgspec.Struct, frozen=True):
    """What to do to which runs. `verb` is for the question, `done` for the answer: a line of a result."""

    verb: str
    act: Act
    done: Callable[[Any], str]
    runs: list[str]
    query: RunQuery
    is_chosen: bool
    is_sure: bool
    form: Form
    world: str | None


def cancel(
    runs: parameters.Runs = None,
    reason: Annotated[
        str | None, typer.Option("--reason", metavar="TEXT", help="Why; it is kept with the run.")
    ] = None,
    is_forced: Annotated[bool, typer.Option("--force", help="End them at once, without any clean-up.")] = False,
    status: parameters.Status = None,
    workflow: parameters.Workflow = None,
    attributes: parameters.WithAttributes = None,
    since: parameters.Since = None,
    until: parameters.Until = None,
    is_sure: Yes = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Cancel runs: those named, or all that the filters choose. A body may clean up; --force ends it at once.

    Examples:

        wf cancel wrun_01K3 --reason "wrong order"

        wf cancel --workflow order --since 1h
    """
    query = parameters.read_query(status or ["pending,running"], workflow, attributes, since, until)

    async def act(client: Client, run_id: str) -> RunView:
        return await client.cancel(run_id, reason, force=is_forced)

    is_chosen = any(option is not None for option in (status, workflow, attributes, since, until))
    form = choose_form(is_json=is_json, is_jsonl=is_jsonl)
    return _carry_out(Errand("cancel", act, _tell_cancel, runs or [], query, is_chosen, is_sure, form, world))


def wake(
    runs: parameters.Runs = None,
    workflow: parameters.Workflow = None,
    attributes: parameters.WithAttributes = None,
    since: parameters.Since = None,
    until: parameters.Until = None,
    is_sure: Yes = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """End the pending sleeps of runs early. Deadlines of timeouts stay.

    Examples:

        wf wake wrun_01K3

        wf wake --attr tenant=acme -y
    """
    query = parameters.read_query(["running"], workflow, attributes, since, until)

    async def act(client: Client, run_id: str) -> dict[str, Any]:
        return {"id": run_id, "sleeps": await client.wake(run_id)}

    def tell(woken: dict[str, Any]) -> str:
        return f"{woken['id']}  {woken['sleeps']} {'sleep' if woken['sleeps'] == 1 else 'sleeps'} ended"

    is_chosen = any(option is not None for option in (workflow, attributes, since, until))
    form = choose_form(is_json=is_json, is_jsonl=is_jsonl)
    return _carry_out(Errand("wake", act, tell, runs or [], query, is_chosen, is_sure, form, world))


def retry(
    runs: parameters.Runs = None,
    status: parameters.Status = None,
    workflow: parameters.Workflow = None,
    attributes: parameters.WithAttributes = None,
    since: parameters.Since = None,
    until: parameters.Until = None,
    is_sure: Yes = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Try failed runs again, each in a new run, with today's code. What completed keeps its result.

    Examples:

        wf retry wrun_01K3

        wf retry --workflow shop:order --since 1h
    """
    query = parameters.read_query(status or ["failed"], workflow, attributes, since, until)

    async def act(client: Client, run_id: str) -> RunView:
        return await client.retry(run_id)

    is_chosen = any(option is not None for option in (status, workflow, attributes, since, until))
    form = choose_form(is_json=is_json, is_jsonl=is_jsonl)
    return _carry_out(Errand("retry", act, _tell_retry, runs or [], query, is_chosen, is_sure, form, world))


def _tell_cancel(run: RunView) -> str:
    return f"{run.id}  {run.status if run.ended_at else 'is being cancelled'}"


def _tell_retry(run: RunView) -> str:
    return f"{run.forked_from}  goes on as {run.id}"


def choose_form(*, is_json: bool, is_jsonl: bool) -> Form:
    return "json" if is_json else "jsonl" if is_jsonl else "text"


# -- many runs ----------------------------------------------------------------------------------


def _carry_out(errand: Errand) -> int:
    if not errand.runs and not errand.is_chosen:
        raise Misuse(f"name the runs to {errand.verb}, or choose them", hint="`--workflow NAME`, `--since 1h`, ...")
    if errand.runs and errand.is_chosen:
        raise Misuse("name the runs or choose them with filters, not both")
    return carry_out(_act_on_all(errand))


async def _act_on_all(errand: Errand) -> int:
    async with open_client(errand.world) as client:
        if errand.runs:
            ids = [await find_run(client, text) for text in errand.runs]
        else:
            ids = await _choose(client, errand.query)
            if not ids:
                await tell_none(client, "no run is like that; nothing was done", errand.query.workflow)
                if errand.form == "json":
                    results().print_json({"items": []})
                return 0
            if not errand.is_sure:
                ask(errand.verb, len(ids))
        failures, items = 0, list[Any]()
        for run_id in dict.fromkeys(ids):
            try:
                done = await errand.act(client, run_id)
            except WorkflowError as error:
                if len(ids) == 1:
                    raise
                failures += 1
                words().print(printable_lines(error.explain()))
                continue
            match errand.form:
                case "json":
                    items.append(done)
                case "jsonl":
                    results().print_jsonl([done])
                case "text":
                    results().print(errand.done(done))
        if errand.form == "json":
            results().print_json({"items": items})
        if failures < len(ids):
            tell_who_serves(client)
        return FAILED if failures else 0


async def _choose(client: Client, query: RunQuery) -> list[str]:
    """List all runs that a query finds: first all, then acted on, since acting changes what it finds."""
    found: list[str] = []
    cursor = None
    while True:
        page = await client.list_runs(msgspec.structs.replace(query, limit=_PAGE, cursor=cursor))
        found += [run.id for run in page.items]
        cursor = page.cursor
        if cursor is None:
            return found
