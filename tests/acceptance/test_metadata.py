"""API.md §1: `get_workflow_metadata` and `get_step_metadata`."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest

import wf


def helper():
    return wf.get_step_metadata(), wf.get_workflow_metadata()


async def async_helper():
    return await asyncio.create_task(_later())


async def _later():
    return helper()


async def test_a_body_knows_its_run(wf_env):
    kept = []

    @wf.workflow
    async def flow():
        kept.append(wf.get_workflow_metadata())
        await wf.sleep(5)
        kept.append(wf.get_workflow_metadata())

    run = await wf_env.start(flow)
    await run.return_value()
    info = kept[0]
    assert isinstance(info, wf.WorkflowInfo)
    assert info.run_id == run.run_id
    assert info.workflow_name == flow.id
    assert isinstance(info.started_at, datetime)
    assert info.started_at.tzinfo is not None
    assert isinstance(info.deployment_id, str)
    assert info.url is None or isinstance(info.url, str)
    assert info.attempt == 1
    assert kept[1] == info


async def test_steps_and_their_helpers_know_both(wf_env):
    kept = []

    @wf.step
    async def one():
        kept.append(helper())
        kept.append(await async_helper())
        kept.append(await asyncio.to_thread(helper))

    @wf.step
    def two():
        kept.append(helper())

    @wf.workflow
    async def flow():
        await one()
        await two()

    run = await wf_env.start(flow)
    await run.return_value()
    assert len(kept) == 4
    for info, workflow_info in kept:
        assert isinstance(info, wf.StepInfo)
        assert info.run_id == workflow_info.run_id == run.run_id
        assert workflow_info.workflow_name == flow.id
        assert info.attempt == 1
    assert [info.step_name for info, _ in kept] == [one.id] * 3 + [two.id]
    assert kept[0][0] == kept[1][0] == kept[2][0]
    assert kept[0][0].step_id != kept[3][0].step_id


async def test_step_id_is_the_same_for_every_attempt(wf_env, restart):
    kept = []

    @wf.step(max_retries=2, retry_delay="1m")
    async def flaky():
        kept.append(wf.get_step_metadata())
        if len(kept) < 3:
            raise OSError

    @wf.workflow
    async def flow():
        await flaky()

    run = await wf_env.start(flow)
    while not kept:
        await asyncio.sleep(0)
    await wf_env._settle()
    await restart()
    await run.return_value()
    assert [info.attempt for info in kept] == [1, 2, 3]
    assert len({info.step_id for info in kept}) == 1
    assert len({info.step_started_at for info in kept}) == 1
    assert kept[0].attempt_started_at == kept[0].step_started_at
    assert kept[2].attempt_started_at - kept[0].attempt_started_at >= timedelta(minutes=2)


async def test_step_ids_differ_between_calls_and_runs(wf_env):
    ids = []

    @wf.step
    async def one():
        ids.append(wf.get_step_metadata().step_id)

    @wf.workflow
    async def flow():
        await asyncio.gather(one(), one())

    await asyncio.gather(wf_env.run(flow), wf_env.run(flow))
    assert len(set(ids)) == 4


async def test_a_step_called_as_a_plain_function_sees_the_outer_step(wf_env):
    @wf.step
    async def inner():
        return wf.get_step_metadata().step_name

    @wf.step
    async def outer():
        return await inner()

    @wf.workflow
    async def flow():
        return await outer()

    assert await wf_env.run(flow) == outer.id


async def test_where_there_is_none_they_are_refused(wf_env):
    for call in (wf.get_step_metadata, wf.get_workflow_metadata):
        with pytest.raises(wf.NotInRunError):
            call()
        with pytest.raises(RuntimeError):
            call()

    @wf.workflow
    async def flow():
        with pytest.raises(wf.NotInRunError):
            wf.get_step_metadata()
        return "refused"

    assert await wf_env.run(flow) == "refused"
