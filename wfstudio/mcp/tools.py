"""The tools: what an agent can ask of a world and do to it, each with its arguments, its effect and its answer.

1. Every tool is a face's action on `core.client.Client`, under the name and with the words of the command line.
2. Each call opens the world for itself. So a server that an editor keeps for days holds nobody up, and finds
   whichever process has the world now.
3. Arguments are checked before anything is done; what does not fit is a `UsageError`.
4. Nothing of the user's is imported into this process. Replays run their code in a process of its own.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager
from inspect import getdoc
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta

from wf.durations import from_instant, parse_duration
from wf.errors import WorkflowError
from wf.settings import Settings
from wfstudio.core.client import Client
from wfstudio.core.diff_code import diff_code
from wfstudio.core.errors import NotFoundError, UsageError
from wfstudio.core.forks import ForkRequest
from wfstudio.core.replays import Replays
from wfstudio.core.views import RunQuery, RunView
from wfstudio.history.asking import Asker, make_question
from wfstudio.history.schema import VIEWS
from wfstudio.history.wire import Done, Head, Rows
from wfstudio.mcp.paging import CAP, SHOWN_BYTES, cut, make_page, read_offset

MOST_ROWS: Final = 10_000
QUERY_BYTES: Final = 32 << 20
QUERY_SECONDS: Final = 30.0
LONGEST_WAIT: Final = 60


class Desk(msgspec.Struct, frozen=True):
    """What tools work with: how to reach the world, and the settings in force."""

    open: Callable[[], AbstractAsyncContextManager[Client]]
    settings: Settings


class Ask(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a tool is asked. Its docstring is the tool's description."""


Act = Callable[[Desk, Any], Awaitable[dict[str, Any]]]


class Tool(msgspec.Struct, frozen=True):
    """A tool. `is_reading`: it changes nothing. `is_destructive`: it may end or undo something.

    `is_open`: it sets the user's code going, which may reach anything.
    """

    name: str
    act: Act
    ask: type[Ask]
    is_reading: bool = True
    is_destructive: bool = False
    is_idempotent: bool = False
    is_open: bool = False

    @property
    def description(self) -> str:
        return (getdoc(self.ask) or "").replace("\n", " ")


# -- words that several tools take ----------------------------------------------------------------

RunId = Annotated[str, Meta(description="The run's id, whole: `list_runs` gives it.")]
Cursor = Annotated[str | None, Meta(description="The `cursor` of the answer before: go on behind it.")]
Limit = Annotated[int, Meta(ge=1, le=500, description="How many at most; fewer come when the answer is full.")]
MaxBytes = Annotated[
    int,
    Meta(ge=0, le=CAP // 2, description='Payloads of more bytes are given as `{"$large": bytes}`.'),
]
Wait = Annotated[
    float, Meta(ge=0, le=LONGEST_WAIT, description="Wait up to so many seconds for the end; then it is as it is.")
]
Code = Annotated[
    str,
    Meta(min_length=1, description="`today` (the files on the disk), `latest`, `own`, or a deployment's id."),
]
Step = Annotated[str, Meta(min_length=1, description="The step's name, `name#2` for its second call, or its number.")]
Status = Literal["pending", "running", "completed", "failed", "cancelled"]


# -- looking --------------------------------------------------------------------------------------


class ListRuns(Ask, frozen=True, kw_only=True):
    """List runs, newest first: id, workflow, status, why each rests (`reason`, `attention`), times, attributes."""

    status: list[Status] = []
    workflow: Annotated[str | None, Meta(description="A workflow's id or short name.")] = None
    attributes: Annotated[dict[str, str], Meta(description="Only runs that have all of these.")] = {}
    since: Annotated[str | None, Meta(description="Created so long ago at most: `2h`, `1d`.")] = None
    limit: Limit = 20
    cursor: Cursor = None


async def list_runs(desk: Desk, ask: ListRuns) -> dict[str, Any]:
    async with desk.open() as client:
        since = None if ask.since is None else from_instant(client.session.now_us() - _read_age(ask.since))
        query = RunQuery(
            status=list(ask.status) or None,
            workflow=ask.workflow,
            attributes=ask.attributes,
            since=since,
            limit=ask.limit,
            cursor=ask.cursor,
        )
        found = await client.list_runs(query)
    cursors = [run.id for run in found.items]
    return make_page({}, "items", found.items, _end(cursors, found.cursor is not None))


class InspectRun(Ask, frozen=True, kw_only=True):
    """Show a run: status and why it rests or failed, arguments, result, error with its traceback; its steps with
    attempts, inputs and outputs; what it waits for. Begin here to debug one."""

    run: RunId
    max_bytes: MaxBytes = SHOWN_BYTES
    wait_seconds: Wait = 0
    cursor: Cursor = None


async def inspect_run(desk: Desk, ask: InspectRun) -> dict[str, Any]:
    after = read_offset(ask.cursor)
    async with desk.open() as client:
        if ask.wait_seconds:
            await _wait(client, ask.run, ask.wait_seconds)
        run = await client.get_run(ask.run, max_bytes=ask.max_bytes)
        steps = await client.list_steps(ask.run, after=after, limit=501, max_bytes=ask.max_bytes)
        fields: dict[str, Any] = {"run": run}
        if after == 0:
            fields["hooks"] = [
                {"token": hook.token, "schema": hook.schema} for hook in await client.list_hooks(ask.run)
            ]
            fields["waits"] = await client.list_waits(ask.run)
    cursors = [str(step.correlation_id) for step in steps]
    return make_page(fields, "steps", steps[:500], _end(cursors[:500], len(steps) > 500))


class ListEvents(Ask, frozen=True, kw_only=True):
    """List a run's log, event by event: the only truth about it. `seq` is what `fork` and `replay` take."""

    run: RunId
    limit: Limit = 100
    max_bytes: MaxBytes = 500
    cursor: Cursor = None


async def list_events(desk: Desk, ask: ListEvents) -> dict[str, Any]:
    async with desk.open() as client:
        after = read_offset(ask.cursor)
        found = await client.list_events(ask.run, after, ask.limit + 1, max_bytes=ask.max_bytes)
    cursors = [str(event.seq) for event in found[: ask.limit]]
    return make_page({}, "items", found[: ask.limit], _end(cursors, len(found) > ask.limit))


class Query(Ask, frozen=True, kw_only=True):
    """Ask all history in SQL (DuckDB, reading only). Tables: VIEWS. `DESCRIBE steps` lists a table's columns. Payloads
    are JSON: `output->>'$.total'`. With a cursor the query is asked again and goes on behind the rows that were shown,
    so give it an ORDER BY."""

    sql: str
    parameters: Annotated[dict[str, Any], Meta(description="What `$name` stands for.")] = {}
    limit: Limit = 100
    cursor: Cursor = None


async def query(desk: Desk, ask: Query) -> dict[str, Any]:
    skipped = read_offset(ask.cursor)
    if skipped + ask.limit > MOST_ROWS:
        raise UsageError(f"a query gives {MOST_ROWS} rows at most", "narrow it with WHERE, or aggregate")
    async with desk.open() as client:
        await client.session.world.list_deployments()  # brings a file of an older version up to date
    asker = Asker(desk.settings)
    question = make_question(ask.sql, parameters=ask.parameters, row_limit=skipped + ask.limit, byte_limit=QUERY_BYTES)
    columns: list[str] = []
    rows: list[list[Any]] = []
    is_capped = False
    try:
        async with aclosing(asker.ask(question, seconds=QUERY_SECONDS)) as answers:
            async for answer in answers:
                match answer:
                    case Head():
                        columns = [column.name for column in answer.columns]
                    case Rows():
                        rows += msgspec.json.decode(answer.data, type=list[list[Any]])
                    case Done():
                        is_capped = answer.is_capped
    finally:
        await asker.close()
    shown = rows[skipped:]
    if is_capped and not shown:
        raise UsageError(
            f"the rows before this page have {QUERY_BYTES >> 20} MB", "ask for fewer columns, or aggregate"
        )
    cursors = [str(skipped + place) for place in range(1, len(shown) + 1)]
    return make_page({"columns": columns}, "rows", shown, _end(cursors, is_capped))


class Hooks(Ask, frozen=True, kw_only=True):
    """List the hooks that wait for a payload, oldest first: token, run, and the JSON Schema of what it takes."""

    run: Annotated[str | None, Meta(description="Only those of this run.")] = None
    cursor: Cursor = None


async def hooks(desk: Desk, ask: Hooks) -> dict[str, Any]:
    async with desk.open() as client:
        found = await client.list_hooks(ask.run)
    return _page_by_offset(found, read_offset(ask.cursor))


class Logs(Ask, frozen=True, kw_only=True):
    """Show what the steps of a run printed and logged, by call (`correlation_id`) and attempt, as attempts ended."""

    run: RunId
    limit: Limit = 200
    cursor: Cursor = None


async def logs(desk: Desk, ask: Logs) -> dict[str, Any]:
    async with desk.open() as client:
        found = await client.read_logs(ask.run, ask.cursor, ask.limit + 1)
    shown = found[: ask.limit]
    return make_page({}, "items", shown, _end([line.position for line in shown], len(found) > ask.limit))


class Workflows(Ask, frozen=True, kw_only=True):
    """List the workflows of the newest code: parameters, the JSON Schema of the arguments, file and line."""

    name: Annotated[str | None, Meta(description="Only this one: its id or short name.")] = None
    cursor: Cursor = None


async def workflows(desk: Desk, ask: Workflows) -> dict[str, Any]:
    async with desk.open() as client:
        found = [view for view in await client.list_workflows() if ask.name in (None, view.id, view.name)]
    return _page_by_offset(found, read_offset(ask.cursor))


class Replay(Ask, frozen=True, kw_only=True):
    """Replay a run against some code without any effect: `clean`, `extends`, `diverges` at which event and line, or
    `cannot_load`. With `at` it is shown as it was right after that event: each coroutine's source line and local
    variables, by the run's own code. With `runs` instead of `run`, several: `open`, `failed`, or `last:50`."""

    run: Annotated[str | None, Meta(description="The run's id, whole.")] = None
    runs: Annotated[str | None, Meta(description="`open`, `failed`, `all` or `last:N`.")] = None
    at: Annotated[int | Literal["last"] | None, Meta(description="The seq of an event, or `last`.")] = None
    code: Annotated[Code | None, Meta(description="Default: `today`; with `at`, `own`.")] = None
    cursor: Cursor = None


async def replay(desk: Desk, ask: Replay) -> dict[str, Any]:
    if (ask.run is None) == (ask.runs is None):
        raise UsageError("name a run, or several with `runs`", 'give `run`, or `runs: "open"`')
    if ask.runs is not None and ask.at is not None:
        raise UsageError("`at` is about one run", "give `run`, not `runs`")
    async with _replaying(desk) as (_, replays):
        if ask.run is not None and ask.at is not None:
            return cut_whole(await replays.look(ask.run, ask.at, deployment=ask.code or "own"))
        if ask.run is not None:
            return cut_whole(await replays.replay_run(ask.run, deployment=ask.code))
        found = await replays.replay_all(ask.runs or "", deployment=ask.code)
    counts = {name: getattr(found, name) for name in ("clean", "extends", "diverges", "cannot_load")}
    return _page_by_offset(found.items, read_offset(ask.cursor), counts)


class Diff(Ask, frozen=True, kw_only=True):
    """Compare two runs call by call: where they part first, what went in and came out otherwise, times. Or, with
    `codes` instead of `b`, one run with what one code does, or two."""

    a: RunId
    b: Annotated[str | None, Meta(description="The run to compare it with.")] = None
    codes: Annotated[list[Code], Meta(max_length=2)] = []
    all: Annotated[bool, Meta(description="List calls that do not differ, too.")] = False
    cursor: Cursor = None


async def diff(desk: Desk, ask: Diff) -> dict[str, Any]:
    if (ask.b is None) == (not ask.codes):
        raise UsageError("name the run to compare it with, or codes", "give `b`, or `codes`")
    if ask.b is None:
        async with _replaying(desk) as (_, replays):
            return cut_whole(await diff_code(replays, ask.a, ask.codes))
    async with desk.open() as client:
        view = await client.diff(ask.a, ask.b, is_all=ask.all)
    fields = {name: getattr(view, name) for name in view.__struct_fields__ if name != "calls"}
    return _page_by_offset(view.calls, read_offset(ask.cursor), fields, "calls")


# -- acting ---------------------------------------------------------------------------------------


class Start(Ask, frozen=True, kw_only=True):
    """Start a run of a workflow; a worker carries it out (`wf dev`, `wf worker`). The arguments are checked before
    anything is written. The same `id` gives the same run."""

    workflow: Annotated[str, Meta(description="A workflow's id or short name: `workflows` lists them.")]
    arguments: Annotated[dict[str, Any] | list[Any], Meta(description="By name, or in order.")] = {}
    id: Annotated[str | None, Meta(description="The run's id; drawn where there is none.")] = None
    attributes: dict[str, str] = {}
    deployment: Annotated[str | None, Meta(description="Run on this code (default: the newest).")] = None
    delay: Annotated[str | None, Meta(description="Begin after so long: `1h 30m`.")] = None
    wait_seconds: Wait = 0


async def start(desk: Desk, ask: Start) -> dict[str, Any]:
    args, kwargs = ((), ask.arguments) if isinstance(ask.arguments, dict) else (ask.arguments, {})
    async with desk.open() as client:
        if not await client.list_workflows():
            raise NotFoundError("no worker has told of its workflows here yet", "start one: `wf dev`, or `wf worker`")
        run = await client.start(
            ask.workflow,
            args,
            kwargs,
            id=ask.id,
            attributes=ask.attributes,
            deployment=ask.deployment,
            delay=ask.delay,
        )
        return await _show(client, run.id, ask.wait_seconds)


class Resume(Ask, frozen=True, kw_only=True):
    """Send a payload to a hook. It is checked against the hook's schema first."""

    token: str
    payload: Any = None


async def resume(desk: Desk, ask: Resume) -> dict[str, Any]:
    async with desk.open() as client:
        return cut_whole(await client.resume(ask.token, ask.payload))


class Cancel(Ask, frozen=True, kw_only=True):
    """Cancel a run: its clean-up runs. With `force` it ends at once, without any."""

    run: RunId
    reason: str | None = None
    force: bool = False


async def cancel(desk: Desk, ask: Cancel) -> dict[str, Any]:
    async with desk.open() as client:
        return cut_whole(await client.cancel(ask.run, ask.reason, force=ask.force))


class Wake(Ask, frozen=True, kw_only=True):
    """End a run's pending sleeps early. Deadlines of timeouts stay."""

    run: RunId


async def wake(desk: Desk, ask: Wake) -> dict[str, Any]:
    async with desk.open() as client:
        return {"id": ask.run, "sleeps": await client.wake(ask.run)}


class Retry(Ask, frozen=True, kw_only=True):
    """Try an ended run again, in a new run with today's code: completed steps keep their results."""

    run: RunId
    wait_seconds: Wait = 0


async def retry(desk: Desk, ask: Retry) -> dict[str, Any]:
    async with desk.open() as client:
        again = await client.retry(ask.run)
        return await _show(client, again.id, ask.wait_seconds)


class Fork(Ask, frozen=True, kw_only=True):
    """Start a new run that shares another's log up to a point and goes on with today's code, also with another result,
    error, payload or input. The old run stays as it is. Tokens of the fork's hooks are new: `hooks` shows them."""

    run: RunId
    start: Annotated[
        int | str | None, Meta(description="The seq of an event, or a step that then runs again. Default: what failed.")
    ] = None
    outputs: Annotated[dict[str, Any], Meta(description="By step: what it gave instead.")] = {}
    errors: Annotated[dict[str, str], Meta(description="By step: `Type` or `Type: message` that it raised.")] = {}
    payloads: Annotated[dict[str, Any], Meta(description="By hook or token: what it was sent instead.")] = {}
    input: Annotated[dict[str, Any] | list[Any] | None, Meta(description="Other arguments; from the beginning.")] = None
    id: str | None = None
    attributes: dict[str, str] = {}
    deployment: str | None = None
    wait_seconds: Wait = 0


async def fork(desk: Desk, ask: Fork) -> dict[str, Any]:
    request = ForkRequest(
        start=ask.start,
        outputs=ask.outputs,
        errors=dict(ask.errors),
        payloads=ask.payloads,
        input=ask.input,
        id=ask.id,
        attributes=ask.attributes,
        deployment=ask.deployment,
    )
    async with desk.open() as client:
        forked = await client.fork(ask.run, request)
        return {"notes": cut(forked.notes, CAP // 4), **await _show(client, forked.run.id, ask.wait_seconds)}


class ReplayStep(Ask, frozen=True, kw_only=True):
    """Carry out one recorded step once more, FOR REAL (what it does to files, networks and databases happens), with its
    recorded input or another, and compare what it gives with what is recorded. Nothing of it is recorded."""

    run: RunId
    step: Step
    input: Annotated[dict[str, Any], Meta(description="Arguments to replace, by name.")] = {}
    code: Code = "today"
    timeout_seconds: Annotated[float, Meta(gt=0, le=300)] = 60


async def replay_step(desk: Desk, ask: ReplayStep) -> dict[str, Any]:
    async with _replaying(desk) as (_, replays):
        view = await replays.replay_step(
            ask.run, ask.step, edited=ask.input, deployment=ask.code, timeout_seconds=ask.timeout_seconds
        )
    return cut_whole(view)


# -- what they share ------------------------------------------------------------------------------


@asynccontextmanager
async def _replaying(desk: Desk) -> AsyncIterator[tuple[Client, Replays]]:
    async with desk.open() as client:
        replays = Replays(client.session)
        try:
            yield client, replays
        finally:
            await replays.close()


async def _show(client: Client, run_id: str, wait_seconds: float) -> dict[str, Any]:
    """Give a run, as it is after waiting for its end."""
    last = await _wait(client, run_id, wait_seconds) if wait_seconds else run_id
    return {"run": cut(await client.get_run(last, max_bytes=SHOWN_BYTES), CAP // 2)}


async def _wait(client: Client, run_id: str, seconds: float) -> str:
    """Wait for a run's end, and give the id of the run that it ended as. What keeps it from ending is no error here:
    the run says it."""
    await client.get_run(run_id, is_locked=True)
    try:
        found: RunView = await client.wait_for_end(run_id, seconds)
        return found.id
    except (TimeoutError, WorkflowError):
        return run_id


def _read_age(text: str) -> int:
    try:
        return parse_duration(text, "since")
    except (ValueError, OverflowError) as error:
        raise UsageError(str(error), "write `2h`, or `1d`") from None


def _end(cursors: list[str], has_more: bool) -> list[str]:
    """Say of the last item that nothing comes behind it, where that is so."""
    return cursors if has_more or not cursors else [*cursors[:-1], ""]


def _page_by_offset(
    found: Sequence[Any], offset: int, fields: dict[str, Any] | None = None, name: str = "items"
) -> dict[str, Any]:
    left = found[offset:]
    cursors = [str(offset + place) for place in range(1, len(left) + 1)]
    return make_page(fields or {}, name, left, _end(cursors, has_more=False))


def cut_whole(view: Any) -> dict[str, Any]:
    """Give one view, cut where it is too long."""
    found = cut(view, CAP)
    return found if isinstance(found, dict) else {"value": found}


Query.__doc__ = (getdoc(Query) or "").replace("VIEWS", ", ".join(f"`{view.name}`" for view in VIEWS))

TOOLS: Final = {
    tool.name: tool
    for tool in (
        Tool("list_runs", list_runs, ListRuns),
        Tool("inspect_run", inspect_run, InspectRun),
        Tool("list_events", list_events, ListEvents),
        Tool("query", query, Query),
        Tool("hooks", hooks, Hooks),
        Tool("logs", logs, Logs),
        Tool("workflows", workflows, Workflows),
        Tool("replay", replay, Replay),
        Tool("diff", diff, Diff),
        Tool("start", start, Start, is_reading=False, is_open=True),
        Tool("resume", resume, Resume, is_reading=False, is_open=True),
        Tool("wake", wake, Wake, is_reading=False, is_open=True),
        Tool("retry", retry, Retry, is_reading=False, is_open=True),
        Tool("fork", fork, Fork, is_reading=False, is_open=True),
        Tool("cancel", cancel, Cancel, is_reading=False, is_destructive=True, is_idempotent=True),
        Tool("replay_step", replay_step, ReplayStep, is_reading=False, is_destructive=True, is_open=True),
    )
}
"""All tools, the reading ones first."""
