"""Leases: which worker owns which run, and how a run finds its next owner.

1. A lease is `runs.owner` with `runs.epoch`; `claim` alone gives one, and the epoch grows with it.
2. A worker that is not heard of for `lease_seconds` (by the monotonic clock; `claim`, `commit`,
   `heartbeat` and `open_worker` count) loses its leases. Whoever of the others speaks next finds
   out. After a restart of the world everyone has that long again, except those whose process is gone.
3. A lease that was lost leaves a run that wants a worker at once: attempts may have been in flight.
   A lease that was given back leaves one that wants a worker when it has a message or a due time.
4. What is known in memory of workers and leases changes only once its transaction is durable.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from wf.events import PENDING
from wf.world import (
    EVENTS_PER_CLAIM,
    Attention,
    Claimed,
    Claims,
    Outcome,
    Release,
    WorkerHello,
)
from wf.worlds.process import is_process_alive
from wf.worlds.rows import RUN, Lease, read_run, to_json
from wf.worlds.sqlite import inbox, locks, runs
from wf.worlds.sqlite.transaction import Transaction

SWEEP_SECONDS: Final = 0.25
"""How often at most it is looked whose leases have expired."""

_CLAIMABLE: Final = """
FROM runs INDEXED BY runs_due
WHERE owner IS NULL AND barred = 0 AND wake_at <= ?
  AND (attention IS NULL OR NOT EXISTS (
    SELECT 1 FROM refused WHERE refused.run_id = runs.run_id AND refused.worker_id = ?))
  AND workflow NOT IN (SELECT value FROM json_each(?))
  AND (deployment_id IN (SELECT value FROM json_each(?))) = ?
"""
_DUE: Final = f"SELECT {RUN}, gate_limit {_CLAIMABLE} ORDER BY wake_at, id LIMIT ?"
_NEXT: Final = f"SELECT wake_at {_CLAIMABLE} ORDER BY wake_at LIMIT 1"
_FOR_EVER: Final = (1 << 63) - 1
_LEASE: Final = "UPDATE runs SET owner = ?, epoch = epoch + 1, wake_at = NULL WHERE run_id = ?"

_IS_BARRED: Final = """
CASE WHEN EXISTS (SELECT 1 FROM locks AS l WHERE l.run_id = runs.run_id AND l.correlation_id = 0 AND l.is_held = 0)
  AND NOT EXISTS (SELECT 1 FROM inbox AS i WHERE i.run_id = runs.run_id AND i.kind IN ('cancel', 'terminate'))
  THEN 1
WHEN attention IS NOT NULL AND NOT EXISTS (
  SELECT 1 FROM workers AS w WHERE NOT EXISTS (
    SELECT 1 FROM refused WHERE refused.run_id = runs.run_id AND refused.worker_id = w.worker_id))
  THEN 2
ELSE 0 END
"""
"""Why a run that is about to be free is not to be offered; see `runs.barred` in the schema."""

_FREE: Final = f"""
UPDATE runs SET owner = NULL, wake_at = CASE WHEN ended_at IS NULL THEN 0 END, barred = {_IS_BARRED}
WHERE owner = ?
"""
_FREE_LOST: Final = f"""
UPDATE runs SET owner = NULL, wake_at = CASE WHEN ended_at IS NULL THEN 0 END, barred = {_IS_BARRED}
WHERE owner IS NOT NULL AND owner NOT IN (SELECT worker_id FROM workers)
"""
_GIVE_BACK: Final = """
UPDATE runs SET owner = NULL, wake_at = 0 WHERE run_id = ? AND epoch = ? AND owner = ? AND ended_at IS NULL
"""
_RELEASE: Final = f"""
UPDATE runs SET owner = NULL, barred = {_IS_BARRED}, wake_at = CASE
  WHEN ? OR status = 'pending' OR EXISTS (SELECT 1 FROM inbox AS i WHERE i.run_id = runs.run_id) THEN 0
  ELSE (SELECT min(due_at) FROM waits AS w WHERE w.run_id = runs.run_id) END
WHERE run_id = ? AND epoch = ? AND owner = ?
RETURNING wake_at
"""
_RELEASE_ENDED: Final = """
UPDATE runs SET owner = NULL WHERE run_id = ? AND epoch = ? AND owner = ? AND ended_at IS NOT NULL
"""
_SET_ATTENTION: Final = """
UPDATE runs SET attention = ?, owner = NULL, wake_at = 0
WHERE run_id = ? AND epoch = ? AND owner = ? AND ended_at IS NULL
"""
_CLEAR_ATTENTION: Final = "UPDATE runs SET attention = NULL WHERE run_id = ? AND epoch = ? AND owner = ?"
# A first refusal knows of no cancel: one may have come between claim and refusal, unread. So the
# run is offered once more for it, and a second refusal counts.
_REFUSE: Final = """
INSERT INTO refusals (run_id, worker_id, inbox_id) VALUES (?, ?, 0)
ON CONFLICT DO UPDATE SET inbox_id = (
  SELECT ifnull(max(id), 0) FROM inbox AS i WHERE i.run_id = refusals.run_id AND i.kind IN ('cancel', 'terminate'))
"""
_PUT_WORKER: Final = """
INSERT INTO workers (worker_id, process, workflows, deployment_id, deployments) VALUES (?, ?, ?, ?, ?)
ON CONFLICT DO UPDATE SET process = excluded.process, workflows = excluded.workflows,
  deployment_id = excluded.deployment_id, deployments = excluded.deployments
"""


_decode_names = msgspec.json.Decoder(list[str]).decode


class Leases:
    """The workers of one world. Its public methods are operations, but for `heard_of_holder` and `doubt`."""

    def __init__(self, lease_seconds: float, monotonic: Callable[[], float]) -> None:
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._live: dict[str, WorkerHello] = {}
        self._heard: dict[str, float] = {}
        self._holder: dict[str, str] = {}
        """Who holds a run: `commit` names a run, not its worker. A hint: it may name a past holder,
        whose commit is then fenced."""
        self._offers: dict[str, tuple[str, str, bool]] = {}
        """Per live worker what tells which runs it is offered: the workflows that only others know,
        and the deployments that it serves (True), or that others serve (False); names in JSON."""
        self._doubtful: list[Lease] = []
        """Leases of claims whose commit did not say how it ended: nobody knows that they have them."""
        self._told: dict[str, int] = {}
        """Per live worker when it will ask again, as `claim` told it."""
        self._swept_at = monotonic()

    # -- workers

    def recover(self, tx: Transaction) -> None:
        """After opening: free the leases of processes that are gone, and give the others their time."""
        now = self._monotonic()
        for worker_id, process, workflows, deployment_id, deployments in tx.execute(
            "SELECT worker_id, process, workflows, deployment_id, deployments FROM workers"
        ).fetchall():
            if is_process_alive(process):
                known = _decode_names(workflows)
                served = None if deployments is None else _decode_names(deployments)
                self._live[worker_id] = WorkerHello(worker_id, process, known, deployment_id, served)
                self._heard[worker_id] = now
            else:
                self._remove(tx, worker_id)
        tx.execute(_FREE_LOST)
        self._holder = dict(tx.execute("SELECT run_id, owner FROM runs WHERE owner IS NOT NULL").fetchall())
        self._learn_offers()

    def open_worker(self, tx: Transaction, hello: WorkerHello) -> None:
        worker_id = hello.worker_id
        self._speaks(tx, worker_id)
        served = None if hello.deployments is None else to_json(hello.deployments)
        tx.execute(_PUT_WORKER, (worker_id, hello.process, to_json(hello.workflows), hello.deployment_id, served))
        # New code or keys get their try at whatever all workers before had to refuse.
        freed = tx.execute(
            "UPDATE runs SET barred = 0 WHERE attention IS NOT NULL AND barred = 2 AND NOT EXISTS"
            " (SELECT 1 FROM refused WHERE refused.run_id = runs.run_id AND refused.worker_id = ?)",
            (worker_id,),
        ).rowcount
        if freed or hello.deployments is not None:
            tx.ring("claimable")

        def remember() -> None:
            self._live[worker_id] = hello
            self._heard[worker_id] = self._monotonic()
            self._learn_offers()

        tx.after(remember)

    def heartbeat(self, tx: Transaction, worker_id: str) -> bool:
        return self._speaks(tx, worker_id)

    def close_worker(self, tx: Transaction, worker_id: str) -> None:
        self._lose(tx, worker_id)

    def heard_of_holder(self, run_id: str) -> None:
        """Note that whoever holds a run has just committed to it."""
        worker_id = self._holder.get(run_id)
        if worker_id is not None:
            self._is_heard(worker_id, self._monotonic())

    def _is_heard(self, worker_id: str, now: float) -> bool:
        """Note that a worker speaks; False if it was silent for too long, or never announced."""
        heard_at = self._heard.get(worker_id)
        if heard_at is None or now - heard_at >= self._lease_seconds:
            return False
        self._heard[worker_id] = now
        return True

    def _speaks(self, tx: Transaction, worker_id: str) -> bool:
        """Note that a worker speaks, and take the leases of those that were silent for too long."""
        now = self._monotonic()
        is_heard = self._is_heard(worker_id, now)
        is_late = not is_heard and worker_id in self._heard  # it must lose now what it is told it lost
        if is_late or now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            for other_id, heard_at in list(self._heard.items()):
                if now - heard_at >= self._lease_seconds:
                    self._lose(tx, other_id)
        return is_heard

    def _lose(self, tx: Transaction, worker_id: str) -> None:
        self._remove(tx, worker_id)
        tx.execute(_FREE, (worker_id,))
        tx.ring("claimable")  # even if it had none: runs that only it knew are now anybody's

        def remember() -> None:
            for known in (self._live, self._heard, self._told):
                known.pop(worker_id, None)
            self._holder = {run_id: holder for run_id, holder in self._holder.items() if holder != worker_id}
            self._learn_offers()

        tx.after(remember)

    def _remove(self, tx: Transaction, worker_id: str) -> None:
        tx.execute("DELETE FROM workers WHERE worker_id = ?", (worker_id,))
        tx.execute("DELETE FROM refusals WHERE worker_id = ?", (worker_id,))

    def _learn_offers(self) -> None:
        """Work out, per live worker, which runs are for others, as the parameters of `_CLAIMABLE`."""
        workflows = {name for hello in self._live.values() for name in hello.workflows}
        named = to_json(sorted({name for hello in self._live.values() for name in hello.deployments or ()}))
        self._offers = {}
        for worker_id, hello in self._live.items():
            others = to_json(sorted(workflows.difference(hello.workflows)))
            is_choosy = hello.deployments is not None
            self._offers[worker_id] = (others, to_json(hello.deployments) if is_choosy else named, is_choosy)

    # -- claiming

    def claim(self, tx: Transaction, worker_id: str, now: int, limit: int) -> Claims:
        """Lease what is due and can run with this worker, and say when there will be more."""
        if not self._speaks(tx, worker_id):
            return Claims([])
        self._give_back_doubtful(tx)
        hello, offers = self._live[worker_id], self._offers[worker_id]
        claimed, unregistered = list[Claimed](), list[Claimed]()
        for *columns, gate_limit in tx.execute(_DUE, (now, worker_id, *offers, max(limit, 0))).fetchall():
            run_id, epoch, wake_at = columns[0], columns[10] + 1, columns[12]
            columns[10:13] = epoch, worker_id, None
            run = read_run(columns)
            if (
                gate_limit is not None
                and run.status == PENDING
                and locks.is_gate_open(tx, run_id) is None  # it waited for its time, and asks only now
                and not inbox.is_to_end(tx, run_id)
                and not locks.enter_gate(tx, run_id, run.workflow, gate_limit)
            ):
                continue
            tx.execute(_LEASE, (worker_id, run_id))
            events = runs.read_events(tx, run_id, 0, EVENTS_PER_CLAIM)
            # Whatever leaves a message with an unowned run makes it due now, which is written 0.
            found = Claimed(run, events, inbox.read(tx, run_id) if wake_at == 0 else [])
            (claimed if run.workflow in hello.workflows else unregistered).append(found)
        next_row = tx.execute(_NEXT, (_FOR_EVER, worker_id, *offers)).fetchone()
        next_due_at = None if next_row is None else next_row[0]

        leases = [(found.run.run_id, found.run.epoch, worker_id) for found in (*claimed, *unregistered)]
        tx.leases += leases

        def remember() -> None:
            self._told[worker_id] = _FOR_EVER if next_due_at is None else next_due_at
            for run_id, _, _ in leases:
                self._holder[run_id] = worker_id

        tx.after(remember)
        return Claims(claimed, unregistered, next_due_at)

    def doubt(self, leases: Sequence[Lease]) -> None:
        """Note leases that a failed commit may have given: their workers were not told of them."""
        self._doubtful += leases

    def _give_back_doubtful(self, tx: Transaction) -> None:
        if not self._doubtful:
            return
        doubtful = self._doubtful.copy()
        tx.executemany(_GIVE_BACK, doubtful)

        def remember() -> None:
            del self._doubtful[: len(doubtful)]

        tx.after(remember)

    def give_back(self, tx: Transaction, claims: Claims) -> None:
        """Undo a claim whose answer reached nobody: the runs want a worker as much as before."""
        found = [*claims.claimed, *claims.unregistered]
        tx.executemany(_GIVE_BACK, [(each.run.run_id, each.run.epoch, each.run.owner) for each in found])
        if found:
            tx.ring("claimable")

    # -- giving back

    def release(self, tx: Transaction, worker_id: str, releases: Sequence[Release]) -> None:
        for item in releases:
            if tx.execute(_RELEASE_ENDED, (item.run_id, item.epoch, worker_id)).rowcount:
                continue
            for (wake_at,) in tx.execute(_RELEASE, (item.is_due, item.run_id, item.epoch, worker_id)).fetchall():
                # Workers sleep until the time that `claim` told them. Only an earlier one is news.
                if wake_at is not None and wake_at < max(self._told.values(), default=_FOR_EVER):
                    tx.ring("claimable")

        def remember() -> None:
            for item in releases:
                self._holder.pop(item.run_id, None)

        tx.after(remember)

    def set_attention(
        self, tx: Transaction, worker_id: str, run_id: str, epoch: int, attention: Attention | None
    ) -> Outcome:
        if attention is None:
            if not tx.execute(_CLEAR_ATTENTION, (run_id, epoch, worker_id)).rowcount:
                return "fenced"
            tx.execute("DELETE FROM refusals WHERE run_id = ?", (run_id,))
            tx.ring_run(run_id)
            return "applied"
        text = to_json(attention)
        if not tx.execute(_SET_ATTENTION, (text, run_id, epoch, worker_id)).rowcount:
            # Asked again because the answer was lost (law 3 of wf.world)?
            same = tx.execute(
                "SELECT 1 FROM runs JOIN refusals USING (run_id)"
                " WHERE run_id = ? AND epoch = ? AND owner IS NULL AND attention = ? AND worker_id = ?",
                (run_id, epoch, text, worker_id),
            ).fetchone()
            return "applied" if same else "fenced"
        tx.execute(_REFUSE, (run_id, worker_id))
        tx.execute(f"UPDATE runs SET barred = {_IS_BARRED} WHERE run_id = ?", (run_id,))
        tx.ring("claimable")
        tx.ring_run(run_id)
        tx.ring("results", run_id)
        return "applied"
