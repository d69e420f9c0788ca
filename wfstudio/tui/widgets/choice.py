"""Two small controls of forms, a line each: a choice among some, and a tick.

Textual's Select is four widgets and an overlay, its Checkbox three cells of colour: a form has dozens of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.content import Content
from textual.message import Message
from textual.reactive import reactive
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import OptionList
from textual.widgets.option_list import Option

from wfstudio.text.printable import printable


class Choice(Widget, can_focus=True):
    """One of some values. Left and right go to the next one, Enter lists all of them."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("right,space", "turn(1)", "Next", show=False, id="choice.next"),
        Binding("left", "turn(-1)", "Before", show=False, id="choice.before"),
        Binding("enter", "list", "List", show=False, id="choice.list"),
    ]
    DEFAULT_CSS = """
    Choice {
        width: auto;
        height: 1;
        color: $foreground;
    }
    Choice:focus {
        background: $block-cursor-background;
        text-style: bold;
    }
    """

    index: reactive[int] = reactive(0, layout=True)

    class Changed(Message):
        def __init__(self, choice: Choice, index: int) -> None:
            super().__init__()
            self.choice = choice
            self.index = index

        @property
        def control(self) -> Choice:
            return self.choice

    def __init__(self, options: Sequence[str], index: int = 0, *, prompt: str = "", id: str | None = None) -> None:
        """`prompt` is shown instead of what is chosen, where a choice is an act and no state."""
        super().__init__(id=id)
        self._options = [printable(option) for option in options]
        self._prompt = prompt
        self.set_reactive(Choice.index, index)

    def watch_index(self) -> None:
        self.post_message(self.Changed(self, self.index))

    def on_click(self, event: events.Click) -> None:
        self.focus()
        self.action_list()

    def action_turn(self, by: int) -> None:
        if self._prompt:
            self.action_list()
        else:
            self.index = (self.index + by) % len(self._options)

    def action_list(self) -> None:
        def choose(index: int | None) -> None:
            if index is None:
                return
            if index == self.index:
                self.post_message(self.Changed(self, index))
            self.index = index

        self.app.push_screen(ChoiceScreen(self._options, self.index), choose)

    def render(self) -> Text:
        text = self._prompt or self._options[self.index]
        line = Text("‹ ", style="dim", no_wrap=True, overflow="ellipsis")
        return line.append(text, style="not dim").append(" ›")


class ChoiceScreen(ModalScreen["int | None"]):
    """All that there is to choose from."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "As it was", id="choice.leave"),
    ]
    DEFAULT_CSS = """
    ChoiceScreen {
        align: center middle;
    }
    ChoiceScreen OptionList {
        width: auto;
        min-width: 24;
        max-width: 90%;
        height: auto;
        max-height: 80%;
        border: round $primary;
        background: $surface;
    }
    """

    def __init__(self, options: Sequence[str], index: int) -> None:
        super().__init__()
        self._options = options
        self._index = index

    def compose(self) -> ComposeResult:
        yield OptionList(*(Option(Content(option)) for option in self._options), markup=False)

    def on_mount(self) -> None:
        self.query_one(OptionList).highlighted = self._index

    def on_option_list_option_selected(self, event: OptionList.OptionSelected) -> None:
        self.dismiss(event.option_index)


class Tick(Widget, can_focus=True):
    """Yes or no. Space turns it over."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space,enter", "turn", "Turn over", show=False, id="tick.turn"),
    ]
    DEFAULT_CSS = """
    Tick {
        width: auto;
        height: 1;
        color: $foreground;
    }
    Tick:focus {
        background: $block-cursor-background;
        text-style: bold;
    }
    """

    is_on: reactive[bool] = reactive(False, layout=True)

    class Changed(Message):
        def __init__(self, tick: Tick, is_on: bool) -> None:
            super().__init__()
            self.tick = tick
            self.is_on = is_on

        @property
        def control(self) -> Tick:
            return self.tick

    def __init__(self, is_on: bool = False, *, words: tuple[str, str] = ("", ""), id: str | None = None) -> None:
        """`words` are said of it when it is off, and when it is on."""
        super().__init__(id=id)
        self._words = words
        self.set_reactive(Tick.is_on, is_on)

    def watch_is_on(self) -> None:
        self.post_message(self.Changed(self, self.is_on))

    def on_click(self) -> None:
        self.focus()
        self.action_turn()

    def action_turn(self) -> None:
        self.is_on = not self.is_on

    def render(self) -> Text:
        word = self._words[self.is_on]
        return Text(f"[{'x' if self.is_on else ' '}]{' ' if word else ''}{word}", no_wrap=True)
