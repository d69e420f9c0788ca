"""Leases: the runs that a worker has taken, from the claim until it gives them back.

1. Runs are finished, not advanced in lockstep: at most `concurrency` runs are active at a time,
   and new ones are claimed as others come to rest. A run that only waits is not active.
2. Resting runs stay in memory up to `live_runs`; the one that rested longest is put away first: its
   lease goes back, and its next event replays it.
3. A run goes back only while no attempt and no commit of it is under way here. Giving back is insisted on: a lease
   that this worker does not know of any more would never expire while it lives.
4. Who another process may have died of is taken up when nobody else's attempt would die with it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wf import registry
from wf.errors import BlockedError, WorldError
from wf.worker.adoption import take_up
from wf.worker.attention import describe_trouble, explain
from wf.worker.casualties import Death
from wf.worker.live import LiveRun
from wf.world import LEASE_SECONDS, Claimed, Claims, Release, RunRow

if TYPE_CHECKING:
    from wf.worker.worker import Worker

log = logging.getLogger("wf.worker")

CLAIM_BATCH = 64
RELEASE_BATCH = 64
ALONE_SECONDS = 5.0  # how long a run that a process died of waits for the attempts of others
CLAIM_AGAIN_SECONDS = 2.0  # the pause after a claim that failed


class Leases:
    """See the laws at the top of this module. All methods are called on the worker's loop."""

    def __init__(self, worker: Worker, *, concurrency: int, live_runs: int) -> None:
        self._worker = worker
        self.concurrency = concurrency
        self.live_runs = live_runs
        self.runs: dict[str, LiveRun] = {}
        self.active: set[str] = set()
        self.resting: dict[str, LiveRun] = {}  # in order of when they came to rest
        self.next_due_at: int | None = None  # when a run that nobody has wants to go on
        self.bell = asyncio.Event()  # rung when there may be something to claim
        self.has_looked = asyncio.Event()
        self._leaving: set[str] = set()  # runs that are handed over as soon as that is possible
        self._done: list[Release] = []
        self._is_full = False  # the last look for claims found no room
        self._is_taking = False  # leases are on their way here that are not in `runs` yet
        self._rung: set[str] = set()  # whose mail was rung for meanwhile

    # -- claiming

    def on_claimable(self, detail: str) -> None:
        self.bell.set()

    def want_more(self) -> None:
        """Claim again if there was no room and a quarter of the places is free now."""
        if self._is_full and len(self.active) <= self.concurrency * 3 // 4:
            self.bell.set()

    async def claim_loop(self) -> None:
        """Claim whenever the bell rings: a loop of the worker."""
        while True:
            await self.bell.wait()
            self._worker.busy += 1
            self.bell.clear()
            try:
                await self._claim()
            finally:
                self._worker.busy -= 1
            self.has_looked.set()
            self._worker.turns += 1
            self._worker.arm()

    async def _claim(self) -> None:
        worker = self._worker
        while worker.is_open:
            room = min(self.concurrency - len(self.active), CLAIM_BATCH)
            now = worker.clock.now_us()
            if room <= 0:
                self._is_full, self.next_due_at = True, None  # asks again as runs come to rest
                return
            self._is_full, self._is_taking = False, True
            try:
                claims = await worker.world.claim(worker.worker_id, now, room)
                self.next_due_at = claims.next_due_at
                await self._take(claims)
            except WorldError as error:
                log.warning("runs could not be claimed, trying again: %s", error)
                await asyncio.sleep(CLAIM_AGAIN_SECONDS)
                continue
            finally:
                self._end_taking()
            if len(claims.claimed) + len(claims.unregistered) < room and (
                claims.next_due_at is None or claims.next_due_at > now
            ):
                return

    async def _take(self, claims: Claims) -> None:
        """Take up what was just leased. What an error keeps from its turn goes back: nobody would know of its lease."""
        worker = self._worker
        left = {claimed.run.run_id: claimed.run.epoch for claimed in (*claims.unregistered, *claims.claimed)}
        try:
            if any(registry.find_workflow(claimed.run.workflow) for claimed in claims.unregistered):
                await worker.announce()  # some were registered after we came
            for claimed in claims.unregistered:
                left.pop(claimed.run.run_id, None)
                await self._adopt(claimed)
            suspects = self._find_suspects(claims.claimed)
            for claimed in claims.claimed:
                if claimed.run.run_id not in suspects:
                    left.pop(claimed.run.run_id, None)
                    await self._adopt(claimed)
            if suspects:
                worker.spawn(
                    self._adopt_alone([claimed for claimed in claims.claimed if claimed.run.run_id in suspects])
                )
        except Exception:
            worker.insist(self._release, [Release(run_id, epoch, is_due=True) for run_id, epoch in left.items()])
            raise

    def note_ring(self, run_id: str) -> None:
        """Note whose mail was rung for that is not in hand: it may be leased already. "": anybody's."""
        if self._is_taking:
            self._rung.add(run_id)

    def _end_taking(self) -> None:
        """Hear what was said meanwhile of runs that were just leased: they were in nobody's hands."""
        self._is_taking = False
        rung, self._rung = self._rung, set()
        for run_id in rung:
            self._worker.on_mail(run_id)
        if self._worker.is_open:  # who leaves hands over all
            leaving, self._leaving = self._leaving, set()
            self.hand_over(leaving)

    async def _adopt(self, claimed: Claimed) -> None:
        """Take up a run that was just leased, and hand it what waits in its inbox.

        Where the world fails meanwhile the run is claimed again: nothing is wrong with it.
        """
        stale = self.runs.get(claimed.run.run_id)
        if stale is not None:
            self.forget(stale)
        try:
            run = await take_up(self._worker, claimed)
        except WorldError as error:
            log.warning("run %s could not be taken up, trying again: %s", claimed.run.run_id, error)
            half_open = self.runs.get(claimed.run.run_id)
            if half_open is not None:
                self.forget(half_open)
            self._worker.insist(self._claim_again, claimed)
            return
        if run is None:
            return
        if claimed.inbox:
            try:
                await self._worker.deliver(run, claimed.inbox)
            except WorldError as error:
                log.warning("messages could not be read, trying again: %s", error)
                self._worker.on_mail(run.run_id)
        if run.is_idle and not run.is_lost:
            self.rest(run)
        elif not run.is_lost:
            self.active.add(run.run_id)

    async def _claim_again(self, claimed: Claimed) -> None:
        await asyncio.sleep(CLAIM_AGAIN_SECONDS)
        await self._release([Release(claimed.run.run_id, claimed.run.epoch, is_due=True)])

    def hold(self, run: LiveRun) -> None:
        """Keep a run among those that mail and timers find here."""
        self.runs[run.run_id] = run

    # -- runs whose body took a process down

    def count_deaths(self, row: RunRow) -> int:
        """Give how often a run's body took the process down that ran it, with this code."""
        casualties = self._worker.casualties
        return 0 if casualties is None or row.epoch <= 1 else casualties.count(row.run_id)

    def find_blocked(self, row: RunRow) -> Death | None:
        """Give how a run's body kept its process from going on until that was ended, with this code."""
        casualties = self._worker.casualties
        return None if casualties is None or row.epoch <= 1 else casualties.find_blocked(row.run_id)

    def _find_suspects(self, claims: Sequence[Claimed]) -> set[str]:
        """Find the runs that another process may have died of. A run that is claimed for the first time is none."""
        casualties = self._worker.casualties
        if casualties is None or all(claimed.run.epoch <= 1 for claimed in claims):
            return set()
        casualties.bury()
        return {claimed.run.run_id for claimed in claims if self.count_deaths(claimed.run)}

    async def _adopt_alone(self, suspects: Sequence[Claimed]) -> None:
        """Take these runs up when the attempts have ended that would die with us, or after a while all the same."""
        worker = self._worker
        for claimed in suspects:
            attempts = [attempt.task for run in self.runs.values() for attempt in run.attempts.values()]
            if attempts:
                await asyncio.wait(attempts, timeout=ALONE_SECONDS)
            if not worker.is_open:
                return
            worker.busy += 1
            try:
                await self._adopt(claimed)
            finally:
                worker.busy -= 1
            worker.on_mail(claimed.run.run_id)  # what came while it waited

    # -- active and resting runs

    def wake(self, run: LiveRun) -> None:
        """Take a run off those that may be put away: something happens to it."""
        self.resting.pop(run.run_id, None)

    def settle(self, run: LiveRun) -> None:
        """Let a run rest of which nothing is under way any more, or let it go if it is to leave."""
        if not self._worker.is_open or run.run_id in self._leaving:
            self._hand_over(run)
        elif run.is_idle:
            self.rest(run)

    def rest(self, run: LiveRun) -> None:
        self.active.discard(run.run_id)
        if run.is_ended:
            self.forget(run)
            self.give_back_ended(run.run_id, run.tail.epoch)
            return
        if run.replay.blocked is not None:
            self._leave_alone(run, run.replay.blocked)
            return
        self.resting.pop(run.run_id, None)
        self.resting[run.run_id] = run
        while len(self.resting) > self.live_runs:
            self.put_away(next(iter(self.resting.values())))

    def _leave_alone(self, run: LiveRun, error: BlockedError) -> None:
        """Give a run back, with an attention, whose body was interrupted."""
        attention = describe_trouble(error)
        log.error("run %s needs attention (%s)\n%s", run.run_id, attention.code, explain(error))
        self.forget(run)
        worker = self._worker
        worker.insist(worker.world.set_attention, worker.worker_id, run.run_id, run.tail.epoch, attention)

    def is_quiet(self) -> bool:
        """Tell whether only time or somebody else can make an active run go on."""
        return all(self._is_parked(run_id) for run_id in self.active)

    def _is_parked(self, run_id: str) -> bool:
        run = self.runs.get(run_id)
        if run is None:
            return True
        return not (run.queued or run.is_dirty or run.starts) and all(a.is_parked for a in run.attempts.values())

    # -- giving back

    def give_back_ended(self, run_id: str, epoch: int) -> None:
        """Have the lease of a run that ended given back soon."""
        self._done.append(Release(run_id, epoch))
        if len(self._done) >= RELEASE_BATCH:
            self.give_back()

    def give_back(self) -> None:
        """Give back the leases of runs that ended; nobody waits for them, so many go at once."""
        if self._done:
            done, self._done = self._done, []
            self._worker.insist(self._release, done)

    async def _release(self, releases: Sequence[Release]) -> None:
        await self._worker.world.release(self._worker.worker_id, releases)

    def hand_over(self, run_ids: Iterable[str]) -> None:
        """Let the next worker have these runs as soon as law 3 allows."""
        for run_id in run_ids:
            run = self.runs.get(run_id)
            if run is not None or self._is_taking:
                self._leaving.add(run_id)
            if run is not None:
                self._hand_over(run)

    def _hand_over(self, run: LiveRun) -> None:
        if not (run.is_lost or run.attempts or run.is_dirty or run.is_committing):
            self.put_away(run, is_due=not run.is_ended)

    def put_away(self, run: LiveRun, *, is_due: bool = False) -> None:
        self.forget(run)
        self._worker.insist(self._release, [Release(run.run_id, run.tail.epoch, is_due)])

    def forget(self, run: LiveRun) -> None:
        """Let go of a run, without a word to the world."""
        if self.runs.get(run.run_id) is run:  # else a later lease of the same run is in its places
            del self.runs[run.run_id]
            self.resting.pop(run.run_id, None)
            self.active.discard(run.run_id)
            self._leaving.discard(run.run_id)
        run.lose()

    def lose_all(self) -> None:
        """Let go of all runs: the world gave them to others."""
        self._lose(self.runs.values())

    def _lose(self, runs: Iterable[LiveRun]) -> None:
        for run in list(runs):
            self.forget(run)

    async def heartbeat_loop(self) -> None:
        """Say now and then that this worker lives, and note when it was not heard: a loop of the worker."""
        worker = self._worker
        while True:
            await asyncio.sleep(LEASE_SECONDS / 3)
            self.give_back()
            asked_for = list(self.runs.values())  # what is claimed while the answer is under way is not what was lost
            try:
                kept = await worker.world.heartbeat(worker.worker_id)
                if not kept:
                    log.warning("the leases of this worker were lost: it was not heard of for %s s", LEASE_SECONDS)
                    self._lose(asked_for)
                    await worker.announce()
                    self.bell.set()
            except WorldError as error:
                log.warning("no heartbeat: %s", error)
