from __future__ import annotations

import pytest

from wfstudio.history.wire import Column, Done
from wfstudio.tui.columns import Column as GridColumn
from wfstudio.tui.results import WIDEST, Result, make_result, say_count

COLUMNS = [Column("name", "VARCHAR"), Column("n", "BIGINT"), Column("ms", "DOUBLE")]


def test_a_row_is_shown_with_rounded_floats_and_nothing_as_null():
    result = Result(COLUMNS, [["a", "12", "2005.6980999999998"], [None, None, "1e-9"]])
    assert len(result) == 2
    assert result.cells(0) == ["a", "12", "2005.6981"]
    assert result.cells(1) == [("NULL", "dim"), ("NULL", "dim"), "1e-9"]
    assert result.record(0)[2] == ("ms", "2005.6980999999998")


def test_columns_are_as_wide_as_what_is_in_them_and_numbers_stand_right():
    result = Result(COLUMNS, [["日本", "1200", None], ["x" * 90, "1", "0.1"]])
    assert result.grid_columns() == [
        GridColumn("name", WIDEST),
        GridColumn("n", 4, align="right"),
        GridColumn("ms", 4, align="right"),
    ]


def test_a_number_is_never_cut():
    rows = [["1"]] * 2_000 + [["9" * 60]]
    [column] = Result([COLUMNS[1]], rows).grid_columns()
    assert column.width == 60


def test_what_would_steer_a_terminal_is_measured_as_it_is_shown():
    [column] = Result([Column("x", "VARCHAR")], [["\x1b[2J"]]).grid_columns()
    assert column.width == len(r"\x1b[2J")


@pytest.mark.parametrize(
    ("count", "is_capped", "said"),
    [
        (1, False, "1 row in 3.5 ms"),
        (0, False, "0 rows in 3.5 ms"),
        (10_000, True, "10 000 rows, and more: the answer was cut there in 3.5 ms"),
    ],
)
def test_how_many_rows_there_are_is_said_honestly(count, is_capped, said):
    result = make_result(COLUMNS[:1], [["x"]] * count, Done(count, is_capped, 3.5))
    assert say_count(result) == said
