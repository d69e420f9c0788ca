"""The rules of a log: whether events that came from outside are a run's log as docs/event-log.md says.

Readers, timelines and the index rely on these, as they may: whatever a worker writes keeps them. A bundle
may come from anybody, so it is checked once, on its way in. Checked are form and order: types, places,
calls and what belongs to them, the keys of `meta`. Not checked is whether any code would write such a log.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any, Final

import msgspec
from msgspec import Meta

from wf import events as types
from wf.errors import shorten
from wf.ids import is_run_id
from wf.records import Fork
from wfstudio.history.portable import PortableEvent, PortableRun

LAST_INSTANT: Final = 253_402_300_799_999_999
"""The last microsecond of the year 9999: a datetime holds no later one."""

MOST_EVENTS: Final = 10_000_000

Instant = Annotated[int, Meta(ge=0, le=LAST_INSTANT)]
Number = Annotated[int, Meta(ge=0, le=2**53)]
Name = Annotated[str, Meta(max_length=1_000)]


class LogError(Exception):
    """A log breaks a rule; `seq` is the event that does, 0 where it is none of them. Internal: see `bundle`."""

    def __init__(self, seq: int, text: str) -> None:
        super().__init__(text)
        self.seq = seq
        self.text = text


# -- what `meta` holds, by type of event ------------------------------------------------------------


class _Created(msgspec.Struct):
    deployment_id: Name = ""
    attributes: dict[Name, Name] = {}
    parent_run_id: str | None = None
    parent_correlation_id: Number | None = None
    continued_from: str | None = None
    not_before: Instant | None = None
    plain: bool = False
    fork: Fork | None = None


class _Started(msgspec.Struct):
    url: str | None = None


class _Completed(msgspec.Struct):
    continued_as: str | None = None


class _Failed(msgspec.Struct):
    code: Name
    error_type: Name | None = None
    since: int | None = None
    forced: bool = False


class _Cancelled(msgspec.Struct):
    forced: bool = False


class _Blocked(msgspec.Struct):
    where: str | None = None


class _Forked(msgspec.Struct):
    seq: Number


class _Retrying(msgspec.Struct):
    due_at: Instant
    error_type: Name


class _StepFailed(msgspec.Struct):
    error_type: Name


class _Wait(msgspec.Struct):
    kind: Name
    due_at: Instant


class _Hook(msgspec.Struct):
    generated: bool = False


class _Conflict(msgspec.Struct):
    run_id: str


class _Lock(msgspec.Struct):
    limit: Number


class _ChildStarted(msgspec.Struct):
    run_id: str
    watch: bool = False


class _ChildCancelled(msgspec.Struct):
    run_id: str
    forced: bool = False


class _ChildCompleted(msgspec.Struct):
    run_id: str
    status: Name
    code: Name | None = None


class _Attributes(msgspec.Struct):
    set: dict[Name, Name | None]


class _Nothing(msgspec.Struct):
    pass


class _Rule(msgspec.Struct, frozen=True):
    """`opens` is the kind of call that an event makes, `of` the kind that it belongs to. `meta` may be missing
    where nothing in it must be there."""

    meta: type
    opens: str | None = None
    of: str | None = None
    needs_name: bool = False
    has_attempt: bool = False


_RULES: Final[dict[str, _Rule]] = {
    types.RUN_CREATED: _Rule(_Created, needs_name=True),
    types.RUN_STARTED: _Rule(_Started),
    types.RUN_COMPLETED: _Rule(_Completed),
    types.RUN_FAILED: _Rule(_Failed),
    types.RUN_CANCELLED: _Rule(_Cancelled),
    types.RUN_FORKED: _Rule(_Forked, needs_name=True),
    types.RUN_BLOCKED: _Rule(_Blocked),
    types.STEP_CREATED: _Rule(_Nothing, opens="step", needs_name=True, has_attempt=True),
    types.STEP_STARTED: _Rule(_Nothing, of="step", has_attempt=True),
    types.STEP_RETRYING: _Rule(_Retrying, of="step", has_attempt=True),
    types.STEP_COMPLETED: _Rule(_Nothing, of="step", has_attempt=True),
    types.STEP_FAILED: _Rule(_StepFailed, of="step", has_attempt=True),
    types.WAIT_CREATED: _Rule(_Wait, opens="wait"),
    types.WAIT_COMPLETED: _Rule(_Nothing, of="wait"),
    types.HOOK_CREATED: _Rule(_Hook, opens="hook"),
    types.HOOK_RECEIVED: _Rule(_Nothing, of="hook"),
    types.HOOK_DISPOSED: _Rule(_Nothing, of="hook"),
    types.HOOK_CONFLICT: _Rule(_Conflict, of="hook"),
    types.LOCK_REQUESTED: _Rule(_Lock, opens="lock", needs_name=True),
    types.LOCK_ACQUIRED: _Rule(_Nothing, of="lock"),
    types.LOCK_RELEASED: _Rule(_Nothing, of="lock"),
    types.CHILD_STARTED: _Rule(_ChildStarted, opens="child"),
    types.CHILD_CANCELLED: _Rule(_ChildCancelled, of="child", needs_name=True),
    types.CHILD_COMPLETED: _Rule(_ChildCompleted, of="child"),
    types.ATTRIBUTES_SET: _Rule(_Attributes, opens="attributes"),
    types.CANCEL_REQUESTED: _Rule(_Nothing),
}
_READERS: Final[dict[type, Callable[[str], Any]]] = {
    rule.meta: msgspec.json.Decoder(rule.meta).decode for rule in _RULES.values()
}
_STEP_ENDS: Final = frozenset({types.STEP_COMPLETED, types.STEP_FAILED})


def check_run(run: PortableRun) -> None:
    """Check everything of a run that came from outside. Raises `LogError`."""
    if not is_run_id(run.run_id):
        raise LogError(0, f"{shorten(run.run_id)} is no run id")
    check_log(run.events)
    for name, chunks in run.streams.items():
        if [chunk.index for chunk in chunks] != list(range(len(chunks))):
            raise LogError(0, f"the chunks of stream {shorten(name)} are not numbered from 0")
        if any(chunk.data is None for chunk in chunks[:-1]):
            raise LogError(0, f"there are chunks behind the end of stream {shorten(name)}")
    batches = {(batch.correlation_id, batch.attempt, batch.index) for batch in run.logs}
    if len(batches) != len(run.logs):
        raise LogError(0, "two batches of log lines have one place")


def check_log(log: Sequence[PortableEvent]) -> None:
    """Check that events are a log. Raises `LogError` for the first that breaks a rule."""
    if not log:
        raise LogError(0, "the log has no event")
    calls: dict[int, str] = {}
    ended_steps: set[int] = set()
    has_started = has_ended = False
    for place, event in enumerate(log, 1):
        if event.seq != place:
            raise LogError(place, f"event {place} is missing, event {event.seq} stands in its place")
        if (event.type == types.RUN_CREATED) != (place == 1):
            what = "does not begin with `run_created`" if place == 1 else "has a second `run_created`"
            raise LogError(place, f"the log {what}")
        if has_ended and event.type not in _STEP_ENDS:
            raise LogError(place, f"`{event.type:.40}` stands behind the end of the run")
        rule = _RULES.get(event.type)
        if rule is None:
            raise LogError(place, f"{shorten(event.type)} is no type of event that this version knows")
        _check_columns(event, rule)
        _check_call(event, rule, calls)
        if event.type in _STEP_ENDS:
            number = event.correlation_id or 0
            if number in ended_steps:
                raise LogError(place, f"step {number} ends twice")
            ended_steps.add(number)
        elif event.type == types.RUN_STARTED:
            if has_started:
                raise LogError(place, "the run starts twice")
            has_started = True
        has_ended = has_ended or event.type in types.ENDS


def _check_columns(event: PortableEvent, rule: _Rule) -> None:
    if not 0 <= event.at <= LAST_INSTANT:
        raise LogError(event.seq, f"{event.at} is no instant")
    if rule.needs_name and not event.name:
        raise LogError(event.seq, f"`{event.type}` has no name")
    if rule.has_attempt and (event.attempt is None or not 0 <= event.attempt <= 2**31):
        raise LogError(event.seq, f"`{event.type}` has no attempt")
    try:
        _READERS[rule.meta]("{}" if event.meta is None else event.meta)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise LogError(event.seq, f"the meta of `{event.type}` does not fit: {error}") from None


def _check_call(event: PortableEvent, rule: _Rule, calls: dict[int, str]) -> None:
    number = event.correlation_id
    if event.type == types.ATTRIBUTES_SET and number is None:
        return  # a step set them
    if rule.opens is not None:
        if number != len(calls) + 1:
            raise LogError(event.seq, f"`{event.type}` is call {len(calls) + 1}, not {number}")
        calls[number] = rule.opens
    elif rule.of is not None:
        if event.type == types.WAIT_COMPLETED and number == 0:
            return  # the run's own timeout
        if calls.get(-1 if number is None else number) != rule.of:
            raise LogError(event.seq, f"`{event.type}` belongs to no {rule.of}: there is no call {number} that is one")
    elif number is not None:
        raise LogError(event.seq, f"`{event.type}` belongs to no call")
