"""Laws over generated bodies: the same log gives the same calls, at every prefix, after every crash."""

from __future__ import annotations

import asyncio
import os
import random
import selectors
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import wf
from tests.laws.bodies import Driver, Program, interpret, observed, play, programs, replayed_commands
from tests.laws.stage import describe_state, make_replay
from wf.engine import commands

IS_CI = bool(os.environ.get("CI"))
seeds = st.integers(0, 2**32)
laws = settings(
    max_examples=60 if IS_CI else 120,
    derandomize=IS_CI,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)


@laws
@given(program=programs(), seed=seeds, cancel_after=st.none() | st.integers(1, 12))
def test_a_replay_makes_the_calls_that_the_live_run_made(program: Program, seed: int, cancel_after: int | None):
    driver = Driver(program, seed)
    driver.run(cancel_after=cancel_after)
    assert replayed_commands(program, driver.log) == driver.made
    again = make_replay(observed([]))
    again.replay(driver.log)
    assert again.is_ended
    assert again.take_commands() == []
    again.close()
    driver.close()


@laws
@given(program=programs(), seed=seeds, cancel_after=st.none() | st.integers(1, 12))
def test_every_prefix_replays_to_what_the_live_body_waited_for(program: Program, seed: int, cancel_after: int | None):
    driver = Driver(program, seed)
    driver.run(cancel_after=cancel_after)
    for bound, state in zip(driver.bounds, driver.states, strict=True):
        again = make_replay(observed([]))
        again.replay(driver.log[:bound])
        assert describe_state(again) == state
        assert again.take_commands() == []
        again.close()
    driver.close()


@laws
@given(program=programs(), seed=seeds, cancel_after=st.none() | st.integers(1, 12))
def test_no_result_is_delivered_twice(program: Program, seed: int, cancel_after: int | None):
    driver = Driver(program, seed)
    driver.run(cancel_after=cancel_after)
    [notes] = driver.notes
    assert len(set(notes)) == len(notes)
    driver.close()


@laws
@given(program=programs(), seed=seeds, crashes=st.lists(st.tuples(seeds, st.integers(1, 15)), min_size=1, max_size=4))
def test_a_run_that_crashes_anywhere_and_goes_on_in_another_order_ends_with_a_log_that_replays(
    program: Program, seed: int, crashes: list[tuple[int, int]]
):
    driver = Driver(program, seed)
    for next_seed, turns in crashes:
        for _ in range(turns):
            if driver.replay.is_ended:
                break
            driver.random.choice(driver.choices())()
        # whatever the last commit was, it is whole or it is not there
        kept = driver.random.choice([driver.bounds[-1], random.Random(next_seed).choice(driver.bounds)])
        log = driver.log[:kept]
        driver.close()
        driver = Driver(program, next_seed, log)
        assert len({n for notes in driver.notes for n in notes}) == sum(map(len, driver.notes))
    driver.run()
    again = make_replay(observed([]))
    again.replay(driver.log)
    assert again.is_ended
    completed = [e.correlation_id for e, _ in driver.log if e.type in ("step_completed", "step_failed")]
    assert len(set(completed)) == len(completed)
    again.close()
    driver.close()


@laws
@given(program=programs(), seed=seeds)
def test_a_body_that_is_put_away_at_any_point_asks_for_nothing_more(program: Program, seed: int):
    driver = Driver(program, seed)
    for _ in range(driver.random.randrange(8)):
        if not driver.replay.is_ended:
            driver.random.choice(driver.choices())()
    driver.close()
    assert driver.replay.take_commands() == []
    assert not driver.replay.body.loop.tasks


# -- through a worker ---------------------------------------------------------------------------


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits: the time that it should is added to the loop's clock."""

    seconds = 0.0

    def select(self, timeout: float | None = None) -> Any:
        if timeout is not None and timeout > 0:
            self.seconds += timeout
        return super().select(0)


class _JumpingLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumps = _JumpingSelector()
        super().__init__(self._jumps)

    def time(self) -> float:
        return self._jumps.seconds


class _PlainCalls:
    """The interpreter's calls without wf: what a developer expects of the same code in plain asyncio."""

    def note(self, number: int) -> None:
        pass

    async def step(self, number: int) -> str:
        await asyncio.sleep(0.001)
        return f"worked {number}"

    async def flaky(self, number: int, failures: int) -> str:
        await asyncio.sleep(sum(2**n for n in range(failures)))
        return f"worked {number} after {failures} failures"

    async def broken(self, number: int) -> str:
        await asyncio.sleep(0.001)
        raise wf.FatalError(f"broken {number}")

    async def hook(self, number: int) -> Any:
        raise AssertionError("nobody is outside")


def run_plainly(program: Program) -> Any:
    with asyncio.Runner(loop_factory=_JumpingLoop) as runner:
        try:
            return runner.run(interpret(program, _PlainCalls()))
        except wf.FatalError:
            return "failed"


async def _run_durably(env: Any, program: Program) -> Any:
    run = await wf.start(play, program)
    try:
        value = await run.return_value(timeout=20)
    except wf.WorkflowRunFailedError as error:
        value = "failed" if isinstance(error.__cause__, wf.FatalError) else error
    path = wf.testing.record(run, f"{os.environ['LAWS_FOLDER']}/history.json")
    env.replay(path)
    return value


@settings(parent=laws, max_examples=40 if IS_CI else 60)
@given(program=programs(is_timed=True))
def test_a_worker_gives_what_plain_asyncio_gives(wf_env: Any, program: Program):
    assert wf_env.runner.run(_run_durably(wf_env, program)) == run_plainly(program)


@pytest.fixture(autouse=True)
def _folder(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LAWS_FOLDER", str(tmp_path_factory.mktemp("laws")))


# -- what the laws above stand on ---------------------------------------------------------------


def test_the_generated_programs_reach_every_kind_of_call():
    """A law over programs that never race says nothing of races."""
    seen: set[str] = set()

    @settings(max_examples=200, derandomize=True, deadline=None, database=None)
    @given(program=programs(), seed=seeds)
    def look(program: Program, seed: int) -> None:
        driver = Driver(program, seed)
        driver.run()
        seen.update(str(row[0]) for row in driver.made)
        seen.update(event.type for event, _ in driver.log)
        seen.update("lost a race" for row in driver.made if row[0] is None)
        driver.close()

    look()
    assert {
        "step_created", "step_started", "step_retrying", "step_completed", "step_failed", "wait_created",
        "wait_completed", "hook_created", "hook_received", "hook_disposed", "run_completed", "run_failed",
        "lost a race",
    } <= seen  # fmt: skip
    assert commands.DropWait.event is None
