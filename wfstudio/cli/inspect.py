"""`wf inspect`: look at whatever a world holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import quote, urlencode

import msgspec
import typer

from wf.errors import RunNotFoundError
from wf.events import ENDED
from wfstudio.cli import parameters
from wfstudio.cli.completion import complete_run
from wfstudio.cli.connection import (
    carry_out,
    find_run,
    find_server,
    list_workflow_names,
    open_client,
    settle,
    tell_none,
)
from wfstudio.cli.listings import LISTINGS, Listing, Page, Question, draw_page
from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.screen import LOOK_SECONDS, look_again, redraw
from wfstudio.cli.terminal import Terminal, results
from wfstudio.core import reading
from wfstudio.core.client import Client
from wfstudio.core.errors import NotFoundError
from wfstudio.core.server_file import ServerFile
from wfstudio.core.views import RunQuery, RunView, StepView
from wfstudio.text.details import MOST_LINES, draw_run, draw_step
from wfstudio.text.looks import Looker
from wfstudio.text.printable import printable

KINDS: Final = (*LISTINGS, "run", "step")
DEFAULT_LIMIT: Final = 50
_OF_RUNS: Final = ("steps", "events", "hooks", "waits", "streams", "logs", "attributes")
_TABS: Final = ("events", "steps", "streams", "logs")
"""Kinds that have a tab of their own in the browser's page of a run."""
_SCREENS: Final = {
    "hooks": ("hooks", "token"),
    "workflows": ("workflows", "workflow"),
    "deployments": ("code", "deployment"),
}
"""Kinds that have a screen of their own there, with the parameter that chooses one."""


def complete_kind(ctx: typer.Context, incomplete: str) -> list[str]:
    return [kind for kind in KINDS if kind.startswith(incomplete)] or complete_run(ctx, incomplete)


def inspect(
    kind: Annotated[
        str | None,
        typer.Argument(
            metavar="KIND|RUN",
            help=f"What to show: {', '.join(KINDS)}; or a run's id, for its timeline.",
            autocompletion=complete_kind,
        ),
    ] = None,
    id: Annotated[
        str | None,
        typer.Argument(
            metavar="ID",
            help="The run, or a beginning of its id; for `step` its id, `RUN:NUMBER`.",
            autocompletion=complete_run,
        ),
    ] = None,
    status: parameters.Status = None,
    workflow: parameters.Workflow = None,
    attributes: parameters.WithAttributes = None,
    since: parameters.Since = None,
    until: parameters.Until = None,
    limit: Annotated[
        int | None,
        typer.Option(
            "--limit",
            "-n",
            metavar="N",
            min=1,
            max=10_000,
            help="At most so many (default: 50; 200 lines of a timeline).",
        ),
    ] = None,
    cursor: Annotated[
        str | None, typer.Option("--cursor", metavar="CURSOR", help="Go on after the page before.")
    ] = None,
    is_watching: Annotated[bool, typer.Option("--watch", "-w", help="Show it again whenever it changes.")] = False,
    is_url: Annotated[bool, typer.Option("--url", help="Print only where the studio shows it.")] = False,
    is_web: Annotated[bool, typer.Option("--web", help="Open it in the browser studio.")] = False,
    is_locked: Annotated[bool, typer.Option("--locked", help="Do not decrypt: show no payload.")] = False,
    is_json: parameters.Json = False,
    is_jsonl: parameters.JsonLines = False,
    world: parameters.World = None,
) -> int:
    """Show what a world holds: runs (the default), a run's timeline, steps, events, hooks and so on.

    Examples:

        wf inspect --status failed --since 1h

        wf inspect wrun_01K3

        wf inspect events wrun_01K3 --jsonl
    """
    query = parameters.read_query(status, workflow, attributes, since, until, limit or DEFAULT_LIMIT, cursor)
    form = "json" if is_json else "jsonl" if is_jsonl else "text"

    async def look() -> int:
        async with open_client(world) as client:
            subject = await _find_subject(client, kind, id)
            if is_url or is_web:
                server, place = _find_server(world), _find_place(subject)
                if is_url:
                    results().print(f"{server.url}{place}")
                else:
                    _open_in_browser(server, place)
                return 0
            question = Question(name=subject.name, runs=query, is_locked=is_locked)
            view = _View(client, subject, question, form, limit)
            if is_watching:
                await _watch(client, view)
            else:
                await view.show(results())
            return 0

    return carry_out(look())


# -- what is meant ----------------------------------------------------------------------------------


class _Subject:
    """What to show: a kind of list with what narrows it, or one run or step."""

    def __init__(self, kind: str, name: str | None = None) -> None:
        self.kind = kind
        self.name = name

    @property
    def listing(self) -> Listing | None:
        return LISTINGS.get(self.kind)


async def _find_subject(client: Client, kind: str | None, id: str | None) -> _Subject:
    if kind is None:
        return _Subject("runs")
    if kind not in KINDS:
        if id is not None:
            raise Misuse(f"there is no kind {kind!r:.80}", hint=suggest(kind, KINDS) or f"known are {', '.join(KINDS)}")
        try:
            return _Subject("run", await find_run(client, kind))
        except RunNotFoundError as error:
            hint = suggest(kind, KINDS)
            if hint is None:
                if kind in await list_workflow_names(client):
                    error.hint = f"`wf inspect --workflow {kind}` lists the runs of that workflow"
                raise
            raise Misuse(f"{kind!r:.80} is no kind and no run", hint=hint) from error
    if kind == "runs":
        if id is not None:
            return _Subject("run", await find_run(client, id))
        return _Subject("runs")
    if kind == "step":
        run, colon, number = (id or "").rpartition(":")
        if not colon or not number.isdecimal():
            raise Misuse("name the step by its id, `RUN:NUMBER`", hint="`wf inspect steps RUN` lists them")
        return _Subject("step", f"{await find_run(client, run)}:{number}")
    if kind in _OF_RUNS and id is not None:
        return _Subject(kind, await find_run(client, id))
    if id is None and (kind == "run" or LISTINGS[kind].name == "RUN"):
        raise Misuse(f"name the run: `wf inspect {kind} RUN`", hint="`wf inspect` lists the newest ones")
    if kind == "run":
        return _Subject("run", await find_run(client, id or ""))
    return _Subject(kind, id)


def _find_server(world: str | None) -> ServerFile:
    server = find_server(settle(world))
    if server is None:
        raise NotFoundError("no studio runs beside this world", "start one with `wf dev`")
    return server


def _find_place(subject: _Subject) -> str:
    """Give the path at which the browser studio shows it."""
    if subject.kind in ("run", "step", *_OF_RUNS) and subject.name is not None:
        run, _, number = subject.name.rpartition(":") if subject.kind == "step" else (subject.name, "", "")
        params = {"span": number} if number else {"tab": subject.kind} if subject.kind in _TABS else {}
        return f"/runs/{quote(run, safe='')}" + (f"?{urlencode(params)}" if params else "")
    screen = _SCREENS.get(subject.kind)
    if screen is None:
        return "/runs"
    name, param = screen
    return f"/studio/{name}" + (f"?{urlencode({param: subject.name})}" if subject.name else "")


def _open_in_browser(server: ServerFile, place: str) -> None:
    """Open it signed in: by a code that is good once. Where there is no desktop, the link is printed."""
    from wfstudio.cli.link import draw_code, make_link  # the only thing here that needs the server's modules
    from wfstudio.dev.terminal import open_browser

    url = make_link(server.url, place, draw_code(server.url, server.token))
    if not open_browser(url):
        results().print(url)


# -- showing it -------------------------------------------------------------------------------------


class _View:
    """A subject, to be read and shown once or again and again."""

    def __init__(self, client: Client, subject: _Subject, question: Question, form: str, limit: int | None) -> None:
        self._client = client
        self.subject = subject
        self._question = question
        self.form = form
        self._limit = limit
        self._looker: Looker | None = None

    async def show(self, terminal: Terminal) -> None:
        """Read and print it."""
        value = await self.read()
        if self.form == "json":
            terminal.print_json(value)
        elif self.form == "jsonl":
            terminal.print_jsonl(value.items if isinstance(value, Page) else [value])
        else:
            lines = await self.draw(terminal, value)
            if isinstance(value, Page) and not value.items and self.subject.listing is not None:
                await tell_none(self._client, self._say_empty(self.subject.listing), self._question.runs.workflow)
            elif lines:
                terminal.print(*lines)

    def _say_empty(self, listing: Listing) -> str:
        if self.subject.kind == "runs" and self._question.runs == RunQuery(limit=self._question.runs.limit):
            return "no run yet; `wf start WORKFLOW` starts one, and so does `wf run`"
        return listing.empty

    async def read(self) -> Any:
        """Read what `--json` prints."""
        name, is_locked = self.subject.name or "", self._question.is_locked
        if self.subject.listing is not None:
            page = await self.subject.listing.read(self._client, self._question)
            # Lists without pages come whole, unless somebody wants less of them.
            return msgspec.structs.replace(page, items=page.items[: self._limit])
        if self.subject.kind == "step":
            return await _read_step(self._client, name, is_locked=is_locked)
        return await self._client.get_run(name, is_locked=is_locked)

    async def draw(self, terminal: Terminal, value: Any) -> list[str]:
        """Give the lines that a reader sees."""
        if self.subject.listing is not None:
            return draw_page(terminal, self.subject.listing, value)
        if isinstance(value, StepView):
            return draw_step(terminal, value)
        self._looker = self._looker or Looker(self._client, value.id)
        return draw_run(terminal, value, await self._looker.look(), self._limit or MOST_LINES)


async def _read_step(client: Client, id: str, *, is_locked: bool) -> StepView:
    run, _, number = id.rpartition(":")
    for step in await client.list_steps(run, after=int(number) - 1, limit=1, is_locked=is_locked):
        if step.id == id:
            return step
    raise NotFoundError(f"there is no step {printable(id)}", "`wf inspect steps RUN` lists them")


async def _watch(client: Client, view: _View) -> None:
    """Show it, and again whenever it changes; until interrupted, or until the run that is shown has ended."""
    terminal = results()
    if view.form == "text" and terminal.is_tty:

        async def draw() -> tuple[list[str], bool]:
            value = await view.read()
            return await view.draw(terminal, value), _has_ended(value)

        await redraw(terminal, draw, _listen(client, view.subject))
        return
    shown: dict[str, Any] = {}

    async def print_new() -> bool:
        value = await view.read()
        items = value.items if isinstance(value, Page) else [value]
        for item in reversed(items):  # lists are newest first, and what is printed stays above
            key = str(getattr(item, "id", None) or getattr(item, "seq", None) or item)
            if shown.get(key) != _timeless(item):
                shown[key] = _timeless(item)
                terminal.print_jsonl([item])
        return _has_ended(value)

    # What is printed has no clock in it; and of one run all that is new is rung for.
    every_seconds = LOOK_SECONDS if _find_run_of(view.subject) is None else reading.LOOK_SECONDS
    await look_again(print_new, _listen(client, view.subject), every_seconds)


def _listen(client: Client, subject: _Subject) -> AsyncIterator[str]:
    """Give news that matter to a subject: of its run, else of all runs."""
    run_id = _find_run_of(subject)
    return client.watch() if run_id is None else client.watch_run(run_id)


def _find_run_of(subject: _Subject) -> str | None:
    """Give the run that a subject belongs to, if there is one."""
    if subject.name is None or subject.kind not in ("run", "step", *_OF_RUNS):
        return None
    return subject.name.rpartition(":")[0] if subject.kind == "step" else subject.name


def _has_ended(value: Any) -> bool:
    return isinstance(value, RunView) and value.status in ENDED


def _timeless(item: Any) -> Any:
    """Leave out what goes on with the clock, and is no change."""
    return msgspec.structs.replace(item, duration_ms=None, queued_ms=0) if isinstance(item, RunView) else item
