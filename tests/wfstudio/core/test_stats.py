"""Statistics of a workflow's newest runs."""

from __future__ import annotations

from wf.world import RunRow
from wfstudio.core.stats import count_runs

T0 = 1_700_000_000_000_000


def row(status: str, took_ms: int | None = None) -> RunRow:
    ended = None if took_ms is None else T0 + took_ms * 1000
    values = dict.fromkeys(RunRow.__struct_fields__)
    known = {"run_id": "r", "workflow": "w", "status": status, "started_at": T0, "ended_at": ended, "attributes": {}}
    return RunRow(**{**values, **known})


def test_runs_are_counted_by_how_they_end() -> None:
    stats = count_runs([row("completed", 10), row("failed", 5), row("cancelled", 5), row("running"), row("pending")])
    assert (stats.runs, stats.in_flight, stats.failed) == (5, 2, 1)
    assert stats.failure_rate == 1 / 3


def test_durations_are_those_of_runs_that_completed_by_nearest_rank() -> None:
    stats = count_runs([row("completed", took) for took in range(1, 101)] + [row("failed", 9_999)])
    assert (stats.p50_ms, stats.p95_ms) == (50.0, 95.0)
    assert (count_runs([row("completed", 7)]).p50_ms, count_runs([row("completed", 7)]).p95_ms) == (7.0, 7.0)


def test_without_runs_there_is_nothing_to_say() -> None:
    stats = count_runs([])
    assert (stats.runs, stats.failure_rate, stats.p50_ms, stats.p95_ms) == (0, None, None, None)
