"""API.md §1: `wf.lock` and `wf.saga`."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import pytest

import wf


@wf.step
async def note(log_key, value):
    LOGS.setdefault(log_key, []).append(value)
    return value


LOGS: dict[str, list] = {}


@pytest.fixture
def log(request):
    LOGS[request.node.name] = []
    return LOGS[request.node.name]


@pytest.fixture
def key(request):
    return request.node.name


# -- locks


async def test_a_lock_keeps_runs_apart_and_serves_them_in_order(wf_env, log, key):
    @wf.workflow
    async def flow(n):
        async with wf.lock("printer"):
            await note(key, ("in", n))
            await wf.sleep("1m")
            await note(key, ("out", n))

    runs = [await wf_env.start(flow, n) for n in range(4)]
    for run in runs:
        await run.return_value()
    assert log == [(word, n) for n in range(4) for word in ("in", "out")]


async def test_a_limit_makes_a_semaphore(wf_env, log, key):
    @wf.workflow
    async def flow(n):
        async with wf.lock("printer", limit=2):
            await note(key, 1)
            await wf.sleep("1m")
            await note(key, -1)

    runs = [await wf_env.start(flow, n) for n in range(6)]
    for run in runs:
        await run.return_value()
    held, most = 0, 0
    for change in log:
        held += change
        most = max(most, held)
    assert most == 2


async def test_a_lock_is_not_granted_within_its_timeout(wf_env, restart):
    @wf.workflow
    async def holds():
        async with wf.lock("l"):
            await wf.hook(token="held")

    @wf.workflow
    async def wants():
        before = wf.now()
        try:
            async with wf.lock("l", timeout="10s"):
                return "got it"
        except wf.LockTimeoutError:
            return wf.now() - before

    holder = await wf_env.start(holds)
    await wf_env.wait_for_hook(holder)
    assert timedelta(seconds=10) <= await wf_env.run(wants) < timedelta(seconds=11)
    await restart()
    await wf.resume_hook("held")
    await holder.return_value()
    assert await wf_env.run(wants) == "got it"


@pytest.mark.parametrize("end", ["failed", "cancelled", "terminated", "left behind"])
async def test_a_lock_is_freed_whatever_happens_when_the_run_ends(wf_env, end):
    @wf.workflow
    async def holds():
        async def inner():
            async with wf.lock("l"):
                if await wf.hook(token="held") == "fail":
                    raise ValueError

        if end != "left behind":
            await inner()
        else:
            task = asyncio.create_task(inner())
            await wf.hook(token="leave")
            assert not task.done()

    @wf.workflow
    async def wants():
        async with wf.lock("l"):
            return "got it"

    holder = await wf_env.start(holds)
    await wf_env.wait_for_hook(holder, token="held")
    waiter = await wf_env.start(wants)
    await wf_env._settle()
    assert await waiter.status() == "running"
    match end:
        case "failed":
            await wf.resume_hook("held", "fail")
        case "cancelled":
            await holder.cancel()
        case "terminated":
            await holder.terminate()
        case "left behind":
            await wf.resume_hook("leave")
    assert await waiter.return_value() == "got it"


async def test_a_held_lock_survives_a_restart(wf_env, restart):
    @wf.workflow
    async def holds():
        async with wf.lock("l"):
            await wf.hook(token="held")

    @wf.workflow
    async def wants():
        async with wf.lock("l"):
            return "got it"

    holder = await wf_env.start(holds)
    await wf_env.wait_for_hook(holder)
    waiter = await wf_env.start(wants)
    await wf_env._settle()
    await restart()
    await wf_env._settle()
    assert await waiter.status() == "running"
    await wf.resume_hook("held")
    assert await waiter.return_value() == "got it"


async def test_names_are_apart_and_a_waiter_may_be_cancelled(wf_env):
    @wf.workflow
    async def flow():
        async with wf.lock("a"), wf.lock("b"):

            async def wants():
                async with wf.lock("a"):
                    return "never"

            task = asyncio.create_task(wants())
            await wf.sleep(1)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        async with wf.lock("a"):
            return "again"

    assert await wf_env.run(flow) == "again"


async def test_bad_locks_are_refused(wf_env):
    for arguments in (("",), ("x", 0), ("x", 1, "soon"), ("x", -1)):
        with pytest.raises(ValueError):
            wf.lock(*arguments)
    for arguments in ((5,), ("x", "2"), ("x", 1, [])):
        with pytest.raises(TypeError):
            wf.lock(*arguments)
    with pytest.raises(wf.NotInRunError):
        async with wf.lock("x"):
            pass


# -- sagas


@wf.step
async def fails():
    raise wf.FatalError("the third step failed")


async def test_compensations_run_in_reverse_order_and_the_exception_goes_on(wf_env, log, key):
    @wf.workflow
    async def flow():
        async with wf.saga() as saga:
            await note(key, "one")
            saga.undo(note, key, "undo one")
            await note(key, "two")
            saga.undo(note, key, value="undo two")
            await fails()
            saga.undo(note, key, "never registered")

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert isinstance(caught.value.__cause__, wf.FatalError)
    assert str(caught.value.__cause__) == "the third step failed"
    assert log == ["one", "two", "undo two", "undo one"]


async def test_nothing_is_undone_when_the_block_succeeds(wf_env, log, key):
    @wf.workflow
    async def flow():
        async with wf.saga() as saga:
            saga.undo(note, key, "undone")
        return "fine"

    assert await wf_env.run(flow) == "fine"
    assert log == []


async def test_compensations_run_when_the_run_is_cancelled_also_after_a_restart(wf_env, restart, log, key):
    @wf.workflow
    async def flow():
        async with wf.saga() as saga:
            saga.undo(note, key, "undo one")
            saga.undo(note, key, "undo two")
            await wf.hook(token="t")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await run.cancel("stop")
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert log == ["undo two", "undo one"]


async def test_a_compensation_that_fails_does_not_stop_the_others(wf_env, log, key):
    @wf.workflow
    async def flow():
        async with wf.saga() as saga:
            saga.undo(note, key, "undo one")
            saga.undo(fails)
            raise KeyError("original")

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow)
    assert isinstance(caught.value.__cause__, KeyError)
    assert log == ["undo one"]
    assert any("fails" in text for text in caught.value.__cause__.__notes__)


async def test_an_exception_around_a_saga_can_be_caught(wf_env, log, key):
    @wf.workflow
    async def flow():
        try:
            async with wf.saga() as saga:
                saga.undo(note, key, "undone")
                await fails()
        except wf.FatalError:
            return "caught"

    assert await wf_env.run(flow) == "caught"
    assert log == ["undone"]


async def test_sagas_belong_in_bodies():
    with pytest.raises(wf.NotInRunError):
        async with wf.saga():
            pass
