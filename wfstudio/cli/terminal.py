"""Terminals: what a stream can show, and how what users' programs wrote is made safe for it.

A name, a payload, an error or a log line may hold ANSI sequences that rewrite the screen, or
bidirectional marks that show another text than the one there is. `printable` escapes all of them;
`to_json` does it in JSON's own notation, so that the value stays the same.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from collections.abc import Iterable
from typing import Any, Final, TextIO

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
PIPED_WIDTH: Final = 100

# C0 and C1 controls, DEL, line and paragraph separators, bidirectional marks, joiners, lone surrogates.
_UNSAFE: Final = "\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff"
_CONTROL = re.compile(f"[{_UNSAFE}]")
_CONTROL_BUT_LINES = re.compile(f"(?![\t\n])[{_UNSAFE}]")


def printable(text: str) -> str:
    """Escape what could steer a terminal; the text stays on one line."""
    return _CONTROL.sub(_escape, text)


def printable_lines(text: str) -> str:
    """Escape what could steer a terminal, but keep newlines and tabs."""
    return _CONTROL_BUT_LINES.sub(_escape, text)


def _escape(match: re.Match[str]) -> str:
    code = ord(match[0])
    named = {9: r"\t", 10: r"\n", 13: r"\r"}.get(code)
    return named or (f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}")


def to_json(value: Any, *, indent: bool = False) -> str:
    """Write a view as JSON that holds no control character."""
    import msgspec  # 25 ms that `wf --help` need not pay

    data = msgspec.json.encode(value)
    if indent:
        data = msgspec.json.format(data, indent=2)
    text = data.decode()
    return _CONTROL_BUT_LINES.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


class Terminal:
    """A stream to print to, and what it can show."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_tty = stream.isatty()
        is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        self.has_colour = (self.is_tty or bool(os.environ.get("FORCE_COLOR"))) and not is_plain
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        self.is_unicode = encoding.startswith("utf")
        self.ellipsis = "…" if self.is_unicode else "~"
        self.width = shutil.get_terminal_size().columns if self.is_tty else PIPED_WIDTH

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

    def print(self, *lines: str) -> None:
        """Print lines."""
        self.write("".join(f"{line}\n" for line in lines))

    def write(self, text: str) -> None:
        self.stream.write(self.to_encodable(text))
        self.stream.flush()

    def to_encodable(self, text: str) -> str:
        """Escape what the stream's encoding has no character for."""
        encoding = getattr(self.stream, "encoding", None) or "ascii"
        return text.encode(encoding, "backslashreplace").decode(encoding)

    def print_json(self, value: Any) -> None:
        """Print a value as JSON: indented for a reader, on one line for a program."""
        self.print(to_json(value, indent=self.is_tty))

    def print_jsonl(self, values: Iterable[Any]) -> None:
        for value in values:
            self.print(to_json(value))


def results() -> Terminal:
    """Give the terminal for what was asked for."""
    return Terminal(sys.stdout)


def words() -> Terminal:
    """Give the terminal for everything else: progress, questions, errors."""
    return Terminal(sys.stderr)
