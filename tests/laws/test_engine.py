"""The engine under logs written by hand: what a replay accepts, what it refuses, and in which words."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import msgspec
import pytest

import wf
from tests.laws.stage import SECOND, T0, Log, Stage, as_row, load, make_replay, refuse, replay
from wf import codec, events, registry
from wf.engine import commands, loop
from wf.errors import NondeterminismError, WorkflowIOError
from wf.registry import Workflow
from wf.worker import guard

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


def names_of(made: list[commands.Command]) -> list[str]:
    return [type(command).__name__ for command in made]


# -- deliveries ---------------------------------------------------------------------------------


def test_the_body_runs_until_it_blocks_after_each_delivery_and_not_further():
    seen: list[str] = []

    @wf.step(name="one")
    async def one() -> str: ...

    @wf.workflow
    async def flow() -> str:
        async def follow(label: str) -> None:
            seen.append(f"{label} got {await one()}")
            await asyncio.sleep(0)
            seen.append(f"{label} went on")

        await asyncio.gather(follow("a"), follow("b"))
        return "done"

    stage = Stage(flow)
    assert names_of(stage.asked) == ["ScheduleStep", "ScheduleStep"]
    stage.give(lambda log: log.completed(2, "second"))
    assert seen == ["b got second", "b went on"]
    stage.give(lambda log: log.completed(1, "first"))
    assert seen[2:] == ["a got first", "a went on"]
    assert stage.result() == "done"


def test_a_result_for_a_call_that_has_its_result_changes_nothing():
    @wf.step(name="one")
    async def one() -> str: ...

    @wf.workflow
    async def flow() -> list[str]:
        return [await one(), await one()]

    stage = Stage(flow)
    stage.give(lambda log: log.completed(1, "first"))
    assert stage.give(lambda log: log.completed(1, "again")) == []
    assert stage.give(lambda log: log.failed(1, ValueError("again"))) == []
    stage.give(lambda log: log.completed(2, "second"))
    assert stage.result() == ["first", "second"]


def test_results_after_the_end_of_the_run_change_nothing():
    @wf.step(name="one")
    async def one() -> str: ...

    @wf.workflow
    async def flow() -> str:
        task = asyncio.create_task(one())
        await asyncio.sleep(0)
        task.cancel()
        return "ended"

    stage = Stage(flow)
    assert stage.result() == "ended"
    assert stage.give(lambda log: log.completed(1, "late")) == []
    again = make_replay(flow)
    again.replay(stage.log.events)
    assert again.is_ended


def test_the_nth_call_has_correlation_id_n_whatever_it_is():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> None:
        wf.hook(token="t")
        await wf.set_attributes(a="1")
        task = asyncio.create_task(one())
        await asyncio.sleep(3)
        await task

    stage = Stage(flow)
    assert [(type(c).__name__, c.correlation_id) for c in stage.asked] == [
        ("CreateHook", 1),
        ("SetAttributes", 2),
        ("StartWait", 3),
        ("ScheduleStep", 4),
    ]


def test_now_is_the_time_of_the_last_delivered_event():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> list[float]:
        times = [wf.now().timestamp()]
        await one()
        times.append(wf.now().timestamp())
        return times

    stage = Stage(flow)
    stage.give(lambda log: log.completed(1, None))
    start = T0 / SECOND
    assert stage.result() == [start + 1, start + 3]  # created, started, step created, step completed


def test_a_failed_step_raises_in_the_body_with_a_note_that_names_step_and_attempt():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> list[str]:
        try:
            await one()
        except LookupError as error:
            return [str(error), *error.__notes__]
        return []

    stage = Stage(flow)
    stage.give(lambda log: log.failed(1, LookupError("nowhere")))
    text, note = stage.result()
    assert text == "nowhere"
    assert note.startswith("step one failed in attempt 1")


# -- mismatches ---------------------------------------------------------------------------------

RECORDED = """
@wf.step(name="first")
async def first(x): ...
@wf.step(name="second")
async def second(x): ...
@wf.workflow
async def flow():
    a = await first(1)
    b = await second(2)
    await wf.sleep(60)
    return [a, b]
"""


def recorded_log() -> Log:
    """The log of `RECORDED`, until it sleeps."""
    log = Log().step(1, "first", x=1).completed(1, "a").step(2, "second", x=2).completed(2, "b")
    return log.wait(3, 60)


def edit(old: str, new: str) -> str:
    assert RECORDED.count(old) == 1, old
    return RECORDED.replace(old, new)


def test_the_recorded_body_itself_replays():
    made = replay(RECORDED, recorded_log())
    assert list(made.body.waits) == [3]
    assert made.take_commands() == []


# (what was edited, the source, event, recorded, actual, line)
MISMATCHES = [
    (
        "a renamed step",
        edit('name="first"', 'name="erste"'),
        3, "step first (position 1)", "step erste (position 1)", "flow.py:7 in flow",
    ),
    (
        "swapped steps",
        edit("a = await first(1)\n    b = await second(2)", "b = await second(2)\n    a = await first(1)"),
        3, "step first (position 1)", "step second (position 1)", "flow.py:7 in flow",
    ),
    (
        "an added step",
        edit("b = await second(2)", "await first(7)\n    b = await second(2)"),
        5, "step second (position 2)", "step first (position 2)", "flow.py:8 in flow",
    ),
    (
        "a removed step",
        edit("    a = await first(1)\n", "    a = 'a'\n"),
        3, "step first (position 1)", "step second (position 1)", "flow.py:8 in flow",
    ),
    (
        "a step where another kind of call was",
        edit("await wf.sleep(60)", "await first(60)"),
        7, "a sleep (position 3)", "step first (position 3)", "flow.py:9 in flow",
    ),
    (
        "a sleep where a step was",
        edit("b = await second(2)", "b = await wf.sleep(2)"),
        5, "step second (position 2)", "a sleep (position 2)", "flow.py:8 in flow",
    ),
    (
        "a timeout where a sleep was",
        edit("await wf.sleep(60)", "await asyncio.wait_for(asyncio.Event().wait(), 60)"),
        7, "a sleep (position 3)", 'a timeout (position 3) with another time (2023-11-14T22:14:25+00:00)',
        "flow.py:9 in flow",
    ),
    (
        "another argument",
        edit("second(2)", "second(3)"),
        5, "step second (position 2)", "step second (position 2) with another `x`", "flow.py:8 in flow",
    ),
    (
        "an argument of another type that Python holds for equal",
        edit("first(1)", "first(True)"),
        3, "step first (position 1)", "step first (position 1) with another `x`", "flow.py:7 in flow",
    ),
    (
        "an argument by another name",
        edit("async def second(x)", "async def second(y)"),
        5, "step second (position 2)", "step second (position 2) with another `x`, `y`", "flow.py:8 in flow",
    ),
    (
        "another sleep time",
        edit("wf.sleep(60)", "wf.sleep(61)"),
        7, "a sleep (position 3)", "a sleep (position 3) with another time (2023-11-14T22:14:26+00:00)",
        "flow.py:9 in flow",
    ),
    (
        "a body that ends earlier",
        edit("    await wf.sleep(60)\n", ""),
        7, "a sleep (position 3)", "the run's completion", None,
    ),
    (
        "a body that fails earlier",
        edit("await wf.sleep(60)", "raise ValueError(a)"),
        7, "a sleep (position 3)", "the run's failure", None,
    ),
    (
        "a body that waits where it went on",
        edit("b = await second(2)", "b = await asyncio.Event().wait()"),
        5, "step second (position 2)", "nothing: the body waits", "flow.py:8 in flow",
    ),
    (
        "a call more, before a result",
        edit("a = await first(1)", "a, _ = await asyncio.gather(first(1), first(2))"),
        4, "step_completed (position 1) next", "step first (position 2)", "flow.py:7 in flow",
    ),
    (
        "a call more at the end of the log",
        edit("await wf.sleep(60)", "await asyncio.gather(wf.sleep(60), first(9))"),
        8, "nothing more", "step first (position 4)", "flow.py:9 in flow",
    ),
    (
        "a hook where a step was",
        edit("await second(2)", "await wf.hook(token='t')"),
        5, "step second (position 2)", "hook hook (position 2)", "flow.py:8 in flow",
    ),
    (
        "attributes more",
        edit("b = await second(2)", "await wf.set_attributes(k='v')\n    b = await second(2)"),
        5, "step second (position 2)", "a change of attributes (position 2)", "flow.py:8 in flow",
    ),
    (
        "a lock around a step",
        edit("b = await second(2)", "async with wf.lock('door'):\n        b = await second(2)"),
        5, "step second (position 2)", "lock door (position 2)", "flow.py:8 in flow",
    ),
    (
        "a child run where a step was",
        edit("b = await second(2)", "b = await flow()"),
        5, "step second (position 2)", "child run of flow_of_laws:flow (position 2)", "flow.py:8 in flow",
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("source", "seq", "recorded", "actual", "where"),
    [row[1:] for row in MISMATCHES],
    ids=[row[0] for row in MISMATCHES],
)
def test_a_mismatch_names_event_recorded_call_actual_call_and_line(
    source: str, seq: int, recorded: str, actual: str, where: str | None
):
    error = refuse(source, recorded_log())
    assert (error.seq, error.recorded, error.actual, error.where) == (seq, recorded, actual, where)
    assert str(error) == (
        f"run wrun_laws replayed differently: event {seq} recorded {recorded}, the body now makes {actual}"
    )


def test_a_call_that_a_helper_makes_is_placed_in_the_helper():
    source = edit("b = await second(2)", "b = await helper()") + "async def helper():\n    return await second(3)\n"
    assert refuse(source, recorded_log()).where == "flow.py:12 in helper"


def test_another_result_of_the_body_is_a_mismatch():
    log = recorded_log().fired(3).end(["a", "b"])
    replay(RECORDED, log)
    error = refuse(edit("return [a, b]", "return [b, a]"), log)
    assert (error.seq, error.recorded) == (9, "the run's completion")
    assert error.actual == "the run's completion with another value"


def test_a_body_that_goes_on_where_it_ended_is_a_mismatch():
    log = recorded_log().fired(3).end(["a", "b"])
    error = refuse(edit("return [a, b]", "await first(5)\n    return [a, b]"), log)
    assert (error.seq, error.recorded, error.actual) == (9, "the run's completion", "step first (position 4)")
    assert error.where == "flow.py:10 in flow"


def test_arguments_that_do_not_fit_a_new_signature_are_a_mismatch_and_no_failure():
    source = edit("async def flow():", "async def flow(name):")
    error = refuse(source, recorded_log())
    assert (error.seq, error.recorded) == (1, "arguments for another signature")
    assert error.actual.startswith("a call that fails: ")


def test_only_names_of_arguments_are_told_never_their_values():
    source = edit("second(2)", "second('geheim')")
    error = refuse(source, recorded_log())
    assert "geheim" not in str(error) + error.recorded + error.actual


def test_a_traceback_that_moved_by_a_line_above_is_the_same_call():
    source = """
    @wf.step(name="report")
    async def report(error): ...
    @wf.workflow
    async def flow():
        try:
            raise ValueError("x")
        except ValueError as error:
            await report(error)
    """
    with load(source) as flow:
        stage = Stage(flow)
    with load("\n\n# comments\n# above\n" + "x = 1\n" + textwrap.dedent(source)) as moved:
        make_replay(moved).replay(stage.log.events)


def test_a_forced_end_is_no_call_of_the_body():
    log = recorded_log().forced_end()
    made = replay(RECORDED, log)
    assert made.is_ended
    assert made.take_commands() == []


def test_an_end_that_was_not_forced_must_be_made_by_the_body():
    log = recorded_log()
    log.add(events.RUN_CANCELLED)
    error = refuse(RECORDED, log)
    assert (error.recorded, error.actual) == ("the run's cancellation", "nothing: the body waits")
    assert error.where == "flow.py:9 in flow"


# -- time ---------------------------------------------------------------------------------------


def test_a_timer_that_is_cancelled_after_it_fired_drops_nothing():
    """asyncio.timeout cancels its handle in any case when its block is left."""

    @wf.workflow
    async def flow() -> str:
        try:
            async with asyncio.timeout(5):
                await asyncio.Event().wait()
        except TimeoutError:
            return "late"
        return "in time"

    stage = Stage(flow)
    made = stage.give(lambda log: log.fired(1))
    assert names_of(made) == ["CompleteRun"]
    assert stage.result() == "late"


def test_a_timer_that_is_cancelled_before_it_fired_is_dropped_once():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> None:
        async with asyncio.timeout(5):
            await one()

    stage = Stage(flow)
    assert [(type(c).__name__, c.correlation_id) for c in stage.asked] == [("StartWait", 1), ("ScheduleStep", 2)]
    made = stage.give(lambda log: log.completed(2, None))
    assert [(type(c).__name__, c.correlation_id) for c in made] == [("DropWait", 1), ("CompleteRun", None)]


def test_a_wait_that_was_dropped_and_fires_all_the_same_wakes_nobody():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> str:
        async with asyncio.timeout(5):
            await one()
        await wf.sleep(100)
        return "slept"

    stage = Stage(flow)
    stage.give(lambda log: log.completed(2, None))
    assert stage.give(lambda log: log.fired(1)) == []
    stage.give(lambda log: log.fired(3))
    assert stage.result() == "slept"


# -- hooks --------------------------------------------------------------------------------------


def test_a_payload_goes_to_the_newest_await():
    got: list[tuple[str, Any]] = []

    @wf.workflow
    async def flow() -> None:
        hook = wf.hook(token="t")

        async def wait(label: str) -> None:
            got.append((label, await hook))

        await asyncio.gather(wait("old"), wait("new"))

    stage = Stage(flow)
    stage.give(lambda log: log.received(1, 1))
    assert got == [("new", 1)]
    stage.give(lambda log: log.received(1, 2))
    assert got == [("new", 1), ("old", 2)]


def test_a_payload_that_nobody_awaits_is_kept_in_order():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> list[int]:
        hook = wf.hook(token="t")
        await one()
        return [await hook, await hook, await hook]

    stage = Stage(flow)
    stage.give(lambda log: log.received(1, 10))
    stage.give(lambda log: log.received(1, 20))
    stage.give(lambda log: log.completed(2, None))
    stage.give(lambda log: log.received(1, 30))
    assert stage.result() == [10, 20, 30]


def test_an_await_that_lost_a_race_takes_no_payload_from_a_newer_one():
    @wf.workflow
    async def flow() -> list[Any]:
        hook = wf.hook(token="t")
        loser = asyncio.ensure_future(hook)
        await asyncio.wait([loser], timeout=5)
        first = await hook
        return [first, loser.done()]

    stage = Stage(flow)
    stage.give(lambda log: log.fired(2))
    stage.give(lambda log: log.received(1, "for the newer"))
    assert stage.result() == ["for the newer", False]


def test_a_cancelled_await_takes_nothing():
    @wf.workflow
    async def flow() -> list[Any]:
        hook = wf.hook(token="t")
        got = []
        try:
            got.append(await asyncio.wait_for(hook, 5))
        except TimeoutError:
            got.append("late")
        got.append(await hook)
        return got

    stage = Stage(flow)
    stage.give(lambda log: log.fired(2))
    stage.give(lambda log: log.received(1, "kept"))
    assert stage.result() == ["late", "kept"]


def test_a_generated_token_is_the_recorded_one_on_replay():
    @wf.workflow
    async def flow() -> str:
        hook = wf.hook()
        await hook
        return hook.token

    stage = Stage(flow)
    again = make_replay(flow)
    for _ in range(5):
        again._draw_token()
    again.replay(stage.log.events)
    assert again.body.hooks[1].token == stage.replay.body.hooks[1].token == "drawn-0"


# -- determinism --------------------------------------------------------------------------------

ORDERS = """
import asyncio, json, sys
import wf
from tests.laws.stage import Stage, as_row

@wf.step(name="one", cancellable=True)
async def one(x): ...

class Odd:
    pass

@wf.workflow
async def flow():
    order = []
    async def note(x):
        try:
            await one(x)
            order.append(x)
        except asyncio.CancelledError:
            order.append(-x)
            await one(1000 + x)
            raise
    tasks = [asyncio.create_task(note(x), name=str(x)) for x in range(20)]
    done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in pending:          # a set of tasks
        task.cancel()
    await asyncio.wait(pending)
    async def fail():
        await one(77)
        raise ValueError
    try:
        async with asyncio.TaskGroup() as group:
            for x in range(100, 110):
                group.create_task(note(x))
            group.create_task(fail())
    except* ValueError:
        pass
    for next_done in asyncio.as_completed([note(x) for x in range(200, 205)]):
        await next_done
    return order + sorted(order)

ballast = [Odd() for _ in range(int(sys.argv[1]))]      # moves addresses
stage = Stage(flow)
turn = 0
while not stage.replay.is_ended:
    waiting = sorted(stage.replay.body.steps)
    turn += 1
    number = waiting[(turn * 7) % len(waiting)]
    stage.give(lambda log: log.completed(number, None))
print(json.dumps([[row[0], row[1], row[2], row[3], (row[4] or b"").decode()] for row in map(as_row, stage.asked)]))
"""


def test_tasks_and_futures_hash_by_order_of_creation():
    hashes: list[list[int]] = []

    @wf.workflow
    async def flow() -> None:
        loop = asyncio.get_running_loop()
        futures = [loop.create_future() for _ in range(3)]
        tasks = [asyncio.create_task(asyncio.sleep(0)) for _ in range(3)]
        hashes.append([hash(x) for x in [*futures, *tasks]])

    Stage(flow)
    Stage(flow)
    first = hashes[0]
    assert first == list(range(first[0], first[0] + 6))
    assert hashes[1] == first


def test_wait_and_task_groups_cancel_in_the_same_order_in_every_process():
    outputs = []
    for seed, ballast in (("0", "0"), ("1", "12345"), ("4242", "777")):
        done = subprocess.run(
            [sys.executable, "-c", ORDERS, ballast],
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        outputs.append(json.loads(done.stdout))
    assert outputs[0] == outputs[1] == outputs[2]
    assert len(outputs[0]) > 60


def test_an_asynchronous_generator_that_is_dropped_is_closed_at_once_and_in_the_body():
    @wf.step(name="one")
    async def one(x: str) -> str: ...

    @wf.workflow
    async def flow() -> list[str]:
        seen: list[str] = []

        async def produce():
            try:
                for x in range(10):
                    yield await one(str(x))
            finally:
                seen.append(await one("closing"))

        async for value in produce():
            seen.append(value)
            break
        await one("after")
        return seen

    stage = Stage(flow)
    stage.give(lambda log: log.completed(1, "first"))
    # the body goes on; the generator's end is a task of the body, made where it was dropped
    assert [(c.correlation_id, c.data) for c in stage.asked[1:]] == [(2, b'{"x":"after"}'), (3, b'{"x":"closing"}')]
    stage.give(lambda log: log.completed(3, "closed"))
    stage.give(lambda log: log.completed(2, None))
    assert stage.result() == ["first", "closed"]
    make_replay(flow).replay(stage.log.events)


def test_an_asynchronous_generator_is_walked_to_its_end():
    @wf.step(name="one")
    async def one(x: int) -> int: ...

    @wf.workflow
    async def flow() -> int:
        async def produce():
            for x in range(3):
                yield await one(x)

        return sum([x async for x in produce()])

    stage = Stage(flow)
    for number in (1, 2, 3):
        stage.give(lambda log, number=number: log.completed(number, number * 10))
    assert stage.result() == 60


# -- bodies that misbehave ----------------------------------------------------------------------


def test_a_body_that_never_waits_fails_as_spinning(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(loop, "MAX_CALLBACKS", 1000)

    @wf.workflow
    async def flow() -> None:
        while True:
            await asyncio.sleep(0)

    stage = Stage(flow)
    assert stage.asked[-1].meta == '{"code":"RUNTIME_ERROR","error_type":"wf.engine.loop.BodySpins"}'
    assert str(stage.failure()) == "the body ran a million callbacks without waiting for anything"
    assert stage.replay.is_ended
    stage.replay.close()


def test_system_exit_in_a_body_is_the_runs_failure():
    @wf.workflow
    async def flow() -> None:
        raise SystemExit(3)

    stage = Stage(flow)
    assert isinstance(stage.failure(), SystemExit)
    assert '"code":"USER_ERROR"' in (stage.asked[-1].meta or "")


def test_system_exit_in_a_task_of_a_body_is_the_runs_failure():
    @wf.workflow
    async def flow() -> None:
        async def leave() -> None:
            sys.exit("out")

        task = asyncio.create_task(leave())
        await asyncio.sleep(100)
        await task

    stage = Stage(flow)
    assert isinstance(stage.failure(), SystemExit)
    assert stage.replay.is_ended
    stage.replay.close()


def test_a_body_that_swallows_a_cancel_goes_on_and_may_still_complete():
    @wf.step(name="one")
    async def one() -> str: ...

    @wf.workflow
    async def flow() -> str:
        try:
            await wf.sleep(100)
        except asyncio.CancelledError as error:
            return f"{error.args[0]}, but {await one()}"
        return "slept"

    stage = Stage(flow)
    assert names_of(stage.give(lambda log: log.cancel("stop it"))) == ["DropWait", "ScheduleStep"]
    stage.give(lambda log: log.completed(2, "no"))
    assert stage.result() == "stop it, but no"
    make_replay(flow).replay(stage.log.events)


def test_a_cancel_that_nobody_catches_ends_the_run_as_cancelled_with_its_reason():
    @wf.workflow
    async def flow() -> None:
        await wf.sleep(100)

    stage = Stage(flow)
    made = stage.give(lambda log: log.cancel("stop it"))
    assert names_of(made) == ["DropWait", "CancelRun"]
    assert made[-1].data == b'"stop it"'


@pytest.mark.parametrize("waits_for", ["nothing", "step", "sleep", "hook", "lock", "child", "group"])
def test_a_body_that_swallows_everything_is_put_away_and_its_calls_never_run(waits_for: str):
    ran: list[str] = []

    @wf.step(name="one")
    async def one() -> None:
        ran.append("the step's function")

    @wf.workflow
    async def flow() -> None:
        async def once() -> None:
            match waits_for:
                case "nothing":
                    await asyncio.Event().wait()
                case "step":
                    await one()
                case "sleep":
                    await wf.sleep(5)
                case "hook":
                    await wf.hook(token="t")
                case "lock":
                    async with wf.lock("door"):
                        await one()
                case "child":
                    await flow()
                case "group":
                    await asyncio.gather(one(), one())

        while True:
            try:
                await once()
            except BaseException:
                continue

    stage = Stage(flow)
    asked = len(stage.asked)
    stage.give(lambda log: log.forced_end())
    assert stage.replay.is_ended
    assert len(stage.asked) == asked
    del stage
    gc.collect()
    assert ran == []


def test_a_task_left_behind_that_swallows_everything_does_not_keep_the_run_from_ending():
    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow
    async def flow() -> str:
        async def stubborn() -> None:
            while True:
                try:
                    await one()
                except BaseException:
                    continue

        task = asyncio.create_task(stubborn())
        await wf.sleep(1)
        return "done" if not task.done() else "?"

    stage = Stage(flow)
    stage.give(lambda log: log.fired(1))
    assert stage.result() == "done"
    again = make_replay(flow)
    again.replay(stage.log.events)
    again.close()
    stage.replay.close()


def test_closing_a_body_makes_no_calls_and_runs_no_step():
    ran: list[str] = []

    @wf.step(name="clean")
    async def clean() -> None:
        ran.append("the step's function")

    @wf.step(name="clean-plain")
    def clean_plain() -> None:
        ran.append("the plain step's function")

    @wf.workflow
    async def flow() -> None:
        hook = wf.hook(token="t")

        async def beside() -> None:
            try:
                await asyncio.Event().wait()
            finally:
                try:
                    await clean()
                finally:
                    await clean_plain()

        task = asyncio.create_task(beside())
        try:
            async with hook, wf.lock("door"), asyncio.timeout(50):
                await hook
        finally:
            try:
                await asyncio.gather(clean(), beside())
            finally:
                await wf.set_attributes(a="b")
                await task

    stage = Stage(flow)
    asked = len(stage.asked)
    stage.replay.close()
    assert stage.replay.take_commands() == []
    assert len(stage.asked) == asked
    assert ran == []
    assert not stage.replay.body.loop.tasks


async def test_closing_a_body_makes_no_task_on_the_loop_that_closes_it():
    started: list[str] = []

    @wf.workflow
    async def flow() -> None:
        async def straggler() -> None:
            started.append("straggler")

        try:
            await asyncio.Event().wait()
        finally:
            straggler_task = asyncio.create_task(straggler())
            await straggler_task

    stage = Stage(flow)
    before = asyncio.all_tasks()
    stage.replay.close()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert started == []


@pytest.mark.skipif(sys.version_info < (3, 12), reason="tasks begin in their first turn there")
def test_a_task_that_is_asked_to_begins_at_once():
    @wf.step(name="do")
    async def do(number: int) -> None: ...

    @wf.workflow
    async def flow() -> None:
        loop = asyncio.get_running_loop()
        late = asyncio.create_task(do(3))
        eager = loop.create_task(do(1), eager_start=True)  # `asyncio.create_task` passes it on since 3.14
        assert asyncio.current_task() is not eager
        await do(2)
        await late
        await eager

    with registry.isolated():
        stage = Stage(flow)
    assert [codec.decode_arguments(command.data) for command in stage.asked] == [{"number": n} for n in (1, 2, 3)]
    stage.replay.close()
    assert not stage.replay.body.loop.tasks


async def test_closing_a_body_does_not_show_it_the_task_that_closes_it():
    """From Python 3.14 on a thread has one current task, whatever the loop."""
    seen: list[object] = []

    @wf.workflow
    async def flow() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            seen.append(asyncio.current_task())

    stage = Stage(flow)
    mine = asyncio.current_task()
    stage.replay.close()
    assert seen == [None]
    assert asyncio.current_task() is mine


CLEANS_UP = """
    import asyncio
    import wf

    @wf.step(name="do")
    async def do(what: str) -> str: ...

    @wf.workflow(name="tidy")
    async def tidy() -> None:
        try:
            await do("work")
        finally:
            await do("clean")
            await do("sweep")
"""


def _fail_and_clean_up(workflow: Workflow[..., Any]) -> Stage:
    stage = Stage(workflow)
    stage.give(lambda log: log.failed(1, ValueError("no")))
    stage.give(lambda log: log.completed(2, None))
    stage.give(lambda log: log.completed(3, None))
    return stage


def test_a_run_that_ran_on_after_its_failure_says_since_when_it_had_failed():
    with load(CLEANS_UP, "tidy") as tidy:
        stage = _fail_and_clean_up(tidy)
    end, _ = stage.log.events[-1]
    assert end.type == events.RUN_FAILED
    failed = next(event.seq for event, _ in stage.log.events if event.type == events.STEP_FAILED)
    assert end.meta == f'{{"code":"USER_ERROR","error_type":"builtins.ValueError","since":{failed}}}'


def test_a_run_that_failed_at_once_says_nothing_of_since():
    with load(CLEANS_UP, "tidy") as tidy:
        stage = Stage(tidy)
        stage.give(lambda log: log.completed(1, None))
        stage.give(lambda log: log.completed(2, None))
        stage.give(lambda log: log.failed(3, ValueError("no")))
    assert stage.log.events[-1][0].meta == '{"code":"USER_ERROR","error_type":"builtins.ValueError"}'


@pytest.mark.parametrize("since", ["", ',"since":1', ',"since":2'])
def test_a_log_that_says_otherwise_or_nothing_of_since_when_a_run_had_failed_replays(since: str):
    with load(CLEANS_UP, "tidy") as tidy:
        log = _fail_and_clean_up(tidy).log.events
        end, data = log[-1]
        meta = f'{{"code":"USER_ERROR","error_type":"builtins.ValueError"{since}}}'
        make_replay(tidy).replay([*log[:-1], (msgspec.structs.replace(end, meta=meta), data)])
        meta = f'{{"code":"USER_ERROR","error_type":"builtins.KeyError"{since}}}'
        with pytest.raises(NondeterminismError):
            make_replay(tidy).replay([*log[:-1], (msgspec.structs.replace(end, meta=meta), data)])


def test_an_exception_object_that_many_bodies_raise_is_marked_in_each_anew():
    source = """
    import wf

    @wf.step(name="do")
    async def do(what: str) -> str: ...

    OUT = ValueError("out")

    @wf.workflow(name="again")
    async def again(turns: int) -> None:
        for _ in range(turns):
            await do("turn")
        try:
            raise OUT
        finally:
            await do("clean")
"""
    with load(source, "again") as again:
        for life, turns in enumerate((4, 2)):
            stage = Stage(again, turns=turns)
            stage.replay.body.loop._life += life  # as of another run
            for number in range(1, turns + 2):
                stage.give(lambda log, number=number: log.completed(number, None))
            assert f'"since":{2 * turns + 2}}}' in str(stage.log.events[-1][0].meta)


HAS_A_CHILD = """
    import wf

    @wf.workflow(name="kid")
    async def kid() -> None: ...

    @wf.workflow(name="parent")
    async def parent() -> None:
        await kid()
"""


def _cancel_with_child(parent: Workflow[..., Any]) -> Stage:
    stage = Stage(parent)
    stage.give(lambda log: log.cancel("enough"))
    return stage


def test_a_call_of_a_child_that_is_cancelled_is_recorded_before_the_end():
    with load(HAS_A_CHILD, "parent") as parent:
        log = _cancel_with_child(parent).log.events
        make_replay(parent).replay(log)
    *_, started, _, given_up, end = [event for event, _ in log]
    assert (given_up.type, given_up.correlation_id, given_up.name) == (events.CHILD_CANCELLED, 1, "kid")
    assert (given_up.meta, end.type) == (started.meta, events.RUN_CANCELLED)


def test_a_log_of_before_children_were_cancelled_with_their_parents_replays():
    with load(HAS_A_CHILD, "parent") as parent:
        log = _cancel_with_child(parent).log.events
        make_replay(parent).replay([event for event in log if event[0].type != events.CHILD_CANCELLED])


def test_a_child_that_is_given_up_where_the_body_does_not_is_a_mismatch():
    with load(HAS_A_CHILD, "parent") as parent:
        log = _cancel_with_child(parent).log.events
    other = HAS_A_CHILD.replace("await kid()", "await (await wf.start(kid)).return_value()")
    with load(other, "parent") as parent, pytest.raises(NondeterminismError, match="cancelling the child run of kid"):
        make_replay(parent).replay(log)


def test_a_child_that_was_given_up_by_force_is_no_call_of_the_body():
    with load(HAS_A_CHILD, "parent") as parent:
        log = Stage(parent).log
        started = log.events[-1][0]
        meta = str(started.meta).replace("}", ',"forced":true}')
        log.add(events.CHILD_CANCELLED, 1, "kid", None, meta).forced_end()
        make_replay(parent).replay(log.events)


def test_what_a_task_left_behind_still_calls_is_not_recorded():
    @wf.step(name="one")
    async def one(x: str) -> None: ...

    @wf.workflow
    async def flow() -> str:
        async def beside() -> None:
            try:
                await one("beside")
            finally:
                await one("after the end")

        beside_task = asyncio.create_task(beside())
        await asyncio.sleep(0)
        return "done" if not beside_task.done() else "?"

    stage = Stage(flow)
    assert [(type(c).__name__, c.data) for c in stage.asked] == [
        ("ScheduleStep", b'{"x":"beside"}'),
        ("CompleteRun", b'"done"'),
    ]


# -- I/O ----------------------------------------------------------------------------------------

IO = {
    "loop.run_in_executor": lambda: asyncio.get_running_loop().run_in_executor(None, print),
    "loop.create_connection": lambda: asyncio.open_connection("localhost", 1),
    "loop.create_server": lambda: asyncio.start_server(print, "localhost", 0),
    "loop.subprocess_exec": lambda: asyncio.create_subprocess_exec("true"),
    "loop.subprocess_shell": lambda: asyncio.create_subprocess_shell("true"),
    "loop.getaddrinfo": lambda: asyncio.get_running_loop().getaddrinfo("localhost", 1),
    "loop.call_soon_threadsafe": lambda: asyncio.get_running_loop().call_soon_threadsafe(print),
    "loop.add_signal_handler": lambda: asyncio.get_running_loop().add_signal_handler(2, print),
    "asyncio.to_thread": lambda: asyncio.to_thread(print),
}


@pytest.mark.parametrize("what", list(IO))
def test_a_loop_method_that_would_do_io_is_refused(what: str):
    @wf.workflow
    async def flow() -> str:
        try:
            await IO[what]()
        except WorkflowIOError as error:
            return str(error)
        return "done"

    name = what.replace("asyncio.to_thread", "loop.run_in_executor")
    stage = Stage(flow)
    assert stage.result() == f"a workflow body cannot use `{name}`: it would not replay; move it into a step"


def _connect() -> None:
    with socket.socket() as made:
        made.connect(("127.0.0.1", 9))


GUARDED = {
    "a socket": _connect,
    "a name lookup": lambda: socket.getaddrinfo("localhost", 80),
    "a subprocess": lambda: subprocess.run(["true"], check=True),
    "a thread": lambda: threading.Thread(target=print).start(),
}


@pytest.mark.parametrize("what", list(GUARDED))
async def test_io_without_the_loop_is_refused_in_a_body_and_allowed_beside_it(what: str):
    @wf.workflow
    async def flow() -> str:
        try:
            GUARDED[what]()
        except WorkflowIOError as error:
            return str(error)
        return "done"

    guard.install()
    try:
        stage = Stage(flow)
        assert stage.result() == f"a workflow body cannot use {what}: it would not replay; move it into a step"
        if what != "a socket":
            GUARDED[what]()
    finally:
        guard.uninstall()


# -- the end ------------------------------------------------------------------------------------


def test_a_result_that_cannot_be_carried_fails_the_run():
    @wf.workflow
    async def flow() -> Any:
        return {"handler": print}

    error = Stage(flow).failure()
    assert str(error) == "result['handler']: builtin_function_or_method cannot be carried"


def test_a_recorded_error_of_a_class_that_is_gone_is_raised_as_step_error():
    source = (
        edit("a = await first(1)", "a = await caught(first(1))")
        + """
async def caught(call):
    try:
        return await call
    except wf.StepError as error:
        return error.type_name
"""
    )
    content = b'{"$exception":{"type":"gone.module:Gone","message":"why","args":["why"]}}'
    log = Log().step(1, "first", x=1).add(events.STEP_FAILED, 1, None, 1, "{}", content)
    log.step(2, "second", x=2).completed(2, "b").wait(3, 60).fired(3).end(["gone.module.Gone", "b"])
    assert replay(source, log).is_ended


def test_a_live_body_and_its_replay_make_the_same_commands():
    with load(RECORDED) as flow:
        live = Stage(flow)
        live.give(lambda log: log.completed(1, "a"))
        live.give(lambda log: log.completed(2, "b"))
        live.give(lambda log: log.fired(3))
        again = make_replay(flow)
        made: list[Any] = []
        for event, data in live.log.events:
            if event.type not in events.CALLS:
                again.apply(event, data)
                made += again.take_commands()
    assert [as_row(c) for c in made] == [as_row(c) for c in live.asked]


def test_a_nondeterminism_error_keeps_the_run_it_is_about():
    with pytest.raises(NondeterminismError) as caught, load(edit("first(1)", "first(2)")) as flow:
        make_replay(flow).replay(recorded_log().events)
    assert caught.value.run_id == "wrun_laws"


# -- what earlier versions have written ---------------------------------------------------------

CANCELS = """
@wf.step(name="one", cancellable=True)
async def one(): ...

@wf.step(name="two")
async def two(): ...

@wf.workflow(name="flow")
async def flow():
    first = asyncio.create_task(one())
    await wf.hook(token="go")
    first.cancel()
    return await two()
"""


def test_the_end_of_a_cancelled_step_may_stand_before_the_calls_that_followed():
    log = Log().hook(1, "go").step(2, "one", attempt=0).received(1, None)
    log.failed(2, asyncio.CancelledError()).step(3, "two").completed(3, "done").end("done")
    assert replay(CANCELS, log).is_ended


def test_the_end_of_a_step_that_was_not_cancelled_may_not():
    log = Log().hook(1, "go").step(2, "one", attempt=0).received(1, None)
    log.failed(2, ValueError()).step(3, "two").completed(3, "done").end("done")
    error = refuse(CANCELS.replace("first.cancel()", ""), log)
    assert (error.seq, error.actual) == (6, "step two (position 3)")


def test_the_first_attempt_of_a_step_that_a_fork_inherited_may_stand_before_the_calls_that_followed():
    log = Log().hook(1, "go").step(2, "one", attempt=0).received(1, None)
    log.add(events.STEP_STARTED, 2, "one", 1).step(3, "two").completed(3, "done").end("done")
    assert replay(CANCELS, log).is_ended


def test_a_child_that_a_run_over_its_limit_gave_up_stands_before_the_end_and_not_before_other_calls():
    source = """
    @wf.workflow(name="kid")
    async def kid(): ...

    @wf.step(name="two")
    async def two(): ...

    @wf.workflow(name="flow")
    async def flow():
        child = asyncio.create_task(kid())
        await wf.hook(token="go")
        await two()
    """
    given_up = '{"run_id":"wrun_kid","forced":true}'
    log = Log().hook(1, "go")
    log.add(events.CHILD_STARTED, 2, "kid", None, '{"run_id":"wrun_kid"}', b"{}").received(1, None)
    log.add(events.CHILD_CANCELLED, 2, "kid", None, given_up)
    begun = list(log.events)
    assert replay(source, log.forced_end(events.RUN_FAILED)).is_ended
    log.events[:] = begun
    error = refuse(source, log.forced_end(events.RUN_CANCELLED))
    assert (error.seq, error.actual) == (7, "step two (position 3)")
