"""What SQL says of a log is what a trace says of it: derive.sql, `retelling` and core.traces are one set of rules."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.history.stage import KEYRING, RandomLog, WorldFile, random_logs
from wf.durations import to_instant
from wfstudio.core.rows import Opener
from wfstudio.core.steps import show_steps
from wfstudio.core.traces import Trace, make_trace
from wfstudio.history import staging
from wfstudio.history.mirror import History

COUNT = 400


@pytest.fixture(scope="module")
def logs() -> list[RandomLog]:
    return list(random_logs(COUNT))


@pytest.fixture(scope="module", params=["at once", "in two goes", "derived in memory", "retold in memory"])
def history(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, logs: list[RandomLog]) -> Any:
    """The same logs, mirrored whole; a part first and the rest into the file; or the rest into memory, in both ways."""
    path = tmp_path_factory.mktemp("history") / "world.db"
    world = WorldFile(path)
    if request.param != "at once":
        for log in logs:
            world.write(log.events[: max(1, len(log.events) // 2)], **_columns(log))
        History(path).close()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("wfstudio.history.mirror.FAR_BEHIND", 10**9 if "memory" in request.param else 0)
        patch.setattr("wfstudio.history.news.FEW", 10**9 if "retold" in request.param else 0)
        for log in logs:
            world.write(log.events, sorted(log.pending), **_columns(log))
        world.close()
        with History(path) as found:
            yield found


def _columns(log: RandomLog) -> dict[str, Any]:
    return {"forked_from": "wrun_old"} if log.is_fork else {}


def traces(logs: list[RandomLog]) -> list[Trace]:
    return [make_trace(log.events, pending_waits=log.pending) for log in logs]


def us(iso: str | None) -> int | None:
    return None if iso is None else to_instant(datetime.fromisoformat(iso))


def fetch(history: History, sql: str) -> list[tuple[Any, ...]]:
    return history.connection.execute(sql).fetchall()


def micros(milliseconds: float | None) -> int | None:
    return None if milliseconds is None else round(milliseconds * 1000)


def test_the_logs_hold_what_is_to_be_told_apart(logs: list[RandomLog]) -> None:
    spans = [span for trace in traces(logs) for span in trace.spans]
    found = {(span.kind, span.status) for span in spans}
    for status in ("queued", "running", "retrying", "completed", "failed", "cancelled", "abandoned"):
        assert ("step", status) in found, status
    for status in ("waiting", "received", "disposed", "conflict", "abandoned"):
        assert ("hook", status) in found, status
    outcomes = {segment.outcome for span in spans for segment in span.segments if segment.kind == "running"}
    assert outcomes >= {"completed", "failed", "cancelled", "lost", "abandoned", None}
    assert any(span.is_inherited for span in spans)


def test_steps_are_those_of_the_trace(history: History, logs: list[RandomLog]) -> None:
    expected = []
    for log, trace in zip(logs, traces(logs), strict=True):
        opener = Opener(KEYRING, trace.run_id, is_locked=True)
        errors = {span.correlation_id: span.error_type for span in trace.spans}
        for step in show_steps(trace, log.events, opener, after=0, limit=1000):
            number = step.correlation_id
            expected.append(
                (
                    trace.run_id, number, step.name, step.status, us(step.created_at), us(step.started_at),
                    us(step.ended_at), micros(step.duration_ms), micros(step.queued_ms), len(step.attempts),
                    errors[number],
                )
            )  # fmt: skip
    found = fetch(
        history,
        "SELECT r.run_id, correlation_id, name, s.status, s.created_at, s.started_at, s.ended_at, duration_us,"
        " queued_us, attempts, s.error_type FROM past.steps AS s JOIN past.runs AS r USING (run)"
        " ORDER BY r.run_id, correlation_id",
    )
    assert len(found) > COUNT
    for one, other in zip(found, sorted(expected), strict=True):
        assert one == other


def test_attempts_are_those_of_the_trace(history: History, logs: list[RandomLog]) -> None:
    expected = []
    for log, trace in zip(logs, traces(logs), strict=True):
        opener = Opener(KEYRING, trace.run_id, is_locked=True)
        for step in show_steps(trace, log.events, opener, after=0, limit=1000):
            for attempt in step.attempts:
                expected.append(
                    (
                        trace.run_id, step.correlation_id, attempt.number, step.name, attempt.status,
                        us(attempt.started_at), us(attempt.ended_at), micros(attempt.duration_ms),
                    )
                )  # fmt: skip
    found = fetch(
        history,
        "SELECT r.run_id, correlation_id, number, name, a.status, a.started_at, a.ended_at, duration_us"
        " FROM past.attempts AS a JOIN past.runs AS r USING (run) ORDER BY r.run_id, correlation_id, number",
    )
    assert len(found) > COUNT
    for one, other in zip(found, sorted(expected), strict=True):
        assert one == other


@pytest.mark.parametrize(
    ("table", "kinds", "columns"),
    [("hooks", ("hook",), "name, h.status"), ("waits", ("sleep", "deadline"), "kind, h.status")],
)
def test_hooks_and_waits_are_those_of_the_trace(
    history: History, logs: list[RandomLog], table: str, kinds: tuple[str, ...], columns: str
) -> None:
    expected = [
        (trace.run_id, span.correlation_id, span.name, span.status, us(span.at), us(span.ended_at))
        for trace in traces(logs)
        for span in trace.spans
        if span.kind in kinds
    ]
    found = fetch(
        history,
        f"SELECT r.run_id, correlation_id, {columns}, h.created_at, h.ended_at"
        f" FROM past.{table} AS h JOIN past.runs AS r USING (run) ORDER BY r.run_id, correlation_id",
    )
    assert len(found) > COUNT / 2
    for one, other in zip(found, sorted(expected), strict=True):
        assert one == other


def test_runs_count_their_steps_and_retries(history: History, logs: list[RandomLog]) -> None:
    expected = []
    for trace in traces(logs):
        steps = [span for span in trace.spans if span.kind == "step"]
        retries = sum(max(0, span.attempts - 1) for span in steps)
        expected.append((trace.run_id, trace.status, len(steps), retries, trace.spans[0].error_type))
    found = fetch(history, "SELECT run_id, status, steps, retries, error_type FROM past.runs ORDER BY run_id")
    assert found == expected


@pytest.mark.parametrize("table", staging.TABLES)
def test_few_events_are_told_as_many_are(
    table: str, tmp_path: Path, logs: list[RandomLog], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "world.db"
    world = WorldFile(path)
    History(path).close()
    for log in logs[: COUNT // 4]:
        world.write(log.events, sorted(log.pending), **_columns(log))
    world.close()
    monkeypatch.setattr("wfstudio.history.mirror.FAR_BEHIND", 10**9)
    told = []
    for few in (0, 10**9):
        monkeypatch.setattr("wfstudio.history.news.FEW", few)
        with History(path) as found:
            relation = found.connection.execute(f"SELECT * FROM past.{table}")
            names = [column[0] for column in relation.description]
            types = [str(column[1]) for column in relation.description]
            told.append((names, types, sorted(relation.fetchall(), key=repr)))
    assert told[0] == told[1]
    assert told[0][2] or table in ("chunks", "logs")


def test_events_are_the_logs(history: History, logs: list[RandomLog]) -> None:
    expected = [
        (e.run_id, e.seq, e.type, e.correlation_id, e.name, e.attempt, e.at, e.meta) for log in logs for e in log.events
    ]
    found = fetch(
        history,
        "SELECT run_id, e.seq, type, correlation_id, name, attempt, at_us, meta"
        " FROM past.events AS e JOIN past.runs USING (run) ORDER BY run_id, e.seq",
    )
    assert found == expected
