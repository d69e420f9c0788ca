"""Query tables: the rows of an answer as a person reads them.

Piped, a table is whole. On a terminal it is as wide as the terminal: texts are cut, columns that do not fit are
left out, which is said, and a single row that does not fit is shown whole, a column a line.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wfstudio.cli.tables import GAP, Column, draw_table
from wfstudio.cli.terminal import Terminal
from wfstudio.history import wire
from wfstudio.history.formats import FLOATS, is_number, round_float
from wfstudio.text.printable import printable, printable_lines
from wfstudio.text.widths import cell_width, cut, fit

LEGIBLE: Final = 20
"""Cells that a text is cut to and no further: an instant to its second, and what tells one run's id from others."""
MOST_SHOWN: Final = 2_000
"""Cells of a value that is shown whole."""
_NULL: Final = "NULL"
_PLAN: Final = ["explain_key", "explain_value"]

Cells = Sequence[str | None]
"""A row: the text of each value, None for NULL."""


def draw_rows(terminal: Terminal, columns: Sequence[wire.Column], rows: Sequence[Cells]) -> list[str]:
    """Give the lines of a table of rows; of their names only, where there is none."""
    if [column.name for column in columns] == _PLAN:
        return [line for row in rows for line in printable_lines(row[1] or "").split("\n")]
    names = [printable(column.name) for column in columns]
    shown = [[_show(terminal, cell, column) for cell, column in zip(row, columns, strict=True)] for row in rows]
    if not terminal.is_tty:
        return _draw(terminal, columns, names, shown)
    needed = [max(map(_width, each)) for each in zip(names, *shown, strict=True)]
    if sum(needed) + len(GAP) * (len(needed) - 1) <= terminal.width:
        return _draw(terminal, columns, names, shown)
    if len(shown) == 1:
        return _draw_record(terminal, names, shown[0])
    return _draw_what_fits(terminal, columns, names, shown)


def _show(terminal: Terminal, cell: str | None, column: wire.Column) -> str | None:
    if cell is None:
        return None
    return round_float(cell) if terminal.is_tty and column.type in FLOATS else printable(cell)


def _width(cell: str | None) -> int:
    return len(_NULL) if cell is None else cell_width(cell)


def _cut(terminal: Terminal, cell: str | None, width: int) -> str | None:
    return None if cell is None else cut(cell, width, terminal.ellipsis)


def _paint(terminal: Terminal, cell: str | None) -> str:
    if cell is None:
        return terminal.paint(_NULL, "dim") if terminal.is_tty else ""
    return cell


def _draw(
    terminal: Terminal, columns: Sequence[wire.Column], names: Sequence[str], shown: Sequence[Cells]
) -> list[str]:
    drawn = [
        Column(name, is_flexible=not is_number(column), is_number=is_number(column), is_verbatim=True)
        for name, column in zip(names, columns, strict=True)
    ]
    painted = [[_paint(terminal, cell) for cell in row] for row in shown]
    return draw_table(terminal, drawn, painted or [[""] * len(drawn)])[: len(painted) + 1]


def _draw_what_fits(
    terminal: Terminal, columns: Sequence[wire.Column], names: Sequence[str], shown: Sequence[Cells]
) -> list[str]:
    """Draw as many columns as there is room for, from the left."""
    room, titles, fitting = terminal.width, list[str](), list[list[str | None]]()
    for column, name, *cells in zip(columns, names, *shown, strict=True):
        widest = max(map(_width, cells), default=0)
        title = cut(name or "", max(widest, LEGIBLE), terminal.ellipsis)
        needed = max(cell_width(title), widest)
        room -= (needed if is_number(column) else min(needed, LEGIBLE)) + (len(GAP) if titles else 0)
        if room < 0 and titles:
            break
        titles.append(title)
        # Cut here, too: a value of a megabyte need not be made narrower cell by cell.
        fitting.append([cell if is_number(column) else _cut(terminal, cell, terminal.width) for cell in cells])
    lines = _draw(terminal, columns[: len(titles)], titles, list(zip(*fitting, strict=True)))
    if len(titles) < len(columns):
        told = f"{len(titles)} of {len(columns)} columns fit here; SELECT those that you want to see"
        lines.append(terminal.paint(told, "dim"))
    return lines


def _draw_record(terminal: Terminal, names: Sequence[str], row: Cells) -> list[str]:
    """Draw one row, a column a line."""
    width = min(max(map(cell_width, names)), terminal.width // 2)
    return [
        f"{terminal.paint(fit(name, width, terminal.ellipsis), 'dim')}{GAP}"
        f"{_paint(terminal, _cut(terminal, cell, MOST_SHOWN))}"
        for name, cell in zip(names, row, strict=True)
    ]
