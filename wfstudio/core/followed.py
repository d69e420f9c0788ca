"""A run that is followed: its log is kept, so that each look reads and opens only what is new.

    run = FollowedRun(client, run_id)
    await run.look()        True: there was something new
    run.trace, run.log, run.row

1. What is kept is the log as it is stored: payloads stay sealed until one of them is asked for.
2. A look costs what is new, however long the log is: its events are folded into the trace that there is.
3. The trace of a long log is made piece by piece, so that who follows goes on answering meanwhile.

The trace has the markers that events stand for. Those of batches of log lines and of streams, for which all of them
would have to be read at each look, are `Reader.read_trace`'s.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wf.errors import RunNotFoundError
from wf.events import ENDED, WAIT_CREATED, Event
from wf.ids import is_run_id
from wf.world import LogRow, RunRow
from wfstudio.core.logs import ENDS, open_batch
from wfstudio.core.reading import MAX_PAGE, Reader
from wfstudio.core.rows import Opener, show_event
from wfstudio.core.steps import show_steps
from wfstudio.core.traces import GrowingTrace, Trace
from wfstudio.core.views import EventView, LogView, StepView

_PAGE: Final = 2_000
_MAX_BATCHES: Final = 100_000
_AT_ONCE: Final = 500
"""Events that are folded in at once: a few milliseconds."""


class FollowedRun:
    """See the laws at the top of this module."""

    def __init__(self, reader: Reader, run_id: str) -> None:
        self._reader = reader
        self.run_id = run_id
        self.row: RunRow | None = None
        self.log: list[Event] = []
        self._trace: Trace | None = None
        self._growing: GrowingTrace | None = None
        self._batches: dict[int, list[LogRow]] = {}
        self._batches_seq = 0
        """Up to which event the batches of log lines were read."""
        self._by_call: dict[int, list[Event]] = {}
        self._is_over = False

    @property
    def trace(self) -> Trace:
        """Give the trace as of the last look, which must have been."""
        assert self._trace is not None
        return self._trace

    async def look(self) -> bool:
        """Read what is new, and tell whether there was any. Raises `RunNotFoundError`."""
        if self._is_over:
            return False
        row = await self._reader.session.world.get_run(self.run_id) if is_run_id(self.run_id) else None
        if row is None:
            raise RunNotFoundError(self.run_id)
        self.row = row
        if self._trace is not None and row.seq == len(self.log) == self._trace.seq:
            return False
        await self._read_on()
        await self._make_trace(row)
        self._is_over = self._tell_if_over()
        if self._is_over:
            self._growing = None  # it will not grow, and is as large as the trace
        return True

    async def _read_on(self) -> None:
        while True:
            page = await self._reader.session.world.read_events(self.run_id, len(self.log), _PAGE)
            self.log += page
            for event in page:
                self._by_call.setdefault(event.correlation_id or 0, []).append(event)
            if len(page) < _PAGE:
                return

    async def _make_trace(self, row: RunRow) -> None:
        growing = self._growing = self._growing or GrowingTrace(self.log)
        await self._fold_in(growing)
        pending = None  # of a run that was imported the world has no waits: its log must do
        if row.origin is None:
            pending = await self._list_pending() if growing.has_open_waits else set()
            if growing.lacks(pending):  # given up, or ended since the log was read: else it would be shown as given up
                seq = len(self.log)
                await self._read_on()
                await self._fold_in(growing)
                pending |= {event.correlation_id or 0 for event in self.log[seq:] if event.type == WAIT_CREATED}
        self._trace = growing.show(pending_waits=pending)

    async def _fold_in(self, growing: GrowingTrace) -> None:
        while growing.advance(_AT_ONCE):  # noqa: ASYNC110  nothing is waited for: others get their turn
            await asyncio.sleep(0)

    async def _list_pending(self) -> set[int]:
        waits = await self._reader.session.world.list_waits(self.run_id, MAX_PAGE)
        return {wait.correlation_id for wait in waits}

    def _tell_if_over(self) -> bool:
        """Tell whether nothing comes any more, and all there is was read. Losers of a race end after their run."""
        row, trace = self.row, self._trace
        if row is None or trace is None or row.seq != len(self.log):
            return False
        if row.origin is not None or row.status not in ENDED:
            return row.origin is not None
        return not any(span.segments and span.segments[-1].outcome == "abandoned" for span in trace.spans)

    # -- what is opened when it is asked for

    def events_of(self, correlation_id: int) -> list[Event]:
        """List the events of one call; of 0 the run's own."""
        return self._by_call.get(correlation_id, [])

    def show_event(self, event: Event, max_bytes: int | None = None) -> EventView:
        """Give an event with its payload."""
        return show_event(event, self._open(max_bytes))

    def show_step(self, correlation_id: int, max_bytes: int | None = None) -> StepView | None:
        """Give a step with its input, its attempts and how it ended; None for a call that is none."""
        log = [self.log[0], *(event for event in self.events_of(correlation_id) if event.seq > 1)]
        found = show_steps(self.trace, log, self._open(max_bytes), after=correlation_id - 1, limit=1)
        return found[0] if found and found[0].correlation_id == correlation_id else None

    async def read_logs_of(self, correlation_id: int) -> list[LogView]:
        """Give what the attempts of one call printed and logged, in order."""
        ended = (event.seq for event in reversed(self.events_of(correlation_id)) if event.type in ENDS)
        if next(ended, 0) > self._batches_seq:  # batches come with the end of their attempt
            await self._read_batches()
        rows = sorted(self._batches.get(correlation_id, ()), key=lambda row: (row.attempt, row.index))
        return [line for row in rows for line in open_batch(self._reader.session.keyring, row)]

    async def _read_batches(self) -> None:
        seq = len(self.log)
        rows = await self._reader.session.world.read_logs(self.run_id, _MAX_BATCHES)
        self._batches, self._batches_seq = {}, seq
        for row in rows:
            self._batches.setdefault(row.correlation_id, []).append(row)

    def _open(self, max_bytes: int | None) -> Opener:
        return Opener(self._reader.session.keyring, self.run_id, is_locked=False, max_bytes=max_bytes)
