"""Time travel: a run as it was right after any of its events, from code that is replayed.

A bench is kept for each run that is looked at, with the run's states in it (`bench.posts`), so that the
next event is near. It ends when nobody has looked for a while, or for too many others.

1. A moment is the same whoever asks, and in whatever order.
2. A run that goes on is followed: what its log has more is fed to the bench that is there.
3. A bench with today's code is used as long as its files are what it loaded.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

import msgspec

from wf.events import PENDING
from wf.world import RunRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.views import MomentView
from wfstudio.core.bench.workbench import LoadedBench, Workbench
from wfstudio.core.errors import BenchError, NotFoundError, UsageError

TRAVEL_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 15.0
KEEP_SECONDS: Final = 60.0
MOST_KEPT: Final = 4

LAST: Final = "last"

Key = tuple[str, str | None]
Stamp = list[tuple[int, int] | None]


class _Trip:
    """A bench on which one run is replayed. `known` is how much of its log it has; a replacement has today's
    code in place of one that is not kept."""

    def __init__(self, row: RunRow, loaded: LoadedBench, stamp: Stamp, *, is_replacement: bool) -> None:
        self.row = row
        self.loaded = loaded
        self.stamp = stamp
        self.is_replacement = is_replacement
        self.known = row.seq
        self.turn = asyncio.Lock()  # guards what the bench knows, while it is told more
        self.timer: asyncio.TimerHandle | None = None

    def is_good(self, row: RunRow) -> bool:
        """Tell whether it can go on: its process lives, its code is the same, and the run had begun."""
        is_same = self.stamp == _stamp(self.loaded.files) if self.stamp else True
        has_begun = (self.row.status != PENDING and self.row.seq > 1) or row.seq == self.row.seq
        return self.loaded.bench.is_alive and is_same and has_begun


class TimeTravel:
    """See the laws at the top of this module."""

    def __init__(self, workbench: Workbench) -> None:
        self._workbench = workbench
        self._trips: dict[Key, _Trip] = {}
        self._opening: dict[Key, asyncio.Lock] = {}
        self._endings: set[asyncio.Task[None]] = set()

    async def look(self, run_id: str, seq: int | str, *, deployment: str | None = "own") -> MomentView:
        """Show a run right after the event `seq`, or after its `last` one.

        Where the run's own code is not kept, today's is replayed in its place. Raises `NotFoundError` for an
        event that is none, `LoadError`, `ConflictError` where the code has no such workflow, `BenchError`.
        """
        row = await self._workbench.read_row(run_id)
        place = read_seq(row, seq)
        code = await self._workbench.choose_code(row, deployment)
        trip = await self._open_or_find(row, code, may_replace=deployment == "own")
        try:
            async with trip.turn:
                if row.seq > trip.known:
                    log = await self._workbench.open_log(row)
                    await trip.loaded.bench.ask(wire.GoOn(log[trip.known :]), wire.Travelled, TRAVEL_SECONDS)
                    trip.known = row.seq
            seen = await trip.loaded.bench.ask(wire.Look(place), wire.Seen, LOOK_SECONDS)
        except BenchError:
            if not trip.loaded.bench.is_alive:
                self._drop(next((key for key, known in self._trips.items() if known is trip), None))
            raise
        name = trip.loaded.deployment_id
        return msgspec.structs.replace(
            seen.moment, status=row.status, deployment_id=name, is_own=name == row.deployment_id
        )

    async def close(self) -> None:
        """End all processes that are kept."""
        for key in list(self._trips):
            self._drop(key)
        await asyncio.gather(*self._endings)

    # -- what is kept

    async def _open_or_find(self, row: RunRow, code: str | None, *, may_replace: bool) -> _Trip:
        key = (row.run_id, code)
        async with self._opening.setdefault(key, asyncio.Lock()):
            trip = self._trips.get(key)
            if trip is not None and trip.is_replacement and not may_replace:
                await self._workbench.describe_code(code)  # that code was not kept: say so
            if trip is not None and not trip.is_good(row):
                self._drop(key)
                trip = None
            if trip is None:
                trip = await self._open(row, code, may_replace=may_replace)
                self._trips[key] = trip
            else:
                self._trips[key] = self._trips.pop(key)  # the last one is the last to go
            self._keep(key, trip)
        if not any(lock.locked() for lock in self._opening.values()):
            self._opening.clear()
        while len(self._trips) > MOST_KEPT:
            self._drop(next(iter(self._trips)))
        return trip

    async def _open(self, row: RunRow, code: str | None, *, may_replace: bool) -> _Trip:
        workbench, is_replacement = self._workbench, False
        try:
            described = await workbench.describe_code(code)
        except NotFoundError:
            if not may_replace:
                raise
            is_replacement = True
            code, described = None, await workbench.describe_code(None)
        # The process starts and loads while the log is read and opened.
        loading = asyncio.get_running_loop().create_task(workbench.open_loaded(described, code))
        try:
            log = await workbench.open_log(row)
            loaded = await loading
            await loaded.bench.ask(wire.Travel(row, log), wire.Travelled, TRAVEL_SECONDS)
        except BaseException:
            loading.cancel()
            [found] = await asyncio.gather(loading, return_exceptions=True)
            if isinstance(found, LoadedBench):
                await found.bench.close()
            raise
        return _Trip(row, loaded, _stamp(loaded.files) if code is None else [], is_replacement=is_replacement)

    def _keep(self, key: Key, trip: _Trip) -> None:
        if trip.timer is not None:
            trip.timer.cancel()
        trip.timer = asyncio.get_running_loop().call_later(KEEP_SECONDS, self._drop, key)

    def _drop(self, key: Key | None) -> None:
        trip = None if key is None else self._trips.pop(key, None)
        if trip is None:
            return
        if trip.timer is not None:
            trip.timer.cancel()
        ending = asyncio.get_running_loop().create_task(trip.loaded.bench.close())
        self._endings.add(ending)
        ending.add_done_callback(self._endings.discard)


def read_seq(row: RunRow, seq: int | str) -> int:
    """Read the number of an event of a run, or `last`. Raises `UsageError`, `NotFoundError`."""
    if seq == LAST:
        return row.seq
    text = str(seq)
    if not (text.isascii() and text.isdecimal() and len(text) <= 9):
        raise UsageError(f"{text!r:.80} is no event's number", f"a number from 1 to {row.seq}, or `{LAST}`")
    if not 1 <= int(text) <= row.seq:
        raise NotFoundError(f"run {row.run_id} has no event {int(text)}", f"it has {row.seq}: from 1 on")
    return int(text)


def _stamp(files: list[str]) -> Stamp:
    """Say how files are now, to tell later whether one was saved."""
    found: Stamp = []
    for file in files:
        try:
            status = os.stat(file)
        except OSError:
            found.append(None)
        else:
            found.append((status.st_mtime_ns, status.st_size))
    return found
