"""Which spans of a run are shown: what is folded, what is looked for, where the cursor is. Pure.

A row is named by its run and its span, so that cursor and folds stay where they are while a run grows.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import takewhile
from operator import is_
from typing import Final, NamedTuple

from wfstudio.core.traces import RUN_SPAN, Span
from wfstudio.text.looks import Row
from wfstudio.text.timeline import label_span

_FAILED: Final = frozenset({"failed", "conflict", "retrying"})
_LOST: Final = frozenset({"failed", "lost"})


class Place(NamedTuple):
    """A span's name among all that are shown."""

    run_id: str
    span_id: str = RUN_SPAN


class Wanted(NamedTuple):
    """What is shown: spans whose name, kind or status has the text (or, inverse, has not); only those that failed."""

    text: str = ""
    is_inverse: bool = False
    only_errors: bool = False

    @property
    def is_all(self) -> bool:
        return not self.text and not self.only_errors


def place_of(row: Row) -> Place:
    return Place(row.run_id, row.span.id)


def is_parent(rows: Sequence[Row], index: int) -> bool:
    """Tell whether a row has others under it that can be folded away; the run's own stays."""
    return 0 < index < len(rows) - 1 and rows[index + 1].depth > rows[index].depth


def unfold_rows(rows: Sequence[Row], folded: Collection[Place]) -> list[Row]:
    """Give the rows that do not lie under a fold."""
    if not folded:
        return list(rows)
    chosen: list[Row] = []
    deepest: int | None = None
    for row in rows:
        if deepest is not None and row.depth > deepest:
            continue
        deepest = row.depth if place_of(row) in folded else None
        chosen.append(row)
    return chosen


class Search:
    """What is looked for among rows that come and go: each of them is asked once.

    search = Search(wanted, rows)
    search.change(compare_rows(rows, now))
    search.choose(now)      what is found, with what leads there
    """

    def __init__(self, wanted: Wanted, rows: Iterable[Row] = ()) -> None:
        self._wanted = wanted
        self._found: set[int] = set()
        self._ask(rows)

    def _ask(self, rows: Iterable[Row]) -> None:
        self._found.update(id(row) for row in rows if is_wanted(row.span, self._wanted))

    def change(self, change: Change) -> None:
        """Take rows that are gone and rows that are new."""
        self._found.difference_update(map(id, change.gone))
        self._ask(change.new)

    def choose(self, rows: Sequence[Row]) -> list[Row]:
        """Give what is found of rows that were all taken, and the rows that lead there."""
        chosen: list[Row] = []
        way: list[Row] = []
        """The rows that lead to the present one, which are not chosen yet."""
        for row in rows:
            while way and way[-1].depth >= row.depth:
                way.pop()
            way.append(row)
            if row.depth == 0 or id(row) in self._found:
                chosen += way
                way.clear()
        return chosen


def is_wanted(span: Span, wanted: Wanted) -> bool:
    """Tell whether a span is looked for."""
    if wanted.only_errors and not has_failed(span):
        return False
    if not wanted.text:
        return True
    text = f"{label_span(span)} {span.kind} {span.status} {span.error_type or ''}".lower()
    return (wanted.text.lower() in text) is not wanted.is_inverse


def has_failed(span: Span) -> bool:
    """Tell whether a span failed, or any of its attempts did."""
    return span.status in _FAILED or any(segment.outcome in _LOST for segment in span.segments)


class Change(NamedTuple):
    """How rows differ from what they were: a row that changed is gone, and another one is new."""

    gone: list[Row]
    new: list[Row]


def compare_rows(before: Sequence[Row], now: Sequence[Row]) -> Change:
    """Tell which rows are other ones. Rows that stayed are known by their identity, so this costs next to nothing."""
    start = _count_same(before, now)
    end = _count_same(reversed(before[start:]), reversed(now[start:]))
    old, new = before[start : len(before) - end], now[start : len(now) - end]
    kept = {*map(id, old)} & {*map(id, new)}
    return Change([row for row in old if id(row) not in kept], [row for row in new if id(row) not in kept])


def _count_same(ones: Iterable[Row], others: Iterable[Row]) -> int:
    """Count the rows that are the same ones from the beginning on."""
    return sum(1 for _ in takewhile(bool, map(is_, ones, others)))


def find_row(rows: Sequence[Row], place: Place | None, likely: int = 0) -> int:
    """Give the index of a place; 0 where it is not shown. `likely` is where to look first."""
    if likely < len(rows) and place_of(rows[likely]) == place:
        return likely
    return next((index for index, row in enumerate(rows) if place_of(row) == place), 0)


def find_parent(rows: Sequence[Row], index: int) -> int:
    """Give the index of the row that another lies under."""
    depth = rows[index].depth
    return next((above for above in range(index - 1, -1, -1) if rows[above].depth < depth), 0)


def find_failure(rows: Sequence[Row], index: int) -> int | None:
    """Give the index of the next row that failed, round from the top; None: nothing did."""
    order = [*range(index + 1, len(rows)), *range(1, index + 1)]
    return next((one for one in order if has_failed(rows[one].span)), None)
