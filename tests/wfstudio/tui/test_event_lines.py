"""Lines of events: which line shows what, however many of them are open."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.events import Event
from wfstudio.text.pen import Pen
from wfstudio.text.widths import cell_width
from wfstudio.tui.event_lines import EventLines, draw_event_line, find_failure, leap

CREATED = 1_800_000_000_000_000


def event(seq: int, type: str = "step_created", **more: object) -> Event:
    known = {"correlation_id": None, "name": None, "attempt": None, "meta": None, "payload": None, "link": b""}
    return Event(run_id="wrun_1", seq=seq, type=type, at=CREATED + seq * 1000, **{**known, **more})


def lines_of(count: int) -> EventLines:
    lines = EventLines()
    lines.events = [event(seq) for seq in range(1, count + 1)]
    return lines


def test_what_an_event_holds_comes_right_below_it() -> None:
    lines = lines_of(4)
    lines.open(2, ["a", "b"])
    shown = [lines.at(line) for line in range(len(lines))]
    assert [(found[0].seq, found[1]) for found in shown if found] == [
        (1, None), (2, None), (2, "a"), (2, "b"), (3, None), (4, None),
    ]  # fmt: skip
    assert lines.at(6) is None
    lines.close(2)
    assert len(lines) == 4


@given(st.integers(1, 40), st.dictionaries(st.integers(1, 40), st.integers(0, 5)))
def test_every_line_is_found_and_no_other(count: int, opened: dict[int, int]) -> None:
    lines = lines_of(count)
    expected: list[tuple[int, str | None]] = []
    for seq in range(1, count + 1):
        contents = [f"{seq}.{part}" for part in range(opened.get(seq, 0))]
        if seq in opened:
            lines.open(seq, contents)
        expected += [(seq, None), *((seq, text) for text in contents)]
    found = [lines.at(line) for line in range(len(lines))]
    assert [(one[0].seq, one[1]) for one in found if one] == expected
    assert all(expected[lines.line_of(seq)] == (seq, None) for seq in range(1, count + 1))


def test_other_widths_draw_what_is_open_anew() -> None:
    lines = lines_of(3)
    lines.open(2, ["one"])
    lines.redraw(lambda event: ["two", f"lines of {event.seq}"])
    assert len(lines) == 5
    assert lines.at(3) == (lines.events[1], "lines of 2")


def test_an_event_is_a_line_of_what_matters() -> None:
    pen = Pen(width=70, has_colour=False)
    made = event(7, "step_retrying", correlation_id=3, name="shop:charge", attempt=2, payload=b"x" * 1234)
    assert draw_event_line(pen, made, CREATED, 3) == (
        "  7     7.0 ms  step_retrying        3 charge #2               1.2 KB"
    )


@pytest.mark.parametrize("width", [60, 80, 200])
def test_no_line_is_wider_than_it_may_be(width: int) -> None:
    made = event(7, name="shop:" + "日本" * 60, correlation_id=123, attempt=12, payload=b"x")
    assert cell_width(draw_event_line(Pen(width=width, has_colour=False), made, CREATED, 3)) <= width


def test_names_from_users_are_escaped() -> None:
    line = draw_event_line(Pen(width=80, has_colour=False), event(1, name="\x1b[2J\u202ex"), CREATED, 1)
    assert line.isprintable()


def test_failures_are_found_round_from_the_beginning() -> None:
    log = [event(1), event(2, "step_retrying"), event(3), event(4, "run_failed")]
    assert [find_failure(log, seq) for seq in (1, 2, 3, 4)] == [2, 4, 4, 2]
    assert find_failure(log[:1], 1) is None


def test_a_leap_is_a_tenth_of_the_log_or_five_events() -> None:
    assert leap(10, 1, 20) == 15
    assert leap(10, -1, 20) == 5
    assert leap(500, 1, 1000) == 600
    assert (leap(2, -1, 20), leap(19, 1, 20)) == (1, 20)
