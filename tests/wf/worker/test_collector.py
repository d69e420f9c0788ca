"""The garbage collector's pace while a worker is open."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from wf.worker import collector


@pytest.fixture(autouse=True)
def own_pace() -> Iterator[None]:
    before = gc.get_threshold()
    yield
    gc.set_threshold(*before)


def test_it_is_slower_while_anybody_is_open_and_then_as_before() -> None:
    gc.set_threshold(700, 10, 10)
    collector.slow_down()
    collector.slow_down()
    assert gc.get_threshold() == collector.PACE
    collector.restore()
    assert gc.get_threshold() == collector.PACE
    collector.restore()
    assert gc.get_threshold() == (700, 10, 10)


def test_a_pace_that_the_program_has_set_is_kept() -> None:
    gc.set_threshold(5_000, 7, 7)
    collector.slow_down()
    assert gc.get_threshold() == (5_000, 7, 7)
    collector.restore()
    assert gc.get_threshold() == (5_000, 7, 7)


def test_one_that_it_sets_meanwhile_is_kept_too() -> None:
    gc.set_threshold(700, 10, 10)
    collector.slow_down()
    gc.set_threshold(1_234, 5, 5)
    collector.restore()
    assert gc.get_threshold() == (1_234, 5, 5)
