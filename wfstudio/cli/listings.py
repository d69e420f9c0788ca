"""Listings: for each kind of thing that `wf inspect` lists, how it is read and what its columns are."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

import msgspec

from wfstudio.cli.misuse import Misuse, suggest
from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal
from wfstudio.core.check.deployments import CodeChecks, examine_here
from wfstudio.core.client import Client
from wfstudio.core.errors import NotFoundError
from wfstudio.core.views import (
    DeploymentView,
    EventView,
    FindingView,
    HookView,
    LogView,
    RunQuery,
    RunView,
    StepView,
    StreamView,
    WaitView,
    WorkflowView,
)
from wfstudio.text.moments import show_instant, show_ms
from wfstudio.text.printable import printable, to_json
from wfstudio.text.told_reasons import show_reason


class Question(msgspec.Struct, frozen=True):
    """What to list. `name` is a run's id, or what else the kind is chosen by."""

    name: str | None = None
    runs: RunQuery = RunQuery()
    is_locked: bool = False


class Page(msgspec.Struct, frozen=True):
    """What was found, as `--json` prints it. `cursor` asks for the next page; null: there is none."""

    items: list[Any]
    cursor: str | None = None


class Listing(msgspec.Struct, frozen=True):
    """`name` says what narrows the list: nothing, or a run that must be or may be named, or a name."""

    read: Callable[[Client, Question], Awaitable[Page]]
    columns: Sequence[Column]
    row: Callable[[Terminal, Any], Sequence[str]]
    name: str = ""
    empty: str = "there is nothing"


def draw_page(terminal: Terminal, listing: Listing, page: Page) -> list[str]:
    """Give the lines of a page's table."""
    lines = draw_table(terminal, listing.columns, [listing.row(terminal, item) for item in page.items])
    if page.cursor is not None:
        lines.append(terminal.paint(f"more: --cursor {page.cursor}", "dim"))
    return lines


# -- reading: each gives a page -------------------------------------------------------------------


async def _read_runs(client: Client, question: Question) -> Page:
    found = await client.list_runs(question.runs)
    return Page(list(found.items), found.cursor)


async def _read_steps(client: Client, question: Question) -> Page:
    limit = question.runs.limit
    after = _read_number(question.runs.cursor)
    found = await client.list_steps(_named(question), after=after, limit=limit + 1, is_locked=question.is_locked)
    return Page(found[:limit], str(found[limit - 1].correlation_id) if len(found) > limit else None)


async def _read_events(client: Client, question: Question) -> Page:
    limit = question.runs.limit
    after = _read_number(question.runs.cursor)
    found = await client.list_events(_named(question), after, limit + 1, is_locked=question.is_locked)
    items = list(found[:limit])
    return Page(items, str(items[-1].seq) if len(found) > limit else None)


async def _read_hooks(client: Client, question: Question) -> Page:
    return Page(list(await client.list_hooks(question.name, is_locked=question.is_locked)))


async def _read_waits(client: Client, question: Question) -> Page:
    return Page(list(await client.list_waits(question.name)))


async def _read_streams(client: Client, question: Question) -> Page:
    return Page(list(await client.list_streams(_named(question))))


async def _read_logs(client: Client, question: Question) -> Page:
    limit = question.runs.limit
    found = await client.read_logs(_named(question), question.runs.cursor, limit + 1)
    items = list(found[:limit])
    return Page(items, items[-1].position if len(found) > limit else None)


async def _read_attributes(client: Client, question: Question) -> Page:
    run = await client.get_run(_named(question), is_locked=True)
    return Page([{"key": key, "value": value} for key, value in sorted(run.attributes.items())])


async def _read_deployments(client: Client, question: Question) -> Page:
    found = await client.list_deployments()
    named = [view for view in found if question.name is None or view.id.startswith(question.name)]
    if found and not named:
        hint = suggest(question.name or "", [view.id for view in found]) or "`wf inspect deployments` lists them"
        raise NotFoundError(f"no deployment begins with {question.name!r:.80}", hint)
    return Page(named)


async def _read_workflows(client: Client, question: Question) -> Page:
    found = await client.list_workflows()
    named = [view for view in found if question.name in (None, view.id, view.name)]
    if found and question.name is not None and not named:
        hint = suggest(question.name, [name for view in found for name in (view.name, view.id)])
        text = f"the newest code has no workflow {question.name!r:.80}"
        raise NotFoundError(text, hint or "`wf inspect workflows` lists them")
    return Page(list(await CodeChecks(client.session, examine=examine_here).add_findings(named)))


def _named(question: Question) -> str:
    if question.name is None:
        raise Misuse("name the run", hint="`wf inspect` lists the newest ones")
    return question.name


def _read_number(text: str | None) -> int:
    if text is None:
        return 0
    if not text.isdecimal():
        raise Misuse(f"--cursor: {text!r:.80} is not the number of an event")
    return int(text)


# -- rows -----------------------------------------------------------------------------------------


def _show_run(terminal: Terminal, run: RunView) -> Sequence[str]:
    attributes = " ".join(f"{key}={value}" for key, value in run.attributes.items())
    attention = run.attention.message if run.attention else None
    reason = show_reason(terminal, run.reason)
    return (
        run.id,
        terminal.show_status(run.status),
        printable(run.workflow),
        show_instant(terminal, run.created_at),
        show_ms(run.duration_ms),
        printable(attention or reason or (run.error.type or run.error.code or "" if run.error else "")),
        printable(attributes),
    )


def _show_step(terminal: Terminal, step: StepView) -> Sequence[str]:
    error = f"{step.error.type or ''}: {step.error.message or ''}".strip(": ") if step.error else ""
    return (
        step.id,
        printable(step.name),
        terminal.show_status(step.status),
        str(len(step.attempts)),
        show_ms(step.queued_ms),
        show_ms(step.duration_ms),
        printable(error),
    )


def _show_event(terminal: Terminal, event: EventView) -> Sequence[str]:
    payload = "" if event.payload is None else to_json(event.payload)
    return (
        str(event.seq),
        show_instant(terminal, event.at),
        event.type,
        "" if event.correlation_id is None else str(event.correlation_id),
        printable(event.name or ""),
        "" if event.attempt is None else str(event.attempt),
        "(locked)" if event.is_locked and event.payload_bytes else printable(payload),
    )


def _show_hook(terminal: Terminal, hook: HookView) -> Sequence[str]:
    wanted = hook.path or ("" if hook.schema is None else name_schema(hook.schema))
    return (
        "(locked)" if hook.token is None else printable(hook.token),
        hook.kind,
        hook.run_id,
        show_instant(terminal, hook.created_at),
        printable(wanted),
        "" if hook.metadata is None else printable(to_json(hook.metadata)),
    )


def name_schema(schema: dict[str, Any]) -> str:
    """Write what a payload must be, in a line: the fields of an object, with a star where they must be."""
    schema = _follow(schema)
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return str(schema.get("type") or "any")
    required = schema.get("required", [])
    parts = []
    for name, field in properties.items():
        kind = _follow({**field, "$defs": schema.get("$defs", {})}).get("type") if isinstance(field, dict) else None
        parts.append(f"{name}{'*' if name in required else ''}: {kind or 'any'}")
    return "{" + ", ".join(parts) + "}"


def _follow(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the definition that a schema only refers to."""
    name = str(schema.get("$ref", "")).rpartition("/")[2]
    found = schema.get("$defs", {}).get(name)
    return {**found, "$defs": schema["$defs"]} if isinstance(found, dict) else schema


def _show_wait(terminal: Terminal, wait: WaitView) -> Sequence[str]:
    return (wait.run_id, str(wait.correlation_id), wait.kind, show_instant(terminal, wait.due_at))


def _show_stream(terminal: Terminal, stream: StreamView) -> Sequence[str]:
    return (printable(stream.name), str(stream.tail_index + 1), "closed" if stream.is_closed else "open")


def _show_log(terminal: Terminal, line: LogView) -> Sequence[str]:
    return (
        show_instant(terminal, line.at),
        f"{line.correlation_id}:{line.attempt}",
        line.source,
        printable(line.text),
    )


def _show_attribute(terminal: Terminal, pair: dict[str, str]) -> Sequence[str]:
    return (printable(pair["key"]), printable(pair["value"]))


def _show_deployment(terminal: Terminal, deployment: DeploymentView) -> Sequence[str]:
    return (
        deployment.id,
        show_instant(terminal, deployment.created_at),
        show_instant(terminal, deployment.used_at),
        str(len(deployment.files)),
        printable(" ".join(deployment.workflows)),
    )


def _show_workflow(terminal: Terminal, workflow: WorkflowView) -> Sequence[str]:
    return (
        printable(workflow.name),
        printable(workflow.id),
        printable(", ".join(_show_parameter(p.name, p.kind, p.default) for p in workflow.parameters)),
        printable(f"{workflow.file}:{workflow.line}"),
        _show_findings(terminal, workflow.findings),
        printable((workflow.doc or "").partition("\n")[0]),
    )


def _show_findings(terminal: Terminal, findings: Sequence[FindingView]) -> str:
    codes = ", ".join(dict.fromkeys(finding.code for finding in findings))
    return terminal.paint(codes, "red" if any(f.severity == "error" for f in findings) else "yellow") if codes else ""


def _show_parameter(name: str, kind: str, default: str | None) -> str:
    stars = {"args": "*", "kwargs": "**"}.get(kind, "")
    return f"{stars}{name}" if default is None else f"{stars}{name}={default}"


# -- kinds ----------------------------------------------------------------------------------------


def _columns(*titles: str) -> list[Column]:
    """Read columns: `…` after a title marks a flexible one, `#` one of numbers."""
    return [Column(title.rstrip("…#"), title.endswith("…"), title.endswith("#")) for title in titles]


LISTINGS: Final = {
    "runs": Listing(
        _read_runs,
        _columns("run", "status", "workflow…", "created", "took#", "reason…", "attributes…"),
        _show_run,
        empty="there is no such run",
    ),
    "steps": Listing(
        _read_steps,
        _columns("step", "name…", "status", "attempts#", "queued#", "took#", "error…"),
        _show_step,
        "RUN",
        "the run has called no step yet",
    ),
    "events": Listing(
        _read_events,
        _columns("seq#", "at", "type", "call#", "name…", "attempt#", "payload…"),
        _show_event,
        "RUN",
        "there are no more events",
    ),
    "hooks": Listing(
        _read_hooks,
        _columns("token…", "kind", "run", "created", "payload…", "metadata…"),
        _show_hook,
        "[RUN]",
        "no hook waits for a payload",
    ),
    "waits": Listing(
        _read_waits, _columns("run", "call#", "kind", "due"), _show_wait, "[RUN]", "no run waits for time"
    ),
    "streams": Listing(
        _read_streams, _columns("stream…", "chunks#", "state"), _show_stream, "RUN", "the run has written no stream"
    ),
    "logs": Listing(
        _read_logs, _columns("at", "attempt", "source", "text…"), _show_log, "RUN", "the run's steps printed nothing"
    ),
    "attributes": Listing(
        _read_attributes, _columns("key", "value…"), _show_attribute, "RUN", "the run has no attributes"
    ),
    "deployments": Listing(
        _read_deployments,
        _columns("deployment", "created", "used", "files#", "workflows…"),
        _show_deployment,
        "[ID]",
        "no worker has kept its code here yet",
    ),
    "workflows": Listing(
        _read_workflows,
        _columns("workflow", "id", "parameters…", "where…", "findings", "about…"),
        _show_workflow,
        "[NAME]",
        "no worker has told of a workflow here yet",
    ),
}  # fmt: skip
