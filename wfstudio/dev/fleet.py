"""The fleet: which worker processes serve which deployments, and what happens when one dies.

1. The *current* deployment is served by `size` processes. Every other deployment that has runs in
   flight is served by one process of its own, from its stored files: a *pegged* one.
2. A process that dies without being asked to is replaced, after a pause that doubles up to half a
   minute while it keeps dying. Its leases are free the moment it is gone.
3. A deployment whose files are not kept whole is left to the current code, which takes its runs as
   they come and says where they diverge.
4. A process is ended when one activation of a body lasts for `BLOCKED_SECONDS`: it could not be interrupted, and all
   other runs in it wait. That run is left alone. One whose loop a step blocks is only told of.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from wf.deployment import read_deployment
from wf.session import Session
from wf.worker.casualties import MOST_DEATHS, Turn, folder_of, mark_blocked, read_turns
from wf.worker.verdicts import Verdict
from wfstudio.core.bench.process import Started
from wfstudio.core.faults import FaultRule
from wfstudio.dev.wire import (
    Failed,
    FaultsSet,
    HandOver,
    Judge,
    Judged,
    Loaded,
    Newest,
    NotLoaded,
    Order,
    Ping,
    Pong,
    Serve,
    Serving,
    SetFaults,
)
from wfstudio.dev.workers import Nursery, WorkerGone, WorkerProcess

LOAD_SECONDS: Final = 60.0
SERVE_SECONDS: Final = 20.0
JUDGE_SECONDS: Final = 60.0
PING_SECONDS: Final = 5.0
SILENCE_SECONDS: Final = 10.0
GRACE_SECONDS: Final = 5.0
LOOK_SECONDS: Final = 1.0
BLOCKED_SECONDS: Final = 10.0
"""How long one activation of a body may last. The process itself interrupts it after two, if it can."""
RESTART_SECONDS: Final = (0.1, 30.0)
HEALTHY_SECONDS: Final = 60.0
BURIAL_SECONDS: Final = 5.0
"""How long it may take until a process that fell silent is dead, and until there is another one."""
MOST_PEGGED: Final = 8
"""Deployments served beside the current one; each costs a process of some 60 MB."""


class CannotLoad(Exception):
    """Internal: the code does not load; `report` says why, in the child's words."""

    def __init__(self, report: NotLoaded) -> None:
        super().__init__(report.message)
        self.report = report


class Served(msgspec.Struct):
    """A deployment with the processes that serve it."""

    loaded: Loaded
    order: Order
    workers: list[WorkerProcess]

    @property
    def deployment_id(self) -> str:
        return self.loaded.deployment_id


class Fleet:
    """See the laws at the top of this module. `note(kind, facts)` hears what people should know."""

    def __init__(
        self,
        session: Session,
        order: Order,
        *,
        size: int,
        note: Callable[[str, dict[str, Any]], object],
        prints_to_stderr: bool = False,
    ) -> None:
        self.session = session
        self.order = order
        self.size = size
        self.current: Served | None = None
        self.pegged: dict[str, Served] = {}
        self.adopted: set[str] = {""}
        """Deployments without stored files, whose runs the current code takes."""
        self._note = note
        self._nursery = Nursery(prints_to_stderr=prints_to_stderr)
        self._tasks: set[asyncio.Task[None]] = set()
        self._is_closing = False
        self._faults: list[FaultRule] = []

    async def open(self) -> None:
        await self._nursery.open()

    async def close(self, grace_seconds: float = GRACE_SECONDS) -> None:
        self._is_closing = True
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        everyone = [
            *(self.current.workers if self.current else ()),
            *(w for s in self.pegged.values() for w in s.workers),
        ]
        await asyncio.gather(*(worker.leave(grace_seconds) for worker in everyone if worker.is_alive))
        await self._nursery.close()

    async def start_bench(self, control: socket.socket, output: int) -> Started:
        """Start a bench from the warm parent, in a few milliseconds."""
        return await self._nursery.start_bench(control, output)

    def kill(self) -> None:
        """Have everything end now."""
        for served in (*([self.current] if self.current else ()), *self.pegged.values()):
            for worker in served.workers:
                worker.kill()

    # -- the current deployment

    async def load(self) -> tuple[WorkerProcess, Loaded]:
        """Start a process that loads the project's code as it is now. Raises `CannotLoad`, `WorkerGone`."""
        return await self._load(self.order)

    async def _load(self, order: Order) -> tuple[WorkerProcess, Loaded]:
        worker = await self._nursery.start(order)
        try:
            report = await worker.hear(LOAD_SECONDS)
        except WorkerGone as gone:
            worker.kill()
            cause = await worker.ended
            text = str(gone) if "no answer" in str(gone) else f"the process {cause} while it loaded the code"
            raise CannotLoad(NotLoaded("load", text, hint="look at what runs when the modules are imported")) from None
        except asyncio.CancelledError:
            worker.kill()
            raise
        if isinstance(report, Loaded):
            return worker, report
        worker.is_leaving = True
        if isinstance(report, NotLoaded):
            raise CannotLoad(report)
        assert isinstance(report, Failed), report
        raise CannotLoad(NotLoaded(report.slug, report.message, hint=report.hint))

    async def install(self, worker: WorkerProcess, loaded: Loaded) -> Served | None:
        """Make what was just loaded the current deployment; give the one before, which still serves."""
        before, self.current = self.current, Served(loaded, self.order, [worker])
        stale = self.pegged.pop(loaded.deployment_id, None)  # it is the current one again
        self._watch(self.current, worker)  # first: one that dies before it serves is replaced, too
        try:
            await self._serve(worker, self._names())
        except WorkerGone as gone:
            self._note("error", {"message": f"the process with the new code does not serve yet: {gone}"})
        for served in (*([before] if before else ()), *self.pegged.values()):
            for other in served.workers:
                other.send(Newest(loaded.deployment_id))  # its runs may start others on the latest
        if stale is not None:
            self._let_go(stale)
        for _ in range(self.size - 1):
            self._start_soon(self._add_worker(self.current))
        return before

    async def _add_worker(self, served: Served) -> None:
        worker, loaded = await self._load(served.order)
        if loaded.deployment_id != served.deployment_id or served is not self.current:
            await worker.leave(0)  # the code was edited meanwhile; the next reload brings as many as are wanted
            return
        served.workers.append(worker)
        self._watch(served, worker)  # first: one that dies before it serves is replaced, too
        await self._serve(worker, self._names())

    def _names(self) -> list[str]:
        assert self.current is not None
        return [self.current.deployment_id, *sorted(self.adopted - {self.current.deployment_id})]

    async def _serve(self, worker: WorkerProcess, deployments: list[str]) -> None:
        if self._faults:
            await worker.ask(SetFaults(self._faults), FaultsSet, SERVE_SECONDS)
        if self.current is not None and self.current.deployment_id not in deployments:
            worker.send(Newest(self.current.deployment_id))
        await worker.ask(Serve(deployments), Serving, SERVE_SECONDS)

    async def _serve_or_end(self, worker: WorkerProcess, deployments: list[str]) -> None:
        """Have a process serve. One that does not say that it does is ended: nobody would know of it, and it might."""
        try:
            await self._serve(worker, deployments)
        except WorkerGone:
            worker.kill()
            raise

    async def set_faults(self, rules: list[FaultRule]) -> list[str]:
        """Have all workers, and those to come, disturb runs by these rules; give the exceptions that none knows."""
        self._faults = rules
        workers = [worker for served in self._list_served() for worker in served.workers if worker.is_alive]
        told = await asyncio.gather(*(self._tell_faults(worker) for worker in workers))
        unknown = [set(answer.unknown) for answer in told if answer is not None]
        return sorted(set.intersection(*unknown)) if unknown else []

    async def _tell_faults(self, worker: WorkerProcess) -> FaultsSet | None:
        """Give a worker the rules; one that dies over it, or is about to, needs none."""
        try:
            return await worker.ask(SetFaults(self._faults), FaultsSet, SERVE_SECONDS)
        except WorkerGone:
            return None

    async def _catch_up(self, worker: WorkerProcess) -> None:
        """Give a worker, now that `set_faults` finds it, what changed since it began to serve."""
        if self._faults:
            await self._tell_faults(worker)

    def _list_served(self) -> list[Served]:
        return [*([self.current] if self.current else ()), *self.pegged.values()]

    def retire(self, served: Served, then: Callable[[], object]) -> None:
        """Have the processes of a deployment finish their attempts and leave; `then` is called after that."""

        async def see_off() -> None:
            await asyncio.gather(*(worker.leave(GRACE_SECONDS) for worker in served.workers if worker.is_alive))
            then()

        self._start_soon(see_off())

    def _let_go(self, served: Served) -> None:
        self.retire(served, lambda: None)

    # -- judging and pegging

    async def judge(self, run_ids: list[str], *, is_ended: bool = False) -> list[Verdict]:
        """Have the current code replay runs in flight, or ended ones. Raises `WorkerGone`.

        Where a body takes the process down, the next one knows whose it was, and judges the others.
        """
        for deaths in range(MOST_DEATHS + 1):
            worker = await self._find_worker()
            try:
                return (await worker.ask(Judge(run_ids, is_ended), Judged, JUDGE_SECONDS)).verdicts
            except WorkerGone:
                await asyncio.wait([worker.ended], timeout=BURIAL_SECONDS)
                if worker.is_alive or deaths == MOST_DEATHS:
                    raise
        raise AssertionError("the loop ends by itself")

    async def _find_worker(self) -> WorkerProcess:
        """Give a process with the current code; one that has just died is replaced in a moment."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + BURIAL_SECONDS
        while True:
            assert self.current is not None
            worker = next((worker for worker in self.current.workers if worker.is_alive), None)
            if worker is not None:
                return worker
            if self._is_closing or loop.time() > patience:
                raise WorkerGone("no process with the current code is there")
            await asyncio.sleep(RESTART_SECONDS[0] / 2)

    async def serve_pegged(self, deployment_id: str) -> bool:
        """Have a deployment served from its stored files. False: the current code takes its runs."""
        if deployment_id in self.pegged:
            return True
        if deployment_id in self.adopted:
            return False
        is_kept = await read_deployment(self.session, deployment_id) is not None
        if is_kept and len(self.pegged) < MOST_PEGGED:
            order = msgspec.structs.replace(self.order, pegged_to=deployment_id)
            try:
                worker, loaded = await self._load(order)
                await self._serve_or_end(worker, [deployment_id])
            except (CannotLoad, WorkerGone) as error:
                self._note("error", {"message": f"the stored code of {deployment_id} does not load: {error}"})
            else:
                served = self.pegged[deployment_id] = Served(loaded, order, [worker])
                self._watch(served, worker)
                await self._catch_up(worker)
                return True
        self.adopted.add(deployment_id)
        await self._announce()
        return False

    async def _announce(self) -> None:
        if self.current is not None:
            for worker in self.current.workers:
                if worker.is_alive:
                    await self._serve(worker, self._names())

    def drop_pegged(self, wanted: Iterable[str]) -> None:
        """Let the processes of deployments go that have no runs in flight any more."""
        for deployment_id in set(self.pegged).difference(wanted):
            self._let_go(self.pegged.pop(deployment_id))

    def hand_over(self, run_ids: list[str]) -> None:
        """Have whoever holds these runs, which are pegged elsewhere now, give them back."""
        for served in (*([self.current] if self.current else ()), *self.pegged.values()):
            for worker in served.workers:
                worker.send(HandOver(run_ids))

    # -- processes that die

    def _watch(self, served: Served, worker: WorkerProcess) -> None:
        self._start_soon(self._replace_when_dead(served, worker))

    async def _end_if_blocked(self, worker: WorkerProcess) -> None:
        """End a process whose body neither ends nor can be interrupted, for the sake of the other runs in it."""
        folder = folder_of(self.session.settings)
        seen: dict[Turn, int] = {}  # in looks: who is starved looks seldom
        while folder is not None and worker.is_alive:
            await asyncio.sleep(LOOK_SECONDS)
            seen = {turn: seen.get(turn, -1) + 1 for turn in read_turns(folder, worker.pid)}
            turn = next((turn for turn, looks in seen.items() if looks * LOOK_SECONDS >= BLOCKED_SECONDS), None)
            if turn is not None and worker.is_alive:
                cause = (
                    f"the body of run {turn.run_id} kept it busy for {BLOCKED_SECONDS:g} s and could not be interrupted"
                )
                self._note("worker", {"pid": worker.pid, "cause": cause})
                mark_blocked(turn)
                worker.strike()
                return

    async def _replace_when_dead(self, served: Served, worker: WorkerProcess) -> None:
        pause, born = RESTART_SECONDS[0], asyncio.get_running_loop().time()
        while True:
            looking = asyncio.get_running_loop().create_task(self._end_if_blocked(worker))
            try:
                await self._until_dead(worker)
            finally:
                looking.cancel()
            if worker.is_leaving or self._is_closing or not self._is_wanted(served):
                return
            served.workers.remove(worker)
            if asyncio.get_running_loop().time() - born > HEALTHY_SECONDS:
                pause = RESTART_SECONDS[0]
            facts = {"pid": worker.pid, "deployment_id": served.deployment_id, "cause": worker.ended.result()}
            self._note("worker", {**facts, "restart_ms": pause * 1000})
            while True:
                await asyncio.sleep(pause)
                pause = min(2 * pause, RESTART_SECONDS[1])
                if not self._is_wanted(served):
                    return
                replacement = await self._replace(served)
                if replacement is not None:
                    break
            if not self._is_wanted(served):  # it was retired meanwhile, and this one came too late to be told
                if not replacement.is_leaving:
                    await replacement.leave(GRACE_SECONDS)
                return
            worker, born = replacement, asyncio.get_running_loop().time()

    async def _until_dead(self, worker: WorkerProcess) -> None:
        """Wait for the end of a process; meanwhile ask now and then whether its loop still turns."""
        is_silent = False
        while worker.is_alive:
            done, _ = await asyncio.wait([worker.ended], timeout=PING_SECONDS)
            if done or worker.is_leaving:
                await asyncio.wait([worker.ended])
                return
            if worker.is_busy:
                continue
            try:
                await worker.ask(Ping(), Pong, SILENCE_SECONDS)
                is_silent = False
            except WorkerGone:
                if worker.is_alive and not is_silent:
                    is_silent = True
                    self._note("worker", {"pid": worker.pid, "cause": "it does not answer: the code blocks its loop"})

    def _is_wanted(self, served: Served) -> bool:
        return served is self.current or self.pegged.get(served.deployment_id) is served

    async def _replace(self, served: Served) -> WorkerProcess | None:
        """Start a process in place of a dead one: with the project's files, or the stored ones if those are others."""
        worker: WorkerProcess | None = None
        try:
            worker, loaded = await self._load(served.order)
            if loaded.deployment_id != served.deployment_id:
                await worker.leave(0)
                worker = None
        except (CannotLoad, WorkerGone):
            worker = None
        try:
            if worker is None:
                worker, _ = await self._load(msgspec.structs.replace(self.order, pegged_to=served.deployment_id))
            names = self._names() if served is self.current else [served.deployment_id]
            await self._serve_or_end(worker, names)
        except (CannotLoad, WorkerGone) as error:
            self._note("error", {"message": f"no worker for {served.deployment_id}: {error}"})
            return None
        served.workers.append(worker)
        await self._catch_up(worker)
        return worker

    def _start_soon(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._on_done)

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._note("error", {"message": f"a worker could not be started: {error}"})
