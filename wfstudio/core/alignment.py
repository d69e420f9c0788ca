"""Alignment: two sequences of keys side by side, so that what was put in between shifts nothing.

    align(["a", "b", "c"], ["a", "x", "b", "c"])  ->  (0, 0) (None, 1) (1, 2) (2, 3)

Sequences that differ in few places are aligned exactly, by their longest common subsequence (Myers 1986: time
n times the number of differences). For two unrelated ones that would be n squared; beyond
`MOST_DIFFERENCES` the nth occurrence of a key is paired with the nth of the other, and of these pairs the
longest chain is kept in which both sides grow, in n log n.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Hashable, Sequence
from typing import Final

Pair = tuple[int | None, int | None]
Keys = Sequence[Hashable]

MOST_DIFFERENCES: Final = 400


def align(a: Keys, b: Keys, *coarser: tuple[Keys, Keys]) -> list[Pair]:
    """Give pairs of places, each place once, in the order of both.

    Where a gap is left between pairs, its places are paired by the next of the `coarser` keys, if there are
    any: (keys of `a`, keys of `b`), as long as the sequences.
    """
    pairs: list[Pair] = []
    i = j = 0
    for next_i, next_j in [*find_chain(a, b), (len(a), len(b))]:
        pairs += _fill(i, next_i, j, next_j, coarser)
        if next_i < len(a):
            pairs.append((next_i, next_j))
        i, j = next_i + 1, next_j + 1
    return pairs


def _fill(i: int, end_i: int, j: int, end_j: int, coarser: tuple[tuple[Keys, Keys], ...]) -> list[Pair]:
    """Pair what lies between two pairs, or leave it alone: what only the first has comes first."""
    if coarser and i < end_i and j < end_j:
        (a, b), *rest = coarser
        inner = align(a[i:end_i], b[j:end_j], *((x[i:end_i], y[j:end_j]) for x, y in rest))
        return [(None if x is None else x + i, None if y is None else y + j) for x, y in inner]
    return [*((x, None) for x in range(i, end_i)), *((None, y) for y in range(j, end_j))]


def find_chain(a: Keys, b: Keys) -> list[tuple[int, int]]:
    """Give pairs of places with equal keys in which both sides grow, as many as can be found at a fair price."""
    shortest = min(len(a), len(b))
    head = tail = 0
    while head < shortest and a[head] == b[head]:
        head += 1
    while tail < shortest - head and a[-1 - tail] == b[-1 - tail]:
        tail += 1
    inner_a, inner_b = a[head : len(a) - tail], b[head : len(b) - tail]
    inner = _find_exactly(inner_a, inner_b)
    if inner is None:
        inner = _find_by_occurrence(inner_a, inner_b)
    return [
        *((place, place) for place in range(head)),
        *((i + head, j + head) for i, j in inner),
        *((len(a) - tail + place, len(b) - tail + place) for place in range(tail)),
    ]


def _find_exactly(a: Keys, b: Keys) -> list[tuple[int, int]] | None:
    """Give a longest common subsequence, or None where the two differ in too many places.

    `reach[k]` is how far in `a` the furthest path on the diagonal i - j = k has come.
    """
    reach = {1: 0}
    history: list[dict[int, int]] = []
    for differences in range(min(len(a) + len(b), MOST_DIFFERENCES) + 1):
        history.append(reach.copy())
        for k in range(-differences, differences + 1, 2):
            is_down = k == -differences or (k != differences and reach[k - 1] < reach[k + 1])
            i = reach[k + 1] if is_down else reach[k - 1] + 1
            while i < len(a) and 0 <= i - k < len(b) and a[i] == b[i - k]:
                i += 1
            reach[k] = i
            if i >= len(a) and i - k >= len(b):
                return _trace_back(history, len(a), len(b))
    return None


def _trace_back(history: list[dict[int, int]], i: int, j: int) -> list[tuple[int, int]]:
    """Walk a shortest edit back from its end, and collect the steps in which both sides moved."""
    pairs: list[tuple[int, int]] = []
    for differences in range(len(history) - 1, -1, -1):
        reach, k = history[differences], i - j
        is_down = k == -differences or (k != differences and reach[k - 1] < reach[k + 1])
        before_k = k + 1 if is_down else k - 1
        before_i = reach[before_k]
        start = before_i if is_down else before_i + 1
        while i > start:
            i, j = i - 1, j - 1
            pairs.append((i, j))
        i, j = before_i, before_i - before_k
    return pairs[::-1]


def _find_by_occurrence(a: Keys, b: Keys) -> list[tuple[int, int]]:
    places: dict[Hashable, list[int]] = {}
    for place in range(len(b) - 1, -1, -1):
        places.setdefault(b[place], []).append(place)
    pairs = [(i, left.pop()) for i, key in enumerate(a) if (left := places.get(key))]
    return _keep_growing(pairs)


def _keep_growing(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Keep a longest subsequence of pairs whose second places grow, as their first ones do."""
    tails: list[int] = []
    ends: list[int] = []  # of the chain of each length, where its last pair is
    before: list[int] = []
    for place, (_, value) in enumerate(pairs):
        length = bisect_left(tails, value)
        before.append(ends[length - 1] if length else -1)
        if length == len(tails):
            tails.append(value)
            ends.append(place)
        else:
            tails[length] = value
            ends[length] = place
    chain: list[tuple[int, int]] = []
    place = ends[-1] if ends else -1
    while place >= 0:
        chain.append(pairs[place])
        place = before[place]
    return chain[::-1]
