"""A transaction as its operations see it, and the rows that they read.

An operation is a function of a `Transaction`. It may be run again after a rollback, so all that it
does is written to the transaction: rows, rings, and what to remember in memory once it is durable.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from typing import Any, Final

import msgspec

from wf.events import Event
from wf.world import Attention, HookRow, RunRow

Row = Sequence[Any]
Lease = tuple[str, int, str]
"""Run, epoch, worker."""

RUN: Final = (
    "run_id, workflow, status, deployment_id, created_at, started_at, ended_at, seq, head, mac, epoch, owner, wake_at,"
    " attributes, parent_run_id, parent_correlation_id, continued_from, continued_as, forked_from, error_code,"
    " result_seq, payload_bytes, attention, origin"
)
EVENT: Final = "run_id, seq, type, correlation_id, name, attempt, at, meta, payload, link"
MESSAGE: Final = "id, run_id, kind, correlation_id, at, meta, payload"

_encode = msgspec.json.Encoder().encode
_decode_attributes = msgspec.json.Decoder(dict[str, str]).decode
_decode_attention = msgspec.json.Decoder(Attention).decode


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


def read_run(row: Row) -> RunRow:
    values = row if isinstance(row, list) else list(row)
    attributes, attention = values[13], values[22]
    values[13] = {} if attributes is None else _decode_attributes(attributes)
    if attention is not None:
        values[22] = _decode_attention(attention)
    return RunRow(*values)


def read_hook(row: Row) -> HookRow:
    """Make a hook of (token_hash, run_id, correlation_id, kind) and the columns of its event."""
    token_hash, run_id, correlation_id, kind, *columns = row
    event = Event(*columns)
    return HookRow(token_hash, run_id, correlation_id, kind, event.at, event)


def encode_attributes(attributes: dict[str, str]) -> str | None:
    return to_json(attributes) if attributes else None


def to_json(value: object) -> str:
    return _encode(value).decode()
