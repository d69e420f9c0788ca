"""Operations: what a client does to runs, hooks and streams, each as a step of wf's own.

Called in a workflow body an operation is durable like any step; called elsewhere it is a plain
call. They take no slot of the worker's concurrency (some wait for long), are repeated only when
the storage failed, and their ids begin with `wf/`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, ParamSpec, TypeVar

from wf import codec, events
from wf.context import current_attempt
from wf.errors import ImportedRunError, RunNotFoundError, WorldError
from wf.ids import hash_token
from wf.records import seal_message
from wf.registry import Step, Workflows
from wf.retry import RetryPolicy
from wf.session import Session, current_session
from wf.world import Attention, Message, RunFilter, RunRow, Sent

P = ParamSpec("P")
R = TypeVar("R")

MAX_REASON = 512
ENDING_SECONDS = 1.0
LOOK_AGAIN_SECONDS = 30.0

_registry = Workflows(namespace="wf")


class _OnlyStorage(RetryPolicy, frozen=True):
    """Retry what the storage refused; every other error is the answer."""

    def retry_at(self, attempt: int, error: BaseException | None, now_us: int) -> int | None:
        if not isinstance(error, WorldError):
            return None
        return now_us + self.delay_us(attempt)


def operation(func: Callable[P, Coroutine[Any, Any, R]]) -> Step[P, R]:
    """Register a function of wf's own as a step that bodies may call."""
    step = _registry.step(name=func.__name__, max_retries=1_000_000)(func)
    step.policy = _OnlyStorage(max_retries=1_000_000)
    return step


async def read_row(run_id: str) -> RunRow:
    row = await current_session().world.get_run(run_id)
    if row is None:
        raise RunNotFoundError(run_id)
    return row


@operation
async def run_status(run_id: str) -> str:
    return (await read_row(run_id)).status


@operation
async def run_attributes(run_id: str) -> dict[str, str]:
    return dict((await read_row(run_id)).attributes)


@operation
async def run_continued_as(run_id: str) -> str | None:
    return (await read_row(run_id)).continued_as


@operation
async def run_attention(run_id: str) -> Attention | None:
    return (await read_row(run_id)).attention


@operation
async def cancel_run(run_id: str, reason: str | None, kind: str, force: bool) -> None:
    """Send a `cancel` or `terminate`; to a run that has ended it is nothing. One that was imported refuses.

    What ends a run at once is waited for, for a moment: its worker has nothing to do but to record it. So does a
    cancel of one that rests before its first event, or who asks for its value next would still be told why it rests.
    """
    if reason is not None and (not isinstance(reason, str) or len(reason) > MAX_REASON):
        raise ValueError(f"reason: give a text of at most {MAX_REASON} characters")
    session = current_session()
    data = codec.encode(reason, "reason") if reason is not None else None
    meta = {"force": True} if force else None
    message = seal_message(session.keyring, run_id, kind, session.now_us(), data, meta=meta)
    await _send(session, run_id, message)
    if kind == "cancel" and not force:
        row = await read_row(run_id)
        if row.attention is None or row.status != "pending":
            return

    async def has_ended() -> bool | None:
        return (await read_row(run_id)).status in events.ENDED or None

    try:
        await wait_for_news(f"run:{run_id}", has_ended, ENDING_SECONDS)
    except TimeoutError:  # there is no worker, or a busy one; the message stays
        return


@operation
async def wake_run(run_id: str) -> int:
    session = current_session()
    sent = await _send(session, run_id, seal_message(session.keyring, run_id, "wake", session.now_us()))
    return sent.waits


async def _send(session: Session, run_id: str, message: Message) -> Sent:
    """Put a message into a run's inbox. Raises for a run that is not there to take it."""
    sent = await session.world.send(run_id, message)
    if sent.status == "unknown":
        raise RunNotFoundError(run_id)
    if sent.status == "imported":
        raise ImportedRunError(run_id, (await read_row(run_id)).origin or "")
    return sent


@operation
async def list_run_ids(filter: dict[str, Any]) -> list[str]:
    rows = await current_session().world.list_runs(RunFilter(**filter))
    return [row.run_id for row in rows]


@operation
async def find_token_owner(token: str) -> tuple[str, int] | None:
    """Name the run and the correlation id of the live hook that has a token; one's own by what the body gave."""
    attempt = current_attempt.get()
    if attempt is not None:
        token = attempt.live.replay.body.find_token(token)
    row = await current_session().world.find_hook(hash_token(token))
    return (row.run_id, row.correlation_id) if row is not None else None


async def wait_for_news(
    topics: str | tuple[str, ...], is_there: Callable[[], Coroutine[Any, Any, Any]], timeout: float | None = None
) -> Any:
    """Ask `is_there` whenever one of the topics has news, until it gives something; a `TimeoutError` after that.

    A doorbell is a hint, so it looks again now and then, too.
    """
    loop = asyncio.get_running_loop()
    bell = asyncio.Event()

    def ring(detail: str) -> None:
        bell.set()

    session = current_session()
    undo = [await session.world.subscribe(topic, ring) for topic in ((topics,) if isinstance(topics, str) else topics)]
    deadline = None if timeout is None else loop.time() + timeout
    try:
        while True:
            bell.clear()
            found = await is_there()
            if found is not None:
                return found
            left = LOOK_AGAIN_SECONDS if deadline is None else min(LOOK_AGAIN_SECONDS, deadline - loop.time())
            if left <= 0:
                raise TimeoutError
            with parked(session):
                again = loop.call_later(left, bell.set)  # a timeout context costs three times as much
                await bell.wait()
                again.cancel()
    finally:
        for unsubscribe in undo:
            unsubscribe()


@contextmanager
def parked(session: Session) -> Iterator[None]:
    """Note that the caller only waits, so that a virtual clock may move."""
    attempt = current_attempt.get()
    if attempt is not None:
        attempt.is_parked = True
    else:
        session.waiting += 1
    try:
        yield
    finally:
        if attempt is not None:
            attempt.is_parked = False
        else:
            session.waiting -= 1
