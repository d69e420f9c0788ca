"""API.md §1 and §3: what runs at once, in bodies, runs, steps and workers."""

from __future__ import annotations

import asyncio

import pytest

import wf
from wf.testing import WorkflowEnvironment


@wf.step
async def echo(value):
    return value


async def test_a_worker_runs_at_most_n_attempts_at_once():
    running, most = 0, 0

    @wf.step
    async def counts():
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(5):
            await asyncio.sleep(0)
        running -= 1

    @wf.workflow
    async def flow():
        await asyncio.gather(*(counts() for _ in range(20)))

    async with WorkflowEnvironment(concurrency=3) as env:
        await asyncio.gather(env.run(flow), env.run(flow))
    assert most == 3


async def test_many_runs_and_steps(wf_env):
    @wf.workflow
    async def flow(n):
        return sum(await asyncio.gather(*(echo(n + i) for i in range(10))))

    runs = [await wf_env.start(flow, n) for n in range(100)]
    assert [await run.return_value() for run in runs] == [10 * n + 45 for n in range(100)]


async def test_a_waiting_run_holds_no_slot():
    @wf.workflow
    async def waits(n):
        await wf.hook(token=f"t{n}")
        return n

    async with WorkflowEnvironment(concurrency=1) as env:
        runs = [await env.start(waits, n) for n in range(10)]
        for n, run in enumerate(runs):
            await env.wait_for_hook(run)
            assert n >= 0
        for n in reversed(range(10)):
            await wf.resume_hook(f"t{n}")
        assert [await run.return_value() for run in runs] == list(range(10))


async def test_a_retry_frees_its_slot_while_it_waits():
    tries = []

    @wf.step(retry_delay="1h")
    async def flaky():
        tries.append(1)
        if len(tries) == 1:
            raise OSError

    @wf.workflow
    async def first():
        await flaky()

    @wf.workflow
    async def second():
        return await echo("went by")

    async with WorkflowEnvironment(concurrency=1) as env:
        one = await env.start(first)
        while not tries:
            await asyncio.sleep(0)
        assert await env.run(second) == "went by"
        await one.return_value()


async def test_a_steps_concurrency_survives_failures_and_retries(wf_env):
    running, most, tries = 0, 0, []

    @wf.step(concurrency=1, retry_delay=1, max_retries=2)
    async def narrow(n):
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0)
        running -= 1
        tries.append(n)
        if tries.count(n) < 3:
            raise OSError
        return n

    @wf.workflow
    async def flow():
        return await asyncio.gather(*(narrow(n) for n in range(4)))

    assert await wf_env.run(flow) == [0, 1, 2, 3]
    assert most == 1
    assert len(tries) == 12


@pytest.mark.parametrize("why", ["it waits for its turn", "it waits for its next attempt"])
async def test_a_body_that_cancels_a_step_before_an_attempt_and_calls_another_replays(wf_env, restart, why):
    gate = asyncio.Event()

    @wf.step(concurrency=1, cancellable=True, retry_delay="1h", max_retries=10_000)
    async def narrow(n):
        if why == "it waits for its next attempt":
            raise OSError("not yet")
        await gate.wait()

    @wf.step
    async def other(n):
        return n

    @wf.workflow
    async def flow():
        tasks = [asyncio.create_task(narrow(n)) for n in range(3)]
        await wf.hook(token="go")
        for task in tasks[1:]:
            task.cancel()
        found = await asyncio.gather(*tasks[1:], other(1), other(2), return_exceptions=True)
        await wf.hook(token="on")
        tasks[0].cancel()
        return [type(one).__name__ for one in found]

    run = await wf_env.start(flow)
    await _resume("go")
    await _there("on")
    await restart()
    await _resume("on")
    assert await run.return_value() == ["CancelledError", "CancelledError", "int", "int"]
    types = [event.type for event in await wf_env.session.world.read_events(run.run_id)]
    after = types[types.index("hook_received") :]
    assert after[:5] == ["hook_received", "step_created", "step_created", "step_failed", "step_failed"]


async def test_a_thousand_steps_that_wait_for_their_turn_may_be_cancelled_at_once(wf_env):
    gate = asyncio.Event()

    @wf.step(concurrency=1, cancellable=True)
    async def narrow(n):
        await gate.wait()

    @wf.workflow
    async def flow():
        tasks = [asyncio.create_task(narrow(n)) for n in range(1000)]
        await wf.hook(token="go")
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        return sum(task.cancelled() for task in tasks)

    run = await wf_env.start(flow)
    await _resume("go")
    assert await run.return_value() == 1000


async def _there(token):
    while True:
        try:
            return await wf.get_hook_by_token(token)
        except wf.HookNotFoundError:
            await asyncio.sleep(0.001)


async def _resume(token):
    await _there(token)
    await wf.resume_hook(token)


async def test_a_cancelled_caller_of_a_narrow_step_gives_its_place_up(wf_env):
    gate, ran = asyncio.Event(), []

    @wf.step(concurrency=1, cancellable=True)
    async def narrow(n):
        ran.append(n)
        await gate.wait()
        return n

    @wf.workflow
    async def flow():
        tasks = [asyncio.create_task(narrow(n)) for n in range(3)]
        await wf.hook(token="go")
        tasks[1].cancel()
        await asyncio.gather(tasks[1], return_exceptions=True)
        await wf.hook(token="gone")
        return await asyncio.gather(tasks[0], tasks[2])

    run = await wf_env.start(flow)
    while not ran or not await wf_env.session.world.list_hooks(run.run_id):
        await asyncio.sleep(0)
    await wf.resume_hook("go")
    while True:
        try:
            await wf.resume_hook("gone")
            break
        except wf.HookNotFoundError:
            await asyncio.sleep(0)
    gate.set()
    assert await run.return_value() == [0, 2]
    assert ran == [0, 2]


async def test_a_workflows_concurrency_lets_the_next_in_when_a_run_fails_or_is_terminated(wf_env):
    @wf.workflow(concurrency=1)
    async def narrow(how):
        if how == "fail":
            raise ValueError
        return await wf.hook(token=how)

    first = await wf_env.start(narrow, "first")
    second = await wf_env.start(narrow, "fail")
    third = await wf_env.start(narrow, "third")
    await wf_env.wait_for_hook(first)
    assert [await second.status(), await third.status()] == ["pending", "pending"]
    await first.terminate()
    with pytest.raises(wf.WorkflowRunFailedError):
        await second.return_value()
    await wf_env.wait_for_hook(third)
    await wf.resume_hook("third", 3)
    assert await third.return_value() == 3


async def test_a_run_that_waits_for_room_can_be_cancelled(wf_env):
    @wf.workflow(concurrency=1)
    async def narrow():
        return await wf.hook(token="t")

    first = await wf_env.start(narrow)
    await wf_env.wait_for_hook(first)
    second = await wf_env.start(narrow)
    await second.cancel("no need")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await second.return_value()
    assert caught.value.reason == "no need"
    await wf.resume_hook("t", 1)
    assert await first.return_value() == 1


async def test_blocking_in_one_plain_step_does_not_stop_the_others(wf_env):
    import threading

    gate = threading.Event()

    @wf.step
    def blocks():
        assert gate.wait(10)

    @wf.workflow
    async def slow():
        await blocks()

    @wf.workflow
    async def fast():
        return await echo("fast")

    run = await wf_env.start(slow)
    assert await wf_env.run(fast) == "fast"
    gate.set()
    await run.return_value()
