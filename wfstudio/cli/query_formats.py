"""Formats: how the answer to a query in SQL is written.

`json`, `jsonl` and `csv` are written as rows come; `table` and `markdown` need them all, so they are capped.
`parquet` and `arrow` are made by the process that answers, and are only passed on.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from typing import Any, Final, Protocol

import msgspec

from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal, printable, to_json
from wfstudio.history import wire

TEXT_FORMATS: Final = ("table", "json", "jsonl", "csv", "markdown")
BINARY_FORMATS: Final = ("parquet", "arrow")
FORMATS: Final = (*TEXT_FORMATS, *BINARY_FORMATS)
CAPPED: Final = ("table", "markdown")

_NUMBERS: Final = frozenset(
    "TINYINT SMALLINT INTEGER BIGINT HUGEINT UTINYINT USMALLINT UINTEGER UBIGINT UHUGEINT FLOAT DOUBLE DECIMAL".split()
)
Write = Callable[[str], None]


class Writer(Protocol):
    def begin(self, columns: Sequence[wire.Column]) -> None: ...

    def add(self, rows: list[list[Any]]) -> None: ...

    def end(self) -> None: ...


def make_writer(form: str, write: Write, terminal: Terminal) -> Writer:
    """Make the writer of a text format. A table is drawn for the terminal, whatever it is written to."""
    if form == "json":
        return _Json(write)
    if form == "jsonl":
        return _JsonLines(write)
    if form == "csv":
        return _Csv(write)
    return _Markdown(write) if form == "markdown" else _Table(write, terminal)


def decode_rows(answer: wire.Rows) -> list[list[Any]]:
    found: list[list[Any]] = msgspec.json.decode(answer.data)
    return found


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

    def add(self, rows: list[list[Any]]) -> None:
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

    def add(self, rows: list[list[Any]]) -> None:
        for row in rows:
            self._write(to_json(dict(zip(self._names, row, strict=True))) + "\n")

    def end(self) -> None:
        pass


class _Csv:
    """RFC 4180. NULL is empty; what is no text or number is JSON."""

    def __init__(self, write: Write) -> None:
        self._buffer = io.StringIO()
        self._csv = csv.writer(self._buffer)
        self._write = write

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._csv.writerow(name_columns(columns))
        self._flush()

    def add(self, rows: list[list[Any]]) -> None:
        for row in rows:
            self._csv.writerow(["" if value is None else _show(value) for value in row])
        self._flush()

    def end(self) -> None:
        pass

    def _flush(self) -> None:
        self._write(self._buffer.getvalue())
        self._buffer.seek(0)
        self._buffer.truncate()


class _Markdown:
    def __init__(self, write: Write) -> None:
        self._write = write

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._line([printable(column.name) for column in columns])
        self._line(["---:" if _is_number(column) else "---" for column in columns])

    def add(self, rows: list[list[Any]]) -> None:
        for row in rows:
            self._line(["" if value is None else printable(_show(value)).replace("|", "\\|") for value in row])

    def end(self) -> None:
        pass

    def _line(self, cells: Sequence[str]) -> None:
        self._write(f"| {' | '.join(cells)} |\n")


class _Table:
    def __init__(self, write: Write, terminal: Terminal) -> None:
        self._write = write
        self._terminal = terminal
        self._columns: list[Column] = []
        self._rows: list[list[str]] = []

    def begin(self, columns: Sequence[wire.Column]) -> None:
        self._columns = [
            Column(printable(column.name), is_flexible=not _is_number(column), is_number=_is_number(column))
            for column in columns
        ]

    def add(self, rows: list[list[Any]]) -> None:
        null = self._terminal.paint("NULL", "dim") if self._terminal.is_tty else ""
        self._rows += [[null if value is None else printable(_show(value)) for value in row] for row in rows]

    def end(self) -> None:
        lines = draw_table(self._terminal, self._columns, self._rows)
        if not lines and self._columns:
            lines = draw_table(self._terminal, self._columns, [[""] * len(self._columns)])[:1]
        self._write("".join(f"{line}\n" for line in lines))


def _is_number(column: wire.Column) -> bool:
    return column.type.partition("(")[0] in _NUMBERS


def _show(value: Any) -> str:
    return value if isinstance(value, str) else to_json(value)
