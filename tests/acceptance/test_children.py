"""API.md §1, §3, §8: child runs."""

from __future__ import annotations

import asyncio

import pytest

import wf


class ChildError(Exception):
    def __init__(self, code):
        super().__init__(f"code {code}")
        self.code = code


@wf.step
async def echo(value):
    return value


@wf.workflow
async def child(x):
    return await echo(x) * 2


@wf.workflow
async def bad_child(code):
    raise ChildError(code)


@wf.workflow
async def waiting_child(token):
    return await wf.hook(token=token)


async def test_awaiting_a_workflow_gives_the_childs_result_once(wf_env, restart):
    @wf.workflow
    async def flow():
        value = await child(4)
        await wf.hook(token="go")
        return value

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == 8
    assert len((await wf.list_runs(workflow=child)).items) == 1


async def test_a_child_raises_its_own_exception_with_a_note(wf_env, restart):
    kept = []

    @wf.workflow
    async def flow():
        try:
            await bad_child(7)
        except ChildError as error:
            kept.append(error)
        await wf.hook(token="go")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    await run.return_value()
    (found,) = (await wf.list_runs(workflow=bad_child)).items
    for error in kept:
        assert error.code == 7
        assert any(found.run_id in note for note in error.__notes__)
    assert len(kept) == 2
    assert await found.status() == "failed"


async def test_children_run_side_by_side(wf_env):
    @wf.workflow
    async def flow():
        return await asyncio.gather(*(child(n) for n in range(10)))

    assert await wf_env.run(flow) == [2 * n for n in range(10)]


async def test_start_in_a_body_gives_a_handle_and_goes_on(wf_env, restart):
    @wf.workflow
    async def flow():
        run = await wf.start(waiting_child, "c")
        before = await run.status()
        await wf.hook(token="go")
        return run, before in ("pending", "running"), await run.return_value()

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="go")
    await restart()
    await wf.resume_hook("go")
    while True:
        try:
            await wf.resume_hook("c", "from outside")
            break
        except wf.HookNotFoundError:
            await asyncio.sleep(0)
    handle, was_open, value = await run.return_value()
    assert was_open
    assert value == "from outside"
    assert await handle.return_value() == "from outside"


async def test_a_started_child_outlives_its_parent(wf_env):
    @wf.workflow
    async def flow():
        return await wf.start(waiting_child, "c")

    handle = await wf_env.run(flow)
    await wf_env.wait_for_hook(handle)
    await wf.resume_hook("c", 1)
    assert await handle.return_value() == 1


async def test_options_of_a_child(wf_env):
    @wf.workflow
    async def flow():
        run = await wf.start(child.with_options(id="kid", attributes={"a": "b"}, delay="1h"), 1)
        before = wf.now()
        value = await run.return_value()
        awaited = await child.with_options(id="kid2")(2)
        return run.run_id, value, awaited, (wf.now() - before).total_seconds() >= 3600, await run.attributes()

    assert await wf_env.run(flow) == ("kid", 2, 4, True, {"a": "b"})
    assert await wf.get_run("kid2").status() == "completed"


async def test_a_childs_id_that_exists_gives_the_existing_run(wf_env):
    first = await wf.start(child.with_options(id="kid"), 5)
    await first.return_value()

    @wf.workflow
    async def flow():
        return await child.with_options(id="kid")(6)

    assert await wf_env.run(flow) == 10


async def test_a_childs_id_of_another_workflow_is_a_value_error(wf_env):
    first = await wf.start(child.with_options(id="kid"), 5)
    await first.return_value()

    @wf.workflow
    async def flow():
        try:
            await waiting_child.with_options(id="kid")("t")
        except ValueError as error:
            return str(error)

    assert "kid" in await wf_env.run(flow)


async def test_waiting_for_a_child_holds_no_slot():
    from wf.testing import WorkflowEnvironment

    @wf.workflow
    async def nested(depth):
        return 1 + await nested(depth - 1) if depth else await echo(0)

    async with WorkflowEnvironment(concurrency=1) as env:
        assert await env.run(nested, 20) == 20


async def test_a_cancelled_child_raises_in_its_parent(wf_env):
    @wf.workflow
    async def flow():
        try:
            await waiting_child.with_options(id="kid")("t")
        except wf.WorkflowRunCancelledError as error:
            return error.run_id, error.reason

    run = await wf_env.start(flow)
    await _there("kid")
    await wf_env.wait_for_hook(wf.get_run("kid"))
    await wf.get_run("kid").cancel("enough")
    assert await run.return_value() == ("kid", "enough")


async def _there(run_id):
    while True:
        try:
            return await wf.get_run(run_id).status()
        except wf.RunNotFoundError:
            await asyncio.sleep(0)


async def test_cancelling_the_parent_leaves_it_cleaning_up_with_children(wf_env):
    @wf.workflow
    async def flow():
        try:
            await wf.sleep("1h")
        finally:
            await wf.start(child.with_options(id="cleanup"), 3)

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await run.cancel()
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert await wf.get_run("cleanup").return_value() == 6


async def test_an_argument_that_cannot_be_carried_is_refused_in_the_body(wf_env):
    @wf.workflow
    async def flow():
        with pytest.raises(wf.SerializationError, match=r"^x: "):
            await wf.start(child, lambda: None)
        with pytest.raises(wf.SerializationError, match=r"^x: "):
            child(print)
        with pytest.raises(TypeError):
            child()
        return "refused"

    assert await wf_env.run(flow) == "refused"
    assert (await wf.list_runs(workflow=child)).items == []


async def test_a_child_may_be_awaited_twice_over_its_handle(wf_env):
    @wf.workflow
    async def flow():
        run = await wf.start(child, 2)
        return await asyncio.gather(run.return_value(), run.return_value()) + [await run.return_value()]

    assert await wf_env.run(flow) == [4, 4, 4]


async def test_a_child_that_fails_over_its_handle_is_a_failed_run(wf_env):
    @wf.workflow
    async def flow():
        run = await wf.start(bad_child, 3)
        try:
            await run.return_value()
        except wf.WorkflowRunFailedError as error:
            return error.run_id == run.run_id, error.error_code, type(error.__cause__).__name__, error.__cause__.code

    assert await wf_env.run(flow) == (True, "USER_ERROR", "ChildError", 3)


async def test_recursion_and_deep_children(wf_env):
    @wf.workflow
    async def factorial(n):
        return 1 if n == 0 else n * await factorial(n - 1)

    assert await wf_env.run(factorial, 10) == 3628800
