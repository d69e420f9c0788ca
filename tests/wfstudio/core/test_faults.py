"""Faults: what a rule is, which attempts it is about, and that the same seed strikes the same ones."""

from __future__ import annotations

from typing import Any

import pytest

from tests.wfstudio.studio import open_studio, rest, run, until
from wf.errors import NotRegisteredError, RunNotFoundError
from wfstudio.core.errors import UsageError
from wfstudio.core.faults import (
    FaultError,
    FaultRule,
    describe,
    is_about_attempt,
    is_about_hook,
    is_about_run,
    make_rule,
    strikes,
)


@pytest.mark.parametrize(
    ("action", "fields", "text"),
    [
        ("fail", {"error": "ConnectionError", "message": "injected fault"}, "fail=ConnectionError: injected fault"),
        ("fail=ValueError", {"error": "ValueError", "message": ""}, "fail=ValueError"),
        ("fail=shop.Declined: no: money", {"error": "shop.Declined", "message": "no: money"},
         "fail=shop.Declined: no: money"),
        ("delay=2s", {"delay_ms": 2000}, "delay=2s"),
        ("delay=1.5", {"delay_ms": 1500}, "delay=1.5s"),
        ("delay=1m 1s", {"delay_ms": 61_000}, "delay=61s"),
        ("crash", {}, "crash"),
        ("twice", {}, "twice"),
    ],
)  # fmt: skip
def test_a_rule_is_read_from_what_people_write(action: str, fields: dict[str, Any], text: str) -> None:
    rule = make_rule("f1", action, run="wrun_1")
    assert rule == FaultRule(id="f1", action=action.partition("=")[0], run="wrun_1", **fields)
    assert describe(rule) == text


@pytest.mark.parametrize(
    ("action", "fields", "told"),
    [
        ("explode", {"run": "r"}, "'explode' is no fault"),
        ("crash=now", {"run": "r"}, "'crash=now' is no fault"),
        ("fail=", {"run": "r"}, "the fault names no exception"),
        ("delay", {"run": "r"}, "delay"),
        ("delay=soon", {"run": "r"}, "delay"),
        ("delay=2d", {"run": "r"}, "the delay '2d' is over a day"),
        ("fail", {}, "the fault names no run and no workflow"),
        ("fail", {"run": "r", "workflow": "w"}, "the fault names a run and a workflow"),
        ("twice", {"run": "r", "step": "s"}, "a payload is delivered twice to a hook, not to a step"),
        ("twice", {"run": "r", "attempt": 1}, "a payload is delivered twice to a hook, not to a step"),
        ("fail", {"run": "r", "hook": "h"}, "a hook does not fail"),
        ("fail", {"run": "r", "probability": 0.0}, "a probability of 0 is not between 0 and 1"),
        ("fail", {"run": "r", "probability": 1.5}, "a probability of 1.5 is not between 0 and 1"),
        ("fail", {"run": "r", "attempt": 0}, "there is no attempt 0: they count from 1"),
    ],
)
def test_what_is_no_rule_is_refused(action: str, fields: dict[str, Any], told: str) -> None:
    with pytest.raises(UsageError) as refused:
        make_rule("f1", action, **fields)
    assert told in str(refused.value)


def test_a_rule_is_about_what_it_names() -> None:
    by_run, by_workflow = make_rule("f1", "fail", run="r1"), make_rule("f1", "fail", workflow="buy")
    assert is_about_run(by_run, "r1", "shop:buy")
    assert not is_about_run(by_run, "r2", "shop:buy")
    assert is_about_run(by_workflow, "r2", "shop:buy")
    assert is_about_run(by_workflow, "r2", "buy")
    assert not is_about_run(by_workflow, "r2", "shop:buyer")
    for step, names in {"shop:charge": True, "charge": True, "4": True, "5": False, "char": False}.items():
        assert is_about_attempt(make_rule("f1", "fail", run="r", step=step), "shop:charge", 4, 1) is names
    assert is_about_attempt(make_rule("f1", "fail", run="r", step="method"), "shop:Class.method", 4, 1)
    assert [is_about_attempt(make_rule("f1", "fail", run="r", attempt=2), "x", 1, n) for n in (1, 2, 3)] == [
        False, True, False,
    ]  # fmt: skip
    twice = make_rule("f1", "twice", run="r", hook="site:ada")
    names = {"name": "shop:Approval", "token": "site:ada~r", "given": "site:ada"}
    assert is_about_hook(twice, names, 3)
    assert not is_about_attempt(make_rule("f1", "twice", run="r"), "x", 1, 1)
    for hook, found in {"Approval": True, "site:ada~r": True, "3": True, "4": False, None: True}.items():
        assert is_about_hook(make_rule("f1", "twice", run="r", hook=hook), names, 3) is found
    assert not is_about_hook(make_rule("f1", "fail", run="r"), names, 3)


def test_the_same_seed_strikes_the_same_attempts_and_another_one_others() -> None:
    def struck(seed: int, probability: float = 0.3, run_id: str = "wrun_1") -> list[bool]:
        rule = make_rule("f1", "fail", workflow="w", probability=probability, seed=seed)
        return [strikes(rule, run_id, number, attempt) for number in range(500) for attempt in (1, 2)]

    assert struck(7) == struck(7)
    assert struck(7) != struck(8)
    assert struck(7) != struck(7, run_id="wrun_2")
    assert 250 < sum(struck(7)) < 350
    assert all(struck(7, 1.0))
    often = struck(7, 0.6)
    assert all(often[n] for n, is_struck in enumerate(struck(7)) if is_struck), "more often is never elsewhere"


def test_a_decision_is_the_same_in_every_process() -> None:
    """As numbers: whoever changes the rule breaks what people wrote down."""
    rule = make_rule("f9", "crash", workflow="w", probability=0.5, seed=42)
    struck = [n for n in range(20) if strikes(rule, "wrun_example", n, 1)]
    assert struck == [0, 2, 4, 5, 7, 9, 12, 13, 14, 15, 18]


# -- on a world -------------------------------------------------------------------------------------


async def test_a_fault_that_could_strike_nothing_is_refused() -> None:
    async with open_studio() as client:
        done = await run(client, "greet", "ada")
        with pytest.raises(FaultError) as refused:
            await client.check_fault(done.id, None, None)
        assert str(refused.value) == f"run {done.id} is completed: nothing befalls it any more"
        with pytest.raises(NotRegisteredError, match="close: greet"):
            await client.check_fault(None, "gret", None)
        await client.check_fault("wrun_to_come", None, None)
        await client.check_fault(None, "greet", "5")


async def test_the_next_due_time_comes_now_and_is_told_on_the_run() -> None:
    async with open_studio() as client:
        nap = await client.start("nap", [3600])
        await rest(client, nap.id, "sleeping")
        wait = await client.jump(nap.id)
        assert (wait.run_id, wait.kind, wait.correlation_id) == (nap.id, "sleep", 1)
        ended = await client.wait_for_end(nap.id, 10)
        assert ended.output == "rested"
        text = ended.attributes["$fault"]
        assert text.startswith("jump to the sleep at position 1, 59m 59")
        trace = await client.read_trace(nap.id)
        [marker] = [marker for marker in trace.markers if marker.kind == "fault"]
        assert (marker.span_id, marker.data) == ("1", {"text": text})
        assert not [marker for marker in trace.markers if marker.kind == "attributes"]


async def test_a_retry_that_is_an_hour_away_comes_now() -> None:
    async with open_studio() as client:
        started = await client.start("retry", [True])
        await rest(client, started.id, "retrying")
        assert (await client.jump(started.id)).kind == "retry"

        async def second() -> bool:
            [step] = await client.list_steps(started.id)
            return len(step.attempts) == 2

        await until(second)


async def test_a_run_that_waits_for_no_time_cannot_jump() -> None:
    async with open_studio() as client:
        waiting = await client.start("approve", ["x"])
        await rest(client, waiting.id, "waiting for hook")
        with pytest.raises(FaultError) as refused:
            await client.jump(waiting.id)
        assert refused.value.explain().splitlines()[:2] == [
            f"run {waiting.id} waits for no time",
            "  fix: `wf inspect waits` lists the runs that do",
        ]
        with pytest.raises(RunNotFoundError):
            await client.jump("wrun_none")
