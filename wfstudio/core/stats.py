"""Statistics of a workflow, from the rows of its newest runs: how many, how they end, how long they take."""

from __future__ import annotations

from collections.abc import Sequence
from math import ceil
from typing import Final

import msgspec

from wf.events import ENDED, FAILED
from wf.world import RunRow

NEWEST: Final = 200
"""Runs that are looked at; more of them belong to SQL over the history."""


class StatsView(msgspec.Struct, frozen=True, kw_only=True):
    """Of the newest runs (200 at most): how many there are, are in flight, and failed, and how long those
    took that completed, from their start. None where none did."""

    runs: int
    in_flight: int
    failed: int
    failure_rate: float | None
    p50_ms: float | None
    p95_ms: float | None


def count_runs(rows: Sequence[RunRow]) -> StatsView:
    ended = [row for row in rows if row.status in ENDED]
    failed = sum(row.status == FAILED for row in ended)
    took = sorted(
        (row.ended_at - row.started_at) / 1000
        for row in ended
        if row.status == "completed" and row.ended_at is not None and row.started_at is not None
    )
    return StatsView(
        runs=len(rows),
        in_flight=len(rows) - len(ended),
        failed=failed,
        failure_rate=failed / len(ended) if ended else None,
        p50_ms=_rank(took, 0.5),
        p95_ms=_rank(took, 0.95),
    )


def _rank(values: Sequence[float], share: float) -> float | None:
    """Give the value that `share` of all are not above (nearest rank)."""
    return values[max(0, ceil(share * len(values)) - 1)] if values else None
