"""Runs: how they are created, found, started and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wf.errors import WorldError
from wf.events import CANCELLED, FAILED, PENDING, RUNNING, Event
from wf.world import Created, EndRun, NewRun, RunFilter, RunRow, StartRun
from wf.worlds.rows import EVENT, RUN, encode_attributes, make_first_row, read_run
from wf.worlds.sqlite import inbox, locks
from wf.worlds.sqlite.transaction import Transaction

_FEW: Final = ((PENDING, RUNNING), (FAILED, CANCELLED))
"""Statuses that few of many runs have, and that lists are asked for; each pair has an index."""

INSERT_EVENT: Final = f"INSERT INTO events ({EVENT}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"
_INSERT_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, seq, head, mac, wake_at, barred, gate_limit,
  attributes, parent_run_id, parent_correlation_id, continued_from, forked_from, payload_bytes)
VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?, 0, ?, ?, ?, ?, ?, ?, ?)
ON CONFLICT (run_id) DO NOTHING
"""
_INSERT_USUAL_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, seq, head, mac, wake_at, barred, payload_bytes)
VALUES (?, ?, 'pending', ?, ?, ?, ?, ?, ?, 0, ?)
ON CONFLICT (run_id) DO NOTHING
"""
"""As the one above, for a run that has nothing but itself: no parameter is None, as commits.py says why."""
_GET_RUN: Final = f"SELECT {RUN} FROM runs WHERE run_id = ?"
GET_EVENTS: Final = f"SELECT {EVENT} FROM events WHERE run_id = ? AND seq > ? ORDER BY seq LIMIT ?"

_ALONE: Final = (None,) * 4

START: Final = "status = 'running', started_at = ?"
CAN_START: Final = "status = 'pending'"
END: Final = """
status = ?, ended_at = ?, result_seq = ?, error_code = ?, continued_as = ?, wake_at = NULL, barred = 0, attention = NULL
"""
CAN_END: Final = "ended_at IS NULL"
_START: Final = f"UPDATE runs SET {START} WHERE run_id = ? AND {CAN_START}"
_END: Final = f"UPDATE runs SET {END} WHERE run_id = ? AND {CAN_END}"

_HAS_HOLDINGS: Final = """
SELECT EXISTS (SELECT 1 FROM waits WHERE run_id = ?) OR EXISTS (SELECT 1 FROM inbox WHERE run_id = ?)
  OR EXISTS (SELECT 1 FROM hooks WHERE run_id = ?) OR EXISTS (SELECT 1 FROM locks WHERE run_id = ?)
  OR EXISTS (SELECT 1 FROM watchers WHERE run_id = ?) OR EXISTS (SELECT 1 FROM refusals WHERE run_id = ?)
"""


def get(tx: Transaction, run_id: str) -> RunRow | None:
    row = tx.execute(_GET_RUN, (run_id,)).fetchone()
    return None if row is None else read_run(row)


def read_events(tx: Transaction, run_id: str, after_seq: int, limit: int) -> list[Event]:
    return [Event(*row) for row in tx.execute(GET_EVENTS, (run_id, after_seq, limit)).fetchall()]


def create(tx: Transaction, new: NewRun) -> Created:
    """Create a run, or find the one that has its id."""
    event = new.event
    created_at, run_id = event.at, event.run_id
    not_before = new.not_before or 0
    wake_at = max(created_at, not_before)
    if new.inbox:
        if not_before > created_at:
            raise WorldError(f"the new run {run_id} is to wait, and brings messages that would not")
        wake_at = 0  # as of whatever a message waits for
    size = 0 if event.payload is None else len(event.payload)
    place = (run_id, new.workflow, new.deployment_id, created_at, event.seq)
    own = (*place, bytearray(event.link), bytearray(new.mac), wake_at)
    relations = (new.parent_run_id, new.parent_correlation_id, new.continued_from, new.forked_from)
    if new.concurrency is None and not new.attributes and relations == _ALONE:
        is_new = tx.execute(_INSERT_USUAL_RUN, (*own, size)).rowcount
    else:
        others = (new.concurrency, encode_attributes(new.attributes), *relations)
        is_new = tx.execute(_INSERT_RUN, (*own, *others, size)).rowcount
    if not is_new:
        return Created(False, read_run(tx.execute(_GET_RUN, (run_id,)).fetchone()))
    tx.execute(INSERT_EVENT, msgspec.structs.astuple(event))
    tx.written += size
    inbox.put_first(tx, run_id, new.inbox)
    # A run that is to wait does not take a place at the gate yet: it would keep others out who
    # could run meanwhile. It queues when its time has come (`leases.claim`).
    if (
        new.concurrency is None
        or not_before > created_at
        or locks.enter_gate(tx, run_id, new.workflow, new.concurrency)
    ):
        tx.ring("claimable")
    tx.ring_run(run_id)
    tx.grown.append(run_id)
    return Created(True, make_first_row(new, wake_at))


def start(tx: Transaction, run_id: str, effect: StartRun) -> None:
    if tx.execute(_START, (effect.at, run_id)).rowcount:
        tx.ring_run(run_id)


def end(tx: Transaction, run_id: str, effect: EndRun) -> None:
    """End a run, unless it has ended before: a run ends once."""
    if tx.execute(_END, (*describe_end(effect), run_id)).rowcount:
        clean_up(tx, run_id, effect)


def describe_end(effect: EndRun) -> tuple[Any, ...]:
    """Give the parameters of `END`."""
    continued_as = None if effect.continued is None else effect.continued.event.run_id
    return effect.status, effect.at, effect.result_seq, effect.error_code, continued_as


def clean_up(tx: Transaction, run_id: str, effect: EndRun) -> None:
    """Drop what a run held that has just ended, and tell its watchers; or hand them on to the run that continues it."""
    new = effect.continued
    # Most runs leave nothing behind, and one look is cheaper than six deletions.
    (has_holdings,) = tx.execute(_HAS_HOLDINGS, (run_id,) * 6).fetchone()
    if has_holdings:
        tx.execute("DELETE FROM waits WHERE run_id = ?", (run_id,))
        tx.execute("DELETE FROM hooks WHERE run_id = ?", (run_id,))
        tx.execute("DELETE FROM inbox WHERE run_id = ?", (run_id,))
        tx.execute("DELETE FROM refusals WHERE run_id = ?", (run_id,))
        locks.release_all(tx, run_id, effect.at)
    if new is not None:
        parent_run_id, parent_correlation_id = tx.execute(
            "SELECT parent_run_id, parent_correlation_id FROM runs WHERE run_id = ?", (run_id,)
        ).fetchone()
        create(
            tx,
            msgspec.structs.replace(
                new,
                continued_from=run_id,
                parent_run_id=parent_run_id,
                parent_correlation_id=parent_correlation_id,
            ),
        )
    if has_holdings:
        inbox.tell_watchers(tx, run_id, effect.at)
    if effect.status == CANCELLED:
        tx.cancelled.append(run_id)
    tx.ring_run(run_id)
    tx.ring("results", run_id)


def peg(tx: Transaction, run_ids: Sequence[str], deployment_id: str) -> list[str]:
    """Peg runs of this world that have not ended to a deployment; give those that were there."""
    pegged = [
        run_id
        for run_id in run_ids
        if tx.execute(
            "UPDATE runs SET deployment_id = ? WHERE run_id = ? AND ended_at IS NULL AND origin IS NULL",
            (deployment_id, run_id),
        ).rowcount
    ]
    for run_id in pegged:
        tx.ring_run(run_id)
    if pegged:
        tx.ring("claimable")
    return pegged


# -- lists


def list_query(filter: RunFilter, workflows: list[str] | None) -> tuple[str, list[object]]:
    """Write the query for a page of runs. `workflows` are the ids that `filter.workflow` stands for."""
    where, values = ["1"], list[object]()

    def add(condition: str, *parameters: object) -> None:
        where.append(condition)
        values.extend(parameters)

    if filter.status is not None:
        add(f"status IN ({_marks(filter.status)})", *filter.status)
        for few in _FEW:
            if set(few) >= set(filter.status):  # said literally, so that their own index is used
                add(f"status IN {few}")
    if filter.is_imported is not None:
        add(f"origin IS {'NOT ' if filter.is_imported else ''}NULL")
    if workflows is not None:
        # Of several workflows each has its own order in the index, and all of them would be sorted:
        # then (`+`) the index of all runs by age is the better one.
        column = "workflow" if len(workflows) == 1 else "+workflow"
        add(f"{column} IN ({_marks(workflows)})", *workflows)
    for key, value in filter.attributes.items():
        add("EXISTS (SELECT 1 FROM json_each(attributes) AS a WHERE a.key = ? AND a.value = ?)", key, value)
    if filter.since is not None:
        add("created_at >= ?", filter.since)
    if filter.until is not None:
        add("created_at < ?", filter.until)
    if filter.cursor is not None:
        add(
            "(created_at, id) < (SELECT c.created_at, c.id FROM runs AS c WHERE c.run_id = ?)",
            filter.cursor,
        )
    sql = f"SELECT {RUN} FROM runs WHERE {' AND '.join(where)} ORDER BY created_at DESC, id DESC LIMIT ?"
    return sql, [*values, filter.limit]


LIST_WORKFLOWS: Final = """
WITH RECURSIVE ids (id) AS (
  SELECT min(workflow) FROM runs
  UNION ALL
  SELECT (SELECT min(r.workflow) FROM runs AS r WHERE r.workflow > ids.id) FROM ids WHERE ids.id IS NOT NULL
)
SELECT id FROM ids WHERE id IS NOT NULL AND (id = ? OR substr(id, -length(?)) = ?)
"""
"""All workflow ids that are (first parameter), or end like (both others, `:qualname`), a name."""


def _marks(values: list[str]) -> str:
    return ", ".join("?" * len(values))
