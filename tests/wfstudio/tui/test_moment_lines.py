"""Moments in a pane: source and variables beside each other, in whatever room there is."""

from __future__ import annotations

import pytest

from wfstudio.core.bench.views import (
    AwaitView,
    FrameView,
    LineView,
    LocalView,
    MomentEventView,
    MomentView,
    TaskView,
    TroubleView,
    ValueView,
)
from wfstudio.text.pen import Pen
from wfstudio.text.widths import cell_width
from wfstudio.tui.moment_lines import draw_moment_pane

SOURCE = [
    LineView(61, "        prices = await gather(items)"),
    LineView(62, "        if prices:"),
    LineView(63, "            receipt = await charge(card, sum(prices))"),
]


def local(name: str, text: str, change: str | None = None) -> LocalView:
    return LocalView(name=name, value=ValueView(type="str", text=text), change=change)  # type: ignore[arg-type]


def moment(**facts: object) -> MomentView:
    frame = FrameView(
        file="shop.py", line=63, function="order", source=SOURCE,
        locals=[local("items", "['tea']"), local("prices", "[4.5]", "new"), local("card", "'4242'", "changed")],
        gone=["total"],
    )  # fmt: skip
    task = TaskView(number=1, name="main", frames=[frame], awaits=AwaitView(kind="step", text="step charge"))
    event = MomentEventView(
        seq=7, type="step_completed", at="2026-01-01T00:00:00Z", correlation_id=2, name="shop:price"
    )
    known: dict[str, object] = {"is_own": True, "tasks": [task], "seq": 7, "events": 9, "reached_seq": 9}
    return MomentView(run_id="wrun_1", workflow="shop:order", status="running", event=event, **{**known, **facts})


def test_variables_are_beside_the_source_where_there_is_room() -> None:
    assert draw_moment_pane(Pen(width=80, has_colour=False), moment()) == [
        "step_completed price (call 2)",
        "main  waits for step charge",
        "shop.py:63 in order",
        "  61  prices = await gather(items)                       items   ['tea']",
        "  62  if prices:                                       + prices  [4.5]",
        "▶ 63      receipt = await charge(card, sum(prices))    * card    '4242'",
        "                                                       - total",
    ]


def test_variables_are_below_the_source_where_there_is_none() -> None:
    lines = draw_moment_pane(Pen(width=50, has_colour=False), moment())
    assert lines[3:] == [
        "  61  prices = await gather(items)",
        "  62  if prices:",
        "▶ 63      receipt = await charge(card, sum(prices))",
        "    items   ['tea']",
        "  + prices  [4.5]",
        "  * card    '4242'",
        "  - total",
    ]


def test_a_terminal_without_unicode_gets_plain_signs() -> None:
    lines = draw_moment_pane(Pen(width=80, has_colour=False, is_unicode=False), moment())
    assert all(line.isascii() for line in lines)
    assert lines[5].startswith("> 63")


@pytest.mark.parametrize("width", [40, 71, 72, 90, 160])
def test_colour_takes_no_room_and_long_lines_are_cut(width: int) -> None:
    frame = FrameView(
        file="shop.py", line=1, function="f", source=[LineView(1, "x = " + "日本" * 80)],
        locals=[local("y", "z" * 300)],
    )  # fmt: skip
    view = moment(tasks=[TaskView(number=1, name="main", frames=[frame])])
    plain = draw_moment_pane(Pen(width=width, has_colour=False), view)
    if width >= 72:
        assert max(cell_width(line) for line in plain) <= width
    painted = draw_moment_pane(Pen(width=width), view)
    assert len(painted) == len(plain)


def test_code_that_is_another_and_code_that_goes_no_further_are_told() -> None:
    trouble = TroubleView(code="NONDETERMINISM", message="the body sleeps now", where="shop.py:9 in order")
    view = moment(is_own=False, deployment_id="dep_2", trouble=trouble, reached_seq=7)
    lines = draw_moment_pane(Pen(width=80, has_colour=False), view)
    assert "replayed by dep_2, which is not the run's own code" in lines
    assert "this code goes no further at shop.py:9 in order: the body sleeps now" in lines


def test_a_run_that_had_not_begun_says_so() -> None:
    assert draw_moment_pane(Pen(width=80, has_colour=False), moment(has_begun=False))[1:] == ["the run had not begun"]


def test_nothing_that_users_wrote_steers_a_terminal() -> None:
    hostile = "\x1b[2J\u202ex"
    frame = FrameView(
        file=hostile, line=1, function=hostile, source=[LineView(1, hostile)], locals=[local(hostile, hostile)],
        gone=[hostile],
    )  # fmt: skip
    view = moment(tasks=[TaskView(number=1, name=hostile, frames=[frame])])
    for width in (50, 90):
        lines = draw_moment_pane(Pen(width=width, has_colour=False), view)
        assert all(line.isprintable() for line in lines)
