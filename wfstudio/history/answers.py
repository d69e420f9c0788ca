"""Answers: a result as rows of JSON, as an Arrow stream, or as a Parquet file, within its limits.

JSON has fewer types than SQL: instants are ISO 8601 in UTC as everywhere (`2026-01-02T03:04:05.000006Z`), a
DECIMAL is a number with its digits, an INTERVAL, a UUID, a date or a time its text, a BLOB base64, and a float
that JSON lacks `"NaN"`, `"Infinity"` or `"-Infinity"`. A column of type JSON is the JSON itself.
"""

from __future__ import annotations

import base64
import math
import time
from collections.abc import Callable
from datetime import date, datetime, timedelta
from datetime import time as clock
from decimal import Decimal
from io import RawIOBase
from typing import Any, BinaryIO, Final
from uuid import UUID

import duckdb
import msgspec
import pyarrow as pa

from wf.durations import to_instant
from wfstudio.core.views import show_instant
from wfstudio.history.wire import Column, Done, Head, Piece, Question, Rows, write_answer

ROWS_AT_ONCE: Final = 500
BATCH: Final = 2_048
_PIECE: Final = 1 << 20

Convert = Callable[[Any], Any]


def give(connection: duckdb.DuckDBPyConnection, question: Question, out: BinaryIO) -> None:
    """Carry out a question's statement and give its result, in the shape that is asked for. Raises `duckdb.Error`."""
    began = time.perf_counter()
    limits = _Limits(question.row_limit, question.byte_limit)
    if question.shape == "rows":
        connection.execute(question.sql, question.parameters or None)
        columns = [Column(str(column[0]), str(column[1])) for column in connection.description or ()]
        write_answer(out, Head(columns))
        _give_rows(connection, columns, limits, out)
    else:
        relation = connection.sql(question.sql, params=question.parameters or None)
        write_answer(
            out, Head([Column(*pair) for pair in zip(relation.columns, map(str, relation.types), strict=True)])
        )
        _give_table(relation, question.shape, limits, out)
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


def _give_rows(connection: duckdb.DuckDBPyConnection, columns: list[Column], limits: _Limits, out: BinaryIO) -> None:
    converters = [_show_json if column.type == "JSON" else show for column in columns]
    while not limits.is_reached and (rows := connection.fetchmany(ROWS_AT_ONCE)):
        found: list[bytes] = []
        admitted = rows[: limits.admit(len(rows))]
        for row in admitted:
            data = _encode([convert(value) for convert, value in zip(converters, row, strict=True)])
            if not limits.weigh(len(data)):
                limits.rows -= len(admitted) - len(found)
                break
            found.append(data)
        if found:
            write_answer(out, Rows(b"[" + b",".join(found) + b"]"))


def _show_json(value: Any) -> Any:
    return None if value is None else msgspec.Raw(value.encode())


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
    dict: lambda value: {key if isinstance(key, str) else str(show(key)): show(item) for key, item in value.items()},
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
    with pa.PythonFile(_Sink(out), mode="w") as sink, _open_writer(shape, sink, reader.schema) as writer:
        for batch in reader:
            admitted = limits.admit(batch.num_rows)
            if not limits.weigh(batch.nbytes):
                limits.rows -= admitted
                break
            writer.write_batch(batch.slice(0, admitted))
            if limits.is_reached:
                break


def _open_writer(shape: str, sink: Any, schema: pa.Schema) -> Any:
    if shape == "arrow":
        return pa.ipc.new_stream(sink, schema)
    from pyarrow import parquet

    return parquet.ParquetWriter(sink, schema, compression="zstd")
