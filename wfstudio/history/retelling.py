"""What the logs of a few runs say, as rows: what derive.sql makes of many, made of their traces.

DuckDB plans the statements of derive.sql for some 40 ms, whether they are about ten events or ten million. So
what came since a moment ago is told by `core.traces`, whose rules derive.sql keeps as well.
tests/wfstudio/history/test_derive.py holds the two against each other.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final, NamedTuple

import pyarrow as pa

from wf import events as types
from wf.events import Event
from wf.records import decode_meta
from wf.worlds.feed import Row
from wfstudio.core.traces import Span, Trace, make_trace
from wfstudio.history.staging import RUN

_STEP_COLUMNS: Final = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("name", pa.string()), ("status", pa.string()),
        ("created_at", pa.int64()), ("started_at", pa.int64()), ("ended_at", pa.int64()), ("duration_us", pa.int64()),
        ("queued_us", pa.int64()), ("attempts", pa.int32()), ("error_type", pa.string()), ("created_seq", pa.int32()),
        ("ended_seq", pa.int32()),
    ]
)  # fmt: skip
_ATTEMPT_COLUMNS: Final = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("number", pa.int32()), ("name", pa.string()),
        ("status", pa.string()), ("started_at", pa.int64()), ("ended_at", pa.int64()), ("duration_us", pa.int64()),
        ("queued_us", pa.int64()), ("error_type", pa.string()), ("ended_seq", pa.int32()),
    ]
)  # fmt: skip
_HOOK_COLUMNS: Final = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("name", pa.string()), ("status", pa.string()),
        ("created_at", pa.int64()), ("received_at", pa.int64()), ("ended_at", pa.int64()), ("payloads", pa.int32()),
        ("waited_us", pa.int64()), ("created_seq", pa.int32()), ("received_seq", pa.int32()),
    ]
)  # fmt: skip
_WAIT_COLUMNS: Final = pa.schema(
    [
        ("run", pa.int64()), ("correlation_id", pa.int32()), ("kind", pa.string()), ("status", pa.string()),
        ("created_at", pa.int64()), ("due_at", pa.int64()), ("ended_at", pa.int64()),
    ]
)  # fmt: skip
SCHEMAS: Final = {
    "runs": RUN.append(pa.field("error_type", pa.string()))
    .append(pa.field("steps", pa.int32()))
    .append(pa.field("retries", pa.int32())),
    "steps": _STEP_COLUMNS,
    "attempts": _ATTEMPT_COLUMNS,
    "hooks": _HOOK_COLUMNS,
    "waits": _WAIT_COLUMNS,
}
_ATTEMPT_ENDS: Final = frozenset({types.STEP_RETRYING, types.STEP_COMPLETED, types.STEP_FAILED})

Tables = dict[str, list[Row]]


def retell(rows: Sequence[Row], events: Sequence[Row], pending: Sequence[Row]) -> Tables:
    """Give the rows of the tables in `SCHEMAS`, from what the feed gave of some runs: whole logs, each in order."""
    logs: dict[int, list[Event]] = {row[0]: [] for row in rows}
    ids = {row[0]: row[1] for row in rows}
    for run, seq, type_, number, name, attempt, at, meta, _ in events:
        logs[run].append(Event(ids[run], seq, type_, number, name, attempt, at, meta, None, b""))
    waiting: dict[int, set[int]] = {}
    for run, number in pending:
        waiting.setdefault(run, set()).add(number)
    tables: Tables = {name: [] for name in SCHEMAS}
    for row in rows:
        _Telling(row, logs[row[0]], waiting.get(row[0], ())).add_to(tables)
    return tables


class _End(NamedTuple):
    seq: int
    error_type: str | None


class _Telling:
    """One run, told from its trace; what a trace leaves out is looked up in the log."""

    def __init__(self, row: Row, log: Sequence[Event], pending: Collection[int]) -> None:
        self._row = row
        self._run: int = row[0]
        self._trace: Trace = make_trace(log, pending_waits=pending)
        self._created_us = log[0].at
        self._gap_us = round(self._trace.inherited_gap_ms * 1000)
        self._attempt_ends: dict[tuple[int | None, int | None], _End] = {}
        self._received: dict[int | None, list[Event]] = {}
        self._opened: dict[int | None, Event] = {}
        for event in log:
            if event.type in _ATTEMPT_ENDS:
                error_type = None if event.type == types.STEP_COMPLETED else decode_meta(event.meta).get("error_type")
                self._attempt_ends.setdefault((event.correlation_id, event.attempt), _End(event.seq, error_type))
            elif event.type == types.HOOK_RECEIVED:
                self._received.setdefault(event.correlation_id, []).append(event)
            elif event.type in (types.HOOK_CREATED, types.WAIT_CREATED):
                self._opened[event.correlation_id] = event

    def add_to(self, tables: Tables) -> None:
        run, *calls = self._trace.spans
        steps = [span for span in calls if span.kind == "step"]
        for span in steps:
            tables["steps"].append(self._tell_step(span))
            tables["attempts"] += self._tell_attempts(span)
        tables["hooks"] += [self._tell_hook(span) for span in calls if span.kind == "hook"]
        tables["waits"] += [self._tell_wait(span) for span in calls if span.kind in ("sleep", "deadline")]
        error_type = run.error_type if self._trace.status == types.FAILED else None
        retries = sum(max(0, span.attempts - 1) for span in steps)
        tables["runs"].append((*self._row, error_type, len(steps), retries))

    def _tell_step(self, span: Span) -> Row:
        tried = [segment for segment in span.segments if segment.kind == "running"]
        spent = None if span.end_ms is None else _us(span.end_ms - span.start_ms)
        queued = [segment for segment in span.segments if segment.kind == "queued" and segment.end_ms is not None]
        waited = sum(_us((segment.end_ms or 0) - segment.start_ms) for segment in queued) if tried else spent
        return (
            self._run, span.correlation_id, span.name, span.status, self._instant(span.start_ms),
            self._instant(tried[0].start_ms) if tried else None, self._instant(span.end_ms), spent, waited,
            span.attempts, span.error_type, span.seq, span.end_seq,
        )  # fmt: skip

    def _tell_attempts(self, span: Span) -> list[Row]:
        found: list[Row] = []
        queued_us = 0
        for segment in span.segments:
            spent = None if segment.end_ms is None else _us(segment.end_ms - segment.start_ms)
            if segment.kind == "queued":
                queued_us = spent or 0
            elif segment.kind == "running":
                end = self._attempt_ends.get((span.correlation_id, segment.attempt), _End(0, None))
                found.append(
                    (
                        self._run, span.correlation_id, segment.attempt or 1, span.name, segment.outcome or "running",
                        self._instant(segment.start_ms), self._instant(segment.end_ms), spent, queued_us,
                        end.error_type, end.seq or None,
                    )
                )  # fmt: skip
                queued_us = 0
        return found

    def _tell_hook(self, span: Span) -> Row:
        created = self._opened[span.correlation_id]
        received = self._received.get(span.correlation_id, ())
        received_at = received[0].at if received else None
        ended_at = self._instant(span.end_ms)
        until = ended_at if received_at is None else received_at
        return (
            self._run, span.correlation_id, span.name, span.status, created.at, received_at, ended_at, len(received),
            None if until is None else max(0, until - created.at), span.seq, received[0].seq if received else None,
        )  # fmt: skip

    def _tell_wait(self, span: Span) -> Row:
        created = self._opened[span.correlation_id]
        due_at = decode_meta(created.meta).get("due_at")
        return (
            self._run, span.correlation_id, span.kind, span.status, created.at, due_at, self._instant(span.end_ms),
        )  # fmt: skip

    def _instant(self, since_ms: float | None) -> int | None:
        """Give when something was: what a fork inherited is drawn right before its creation, and was long before."""
        if since_ms is None:
            return None
        at = self._created_us + _us(since_ms)
        return at - self._gap_us if self._gap_us and at <= self._created_us else at


def _us(milliseconds: float) -> int:
    return round(milliseconds * 1000)
