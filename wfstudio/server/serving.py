"""Serving: uvicorn inside a loop that is not its own.

1. It installs no signal handlers: who runs the loop decides when it ends.
2. It ends in bounded time, whatever clients do: streams are told goodbye, then connections get
   a moment, then they are cut.
3. A port that is taken is followed by the next free one, unless the caller insists.
4. On the loopback both `127.0.0.1` and `::1` are bound, with one number: `localhost` may mean either,
   and the other one must not be somebody else's.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import AsyncIterator, Iterator
from typing import Final

import uvicorn

from wf.settings import DEFAULT_PORT
from wfstudio.core.errors import UsageError
from wfstudio.server.access import Access
from wfstudio.server.app import App

GRACE_SECONDS: Final = 3
TRIES: Final = 50
BACKLOG: Final = 2048
MAX_CONNECTIONS: Final = 4096
MAX_HEAD_BYTES: Final = 64 * 1024
KEEP_ALIVE_SECONDS: Final = 15


class Server:
    """What is served where. `url` has no path."""

    def __init__(self, access: Access, host: str, port: int) -> None:
        self._access = access
        self.host = host
        self.port = port

    @property
    def url(self) -> str:
        return f"http://{_show_host(self.host)}:{self.port}"

    @property
    def launch_url(self) -> str:
        """Make a URL that opens the studio in a browser: once, within a minute."""
        return f"{self.url}/#code={self._access.make_code()}"


class _Uvicorn(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.is_up = asyncio.Event()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.is_up.set()


@contextlib.asynccontextmanager
async def serve(
    app: App,
    access: Access,
    host: str = "127.0.0.1",
    port: int = DEFAULT_PORT,
    *,
    is_strict_port: bool = False,
    grace_seconds: int = GRACE_SECONDS,
) -> AsyncIterator[Server]:
    """Serve an app while the block runs. Raises `UsageError` where no port can be had.

    `access` is told the port that was found: names of hosts and cookies hold it.
    """
    sockets = bind(host, port, is_strict_port=is_strict_port)
    access.serve_at(host, sockets[0].getsockname()[1])
    config = uvicorn.Config(
        app,
        http="h11",
        ws="none",
        lifespan="off",
        log_config=None,
        log_level="critical",  # the router logs what fails; the rest is clients' bad manners
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=BACKLOG,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=grace_seconds,
        h11_max_incomplete_event_size=MAX_HEAD_BYTES,
    )
    server = _Uvicorn(config)
    # No TaskGroup: it would wrap what the block raises.
    serving = asyncio.create_task(server.serve(sockets), name="wf http server")
    background = [
        asyncio.create_task(app.forward_runs(), name="wf live runs"),
        asyncio.create_task(app.keep_history(), name="wf history"),
    ]
    try:
        await server.is_up.wait()
        yield Server(access, host, access.port)
    finally:
        for task in background:
            task.cancel()
        app.close()
        server.should_exit = True
        endings = (app.end_queries(), app.end_replays())
        await asyncio.shield(asyncio.gather(serving, *background, *endings, return_exceptions=True))


def bind(host: str, port: int, *, is_strict_port: bool = False) -> list[socket.socket]:
    """Bind a host at a port or, unless the caller insists, at the next one that is free. 0 asks for any."""
    numbers = [0] * TRIES if port == 0 else range(port, port + 1 if is_strict_port else min(port + TRIES, 65_536))
    for number in numbers:
        try:
            return _bind_all(host, number)
        except OSError as error:
            if error.errno != errno.EADDRINUSE:
                raise UsageError(f"{host}:{number} cannot be served: {error.strerror or error}") from None
    hint = "stop what uses it, or choose another: `--port`"
    raise UsageError(f"the port {port} is taken" if is_strict_port else f"no port from {port} on is free", hint)


def _bind_all(host: str, port: int) -> list[socket.socket]:
    if host not in ("127.0.0.1", "localhost"):
        return [_bind_one(host.strip("[]"), port)]
    first = _bind_one("127.0.0.1", port)
    try:
        return [first, _bind_one("::1", first.getsockname()[1])]
    except OSError as error:
        if error.errno != errno.EADDRINUSE:  # a machine without IPv6
            return [first]
        first.close()
        raise


def _bind_one(host: str, port: int) -> socket.socket:
    family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    found = socket.socket(family, kind, protocol)
    try:
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if family == socket.AF_INET6:
            found.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        found.bind(address)
        found.listen(BACKLOG)  # two that bind a number with SO_REUSEADDR both succeed; only one may listen
        found.setblocking(False)
    except BaseException:
        found.close()
        raise
    return found


def _show_host(host: str) -> str:
    """Name a host as a browser of this machine would ask for it."""
    if host in ("0.0.0.0", "::", "[::]", "localhost"):
        return "127.0.0.1"
    return f"[{host}]" if ":" in host and not host.startswith("[") else host
