"""The tab line: which of several things a pane shows, in one line; a number or a click chooses."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual import events
from textual.message import Message
from textual.reactive import reactive
from textual.widget import Widget


class TabLine(Widget):
    DEFAULT_CSS = """
    TabLine {
        height: 1;
        color: $text-muted;
        background: $background;
        padding: 0 1;
    }
    """

    active: reactive[str] = reactive("")
    note: reactive[str] = reactive("")

    class Chosen(Message):
        """A tab was clicked on."""

        def __init__(self, name: str) -> None:
            super().__init__()
            self.tab = name

    def __init__(self, names: Sequence[str], *, id: str | None = None) -> None:
        super().__init__(id=id)
        self._tabs = list(names)
        self.set_reactive(TabLine.active, self._tabs[0])

    def on_click(self, event: events.Click) -> None:
        place = 1
        for number, name in enumerate(self._tabs, 1):
            width = len(f"{number} {name}")
            if place <= event.x < place + width:
                self.post_message(self.Chosen(name))
            place += width + 2

    def render(self) -> Text:
        colours = self.app.theme_variables
        line = Text(no_wrap=True, end="")
        for number, name in enumerate(self._tabs, 1):
            line.append(f"{number} ", style=colours["secondary"])
            is_active = name == self.active
            line.append(name, style=f"bold underline {colours['primary']}" if is_active else "")
            line.append("  ")
        room = self.content_size.width - line.cell_len
        if self.note and room > len(self.note):
            line.append(" " * (room - len(self.note)))
            line.append(self.note, style=colours["warning"])
        return line
