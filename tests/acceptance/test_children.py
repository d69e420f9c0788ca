"""API.md §1, §3, §8: child runs."""

from __future__ import annotations

import asyncio

import pytest

import wf
from wf.worker.verdicts import judge


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


# -- cancelling


class Family:
    """A child that notes what becomes of it, and waits to be told."""

    def __init__(self):
        self.told = []

        @wf.step(name="note")
        async def note(text):
            self.told.append(text)

        @wf.workflow(name="kid")
        async def kid(name):
            try:
                return await wf.hook(token=name)
            except asyncio.CancelledError as error:
                await note(f"{name}: {error}")
                raise
            finally:
                await note(f"{name} is clean")

        self.note = note
        self.kid = kid


PARENT_CANCELLED = ("cancelled", "parent cancelled")
NOT_AWAITED = ("cancelled", "its parent does not await it any more")


async def end_of(run_id):
    """Say how a run ended."""
    run = wf.get_run(run_id)
    try:
        return "completed", await run.return_value()
    except wf.WorkflowRunCancelledError as error:
        return "cancelled", error.reason


async def events_of(wf_env, run_id):
    return [(e.type, e.correlation_id, e.meta) for e in await wf_env.session.world.read_events(run_id)]


async def assert_replays(wf_env, run):
    session = wf_env.session
    verdict = await judge(
        session.world, session.keyring, await session.world.get_run(run.run_id), session.settings.limits
    )
    assert verdict.trouble is None


@pytest.mark.parametrize("restarts", [False, True])
async def test_a_child_that_is_awaited_is_cancelled_with_its_parent_and_cleans_up(wf_env, restart, restarts):
    family = Family()

    @wf.workflow
    async def flow():
        try:
            await family.kid.with_options(id="kid")("kid")
        finally:
            await family.note("the parent is clean")

    run = await wf_env.start(flow)
    await _there("kid")
    await wf_env.wait_for_hook(wf.get_run("kid"))
    if restarts:
        await restart()
    await run.cancel("changed my mind")
    assert await end_of(run.run_id) == ("cancelled", "changed my mind")
    assert await end_of("kid") == PARENT_CANCELLED
    assert sorted(family.told) == ["kid is clean", "kid: parent cancelled", "the parent is clean"]
    given_up = [event for event in await events_of(wf_env, run.run_id) if event[0] == "child_cancelled"]
    assert given_up == [("child_cancelled", 1, '{"run_id":"kid"}')]
    await restart()
    await assert_replays(wf_env, run)


async def test_a_whole_family_is_cancelled_generation_by_generation(wf_env):
    family = Family()

    @wf.workflow
    async def middle():
        return await asyncio.gather(*(family.kid.with_options(id=name)(name) for name in ("ann", "bob")))

    @wf.workflow
    async def flow():
        return await middle.with_options(id="middle")()

    run = await wf_env.start(flow)
    for name in ("ann", "bob"):
        await _there(name)
        await wf_env.wait_for_hook(wf.get_run(name))
    await run.cancel()
    assert await end_of(run.run_id) == ("cancelled", None)
    for name in ("middle", "ann", "bob"):
        assert await end_of(name) == PARENT_CANCELLED


async def test_a_run_that_a_body_started_is_left_alone_when_that_is_cancelled(wf_env):
    family = Family()

    @wf.workflow
    async def flow():
        await (await wf.start(family.kid.with_options(id="kid"), "kid")).return_value()

    run = await wf_env.start(flow)
    await _there("kid")
    await wf_env.wait_for_hook(wf.get_run("kid"))
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    await wf.resume_hook("kid", "on and on")
    assert await end_of("kid") == ("completed", "on and on")


async def test_a_run_that_was_there_before_its_id_was_awaited_is_left_alone(wf_env):
    family = Family()

    @wf.workflow
    async def flow():
        await wf.sleep("1s")
        await family.kid.with_options(id="shared")("shared")

    await wf.start(family.kid.with_options(id="shared"), "shared")
    await wf_env.wait_for_hook(wf.get_run("shared"))
    run = await wf_env.start(flow)
    await wf_env.skip("2s")
    while not any(event[0] == "child_started" for event in await events_of(wf_env, run.run_id)):
        await asyncio.sleep(0)
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    await wf.resume_hook("shared", "on and on")
    assert await end_of("shared") == ("completed", "on and on")


@pytest.mark.parametrize("is_forced", ["terminate", "second cancel"])
async def test_a_child_that_is_awaited_is_cancelled_when_its_parent_is_ended_by_force(wf_env, restart, is_forced):
    family = Family()

    @wf.workflow
    async def flow():
        try:
            await wf.hook(token="stop")
        finally:
            await family.kid.with_options(id="kid")("kid")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await run.cancel("once")
    await _there("kid")
    await wf_env.wait_for_hook(wf.get_run("kid"))
    await (run.terminate("twice") if is_forced == "terminate" else run.cancel("twice"))
    assert await end_of(run.run_id) == ("cancelled", "twice")
    assert await end_of("kid") == PARENT_CANCELLED
    assert family.told == ["kid: parent cancelled", "kid is clean"]
    assert [event[0::2] for event in await events_of(wf_env, run.run_id)][-2:] == [
        ("child_cancelled", '{"run_id":"kid","forced":true}'),
        ("run_cancelled", '{"forced":true}'),
    ]
    await assert_replays(wf_env, run)


@pytest.mark.parametrize(
    "why", ["its task is cancelled", "its time is over", "its sibling failed", "the body returned"]
)
async def test_a_child_is_cancelled_when_its_call_is_whatever_cancels_that(wf_env, why):
    family = Family()

    @wf.step(max_retries=0)
    async def fail():
        raise ValueError("no")

    @wf.workflow
    async def flow():
        call = family.kid.with_options(id="kid")("kid")
        if why == "its task is cancelled":
            task = asyncio.create_task(call)
            await wf.sleep("1m")
            task.cancel()
            await asyncio.wait([task])
        elif why == "its time is over":
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(call, 60)
        elif why == "its sibling failed":
            await asyncio.gather(call, fail())
        else:
            asyncio.create_task(call)  # noqa: RUF006
            await wf.sleep("1m")
        return "done"

    run = await wf_env.start(flow)
    if why == "its sibling failed":
        with pytest.raises(wf.WorkflowRunFailedError):
            await run.return_value()
    else:
        assert await end_of(run.run_id) == ("completed", "done")
    assert await end_of("kid") == NOT_AWAITED
    await assert_replays(wf_env, run)


async def test_a_child_that_ends_before_it_hears_of_the_cancel_has_ended_as_it_did(wf_env):
    @wf.workflow
    async def quick():
        return "quick"

    @wf.workflow
    async def flow():
        value = await quick.with_options(id="quick")()
        await wf.hook(token="stop")
        return value

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    assert await end_of("quick") == ("completed", "quick")
    assert "child_cancelled" not in [event[0] for event in await events_of(wf_env, run.run_id)]


async def test_a_parents_cancel_does_not_press_a_child_that_cleans_up_already(wf_env):
    family = Family()

    @wf.workflow
    async def kid():
        try:
            await wf.hook(token="kid")
        finally:
            await wf.hook(token="clean up")
            await family.note("clean")

    @wf.workflow
    async def flow():
        await kid.with_options(id="kid")()

    run = await wf_env.start(flow)
    await _there("kid")
    await wf_env.wait_for_hook(wf.get_run("kid"))
    await wf.get_run("kid").cancel("of its own")
    while len(await wf_env.session.world.list_hooks("kid")) < 2:
        await asyncio.sleep(0)
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    await wf.resume_hook("clean up")
    assert await end_of("kid") == ("cancelled", "of its own")
    assert family.told == ["clean"]


async def test_a_child_that_went_on_as_another_run_is_cancelled_there(wf_env):
    @wf.workflow
    async def kid(n):
        if n:
            await wf.continue_as_new(n - 1)
        await wf.hook(token="last")

    @wf.workflow
    async def flow():
        await kid.with_options(id="kid")(2)

    run = await wf_env.start(flow)
    while not await wf_env.session.world.list_hooks():
        await asyncio.sleep(0)
    (hook,) = await wf_env.session.world.list_hooks()
    assert hook.run_id != "kid"
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    assert await end_of(hook.run_id) == PARENT_CANCELLED


async def test_a_child_that_still_waits_to_begin_runs_nothing_when_its_parent_is_cancelled(wf_env):
    family = Family()

    @wf.workflow
    async def flow():
        await family.kid.with_options(id="kid", delay="1h")("kid")

    run = await wf_env.start(flow)
    await _there("kid")
    await run.cancel()
    assert (await end_of(run.run_id))[0] == "cancelled"
    assert await end_of("kid") == PARENT_CANCELLED
    assert family.told == []


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


async def test_an_id_that_another_workflow_has_is_a_value_error_for_who_waits_in_a_body(wf_env, restart):
    @wf.workflow
    async def other(x):
        return x

    @wf.workflow
    async def flow():
        run = await wf.start(other.with_options(id="taken"), 1)
        try:
            await run.return_value()
        except ValueError as error:
            seen = str(error)
        await wf.hook(token="go on")
        return seen

    await (await wf_env.start(child.with_options(id="taken"), 1)).return_value()
    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go on")
    assert await run.return_value() == "the run id taken belongs to a run of another workflow"


async def test_a_body_that_waits_too_long_for_a_run_is_told_for_which(wf_env):
    @wf.workflow
    async def endless():
        await wf.hook()

    @wf.workflow
    async def flow():
        run = await wf.start(endless.with_options(id="endless"))
        with pytest.raises(TimeoutError, match="run endless did not end within 5 s"):
            await run.return_value(timeout="5s")
        await run.terminate()

    await wf_env.run(flow)
