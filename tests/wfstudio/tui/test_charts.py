"""Charts: what is drawn, to the character."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfstudio.history.wire import Column
from wfstudio.text.widths import cell_width
from wfstudio.tui.charts import (
    AXIS,
    KINDS,
    LABEL,
    MOST_BARS,
    Choice,
    choose_chart,
    choose_ticks,
    draw_chart,
    read_points,
    say_chart,
    show_number,
)

AT = Column("at", "TIMESTAMP WITH TIME ZONE")
NAME = Column("name", "VARCHAR")
N = Column("n", "BIGINT")
MS = Column("ms", "DOUBLE")
PRICE = Column("price", "DECIMAL(18,2)")


def draw(choice, columns, rows, width=40, height=10, **how):
    lines = draw_chart(read_points(choice, columns, rows), width, height, **how)
    return ["".join(text for text, _ in line).rstrip() for line in lines]


@pytest.mark.parametrize(
    ("columns", "choice"),
    [
        ([NAME, AT, N, MS], Choice(1, (2, 3), "line")),
        ([NAME, N, PRICE], Choice(0, (1, 2), "bar")),
        ([N, MS], Choice(0, (1,), "scatter")),
        ([N], None),
        ([NAME, AT], None),
        ([], None),
        ([NAME, *[N] * 9], Choice(0, (1, 2, 3, 4, 5), "bar")),
    ],
)
def test_what_is_drawn_follows_from_the_types_of_the_columns(columns, choice):
    assert choose_chart(columns) == choice


def test_bars_have_their_names_and_numbers_beside_them():
    rows = [("flow.order", "12"), ("日本", "96"), (None, "0"), ("x" * 40, None)]
    assert draw(Choice(0, (1,), "bar"), [NAME, N], rows) == [
        "█ n",
        "flow.order    ██▉                     12",
        "日本          ███████████████████████ 96",
        "NULL                                   0",
        "xxxxxxxxxxxx…",
    ]


def test_a_bar_below_nothing_goes_the_other_way():
    rows = [("a", "-5"), ("b", "5")]
    assert draw(Choice(0, (1,), "bar"), [NAME, N], rows, width=27) == [
        "█ n",
        "a ███████████            -5",
        "b            ███████████  5",
    ]


def test_bars_of_two_series_are_told_apart_without_colours():
    rows = [("a", "5", "10")]
    lines = draw(Choice(0, (1, 2), "bar"), [NAME, N, MS], rows, width=25, has_colour=False)
    assert lines == ["█ n  ▓ ms", "a ██████████            5", "  ▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓▓ 10"]


def test_lines_of_two_series_are_told_apart_without_colours():
    rows = [("0", "1", "3"), ("1", "2", "1")]
    lines = draw(Choice(0, (1, 2), "scatter"), [N, N, N], rows, width=30, height=8, has_colour=False)
    assert lines == [
        "● n  ○ n",
        "3 ┤○",
        "  │",
        "2 ┤                          ●",
        "  │",
        "1 ┤●                         ○",
        "  └───────────────────────────",
        "   0                         1",
    ]


def test_of_very_many_bars_the_first_are_drawn_and_the_others_told():
    rows = [(str(index), "1") for index in range(MOST_BARS + 7)]
    assert draw(Choice(0, (1,), "bar"), [NAME, N], rows)[-1] == "and 7 more"


def test_a_line_goes_through_its_points_in_order_of_time():
    rows = [
        ("2026-01-02T10:00:20.000000Z", "4"),
        ("2026-01-02T10:00:00.000000Z", "0"),
        ("2026-01-02T10:00:10.000000Z", "2"),
        ("never", "9"),
    ]
    assert draw(Choice(0, (1,), "line"), [AT, N], rows, width=30, height=8) == [
        "● n",
        "4 ┤                      ⣀⡠⠔⠒⠉",
        "  │                ⢀⣀⠤⠔⠊⠉",
        "2 ┤           ⣀⡠⠤⠒⠊⠁",
        "  │     ⢀⡠⠤⠒⠊⠉",
        "0 ┤⣀⠤⠔⠒⠉⠁",
        "  └───────────────────────────",
        "   10:00:00           10:00:20",
    ]


def test_a_missing_value_breaks_the_line():
    rows = [(f"2026-01-02T10:00:{second:02}Z", value) for second, value in enumerate(["1", None, "1", "2"])]
    points = read_points(Choice(0, (1,), "line"), [AT, N], rows)
    [line] = [line for line in draw_chart(points, 30, 8) if line[0][0].startswith("1")]
    assert "".join(text for text, _ in line[1:]).count(" ") > 10


def test_points_are_dots_and_each_has_its_series():
    rows = [("0", "1", "1"), ("1", "2", "3")]
    points = read_points(Choice(0, (1, 2), "scatter"), [N, N, N], rows)
    owners = {owner for line in draw_chart(points, 30, 10) for text, owner in line if text.strip()}
    assert owners == {AXIS, LABEL, 0, 1}


def test_what_is_no_number_is_left_out_and_not_drawn_as_nothing():
    points = read_points(Choice(0, (1,), "bar"), [NAME, MS], [("a", "NaN"), ("b", "Infinity"), ("c", "x"), ("d", None)])
    assert [point.values for point in points.points] == [(None,)] * 4
    assert draw_chart(points, 40, 10) == [[("there is nothing to draw", LABEL)]]


def test_where_there_is_no_room_it_is_said():
    points = read_points(Choice(0, (1,), "bar"), [NAME, N], [("a", "1")])
    assert draw_chart(points, 10, 10) == [[("there is no room", LABEL)]]


def test_numbers_that_lie_too_far_apart_are_told():
    points = read_points(Choice(0, (1,), "line"), [N, MS], [("0", "-1.7e308"), ("1", "1.7e308")])
    assert draw_chart(points, 40, 10) == [[("the numbers lie too far apart to be drawn", LABEL)]]


def test_a_hostile_name_is_made_harmless():
    points = read_points(Choice(0, (1,), "bar"), [NAME, Column("\x1b[31mn", "BIGINT")], [("\x1b[2J[red]", "1")])
    text = "".join(text for line in draw_chart(points, 60, 10) for text, _ in line)
    assert "\x1b" not in text
    assert r"\x1b[2J[red]" in text


@pytest.mark.parametrize(
    ("low", "high", "most", "is_whole", "ticks"),
    [
        (0, 10, 5, False, [0, 2, 4, 6, 8, 10]),
        (0.1, 0.35, 4, False, [0.1, 0.2, 0.30000000000000004, 0.4]),
        (0, 2, 10, True, [0, 1, 2]),
        (5, 5, 4, False, [5]),
        (-3, 17, 3, False, [-10, 0, 10, 20]),
    ],
)
def test_ticks_are_round_numbers_around_the_range(low, high, most, is_whole, ticks):
    assert choose_ticks(low, high, most, is_whole=is_whole) == ticks


@pytest.mark.parametrize(
    ("value", "is_whole", "shown"),
    [
        (12400, True, "12 400"),
        (0.25, False, "0.25"),
        (1234.5678, False, "1 234.57"),
        (1.2e15, False, "1.2e+15"),
        (0.30000000000000004, False, "0.3"),
        (-2.0, True, "-2"),
        (0.00001234, False, "1.234e-05"),
    ],
)
def test_numbers_are_as_short_as_they_can_be_read(value, is_whole, shown):
    assert show_number(value, is_whole) == shown


def test_a_chart_is_said_in_words():
    assert say_chart(Choice(0, (1, 2), "line"), [AT, N, MS], 7) == "a line chart of n, ms by at, 7 rows"


NUMBER = st.none() | st.floats() | st.integers(-(10**20), 10**20)


@given(
    st.sampled_from(KINDS),
    st.lists(st.tuples(st.text(max_size=5), NUMBER, NUMBER), max_size=20),
    st.sampled_from([0, 1]),
    st.integers(1, 60),
    st.integers(1, 20),
)
def test_whatever_the_numbers_are_a_chart_has_the_width_that_was_asked_for(kind, rows, x, width, height):
    cells = [[None if cell is None else str(cell) for cell in row] for row in rows]
    points = read_points(Choice(x, (1, 2), kind), [NAME, MS, N], cells)
    for line in draw_chart(points, width, height)[1:]:
        assert cell_width("".join(text for text, _ in line)) <= width
