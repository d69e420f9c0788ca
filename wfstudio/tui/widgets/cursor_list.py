"""Lists with a cursor: the keys that move it, how it looks, and that it stays in sight. A widget is made of it.

    class Names(CursorList, can_focus=True):
        BINDINGS = [*cursor_keys("names"), …]
        lines_above = 1                     # a title that stays where it is
        def __len__(self): …
        def watch_cursor(self): self.reveal() …

It is a base with one parent, and not a mixin beside `ScrollView`: textual looks for styles, keys and component classes
along the first widget that a class derives from, so that those of a second one are lost.
"""

from __future__ import annotations

from typing import ClassVar

from rich.style import Style
from textual.binding import Binding
from textual.geometry import Size
from textual.reactive import reactive
from textual.scroll_view import ScrollView


def cursor_keys(name: str) -> list[Binding]:
    """Give the keys that move a cursor; `name` is what the ids of their actions begin with."""
    return [
        Binding("up,k", "move(-1)", "Up", show=False, id=f"{name}.up"),
        Binding("down,j", "move(1)", "Down", show=False, id=f"{name}.down"),
        Binding("pageup,ctrl+b", "page(-1)", "Page up", show=False, id=f"{name}.page_up"),
        Binding("pagedown,ctrl+f", "page(1)", "Page down", show=False, id=f"{name}.page_down"),
        Binding("home,g", "first", "First", show=False, id=f"{name}.first"),
        Binding("end,G", "last", "Last", show=False, id=f"{name}.last"),
    ]


class CursorList(ScrollView, inherit_bindings=False):
    """See the top of this module. `cursor` is the row that it is on; 0 where there is none."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"list--title", "list--cursor"}
    DEFAULT_CSS = """
    CursorList {
        background: $background;
        color: $foreground;
        overflow-x: hidden;
        overflow-y: scroll;
        scrollbar-size: 1 1;
    }
    CursorList > .list--title {
        background: $surface;
        color: $text-muted;
    }
    CursorList > .list--cursor {
        background: $block-cursor-blurred-background;
    }
    CursorList:focus > .list--cursor {
        background: $block-cursor-background;
        text-style: bold;
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)

    lines_above = 0
    """Lines on top that do not scroll."""

    # -- what a list gives

    def __len__(self) -> int:
        """Give how many rows there are."""
        raise NotImplementedError

    @property
    def lines_below(self) -> int:
        """Lines at the bottom that do not scroll."""
        return 0

    def line_of(self, index: int) -> int:
        """Give the line of a row, of all lines that scroll."""
        return index

    def go(self, index: int) -> None:
        """Go to a row, because somebody wants to."""
        self.cursor = index

    # -- what it has

    def __bool__(self) -> bool:  # a widget is there, also without any rows
        return True

    @property
    def room(self) -> int:
        """How many lines that scroll are in sight."""
        return max(1, self.scrollable_content_region.height - self.lines_above - self.lines_below)

    def validate_cursor(self, value: int) -> int:
        return max(0, min(value, len(self) - 1))

    def set_extent(self, size: Size) -> None:
        """Say how large all of it is, with what does not scroll.

        More rows move nothing but the scrollbar, which is there in any case; textual would lay the whole screen out
        anew and draw all of it.
        """
        if size.width != self.virtual_size.width:
            self.virtual_size = size
        elif size != self.virtual_size:
            self.set_reactive(CursorList.virtual_size, size)
            self._scroll_update(size)

    def reveal(self) -> bool:
        """Scroll as far as it takes to have the cursor in sight; tell whether it was out of it."""
        line, top = self.line_of(self.cursor), round(self.scroll_y)
        if top <= line < top + self.room:
            return False
        # At once: else a frame without the cursor comes first, and the one that was waited for after it.
        self.scroll_to(y=line if line < top else line - self.room + 1, animate=False, immediate=True)
        return True

    def cursor_style(self) -> Style:
        """Give the look of the row under the cursor; without colours it is reversed."""
        style = self.get_component_rich_style("list--cursor")
        return self.rich_style + Style(reverse=True) if self.app.no_color and self.has_focus else style

    # -- moving

    def action_move(self, by: int) -> None:
        self.go(self.cursor + by)

    def action_page(self, pages: int) -> None:
        self.go(self.cursor + pages * max(1, self.room - 1))

    def action_first(self) -> None:
        self.go(0)

    def action_last(self) -> None:
        self.go(len(self) - 1)
