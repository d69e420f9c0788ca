"""Mapping: a run of Vercel's as one of ours.

Their log is the truth here, too; rows only fill in what it does not say: runs of the first version of their
format have no `run_created`, their steps no `step_created`, and a cancelled one may have no event of its end.

| theirs | ours |
|---|---|
| `run_*`, `step_*`, `hook_*`, `wait_*` | the same; `attr_set` is `attributes_set` |
| `workflow_started`, `workflow_completed`, `workflow_failed` | `run_started` … |
| correlation ids `step_…`, `hook_…`, `wait_…`, `attr_…` | 1, 2, 3 … in the order in which they come first |
| `step_created` | attempt 0: their steps begin with `step_started` |
| `hook_conflict` without `hook_created` | both |
| an argument array | `{"*args": […]}`, and what a Python call gave by name by its name |
| `noop` | nothing |

What comes to nothing here (a second end, events behind the end) is left out, and counted.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any, Final

import msgspec

from wf import events as types
from wf.records import encode_meta
from wfstudio.history.portable import PortableChunk, PortableEvent, PortableRun
from wfstudio.history.vercel.devalue import write_text
from wfstudio.history.vercel.errors import LONGEST, describe_error, read_text, type_of_exception
from wfstudio.history.vercel.names import is_python_name, read_instant, read_name, read_stream_name
from wfstudio.history.vercel.payloads import Payload, PayloadOpener
from wfstudio.history.vercel.reading import DataDirectory, Row
from wfstudio.history.vercel.streams import read_stream

_LEGACY: Final = {
    "workflow_started": "run_started",
    "workflow_completed": "run_completed",
    "workflow_failed": "run_failed",
}
_ENDS: Final = {"completed": "run_completed", "failed": "run_failed", "cancelled": "run_cancelled"}
_CODES: Final = frozenset({"USER_ERROR", "TIMEOUT", "LIMIT_EXCEEDED", "RUNTIME_ERROR"})
_CIRCULAR: Final = "[Circular]"
"""What a row may hold in place of an input that is elsewhere."""


class Untranslatable(Exception):
    """A run cannot be made one of ours. Internal: the import tells it and goes on."""


class Mapped(msgspec.Struct, frozen=True):
    """A run, and what could not be read of it."""

    run: PortableRun
    problems: list[str]


def map_run(directory: DataDirectory, name: str) -> Mapped | None:
    """Make a run of ours of the run in `runs/<name>.json`; None where that cannot be read."""
    row = directory.read_run(name)
    if row is None:
        return None
    mapper = _Mapper(row, directory)
    return mapper.map()


class _Mapper:
    """One run: its rows, and the log that comes of them."""

    def __init__(self, row: Row, directory: DataDirectory) -> None:
        self.row = row
        self.run_id = read_text(row.get("runId"))
        workflow = read_text(row.get("workflowName"))
        if not self.run_id or not workflow:
            raise Untranslatable("its row names no run and workflow")
        self.workflow = read_name(workflow)
        self.directory = directory
        self.opener = PayloadOpener(self.run_id, is_python=is_python_name(workflow))
        self.is_python = is_python_name(workflow)
        self.steps = directory.read_steps(self.run_id)
        self.hooks = directory.read_hooks(self.run_id)
        self.log: list[PortableEvent] = []
        self.calls: dict[str, tuple[int, str]] = {}
        """By their correlation id: ours, and what kind of call it is."""
        self.names: dict[int, str] = {}
        self.attempts: Counter[int] = Counter()
        self.ended_steps: set[int] = set()
        self.has_started = self.has_ended = False
        self.troubles: Counter[str] = Counter()
        self.at = 0

    def map(self) -> Mapped:
        created_at = read_instant(self.row.get("createdAt"))
        rows = self.directory.read_events(self.run_id)
        if created_at is None:
            created_at = read_instant(rows[0]["createdAt"]) if rows else None
        if created_at is None:
            raise Untranslatable("it does not say when it was created")
        self.at = created_at
        if not rows or rows[0]["eventType"] != "run_created":
            self._create_run(created_at, {})
        for event in rows:
            self._map_event(event)
        self._fill_in_end()
        streams: dict[str, list[PortableChunk]] = {}
        for stream in self.directory.list_streams(self.run_id):
            name, chunks = self._map_stream(stream, created_at)
            if chunks:
                streams.setdefault(name, chunks)
        deployment = read_text(self.row.get("deploymentId"))
        run = PortableRun(
            run_id=self.run_id,
            kind="vercel",
            deployment_id=deployment,
            parent_run_id=None,
            parent_correlation_id=None,
            attention=None,
            events=self.log,
            streams=streams,
            logs=[],
        )
        told = [f"{count} times: {text}" if count > 1 else text for text, count in self.troubles.items()]
        return Mapped(run, told)

    # -- events

    def _map_event(self, event: Row) -> None:
        type_ = str(event["eventType"])
        type_ = _LEGACY.get(type_, type_)
        handle = _HANDLERS.get(type_)
        if type_ == "noop":
            return
        if handle is None:
            self._leave_out(f"an event of the type {event['eventType']!r:.60}, which is not known here")
            return
        if self.has_ended and type_ not in ("step_completed", "step_failed"):
            self._leave_out("an event behind the end of the run")
            return
        self.at = max(self.at, read_instant(event["createdAt"]) or 0)
        data = event.get("eventData")
        handle(self, event, data if isinstance(data, dict) else {})

    def _leave_out(self, what: str) -> None:
        self.troubles[f"{what} was left out"] += 1

    def _add(
        self,
        type_: str,
        number: int | None = None,
        name: str | None = None,
        attempt: int | None = None,
        meta: dict[str, Any] | None = None,
        data: bytes | None = None,
        at: int | None = None,
    ) -> None:
        text = encode_meta(meta) if meta else None
        instant = self.at if at is None else at
        self.log.append(PortableEvent(len(self.log) + 1, type_, number, name, attempt, instant, text, data))

    def _open(self, field: Any, what: str) -> bytes | None:
        """Open a payload's field; None where there is none."""
        if field is None:
            return None
        return self._note(self.opener.open(field), what)

    def _note(self, payload: Payload, what: str) -> bytes:
        if payload.trouble is not None:
            self.troubles[f"the payload of {what} is {payload.trouble}"] += 1
        return payload.data

    def _call(self, event: Row, kind: str) -> int | None:
        """Give the number of the call that an event makes or belongs to, a new one if it comes first; None for one of
        another kind."""
        id = read_text(event.get("correlationId"))
        if not id:
            return None
        number, known = self.calls.setdefault(id, (len(self.calls) + 1, kind))
        return number if known == kind else None

    def _is_new(self, event: Row) -> bool:
        return read_text(event.get("correlationId")) not in self.calls

    # -- the run

    def _on_run_created(self, event: Row, data: Row) -> None:
        if self.log:
            self._leave_out("a second `run_created`")
        else:
            self._create_run(self.at, data)

    def _create_run(self, at: int, data: Row) -> None:
        meta: dict[str, Any] = {"deployment_id": read_text(self.row.get("deploymentId"))}
        attributes = _texts(data.get("attributes"))
        if attributes:
            meta["attributes"] = attributes
        field = data.get("input", self.row.get("input"))
        if field == _CIRCULAR:
            field = self.row.get("input")
        arguments = self._open_arguments(field, "run_created")
        self._add(types.RUN_CREATED, None, self.workflow, None, meta, arguments, at)

    def _open_arguments(self, field: Any, what: str) -> bytes:
        data = self._open(field, what)
        if data is None:
            return b"{}"
        return self._name_arguments(data)

    def _name_arguments(self, data: bytes) -> bytes:
        """Give a recorded call by name, as ours are; what is no argument array stays as it is."""
        tree = _split(data)
        if isinstance(tree, dict) and "args" in tree:  # a step's
            args = _split(bytes(tree["args"]))
            rest = {key: value for key, value in tree.items() if key != "args" and bytes(value) not in (b"null", b"{}")}
        else:
            args, rest = tree, {}
        if not isinstance(args, list):
            return data
        named: dict[str, Any] = {}
        if self.is_python and args:
            last = _split(bytes(args[-1]))
            if isinstance(last, dict) and not (len(last) == 1 and next(iter(last)).startswith("$")):
                args, named = args[:-1], last
        found: dict[str, Any] = {"*args": args} if args else {}
        return msgspec.json.encode({**found, **named, **rest})

    def _on_run_started(self, event: Row, data: Row) -> None:
        if not self.has_started:  # their runtime may say it on every delivery
            self._start_run()

    def _start_run(self) -> None:
        self.has_started = True
        self._add(types.RUN_STARTED)

    def _needs_start(self) -> None:
        if not self.has_started:
            self._start_run()

    def _on_run_completed(self, event: Row, data: Row) -> None:
        self._needs_start()
        field = data.get("output", data.get("result", self.row.get("output")))
        self._end(types.RUN_COMPLETED, None, self._open(field, "run_completed") or b"null")

    def _on_run_failed(self, event: Row, data: Row) -> None:
        self._needs_start()
        field = data.get("error", self.row.get("error"))
        said = [read_text(code) for code in (data.get("errorCode"), data.get("code"), self.row.get("errorCode"))]
        code = next((code for code in said if code in _CODES), "USER_ERROR")
        named = next((code for code in said if code not in _CODES and code), "")  # Python's SDK: the class
        type_, error = self._open_error(field, data.get("stack"), "run_failed", named)
        meta = {"code": code, "error_type": type_}
        self._end(types.RUN_FAILED, meta, error)

    def _on_run_cancelled(self, event: Row, data: Row) -> None:
        reason = data.get("cancelReason")
        payload = msgspec.json.encode(write_text(reason)) if isinstance(reason, str) else None
        self._end(types.RUN_CANCELLED, {"forced": True} if not self.has_started else None, payload)

    def _end(self, type_: str, meta: dict[str, Any] | None, data: bytes | None) -> None:
        self.has_ended = True
        self._add(type_, None, None, None, meta, data)

    def _fill_in_end(self) -> None:
        """End a run whose row says so and whose log does not: a legacy one, or one whose event is lost."""
        type_ = _ENDS.get(read_text(self.row.get("status")))
        if type_ is None:
            if read_text(self.row.get("status")) in ("running", "paused"):
                self._needs_start()
            return
        if self.has_ended:
            return
        self.at = max(self.at, read_instant(self.row.get("completedAt")) or self.at)
        _HANDLERS[type_](self, {}, {})

    # -- steps

    def _step(self, event: Row, data: Row) -> int | None:
        """Give the number of a step; one whose creation is not in the log is made from what is known of it."""
        if not self.has_ended:
            self._needs_start()
            if self._is_new(event):
                self._create_step(event, data)
        number = None if self._is_new(event) else self._call(event, "step")
        if number is None or number in self.ended_steps:
            self._leave_out(f"`{event['eventType']}` of no step that goes on")
            return None
        return number

    def _create_step(self, event: Row, data: Row) -> None:
        number = self._call(event, "step")
        if number is None:
            return
        row = self.steps.get(read_text(event.get("correlationId")), {})
        name = read_name(read_text(data.get("stepName")) or read_text(row.get("stepName")) or "unknown")
        arguments = self._open_arguments(data.get("input", row.get("input")), "step_created")
        self.names[number] = name
        self._add(types.STEP_CREATED, number, name, 0, None, arguments)

    def _on_step_created(self, event: Row, data: Row) -> None:
        self._needs_start()
        if self._is_new(event) and read_text(event.get("correlationId")):
            self._create_step(event, data)
        else:
            self._leave_out("a second `step_created`")

    def _on_step_started(self, event: Row, data: Row) -> None:
        number = self._step(event, data)
        if number is None:
            return
        attempt = data.get("attempt")
        is_given = type(attempt) is int and self.attempts[number] < attempt < 2**31
        self.attempts[number] = int(attempt) if is_given and attempt is not None else self.attempts[number] + 1
        self._add(types.STEP_STARTED, number, self.names[number], self.attempts[number])

    def _attempt_of(self, number: int) -> int:
        return max(self.attempts[number], 1)

    def _on_step_retrying(self, event: Row, data: Row) -> None:
        number = self._step(event, data)
        if number is None:
            return
        type_, error = self._open_error(data.get("error"), data.get("stack"), "step_retrying")
        due_at = read_instant(data.get("retryAfter"))
        meta = {"due_at": self.at if due_at is None else due_at, "error_type": type_}
        self._add(types.STEP_RETRYING, number, self.names[number], self._attempt_of(number), meta, error)

    def _on_step_completed(self, event: Row, data: Row) -> None:
        number = self._step(event, data)
        if number is None:
            return
        self.ended_steps.add(number)
        result = self._open(data.get("result"), "step_completed") or b"null"
        self._add(types.STEP_COMPLETED, number, self.names[number], self._attempt_of(number), None, result)

    def _on_step_failed(self, event: Row, data: Row) -> None:
        number = self._step(event, data)
        if number is None:
            return
        self.ended_steps.add(number)
        type_, error = self._open_error(data.get("error"), data.get("stack"), "step_failed")
        meta = {"error_type": type_}
        self._add(types.STEP_FAILED, number, self.names[number], self._attempt_of(number), meta, error)

    # -- hooks, waits, attributes

    def _create_hook(self, event: Row, data: Row) -> int | None:
        self._needs_start()
        number = self._call(event, "hook")
        if number is None:
            return None
        row = self.hooks.get(read_text(event.get("correlationId")), {})
        is_webhook = data.get("isWebhook", row.get("isWebhook")) is True
        metadata = self._open(data.get("metadata", row.get("metadata")), "hook_created")
        token = read_text(data.get("token")) or read_text(row.get("token")) or None
        record = {
            "token": None if token is None else write_text(token),
            "metadata": None if metadata is None else msgspec.Raw(metadata),
            "schema": None,
        }
        self._add(
            types.HOOK_CREATED, number, "webhook" if is_webhook else "hook", None, None, msgspec.json.encode(record)
        )
        return number

    def _hook(self, event: Row, data: Row) -> int | None:
        number = self._create_hook(event, data) if self._is_new(event) else self._call(event, "hook")
        if number is None:
            self._leave_out(f"`{event['eventType']}` of no hook")
        return number

    def _on_hook_created(self, event: Row, data: Row) -> None:
        if self._is_new(event) and read_text(event.get("correlationId")):
            self._create_hook(event, data)
        else:
            self._leave_out("a second `hook_created`")

    def _on_hook_received(self, event: Row, data: Row) -> None:
        number = self._hook(event, data)
        if number is not None:
            payload = self._open(data.get("payload"), "hook_received") or b"null"
            self._add(types.HOOK_RECEIVED, number, None, None, None, payload)

    def _on_hook_disposed(self, event: Row, data: Row) -> None:
        number = self._hook(event, data)
        if number is not None:
            self._add(types.HOOK_DISPOSED, number)

    def _on_hook_conflict(self, event: Row, data: Row) -> None:
        number = self._hook(event, data)
        if number is not None:
            self._add(types.HOOK_CONFLICT, number, meta={"run_id": read_text(data.get("conflictingRunId"))})

    def _on_wait_created(self, event: Row, data: Row) -> None:
        self._needs_start()
        due_at = read_instant(data.get("resumeAt"))
        number = self._call(event, "wait") if self._is_new(event) else None
        if number is None:
            self._leave_out("a second `wait_created`")
            return
        self._add(types.WAIT_CREATED, number, meta={"kind": "sleep", "due_at": self.at if due_at is None else due_at})

    def _on_wait_completed(self, event: Row, data: Row) -> None:
        if self._is_new(event):
            self._on_wait_created(event, data)
        number = self._call(event, "wait")
        if number is None:
            self._leave_out("`wait_completed` of no wait")
        else:
            self._add(types.WAIT_COMPLETED, number)

    def _on_attr_set(self, event: Row, data: Row) -> None:
        self._needs_start()
        changes: dict[str, str | None] = {}
        given = data.get("changes")
        for change in given if isinstance(given, list) else []:
            key, value = (change.get("key"), change.get("value")) if isinstance(change, dict) else (None, None)
            if isinstance(key, str) and (value is None or isinstance(value, str)):
                changes[read_text(key)[:LONGEST]] = None if value is None else read_text(value)[:LONGEST]
        writer = data.get("writer")
        if isinstance(writer, dict) and writer.get("type") == "step":
            known = self.calls.get(read_text(writer.get("stepId")))
            name = None if known is None else self.names.get(known[0])
            self._add(types.ATTRIBUTES_SET, None, name, None, {"set": changes})
            return
        number = self._call(event, "attributes") if self._is_new(event) else None
        if number is None:
            number = len(self.calls) + 1
            self.calls[f"attr_set {len(self.log)}"] = (number, "attributes")
        self._add(types.ATTRIBUTES_SET, number, meta={"set": changes})

    # -- errors and streams

    def _open_error(self, field: Any, stack: Any, what: str, code: str = "") -> tuple[str, bytes]:
        """Give an error's type, as `module.qualname`, and the exception that stands for it."""
        if isinstance(field, str) or (isinstance(field, dict) and "__type" not in field):
            return describe_error(field, stack, code, is_python=self.is_python)
        data = self._open(field, what) or b"null"
        type_ = type_of_exception(data)
        if type_ is not None:
            return type_, data
        # JavaScript throws any value: then the value is what there is to say.
        thrown = msgspec.json.decode(data)
        return describe_error(thrown if isinstance(thrown, str) else data.decode(), stack, code, is_python=False)

    def _map_stream(self, stream: str, created_at: int) -> tuple[str, list[PortableChunk]]:
        known = read_stream_name(stream)
        chunks, troubles = read_stream(self.directory.read_chunks(stream), self.opener, created_at)
        for trouble in troubles:
            self.troubles[f"a chunk of stream {stream[:80]} is {trouble}"] += 1
        return stream if known is None else known[1], chunks


def _split(data: bytes) -> Any:
    """Read the outermost layer of an encoded value; members stay encoded, so that their numbers keep their form."""
    if data[:1] == b"[":
        return msgspec.json.decode(data, type=list[msgspec.Raw])
    if data[:1] == b"{":
        return msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    return None


def _texts(value: Any) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {read_text(key)[:LONGEST]: read_text(text)[:LONGEST] for key, text in value.items() if isinstance(text, str)}


_HANDLERS: Final[dict[str, Callable[[_Mapper, Row, Row], None]]] = {
    "run_created": _Mapper._on_run_created,
    "run_started": _Mapper._on_run_started,
    "run_completed": _Mapper._on_run_completed,
    "run_failed": _Mapper._on_run_failed,
    "run_cancelled": _Mapper._on_run_cancelled,
    "attr_set": _Mapper._on_attr_set,
    "step_created": _Mapper._on_step_created,
    "step_started": _Mapper._on_step_started,
    "step_retrying": _Mapper._on_step_retrying,
    "step_completed": _Mapper._on_step_completed,
    "step_failed": _Mapper._on_step_failed,
    "hook_created": _Mapper._on_hook_created,
    "hook_received": _Mapper._on_hook_received,
    "hook_disposed": _Mapper._on_hook_disposed,
    "hook_conflict": _Mapper._on_hook_conflict,
    "wait_created": _Mapper._on_wait_created,
    "wait_completed": _Mapper._on_wait_completed,
}
