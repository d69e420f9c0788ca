"""The terminal studio for tests: a real app over a small world, driven by keys, read as text."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec
from textual.app import App
from textual.pilot import Pilot

from wfstudio.core.client import Client
from wfstudio.tui.app import StudioApp
from wfstudio.tui.attachment import Attachment

SMALL = (80, 24)
LARGE = (160, 50)


@asynccontextmanager
async def open_app(
    client: Client, resource: str, size: tuple[int, int] = SMALL, root: Path | None = None
) -> AsyncIterator[Pilot[None]]:
    """Open the studio on one of its screens. `root` is the project's folder, where queries are kept."""
    settings = client.session.settings
    if root is not None:
        settings = msgspec.structs.replace(settings, root=root)
    app = StudioApp(Attachment(client, settings))
    async with app.run_test(size=size, notifications=True) as pilot:
        await app.switch(resource)
        await pilot.pause()
        yield pilot


def read_screen(app: App[None]) -> str:
    """Give what is on the screen, a line a line."""
    return "\n".join("".join(segment.text for segment in strip) for strip in app.screen._compositor.render_strips())


async def until(pilot: Pilot[None], look: Callable[[], object], seconds: float = 20) -> None:
    """Wait until something holds; else show what there is."""
    try:
        async with asyncio.timeout(seconds):
            while not look():
                await pilot.pause(0.01)
    except TimeoutError:
        raise AssertionError(f"it did not come to that; there is:\n{read_screen(pilot.app)}") from None


async def until_shown(pilot: Pilot[None], *texts: str) -> str:
    """Wait until all texts are on the screen, and give it."""
    await until(pilot, lambda: all(text in read_screen(pilot.app) for text in texts))
    return read_screen(pilot.app)


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Type a text, letter by letter."""
    names = {" ": "space", "\n": "enter"}
    await pilot.press(*(names.get(letter, letter) for letter in text))
