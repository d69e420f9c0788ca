"""The link to the server that runs beside a world: its live feed, and what is asked of `wf dev`.

1. HTTP/1.0 on a connection of its own a request: the server then ends its answer by closing, so no framing
   has to be understood. The server is on this machine; nothing is saved by keeping connections.
2. The token goes in a header, never in a URL.
3. Whatever goes wrong with the connection is `LinkLost`: who follows says so and tries again.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any, Final
from urllib.parse import urlsplit

import msgspec

from wf.errors import WorkflowError
from wfstudio.core.live import LiveEvent
from wfstudio.core.server_file import ServerFile

SILENCE_SECONDS: Final = 40.0
"""The feed says something at least every 15 s; after so long nobody is there any more."""
CONNECT_SECONDS: Final = 5.0
_LONGEST_LINE: Final = 4 * 1024 * 1024
_LARGEST_ANSWER: Final = 64 * 1024 * 1024


class LinkLost(Exception):
    """The server went, or does not answer."""


class AskedError(WorkflowError):
    """The server refused, with an error of its own: shown as it said it."""

    def __init__(self, slug: str, message: str, hint: str | None) -> None:
        super().__init__(message)
        self.slug = slug  # type: ignore[misc]  # of the error that the server met
        self.hint = hint


class ServerLink:
    def __init__(self, server: ServerFile) -> None:
        self.server = server

    async def ask(self, method: str, path: str, body: Any = msgspec.UNSET) -> Any:
        """Ask the API and give the answer's JSON. Raises `AskedError` for a refusal, `LinkLost` without an answer."""
        async with self._request(method, path, body) as (status, length, reader):
            try:
                async with asyncio.timeout(SILENCE_SECONDS):
                    data = await reader.read(_LARGEST_ANSWER)
                    while piece := await reader.read(_LARGEST_ANSWER):
                        data += piece
            except (TimeoutError, OSError) as error:
                raise LinkLost(str(error)) from None
        if len(data) < length:
            raise LinkLost("the server closed the connection")
        if status >= 400:
            raise _read_refusal(status, data)
        return msgspec.json.decode(data) if data else None

    async def follow(self, last_id: int | None = None) -> AsyncGenerator[LiveEvent, None]:
        """Give what happens, after the event `last_id` or from now on, until the server says goodbye."""
        path = "/api/live" if last_id is None else f"/api/live?last_id={last_id}"
        async with self._request("GET", path) as (status, _, reader):
            if status != 200:
                raise _read_refusal(status, await reader.read(_LONGEST_LINE))
            fields: dict[str, str] = {}
            while True:
                line = await self._read_line(reader)
                if line:
                    name, _, value = line.partition(":")
                    fields[name] = value.removeprefix(" ")
                    continue
                kind = fields.get("event", "")
                if kind in ("bye", "end"):
                    return
                if "data" in fields and fields.get("id", "").isdecimal():
                    yield LiveEvent(int(fields["id"]), kind, msgspec.json.decode(fields["data"]))
                fields = {}

    async def _read_line(self, reader: asyncio.StreamReader) -> str:
        try:
            async with asyncio.timeout(SILENCE_SECONDS):
                line = await reader.readline()
        except (TimeoutError, OSError, ValueError) as error:
            raise LinkLost(str(error) or "nothing was heard for a while") from None
        if not line.endswith(b"\n"):
            raise LinkLost("the server closed the connection")
        return line.decode(errors="replace").rstrip("\r\n")

    @asynccontextmanager
    async def _request(
        self, method: str, path: str, body: Any = msgspec.UNSET
    ) -> AsyncGenerator[tuple[int, int, asyncio.StreamReader], None]:
        """Ask, and give the status, how long the answer is (0 where nobody says), and who reads it."""
        place = urlsplit(self.server.url)
        host, port = place.hostname or "127.0.0.1", place.port or 80
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                reader, writer = await asyncio.open_connection(host, port, limit=_LONGEST_LINE)
        except (TimeoutError, OSError) as error:
            raise LinkLost(str(error) or "the server does not answer") from None
        try:
            data = b"" if body is msgspec.UNSET else msgspec.json.encode(body)
            head = [f"{method} {path} HTTP/1.0", f"host: {place.netloc}", f"authorization: Bearer {self.server.token}"]
            if data:
                head += ["content-type: application/json", f"content-length: {len(data)}"]
            writer.write("\r\n".join([*head, "", ""]).encode() + data)
            try:
                await writer.drain()
            except OSError as error:
                raise LinkLost(str(error)) from None
            words = (await self._read_line(reader)).split()
            status = int(words[1]) if len(words) > 1 and words[1].isdecimal() else 0
            length = 0
            while line := await self._read_line(reader):
                name, _, value = line.partition(":")
                if name.lower() == "content-length" and value.strip().isdecimal():
                    length = int(value)
            yield status, length, reader
        finally:
            writer.close()


def _read_refusal(status: int, data: bytes) -> AskedError:
    try:
        error = msgspec.json.decode(data)["error"]
        return AskedError(str(error["slug"]), str(error["message"]), error.get("hint"))
    except (msgspec.DecodeError, KeyError, TypeError, AttributeError):
        return AskedError("access", f"the server answered {status}", None)
