"""Widths: how many cells of a terminal a text takes."""

from __future__ import annotations

import unicodedata
from functools import lru_cache


def cell_width(text: str) -> int:
    """Count the cells of a text without control characters: wide characters take two, marks none."""
    if text.isascii():
        return len(text)
    return sum(_width(character) for character in text)


@lru_cache(4096)
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
    """Break a text of one line into lines of at most `width` cells, at spaces where there are any; at least one.

    Goes through the text once, however long it is.
    """
    lines: list[str] = []
    start, is_ascii = 0, text.isascii()
    while True:
        end = min(start + width, len(text)) if is_ascii else _find_end(text, start, width)
        if end >= len(text):
            return [*lines, text[start:]]
        space = text.rfind(" ", start + max(1, (end - start) // 2), end + 1)
        place = space + 1 if space > 0 else max(start + 1, end)
        lines.append(text[start:place].rstrip(" ") if space > 0 else text[start:place])
        start = place


def _find_end(text: str, start: int, width: int) -> int:
    """Give how far a text goes in so many cells."""
    taken = 0
    for index in range(start, len(text)):
        taken += _width(text[index])
        if taken > width:
            return index
    return len(text)
