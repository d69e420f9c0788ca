"""Terminals: a stream to print to, and what it can show.

What users' programs wrote goes through `printable` before it gets here: see `wfstudio.text.printable`.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Final, TextIO

from wfstudio.text.pen import Pen
from wfstudio.text.printable import to_json

PIPED_WIDTH: Final = 100


class Terminal(Pen):
    """A stream, and the pen that draws for it."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        is_tty = stream.isatty()
        is_plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
        encoding = (getattr(stream, "encoding", None) or "ascii").lower().replace("-", "")
        super().__init__(
            width=shutil.get_terminal_size().columns if is_tty else PIPED_WIDTH,
            is_tty=is_tty,
            has_colour=(is_tty or bool(os.environ.get("FORCE_COLOR"))) and not is_plain,
            is_unicode=encoding.startswith("utf"),
        )

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


@contextmanager
def quiet_keys() -> Iterator[None]:
    """Have the terminal not write `^C` into what is drawn in place, while the block lasts."""
    number = _find_own_terminal()
    if number is None:
        yield
        return
    import termios  # POSIX only

    before = termios.tcgetattr(number)
    termios.tcsetattr(number, termios.TCSANOW, [*before[:3], before[3] & ~termios.ECHOCTL, *before[4:]])
    try:
        yield
    finally:
        termios.tcsetattr(number, termios.TCSANOW, before)


def _find_own_terminal() -> int | None:
    """Give standard input where it is a terminal that is ours: one in the background is stopped for changing it."""
    try:
        number = sys.stdin.fileno()
        return number if os.isatty(number) and os.tcgetpgrp(number) == os.getpgrp() else None
    except (OSError, ValueError, AttributeError):  # closed, or no file; no such thing on this system
        return None


def results() -> Terminal:
    """Give the terminal for what was asked for."""
    return Terminal(sys.stdout)


def words() -> Terminal:
    """Give the terminal for everything else: progress, questions, errors."""
    return Terminal(sys.stderr)
