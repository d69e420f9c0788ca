"""The grid: rows in columns, of which only those in sight are ever drawn.

    grid = Grid([Column("run", 30), Column("workflow", 12, share=1)], rows)
    rows: anything with a length and `cells(index)`; a cell is a text, or a text and a style

1. Its cost follows the lines in sight, never the rows: a million may change ten times a second.
2. Rows stay under the pointer: `refresh_rows(cursor=…)` moves what is shown with the row that is chosen.
3. What a cell holds is a user's: it is made harmless here, at the one place where it is drawn.

Textual's DataTable measures every row (36 s for 100 000), and textual-fastdatatable keeps them in Arrow tables: a
changed cell costs it 30 ms, a row cannot be put in front, and importing pyarrow takes longer than the first paint may.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import Binding, BindingType
from textual.geometry import Region, Size
from textual.message import Message
from textual.strip import Strip

from wfstudio.text.printable import printable
from wfstudio.tui.columns import GAP, Column, share_width
from wfstudio.tui.widgets.cursor_list import CursorList, cursor_keys

Cell = str | tuple[str, str]
"""A text, or a text with a style: a colour of the theme (`success`, `error`, …), or what rich calls a style."""

LONGEST: Final = 1_000
"""Characters of a cell that are looked at: nothing wider is ever seen."""


class Rows(Protocol):
    def __len__(self) -> int: ...

    def cells(self, index: int) -> Sequence[Cell]:
        """Give a row's cells, one a column."""


class NoRows:
    def __len__(self) -> int:
        return 0

    def cells(self, index: int) -> Sequence[Cell]:
        raise IndexError(index)


class Grid(CursorList, can_focus=True):
    BINDINGS: ClassVar[list[BindingType]] = [
        *cursor_keys("grid"),
        Binding("left", "sideways(-8)", "Left", show=False, id="grid.left"),
        Binding("right", "sideways(8)", "Right", show=False, id="grid.right"),
        Binding("enter", "choose", "Open", show=False, id="grid.choose"),
    ]
    DEFAULT_CSS = """
    Grid {
        overflow-x: auto;
    }
    """
    lines_above = 1

    class Highlighted(Message):
        """Another row is under the cursor; `index` is −1 where there is none."""

        def __init__(self, grid: Grid, index: int) -> None:
            super().__init__()
            self.grid = grid
            self.index = index

        @property
        def control(self) -> Grid:
            return self.grid

    class Chosen(Message):
        """A row was opened: with Enter, or by clicking on the row under the cursor."""

        def __init__(self, grid: Grid, index: int) -> None:
            super().__init__()
            self.grid = grid
            self.index = index

        @property
        def control(self) -> Grid:
            return self.grid

    def __init__(
        self,
        columns: Sequence[Column] = (),
        rows: Rows | None = None,
        *,
        id: str | None = None,
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self.columns = list(columns)
        self.rows: Rows = NoRows() if rows is None else rows
        self.widths: list[int] = []  # as they are shown: 0, there is no room for it
        self._measured = -1
        self._drawn: dict[int, tuple[Sequence[Cell] | None, bool]] = {}  # what each line showed last
        self._styles: dict[str, Style] = {}  # by name; composing one anew takes longer than drawing a line with it

    # -- what is shown

    def __len__(self) -> int:
        return len(self.rows)

    def show(self, columns: Sequence[Column], rows: Rows) -> None:
        """Show other rows in other columns, from the first one on."""
        self.columns, self.rows = list(columns), rows
        self._measured = -1
        self.scroll_to(0, 0, animate=False)
        self.set_reactive(Grid.cursor, 0)
        self.refresh_rows()
        self.refresh()  # the titles, too
        self.post_message(self.Highlighted(self, 0 if len(rows) else -1))

    def refresh_rows(self, cursor: int | None = None) -> None:
        """Draw the rows anew, since they changed; `cursor` is where the row under the cursor is now.

        The line on which it is drawn stays, unless the first row is under the cursor: then it is the newest that
        one wants to see. Where the row is gone, the next one takes its place.
        """
        count = len(self.rows)
        before = self.cursor
        now = max(0, min(before if cursor is None else cursor, count - 1))
        shift = now - before
        self.set_reactive(Grid.cursor, now)
        self._measure()
        if shift and self.is_mounted:
            self.set_reactive(Grid.scroll_y, max(0.0, min(self.scroll_y + shift, float(self.max_scroll_y))))
            self.scroll_target_y = self.scroll_y
            self.vertical_scrollbar.position = self.scroll_y
        self.refresh_changed()

    def refresh_changed(self) -> None:
        """Draw those lines anew that are not what they were: textual takes a fifth of a millisecond for each."""
        changed = [y for y in range(1, self.scrollable_content_region.height) if self._look_at(y) != self._drawn.get(y)]
        if 2 * len(changed) > len(self._drawn):
            self.refresh()
            return
        for y in changed:
            self.refresh(Region(0, y, self.size.width, 1))

    def _measure(self) -> None:
        width = self.scrollable_content_region.width
        if width != self._measured and width > 0:
            self.widths, self._measured = share_width(self.columns, width), width
        shown = [width for width in self.widths if width]
        whole = sum(shown) + GAP * max(0, len(shown) - 1)
        self.set_extent(Size(max(whole, 1), len(self.rows) + 1))

    def on_resize(self, event: events.Resize) -> None:
        self._drawn.clear()
        self._measure()
        self.reveal()
        self.refresh()

    # -- moving

    def watch_cursor(self, before: int, now: int) -> None:
        if self.reveal():
            self.refresh()
        else:
            self.refresh_line(before + 1)
            self.refresh_line(now + 1)
        self.post_message(self.Highlighted(self, now if len(self.rows) else -1))

    def action_sideways(self, cells: int) -> None:
        self.scroll_to(x=self.scroll_x + cells, animate=False)

    def action_choose(self) -> None:
        if len(self.rows):
            self.post_message(self.Chosen(self, self.cursor))

    def on_click(self, event: events.Click) -> None:
        place = event.get_content_offset(self)
        index = -1 if place is None else round(self.scroll_y) + place.y - 1
        if place is None or place.y < 1 or not 0 <= index < len(self.rows):
            return
        if index == self.cursor and event.chain >= 2:
            self.post_message(self.Chosen(self, index))
        self.cursor = index

    # -- drawing

    def render_line(self, y: int) -> Strip:
        width = self.scrollable_content_region.width
        if y == 0:
            style = self.get_component_rich_style("list--title")
            return self._fit(self._draw([column.title for column in self.columns], style), width, style)
        style = self._style("")
        self._drawn[y] = cells, is_chosen = self._look_at(y)
        if cells is None:
            return Strip.blank(width, style)
        if is_chosen:
            style = self.cursor_style()
        return self._fit(self._draw(cells, style), width, style)

    def _look_at(self, y: int) -> tuple[Sequence[Cell] | None, bool]:
        """Give what a line shows: its cells, if it has a row, and whether that is under the cursor."""
        index = round(self.scroll_y) + y - 1
        return (self.rows.cells(index), index == self.cursor) if index < len(self.rows) else (None, False)

    def _draw(self, cells: Sequence[Cell], style: Style) -> list[Segment]:
        segments: list[Segment] = []
        for column, width, cell in zip(self.columns, self.widths, cells, strict=False):
            if not width:
                continue
            if segments:
                segments.append(Segment(" " * GAP, style))
            text, name = (cell, "") if isinstance(cell, str) else cell
            drawn = fit(text, width, column.align)
            segments.append(Segment(drawn, style + self._style(name) if name else style))
        return segments

    def notify_style_update(self) -> None:
        super().notify_style_update()
        self._styles.clear()

    def _style(self, name: str) -> Style:
        """Give the style of a cell by its name; "" is the grid's own."""
        found = self._styles.get(name)
        if found is None:
            parsed = Style.parse(self.app.theme_variables.get(name, name)) if name else self.rich_style
            found = self._styles[name] = parsed
        return found

    def _fit(self, segments: list[Segment], width: int, style: Style) -> Strip:
        left = round(self.scroll_x)
        return Strip(segments).crop_extend(left, left + width, style)


def fit(text: str, width: int, align: str = "left") -> str:
    """Give a user's text in exactly so many cells, made harmless, cut with an ellipsis."""
    safe = printable(text[:LONGEST])
    length = cell_len(safe)
    if length > width:
        return set_cell_size(safe, width - 1) + "…"
    return " " * (width - length) + safe if align == "right" else safe + " " * (width - length)
