"""Traces: hand-written logs, and what their timeline says."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.events import Event
from wfstudio.core.traces import Mark, Segment, Span, Trace, make_trace

START = 1_700_000_000_000_000


class Log:
    """Writes a log by hand: `at` is milliseconds since the run was created."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.add(0, "run_created", name="shop:order")

    def add(self, at: float, type: str, id: int | None = None, name: str | None = None, attempt: int | None = None,
            **meta: object) -> Log:  # fmt: skip
        text = msgspec.json.encode(meta).decode() if meta else None
        at_us = START + round(at * 1000)
        self.events.append(Event("wrun_1", len(self.events) + 1, type, id, name, attempt, at_us, text, None, b""))
        return self

    def trace(self, **options: object) -> Trace:
        return make_trace(self.events, **options)


def span(trace: Trace, id: str) -> Span:
    [found] = [span for span in trace.spans if span.id == id]
    return found


def segments(found: Span) -> list[tuple]:
    return [(part.kind, part.start_ms, part.end_ms) for part in found.segments]


def started() -> Log:
    return Log().add(5, "run_started")


def test_a_run_is_queued_then_runs_then_ends() -> None:
    trace = started().add(20, "run_completed").trace()
    run = span(trace, "run")
    assert (run.kind, run.name, run.status, run.parent_id) == ("run", "shop:order", "completed", None)
    assert segments(run) == [("queued", 0, 5), ("running", 5, 20)]
    assert (run.start_ms, run.end_ms, trace.end_ms, trace.status, trace.seq) == (0, 20, 20, "completed", 3)
    assert (run.at, run.ended_at) == ("2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:20.020000Z")


def test_a_run_that_goes_on_is_open() -> None:
    trace = started().trace()
    assert segments(span(trace, "run")) == [("queued", 0, 5), ("running", 5, None)]
    assert (trace.status, trace.end_ms) == ("running", None)
    assert segments(span(Log().trace(), "run")) == [("queued", 0, None)]


def test_a_failed_run_says_with_which_code_and_type() -> None:
    run = span(started().add(9, "run_failed", code="TIMEOUT", error_type="builtins.TimeoutError").trace(), "run")
    assert (run.status, run.error_code, run.error_type) == ("failed", "TIMEOUT", "builtins.TimeoutError")


def test_a_first_try_step_is_one_segment() -> None:
    log = started().add(6, "step_created", 1, "shop:pay", 1).add(8.5, "step_completed", 1, "shop:pay", 1)
    step = span(log.trace(), "1")
    assert (step.kind, step.name, step.status, step.attempts) == ("step", "shop:pay", "completed", 1)
    assert step.segments == [Segment(kind="running", start_ms=6, end_ms=8.5, attempt=1, outcome="completed")]
    assert (step.seq, step.end_seq, step.parent_id, step.correlation_id) == (3, 4, "run", 1)


def test_a_step_waits_for_its_slot_then_runs() -> None:
    log = started().add(6, "step_created", 1, "shop:pay", 0)
    assert span(log.trace(), "1").status == "queued"
    log.add(10, "step_started", 1, "shop:pay", 1)
    step = span(log.trace(), "1")
    assert (step.status, segments(step)) == ("running", [("queued", 6, 10), ("running", 10, None)])


def test_a_retried_step_shows_each_attempt_and_the_waits_between() -> None:
    log = started().add(6, "step_created", 1, "shop:pay", 1)
    log.add(8, "step_retrying", 1, "shop:pay", 1, due_at=START + 100_000, error_type="builtins.OSError")
    open_step = span(log.trace(), "1")
    assert (open_step.status, open_step.error_type) == ("retrying", "builtins.OSError")
    assert open_step.due_at == "2023-11-14T22:13:20.100000Z"
    assert segments(open_step) == [("running", 6, 8), ("retry_wait", 8, None)]
    log.add(130, "step_started", 1, "shop:pay", 2).add(150, "step_failed", 1, "shop:pay", 2, error_type="x.Y")
    step = span(log.trace(), "1")
    assert segments(step) == [("running", 6, 8), ("retry_wait", 8, 100), ("queued", 100, 130), ("running", 130, 150)]
    assert [part.outcome for part in step.segments] == ["failed", None, None, "failed"]
    assert (step.status, step.attempts, step.error_type, step.due_at) == ("failed", 2, "x.Y", None)


def test_an_attempt_whose_process_was_killed_is_lost() -> None:
    log = started().add(6, "step_created", 1, "s", 1).add(50, "step_started", 1, "s", 2)
    log.add(60, "step_completed", 1, "s", 2)
    step = span(log.trace(), "1")
    assert [(part.attempt, part.outcome) for part in step.segments] == [(1, "lost"), (2, "completed")]
    assert segments(step) == [("running", 6, 50), ("running", 50, 60)]


def test_a_step_cancelled_before_any_attempt_ran_nothing() -> None:
    log = started().add(6, "step_created", 1, "s", 0)
    log.add(9, "step_failed", 1, "s", 0, error_type="asyncio.exceptions.CancelledError")
    step = span(log.trace(), "1")
    assert (step.status, step.attempts, segments(step)) == ("cancelled", 0, [("queued", 6, 9)])


def test_a_step_of_wfs_own_is_an_operation() -> None:
    assert span(started().add(6, "step_created", 1, "wf/run_status", 1).trace(), "1").kind == "operation"


def test_a_step_in_flight_at_the_end_of_its_run_is_abandoned_unless_its_result_comes() -> None:
    log = started().add(6, "step_created", 1, "s", 1).add(9, "run_cancelled", forced=True)
    step = span(log.trace(), "1")
    assert (step.status, step.end_ms, step.end_seq) == ("abandoned", 9, None)
    assert step.segments[0].outcome == "abandoned"
    log.add(12, "step_completed", 1, "s", 1)
    step = span(log.trace(), "1")
    assert (step.status, step.end_ms, step.end_seq) == ("completed", 12, 5)
    assert (segments(step), step.segments[0].outcome) == ([("running", 6, 12)], "completed")


def test_a_sleep_waits_until_it_is_over() -> None:
    log = started().add(6, "wait_created", 1, kind="sleep", due_at=START + 3_600_000_000)
    sleep = span(log.trace(), "1")
    assert (sleep.kind, sleep.status, sleep.end_ms) == ("sleep", "waiting", None)
    assert sleep.due_at == "2023-11-14T23:13:20.000000Z"
    sleep = span(log.add(3_600_001, "wait_completed", 1).trace(), "1")
    assert (sleep.status, segments(sleep)) == ("completed", [("waiting", 6, 3_600_001)])


def test_a_wait_that_is_not_pending_any_more_was_given_up() -> None:
    log = started().add(6, "wait_created", 1, kind="deadline", due_at=START + 10_000)
    log.add(8, "wait_created", 2, kind="sleep", due_at=START + 50_000).add(9, "step_created", 3, "s", 1)
    trace = log.trace(pending_waits={2})
    assert (span(trace, "1").kind, span(trace, "1").status, span(trace, "1").end_ms) == ("deadline", "abandoned", 9)
    assert span(trace, "2").status == "waiting"


def test_without_knowing_what_is_pending_a_wait_that_time_has_passed_by_was_given_up() -> None:
    log = started().add(6, "wait_created", 1, kind="deadline", due_at=START + 10_000)
    assert span(log.trace(), "1").status == "waiting"
    passed = span(log.add(99, "step_created", 2, "s", 1).trace(), "1")
    assert (passed.status, passed.end_ms) == ("abandoned", 10)


def test_a_hook_waits_receives_and_ends() -> None:
    log = started().add(6, "hook_created", 1, "shop:Approval")
    assert segments(span(log.trace(), "1")) == [("waiting", 6, None)]
    trace = log.add(20, "hook_received", 1).add(30, "hook_received", 1).add(40, "hook_disposed", 1).trace()
    hook = span(trace, "1")
    assert (hook.kind, hook.name, hook.status) == ("hook", "shop:Approval", "disposed")
    assert segments(hook) == [("waiting", 6, 20), ("open", 20, 30), ("open", 30, 40)]
    assert [(mark.kind, mark.span_id, mark.at_ms, mark.seq) for mark in trace.markers] == [
        ("payload", "1", 20, 4),
        ("payload", "1", 30, 5),
    ]


def test_a_hook_that_received_stays_so_when_its_run_ends() -> None:
    log = started().add(6, "hook_created", 1, "a").add(7, "hook_created", 2, "b").add(8, "hook_received", 1)
    trace = log.add(9, "run_completed").trace()
    assert [(span(trace, id).status, span(trace, id).end_ms) for id in "12"] == [("received", 9), ("abandoned", 9)]


def test_a_hook_whose_token_was_taken_is_a_conflict() -> None:
    hook = span(started().add(6, "hook_created", 1, "a").add(7, "hook_conflict", 1, run_id="wrun_0").trace(), "1")
    assert (hook.status, hook.end_ms) == ("conflict", 7)


def test_a_lock_is_queued_held_and_released() -> None:
    log = started().add(6, "lock_requested", 1, "lock:printer", limit=1).add(10, "lock_acquired", 1, "lock:printer")
    lock = span(log.trace(), "1")
    assert (lock.kind, lock.name, lock.status) == ("lock", "printer", "held")
    log.add(30, "lock_released", 1, "lock:printer")
    lock = span(log.trace(), "1")
    assert (lock.status, segments(lock)) == ("released", [("queued", 6, 10), ("held", 10, 30)])


def test_a_lock_ends_with_its_run_and_one_that_was_never_held_is_abandoned() -> None:
    log = started().add(6, "lock_requested", 1, "lock:a", limit=1).add(7, "lock_requested", 2, "lock:b", limit=1)
    trace = log.add(8, "lock_acquired", 1, "lock:a").add(9, "run_completed").trace()
    assert [span(trace, id).status for id in "12"] == ["released", "abandoned"]
    left = started().add(6, "lock_requested", 1, "lock:a", limit=1).add(9, "lock_released", 1, "lock:a").trace()
    assert span(left, "1").status == "abandoned"


def test_a_child_is_a_span_that_names_its_run() -> None:
    log = started().add(6, "child_started", 1, "shop:ship", run_id="wrun_2")
    child = span(log.trace(), "1")
    assert (child.kind, child.name, child.status, child.child_run_id) == ("child", "shop:ship", "running", "wrun_2")
    log.add(50, "child_completed", 1, "shop:ship", run_id="wrun_3", status="failed", code="USER_ERROR")
    child = span(log.trace(), "1")
    assert (child.status, child.child_run_id, child.error_code) == ("failed", "wrun_3", "USER_ERROR")
    assert segments(child) == [("waiting", 6, 50)]


def test_waiting_for_a_run_that_is_no_child_is_a_watch() -> None:
    watch = span(started().add(6, "child_started", 1, run_id="wrun_9", watch=True).trace(), "1")
    assert (watch.kind, watch.name) == ("watch", "wrun_9")


def test_attributes_a_cancel_and_a_timeout_are_marked() -> None:
    log = started().add(6, "attributes_set", 1, set={"stage": "one"}).add(7, "cancel_requested")
    trace = log.add(8, "wait_completed", 0).trace()
    assert [(mark.kind, mark.at_ms, mark.data) for mark in trace.markers] == [
        ("attributes", 6, {"set": {"stage": "one"}}),
        ("cancel_requested", 7, {}),
        ("timeout", 8, {}),
    ]


def test_what_is_kept_beside_the_log_is_marked_where_it_belongs() -> None:
    log = started().add(6, "step_created", 1, "s", 1)
    marks = [
        Mark(kind="stream_opened", at_us=START + 9000, data={"name": "default"}),
        Mark(kind="log", at_us=START + 7000, correlation_id=1, data={"attempt": 1}),
        Mark(kind="log", at_us=START + 8000, correlation_id=5, data={"attempt": 1}),
    ]
    assert [(mark.kind, mark.span_id, mark.at_ms) for mark in log.trace(marks=marks).markers] == [
        ("log", "1", 7),
        ("log", "run", 8),
        ("stream_opened", "run", 9),
    ]


def test_what_a_fork_inherited_lies_before_it_without_the_days_between() -> None:
    log = Log()
    day = 24 * 3600_000
    log.add(3, "run_forked", name="wrun_0", seq=4)
    log.add(-day - 50, "run_started")
    log.add(-day - 40, "step_created", 1, "a", 1).add(
        -day - 30, "step_retrying", 1, "a", 1, due_at=START - 86_400_020_000
    )
    log.add(-day - 10, "step_started", 1, "a", 2).add(-day, "step_completed", 1, "a", 2)
    log.add(-day - 20, "step_created", 2, "b", 0)
    log.add(4, "step_started", 2, "b", 1).add(9, "step_completed", 2, "b", 1)
    trace = log.trace()
    assert trace.inherited_gap_ms == day
    assert segments(span(trace, "run")) == [("queued", 0, 3), ("running", 3, None)]
    assert segments(span(trace, "1")) == [
        ("running", -40, -30), ("retry_wait", -30, -20), ("queued", -20, -10), ("running", -10, 0),
    ]  # fmt: skip
    assert segments(span(trace, "2")) == [("queued", -20, 4), ("running", 4, 9)]
    assert [found.is_inherited for found in trace.spans] == [False, True, True]
    assert span(trace, "1").at == "2023-11-13T22:13:19.960000Z", "its true instant"
    assert (trace.at, span(trace, "2").ended_at) == ("2023-11-14T22:13:20.000000Z", "2023-11-14T22:13:20.009000Z")


def test_an_event_of_a_later_version_is_left_out() -> None:
    assert len(started().add(6, "step_teleported", 1, "s").trace().spans) == 1


def test_a_log_without_its_beginning_is_refused() -> None:
    with pytest.raises(ValueError, match="first event"):
        make_trace([])
    with pytest.raises(ValueError, match="first event"):
        make_trace(started().events[1:])


KINDS = [
    ("run_started", {}), ("run_completed", {}), ("run_failed", {}), ("step_created", {}), ("step_started", {}),
    ("step_retrying", {"due_at": START + 5000}), ("step_completed", {}), ("step_failed", {"error_type": "a.B"}),
    ("wait_created", {"kind": "sleep", "due_at": START + 7000}), ("wait_completed", {}), ("hook_created", {}),
    ("hook_received", {}), ("hook_disposed", {}), ("hook_conflict", {}), ("lock_requested", {}),
    ("lock_acquired", {}), ("lock_released", {}), ("child_started", {"run_id": "r"}), ("child_completed", {}),
]  # fmt: skip


@given(
    st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 4), st.integers(0, 2), st.integers(0, 4)), max_size=40)
)
def test_whatever_a_log_says_segments_are_in_order_and_inside_their_span(
    moves: list[tuple[tuple[str, dict], int, int, int]],
) -> None:
    log, at = Log(), 0
    for (type_, meta), id, attempt, later in moves:
        at += later
        log.add(at, type_, id, "n", attempt, **meta)
    trace = log.trace()
    msgspec.json.encode(trace)
    for found in trace.spans:
        here = found.start_ms
        for part in found.segments:
            assert part.start_ms >= here
            assert part.end_ms is not None or part is found.segments[-1]
            here = part.end_ms if part.end_ms is not None else part.start_ms
        if found.end_ms is not None:
            assert found.end_ms >= here
            assert all(part.end_ms is not None for part in found.segments)
