"""Formats: how the answer to a query in SQL is written to a file.

`json`, `jsonl`, `csv` and `markdown` are written as rows come. `parquet` and `arrow` are made by the process that
answers, and are only passed on. (A table for a terminal is the command line's own: `cli.query_formats`.)

Values are never read as Python's numbers: a DECIMAL keeps its digits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, Protocol

import msgspec

from wfstudio.history import wire
from wfstudio.text.printable import printable, printable_lines, to_json

WRITTEN: Final = ("json", "jsonl", "csv", "markdown")
BINARY_FORMATS: Final = ("parquet", "arrow")
_SUFFIXES: Final = {".json": "json", ".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".md": "markdown",
                    ".parquet": "parquet", ".arrow": "arrow"}  # fmt: skip

Value = msgspec.Raw
"""A value as JSON."""
Write = Callable[[str], None]

_WHOLE: Final = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT BIGNUM DECIMAL".split()
)
FLOATS: Final = frozenset({"FLOAT", "DOUBLE"})

_rows: Final = msgspec.json.Decoder(list[list[Value]])
_text: Final = msgspec.json.Decoder(str)


class Writer(Protocol):
    def begin(self, columns: Sequence[wire.Column]) -> None: ...

    def add(self, rows: list[list[Value]]) -> None: ...

    def end(self) -> None: ...


def make_writer(form: str, write: Write, *, is_shown: bool = False) -> Writer:
    """Make the writer of a format that is `WRITTEN`. `is_shown`: it goes to a terminal."""
    if form == "json":
        return _Json(write)
    if form == "jsonl":
        return _JsonLines(write)
    return _Csv(write, is_shown=is_shown) if form == "csv" else _Markdown(write)


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


def is_number(column: wire.Column) -> bool:
    """Tell whether a column's values are numbers, which are aligned to the right and never cut."""
    type = column.type.partition("(")[0]
    return type in _WHOLE or type in FLOATS


def round_float(text: str) -> str:
    """Leave out of a float what its binary form put there: nobody reads `2005.6980999999998`."""
    try:
        value = float(text)
    except ValueError:
        return text
    return repr(round(value, 6)) if 1e-3 <= abs(value) < 1e9 else text


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
