"""Golden histories: a run that began on one Python, or with an earlier wf, goes on on this one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.laws import golden
from tests.laws.shapes import SHAPES
from tests.laws.stage import make_replay
from wf import events

HISTORIES = golden.read()


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.id)
def test_a_golden_history_replays(history: golden.History):
    replay = make_replay(golden.WORKFLOW)
    replay.replay(history.log)
    assert replay.is_ended
    assert replay.take_commands() == []
    replay.close()


@pytest.mark.parametrize("history", HISTORIES, ids=lambda history: history.id)
def test_a_body_does_today_what_it_did_then(history: golden.History):
    assert golden.play(history.shape, history.seed, history.cancel_after) == history


def test_every_shape_has_its_golden_histories():
    assert {(history.shape, history.seed) for history in HISTORIES} == {
        (shape, seed) for shape in SHAPES for seed, _ in golden.PLAYS
    }


def test_golden_histories_end_in_every_way_and_name_no_files():
    ends = {history.rows[-1][0] for history in HISTORIES} | {row[0] for history in HISTORIES for row in history.rows}
    assert ends >= {
        events.RUN_COMPLETED,
        events.RUN_FAILED,
        events.RUN_CANCELLED,
        events.WAIT_COMPLETED,
        events.STEP_FAILED,
    }
    assert not any(str(Path(__file__).parent) in str(row) or ".py" in str(row) for h in HISTORIES for row in h.rows)
