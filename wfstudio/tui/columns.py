"""Columns: how wide each is in a grid of some width, and which there is no room for.

    widths = share_width(columns, 80)        a width a column; 0: it is not shown

What has no room is left out from the right, but for what must be seen. What is left over goes to the flexible ones.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

import msgspec

GAP: Final = 2
"""Cells between columns."""


class Column(msgspec.Struct, frozen=True):
    """`width` is what it takes at least, in cells; `share` is its part of what is left over. A column is shown from
    a grid of `from_width` cells on."""

    title: str
    width: int
    share: int = 0
    align: Literal["left", "right"] = "left"
    from_width: int = 0


def share_width(columns: Sequence[Column], width: int) -> list[int]:
    """Give each column's width in a grid; 0 for one that is not shown there. At least one is."""
    shown = [column.from_width <= width for column in columns]
    while sum(shown) > 1 and _measure(columns, shown) > width:
        if not any(column.share for column, is_shown in zip(columns, shown, strict=True) if is_shown):
            break  # all fixed: it is wider than the grid, and is scrolled
        rightmost = max(index for index, is_shown in enumerate(shown) if is_shown)
        shown[rightmost] = False
    left = max(0, width - _measure(columns, shown))
    shares = sum(column.share for column, is_shown in zip(columns, shown, strict=True) if is_shown)
    widths = []
    for column, is_shown in zip(columns, shown, strict=True):
        more = left * column.share // shares if shares else 0
        widths.append(column.width + more if is_shown else 0)
    return widths


def _measure(columns: Sequence[Column], shown: Sequence[bool]) -> int:
    taken = [column.width for column, is_shown in zip(columns, shown, strict=True) if is_shown]
    return sum(taken) + GAP * max(0, len(taken) - 1)
