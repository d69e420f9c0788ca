"""A world that another process owns, over its socket.

1. A loop has one connection; calls on it are pipelined, and doorbells ring on that loop.
2. What goes to the owner and is not answered when a connection ends raises `ConnectionLost`; so
   does every call from then on, on every loop. Whoever wants to go on makes a new `RemoteWorld`
   (`SharedWorld` does, after it has found out who owns the world now).
3. A loop that ends takes its connection with it, without a farewell by the user: an async
   generator that `asyncio.run` closes with the loop closes the connection.
"""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import threading
import weakref
from collections.abc import AsyncGenerator, Callable, Sequence
from typing import Any, Final

import msgspec

from wf.errors import PayloadTooLargeError, WorldError
from wf.world import Append, Doorbell, Outcome
from wf.worlds import wire
from wf.worlds.forwarding import ForwardingWorld
from wf.worlds.process import process_token
from wf.worlds.wire import ConnectionLost

PATIENCE_SECONDS: Final = 30.0
"""An owner that sends nothing at all for this long, while a call waits, counts as lost."""

PATIENCE_CHECKS: Final = 6


class RemoteWorld(ForwardingWorld):
    """The world behind an endpoint, from its first connection until it loses one.

    `open` makes that connection and learns `url` and `durability`; calls do so by themselves.
    `on_lost` is called once, on any thread, when the owner is lost; not by `close`.
    """

    def __init__(
        self,
        endpoint: str,
        *,
        max_frame: int = wire.MAX_FRAME,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        self.url = ""
        self.durability = ""
        self.process = ""
        self.endpoint = endpoint
        self.max_frame = max_frame
        self.patience_seconds = patience_seconds
        self.on_lost: Callable[[], None] | None = None
        self._end: WorldError | None = None
        self._links: dict[asyncio.AbstractEventLoop, _Link] = {}
        self._guard = threading.Lock()  # of the two above: loops of several threads use one world
        _remotes.add(self)

    @property
    def is_lost(self) -> bool:
        return self._end is not None

    async def open(self) -> None:
        """Connect on this loop. Raises `ConnectionLost` if nobody answers within 5 s."""
        await self._link_here()

    async def close(self) -> None:
        self._finish(WorldError("this world was closed"))
        # The transport of this loop closes in the loop's next turn: do not leave before.
        await asyncio.sleep(0)

    async def call(self, method: wire.Method, *arguments: Any) -> Any:
        link = self._links.get(asyncio.get_running_loop())
        if link is None or not link.is_ready:
            link = await self._link_here()
        body = wire.encode_body(arguments)
        if len(body) > self.max_frame:
            if method.name == "commit" and len(arguments[0]) > 1:
                return await self._commit_in_halves(arguments[0])
            raise PayloadTooLargeError(f"the arguments of {method.name}", len(body), self.max_frame)
        return await link.ask(method, body)

    async def _commit_in_halves(self, appends: Sequence[Append]) -> list[Outcome]:
        """Commit what is too large for one frame in two. Law 1 holds each append for itself."""
        middle = len(appends) // 2
        first = await self.commit(appends[:middle])
        return [*first, *await self.commit(appends[middle:])]

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        link = await self._link_here()
        return await link.subscribe(topic, ring)

    # -- connections

    async def _link_here(self) -> _Link:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._end is not None:
                raise _again(self._end)
            link = self._links.get(loop)
            if link is None:
                for old in [old for old in self._links if old.is_closed()]:
                    del self._links[old]
                link = self._links[loop] = _Link(self, loop)
                link.connecting = loop.create_task(link.connect())
                link.connecting.add_done_callback(_observe)
        if not link.is_ready:
            # Shielded, because others on this loop may wait for the same connection.
            await asyncio.shield(link.connecting)
        return link

    def lose(self, error: WorldError) -> None:
        """End this world: the owner went away."""
        if self._finish(error) and self.on_lost is not None:
            self.on_lost()

    def forget(self, link: _Link) -> None:
        with self._guard:
            if self._links.get(link.loop) is link:
                del self._links[link.loop]

    def _finish(self, error: WorldError) -> bool:
        with self._guard:
            if self._end is not None:
                return False
            self._end = error
            links, self._links = self._links, {}
        for link in links.values():
            link.end_from_anywhere(error)
        _remotes.discard(self)
        return True


_remotes: Final[weakref.WeakSet[RemoteWorld]] = weakref.WeakSet()
_inherited: Final[list[object]] = []


class _Link(asyncio.Protocol):
    """The connection of one loop; used on that loop only, except where a name says otherwise."""

    def __init__(self, world: RemoteWorld, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self.is_ready = False
        self.connecting: asyncio.Task[None]
        self.sock: socket.socket | None = None
        self._world = world
        self._transport: asyncio.Transport | None = None
        self._line: bytearray | None = bytearray()
        self._greeting: asyncio.Future[bytes] = loop.create_future()
        self._frames = wire.FrameReader(world.max_frame)
        self._waiting: dict[int, tuple[asyncio.Future[Any], wire.Method | None]] = {}
        self._abandoned: dict[int, wire.Method | None] = {}
        self._rings: dict[int, Doorbell] = {}
        self._last_id = 0
        self._end: WorldError | None = None
        self._farewell: AsyncGenerator[None, None]
        self._patience: asyncio.TimerHandle | None = None
        self._silent_checks = 0

    # -- making the connection

    async def connect(self) -> None:
        try:
            try:
                async with asyncio.timeout(wire.HANDSHAKE_SECONDS):
                    await self._greet(await self._open_socket())
            except TimeoutError as error:
                raise ConnectionLost("no answer from the world's owner in time", was_sent=False) from error
            except (OSError, EOFError) as error:
                raise _describe(error) from error
            except wire.GarbledError as error:
                raise WorldError(f"what answers for the world does not speak its protocol: {error}") from error
            if self._end is not None:
                raise _again(self._end)
        except WorldError as error:
            self.end(error)
            self._world.lose(error)
            raise
        except BaseException:  # cancelled with its loop
            self.end(ConnectionLost("the connection was given up", was_sent=False))
            self._world.forget(self)
            raise
        finally:
            if self._end is not None and self._transport is not None:
                self._transport.abort()  # one that was made after the end was decided
        self.is_ready = True
        self._farewell = self._close_with_loop()
        await anext(self._farewell)

    async def _open_socket(self) -> str:
        endpoint = wire.parse_endpoint(self._world.endpoint)
        if isinstance(endpoint, wire.UnixEndpoint):
            self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            address: Any = endpoint.path
        else:
            self.sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            self.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            address = (endpoint.host, endpoint.port)
        try:
            self.sock.setblocking(False)
            await self.loop.sock_connect(self.sock, address)
            await self.loop.create_connection(lambda: self, sock=self.sock)
        except BaseException:
            self.sock.close()
            raise
        return endpoint.token if isinstance(endpoint, wire.TcpEndpoint) else ""

    async def _greet(self, token: str) -> None:
        assert self._transport is not None
        hello = wire.Hello(wire.WIRE_VERSION, wire.SCHEMA, process_token(), token)
        self._transport.write(wire.encode_line(hello))
        welcome = wire.decode_welcome(await self._greeting)
        if welcome.refusal is not None or not wire.is_same_wire(welcome):
            error = WorldError(welcome.refusal or "the world's owner runs another version of wf")
            error.hint = "restart the older of the two, so that both run the same version of wf"
            raise error
        self._world.url = welcome.url
        self._world.durability = welcome.durability
        self._world.process = welcome.process

    async def _close_with_loop(self) -> AsyncGenerator[None, None]:
        try:
            yield
        finally:
            self._world.forget(self)
            self.end(ConnectionLost("the loop of this connection ended"))
            await asyncio.sleep(0)

    # -- asking

    async def ask(self, method: wire.Method, body: bytes) -> Any:
        id, answer = self._send(wire.REQUEST, method, body)
        try:
            result = await answer
        except asyncio.CancelledError:
            self._abandon(id, answer, method)
            raise
        if method is wire.CLAIM:
            self._tell(wire.RECEIVED, id)
        return result

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        id, answer = self._send(wire.SUBSCRIBE, None, wire.encode_body(topic))
        self._rings[id] = ring

        def undo() -> None:
            if self._rings.pop(id, None) is not None:
                self._on_loop(self._tell, wire.UNSUBSCRIBE, id)

        try:
            await answer
        except asyncio.CancelledError:
            self._rings.pop(id, None)
            self._abandon(id, answer, None)
            raise
        except BaseException:
            self._rings.pop(id, None)
            raise
        return undo

    def _send(self, kind: int, method: wire.Method | None, body: bytes) -> tuple[int, asyncio.Future[Any]]:
        if self._end is not None:
            raise _again(self._end, was_sent=False)
        assert self._transport is not None
        self._last_id = id = (self._last_id + 1) & 0xFFFFFFFF
        answer = self.loop.create_future()
        self._waiting[id] = (answer, method)
        self._transport.write(wire.frame(kind, id, body, method.number if method is not None else 0))
        if self._patience is None:
            self._wait_patiently()
        return id, answer

    def _tell(self, kind: int, id: int) -> None:
        if self._end is None and self._transport is not None:
            self._transport.write(wire.frame(kind, id))

    def _abandon(self, id: int, answer: asyncio.Future[Any], method: wire.Method | None) -> None:
        """Remember whom nobody waits for, because a claim's leases or a doorbell come of it."""
        if self._waiting.pop(id, None) is not None:
            self._abandoned[id] = method
        elif not answer.cancelled() and answer.exception() is None:
            self._drop(id, method)

    def _drop(self, id: int, method: wire.Method | None) -> None:
        if method is None:
            self._tell(wire.UNSUBSCRIBE, id)
        elif method is wire.CLAIM:
            self._tell(wire.DECLINED, id)

    # -- hearing

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self._end is not None:
            return
        self._silent_checks = 0
        try:
            if self._line is not None:
                data = self._read_line(data)
            for frame in self._frames.feed(data):
                self._accept(frame)
        except (wire.GarbledError, msgspec.MsgspecError) as error:
            self._fail(ConnectionLost(f"the world's owner sent something unreadable: {error}"))

    def connection_lost(self, error: Exception | None) -> None:
        if not self._greeting.done():
            self._give_up_greeting("it closed the connection")
        elif self._end is None:
            self._fail(ConnectionLost("the world's owner went away" + (f": {error}" if error else "")))

    def _give_up_greeting(self, reason: str) -> None:
        if not self._greeting.done():
            self._greeting.set_exception(EOFError(reason))
            self._greeting.exception()  # whether or not somebody waits for it

    def _read_line(self, data: bytes) -> bytes:
        assert self._line is not None
        self._line += data
        line, end, rest = bytes(self._line).partition(b"\n")
        if end:
            self._line = None
            if not self._greeting.done():
                self._greeting.set_result(line)
            return rest
        if len(line) > wire.MAX_LINE:
            raise wire.GarbledError("no greeting")
        return b""

    def _accept(self, frame: wire.Frame) -> None:
        if frame.kind == wire.RING:
            if frame.id in self._rings:
                # By way of the loop, so that what a subscriber raises is not taken for the peer's fault.
                self.loop.call_soon(self._ring, frame.id, wire.decode_text(frame.body))
            return
        if frame.kind not in (wire.RESULT, wire.ERROR):
            raise wire.GarbledError(f"{frame.kind} is not for a client")
        waiting = self._waiting.pop(frame.id, None)
        if waiting is None:
            if frame.id in self._abandoned and frame.kind == wire.RESULT:
                self._drop(frame.id, self._abandoned[frame.id])
            self._abandoned.pop(frame.id, None)
            return
        answer, method = waiting
        if answer.done():
            if frame.kind == wire.RESULT:
                self._drop(frame.id, method)
        elif frame.kind == wire.ERROR:
            answer.set_exception(wire.decode_error(frame.body))
        else:
            answer.set_result(method.result.decode(frame.body) if method is not None else None)

    def _ring(self, id: int, detail: str) -> None:
        ring = self._rings.get(id)
        if ring is not None:  # else it was undone since the frame came
            ring(detail)

    # -- ending

    def _wait_patiently(self) -> None:
        self._patience = self.loop.call_later(self._world.patience_seconds / PATIENCE_CHECKS, self._check_patience)

    def _check_patience(self) -> None:
        # Counted in checks, not in seconds: a loop that was blocked itself finds one check due,
        # and whatever arrived meanwhile is read before the next.
        self._patience = None
        if not self._waiting:
            return
        self._silent_checks += 1
        if self._silent_checks > PATIENCE_CHECKS:
            self._fail(ConnectionLost(f"the world's owner was silent for {self._world.patience_seconds:g} s"))
        else:
            self._wait_patiently()

    def _fail(self, error: WorldError) -> None:
        self.end(error)
        self._world.lose(error)

    def end(self, error: WorldError) -> None:
        """Close, and fail what waits. Doing so twice is harmless."""
        if self._end is not None:
            return
        self._end = error
        self.is_ready = False
        waiting, self._waiting = self._waiting, {}
        self._rings.clear()
        for answer, _ in waiting.values():
            if not answer.done():
                answer.set_exception(_again(error))
        if self._patience is not None:
            self._patience.cancel()
        self._give_up_greeting("the connection was given up")
        if self._transport is not None:
            self._transport.abort()

    def end_from_anywhere(self, error: WorldError) -> None:
        """`end`, from any thread."""
        self._on_loop(self.end, error)

    def _on_loop(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            running: asyncio.AbstractEventLoop | None = asyncio.get_running_loop()
        except RuntimeError:
            running = None
        if running is self.loop:
            function(*arguments)
            return
        try:
            self.loop.call_soon_threadsafe(function, *arguments)
        except RuntimeError:
            pass  # that loop is closed, and what was on it


def _describe(error: OSError | EOFError) -> WorldError:
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        failure = WorldError("cannot connect to the world's owner: too many open files")
        failure.hint = "raise `ulimit -n`"
        return failure
    reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
    return ConnectionLost(f"no answer from the world's owner: {reason}", was_sent=False)


def _observe(task: asyncio.Task[None]) -> None:
    """Take a task's failure, which all who wait for it get, as seen even if nobody waits any more."""
    if not task.cancelled():
        task.exception()


def _again(error: WorldError, was_sent: bool | None = None) -> WorldError:
    """Copy an error, so that several callers do not share one traceback."""
    if isinstance(error, ConnectionLost):
        return ConnectionLost(str(error), error.was_sent if was_sent is None else was_sent)
    copy = type(error)(*error.args)
    copy.hint = error.hint
    return copy


def _abandon_all_in_child() -> None:
    """Close a forked child's copies of our connections: the parent still uses them."""
    for world in list(_remotes):
        for link in list(world._links.values()):
            _inherited.append(link)
            if link.sock is not None:
                fd = link.sock.detach()
                if fd >= 0:
                    os.close(fd)
        world._links.clear()
        world._guard = threading.Lock()
        world._end = ConnectionLost("the connection belongs to the parent process", was_sent=False)
    _remotes.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all_in_child)
