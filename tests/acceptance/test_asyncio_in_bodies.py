"""API.md §1, "In a workflow body": plain asyncio is durable. Every shape is also replayed by a second worker."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import socket
import subprocess
import threading
from datetime import timedelta

import pytest

import wf


@wf.step
async def echo(value):
    return value


@wf.step(max_retries=0)
async def broken(text="no"):
    raise ValueError(text)


@pytest.fixture
def run_twice(wf_env, restart):
    """Run a body; then again with a hook at its end, so that a second worker replays all of it."""

    async def call(workflow, *args):
        first = await wf_env.run(workflow, *args)

        @wf.workflow
        async def held(*args):
            value = await workflow.func(*args)
            await wf.hook(token="go")
            return value

        run = await wf_env.start(held, *args)
        await wf_env.wait_for_hook(run)
        await restart()
        await wf.resume_hook("go", None)
        assert await run.attention() is None
        second = await run.return_value()
        assert first == second
        return first

    return call


async def test_gather(run_twice):
    @wf.workflow
    async def flow():
        return await asyncio.gather(*(echo(n) for n in range(20)))

    assert await run_twice(flow) == list(range(20))


async def test_gather_with_exceptions(run_twice):
    @wf.workflow
    async def flow():
        found = await asyncio.gather(echo(1), broken("x"), echo(2), return_exceptions=True)
        return [repr(f) for f in found]

    assert await run_twice(flow) == ["1", "ValueError('x')", "2"]


async def test_gather_raises_the_first_failure(run_twice):
    @wf.workflow
    async def flow():
        try:
            await asyncio.gather(wf.sleep(60), broken("x"))
        except ValueError as error:
            return str(error)

    assert await run_twice(flow) == "x"


async def test_wait_first_completed(run_twice):
    @wf.workflow
    async def flow():
        tasks = [asyncio.create_task(wf.sleep(60 * n), name=str(n)) for n in (3, 1, 2)]
        done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return sorted(t.get_name() for t in done), sorted(t.get_name() for t in pending)

    assert await run_twice(flow) == (["1"], ["2", "3"])


async def test_wait_first_exception_and_timeout(run_twice):
    @wf.workflow
    async def flow():
        slow = asyncio.create_task(wf.sleep("1h"))
        bad = asyncio.create_task(broken())
        done, pending = await asyncio.wait({slow, bad}, return_when=asyncio.FIRST_EXCEPTION)
        assert done == {bad}
        assert pending == {slow}
        assert isinstance(bad.exception(), ValueError)
        before = wf.now()
        done, pending = await asyncio.wait({slow}, timeout=10)
        assert not done
        return (wf.now() - before).total_seconds()

    assert await run_twice(flow) == pytest.approx(10, abs=0.1)


async def test_as_completed(run_twice):
    @wf.workflow
    async def flow():
        async def late(n):
            await asyncio.sleep(n)
            return await echo(n)

        return [await done for done in asyncio.as_completed([late(3), late(1), late(2)])]

    assert await run_twice(flow) == [1, 2, 3]


async def test_a_task_group(run_twice):
    @wf.workflow
    async def flow():
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(echo(n)) for n in range(5)]
        return [t.result() for t in tasks]

    assert await run_twice(flow) == [0, 1, 2, 3, 4]


async def test_a_task_group_that_fails_cancels_the_others(run_twice):
    @wf.workflow
    async def flow():
        cleaned = []

        async def other(n):
            try:
                await wf.sleep("1d")
            except asyncio.CancelledError:
                cleaned.append(await echo(n))
                raise

        try:
            async with asyncio.TaskGroup() as group:
                for n in range(5):
                    group.create_task(other(n))
                await echo("go")
                group.create_task(broken("b"))
        except* ValueError as error:
            found = [str(e) for e in error.exceptions]
        return found, sorted(cleaned)  # which is cancelled first differs from run to run

    assert await run_twice(flow) == (["b"], [0, 1, 2, 3, 4])


async def test_create_task_runs_beside_the_body(run_twice):
    @wf.workflow
    async def flow():
        task = asyncio.create_task(echo("task"))
        first = await echo("main")
        return first, await task

    assert await run_twice(flow) == ("main", "task")


async def test_queues_carry_work_between_tasks(run_twice):
    @wf.workflow
    async def flow():
        queue, results = asyncio.Queue(maxsize=2), []

        async def worker():
            while True:
                item = await queue.get()
                results.append(await echo(item))
                queue.task_done()

        workers = [asyncio.create_task(worker()) for _ in range(3)]
        for n in range(10):
            await queue.put(n)
        await queue.join()
        for task in workers:
            task.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        return sorted(results)

    assert await run_twice(flow) == list(range(10))


async def test_events_locks_semaphores_conditions_and_barriers(run_twice):
    @wf.workflow
    async def flow():
        event, lock, semaphore = asyncio.Event(), asyncio.Lock(), asyncio.Semaphore(2)
        condition, order = asyncio.Condition(), []

        async def one():
            await event.wait()
            async with lock:
                order.append(await echo("one"))
            async with condition:
                condition.notify_all()

        async def two():
            async with lock:
                await wf.sleep(5)
                event.set()
                order.append(await echo("two"))
            async with semaphore, condition:
                await condition.wait()
                order.append("two again")

        await asyncio.gather(one(), two())
        return order

    assert await run_twice(flow) == ["two", "one", "two again"]


async def test_asyncio_sleep_is_a_durable_wait(wf_env, restart):
    @wf.workflow
    async def flow():
        return await asyncio.sleep(3600, "slept")

    before = wf_env.time
    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await restart()
    await wf_env.skip("59m")
    assert await run.status() == "running"
    await wf_env.skip("1m")
    assert await run.return_value() == "slept"
    assert timedelta(hours=1) <= wf_env.time - before < timedelta(hours=2)


async def test_asyncio_sleep_of_nothing_yields_only(run_twice):
    @wf.workflow
    async def flow():
        seen = []

        async def other():
            seen.append("other")

        task = asyncio.create_task(other())
        await asyncio.sleep(0)
        seen.append("main")
        await task
        return seen

    assert await run_twice(flow) == ["other", "main"]


async def test_wait_for_gives_the_value_or_times_out(run_twice):
    @wf.workflow
    async def flow():
        value = await asyncio.wait_for(echo(1), timeout=60)
        before = wf.now()
        try:
            await asyncio.wait_for(wf.sleep("1h"), timeout=10)
        except TimeoutError:
            return value, (wf.now() - before).total_seconds()

    value, seconds = await run_twice(flow)
    assert value == 1
    assert 10 <= seconds < 11


async def test_timeout_bounds_a_block(run_twice):
    @wf.workflow
    async def flow():
        async with asyncio.timeout(60):
            value = await echo(1)
        try:
            async with asyncio.timeout(5) as scope:
                await wf.sleep("1d")
        except TimeoutError:
            assert scope.expired()
            loop = asyncio.get_running_loop()
            async with asyncio.timeout_at(loop.time() + 60):
                return await echo(value + 1)

    assert await run_twice(flow) == 2


async def test_timeout_over_a_step_that_hangs(wf_env):
    release = asyncio.Event()

    @wf.step
    async def hangs():
        await release.wait()
        return "late"

    @wf.workflow
    async def flow():
        try:
            async with asyncio.timeout(5):
                await hangs()
        except TimeoutError:
            return "timed out"

    run = await wf_env.start(flow)
    while not await wf_env.session.world.list_waits(run.run_id):
        await asyncio.sleep(0)
    await_value = asyncio.create_task(run.return_value())
    wf_env._clock.move_to(wf_env._clock.now_us() + 6_000_000)
    wf_env._embedded.worker.look()
    assert await await_value == "timed out"
    release.set()


async def test_nested_timeouts_fire_in_order(run_twice):
    @wf.workflow
    async def flow():
        seen = []
        try:
            async with asyncio.timeout(20):
                try:
                    async with asyncio.timeout(10):
                        await wf.sleep("1h")
                except TimeoutError:
                    seen.append("inner")
                    await wf.sleep("1h")
        except TimeoutError:
            seen.append("outer")
        return seen

    assert await run_twice(flow) == ["inner", "outer"]


async def test_the_body_stays_alive_and_finally_runs_once(wf_env, restart):
    entered, left = [], []

    @wf.workflow
    async def flow():
        entered.append(1)
        try:
            await wf.hook(token="a")
            await wf.hook(token="b")
        finally:
            left.append(1)
        return "done"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="a")
    await wf.resume_hook("a")
    await wf_env.wait_for_hook(run, token="b")
    assert (entered, left) == ([1], [])
    await wf.resume_hook("b")
    assert await run.return_value() == "done"
    assert (entered, left) == ([1], [1])


async def test_async_context_managers_and_generators_work(run_twice):
    @wf.workflow
    async def flow():
        seen = []

        @contextlib.asynccontextmanager
        async def block():
            seen.append(await echo("in"))
            try:
                yield "value"
            finally:
                seen.append(await echo("out"))

        async def numbers():
            for n in range(3):
                yield await echo(n)

        async with block() as value:
            seen.append(value)
            seen.extend([n async for n in numbers()])
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(block())
        return seen

    assert await run_twice(flow) == ["in", "value", 0, 1, 2, "out", "in", "out"]


async def test_shield_keeps_a_task_from_cancellation(run_twice):
    @wf.workflow
    async def flow():
        inner = asyncio.create_task(wf.sleep(10))
        try:
            await asyncio.wait_for(asyncio.shield(inner), 5)
        except TimeoutError:
            await inner
            return "kept"

    assert await run_twice(flow) == "kept"


async def test_futures_and_call_later_work(run_twice):
    @wf.workflow
    async def flow():
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        before = wf.now()
        loop.call_later(5, future.set_result, "later")
        value = await future
        return value, round((wf.now() - before).total_seconds())

    assert await run_twice(flow) == ("later", 5)


async def test_context_variables_follow_tasks(run_twice):
    variable = contextvars.ContextVar("variable", default="unset")

    @wf.workflow
    async def flow():
        variable.set("outer")

        async def inner():
            seen = variable.get()
            variable.set("inner")
            await echo(1)
            return seen, variable.get()

        return [*await asyncio.create_task(inner()), variable.get()]

    assert await run_twice(flow) == ["outer", "inner", "outer"]


# -- races


async def test_losers_of_a_race_go_on_unless_cancelled(wf_env):
    ended = []

    @wf.step
    async def note(text):
        ended.append(text)

    @wf.workflow
    async def flow():
        async def slow():
            await wf.sleep("1m")
            await note("slow")

        task = asyncio.create_task(slow())
        await asyncio.wait({task, asyncio.create_task(wf.sleep(1))}, return_when=asyncio.FIRST_COMPLETED)
        await note("winner")
        await wf.sleep("5m")
        return task.done()

    assert await wf_env.run(flow) is True
    assert ended == ["winner", "slow"]


async def test_ties_are_broken_in_log_order_and_stay_so(run_twice):
    @wf.workflow
    async def flow():
        order = []

        async def one(n):
            await wf.sleep(10)
            order.append(n)

        await asyncio.gather(*(one(n) for n in range(10)))
        return order

    assert await run_twice(flow) == list(range(10))


async def test_a_race_is_won_by_the_same_on_replay(wf_env, restart):
    gates = {name: asyncio.Event() for name in "ab"}

    @wf.step
    async def racer(name):
        await gates[name].wait()
        return name

    @wf.workflow
    async def flow():
        tasks = [asyncio.create_task(racer(name)) for name in "ab"]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        first = next(iter(done)).result()
        await asyncio.wait(tasks)
        await wf.hook(token="go")
        return first

    run = await wf_env.start(flow)
    gates["b"].set()
    while not any(e.type == "step_completed" for e in await wf_env.session.world.read_events(run.run_id, 0, 99)):
        await asyncio.sleep(0)
    gates["a"].set()
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == "b"


async def test_tasks_left_behind_are_cancelled_when_the_body_returns(wf_env):
    seen = []

    @wf.workflow
    async def flow():
        async def left():
            try:
                await wf.sleep("1d")
            except asyncio.CancelledError:
                seen.append("cancelled")
                raise

        task = asyncio.create_task(left())
        await echo(1)
        assert not task.done()
        return "returned"

    before = wf_env.time
    assert await wf_env.run(flow) == "returned"
    assert seen == ["cancelled"]
    assert wf_env.time - before < timedelta(hours=1)


async def test_steps_in_flight_when_the_body_returns_end_and_are_recorded(wf_env):
    gate, ended = asyncio.Event(), []

    @wf.step
    async def slow():
        await gate.wait()
        ended.append(True)
        return "late"

    @wf.workflow
    async def flow():
        task = asyncio.create_task(slow())
        await echo(1)
        return task.done()

    run = await wf_env.start(flow)
    assert await run.return_value() is False
    gate.set()
    await wf_env._embedded.drain()
    assert ended == [True]
    types = [(e.type, e.name) for e in await wf_env.session.world.read_events(run.run_id, 0, 99)]
    assert ("step_completed", slow.id) in types
    assert await run.status() == "completed"


# -- I/O is refused


@pytest.mark.parametrize(
    "name", ["socket", "thread", "subprocess", "run_in_executor", "to_thread", "connection", "shell", "server"]
)
async def test_real_io_in_a_body_is_refused_and_names_the_cure(wf_env, name):
    async def attempt():
        loop = asyncio.get_running_loop()
        match name:
            case "socket":
                with contextlib.closing(socket.socket()) as s:
                    s.connect(("127.0.0.1", 9))
            case "thread":
                threading.Thread(target=print).start()
            case "subprocess":
                subprocess.run(["true"], check=False)
            case "run_in_executor":
                await loop.run_in_executor(None, print)
            case "to_thread":
                await asyncio.to_thread(print)
            case "connection":
                await asyncio.open_connection("127.0.0.1", 9)
            case "shell":
                await asyncio.create_subprocess_shell("true")
            case "server":
                await asyncio.start_server(print, "127.0.0.1", 0)

    @wf.workflow
    async def flow():
        try:
            await attempt()
        except wf.WorkflowIOError as error:
            return error.explain()

    @wf.workflow
    async def uncaught():
        await attempt()

    assert "step" in await wf_env.run(flow)
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(uncaught)
    assert isinstance(caught.value.__cause__, wf.WorkflowIOError)
    assert "step" in str(caught.value.__cause__)


async def test_a_step_may_do_all_of_it(wf_env):
    @wf.step
    async def io():
        value = await asyncio.to_thread(lambda: 5)
        process = await asyncio.create_subprocess_exec("true")
        return value + await process.wait()

    @wf.workflow
    async def flow():
        return await io()

    assert await wf_env.run(flow) == 5


async def test_a_body_that_spins_fails_and_does_not_stop_others(wf_env, monkeypatch):
    monkeypatch.setattr("wf.engine.loop.MAX_CALLBACKS", 10_000)

    @wf.workflow
    async def spins():
        while True:
            await asyncio.sleep(0)

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(spins)
    assert caught.value.error_code == "RUNTIME_ERROR"


# -- cancelling tasks


async def test_cancelling_a_task_that_awaits_a_plain_step_lets_it_run_to_its_end(wf_env):
    gate, ended = asyncio.Event(), []

    @wf.step
    async def slow():
        try:
            await gate.wait()
        except asyncio.CancelledError:
            ended.append("cancelled")
            raise
        ended.append("ran to its end")
        return "ignored"

    @wf.workflow
    async def flow():
        task = asyncio.create_task(slow())
        await echo(1)
        task.cancel("enough")
        try:
            await task
        except asyncio.CancelledError:
            await wf.hook(token="go")
            return "cancelled"

    run = await wf_env.start(flow)
    await wf_env.session.world.get_run(run.run_id)
    while not await wf_env.session.world.list_hooks(run.run_id):
        await asyncio.sleep(0)
    gate.set()
    while not ended:
        await asyncio.sleep(0)
    await wf.resume_hook("go")
    assert await run.return_value() == "cancelled"
    assert ended == ["ran to its end"]


async def test_cancelling_a_task_that_awaits_a_cancellable_step_cancels_the_attempt(wf_env, restart):
    seen, runs, begun = [], [], asyncio.Event()

    @wf.step
    async def until_begun():
        await begun.wait()

    @wf.step(cancellable=True)
    async def slow():
        runs.append(1)
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            seen.append(str(error))
            raise

    @wf.workflow
    async def flow():
        task = asyncio.create_task(slow())
        await until_begun()
        task.cancel("enough of it")
        try:
            await task
        except asyncio.CancelledError:
            await wf.hook(token="go")
            return "cancelled"

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    assert seen == ["enough of it"]
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == "cancelled"
    assert runs == [1]  # neither retried nor run again by the second worker


async def test_a_cancellable_step_may_be_cancelled_before_its_attempt_has_begun(wf_env):
    ran = []

    @wf.step(cancellable=True)
    async def slow():
        ran.append(True)
        await asyncio.Event().wait()

    @wf.workflow
    async def flow():
        task = asyncio.create_task(slow())
        await echo(1)  # both are scheduled together; this one ends before the other's first turn
        task.cancel("never mind")
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await wf.sleep(1)
        return "went on"

    assert await wf_env.run(flow) == "went on"
    await wf_env._embedded.drain()
    assert len(ran) <= 1


async def test_cancelled_before_the_call_was_made_nothing_runs(wf_env):
    ran = []

    @wf.step
    async def never():
        ran.append(True)

    @wf.workflow
    async def flow():
        task = asyncio.create_task(never())
        task.cancel()
        try:
            await task
        except asyncio.CancelledError:
            return await echo("nothing ran")

    run = await wf_env.start(flow)
    assert await run.return_value() == "nothing ran"
    assert ran == []
    names = [e.name for e in await wf_env.session.world.read_events(run.run_id, 0, 99)]
    assert never.id not in names


async def test_a_cancelled_sleep_is_dropped(wf_env):
    @wf.workflow
    async def flow():
        task = asyncio.create_task(wf.sleep("30d"))
        await echo(1)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await wf.sleep(1)
        return "done"

    before = wf_env.time
    assert await wf_env.run(flow) == "done"
    assert wf_env.time - before < timedelta(days=1)


async def test_a_call_that_is_never_awaited_is_not_made_and_warns_like_python(wf_env):
    @wf.workflow
    async def flow():
        coroutine = echo(1)
        coroutine.close()
        return "fine"

    run = await wf_env.start(flow)
    assert await run.return_value() == "fine"
    names = [e.name for e in await wf_env.session.world.read_events(run.run_id, 0, 99)]
    assert echo.id not in names


async def test_arguments_pass_by_value_as_of_the_call(wf_env):
    @wf.workflow
    async def flow():
        items = [1]
        call = echo(items)
        items.append(2)
        got = await call
        got.append(3)
        return items, got

    assert await wf_env.run(flow) == ([1, 2], [1, 3])


async def test_a_step_does_not_share_objects_with_the_body(wf_env):
    kept = []

    @wf.step
    async def keep(items):
        kept.append(items)
        return items

    @wf.workflow
    async def flow():
        items = {"a": []}
        back = await keep(items)
        back["a"].append(1)
        return items

    assert await wf_env.run(flow) == {"a": []}
    assert kept == [{"a": []}]
