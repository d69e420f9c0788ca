"""`Run`: a handle to a run, wherever it executes.

A handle holds only the id. Its methods read and write through the world of the caller; inside a
workflow body every one of them is durable.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Generator, Iterable, Mapping
from datetime import datetime
from typing import Any, Generic, Literal, TypeVar, cast, overload

import msgspec

from wf import codec, events, schemas, streams
from wf import operations as ops
from wf.codec.exceptions import keep_users_frames
from wf.context import current_attempt, current_body
from wf.durations import Duration, parse_duration, to_instant
from wf.ends import Waiter
from wf.errors import (
    BlockedError,
    DeadLetterError,
    DecryptionError,
    ImportedRunError,
    NondeterminismError,
    NotRegisteredError,
    RunNotFoundError,
    WorkflowRunCancelledError,
    WorkflowRunFailedError,
    shorten,
)
from wf.records import End, find_last, read_end
from wf.session import Session, current_session
from wf.world import Attention, RunRow

T = TypeVar("T")
Chunk = TypeVar("Chunk")
WorkflowRunStatus = Literal["pending", "running", "completed", "failed", "cancelled"]


def running_body() -> Any:
    """Give the body that makes this call, or None: in a step, or outside a run."""
    return current_body.get() if current_attempt.get() is None else None


class Run(Generic[T]):
    """A handle to a run. Making one reads nothing; an unknown id raises `RunNotFoundError` on first use."""

    __slots__ = ("_type", "run_id")

    def __init__(self, run_id: str, type: Any = Any) -> None:
        self.run_id = run_id
        self._type = type

    def __repr__(self) -> str:
        return f"<run {self.run_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Run) and other.run_id == self.run_id

    def __hash__(self) -> int:
        return hash(self.run_id)

    async def status(self) -> WorkflowRunStatus:
        """Give `pending`, `running`, `completed`, `failed` or `cancelled`."""
        return cast(WorkflowRunStatus, await ops.run_status(self.run_id))

    async def attributes(self) -> dict[str, str]:
        return await ops.run_attributes(self.run_id)

    async def attention(self) -> Attention | None:
        """Say why the run rests although it has not ended, or None."""
        return await ops.run_attention(self.run_id)

    async def continued_as(self) -> Run[T] | None:
        """Give the run that this one continued as, or None."""
        next_id = await ops.run_continued_as(self.run_id)
        return Run(next_id, self._type) if next_id is not None else None

    async def return_value(self, timeout: Duration | None = None) -> T:
        """Wait for the end of the run, and of those it continued as, and give the result.

        Raises `WorkflowRunFailedError` (its cause is the body's exception),
        `WorkflowRunCancelledError`, the run's attention as an error, `ImportedRunError` for a run that
        was imported and had not ended, `TimeoutError`, or `ValidationError` for a result that is not of
        the `type` that `get_run` was given.
        """
        body = running_body()
        if body is not None:
            value = await _wait_in_body(body, self.run_id, timeout)
        else:
            seconds = None if timeout is None else parse_duration(timeout, "timeout") / 1_000_000
            value = take_end(await _wait_outside(self.run_id, seconds))
        if self._type is not Any:
            value = schemas.check_value(codec.unwrap(value), self._type, f"the result of run {self.run_id}")
        return cast(T, value)

    async def cancel(self, reason: str | None = None, *, force: bool = False) -> None:
        """Ask the body to stop: `CancelledError` is raised at its await. A second cancel ends it at once.

        To a run that has ended it is nothing.
        """
        await ops.cancel_run(self.run_id, reason, "cancel", force)

    async def terminate(self, reason: str | None = None) -> None:
        """End the run at once, without any clean-up of its body."""
        await ops.cancel_run(self.run_id, reason, "terminate", False)

    async def wake_up(self) -> int:
        """End the run's pending sleeps early, and say how many. Deadlines of timeouts stay."""
        return await ops.wake_run(self.run_id)

    @overload
    def readable(
        self, namespace: str | None = None, start_index: int | None = None, *, type: None = None
    ) -> AsyncGenerator[Any, None]: ...
    @overload
    def readable(
        self, namespace: str | None = None, start_index: int | None = None, *, type: type[Chunk]
    ) -> AsyncGenerator[Chunk, None]: ...
    @overload
    def readable(
        self, namespace: str | None = None, start_index: int | None = None, *, type: Any
    ) -> AsyncGenerator[Any, None]: ...
    def readable(
        self, namespace: str | None = None, start_index: int | None = None, *, type: Any = None
    ) -> AsyncGenerator[Any, None]:
        """Iterate over a stream's values from an index; a negative one counts from the tail.

        With a `type`, a chunk that is none raises `ValidationError`.
        """
        return streams.read_values(self.run_id, streams.stream_name(namespace), start_index, type)

    def readable_bytes(
        self, namespace: str | None = None, start_index: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Iterate over a stream of bytes (texts are given as UTF-8)."""
        return streams.read_bytes(self.run_id, streams.stream_name(namespace), start_index)

    async def stream_info(self, namespace: str | None = None) -> streams.StreamInfo:
        return await streams.read_info(self.run_id, streams.stream_name(namespace))

    async def list_streams(self) -> list[str]:
        return await streams.list_names(self.run_id)


codec.register_tag("run", Run, lambda run: run.run_id, lambda run_id: Run(run_id))


def take_end(end: End) -> Any:
    """Give the result of an ended run, or raise what its ending means to a waiter."""
    value = codec.decode(end.data) if end.data is not None else None
    if end.status == "completed":
        return value
    if end.status == "cancelled":
        raise WorkflowRunCancelledError(end.run_id, value)
    raise _make_failure(end.run_id, end.code, value)


def _make_failure(run_id: str, code: str | None, value: Any) -> WorkflowRunFailedError:
    """Make the error for who waited for a failed run.

    A note shows where the body raised: the cause has no frames in this process that Python could print.
    """
    cause = value if isinstance(value, BaseException) else None
    text = f"{type(cause).__name__}: {cause}" if cause is not None else ""
    failure = WorkflowRunFailedError(run_id, code or "USER_ERROR", text)
    failure.__cause__ = cause
    trace = getattr(cause, "__wf_traceback__", None)
    if isinstance(trace, str) and trace:
        frames = "".join(keep_users_frames(trace)).rstrip()
        failure.add_note(f"{type(cause).__name__} was raised in the run\n{frames}")
    return failure


async def _wait_outside(run_id: str, seconds: float | None) -> End:
    """Wait for the end of a run; each run of its chain rings for itself, so they are watched in turn."""
    session = current_session()
    ends = session.ends()
    deadline = None if seconds is None else asyncio.get_running_loop().time() + seconds
    watched = run_id
    while True:
        waiter = await ends.enter(watched)
        try:
            found = await _wait_for_end(session, waiter, watched, deadline)
        finally:
            ends.leave(watched, waiter)
        if found is None:
            raise TimeoutError(f"run {watched} did not end within {seconds:g} s")
        if isinstance(found, End):
            return found
        watched = found


async def _wait_for_end(session: Session, waiter: Waiter, run_id: str, deadline: float | None) -> End | str | None:
    """Give the end of a run, the id of the one that it continued as, or None when the time is over."""
    while True:
        if not waiter.is_rung:
            left = None if deadline is None else deadline - asyncio.get_running_loop().time()
            if left is not None and left <= 0:
                return None
            with ops.parked(session):
                await waiter.wait(left)
        waiter.is_rung = False
        found = waiter.end or await _look_for_end(session, run_id)
        if found is not None:
            return found


async def _look_for_end(session: Session, run_id: str) -> End | str | None:
    row = await find_last(session.world, session.keyring, run_id)
    if row.run_id != run_id:
        return row.run_id
    if row.status in events.ENDED:
        return await read_end(session.world, session.keyring, row)
    if row.attention is not None:
        raise attention_error(row)
    if row.origin is not None:  # it never ends here
        raise ImportedRunError(row.run_id, row.origin)
    return None


def attention_error(row: RunRow) -> Exception:
    """Make the error that an attention stands for."""
    attention = row.attention
    assert attention is not None
    if attention.code == "NONDETERMINISM":
        return NondeterminismError(
            attention.message,
            run_id=row.run_id,
            seq=attention.seq or 0,
            recorded=attention.recorded or "",
            actual=attention.actual or "",
            where=attention.where,
        )
    if attention.code == "DECRYPTION":
        return DecryptionError(row.run_id, attention.seq, attention.recorded or "log", attention.actual or "")
    if attention.code == "DEAD_LETTER":
        return DeadLetterError(row.run_id, row.workflow, int(attention.actual or 0))
    if attention.code == "BLOCKED":
        return BlockedError(row.run_id, row.workflow, (attention.actual or "").splitlines())
    name = attention.recorded or row.workflow
    return NotRegisteredError(
        "workflow" if name == row.workflow else "step", name, (attention.actual or "").split(", ")
    )


async def _wait_in_body(body: Any, run_id: str, timeout: Duration | None) -> Any:
    state = body.watch_run(run_id)
    if timeout is None:
        outcome = await body.wait_child(state)
    else:
        seconds = parse_duration(timeout, "timeout") / 1_000_000
        deadline = asyncio.timeout(seconds)
        try:
            async with deadline:
                outcome = await body.wait_child(state)
        except TimeoutError:
            raise TimeoutError(f"run {run_id} did not end within {seconds:g} s") from None
    if outcome.status == "completed":
        return outcome.value
    if outcome.status == "cancelled":
        raise WorkflowRunCancelledError(outcome.run_id, outcome.value)
    is_refused = outcome.code is None and isinstance(outcome.value, ValueError)  # the id has another workflow's run
    if is_refused or isinstance(outcome.value, (RunNotFoundError, ImportedRunError)):
        raise outcome.value
    raise _make_failure(outcome.run_id, outcome.code, outcome.value)


# -- lists --------------------------------------------------------------------------------------


class RunPage(msgspec.Struct, frozen=True):
    """A page of runs, newest first. `cursor` asks for the next one; None: there is none."""

    items: list[Run[Any]]
    cursor: str | None


class RunList:
    """Awaited it gives one `RunPage`; iterated with `async for` it walks all pages."""

    def __init__(self, filter: dict[str, Any]) -> None:
        self._filter = filter

    def __await__(self) -> Generator[Any, None, RunPage]:
        return self._read(self._filter["cursor"]).__await__()

    async def __aiter__(self) -> AsyncIterator[Run[Any]]:
        cursor = self._filter["cursor"]
        while True:
            page = await self._read(cursor)
            for run in page.items:
                yield run
            if page.cursor is None:
                return
            cursor = page.cursor

    async def _read(self, cursor: str | None) -> RunPage:
        limit = self._filter["limit"]
        asked = {**self._filter, "cursor": cursor, "limit": limit + 1}  # one more tells if there is a next page
        found = await ops.list_run_ids(asked)
        items = [Run[Any](run_id) for run_id in found[:limit]]
        return RunPage(items, items[-1].run_id if len(found) > limit else None)


def list_runs(
    status: str | Iterable[str] | None = None,
    workflow: Any = None,
    attributes: Mapping[str, str] | None = None,
    since: datetime | Duration | None = None,
    until: datetime | Duration | None = None,
    limit: int = 100,
    cursor: str | None = None,
) -> RunList:
    """List runs, newest first.

    `since` and `until` bound the creation: an aware datetime, or a duration before now. `workflow`
    is an id, a bare name, or the workflow itself.
    """
    name = getattr(workflow, "id", workflow)
    if name is not None and not isinstance(name, str):
        raise TypeError(f"workflow: {shorten(workflow)} is neither a workflow nor its id")
    if attributes is not None and not (
        isinstance(attributes, Mapping) and all(isinstance(part, str) for pair in attributes.items() for part in pair)
    ):
        raise TypeError(f"attributes: {shorten(attributes)} is not a mapping of texts")
    if isinstance(limit, bool) or not isinstance(limit, int) or not 1 <= limit <= 10_000:
        raise ValueError(f"limit: {limit!r} is not a number from 1 to 10000")
    if cursor is not None and not isinstance(cursor, str):
        raise TypeError(f"cursor: {type(cursor).__name__} is not a text; give the `cursor` of the page before")
    if status is not None and not isinstance(status, Iterable):
        raise TypeError(f"status: {shorten(status)} is neither a status nor several")
    states = None if status is None else [status] if isinstance(status, str) else list(status)
    for state in states or []:
        if state not in ("pending", "running", *events.ENDED):
            raise ValueError(f"status: {state!r} is none of pending running completed failed cancelled")
    return RunList(
        {
            "status": states,
            "workflow": name,
            "attributes": dict(attributes or {}),
            "since": _read_instant(since, "since"),
            "until": _read_instant(until, "until"),
            "limit": limit,
            "cursor": cursor,
        }
    )


def _read_instant(value: datetime | Duration | None, what: str) -> int | None:
    if value is None:
        return None
    if isinstance(value, datetime):
        return to_instant(value, what)
    body = running_body()
    now = body.loop.now_us if body is not None else current_session().now_us()
    return int(now - parse_duration(value, what))


@overload
def get_run(run_id: str) -> Run[Any]: ...
@overload
def get_run(run_id: str, type: type[T]) -> Run[T]: ...
@overload
def get_run(run_id: str, type: Any) -> Run[Any]: ...
def get_run(run_id: str, type: Any = Any) -> Run[Any]:
    """Give a handle to a run; `type` is that of its result, for checkers and for `return_value`, which checks it."""
    if not isinstance(run_id, str):
        raise TypeError(f"run_id: {run_id.__class__.__name__} is not a text")
    return Run(run_id, type)
