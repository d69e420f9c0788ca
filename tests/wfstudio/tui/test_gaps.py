"""Gaps: time in which no attempt ran is squeezed, and every instant keeps its place in the order."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wfstudio.tui.spans import span, trace
from wfstudio.text.looks import Look, Row, lay_out
from wfstudio.text.timeline import measure
from wfstudio.tui.gaps import BusyTime, Gap, Gaps, SqueezedScale, find_gaps
from wfstudio.tui.run_rows import compare_rows

HOUR = 3_600_000.0


def rows(*spans: object) -> list[Row]:
    return lay_out(Look(trace(*spans)))  # type: ignore[arg-type]


WAITED = rows(
    span("run", "order", ("running", 0, HOUR + 200), kind="run"),
    span("1", "charge", ("running", 0, 100)),
    span("2", "sleep", ("waiting", 100, HOUR + 100), kind="sleep"),
    span("3", "ship", ("running", HOUR + 100, HOUR + 200)),
)


def test_a_long_wait_is_squeezed_to_a_part_of_what_was_done() -> None:
    gaps = find_gaps(WAITED, HOUR)
    assert gaps.gaps == [Gap(100, HOUR + 100)]
    assert gaps.left_ms == pytest.approx(30)
    assert [gaps.squeeze(at) for at in (50, 100, HOUR + 100, HOUR + 200)] == pytest.approx([50, 100, 130, 230])


def test_a_run_that_worked_is_left_as_it_is() -> None:
    busy = rows(
        span("run", "order", ("running", 0, 1000), kind="run"),
        span("1", "charge", ("running", 0, 600)),
        span("2", "sleep", ("waiting", 600, 900), kind="sleep"),
        span("3", "ship", ("running", 900, 1000)),
    )
    assert find_gaps(busy, 1000).gaps == []
    assert find_gaps(busy, 1000).squeeze(777) == 777


def test_short_gaps_stay_as_they_are() -> None:
    short = rows(
        span("run", "order", ("running", 0, 1000), kind="run"),
        span("1", "charge", ("running", 0, 1)),
        span("2", "sleep", ("waiting", 1, 999), kind="sleep"),
        span("3", "ship", ("running", 999, 1000)),
    )
    assert find_gaps(short, 1000).gaps == []


def test_a_run_that_did_nothing_at_all_is_left_as_it_is() -> None:
    idle = rows(span("run", "order", ("queued", 0, None), kind="run", status="pending"))
    assert find_gaps(idle, HOUR).gaps == []


def test_what_goes_on_waiting_is_a_gap_that_grows() -> None:
    waiting = rows(
        span("run", "order", ("running", 0, None), kind="run", status="running"),
        span("1", "charge", ("running", 0, 100)),
        span("2", "approval", ("waiting", 100, None), kind="hook", status="waiting"),
    )
    gaps = find_gaps(waiting, HOUR)
    assert gaps.gaps == [Gap(100, HOUR)]
    later = gaps.end_at(2 * HOUR)
    assert later.gaps == [Gap(100, 2 * HOUR)]
    assert later.squeeze(2 * HOUR) == pytest.approx(gaps.squeeze(HOUR)), "however long it is, it takes as much room"


def test_a_gap_of_a_run_that_ended_does_not_grow() -> None:
    gaps = find_gaps(WAITED, HOUR)
    assert gaps.end_at(9 * HOUR) is gaps


def test_an_attempt_that_runs_on_is_no_gap() -> None:
    running = rows(
        span("run", "order", ("running", 0, None), kind="run", status="running"),
        span("1", "charge", ("running", 0, None), status="running"),
    )
    assert find_gaps(running, HOUR).gaps == []


def test_busy_stretches_and_gaps_make_the_whole() -> None:
    gaps = Gaps([Gap(10, 20), Gap(50, 90)], 1)
    assert list(gaps.list_busy(0, 100)) == [(0, 10), (20, 50), (90, 100)]
    assert list(gaps.list_busy(15, 95)) == [(20, 50), (90, 95)]
    assert list(gaps.list_busy(30, 40)) == [(30, 40)]
    assert gaps.within(30, 40) == [Gap(10, 20)], "one before may reach into it"
    assert list(Gaps().list_busy(0, 100)) == [(0, 100)]


@given(st.lists(st.tuples(st.floats(0.5, 1000), st.floats(2, 1000)), max_size=6), st.floats(0, 10_000))
def test_squeezing_keeps_the_order_and_can_be_undone(parts: list[tuple[float, float]], at_ms: float) -> None:
    found, place = [], 0.0
    for busy, idle in parts:
        found.append(Gap(place + busy, place + busy + idle))
        place += busy + idle
    gaps = Gaps(found, 1.0)
    assert gaps.squeeze(at_ms) <= gaps.squeeze(at_ms + 1)
    assert gaps.stretch(gaps.squeeze(at_ms)) == pytest.approx(at_ms, abs=1e-6)


def test_a_scale_of_squeezed_time_draws_real_instants() -> None:
    gaps = Gaps([Gap(100, 1000)], 100)
    scale = SqueezedScale(0, 300, 30, gaps)
    assert [scale.cell(at) for at in (0, 100, 1000, 1100)] == pytest.approx([0, 10, 20, 30])
    assert [scale.at(cell) for cell in (0, 10, 15, 20, 30)] == pytest.approx([0, 100, 550, 1000, 1100])


@st.composite
def calls(draw: st.DrawFn) -> Row:
    """Draw a call of a few segments, which goes on or has ended."""
    at = draw(st.integers(0, 50_000))
    parts = []
    for kind in draw(st.lists(st.sampled_from(["queued", "running", "waiting"]), min_size=1, max_size=3)):
        parts.append((kind, float(at), float(at := at + draw(st.integers(0, 5_000)))))
    if draw(st.booleans()):
        parts[-1] = (*parts[-1][:2], None)
    return Row(span("1", "charge", *parts), 1)


@given(st.lists(st.tuples(st.integers(0, 20), st.lists(calls(), max_size=6)), max_size=8))
def test_looking_at_what_is_new_finds_the_gaps_of_all(steps: list[tuple[int, list[Row]]]) -> None:
    busy, before = BusyTime(), list[Row]()
    for place, new in steps:
        kept = before[:place] + before[place + len(new) // 2 :]
        now = [*kept[: len(kept) // 2], *new, *kept[len(kept) // 2 :]]
        busy.change(compare_rows(before, now))
        before = now
        found, whole = busy.find_gaps(100_000), find_gaps(now, 100_000)
        assert (found.gaps, found.left_ms, found.is_open) == (whole.gaps, whole.left_ms, whole.is_open)
        assert busy.reach(100_000) == measure(now, 100_000)
