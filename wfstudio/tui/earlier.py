"""What was given earlier: the inputs of a workflow's newest runs, the payloads that hooks of one kind were sent.

They are read from the world, from whatever face they came: so nothing of them is kept elsewhere, in clear, and what
`wf gc` forgets is forgotten.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from wf import events as types
from wf.errors import WorkflowError
from wfstudio.core.client import Client
from wfstudio.core.errors import UsageError
from wfstudio.core.views import HookView, RunQuery, WorkflowView
from wfstudio.text.printable import to_json

INPUTS: Final = 5
PAYLOADS: Final = 8
_RUNS: Final = 30
"""Runs that are looked at, the newest ones."""
_EVENTS: Final = 1_000
_LARGEST: Final = 64 * 1024
_SHOWN: Final = 80


async def recall_inputs(client: Client, workflow: WorkflowView) -> list[dict[str, Any]]:
    """List what a workflow was started with, the newest first, each once."""
    found: list[dict[str, Any]] = []
    for run in (await client.list_runs(RunQuery(workflow=workflow.id, limit=_RUNS))).items:
        try:
            view = await client.get_run(run.id, max_bytes=_LARGEST)
        except WorkflowError:  # its key is not here, or it is gone
            continue
        if view.input is not None and not view.is_locked and "$large" not in view.input:
            found.append(_unfold(view.input))
    return _distinct(found, INPUTS)


async def recall_payloads(client: Client, hook: HookView) -> list[Any]:
    """List what hooks of the same kind were sent, in runs of the same workflow."""
    run = await client.find_run(hook.run_id)
    found: list[Any] = []
    for other in (await client.list_runs(RunQuery(workflow=run.workflow, limit=_RUNS))).items if run else ():
        try:
            found += await _read_payloads(client, other.id, hook.name)
        except WorkflowError:
            continue
        if len(found) >= PAYLOADS * 2:  # some are alike
            break
    return _distinct(found, PAYLOADS)


async def _read_payloads(client: Client, run_id: str, name: str | None) -> list[Any]:
    """Read what the hooks of one name were sent, the newest first. Nothing else of the log is opened."""
    log = await client.list_events(run_id, limit=_EVENTS, is_locked=True)
    alike = {event.correlation_id for event in log if event.type == types.HOOK_CREATED and event.name == name}
    places = [event.seq for event in log if event.type == types.HOOK_RECEIVED and event.correlation_id in alike]
    found: list[Any] = []
    for seq in reversed(places[-PAYLOADS:]):
        [event] = await client.list_events(run_id, seq - 1, 1, max_bytes=_LARGEST)
        if not event.is_locked and not _is_large(event.payload):
            found.append(event.payload)
    return found


def show_earlier(value: Any) -> str:
    """Show a value on a line, to be chosen from a list."""
    text = to_json(value)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


def split_arguments(workflow: WorkflowView, given: dict[str, Any]) -> tuple[list[Any], dict[str, Any]]:
    """Give what goes by place and what goes by name. Where `*args` are given, all before them go by place.

    Raises `UsageError` where one before them is left out: Python has no way to say that.
    """
    rest = next((one.name for one in workflow.parameters if one.kind == "args"), None)
    values = given.get(rest) if rest is not None else None
    if rest is None or not isinstance(values, list):
        return [], given
    named = {name: value for name, value in given.items() if name != rest}
    if not values:
        return [], named
    by_place: list[Any] = []
    for parameter in workflow.parameters:
        if parameter.kind == "positional":
            if parameter.name not in named:
                raise UsageError(f"{parameter.name} is left out, and {rest} stands behind it", "give it, too")
            by_place.append(named.pop(parameter.name))
    return [*by_place, *values], named


def _unfold(recorded: dict[str, Any]) -> dict[str, Any]:
    """Give recorded arguments as they are given: `*args` under its name, `**kwargs` one by one."""
    given: dict[str, Any] = {}
    for name, value in recorded.items():
        if name.startswith("**") and isinstance(value, dict):
            given |= value
        else:
            given[name.lstrip("*")] = value
    return given


def _is_large(value: Any) -> bool:
    return isinstance(value, dict) and "$large" in value


def _distinct(values: Iterable[Any], most: int) -> list[Any]:
    found: dict[str, Any] = {}
    for value in values:
        found.setdefault(json.dumps(value, sort_keys=True), value)
    return list(found.values())[:most]
