"""Answers: what DuckDB gives as frames of rows, Arrow or Parquet, whatever is in it, and errors where they belong."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet
import pytest

from wfstudio.history import answers
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.wire import Answer, Done, Head, Piece, Question, Rows, decode_answer

END_MARK = b"\xff\xff\xff\xff\0\0\0\0"
HALFWAY = "SELECT CASE WHEN range < 1000000 THEN 1 ELSE CAST('a' || range AS INT) END AS n FROM range(2000000)"


@pytest.fixture(scope="module")
def connection() -> Iterator[duckdb.DuckDBPyConnection]:
    with duckdb.connect(":memory:") as found:
        found.execute("SET TimeZone = 'UTC'")
        yield found


def give(connection: duckdb.DuckDBPyConnection, sql: str, **options: Any) -> list[Answer]:
    """Carry a question out, and give the frames of its answer."""
    out = io.BytesIO()
    try:
        answers.give(connection, Question(world="", root="", sql=sql, **options), out)
    finally:
        given[:] = read_frames(out.getvalue())
    return given


given: list[Answer] = []
"""The frames of the last answer, also of one that failed."""


def read_frames(data: bytes) -> list[Answer]:
    frames = []
    while data:
        size = int.from_bytes(data[:4], "big")
        frames.append(decode_answer(data[4 : 4 + size]))
        data = data[4 + size :]
    return frames


def rows_of(frames: list[Answer]) -> list[Any]:
    return [row for frame in frames if isinstance(frame, Rows) for row in json.loads(frame.data)]


def file_of(frames: list[Answer]) -> bytes:
    return b"".join(frame.data for frame in frames if isinstance(frame, Piece))


def test_json_is_json_wherever_it_lies_in_a_value(connection: duckdb.DuckDBPyConnection) -> None:
    sql = """
        SELECT '{"a": 1}'::JSON, ['{"a":1}'::JSON, NULL], {'x': '[1]'::JSON, 'y': 'text'},
          MAP {'k': '2'::JSON}, [{'x': ['3'::JSON]}], NULL::JSON, NULL::JSON[], 'null'::JSON, ['true'::JSON]::JSON[1],
          NULL::STRUCT(x JSON), MAP {}::MAP(INT, JSON), MAP {1: '"t"'::JSON}
    """
    [row] = rows_of(give(connection, sql))
    assert row == [
        {"a": 1}, [{"a": 1}, None], {"x": [1], "y": "text"}, {"k": 2}, [{"x": [3]}], None, None, None, [True],
        None, {}, {"1": "t"},
    ]  # fmt: skip


def test_json_is_on_one_line_and_keeps_its_numbers(connection: duckdb.DuckDBPyConnection) -> None:
    sql = """SELECT '{"a":\n  1.50, "big": 170141183460469231731687303715884105727}'::JSON, 1.50::DECIMAL(5, 2)"""
    [rows] = [frame for frame in give(connection, sql) if isinstance(frame, Rows)]
    assert rows.data == b'[[{"a":1.50,"big":170141183460469231731687303715884105727},1.50]]'


@pytest.mark.parametrize("text", ['{"a": NaN}', '{"a": -Infinity}', "[1,]"])
def test_what_only_duckdb_takes_for_json_is_a_text(connection: duckdb.DuckDBPyConnection, text: str) -> None:
    [row] = rows_of(give(connection, f"SELECT '{text}'::JSON, ['{text}'::JSON], 1"))
    assert row == [text, [text], 1]


def test_every_type_of_duckdbs_has_a_json(connection: duckdb.DuckDBPyConnection) -> None:
    head, *frames = give(connection, "FROM test_all_types()")
    assert isinstance(head, Head)
    least, most, nothing = (dict(zip([c.name for c in head.columns], row, strict=True)) for row in rows_of(frames))
    assert set(nothing.values()) == {None}
    assert (least["hugeint"], most["hugeint"]) == (-(2**127), 2**127 - 1)
    assert most["uhugeint"] == 2**128 - 1
    assert most["timestamptz_array"][:2] == ["1970-01-01T00:00:00.000000Z", "9999-12-31T23:59:59.999999"]
    assert most["timestamp_tz"] == "294247-01-10 04:00:54.775806+00", "Python has no such year"
    assert most["varchar"] == "goo\0se"


def test_large_rows_go_in_frames_of_their_own(connection: duckdb.DuckDBPyConnection) -> None:
    frames = give(connection, "SELECT repeat('x', 700000) FROM range(5)")
    assert [len(json.loads(frame.data)) for frame in frames if isinstance(frame, Rows)] == [1] * 5
    frames = give(connection, "SELECT repeat('x', 1000) FROM range(500)")
    assert [len(json.loads(frame.data)) for frame in frames if isinstance(frame, Rows)] == [500]


def test_a_row_that_is_larger_than_a_frame_may_be_is_refused(
    connection: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "LARGEST_ROW", 1 << 20)
    assert len(rows_of(give(connection, "SELECT repeat('x', 1000000)"))) == 1
    with pytest.raises(QueryLimitError) as caught:
        give(connection, "SELECT repeat('x', 1048576)")
    assert caught.value.message == "a row of the answer is larger than 1 MB"


def test_the_bytes_of_an_answer_are_counted_over_all_of_its_frames(connection: duckdb.DuckDBPyConnection) -> None:
    *frames, done = give(connection, "SELECT repeat('x', 700000) FROM range(5)", byte_limit=2_000_000)
    assert (len(rows_of(frames)), done) == (2, Done(2, True, done.elapsed_ms))


@pytest.mark.parametrize("shape", ["rows", "arrow", "parquet"])
def test_what_fails_at_once_has_no_head(connection: duckdb.DuckDBPyConnection, shape: str) -> None:
    with pytest.raises(duckdb.Error, match="Could not convert string 'a0'"):
        give(connection, "SELECT CAST('a' || range AS INT) FROM range(10)", shape=shape)
    assert given == []


@pytest.mark.parametrize("shape", ["rows", "arrow", "parquet"])
def test_what_fails_under_way_fails_in_duckdbs_words(connection: duckdb.DuckDBPyConnection, shape: str) -> None:
    with pytest.raises(duckdb.Error, match="Conversion Error: Could not convert string 'a1000000' to INT32"):
        give(connection, HALFWAY, shape=shape)
    assert not any(isinstance(frame, Done) for frame in given)
    if shape == "arrow":
        assert not file_of(given).endswith(END_MARK)


def test_a_table_that_is_whole_ends_with_its_mark(connection: duckdb.DuckDBPyConnection) -> None:
    assert file_of(give(connection, "FROM range(10)", shape="arrow")).endswith(END_MARK)
    assert file_of(give(connection, "FROM range(10)", shape="arrow", row_limit=3)).endswith(END_MARK)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (OSError("Out of Memory Error: failed to allocate"), duckdb.OutOfMemoryException),
        (OSError("Conversion Error: no number"), duckdb.Error),
        (pa.ArrowInvalid("Invalid Input Error: x"), duckdb.Error),
    ],
)
def test_what_arrow_says_of_duckdb_is_duckdbs(said: Exception, expected: type[Exception]) -> None:
    def read() -> Iterator[pa.RecordBatch]:
        yield pa.record_batch({"n": [1]})
        raise said

    batches = answers._read(pa.RecordBatchReader.from_batches(pa.schema({"n": pa.int64()}), read()))
    assert next(batches).num_rows == 1
    with pytest.raises(expected) as caught:
        next(batches)
    assert (type(caught.value), str(caught.value)) == (expected, str(said))


def test_tables_are_read_back_as_they_were(connection: duckdb.DuckDBPyConnection) -> None:
    sql = "SELECT range AS n, 'text ' || range AS text, [range] AS list FROM range(5000)"
    arrow = pa.ipc.open_stream(file_of(give(connection, sql, shape="arrow"))).read_all()
    parquet = pyarrow.parquet.read_table(io.BytesIO(file_of(give(connection, sql, shape="parquet"))))
    assert arrow.column("n").to_pylist() == list(range(5000))
    assert parquet.to_pylist() == arrow.to_pylist()
    assert (given[0], given[-1]) == (given[0], Done(5000, False, given[-1].elapsed_ms))  # type: ignore[union-attr]
    empty = pa.ipc.open_stream(file_of(give(connection, "SELECT 1 AS n WHERE false", shape="arrow"))).read_all()
    assert (empty.column_names, empty.num_rows) == (["n"], 0)


def test_parquet_says_which_type_it_lacks(connection: duckdb.DuckDBPyConnection) -> None:
    with pytest.raises(QueryError) as caught:
        give(connection, "SELECT INTERVAL '1 hour' AS wait", shape="parquet")
    assert caught.value.message.startswith("Parquet has no type for a column of this result: ")
    assert caught.value.hint == "make it a text: `x::VARCHAR`"
