"""Subscriptions that outlive the owner of the world they were made at.

1. A subscription is attached to the backend of the moment, if that can ring, or is wanting.
2. A wanting one is rung without a detail (`""`: anything may have happened, look) at intervals,
   and once more when it is attached: whatever was rung in between, it missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, Protocol

from wf.errors import WorldError
from wf.world import Doorbell, World
from wf.worlds.keeper import Home
from wf.worlds.remote import RemoteWorld
from wf.worlds.wire import ConnectionLost

POLL_SECONDS: Final = 0.1
"""How often a subscriber of a world that nobody serves is rung."""

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


class Bench:
    """The subscriptions of one loop, and the task that finds them a new owner. Used on that loop only."""

    def __init__(self, seat: Seat, loop: asyncio.AbstractEventLoop) -> None:
        self._seat = seat
        self._loop = loop
        # Dicts for their order: thousands wait for a run each, and come and go one by one.
        self._subscriptions: dict[Subscription, None] = {}
        self._unattached: dict[Subscription, None] = {}
        self._seeking: asyncio.Task[None] | None = None

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        subscription = Subscription(topic, ring)
        self._subscriptions[subscription] = self._unattached[subscription] = None

        def undo() -> None:
            self._call(self._drop, subscription)

        try:
            await self._attach(subscription)
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
        if self._seeking is not None:
            self._seeking.cancel()
        for subscription in list(self._subscriptions):
            self._drop(subscription)

    def _drop(self, subscription: Subscription) -> None:
        subscription.is_live = False
        self._subscriptions.pop(subscription, None)
        self._unattached.pop(subscription, None)
        undo, subscription.undo = subscription.undo, None
        if undo is not None:
            undo()
        if not self._subscriptions and self._seeking is not None:
            self._seeking.cancel()

    def _lose(self, backend: Backend) -> None:
        for subscription in self._subscriptions:
            if subscription.backend is backend:
                subscription.backend = subscription.undo = None
                self._unattached[subscription] = None
        self._seek()

    def _seek(self) -> None:
        if self._seeking is None and self._unattached:
            # No TaskGroup: it lives from the loss of an owner to the next, whoever waits meanwhile.
            self._seeking = self._loop.create_task(self._seek_owner())
            self._seeking.add_done_callback(self._sought)

    def _sought(self, task: asyncio.Task[None]) -> None:
        self._seeking = None
        if not task.cancelled():
            task.result()
        # Somebody may have subscribed, or lost again, in its last moment: also after the last one who was there
        # before went and cancelled it.
        self._seek()

    async def _seek_owner(self) -> None:
        """Attach what is not attached; ring it then, and at intervals until then."""
        while unattached := list(self._unattached):
            for subscription in unattached:
                try:
                    await self._attach(subscription)
                except WorldError:
                    pass  # nobody answers; the subscriber learns why when it asks for what it was rung
                if subscription.is_live:
                    self._loop.call_soon(subscription.ring, "")
            if self._unattached:
                await asyncio.sleep(POLL_SECONDS)

    async def _attach(self, subscription: Subscription) -> None:
        """Subscribe at the backend of this moment, if there is one that can ring."""
        while subscription.is_wanting():
            backend = await self._seat.find_bell()
            if backend is None:
                return
            place: World = backend.world if isinstance(backend, Home) else backend
            try:
                undo = await place.subscribe(subscription.topic, subscription.ring)
            except ConnectionLost:
                self._seat.lose(backend)
                continue
            if not subscription.is_wanting():  # undone meanwhile, or attached by the other task
                undo()
            elif backend.is_lost:
                self._seat.lose(backend)
            else:
                subscription.backend = backend
                subscription.undo = undo
                self._unattached.pop(subscription, None)


def call_on(loop: asyncio.AbstractEventLoop, function: Callable[..., None], *arguments: Any) -> None:
    """Call a function on a loop, from any thread; a loop that is closed wants no calls any more."""
    try:
        loop.call_soon_threadsafe(function, *arguments)
    except RuntimeError:
        pass
