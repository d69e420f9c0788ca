"""Histories: recorded runs in files of their own, to be kept with the tests and replayed against today's code.

A history holds a run's events in clear, payloads as the codec encodes them. It is made of a run of any
status; replaying it runs the body and no step.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from wf import codec, events, registry
from wf.durations import show_duration
from wf.engine.replay import Opened, Replay, decode_error
from wf.errors import NotRegisteredError, RunNotFoundError, WorkflowError
from wf.events import Event
from wf.ids import new_token
from wf.records import decode_meta, open_event
from wf.session import Session
from wf.worker.opening import make_body_starter

FORMAT: Final = 1
_PAGE: Final = 1_000


class RecordedEvent(msgspec.Struct, frozen=True, omit_defaults=True):
    """An event in clear; `data` is its payload as the codec encodes it, text where it is text."""

    seq: int
    type: str
    at: int
    correlation_id: int | None = None
    name: str | None = None
    attempt: int | None = None
    meta: str | None = None
    data: str | None = None


class RecordedStep(msgspec.Struct, frozen=True):
    """A step as it was called, and how it ended: with `result`, or with `error`. `is_done`: it did end.

    `args` and `kwargs` are what its function is called with.
    """

    number: int
    name: str
    arguments: dict[str, Any]
    args: Sequence[Any]
    kwargs: dict[str, Any]
    is_done: bool = False
    result: Any = None
    error: BaseException | None = None


class History(msgspec.Struct, frozen=True):
    """A recorded run, as `wf.testing.record` writes and `env.replay` reads it."""

    format: int
    run_id: str
    workflow: str
    seed_id: str
    events: list[RecordedEvent]

    @property
    def calls(self) -> list[str]:
        """The calls that the body made, in order: `step flow:charge`, `sleep 3d`, `hook flow:Approval`, …"""
        return list_calls(self.events)

    def step(self, number: int) -> RecordedStep:
        """Give a step by the number of its call, with values as this process's classes. Raises `LookupError`."""
        return read_step(self, number)


# -- making and keeping -------------------------------------------------------------------------


async def read_history(session: Session, run_id: str) -> History:
    """Read a run's history from a world. Raises `RunNotFoundError`, `DecryptionError`."""
    row = await session.world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    key = session.keyring.run(run_id)
    log: list[Opened] = []
    while page := await session.world.read_events(run_id, len(log), _PAGE):
        log += [(event, open_event(key, event)) for event in page]
    return make_history(run_id, row.workflow, log)


def make_history(run_id: str, workflow: str, log: Iterable[Opened]) -> History:
    """Make the history of a run from its opened log."""
    recorded = [
        RecordedEvent(
            event.seq, event.type, event.at, event.correlation_id, event.name, event.attempt, event.meta,
            data.decode() if data is not None else None,
        )
        for event, data in log
    ]  # fmt: skip
    fork = decode_meta(recorded[0].meta).get("fork")
    return History(FORMAT, run_id, workflow, fork["seed_id"] if fork else run_id, recorded)


def encode_history(history: History) -> bytes:
    """Write a history as its file has it: JSON, a line for each field, so that changes are seen in a diff."""
    return msgspec.json.format(msgspec.json.encode(history), indent=1)


def open_history(path: Path | str) -> History:
    """Read a history's file. Raises `WorkflowError` for one of another format."""
    try:
        history = msgspec.json.decode(Path(path).read_bytes(), type=History)
    except msgspec.DecodeError as error:
        raise WorkflowError(f"{path} is no history: {error}") from None
    if history.format != FORMAT:
        raise WorkflowError(f"{path} has the history format {history.format}; this version reads {FORMAT}")
    return history


# -- what is in it ------------------------------------------------------------------------------


def list_calls(log: Sequence[RecordedEvent]) -> list[str]:
    """Name the calls of a body, in order. What ends a call (a lock's release, a hook's disposal) is none."""
    found: list[str] = []
    now = 0
    for event in log:
        if event.type in events.DELIVERIES:
            now = event.at
        name = event.name or ""
        meta = decode_meta(event.meta)
        match event.type:
            case events.STEP_CREATED:
                found.append(f"step {name}")
            case events.WAIT_CREATED:
                kind = "sleep" if meta.get("kind") == "sleep" else "timeout"
                found.append(f"{kind} {show_duration(max(0, meta.get('due_at', now) - now))}")
            case events.HOOK_CREATED:
                found.append(name if name in ("hook", "webhook") else f"hook {name}")
            case events.LOCK_REQUESTED:
                found.append(f"lock {name.removeprefix('lock:')}")
            case events.CHILD_STARTED:
                found.append(f"child {name}" if name else "wait for a run")
            case events.ATTRIBUTES_SET if event.correlation_id is not None:
                found.append("attributes")
            case _:
                pass
    return found


def read_step(history: History, number: int) -> RecordedStep:
    """Give a step of a history by the number of its call."""
    created = next((e for e in history.events if e.type == events.STEP_CREATED and e.correlation_id == number), None)
    if created is None:
        raise LookupError(f"the history of {history.run_id} has no step {number}")
    name = created.name or ""
    arguments = codec.decode_arguments((created.data or "{}").encode())
    step = registry.find_step(name)
    args, kwargs = ((), arguments) if step is None else step.signature.apply(dict(arguments))
    found = RecordedStep(number, name, arguments, args, kwargs)
    for event in history.events:
        if event.correlation_id == number and event.type == events.STEP_COMPLETED:
            result = codec.decode((event.data or "null").encode())
            return msgspec.structs.replace(found, is_done=True, result=result)
        if event.correlation_id == number and event.type == events.STEP_FAILED:
            error = decode_error(event.data.encode() if event.data is not None else None)
            return msgspec.structs.replace(found, is_done=True, error=error)
    return found


# -- replaying ----------------------------------------------------------------------------------


def replay_history(path: Path) -> History:
    """Replay the recorded run of a file against the code that is loaded here, and give it."""
    history = open_history(path)
    replay_recorded(history)
    return history


def replay_recorded(history: History) -> None:
    """Replay a recorded run against the code that is loaded here; raise at the first difference."""
    workflow = registry.find_workflow(history.workflow)
    if workflow is None:
        known = [known.id for known in registry.list_workflows()]
        raise NotRegisteredError("workflow", history.workflow, known)

    fork = decode_meta(history.events[0].meta).get("fork")
    replay = Replay(
        run_id=history.run_id,
        workflow_id=history.workflow,
        start_body=make_body_starter(workflow, history.events[0].meta),
        draw_token=new_token,
        payload_limit=1 << 62,
        seed_id=history.seed_id,
        is_beside=bool(fork and fork.get("beside")),
    )
    try:
        replay.replay([_reopen(history.run_id, event) for event in history.events])
    finally:
        replay.close()


def _reopen(run_id: str, event: RecordedEvent) -> Opened:
    row = Event(
        run_id, event.seq, event.type, event.correlation_id, event.name, event.attempt, event.at, event.meta, None, b""
    )
    return row, event.data.encode() if event.data is not None else None
