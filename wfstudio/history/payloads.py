"""Payloads in SQL: functions that fetch and open what a row names, when a query asks for it.

1. What is opened lives in the memory of this process and goes with it. It is never written.
2. What cannot be opened (no key, changed, deleted meanwhile) is NULL: a query over many runs must not fail
   for one of them.
3. Nothing of the user's is imported: values are shown as the plain JSON that every face shows.
"""

from __future__ import annotations

import threading
from typing import Any, Final

import duckdb
import msgspec
import pyarrow as pa

from wf import codec
from wf.errors import WorkflowError
from wf.keys import Keyring
from wf.records import chunk_place
from wf.worker.logs import open_log
from wf.worlds.feed import Feed
from wfstudio.core.values import show_value

LARGEST: Final = 8_000_000
"""Bytes of a value that SQL is given; a larger one is `{"$large": its bytes}`."""

_LINES: Final = "STRUCT(at_us BIGINT, source VARCHAR, text VARCHAR)[]"
_LINE: Final = pa.list_(pa.struct([("at_us", pa.int64()), ("source", pa.string()), ("text", pa.string())]))
_encode = msgspec.json.Encoder().encode


class Payloads:
    """Opens payloads of one world. With no keyring everything stays closed."""

    def __init__(self, feed: Feed, keyring: Keyring | None) -> None:
        self._feed = feed
        self._keyring = keyring
        self._guard = threading.Lock()  # guards the feed: DuckDB calls from several threads

    def register(self, connection: duckdb.DuckDBPyConnection) -> None:
        """Make the functions known to SQL."""
        make: Any = connection.create_function
        settings: dict[str, Any] = {"type": "arrow", "null_handling": "special"}
        make("payload_at", self.open_payloads, ["BIGINT", "INTEGER"], "VARCHAR", **settings)
        make("chunk_at", self.open_chunks, ["BIGINT", "VARCHAR", "INTEGER"], "VARCHAR", **settings)
        make("lines_at", self.open_lines, ["BIGINT", "INTEGER", "INTEGER", "INTEGER"], _LINES, **settings)

    def open_payloads(self, runs: pa.Array, seqs: pa.Array) -> pa.Array:
        """Give payloads of events, as JSON texts."""
        places = zip(runs.to_pylist(), seqs.to_pylist(), strict=True)
        return pa.array([self._open_payload(run, seq) for run, seq in places], pa.string())

    def open_chunks(self, runs: pa.Array, names: pa.Array, places: pa.Array) -> pa.Array:
        rows = zip(runs.to_pylist(), names.to_pylist(), places.to_pylist(), strict=True)
        return pa.array([self._open_chunk(*row) for row in rows], pa.string())

    def open_lines(self, runs: pa.Array, numbers: pa.Array, attempts: pa.Array, places: pa.Array) -> pa.Array:
        rows = zip(runs.to_pylist(), numbers.to_pylist(), attempts.to_pylist(), places.to_pylist(), strict=True)
        return pa.array([self._open_lines(*row) for row in rows], _LINE)

    def _open_payload(self, run: int | None, seq: int | None) -> str | None:
        if self._keyring is None or run is None or seq is None:
            return None
        with self._guard:
            found = self._feed.find_payload(run, seq)
        if found is None:
            return None
        run_id, type_, payload = found
        if payload is None:
            return None
        try:
            return _show(self._keyring.run(run_id).open(seq, type_, payload))
        except WorkflowError:
            return None

    def _open_chunk(self, run: int | None, name: str | None, place: int | None) -> str | None:
        if self._keyring is None or run is None or name is None or place is None:
            return None
        with self._guard:
            found = self._feed.find_chunk(run, name, place)
        if found is None:
            return None
        run_id, payload = found
        if payload is None:
            return None
        try:
            return _show(self._keyring.run(run_id).open(chunk_place(name, place), "chunk", payload))
        except WorkflowError:
            return None

    def _open_lines(
        self, run: int | None, number: int | None, attempt: int | None, place: int | None
    ) -> list[dict[str, Any]] | None:
        if self._keyring is None or run is None or number is None or attempt is None or place is None:
            return None
        with self._guard:
            found = self._feed.find_log(run, number, attempt, place)
        if found is None:
            return None
        try:
            lines = open_log(self._keyring.run(found[0]), number, attempt, place, found[1])
        except (WorkflowError, msgspec.DecodeError):
            return None
        return [{"at_us": line.at, "source": line.source, "text": line.text} for line in lines]


def _show(packed: bytes) -> str:
    return _encode(show_value(codec.unpack(packed), LARGEST)).decode()
