"""Widths: how many cells of a terminal a text takes."""

from __future__ import annotations

import unicodedata


def cell_width(text: str) -> int:
    """Count the cells of a text without control characters: wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


def _width(character: str) -> int:
    if unicodedata.combining(character) or unicodedata.category(character) in ("Mn", "Me"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def cut(text: str, width: int, ellipsis: str = "…") -> str:
    """Give the text, or its beginning with an ellipsis, in at most `width` cells."""
    if cell_width(text) <= width:
        return text
    room = width - len(ellipsis)
    taken = 0
    for index, character in enumerate(text):
        taken += _width(character)
        if taken > room:
            return text[:index] + ellipsis if room >= 0 else text[:width]
    return text


def fit(text: str, width: int, ellipsis: str = "…") -> str:
    """Give the text in exactly `width` cells."""
    short = cut(text, width, ellipsis)
    return short + " " * (width - cell_width(short))


def wrap(text: str, width: int) -> list[str]:
    """Break a text of one line into lines of at most `width` cells, at spaces where there are any; at least one."""
    lines: list[str] = []
    while cell_width(text) > width:
        end = len(cut(text, width, ""))
        space = text.rfind(" ", max(1, end // 2), end + 1)
        place = space + 1 if space > 0 else max(1, end)
        lines.append(text[:place].rstrip(" ") if space > 0 else text[:place])
        text = text[place:]
    return [*lines, text]
