"""Changes: where two JSON values differ, by paths that read like Python.

Objects are compared by key, lists by place, after what they have in common at both ends: so one line that
was put in front is one addition.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

from wfstudio.core.bench.views import ChangeView

MOST_CHANGES: Final = 200


def find_changes(before: Any, after: Any, path: str, most: int = MOST_CHANGES) -> tuple[list[ChangeView], int]:
    """Give the first differences, and how many more there are (counted up to ten times as many)."""
    found = list(islice(_compare(before, after, path), 10 * most))
    return found[:most], max(0, len(found) - most)


def _compare(before: Any, after: Any, path: str) -> Iterator[ChangeView]:
    if type(before) is dict and type(after) is dict:
        for key in [*before, *(key for key in after if key not in before)]:
            place = path + (f".{key}" if key.isidentifier() else f"[{key!r}]")
            if key not in after:
                yield ChangeView(path=place, kind="removed", before=before[key])
            elif key not in before:
                yield ChangeView(path=place, kind="added", after=after[key])
            else:
                yield from _compare(before[key], after[key], place)
    elif type(before) is list and type(after) is list:
        yield from _compare_lists(before, after, path)
    elif type(before) is not type(after) or before != after:
        yield ChangeView(path=path, kind="changed", before=before, after=after)


def _compare_lists(before: list[Any], after: list[Any], path: str) -> Iterator[ChangeView]:
    shortest = min(len(before), len(after))
    head = 0
    while head < shortest and _is_same(before[head], after[head]):
        head += 1
    tail = 0
    while tail < shortest - head and _is_same(before[-1 - tail], after[-1 - tail]):
        tail += 1
    old, new = before[head : len(before) - tail], after[head : len(after) - tail]
    for index, (one, other) in enumerate(zip(old, new, strict=False), head):
        yield from _compare(one, other, f"{path}[{index}]")
    for index in range(len(new), len(old)):
        yield ChangeView(path=f"{path}[{head + index}]", kind="removed", before=old[index])
    for index in range(len(old), len(new)):
        yield ChangeView(path=f"{path}[{head + index}]", kind="added", after=new[index])


def _is_same(before: Any, after: Any) -> bool:
    """Tell whether two values are the same JSON; Python holds 1, 1.0 and true for equal."""
    return next(_compare(before, after, ""), None) is None
