"""Consent: what is about to be done, with the command that does the same; Enter does it, Esc does not."""

from __future__ import annotations

from typing import ClassVar

from rich.text import Text
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widgets import Button, Static

from wfstudio.text.printable import printable


class ConsentScreen(ModalScreen[bool]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,n", "dismiss(False)", "Don't", id="consent.refuse"),
        Binding("y", "dismiss(True)", "Do it", id="consent.agree"),
        Binding("left,right,h,l", "app.focus_next", "Other button", show=False, id="consent.other"),
    ]
    DEFAULT_CSS = """
    ConsentScreen {
        align: center middle;
    }
    ConsentScreen > Vertical {
        width: 80%;
        max-width: 84;
        height: auto;
        border: round $warning;
        background: $surface;
        padding: 0 1;
    }
    ConsentScreen Static {
        width: 100%;
        margin-bottom: 1;
    }
    ConsentScreen #consent-command {
        color: $text-muted;
    }
    ConsentScreen Horizontal {
        height: 1;
        align-horizontal: right;
    }
    ConsentScreen Button {
        margin-left: 2;
    }
    """

    def __init__(self, question: str, command: str, verb: str = "Do it") -> None:
        super().__init__()
        self._question = question
        self._command = command
        self._verb = verb

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(Text(printable(self._question)))
            yield Static(Text(printable(self._command)), id="consent-command")
            with Horizontal():
                yield Button(f"{self._verb} (y)", id="consent-yes", variant="warning", compact=True)
                yield Button("Don't (esc)", id="consent-no", compact=True)

    def on_button_pressed(self, event: Button.Pressed) -> None:
        self.dismiss(event.button.id == "consent-yes")
