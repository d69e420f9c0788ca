"""Server-sent events: a stream of `id`, `event`, `data`, that ends with `bye` when the server does.

1. One item at a time: the next is taken when the last was handed to the socket, so a client that does
   not read holds one item, and its source (a feed, a log) is what bounds the rest.
2. A comment goes out every 15 seconds, or proxies and sleeping laptops leave connections half open.
3. When there is nothing more to come, `event: end` is the last thing said (a client that connects again
   on its own must stop then); when the server closes, `event: bye`; when reading fails, `event: error`.

sse-starlette is not used: it finds the server through its signal handlers, which a server inside another
loop does not have, and polls for the end.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Any, Final

import msgspec
from starlette.responses import StreamingResponse
from starlette.types import Receive, Scope, Send

from wf.errors import WorkflowError
from wfstudio.core.errors import InternalError
from wfstudio.server.answers import show_error

log = logging.getLogger("wfstudio.server")

PING_SECONDS: Final = 15.0
RECONNECT_MS: Final = 1000


class Item(msgspec.Struct, frozen=True):
    """One event. `id` comes back as `Last-Event-ID` when the client connects again."""

    data: Any
    event: str | None = None
    id: str | None = None

    def encode(self) -> bytes:
        lines = []
        if self.id is not None:
            lines.append(b"id: " + self.id.encode())
        if self.event is not None:
            lines.append(b"event: " + self.event.encode())
        lines.append(b"data: " + msgspec.json.encode(self.data))  # JSON has no newline of its own
        return b"\n".join(lines) + b"\n\n"


class Closing:
    """Tells all streams that the server closes."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def close(self) -> None:
        self._event.set()

    async def wait(self) -> None:
        await self._event.wait()


class EventStream(StreamingResponse):
    """A response of server-sent events; the source is closed when the client goes."""

    def __init__(self, source: AsyncIterator[Item], closing: Closing, *, ping_seconds: float = PING_SECONDS) -> None:
        self._writing = _write(source, closing, ping_seconds)
        super().__init__(self._writing, media_type="text/event-stream")
        self.headers["x-accel-buffering"] = "no"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            await self._writing.aclose()


async def _write(source: AsyncIterator[Item], closing: Closing, ping_seconds: float) -> AsyncGenerator[bytes, None]:
    yield b"retry: %d\n\n" % RECONNECT_MS
    closed = asyncio.ensure_future(closing.wait())
    coming: asyncio.Future[Item] | None = None
    try:
        while True:
            if coming is None:
                coming = asyncio.ensure_future(_next(source))
            racing: list[asyncio.Future[Any]] = [coming, closed]
            await asyncio.wait(racing, timeout=ping_seconds, return_when=asyncio.FIRST_COMPLETED)
            if coming.done():
                try:
                    item = coming.result()
                except StopAsyncIteration:
                    yield Item({}, "end").encode()
                    return
                except WorkflowError as error:  # the run was pruned, the world failed: the head is sent already
                    yield Item(show_error(error), "error").encode()
                    return
                except Exception:
                    log.exception("a stream of events failed")
                    yield Item(show_error(InternalError()), "error").encode()
                    return
                coming = None
                yield item.encode()
            elif closed.done():
                yield Item({}, "bye").encode()
                return
            else:
                yield b": still here\n\n"
    finally:
        closed.cancel()
        if coming is not None:
            coming.cancel()
            await asyncio.gather(coming, return_exceptions=True)
        close = getattr(source, "aclose", None)
        if close is not None:
            await close()


async def _next(source: AsyncIterator[Item]) -> Item:
    return await anext(source)
