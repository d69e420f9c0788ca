"""The reader: a world as the faces see it. Everything is read here, once, for all of them.

1. Nothing of the user's is imported or executed: workflows are known by the catalog that their
   worker stored, payloads are shown as the JSON they are.
2. Reading changes nothing.
3. Where payloads are read, `max_bytes` is what is shown of one: see `values.show_value`.
4. Reads give views (`views`); errors are those of `wf.errors` and `errors`, each with a slug and a cure.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from collections.abc import AsyncGenerator, AsyncIterator
from typing import Final

import msgspec

from wf import codec
from wf import events as types
from wf import operations as ops
from wf.catalog import WorkflowEntry, open_catalog, open_source
from wf.durations import to_instant
from wf.errors import DecryptionError, ImportedRunError, RunNotFoundError, WorkflowError, shorten
from wf.events import Event
from wf.ids import is_run_id
from wf.records import decode_meta, find_last, read_end
from wf.run import attention_error
from wf.session import Session
from wf.streams import chunk_place
from wf.world import ChunkRow, DeploymentRow, LogRow, RunFilter, RunRow
from wfstudio.core import rows
from wfstudio.core.bells import Bell
from wfstudio.core.errors import NotFoundError, UsageError
from wfstudio.core.logs import ENDS, Batches, is_in_batch, open_batch
from wfstudio.core.reasons import Reasons
from wfstudio.core.stats import NEWEST, StatsView, count_runs
from wfstudio.core.steps import show_steps
from wfstudio.core.traces import Mark, MarksView, MarkView, Trace, make_trace
from wfstudio.core.values import show_arguments, show_value
from wfstudio.core.views import (
    ChunkView,
    DeploymentView,
    EventView,
    HookView,
    LogView,
    RunList,
    RunQuery,
    RunView,
    StepView,
    StreamView,
    WaitView,
    WorkflowView,
    show_instant,
)

MAX_PAGE: Final = 10_000
"""Items that one read gives at most."""

LOOK_SECONDS: Final = 10.0
"""How often a follower looks that nobody rings. Doorbells are hints (law 5 of `wf.world`): of a write for which the
disk did not say whether it happened, nobody may have been rung."""

_STATUSES: Final = (types.PENDING, types.RUNNING, *sorted(types.ENDED))
_EVENT_PAGE: Final = 1_000
_LOG_PAGE: Final = 5_000
_CHUNK_PAGE: Final = 256
_MAX_BATCHES: Final = 100_000
_MAX_WATCHED: Final = 10_000


class Reader:
    """See the laws at the top of this module. One may be used by many tasks of one loop at once."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self._reasons = Reasons(session.world)
        self._error_types: OrderedDict[str, str | None] = OrderedDict()

    # -- runs

    async def list_runs(self, query: RunQuery) -> RunList:
        """List runs, newest first. Raises `UsageError` for a status or limit that is none."""
        for status in query.status or ():
            if status not in _STATUSES:
                raise UsageError(f"status {status!r:.80} is none of {' '.join(_STATUSES)}")
        _check_limit(query.limit)
        found = await self.session.world.list_runs(
            RunFilter(
                status=query.status,
                workflow=query.workflow,
                attributes=query.attributes,
                since=None if query.since is None else to_instant(query.since, "since"),
                until=None if query.until is None else to_instant(query.until, "until"),
                limit=query.limit + 1,  # one more tells if there is a next page
                cursor=query.cursor,
            )
        )
        if not found and query.cursor is not None and await self.session.world.get_run(query.cursor) is None:
            # Not the end of the list: nobody knows where that run would stand in it.
            raise UsageError(
                f"the cursor {query.cursor!r:.80} is of no run that is there", "begin again, without a cursor"
            )
        items = [await self._show_run(row, is_locked=False) for row in found[: query.limit]]
        return RunList(items, items[-1].id if len(found) > query.limit else None)

    async def find_run(self, run_id: str) -> RunView | None:
        """Give a run as lists show it, or None."""
        row = await self.session.world.get_run(run_id)
        return None if row is None else await self._show_run(row, is_locked=False)

    async def get_run(self, run_id: str, *, is_locked: bool = False, max_bytes: int | None = None) -> RunView:
        """Give a run with its arguments and how it ended. Raises `RunNotFoundError`."""
        row = await self._read_row(run_id)
        view = await self._show_run(row, is_locked=is_locked)
        if is_locked:
            return msgspec.structs.replace(view, is_locked=True)
        opener = rows.Opener(self.session.keyring, run_id, is_locked=False)
        first = await self.session.world.read_events(run_id, 0, 1)
        data, is_closed = opener.open(first[0] if first else None)
        arguments = None if data is None else show_arguments(data, max_bytes)
        fork = rows.show_fork(first[0]) if first and row.forked_from is not None else None
        view = msgspec.structs.replace(view, input=arguments, fork=fork, is_locked=is_closed)
        if row.status in types.ENDED:
            try:
                end = await read_end(self.session.world, self.session.keyring, row)
                view = rows.show_end(view, end, max_bytes)
            except DecryptionError as error:
                view = rows.show_unreadable(view, error)
        return view

    async def wait_for_end(self, run_id: str, timeout: float | None = None) -> RunView:
        """Wait for the end of a run, and of those it continued as; give the last one.

        `timeout` is seconds. Raises `TimeoutError`, the run's attention as the error it stands for, and
        `ImportedRunError` for one that was imported before it ended.
        """
        async with asyncio.timeout(timeout):
            row = await find_last(self.session.world, self.session.keyring, run_id)
            while row.status not in types.ENDED:
                async with Bell(self.session.world, f"run:{row.run_id}") as bell:
                    row = await self._wait_for_end(row.run_id, bell)
        return await self.get_run(row.run_id)

    async def _wait_for_end(self, run_id: str, bell: Bell) -> RunRow:
        """Wait until a run ends, or goes on as another; give it, or that one.

        With one bell all the while: of a world that nobody serves, a new one rings at once.
        """
        while True:
            row = await find_last(self.session.world, self.session.keyring, run_id)
            if row.status in types.ENDED or row.run_id != run_id:
                return row
            if row.attention is not None:
                raise attention_error(row)
            if row.origin is not None:
                raise ImportedRunError(row.run_id, row.origin)
            await bell.wait(ops.LOOK_AGAIN_SECONDS)

    async def watch(self) -> AsyncIterator[str]:
        """Give the ids of runs that change state, from now on; a run that changes often comes once.

        A watcher that falls far behind loses the oldest: look at the whole list now and then.
        """
        async with contextlib.aclosing(self.watch_changes()) as changes:
            async for run_ids in changes:
                for run_id in run_ids:
                    yield run_id

    async def watch_changes(self, pause_seconds: float = 0) -> AsyncGenerator[list[str], None]:
        """Give the ids of runs that changed state since the last time, not more often than asked for."""
        changed: dict[str, None] = {}
        has_news = asyncio.Event()

        def ring(run_id: str) -> None:
            changed[run_id] = None
            if len(changed) > _MAX_WATCHED:
                del changed[next(iter(changed))]
            has_news.set()

        undo = await self.session.world.subscribe("runs", ring)
        try:
            while True:
                await has_news.wait()
                await asyncio.sleep(pause_seconds)
                has_news.clear()
                run_ids = list(changed)
                changed.clear()
                yield run_ids
        finally:
            undo()

    async def watch_run(self, run_id: str) -> AsyncGenerator[str, None]:
        """Give a run's id, at once and whenever more of it can be read or its state changed; never ends by itself.

        Who looks at each of them misses nothing. News that come fast are gathered. Now and then the id comes
        without news, too, since doorbells are hints. Of the run's children it tells their ends only.
        """
        async with Bell(self.session.world, f"log:{run_id}", f"run:{run_id}", is_pacing=True) as bell:
            while True:
                yield run_id
                await bell.wait(LOOK_SECONDS)

    async def _read_row(self, run_id: str) -> RunRow:
        row = await self.session.world.get_run(run_id) if is_run_id(run_id) else None
        if row is None:
            raise RunNotFoundError(run_id)
        return row

    async def _show_run(self, row: RunRow, *, is_locked: bool) -> RunView:
        opener = rows.Opener(self.session.keyring, row.run_id, is_locked=is_locked)
        now_us = self.session.now_us()
        reason = await self._reasons.say(row, lambda event: rows.name_hook(event, opener), now_us)
        return rows.show_run(row, reason, now_us, error_type=await self._read_error_type(row))

    async def _read_error_type(self, row: RunRow) -> str | None:
        """Give the class of a failed run's exception, which its last event says in clear. It never changes."""
        if row.status != types.FAILED or row.result_seq is None:
            return None
        if row.run_id not in self._error_types:
            found = await self.session.world.read_events(row.run_id, row.result_seq - 1, 1)
            self._error_types[row.run_id] = decode_meta(found[0].meta).get("error_type") if found else None
            if len(self._error_types) > _MAX_WATCHED:
                self._error_types.popitem(last=False)
        return self._error_types[row.run_id]

    # -- what a run did

    async def list_events(
        self,
        run_id: str,
        after_seq: int = 0,
        limit: int = 1000,
        *,
        is_locked: bool = False,
        max_bytes: int | None = None,
    ) -> list[EventView]:
        """List a run's events after one, in order."""
        _check_limit(limit)
        await self._read_row(run_id)
        opener = rows.Opener(self.session.keyring, run_id, is_locked=is_locked, max_bytes=max_bytes)
        found = await self.session.world.read_events(run_id, max(0, after_seq), limit)
        return [rows.show_event(event, opener) for event in found]

    async def follow_events(
        self, run_id: str, after_seq: int = 0, *, is_locked: bool = False, max_bytes: int | None = None
    ) -> AsyncIterator[EventView]:
        """Give a run's events after one, and those to come, until the run has ended."""
        world, after_seq = self.session.world, max(0, after_seq)
        opener = rows.Opener(self.session.keyring, run_id, is_locked=is_locked, max_bytes=max_bytes)
        async with Bell(world, f"log:{run_id}", is_pacing=True) as bell:
            while True:
                has_ended = _is_over(await self._read_row(run_id))  # before the events: they are all there then
                found = await world.read_events(run_id, after_seq, _EVENT_PAGE)
                for event in found:
                    yield rows.show_event(event, opener)
                    after_seq = event.seq
                if len(found) < _EVENT_PAGE:
                    if has_ended:
                        return
                    await bell.wait(LOOK_SECONDS)

    async def read_trace(self, run_id: str) -> Trace:
        """Give the spans of a run. Opens no payload."""
        row = await self._read_row(run_id)
        log = await self._read_log(run_id)
        pending = None  # of a run that was imported the world has no waits: its log must do
        if row.origin is None:
            pending = {wait.correlation_id for wait in await self.session.world.list_waits(run_id, MAX_PAGE)}
        return make_trace(log, marks=await self.read_marks(run_id), pending_waits=pending)

    async def read_marks_beside(self, run_id: str) -> MarksView:
        """Give what a trace has that no event tells. Who folds events into a trace asks for it now and then."""
        row = await self._read_row(run_id)  # first: a wait that is made meanwhile is none of those that were there
        waits = await self.session.world.list_waits(run_id, MAX_PAGE)
        marks = [
            MarkView(kind=mark.kind, at=show_instant(mark.at_us), correlation_id=mark.correlation_id, data=mark.data)
            for mark in await self.read_marks(run_id)
        ]
        return MarksView(row.seq, marks, sorted(wait.correlation_id for wait in waits))

    async def list_steps(
        self,
        run_id: str,
        *,
        after: int = 0,
        limit: int = 1000,
        is_locked: bool = False,
        max_bytes: int | None = None,
    ) -> list[StepView]:
        """List a run's steps whose correlation id is over `after`, in order of their calls."""
        _check_limit(limit)
        await self._read_row(run_id)
        log = await self._read_log(run_id)
        opener = rows.Opener(self.session.keyring, run_id, is_locked=is_locked, max_bytes=max_bytes)
        return show_steps(make_trace(log), log, opener, after=after, limit=limit)

    async def _read_log(self, run_id: str) -> list[Event]:
        log: list[Event] = []
        while True:
            page = await self.session.world.read_events(run_id, len(log), _LOG_PAGE)
            log += page
            if len(page) < _LOG_PAGE:
                return log

    async def read_marks(self, run_id: str) -> list[Mark]:
        """Mark each batch of log lines, and where each stream begins and ends."""
        world = self.session.world
        marks = [
            Mark(kind="log", at_us=log.at, correlation_id=log.correlation_id, data={"attempt": log.attempt})
            for log in await world.read_logs(run_id, MAX_PAGE)
        ]
        for stream in await world.list_streams(run_id):
            data = {"name": stream.name}
            if stream.tail_index >= 0:
                [first] = await world.read_chunks(run_id, stream.name, 0, 1)
                marks.append(Mark(kind="stream_opened", at_us=first.at, data=data))
            if stream.is_closed:
                [last] = await world.read_chunks(run_id, stream.name, stream.tail_index + 1, 1)
                marks.append(Mark(kind="stream_closed", at_us=last.at, data=data))
        return marks

    async def list_hooks(self, run_id: str | None = None, *, is_locked: bool = False) -> list[HookView]:
        """List the live hooks of a run, or of all, oldest first."""
        if run_id is not None:
            await self._read_row(run_id)
        found = await self.session.world.list_hooks(run_id, MAX_PAGE)
        return [
            rows.show_hook(row, rows.Opener(self.session.keyring, row.run_id, is_locked=is_locked)) for row in found
        ]

    async def list_waits(self, run_id: str | None = None) -> list[WaitView]:
        """List the pending waits of a run, or of all, the next one due first."""
        if run_id is not None:
            await self._read_row(run_id)
        return [rows.show_wait(row) for row in await self.session.world.list_waits(run_id, MAX_PAGE)]

    # -- streams and logs

    async def list_streams(self, run_id: str) -> list[StreamView]:
        """List a run's streams; those of wf's own (answers to webhooks) are left out."""
        await self._read_row(run_id)
        found = await self.session.world.list_streams(run_id)
        return [rows.show_stream(row) for row in found if not row.name.startswith("$")]

    async def read_stream(
        self,
        run_id: str,
        name: str,
        start_index: int = 0,
        *,
        is_following: bool = False,
        max_bytes: int | None = None,
    ) -> AsyncIterator[ChunkView]:
        """Give a stream's chunks from an index on; a negative one counts from the tail.

        Follows, if asked to, until the stream is closed or its run has ended. A stream that has no
        chunk yet is empty, whatever its name.
        """
        index = start_index
        if index < 0:
            tails = {stream.name: stream.tail_index for stream in await self.list_streams(run_id)}
            index = max(0, tails.get(name, -1) + 1 + index)
        world = self.session.world
        async with Bell(world, f"stream:{run_id}/{name}", f"run:{run_id}", is_pacing=True) as bell:
            while True:
                has_ended = _is_over(await self._read_row(run_id))
                found = await world.read_chunks(run_id, name, index, _CHUNK_PAGE)
                for chunk in found:
                    if chunk.payload is None:
                        return
                    yield self._show_chunk(run_id, name, chunk, max_bytes)
                    index += 1
                if not found:
                    if has_ended or not is_following:
                        return
                    await bell.wait(LOOK_SECONDS)

    def _show_chunk(self, run_id: str, name: str, chunk: ChunkRow, max_bytes: int | None) -> ChunkView:
        at = show_instant(chunk.at)
        place = chunk_place(name, chunk.index)
        try:
            data = codec.unpack(self.session.keyring.run(run_id).open(place, "chunk", chunk.payload or b""))
        except WorkflowError:  # another key's, or changed
            return ChunkView(index=chunk.index, at=at, is_locked=True)
        return ChunkView(index=chunk.index, at=at, value=show_value(data, max_bytes))

    async def read_logs(self, run_id: str, after: str | None = None, limit: int = 1000) -> list[LogView]:
        """Give what a run's attempts printed and logged, in the order in which they ended.

        `after` is the `position` of a line: the lines behind it are given. New ones always come behind.
        """
        _check_limit(limit)
        await self._read_row(run_id)
        batches = Batches(await self.session.world.read_logs(run_id, _MAX_BATCHES))
        found = batches.of(await self._read_log(run_id) if batches else [])
        if after is not None:
            place = next((place for place, row in enumerate(found) if is_in_batch(after, row)), None)
            if place is None:
                raise UsageError(f"no line of this run's logs has the position {shorten(after)}")
            found = found[place:]
        lines: list[LogView] = []
        for row in found:
            lines += self._lines_behind(row, after)
            if len(lines) >= limit:
                break
        return lines[:limit]

    async def follow_logs(self, run_id: str, after: str | None = None) -> AsyncIterator[LogView]:
        """Give what a run's attempts print and log, as each attempt ends, until the run has ended.

        `after` as in `read_logs`.
        """
        seq, is_reached = 0, after is None
        async with Bell(self.session.world, f"log:{run_id}", is_pacing=True) as bell:
            while True:
                has_ended = _is_over(await self._read_row(run_id))
                new = await self.session.world.read_events(run_id, seq, _LOG_PAGE)
                if any(event.type in ENDS for event in new):
                    for row in Batches(await self.session.world.read_logs(run_id, _MAX_BATCHES)).of(new):
                        is_reached = is_reached or (after is not None and is_in_batch(after, row))
                        for line in self._lines_behind(row, after) if is_reached else ():
                            yield line
                if new:
                    seq = new[-1].seq
                if len(new) < _LOG_PAGE:
                    if has_ended:
                        return
                    await bell.wait(LOOK_SECONDS)

    def _lines_behind(self, row: LogRow, after: str | None) -> list[LogView]:
        """Open a batch; of the one that `after` is in, what is behind it."""
        lines = open_batch(self.session.keyring, row)
        if after is None or not is_in_batch(after, row):
            return lines
        seen = [place for place, line in enumerate(lines) if line.position == after]
        return lines[seen[0] + 1 :] if seen else lines

    # -- code

    async def list_deployments(self) -> list[DeploymentView]:
        """List the deployments, the one that was used last first."""
        found = await self.session.world.list_deployments()
        return [rows.show_deployment(row, self._read_entries(row)) for row in found]

    async def get_deployment(self, deployment_id: str) -> DeploymentView:
        row = await self._read_deployment(deployment_id)
        return rows.show_deployment(row, self._read_entries(row))

    async def read_source(self, digest: str) -> bytes | None:
        """Give a source file's content by its SHA-256 (hex), or None. Raises `DecryptionError`."""
        blob = await self.session.world.read_source(digest)
        return None if blob is None else open_source(self.session.keyring, digest, blob)

    async def list_workflows(self, *, is_counting: bool = False) -> list[WorkflowView]:
        """List what the newest deployment defines; with statistics of their newest runs when asked."""
        newest = await self._newest_deployment()
        if newest is None:
            return []
        catalog = open_catalog(self.session.keyring, newest)
        views = [rows.show_workflow(entry, newest.deployment_id) for entry in catalog.workflows]
        if not is_counting:
            return views
        return [msgspec.structs.replace(view, stats=await self._count_runs(view.id)) for view in views]

    async def _count_runs(self, workflow: str) -> StatsView:
        return count_runs(await self.session.world.list_runs(RunFilter(workflow=workflow, limit=NEWEST)))

    async def _newest_deployment(self) -> DeploymentRow | None:
        """Give the deployment that a worker of this world loaded last; imported code is nobody's newest."""
        found = await self.session.world.list_deployments()
        return found[0] if found and found[0].used_at != 0 else None

    async def _read_deployment(self, deployment_id: str) -> DeploymentRow:
        row = await self.session.world.get_deployment(deployment_id)
        if row is None:
            text = f"no deployment has the id {shorten(deployment_id)}"
            raise NotFoundError(text, "`wf inspect deployments` lists them")
        return row

    def _read_entries(self, row: DeploymentRow) -> list[WorkflowEntry]:
        """List a deployment's workflows; none where the key of its catalog is not here."""
        try:
            return open_catalog(self.session.keyring, row).workflows
        except DecryptionError:
            return []


def _is_over(row: RunRow) -> bool:
    """Tell whether nothing comes any more: the run has ended, or goes on elsewhere."""
    return row.status in types.ENDED or row.origin is not None


def _check_limit(limit: int) -> None:
    if not 1 <= limit <= MAX_PAGE:
        raise UsageError(f"limit {limit} is not a number from 1 to {MAX_PAGE}")
