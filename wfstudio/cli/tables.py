"""Tables: rows of text in aligned columns, cut to the width there is.

On a terminal the widest flexible columns give way first; where that is not enough, columns are left out from the
right, which is said. Piped, nothing is cut: a program reads it.
Cells may carry colour: widths are counted without it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

import msgspec

from wfstudio.cli.terminal import Terminal
from wfstudio.text.widths import cell_width, cut

GAP: Final = "  "
NARROWEST: Final = 8
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class Column(msgspec.Struct, frozen=True):
    """`is_flexible` columns are cut where the line is too long for the terminal.

    An `is_verbatim` title is somebody's own: shown as it is, and its column stays although it is empty.
    """

    title: str
    is_flexible: bool = False
    is_number: bool = False
    is_verbatim: bool = False


def draw_table(terminal: Terminal, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> list[str]:
    """Give the lines of a table, title first."""
    if not rows:
        return []
    if terminal.is_tty:
        columns, rows = _leave_out_empty(columns, rows)
    widths = [max(_width(row[i]) for row in [[c.title for c in columns], *rows]) for i in range(len(columns))]
    rest: Sequence[Column] = ()
    if terminal.is_tty:
        fitting = _count_fitting(widths, columns, terminal.width)
        columns, rest, rows = columns[:fitting], columns[fitting:], [row[:fitting] for row in rows]
        widths = widths[:fitting]
        _give_way(widths, columns, terminal.width)
    titles = [c.title if c.is_verbatim else c.title.upper() for c in columns]
    lines = [terminal.paint(_join(terminal, titles, columns, widths), "dim")]
    lines += [_join(terminal, row, columns, widths) for row in rows]
    if rest:
        lines.append(terminal.paint(f"no room here for {', '.join(column.title for column in rest)}", "dim"))
    return lines


def _leave_out_empty(
    columns: Sequence[Column], rows: Sequence[Sequence[str]]
) -> tuple[Sequence[Column], Sequence[Sequence[str]]]:
    """Drop flexible columns that say nothing; piped they stay, so that a program finds its own."""
    kept = [
        i
        for i, column in enumerate(columns)
        if column.is_verbatim or not column.is_flexible or any(row[i] for row in rows)
    ]
    return [columns[i] for i in kept], [[row[i] for i in kept] for row in rows]


def _count_fitting(widths: Sequence[int], columns: Sequence[Column], width: int) -> int:
    """Count the columns, from the left, that have room when all that are flexible are as narrow as they may be."""
    used = -len(GAP)
    for place, (column, own) in enumerate(zip(columns, widths, strict=True)):
        used += len(GAP) + (min(own, NARROWEST) if column.is_flexible else own)
        if used > width:
            return max(place, 1)
    return len(columns)


def _give_way(widths: list[int], columns: Sequence[Column], width: int) -> None:
    over = sum(widths) + len(GAP) * (len(widths) - 1) - width
    flexible = [i for i, column in enumerate(columns) if column.is_flexible]
    while over > 0 and flexible:
        widest = max(flexible, key=lambda i: widths[i])
        if widths[widest] <= NARROWEST:
            return
        widths[widest] -= 1
        over -= 1


def _join(terminal: Terminal, cells: Sequence[str], columns: Sequence[Column], widths: Sequence[int]) -> str:
    parts: list[str] = []
    for cell, column, width in zip(cells, columns, widths, strict=True):
        if _width(cell) > width:
            colour = _COLOUR.match(cell)
            cell = cut(_COLOUR.sub("", cell), width, terminal.ellipsis)
            if colour is not None:
                cell = f"{colour[0]}{cell}\x1b[0m"
        room = " " * (width - _width(cell))
        parts.append(room + cell if column.is_number else cell + room)
    return GAP.join(parts).rstrip()


def _width(cell: str) -> int:
    return cell_width(_COLOUR.sub("", cell))
