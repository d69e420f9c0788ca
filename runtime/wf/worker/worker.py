"""The worker: hands its runs what happens, and commits what they append. Which runs it has: leases.py.

1. All live runs share one committer: whatever became ready in a turn of the loop goes into one
   transaction. One commit is under way at a time, so a run's appends arrive in order.
2. A step attempt needs one of `concurrency` slots; calls without a slot queue in order.
3. A failed commit is tried again, unchanged, until it succeeds or the lease is lost. Meanwhile
   nothing that depends on it happens.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import Any

from wf import codec, registry
from wf.context import current_attempt, current_body
from wf.errors import (
    DecryptionError,
    ImportedRunError,
    RunNotFoundError,
    StorageFull,
    WorldError,
)
from wf.ids import new_ulid
from wf.records import End, decode_meta, find_last, read_end
from wf.registry import Step
from wf.session import Session
from wf.settings import DEFAULT_LIVE_RUNS
from wf.worker import collector, guard, logs
from wf.worker.attempts import Attempt
from wf.worker.casualties import Casualties, open_casualties
from wf.worker.interference import Interference
from wf.worker.leases import Leases
from wf.worker.live import LiveRun, Taken
from wf.worker.tracing import Tracing, open_tracing, quiet_context
from wf.worker.watching import BodyWatch
from wf.world import InboxMessage, Outcome, WorkerHello
from wf.worlds.process import process_token

log = logging.getLogger("wf.worker")

DEFAULT_CONCURRENCY = 128
MAX_THREADS = 64
OPERATION = "wf/"  # ids of wf's own steps (operations.py), some of which wait for long
LOOK_AGAIN_SECONDS = 1.0  # the wall clock may jump, so no timer is trusted for longer
RESTART_SECONDS = (0.1, 30.0)  # the first pause after a loop of the worker failed, and the longest
FIRST_LOOK_SECONDS = 1.0
COMMIT_RETRY_SECONDS = (0.05, 2.0)  # the first pause after a failed commit, and the longest
FEW_TIMERS = 1_000  # so many are kept, wanted or not; what is over them is swept when it has doubled


class Worker:
    """See the laws at the top of this module. A worker lives on the loop that opened it.

    `mocks` maps step ids to functions that stand in for them, for tests.
    """

    def __init__(
        self,
        session: Session,
        *,
        concurrency: int = DEFAULT_CONCURRENCY,
        live_runs: int = DEFAULT_LIVE_RUNS,
        is_capturing: bool = True,
        page_url: Callable[[str], str | None] | None = None,
        deployments: Sequence[str] | None = None,
    ) -> None:
        self.session = session
        self.world = session.world
        self.keyring = session.keyring
        self.limits = session.settings.limits
        self.clock = session.clock
        self.deployment_id = session.deployment_id
        self.deployments = deployments
        self.concurrency = concurrency
        self.leases = Leases(self, concurrency=concurrency, live_runs=live_runs)
        self.page_url = page_url or (lambda run_id: None)
        self.mocks: dict[str, Callable[..., Any]] = {}
        self.tracing: Tracing | None = None
        self.interference: Interference | None = None
        self.casualties: Casualties | None = None
        self.watch: BodyWatch | None = None
        self.is_open = False
        self.is_leaving = False
        self.busy = 0  # loops that are in the middle of something, for `is_quiet`
        self.turns = 0  # commits and claims so far: whether anything happened since one last looked
        self.worker_id = f"wrk_{new_ulid(self.clock.now_us())}"
        self._is_capturing = is_capturing
        self._free_slots = concurrency
        self._slot_queue: deque[tuple[LiveRun, int]] = deque()
        self._dirty: list[LiveRun] = []
        self._timers: list[tuple[int, int, str, int]] = []
        self._timer_count = 0
        self._most_timers = FEW_TIMERS
        self._mail: set[str] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._undo: list[Callable[[], None]] = []

    # -- opening and leaving

    async def open(self) -> None:
        """Announce this worker to its world and begin to claim."""
        self.loop = asyncio.get_running_loop()
        self.context = copy_context()  # what attempts inherit: the context in which the worker was opened
        self.context.run(_leave_run)
        self.create_task = _task_maker(self.loop)
        self.threads = ThreadPoolExecutor(min(self.concurrency, MAX_THREADS), thread_name_prefix="wf-step")
        self._dirty_bell = asyncio.Event()
        self._mail_bell = asyncio.Event()
        self.casualties = open_casualties(self.session.settings, self.deployment_id)
        await self.announce()
        self._undo.append(await self.world.subscribe(f"worker:{self.worker_id}", self.on_mail))
        self._undo.append(await self.world.subscribe("claimable", self.leases.on_claimable))
        self.watch = guard.install()
        if self.watch is not None and self.casualties is not None:
            self.watch.casualties.append(self.casualties)
        collector.slow_down()
        if self._is_capturing:
            logs.capture()
        self.tracing = open_tracing()
        quiet = quiet_context()
        self.is_open = True
        loops = (self._commit_loop, self.leases.claim_loop, self._mail_loop, self.leases.heartbeat_loop)
        self._tasks = [
            self.loop.create_task(self._keep_running(loop), name=f"wf {loop.__name__}", context=quiet) for loop in loops
        ]
        self.leases.bell.set()

    async def announce(self) -> None:
        """Tell the world who we are and which workflows we know; also after the world changed hands."""
        names = [workflow.id for workflow in registry.list_workflows()]
        served = None if self.deployments is None else list(self.deployments)
        await self.world.open_worker(WorkerHello(self.worker_id, process_token(), names, self.deployment_id, served))

    async def serve(self, deployments: Sequence[str]) -> None:
        """Take runs that are pegged to these deployments from now on; those in hand stay."""
        self.deployments = deployments
        await self.announce()
        self.leases.bell.set()

    def hand_over(self, run_ids: Sequence[str]) -> None:
        """Give runs back as soon as no attempt of theirs is under way: they are pegged elsewhere now."""
        self.leases.hand_over(run_ids)

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Stop claiming, give attempts in flight the grace period, commit, give the leases back.

        A run is handed over as soon as no attempt of it is under way here.
        """
        if not self.is_open:
            return
        self.is_open = False
        self.leases.hand_over(list(self.leases.runs))
        attempts = [a for run in self.leases.runs.values() for a in run.attempts.values()]
        if attempts and grace_seconds > 0:
            await asyncio.wait([a.task for a in attempts], timeout=grace_seconds)
        await self._settle()
        self.is_leaving = True
        left = [a.task for run in self.leases.runs.values() for a in run.attempts.values()]
        for task in left:
            task.cancel("the worker is leaving")
        if left:
            await asyncio.wait(left, timeout=grace_seconds or 1.0)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for undo in self._undo:
            undo()
        if self._alarm is not None:
            self._alarm.cancel()
        self.leases.lose_all()
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self._is_capturing:
            logs.stop_capture()
        guard.uninstall()
        collector.restore()
        if self.casualties is not None:
            if self.watch is not None:
                self.watch.casualties.remove(self.casualties)
            self.casualties.close()
        try:
            await self.world.close_worker(self.worker_id)
        except WorldError as error:
            log.warning("the leases could not be given back, they expire: %s", error)
        if self.tracing is not None:
            await self.tracing.close()

    async def _settle(self) -> None:
        """Wait until what the ended attempts left is committed, or the world refuses it."""
        for _ in range(1000):
            if not self._dirty and not self.busy:
                return
            await asyncio.sleep(0.001)

    async def look_first(self) -> None:
        """Wait, for a moment at most, until the first runs are taken up.

        A run whose attention this worker's code or key cures has none any more after that.
        """
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self.leases.has_looked.wait()
        except TimeoutError:
            return

    async def drain(self) -> None:
        """Wait until nothing can run here: no attempt, no due run, no unread message."""
        quiet = 0
        while quiet < 3:
            self.leases.bell.set()
            await asyncio.sleep(0.005)
            quiet = quiet + 1 if self.is_quiet() else 0

    def is_quiet(self) -> bool:
        """Tell whether only time or somebody else can make a run go on."""
        return not self.is_turning() and self.leases.is_quiet()

    def is_turning(self) -> bool:
        """Tell whether the worker itself has something to do in its next turn."""
        bells = self._dirty_bell.is_set() or self.leases.bell.is_set() or self._mail_bell.is_set()
        return bool(bells or self.busy or self._dirty or self._mail)

    def next_due_at(self) -> int | None:
        """Give the next instant at which a run here, or one that nobody owns, wants to go on."""
        self._drop_stale_timers()
        dues = [
            due for due in (self._timers[0][0] if self._timers else None, self.leases.next_due_at) if due is not None
        ]
        return min(dues, default=None)

    def look(self) -> None:
        """Look at the clock now: it was moved."""
        self._on_alarm()

    def report(self, text: str) -> None:
        log.warning("%s", text)

    async def _keep_running(self, loop: Callable[[], Any]) -> None:
        """Run one of the worker's loops; what it did not foresee is reported, and it goes on."""
        pause = RESTART_SECONDS[0]
        while True:
            began = self.loop.time()
            try:
                await loop()
            except asyncio.CancelledError:
                raise
            except Exception:
                pause = min(2 * pause, RESTART_SECONDS[1]) if self.loop.time() - began < 60 else RESTART_SECONDS[0]
                log.exception("the worker's %s failed and starts again in %.1f s", loop.__name__, pause)
                await asyncio.sleep(pause)
                self._mail.update(self.leases.runs)
                for bell in (self._dirty_bell, self.leases.bell, self._mail_bell):
                    bell.set()

    # -- committing

    def mark_dirty(self, run: LiveRun) -> None:
        self._dirty.append(run)
        self.leases.active.add(run.run_id)
        if len(self._dirty) == 1:
            self._dirty_bell.set()

    async def _commit_loop(self) -> None:
        bell = self._dirty_bell
        while True:
            if not self._dirty:
                await bell.wait()
            bell.clear()
            runs, self._dirty = self._dirty, []
            if not runs:
                continue
            self.busy += 1
            try:
                await self._commit(runs)
            finally:
                self.busy -= 1
            self.turns += 1

    async def _commit(self, runs: list[LiveRun]) -> None:
        runs = [run for run in runs if not run.is_lost]
        taken = [run.take_append() for run in runs]
        pause = COMMIT_RETRY_SECONDS[0]
        while True:
            try:
                outcomes = await self._try_commit(runs, taken)
                break
            except WorldError as error:
                why = "the disk is full" if isinstance(error, StorageFull) else str(error)
                log.warning("a commit failed and is tried again in %.2f s: %s", pause, why)
                await asyncio.sleep(pause)
                pause = min(pause * 2, COMMIT_RETRY_SECONDS[1])
        for run, (_, starts, answers), outcome in zip(runs, taken, outcomes, strict=True):
            run.is_committing = False
            if outcome == "fenced" and not run.is_lost:
                log.warning("run %s has another owner now; what was not committed is dropped", run.run_id)
                self.leases.forget(run)
            for state in starts:
                if run.is_lost or run.replay.body.steps.get(state.correlation_id) is not state:
                    self.free_slot(state.step)  # nobody wants the attempt any more
                else:
                    start = Attempt if self.tracing is None else self.tracing.start_attempt
                    run.attempts[state.correlation_id] = start(run, state)
            if run.is_lost:
                continue
            for answer in answers:
                answer()
            self.leases.settle(run)
        self.leases.want_more()

    async def _try_commit(self, runs: list[LiveRun], taken: list[Taken]) -> list[Outcome]:
        try:
            return await self.world.commit([append for append, _, _ in taken])
        except (WorldError, asyncio.CancelledError):
            raise
        except Exception:  # a defect: what these runs have in memory is not what their logs say
            for run, (_, starts, _) in zip(runs, taken, strict=True):
                self.leases.put_away(run)
                for state in starts:
                    self.free_slot(state.step)
            raise

    def attempt_ended(self, run: LiveRun) -> None:
        if run.is_idle and not run.is_lost:
            self.leases.settle(run)

    def spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._on_spawned)

    def _on_spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            log.error("what was to be done beside could not be", exc_info=task.exception())

    def insist(self, act: Callable[..., Awaitable[object]], *arguments: Any) -> None:
        """Have a lease settled beside the commits: like those, again until the world does it."""
        self.spawn(self._insist(act, arguments))

    async def _insist(self, act: Callable[..., Awaitable[object]], arguments: Sequence[Any]) -> None:
        pause = COMMIT_RETRY_SECONDS[0]
        while True:
            try:
                await act(*arguments)
                return
            except WorldError as error:
                log.warning("a lease could not be given back, trying again in %.2f s: %s", pause, error)
            await asyncio.sleep(pause)
            pause = min(2 * pause, COMMIT_RETRY_SECONDS[1])

    # -- slots

    def take_slot(self, step: Step[..., Any]) -> bool:
        """Take a slot for an attempt, if one is free and nobody waits for it. Operations need none."""
        if step.id.startswith(OPERATION):
            return True
        if self._free_slots > 0 and not self._slot_queue and self.is_open:
            self._free_slots -= 1
            return True
        return False

    def queue_for_slot(self, run: LiveRun, number: int) -> None:
        run.queued += 1
        self.leases.active.add(run.run_id)
        self._slot_queue.append((run, number))

    def free_slot(self, step: Step[..., Any]) -> None:
        if step.id.startswith(OPERATION):
            return
        self._free_slots += 1
        while self._slot_queue and self._free_slots > 0 and self.is_open:  # who leaves begins nothing
            run, number = self._slot_queue.popleft()
            run.queued -= 1
            if not run.is_lost and run.begin_attempt(number):
                self._free_slots -= 1
            elif run.is_idle and not run.is_lost:
                self.leases.rest(run)  # nothing else will tell that it waits for nothing here
                self.leases.want_more()

    def find_function(self, step: Step[..., Any]) -> Callable[..., Any]:
        return self.mocks.get(step.id, step.func) if self.mocks else step.func

    # -- time

    def add_timer(self, due_at: int, run: LiveRun, number: int) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (due_at, self._timer_count, run.run_id, number))
        if len(self._timers) > self._most_timers:
            self._sweep_timers()
        if self._timers and self._timers[0][1] == self._timer_count:
            self.arm()

    def _sweep_timers(self) -> None:
        """Forget the timers that nobody wants any more: an hour's timeout of a run that took a second, mostly."""
        runs = self.leases.runs
        wanted = [
            timer for timer in self._timers if timer[2] in runs and runs[timer[2]].wants_timer(timer[3], timer[0])
        ]
        heapq.heapify(wanted)
        self._timers = wanted
        self._most_timers = max(FEW_TIMERS, 2 * len(wanted))

    def arm(self) -> None:
        if self.clock.is_virtual or not self.is_open:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_at = self._timers[0][0] if self._timers else None
        if self.leases.next_due_at is not None and (due_at is None or self.leases.next_due_at < due_at):
            due_at = self.leases.next_due_at
        if due_at is None:
            return
        delay = max(0.0, (due_at - self.clock.now_us()) / 1_000_000)
        self._alarm = self.loop.call_later(min(delay, LOOK_AGAIN_SECONDS), self._on_alarm)

    def _drop_stale_timers(self) -> None:
        while self._timers and self._timers[0][2] not in self.leases.runs:
            heapq.heappop(self._timers)

    def _on_alarm(self) -> None:
        now = self.clock.now_us()
        while self._timers and self._timers[0][0] <= now:
            due_at, _, run_id, number = heapq.heappop(self._timers)
            run = self.leases.runs.get(run_id)
            if run is not None:
                self.leases.wake(run)
                run.time_came(number, due_at)
                if run.is_idle and not run.is_lost:
                    self.leases.rest(run)
        if self.leases.next_due_at is not None and self.leases.next_due_at <= now:
            self.leases.bell.set()
        self.arm()

    # -- mail

    def on_mail(self, run_id: str) -> None:
        if run_id:
            self._mail.add(run_id)
        else:
            self._mail.update(self.leases.runs)
            self.leases.note_ring("")
        self._mail_bell.set()

    async def _mail_loop(self) -> None:
        bell = self._mail_bell
        while True:
            await bell.wait()
            self.busy += 1
            bell.clear()
            try:
                wanted, self._mail = self._mail, set()
                held = [run_id for run_id in wanted if run_id in self.leases.runs]
                for run_id in wanted.difference(held):
                    self.leases.note_ring(run_id)
                await self._read_mail(held)
            except WorldError as error:
                log.warning("messages could not be read, trying again: %s", error)
                self._mail.update(self.leases.runs)
                await asyncio.sleep(COMMIT_RETRY_SECONDS[1])
                bell.set()
            finally:
                self.busy -= 1

    async def _read_mail(self, run_ids: Sequence[str]) -> None:
        if not run_ids:
            return
        asked = {run_id: self.leases.runs[run_id] for run_id in run_ids}
        by_run: dict[str, list[InboxMessage]] = {}
        for message in await self.world.read_inbox(self.worker_id, run_ids, 0):
            by_run.setdefault(message.run_id, []).append(message)
        for run_id, messages in by_run.items():
            run = asked[run_id]
            if self.leases.runs.get(run_id) is run:
                await self.deliver(run, messages)
            else:  # of these the lease before this one may have taken some since they were read
                self.on_mail(run_id)

    async def deliver(self, run: LiveRun, messages: Sequence[InboxMessage]) -> None:
        """Hand messages to a run in their order; an ended child's result is fetched first."""
        self.leases.wake(run)
        for message in messages:
            child = None
            if message.kind == "child_ended" and message.id > run.inbox_high:
                child = await self._read_end(message)
            try:
                run.receive(message, child)
            except DecryptionError as error:
                self.report(f"a message of run {run.run_id} was dropped: {error}")
        if run.is_idle and not run.is_lost:
            self.leases.rest(run)

    async def _read_end(self, message: InboxMessage) -> End:
        """Read how an awaited run ended; one that cannot be read failed, as far as we can tell."""
        run_id = decode_meta(message.meta).get("run_id", "")
        try:
            return await read_end(self.world, self.keyring, await find_last(self.world, self.keyring, run_id))
        except (RunNotFoundError, ImportedRunError, DecryptionError) as error:
            return End(run_id, "failed", "RUNTIME_ERROR", codec.encode(error, "error"))


def _leave_run() -> None:
    current_body.set(None)
    current_attempt.set(None)


def _task_maker(loop: asyncio.AbstractEventLoop) -> Callable[..., asyncio.Task[None]]:
    """Give what makes the loop's tasks, without its detour where that does nothing."""
    if loop.get_task_factory() is None and not loop.get_debug():
        return functools.partial(asyncio.Task, loop=loop)
    return loop.create_task
