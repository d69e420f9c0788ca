"""A transaction as its operations see it, and the rows that they read.

An operation is a function of a `Transaction`. It may be run again after a rollback, so all that it does is written to
the transaction: rows, rings, and what to remember in memory once it is durable.

Transactions run side by side, and none may ever wait for another one in a circle. So

1. whatever concerns a run (its row, its inbox, its lease) is done holding the lock on its row, taken by `lock` before
   the statement that looks: a statement that waits for a row goes on with what it saw before of all others;
2. who holds a run's row waits for no other row: `lock` gives up (`Crossing`) instead;
3. but who holds the world's own lock may wait. An operation that gave up is run again with it, and so is from the
   start what reaches out of its runs (`cross`): children, watchers, locks, the leases of a worker that is gone.

So the ordinary commits of many workers run at once, and only what may meet in a circle goes one after the other. The
world's lock (`pg_advisory_xact_lock`) orders transactions and nothing else: it ends with them, no fence rests on it.

Statements are sent without waiting for their results (a pipeline), but where an operation asks for rows. It then ends
the pipeline (`settle`) and not only empties it: a server that waits in the middle of one does not count as idle, and
would wait for a client that stalled for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final, NamedTuple

from psycopg import Connection, Cursor, Pipeline

from wf.worlds.rows import Lease

Row = tuple[Any, ...]

# ORDER BY: a statement that waits for several rows waits for them in an order that is everybody's.
_LOCKED: Final = (
    "SELECT run_id, seq, head, epoch, owner, ended_at, origin, status FROM runs"
    " WHERE run_id = ANY(%s::text[]) ORDER BY run_id FOR NO KEY UPDATE"
)
_LOCKED_AT_ONCE: Final = f"{_LOCKED} SKIP LOCKED"
_COUNT: Final = "SELECT count(*) FROM runs WHERE run_id = ANY(%s::text[])"


class Crossing(Exception):
    """Internal: the operation has to be run again with the world's lock. It did nothing."""


class Again(Exception):
    """Internal: another transaction came in between; run the operation again. It did nothing."""


class LockedRun(NamedTuple):
    """What is known of a run whose row this transaction holds."""

    run_id: str
    seq: int
    head: bytes
    epoch: int
    owner: str | None
    ended_at: int | None
    origin: str | None
    status: str


class Transaction:
    """What an operation may do: execute, lock, ring once it is durable, remember once it is durable."""

    __slots__ = (
        "_after", "_connection", "_pipeline", "cancelled", "deleted", "grown", "held", "is_crossing", "leases", "rings",
    )  # fmt: skip

    def __init__(self, connection: Connection[Row], pipeline: Pipeline, *, is_crossing: bool = False) -> None:
        self._connection = connection
        self._pipeline = pipeline
        self.is_crossing = is_crossing
        self.held: set[str] = set()
        """Runs whose rows this transaction holds."""
        self.rings: list[tuple[str, str]] = []
        self.grown: list[str] = []
        """Runs with more to read: events, log lines, chunks."""
        self.deleted: list[tuple[int, str]] = []
        """Runs that are gone, by their number and id."""
        self.cancelled: list[str] = []
        """Runs that were cancelled: readers of their streams are rung, whatever the stream's name."""
        self.leases: list[Lease] = []
        """Leases given, which become doubtful if nobody can say how the commit ended."""
        self._after: list[Callable[[], None]] = []

    # -- statements

    def execute(self, sql: str, parameters: Sequence[object] = ()) -> Cursor[Row]:
        """Send a statement. What it gives may be fetched from the cursor after `settle`."""
        return self._connection.execute(sql, parameters, binary=True)

    def settle(self) -> None:
        """Wait until all that was sent is done."""
        self._pipeline.sync()

    def rows(self, sql: str, parameters: Sequence[object] = ()) -> list[Row]:
        cursor = self.execute(sql, parameters)
        self.settle()
        return cursor.fetchall()

    def one(self, sql: str, parameters: Sequence[object] = ()) -> Row | None:
        cursor = self.execute(sql, parameters)
        self.settle()
        return cursor.fetchone()

    # -- locks on rows

    def cross(self) -> None:
        """Go on only if no other operation that reaches out of its runs is under way."""
        if not self.is_crossing:
            raise Crossing

    def lock(self, run_ids: Iterable[str]) -> dict[str, LockedRun]:
        """Hold the rows of these runs to the end of the transaction, and say how they are; unknown ids are left out."""
        wanted = list(dict.fromkeys(run_ids))
        return self.take_locked(wanted, self.send_lock(wanted))

    def send_lock(self, wanted: Sequence[str]) -> Cursor[Row]:
        """Send off the first half of `lock`, so that more can be asked in the same round trip."""
        waits = self.is_crossing or (len(wanted) <= 1 and not self.held)
        return self.execute(_LOCKED if waits else _LOCKED_AT_ONCE, (wanted,))

    def take_locked(self, wanted: Sequence[str], cursor: Cursor[Row]) -> dict[str, LockedRun]:
        self.settle()
        found = {row[0]: LockedRun(*row) for row in cursor.fetchall()}
        if len(found) < len(wanted) and not self.is_crossing and (len(wanted) > 1 or self.held):
            missing = [run_id for run_id in wanted if run_id not in found]
            (count,) = self.one(_COUNT, (missing,)) or (0,)
            if count:
                raise Crossing  # somebody else holds one of them
        self.held.update(found)
        return found

    def lock_one(self, run_id: str) -> LockedRun | None:
        return self.lock([run_id]).get(run_id)

    # -- after the commit

    def ring(self, topic: str, detail: str = "") -> None:
        self.rings.append((topic, detail))

    def ring_run(self, run_id: str) -> None:
        """Tell that a run changed its status, attention or continuation."""
        self.rings.append((f"run:{run_id}", run_id))
        self.rings.append(("runs", run_id))

    def after(self, remember: Callable[[], None]) -> None:
        """Do this when the transaction is durable, and not otherwise."""
        self._after.append(remember)

    def finish(self) -> None:
        for remember in self._after:
            remember()
