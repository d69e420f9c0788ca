"""The sheet: lines that a pen drew, to be scrolled through; only those in sight are painted.

    sheet.present(lambda pen: draw_moment(pen, view))

What is presented is drawn again when the width changes. Text on it can be marked with the mouse and copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import ClassVar

from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.selection import Selection
from textual.strip import Strip

from wfstudio.text.pen import Pen
from wfstudio.tui import clock
from wfstudio.tui.inks import Inks

Draw = Callable[[Pen], Sequence[str]]
_MARK = re.compile(r"\x1b\[[\d;]*m")


class Sheet(ScrollView, can_focus=True, inherit_bindings=False):
    HELP = "What is known, to be read. Text that is marked with the mouse is copied by ctrl+c."
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("up,k", "scroll_up", "Up", show=False, id="sheet.up"),
        Binding("down,j", "scroll_down", "Down", show=False, id="sheet.down"),
        Binding("pageup,ctrl+b", "page_up", "Page up", show=False, id="sheet.page_up"),
        Binding("pagedown,ctrl+f", "page_down", "Page down", show=False, id="sheet.page_down"),
        Binding("home,g", "scroll_home", "First", show=False, id="sheet.first"),
        Binding("end,G", "scroll_end", "Last", show=False, id="sheet.last"),
    ]
    DEFAULT_CSS = """
    Sheet {
        background: $background;
        color: $foreground;
        padding: 0 1;
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;  /* else the bar, once it is needed, lies over the last cell of what is drawn */
        scrollbar-size: 1 1;
    }
    """

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:
        super().__init__(id=id, classes=classes)
        self._draw: Draw | None = None
        self._drawn_width = 0
        self._inks: Inks | None = None
        self.lines: list[str] = []

    # -- what is shown

    def present(self, draw: Draw, *, is_same: bool = False) -> None:
        """Show other lines, from the first one on; of what `is_same` as before, from where it was scrolled to."""
        self._draw = draw
        self._redraw()
        if not is_same:
            self.scroll_to(0, 0, animate=False, immediate=True)

    def _redraw(self) -> None:
        width = self.scrollable_content_region.width
        if self._draw is None or width <= 0:
            return
        self._drawn_width = width
        self.lines = list(self._draw(self.make_pen(width)))
        self.virtual_size = Size(width, len(self.lines))
        self.refresh()

    def make_pen(self, width: int) -> Pen:
        return Pen(width=width, now=clock.now())

    def on_resize(self, event: events.Resize) -> None:
        if self.scrollable_content_region.width != self._drawn_width:
            self._redraw()

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._inks = None

    # -- marking text

    @property
    def allow_select(self) -> bool:
        return True

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        text = "\n".join(_MARK.sub("", line) for line in self.lines)
        return selection.extract(text), "\n"

    def selection_updated(self, selection: Selection | None) -> None:
        self.refresh()

    # -- drawing

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        index = round(self.scroll_y) + y
        if self._inks is None:
            self._inks = Inks(self.app.theme_variables, self.rich_style)
        if index >= len(self.lines):
            return Strip.blank(width, self.rich_style)
        line = self.lines[index]
        selection = self.text_selection
        span = None if selection is None else selection.get_span(index)
        if span is None:
            return self._inks.to_strip(line, width).apply_offsets(0, index)
        text = self._inks.to_text(line)
        start, end = span
        style = self.screen.get_component_rich_style("screen--selection")
        text.stylize(style, start, len(text) if end == -1 else end)
        strip = Strip(text.render(self.app.console)).crop_extend(0, width, self.rich_style)
        return strip.apply_offsets(0, index)
