"""The server: lets other processes of this user speak to a world that this process owns.

1. It runs in a thread and an event loop of its own, so user code that blocks the owner's loop
   stalls nobody else.
2. Requests of a connection run concurrently; replies carry the request's id. A peer that sends
   faster than it reads is no longer read; one that stops reading is closed, so neither its
   replies nor its doorbells can pile up here.
3. Subscriptions belong to their connection. Its end undoes them and frees nothing else: leases
   die by time or with their process. Two things follow, though. The workers of a process that is
   gone take their leave at once. And what a `claim` leased whose result never arrived goes out
   again with the worker's next claim: its heartbeats would keep those leases for ever, and
   releasing them would let runs sleep that want a worker now.
4. The socket is 0600 before it listens. Over TCP (no unix sockets here) a token takes its place.
5. Whatever arrives, the worst that happens to the server is that it closes that connection.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import errno
import functools
import logging
import os
import secrets
import socket
import sys
import threading
import weakref
from collections.abc import Sequence
from typing import Final

from wf.errors import WorldError
from wf.world import Claimed, Claims, InboxMessage, World
from wf.worlds import wire
from wf.worlds.lockfile import prepare_private_directory, private_directory
from wf.worlds.peer import STALL_SECONDS, Peer
from wf.worlds.process import is_process_alive

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
        self.peers: set[Peer] = set()
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
        serving = self._serve(ready)
        try:
            asyncio.run(serving)
        except OSError as error:
            if ready.done():
                raise
            serving.close()  # it has not begun: there is no loop, which needs three descriptors
            assert self._listener is not None
            self._unlink_socket()
            self._listener.close()
            ready.set_exception(_unservable(error))
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
                await loop.connect_accepted_socket(functools.partial(Peer, self, sock), sock)
            except OSError:
                sock.close()

    # -- connections and what outlives them

    def admit(self, peer: Peer) -> None:
        self.peers.add(peer)
        if self._stopping.is_set():
            peer.abort()

    def dismiss(self, peer: Peer) -> None:
        self.peers.discard(peer)
        if not self.peers and self._stopping.is_set():
            self._emptied.set()

    def bury_later(self, workers: dict[str, str]) -> None:
        task = asyncio.get_running_loop().create_task(self._bury(workers))
        self._chores.add(task)
        task.add_done_callback(self._chores.discard)

    async def _bury(self, workers: dict[str, str]) -> None:
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
        found = [*claims.claimed, *claims.unregistered]
        if found:
            self._orphans.setdefault(worker_id, []).append(claims)

    async def adopt(self, worker_id: str, claims: Claims) -> Claims:
        orphans = self._orphans.pop(worker_id, None)
        if not orphans:
            return claims
        run_ids = [found.run.run_id for lost in orphans for found in (*lost.claimed, *lost.unregistered)]
        inboxes: dict[str, list[InboxMessage]] = {}
        leases: set[tuple[str, int]] = set()
        try:
            for run_id in run_ids:
                row = await self.world.get_run(run_id)
                if row is not None and row.owner == worker_id:  # else it was silent for too long meanwhile
                    leases.add((run_id, row.epoch))
            for message in await self.world.read_inbox(worker_id, run_ids, 0):
                inboxes.setdefault(message.run_id, []).append(message)
        except BaseException:
            self._orphans[worker_id] = orphans + self._orphans.get(worker_id, [])
            raise

        def refresh(lost: Sequence[Claimed]) -> list[Claimed]:
            # Only the worker could have appended to their logs; its inboxes may have grown.
            return [
                Claimed(found.run, found.events, inboxes.get(found.run.run_id, []))
                for found in lost
                if (found.run.run_id, found.run.epoch) in leases
            ]

        return Claims(
            [found for lost in orphans for found in refresh(lost.claimed)] + claims.claimed,
            [found for lost in orphans for found in refresh(lost.unregistered)] + claims.unregistered,
            claims.next_due_at,
        )

    def forget_worker(self, worker_id: str) -> None:
        self._orphans.pop(worker_id, None)
        for peer in self.peers:
            peer.workers.pop(worker_id, None)


_servers: Final[weakref.WeakSet[WorldServer]] = weakref.WeakSet()
_inherited: Final[list[object]] = []


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
