"""Formats: how the answer to a query in SQL is written.

`json`, `jsonl` and `csv` are written as rows come; `table` and `markdown` are for readers, so they are capped.
`parquet` and `arrow` are made by the process that answers, and are only passed on.

Values are never read as Python's numbers: a DECIMAL keeps its digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from wfstudio.cli.query_tables import draw_rows, is_number
from wfstudio.cli.terminal import Terminal
from wfstudio.history import wire
from wfstudio.text.printable import printable, printable_lines, to_json

TEXT_FORMATS: Final = ("table", "json", "jsonl", "csv", "markdown")
BINARY_FORMATS: Final = ("parquet", "arrow")
FORMATS: Final = (*TEXT_FORMATS, *BINARY_FORMATS)
CAPPED: Final = ("table", "markdown")
_SUFFIXES: Final = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".md": "markdown",
                    ".parquet": "parquet", ".arrow": "arrow"}  # fmt: skip

Value = msgspec.Raw
"""A value as JSON."""
Write = Callable[[str], None]

_rows: Final = msgspec.json.Decoder(list[list[Value]])
_text: Final = msgspec.json.Decoder(str)


class Writer(Protocol):
    def begin(self, columns: Sequence[wire.Column]) -> None: ...

    def add(self, rows: list[list[Value]]) -> None: ...

    def end(self) -> None: ...


def make_writer(form: str, write: Write, terminal: Terminal) -> Writer:
    """Make the writer of a text format. `terminal` says what can be shown where it is written to."""
    if form == "json":
        return _Json(write)
    if form == "jsonl":
        return _JsonLines(write)
    if form == "csv":
        return _Csv(write, is_shown=terminal.is_tty)
    return _Markdown(write) if form == "markdown" else _Table(write, terminal)


def format_of(path: Path) -> str | None:
    """Give the format that a file's name asks for."""
    return _SUFFIXES.get(path.suffix.lower())


def decode_rows(answer: wire.Rows) -> list[list[Value]]:
    return _rows.decode(answer.data)


def read_text(value: Value) -> str | None:
    """Give a value as text: JSON, but of a text the text itself, and None of NULL."""
    data = bytes(value)
    if data == b"null":
        return None
    return _text.decode(data) if data[:1] == b'"' else data.decode()


def name_columns(columns: Sequence[wire.Column]) -> list[str]:
    """Give names that differ: of columns that have one name, the second is `name_2`, and so on."""
    names: list[str] = []
    for column in columns:
        name, number = column.name, 1
        while name in names:
            number += 1
            name = f"{column.name}_{number}"
        names.append(name)
    return names


class _Json:
    """An array of objects, one a line."""

    def __init__(self, write: Write) -> None:
        self._write = write
        self._names: list[str] = []
        self._lead = "[\n"

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._names = name_columns(columns)

    def add(self, rows: list[list[Value]]) -> None:
        for row in rows:
            self._write(self._lead + to_json(dict(zip(self._names, row, strict=True))))
            self._lead = ",\n"

    def end(self) -> None:
        self._write("[]\n" if self._lead == "[\n" else "\n]\n")


class _JsonLines:
    def __init__(self, write: Write) -> None:
        self._write = write
        self._names: list[str] = []

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._names = name_columns(columns)

    def add(self, rows: list[list[Value]]) -> None:
        for row in rows:
            self._write(to_json(dict(zip(self._names, row, strict=True))) + "\n")

    def end(self) -> None:
        pass


class _Csv:
    """RFC 4180. NULL is nothing, an empty text `""`; what is no text or number is JSON."""

    def __init__(self, write: Write, *, is_shown: bool) -> None:
        self._write = write
        self._is_shown = is_shown  # on a terminal nobody's control characters get through; a file is the data

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._line(list(name_columns(columns)))

    def add(self, rows: list[list[Value]]) -> None:
        for row in rows:
            self._line([read_text(value) for value in row])

    def end(self) -> None:
        pass

    def _line(self, cells: Sequence[str | None]) -> None:
        line = ",".join("" if cell is None else _quote(cell) for cell in cells)
        self._write((printable_lines(line) if self._is_shown else line) + "\r\n")


def _quote(text: str) -> str:
    if text and not any(character in text for character in ',"\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


class _Markdown:
    def __init__(self, write: Write) -> None:
        self._write = write

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._line([column.name for column in columns])
        self._write(f"| {' | '.join('---:' if is_number(column) else '---' for column in columns)} |\n")

    def add(self, rows: list[list[Value]]) -> None:
        for row in rows:
            self._line([read_text(value) or "" for value in row])

    def end(self) -> None:
        pass

    def _line(self, cells: Sequence[str]) -> None:
        # What would end a cell, or be taken for HTML.
        shown = [printable(cell).replace("|", "\\|").replace("<", "\\<") for cell in cells]
        self._write(f"| {' | '.join(shown)} |\n")


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
