"""Streams: values that steps write while they run, for readers anywhere, any time.

1. A chunk is sealed for its run, its stream and its index, so none can be moved or swapped. A
   writer therefore claims an index first (compare and append) and seals again if it was taken.
2. `write` returns when the chunk is durable. Readers hold nothing back: they read what is stored.
3. Nothing closes a stream implicitly; a cancelled run ends its readers.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable
from types import TracebackType
from typing import Any, Generic, Self, TypeVar, cast, overload

import msgspec

from wf import codec, schemas
from wf import operations as ops
from wf.context import current_attempt, current_body
from wf.errors import NotInRunError, PayloadTooLargeError, RunNotFoundError, WorkflowError
from wf.records import chunk_place as chunk_place
from wf.session import current_session

T = TypeVar("T")
Chunk = TypeVar("Chunk")

DEFAULT = "default"
MAX_NAME = 256
READ_AHEAD = 256


class StreamInfo(msgspec.Struct, frozen=True):
    """`tail_index` is the index of the last chunk, −1 when there is none."""

    tail_index: int
    closed: bool

    @property
    def done(self) -> bool:
        """`closed`, by its name in Vercel's SDK."""
        return self.closed


def stream_name(namespace: str | None) -> str:
    """Give the name of a namespace's stream; the stream without a namespace is `default`."""
    if namespace is None:
        return DEFAULT
    if not isinstance(namespace, str):
        raise TypeError(f"namespace: {type(namespace).__name__} is not a text")
    if not 1 <= len(namespace) <= MAX_NAME or namespace.startswith("$") or "\0" in namespace:
        raise ValueError(f"namespace: {namespace!r:.80} is not 1 to {MAX_NAME} characters without a leading `$`")
    if namespace == DEFAULT:
        raise ValueError("namespace: `default` is the name of the stream without a namespace; leave it out")
    return namespace


class Writable(Generic[T]):
    """A stream of `T` to write to. In a workflow body it is a handle to pass to steps and child runs."""

    __slots__ = ("_is_closed", "_lock", "_tail", "name", "run_id")

    def __init__(self, run_id: str, name: str) -> None:
        self.run_id = run_id
        self.name = name
        self._tail = -1  # what we believe; the world corrects it
        self._is_closed = False  # by this object
        self._lock: asyncio.Lock | None = None  # guards the order of this writer's chunks

    def __repr__(self) -> str:
        return f"<stream {self.name} of run {self.run_id}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Writable) and (other.run_id, other.name) == (self.run_id, self.name)

    def __hash__(self) -> int:
        return hash((self.run_id, self.name))

    def with_type(self, type: type[Chunk]) -> Writable[Chunk]:
        """Give the same stream as one of another type, for checkers."""
        return cast("Writable[Chunk]", self)

    async def write(self, value: T) -> None:
        """Append a value; it is durable when this returns. A closed stream refuses it."""
        session = current_session()
        data = codec.encode(value, "chunk")
        limit = session.settings.limits.payload
        if len(data) > limit:
            raise PayloadTooLargeError("the chunk", len(data), limit)
        if not await self._append(codec.pack(data)):
            raise WorkflowError(f"the stream {self.name} of run {self.run_id} is closed")

    async def write_from(self, values: AsyncIterable[T]) -> None:
        """Append every value of an async iterable, each as it comes."""
        async for value in values:
            await self.write(value)

    async def drain(self) -> None:
        """Wait until everything written is durable. `write` has waited already; so this is quick."""
        if self._lock is not None:
            async with self._lock:
                return

    async def close(self) -> None:
        """End the stream for its readers. Closing twice is harmless."""
        await self._append(None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:  # after an error the step's next attempt goes on writing
            await self.close()

    async def _append(self, data: bytes | None) -> bool:
        attempt = current_attempt.get()
        if attempt is None:
            raise NotInRunError("a stream is written in a step; pass the stream to one")
        session = current_session()
        key = session.keyring.run(self.run_id)
        if self._lock is None:
            self._lock = asyncio.Lock()
            attempt.writers.append(self)
        async with self._lock:
            while True:
                index = self._tail + 1
                payload = key.seal(chunk_place(self.name, index), "chunk", data) if data is not None else None
                answer = await session.world.append_chunks(
                    self.run_id, self.name, index, session.now_us(), [payload], attempt.fence
                )
                if answer.status == "written":
                    self._tail = index
                    self._is_closed = data is None
                    return True
                if answer.status == "moved":
                    self._tail = answer.tail_index
                    continue
                if answer.status == "closed":
                    if data is None:
                        self._is_closed = True
                        return True
                    # A retry writes again what an earlier attempt wrote and closed: it is all there.
                    return attempt.attempt > 1 and not any(it._is_closed for it in attempt.writers if it == self)
                if answer.status == "unknown":
                    raise RunNotFoundError(self.run_id)
                raise asyncio.CancelledError("the worker lost this run")


codec.register_tag("stream", Writable, lambda w: [w.run_id, w.name], lambda data: Writable(data[0], data[1]))

# The names of Vercel's SDK, for annotations. Its two classes are one here: where the object is decides.
WorkflowWritable = Writable
WorkflowStreamWriter = Writable
WorkflowStreamHandle = Writable


@overload
def get_writable(type: None = None, namespace: str | None = None) -> Writable[Any]: ...
@overload
def get_writable(type: type[Chunk], namespace: str | None = None) -> Writable[Chunk]: ...
@overload
def get_writable(type: Any, namespace: str | None = None) -> Writable[Any]: ...
def get_writable(type: Any = None, namespace: str | None = None) -> Writable[Any]:
    """Give the run's stream: in a step a writer, in a workflow body a handle to pass on.

    `type` names the type of the chunks for readers and checkers.
    """
    name = stream_name(namespace)
    attempt = current_attempt.get()
    if attempt is not None:
        return Writable(attempt.live.run_id, name)
    body = current_body.get()
    if body is None:
        raise NotInRunError("`get_writable` was called outside a run")
    return Writable(body.run_id, name)


# -- reading ------------------------------------------------------------------------------------


async def _read_some(run_id: str, name: str, index: int, limit: int) -> tuple[list[Any], bool] | None:
    """Give the values that are there from an index on and whether the stream ends with them."""
    found = await _read_values(run_id, name, index, limit)
    if found is not None:
        return found
    run = await ops.read_row(run_id)
    if run.status == "cancelled" or run.origin is not None:  # what came between the two looks is the last
        return await _read_values(run_id, name, index, limit) or ([], True)
    for stream in await current_session().world.list_streams(run_id):
        if stream.name == name and stream.is_closed and index > stream.tail_index:  # it began behind the end
            return [], True
    return None


async def _read_values(run_id: str, name: str, index: int, limit: int) -> tuple[list[Any], bool] | None:
    session = current_session()
    rows = await session.world.read_chunks(run_id, name, index, limit)
    key = session.keyring.run(run_id)
    values: list[Any] = []
    for row in rows:
        if row.payload is None:
            return values, True
        data = codec.unpack(key.open(chunk_place(name, row.index), "chunk", row.payload))
        values.append(codec.decode(data))
    return (values, False) if values else None


@ops.operation
async def read_chunks(run_id: str, name: str, index: int, limit: int) -> tuple[list[Any], bool]:
    """Wait until a stream has chunks from an index on, or ends."""

    async def is_there() -> tuple[list[Any], bool] | None:
        return await _read_some(run_id, name, index, limit)

    found = await is_there()
    if found is None:
        found = await ops.wait_for_news(f"stream:{run_id}/{name}", is_there)
    return found


@ops.operation
async def stream_state(run_id: str, name: str) -> tuple[int, bool]:
    await ops.read_row(run_id)
    for row in await current_session().world.list_streams(run_id):
        if row.name == name:
            return row.tail_index, row.is_closed
    return -1, False


@ops.operation
async def stream_names(run_id: str) -> list[str]:
    await ops.read_row(run_id)
    return [row.name for row in await current_session().world.list_streams(run_id) if not row.name.startswith("$")]


async def read_info(run_id: str, name: str) -> StreamInfo:
    return StreamInfo(*(await stream_state(run_id, name)))


async def list_names(run_id: str) -> list[str]:
    return await stream_names(run_id)


async def read_values(
    run_id: str, name: str, start_index: int | None = None, type: Any = None
) -> AsyncGenerator[Any, None]:
    """Iterate over a stream's values until it is closed, or its run cancelled. With a `type` each is checked."""
    index = start_index or 0
    if index < 0:
        index = max(0, (await read_info(run_id, name)).tail_index + 1 + index)
    while True:
        values, is_end = await read_chunks(run_id, name, index, READ_AHEAD)
        for value in values:
            if type is not None:
                value = schemas.check_value(codec.unwrap(value), type, f"chunk {index} of the stream {name}")
            yield value
            index += 1
        if is_end:
            return


async def read_bytes(run_id: str, name: str, start_index: int | None = None) -> AsyncGenerator[bytes, None]:
    async for value in read_values(run_id, name, start_index):
        if isinstance(value, str):
            yield value.encode("utf-8", "surrogatepass")
        elif isinstance(value, (bytes, bytearray)):
            yield bytes(value)
        else:
            raise TypeError(f"stream {name} holds {type(value).__name__}, not bytes; read it with `readable`")


@overload
def read_stream(
    run_id: str, name: str = DEFAULT, start_index: int | None = None, *, type: None = None
) -> AsyncGenerator[Any, None]: ...
@overload
def read_stream(
    run_id: str, name: str = DEFAULT, start_index: int | None = None, *, type: type[Chunk]
) -> AsyncGenerator[Chunk, None]: ...
@overload
def read_stream(
    run_id: str, name: str = DEFAULT, start_index: int | None = None, *, type: Any
) -> AsyncGenerator[Any, None]: ...
def read_stream(
    run_id: str, name: str = DEFAULT, start_index: int | None = None, *, type: Any = None
) -> AsyncGenerator[Any, None]:
    """Iterate over a stream by the name that `list_streams` gives.

    With a `type`, a chunk that is none raises `ValidationError`.
    """
    return read_values(run_id, name, start_index, type)
