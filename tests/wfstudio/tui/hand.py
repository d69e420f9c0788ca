"""The hand that works the terminal studio in tests, and the eye that reads it.

async with open_tui(client) as tui:
    await tui.press("j", "enter")
    await tui.until_shown("greet")
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Final

from textual.pilot import Pilot

from tests.wfstudio.tui.stage import SMALL, read_screen, until
from wfstudio.core.client import Client
from wfstudio.tui.app import StudioApp
from wfstudio.tui.attachment import Attachment
from wfstudio.tui.preferences import Preferences

PATIENCE_SECONDS: Final = 20.0
_KEYS: Final = {" ": "space", ":": "colon", "/": "slash", "!": "exclamation_mark", "?": "question_mark"}


class Tui:
    def __init__(self, app: StudioApp, pilot: Pilot[None]) -> None:
        self.app = app
        self.pilot = pilot

    @property
    def text(self) -> str:
        """What is shown, as a reader sees it."""
        return read_screen(self.app)

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self.text.split("\n")]

    @property
    def said(self) -> list[str]:
        """What was said in passing and is still there to be read."""
        return [notification.message for notification in self.app._notifications]

    async def press(self, *keys: str) -> None:
        await self.pilot.press(*keys)

    async def type(self, text: str) -> None:
        await self.pilot.press(*[_KEYS.get(letter, letter) for letter in text])

    async def until(self, holds: Callable[[], object]) -> None:
        await until(self.pilot, holds, PATIENCE_SECONDS)

    async def until_shown(self, *parts: str) -> None:
        await self.until(lambda: all(part in self.text for part in parts))


@asynccontextmanager
async def open_tui(
    client: Client, size: tuple[int, int] = SMALL, *, preferences: Preferences | None = None, **attached: Any
) -> AsyncIterator[Tui]:
    """Open the application over a client's world."""
    attachment = Attachment(client, client.session.settings, **attached)
    app = StudioApp(attachment, preferences or Preferences())
    app.NOTIFICATION_TIMEOUT = 2 * PATIENCE_SECONDS  # who waits for something else first must still find what was said
    async with app.run_test(size=size) as pilot:
        yield Tui(app, pilot)
