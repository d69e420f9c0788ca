"""The worker: claims runs, hands them what happens, commits what they append.

1. All live runs share one committer: whatever became ready in a turn of the loop goes into one
   transaction. One commit is under way at a time, so a run's appends arrive in order.
2. Runs are finished, not advanced in lockstep: at most `concurrency` runs are active at a time,
   and new ones are claimed as others come to rest. A run that only waits is not active.
3. A step attempt needs one of `concurrency` slots; calls without a slot queue in order.
4. A failed commit is tried again, unchanged, until it succeeds or the lease is lost. Meanwhile
   nothing that depends on it happens.

Resting runs stay in memory up to `live_runs`; the one that rested longest is put away first: its
lease goes back, and its next event replays it.
"""

from __future__ import annotations

import asyncio
import functools
import heapq
import logging
from collections import deque
from collections.abc import Callable, Sequence
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
from wf.worker.adoption import take_up
from wf.worker.attempts import Attempt
from wf.worker.casualties import Casualties, open_casualties
from wf.worker.interference import Interference
from wf.worker.live import LiveRun, Taken
from wf.worker.tracing import Tracing, open_tracing, quiet_context
from wf.world import (
    LEASE_SECONDS,
    Claimed,
    InboxMessage,
    Outcome,
    Release,
    RunRow,
    WorkerHello,
)
from wf.worlds.process import process_token

log = logging.getLogger("wf.worker")

DEFAULT_CONCURRENCY = 128
MAX_THREADS = 64
CLAIM_BATCH = 64
RELEASE_BATCH = 64
OPERATION = "wf/"  # ids of wf's own steps (operations.py), some of which wait for long
LOOK_AGAIN_SECONDS = 1.0  # the wall clock may jump, so no timer is trusted for longer
RESTART_SECONDS = (0.1, 30.0)  # the first pause after a loop of the worker failed, and the longest
FIRST_LOOK_SECONDS = 1.0
ALONE_SECONDS = 5.0  # how long a run that a process died of waits for the attempts of others
COMMIT_RETRY_SECONDS = (0.05, 2.0)  # the first pause after a failed commit, and the longest


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
        self.live_runs = live_runs
        self.page_url = page_url or (lambda run_id: None)
        self.mocks: dict[str, Callable[..., Any]] = {}
        self.tracing: Tracing | None = None
        self.interference: Interference | None = None
        self.casualties: Casualties | None = None
        self.is_leaving = False
        self.turns = 0  # commits and claims so far: whether anything happened since one last looked
        self.worker_id = f"wrk_{new_ulid(self.clock.now_us())}"
        self._is_capturing = is_capturing
        self._runs: dict[str, LiveRun] = {}
        self._leaving: set[str] = set()  # runs that are handed over as soon as that is possible
        self._active: set[str] = set()
        self._resting: dict[str, LiveRun] = {}  # in order of when they came to rest
        self._free_slots = concurrency
        self._slot_queue: deque[tuple[LiveRun, int]] = deque()
        self._dirty: list[LiveRun] = []
        self._done: list[Release] = []
        self._timers: list[tuple[int, int, str, int]] = []
        self._timer_count = 0
        self._next_claim_at: int | None = None
        self._is_full = False  # the last look for claims found no room
        self._mail: set[str] = set()
        self._alarm: asyncio.TimerHandle | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._undo: list[Callable[[], None]] = []
        self._is_open = False
        self._busy = 0  # loops that are in the middle of something, for `is_quiet`

    # -- opening and leaving

    async def open(self) -> None:
        """Announce this worker to its world and begin to claim."""
        self.loop = asyncio.get_running_loop()
        self.context = copy_context()  # what attempts inherit: the context in which the worker was opened
        self.context.run(_leave_run)
        self.create_task = _task_maker(self.loop)
        self.threads = ThreadPoolExecutor(min(self.concurrency, MAX_THREADS), thread_name_prefix="wf-step")
        self._dirty_bell = asyncio.Event()
        self._claim_bell = asyncio.Event()
        self._mail_bell = asyncio.Event()
        self._has_looked = asyncio.Event()
        self.casualties = open_casualties(self.session.settings, self.deployment_id)
        await self.announce()
        self._undo.append(await self.world.subscribe(f"worker:{self.worker_id}", self._on_mail))
        self._undo.append(await self.world.subscribe("claimable", self._on_claimable))
        guard.install()
        collector.slow_down()
        if self._is_capturing:
            logs.capture()
        self.tracing = open_tracing()
        quiet = quiet_context()
        self._is_open = True
        self._tasks = [
            self.loop.create_task(self._keep_running(loop), name=f"wf {loop.__name__}", context=quiet)
            for loop in (self._commit_loop, self._claim_loop, self._mail_loop, self._heartbeat_loop)
        ]
        self._claim_bell.set()

    async def announce(self) -> None:
        """Tell the world who we are and which workflows we know; also after the world changed hands."""
        names = [workflow.id for workflow in registry.list_workflows()]
        served = None if self.deployments is None else list(self.deployments)
        await self.world.open_worker(WorkerHello(self.worker_id, process_token(), names, self.deployment_id, served))

    async def serve(self, deployments: Sequence[str]) -> None:
        """Take runs that are pegged to these deployments from now on; those in hand stay."""
        self.deployments = deployments
        await self.announce()
        self._claim_bell.set()

    def hand_over(self, run_ids: Sequence[str]) -> None:
        """Give runs back as soon as no attempt of theirs is under way: they are pegged elsewhere now."""
        for run_id in run_ids:
            run = self._runs.get(run_id)
            if run is not None:
                self._leaving.add(run_id)
                self._hand_over(run)

    async def close(self, grace_seconds: float = 5.0) -> None:
        """Stop claiming, give attempts in flight the grace period, commit, give the leases back.

        A run is handed over as soon as no attempt of it is under way here.
        """
        if not self._is_open:
            return
        self._is_open = False
        for run in list(self._runs.values()):
            self._hand_over(run)
        attempts = [a for run in self._runs.values() for a in run.attempts.values()]
        if attempts and grace_seconds > 0:
            await asyncio.wait([a.task for a in attempts], timeout=grace_seconds)
        await self._settle()
        self.is_leaving = True
        left = [a.task for run in self._runs.values() for a in run.attempts.values()]
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
        for run in list(self._runs.values()):
            run.lose()
        self._runs.clear()
        self.threads.shutdown(wait=False, cancel_futures=True)
        if self._is_capturing:
            logs.stop_capture()
        guard.uninstall()
        collector.restore()
        if self.casualties is not None:
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
            if not self._dirty and not self._busy:
                return
            await asyncio.sleep(0.001)

    async def look_first(self) -> None:
        """Wait, for a moment at most, until the first runs are taken up.

        A run whose attention this worker's code or key cures has none any more after that.
        """
        try:
            async with asyncio.timeout(FIRST_LOOK_SECONDS):
                await self._has_looked.wait()
        except TimeoutError:
            return

    async def drain(self) -> None:
        """Wait until nothing can run here: no attempt, no due run, no unread message."""
        quiet = 0
        while quiet < 3:
            self._claim_bell.set()
            await asyncio.sleep(0.005)
            quiet = quiet + 1 if self.is_quiet() else 0

    def is_quiet(self) -> bool:
        """Tell whether only time or somebody else can make a run go on."""
        return not (self.is_turning() or any(not self._is_parked(run_id) for run_id in self._active))

    def is_turning(self) -> bool:
        """Tell whether the worker itself has something to do in its next turn."""
        bells = self._dirty_bell.is_set() or self._claim_bell.is_set() or self._mail_bell.is_set()
        return bool(bells or self._busy or self._dirty or self._mail)

    def _is_parked(self, run_id: str) -> bool:
        run = self._runs.get(run_id)
        if run is None:
            return True
        return not (run.queued or run.is_dirty or run.starts) and all(a.is_parked for a in run.attempts.values())

    def next_due_at(self) -> int | None:
        """Give the next instant at which a run here, or one that nobody owns, wants to go on."""
        self._drop_stale_timers()
        dues = [due for due in (self._timers[0][0] if self._timers else None, self._next_claim_at) if due is not None]
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
                self._mail.update(self._runs)
                for bell in (self._dirty_bell, self._claim_bell, self._mail_bell):
                    bell.set()

    # -- committing

    def mark_dirty(self, run: LiveRun) -> None:
        self._dirty.append(run)
        self._active.add(run.run_id)
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
            self._busy += 1
            try:
                await self._commit(runs)
            finally:
                self._busy -= 1
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
                self.forget(run)
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
            if not self._is_open or run.run_id in self._leaving:
                self._hand_over(run)
            elif run.is_idle:
                self._rest(run)
        self._want_claims()

    async def _try_commit(self, runs: list[LiveRun], taken: list[Taken]) -> list[Outcome]:
        try:
            return await self.world.commit([append for append, _, _ in taken])
        except (WorldError, asyncio.CancelledError):
            raise
        except Exception:  # a defect: what these runs have in memory is not what their logs say
            for run, (_, starts, _) in zip(runs, taken, strict=True):
                self._put_away(run)
                for state in starts:
                    self.free_slot(state.step)
            raise

    # -- active and resting runs

    def _rest(self, run: LiveRun) -> None:
        self._active.discard(run.run_id)
        if run.is_ended:
            self.forget(run)
            self._done.append(Release(run.run_id, run.tail.epoch))
            if len(self._done) >= RELEASE_BATCH:
                self._give_back()
            return
        self._resting.pop(run.run_id, None)
        self._resting[run.run_id] = run
        while len(self._resting) > self.live_runs:
            self._put_away(next(iter(self._resting.values())))

    def _give_back(self) -> None:
        """Give back the leases of runs that ended; nobody waits for them, so many go at once."""
        if self._done:
            done, self._done = self._done, []
            self._spawn(self.world.release(self.worker_id, done))

    def _hand_over(self, run: LiveRun) -> None:
        """Let the next worker have a run, unless an attempt or a commit of it is under way."""
        if not (run.is_lost or run.attempts or run.is_dirty or run.is_committing):
            self._put_away(run, is_due=not run.is_ended)

    def _put_away(self, run: LiveRun, *, is_due: bool = False) -> None:
        self.forget(run)
        self._spawn(self.world.release(self.worker_id, [Release(run.run_id, run.tail.epoch, is_due)]))

    def _spawn(self, work: Any) -> None:
        task = self.loop.create_task(work)
        self._tasks.append(task)
        task.add_done_callback(self._on_spawned)

    def _on_spawned(self, task: asyncio.Task[None]) -> None:
        self._tasks.remove(task)
        if not task.cancelled() and task.exception() is not None:
            log.warning("what was to be done beside could not be, a lease may expire: %s", task.exception())

    def forget(self, run: LiveRun) -> None:
        """Let go of a run, without a word to the world."""
        if self._runs.get(run.run_id) is run:
            del self._runs[run.run_id]
        self._resting.pop(run.run_id, None)
        self._active.discard(run.run_id)
        self._leaving.discard(run.run_id)
        run.lose()

    def attempt_ended(self, run: LiveRun) -> None:
        if not run.is_dirty and run.is_idle and not run.is_lost:
            if not self._is_open or run.run_id in self._leaving:
                self._hand_over(run)
            else:
                self._rest(run)

    # -- slots

    def take_slot(self, step: Step[..., Any]) -> bool:
        """Take a slot for an attempt, if one is free and nobody waits for it. Operations need none."""
        if step.id.startswith(OPERATION):
            return True
        if self._free_slots > 0 and not self._slot_queue and self._is_open:
            self._free_slots -= 1
            return True
        return False

    def queue_for_slot(self, run: LiveRun, number: int) -> None:
        run.queued += 1
        self._active.add(run.run_id)
        self._slot_queue.append((run, number))

    def free_slot(self, step: Step[..., Any]) -> None:
        if step.id.startswith(OPERATION):
            return
        self._free_slots += 1
        while self._slot_queue and self._free_slots > 0 and self._is_open:  # who leaves begins nothing
            run, number = self._slot_queue.popleft()
            run.queued -= 1
            if not run.is_lost and run.begin_attempt(number):
                self._free_slots -= 1
            elif run.is_idle and not run.is_lost:
                self._rest(run)  # nothing else will tell that it waits for nothing here

    def find_function(self, step: Step[..., Any]) -> Callable[..., Any]:
        return self.mocks.get(step.id, step.func) if self.mocks else step.func

    # -- time

    def add_timer(self, due_at: int, run: LiveRun, number: int) -> None:
        self._timer_count += 1
        heapq.heappush(self._timers, (due_at, self._timer_count, run.run_id, number))
        if self._timers[0][1] == self._timer_count:
            self._arm()

    def _arm(self) -> None:
        if self.clock.is_virtual or not self._is_open:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        due_at = self._timers[0][0] if self._timers else None
        if self._next_claim_at is not None and (due_at is None or self._next_claim_at < due_at):
            due_at = self._next_claim_at
        if due_at is None:
            return
        delay = max(0.0, (due_at - self.clock.now_us()) / 1_000_000)
        self._alarm = self.loop.call_later(min(delay, LOOK_AGAIN_SECONDS), self._on_alarm)

    def _drop_stale_timers(self) -> None:
        while self._timers and self._timers[0][2] not in self._runs:
            heapq.heappop(self._timers)

    def _on_alarm(self) -> None:
        now = self.clock.now_us()
        while self._timers and self._timers[0][0] <= now:
            due_at, _, run_id, number = heapq.heappop(self._timers)
            run = self._runs.get(run_id)
            if run is not None:
                self._resting.pop(run_id, None)
                run.time_came(number, due_at)
                if run.is_idle and not run.is_lost:
                    self._rest(run)
        if self._next_claim_at is not None and self._next_claim_at <= now:
            self._claim_bell.set()
        self._arm()

    # -- claiming

    def _on_claimable(self, detail: str) -> None:
        self._claim_bell.set()

    def _want_claims(self) -> None:
        if self._is_full and len(self._active) <= self.concurrency * 3 // 4:
            self._claim_bell.set()

    async def _claim_loop(self) -> None:
        bell = self._claim_bell
        while True:
            await bell.wait()
            self._busy += 1
            bell.clear()
            try:
                await self._claim()
            finally:
                self._busy -= 1
            self._has_looked.set()
            self.turns += 1
            self._arm()

    async def _claim(self) -> None:
        while self._is_open:
            room = min(self.concurrency - len(self._active), CLAIM_BATCH)
            now = self.clock.now_us()
            if room <= 0:
                self._is_full, self._next_claim_at = True, None  # asks again as runs come to rest
                return
            self._is_full = False
            try:
                claims = await self.world.claim(self.worker_id, now, room)
            except WorldError as error:
                log.warning("runs could not be claimed, trying again: %s", error)
                await asyncio.sleep(COMMIT_RETRY_SECONDS[1])
                continue
            self._next_claim_at = claims.next_due_at
            for claimed in claims.unregistered:
                await self._adopt(claimed)
            if any(registry.find_workflow(claimed.run.workflow) for claimed in claims.unregistered):
                await self.announce()  # some were registered after we came
            suspects = self._find_suspects(claims.claimed)
            for claimed in claims.claimed:
                if claimed.run.run_id not in suspects:
                    await self._adopt(claimed)
            if suspects:
                self._spawn(
                    self._adopt_alone([claimed for claimed in claims.claimed if claimed.run.run_id in suspects])
                )
            if len(claims.claimed) + len(claims.unregistered) < room and (
                claims.next_due_at is None or claims.next_due_at > now
            ):
                return

    async def _adopt(self, claimed: Claimed) -> None:
        """Take up a run that was just leased, and hand it what waits in its inbox."""
        stale = self._runs.get(claimed.run.run_id)
        if stale is not None:
            self.forget(stale)
        run = await take_up(self, claimed)
        if run is None:
            return
        if claimed.inbox:
            await self._deliver(run, claimed.inbox)
        if run.is_idle and not run.is_lost:
            self._rest(run)
        elif not run.is_lost:
            self._active.add(run.run_id)

    # -- runs whose body took a process down

    def count_deaths(self, row: RunRow) -> int:
        """Give how often a run's body took the process down that ran it, with this code."""
        return 0 if self.casualties is None or row.epoch <= 1 else self.casualties.count(row.run_id)

    def _find_suspects(self, claims: Sequence[Claimed]) -> set[str]:
        """Find the runs that another process may have died of. A run that is claimed for the first time is none."""
        if self.casualties is None or all(claimed.run.epoch <= 1 for claimed in claims):
            return set()
        self.casualties.bury()
        return {claimed.run.run_id for claimed in claims if self.count_deaths(claimed.run)}

    async def _adopt_alone(self, suspects: Sequence[Claimed]) -> None:
        """Take these runs up when the attempts have ended that would die with us, or after a while all the same."""
        for claimed in suspects:
            attempts = [attempt.task for run in self._runs.values() for attempt in run.attempts.values()]
            if attempts:
                await asyncio.wait(attempts, timeout=ALONE_SECONDS)
            if not self._is_open:
                return
            self._busy += 1
            try:
                await self._adopt(claimed)
            except WorldError as error:
                log.warning("run %s could not be taken up: %s", claimed.run.run_id, error)
            finally:
                self._busy -= 1
            self._on_mail(claimed.run.run_id)  # what came while it waited

    def hold(self, run: LiveRun) -> None:
        """Keep a run among those that mail and timers find here."""
        self._runs[run.run_id] = run

    # -- mail

    def _on_mail(self, run_id: str) -> None:
        if run_id:
            self._mail.add(run_id)
        else:
            self._mail.update(self._runs)
        self._mail_bell.set()

    async def _mail_loop(self) -> None:
        bell = self._mail_bell
        while True:
            await bell.wait()
            self._busy += 1
            bell.clear()
            try:
                wanted, self._mail = self._mail, set()
                await self._read_mail([run_id for run_id in wanted if run_id in self._runs])
            except WorldError as error:
                log.warning("messages could not be read, trying again: %s", error)
                self._mail.update(self._runs)
                await asyncio.sleep(COMMIT_RETRY_SECONDS[1])
                bell.set()
            finally:
                self._busy -= 1

    async def _read_mail(self, run_ids: Sequence[str]) -> None:
        if not run_ids:
            return
        by_run: dict[str, list[InboxMessage]] = {}
        for message in await self.world.read_inbox(self.worker_id, run_ids, 0):
            by_run.setdefault(message.run_id, []).append(message)
        for run_id, messages in by_run.items():
            run = self._runs.get(run_id)
            if run is not None:
                await self._deliver(run, messages)

    async def _deliver(self, run: LiveRun, messages: Sequence[InboxMessage]) -> None:
        """Hand messages to a run in their order; an ended child's result is fetched first."""
        self._resting.pop(run.run_id, None)
        for message in messages:
            child = None
            if message.kind == "child_ended" and message.id > run.inbox_high:
                child = await self._read_end(message)
            try:
                run.receive(message, child)
            except DecryptionError as error:
                self.report(f"a message of run {run.run_id} was dropped: {error}")
        if run.is_idle and not run.is_lost:
            self._rest(run)

    async def _read_end(self, message: InboxMessage) -> End:
        """Read how an awaited run ended; one that cannot be read failed, as far as we can tell."""
        run_id = decode_meta(message.meta).get("run_id", "")
        try:
            return await read_end(self.world, self.keyring, await find_last(self.world, self.keyring, run_id))
        except (RunNotFoundError, ImportedRunError, DecryptionError) as error:
            return End(run_id, "failed", "RUNTIME_ERROR", codec.encode(error, "error"))

    # -- heartbeat

    async def _heartbeat_loop(self) -> None:
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            self._give_back()
            try:
                kept = await self.world.heartbeat(self.worker_id)
                if not kept:
                    log.warning("the leases of this worker were lost: it was not heard of for %s s", LEASE_SECONDS)
                    for run in list(self._runs.values()):
                        self.forget(run)
                    await self.announce()
                    self._claim_bell.set()
            except WorldError as error:
                log.warning("no heartbeat: %s", error)


def _leave_run() -> None:
    current_body.set(None)
    current_attempt.set(None)


def _task_maker(loop: asyncio.AbstractEventLoop) -> Callable[..., asyncio.Task[None]]:
    """Give what makes the loop's tasks, without its detour where that does nothing."""
    if loop.get_task_factory() is None and not loop.get_debug():
        return functools.partial(asyncio.Task, loop=loop)
    return loop.create_task
