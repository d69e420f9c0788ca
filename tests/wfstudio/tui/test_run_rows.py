"""Rows: what is folded, what is looked for, and how the cursor finds its span again."""

from __future__ import annotations

import msgspec
import pytest

from tests.wfstudio.tui.spans import names, order_rows
from wfstudio.text.looks import Row
from wfstudio.tui.run_rows import (
    Place,
    Search,
    Wanted,
    compare_rows,
    find_failure,
    find_parent,
    find_row,
    is_parent,
    place_of,
    unfold_rows,
)

ROWS = order_rows()


def test_all_rows_are_shown_until_something_is_folded() -> None:
    assert names(unfold_rows(ROWS, ())) == ["order", "charge", "pack", "box", "tape", "ship"]
    assert names(unfold_rows(ROWS, {Place("wrun_1", "2")})) == ["order", "charge", "pack", "ship"]


def test_only_what_has_rows_under_it_can_be_folded() -> None:
    assert [is_parent(ROWS, index) for index in range(len(ROWS))] == [False, False, True, False, False, False]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        (Wanted("tape"), ["order", "pack", "tape"]),
        (Wanted("TAPE"), ["order", "pack", "tape"]),
        (Wanted("child"), ["order", "pack"]),
        (Wanted("shop.Lost"), ["order", "ship"]),
        (Wanted("step", is_inverse=True), ["order", "pack"]),
        (Wanted(only_errors=True), ["order", "charge", "ship"]),
        (Wanted("charge", only_errors=True), ["order", "charge"]),
        (Wanted("nothing"), ["order"]),
    ],
    ids=str,
)
def test_a_search_gives_what_is_found_and_what_led_there(wanted: Wanted, found: list[str]) -> None:
    assert names(Search(wanted, ROWS).choose(ROWS)) == found


def test_a_search_follows_rows_that_come_go_and_change() -> None:
    failed = msgspec.structs.replace(ROWS[2], span=msgspec.structs.replace(ROWS[2].span, status="failed"))
    looks = [ROWS[:2], ROWS, [*ROWS[:2], failed, *ROWS[3:]], ROWS[:4], ROWS]
    for wanted in (Wanted("tape"), Wanted("charge", is_inverse=True), Wanted(only_errors=True)):
        search, before = Search(wanted), list[Row]()
        for look in looks:
            search.change(compare_rows(before, look))
            assert search.choose(look) == Search(wanted, look).choose(look)
            before = look


def test_a_place_is_found_again_whatever_is_above_it() -> None:
    place = place_of(ROWS[5])
    assert place == Place("wrun_1", "3")
    assert find_row(unfold_rows(ROWS, {Place("wrun_1", "2")}), place) == 3
    assert find_row(ROWS, Place("wrun_2", "2")) == 4, "a child's calls have numbers of their own"
    assert find_row(ROWS, Place("wrun_9", "2")) == 0


def test_the_way_up_leads_to_the_call_that_a_row_lies_under() -> None:
    assert [find_parent(ROWS, index) for index in (5, 4, 3, 2)] == [0, 2, 2, 0]


def test_failures_are_found_round_from_the_top() -> None:
    assert find_failure(ROWS, 0) == 1, "an attempt failed, though the step did not"
    assert find_failure(ROWS, 1) == 5
    assert find_failure(ROWS, 5) == 1
    assert find_failure(ROWS[2:5], 0) is None


def test_rows_are_compared_by_which_they_are() -> None:
    rows = order_rows()
    other = order_rows()
    assert compare_rows(rows, list(rows)) == ([], [])
    assert compare_rows(rows[:3], rows) == ([], rows[3:])
    assert compare_rows([*rows[:2], *rows[4:]], rows) == ([], rows[2:4]), "a child's go between those of its parent"
    assert compare_rows(rows, [*rows[:2], other[2], *rows[3:]]) == ([rows[2]], [other[2]])
    assert compare_rows([rows[0], rows[1], rows[2]], [rows[2], rows[1], other[0]]) == ([rows[0]], [other[0]])
    assert compare_rows([], rows) == ([], rows)
