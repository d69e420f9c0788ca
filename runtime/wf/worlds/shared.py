"""An SQLite world that several processes share: owned by one of them, reached by all.

1. Whoever holds the lock file owns the world; nobody else opens the database to write. A worker
   that finds it free becomes the owner and serves the others; a client that finds it free borrows
   it for its calls (`keeper`).
2. When the owner goes away, workers elect another and their calls go on there. A call whose
   outcome is unknown is repeated so that it happens once: commits are idempotent by law 2 of
   `wf.world`, messages carry a delivery id, and for the rest `_reconcile` asks the log.
3. Doorbells survive the change of owner. Whoever may have missed some gets one ring without a
   detail (`""`), which means: anything may have happened, look.
4. Where this process owns the world, a worker's calls do not pass through here: the backend's
   methods are bound into the instance. A method that was looked up before an election still works.

A client without an owner to ask looks every 100 ms whether there is one, and is rung about once a
second for whatever it subscribed to (`subscriptions`); it never takes the world only to listen.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any, Final, Literal

import msgspec

from wf.errors import WorldBusy, WorldError
from wf.world import (
    EVENTS_PER_CLAIM,
    Appended,
    Claimed,
    Claims,
    Created,
    Doorbell,
    EndRun,
    RunFilter,
    Sent,
    WorkerHello,
)
from wf.worlds import lockfile, wire
from wf.worlds.forwarding import ForwardingWorld
from wf.worlds.keeper import Home, find_keeper, keeper
from wf.worlds.lockfile import Holder
from wf.worlds.remote import RemoteWorld
from wf.worlds.subscriptions import Backend, Bench, call_on
from wf.worlds.wire import METHOD, METHODS, ConnectionLost

ELECTION_SECONDS: Final = 5.0
"""How long to wait for whoever holds the world to answer or let go."""

FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05

MOST_LOSSES: Final = 20
"""A call that has lost so many owners may well be what they die of."""

PAGE: Final = 1000

_SEND: Final = METHOD["send"]
_UNBOUND: Final = frozenset({"open_worker", "close_worker"})
"""Methods that always pass through here, since a new owner must hear of them. So does `claim` after a lost answer."""


class SharedWorld(ForwardingWorld):
    """The world at `path` for this process, whoever owns it.

    Role `worker`: joins the owner, or becomes it, in `open`, and stays until `close`. Role
    `client`: needs no `open` and keeps nothing between its calls but a connection. `durability`
    counts where this process owns the world; else the owner's does, and the attribute says so.

    `on_change` is called on the loop that ran `open`, after every election but the first; workers
    that were announced through this object are announced to the new owner before that.
    Any loop of any thread may call.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        durability: str = "power",
        role: Literal["worker", "client"] = "client",
        *,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.path: Final = os.path.realpath(path)
        self.url = f"sqlite:///{self.path}"
        self.durability = durability
        self.role: Final = role
        self._wanted_durability: Final = durability
        self._on_change = on_change
        self._opened_on: asyncio.AbstractEventLoop | None = None
        self._backend: Backend | None = None
        self._failure: WorldError | None = None
        self._was_settled = False
        self._hellos: dict[str, WorkerHello] = {}
        self._leases: dict[str, int] = {}
        self._unheard: set[str] = set()  # workers whose claims may have been made without anybody here hearing of it
        self._benches: dict[asyncio.AbstractEventLoop, Bench] = {}
        self._borrowing: set[asyncio.Task[Any]] = set()  # on the keeper's loop, as the next
        self._gate = asyncio.Lock()  # one election at a time; used on the keeper's loop only
        self._guard = threading.Lock()  # of `_backend` and what is bound: any thread may lose a backend
        _instances.add(self)

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the world and serves it, as far as this object is concerned."""
        return isinstance(self._backend, Home)

    async def open(self) -> None:
        """As a worker: find the owner or become it. Raises `WorldBusy` if neither works within 5 s.

        Cancelled, it closes the world.
        """
        self._opened_on = asyncio.get_running_loop()
        if self.role != "worker":
            return
        try:
            await self._find()
        except asyncio.CancelledError:
            # The election goes on without us; nobody is left to close what comes of it.
            self.fail(WorldError("this world was closed"))
            keeper().begin(self._part())
            raise

    async def close(self) -> None:
        """Leave the world. As the owner's last worker: give it up, so that others can have it at once."""
        self.fail(WorldError("this world was closed"))
        benches, self._benches = self._benches, {}
        for bench in benches.values():
            bench.close_from_anywhere()
        at_home = find_keeper()
        if at_home is not None:
            await at_home.do(self._part())
        # The connections of this loop close in its next turn: do not leave before.
        await asyncio.sleep(0)

    # -- calls

    async def call(self, method: wire.Method, *arguments: Any) -> Any:
        """Do a call wherever the world is now; again, if its owner goes away meanwhile."""
        is_own_id = False
        was_tried = False
        losses = 0
        while True:
            backend = await self._find()
            try:
                if isinstance(backend, RemoteWorld):
                    if method is _SEND and arguments[1].delivery_id is None:
                        is_own_id = True
                        message = msgspec.structs.replace(arguments[1], delivery_id=f"try_{secrets.token_hex(16)}")
                        arguments = (arguments[0], message, *arguments[2:])
                    result = await backend.call(method, *arguments)
                elif backend is not None:
                    if not backend.enter():
                        self.lose(backend)
                        continue
                    try:
                        result = await getattr(backend.world, method.name)(*arguments)
                    finally:
                        backend.leave()
                else:
                    has_lent, result = await keeper().do(self._borrow(method, arguments))
                    if not has_lent:
                        continue
            except ConnectionLost as error:
                self.lose(backend)
                was_tried = was_tried or error.was_sent
                if was_tried and method is wire.CLAIM:
                    self._doubt_claims(arguments[0])
                losses += 1
                if losses == MOST_LOSSES:
                    raise
                continue
            if was_tried or (method is wire.CLAIM and arguments[0] in self._unheard):
                result = await self._reconcile(method, arguments, result, is_own_id)
            self._note(method, arguments, result)
            return result

    async def _find(self) -> Backend | None:
        """Give the backend of this moment. None, for a client only: nobody serves the world."""
        while True:
            if self._failure is not None:
                raise self._failure.with_traceback(None)
            backend = self._backend
            if backend is not None:
                return backend
            if self.role == "client":
                at_home = find_keeper()
                home = at_home.homes.get(self.path) if at_home is not None else None
                return home if home is not None and home.is_serving else None
            await keeper().do(self._elect())

    def _note(self, method: wire.Method, arguments: tuple[Any, ...], result: Any) -> None:
        """Remember what the next owner must be told, and which leases were heard of."""
        match method.name:
            case "open_worker":
                self._hellos[arguments[0].worker_id] = arguments[0]
            case "close_worker":
                self._hellos.pop(arguments[0], None)
                self._unheard.discard(arguments[0])
                if not self._hellos:
                    self._leases.clear()
            case "claim":
                self._unheard.discard(arguments[0])
                claims: Claims = result
                for found in (*claims.claimed, *claims.unregistered):
                    self._leases[found.run.run_id] = found.run.epoch
            case "commit":
                for append, outcome in zip(arguments[0], result, strict=True):
                    if outcome == "fenced" or any(isinstance(effect, EndRun) for effect in append.effects):
                        self._forget_lease(append.run_id, append.epoch)
            case "release":
                for release in arguments[1]:
                    self._forget_lease(release.run_id, release.epoch)
            case "set_attention" if arguments[3] is not None:
                self._forget_lease(arguments[1], arguments[2])
            case _:
                pass

    def _forget_lease(self, run_id: str, epoch: int) -> None:
        if self._leases.get(run_id) == epoch:  # else it ended before, and a later one of the same run is in hand
            del self._leases[run_id]

    def _doubt_claims(self, worker_id: str) -> None:
        """Have the worker's next claim that is answered look for leases that nobody heard of, whenever that is."""
        with self._guard:
            self._unheard.add(worker_id)
            self.__dict__.pop("claim", None)

    # -- repeated calls

    async def _reconcile(self, method: wire.Method, arguments: tuple[Any, ...], result: Any, is_own_id: bool) -> Any:
        """Turn the answer to a repeated call into that of its first try, if that was carried out."""
        match method.name:
            case "create_run":
                created: Created = result
                event = arguments[0].event
                if not created.is_new:
                    first = await self.read_events(event.run_id, 0, 1)
                    if first and first[0].link == event.link:
                        return Created(True, created.run)
            case "import_run":
                kept: Created = result
                if not kept.is_new and kept.run.head == arguments[0].run.head:
                    return Created(True, kept.run)
            case "send":
                sent: Sent = result
                if sent.status == "duplicate" and is_own_id:
                    return Sent("queued", sent.waits)
            case "append_chunks":
                appended: Appended = result
                run_id, name, start_index, _, payloads, _ = arguments
                if appended.status in ("moved", "closed") and payloads:
                    rows = await self.read_chunks(run_id, name, start_index, len(payloads))
                    if [row.payload for row in rows] == list(payloads):
                        return Appended("written", appended.tail_index)
            case "set_attention":
                _, run_id, epoch, attention = arguments
                if result == "fenced":
                    row = await self.get_run(run_id)
                    if row is not None and row.epoch == epoch and row.attention == attention:
                        return "applied"
            case "claim":
                return await self._add_unheard(arguments[0], result)
            case _:
                pass
        return result

    async def _add_unheard(self, worker_id: str, claims: Claims) -> Claims:
        """Add to claims what an owner leased to this worker and died before it could say so.

        Nobody else would: the worker's heartbeats keep these leases, and it does not know of them.
        An owner that lives keeps what it could not deliver itself (law 3 of `server`).
        """
        heard = dict(self._leases)
        heard.update((found.run.run_id, found.run.epoch) for found in (*claims.claimed, *claims.unregistered))
        workflows = set(self._hellos[worker_id].workflows) if worker_id in self._hellos else set()
        claimed, unregistered = list(claims.claimed), list(claims.unregistered)
        cursor: str | None = None
        while True:
            rows = await self.list_runs(RunFilter(status=["pending", "running"], limit=PAGE, cursor=cursor))
            for row in rows:
                if row.owner == worker_id and heard.get(row.run_id) != row.epoch:
                    events = await self.read_events(row.run_id, 0, EVENTS_PER_CLAIM)
                    inbox = await self.read_inbox(worker_id, [row.run_id], 0)
                    (claimed if row.workflow in workflows else unregistered).append(Claimed(row, events, inbox))
            if len(rows) < PAGE:
                return Claims(claimed, unregistered, claims.next_due_at)
            cursor = rows[-1].run_id

    # -- elections: on the keeper's loop

    async def _elect(self) -> None:
        """Settle, as a worker: in the home of this process, or at the owner's endpoint."""
        async with self._gate:
            deadline = time.monotonic() + ELECTION_SECONDS
            pause = FIRST_PAUSE
            while self._backend is None and self._failure is None:
                home = await keeper().take(self.path, self._wanted_durability, as_worker=True)
                if home is not None:
                    try:
                        for hello in list(self._hellos.values()):
                            await home.world.open_worker(hello)
                    except BaseException:
                        await keeper().part(home)
                        raise
                    self._settle(home)
                    return
                holder = lockfile.read_holder(self.path)
                if await self._try_connect(holder):
                    return
                if time.monotonic() > deadline:
                    raise _busy(self.path, holder)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def _borrow(self, method: wire.Method, arguments: tuple[Any, ...]) -> tuple[bool, Any]:
        """Do a client's call in a home of this process; or settle at the owner's endpoint, and say False."""
        me = asyncio.current_task()
        assert me is not None
        self._borrowing.add(me)
        try:
            deadline = time.monotonic() + ELECTION_SECONDS
            pause = FIRST_PAUSE
            while self._failure is None:
                home = await keeper().take(self.path, self._wanted_durability, as_worker=False)
                if home is not None:
                    try:
                        return True, await getattr(home.world, method.name)(*arguments)
                    finally:
                        home.leave()
                await self._connect()
                if self._backend is not None:
                    break
                if time.monotonic() > deadline:
                    raise _busy(self.path, lockfile.read_holder(self.path))
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)
            return False, None
        finally:
            self._borrowing.discard(me)

    async def _connect(self) -> None:
        """Settle, as a client, at the owner's endpoint, if there is one."""
        async with self._gate:
            if self._backend is None and self._failure is None:
                await self._try_connect(lockfile.read_holder(self.path))

    async def _try_connect(self, holder: Holder | None) -> bool:
        if holder is None or holder.endpoint is None or holder.pid == os.getpid():
            return False
        remote = RemoteWorld(holder.endpoint)
        try:
            await remote.open()
            if remote.process != holder.process:
                raise ConnectionLost("another process answers than the one that holds the lock", was_sent=False)
            for hello in list(self._hellos.values()):
                await remote.open_worker(hello)
        except ConnectionLost:
            await remote.close()
            return False
        except BaseException:
            await remote.close()
            raise
        remote.on_lost = self._hear_of(remote)
        self._settle(remote)
        return True

    def _hear_of(self, remote: RemoteWorld) -> Callable[[], None]:
        this = weakref.ref(self)

        def lose() -> None:
            world = this()
            if world is not None:
                world.lose(remote)

        return lose

    def _settle(self, backend: Backend) -> None:
        with self._guard:
            if isinstance(backend, Home):
                backend.welcome(self)
                self.durability = backend.world.durability
                if self._failure is None:  # else it was closed meanwhile
                    for method in METHODS:
                        if method.name not in _UNBOUND and not (method is wire.CLAIM and self._unheard):
                            setattr(self, method.name, getattr(backend.world, method.name))
            else:
                self.durability = backend.durability
            self._backend = backend
        if backend.is_lost:
            self.lose(backend)
        was_settled, self._was_settled = self._was_settled, True
        if was_settled and self._on_change is not None and self._opened_on is not None:
            call_on(self._opened_on, self._on_change)

    async def _part(self) -> None:
        """Take leave of the backend, once this world is closed and the calls that it began are done."""
        if self._borrowing:
            await asyncio.wait(list(self._borrowing))
        async with self._gate:
            backend, self._backend = self._backend, None
            if isinstance(backend, RemoteWorld):
                await backend.close()
            elif backend is not None:
                await keeper().part(backend)
            await keeper().give_back(self.path)

    def lose(self, backend: Backend | None) -> None:
        """Take note that a backend is gone; on any thread, any number of times."""
        if backend is None:
            return
        with self._guard:
            if self._backend is backend:
                self._backend = None
                self._unbind()
        for bench in list(self._benches.values()):
            bench.lose_from_anywhere(backend)

    def fail(self, error: WorldError) -> None:
        """Let every call from now on raise `error`."""
        with self._guard:
            if self._failure is None:
                self._failure = error
            self._unbind()

    def _unbind(self) -> None:
        for method in METHODS:
            self.__dict__.pop(method.name, None)

    def begin_anew_in_child(self) -> None:
        """Forget, in a forked child, what the parent has: it is not the child's."""
        self._unbind()
        self._backend = None
        self._was_settled = False
        self._opened_on = None
        self._hellos = {}
        self._leases = {}
        self._unheard = set()
        self._benches = {}
        self._borrowing = set()
        self._gate = asyncio.Lock()
        self._guard = threading.Lock()

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        loop = asyncio.get_running_loop()
        bench = self._benches.get(loop)
        if bench is None:
            for old in [old for old in self._benches if old.is_closed()]:
                del self._benches[old]
            bench = self._benches[loop] = Bench(self, loop)
        return await bench.subscribe(topic, ring)

    async def find_bell(self) -> Backend | None:
        """Give the backend that can ring. A client looks for an owner, but never takes the world."""
        backend = await self._find()
        if backend is None:
            holder = lockfile.read_holder(self.path)
            if holder is not None and holder.endpoint is not None:
                await keeper().do(self._connect())
                backend = self._backend
        if isinstance(backend, Home):
            backend.welcome(self)
        return backend


_instances: Final[weakref.WeakSet[SharedWorld]] = weakref.WeakSet()


def _busy(path: str, holder: Holder | None) -> WorldBusy:
    if holder is None:
        error = WorldBusy(f"another process holds the world {path} and does not say who it is")
    else:
        error = WorldBusy(
            f"process {holder.pid} holds the world {path} and did not answer or let go within {ELECTION_SECONDS:g} s"
        )
        error.hint = f"see what process {holder.pid} does; stop it if it hangs"
    return error


def _begin_anew_in_child() -> None:
    for world in list(_instances):
        world.begin_anew_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
