"""Alignment: every place once, in order, and what was put in between shifts nothing."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfstudio.core import alignment
from wfstudio.core.alignment import align, find_chain


def show(a: str, b: str, *coarser: tuple[str, str]) -> str:
    """Write an alignment: `a`, `-a` for what only the first has, `+a` for what only the second has."""
    pairs = align(a, b, *coarser)
    return " ".join(
        f"+{b[j or 0]}" if i is None else f"-{a[i]}" if j is None else a[i] if a[i] == b[j] else f"{a[i]}{b[j]}"
        for i, j in pairs
    )


@pytest.mark.parametrize(
    ("a", "b", "shown"),
    [
        ("", "", ""),
        ("abc", "abc", "a b c"),
        ("abc", "axbc", "a +x b c"),
        ("abc", "ac", "a -b c"),
        ("abc", "", "-a -b -c"),
        ("", "ab", "+a +b"),
        ("abc", "xyz", "-a -b -c +x +y +z"),
        ("abcd", "bcda", "-a b c d +a"),
        ("aab", "aaab", "a a +a b"),
        ("ab", "bab", "+b a b"),
        ("abcabba", "cbabac", "-a -b c +b a b -b a +c"),
    ],
)
def test_sequences_stand_side_by_side(a: str, b: str, shown: str) -> None:
    assert show(a, b) == shown


def test_what_has_no_finer_partner_is_paired_by_a_coarser_key() -> None:
    # Fine keys are letters in their case, coarse ones letters alone: as inputs, and names without inputs.
    assert show("aBc", "abc", ("abc", "abc")) == "a Bb c"
    assert show("aBc", "axbc", ("abc", "axbc")) == "a +x Bb c"
    assert show("ABC", "abc", ("abc", "abc")) == "Aa Bb Cc"
    assert show("AbC", "XbY", ("abc", "xby"), ("...", "...")) == "AX b CY"


@given(st.lists(st.integers(0, 5)), st.lists(st.integers(0, 5)))
def test_every_place_is_there_once_and_in_order(a: list[int], b: list[int]) -> None:
    pairs = align(a, b, ([key // 2 for key in a], [key // 2 for key in b]))
    assert [i for i, _ in pairs if i is not None] == list(range(len(a)))
    assert [j for _, j in pairs if j is not None] == list(range(len(b)))
    assert all(a[i] // 2 == b[j] // 2 for i, j in pairs if i is not None and j is not None)


@given(st.lists(st.integers(0, 3)), st.integers(0, 30))
def test_one_that_was_put_in_is_one_difference(a: list[int], place: int) -> None:
    b = [*a[:place], 9, *a[place:]]
    assert sum(i is None or j is None for i, j in align(a, b)) == 1


def test_unrelated_sequences_do_not_take_a_square_of_their_length() -> None:
    a, b = list(range(50_000)), list(range(49_999, -1, -1))
    assert len(align(a, b)) == 99_999  # a square would take hours


def longest(a: list[int], b: list[int]) -> int:
    """Give the length of the longest common subsequence, the slow way."""
    row = [0] * (len(b) + 1)
    for x in a:
        before = row
        row = [0]
        for j, y in enumerate(b):
            row.append(before[j] + 1 if x == y else max(before[j + 1], row[j]))
    return row[-1]


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_few_differences_are_found_exactly(a: list[int], b: list[int]) -> None:
    chain = find_chain(a, b)
    assert all(a[i] == b[j] for i, j in chain)
    assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(chain))
    assert len(chain) == longest(a, b)


@given(st.lists(st.integers(0, 3)), st.lists(st.integers(0, 3)))
def test_many_are_paired_by_occurrence_and_never_wrongly(a: list[int], b: list[int]) -> None:
    chain = alignment._find_by_occurrence(a, b)
    assert all(a[i] == b[j] for i, j in chain)
    assert all(x[0] < y[0] and x[1] < y[1] for x, y in pairwise(chain))
    assert len(chain) <= longest(a, b)
    assert bool(chain) == bool(set(a) & set(b))
