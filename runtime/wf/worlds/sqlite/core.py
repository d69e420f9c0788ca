"""The core: transactions on one connection, one at a time, from any thread.

1. An operation is whole or nothing, and its caller hears of it only after the commit.
2. Operations of one group share a commit; one that is itself wrong fails alone.
3. Doorbells ring after the commit, outside the lock, so that no ring can hold a writer back.
"""

from __future__ import annotations

import sqlite3
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from wf.errors import WorldError
from wf.world import LEASE_SECONDS
from wf.worlds.doorbells import Doorbells
from wf.worlds.sqlite import failures
from wf.worlds.sqlite.connection import CHECKPOINT_BYTES, Connection
from wf.worlds.sqlite.leases import Leases
from wf.worlds.sqlite.transaction import Transaction

T = TypeVar("T")
Operation = Callable[[Transaction], T]

DURABILITIES: Final = ("power", "process")
BRIEF_MS: Final = 20
"""How long a call on an event loop may wait for another process, before it moves to a thread."""
BRIEF_SECONDS: Final = 0.002
"""How long it may wait for another thread."""


class Contended(Exception):
    """Internal: a brief call found the world taken, and did nothing."""


class Core:
    """The synchronous half of an SQLite world. `guard` guards the connection and what leases remember."""

    def __init__(
        self,
        path: Path,
        durability: str = "power",
        *,
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        busy_timeout_ms: int = 5000,
        is_frozen: bool = False,
    ) -> None:
        if durability not in DURABILITIES:
            raise ValueError(f'durability is "power" or "process", not {durability!r}')
        self.path = path
        self.connection = Connection(path, durability, busy_timeout_ms, is_frozen=is_frozen)
        self.doorbells = Doorbells()
        self.leases = Leases(lease_seconds, monotonic)
        self.is_open = False
        self.guard = threading.Lock()
        self._busy_timeout_ms = busy_timeout_ms

    def open(self) -> None:
        with self.guard:
            self.connection.open()
            if self.connection.is_frozen:
                self.is_open = True
                return
            try:
                tx = self._begin(self._busy_timeout_ms)
                self.leases.recover(tx)
                self.connection.commit(0)
            except BaseException as error:
                self.connection.rollback()
                self.connection.close()
                if isinstance(error, sqlite3.Error):
                    raise failures.translate(error, str(self.path)) from error
                raise
            self.is_open = True

    def close(self) -> None:
        with self.guard:
            self.is_open = False
            self.connection.close()

    @property
    def wants_checkpoint(self) -> bool:
        return self.connection.backlog >= CHECKPOINT_BYTES

    def checkpoint(self) -> bool:
        """Copy the WAL into the file; False if some of it had to stay."""
        with self.guard:
            return not self.is_open or self.connection.checkpoint()

    def compact(self) -> None:
        """Rewrite the file without the pages that deletions have freed."""
        self._acquire(is_brief=False)
        try:
            self.connection.compact()
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self.guard.release()

    # -- writing

    def write(self, operation: Operation[T], *, is_brief: bool = False) -> T:
        """Run one operation as a transaction. `is_brief`: raise `Contended` rather than wait."""
        self._acquire(is_brief)
        try:
            result, tx = self._run(operation, is_brief)
        finally:
            self.guard.release()
        if tx.rings or tx.cancelled:
            self._ring(tx)
        if self.doorbells.followed:
            self.doorbells.ring_logs(tx.grown)
        return result

    def write_group(
        self, operations: Sequence[Operation[Any]], *, is_brief: bool = False
    ) -> list[tuple[Any, BaseException | None]]:
        """Run operations as one transaction; give each one's (result, error)."""
        if len(operations) > 1:
            try:
                results = self.write(lambda tx: [operation(tx) for operation in operations], is_brief=is_brief)
            except Contended:
                raise
            except WorldError as error:
                if error.__cause__ is not None and failures.is_storage_failure(error.__cause__):
                    return [(None, error)] * len(operations)
            except Exception:
                pass
            else:
                return [(result, None) for result in results]
            # One of them is wrong: each alone, so that the others do not suffer for it.
        outcomes: list[tuple[Any, BaseException | None]] = []
        for position, operation in enumerate(operations):
            try:
                outcomes.append((self.write(operation, is_brief=is_brief and position == 0), None))
            except Contended:
                raise
            except Exception as error:
                outcomes.append((None, error))
        return outcomes

    def _run(self, operation: Operation[T], is_brief: bool) -> tuple[T, Transaction]:
        try:
            tx = self._begin(BRIEF_MS if is_brief else self._busy_timeout_ms)
        except sqlite3.Error as error:
            if is_brief and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                raise Contended from error
            raise self._failed(error) from error
        try:
            result = operation(tx)
            self.connection.commit(tx.written)
        except sqlite3.Error as error:
            self.connection.rollback()
            if failures.is_outcome_unknown(error):
                self.leases.doubt(tx.leases)
            raise self._failed(error) from error
        except BaseException:
            self.connection.rollback()
            raise
        tx.finish()
        return result, tx

    def _begin(self, patience_ms: int) -> Transaction:
        return Transaction(self.connection.begin(patience_ms))

    def _ring(self, tx: Transaction) -> None:
        for run_id in tx.cancelled:  # cancellation ends readers, who find no end mark
            tx.rings += [(topic, run_id) for topic in self.doorbells.streams_of(run_id)]
        self.doorbells.ring(tx.rings)

    # -- reading

    def read(self, operation: Operation[T], *, is_brief: bool = False) -> T:
        """Run an operation that only reads, by one statement."""
        self._acquire(is_brief)
        try:
            return operation(Transaction(self.connection.cursor()))
        except sqlite3.Error as error:
            raise self._failed(error) from error
        finally:
            self.guard.release()

    def _acquire(self, is_brief: bool) -> None:
        if not self.guard.acquire(timeout=BRIEF_SECONDS if is_brief else -1):
            raise Contended
        if not self.is_open:
            self.guard.release()
            raise WorldError(f"the world {self.path} is closed")

    def _failed(self, error: sqlite3.Error) -> WorldError:
        if failures.is_outcome_unknown(error):
            self.connection.give_up()
        return failures.translate(error, str(self.path))
