"""Cameras: they stay within the run, keep what one points at, and follow what grows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfstudio.tui.camera import SHORTEST_MS, Camera, list_ticks, show_tick

WHOLE = Camera.whole(0, 1000)


def test_zooming_keeps_the_instant_that_is_pointed_at() -> None:
    near = WHOLE.zoom(0.5, 200)
    assert (near.start_ms, near.end_ms) == (100, 600)
    assert (200 - near.start_ms) / 500 == 200 / 1000
    assert WHOLE.zoom(0.5)[2:] == (250, 750)


def test_zooming_out_ends_with_the_whole_run() -> None:
    assert WHOLE.zoom(0.1, 900).zoom(100, 900) == WHOLE
    assert WHOLE.zoom(2) == WHOLE


def test_zooming_in_ends_at_a_microsecond() -> None:
    camera = WHOLE
    for _ in range(200):
        camera = camera.zoom(0.5, 500)
    assert camera.end_ms - camera.start_ms >= SHORTEST_MS


def test_panning_stops_at_the_ends() -> None:
    near = WHOLE.zoom(0.5)
    assert near.pan(0.25)[2:] == (375, 875)
    assert near.pan(10)[2:] == (500, 1000)
    assert near.pan(-10)[2:] == (0, 500)


def test_a_camera_that_shows_all_of_a_run_follows_it() -> None:
    assert WHOLE.grow(0, 5000) == Camera.whole(0, 5000)


def test_a_camera_at_the_end_of_a_run_stays_there_and_one_elsewhere_stays_put() -> None:
    assert WHOLE.show(900, 1000).grow(0, 2000)[2:] == (1890, 2000)
    assert WHOLE.show(100, 200).grow(0, 2000)[2:] == (90, 210)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("zoom"), st.floats(0.01, 100), st.floats(-100, 2000)),
            st.tuples(st.just("pan"), st.floats(-5, 5), st.just(0.0)),
            st.tuples(st.just("show"), st.floats(-10, 1500), st.floats(0, 500)),
            st.tuples(st.just("grow"), st.floats(0, 100_000), st.just(0.0)),
        )
    )
)
def test_no_way_of_looking_leads_out_of_the_run(moves: list[tuple[str, float, float]]) -> None:
    camera, last = WHOLE, 1000.0
    for move, one, other in moves:
        match move:
            case "zoom":
                camera = camera.zoom(one, other)
            case "pan":
                camera = camera.pan(one)
            case "show":
                camera = camera.show(one, one + other)
            case "grow":
                last += one
                camera = camera.grow(0, last)
        assert -1e-6 <= camera.start_ms < camera.end_ms <= last + 1e-6


@pytest.mark.parametrize(
    ("start", "end", "most", "ticks"),
    [
        (0, 1000, 4, [0, 500, 1000]),
        (0, 1000, 10, [0, 100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]),
        (130, 480, 3, [200, 400]),
        (-500, 500, 4, [-500, 0, 500]),
        (0, 7_200_000, 3, [0, 3_600_000, 7_200_000]),
    ],
)
def test_ticks_are_round(start: float, end: float, most: int, ticks: list[float]) -> None:
    assert list(list_ticks(start, end, most)) == ticks


@pytest.mark.parametrize(
    ("at_ms", "text"),
    [
        (0, "0"), (0.001, "0.001 ms"), (250, "250 ms"), (1000, "1 s"), (1234.5, "1.2345 s"), (61_500, "1m 1.5s"),
        (60_000, "1m"), (3_600_000, "1h"), (3_605_000, "1h 5s"), (90_000_000, "1d 1h"), (-500, "-500 ms"),
    ],
)  # fmt: skip
def test_a_tick_is_written_exactly(at_ms: float, text: str) -> None:
    assert show_tick(at_ms) == text
