"""The supervisor: from a save to new code that serves, and a verdict on every run in flight.

A reload goes: load (a fresh process) → serve (new runs start on the new code) → judge (every run in
flight that is pegged elsewhere is replayed against it) → peg (clean runs move, diverging ones stay
with their own code) → retire (the old processes finish their attempts and go).

1. Code that does not load changes nothing but what is shown: the old processes go on serving.
2. One reload at a time; a save during one that still loads begins it anew.
3. A run is judged before it is moved, and served by somebody at every moment between.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, Final, Literal

import msgspec

from wf.errors import WorkflowError
from wf.session import Session
from wf.worker.verdicts import Verdict
from wf.world import RunFilter, RunRow
from wfstudio.core.check.deployments import CodeChecks, examine_apart
from wfstudio.dev.fleet import CannotLoad, Fleet, Served
from wfstudio.dev.proofs import Proofs
from wfstudio.dev.wire import NotLoaded, Order
from wfstudio.dev.workers import WorkerGone

IN_FLIGHT: Final = ["pending", "running"]
PAGE: Final = 500
BATCH: Final = 50
LOOK_AGAIN_SECONDS: Final = 5.0
SLOW_LOAD_SECONDS: Final = 5.0
"""After so long it is said that code is still being loaded: something may hang when it is imported."""
START_SECONDS: Final = 0.5
"""How long a new run may be unclaimed before it is looked whether its code is served at all."""

MOST_SHOWN: Final = 1_000
"""Diverging runs that are kept for show; all of them stay where they are."""

Publish = Callable[[str, dict[str, Any]], object]
Outcome = Literal["loaded", "unchanged", "not_loaded"]


class Reload(msgspec.Struct, frozen=True):
    """What a reload came to. `files` are the saved ones, relative; `moved` runs that went to new code."""

    outcome: Outcome
    files: list[str]
    deployment_id: str | None
    workflows: int
    load_ms: float
    whole_ms: float
    clean: int = 0
    diverging: list[Verdict] = []
    error: NotLoaded | None = None
    is_mended: bool = False
    """What did not load the last time loads again, and is what serves all along."""


class Supervisor:
    """See the laws at the top of this module."""

    def __init__(
        self, session: Session, order: Order, *, size: int, publish: Publish, prints_to_stderr: bool = False
    ) -> None:
        self.session = session
        self.fleet = Fleet(session, order, size=size, note=publish, prints_to_stderr=prints_to_stderr)
        self.proofs = Proofs(
            session,
            prove=lambda run_ids: self.fleet.judge(run_ids, is_ended=True),
            find_current=lambda: self.fleet.current.deployment_id if self.fleet.current else None,
            publish=publish,
        )
        self.checks = CodeChecks(session, examine=examine_apart(self.fleet.start_bench))
        self.diverging: dict[str, Verdict] = {}
        self.error: NotLoaded | None = None
        self.last: Reload | None = None
        self.is_paused = False
        self._publish = publish
        self._changes: set[str] = set()
        self._waiting: list[asyncio.Future[Reload]] = []
        self._asked: list[asyncio.Future[Reload]] = []
        """Those who wait for the reload that is under way: who asked later wants the code of later."""
        self._changed = asyncio.Event()
        self._settling = asyncio.Lock()  # guards the moves of runs between deployments
        self._look = asyncio.Event()
        self._is_loading = False
        self._is_owing = False
        """Runs in flight could not be judged: they stay with their own code until they are."""
        self._tasks: list[asyncio.Task[None]] = []
        self._checking: asyncio.Task[None] | None = None
        self._findings = 0

    async def open(self) -> None:
        """Load the code for the first time, and begin to follow changes. Code that does not load is shown."""
        await self.fleet.open()
        await self._try_reload([])
        loop = asyncio.get_running_loop()
        follow = (self._follow_changes(), self._follow_runs(), self._follow_starts(), self.proofs.follow())
        self._tasks = [loop.create_task(work) for work in follow]

    async def close(self, grace_seconds: float) -> None:
        tasks = [*self._tasks, *([self._checking] if self._checking else ())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.fleet.close(grace_seconds)

    def files_changed(self, files: Iterable[str]) -> None:
        """Hear that files of the project were saved; one reload for all that come in a burst."""
        self._changes.update(files)
        if not self.is_paused:
            self._changed.set()

    async def reload_now(self) -> Reload:
        """Load the code, whether or not a file was saved, and say how it went."""
        came: asyncio.Future[Reload] = asyncio.get_running_loop().create_future()
        self._waiting.append(came)
        self._changed.set()
        return await came

    def pause(self, is_paused: bool) -> None:
        """Stop reloading, or make up for what was saved meanwhile."""
        self.is_paused = is_paused
        if not is_paused and self._changes:
            self._changed.set()

    # -- reloading

    async def _follow_changes(self) -> None:
        while True:
            await self._changed.wait()
            self._changed.clear()
            files, self._changes = sorted(self._changes), set()
            self._asked, self._waiting = [*self._asked, *self._waiting], []
            reload = asyncio.get_running_loop().create_task(self._try_reload(files))
            again = asyncio.get_running_loop().create_task(self._changed.wait())
            try:
                await asyncio.wait({reload, again}, return_when=asyncio.FIRST_COMPLETED)
                if not reload.done() and self._is_loading:  # its code is out of date already
                    self._changes.update(files)
                    reload.cancel()
                (outcome,) = await asyncio.gather(reload, return_exceptions=True)
                if isinstance(outcome, Exception):  # nobody foresaw it; saving again is all that can be tried
                    self._tell_unfinished(outcome)
            finally:
                again.cancel()
                reload.cancel()

    async def _try_reload(self, files: list[str]) -> None:
        """Reload; what stands in the way of it (the world, the keys) is told, and the next save tries again."""
        try:
            await self._reload(files)
        except WorkflowError as error:
            self._tell_unfinished(error)

    def _tell_unfinished(self, error: Exception) -> None:
        hint = error.hint if isinstance(error, WorkflowError) else None
        text = str(error) if isinstance(error, WorkflowError) else f"{type(error).__name__}: {error}"
        self._publish("error", {"message": f"the reload could not be finished: {text}", "hint": hint})
        asked, self._asked = self._asked, []
        for came in asked:
            if not came.done():
                came.set_exception(error)

    async def _reload(self, files: list[str]) -> Reload:
        began = time.perf_counter()
        self._is_loading = True
        facts = {"files": files, "seconds": SLOW_LOAD_SECONDS}
        slow = asyncio.get_running_loop().call_later(SLOW_LOAD_SECONDS, self._publish, "loading", facts)
        try:
            worker, loaded = await self.fleet.load()
        except CannotLoad as error:
            self.error = error.report
            took = (time.perf_counter() - began) * 1000
            return self._tell(Reload("not_loaded", files, None, 0, took, took, error=error.report))
        except WorkerGone as error:
            report = NotLoaded("load", str(error))
            took = (time.perf_counter() - began) * 1000
            return self._tell(Reload("not_loaded", files, None, 0, took, took, error=report))
        finally:
            self._is_loading = False
            slow.cancel()
        is_mended, self.error = self.error is not None, None
        load_ms = (time.perf_counter() - began) * 1000
        name, workflows = loaded.deployment_id, len(loaded.workflows)
        current = self.fleet.current
        if current is not None and current.deployment_id == name and any(w.is_alive for w in current.workers):
            await worker.leave(0)
            return self._tell(Reload("unchanged", files, name, workflows, load_ms, load_ms, is_mended=is_mended))
        before = await self.fleet.install(worker, loaded)
        self.proofs.findings.clear()  # of other code
        self.session.deployment_id = name
        load_ms = (time.perf_counter() - began) * 1000
        clean, diverging = await self.settle()
        whole_ms = (time.perf_counter() - began) * 1000
        if before is not None:
            self.fleet.retire(before, self._look.set)
        self._check_soon(name)
        return self._tell(Reload("loaded", files, name, workflows, load_ms, whole_ms, clean, diverging))

    def _tell(self, reload: Reload) -> Reload:
        self.last = reload
        asked, self._asked = self._asked, []
        for came in asked:
            if not came.done():
                came.set_result(reload)
        self._publish("reload", msgspec.to_builtins(reload))
        return reload

    # -- what is loaded, looked at

    def _check_soon(self, deployment_id: str) -> None:
        """Have the new code checked, in a process of its own: it serves already, and nobody waits for this."""
        if self._checking is not None:
            self._checking.cancel()
        self._checking = asyncio.get_running_loop().create_task(self._check(deployment_id))

    async def _check(self, deployment_id: str) -> None:
        try:
            found = await self.checks.check(deployment_id)
        except WorkflowError as error:
            self._publish("error", {"message": f"the code could not be checked: {error}", "hint": error.hint})
            return
        before, self._findings = self._findings, len(found.findings)
        self._publish("check", {**msgspec.to_builtins(found), "before": before})

    # -- runs in flight

    async def settle(self) -> tuple[int, list[Verdict]]:
        """Judge every run in flight that is pegged elsewhere; give how many moved, and those that diverge."""
        async with self._settling:
            current = self.fleet.current
            if current is None:
                return 0, []
            rows = [row async for row in self._list_in_flight() if row.deployment_id != current.deployment_id]
            clean = 0
            verdicts: list[Verdict] = []
            unjudged: list[RunRow] = []
            for start in range(0, len(rows), BATCH):
                batch = rows[start : start + BATCH]
                try:
                    judged = await self.fleet.judge([row.run_id for row in batch])
                except WorkerGone as error:
                    self._publish("error", {"message": f"runs in flight could not be judged: {error}"})
                    unjudged = rows[start:]
                    break
                if self.fleet.current is not current:  # newer code came; who brought it has all runs judged by that
                    return clean, verdicts
                clean += await self._move([verdict.run_id for verdict in judged if verdict.outcome == "clean"], current)
                verdicts += [verdict for verdict in judged if verdict.outcome == "diverges"]
            self._is_owing = bool(unjudged)
            self.diverging = {verdict.run_id: verdict for verdict in verdicts[:MOST_SHOWN]}
            staying = {verdict.run_id for verdict in verdicts} | {row.run_id for row in unjudged}
            homes = {row.deployment_id for row in rows if row.run_id in staying}
            for deployment_id in sorted(homes):
                await self.fleet.serve_pegged(deployment_id)
            self.fleet.drop_pegged(homes)
            return clean, verdicts

    async def _move(self, run_ids: list[str], judge: Served) -> int:
        """Peg runs to the code that found them clean, and have whoever holds them give them back."""
        if not run_ids:
            return 0
        moved = await self.session.world.peg_runs(run_ids, judge.deployment_id)
        self.fleet.hand_over(moved)
        return len(moved)

    async def _list_in_flight(self) -> Any:
        cursor: str | None = None
        while True:
            page: list[RunRow] = await self.session.world.list_runs(
                RunFilter(status=IN_FLIGHT, limit=PAGE, cursor=cursor, is_imported=False)
            )
            for row in page:
                yield row
            if len(page) < PAGE:
                return
            cursor = page[-1].run_id

    async def _follow_runs(self) -> None:
        """Look after runs that old processes started or left since the last verdict, and end what serves none."""
        while True:
            try:
                async with asyncio.timeout(LOOK_AGAIN_SECONDS if self.fleet.pegged else None):
                    await self._look.wait()
            except TimeoutError:
                pass
            self._look.clear()
            try:
                await self._look_after_runs()
            except WorkflowError as error:
                self._publish("error", {"message": f"runs in flight could not be looked after: {error}"})

    async def _follow_starts(self) -> None:
        """Notice new runs that were started on code which nobody serves: a start or a fork may name any."""
        has_news = asyncio.Event()
        undo = await self.session.world.subscribe("claimable", lambda detail: has_news.set())
        try:
            while True:
                await has_news.wait()
                await asyncio.sleep(START_SECONDS)  # most of what rings is taken up by then
                has_news.clear()
                try:
                    if await self._has_start_elsewhere():
                        self._look.set()
                except WorkflowError as error:
                    self._publish("error", {"message": f"new runs could not be looked after: {error}"})
        finally:
            undo()

    async def _has_start_elsewhere(self) -> bool:
        current = self.fleet.current
        if current is None:
            return False
        served = {current.deployment_id, *self.fleet.pegged, *self.fleet.adopted}
        pending = await self.session.world.list_runs(RunFilter(status=["pending"], limit=PAGE))
        return any(row.deployment_id not in served and row.origin is None for row in pending)

    async def _look_after_runs(self) -> None:
        current = self.fleet.current
        if current is None:
            return
        in_flight = {row.run_id: row.deployment_id async for row in self._list_in_flight()}
        homes = set(in_flight.values())
        self.diverging = {run_id: verdict for run_id, verdict in self.diverging.items() if run_id in in_flight}
        if self._is_owing or homes - {current.deployment_id, *self.fleet.pegged, *self.fleet.adopted}:
            await self.settle()
        else:
            self.fleet.drop_pegged(homes)

    # -- for people

    def status(self) -> dict[str, Any]:
        """Give what a face shows of the dev server, as plain JSON values."""

        def show(served: Served) -> dict[str, Any]:
            return {
                "deployment_id": served.deployment_id,
                "workflows": served.loaded.workflows,
                "pids": [worker.pid for worker in served.workers if worker.is_alive],
            }

        current = self.fleet.current
        return {
            "current": show(current) if current is not None else None,
            "pegged": [show(served) for served in self.fleet.pegged.values()],
            "is_paused": self.is_paused,
            "error": msgspec.to_builtins(self.error),
            "last_reload": msgspec.to_builtins(self.last),
            "nondeterministic": [msgspec.to_builtins(verdict) for verdict in self.proofs.findings.values()],
            "diverging": [msgspec.to_builtins(verdict) for verdict in self.diverging.values()],
        }
