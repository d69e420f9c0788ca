"""A run that is followed: its log is kept, so that each look reads and opens only what is new.

    run = FollowedRun(client, run_id)
    await run.look()        True: there was something new
    run.trace, run.log, run.row

1. What is kept is the log as it is stored: payloads stay sealed until one of them is asked for.
2. Making the trace of a long log takes a thread, so that who follows goes on answering meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Final

from wf.errors import RunNotFoundError
from wf.events import ENDED, Event
from wf.ids import is_run_id
from wf.world import RunRow
from wfstudio.core.logs import open_batch
from wfstudio.core.reading import MAX_PAGE, Reader
from wfstudio.core.rows import Opener, show_event
from wfstudio.core.steps import show_steps
from wfstudio.core.traces import Trace, make_trace
from wfstudio.core.views import EventView, LogView, StepView

_PAGE: Final = 2_000
_MAX_BATCHES: Final = 100_000
_LONG: Final = 1_000
"""Events of which a trace is made at once: a few milliseconds."""


class FollowedRun:
    """See the laws at the top of this module."""

    def __init__(self, reader: Reader, run_id: str) -> None:
        self._reader = reader
        self.run_id = run_id
        self.row: RunRow | None = None
        self.log: list[Event] = []
        self._trace: Trace | None = None
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
        pending = None  # of a run that was imported the world has no waits: its log must do
        if row.origin is None:
            waits = await self._reader.session.world.list_waits(self.run_id, MAX_PAGE)
            pending = {wait.correlation_id for wait in waits}
        marks = await self._reader.read_marks(self.run_id)
        if len(self.log) <= _LONG:
            self._trace = make_trace(self.log, marks=marks, pending_waits=pending)
        else:
            log = list(self.log)
            self._trace = await asyncio.to_thread(make_trace, log, marks=marks, pending_waits=pending)

    def _tell_if_over(self) -> bool:
        """Tell whether nothing comes any more, and all there is was read. Losers of a race end after their run."""
        row, trace = self.row, self._trace
        if row is None or trace is None or row.seq != len(self.log):
            return False
        is_left = any(span.segments and span.segments[-1].outcome == "abandoned" for span in trace.spans)
        return row.origin is not None or (row.status in ENDED and not is_left)

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
        session = self._reader.session
        rows = [row for row in await session.world.read_logs(self.run_id, _MAX_BATCHES)
                if row.correlation_id == correlation_id]  # fmt: skip
        rows.sort(key=lambda row: (row.attempt, row.index))
        return [line for row in rows for line in open_batch(session.keyring, row)]

    def _open(self, max_bytes: int | None) -> Opener:
        return Opener(self._reader.session.keyring, self.run_id, is_locked=False, max_bytes=max_bytes)
