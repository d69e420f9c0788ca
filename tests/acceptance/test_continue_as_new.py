"""API.md §1 and §8: `continue_as_new`."""

from __future__ import annotations

import asyncio

import pytest

import wf


@wf.step
async def echo(value):
    return value


@wf.workflow
async def count(n, until=3):
    await echo(n)
    if n < until:
        await wf.continue_as_new(n + 1, until=until)
    return n


async def test_the_run_completes_and_the_next_one_of_the_chain_goes_on(wf_env):
    run = await wf_env.start(count, 0)
    assert await run.return_value() == 3
    assert await run.status() == "completed"
    chain = [run]
    while (following := await chain[-1].continued_as()) is not None:
        assert isinstance(following, wf.Run)
        chain.append(following)
    assert len(chain) == 4
    assert await chain[-1].return_value() == 3
    assert await chain[-1].continued_as() is None
    assert len({r.run_id for r in chain}) == 4
    assert len((await wf.list_runs(workflow=count)).items) == 4


async def test_arguments_go_by_name_and_position_and_attributes_go_along(wf_env):
    @wf.workflow
    async def flow(a, b=2, *, c=3):
        if a == 0:
            await wf.set_attributes(kept="yes")
            await wf.continue_as_new(1, c=9)
        return a, b, c

    run = await wf_env.start(flow, 0, 5)
    assert await run.return_value() == (1, 2, 9)
    following = await run.continued_as()
    assert await following.attributes() == {"kept": "yes"}


async def test_it_takes_a_deployment(wf_env):
    @wf.workflow
    async def flow(n):
        if n == 0:
            await wf.continue_as_new(1, deployment="latest")
        return wf.get_workflow_metadata().deployment_id

    assert isinstance(await wf_env.run(flow, 0), str)


async def test_blocks_are_left_and_tasks_cancelled(wf_env):
    left = []

    @wf.workflow
    async def flow(n):
        if n:
            return n

        async def beside():
            try:
                await wf.sleep("1d")
            finally:
                left.append("task")

        task = asyncio.create_task(beside())
        await echo(1)
        assert not task.done()
        try:
            async with wf.lock("l"), wf.saga() as saga, wf.hook(token="t"):
                saga.undo(echo, "not a failure")
                await wf.continue_as_new(1)
        finally:
            left.append("finally")

    run = await wf_env.start(flow, 0)
    assert await run.return_value() == 1
    assert left == ["finally", "task"]
    types = [e.name for e in await wf_env.session.world.read_events(run.run_id, 0, 99) if e.type == "step_created"]
    assert len(types) == 1


async def test_except_exception_does_not_catch_it(wf_env):
    @wf.workflow
    async def flow(n):
        if n:
            return n
        try:
            await wf.continue_as_new(1)
        except Exception:
            return "caught"

    assert await wf_env.run(flow, 0) == 1


async def test_from_a_helper_a_task_and_a_task_group(wf_env):
    async def helper(n):
        await wf.continue_as_new(n + 1)

    @wf.workflow
    async def flow(n):
        if n == 0:
            await helper(n)
        elif n == 1:
            await asyncio.gather(helper(n))
        elif n == 2:
            async with asyncio.TaskGroup() as group:
                group.create_task(helper(n))
        elif n == 3:
            async with asyncio.TaskGroup():
                await helper(n)
        return n

    assert await wf_env.run(flow, 0) == 4


async def test_a_parent_gets_the_value_of_the_last_run(wf_env, restart):
    @wf.workflow
    async def parent():
        value = await count(0)
        run = await wf.start(count, 1)
        await wf.hook(token="go")
        return value, await run.return_value()

    run = await wf_env.start(parent)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == (3, 3)


async def test_it_survives_a_restart(wf_env, restart):
    @wf.workflow
    async def flow(n):
        value = await wf.hook(token=f"t{n}")
        if value == "on":
            await wf.continue_as_new(n + 1)
        return n

    run = await wf_env.start(flow, 0)
    last = run
    for n in range(3):
        await wf_env.wait_for_hook(last, token=f"t{n}")
        await restart()
        await wf.resume_hook(f"t{n}", "on")
        while (following := await last.continued_as()) is None:
            await asyncio.sleep(0)
        last = following
    await wf_env.wait_for_hook(last, token="t3")
    await wf.resume_hook("t3", "end")
    assert await run.return_value() == 3


async def test_bad_arguments_are_refused_where_it_was_called(wf_env):
    @wf.workflow
    async def flow(n):
        with pytest.raises(TypeError):
            await wf.continue_as_new()
        with pytest.raises(wf.SerializationError, match=r"^n: "):
            await wf.continue_as_new(print)
        return "refused"

    assert await wf_env.run(flow, 0) == "refused"
    with pytest.raises(wf.NotInRunError):
        await wf.continue_as_new(1)


async def test_a_cancelled_chain(wf_env):
    @wf.workflow
    async def flow(n):
        if n == 0:
            await wf.continue_as_new(1)
        await wf.hook(token="t")

    run = await wf_env.start(flow, 0)
    while not await run.continued_as():
        await asyncio.sleep(0)
    following = await run.continued_as()
    await wf_env.wait_for_hook(following)
    await following.cancel("x")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.run_id == following.run_id
