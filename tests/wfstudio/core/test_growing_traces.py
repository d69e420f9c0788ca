"""A trace that grows with its log is, at every look, the trace of the log so far."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wfstudio.core.trace_recordings import make_logs
from tests.wfstudio.history.stage import BEGAN, Log, RandomLog, make_completed
from wf import events as types
from wf.events import Event
from wfstudio.core.traces import GrowingTrace, Mark, Trace, make_trace

WAITS = (types.WAIT_CREATED, types.WAIT_COMPLETED)


@st.composite
def logs(draw: st.DrawFn) -> list[Event]:
    """Draw what may happen to a run, and what may not: events that are lost, come again or are of another call."""
    log = list(RandomLog(draw(st.integers(0, 10_000))).events)
    if draw(st.booleans()):
        head, *tail = log
        tail = draw(st.lists(st.sampled_from(tail), max_size=40)) if tail else []
        log = [head, *tail]
    return log


def look(growing: GrowingTrace, most: int | None, pending: set[int] | None) -> Trace:
    while growing.advance(most):
        pass
    return growing.show(pending_waits=pending)


@settings(max_examples=100, deadline=None)
@given(log=logs(), data=st.data())
def test_each_look_gives_the_trace_of_the_log_so_far(log: list[Event], data: st.DataObject) -> None:
    seen: list[Event] = [log[0]]
    growing = GrowingTrace(seen)
    waits = sorted({event.correlation_id or 0 for event in log if event.type in WAITS})
    while True:
        pending = data.draw(st.none() | st.sets(st.sampled_from(waits)) if waits else st.none())
        most = data.draw(st.none() | st.integers(1, 5))
        assert look(growing, most, pending) == make_trace(seen, pending_waits=pending)
        if len(seen) == len(log):
            return
        seen += log[len(seen) : len(seen) + data.draw(st.integers(1, 12))]


@pytest.mark.parametrize("number", range(len(make_logs())))
def test_the_logs_that_the_browser_folds_fold_here_as_well(number: int) -> None:
    log = make_logs()[number]
    seen: list[Event] = log[:1]
    growing = GrowingTrace(seen)
    for event in log[1:]:
        seen.append(event)
        assert look(growing, None, None) == make_trace(seen)


def test_a_span_that_did_not_change_is_the_same_one_as_before() -> None:
    whole = make_completed("wrun_long", steps=20).events
    log = whole[:1]
    growing = GrowingTrace(log)
    looks = [look(growing, None, None)]
    for event in whole[1:]:
        log.append(event)
        looks.append(look(growing, None, None))
    for before, after in pairwise(looks):
        changed = [one for one, other in zip(before.spans, after.spans, strict=False) if one is not other]
        assert len(changed) <= 1
    for seq, trace in enumerate(looks, 1):  # none of them changed behind its reader's back
        assert trace == make_trace(whole[:seq])


def test_more_of_a_forks_history_moves_what_was_drawn_already() -> None:
    log = Log("wrun_fork")
    created = log.at
    for number in (1, 2):
        log.at = BEGAN - 10_000_000 + number * 1_000_000
        log.add(types.STEP_CREATED, number, name="shop:a", attempt=1)
        log.add(types.STEP_COMPLETED, number, name="shop:a", attempt=1)
    log.at = created
    log.add(types.RUN_FORKED, name="wrun_old", seq=5)
    seen = log.events[:3]
    growing = GrowingTrace(seen)
    first = look(growing, None, None)
    seen += log.events[3:]
    second = look(growing, None, None)
    assert first.inherited_gap_ms > second.inherited_gap_ms
    assert second == make_trace(log.events)


def test_a_wait_that_was_given_up_is_open_again_when_it_is_pending_after_all() -> None:
    log = Log("wrun_waits")
    log.add(types.RUN_STARTED)
    log.add(types.WAIT_CREATED, 1, kind="sleep", due_at=log.at + 10)
    growing = GrowingTrace(log.events)
    growing.advance()
    assert [growing.show(pending_waits=pending).spans[1].status for pending in ((), (1,), (), (1,))] == [
        "abandoned",
        "waiting",
        "abandoned",
        "waiting",
    ]
    log.add(types.WAIT_COMPLETED, 1)
    assert look(growing, None, set()).spans[1].status == "completed"


def test_marks_lie_among_the_events() -> None:
    log = make_completed("wrun_marks", steps=2)
    marks = [Mark(kind="log", at_us=event.at, correlation_id=event.correlation_id) for event in log.events[2:4]]
    growing = GrowingTrace(log.events)
    while growing.advance(2):
        pass
    assert growing.show(marks=marks) == make_trace(log.events, marks=marks)
    assert growing.show() == make_trace(log.events)
