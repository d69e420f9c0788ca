"""Changes: where two JSON values differ, by paths that read like Python.

Objects are compared by key, lists by what they have in common: so one line that was put in is one addition.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Any, Final

import msgspec

from wfstudio.core.alignment import find_chain
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
    """Compare lists by what is the same in both, in order; what lies between is compared place by place.

    A place is that in `before`, and in `after` for what was added.
    """
    old, new = ([_encode(item) for item in items] for items in (before, after))
    # Always the same way round: of equally good chains each way would choose another.
    chain = find_chain(old, new) if old <= new else [(i, j) for j, i in find_chain(new, old)]
    i = j = 0
    for next_i, next_j in [*chain, (len(old), len(new))]:
        both = min(next_i - i, next_j - j)
        for step in range(both):
            yield from _compare(before[i + step], after[j + step], f"{path}[{i + step}]")
        for place in range(i + both, next_i):
            yield ChangeView(path=f"{path}[{place}]", kind="removed", before=before[place])
        for place in range(j + both, next_j):
            yield ChangeView(path=f"{path}[{place}]", kind="added", after=after[place])
        i, j = next_i + 1, next_j + 1


_encode = msgspec.json.Encoder(order="sorted").encode
"""As text, not as values: Python holds 1, 1.0 and true for equal."""
