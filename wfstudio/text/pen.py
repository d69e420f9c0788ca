"""Pens: what lines are drawn with. How wide they may be, with which signs, in colour or not."""

from __future__ import annotations

from datetime import datetime
from typing import Final

_STYLES: Final = {
    "bold": "1", "dim": "2", "red": "31", "green": "32", "yellow": "33", "blue": "34", "magenta": "35", "cyan": "36",
}  # fmt: skip
_STATUS: Final = {  # how a status looks: style, sign, sign in ASCII
    "pending": ("dim", "○", "."),
    "running": ("cyan", "●", ">"),
    "completed": ("green", "✓", "+"),
    "failed": ("red", "✗", "x"),
    "cancelled": ("yellow", "⊘", "-"),
}


class Pen:
    """`is_tty`: a person reads it, so that lines are cut to the width and instants are told from now, or `now`."""

    def __init__(
        self,
        *,
        width: int,
        is_tty: bool = True,
        has_colour: bool = True,
        is_unicode: bool = True,
        now: datetime | None = None,
    ) -> None:
        self.width = width
        self.is_tty = is_tty
        self.has_colour = has_colour
        self.is_unicode = is_unicode
        self.now = now
        self.ellipsis = "…" if is_unicode else "~"

    def paint(self, text: str, *styles: str) -> str:
        """Give a text its styles, where there are any."""
        if not self.has_colour or not styles or not text:
            return text
        return f"\x1b[{';'.join(_STYLES[style] for style in styles)}m{text}\x1b[0m"

    def show_status(self, status: str) -> str:
        """Write a status as sign and word, so that nobody has to see its colour."""
        style, sign, plain = _STATUS.get(status, ("dim", "?", "?"))
        return self.paint(f"{sign if self.is_unicode else plain} {status}", style) if self.is_tty else status

    def status_style(self, status: str) -> str:
        return _STATUS.get(status, ("dim", "", ""))[0]

    def sign(self, status: str) -> str:
        _, sign, plain = _STATUS.get(status, ("dim", "?", "?"))
        return sign if self.is_unicode else plain
