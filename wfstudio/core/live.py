"""The feed: what happens in the studio, for whoever looks at it live.

1. Publishing never waits and never fails: a reader that does not read costs a bounded buffer.
2. Ids grow by one. A reader that gives the last id it saw goes on right after it, as far back as the
   ring reaches; where it does not, the first thing it gets is a `gap`: read everything anew.
   A new process begins its ids where the clock is (`ids_from_now`), so those of an earlier one are behind its ring.
3. A reader that falls behind its buffer is caught up from the ring, or gets a `gap`.

Used on one event loop only, so nothing here is locked.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from typing import Any, Final

import msgspec

RING: Final = 4096
"""Events that are kept for readers who come back."""

BUFFER: Final = 256
"""Events that wait for one reader at most; beyond that it is caught up from the ring."""

GAP: Final = "gap"


def ids_from_now() -> int:
    """Give where a process may begin its ids: over those of all before it, at less than 100 000 events a second."""
    return time.time_ns() // 10_000


class LiveEvent(msgspec.Struct, frozen=True):
    """Kinds: `run` (one changed), `runs` (many did), `reload`, `verdict`, `worker`, `fault`, `error`; and
    `gap`: events were missed."""

    id: int
    kind: str
    data: dict[str, Any]


class Feed:
    def __init__(self, ring: int = RING, buffer: int = BUFFER, *, after: int = 0) -> None:
        self._ring: deque[LiveEvent] = deque(maxlen=ring)
        self._buffer = buffer
        self._readers: set[_Reader] = set()
        self.last_id = after

    @property
    def readers(self) -> int:
        return len(self._readers)

    def publish(self, kind: str, data: dict[str, Any]) -> int:
        """Tell all readers, and give the event's id."""
        self.last_id += 1
        event = LiveEvent(self.last_id, kind, data)
        self._ring.append(event)
        for reader in self._readers:
            reader.take(event)
        return event.id

    def subscribe(self, last_id: int | None = None) -> AsyncGenerator[LiveEvent, None]:
        """Give what was published after `last_id` (None: from this call on), and what comes."""
        return self._read(self.last_id if last_id is None else last_id)

    async def _read(self, seen: int) -> AsyncGenerator[LiveEvent, None]:
        reader = _Reader(self._buffer, seen)
        self._readers.add(reader)
        try:
            while True:
                for event in self._catch_up(reader):
                    yield event
                await reader.has_news.wait()
                reader.has_news.clear()
        finally:
            self._readers.discard(reader)

    def _catch_up(self, reader: _Reader) -> list[LiveEvent]:
        """Take what a reader has not seen: from its buffer, or from the ring where that ran over."""
        if reader.is_behind:
            found = self._read_ring(reader.seen)
            reader.is_behind = False
        else:
            found = list(reader.waiting)
        reader.waiting.clear()
        if found:
            reader.seen = found[-1].id
        return found

    def _read_ring(self, seen: int) -> list[LiveEvent]:
        if seen > self.last_id:  # an id of an earlier studio process: nothing it knows is certain
            return [LiveEvent(self.last_id, GAP, {})]
        first = self._ring[0].id if self._ring else self.last_id + 1
        if seen + 1 < first:
            return [LiveEvent(first - 1, GAP, {}), *self._ring]
        return [event for event in self._ring if event.id > seen]


class _Reader:
    __slots__ = ("_size", "has_news", "is_behind", "seen", "waiting")

    def __init__(self, size: int, seen: int) -> None:
        self._size = size
        self.seen = seen
        self.waiting: deque[LiveEvent] = deque()
        self.is_behind = True  # what came before it did is in the ring
        self.has_news = asyncio.Event()

    def take(self, event: LiveEvent) -> None:
        self.has_news.set()
        if self.is_behind:
            return
        if len(self.waiting) >= self._size:
            self.waiting.clear()
            self.is_behind = True
            return
        self.waiting.append(event)
