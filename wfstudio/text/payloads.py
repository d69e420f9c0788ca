"""Payloads: a value's JSON as lines for a reader. Short parts stay on one line, texts of several lines are lines.

A text may hold anything: every line is made harmless by itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from wfstudio.text.pen import Pen
from wfstudio.text.printable import printable, to_json
from wfstudio.text.sizes import show_size
from wfstudio.text.widths import cell_width, wrap

MOST_LINES: Final = 2_000
"""Nobody reads on; the command line prints all of it."""
_MOST_SEEN: Final = 2 * MOST_LINES
"""Lines of a text that are broken at most: no more of them is seen, and a megabyte takes a second."""
_NARROWEST: Final = 20
_STEP: Final = "  "


def draw_payload(pen: Pen, value: Any, margin: str = "", *, most: int = MOST_LINES) -> list[str]:
    """Draw a value, each line behind the margin and, as far as may be, within the pen's width."""
    lines = list(islice(_draw(pen, value, margin, "", ""), most + 1))
    if len(lines) > most:
        lines[-1] = margin + pen.paint(f"{pen.ellipsis} and more: `--json` prints all of it", "dim")
    return lines


def _draw(pen: Pen, value: Any, margin: str, key: str, tail: str) -> Iterator[str]:
    """Draw a value: the first line behind its key, the last one with a tail."""
    head = f"{margin}{pen.paint(key, 'blue')}{': ' if key else ''}"
    room = max(_NARROWEST, pen.width - cell_width(margin) - cell_width(key) - 3)
    if isinstance(value, str):
        yield from _draw_text(pen, value, margin, head, tail, room)
    elif not isinstance(value, (dict, list)):
        yield head + pen.paint(to_json(value), "cyan") + tail
    elif isinstance(value, dict) and len(value) == 1 and isinstance(value.get("$large"), int):
        yield head + pen.paint(f"({show_size(value['$large'])}, too large to be shown here)", "dim") + tail
    elif _is_flat(value) and cell_width(short := to_json(value)) <= room:
        yield head + short + tail
    else:
        opening, closing = "{}" if isinstance(value, dict) else "[]"
        yield head + opening
        items = [(to_json(name), item) for name, item in value.items()] if isinstance(value, dict) else (
            [("", item) for item in value]
        )  # fmt: skip
        for place, (name, item) in enumerate(items, 1):
            yield from _draw(pen, item, margin + _STEP, name, "," if place < len(items) else "")
        yield margin + closing + tail


def _is_flat(value: dict[str, Any] | list[Any]) -> bool:
    items = value.values() if isinstance(value, dict) else value
    return not any(item if isinstance(item, (dict, list)) else _has_lines(item) for item in items)


def _has_lines(value: Any) -> bool:
    return isinstance(value, str) and "\n" in value


def _draw_text(pen: Pen, text: str, margin: str, head: str, tail: str, room: int) -> Iterator[str]:
    """Draw a text: of several lines as what it is, behind a bar."""
    if not _has_lines(text):
        first, *rest = wrap(to_json(text)[: _MOST_SEEN * room], room)
        yield head + first + ("" if rest else tail)
        for place, line in enumerate(rest, 1):
            yield margin + _STEP + line + (tail if place == len(rest) else "")
        return
    lines = text.splitlines()
    yield head + pen.paint(f"{len(lines)} lines", "dim")
    bar = pen.paint("│ " if pen.is_unicode else "| ", "dim")
    within = max(_NARROWEST, pen.width - cell_width(margin) - 2)
    for line in lines:
        for part in wrap(printable(line[: _MOST_SEEN * within].expandtabs(4)), within):
            yield margin + bar + part
