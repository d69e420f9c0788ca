"""The server for tests: asked in-process as ASGI, or over sockets with bytes of one's own."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from tests.wfstudio.studio import open_studio
from wfstudio.core.client import Client
from wfstudio.core.errors import UsageError
from wfstudio.core.faults import FaultError, FaultRule, make_rule
from wfstudio.core.live import Feed
from wfstudio.core.replays import Replays
from wfstudio.core.views import FindingView
from wfstudio.server.access import Access
from wfstudio.server.app import App, make_app
from wfstudio.server.serving import Server, serve

PORT = 4600
TOKEN = "t" * 43
Headers = list[tuple[str, str]]


class Answer(msgspec.Struct):
    status: int
    headers: Headers
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def slug(self) -> str:
        return self.json["error"]["slug"]

    def header(self, name: str) -> str | None:
        found = [value for key, value in self.headers if key == name]
        return found[0] if found else None


class FakeDev:
    """A dev server that notes what it was asked: the real one is not this package's."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, ...]] = []
        self.faults: list[FaultRule] = []

    def status(self) -> dict[str, Any]:
        return {"deployment_id": "dep_1", "diverging": []}

    def find_nondeterministic(self) -> dict[str, list[FindingView]]:
        return {"studio.greet": [FindingView(code="NONDETERMINISM", message="it differs", run_id="wrun_1")]}

    async def remedy(self, run_id: str, action: str) -> dict[str, Any]:
        if action != "keep":
            raise UsageError(f"there is no remedy {action!r}")
        self.calls.append(("remedy", run_id, action))
        return {"run_id": run_id}

    async def open_file(self, file: str, line: int, column: int) -> str:
        self.calls.append(("open", f"{file}:{line}:{column}"))
        return "code"

    def list_faults(self) -> list[FaultRule]:
        return list(self.faults)

    async def add_fault(self, action: str, **fields: Any) -> FaultRule:
        self.faults.append(make_rule(f"f{len(self.faults) + 1}", action, **fields))
        return self.faults[-1]

    async def clear_faults(self, ids: list[str] | None = None) -> int:
        before = len(self.faults)
        if ids and not any(rule.id in ids for rule in self.faults):
            raise FaultError(f"there is no fault {ids[0]!r}")
        self.faults = [rule for rule in self.faults if ids is not None and rule.id not in ids]
        return before - len(self.faults)

    async def reload(self) -> dict[str, Any]:
        self.calls.append(("reload",))
        return {"is_reloaded": True}


class Site:
    """An app and how to ask it. Requests are a program's with the token, unless they say otherwise."""

    def __init__(self, client: Client, *, allowed_hosts: Iterable[str] = ()) -> None:
        self.client = client
        self.feed = Feed()
        self.now = 0.0
        self.access = Access(TOKEN, port=PORT, allowed_hosts=list(allowed_hosts), monotonic=lambda: self.now)
        self.dev = FakeDev()
        replays = Replays(client.session, targets=["tests/wfstudio/flows.py"])
        self.app: App = make_app(client, self.feed, access=self.access, dev=self.dev, replays=replays)

    async def ask(
        self,
        method: str,
        path: str,
        json: Any = msgspec.UNSET,
        *,
        headers: Headers | None = None,
        body: bytes | list[bytes] = b"",
        host: str | None = f"127.0.0.1:{PORT}",
        token: str | None = TOKEN,
    ) -> Answer:
        """Ask as a program does. `headers` come on top; `host` and `token` None leave theirs out."""
        sent = [] if host is None else [("host", host)]
        if token is not None:
            sent.append(("authorization", f"Bearer {token}"))
        if json is not msgspec.UNSET:
            body = msgspec.json.encode(json)
            sent.append(("content-type", "application/json"))
        if isinstance(body, bytes) and body:
            sent.append(("content-length", str(len(body))))
        return await call(
            self.app, method, path, [*sent, *(headers or [])], [body] if isinstance(body, bytes) else body
        )

    def browser(
        self, *, cookie: str | None = None, origin: str | None = "", site: str | None = "same-origin"
    ) -> Headers:
        """Give the headers that a browser sends from the studio's own page."""
        value = self.access.cookie_value if cookie is None else cookie
        headers = [("x-wf", "1"), ("cookie", f"{self.access.cookie_name}={value}")]
        if origin is not None:
            headers.append(("origin", origin or f"http://127.0.0.1:{PORT}"))
        if site is not None:
            headers.append(("sec-fetch-site", site))
        return headers


async def call(app: Any, method: str, path: str, headers: Headers, body: list[bytes]) -> Answer:
    """Send one request to an ASGI app and take the whole answer."""
    raw_path, _, query = path.partition("?")
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.3"},
        "http_version": "1.1",
        "method": method,
        "scheme": "http",
        "path": raw_path,
        "raw_path": raw_path.encode("utf-8", "surrogateescape"),
        "query_string": query.encode("utf-8", "surrogateescape"),
        "root_path": "",
        "headers": [(name.lower().encode(), value.encode("latin-1", "replace")) for name, value in headers],
        "client": ("127.0.0.1", 50000),
        "server": ("127.0.0.1", PORT),
    }
    parts = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    parts[-1]["more_body"] = False
    incoming = iter(parts)
    answer = Answer(0, [], b"")

    async def receive() -> dict[str, Any]:
        message = next(incoming, None)
        if message is None:
            await asyncio.Event().wait()  # the client is still there
        assert message is not None
        return message

    async def send(message: Any) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = [(name.decode(), value.decode("latin-1")) for name, value in message["headers"]]
        else:
            answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


def enc(text: str) -> str:
    return quote(text, safe="")


@asynccontextmanager
async def open_site(kind: str = "memory", folder: Path | None = None, **options: Any) -> AsyncIterator[Site]:
    async with open_studio(kind, folder) as client:
        site = Site(client, **options)
        try:
            yield site
        finally:
            await site.app.end_queries()
            await site.app.end_replays()


# -- over sockets -------------------------------------------------------------------------------


@asynccontextmanager
async def serving(site: Site, **options: Any) -> AsyncIterator[Server]:
    options = {"host": "127.0.0.1", "port": 0, **options}
    async with serve(site.app, site.access, options.pop("host"), options.pop("port"), **options) as server:
        yield server


class Wire:
    """A connection that sends what a test writes."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        self.reader = reader
        self.writer = writer
        self.port = port

    @classmethod
    async def open(cls, port: int, host: str = "127.0.0.1") -> Wire:
        return cls(*await asyncio.open_connection(host, port), port)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def ask(self, method: str, path: str, *headers: str, body: bytes = b"") -> None:
        lines = [
            f"{method} {path} HTTP/1.1",
            f"host: 127.0.0.1:{self.port}",
            f"authorization: Bearer {TOKEN}",
            *headers,
        ]
        if body:
            lines += ["content-type: application/json", f"content-length: {len(body)}"]
        await self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)

    async def head(self) -> tuple[int, str]:
        text = (await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), 10)).decode("latin-1").lower()
        return int(text.split()[1]), text

    async def read(self) -> bytes:
        """Read until the other side closes."""
        return await asyncio.wait_for(self.reader.read(), 10)

    async def event(self) -> dict[str, str]:
        """Read the next server-sent event; comments are passed over."""
        while True:
            text = (await asyncio.wait_for(self.reader.readuntil(b"\n\n"), 10)).decode()
            lines = [line.partition(": ") for line in text.replace("\r\n", "\n").split("\n")]
            found = {name: value for name, _, value in lines if name in ("id", "event", "data")}
            if found:
                return found

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)
