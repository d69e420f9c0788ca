"""How columns share a grid's width."""

from __future__ import annotations

from wfstudio.tui.columns import Column, share_width

STATUS, NAME, AGE = Column("status", 10), Column("name", 10, share=1), Column("age", 8)


def test_what_is_left_over_goes_to_the_flexible_columns() -> None:
    assert share_width([STATUS, NAME, AGE], 80) == [10, 58, 8]
    assert share_width([STATUS, NAME, Column("about", 10, share=3)], 74) == [10, 20, 40]


def test_what_has_no_room_is_left_out_from_the_right() -> None:
    assert share_width([STATUS, NAME, AGE], 31) == [10, 19, 0]
    assert share_width([STATUS, NAME, AGE], 12) == [10, 0, 0]


def test_one_column_is_always_shown() -> None:
    assert share_width([NAME], 3) == [10]


def test_a_column_may_ask_for_a_wide_grid() -> None:
    wide = Column("run", 10, from_width=84)
    assert share_width([STATUS, wide, NAME], 83) == [10, 0, 71]
    assert share_width([STATUS, wide, NAME], 84) == [10, 10, 60]


def test_fixed_columns_are_all_shown_since_a_grid_scrolls_sideways() -> None:
    assert share_width([STATUS, AGE, STATUS], 12) == [10, 8, 10]
