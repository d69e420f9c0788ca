"""Tables: aligned, cut where there is no room, whole where a program reads."""

from __future__ import annotations

import io

import pytest

from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal

COLUMNS = [Column("run"), Column("workflow", is_flexible=True), Column("took", is_number=True)]
ROWS = [["wrun_1", "a_workflow_with_a_long_name", "12 ms"], ["wrun_22", "short", "1.5 s"]]


def test_columns_are_aligned_numbers_to_the_right() -> None:
    assert draw_table(Terminal(io.StringIO()), COLUMNS, ROWS) == [
        "RUN      WORKFLOW                      TOOK",
        "wrun_1   a_workflow_with_a_long_name  12 ms",
        "wrun_22  short                        1.5 s",
    ]


def test_a_terminal_cuts_what_may_be_cut(make_terminal) -> None:
    lines = draw_table(make_terminal(width=30, NO_COLOR="1"), COLUMNS, ROWS)
    assert lines == [
        "RUN      WORKFLOW         TOOK",
        "wrun_1   a_workflow_wi…  12 ms",
        "wrun_22  short           1.5 s",
    ]


def test_columns_that_have_no_room_are_left_out_from_the_right_and_named(make_terminal) -> None:
    assert draw_table(make_terminal(width=20, NO_COLOR="1"), COLUMNS, ROWS) == [
        "RUN      WORKFLOW",
        "wrun_1   a_workflow…",
        "wrun_22  short",
        "no room here for took",
    ]
    assert draw_table(make_terminal(width=5, NO_COLOR="1"), COLUMNS, ROWS) == [
        "RUN",
        "wrun_1",
        "wrun_22",
        "no room here for workflow, took",
    ]


def test_a_pipe_cuts_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    assert "a_workflow_with_a_long_name" in draw_table(Terminal(io.StringIO()), COLUMNS, ROWS)[1]


def test_a_column_that_says_nothing_takes_no_room_on_a_terminal(make_terminal) -> None:
    rows = [["wrun_1", "", "12 ms"]]
    assert draw_table(make_terminal(NO_COLOR="1"), COLUMNS, rows)[0] == "RUN      TOOK"
    assert draw_table(Terminal(io.StringIO()), COLUMNS, rows)[0] == "RUN     WORKFLOW   TOOK"


def test_colour_counts_for_no_width(make_terminal) -> None:
    terminal = make_terminal(width=40)
    painted = [["wrun_1", terminal.paint("a_workflow_with_a_long_name_indeed", "red"), "12 ms"]]
    line = draw_table(terminal, COLUMNS, painted)[1]
    assert line.startswith("wrun_1  \x1b[31ma_workflow_with_a_long")
    assert "…\x1b[0m" in line


def test_no_rows_are_no_table() -> None:
    assert draw_table(Terminal(io.StringIO()), COLUMNS, []) == []


def test_a_terminal_without_unicode_cuts_with_a_plain_sign(make_terminal) -> None:
    line = draw_table(make_terminal(width=30, encoding="ascii", NO_COLOR="1"), COLUMNS, ROWS)[1]
    assert line == "wrun_1   a_workflow_wi~  12 ms"
