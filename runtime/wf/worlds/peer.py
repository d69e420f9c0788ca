"""One connection of a world's server: requests in, replies and doorbells out.

1. Requests run concurrently; a reply carries its request's id.
2. What a peer does not read waits here, within bounds: with `OUTPUT_HIGH` bytes unread its requests
   are no longer read and its replies wait; doorbells wait once of a kind; and after
   `STALL_SECONDS` without any progress the connection is closed.
3. What cannot be a frame closes the connection; a frame with wrong arguments is answered.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import os
import socket
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

import msgspec

from wf.errors import PayloadTooLargeError, WorldError
from wf.world import Claimed, Claims, WorkerHello, World
from wf.worlds import wire
from wf.worlds.process import process_token

OUTPUT_HIGH: Final = 1 << 20
"""With this much unread output a connection's requests and doorbells wait until its peer reads."""

STALL_SECONDS: Final = 30.0
"""A peer that read nothing of waiting output for this long is closed."""

HELD_RINGS: Final = 10_000
"""So many different doorbells may wait for a peer that does not read."""

REQUESTS_AT_ONCE: Final = 256

_log = logging.getLogger("wf.world")


class Host(Protocol):
    """What a connection needs of its server."""

    world: World
    max_frame: int
    stall_seconds: float
    token: str

    def admit(self, peer: Peer) -> None:
        """Hear of a connection that begins."""

    def dismiss(self, peer: Peer) -> None:
        """Hear of a connection that ended, with the workers it announced."""

    def bury_later(self, workers: dict[str, str]) -> None:
        """Take leave for workers (id → process) of an ended connection, once their process is gone."""

    def orphan(self, worker_id: str, claims: Claims) -> None:
        """Keep claims whose result reached nobody for the worker's next claim."""

    async def adopt(self, worker_id: str, claims: Claims) -> Claims:
        """Add to claims what the worker has leased before without having heard of it."""

    def forget_worker(self, worker_id: str) -> None:
        """Hear that a worker took its leave."""


class Peer(asyncio.Protocol):
    """One connection. All of it happens on the server's loop."""

    def __init__(self, host: Host, sock: socket.socket) -> None:
        self.host = host
        self.sock = sock
        self.workers: dict[str, str] = {}
        self._world = host.world
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._line: bytearray | None = bytearray()
        self._frames = wire.FrameReader(host.max_frame)
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
        self.host.admit(self)
        self._stall = self._loop.call_later(wire.HANDSHAKE_SECONDS, self.abort)

    def connection_lost(self, error: Exception | None) -> None:
        self._is_open = False
        self._stall.cancel()
        self.host.dismiss(self)
        for undo in self._undos.values():
            undo()
        self._undos.clear()
        self._held.clear()
        if self._drained is not None:
            self._drained.set()
            self._drained = None
        for worker_id, claims in self._unconfirmed.values():
            self.host.orphan(worker_id, claims)
        self._unconfirmed.clear()
        if self.workers:
            self.host.bury_later(dict(self.workers))

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
        self._stall = self._loop.call_later(self.host.stall_seconds, self._check_stall)
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
        self._stall = self._loop.call_later(self.host.stall_seconds, self._check_stall)

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
        if self.host.token and not hmac.compare_digest(hello.token.encode(), self.host.token.encode()):
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
                    self.host.orphan(*self._unconfirmed.pop(frame.id))
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
                result = await self.host.adopt(arguments[0], result)
            body = wire.encode_body(result)
            while method is wire.CLAIM and len(body) > self.host.max_frame and _is_long(result):
                result = _shorten(result)
                body = wire.encode_body(result)
            if len(body) > self.host.max_frame:
                raise PayloadTooLargeError(f"the reply to {method.name}", len(body), self.host.max_frame)
        except Exception as error:  # every failure is the caller's to handle
            kind = wire.ERROR
            body = wire.encode_error(error)
        if method is wire.CLAIM:
            if self._is_open and kind == wire.RESULT:
                self._unconfirmed[id] = (arguments[0], result)
            elif result is not None:
                self.host.orphan(arguments[0], result)
        elif method is wire.OPEN_WORKER and kind == wire.RESULT:
            hello: WorkerHello = arguments[0]
            if self._is_open:
                self.workers[hello.worker_id] = hello.process
            else:
                self.host.bury_later({hello.worker_id: hello.process})
        elif method is wire.CLOSE_WORKER and kind == wire.RESULT:
            self.host.forget_worker(arguments[0])
        while self._drained is not None:
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
