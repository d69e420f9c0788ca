"""Bells: waiting for news of a world, and looking again now and then, since a doorbell is a hint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Final, Self

from wf.world import World

SHORTEST_SECONDS: Final = 0.01
"""From one look of a pacing bell to the next, however often it rings: a run may append a thousand times a second."""
LONGEST_SECONDS: Final = 0.3
"""The longest that a pacing bell makes who looks wait, however long the last look took."""


class Bell:
    """Rings when one of its topics has news, from entering the block on.

    A pacing one is for who looks whenever it rings: after a pause it rings at once, but news that come
    fast are gathered, so that no more than half of the time is spent looking.
    """

    def __init__(self, world: World, *topics: str, is_pacing: bool = False) -> None:
        self._world = world
        self._topics = topics
        self._is_pacing = is_pacing
        self._has_news = asyncio.Event()
        self._undo: list[Callable[[], None]] = []
        self._rang_at = 0.0

    async def __aenter__(self) -> Self:
        self._rang_at = asyncio.get_running_loop().time()
        try:
            for topic in self._topics:
                self._undo.append(await self._world.subscribe(topic, self._ring))
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        for undo in self._undo:
            undo()

    def _ring(self, detail: str) -> None:
        self._has_news.set()

    async def wait(self, seconds: float) -> None:
        """Wait for news since the last call, at most so long."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        again = loop.call_later(seconds, self._has_news.set)
        try:
            await self._has_news.wait()
            if self._is_pacing:
                spent = began - self._rang_at
                rest = min(max(SHORTEST_SECONDS - spent, spent), LONGEST_SECONDS)
                await asyncio.sleep(max(0.0, began + rest - loop.time()))
        finally:
            again.cancel()
        self._has_news.clear()
        self._rang_at = loop.time()
