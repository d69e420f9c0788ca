"""Tables of answers: names as they were written, as wide as the terminal, and honest about what is left out."""

from __future__ import annotations

import io
from typing import Any

import pytest

from wfstudio.cli.query_tables import MOST_SHOWN, draw_rows
from wfstudio.cli.terminal import Terminal
from wfstudio.history.wire import Column
from wfstudio.text.widths import cell_width

PIPE = Terminal(io.StringIO())
RUNS = [
    Column("run_id", "VARCHAR"),
    Column("status", "VARCHAR"),
    Column("count_star()", "BIGINT"),
    Column("output", "JSON"),
    Column("p95", "DOUBLE"),
]
ROWS = [
    ["wrun_01M8G4AADA4XK624AHFVZMHEAP", "completed", "12", '{"site":"/srv/public","ok":1}', "2005.6980999999998"],
    ["wrun_01M8G4AD996SKC0CKA3E57NCWF", "failed", "3", None, None],
]  # fmt: skip


def test_names_stay_as_they_were_written_and_numbers_are_to_the_right() -> None:
    assert draw_rows(PIPE, RUNS, ROWS) == [
        "run_id                           status     count_star()  output                                        p95",
        'wrun_01M8G4AADA4XK624AHFVZMHEAP  completed            12  {"site":"/srv/public","ok":1}  2005.6980999999998',
        "wrun_01M8G4AD996SKC0CKA3E57NCWF  failed                3",
    ]  # fmt: skip


def test_a_terminal_cuts_texts_and_no_number(make_terminal: Any) -> None:
    assert draw_rows(make_terminal(90, NO_COLOR="1"), RUNS, ROWS) == [
        "run_id                      status     count_star()  output                            p95",
        'wrun_01M8G4AADA4XK624AHFV…  completed            12  {"site":"/srv/public","ok…  2005.6981',
        "wrun_01M8G4AD996SKC0CKA3E…  failed                3  NULL                             NULL",
    ]


def test_what_does_not_fit_is_left_out_and_that_is_said(make_terminal: Any) -> None:
    assert draw_rows(make_terminal(50, NO_COLOR="1"), RUNS, ROWS) == [
        "run_id                     status     count_star()",
        "wrun_01M8G4AADA4XK624AHF…  completed            12",
        "wrun_01M8G4AD996SKC0CKA3…  failed                3",
        "3 of 5 columns fit here; SELECT those that you want to see",
    ]


def test_a_single_row_that_does_not_fit_is_shown_whole(make_terminal: Any) -> None:
    assert draw_rows(make_terminal(60, NO_COLOR="1"), RUNS, ROWS[:1]) == [
        "run_id        wrun_01M8G4AADA4XK624AHFVZMHEAP",
        "status        completed",
        "count_star()  12",
        'output        {"site":"/srv/public","ok":1}',
        "p95           2005.6981",
    ]
    [line] = draw_rows(make_terminal(40, NO_COLOR="1"), [Column("x", "VARCHAR")], [["y" * 10_000]])
    assert len(line) == len("x  ") + MOST_SHOWN, "a payload of megabytes is not"


def test_a_single_row_that_fits_is_a_table(make_terminal: Any) -> None:
    lines = draw_rows(make_terminal(80, NO_COLOR="1"), [Column("a", "INTEGER"), Column("b", "VARCHAR")], [["1", "x"]])
    assert lines == ["a  b", "1  x"]


@pytest.mark.parametrize("width", [20, 33, 47, 80, 119, 200])
def test_no_line_of_a_table_is_wider_than_the_terminal(width: int, make_terminal: Any) -> None:
    terminal = make_terminal(width, NO_COLOR="1")
    columns = [Column(f"column {n} of many", "BIGINT" if n % 3 == 0 else "VARCHAR") for n in range(12)]
    rows = [
        [str(10**place) if n % 3 == 0 else "日本語 text " * (n + place) for n in range(12)] for place in range(1, 9)
    ]
    *lines, _ = draw_rows(terminal, columns, rows) if width < 200 else [*draw_rows(terminal, columns, rows), ""]
    assert max(map(cell_width, lines)) <= width
    assert str(10**8) in lines[8], "the first column is there"


def test_names_stand_alone_where_there_are_no_rows(make_terminal: Any) -> None:
    assert draw_rows(PIPE, RUNS[:3], []) == ["run_id  status  count_star()"]
    assert draw_rows(make_terminal(80, NO_COLOR="1"), RUNS[:3], []) == ["run_id  status  count_star()"]
    assert draw_rows(PIPE, [], []) in ([], [""])


def test_a_column_that_is_empty_stays(make_terminal: Any) -> None:
    lines = draw_rows(make_terminal(80, NO_COLOR="1"), [Column("a", "VARCHAR"), Column("b", "VARCHAR")], [["", "x"]])
    assert lines == ["a  b", "   x"]


def test_nothing_is_told_from_the_text_that_reads_so(make_terminal: Any) -> None:
    column = [Column("a", "VARCHAR")]
    assert draw_rows(make_terminal(80), column, [[None], ["NULL"]])[1:] == ["\x1b[2mNULL\x1b[0m", "NULL"]
    assert draw_rows(PIPE, column, [[None], ["NULL"]])[1:] == ["", "NULL"], "a program finds nothing where nothing is"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("0.1", "0.1"), ("0.30000000000000004", "0.3"), ("1e-07", "1e-07"), ("0.0", "0.0"), ("1e300", "1e300"),
        ("NaN", "NaN"), ("-Infinity", "-Infinity"), ("-2005.6980999999998", "-2005.6981"),
    ],
)  # fmt: skip
def test_a_float_is_shown_without_the_dust_of_its_binary_form(value: str, shown: str, make_terminal: Any) -> None:
    assert draw_rows(make_terminal(80, NO_COLOR="1"), [Column("x", "DOUBLE")], [[value]])[1].strip() == shown
    assert draw_rows(PIPE, [Column("x", "DOUBLE")], [[value]])[1].strip() == value, "piped it is whole"


def test_a_plan_is_shown_as_it_is_drawn() -> None:
    columns = [Column("explain_key", "VARCHAR"), Column("explain_value", "VARCHAR")]
    plan = "┌─────┐\n│ \x1b  │\n└─────┘"
    assert draw_rows(PIPE, columns, [["physical_plan", plan]]) == ["┌─────┐", "│ \\x1b  │", "└─────┘"]
