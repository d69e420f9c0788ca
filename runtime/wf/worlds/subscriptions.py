"""Subscriptions that outlive the owner of the world they were made at.

1. A subscription is attached to the backend of the moment, if that can ring, or is wanting.
2. A wanting one is rung without a detail (`""`: anything may have happened, look) when its backend is
   lost, at intervals then, and once more when it is attached: whatever was rung in between, it missed.
3. Whoever is rung looks, which opens a world that nobody serves. So the intervals grow while nobody
   does, whoever subscribes anew meanwhile; and owners who come and go are not looked for any faster.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from typing import Any, Final, Protocol

from wf.errors import WorldError
from wf.world import Doorbell, World
from wf.worlds.keeper import Home
from wf.worlds.remote import RemoteWorld
from wf.worlds.wire import ConnectionLost

POLL_SECONDS: Final = 0.1
"""How often it is looked for an owner. That reads a small file and opens nothing."""

SILENCE_SECONDS: Final = (POLL_SECONDS, 1.0)
"""How long a subscriber of a world that nobody serves is not rung: at first, and at most."""

Backend = Home | RemoteWorld


class Seat(Protocol):
    """What a bench asks for backends."""

    async def find_bell(self) -> Backend | None:
        """Give the backend that can ring now, if there is one."""

    def lose(self, backend: Backend | None) -> None:
        """Hear that a backend is gone."""


class Subscription:
    __slots__ = ("backend", "is_live", "ring", "topic", "undo")

    def __init__(self, topic: str, ring: Doorbell) -> None:
        self.topic = topic
        self.ring = ring
        self.backend: Backend | None = None
        self.undo: Callable[[], None] | None = None
        self.is_live = True

    def is_wanting(self) -> bool:
        return self.is_live and self.backend is None

    def look(self) -> None:
        """Have the subscriber look, whatever there is to see."""
        if self.is_live:
            self.ring("")


class Bench:
    """The subscriptions of one loop, and the task that finds them a new owner. Used on that loop only."""

    def __init__(self, seat: Seat, loop: asyncio.AbstractEventLoop) -> None:
        self._seat = seat
        self._loop = loop
        # Dicts for their order: thousands wait for a run each, and come and go one by one.
        self._subscriptions: dict[Subscription, None] = {}
        self._unattached: dict[Subscription, None] = {}
        self._seeking: asyncio.Task[None] | None = None
        self._sought_at = self._rung_at = -math.inf
        self._silence = 0.0

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        subscription = Subscription(topic, ring)
        self._subscriptions[subscription] = self._unattached[subscription] = None

        def undo() -> None:
            self._call(self._drop, subscription)

        try:
            backend = await self._seat.find_bell()
            if backend is None:
                self._sought_at = self._loop.time()
            else:
                await self._attach(subscription, backend)
        except BaseException:
            self._drop(subscription)
            raise
        self._seek()
        return undo

    def lose_from_anywhere(self, backend: Backend) -> None:
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
            call_on(self._loop, function, *arguments)

    def _close(self) -> None:
        self._stop_seeking()
        for subscription in list(self._subscriptions):
            self._drop(subscription)

    def _drop(self, subscription: Subscription) -> None:
        subscription.is_live = False
        self._subscriptions.pop(subscription, None)
        self._unattached.pop(subscription, None)
        undo, subscription.undo = subscription.undo, None
        if undo is not None:
            undo()
        if not self._subscriptions:
            self._stop_seeking()

    def _lose(self, backend: Backend) -> None:
        for subscription in self._subscriptions:
            if subscription.backend is backend:
                subscription.backend = subscription.undo = None
                self._unattached[subscription] = None
                self._silence = 0.0  # nobody hears what it was about to ring
        self._seek()

    def _seek(self) -> None:
        if self._seeking is None and self._unattached:
            # No TaskGroup: it lives from the loss of an owner to the next, whoever waits meanwhile.
            self._seeking = self._loop.create_task(self._seek_owner())
            self._seeking.add_done_callback(self._sought)

    def _stop_seeking(self) -> None:
        seeking, self._seeking = self._seeking, None  # at once: who subscribes next gets a task that is not cancelled
        if seeking is not None:
            seeking.cancel()

    def _sought(self, task: asyncio.Task[None]) -> None:
        if task is not self._seeking:
            return
        self._seeking = None
        if not task.cancelled():  # else the loop ends: another task would be left behind
            task.result()
            self._seek()  # somebody may have subscribed, or lost again, in its last moment

    async def _seek_owner(self) -> None:
        """Attach what is not attached; ring it then, and at intervals until then."""
        while self._unattached:
            await asyncio.sleep(max(0.0, self._sought_at + POLL_SECONDS - self._loop.time()))
            self._sought_at = self._loop.time()
            try:
                backend = await self._seat.find_bell()
            except WorldError:
                backend = None  # nobody answers; the subscriber learns why when it asks for what it was rung
            if backend is not None:
                await self._attach_all(backend)
            if self._unattached and self._loop.time() >= self._rung_at + self._silence:
                self._ring_unattached()

    def _ring_unattached(self) -> None:
        self._rung_at = self._loop.time()
        self._silence = min(max(2 * self._silence, SILENCE_SECONDS[0]), SILENCE_SECONDS[1])
        for subscription in self._unattached:
            self._loop.call_soon(subscription.look)

    async def _attach_all(self, backend: Backend) -> None:
        for subscription in list(self._unattached):
            try:
                if await self._attach(subscription, backend):
                    self._loop.call_soon(subscription.look)
            except WorldError:
                pass

    async def _attach(self, subscription: Subscription, backend: Backend) -> bool:
        """Subscribe at a backend; False if it is gone, or the subscription is settled already."""
        if not subscription.is_wanting():
            return False
        place: World = backend.world if isinstance(backend, Home) else backend
        try:
            undo = await place.subscribe(subscription.topic, subscription.ring)
        except ConnectionLost:
            self._seat.lose(backend)
            return False
        if not subscription.is_wanting():  # undone meanwhile, or attached by the other task
            undo()
            return False
        if backend.is_lost:
            self._seat.lose(backend)
            return False
        subscription.backend = backend
        subscription.undo = undo
        self._unattached.pop(subscription, None)
        return True


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function on a loop, from any thread; a loop that is closed wants no calls any more."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass
