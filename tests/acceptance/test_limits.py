"""API.md §5 and §8: limits."""

from __future__ import annotations

import asyncio

import pytest

import wf
from wf.testing import WorkflowEnvironment
from wf.worker.verdicts import judge


@wf.step(max_retries=0)
async def echo(value):
    return value


@wf.step
async def make(size):
    MADE.append(size)
    return b"x" * size


MADE: list[int] = []


@wf.workflow
async def passes(value):
    return await echo(value)


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setenv("WF_LIMIT_PAYLOAD", "10KB")
    monkeypatch.setenv("WF_LIMIT_RUN", "100KB")
    monkeypatch.setenv("WF_LIMIT_EVENTS", "50")
    MADE.clear()


async def test_the_defaults(wf_env):
    limits = wf_env.session.settings.limits
    assert limits.events == 100_000
    assert limits.payload in (50_000_000, 50 * 2**20)
    assert limits.run in (2_000_000_000, 2 * 2**30)


async def test_too_large_arguments_are_refused_before_anything_is_written(small):
    async with WorkflowEnvironment() as env:
        with pytest.raises(wf.PayloadTooLargeError):
            await wf.start(passes, b"x" * 20_000)
        assert (await wf.list_runs()).items == []
        assert await env.run(passes, b"x" * 1000) == b"x" * 1000


async def test_too_large_values_are_catchable_in_the_body(small):
    @wf.workflow
    async def flow():
        seen = []
        with pytest.raises(wf.PayloadTooLargeError):
            await echo("x" * 20_000)
        seen.append("argument")
        with pytest.raises(wf.PayloadTooLargeError):
            await make(20_000)
        seen.append("result")
        return seen

    async with WorkflowEnvironment() as env:
        assert await env.run(flow) == ["argument", "result"]
    assert MADE == [20_000]  # the same result would be refused again


async def test_a_too_large_result_fails_the_run(small):
    @wf.workflow
    async def flow():
        return "x" * 20_000

    async with WorkflowEnvironment() as env:
        with pytest.raises(wf.WorkflowRunFailedError) as caught:
            await env.run(flow)
    assert isinstance(caught.value.__cause__, wf.PayloadTooLargeError)


async def test_too_large_payloads_and_chunks_are_refused(small):
    @wf.step(max_retries=0)
    async def writes():
        await wf.get_writable().write("x" * 20_000)

    @wf.workflow
    async def flow():
        with pytest.raises(wf.PayloadTooLargeError):
            await writes()
        return await wf.hook(token="t")

    async with WorkflowEnvironment() as env:
        run = await env.start(flow)
        await env.wait_for_hook(run)
        with pytest.raises(wf.PayloadTooLargeError):
            await wf.resume_hook("t", "x" * 20_000)
        await wf.resume_hook("t", "x")
        assert await run.return_value() == "x"


async def test_too_many_events_fail_the_run(small):
    @wf.workflow
    async def flow():
        while True:
            await echo(1)

    async with WorkflowEnvironment() as env:
        with pytest.raises(wf.WorkflowRunFailedError) as caught:
            await env.run(flow)
    assert caught.value.error_code == "LIMIT_EXCEEDED"
    assert "50" in str(caught.value.__cause__)


async def test_a_child_is_given_up_by_a_run_with_too_many_events_and_its_log_replays(small):
    @wf.workflow
    async def kid():
        await wf.hook(token="kid")

    @wf.workflow
    async def flow():
        child = asyncio.create_task(kid.with_options(id="kid")())
        await wf.hook(token="go")
        await asyncio.gather(*(echo(n) for n in range(60)), child)

    async with WorkflowEnvironment() as env:
        run = await env.start(flow)
        await env.wait_for_hook(run)
        while not await env.session.world.list_hooks("kid"):
            await asyncio.sleep(0.001)
        await wf.resume_hook("go")
        with pytest.raises(wf.WorkflowRunFailedError, match="LIMIT_EXCEEDED"):
            await run.return_value()
        with pytest.raises(wf.WorkflowRunCancelledError):
            await wf.get_run("kid").return_value()
        world, keyring = env.session.world, env.session.keyring
        types = [event.type for event in await world.read_events(run.run_id)]
        assert types[types.index("run_failed") - 1] == "child_cancelled"
        verdict = await judge(world, keyring, await world.get_run(run.run_id), env.session.settings.limits)
        assert verdict.trouble is None


async def test_too_many_bytes_fail_the_run(small):
    import random

    @wf.step
    async def noise(n):
        return random.Random(n).randbytes(5_000)

    @wf.workflow
    async def flow():
        for n in range(1000):
            await noise(n)

    async with WorkflowEnvironment() as env:
        with pytest.raises(wf.WorkflowRunFailedError) as caught:
            await env.run(flow)
    assert caught.value.error_code == "LIMIT_EXCEEDED"
    cause = caught.value.__cause__
    assert isinstance(cause, wf.PayloadTooLargeError)
    assert (cause.what, cause.limit) == ("the run", 100_000)
    assert 100_000 < cause.size < 106_000


async def test_a_payload_error_knows_its_sizes():
    error = wf.PayloadTooLargeError("the thing", 20, 10)
    assert (error.size, error.limit) == (20, 10)
    assert "20" in str(error)
