"""Formats: how the answer to a query in SQL is written by the command line.

`table` is drawn here, and all others are those of `history.formats`. `table` and `markdown` are for readers, so they
are capped.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from wfstudio.cli.query_tables import draw_rows
from wfstudio.cli.terminal import Terminal
from wfstudio.history import formats, wire
from wfstudio.history.formats import BINARY_FORMATS, WRITTEN, Value, Write, Writer, read_text

TEXT_FORMATS: Final = ("table", *WRITTEN)
FORMATS: Final = (*TEXT_FORMATS, *BINARY_FORMATS)
CAPPED: Final = ("table", "markdown")


def make_writer(form: str, write: Write, terminal: Terminal) -> Writer:
    """Make the writer of a text format. `terminal` says what can be shown where it is written to."""
    if form == "table":
        return _Table(write, terminal)
    return formats.make_writer(form, write, is_shown=terminal.is_tty)


class _Table:
    def __init__(self, write: Write, terminal: Terminal) -> None:
        self._write = write
        self._terminal = terminal
        self._columns: Sequence[wire.Column] = []
        self._rows: list[list[str | None]] = []

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._columns = columns

    def add(self, rows: list[list[Value]]) -> None:
        self._rows += [[read_text(value) for value in row] for row in rows]

    def end(self) -> None:
        self._write("".join(f"{line}\n" for line in draw_rows(self._terminal, self._columns, self._rows)))
