"""The headline: where one is, and what the studio is attached to; one line, at the top of every screen."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.reactive import reactive
from textual.widget import Widget

from wfstudio.text.printable import printable


class Headline(Widget):
    DEFAULT_CSS = """
    Headline {
        dock: top;
        height: 1;
        background: $panel;
        color: $foreground;
    }
    """

    crumbs: reactive[tuple[str, ...]] = reactive((), layout=False)
    label: reactive[str] = reactive("", layout=False)
    short_label: reactive[str] = reactive("", layout=False)
    is_well: reactive[bool] = reactive(True, layout=False)
    note: reactive[str] = reactive("", layout=False)

    def show(self, crumbs: Sequence[str], label: str, short_label: str, *, is_well: bool, note: str) -> None:
        """Say where one is; `note` is what of it is shown, a filter for instance."""
        self.crumbs = tuple(printable(crumb) for crumb in crumbs)
        self.label, self.short_label, self.is_well, self.note = printable(label), short_label, is_well, printable(note)

    def render(self) -> Text:
        width = self.size.width
        colours = self.app.theme_variables
        line = Text(no_wrap=True, end="")
        line.append(" wf ", style=f"bold {colours['background']} on {colours['primary']}")
        for index, crumb in enumerate(self.crumbs):
            line.append(" › " if index else " ", style=colours["secondary"])
            line.append(crumb, style="bold" if index == len(self.crumbs) - 1 else "")
        if self.note:
            line.append(f"  {self.note}", style=colours["warning"])
        room = width - line.cell_len - 2
        label = self.label if len(self.label) <= room else self.short_label
        if len(label) > room:
            line.truncate(max(0, width - len(label) - 2), overflow="ellipsis")
            room = width - line.cell_len - 2
        line.append(" " * max(1, room - len(label) + 1))
        line.append(label, style=colours["success" if self.is_well else "warning"])
        line.append(" ")
        return line
