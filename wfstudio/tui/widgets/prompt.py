"""The prompt: one line to type in, above the keys: after `:` where to go, after `/` what to list."""

from __future__ import annotations

from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal
from textual.message import Message
from textual.suggester import SuggestFromList
from textual.widgets import Input, Static

from wfstudio.text.printable import printable
from wfstudio.tui.resources import RESOURCES
from wfstudio.tui.widgets.ordered_keys import TextLine

GO = ":"
FILTER = "/"


class Line(TextLine):
    HELP = "Type, then Enter. Esc takes it back; right or Tab takes what is suggested."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "give_up", "Take back", id="prompt.give_up"),
        Binding("enter", "submit", "Take it", id="prompt.take"),
        Binding("tab", "cursor_right", "Complete", show=False, id="prompt.complete"),
    ]

    def action_give_up(self) -> None:
        self.post_message(Prompt.GivenUp())


class Prompt(Horizontal):
    DEFAULT_CSS = """
    Prompt {
        height: 1;
        display: none;
        background: $surface;
    }
    Prompt.-open {
        display: block;
    }
    Prompt Static {
        width: auto;
        height: 1;
    }
    Prompt #prompt-sign {
        color: $primary;
        text-style: bold;
        padding: 0 0 0 1;
    }
    Prompt #prompt-complaint {
        color: $error;
        padding: 0 1;
    }
    Prompt Line, Prompt Line:focus {
        width: 1fr;
        height: 1;
        border: none;
        padding: 0;
        background: $surface;
    }
    """

    class Typed(Message):
        """The text changed."""

        def __init__(self, sign: str, text: str) -> None:
            super().__init__()
            self.sign = sign
            self.text = text

    class Taken(Typed):
        """It is meant: Enter was pressed."""

    class GivenUp(Message):
        """It is taken back: Esc was pressed."""

    def __init__(self) -> None:
        super().__init__()
        self.sign = GO

    def compose(self) -> ComposeResult:
        yield Static("", id="prompt-sign", markup=False)
        yield Line(compact=True, select_on_focus=False, disabled=True)
        yield Static("", id="prompt-complaint", markup=False)

    @property
    def is_open(self) -> bool:
        return self.has_class("-open")

    # -- verbs

    def open(self, sign: str, text: str = "") -> None:
        """Ask for a line."""
        self.sign = sign
        line = self.query_one(Line)
        line.suggester = SuggestFromList(list(RESOURCES), case_sensitive=False) if sign == GO else None
        with self.prevent(Input.Changed):
            line.value = text
        line.cursor_position = len(text)
        self.query_one("#prompt-sign", Static).update(sign)
        self.complain("")
        self.add_class("-open")
        line.disabled = False
        self.screen.set_focus(line)  # now, and not in a moment: the next key is for it

    def close(self) -> None:
        self.remove_class("-open")
        self.query_one(Line).disabled = True  # else Tab would lead there

    def complain(self, text: str) -> None:
        """Say what is wrong with what was typed so far; nothing takes it back."""
        self.query_one("#prompt-complaint", Static).update(printable(text))

    # -- what the line says

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.post_message(self.Typed(self.sign, event.value))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        self.post_message(self.Taken(self.sign, event.value))
