"""Runs: how they are created, found, started and ended."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from wf.errors import WorldError
from wf.events import CANCELLED, FAILED, PENDING, RUNNING, Event
from wf.world import Created, EndRun, NewRun, RunFilter, RunRow
from wf.worlds.postgres import inbox, locks
from wf.worlds.postgres.transaction import Transaction
from wf.worlds.rows import EVENT, RUN, encode_attributes, make_first_row, read_run

_FEW: Final = ((PENDING, RUNNING), (FAILED, CANCELLED))
"""Statuses that few of many runs have, and that lists are asked for; each pair has an index."""

_INSERT_EVENT: Final = f"INSERT INTO events ({EVENT}) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
_INSERT_EVENTS: Final = f"""
INSERT INTO events ({EVENT})
SELECT * FROM unnest(%b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::text[], %b::bigint[], %b::bigint[],
  %b::text[], %b::bytea[], %b::bytea[])
"""
_INSERT_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, seq, head, mac, wake_at, gate_limit,
  attributes, parent_run_id, parent_correlation_id, continued_from, forked_from, payload_bytes)
VALUES (%s, %s, 'pending', %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)
ON CONFLICT (run_id) DO NOTHING RETURNING 1
"""
# Whoever is to delete it waits, and then sees that its history is yet to be copied.
_HOLD_SOURCE: Final = "SELECT 1 FROM runs WHERE run_id = %s FOR KEY SHARE"
GET_RUN: Final = f"SELECT {RUN} FROM runs WHERE run_id = %s"
GET_EVENTS: Final = f"SELECT {EVENT} FROM events WHERE run_id = %s AND seq > %s ORDER BY seq LIMIT %s"
_FIRST_EVENTS: Final = f"SELECT {EVENT} FROM events WHERE run_id = ANY(%s::text[]) AND seq <= %s ORDER BY run_id, seq"

_END: Final = """
UPDATE runs SET status = %s, ended_at = %s, result_seq = %s, error_code = %s, continued_as = %s,
  wake_at = NULL, barred = 0, attention = NULL
WHERE run_id = %s AND ended_at IS NULL
"""
_PARENT: Final = "SELECT parent_run_id, parent_correlation_id FROM runs WHERE run_id = %s"
HOLDINGS: Final = """
SELECT run_id,
  EXISTS (SELECT 1 FROM waits AS t WHERE t.run_id = r.run_id)
    OR EXISTS (SELECT 1 FROM inbox AS t WHERE t.run_id = r.run_id)
    OR EXISTS (SELECT 1 FROM hooks AS t WHERE t.run_id = r.run_id)
    OR EXISTS (SELECT 1 FROM refusals AS t WHERE t.run_id = r.run_id),
  EXISTS (SELECT 1 FROM locks AS t WHERE t.run_id = r.run_id)
    OR EXISTS (SELECT 1 FROM watchers AS t WHERE t.run_id = r.run_id)
FROM unnest(%s::text[]) AS r (run_id)
"""
"""Of runs that are to end, whether they hold what is theirs alone, and what others wait for."""


def get(tx: Transaction, run_id: str) -> RunRow | None:
    row = tx.one(GET_RUN, (run_id,))
    return None if row is None else read_run(row)


def read_first_events(tx: Transaction, run_ids: Sequence[str], limit: int) -> dict[str, list[Event]]:
    """Read the beginnings of several logs."""
    found: dict[str, list[Event]] = {}
    for row in tx.rows(_FIRST_EVENTS, (list(run_ids), limit)):
        found.setdefault(row[0], []).append(Event(*row))
    return found


def insert_events(tx: Transaction, events: Sequence[Event]) -> None:
    """Insert events, in one statement however many they are."""
    if len(events) == 1:
        tx.execute(_INSERT_EVENT, msgspec.structs.astuple(events[0]))
        return
    columns = zip(*map(msgspec.structs.astuple, events), strict=True)
    tx.execute(_INSERT_EVENTS, [list(column) for column in columns])


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
    # A run that is to wait does not take a place at the gate yet: it would keep others out who
    # could run meanwhile. It queues when its time has come (`leases.claim`).
    is_gated = new.concurrency is not None and not_before <= created_at
    if is_gated:
        tx.cross()
    if new.forked_from is not None:
        tx.execute(_HOLD_SOURCE, (new.forked_from,))
    size = 0 if event.payload is None else len(event.payload)
    is_new = tx.one(
        _INSERT_RUN,
        (
            run_id,
            new.workflow,
            new.deployment_id,
            created_at,
            event.seq,
            event.link,
            new.mac,
            wake_at,
            new.concurrency,
            encode_attributes(new.attributes),
            new.parent_run_id,
            new.parent_correlation_id,
            new.continued_from,
            new.forked_from,
            size,
        ),
    )
    if not is_new:
        found = get(tx, run_id)
        if found is None:
            raise WorldError(f"the run {run_id} was deleted while it was looked at")
        return Created(False, found)
    tx.held.add(run_id)
    insert_events(tx, [event])
    inbox.put_first(tx, run_id, new.inbox)
    if new.concurrency is None or not is_gated or locks.enter_gate(tx, run_id, new.workflow, new.concurrency):
        tx.ring("claimable")
    tx.ring_run(run_id)
    tx.grown.append(run_id)
    return Created(True, make_first_row(new, wake_at))


def end(tx: Transaction, run_id: str, effect: EndRun, *, has_own: bool, has_shared: bool) -> None:
    """End a run that has not ended, drop what it held, tell its watchers; or hand them on to its continuation."""
    new = effect.continued
    if has_shared or new is not None:
        tx.cross()
    continued_as = None if new is None else new.event.run_id
    tx.execute(_END, (effect.status, effect.at, effect.result_seq, effect.error_code, continued_as, run_id))
    if has_own:
        for table in ("waits", "hooks", "inbox", "refusals"):
            tx.execute(f"DELETE FROM {table} WHERE run_id = %s", (run_id,))
    if has_shared:
        locks.release_all(tx, run_id, effect.at)
    if new is not None:
        parent_run_id, parent_correlation_id = tx.one(_PARENT, (run_id,)) or (None, None)
        create(
            tx,
            msgspec.structs.replace(
                new,
                continued_from=run_id,
                parent_run_id=parent_run_id,
                parent_correlation_id=parent_correlation_id,
            ),
        )
    if has_shared:
        inbox.tell_watchers(tx, run_id, effect.at)
    if effect.status == CANCELLED:
        tx.cancelled.append(run_id)
    tx.ring_run(run_id)
    tx.ring("results", run_id)


def peg(tx: Transaction, run_ids: Sequence[str], deployment_id: str) -> list[str]:
    """Peg runs of this world that have not ended to a deployment; give those that were there."""
    held = tx.lock(run_ids)
    pegged = [
        run_id for run_id in run_ids if run_id in held and held[run_id].ended_at is None and held[run_id].origin is None
    ]
    if pegged:
        tx.execute("UPDATE runs SET deployment_id = %s WHERE run_id = ANY(%s::text[])", (deployment_id, pegged))
        tx.ring("claimable")
    for run_id in pegged:
        tx.ring_run(run_id)
    return pegged


# -- lists


def list_query(filter: RunFilter, workflows: list[str] | None) -> tuple[str, list[object]]:
    """Write the query for a page of runs. `workflows` are the ids that `filter.workflow` stands for."""
    where, values = ["true"], list[object]()

    def add(condition: str, *parameters: object) -> None:
        where.append(condition)
        values.extend(parameters)

    if filter.status is not None:
        add(f"status IN ({_marks(filter.status)})" if filter.status else "false", *filter.status)
        for few in _FEW:
            if filter.status and set(few) >= set(filter.status):  # said literally, so that their own index is used
                add(f"status IN {few}")
    if filter.is_imported is not None:
        add(f"origin IS {'NOT ' if filter.is_imported else ''}NULL")
    if workflows is not None:
        add("workflow = ANY(%s::text[])", workflows)
    for key, value in filter.attributes.items():
        # A NUL is text like any other in an attribute, but not for Postgres: such a run is not found by any of them.
        add(
            "attributes IS NOT NULL AND CASE WHEN position('\\u0000' IN attributes) = 0"
            " THEN attributes::jsonb ->> %s = %s ELSE false END",
            key,
            value,
        )
    if filter.since is not None:
        add("created_at >= %s", filter.since)
    if filter.until is not None:
        add("created_at < %s", filter.until)
    if filter.cursor is not None:
        add("(created_at, id) < (SELECT c.created_at, c.id FROM runs AS c WHERE c.run_id = %s)", filter.cursor)
    sql = f"SELECT {RUN} FROM runs WHERE {' AND '.join(where)} ORDER BY created_at DESC, id DESC LIMIT %s"
    return sql, [*values, filter.limit]


LIST_WORKFLOWS: Final = """
WITH RECURSIVE ids (id) AS (
  SELECT min(workflow) FROM runs
  UNION ALL
  SELECT (SELECT min(r.workflow) FROM runs AS r WHERE r.workflow > ids.id) FROM ids WHERE ids.id IS NOT NULL
)
SELECT id FROM ids WHERE id IS NOT NULL AND (id = %s OR right(id, length(%s)) = %s)
"""
"""All workflow ids that are (first parameter), or end like (both others, `:qualname`), a name."""


def _marks(values: Sequence[str]) -> str:
    return ", ".join(["%s"] * len(values))
