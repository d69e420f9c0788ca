"""Bells: waiting for news of a world, and looking again now and then, since a doorbell is a hint."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self

from wf.world import World


class Bell:
    """Rings when one of its topics has news, from entering the block on."""

    def __init__(self, world: World, *topics: str) -> None:
        self._world = world
        self._topics = topics
        self._has_news = asyncio.Event()
        self._undo: list[Callable[[], None]] = []

    async def __aenter__(self) -> Self:
        for topic in self._topics:
            self._undo.append(await self._world.subscribe(topic, self._ring))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for undo in self._undo:
            undo()

    def _ring(self, detail: str) -> None:
        self._has_news.set()

    async def wait(self, seconds: float) -> None:
        """Wait for news since the last call, at most so long."""
        again = asyncio.get_running_loop().call_later(seconds, self._has_news.set)
        try:
            await self._has_news.wait()
        finally:
            again.cancel()
        self._has_news.clear()
