"""Results of SQL: the rows of an answer as a grid shows them, and what is said of them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice
from typing import Final

import msgspec

from wfstudio.history.formats import FLOATS, is_number, round_float
from wfstudio.history.wire import Column, Done
from wfstudio.text.moments import show_ms
from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, printable_lines, to_json
from wfstudio.text.widths import cell_width, fit, wrap
from wfstudio.tui.columns import Column as GridColumn

ROWS: Final = 10_000
"""Rows that are shown at most, as in the browser; files have all."""
BYTES: Final = 32 << 20
WIDEST: Final = 48
"""Cells of a column; a longer value is seen whole when its row is opened."""
_MEASURED: Final = 1_000
_MOST_LINES: Final = 2_000
_NULL: Final = ("NULL", "dim")

Row = Sequence[str | None]
"""The text of each value, None for NULL."""


class Result(msgspec.Struct, frozen=True):
    """An answer. Of one that was cut, `is_capped` is true and there are more rows than these."""

    columns: list[Column]
    rows: list[Row] = []
    is_capped: bool = False
    elapsed_ms: float = 0.0

    def __len__(self) -> int:
        return len(self.rows)

    def cells(self, index: int) -> list[str | tuple[str, str]]:
        """Give a row as a grid draws it."""
        pairs = zip(self.rows[index], self.columns, strict=True)
        return [_NULL if cell is None else show_cell(cell, column) for cell, column in pairs]

    def grid_columns(self) -> list[GridColumn]:
        """Give columns as wide as the first of their values; those of numbers are never cut."""
        return [
            GridColumn(column.name, self._measure(index, column), align="right" if is_number(column) else "left")
            for index, column in enumerate(self.columns)
        ]

    def _measure(self, index: int, column: Column) -> int:
        title = cell_width(printable(column.name))
        if is_number(column):
            cells = (row[index] for row in self.rows)
            return max([title, *(4 if cell is None else len(show_cell(cell, column)) for cell in cells)])
        texts = (row[index] for row in islice(self.rows, _MEASURED))
        widths = (4 if text is None else cell_width(printable(text[: WIDEST + 1])) for text in texts)
        return min(max([title, *widths]), WIDEST)

    def record(self, index: int) -> list[tuple[str, str | None]]:
        """Give a row's values whole, by the names of their columns."""
        return [(column.name, cell) for column, cell in zip(self.columns, self.rows[index], strict=True)]


def show_cell(cell: str, column: Column) -> str:
    return round_float(cell) if column.type in FLOATS else cell


def make_result(columns: list[Column], rows: list[Row], done: Done) -> Result:
    return Result(columns, rows, done.is_capped, done.elapsed_ms)


def say_count(result: Result) -> str:
    """Say how many rows there are, and honestly where there are more."""
    rows = f"{len(result.rows):,}".replace(",", " ") + (" row" if len(result.rows) == 1 else " rows")
    more = ", and more: the answer was cut there" if result.is_capped else ""
    return f"{rows}{more} in {show_ms(result.elapsed_ms)}"


def draw_record(pen: Pen, record: Sequence[tuple[str, str | None]]) -> list[str]:
    """Draw a row whole, a column under the other; what is JSON with more than a value in it over several lines."""
    lines: list[str] = []
    width = min(max((cell_width(printable(name)) for name, _ in record), default=0), pen.width // 3)
    for name, cell in record:
        first, *rest = _unfold(cell, max(pen.width - width - 2, 10))
        lines.append(
            f"{pen.paint(fit(printable(name), width), 'dim')}  {pen.paint(first, 'dim') if cell is None else first}"
        )
        lines += [" " * (width + 2) + line for line in rest]
    return lines


def _unfold(cell: str | None, width: int) -> list[str]:
    if cell is None:
        return ["NULL"]
    text = cell
    if cell[:1] in ("{", "["):
        try:
            text = to_json(msgspec.Raw(cell.encode()), indent=True)
        except (msgspec.DecodeError, UnicodeEncodeError):
            pass
    lines = printable_lines(text).expandtabs(4).split("\n")
    return [piece for line in lines for piece in wrap(line, width)][:_MOST_LINES]
