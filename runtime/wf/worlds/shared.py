"""An SQLite world that several processes share: owned by one of them, reached by all.

1. Whoever holds the lock file owns the world; nobody else opens the database. A worker that finds
   it free becomes the owner and serves the others; a client that finds it free borrows it for a
   call and lets go when it was idle for 50 ms.
2. When the owner goes away, workers elect another and their calls go on there. A call whose
   outcome is unknown is repeated so that it happens once: commits are idempotent by law 2 of
   `wf.world`, messages carry a delivery id, and what remains (`_reconcile`) asks the log.
3. Doorbells survive the change of owner. Whoever may have missed some gets one ring without a
   detail (`""`), which means: anything may have happened, look.
4. Where this process owns the world, calls do not pass through here: the backend's methods are
   bound into the instance. So a method of a `SharedWorld` must not be kept across an `await`.
5. Ownership is decided on one thread per process (`wf-world-keeper`), never on a user's loop,
   which may be blocked, closed or cancelled at any moment while it holds what others wait for.

Things that do not work: letting go by a timer on the caller's loop (a script blocks it right after
`start`); one flock per object (a second descriptor of the same process is refused, so objects
share a home); unlocking in a forked child (flock belongs to the description, see `lockfile`).
"""

from __future__ import annotations

import asyncio
import atexit
import os
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, Literal, TypeVar

import msgspec

from wf.errors import WorldBusy, WorldError
from wf.world import (
    Appended,
    Claims,
    Created,
    Doorbell,
    Message,
    Release,
    RunFilter,
    Sent,
    WorkerHello,
)
from wf.worlds import lockfile, wire
from wf.worlds.lockfile import Holder, WorldLock
from wf.worlds.remote import ForwardingWorld, RemoteWorld
from wf.worlds.server import WorldServer
from wf.worlds.sqlite import SqliteWorld
from wf.worlds.wire import METHOD, METHODS, ConnectionLost

ELECTION_SECONDS: Final = 5.0
"""How long to wait for whoever holds the world to answer or let go."""

FIRST_PAUSE: Final = 0.001
LONGEST_PAUSE: Final = 0.05

IDLE_SECONDS: Final = 0.05
"""A borrowed world is given back after this long without a call."""

HOLD_SECONDS: Final = 1.0
"""A burst of calls may keep a borrowed world for so long; then others get their chance."""

GAP_SECONDS: Final = 2 * LONGEST_PAUSE
"""And so long the borrower keeps away, so that whoever tries at intervals comes upon it free."""

POLL_SECONDS: Final = 0.1
"""How often a subscriber of a world that nobody serves is rung."""

PATROL_SECONDS: Final = 2.0
"""How often an owner looks whether its files are still where they were."""

Result = TypeVar("Result")

_OPEN_WORKER: Final = METHOD["open_worker"]
_CLOSE_WORKER: Final = METHOD["close_worker"]
_SEND: Final = METHOD["send"]
_KEPT: Final = frozenset({"open_worker", "close_worker"})
"""Methods that are not bound, since a later election needs to know of them."""


class SharedWorld(ForwardingWorld):
    """The world at `path` for this process, whoever owns it.

    Role `worker`: joins (or becomes) the owner in `open` and stays. Role `client`: needs no `open`
    and holds nothing between its calls but a connection. `durability` counts where this process
    owns the world; else the owner's does, and the attribute then says which that is.

    `on_change` is called on the loop that ran `open`, after every election but the first. Workers
    that were announced here are announced to the new owner by then.
    Any loop of any thread may call. `close` before the loop ends, or let a client's loop just end.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        durability: str = "power",
        role: Literal["worker", "client"] = "client",
        *,
        on_change: Callable[[], None] | None = None,
    ) -> None:
        self.path = os.path.realpath(path)
        self.url = f"sqlite:///{self.path}"
        self.durability = durability
        self.role = role
        self.wanted_durability = durability
        self.hellos: dict[str, WorkerHello] = {}
        self._on_change = on_change
        self._opened_on: asyncio.AbstractEventLoop | None = None
        self._backend: _Backend | None = None
        self._was_settled = False
        self._failure: WorldError | None = None
        self._leases: dict[str, int] = {}
        self._benches: dict[asyncio.AbstractEventLoop, _Bench] = {}
        self.gate = asyncio.Lock()  # one election at a time; on the keeper's loop
        _instances.add(self)

    # -- life

    @property
    def is_owner(self) -> bool:
        """Whether this process owns the world now and serves it."""
        return isinstance(self._backend, _Home)

    async def open(self) -> None:
        """As a worker: find the owner or become it. Raises `WorldBusy` if neither works within 5 s."""
        self._opened_on = asyncio.get_running_loop()
        if self.role == "worker":
            await self._find()

    async def close(self) -> None:
        if self._failure is not None and self._backend is None and not self._benches:
            return
        self._failure = WorldError("this world was closed")
        self._unbind()
        benches, self._benches = self._benches, {}
        for bench in benches.values():
            bench.close_from_anywhere()
        await _keeper().do(_keeper().part(self))
        # Connections of this loop close in its next turn: do not leave before.
        await asyncio.sleep(0)

    # -- calls

    async def call(self, method: wire.Method, *arguments: Any) -> Any:
        """Do a call wherever the world is now; again, if its owner goes away meanwhile."""
        is_own_id = False
        was_tried = False
        while True:
            backend = await self._find()
            try:
                if backend is None:
                    result = await _keeper().do(_keeper().lend(self, method.name, arguments))
                    if result is _ELSEWHERE:
                        continue
                elif isinstance(backend, _Home):
                    if not backend.enter():
                        self.lose(backend)
                        continue
                    try:
                        result = await getattr(backend.world, method.name)(*arguments)
                    finally:
                        backend.leave()
                else:
                    if method is _SEND and arguments[1].delivery_id is None:
                        is_own_id = True
                        arguments = (arguments[0], _with_delivery_id(arguments[1]), *arguments[2:])
                    result = await backend.call(method, *arguments)
            except ConnectionLost as error:
                self.lose(backend)
                if error.was_sent:
                    was_tried = True
                    if method is wire.CLAIM:
                        await self._release_unheard(arguments[0])
                continue
            self._note(method, arguments, result)
            return await self._reconcile(method, arguments, result, is_own_id) if was_tried else result

    async def _find(self) -> _Backend | None:
        """Give the backend of this moment. None, for a client only: nobody serves the world."""
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        backend = self._backend
        if backend is not None:
            return backend
        keeper = _keeper()
        if self.role == "worker":
            while self._backend is None:
                await keeper.do(keeper.elect(self))
                if self._failure is not None:
                    raise self._failure.with_traceback(None)
            return self._backend
        home = keeper.homes.get(self.path)
        return home if home is not None and home.is_serving else None

    def _note(self, method: wire.Method, arguments: tuple[Any, ...], result: Any) -> None:
        """Remember what a new owner must be told, or what a lost reply must be told from."""
        match method.name:
            case "open_worker":
                self.hellos[arguments[0].worker_id] = arguments[0]
            case "close_worker":
                self.hellos.pop(arguments[0], None)
            case "claim":
                claims: Claims = result
                for claimed in (*claims.claimed, *claims.unregistered):
                    self._leases[claimed.run.run_id] = claimed.run.epoch
            case "release":
                for release in arguments[1]:
                    self._leases.pop(release.run_id, None)
            case "set_attention" if arguments[3] is not None:
                self._leases.pop(arguments[1], None)
            case _:
                pass

    async def _release_unheard(self, worker_id: str) -> None:
        """Give back leases of a `claim` whose result was lost with its connection.

        The worker does not know of them, and its heartbeats would keep them for ever.
        """
        cursor: str | None = None
        while True:
            rows = await self.list_runs(RunFilter(status=["pending", "running"], limit=1000, cursor=cursor))
            unheard = [
                Release(row.run_id, row.epoch)
                for row in rows
                if row.owner == worker_id and self._leases.get(row.run_id) != row.epoch
            ]
            if unheard:
                await self.release(worker_id, unheard)
            if len(rows) < 1000:
                return
            cursor = rows[-1].run_id

    async def _reconcile(
        self, method: wire.Method, arguments: tuple[Any, ...], result: Any, is_own_id: bool
    ) -> Any:
        """Turn the answer to a repeated call into that of its first try, if that one was carried out."""
        match method.name:
            case "create_run":
                created: Created = result
                run = arguments[0]
                if not created.is_new:
                    first = await self.read_events(run.event.run_id, 0, 1)
                    if first and first[0].link == run.event.link:
                        return Created(True, created.run)
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
                        return Appended("written", rows[-1].index)
            case "set_attention":
                _, run_id, epoch, attention = arguments
                if result == "fenced":
                    row = await self.get_run(run_id)
                    if row is not None and row.epoch == epoch and row.attention == attention:
                        return "applied"
            case _:
                pass
        return result

    # -- elections (the keeper calls these, on its thread)

    def settle(self, backend: _Backend) -> None:
        """Make `backend` the world's present place."""
        self.durability = backend.world.durability if isinstance(backend, _Home) else backend.durability
        if isinstance(backend, _Home) and self.role == "worker":
            for method in METHODS:
                if method.name not in _KEPT:
                    setattr(self, method.name, getattr(backend.world, method.name))
        self._backend = backend
        was_settled, self._was_settled = self._was_settled, True
        if was_settled and self._on_change is not None and self._opened_on is not None:
            _call_on(self._opened_on, self._on_change)
        if isinstance(backend, RemoteWorld) and backend.is_lost:
            self.lose(backend)

    def lose(self, backend: _Backend | None) -> None:
        """Take note that a backend is gone; on any thread, any number of times."""
        if backend is None:
            return
        if self._backend is backend:
            self._backend = None
            self._unbind()
        for bench in list(self._benches.values()):
            bench.lose_from_anywhere(backend)

    def fail(self, error: WorldError) -> None:
        """Let every call from now on raise `error`."""
        if self._failure is None:
            self._failure = error

    def take_backend(self) -> _Backend | None:
        backend, self._backend = self._backend, None
        return backend

    @property
    def is_settled(self) -> bool:
        return self._backend is not None

    @property
    def is_failed(self) -> bool:
        return self._failure is not None

    def _unbind(self) -> None:
        for method in METHODS:
            self.__dict__.pop(method.name, None)

    def forget_parent(self) -> None:
        """Begin anew in a forked child: what the parent has is not the child's."""
        self._backend = None
        self._was_settled = False
        self._unbind()
        self._benches = {}
        self.hellos = {}
        self._leases = {}
        self.gate = asyncio.Lock()

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        if self._failure is not None:
            raise self._failure.with_traceback(None)
        loop = asyncio.get_running_loop()
        bench = self._benches.get(loop)
        if bench is None:
            for old in [old for old in self._benches if old.is_closed()]:
                del self._benches[old]
            bench = self._benches[loop] = _Bench(self, loop)
        return await bench.subscribe(topic, ring)

    async def find_bell(self) -> _Backend | None:
        """Give the backend that can ring, looking for one without ever taking the world."""
        backend = await self._find()
        if backend is None:
            holder = lockfile.read_holder(self.path)
            if holder is not None and holder.endpoint is not None:
                keeper = _keeper()
                await keeper.do(keeper.connect(self))
                backend = self._backend
        return backend


_instances: Final[weakref.WeakSet[SharedWorld]] = weakref.WeakSet()


# -- subscriptions --------------------------------------------------------------------------------


class _Subscription:
    __slots__ = ("backend", "is_live", "ring", "topic", "undo")

    def __init__(self, topic: str, ring: Doorbell) -> None:
        self.topic = topic
        self.ring = ring
        self.backend: _Backend | None = None
        self.undo: Callable[[], None] | None = None
        self.is_live = True


class _Bench:
    """The subscriptions of one loop, and the task that finds them a new owner."""

    def __init__(self, world: SharedWorld, loop: asyncio.AbstractEventLoop) -> None:
        self._world = world
        self._loop = loop
        self._subscriptions: list[_Subscription] = []
        self._following: asyncio.Task[None] | None = None

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        subscription = _Subscription(topic, ring)
        self._subscriptions.append(subscription)

        def undo() -> None:
            self._call(self._drop, subscription)

        try:
            await self._attach(subscription)
        except BaseException:
            self._drop(subscription)
            raise
        self._follow()
        return undo

    def lose_from_anywhere(self, backend: _Backend) -> None:
        self._call(self._lose, backend)

    def close_from_anywhere(self) -> None:
        self._call(self._close)

    def _call(self, function: Callable[..., None], *arguments: Any) -> None:
        try:
            is_here = asyncio.get_running_loop() is self._loop
        except RuntimeError:
            is_here = False
        if is_here:
            function(*arguments)
        else:
            _call_on(self._loop, function, *arguments)

    def _close(self) -> None:
        if self._following is not None:
            self._following.cancel()
        for subscription in list(self._subscriptions):
            self._drop(subscription)

    def _drop(self, subscription: _Subscription) -> None:
        subscription.is_live = False
        if subscription in self._subscriptions:
            self._subscriptions.remove(subscription)
        undo, subscription.undo = subscription.undo, None
        if undo is not None:
            undo()

    def _lose(self, backend: _Backend) -> None:
        for subscription in self._subscriptions:
            if subscription.backend is backend:
                subscription.backend = subscription.undo = None
        self._follow()

    def _unattached(self) -> list[_Subscription]:
        return [subscription for subscription in self._subscriptions if subscription.backend is None]

    def _follow(self) -> None:
        if self._following is None and self._unattached():
            # A task of its own: it lives as long as the world is without an owner, whoever waits.
            self._following = self._loop.create_task(self._find_owner())

    async def _find_owner(self) -> None:
        """Attach what is not attached; ring it then, and at intervals until then."""
        try:
            while unattached := self._unattached():
                for subscription in unattached:
                    try:
                        await self._attach(subscription)
                    except WorldError:
                        pass  # nobody answers yet; the subscriber learns why when it asks
                    if subscription.is_live:
                        self._loop.call_soon(subscription.ring, "")
                if self._unattached():
                    await asyncio.sleep(POLL_SECONDS)
        finally:
            self._following = None

    async def _attach(self, subscription: _Subscription) -> None:
        """Subscribe at the backend of this moment, if there is one that can ring."""
        while subscription.is_live and subscription.backend is None:
            backend = await self._world.find_bell()
            if backend is None:
                return
            place = backend.world if isinstance(backend, _Home) else backend
            try:
                undo = await place.subscribe(subscription.topic, subscription.ring)
            except ConnectionLost:
                self._world.lose(backend)
                continue
            if not subscription.is_live:
                undo()
            elif backend.is_lost:
                self._world.lose(backend)
            else:
                subscription.backend = backend
                subscription.undo = undo


# -- homes: worlds that this process owns ---------------------------------------------------------


class _Home:
    """One world that this process owns. Workers live in it, clients visit."""

    def __init__(self, path: str, durability: str, lock: WorldLock, world: SqliteWorld) -> None:
        self.path = path
        self.durability = durability
        self.lock = lock
        self.world = world
        self.server: WorldServer | None = None
        self.workers = 0
        self.calls = 0
        self.is_lost = False
        self.gone = asyncio.Event()
        self.since = time.monotonic()
        self.file_id = _identify(path)
        self._guard = threading.Lock()  # of `calls` and `is_lost`: visitors come from any thread

    @property
    def is_serving(self) -> bool:
        return self.server is not None

    @property
    def is_tired(self) -> bool:
        """Whether it was borrowed for so long that others must have their chance."""
        return self.workers == 0 and time.monotonic() - self.since > HOLD_SECONDS

    def enter(self) -> bool:
        with self._guard:
            if self.is_lost:
                return False
            self.calls += 1
            return True

    def leave(self) -> None:
        with self._guard:
            self.calls -= 1
            is_idle = self.calls == 0 and self.workers == 0
        if is_idle:
            _keeper().rest(self)

    def shut(self, by_force: bool = False) -> bool:
        """Let nobody in any more; False if somebody is in there."""
        with self._guard:
            if (self.calls or self.workers) and not by_force:
                return False
            self.is_lost = True
            return True


_Backend = _Home | RemoteWorld
_ELSEWHERE: Final = object()


class _Keeper:
    """The thread on which this process takes, serves and gives back worlds.

    Everything here runs on its loop, except `do` and `rest`. `homes` is changed on its loop only.
    """

    def __init__(self) -> None:
        self.homes: dict[str, _Home] = {}
        self._doors: dict[str, asyncio.Lock] = {}
        self._chores: set[asyncio.Task[None]] = set()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="wf-world-keeper", daemon=True)
        self._thread.start()
        atexit.register(self._end)

    async def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do work on the keeper's loop. Cancelling the caller leaves the work to its end."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return await asyncio.shield(asyncio.wrap_future(future))

    def rest(self, home: _Home) -> None:
        """Note, on any thread, that nobody is in a borrowed home at the moment."""
        _call_on(self._loop, self._rest, home)

    # -- finding the owner

    async def elect(self, world: SharedWorld) -> None:
        """Settle a worker's world: in a home of this process, or at the owner's endpoint."""
        async with world.gate:
            deadline = time.monotonic() + ELECTION_SECONDS
            pause = FIRST_PAUSE
            while not world.is_settled and not world.is_failed:
                home = await self._take(world, as_worker=True)
                if home is not None:
                    for hello in world.hellos.values():
                        await home.world.open_worker(hello)
                    world.settle(home)
                    return
                holder = lockfile.read_holder(world.path)
                if await self._try_connect(world, holder):
                    return
                if time.monotonic() > deadline:
                    raise _busy(world.path, holder)
                await asyncio.sleep(pause)
                pause = min(2 * pause, LONGEST_PAUSE)

    async def connect(self, world: SharedWorld) -> None:
        """Settle a client's world at the owner's endpoint, if there is one."""
        async with world.gate:
            if not world.is_settled and not world.is_failed:
                await self._try_connect(world, lockfile.read_holder(world.path))

    async def part(self, world: SharedWorld) -> None:
        """Take a closed world's part in its backend away."""
        async with world.gate:
            backend = world.take_backend()
            if isinstance(backend, RemoteWorld):
                await backend.close()
            elif backend is not None and world.role == "worker":
                await self._move_out(backend)
            home = self.homes.get(world.path)
            if home is not None and home.workers == 0 and home.calls == 0:
                await self._let_go(home)

    async def _try_connect(self, world: SharedWorld, holder: Holder | None) -> bool:
        if holder is None or holder.endpoint is None or holder.pid == os.getpid():
            return False
        remote: RemoteWorld

        def lose() -> None:
            world.lose(remote)

        remote = RemoteWorld(holder.endpoint, on_lost=lose)
        try:
            await remote.open()
            if remote.url and remote.process != holder.process:
                raise ConnectionLost("another process answers than holds the lock", was_sent=False)
            for hello in world.hellos.values():
                await remote.open_worker(hello)
        except ConnectionLost:
            await remote.close()
            return False
        except BaseException:
            await remote.close()
            raise
        world.settle(remote)
        return True

    # -- borrowing

    async def lend(self, world: SharedWorld, method: str, arguments: tuple[Any, ...]) -> Any:
        """Do a client's call in a home of this process, or settle its world at the owner's endpoint."""
        deadline = time.monotonic() + ELECTION_SECONDS
        pause = FIRST_PAUSE
        while True:
            home = await self._take(world, as_worker=False)
            if home is not None:
                try:
                    return await getattr(home.world, method)(*arguments)
                finally:
                    home.leave()
            await self.connect(world)
            if world.is_settled:
                return _ELSEWHERE
            if time.monotonic() > deadline:
                raise _busy(world.path, lockfile.read_holder(world.path))
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)

    def _rest(self, home: _Home) -> None:
        if not home.is_lost and home.calls == 0 and home.workers == 0:
            delay = 0.0 if home.is_tired else IDLE_SECONDS
            self._loop.call_later(delay, self._check_rest, home, time.monotonic() + delay)

    def _check_rest(self, home: _Home, due: float) -> None:
        home.idle_since = ...

    # -- taking and leaving

    async def _take(self, world: SharedWorld, *, as_worker: bool) -> _Home | None:
        """Move into the home of this process, making it if the lock can be had; None if it cannot."""
        raise NotImplementedError
