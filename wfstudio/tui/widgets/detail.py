"""The detail: room for the pane of what is chosen in a list, for what is said where nothing is."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Container
from textual.widgets import Static

from wfstudio.text.printable import printable
from wfstudio.tui.widgets.form_pane import Draw, FormPane


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

    def compose(self) -> ComposeResult:
        yield Static("", classes="gone", markup=False)

    @property
    def pane(self) -> FormPane | None:
        found = self.query(FormPane)
        return found.last() if found else None

    @property
    def is_gone(self) -> bool:
        return self.query_one(".gone").has_class("-told")

    async def show(self, pane: FormPane) -> None:
        """Show a pane instead of the one that is there."""
        had_focus = self.has_focus_within
        self.query_one(".gone").remove_class("-told")
        with self.app.batch_update():
            await self.query(FormPane).remove()
            await self.mount(pane)
        if had_focus:
            pane.enter()

    async def show_nothing(self, draw: Draw) -> None:
        """Say why there is nothing."""
        await self.show(FormPane(draw, None, title="", verb="", write=lambda value, id: ()))

    def say_gone(self, text: str) -> None:
        """Say over what is shown that it is there no more."""
        gone = self.query_one(".gone", Static)
        gone.update(printable(text))
        gone.add_class("-told")
