"""The detail: room for the pane of what is chosen in a list, for what is said where nothing is."""

from __future__ import annotations

import asyncio
from typing import Final

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from wfstudio.text.printable import printable
from wfstudio.tui.widgets.form_pane import Draw, FormPane

SETTLE_SECONDS: Final = 0.06


class Detail(Container):
    DEFAULT_CSS = """
    Detail {
        height: 1fr;
    }
    Detail > FormPane {
        height: 1fr;
    }
    Detail > .gone {
        dock: top;
        height: auto;
        padding: 0 1;
        background: $warning 20%;
        color: $foreground;
        display: none;
    }
    Detail > .gone.-told {
        display: block;
    }
    """

    def __init__(self) -> None:
        super().__init__()
        self._is_expecting = False
        self._is_wanted = False

    def compose(self) -> ComposeResult:
        yield Static("", classes="gone", markup=False)

    @property
    def pane(self) -> FormPane | None:
        found = self.query(FormPane)
        return found.last() if found else None

    def expect(self) -> None:
        """Hear that another pane is to come."""
        self._is_expecting = True

    async def settle(self) -> None:
        """Wait a moment: who goes through a list does not want a form for each."""
        if self.pane is not None:
            await asyncio.sleep(SETTLE_SECONDS)

    def enter(self) -> None:
        """Give the keys to the pane; where another one is to come, to that one, once it is there."""
        if self._is_expecting:
            self._is_wanted = True
        elif self.pane is not None:
            self.pane.enter()

    async def show(self, pane: FormPane) -> None:
        """Show a pane instead of the one that is there."""
        has_keys = self.has_focus_within or self._is_wanted
        self.query_one(".gone").remove_class("-told")
        with self.app.batch_update():
            await self.query(FormPane).remove()
            await self.mount(pane)
        self._is_expecting = self._is_wanted = False
        if has_keys:
            pane.enter()

    async def show_nothing(self, draw: Draw) -> None:
        """Say why there is nothing."""
        await self.show(FormPane(draw, None, title="", verb="", write=lambda value, id: ()))

    def say_gone(self, text: str) -> None:
        """Say over what is shown that it is there no more."""
        gone = self.query_one(".gone", Static)
        gone.update(printable(text))
        gone.add_class("-told")
