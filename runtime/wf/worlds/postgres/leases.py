"""Leases: which worker owns which run, and how a run finds its next owner.

1. A lease is `runs.owner` with `runs.epoch`; `claim` alone gives one, and the epoch grows with it.
2. A worker that is not heard of for `lease_seconds` loses its leases. The database's clock says how long that is, for
   workers on all machines alike; `claim`, `commit`, `heartbeat` and `open_worker` count. Whoever of the others speaks
   next finds out. A worker on this machine whose process is gone loses them at once, and one that announces itself
   again after too long a silence has lost them.
   While the server was down nobody could be heard of: after its start everybody has that long again.
3. A clock that was set back would keep the dead alive: who was heard of in the future is heard of now.
4. A lease that was lost leaves a run that wants a worker at once: attempts may have been in flight.
   A lease that was given back leaves one that wants a worker when it has a message or a due time.
5. All of it is in rows. What `Leases` keeps in memory are leases whose commit did not say how it ended.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import Final

from wf.events import PENDING
from wf.world import EVENTS_PER_CLAIM, Attention, Claimed, Claims, Outcome, Release, WorkerHello
from wf.worlds.postgres import inbox, locks, runs
from wf.worlds.postgres.transaction import Transaction
from wf.worlds.process import is_process_alive
from wf.worlds.rows import RUN, Lease, read_run, to_json

SWEEP_SECONDS: Final = 0.25
"""How often at most a worker looks whose leases have expired."""
LOCKED_US: Final = 50_000
"""When to ask again for runs that are due and in somebody else's hands at the moment."""
_FOR_EVER: Final = (1 << 63) - 1
_CLOCK: Final = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_SERVER_START: Final = "(extract(epoch FROM pg_postmaster_start_time()) * 1000000)::bigint"
_SET_BACK_US: Final = 1_000_000

_CLAIMABLE: Final = """
FROM runs
WHERE owner IS NULL AND barred = 0 AND wake_at <= %s
  AND (attention IS NULL OR NOT EXISTS (
    SELECT 1 FROM refused WHERE refused.run_id = runs.run_id AND refused.worker_id = %s))
  AND NOT workflow = ANY(%s::text[])
  AND (deployment_id = ANY(%s::text[])) = %s
"""
# FOR UPDATE: it also waits for no chunk that a past owner is writing (`streams`), but passes by.
_DUE: Final = f"SELECT {RUN}, gate_limit {_CLAIMABLE} ORDER BY wake_at, id LIMIT %s FOR UPDATE SKIP LOCKED"
_NEXT: Final = f"SELECT wake_at {_CLAIMABLE} ORDER BY wake_at LIMIT 1"
_LEASE: Final = "UPDATE runs SET owner = %s, epoch = epoch + 1, wake_at = NULL WHERE run_id = ANY(%s::text[])"

_IS_BARRED: Final = """
CASE WHEN EXISTS (SELECT 1 FROM locks AS l WHERE l.run_id = r.run_id AND l.correlation_id = 0 AND NOT l.is_held)
  AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.run_id = r.run_id AND i.kind IN ('cancel', 'terminate'))
  THEN 1
WHEN r.attention IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM workers AS w WHERE NOT EXISTS (
    SELECT 1 FROM refused WHERE refused.run_id = r.run_id AND refused.worker_id = w.worker_id))
  THEN 2
ELSE 0 END
"""
"""Why a run that is about to be free is not to be offered; see `runs.barred` in the schema."""

_OWNED: Final = "SELECT 1 FROM runs WHERE owner = %s ORDER BY run_id FOR NO KEY UPDATE"
_FREE: Final = f"""
UPDATE runs AS r SET owner = NULL, wake_at = CASE WHEN ended_at IS NULL THEN 0 END, barred = {_IS_BARRED}
WHERE owner = %s
"""
_LOST: Final = """
SELECT DISTINCT owner FROM runs WHERE owner IS NOT NULL AND NOT EXISTS (SELECT 1 FROM workers WHERE worker_id = owner)
"""
_GIVE_BACK: Final = """
UPDATE runs SET owner = NULL, wake_at = 0 WHERE run_id = %s AND epoch = %s AND owner = %s AND ended_at IS NULL
"""
_RELEASE: Final = f"""
UPDATE runs AS r SET owner = NULL,
  barred = CASE WHEN r.ended_at IS NOT NULL THEN r.barred ELSE ({_IS_BARRED}) END,
  wake_at = CASE
    WHEN r.ended_at IS NOT NULL THEN NULL
    WHEN a.is_due OR r.status = 'pending' OR EXISTS (SELECT 1 FROM inbox AS i WHERE i.run_id = r.run_id) THEN 0
    ELSE (SELECT min(due_at) FROM waits AS w WHERE w.run_id = r.run_id) END
FROM unnest(%b::text[], %b::bigint[], %b::boolean[]) AS a (run_id, epoch, is_due)
WHERE r.run_id = a.run_id AND r.epoch = a.epoch AND r.owner = %s
RETURNING r.wake_at
"""
_SET_ATTENTION: Final = """
UPDATE runs SET attention = %s, owner = NULL, wake_at = 0
WHERE run_id = %s AND epoch = %s AND owner = %s AND ended_at IS NULL RETURNING 1
"""
_CLEAR_ATTENTION: Final = "UPDATE runs SET attention = NULL WHERE run_id = %s AND epoch = %s AND owner = %s RETURNING 1"
_WAS_SET: Final = """
SELECT 1 FROM runs JOIN refusals USING (run_id)
WHERE run_id = %s AND epoch = %s AND owner IS NULL AND attention = %s AND worker_id = %s
"""
# A first refusal knows of no cancel: one may have come between claim and refusal, unread. So the
# run is offered once more for it, and a second refusal counts.
_REFUSE: Final = """
INSERT INTO refusals (run_id, worker_id, inbox_id) VALUES (%s, %s, 0)
ON CONFLICT (run_id, worker_id) DO UPDATE SET inbox_id = (
  SELECT coalesce(max(id), 0) FROM inbox AS i WHERE i.run_id = refusals.run_id AND i.kind IN ('cancel', 'terminate'))
"""
_PUT_WORKER: Final = """
INSERT INTO workers (worker_id, process, host, workflows, deployment_id, deployments, heard_at)
VALUES (%s, %s, %s, %s::text[], %s, %s::text[], {now})
ON CONFLICT (worker_id) DO UPDATE SET process = excluded.process, host = excluded.host, workflows = excluded.workflows,
  deployment_id = excluded.deployment_id, deployments = excluded.deployments, heard_at = excluded.heard_at
"""
_HEAR: Final = "UPDATE workers SET heard_at = {now} WHERE worker_id = %s AND {age} < %s RETURNING 1"
_HEAR_IN_PASSING: Final = "UPDATE workers SET heard_at = {now} WHERE worker_id = ANY(%s::text[]) AND {age} < %s"
_TELL: Final = "UPDATE workers SET told = %s WHERE worker_id = %s AND told IS DISTINCT FROM %s"
_SILENT: Final = """
SELECT worker_id, process, host, {age} >= %s, {now} - heard_at < %s FROM workers ORDER BY worker_id
"""


def name_host() -> str:
    """Name what a process id means something in: this boot of this machine, and this container of it."""
    try:
        with open("/proc/sys/kernel/random/boot_id") as file:
            return f"{file.read().strip()} {os.readlink('/proc/self/ns/pid')}"
    except OSError:
        return ""


class Leases:
    """The workers of one world. Its public methods are operations, but for `doubt`."""

    def __init__(self, lease_seconds: float, monotonic: Callable[[], float] | None) -> None:
        self._lease_us = int(lease_seconds * 1_000_000)
        self._monotonic = monotonic
        self._host = name_host()
        self._doubtful: set[Lease] = set()
        """Leases of claims whose commit did not say how it ended: nobody knows that they have them."""

    def _timed(self, sql: str) -> str:
        """Put the clock into a statement: the database's, or in tests one that stands still."""
        if self._monotonic is not None:
            now = f"{int(self._monotonic() * 1_000_000)}::bigint"
            return sql.format(now=now, age=f"({now} - heard_at)")
        return sql.format(now=_CLOCK, age=f"({_CLOCK} - greatest(heard_at, {_SERVER_START}))")

    # -- workers

    def open_worker(self, tx: Transaction, hello: WorkerHello) -> None:
        tx.cross()
        worker_id = hello.worker_id
        if not self.hear(tx, worker_id):
            self._lose(tx, worker_id)  # it may have been told so, and forgotten its runs, before a sweep came to it
        tx.execute(
            self._timed(_PUT_WORKER),
            (worker_id, hello.process, self._host, hello.workflows, hello.deployment_id, hello.deployments),
        )
        # New code or keys get their try at whatever all workers before had to refuse.
        freed = tx.rows(
            "UPDATE runs SET barred = 0 WHERE attention IS NOT NULL AND barred = 2 AND NOT EXISTS"
            " (SELECT 1 FROM refused WHERE refused.run_id = runs.run_id AND refused.worker_id = %s) RETURNING 1",
            (worker_id,),
        )
        if freed or hello.deployments is not None:
            tx.ring("claimable")

    def hear(self, tx: Transaction, worker_id: str) -> bool:
        """Note that a worker speaks; False if it was silent for too long, or never announced."""
        return tx.one(self._timed(_HEAR), (worker_id, self._lease_us)) is not None

    def hear_in_passing(self, tx: Transaction, worker_ids: Sequence[str]) -> None:
        """Note that workers speak, for nobody who wants to know whether they are too late."""
        tx.execute(self._timed(_HEAR_IN_PASSING), (list(worker_ids), self._lease_us))

    def find_lost(self, tx: Transaction) -> list[str]:
        """Find workers that were silent for too long, whose process is gone, or that nobody knows any more."""
        lost = [worker_id for (worker_id,) in tx.rows(_LOST)]
        set_back = []
        for worker_id, process, host, is_silent, is_ahead in tx.rows(
            self._timed(_SILENT), (self._lease_us, -_SET_BACK_US)
        ):
            if is_silent or (host and host == self._host and not is_process_alive(process)):
                lost.append(worker_id)
            elif is_ahead:
                set_back.append(worker_id)
        if set_back:
            tx.execute(
                self._timed("UPDATE workers SET heard_at = {now} WHERE worker_id = ANY(%s::text[])"), (set_back,)
            )
        return lost

    def sweep(self, tx: Transaction) -> None:
        """Take the leases of workers that are lost."""
        tx.cross()
        for worker_id in self.find_lost(tx):
            self._lose(tx, worker_id)

    def close_worker(self, tx: Transaction, worker_id: str) -> None:
        tx.cross()
        self._lose(tx, worker_id)

    def _lose(self, tx: Transaction, worker_id: str) -> None:
        tx.execute("DELETE FROM workers WHERE worker_id = %s", (worker_id,))
        tx.execute("DELETE FROM refusals WHERE worker_id = %s", (worker_id,))
        tx.execute(_OWNED, (worker_id,))  # first the locks, so that `_FREE` sees what they waited for
        tx.execute(_FREE, (worker_id,))
        tx.ring("claimable")  # even if it had none: runs that only it knew are now anybody's

    # -- claiming

    def _learn_offer(
        self, tx: Transaction, worker_id: str
    ) -> tuple[set[str], tuple[list[str], list[str], bool]] | None:
        """Find what tells which runs a worker is offered: what only others know, and the deployments that it serves
        (True) or that others serve (False). With it the workflows that it knows. None: it is no worker."""
        others, named = set[str](), set[str]()
        mine: tuple[list[str], list[str] | None] | None = None
        for other_id, workflows, deployments in tx.rows("SELECT worker_id, workflows, deployments FROM workers"):
            others.update(workflows)
            named.update(deployments or ())
            if other_id == worker_id:
                mine = workflows, deployments
        if mine is None:
            return None
        known = set(mine[0])
        if mine[1] is not None:
            return known, (sorted(others - known), mine[1], True)
        return known, (sorted(others - known), sorted(named), False)

    def claim(self, tx: Transaction, worker_id: str, now: int, limit: int) -> Claims:
        """Lease what is due and can run with this worker, and say when there will be more."""
        learnt = self._learn_offer(tx, worker_id)
        if learnt is None:
            return Claims([])
        known, offer = learnt
        self._give_back_doubtful(tx)
        leased: dict[str, tuple[list[object], int]] = {}
        for *columns, gate_limit in tx.rows(_DUE, (now, worker_id, *offer, max(limit, 0))):
            run_id = columns[0]
            tx.held.add(run_id)
            if (
                gate_limit is not None
                and columns[2] == PENDING
                and locks.is_gate_open(tx, run_id) is None  # it waited for its time, and asks only now
                and not inbox.is_to_end(tx, run_id)
                and not locks.enter_gate(tx, run_id, columns[1], gate_limit)
            ):
                continue
            wake_at = columns[12]
            columns[10:13] = columns[10] + 1, worker_id, None
            leased[run_id] = columns, wake_at
        claimed, unregistered = list[Claimed](), list[Claimed]()
        if leased:
            tx.execute(_LEASE, (worker_id, list(leased)))
            events = runs.read_first_events(tx, list(leased), EVENTS_PER_CLAIM)
            # Whatever leaves a message with an unowned run makes it due now, which is written 0.
            mail = inbox.read(tx, [run_id for run_id, (_, wake_at) in leased.items() if wake_at == 0])
            for run_id, (columns, _) in leased.items():
                found = Claimed(read_run(columns), events.get(run_id, []), mail.get(run_id, []))
                (claimed if found.run.workflow in known else unregistered).append(found)
        row = tx.one(_NEXT, (_FOR_EVER, worker_id, *offer))
        next_due_at = None if row is None else row[0]
        if next_due_at is not None and next_due_at <= now and len(leased) < limit:
            next_due_at = now + LOCKED_US  # somebody holds it just now: it is his, or free in a moment
        told = _FOR_EVER if next_due_at is None else next_due_at
        tx.execute(_TELL, (told, worker_id, told))
        tx.leases += [(found.run.run_id, found.run.epoch, worker_id) for found in (*claimed, *unregistered)]
        return Claims(claimed, unregistered, next_due_at)

    def doubt(self, leases: Sequence[Lease]) -> None:
        """Note leases that a failed commit may have given: their workers were not told of them."""
        self._doubtful.update(leases)

    def _give_back_doubtful(self, tx: Transaction) -> None:
        if not self._doubtful:
            return
        tx.cross()
        doubtful = self._doubtful.copy()
        # The server may be at that commit still: who does not wait for it would see no lease, and forget the doubt.
        tx.lock(run_id for run_id, _, _ in doubtful)
        for lease in sorted(doubtful):
            tx.execute(_GIVE_BACK, lease)

        tx.after(lambda: self._doubtful.difference_update(doubtful))

    def give_back(self, tx: Transaction, claims: Claims) -> None:
        """Undo a claim whose answer reached nobody: the runs want a worker as much as before."""
        found = [*claims.claimed, *claims.unregistered]
        tx.lock(each.run.run_id for each in found)
        for each in found:
            tx.execute(_GIVE_BACK, (each.run.run_id, each.run.epoch, each.run.owner))
        if found:
            tx.ring("claimable")

    # -- giving back

    def release(self, tx: Transaction, worker_id: str, releases: Sequence[Release]) -> None:
        if not releases:
            return
        tx.lock(item.run_id for item in releases)
        columns = zip(*((item.run_id, item.epoch, item.is_due) for item in releases), strict=True)
        freed = tx.execute(_RELEASE, [*(list(column) for column in columns), worker_id])
        told = tx.one("SELECT max(told) FROM workers")
        last = _FOR_EVER if told is None or told[0] is None else told[0]
        # Workers sleep until the time that `claim` told them. Only an earlier one is news.
        if any(wake_at is not None and wake_at < last for (wake_at,) in freed.fetchall()):
            tx.ring("claimable")

    def set_attention(
        self, tx: Transaction, worker_id: str, run_id: str, epoch: int, attention: Attention | None
    ) -> Outcome:
        if attention is not None:
            tx.cross()  # whether all workers have refused it by now is asked, and another one may be coming
        tx.lock_one(run_id)
        if attention is None:
            if not tx.one(_CLEAR_ATTENTION, (run_id, epoch, worker_id)):
                return "fenced"
            tx.execute("DELETE FROM refusals WHERE run_id = %s", (run_id,))
            tx.ring_run(run_id)
            tx.grown.append(run_id)
            return "applied"
        text = to_json(attention)
        if not tx.one(_SET_ATTENTION, (text, run_id, epoch, worker_id)):
            # Asked again because the answer was lost (law 3 of wf.world)?
            return "applied" if tx.one(_WAS_SET, (run_id, epoch, text, worker_id)) else "fenced"
        tx.execute(_REFUSE, (run_id, worker_id))
        tx.execute(f"UPDATE runs AS r SET barred = {_IS_BARRED} WHERE run_id = %s", (run_id,))
        tx.ring("claimable")
        tx.ring_run(run_id)
        tx.ring("results", run_id)
        return "applied"
