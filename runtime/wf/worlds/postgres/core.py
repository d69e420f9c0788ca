"""The core: transactions on a few connections, from any thread.

1. An operation is whole or nothing, and its caller hears of it only after the commit.
2. What ended for another one's sake (a deadlock, a row that came in between) is run again, and so is what a cut
   connection kept from being committed. Where it was cut between COMMIT and its answer nobody knows (`Unsure`).
3. A connection that broke is dropped, and another one made, for as long as `PATIENCE_SECONDS` a call.
4. A client that stalls in the middle of a transaction keeps nobody waiting for much longer than `IDLE_SECONDS`: the
   server ends it, or whoever waits for it does (`_END_STALLED`).
5. A call that the database does not answer at all (a line that is frozen, and that nothing tells of) is ended by
   `break_stuck`: its connection is shut down under it.
6. Doorbells of this process ring after the commit; who tells other processes is `bell`.

Things that don't work: psycopg's asyncio connections. On a busy machine a transaction of two round trips takes 2.4 ms
by them and 1.4 to 1.7 by a thread, for the same processor time; and each belongs to one loop, where a world is for all.
"""

from __future__ import annotations

import os
import random
import secrets
import socket
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

import psycopg
from psycopg import Connection, errors, sql

from wf.errors import WorldError
from wf.world import LEASE_SECONDS
from wf.worlds.doorbells import Doorbells
from wf.worlds.postgres import failures, schema
from wf.worlds.postgres.failures import Unsure
from wf.worlds.postgres.leases import Leases
from wf.worlds.postgres.place import Place
from wf.worlds.postgres.transaction import Again, Crossing, Row, Transaction

T = TypeVar("T")
Operation = Callable[[Transaction], T]

DURABILITIES: Final = ("power", "process")
CONNECTIONS: Final = 4
"""Connections that a process works with at once, beside the one that listens."""
KEEP_SECONDS: Final = 60.0
"""How long a connection beyond the first is kept that nobody uses."""
PATIENCE_SECONDS: Final = 5.0
"""How long a call tries to reach a database that is gone before it says so."""
PAUSE_SECONDS: Final = (0.02, 0.5)
"""The first pause before a database is tried again, and the longest."""
IDLE_SECONDS: Final = 5
LOCK_SECONDS: Final = 3
"""How long a statement waits for another transaction before it is looked at what that one does."""
LOCK_PATIENCE_SECONDS: Final = 20.0
STATEMENT_SECONDS: Final = 30
STUCK_SECONDS: Final = 45.0
"""How long a call may have a connection: longer than the server lets any of its statements run."""
WATCH_SECONDS: Final = 2.0
"""How often it is looked for calls that nobody answers."""
MOST_REPEATS: Final = 50
_KEEPALIVES: Final = ("tcp_keepalives_idle = 5", "tcp_keepalives_interval = 2", "tcp_keepalives_count = 3")
"""By these the server notices that a machine is gone: the locks of what it had in hand would stay for two hours."""

_EMPTIED: Final = ("runs", "events", "inbox", "deliveries", "chunks", "logs", "deployments", "sources", "changes")
_LOCK_WORLD: Final = "SELECT pg_advisory_xact_lock(%s)"
# A server counts nobody as idle who has not said that a pipeline is over, so its own timeout does not see one that
# stopped in there. It is in ClientRead all the same: the next statement is awaited. Who only reads holds nobody up.
_END_STALLED: Final = """
SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity AS a
WHERE a.pid <> pg_backend_pid() AND a.wait_event = 'ClientRead' AND a.datname = current_database()
  AND greatest(a.query_start, a.state_change) < clock_timestamp() - make_interval(secs => %s)
  AND EXISTS (
    SELECT 1 FROM pg_locks AS l WHERE l.pid = a.pid AND l.granted AND (
      l.relation = 'runs'::regclass AND l.mode <> 'AccessShareLock'
      OR l.locktype = 'advisory' AND ((l.classid::bigint << 32) | l.objid::bigint) = %s))
"""
_NOTE_CHANGES: Final = """
INSERT INTO changes (run, run_id, source, is_state)
SELECT id, run_id, %s, run_id = ANY(%s::text[]) FROM runs WHERE run_id = ANY(%s::text[])
"""
_NOTE_DELETIONS: Final = """
INSERT INTO changes (run, run_id, source, is_state)
SELECT run, run_id, %s, true FROM unnest(%s::bigint[], %s::text[]) AS a (run, run_id)
"""


class Patience:
    """How long it is tried again, from the first failure on: before it this process may have been stopped for hours."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._ends_at: float | None = None

    def lasts(self) -> bool:
        now = time.monotonic()
        if self._ends_at is None:
            self._ends_at = now + self._seconds
        return now < self._ends_at


class Core:
    """The synchronous half of a Postgres world."""

    def __init__(
        self,
        place: Place,
        durability: str = "power",
        *,
        is_making: bool = True,
        keys: Sequence[str] = (),
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        if durability not in DURABILITIES:
            raise ValueError(f'durability is "power" or "process", not {durability!r}')
        self.place = place
        self._is_making = is_making
        self._keys = keys
        self.doorbells = Doorbells()
        self.leases = Leases(lease_seconds, monotonic)
        self.is_closed = False
        self.tell_others: Callable[[Transaction], None] = lambda tx: None
        self._durability = durability
        self._guard = threading.Lock()  # guards all below
        self._free: list[tuple[Connection[Row], float]] = []
        self._era: str | None = None
        self._begin_anew()
        _instances.add(self)

    def _begin_anew(self) -> None:
        self.source = secrets.token_hex(6)
        self._guard = threading.Lock()
        self._free = []
        self._in_use: dict[Connection[Row], float] = {}
        self._watching: threading.Thread | None = None
        self._closing = threading.Event()

    def begin_anew_in_child(self) -> None:
        """Forget, in a forked child, the parent's connections, without a word to their other end."""
        _not_ours.extend(connection for connection, _ in self._free)
        self._begin_anew()

    @property
    def era(self) -> str:
        """Give what marks of the feed of changes are of; known once a connection was made."""
        return self._era or ""

    # -- connections

    def connect(self) -> Connection[Row]:
        """Make a connection that is fit for use. Raises `WorldError`."""
        try:
            connection = self.place.connect()
        except psycopg.Error as error:
            raise failures.translate(error, self.place.shown, self.place.secrets) from None
        self.take_up(connection)
        try:
            self._prepare(connection)
        except psycopg.Error as error:
            connection.close()
            raise failures.translate(error, self.place.shown, self.place.secrets) from error
        except BaseException:
            connection.close()
            raise
        finally:
            self.put_down(connection)
        return connection

    def _prepare(self, connection: Connection[Row]) -> None:
        with connection.pipeline():
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.place.schema)))
            connection.execute(f"SET idle_in_transaction_session_timeout = '{IDLE_SECONDS}s'")
            connection.execute(f"SET lock_timeout = '{LOCK_SECONDS}s'")
            for setting in _KEEPALIVES:
                connection.execute(f"SET {setting}")
            connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")
            connection.execute("SET default_transaction_isolation = 'read committed'")
            (syncs,) = connection.execute("SHOW synchronous_commit").fetchone() or ("",)
            # What is stronger stays: whoever waits for a standby means it.
            wanted = "off" if self._durability == "process" else "on" if syncs in ("off", "local") else syncs
            connection.execute(f"SET synchronous_commit = {wanted}")
            told = connection.execute("SHOW synchronous_commit").fetchone()
        if told != (wanted,):
            raise WorldError(f"the world {self.place.shown} did not take synchronous_commit = {wanted}")
        if self._era is None:
            self._era = schema.settle(connection, self.place, is_making=self._is_making, keys=self._keys)

    def _take(self) -> Connection[Row]:
        if self.is_closed:
            raise self.closed_error()
        with self._guard:
            if self._free:
                return self._free.pop()[0]
        return self.connect()

    def _give(self, connection: Connection[Row]) -> None:
        now = time.monotonic()
        dropped = []
        with self._guard:
            if self.is_closed or connection.closed:
                dropped.append(connection)
            else:
                self._free.append((connection, now))
                while len(self._free) > 1 and now - self._free[0][1] > KEEP_SECONDS:
                    dropped.append(self._free.pop(0)[0])
        for each in dropped:
            each.close()

    def close(self) -> None:
        with self._guard:
            self.is_closed = True
            free, self._free = self._free, []
        self._closing.set()
        for connection, _ in free:
            connection.close()

    def take_up(self, connection: Connection[Row]) -> None:
        """Note that somebody begins to wait for answers on a connection."""
        with self._guard:
            self._in_use[connection] = time.monotonic()
            if self._watching is None:
                self._watching = threading.Thread(target=self._watch, name="wf-watch", daemon=True)
                self._watching.start()

    def put_down(self, connection: Connection[Row]) -> None:
        with self._guard:
            self._in_use.pop(connection, None)

    def _watch(self) -> None:
        """End calls that nobody answers; on a thread that asks nobody itself."""
        while not self._closing.wait(WATCH_SECONDS):
            self.break_stuck()
        while self._in_use:  # who closes does not wait for them, but the end of the process does
            time.sleep(WATCH_SECONDS)
            self.break_stuck()

    def break_stuck(self) -> None:
        """Shut connections down on which somebody waits for too long; who waits there is told that it broke."""
        late = time.monotonic() - STUCK_SECONDS
        with self._guard:
            for connection, began in list(self._in_use.items()):
                if began < late:
                    # Not `close`: its own thread is in it, and would go on in what is not there any more.
                    with (
                        suppress(OSError, psycopg.Error),  # it has just been closed
                        socket.socket(fileno=os.dup(connection.fileno())) as link,
                    ):
                        link.shutdown(socket.SHUT_RDWR)

    def closed_error(self) -> WorldError:
        return WorldError(f"the world {self.place.shown} is closed")

    # -- writing and reading

    def write(self, operation: Operation[T], *, is_crossing: bool = False) -> T:
        """Run one operation as a transaction."""
        tx: Transaction | None = None

        def attempt(connection: Connection[Row]) -> T:
            nonlocal tx, is_crossing
            try:
                tx, result = self._run(connection, operation, is_crossing)
                return result
            except Crossing:
                is_crossing = True
                raise Again from None

        result = self._persist(attempt)
        assert tx is not None
        tx.finish()
        self._ring(tx)
        return result

    def read(self, operation: Operation[T]) -> T:
        """Run an operation without a transaction: each of its statements is one."""

        def attempt(connection: Connection[Row]) -> T:
            with connection.pipeline() as pipeline:
                return operation(Transaction(connection, pipeline))

        return self._persist(attempt)

    def fetch(self, query: str, parameters: Any = ()) -> list[Row]:
        """Run one query, and give all of its rows."""
        return self._persist(lambda connection: connection.execute(query, parameters, binary=True).fetchall())

    def vacuum(self) -> None:
        """Have the room that deletions freed used again."""

        def attempt(connection: Connection[Row]) -> None:
            self.put_down(connection)  # a table takes as long as it takes
            connection.execute("SET statement_timeout = 0")
            try:
                for table in _EMPTIED:
                    connection.execute(f"VACUUM (ANALYZE) {table}")
            finally:
                if not connection.closed:
                    connection.execute(f"SET statement_timeout = '{STATEMENT_SECONDS}s'")

        self._persist(attempt)

    def write_group(self, operations: Sequence[Operation[Any]]) -> list[tuple[Any, BaseException | None]]:
        """Run operations as one transaction; give each one's (result, error)."""
        if len(operations) > 1:
            try:
                results = self.write(lambda tx: [operation(tx) for operation in operations])
            except WorldError as error:
                if isinstance(error, Unsure) or isinstance(error.__cause__, psycopg.OperationalError):
                    return [(None, error)] * len(operations)
            except Exception:
                pass
            else:
                return [(result, None) for result in results]
            # One of them is wrong: each alone, so that the others do not suffer for it.
        outcomes: list[tuple[Any, BaseException | None]] = []
        for operation in operations:
            try:
                outcomes.append((self.write(operation), None))
            except Exception as error:
                outcomes.append((None, error))
        return outcomes

    def _persist(self, attempt: Callable[[Connection[Row]], T]) -> T:
        """Do something on a connection; again on another one, if this one breaks before anything was committed."""
        outage, waiting = Patience(PATIENCE_SECONDS), Patience(LOCK_PATIENCE_SECONDS)
        pause, repeats = PAUSE_SECONDS[0], 0
        while True:
            try:
                connection = self._take()
            except WorldError as error:
                if not _is_outage(error) or not outage.lasts():
                    raise
                time.sleep(pause)
                pause = min(2 * pause, PAUSE_SECONDS[1])
                continue
            self.take_up(connection)
            try:
                return attempt(connection)
            except Again:
                self._clear(connection)
                repeats += 1
                if repeats > MOST_REPEATS:
                    raise self._busy() from None
            except psycopg.Error as error:
                self._clear(connection)
                is_gone = failures.is_of_connection(error, connection)
                if failures.is_to_repeat(error) and repeats < MOST_REPEATS:
                    repeats += 1
                    time.sleep(random.uniform(0, 0.01))
                elif is_gone and outage.lasts():
                    connection.close()
                    self._forget_broken()
                elif isinstance(error, errors.LockNotAvailable) and waiting.lasts():
                    self._end_stalled(connection)
                else:
                    raise failures.translate(error, self.place.shown, self.place.secrets) from error
            except BaseException:
                self._clear(connection)
                raise
            finally:
                self.put_down(connection)
                self._give(connection)

    def _run(self, connection: Connection[Row], operation: Operation[T], is_crossing: bool) -> tuple[Transaction, T]:
        is_committing = False
        try:
            with connection.pipeline() as pipeline:
                tx = Transaction(connection, pipeline, is_crossing=is_crossing)
                connection.execute("BEGIN", prepare=False)
                if is_crossing:
                    connection.execute(_LOCK_WORLD, (self.place.lock_key,))
                result = operation(tx)
                self._note_changes(tx)
                is_committing = True
                committed = connection.execute("COMMIT", prepare=False)
        except psycopg.Error as error:
            if is_committing and failures.is_of_connection(error, connection):
                self.leases.doubt(tx.leases)
                self._forget_broken()
                raise Unsure(f"the connection to the world {self.place.shown} broke during a commit") from error
            raise
        if committed.statusmessage != "COMMIT":
            raise WorldError(f"the world {self.place.shown} took back what it was to commit")
        return tx, result

    def _note_changes(self, tx: Transaction) -> None:
        states = [detail for topic, detail in tx.rings if topic == "runs"]
        changed = list(dict.fromkeys((*states, *tx.grown)))
        if changed:
            tx.execute(_NOTE_CHANGES, (self.source, states, changed))
        if tx.deleted:
            numbers, run_ids = zip(*tx.deleted, strict=True)
            tx.execute(_NOTE_DELETIONS, (self.source, list(numbers), list(run_ids)))

    def _clear(self, connection: Connection[Row]) -> None:
        """Undo what a connection began; one that cannot even do that is dropped."""
        if connection.closed:
            return
        try:
            if connection.info.transaction_status != psycopg.pq.TransactionStatus.IDLE:
                connection.execute("ROLLBACK")
        except psycopg.Error:
            connection.close()

    def _end_stalled(self, connection: Connection[Row]) -> None:
        """End whoever holds locks of this world, and waits for nothing but what its client does not say."""
        try:
            connection.execute(_END_STALLED, (IDLE_SECONDS, self.place.lock_key))
        except psycopg.Error:
            self._clear(connection)

    def _forget_broken(self) -> None:
        """Drop the connections nobody uses: what broke one has broken them, too, as a rule."""
        with self._guard:
            free, self._free = self._free, []
        for connection, _ in free:
            connection.close()

    def _busy(self) -> WorldError:
        return WorldError(f"the world {self.place.shown} is so busy that a call came to nothing")

    def _ring(self, tx: Transaction) -> None:
        rings = tx.rings
        for run_id in tx.cancelled:  # cancellation ends readers, who find no end mark
            rings += [(topic, run_id) for topic in self.doorbells.streams_of(run_id)]
        if rings:
            self.doorbells.ring(rings)
        if self.doorbells.followed:
            self.doorbells.ring_logs(tx.grown)
        self.tell_others(tx)


def _is_outage(error: WorldError) -> bool:
    cause = error.__context__
    return isinstance(cause, psycopg.Error) and failures.is_outage(cause)


_instances: Final[weakref.WeakSet[Core]] = weakref.WeakSet()
_not_ours: Final[list[Any]] = []
"""Connections of the process that this one was forked from: closing them would end them for it, too."""


def _begin_anew_in_child() -> None:
    for core in list(_instances):
        core.begin_anew_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
