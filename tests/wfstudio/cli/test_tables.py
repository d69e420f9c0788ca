"""Tables and widths: aligned, cut where there is no room, whole where a program reads."""

from __future__ import annotations

import io

import pytest

from wfstudio.cli.tables import Column, draw_table
from wfstudio.cli.terminal import Terminal
from wfstudio.cli.widths import cell_width, cut, fit

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


@pytest.mark.parametrize(("text", "width"), [("abc", 3), ("日本", 4), ("e\u0301", 1), ("🙂", 2), ("", 0)])
def test_a_text_takes_the_cells_that_a_terminal_gives_it(text: str, width: int) -> None:
    assert cell_width(text) == width


def test_cutting_never_takes_more_cells_than_there_are() -> None:
    for text in ("abcdef", "日本語日本語", "aé日🙂bcd"):
        for width in range(1, 12):
            assert cell_width(cut(text, width)) <= width
            assert cell_width(fit(text, width)) == width


def test_a_terminal_without_unicode_cuts_with_a_plain_sign(make_terminal) -> None:
    line = draw_table(make_terminal(width=30, encoding="ascii", NO_COLOR="1"), COLUMNS, ROWS)[1]
    assert line == "wrun_1   a_workflow_wi~  12 ms"
