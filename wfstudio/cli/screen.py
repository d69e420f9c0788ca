"""Screens: what is looked at again, and drawn again in place, whenever there is news."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Final

from wfstudio.cli.terminal import Terminal

LOOK_SECONDS: Final = 1.0
"""News are hints, and ages and durations go on without any: so it is looked at after so long in any case."""
SHORTEST_SECONDS: Final = 0.1
"""However much is new, nobody reads faster."""


async def look_again(
    look: Callable[[], Awaitable[bool]], news: AsyncIterator[str], every_seconds: float = LOOK_SECONDS
) -> None:
    """Look at once, at news, and after so long in any case, until `look` says that it has seen the end."""
    bell = asyncio.Event()

    async def listen() -> None:
        async for _ in news:
            bell.set()

    async with asyncio.TaskGroup() as group:
        listening = group.create_task(listen())
        while True:
            bell.clear()
            if await look():
                break
            await asyncio.sleep(SHORTEST_SECONDS)
            with suppress(TimeoutError):
                async with asyncio.timeout(every_seconds):
                    await bell.wait()
        listening.cancel()


async def redraw(
    terminal: Terminal, draw: Callable[[], Awaitable[tuple[Sequence[str], bool]]], news: AsyncIterator[str]
) -> None:
    """Draw lines in place, again and again, until `draw` says that they were the last ones."""
    from rich.console import Console  # nobody needs it who draws nothing
    from rich.live import Live
    from rich.text import Text

    console = Console(file=terminal.stream, no_color=not terminal.has_colour, highlight=False)
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:

        async def look() -> bool:
            lines, is_last = await draw()
            live.update(
                Text.from_ansi(terminal.to_encodable("\n".join(lines)), no_wrap=True, overflow="ellipsis"), refresh=True
            )
            return is_last

        await look_again(look, news)
