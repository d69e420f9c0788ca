"""Jump mode: a letter over everything that can be focused; pressing it goes there.

The letters are drawn over the screen as it is, so that nothing moves under one's eyes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.geometry import Offset
from textual.screen import ModalScreen, Screen
from textual.widget import Widget
from textual.widgets import Label

LETTERS: Final = "asdfghjklqwertyuiopzxcvbnm"


class JumpScreen(ModalScreen["Widget | None"]):
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,ctrl+o", "dismiss(None)", "Stay", id="jump.stay"),
    ]
    DEFAULT_CSS = """
    JumpScreen {
        background: transparent;
    }
    JumpScreen Label {
        width: auto;
        height: 1;
        padding: 0 1;
        background: $primary;
        color: $background;
        text-style: bold;
        position: absolute;
    }
    """

    def __init__(self, targets: Sequence[tuple[str, Widget]]) -> None:
        super().__init__()
        self._targets = targets

    def compose(self) -> ComposeResult:
        for letter, widget in self._targets:
            label = Label(letter, markup=False)
            label.styles.offset = widget.region.offset + Offset(1 if widget.region.width > 4 else 0, 0)
            yield label

    def on_key(self, event: events.Key) -> None:
        widget = next((widget for letter, widget in self._targets if letter == event.character), None)
        if widget is not None:
            event.stop()
            self.dismiss(widget)

    def on_click(self) -> None:
        self.dismiss(None)


def find_targets(screen: Screen[Any]) -> list[tuple[str, Widget]]:
    """Give a letter to everything in sight that can be focused, in reading order."""
    seen = [widget for widget in screen.focus_chain if widget.region.area and screen.region.overlaps(widget.region)]
    seen.sort(key=lambda widget: (widget.region.y, widget.region.x))
    return list(zip(LETTERS, seen, strict=False))
