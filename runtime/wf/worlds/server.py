"""The server: lets other processes of this user speak to a world that this process owns.

1. It runs in a thread and an event loop of its own, so user code that blocks the owner's loop
   stalls nobody else.
2. Requests of a connection run concurrently; replies carry the request's id. A peer that sends
   faster than it reads is no longer read; one that stops reading is closed, so neither its
   replies nor its doorbells can pile up here.
3. Subscriptions belong to their connection. Its end undoes them and frees nothing else: leases
   die by time or with their process. Two things follow at once, though, because nobody is left
   to ask for them: the workers of a process that is gone take their leave, and leases from a
   `claim` whose result never arrived are given back.
4. The socket is 0600 before it listens. Over TCP (no unix sockets here) a token takes its place.
5. Whatever arrives, the worst that happens to the server is that it closes that connection.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import functools
import hmac
import logging
import os
import secrets
import socket
import sys
import threading
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final

import msgspec

from wf.errors import PayloadTooLargeError, WorldError
from wf.world import Claimed, Claims, InboxMessage, WorkerHello, World
from wf.worlds import wire
from wf.worlds.lockfile import prepare_private_directory, private_directory
from wf.worlds.process import is_process_alive, process_token

OUTPUT_HIGH: Final = 1 << 20
"""With this much unread output a connection's requests and doorbells wait until its peer reads."""

STALL_SECONDS: Final = 30.0
"""A peer that read nothing of waiting output for this long is closed."""

HELD_RINGS: Final = 10_000
"""So many different doorbells may wait for a peer that does not read."""

REQUESTS_AT_ONCE: Final = 256

STOP_SECONDS: Final = 2.0
"""How long `stop` waits for requests in flight and for peers to read their replies."""

DEATH_CHECKS: Final = (0.0, 0.01, 0.05, 0.2, 0.5, 1.0, 2.0, 5.0)
"""When to ask whether the process behind a closed connection is gone, in seconds after each other.

The kernel closes a dying process's sockets before the process is gone, so asking once is not
enough. After these 9 s its leases expire anyway (`LEASE_SECONDS`).
"""

_log = logging.getLogger("wf.world")


class WorldServer:
    """Serves a world on a unix socket at one of `paths` (the first that can be bound), else on TCP.

    The world must be callable from another thread's loop. `start` and `stop` may be awaited on
    any loop; the server closes neither the world nor anything else it did not open.
    """

    def __init__(
        self,
        world: World,
        paths: list[str] | None = None,
        *,
        max_frame: int = wire.MAX_FRAME,
        stall_seconds: float = STALL_SECONDS,
    ) -> None:
        self.world = world
        self.max_frame = max_frame
        self.stall_seconds = stall_seconds
        self.token = ""
        self.endpoint = ""
        self.peers: set[_Peer] = set()
        self._paths = paths or []
        self._listener: socket.socket | None = None
        self._socket_id: tuple[int, int] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping: asyncio.Event
        self._emptied: asyncio.Event
        self._stopped: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._chores: set[asyncio.Task[None]] = set()
        self._orphans: dict[str, list[Claims]] = {}
        _servers.add(self)

    async def start(self) -> str:
        """Begin to serve; returns the endpoint. Raises `WorldError` if no socket can be had."""
        self._listener = self._bind()
        ready: concurrent.futures.Future[None] = concurrent.futures.Future()
        self._thread = threading.Thread(target=self._run, args=(ready,), name="wf-world-server", daemon=True)
        self._thread.start()
        await asyncio.shield(asyncio.wrap_future(ready))
        return self.endpoint

    async def stop(self) -> None:
        """Take no further requests, answer those in flight (for up to 2 s), and end the thread."""
        if self._loop is None:
            return
        try:
            self._loop.call_soon_threadsafe(self._stopping.set)
        except RuntimeError:
            pass  # stopped already, by another caller
        await asyncio.shield(asyncio.wrap_future(self._stopped))

    # -- the socket

    def _bind(self) -> socket.socket:
        failure: OSError | None = None
        if wire.has_unix_sockets():
            for path in self._paths:
                if os.path.dirname(path) == private_directory():
                    prepare_private_directory()
                try:
                    listener = _bind_unix(path)
                except OSError as error:
                    if error.errno in (errno.EMFILE, errno.ENFILE):
                        raise _unservable(error) from error
                    failure = error  # a file system without sockets, for example
                    continue
                self._socket_id = _identify(path)
                self.endpoint = f"unix:{path}"
                return listener
            if failure is not None:
                raise _unservable(failure) from failure
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        try:
            listener.bind(("127.0.0.1", 0))
            listener.listen(128)
            listener.setblocking(False)
        except OSError as error:
            listener.close()
            raise _unservable(error) from error
        self.token = secrets.token_urlsafe(32)
        host, port = listener.getsockname()
        self.endpoint = f"tcp:{host}:{port}:{self.token}"
        return listener

    def is_reachable(self) -> bool:
        """Tell whether the socket file is still there for others to connect to."""
        if self._socket_id is None:
            return True
        return _identify(self.endpoint.removeprefix("unix:")) == self._socket_id

    def _unlink_socket(self) -> None:
        """Remove our socket file, but never one that a later owner put in its place."""
        if self._socket_id is not None and self.is_reachable():
            try:
                os.unlink(self.endpoint.removeprefix("unix:"))
            except OSError:
                pass

    # -- the thread

    def _run(self, ready: concurrent.futures.Future[None]) -> None:
        try:
            asyncio.run(self._serve(ready))
        finally:
            _servers.discard(self)
            self._stopped.set_result(None)

    async def _serve(self, ready: concurrent.futures.Future[None]) -> None:
        assert self._listener is not None
        self._loop = loop = asyncio.get_running_loop()
        if sys.version_info >= (3, 12):
            # Most calls end without waiting: they need not wait for the loop's next turn either.
            loop.set_task_factory(asyncio.eager_task_factory)
        self._stopping = asyncio.Event()
        self._emptied = asyncio.Event()
        accepting = loop.create_task(self._accept(self._listener))
        ready.set_result(None)
        await self._stopping.wait()
        self._unlink_socket()
        accepting.cancel()
        await asyncio.wait([accepting])
        self._listener.close()
        for peer in list(self.peers):
            peer.retire()
        if self.peers:
            try:
                async with asyncio.timeout(STOP_SECONDS):
                    await self._emptied.wait()
            except TimeoutError:
                for peer in list(self.peers):
                    peer.abort()
                await self._emptied.wait()

    async def _accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                sock, _ = await loop.sock_accept(listener)
            except OSError as error:
                # Out of descriptors, most likely: those that wait are served when some are free.
                _log.warning("the world's server cannot accept connections for now: %s", error)
                await asyncio.sleep(0.5)
                continue
            try:
                await loop.connect_accepted_socket(functools.partial(_Peer, self, sock), sock)
            except OSError:
                sock.close()

    # -- connections and what outlives them

    def admit(self, peer: _Peer) -> None:
        self.peers.add(peer)
        if self._stopping.is_set():
            peer.abort()

    def dismiss(self, peer: _Peer) -> None:
        self.peers.discard(peer)
        if not self.peers and self._stopping.is_set():
            self._emptied.set()

    def begin_chore(self, chore: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def bury(self, workers: dict[str, str]) -> None:
        """Take leave for workers (id → process) whose connection ended, if their process is gone."""
        for pause in DEATH_CHECKS:
            await asyncio.sleep(pause)
            for worker_id, process in list(workers.items()):
                if any(worker_id in peer.workers for peer in self.peers):
                    del workers[worker_id]  # it came back
                elif not is_process_alive(process):
                    del workers[worker_id]
                    self.forget_worker(worker_id)
                    try:
                        await self.world.close_worker(worker_id)
                    except WorldError as error:
                        _log.warning("the leases of a worker that died stay until they expire: %s", error)
            if not workers:
                return

    def orphan(self, worker_id: str, claims: Claims) -> None:
        """Keep claims whose result reached nobody for the worker's next claim."""
        found = [*claims.claimed, *claims.unregistered]
        if found:
            self._orphans.setdefault(worker_id, []).append(claims)

    async def adopt(self, worker_id: str, claims: Claims) -> Claims:
        """Add to claims what the worker has leased before without having heard of it."""
        orphans = self._orphans.get(worker_id)
        if not orphans:
            return claims
        run_ids = [found.run.run_id for lost in orphans for found in (*lost.claimed, *lost.unregistered)]
        inboxes: dict[str, list[InboxMessage]] = {}
        for message in await self.world.read_inbox(worker_id, run_ids, 0):
            inboxes.setdefault(message.run_id, []).append(message)
        self._orphans.pop(worker_id, None)
        # Only the worker could have appended to their logs; its inboxes may have grown.
        return Claims(
            [_refresh(found, inboxes) for lost in orphans for found in lost.claimed] + claims.claimed,
            [_refresh(found, inboxes) for lost in orphans for found in lost.unregistered] + claims.unregistered,
            claims.next_due_at,
        )

    def forget_worker(self, worker_id: str) -> None:
        self._orphans.pop(worker_id, None)
        for peer in self.peers:
            peer.workers.pop(worker_id, None)


_servers: Final[weakref.WeakSet[WorldServer]] = weakref.WeakSet()
_inherited: Final[list[object]] = []


class _Peer(asyncio.Protocol):
    """One connection. All of it happens on the server's loop."""

    def __init__(self, server: WorldServer, sock: socket.socket) -> None:
        self.server = server
        self.sock = sock
        self.workers: dict[str, str] = {}
        self._world = server.world
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._line: bytearray | None = bytearray()
        self._frames = wire.FrameReader(server.max_frame)
        self._tasks: set[asyncio.Task[None]] = set()
        self._undos: dict[int, Callable[[], None]] = {}
        self._unconfirmed: dict[int, tuple[str, Claims]] = {}
        self._is_open = True
        self._is_retired = False
        self._is_reading = True
        self._drained: asyncio.Event | None = None
        self._held: dict[tuple[int, str], None] = {}
        self._stall: asyncio.TimerHandle
        self._size_before = 0

    # -- the connection

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=OUTPUT_HIGH)
        self.server.admit(self)
        self._stall = self._loop.call_later(wire.HANDSHAKE_SECONDS, self.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_open = False
        self._stall.cancel()
        self.server.dismiss(self)
        for undo in self._undos.values():
            undo()
        self._undos.clear()
        self._held.clear()
        if self._drained is not None:
            self._drained.set()
        for worker_id, claims in self._unconfirmed.values():
            self.server.orphan(worker_id, claims)
        self._unconfirmed.clear()
        if self.workers:
            self.server.begin_chore(self.server.bury(dict(self.workers)))

    def abort(self) -> None:
        self._transport.abort()

    def retire(self) -> None:
        """Read nothing more; close when the requests in flight are answered."""
        self._is_retired = True
        if self._is_reading:
            self._is_reading = False
            self._transport.pause_reading()
        if not self._tasks:
            self._transport.close()

    # -- output

    def pause_writing(self) -> None:
        self._drained = asyncio.Event()
        self._size_before = self._transport.get_write_buffer_size()
        self._stall = self._loop.call_later(self.server.stall_seconds, self._check_stall)
        self._pace()

    def resume_writing(self) -> None:
        self._stall.cancel()
        assert self._drained is not None
        self._drained.set()
        self._drained = None
        held, self._held = self._held, {}
        for id, detail in held:
            self._ring(id, detail)
        self._pace()

    def _check_stall(self) -> None:
        size = self._transport.get_write_buffer_size()
        if size >= self._size_before:
            self.abort()
            return
        self._size_before = size
        self._stall = self._loop.call_later(self.server.stall_seconds, self._check_stall)

    def _pace(self) -> None:
        """Read as long as the peer reads, too, and not too many of its requests are in flight."""
        wanted = self._drained is None and len(self._tasks) < REQUESTS_AT_ONCE and not self._is_retired
        if wanted != self._is_reading and self._is_open:
            self._is_reading = wanted
            if wanted:
                self._transport.resume_reading()
            else:
                self._transport.pause_reading()

    def _write(self, kind: int, id: int, body: bytes) -> None:
        if self._is_open:
            self._transport.write(wire.frame(kind, id, body))

    def _ring(self, id: int, detail: str) -> None:
        if self._drained is None:
            self._write(wire.RING, id, wire.encode_body(detail))
        elif len(self._held) < HELD_RINGS:
            self._held[id, detail] = None  # one of a kind: a doorbell says nothing new twice
        else:
            self.abort()

    # -- input

    def data_received(self, data: bytes) -> None:
        if not self._is_open or self._transport.is_closing():
            return
        try:
            if self._line is not None:
                data = self._greet(data)
            for frame in self._frames.feed(data):
                self._accept(frame)
        except wire.GarbledError as error:
            _log.warning("closed a connection that does not speak the world's protocol: %s", error)
            self.abort()

    def _greet(self, data: bytes) -> bytes:
        assert self._line is not None
        self._line += data
        line, end, rest = bytes(self._line).partition(b"\n")
        if len(line) > wire.MAX_LINE:
            raise wire.GarbledError("no greeting")
        if not end:
            return b""
        hello = wire.decode_hello(line)
        if self.server.token and not hmac.compare_digest(hello.token.encode(), self.server.token.encode()):
            raise wire.GarbledError("a wrong token")
        refusal = None
        if not wire.is_same_wire(hello):
            refusal = (
                f"process {os.getpid()}, which owns the world, runs another version of wf than the caller "
                f"(wire {wire.WIRE_VERSION}/{wire.SCHEMA}, the caller's is {hello.wf_world}/{hello.schema})"
            )
        self._transport.write(
            wire.encode_line(
                wire.Welcome(
                    wire.WIRE_VERSION, wire.SCHEMA, process_token(), self._world.url, self._world.durability, refusal
                )
            )
        )
        if refusal is not None:
            self._transport.close()
            return b""
        self._line = None
        self._stall.cancel()
        return rest

    def _accept(self, frame: wire.Frame) -> None:
        match frame.kind:
            case wire.REQUEST:
                if frame.method >= len(wire.METHODS):
                    raise wire.GarbledError(f"{frame.method} is no method")
                method = wire.METHODS[frame.method]
                try:
                    arguments = method.arguments.decode(frame.body)
                except msgspec.MsgspecError as error:
                    # The frame is whole, so this is a caller's wrong argument, not a broken stream.
                    self._write(wire.ERROR, frame.id, wire.encode_error(WorldError(f"{method.name}: {error}")))
                    return
                self._begin(self._answer(method, frame.id, arguments))
            case wire.SUBSCRIBE:
                self._begin(self._subscribe(frame.id, _decode_text(frame.body)))
            case wire.UNSUBSCRIBE:
                undo = self._undos.pop(frame.id, None)
                if undo is not None:
                    undo()
            case wire.RECEIVED:
                self._unconfirmed.pop(frame.id, None)
            case wire.DECLINED:
                if frame.id in self._unconfirmed:
                    self.server.orphan(*self._unconfirmed.pop(frame.id))
            case _:
                raise wire.GarbledError(f"{frame.kind} is not for a server")

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finish)
        if len(self._tasks) >= REQUESTS_AT_ONCE:
            self._pace()

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if self._is_retired:
            if not self._tasks:
                self._transport.close()
        elif not self._is_reading:
            self._pace()

    async def _answer(self, method: wire.Method, id: int, arguments: tuple[Any, ...]) -> None:
        kind = wire.RESULT
        result: Any = None
        try:
            result = await getattr(self._world, method.name)(*arguments)
            if method is wire.CLAIM:
                result = await self.server.adopt(arguments[0], result)
            body = wire.encode_body(result)
            while method is wire.CLAIM and len(body) > self.server.max_frame and _is_long(result):
                result = _shorten(result)
                body = wire.encode_body(result)
            if len(body) > self.server.max_frame:
                raise PayloadTooLargeError(f"the reply to {method.name}", len(body), self.server.max_frame)
        except Exception as error:  # every failure is the caller's to handle
            kind = wire.ERROR
            body = wire.encode_error(error)
        if method is wire.CLAIM:
            if self._is_open and kind == wire.RESULT:
                self._unconfirmed[id] = (arguments[0], result)
            elif result is not None:
                self.server.orphan(arguments[0], result)
        elif method is wire.OPEN_WORKER and kind == wire.RESULT:
            hello: WorkerHello = arguments[0]
            if self._is_open:
                self.workers[hello.worker_id] = hello.process
            else:
                self.server.begin_chore(self.server.bury({hello.worker_id: hello.process}))
        elif method is wire.CLOSE_WORKER and kind == wire.RESULT:
            self.server.forget_worker(arguments[0])
        if self._drained is not None:
            await self._drained.wait()
        self._write(kind, id, body)

    async def _subscribe(self, id: int, topic: str) -> None:
        def ring(detail: str) -> None:
            if id in self._undos or not is_ready:
                self._ring(id, detail)

        is_ready = False
        try:
            undo = await self._world.subscribe(topic, ring)
        except Exception as error:
            self._write(wire.ERROR, id, wire.encode_error(error))
            return
        if not self._is_open:
            undo()
            return
        self._undos[id] = undo
        is_ready = True
        self._write(wire.RESULT, id, wire.encode_body(None))


def _refresh(found: Claimed, inboxes: dict[str, list[InboxMessage]]) -> Claimed:
    return Claimed(found.run, found.events, inboxes.get(found.run.run_id, []))


def _is_long(claims: Claims) -> bool:
    return any(len(found.events) > 1 for found in (*claims.claimed, *claims.unregistered))


def _shorten(claims: Claims) -> Claims:
    """Leave out the later half of each log: who claims reads on where the events end."""

    def cut(found: Claimed) -> Claimed:
        return Claimed(found.run, found.events[: (len(found.events) + 1) // 2], found.inbox)

    return Claims([cut(found) for found in claims.claimed], [cut(f) for f in claims.unregistered], claims.next_due_at)


def _decode_text(body: memoryview) -> str:
    try:
        return wire.decode_text(body)
    except msgspec.MsgspecError as error:
        raise wire.GarbledError(str(error)) from error


def _bind_unix(path: str) -> socket.socket:
    """Listen at `path`, in place of whatever a dead owner left there.

    A socket without a listener refuses everybody, so making it 0600 between bind and listen
    leaves no moment in which others could connect (umask would be process-wide).
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
        listener.bind(path)
        os.chmod(path, 0o600)
        listener.listen(128)
        listener.setblocking(False)
    except BaseException:
        listener.close()
        raise
    return listener


def _identify(path: str) -> tuple[int, int] | None:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _unservable(error: OSError) -> WorldError:
    return WorldError(f"cannot serve the world to other processes: {error.strerror or error}")


def _abandon_all_in_child() -> None:
    """Close a forked child's copies of our sockets: with them open, peers would not see us die.

    The objects are kept, since their transports would otherwise complain when collected.
    """
    for server in list(_servers):
        _inherited.append((server, server._loop, server._thread))
        sockets = [peer.sock for peer in server.peers]
        if server._listener is not None:
            sockets.append(server._listener)
        for sock in sockets:
            fd = sock.detach()
            if fd >= 0:
                os.close(fd)
        server._loop = server._thread = None
        _servers.discard(server)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_abandon_all_in_child)
