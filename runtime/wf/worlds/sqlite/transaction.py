"""A transaction as its operations see it, and the rows that they read.

An operation is a function of a `Transaction`. It may be run again after a rollback, so all that it
does is written to the transaction: rows, rings, and what to remember in memory once it is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable

from wf.worlds.rows import Lease


class Transaction:
    """What an operation may do: execute, ring once it is durable, remember once it is durable."""

    __slots__ = ("_after", "cancelled", "execute", "executemany", "grown", "leases", "rings", "written")

    def __init__(self, cursor: sqlite3.Cursor) -> None:
        # The cursor's own methods: a commit makes hundreds of these calls, and a hop costs as much.
        self.execute = cursor.execute
        self.executemany = cursor.executemany
        self.rings: list[tuple[str, str]] = []
        self.grown: list[str] = []
        """Runs with more to read: events, log lines, chunks. Few of them are followed, so these are no rings yet."""
        self.written = 0
        """Bytes of large values written, for whoever decides on checkpoints."""
        self.cancelled: list[str] = []
        """Runs that were cancelled: readers of their streams are rung, whatever the stream's name."""
        self.leases: list[Lease] = []
        """Leases given, which become doubtful if the commit fails without saying how."""
        self._after: list[Callable[[], None]] = []

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
