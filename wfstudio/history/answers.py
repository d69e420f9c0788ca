"""Answers: a result as rows of JSON, as an Arrow stream, or as a Parquet file, within its limits.

JSON has fewer types than SQL: instants are ISO 8601 in UTC as everywhere (`2026-01-02T03:04:05.000006Z`), a
DECIMAL is a number with its digits, an INTERVAL, a UUID, a date or a time its text, a BLOB base64, and a float
that JSON lacks `"NaN"`, `"Infinity"` or `"-Infinity"`. What is of type JSON is the JSON itself, on one line; DuckDB
reads more than there is in JSON (`NaN`, a comma too many), and that is a text here.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from io import RawIOBase
from itertools import chain
from typing import Any, BinaryIO, Final
from uuid import UUID

import duckdb
import msgspec
import pyarrow as pa

from wf.durations import to_instant
from wfstudio.core.views import show_instant
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.wire import Column, Done, Head, Piece, Question, Rows, write_answer

ROWS_AT_ONCE: Final = 500
BATCH: Final = 2_048
LARGEST_ROW: Final = 32 << 20
"""Bytes of a row as JSON: it goes into one frame."""
_PIECE: Final = 1 << 20

Convert = Callable[[Any], Any]


def give(connection: duckdb.DuckDBPyConnection, question: Question, out: BinaryIO) -> None:
    """Carry out a question's statement and give its result, in the shape that is asked for. Raises `duckdb.Error`."""
    began = time.perf_counter()
    limits = _Limits(question.row_limit, question.byte_limit)
    if question.shape == "rows":
        connection.execute(question.sql, question.parameters or None)
        described = connection.description or []
        write_answer(out, Head([Column(str(column[0]), str(column[1])) for column in described]))
        _give_rows(connection, [_find_converter(column[1]) for column in described], limits, out)
    else:
        _give_table(connection.sql(question.sql, params=question.parameters or None), question.shape, limits, out)
    write_answer(out, Done(limits.rows, limits.is_reached, round((time.perf_counter() - began) * 1000, 3)))


class _Limits:
    """Counts what is given. `is_reached`: there was more."""

    def __init__(self, rows: int | None, size: int | None) -> None:
        self._most_rows = rows
        self._most_bytes = size
        self.rows = 0
        self._bytes = 0
        self.is_reached = False

    def admit(self, count: int) -> int:
        """Say how many of so many further rows are given."""
        admitted = count if self._most_rows is None else min(count, self._most_rows - self.rows)
        self.rows += admitted
        if admitted < count:
            self.is_reached = True
        return admitted

    def weigh(self, size: int) -> bool:
        """Count bytes; False where they are too many."""
        self._bytes += size
        if self._most_bytes is not None and self._bytes > self._most_bytes:
            self.is_reached = True
            return False
        return True


# -- rows of JSON ----------------------------------------------------------------------------------


def _give_rows(
    connection: duckdb.DuckDBPyConnection, converters: list[Convert], limits: _Limits, out: BinaryIO
) -> None:
    while not limits.is_reached and (rows := connection.fetchmany(ROWS_AT_ONCE)):
        admitted = rows[: limits.admit(len(rows))]
        pending: list[bytes] = []
        size = 0
        for place, row in enumerate(admitted):
            data = _encode([convert(value) for convert, value in zip(converters, row, strict=True)])
            if len(data) > LARGEST_ROW:
                raise QueryLimitError(f"a row of the answer is larger than {LARGEST_ROW >> 20} MB")
            if not limits.weigh(len(data)):
                limits.rows -= len(admitted) - place
                break
            if size + len(data) > _PIECE and pending:
                write_answer(out, Rows(b"[" + b",".join(pending) + b"]"))
                pending, size = [], 0
            pending.append(data)
            size += len(data)
        if pending:
            write_answer(out, Rows(b"[" + b",".join(pending) + b"]"))


def _find_converter(type: Any) -> Convert:
    """Give what converts values of a type of DuckDB's: their own Python types do not tell JSON from text."""
    if str(type) == "JSON":
        return _show_json
    if "JSON" not in str(type):
        return show
    inner = {name: _find_converter(child) for name, child in type.children if name != "size"}
    match type.id:
        case "list" | "array":
            return lambda value: None if value is None else [inner["child"](item) for item in value]
        case "map":
            return lambda value: value and {_show_key(key): inner["value"](item) for key, item in value.items()}
        case "struct":
            return lambda value: value and {key: inner[key](item) for key, item in value.items()}
    return show


def _show_json(value: Any) -> Any:
    if value is None:
        return None
    try:
        return msgspec.Raw(msgspec.json.format(value.encode(), indent=-1))
    except msgspec.DecodeError:
        return value


def _show_key(key: Any) -> str:
    return key if isinstance(key, str) else str(show(key))


def show(value: Any) -> Any:
    """Give a value of a result as JSON has it."""
    convert = _CONVERTERS.get(type(value))
    return value if convert is None else convert(value)


def _show_float(value: float) -> float | str:
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def _show_datetime(value: datetime) -> str:
    return (
        value.isoformat(sep="T", timespec="microseconds") if value.tzinfo is None else show_instant(to_instant(value))
    )


def _show_decimal(value: Decimal) -> Any:
    return msgspec.Raw(format(value, "f").encode()) if value.is_finite() else str(value)


def _show_span(value: timedelta) -> str:
    return str(value)


_CONVERTERS: Final[dict[type, Convert]] = {
    float: _show_float,
    datetime: _show_datetime,
    date: date.isoformat,
    clock: clock.isoformat,
    timedelta: _show_span,
    Decimal: _show_decimal,
    UUID: str,
    bytes: lambda value: base64.b64encode(value).decode(),
    bytearray: lambda value: base64.b64encode(value).decode(),
    list: lambda value: [show(item) for item in value],
    tuple: lambda value: [show(item) for item in value],
    dict: lambda value: {_show_key(key): show(item) for key, item in value.items()},
}
_encode = msgspec.json.Encoder(enc_hook=str).encode


# -- tables ----------------------------------------------------------------------------------------


class _Sink(RawIOBase):
    """A file that is written into frames."""

    def __init__(self, out: BinaryIO) -> None:
        self._out = out
        self._place = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        for start in range(0, len(view), _PIECE):
            write_answer(self._out, Piece(bytes(view[start : start + _PIECE])))
        self._place += len(view)
        return len(view)

    def tell(self) -> int:
        return self._place


def _give_table(relation: duckdb.DuckDBPyRelation, shape: str, limits: _Limits, out: BinaryIO) -> None:
    """Give batches until a limit is reached; of bytes, the batch that is over it is not given."""
    reader = relation.to_arrow_reader(BATCH)
    batches = _read(reader)
    first = next(batches, None)  # before the head, so that what fails at once fails as a whole
    columns = zip(relation.columns, map(str, relation.types), strict=True)
    write_answer(out, Head([Column(*column) for column in columns]))
    with pa.PythonFile(_Sink(out), mode="w") as sink, _open_writer(shape, sink, reader.schema) as writer:
        for batch in () if first is None else chain([first], batches):
            admitted = limits.admit(batch.num_rows)
            if not limits.weigh(batch.nbytes):
                limits.rows -= admitted
                break
            writer.write_batch(batch.slice(0, admitted))
            if limits.is_reached:
                break


def _read(reader: pa.RecordBatchReader) -> Iterator[pa.RecordBatch]:
    """Give batches. What goes wrong in DuckDB meanwhile comes as another error, and goes on as DuckDB's."""
    try:
        yield from reader
    except (pa.ArrowException, OSError) as error:
        text = str(error)
        kind = duckdb.OutOfMemoryException if text.startswith("Out of Memory") else duckdb.Error
        raise kind(text) from error


@contextmanager
def _open_writer(shape: str, sink: Any, schema: pa.Schema) -> Iterator[Any]:
    if shape == "arrow":
        stream = pa.ipc.new_stream(sink, schema)
        yield stream
        stream.close()  # not where it failed: the mark of its end would make a whole of the half
        return
    from pyarrow import parquet

    try:
        file = parquet.ParquetWriter(sink, schema, compression="zstd")
    except pa.ArrowNotImplementedError as error:
        raise QueryError(
            f"Parquet has no type for a column of this result: {error}", "make it a text: `x::VARCHAR`"
        ) from error
    with file:
        yield file
