"""Histories: what is in a recorded run's file, for tests that a person reads."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wf
from wf.histories import list_calls, open_history
from wf.testing import WorkflowEnvironment


@dataclass
class Approval(wf.BaseHook):
    approved: bool


@dataclass
class Receipt:
    cents: int


class Declined(Exception): ...


@wf.step(name="histories.charge", max_retries=0)
async def charge(order: str, *more: int, cents: int = 3, **rest: Any) -> Receipt:
    if order == "bad":
        raise Declined("no money")
    return Receipt(cents)


@wf.workflow(name="histories.child")
async def child() -> None: ...


@wf.workflow(name="histories.flow")
async def flow(order: str) -> str:
    await charge(order, 1, 2, cents=5, tip=1)
    await wf.set_attributes(order=order)
    await wf.sleep("3d")
    async with wf.lock("printer"):
        await asyncio.gather(charge("a"), charge("b"))
    try:
        await charge("bad")
    except Declined:
        pass
    await child()
    async with Approval.wait(token="t") as hook:
        async with asyncio.timeout(90):
            decision = await hook
    await wf.hook(token="any")
    return str(decision.approved)


CALLS = [
    "step histories.charge",
    "attributes",
    "sleep 3d",
    "lock printer",
    "step histories.charge",
    "step histories.charge",
    "step histories.charge",
    "child histories.child",
    "hook test_histories:Approval",
    "timeout 1m 30s",
    "hook",
]


async def record(env: WorkflowEnvironment, folder: Path) -> Path:
    run = await env.start(flow, "o1")
    await Approval(approved=True).resume(await env.wait_for_hook(run, "t"))
    await wf.resume_hook(await env.wait_for_hook(run, "any"), 1)
    await run.return_value()
    return wf.testing.record(run, folder / "o1.json")


async def test_a_replay_gives_the_calls_of_the_body_in_words(wf_env: WorkflowEnvironment, tmp_path: Path) -> None:
    path = await record(wf_env, tmp_path)
    calls = [call.replace(f"{__name__}:", "test_histories:") for call in wf_env.replay(path).calls]
    assert calls == CALLS
    replayed = await wf_env.replay(path)
    assert replayed.calls == open_history(path).calls == list_calls(open_history(path).events)


async def test_a_step_is_read_with_what_its_function_was_called_with(
    wf_env: WorkflowEnvironment, tmp_path: Path
) -> None:
    history = open_history(await record(wf_env, tmp_path))
    step = history.step(1)
    assert (step.name, step.args, step.kwargs) == ("histories.charge", ("o1", 1, 2), {"cents": 5, "tip": 1})
    assert (step.is_done, step.result, step.error) == (True, Receipt(5), None)
    assert await charge.func(*step.args, **step.kwargs) == step.result
    failed = history.step(7)
    assert failed.result is None
    assert isinstance(failed.error, Declined)
    with pytest.raises(LookupError, match="has no step 2"):
        history.step(2)


def test_what_is_no_history_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text("{}")
    with pytest.raises(wf.WorkflowError, match="is no history: Object missing required field `format`"):
        open_history(path)
    path.write_text('{"format": 2, "run_id": "r", "workflow": "w", "seed_id": "r", "events": []}')
    with pytest.raises(wf.WorkflowError, match="has the history format 2; this version reads 1"):
        open_history(path)
