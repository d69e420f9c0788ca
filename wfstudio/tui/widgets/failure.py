"""What an action failed of: slug, message, where, fix and page, as every face shows them."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Label, Static

from wfstudio.text.printable import printable_lines


class FailureScreen(ModalScreen[None]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,enter,q", "dismiss", "Close", id="failure.close"),
    ]
    DEFAULT_CSS = """
    FailureScreen {
        align: center middle;
    }
    FailureScreen > VerticalScroll {
        width: 80%;
        max-width: 100;
        height: auto;
        max-height: 80%;
        border: round $error;
        background: $surface;
        padding: 0 1;
    }
    FailureScreen Static, FailureScreen Label {
        width: 100%;
    }
    FailureScreen .hint {
        color: $text-muted;
        margin-top: 1;
    }
    """

    def __init__(self, text: str) -> None:
        super().__init__()
        self._text = printable_lines(text)

    def compose(self) -> ComposeResult:
        with VerticalScroll() as box:
            box.border_title = "it was not done"
            yield Static(Text(self._text))
            yield Label("esc closes", classes="hint")

    async def action_dismiss(self, result: None = None) -> None:
        self.dismiss()
