"""API.md §3 and §8: starting runs, and what a handle to one can do."""

from __future__ import annotations

import asyncio
import logging
from datetime import timedelta

import pytest

import wf

ID = "order:2026/7"


@wf.step
async def echo(value):
    return value


@wf.workflow
async def quick(x=1):
    return await echo(x)


@wf.workflow
async def other_workflow(x=1):
    return x


@wf.workflow
async def sleeper(duration="1h"):
    await wf.sleep(duration)
    return "woke"


@wf.workflow
async def waiter(token="t"):
    return await wf.hook(token=token)


@wf.workflow
async def failing():
    raise ValueError("no")


@wf.workflow
async def in_body(call, run):
    """Do something with a run, from inside a workflow."""
    match call:
        case "status":
            return await run.status()
        case "attributes":
            return await run.attributes()
        case "cancel":
            return await run.cancel("from a body")
        case "terminate":
            return await run.terminate("from a body")
        case "wake_up":
            return await run.wake_up()
        case "value":
            return await run.return_value()
        case "list":
            return [r.run_id async for r in wf.list_runs(workflow=quick)]
        case "page":
            return (await wf.list_runs(limit=1)).items
        case "continued_as":
            return await run.continued_as()
        case "attention":
            return await run.attention()


# -- starting


async def test_start_gives_a_run(wf_env):
    run = await wf.start(quick, 5)
    assert isinstance(run, wf.Run)
    assert isinstance(run.run_id, str)
    assert run.run_id
    assert await run.return_value() == 5
    assert await run.status() == "completed"
    assert await run.return_value() == 5
    assert run == wf.get_run(run.run_id)


async def test_statuses(wf_env):
    run = await wf_env.start(waiter)
    await wf_env.wait_for_hook(run)
    assert await run.status() == "running"
    await wf.resume_hook("t", 1)
    await run.return_value()
    assert await run.status() == "completed"
    failed = await wf_env.start(failing)
    with pytest.raises(wf.WorkflowRunFailedError):
        await failed.return_value()
    assert await failed.status() == "failed"
    delayed = await wf.start(quick.with_options(delay="1h"))
    assert await delayed.status() == "pending"
    await delayed.terminate()
    with pytest.raises(wf.WorkflowRunCancelledError):
        await delayed.return_value()
    assert await delayed.status() == "cancelled"


async def test_an_argument_that_cannot_be_carried_raises_before_anything_is_written(wf_env):
    with pytest.raises(wf.SerializationError, match=r"^x\['a'\]: function cannot be carried"):
        await wf.start(quick, {"a": lambda: None})
    with pytest.raises(TypeError):
        await wf.start(quick, 1, 2, 3)
    assert (await wf.list_runs()).items == []


async def test_a_delay_puts_off_the_first_activation(wf_env):
    before = wf_env.time
    ran = []

    @wf.workflow
    async def flow():
        ran.append(wf_env.time)

    run = await wf.start(flow.with_options(delay="2h"))
    await run.return_value()
    assert timedelta(hours=2) <= ran[0] - before < timedelta(hours=3)


# -- ids


async def test_with_options_id_is_the_run_id_and_makes_the_start_idempotent(wf_env, caplog):
    named = quick.with_options(id=ID)
    first = await wf.start(named, 1)
    assert first.run_id == ID
    assert await first.return_value() == 1
    again = await wf.start(named, 1)
    assert again == first
    with caplog.at_level(logging.WARNING, "wf"):
        third = await wf.start(named, 2)
    assert await third.return_value() == 1
    assert any(ID in record.getMessage() for record in caplog.records)
    with pytest.raises(ValueError):
        await wf.start(other_workflow.with_options(id=ID))
    assert len((await wf.list_runs()).items) == 1


async def test_many_starts_of_one_id_at_once_make_one_run(wf_env):
    ran = []

    @wf.workflow
    async def flow():
        ran.append(1)

    runs = await asyncio.gather(*(wf.start(flow.with_options(id="same")) for _ in range(20)))
    assert {run.run_id for run in runs} == {"same"}
    await runs[0].return_value()
    assert ran == [1]


async def test_a_failed_run_stays_what_its_id_gives(wf_env):
    run = await wf.start(failing.with_options(id="f"))
    with pytest.raises(wf.WorkflowRunFailedError):
        await run.return_value()
    again = await wf.start(failing.with_options(id="f"))
    assert await again.status() == "failed"


# -- unknown runs


@pytest.mark.parametrize(
    "use",
    [
        lambda run: run.status(),
        lambda run: run.return_value(),
        lambda run: run.return_value(timeout=1),
        lambda run: run.cancel(),
        lambda run: run.terminate(),
        lambda run: run.wake_up(),
        lambda run: run.attributes(),
        lambda run: run.attention(),
        lambda run: run.continued_as(),
        lambda run: run.stream_info(),
        lambda run: run.list_streams(),
        lambda run: anext(run.readable()),
        lambda run: anext(run.readable_bytes()),
    ],
)
async def test_an_unknown_id_raises_on_first_use(wf_env, use):
    run = wf.get_run("wrun_nobody")
    with pytest.raises(wf.RunNotFoundError) as caught:
        await use(run)
    assert caught.value.run_id == "wrun_nobody"


# -- return_value


async def test_return_value_has_a_timeout(wf_env):
    run = await wf_env.start(waiter)
    await wf_env.wait_for_hook(run)
    for timeout in (0.01, "10ms", timedelta(milliseconds=10)):
        with pytest.raises(TimeoutError):
            await run.return_value(timeout=timeout)
    with pytest.raises(TimeoutError):
        await run.return_value(0)
    await wf.resume_hook("t", 2)
    assert await run.return_value(timeout="1m") == 2


async def test_many_may_wait_for_one_run(wf_env):
    run = await wf_env.start(sleeper)
    assert await asyncio.gather(*(run.return_value() for _ in range(5))) == ["woke"] * 5


async def test_a_waiter_may_give_up(wf_env):
    run = await wf_env.start(waiter)
    await wf_env.wait_for_hook(run)
    task = asyncio.create_task(run.return_value())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await wf.resume_hook("t", 1)
    assert await run.return_value() == 1


# -- cancel


async def test_cancel_raises_cancelled_error_at_the_await_and_cleanup_steps_run(wf_env, restart):
    seen = []

    @wf.step
    async def clean(what):
        seen.append(what)
        return what

    @wf.workflow
    async def flow():
        try:
            await wf.sleep("1h")
        except asyncio.CancelledError as error:
            await clean(f"except {error}")
            await wf.sleep("10s")
            raise
        finally:
            await clean("finally")

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await restart()
    await run.cancel("enough")
    await wf_env.skip("30s")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert (caught.value.run_id, caught.value.reason) == (run.run_id, "enough")
    assert await run.status() == "cancelled"
    assert seen == ["except enough", "finally"]


async def test_cancel_without_a_reason(wf_env):
    run = await wf_env.start(sleeper)
    await wf_env.wait_for_sleep(run)
    await run.cancel()
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason is None


async def test_a_body_that_catches_the_cancellation_completes(wf_env):
    @wf.workflow
    async def flow():
        try:
            await wf.sleep("1h")
        except asyncio.CancelledError:
            return "survived"

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await run.cancel()
    assert await run.return_value() == "survived"
    assert await run.status() == "completed"


async def test_a_reason_has_at_most_512_characters(wf_env):
    run = await wf_env.start(sleeper)
    await wf_env.wait_for_sleep(run)
    for call in (run.cancel, run.terminate):
        with pytest.raises(ValueError):
            await call("x" * 513)
    assert await run.status() == "running"
    await run.cancel("x" * 512)
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "x" * 512


async def test_cancelling_a_run_that_ended_changes_nothing(wf_env):
    run = await wf_env.start(quick)
    await run.return_value()
    await run.cancel("late")
    await run.terminate("later")
    assert await run.wake_up() == 0
    assert await run.status() == "completed"
    assert await run.return_value() == 1


async def test_a_run_cancelled_while_pending_runs_nothing(wf_env):
    ran = []

    @wf.workflow
    async def flow():
        ran.append(1)

    run = await wf.start(flow.with_options(delay="1h"))
    await run.cancel("not today")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "not today"
    await wf_env.skip("2h")
    assert ran == []


async def test_a_second_cancel_ends_the_run_at_once(wf_env):
    seen = []

    @wf.step
    async def clean():
        seen.append("cleaned")

    @wf.workflow
    async def stubborn():
        while True:
            try:
                await wf.sleep("1h")
            except asyncio.CancelledError:
                seen.append("refused")

    run = await wf_env.start(stubborn)
    await wf_env.wait_for_sleep(run)
    await run.cancel("please")
    await wf_env._settle()
    assert await run.status() == "running"
    await run.cancel("now")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "now"
    assert seen == ["refused"]


async def test_steps_in_flight_run_to_their_end_unless_cancellable(wf_env):
    gate, seen = asyncio.Event(), []

    @wf.step
    async def stays():
        await gate.wait()
        seen.append("stayed")

    @wf.step(cancellable=True)
    async def goes():
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("went")
            raise

    @wf.workflow
    async def flow():
        await asyncio.gather(stays(), goes())

    run = await wf_env.start(flow)
    while not wf_env._embedded.worker.leases.runs or await run.status() != "running":
        await asyncio.sleep(0)
    for _ in range(10):
        await asyncio.sleep(0)
    await run.cancel()
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    while not seen:
        await asyncio.sleep(0)
    assert seen == ["went"]
    gate.set()
    await wf_env._embedded.drain()
    assert seen == ["went", "stayed"]


async def test_cancel_reaches_a_body_in_a_task_group(wf_env):
    cleaned = []

    @wf.workflow
    async def flow():
        async def one(n):
            try:
                await wf.sleep("1h")
            finally:
                cleaned.append(await echo(n))

        async with asyncio.TaskGroup() as group:
            for n in range(3):
                group.create_task(one(n))

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await run.cancel("all of you")
    with pytest.raises(wf.WorkflowRunCancelledError):
        await run.return_value()
    assert sorted(cleaned) == [0, 1, 2]


async def test_cancel_is_kept_over_a_restart(wf_env, restart):
    @wf.workflow
    async def flow():
        try:
            await wf.sleep("1h")
        except asyncio.CancelledError:
            await wf.hook(token="cleanup")
            raise

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await run.cancel("why")
    await wf_env.wait_for_hook(run, token="cleanup")
    await restart()
    await wf.resume_hook("cleanup")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "why"


# -- terminate


async def test_terminate_ends_at_once_without_cleanup(wf_env):
    seen = []

    @wf.workflow
    async def flow():
        try:
            await wf.sleep("1h")
        except asyncio.CancelledError:
            seen.append("cancelled")
        finally:
            await echo("x")
            seen.append("cleaned")

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await run.terminate("stop")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "stop"
    assert await run.status() == "cancelled"
    assert "cleaned" not in seen
    assert "cancelled" not in seen
    await run.terminate("again")
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await run.return_value()
    assert caught.value.reason == "stop"


# -- wake_up


async def test_wake_up_ends_sleeps_early_and_says_how_many(wf_env, restart):
    @wf.workflow
    async def flow():
        before = wf.now()
        await asyncio.gather(wf.sleep("1d"), asyncio.sleep(86400), wf.sleep("2d"))
        await wf.hook(token="go")
        return (wf.now() - before).total_seconds()

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    assert await run.wake_up() == 3
    await wf_env.wait_for_hook(run)
    assert await run.wake_up() == 0
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() < 3600


async def test_wake_up_leaves_deadlines_alone(wf_env):
    @wf.workflow
    async def flow():
        try:
            async with asyncio.timeout(3600):
                await wf.hook(token="t")
        except TimeoutError:
            return "too early"
        return "resumed"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    assert await run.wake_up() == 0
    await wf.resume_hook("t")
    assert await run.return_value() == "resumed"


# -- the same from inside a workflow


async def test_inside_a_workflow_every_one_is_durable(wf_env, restart):
    target = await wf_env.start(sleeper)
    await wf_env.wait_for_sleep(target)
    done = await wf_env.start(quick, 7)

    @wf.workflow
    async def flow(target, done):
        seen = [await target.status(), await target.attributes(), await target.attention()]
        seen += [await done.return_value(), await done.continued_as()]
        seen += [await target.wake_up(), await target.return_value(), await target.status()]
        await wf.hook(token="go")
        return seen

    run = await wf_env.start(flow, target, done)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == ["running", {}, None, 7, None, 1, "woke", "completed"]


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_a_workflow_may_end_another(wf_env, how):
    target = await wf_env.start(sleeper)
    await wf_env.wait_for_sleep(target)
    await wf_env.run(in_body, how, target)
    with pytest.raises(wf.WorkflowRunCancelledError) as caught:
        await target.return_value()
    assert caught.value.reason == "from a body"


async def test_list_runs_inside_a_workflow(wf_env):
    first = await wf_env.start(quick)
    await first.return_value()
    assert await wf_env.run(in_body, "list", first) == [first.run_id]
    page = await wf_env.run(in_body, "page", first)
    assert isinstance(page[0], wf.Run)


async def test_return_value_in_a_body_raises_what_it_raises_outside(wf_env):
    @wf.workflow
    async def flow(failed, cancelled, unknown):
        seen = []
        for run in (failed, cancelled, unknown):
            try:
                await run.return_value()
            except wf.WorkflowError as error:
                seen.append((type(error).__name__, error.run_id, type(error.__cause__).__name__))
        try:
            await wf.get_run("w").return_value(timeout=5)
        except TimeoutError:
            seen.append("timeout")
        return seen

    failed = await wf_env.start(failing)
    cancelled = await wf_env.start(sleeper)
    await wf_env.wait_for_sleep(cancelled)
    await cancelled.cancel("x")
    waiting = await wf.start(waiter.with_options(id="w"))
    await wf_env.skip(1)
    run = await wf_env.start(flow, failed, cancelled, wf.get_run("nobody"))
    assert await run.return_value() == [
        ("WorkflowRunFailedError", failed.run_id, "ValueError"),
        ("WorkflowRunCancelledError", cancelled.run_id, "NoneType"),
        ("RunNotFoundError", "nobody", "NoneType"),
        "timeout",
    ]
    await waiting.terminate()


async def test_a_step_may_start_and_watch_runs(wf_env):
    @wf.step
    async def works():
        run = await wf.start(quick, 9)
        return await run.return_value(), await run.status()

    @wf.workflow
    async def flow():
        return await works()

    assert await wf_env.run(flow) == (9, "completed")


async def test_runs_pass_as_arguments_and_results(wf_env):
    @wf.step
    async def passes(run):
        assert isinstance(run, wf.Run)
        return {"run": run}

    @wf.workflow
    async def flow(run):
        back = await passes(run)
        return back["run"], await back["run"].return_value()

    target = await wf_env.start(quick, 3)
    assert await wf_env.run(flow, target) == (target, 3)


# -- list_runs


async def test_list_runs_is_awaitable_and_iterable_newest_first(wf_env):
    runs = [await wf_env.start(quick, n) for n in range(5)]
    for run in runs:
        await run.return_value()
    page = await wf.list_runs()
    assert isinstance(page, wf.RunPage)
    assert [run.run_id for run in page.items] == [run.run_id for run in reversed(runs)]
    assert page.cursor is None
    walked = [run.run_id async for run in wf.list_runs(limit=2)]
    assert walked == [run.run_id for run in reversed(runs)]


async def test_newest_first_holds_for_ids_of_ones_own_while_the_clock_stands(wf_env):
    for name in ("b", "a", "c"):
        await wf.start(quick.with_options(id=name))
    assert [run.run_id async for run in wf.list_runs()] == ["c", "a", "b"]
    assert [run.run_id async for run in wf.list_runs(limit=1)] == ["c", "a", "b"]


async def test_pages(wf_env):
    runs = [await wf_env.start(quick, n) for n in range(5)]
    page, seen, pages = await wf.list_runs(limit=2), [], 1
    seen += page.items
    while page.cursor is not None:
        page = await wf.list_runs(limit=2, cursor=page.cursor)
        seen += page.items
        pages += 1
    assert seen == list(reversed(runs))
    assert pages == 3
    assert (await wf.list_runs(limit=5)).cursor is None


async def test_filters(wf_env):
    early = await wf.start(quick.with_options(attributes={"team": "a", "n": "1"}))
    await early.return_value()
    await wf_env.skip("1d")
    between = wf_env.time
    await wf_env.skip("1d")
    late = await wf.start(waiter.with_options(attributes={"team": "a"}))
    await wf_env.wait_for_hook(late)

    async def ids(**filter):
        return [run.run_id async for run in wf.list_runs(**filter)]

    assert await ids(status="completed") == [early.run_id]
    assert await ids(status=["completed", "running"]) == [late.run_id, early.run_id]
    assert await ids(workflow=quick) == [early.run_id]
    assert await ids(workflow=quick.id) == [early.run_id]
    assert await ids(attributes={"team": "a"}) == [late.run_id, early.run_id]
    assert await ids(attributes={"team": "a", "n": "1"}) == [early.run_id]
    assert await ids(attributes={"team": "b"}) == []
    assert await ids(since=between) == [late.run_id]
    assert await ids(until=between) == [early.run_id]
    assert await ids(since="36h") == [late.run_id]
    assert await ids(since=timedelta(hours=36)) == [late.run_id]
    assert await ids(status="failed") == []


async def test_bad_filters_are_refused(wf_env):
    for filter, error in (
        ({"status": "done"}, ValueError),
        ({"limit": 0}, ValueError),
        ({"limit": "x"}, (ValueError, TypeError)),
        ({"since": "soon"}, ValueError),
        ({"cursor": 5}, (ValueError, TypeError)),
        ({"workflow": 5}, TypeError),
        ({"attributes": {"tier": 1}}, TypeError),
        ({"attributes": "tier"}, TypeError),
        ({"status": 5}, TypeError),
        ({"nonsense": 1}, TypeError),
    ):
        with pytest.raises(error):
            await wf.list_runs(**filter)


def test_get_run_takes_a_type_and_reads_nothing():
    run = wf.get_run("any", str)
    assert run.run_id == "any"
    assert wf.get_run(run_id="any", type=int) == run
    with pytest.raises(TypeError):
        wf.get_run(5)  # type: ignore[call-overload]
    assert wf.Run[int] is not None
