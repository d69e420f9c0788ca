"""The keeper: takes, serves, lends and gives back the worlds that this process owns.

1. Ownership is decided on one thread per process, never on a user's loop, which may be blocked,
   closed or cancelled at any moment while it holds what others wait for.
2. A world that this process owns is a `Home`. All of the process share it, since flock would
   refuse a second descriptor. Workers live in a home, and it serves other processes while one
   does; clients visit, and a home without workers is given back when nobody came for 50 ms.
3. A borrowed home is given back after a second even in the midst of a burst of calls, and left
   alone for a moment: whoever wants to serve the world must get it within his 5 s.
4. Where the disk is full, a client's home is one that can only be read (`SqliteWorld.is_frozen`); no worker moves in.
5. A home whose lock file was removed takes a new lock, or, if another process has it, gives the
   world up at once. One whose database was removed is given up for good.
"""

from __future__ import annotations

import asyncio
import atexit
import concurrent.futures
import logging
import os
import threading
import time
import weakref
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from wf.errors import StorageFull, WorldError
from wf.worlds import lockfile
from wf.worlds.lockfile import WorldLock
from wf.worlds.server import WorldServer
from wf.worlds.sqlite import SqliteWorld
from wf.worlds.sqlite.files import identify

IDLE_SECONDS: Final = 0.05
"""A borrowed home is given back after this long without a call."""

HOLD_SECONDS: Final = 1.0
"""A burst of calls may keep a borrowed home for so long."""

GAP_SECONDS: Final = 0.1
"""So long it is then left alone: twice the longest pause of those who try to get it."""

PATROL_SECONDS: Final = 2.0
"""How often a home looks whether its files are still where they were."""

END_SECONDS: Final = 3.0
"""How long the end of the process waits for the worlds to be closed."""

Result = TypeVar("Result")

_log = logging.getLogger("wf.world")


class Tenant(Protocol):
    """Whoever uses a home beyond a call, and must hear of its end. Both are called on the keeper's thread."""

    def lose(self, home: Home) -> None: ...

    def fail(self, error: WorldError) -> None:
        """The world is gone for good: its database was deleted or replaced."""


class Home:
    """One world that this process owns."""

    def __init__(self, path: str, durability: str, lock: WorldLock, world: SqliteWorld) -> None:
        self.path = path
        self.durability = durability
        self.lock = lock
        self.world = world
        self.server: WorldServer | None = None
        self.workers = 0
        self.calls = 0
        self.is_lost = False
        self.since = time.monotonic()
        self.idle_since = self.since
        self.file_id = identify(world.path)
        self.tenants: weakref.WeakSet[Tenant] = weakref.WeakSet()
        self.turned = asyncio.Event()
        """Rings when a worker moved in, and stays rung once this home is given up."""
        self.timer: asyncio.TimerHandle | None = None
        self.guard = threading.Lock()  # of the counts, `is_lost` and `tenants`: visitors come from any thread

    @property
    def is_serving(self) -> bool:
        return self.server is not None and not self.is_lost

    @property
    def is_reachable(self) -> bool:
        return self.server is not None and self.server.is_reachable()

    @property
    def is_tired(self) -> bool:
        """Whether it was borrowed for so long that others must have their chance."""
        return self.workers == 0 and time.monotonic() - self.since > HOLD_SECONDS

    def is_fit_for_worker(self, durability: str) -> bool:
        return self.durability == durability and not self.world.is_frozen

    def welcome(self, tenant: Tenant) -> None:
        with self.guard:
            self.tenants.add(tenant)

    def enter(self) -> bool:
        """Begin a call; False if nobody is let in any more. Every call that began must `leave`."""
        with self.guard:
            if self.is_lost:
                return False
            self.calls += 1
            return True

    def leave(self) -> None:
        with self.guard:
            self.calls -= 1
            is_empty = self.calls == 0 and self.workers == 0
        if is_empty:
            keeper().rest(self)

    def move_in(self) -> None:
        with self.guard:
            self.workers += 1

    def move_out(self) -> bool:
        """Note that a worker left; True if it was the last."""
        with self.guard:
            self.workers -= 1
            return self.workers == 0

    def shut(self, *, by_force: bool = False) -> bool:
        """Let nobody in any more; False if somebody is in there (and no force is used)."""
        with self.guard:
            if self.is_lost or ((self.calls or self.workers) and not by_force):
                return False
            self.is_lost = True
            return True

    def leave_tenants(self) -> list[Tenant]:
        with self.guard:
            tenants = list(self.tenants)
            self.tenants.clear()
        return tenants


class Keeper:
    """The thread `wf-world-keeper`. Everything here runs on its loop, except where it says otherwise.

    `homes` is changed on its loop only, and may be looked at from any thread.
    """

    def __init__(self) -> None:
        self.homes: dict[str, Home] = {}
        self._doors: dict[str, asyncio.Lock] = {}  # a path's: who takes or gives up its home
        self._chores: set[asyncio.Task[None]] = set()
        self._patrol_timer: asyncio.TimerHandle | None = None
        self._process = os.getpid()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="wf-world-keeper", daemon=True)
        self._thread.start()
        _register_end(self._end)

    async def do(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Do work on the keeper's loop, from any other. Cancelling the caller does not cancel it."""
        future = asyncio.run_coroutine_threadsafe(work, self._loop)
        return await asyncio.shield(asyncio.wrap_future(future))

    def begin(self, chore: Coroutine[Any, Any, None]) -> None:
        """Have work done on the keeper's loop, from any thread, without waiting for it."""
        self._loop.call_soon_threadsafe(self._begin, chore)

    def rest(self, home: Home) -> None:
        """Note, from any thread, that nobody is in a home at the moment."""
        try:
            self._loop.call_soon_threadsafe(self._rest, home)
        except RuntimeError:
            pass  # the process ends

    # -- taking and giving back

    async def take(self, path: str, durability: str, *, as_worker: bool) -> Home | None:
        """Move (or, as a client, `enter`) into this process's home; None if another process has the world.

        A worker gets a home that serves. The first who takes a home decides its durability.
        """
        while True:
            home = self.homes.get(path)
            if home is not None and home.workers == 0 and not as_worker and home.is_tired:
                await self._see_off(home)
                await asyncio.sleep(GAP_SECONDS)
                continue
            if home is not None and home.workers == 0 and as_worker and not home.is_fit_for_worker(durability):
                # A worker stays, so what a client wanted for its call must not be its lot.
                await self._see_off(home)
                continue
            async with self._door(path):
                home = self.homes.get(path)
                if home is None:
                    lock = lockfile.try_acquire(path, f"sqlite:///{path}")
                    if lock is None:
                        return None
                    home = await self._make(path, durability, lock, as_worker=as_worker)
                if as_worker and home.world.is_frozen:
                    continue  # a client was faster
                if not as_worker:
                    home.enter()
                    return home
                home.move_in()
                home.turned.set()
                home.turned.clear()
                try:
                    if home.server is None:
                        await self._serve(home)
                except BaseException:
                    home.move_out()
                    await self._close_if_empty(home)
                    raise
                return home

    async def part(self, home: Home) -> None:
        """Move a worker out. With the last one the home stops serving, and is given back unless visited."""
        async with self._door(home.path):
            if home.move_out() and not home.is_lost:
                home.since = home.idle_since = time.monotonic()
                await self._stop_serving(home)
                await self._close_if_empty(home)

    async def give_back(self, path: str) -> None:
        """Give a home back now, if nobody is in it."""
        home = self.homes.get(path)
        if home is not None:
            async with self._door(path):
                await self._close_if_empty(home)

    def _door(self, path: str) -> asyncio.Lock:
        return self._doors.setdefault(path, asyncio.Lock())

    async def _make(self, path: str, durability: str, lock: WorldLock, *, as_worker: bool) -> Home:
        try:
            world = SqliteWorld(path, durability=durability)
            try:
                await world.open()
            except StorageFull:
                await world.close()
                if as_worker:
                    raise
                world = SqliteWorld(path, durability=durability, is_frozen=True)
                await world.open()
        except BaseException:
            lock.release()
            raise
        home = self.homes[path] = Home(path, durability, lock, world)
        return home

    async def _serve(self, home: Home) -> None:
        server = WorldServer(home.world, lockfile.socket_paths(home.path))
        endpoint = await server.start()
        try:
            home.lock.publish(endpoint)
        except BaseException:  # a full disk: nobody can find it
            await server.stop()
            raise
        home.server = server
        if self._patrol_timer is None:
            self._patrol_timer = self._loop.call_later(PATROL_SECONDS, self._patrol)

    async def _stop_serving(self, home: Home) -> None:
        for tenant in home.leave_tenants():
            tenant.lose(home)
        server, home.server = home.server, None
        if server is not None:
            try:
                home.lock.publish(None)
            except WorldError:
                pass  # a full disk: whoever reads the stale endpoint finds nobody there and asks again
            await server.stop()

    async def _close_if_empty(self, home: Home) -> None:
        if home.shut():
            await self._close(home)

    async def _close(self, home: Home) -> None:
        """Give up a home that is shut. Its door is held by the caller."""
        self.homes.pop(home.path, None)
        if not self.homes and self._patrol_timer is not None:
            self._patrol_timer.cancel()
            self._patrol_timer = None
        try:
            await self._stop_serving(home)
            await home.world.close()
        finally:
            home.lock.release()
            home.turned.set()

    # -- resting

    async def _see_off(self, home: Home) -> None:
        """Wait until a home is given back, or a worker moved in: he may stay for ever."""
        self._look(home)
        await home.turned.wait()

    def _rest(self, home: Home) -> None:
        home.idle_since = time.monotonic()
        if home.is_tired:
            self._look(home)
        elif home.timer is None:
            home.timer = self._loop.call_later(IDLE_SECONDS, self._look, home)

    def _look(self, home: Home) -> None:
        """Give a home back if it has been empty for long enough; else look again."""
        if home.timer is not None:
            home.timer.cancel()
            home.timer = None
        if home.is_lost or home.calls or home.workers:
            return  # whoever leaves last comes here again
        left = home.idle_since + IDLE_SECONDS - time.monotonic()
        if left > 0 and not home.is_tired:
            home.timer = self._loop.call_later(left, self._look, home)
        else:
            self._begin(self.give_back(home.path))

    def _begin(self, chore: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(chore)
        self._chores.add(task)
        task.add_done_callback(self._finish)

    def _finish(self, task: asyncio.Task[None]) -> None:
        self._chores.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            # Nobody waits for a chore: this is the only place where its failure can be told.
            _log.error("a world was not given back cleanly: %s", error, exc_info=error)

    # -- patrolling

    def _patrol(self) -> None:
        if self._patrol_timer is not None:
            self._patrol_timer.cancel()
            self._patrol_timer = None
        for home in self.homes.values():
            if not home.lock.is_current() or (home.workers and not home.is_reachable):
                self._begin(self._mend(home))
        if self.homes:
            self._patrol_timer = self._loop.call_later(PATROL_SECONDS, self._patrol)

    async def _mend(self, home: Home) -> None:
        """Do what can be done about a lock file or socket that was removed under us."""
        async with self._door(home.path):
            if home.is_lost:
                return
            if identify(home.world.path) != home.file_id:
                await self._give_up(home)
                return
            if not home.lock.is_current():
                lock = lockfile.try_acquire(home.path, f"sqlite:///{home.path}")
                if lock is None:
                    # Another process has the world by now: this one must not write any more.
                    home.shut(by_force=True)
                    await self._close(home)
                    return
                home.lock.release()
                home.lock = lock
                if home.server is not None:
                    lock.publish(home.server.endpoint)
            if home.workers and not home.is_reachable:
                server, home.server = home.server, None
                if server is not None:
                    await server.stop()
                await self._serve(home)

    async def _give_up(self, home: Home) -> None:
        error = WorldError(f"the world {home.path} was deleted or replaced while it was open")
        error.hint = "put the file back with its -wal, or restart wf to begin a new world"
        for tenant in list(home.tenants):
            tenant.fail(error)
        home.shut(by_force=True)
        await self._close(home)

    # -- the thread

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        try:
            self._loop.run_forever()
            for task in asyncio.all_tasks(self._loop):
                task.cancel()
            self._loop.run_until_complete(self._loop.shutdown_asyncgens())
            self._loop.run_until_complete(asyncio.sleep(0))
        finally:
            self._loop.close()

    def _end(self) -> None:
        """Give everything back at the end of the process."""
        if os.getpid() != self._process or self._loop.is_closed():
            return
        closing = asyncio.run_coroutine_threadsafe(self._close_all(), self._loop)
        try:
            closing.result(END_SECONDS)
        except concurrent.futures.TimeoutError:
            return  # the thread dies with the process, and the lock with it
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(END_SECONDS)

    async def _close_all(self) -> None:
        for home in list(self.homes.values()):
            async with self._door(home.path):
                if home.shut(by_force=True):
                    await self._close(home)


_keeper: Keeper | None = None
_keeper_guard = threading.Lock()  # of the above
_inherited: Final[list[object]] = []


def _register_end(function: Callable[[], None]) -> None:
    """Have a function called when the main thread ends, while worlds can still be closed.

    At `atexit` it is too late: thread pools refuse work by then, the writer of a world included.
    The interpreter has a hook for them that comes earlier, in reverse order; it is not public.
    """
    try:
        threading._register_atexit(function)  # type: ignore[attr-defined]
    except (AttributeError, RuntimeError):
        atexit.register(function)


def keeper() -> Keeper:
    """Give this process's keeper, making it at the first call."""
    global _keeper
    with _keeper_guard:
        if _keeper is None:
            _keeper = Keeper()
        return _keeper


def find_keeper() -> Keeper | None:
    """Give this process's keeper, if it has one."""
    return _keeper


def _begin_anew_in_child() -> None:
    """Forget the parent's homes in a forked child.

    They are kept from the collector: closing an SQLite connection that came through a fork would
    take its parent's files for its own.
    """
    global _keeper, _keeper_guard
    if _keeper is not None:
        _inherited.append(_keeper)
    _keeper = None
    _keeper_guard = threading.Lock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
