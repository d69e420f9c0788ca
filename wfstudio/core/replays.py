"""Replays: what the code of today, or of any deployment, would do with runs that were recorded.

    replays = Replays(session)
    verdict = await replays.replay_run(run_id)                      # against the code on the disk
    verdict = await replays.replay_run(run_id, deployment="own")    # the run's own deployment
    async for verdict in replays.replay_runs(run_ids, deployment="dep_5f2b…"): ...
    await replays.close()

1. Nothing is written and no step runs: the code runs in a bench, which has neither world nor keys.
2. `deployment` None is the project's code as it is on the disk now; `latest` the newest one that is kept,
   `own` the one that the run is pegged to, else the id of one.
3. A run's verdict is about the log as it was read. One that went on meanwhile may differ by now.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import Final

import msgspec

from wf.catalog import open_catalog
from wf.deployment import read_deployment
from wf.errors import DecryptionError, RunNotFoundError, shorten
from wf.ids import is_run_id
from wf.origin import say_unreplayable
from wf.session import Session
from wf.worker.attention import describe_trouble
from wf.worker.opening import open_log, read_whole_log
from wf.world import RunFilter, RunRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.process import Bench, Launch, open_bench, spawn
from wfstudio.core.bench.views import ReplayList, ReplayOutcome, ReplayView
from wfstudio.core.errors import BenchError, NotFoundError, UsageError

LOAD_SECONDS: Final = 60.0
JUDGE_SECONDS: Final = 10.0
BENCHES_AT_ONCE: Final = 2
LARGEST_LOG: Final = 512 * 1024 * 1024
"""Bytes of payloads of a run that is still handed to a bench, all at once."""

OPEN: Final = ("pending", "running")
_PAGE: Final = 1_000
_MOST_CHOSEN: Final = 10_000


class CodeError(Exception):
    """Internal: the code does not load; `report` says why, in the bench's words."""

    def __init__(self, report: wire.NotLoaded) -> None:
        super().__init__(report.message)
        self.report = report


class Loaded(msgspec.Struct):
    """A bench with code in it."""

    bench: Bench
    deployment_id: str


class Replays:
    """See the laws at the top of this module. `targets` are what today's code is, relative to the project's
    root; by default what `[tool.wf] modules` names, else all of the project that speaks of wf."""

    def __init__(self, session: Session, *, targets: Sequence[str] = (), launch: Launch = spawn) -> None:
        self.session = session
        self._root = os.path.abspath(session.settings.root)
        self._targets = list(targets) or list(session.settings.modules) or ["."]
        self._launch = launch
        self._gate = asyncio.Semaphore(BENCHES_AT_ONCE)

    async def close(self) -> None:
        """End what is kept warm."""

    # -- runs

    async def replay_run(self, run_id: str, *, deployment: str | None = None) -> ReplayView:
        """Replay a run, and give the verdict. Raises `RunNotFoundError`, `NotFoundError` for a deployment."""
        async with aclosing(self.replay_runs([run_id], deployment=deployment)) as views:
            async for view in views:
                return view
        raise RunNotFoundError(run_id)

    async def replay_runs(
        self, run_ids: Sequence[str], *, deployment: str | None = None
    ) -> AsyncGenerator[ReplayView, None]:
        """Replay runs one after the other, and give their verdicts. One that is gone meanwhile is left out."""
        groups: dict[str | None, list[RunRow]] = {}
        for run_id in run_ids:
            row = await self._read_row(run_id, is_needed=len(run_ids) == 1)
            if row is not None:
                groups.setdefault(await self._choose_code(row, deployment), []).append(row)
        for code, rows in groups.items():
            async with aclosing(self._judge(rows, code)) as views:
                async for view in views:
                    yield view

    async def replay_all(self, which: str, *, deployment: str | None = None) -> ReplayList:
        """Replay the runs that a word chooses (see `choose_runs`), and give all verdicts."""
        items = [view async for view in self.replay_runs(await self.choose_runs(which), deployment=deployment)]
        return list_verdicts(items)

    async def choose_runs(self, which: str) -> list[str]:
        """List the runs that a word names: `open` (in flight), `failed`, `last:50`, `all`; newest first."""
        word, _, number = which.partition(":")
        if word == "last" and number.isdecimal() and 1 <= int(number) <= _MOST_CHOSEN:
            return await self._list_runs(None, int(number))
        statuses = {"open": list(OPEN), "failed": ["failed"], "all": None}
        if which not in statuses:
            raise UsageError(f"{which!r:.80} names no runs", f"open, failed, all, or last:N (N up to {_MOST_CHOSEN})")
        return await self._list_runs(statuses[which], _MOST_CHOSEN)

    async def _list_runs(self, status: list[str] | None, limit: int) -> list[str]:
        found: list[str] = []
        while len(found) < limit:
            page = min(_PAGE, limit - len(found))
            cursor = found[-1] if found else None
            rows = await self.session.world.list_runs(RunFilter(status=status, limit=page, cursor=cursor))
            found += [row.run_id for row in rows]
            if len(rows) < page:
                break
        return found

    async def _read_row(self, run_id: str, *, is_needed: bool = True) -> RunRow | None:
        row = await self.session.world.get_run(run_id) if is_run_id(run_id) else None
        if row is None and is_needed:
            raise RunNotFoundError(run_id)
        return row

    # -- judging

    async def _judge(self, rows: list[RunRow], code: str | None) -> AsyncGenerator[ReplayView, None]:
        """Judge runs by some code; where it makes its process die, the next runs get another process."""
        left = list(rows)
        while left:
            try:
                async with self._loaded(code) as loaded:
                    while left:
                        view, is_lost = await self._judge_one(loaded, left.pop(0))
                        yield view
                        if is_lost:
                            break
            except CodeError as error:
                report = error.report
                where = self._shorten(report.where)
                facts = {"code": "LOAD", "message": report.message, "where": where, "hint": report.hint}
                for row in left:
                    yield _view(row, "cannot_load", None, **facts)
                return

    async def _judge_one(self, loaded: Loaded, row: RunRow) -> tuple[ReplayView, bool]:
        """Judge a run; also tell whether the bench is lost over it."""
        name = loaded.deployment_id
        try:
            log = await self._open_log(row)
        except UsageError as error:
            return _view(row, "cannot_load", name, code="IMPORTED", message=error.message, hint=error.hint), False
        except DecryptionError as error:
            trouble = describe_trouble(error)
            return _view(row, "cannot_load", name, code=trouble.code, message=trouble.message, seq=trouble.seq), False
        try:
            judged = await loaded.bench.ask(wire.Judge(row, log), wire.Judged, JUDGE_SECONDS)
        except BenchError as error:
            return _view(row, "cannot_load", name, code="BENCH", message=error.message, hint=error.hint), True
        return self._show(row, name, judged), False

    def _show(self, row: RunRow, deployment_id: str, judged: wire.Judged) -> ReplayView:
        verdict = judged.verdict
        trouble = verdict.trouble
        if trouble is None:
            return _view(row, "clean", deployment_id)
        outcome: ReplayOutcome = "extends" if verdict.is_extension else "diverges"
        return _view(
            row,
            "cannot_load" if judged.is_missing else outcome,
            deployment_id,
            seq=trouble.seq,
            recorded=trouble.recorded,
            actual=trouble.actual,
            where=self._shorten(trouble.where),
            code=trouble.code,
            message=trouble.message,
        )

    def _shorten(self, where: str | None) -> str | None:
        """Give `file:line in function` with the file relative to the project, where it is in it."""
        return None if where is None else where.removeprefix(os.path.join(self._root, ""))

    async def _open_log(self, row: RunRow) -> wire.Log:
        """Read, verify and open a run's log. Raises `UsageError` for one that cannot be replayed."""
        reason = say_unreplayable(row.origin)
        if reason is not None:
            raise UsageError(f"run {row.run_id} cannot be replayed: {reason}")
        if row.payload_bytes > LARGEST_LOG:
            raise UsageError(f"run {row.run_id} cannot be replayed here: its payloads are {row.payload_bytes} bytes")
        log = await read_whole_log(self.session.world, row)
        key = self.session.keyring.run(row.run_id)
        opened = await asyncio.to_thread(open_log, row, key, log)  # 30 ms for 10 000 events
        return [(msgspec.structs.replace(event, payload=None), data) for event, data in opened]

    # -- code

    async def _choose_code(self, row: RunRow, deployment: str | None) -> str | None:
        """Give the id of the deployment that is meant, None for the code on the disk."""
        if deployment == "own":
            return row.deployment_id
        if deployment == "latest":
            found = await self.session.world.list_deployments()
            if not found:
                raise NotFoundError("no code is kept in this world", "`wf dev` and `wf worker` keep what they load")
            return found[0].deployment_id
        return deployment

    async def _describe_code(self, deployment_id: str | None) -> wire.Code:
        """Say what a bench is to load."""
        limits = self.session.settings.limits
        if deployment_id is None:
            return wire.Code(self._root, self._targets, limits)
        row = await self.session.world.get_deployment(deployment_id)
        files = await read_deployment(self.session, deployment_id)
        if row is None or files is None:
            what = "is not kept whole" if row is not None else "is not kept"
            text = f"the code of the deployment {shorten(deployment_id)} {what}"
            raise NotFoundError(text, "`wf inspect deployments` lists what there is")
        catalog = open_catalog(self.session.keyring, row)
        entries = {entry.id: entry.file for entry in catalog.workflows}
        entries |= {entry.id: entry.file for entry in catalog.steps}
        return wire.Code(self._root, [], limits, files, entries)

    @asynccontextmanager
    async def _loaded(self, deployment_id: str | None) -> AsyncIterator[Loaded]:
        """Have a bench with some code for the time of a block. Raises `CodeError`."""
        code = await self._describe_code(deployment_id)
        async with self._gate:
            bench = await open_bench(self._launch)
            try:
                yield await _load(bench, code, deployment_id)
            finally:
                await bench.close()


async def _load(bench: Bench, code: wire.Code, deployment_id: str | None) -> Loaded:
    """Have a bench load its code. Raises `CodeError`, also where the code makes the process die."""
    try:
        answer = await bench.ask(code, wire.Loaded | wire.NotLoaded, LOAD_SECONDS)  # type: ignore[arg-type]
    except BenchError as error:
        raise CodeError(wire.NotLoaded(error.message, hint="look at what runs when the modules are imported")) from None
    if isinstance(answer, wire.NotLoaded):
        raise CodeError(answer)
    return Loaded(bench, deployment_id or answer.deployment_id)


def list_verdicts(items: Sequence[ReplayView]) -> ReplayList:
    counts = {outcome: sum(view.outcome == outcome for view in items) for outcome in
              ("clean", "extends", "diverges", "cannot_load")}  # fmt: skip
    return ReplayList(items=list(items), **counts)


def _view(row: RunRow, outcome: ReplayOutcome, deployment_id: str | None, **facts: object) -> ReplayView:
    return msgspec.structs.replace(
        ReplayView(
            run_id=row.run_id,
            workflow=row.workflow,
            status=row.status,
            outcome=outcome,
            deployment_id=deployment_id,
            events=row.seq,
        ),
        **facts,
    )
