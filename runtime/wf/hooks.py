"""Hooks: a run waits for the outside, by a token that is its key.

A hook is registered when `wait` is called and is visible to resumers once the body next suspends.
A payload is checked against the hook's schema by whoever sends it, before anything is written;
one that arrives while nobody awaits is kept, in order.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Generator, Mapping
from datetime import datetime
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

import msgspec

from wf import codec, schemas
from wf import operations as ops
from wf.durations import from_instant
from wf.engine.body import HookState
from wf.errors import HookDisposedError, HookNotFoundError, NotInRunError, PayloadTooLargeError, WorkflowError
from wf.events import HOOK_CREATED, Event
from wf.ids import hash_token
from wf.records import open_event, seal_message
from wf.run import Run, running_body
from wf.session import current_session
from wf.world import HookRow

T = TypeVar("T")

MAX_TOKEN = 1024
WEBHOOK = "webhook"
"""The name and the kind of hooks that requests reach."""


class HookEvent(Generic[T]):
    """A registered hook, in the body that registered it.

    `await hook` gives the next payload, `async for` each payload once, in order. `async with`
    disposes of it at the end. `url` is where a webhook is reached.
    """

    def __init__(self, body: Any, state: HookState, schema: Any, url: str | None = None) -> None:
        self._body = body
        self._state = state
        self._schema = schema
        self.url = url

    @property
    def token(self) -> str:
        return self._state.given

    def __repr__(self) -> str:
        return f"<hook {self._state.correlation_id} of run {self._body.run_id}>"

    async def _next(self) -> T:
        data = await self._body.next_payload(self._state)
        return schemas.check(codec.decode(data), self._schema)  # type: ignore[no-any-return]

    def __await__(self) -> Generator[Any, None, T]:
        return self._next().__await__()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> T:
        try:
            return await self._next()
        except HookDisposedError:
            raise StopAsyncIteration from None

    async def get_conflict(self) -> Run[Any] | None:
        """Commit the registration; give None, or the run that owns the token already."""
        if self._state.conflict is not None:
            return Run(self._state.conflict.conflicting_run_id)  # type: ignore[attr-defined]
        owner = await ops.find_token_owner(self.token)
        if owner is None or owner == (self._body.run_id, self._state.correlation_id):
            return None
        return Run(owner[0])

    def dispose(self) -> None:
        """Give the token up; from now on `await` raises `HookDisposedError`."""
        self._body.dispose_hook(self._state)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.dispose()


class Hook(msgspec.Struct, frozen=True):
    """A live hook as a resumer sees it. `schema` is JSON Schema, or None for any JSON value."""

    token: str
    hook_id: str
    run_id: str
    created_at: datetime
    metadata: Any = None
    schema: dict[str, Any] | None = None


class BaseHook:
    """Makes a dataclass or pydantic model a hook's payload: `class Approval(wf.BaseHook)`."""

    @classmethod
    def wait(cls, *, token: str | None = None, metadata: Any = None) -> HookEvent[Self]:
        """Register a hook whose payloads are instances of this class. Only in a workflow body."""
        if not schemas.is_model(cls):
            raise TypeError(f"{cls.__qualname__} says nothing of its payloads: make it a dataclass or a pydantic model")
        return _register(cls, token, metadata, name=codec.type_name(cls))

    async def resume(self, token: str | Hook, **dumping: Any) -> Hook:
        """Send this object to the hook with a token. `dumping` is for pydantic's `model_dump`, as in Vercel's SDK."""
        return await resume_hook(token, schemas.dump(self, dumping) if dumping else self)


def hook(token: str | None = None, metadata: Any = None, schema: Any = None) -> HookEvent[Any]:
    """Register a hook for any JSON value, or for what a schema (a type or JSON Schema) allows."""
    return _register(schema, token, metadata, name="hook")


def _register(schema: Any, token: str | None, metadata: Any, *, name: str) -> HookEvent[Any]:
    body = running_body()
    if body is None:
        raise NotInRunError("a hook is registered in a workflow body, and this is none")
    check_token(token)
    state = body.create_hook(name, token=token, kind="hook", metadata=metadata, schema=schemas.describe_schema(schema))
    return HookEvent(body, state, schema)


def check_token(token: object) -> None:
    """Refuse a token that is not a text of 1 to 1024 characters. None stands for a drawn one."""
    if token is None:
        return
    if not isinstance(token, str):
        raise TypeError(f"token: {type(token).__name__} is not a text")
    if not 1 <= len(token) <= MAX_TOKEN:
        raise ValueError(f"token: a text of {len(token)} characters; use 1 to {MAX_TOKEN}")


# -- resuming -----------------------------------------------------------------------------------


async def find_live_hook(token: str) -> tuple[HookRow, Hook, Mapping[str, Any]]:
    """Find a live hook and open its record. Raises `HookNotFoundError`."""
    if not isinstance(token, str) or not 1 <= len(token) <= MAX_TOKEN:
        raise HookNotFoundError(str(token))
    session = current_session()
    row = await session.world.find_hook(hash_token(token))
    if row is None:
        raise HookNotFoundError(token)
    record = read_hook_record(session, row)
    return row, make_hook(row, record), record


async def find_taking_hook(token: str, delivery_id: str | None) -> tuple[HookRow, Hook, Mapping[str, Any]]:
    """Find the hook that is to take a delivery: of one that is repeated the hook that took it, whatever became of it,
    since who delivers twice must get the same answer; else the live one. Raises `HookNotFoundError`."""
    session = current_session()
    run_id = None if delivery_id is None else await session.world.find_delivery(delivery_id)
    if run_id is not None:
        async for event in read_events_of(session, run_id, HOOK_CREATED):
            kind = WEBHOOK if event.name == WEBHOOK else "hook"
            row = HookRow(hash_token(token), run_id, event.correlation_id or 0, kind, event.at, event)
            record = read_hook_record(session, row)
            if record["token"] == token:
                return row, make_hook(row, record), record
    return await find_live_hook(token)


async def read_events_of(session: Any, run_id: str, type_: str) -> AsyncIterator[Event]:
    """Give the events of one type in a run's log, sealed."""
    seq = 0
    while page := await session.world.read_events(run_id, seq, 1000):
        for event in page:
            if event.type == type_:
                yield event
        seq = page[-1].seq


def read_hook_record(session: Any, row: HookRow) -> Mapping[str, Any]:
    """Open what `hook_created` recorded: token, metadata, schema."""
    data = open_event(session.keyring.run(row.run_id), row.event)
    return codec.decode_arguments(data or b"{}")


def make_hook(row: HookRow, record: Mapping[str, Any]) -> Hook:
    return Hook(
        token=record["token"],
        hook_id=f"{row.run_id}:{row.correlation_id}",
        run_id=row.run_id,
        created_at=from_instant(row.created_at),
        metadata=record["metadata"],
        schema=record["schema"],
    )


@ops.operation
async def get_hook_by_token(token: str) -> Hook:
    """Give the live hook that has a token. Raises `HookNotFoundError`."""
    _, found, _ = await find_live_hook(token)
    return found


@ops.operation
async def _resume(token: str, plain: Any, delivery_id: str | None) -> Hook:
    row, found, _ = await find_taking_hook(token, delivery_id)
    if row.kind == "hook" and found.schema is not None:
        plain = schemas.to_plain(plain)
        schemas.check_json(plain, found.schema)
    model = codec.find_class(row.event.name or "", lambda cls: issubclass(cls, BaseHook))
    if model is not None:  # it may ask for more than its JSON Schema can say
        schemas.check(plain, model)
    await send_payload(row, token, plain, delivery_id)
    return found


async def send_payload(row: HookRow, token: str, payload: Any, delivery_id: str | None) -> None:
    """Put a checked payload into the inbox of the hook's run, if the hook is still live then."""
    session = current_session()
    data = codec.encode(payload, "payload")
    limit = session.settings.limits.payload
    if len(data) > limit:
        raise PayloadTooLargeError("the payload", len(data), limit)
    message = seal_message(
        session.keyring,
        row.run_id,
        "hook_payload",
        session.now_us(),
        data,
        correlation_id=row.correlation_id,
        delivery_id=delivery_id or secrets.token_hex(16),
    )
    sent = await session.world.send(row.run_id, message, row.token_hash)
    if sent.status in ("ended", "no_hook", "unknown"):
        raise HookNotFoundError(token)
    if sent.status == "duplicate" and delivery_id is None:
        raise WorkflowError("a random delivery id came up twice")


async def resume_hook(token: str | Hook, payload: Any = None, *, delivery_id: str | None = None) -> Hook:
    """Send a payload to the hook with a token, and give the hook.

    The payload is checked against the hook's schema first; one that does not fit raises
    `ValidationError` and writes nothing. No live hook of this token: `HookNotFoundError`. When this
    returns, the payload is durable. The same `delivery_id` delivers once, however often it is sent.
    """
    text = token.token if isinstance(token, Hook) else token
    plain = payload
    if isinstance(payload, BaseHook) or schemas.is_pydantic(type(payload)):
        plain = schemas.to_plain(payload)
        schemas.check(plain, type(payload))
    return await _resume(text, plain, delivery_id)
