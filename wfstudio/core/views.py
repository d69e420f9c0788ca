"""Views: what the faces show, as plain structs. Their JSON is the JSON of `--json` and of HTTP.

1. Instants are ISO 8601 texts in UTC with microseconds and `Z`; durations are numbers named `_ms`.
2. A payload is plain JSON (see `values`). `is_locked` says that payloads were not opened: they were
   not asked for, or their key is not here. Then every field that lives in a payload is null.
3. Fields are only ever added.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

import msgspec

from wf.durations import from_instant
from wfstudio.core.stats import StatsView


def show_instant(at_us: int) -> str:
    """Write microseconds since 1970 as ISO 8601 in UTC with microseconds: `2026-01-02T03:04:05.000006Z`."""
    return from_instant(at_us).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def show_optional_instant(at_us: int | None) -> str | None:
    return None if at_us is None else show_instant(at_us)


def to_ms(micros: int) -> float:
    return micros / 1000


class RunQuery(msgspec.Struct, frozen=True, kw_only=True):
    """Which runs to list, newest first. `since` and `until` bound the creation; both are aware.

    `workflow` is an id or a short name. `cursor` is the `cursor` of the page before.
    """

    status: list[str] | None = None
    workflow: str | None = None
    attributes: dict[str, str] = {}
    since: datetime | None = None
    until: datetime | None = None
    limit: int = 100
    cursor: str | None = None


class ErrorView(msgspec.Struct, frozen=True, kw_only=True):
    """An exception as recorded. `code` is a failed run's: `USER_ERROR`, `TIMEOUT`, `LIMIT_EXCEEDED`, `RUNTIME_ERROR`.

    Of a locked view only `type` and `code` are known.
    """

    type: str | None = None
    message: str | None = None
    code: str | None = None
    traceback: str | None = None
    cause: ErrorView | None = None


class AttentionView(msgspec.Struct, frozen=True, kw_only=True):
    """Why a run rests although it has not ended: its code is missing, differs from the log, or its key is."""

    code: str
    message: str
    seq: int | None = None
    recorded: str | None = None
    actual: str | None = None
    where: str | None = None


class EditView(msgspec.Struct, frozen=True, kw_only=True):
    """What a fork heard otherwise: `input`, `output`, `error` or `payload`; of which call, but for the input."""

    what: str
    correlation_id: int | None = None
    name: str | None = None


class ForkView(msgspec.Struct, frozen=True, kw_only=True):
    """Where a fork comes from: it shares the log of `run_id` up to the event `seq`, but for the `edits`.

    One that `is_beside` that run has hooks with tokens of its own; else it took its place.
    """

    run_id: str
    seq: int
    is_beside: bool = False
    edits: list[EditView] = []


class RunView(msgspec.Struct, frozen=True, kw_only=True):
    """A run. `reason` says why it rests, null where it has ended or works. `origin` says where it came
    from that did not run here, and can only be read: `bundle:…`, `redacted:…`, `vercel:…`.

    `duration_ms` goes from its start to its end, or until now; `queued_ms` from its creation to its
    start, or until now. In lists, `input`, `output`, `fork` and the texts of `error` are not read: null; its
    `type` and `code` are there.
    """

    id: str
    workflow: str
    status: str
    reason: str | None = None
    deployment_id: str | None = None
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    duration_ms: float | None = None
    queued_ms: float
    attributes: dict[str, str] = {}
    parent_run_id: str | None = None
    continued_from: str | None = None
    continued_as: str | None = None
    forked_from: str | None = None
    error: ErrorView | None = None
    attention: AttentionView | None = None
    input: dict[str, Any] | None = None
    output: Any = None
    events: int
    payload_bytes: int
    is_locked: bool = False
    origin: str | None = None
    fork: ForkView | None = None


class ForkedView(msgspec.Struct, frozen=True, kw_only=True):
    """A fork that was just made. `notes` say in words where it was cut, which code it has, and what else is new."""

    run: RunView
    notes: list[str] = []


class RunList(msgspec.Struct, frozen=True):
    """A page of runs. `cursor` asks for the next one; null: there is none."""

    items: list[RunView]
    cursor: str | None = None


class EventView(msgspec.Struct, frozen=True, kw_only=True):
    seq: int
    type: str
    correlation_id: int | None = None
    name: str | None = None
    attempt: int | None = None
    at: str
    meta: dict[str, Any] = {}
    payload: Any = None
    payload_bytes: int = 0
    is_locked: bool = False


class AttemptView(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt of a step. Status: `running`, `completed`, `failed`, `cancelled`, `lost` (its process was killed)."""

    number: int
    status: str
    started_at: str
    ended_at: str | None = None
    duration_ms: float | None = None
    error: ErrorView | None = None


class StepView(msgspec.Struct, frozen=True, kw_only=True):
    """A step. Status: `queued`, `running`, `retrying`, `completed`, `failed`, `cancelled`, `abandoned` (the run
    ended first). `id` is the same for every attempt, as `get_step_metadata().step_id` gives it."""

    id: str
    run_id: str
    correlation_id: int
    name: str
    status: str
    created_at: str
    started_at: str | None = None
    ended_at: str | None = None
    duration_ms: float | None = None
    queued_ms: float | None = None
    attempts: list[AttemptView] = []
    due_at: str | None = None
    input: dict[str, Any] | None = None
    output: Any = None
    error: ErrorView | None = None
    is_locked: bool = False


class HookView(msgspec.Struct, frozen=True, kw_only=True):
    """A live hook. Kind: `hook` or `webhook`. `path` is where a webhook's requests go."""

    token: str | None = None
    run_id: str
    correlation_id: int
    kind: str
    name: str | None = None
    created_at: str
    metadata: Any = None
    schema: dict[str, Any] | None = None
    path: str | None = None
    is_locked: bool = False


class WaitView(msgspec.Struct, frozen=True, kw_only=True):
    """A pending wait. Kind: `sleep`, `deadline` (of a timeout), `retry` (of a step), `run` (the run's timeout)."""

    run_id: str
    correlation_id: int
    kind: str
    due_at: str


class StreamView(msgspec.Struct, frozen=True, kw_only=True):
    """A stream. `tail_index` is the index of its last chunk, −1 when there is none."""

    run_id: str
    name: str
    tail_index: int
    is_closed: bool


class ChunkView(msgspec.Struct, frozen=True, kw_only=True):
    index: int
    at: str
    value: Any = None
    is_locked: bool = False


class LogView(msgspec.Struct, frozen=True, kw_only=True):
    """A line that an attempt printed or logged. `source` is `stdout`, `stderr` or `logging:<LEVEL>`.

    `position` names the line: reading on begins behind it.
    """

    position: str
    at: str
    run_id: str
    correlation_id: int
    attempt: int
    source: str
    text: str


class DeploymentView(msgspec.Struct, frozen=True, kw_only=True):
    """A snapshot of the code. `files` maps paths to the SHA-256 (hex) of their contents. `used_at` is
    null where no worker of this world ever loaded it: it came with a run that was imported."""

    id: str
    created_at: str
    used_at: str | None = None
    files: dict[str, str] = {}
    workflows: list[str] = []


class ParameterView(msgspec.Struct, frozen=True, kw_only=True):
    """Kind: `positional`, `keyword`, `args`, `kwargs`. `default` is its text, for people."""

    name: str
    kind: str
    is_required: bool
    schema: dict[str, Any] = {}
    default: str | None = None


class FindingView(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a workflow. Either a rule of `wf check` is broken: `code` is the rule's (`WF101`), and
    `file`, `line` and `column` say where. Or `wf dev` found it by replaying the run `run_id`, which had ended:
    `NONDETERMINISM`.

    `severity` is `error` or `warning`, `more` the rule's page, `where` a text: `in price, called by flow:order`.
    """

    code: str
    message: str
    where: str | None = None
    run_id: str | None = None
    severity: str = "error"
    why: str | None = None
    fix: str | None = None
    more: str | None = None
    file: str | None = None
    line: int | None = None
    column: int | None = None


class WorkflowView(msgspec.Struct, frozen=True, kw_only=True):
    """A workflow of the newest deployment. `schema` describes the arguments by name, as one object.

    `stats` are None where they were not asked for; `findings` are those of the code that is loaded.
    """

    id: str
    name: str
    doc: str | None = None
    file: str
    line: int
    parameters: list[ParameterView] = []
    schema: dict[str, Any] = {}
    returns: dict[str, Any] | None = None
    timeout_ms: float | None = None
    concurrency: int | None = None
    deployment_id: str
    stats: StatsView | None = None
    findings: list[FindingView] = []
