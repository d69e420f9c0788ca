"""Listed runs: all that is loaded of them, newest first, and what a filter leaves of those.

    runs = ListedRuns()
    runs.load(page)                 older ones, behind those that are there
    runs.put(row), runs.drop(id)    one that is new, or changed, or is gone
    runs.choose(fits)               only those that fit from now on
    runs[3], len(runs), runs.find(id)

1. In the world's order: by creation, newest first. A run never changes its place.
2. A change costs the logarithm of how many there are, and one move of pointers. Choosing costs all of them.
3. Runs are read by several at once, and are put in any order: of two rows of a run the one with fewer events is older,
   and is not taken.
4. What is kept of a run are numbers and texts: no garbage collection has to walk through 100 000 of them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from typing import Final

import msgspec

from wf.world import RunRow

MOST: Final = 100_000
"""Runs that are kept; older ones are found by SQL."""
LIVE: Final = frozenset({"pending", "running"})


class Listed(msgspec.Struct, frozen=True, gc=False):
    """What a list shows of a run. `attributes` are `key=value`, a line each; instants are microseconds."""

    run_id: str
    workflow: str
    status: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    seq: int
    attributes: str = ""
    error_code: str | None = None
    attention: str | None = None
    origin: str | None = None

    @property
    def is_error(self) -> bool:
        """Whether it failed, or rests because its code or its key is missing."""
        return self.status == "failed" or self.attention is not None


def list_row(row: RunRow) -> Listed:
    attributes = "\n".join(f"{key}={value}" for key, value in row.attributes.items()) if row.attributes else ""
    return Listed(
        row.run_id,
        row.workflow,
        row.status,
        row.created_at,
        row.started_at,
        row.ended_at,
        row.seq,
        attributes,
        row.error_code,
        None if row.attention is None else row.attention.code,
        row.origin,
    )


Fits = Callable[[Listed], bool]


class ListedRuns:
    """See the laws at the top of this module."""

    def __init__(self) -> None:
        self._all: list[Listed] = []
        self._shown: list[Listed] = self._all
        self._created: dict[str, int] = {}
        self._fits: Fits | None = None
        self.live: set[str] = set()
        """Ids of loaded runs that were in flight when they were last read."""

    def __len__(self) -> int:
        return len(self._shown)

    def __getitem__(self, index: int) -> Listed:
        return self._shown[index]

    def __iter__(self) -> Iterator[Listed]:
        return iter(self._shown)

    @property
    def loaded(self) -> int:
        return len(self._all)

    def get(self, run_id: str) -> Listed | None:
        """Give a loaded run, whether or not it fits."""
        created_at = self._created.get(run_id)
        index = None if created_at is None else _find(self._all, run_id, created_at)
        return None if index is None else self._all[index]

    def find(self, run_id: str) -> int | None:
        """Give where a run is shown, or None."""
        created_at = self._created.get(run_id)
        return None if created_at is None else _find(self._shown, run_id, created_at)

    def place(self, run_id: str, created_at: int) -> int:
        """Give where a run is shown, or where it would be."""
        found = _find(self._shown, run_id, created_at)
        return bisect_left(self._shown, -created_at, key=_age) if found is None else found

    # -- changing

    def load(self, rows: Iterable[RunRow]) -> int:
        """Add a page of older runs behind the others; give how many were new."""
        page = [list_row(row) for row in rows if row.run_id not in self._created][: max(0, MOST - len(self._all))]
        for run in page:
            self._created[run.run_id] = run.created_at
            self._note_life(run)
        is_in_order = not page or not self._all or self._all[-1].created_at >= page[0].created_at
        self._all += page
        if self._fits is not None:
            self._shown += [run for run in page if self._fits(run)]
        if not is_in_order:  # a run with an older clock came meanwhile
            self._all.sort(key=_age)
            self._shown.sort(key=_age)
        return len(page)

    def put(self, row: RunRow) -> None:
        """Take a run as it is now; one that is older than all that are loaded waits for its page."""
        run = list_row(row)
        known = self.get(run.run_id)
        if known is not None:
            if (known.created_at, known.seq) > (run.created_at, run.seq):
                return
            if known.created_at != run.created_at:  # that one was forgotten, and its id is another run's now
                self.drop(run.run_id)
        before = self._created.get(run.run_id)
        if before is not None or len(self._all) < MOST or run.created_at > self._all[-1].created_at:
            self._note_life(run)
        if before is None:
            if len(self._all) >= MOST:
                if run.created_at <= self._all[-1].created_at:
                    return
                self.drop(self._all[-1].run_id)
            self._created[run.run_id] = run.created_at
            self._all.insert(bisect_left(self._all, -run.created_at, key=_age), run)
            if self._fits is not None and self._fits(run):
                self._shown.insert(bisect_left(self._shown, -run.created_at, key=_age), run)
            return
        index = _find(self._all, run.run_id, before)
        assert index is not None
        self._all[index] = run
        if self._fits is not None:
            self._put_shown(run)

    def _note_life(self, run: Listed) -> None:
        if run.status in LIVE:
            self.live.add(run.run_id)
        else:
            self.live.discard(run.run_id)

    def _put_shown(self, run: Listed) -> None:
        assert self._fits is not None
        index = _find(self._shown, run.run_id, run.created_at)
        fits = self._fits(run)
        if index is not None and fits:
            self._shown[index] = run
        elif index is not None:
            del self._shown[index]
        elif fits:
            self._shown.insert(bisect_left(self._shown, -run.created_at, key=_age), run)

    def drop(self, run_id: str) -> None:
        """Forget a run: it was pruned."""
        self.live.discard(run_id)
        created_at = self._created.pop(run_id, None)
        if created_at is None:
            return
        for runs in [self._all] if self._shown is self._all else [self._all, self._shown]:
            index = _find(runs, run_id, created_at)
            if index is not None:
                del runs[index]

    def choose(self, fits: Fits | None) -> None:
        """Show only runs that fit, of all that are loaded and of those to come; None: all."""
        self._fits = fits
        self._shown = self._all if fits is None else [run for run in self._all if fits(run)]


def _age(run: Listed) -> int:
    return -run.created_at


def _find(runs: list[Listed], run_id: str, created_at: int) -> int | None:
    index = bisect_left(runs, -created_at, key=_age)
    while index < len(runs) and runs[index].created_at == created_at:
        if runs[index].run_id == run_id:
            return index
        index += 1
    return None
