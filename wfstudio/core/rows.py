"""Rows of a world as views. Payloads are opened here, and shown as plain JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from wf import events as types
from wf.catalog import WorkflowEntry
from wf.errors import DecryptionError, WorkflowError
from wf.events import Event
from wf.keys import Keyring
from wf.records import End, decode_meta, open_event, read_fork
from wf.world import Attention, DeploymentRow, HookRow, RunRow, StreamRow, WaitRow
from wfstudio.core.values import public_name, show_value
from wfstudio.core.views import (
    AttentionView,
    DeploymentView,
    EditView,
    ErrorView,
    EventView,
    ForkView,
    HookView,
    ParameterView,
    RunView,
    StreamView,
    WaitView,
    WorkflowView,
    show_instant,
    show_optional_instant,
    to_ms,
)

_MAX_CAUSES = 20


def show_run(row: RunRow, reason: str | None, now_us: int, *, error_type: str | None = None) -> RunView:
    """Show what a run's row says; nothing that lives in a payload. `error_type` is its last event's, in clear."""
    type = None if error_type is None else public_name(error_type.removeprefix("builtins."))
    begun = row.started_at if row.started_at is not None else row.ended_at
    return RunView(
        id=row.run_id,
        workflow=row.workflow,
        status=row.status,
        reason=reason,
        deployment_id=row.deployment_id or None,
        created_at=show_instant(row.created_at),
        started_at=show_optional_instant(row.started_at),
        ended_at=show_optional_instant(row.ended_at),
        duration_ms=None if row.started_at is None else to_ms((row.ended_at or now_us) - row.started_at),
        queued_ms=to_ms(max(0, (now_us if begun is None else begun) - row.created_at)),
        attributes=row.attributes,
        parent_run_id=row.parent_run_id,
        continued_from=row.continued_from,
        continued_as=row.continued_as,
        forked_from=row.forked_from,
        error=ErrorView(type=type, code=row.error_code) if row.status == types.FAILED else None,
        attention=None if row.attention is None else show_attention(row.attention),
        events=row.seq,
        payload_bytes=row.payload_bytes,
        origin=row.origin,
    )


def show_fork(created: Event) -> ForkView | None:
    """Show what a run's first event says of the run that it was forked from."""
    fork = read_fork(created)
    if fork is None:
        return None
    return ForkView(
        run_id=fork.run_id,
        seq=fork.seq,
        is_beside=fork.is_beside,
        edits=[EditView(what=edit.what, correlation_id=edit.id, name=edit.name) for edit in fork.edits],
    )


def show_attention(attention: Attention) -> AttentionView:
    return AttentionView(**msgspec.structs.asdict(attention))


def show_end(view: RunView, end: End, max_bytes: int | None) -> RunView:
    """Add to a run's view how it ended."""
    if end.status == types.FAILED:
        return msgspec.structs.replace(view, error=read_error(end.data, code=end.code))
    return msgspec.structs.replace(view, output=show_value(end.data, max_bytes))


def read_error(data: bytes | None, *, type: str | None = None, code: str | None = None) -> ErrorView:
    """Read an encoded exception; `type` is what its event says in clear."""
    tree = None if data is None else _decode_exception(data)
    if tree is None:
        return ErrorView(type=type, code=code)
    return _show_exception(tree, code, _MAX_CAUSES)


def _decode_exception(data: bytes) -> dict[str, Any] | None:
    try:
        tree = msgspec.json.decode(data)
    except (msgspec.DecodeError, RecursionError):
        return None
    found = tree.get("$exception") if isinstance(tree, dict) else None
    return found if isinstance(found, dict) else None


def _show_exception(tree: dict[str, Any], code: str | None, causes: int) -> ErrorView:
    cause = tree.get("cause") or (None if tree.get("suppress") else tree.get("context"))
    inner = cause.get("$exception") if isinstance(cause, dict) else None
    return ErrorView(
        type=public_name(str(tree.get("type", ""))),
        message=_text(tree.get("message")),
        code=code,
        traceback=_text(tree.get("traceback")),
        cause=_show_exception(inner, None, causes - 1) if isinstance(inner, dict) and causes else None,
    )


def _text(tree: Any) -> str | None:
    """Read a text that may be tagged, since it holds lone surrogates."""
    shown = show_value(msgspec.json.encode(tree)) if isinstance(tree, dict) else tree
    return shown if isinstance(shown, str) else None


class Opener:
    """Opens the payloads of one run; without a key, or where none are asked for, it gives nothing.

    `max_bytes` is what is shown of one; larger ones say how large they are.
    """

    def __init__(self, keyring: Keyring, run_id: str, *, is_locked: bool, max_bytes: int | None = None) -> None:
        self._key = keyring.run(run_id)
        self._is_locked = is_locked
        self.max_bytes = max_bytes

    def open(self, event: Event | None) -> tuple[bytes | None, bool]:
        """Give an event's encoded payload, and whether there is one that stays closed."""
        if event is None or event.payload is None:
            return None, False
        if self._is_locked:
            return None, True
        try:
            return open_event(self._key, event), False
        except WorkflowError:  # another key's, changed, or no packed value: nothing that can be shown
            return None, True


def show_event(event: Event, opener: Opener) -> EventView:
    data, is_locked = opener.open(event)
    return EventView(
        seq=event.seq,
        type=event.type,
        correlation_id=event.correlation_id,
        name=event.name,
        attempt=event.attempt,
        at=show_instant(event.at),
        meta=decode_meta(event.meta),
        payload=show_value(data, opener.max_bytes),
        payload_bytes=len(event.payload or b""),
        is_locked=is_locked,
    )


def show_hook(row: HookRow, opener: Opener) -> HookView:
    data, is_locked = opener.open(row.event)
    record = show_value(data) if data is not None else {}
    record = record if isinstance(record, dict) else {}
    token = record.get("token")
    return HookView(
        token=token,
        run_id=row.run_id,
        correlation_id=row.correlation_id,
        kind=row.kind,
        name=row.event.name,
        created_at=show_instant(row.created_at),
        metadata=record.get("metadata"),
        schema=record.get("schema"),
        path=f"/hooks/{quote(token, safe='')}" if row.kind == "webhook" and isinstance(token, str) else None,
        is_locked=is_locked,
    )


def show_wait(row: WaitRow) -> WaitView:
    return WaitView(
        run_id=row.run_id, correlation_id=row.correlation_id, kind=row.kind, due_at=show_instant(row.due_at)
    )


def show_stream(row: StreamRow) -> StreamView:
    return StreamView(run_id=row.run_id, name=row.name, tail_index=row.tail_index, is_closed=row.is_closed)


def show_deployment(row: DeploymentRow, entries: Sequence[WorkflowEntry]) -> DeploymentView:
    return DeploymentView(
        id=row.deployment_id,
        created_at=show_instant(row.created_at),
        used_at=show_optional_instant(row.used_at or None),
        files=row.manifest,
        workflows=[entry.id for entry in entries],
    )


def show_workflow(entry: WorkflowEntry, deployment_id: str) -> WorkflowView:
    return WorkflowView(
        id=entry.id,
        name=entry.name,
        doc=entry.doc,
        file=entry.file,
        line=entry.line,
        parameters=[ParameterView(**msgspec.structs.asdict(parameter)) for parameter in entry.parameters],
        schema=entry.schema,
        returns=entry.returns,
        timeout_ms=entry.timeout_ms,
        concurrency=entry.concurrency,
        deployment_id=deployment_id,
    )


def name_hook(event: Event, opener: Opener) -> str:
    """Name a hook by its token, or by what its event says in clear."""
    data, _ = opener.open(event)
    record = show_value(data) if data is not None else None
    token = record.get("token") if isinstance(record, dict) else None
    return token if isinstance(token, str) else event.name or "hook"


def show_unreadable(view: RunView, error: DecryptionError) -> RunView:
    """Say that a run's payloads cannot be read; what the world itself says of it comes first."""
    attention = view.attention or AttentionView(code="DECRYPTION", message=str(error), seq=error.seq)
    return msgspec.structs.replace(view, attention=attention, is_locked=True)


def index_calls(log: Sequence[Event]) -> dict[tuple[int, str], list[Event]]:
    """Index a log's events by call and type."""
    found: dict[tuple[int, str], list[Event]] = {}
    for event in log:
        if event.correlation_id is not None:
            found.setdefault((event.correlation_id, event.type), []).append(event)
    return found
