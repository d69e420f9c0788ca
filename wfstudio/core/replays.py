"""Replays: what the code of today, or of any deployment, would do with runs that were recorded.

    replays = Replays(session)
    verdict = await replays.replay_run(run_id)                      # against the code on the disk
    verdict = await replays.replay_run(run_id, deployment="own")    # the run's own deployment
    async for verdict in replays.replay_runs(run_ids, deployment="dep_5f2b…"): ...
    await replays.close()

1. Nothing is written and no step runs: the code runs in a bench, which has neither world nor keys.
2. `deployment` `today`, or None, is the project's code as it is on the disk now; `latest` the newest one that is kept,
   `own` the one that the run is pegged to, else the id of one.
3. A run's verdict is about the log as it was read. One that went on meanwhile may differ by now.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from typing import Any, Final

import msgspec

from wf.errors import DecryptionError, RunNotFoundError
from wf.loading import LoadError
from wf.session import Session
from wf.worker.attention import describe_trouble
from wf.world import RunFilter, RunRow
from wfstudio.core.bench.process import Launch, spawn, spawn_in_terminal
from wfstudio.core.bench.views import MomentView, ReplayList, ReplayOutcome, ReplayView, StepReplayView
from wfstudio.core.bench.wire import Debug, Debugger, Judge, Judged, Travelled
from wfstudio.core.bench.workbench import LoadedBench, Workbench
from wfstudio.core.errors import BenchError, ConflictError, UsageError
from wfstudio.core.step_replays import TIMEOUT_SECONDS, replay_step
from wfstudio.core.time_travel import TimeTravel, read_seq

JUDGE_SECONDS: Final = 10.0
OPEN: Final = ("pending", "running")
_PAGE: Final = 1_000
_MOST_CHOSEN: Final = 10_000


class Replays:
    """See the laws at the top of this module. `targets` are what today's code is, relative to the project's
    root; by default what `[tool.wf] modules` names, else all of the project that speaks of wf."""

    def __init__(self, session: Session, *, targets: Sequence[str] = (), launch: Launch = spawn) -> None:
        self.session = session
        self.workbench = Workbench(session, targets=targets, launch=launch)
        self._time_travel = TimeTravel(self.workbench)

    async def close(self) -> None:
        """End what is kept warm."""
        await self._time_travel.close()

    async def look(self, run_id: str, seq: int | str, *, deployment: str | None = "own") -> MomentView:
        """Show a run right after an event: see `TimeTravel.look`."""
        return await self._time_travel.look(run_id, seq, deployment=deployment)

    async def replay_step(
        self,
        run_id: str,
        step: str,
        *,
        attempt: int | None = None,
        edited: Mapping[str, Any] | None = None,
        deployment: str | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> StepReplayView:
        """Carry out a recorded step once more, beside its run, and compare: see `step_replays.replay_step`."""
        view = await replay_step(
            self.workbench,
            run_id,
            step,
            attempt=attempt,
            edited=edited,
            deployment=deployment,
            timeout_seconds=timeout_seconds,
        )
        assert view is not None  # there is no debugger that could be quit
        return view

    # -- debuggers, in the terminal of this process

    async def debug_step(
        self, run_id: str, step: str, debugger: Debugger, *, deployment: str | None = None, **how: Any
    ) -> StepReplayView | None:
        """Carry out a step in a debugger, stopped at its first line; None: it was quit."""
        return await replay_step(self.workbench, run_id, step, deployment=deployment, debugger=debugger, **how)

    async def debug_run(
        self, run_id: str, seq: int | str, debugger: Debugger, *, deployment: str | None = None
    ) -> bool:
        """Replay a run in a debugger, stopped where its body goes on at an event. False: it was quit."""
        row = await self.workbench.read_row(run_id)
        place = read_seq(row, seq)
        log = await self.workbench.open_log(row)
        code = await self.workbench.choose_code(row, deployment)
        async with self.workbench.loaded(code, spawn_in_terminal) as loaded:
            try:
                await loaded.bench.ask(Debug(row, log, place, debugger), Travelled, None)
            except BenchError:
                if loaded.bench.has_left:
                    return False
                raise
        return True

    # -- verdicts

    async def replay_run(self, run_id: str, *, deployment: str | None = None) -> ReplayView:
        """Replay a run, and give the verdict. Raises `RunNotFoundError`, `NotFoundError` for a deployment."""
        await self.workbench.read_row(run_id)
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
            row = await self.session.world.get_run(run_id)
            if row is not None:
                groups.setdefault(await self.workbench.choose_code(row, deployment), []).append(row)
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

    # -- judging

    async def _judge(self, rows: list[RunRow], code: str | None) -> AsyncGenerator[ReplayView, None]:
        """Judge runs by some code; where it makes its process die, the next runs get another process."""
        left = list(rows)
        while left:
            try:
                async with self.workbench.loaded(code) as loaded:
                    while left:
                        view, is_lost = await self._judge_one(loaded, left.pop(0))
                        yield view
                        if is_lost:
                            break
            except LoadError as error:
                facts = {"code": "LOAD", "message": error.message, "where": error.where, "hint": error.hint}
                for row in left:
                    yield _view(row, "cannot_load", None, **facts)
                return

    async def _judge_one(self, loaded: LoadedBench, row: RunRow) -> tuple[ReplayView, bool]:
        """Judge a run; also tell whether the bench is lost over it."""
        name = loaded.deployment_id
        try:
            log = await self.workbench.open_log(row)
        except ConflictError as error:
            return _view(row, "cannot_load", name, code="IMPORTED", message=error.message, hint=error.hint), False
        except DecryptionError as error:
            trouble = describe_trouble(error)
            return _view(row, "cannot_load", name, code=trouble.code, message=trouble.message, seq=trouble.seq), False
        try:
            judged = await loaded.bench.ask(Judge(row, log), Judged, JUDGE_SECONDS)
        except BenchError as error:
            return _view(row, "cannot_load", name, code="BENCH", message=error.message, hint=error.hint), True
        return self._show(row, name, judged), False

    def _show(self, row: RunRow, deployment_id: str, judged: Judged) -> ReplayView:
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
            where=self.workbench.shorten(trouble.where),
            code=trouble.code,
            message=trouble.message,
        )


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
