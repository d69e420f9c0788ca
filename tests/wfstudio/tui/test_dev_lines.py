"""What the dev screen says, word for word."""

from __future__ import annotations

from typing import Any

import pytest

from wfstudio.core.live import LiveEvent
from wfstudio.text.pen import Pen
from wfstudio.tui.dev_lines import Diverging, draw_event, draw_status, draw_verdict, make_command

PLAIN = Pen(width=100, has_colour=False)
SERVED = {"deployment_id": "dep_2", "workflows": ["a", "b"], "pids": [7, 8]}
VERDICT: dict[str, Any] = {
    "run_id": "wrun_1",
    "workflow": "flow:order",
    "trouble": {
        "code": "NONDETERMINISM",
        "message": "position 1 recorded step charge, the body now sleeps",
        "seq": 4,
        "recorded": "step charge\x1b[2J",
        "actual": "a sleep",
        "where": "flow.py:9 in order",
    },
}


def test_where_no_dev_server_runs_it_is_said_how_to_start_one() -> None:
    assert draw_status(PLAIN, None, None) == [
        "no wf dev runs beside this world",
        "",
        "start it in the project, and it appears here:",
        "",
        "  wf dev",
    ]


def test_what_is_served_is_told_with_what_is_pegged_and_why_nothing_newer_is() -> None:
    status = {
        "current": SERVED,
        "pegged": [{"deployment_id": "dep_1", "workflows": ["a"], "pids": []}],
        "is_paused": True,
        "error": {"message": "name 'x' is not defined", "where": "flow.py:3", "hint": "mend it"},
        "nondeterministic": [],
    }
    assert draw_status(PLAIN, status, "http://127.0.0.1:4600") == [
        "serves   dep_2  2 workflows, process 7, 8",
        "pegged   dep_1  1 workflow, no process",
        "studio   http://127.0.0.1:4600",
        "reloading is paused",
        "the code on the disk does not load:",
        "name 'x' is not defined",
        "  at flow.py:3",
        "  fix: mend it",
    ]
    assert draw_status(PLAIN, {"current": None}, None) == ["nothing is loaded"]


def test_a_verdict_tells_both_calls_and_where() -> None:
    assert draw_verdict(PLAIN, None) == ["every run in flight fits the code as it is"]
    assert draw_verdict(PLAIN, VERDICT) == [
        "wrun_1  flow:order",
        r"recorded  step charge\x1b[2J",
        "now       a sleep",
        "at        flow.py:9 in order",
    ]
    unknown = {**VERDICT, "trouble": {"code": "NOT_REGISTERED", "message": "no workflow flow:order"}}
    assert draw_verdict(PLAIN, unknown) == ["wrun_1  flow:order", "no workflow flow:order"]
    assert Diverging([unknown]).cells(0) == ("wrun_1", "flow:order", "", ("no workflow flow:order", "warning"))


@pytest.mark.parametrize(
    ("action", "command"),
    [
        ("keep", "wf inspect wrun_1"),
        ("fork", "wf fork wrun_1 --from 3"),
        ("restart", "wf fork wrun_1 --from 1"),
        ("cancel", "wf cancel wrun_1"),
    ],
)
def test_a_remedy_has_a_command_that_comes_to_the_same(action: str, command: str) -> None:
    assert make_command(VERDICT, action) == command


KILLED = {"pid": 7, "cause": "killed by SIGKILL", "restart_ms": 500}
REFUSED = {"slug": "world", "message": "no world", "where": None, "hint": "open one"}


@pytest.mark.parametrize(
    ("kind", "data", "lines"),
    [
        ("worker", KILLED, ["worker 7: killed by SIGKILL, a new one starts in 0.5 s"]),
        ("error", {"message": "no disk", "hint": None}, ["no disk"]),
        ("error", {"error": REFUSED}, ["no world", "  fix: open one"]),
        ("fault", {"change": "cleared", "ids": ["f1"]}, ["faults taken back: f1"]),
        ("check", {"findings": [], "before": 0, "errors": 0, "codes": {}}, []),
        ("gap", {}, []),
        ("something\x1bnew", {}, [r"something\x1bnew"]),
    ],
)
def test_what_the_server_says_is_said_in_the_words_of_its_own_terminal(kind: str, data: Any, lines: list[str]) -> None:
    assert draw_event(PLAIN, LiveEvent(1, kind, data)) == lines
