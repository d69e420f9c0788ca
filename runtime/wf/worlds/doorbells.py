"""Doorbells: how a world tells subscribers that a topic has news.

A ring is a hint (law 5 of `wf.world`): it is delivered on the subscriber's own loop, later than
the commit it tells of, and is dropped where that loop is closed. Ringing never waits and never
raises, so that no subscriber can hold a writer back; and while a ring is on its way, another one
of the same topic and detail costs its writer a look into a set, however far behind the subscriber is.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterable

from wf.world import Doorbell

CLAIMABLE = "claimable"
RUNS = "runs"
LOG = "log:"


class _Subscription:
    __slots__ = ("coming", "is_live", "loop", "ring")

    def __init__(self, loop: asyncio.AbstractEventLoop, ring: Doorbell) -> None:
        self.loop = loop
        self.ring = ring
        self.coming: set[str] = set()
        """Details that are on their way: what rings them again meanwhile is seen by who is rung then."""
        self.is_live = True

    def deliver(self, detail: str) -> None:
        self.coming.discard(detail)  # first: what is written from now on needs a ring of its own
        if self.is_live:  # the undo may have been called between ring and delivery
            self.ring(detail)


class Doorbells:
    """Topics and who listens to them. Any thread may subscribe, undo and ring."""

    def __init__(self) -> None:
        self._guard = threading.Lock()  # guards all of these; lists are replaced, never changed
        self._topics: dict[str, list[_Subscription]] = {}
        self._streams: set[str] = set()  # those of _topics that are streams: few, and searched by prefix
        self.followed: set[str] = set()
        """Runs whose log somebody listens to. Look after the commit: who subscribes before it may have read before."""

    def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        """Call `ring(detail)` on the running loop for every ring of a topic; return the undo."""
        subscription = _Subscription(asyncio.get_running_loop(), ring)
        with self._guard:
            self._topics[topic] = [*self._topics.get(topic, ()), subscription]
            if topic.startswith("stream:"):
                self._streams.add(topic)
            elif topic.startswith(LOG):
                self.followed.add(topic.removeprefix(LOG))

        def undo() -> None:
            self._drop(topic, subscription)

        return undo

    def ring(self, rings: Iterable[tuple[str, str]]) -> None:
        """Ring (topic, detail) pairs, each pair once."""
        topics = self._topics
        if not topics:
            return
        here: asyncio.AbstractEventLoop | None
        try:
            here = asyncio.get_running_loop()
        except RuntimeError:
            here = None
        for topic, detail in dict.fromkeys(rings):
            for subscription in topics.get(topic, ()):
                self._deliver(topic, subscription, detail, here)

    def ring_logs(self, run_ids: Iterable[str]) -> None:
        """Ring the logs of those of these runs that somebody follows."""
        followed = self.followed
        self.ring([(LOG + run_id, run_id) for run_id in run_ids if run_id in followed])

    def ring_all(self) -> None:
        """Ring every topic without a detail: whoever listens may have missed anything."""
        self.ring([(topic, "") for topic in self.topics()])

    def topics(self) -> list[str]:
        """List the topics that somebody listens to."""
        with self._guard:
            return list(self._topics)

    def has(self, topic: str) -> bool:
        """Tell whether somebody listens to a topic."""
        return topic in self._topics

    def streams_of(self, run_id: str) -> list[str]:
        """List the stream topics of a run that somebody listens to, whether or not they have chunks.

        Run ids and stream names may both hold a `/`, so this may name a stream of another run,
        too; a ring too many does no harm.
        """
        prefix = f"stream:{run_id}/"
        with self._guard:
            return [topic for topic in self._streams if topic.startswith(prefix)]

    def _deliver(
        self, topic: str, subscription: _Subscription, detail: str, here: asyncio.AbstractEventLoop | None
    ) -> None:
        if detail in subscription.coming:
            return
        subscription.coming.add(detail)
        loop = subscription.loop
        if loop is here:
            loop.call_soon(subscription.deliver, detail)
            return
        try:
            loop.call_soon_threadsafe(subscription.deliver, detail)
        except RuntimeError:  # its loop is closed: nobody is there, and nobody will undo it
            self._drop(topic, subscription)

    def _drop(self, topic: str, subscription: _Subscription) -> None:
        subscription.is_live = False
        with self._guard:
            left = [other for other in self._topics.get(topic, ()) if other is not subscription]
            if left:
                self._topics[topic] = left
            else:
                self._topics.pop(topic, None)
                self._streams.discard(topic)
                self.followed.discard(topic.removeprefix(LOG))
