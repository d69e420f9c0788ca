"""Changes: two JSON values, and the paths where they differ."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfstudio.core.changes import find_changes


def changes(before: Any, after: Any) -> list[tuple[str, str, Any, Any]]:
    found, more = find_changes(before, after, "result")
    assert more == 0
    return [(change.path, change.kind, change.before, change.after) for change in found]


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (1, 1, []),
        (1, 2, [("result", "changed", 1, 2)]),
        (1, 1.0, [("result", "changed", 1, 1.0)]),
        (1, True, [("result", "changed", 1, True)]),
        ({"a": 1}, {"a": 2}, [("result.a", "changed", 1, 2)]),
        ({"a b": 1}, {"a b": 2}, [("result['a b']", "changed", 1, 2)]),
        ({"a": 1}, {"b": 1}, [("result.a", "removed", 1, None), ("result.b", "added", None, 1)]),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, []),
        ([1, 2], [1, 3], [("result[1]", "changed", 2, 3)]),
        ([1, 2, 3], [0, 1, 2, 3], [("result[0]", "added", None, 0)]),
        ([1, 2, 3], [1, 3], [("result[1]", "removed", 2, None)]),
        ([], [{}], [("result[0]", "added", None, {})]),
        ({"lines": [{"price": 1}]}, {"lines": [{"price": 2}]}, [("result.lines[0].price", "changed", 1, 2)]),
        ([1], {"0": 1}, [("result", "changed", [1], {"0": 1})]),
        (None, [], [("result", "changed", None, [])]),
    ],
)
def test_differences_are_told_by_path(before: Any, after: Any, expected: list[Any]) -> None:
    assert changes(before, after) == expected


def test_only_so_many_are_given_and_the_others_counted() -> None:
    found, more = find_changes(list(range(500)), [-1 - n for n in range(500)], "result", most=10)
    assert (len(found), more) == (10, 90)


json = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=2),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=2), inner, max_size=4),
    max_leaves=12,
)


@given(json, json)
def test_a_value_differs_from_another_unless_it_is_the_same_and_never_from_itself(one: Any, other: Any) -> None:
    assert changes(one, copy.deepcopy(one)) == []
    assert (changes(one, other) == []) == (repr_of(one) == repr_of(other))
    assert len(changes(one, other)) == len(changes(other, one))


def repr_of(value: Any) -> str:
    """Write a value so that equal JSON has equal text."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{key!r}:{repr_of(value[key])}" for key in sorted(value)) + "}"
    return "[" + ",".join(map(repr_of, value)) + "]" if isinstance(value, list) else repr(value)
