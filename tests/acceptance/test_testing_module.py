"""API.md §7 and §8: `wf.testing` and its pytest plugin."""

from __future__ import annotations

import asyncio
import itertools
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

import wf
from wf.testing import WorkflowEnvironment


@wf.step
async def fetch(user, *, verbose=False):
    raise AssertionError("the real step ran")


@wf.step
def plain(x):
    raise AssertionError("the real step ran")


@wf.workflow
async def flow(user):
    return await fetch(user, verbose=True)


@wf.workflow
async def sleeper(duration="3d"):
    await wf.sleep(duration)
    return wf.now()


# -- running and time


async def test_start_and_run(wf_env):
    @wf.workflow
    async def adds(a, *, b):
        return a + b

    run = await wf_env.start(adds, 1, b=2)
    assert isinstance(run, wf.Run)
    assert await run.return_value() == 3
    assert await wf_env.run(adds, 1, b=5) == 6


async def test_run_raises_workflow_run_failed_error(wf_env):
    @wf.workflow
    async def fails():
        raise ValueError("v")

    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(fails)
    assert isinstance(caught.value.__cause__, ValueError)


async def test_the_clock_is_aware_and_jumps_when_nothing_else_can_run(wf_env):
    before = wf_env.time
    assert isinstance(before, datetime)
    assert before.utcoffset() == timedelta(0)
    woke = await wf_env.run(sleeper, "30d")
    assert woke - before >= timedelta(days=30)
    assert wf_env.time >= woke


async def test_skip_moves_the_clock(wf_env):
    before = wf_env.time
    await wf_env.skip("3d")
    assert wf_env.time - before == timedelta(days=3)
    await wf_env.skip(10)
    await wf_env.skip(timedelta(hours=1))
    assert wf_env.time - before == timedelta(days=3, hours=1, seconds=10)
    with pytest.raises(ValueError):
        await wf_env.skip("soon")


async def test_wait_for_sleep_holds_the_clock_until_skip(wf_env):
    run = await wf_env.start(sleeper, "3d")
    before = wf_env.time
    await wf_env.wait_for_sleep(run)
    for _ in range(50):
        await asyncio.sleep(0.002)
    assert wf_env.time == before
    assert await run.status() == "running"
    await wf_env.skip("2d")
    assert await run.status() == "running"
    await wf_env.skip("1d")
    assert await run.return_value() >= before + timedelta(days=3)


async def test_skip_goes_through_every_timer_on_the_way(wf_env):
    seen = []

    @wf.workflow
    async def ticks():
        for _ in range(5):
            await wf.sleep("1h")
            seen.append(wf.now())

    run = await wf_env.start(ticks)
    await wf_env.wait_for_sleep(run)
    await wf_env.skip("1d")
    assert await run.status() == "completed"
    gaps = [b - a for a, b in itertools.pairwise(seen)]
    assert all(timedelta(hours=1) <= gap < timedelta(hours=1, seconds=1) for gap in gaps)


async def test_wait_for_hook_gives_the_hook(wf_env):
    @wf.workflow
    async def waits():
        first, second = wf.hook(token="a"), wf.hook(token="b", metadata=5)
        return await first, await second

    run = await wf_env.start(waits)
    found = await wf_env.wait_for_hook(run, token="b")
    assert (found.token, found.metadata) == ("b", 5)
    assert (await wf_env.wait_for_hook(run)).token in ("a", "b")
    await wf.resume_hook("a", 1)
    await wf.resume_hook("b", 2)
    assert await run.return_value() == (1, 2)


async def test_after_wait_for_hook_a_test_may_wait_for_the_timeout(wf_env):
    @wf.workflow
    async def waits():
        try:
            async with asyncio.timeout(3600):
                return await wf.hook(token="a")
        except TimeoutError:
            return "timed out"

    run = await wf_env.start(waits)
    await wf_env.wait_for_hook(run)
    assert await run.return_value() == "timed out"


async def test_after_wait_for_hook_a_test_may_run_something_else(wf_env):
    @wf.workflow
    async def waits():
        return await wf.hook(token="a")

    run = await wf_env.start(waits)
    await wf_env.wait_for_hook(run)
    await wf_env.run(sleeper, "1h")
    await wf.resume_hook("a", 1)
    assert await run.return_value() == 1


async def test_waiting_for_what_never_comes_ends_with_the_run(wf_env):
    @wf.workflow
    async def quick():
        return 1

    run = await wf_env.start(quick)
    with pytest.raises(wf.WorkflowError):
        await wf_env.wait_for_hook(run)
    with pytest.raises(wf.WorkflowError):
        await wf_env.wait_for_sleep(run)


# -- mocks


async def test_a_mock_is_a_function_a_value_or_an_exception(wf_env):
    wf_env.mock(fetch, lambda user, verbose: (user, verbose))
    assert await wf_env.run(flow, "ann") == ("ann", True)

    async def stand_in(user, *, verbose=False):
        return [user, verbose, wf.get_step_metadata().attempt]

    wf_env.mock(fetch, stand_in)
    assert await wf_env.run(flow, "ann") == ["ann", True, 1]
    wf_env.mock(fetch, {"name": "ann"})
    assert await wf_env.run(flow, "ann") == {"name": "ann"}
    wf_env.mock(fetch, None)
    assert await wf_env.run(flow, "ann") is None
    wf_env.mock(fetch, wf.FatalError("mocked"))
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow, "ann")
    assert isinstance(caught.value.__cause__, wf.FatalError)
    wf_env.mock(fetch, wf.FatalError)
    with pytest.raises(wf.WorkflowRunFailedError):
        await wf_env.run(flow, "ann")


async def test_a_plain_step_is_mocked_too(wf_env):
    @wf.workflow
    async def uses():
        return await plain(3)

    wf_env.mock(plain, lambda x: x * 2)
    assert await wf_env.run(uses) == 6
    wf_env.mock(plain, 9)
    assert await wf_env.run(uses) == 9

    async def later(x):
        return x * 3

    wf_env.mock(plain, later)
    assert await wf_env.run(uses) == 9


async def test_a_mocked_exception_is_retried_like_any(wf_env):
    calls = []

    def flaky(user, verbose):
        calls.append(1)
        if len(calls) < 3:
            raise OSError("down")
        return "up"

    wf_env.mock(fetch, flaky)
    assert await wf_env.run(flow, "x") == "up"


async def test_mocking_what_is_no_step_is_refused(wf_env):
    with pytest.raises((TypeError, wf.NotRegisteredError)):
        wf_env.mock("no such step", 1)
    with pytest.raises((TypeError, wf.NotRegisteredError)):
        wf_env.mock(lambda: None, 1)
    with pytest.raises((TypeError, wf.NotRegisteredError)):
        wf_env.mock(flow, 1)


async def test_mocks_end_with_their_environment(wf_env):
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(flow, "x")
    assert isinstance(caught.value.__cause__, AssertionError)


# -- histories


@wf.step(name="acceptance.testing.echo")
async def echo(value):
    return value


def version(body):
    @wf.workflow(name="acceptance.testing.replayed")
    async def replayed(x):
        return await body(x)

    return replayed


async def first(x):
    value = await echo(x)
    await wf.sleep("1h")
    return await echo([value, wf.uuid4()])


async def changed(x):
    await wf.sleep("1h")
    return await echo(x)


async def test_record_and_replay(wf_env, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = await wf_env.start(version(first), {"a": (1, 2)})
    await run.return_value()
    history = wf.testing.record(run)
    assert isinstance(history, Path)
    assert history.exists()
    wf_env.replay(history)
    version(changed)
    with pytest.raises(wf.NondeterminismError) as caught:
        wf_env.replay(history)
    assert "acceptance.testing.echo" in caught.value.recorded
    assert "sleep" in caught.value.actual
    version(first)
    await wf_env.replay(history)
    await wf_env.replay(str(history))


async def test_a_run_that_failed_or_still_waits_replays_too(wf_env, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    @wf.workflow
    async def fails():
        await echo(1)
        raise ValueError("v")

    run = await wf_env.start(fails)
    with pytest.raises(wf.WorkflowRunFailedError):
        await run.return_value()
    wf_env.replay(wf.testing.record(run))

    @wf.workflow
    async def waits():
        await wf.hook()

    run = await wf_env.start(waits)
    await wf_env.wait_for_hook(run)
    wf_env.replay(wf.testing.record(run))


# -- environments


async def test_an_environment_may_be_made_by_hand():
    async with WorkflowEnvironment(concurrency=2, start_at=datetime(2030, 1, 1, tzinfo=UTC)) as env:
        assert env.time == datetime(2030, 1, 1, tzinfo=UTC)
        woke = await env.run(sleeper, "1d")
        assert woke >= datetime(2030, 1, 2, tzinfo=UTC)


async def test_environments_do_not_see_each_other(wf_env):
    assert (await wf.list_runs()).items == []
    run = await wf_env.start(sleeper)
    await run.terminate()
    async with WorkflowEnvironment():
        with pytest.raises(wf.RunNotFoundError):
            await run.status()


def test_a_plain_test_may_use_the_fixture(wf_env):
    assert wf_env.time.tzinfo is not None


# -- beside other plugins

OTHERS = """
import asyncio
import inspect
import pytest

@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem):  # as anyio does
    if inspect.iscoroutinefunction(pyfuncitem.obj):
        asyncio.run(pyfuncitem.obj(**{name: pyfuncitem.funcargs[name] for name in pyfuncitem._fixtureinfo.argnames}))
        return True

class Item(pytest.Function):  # as pytest-asyncio does
    def runtest(self):
        obj, self.obj = self.obj, lambda **args: asyncio.run(obj(**args))
        super().runtest()

def pytest_pycollect_makeitem(collector, name, obj):
    if name.endswith("its_item") and inspect.iscoroutinefunction(obj):
        return Item.from_parent(collector, name=name)
"""
TESTS = """
import wf

@wf.workflow
async def flow():
    await wf.sleep("1h")
    return "slept"

async def test_hook(wf_env):
    assert await wf_env.run(flow) == "slept"

async def test_its_item(wf_env):
    assert await wf_env.run(flow) == "slept"

async def test_without():
    pass
"""


def test_a_test_runs_on_its_environments_loop_whatever_other_plugins_there_are(tmp_path):
    (tmp_path / "conftest.py").write_text(OTHERS)
    (tmp_path / "test_flow.py").write_text(TESTS)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(tmp_path)]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert "3 passed" in done.stdout, done.stdout


async def test_awaiting_the_environment_on_another_loop_is_refused(wf_env):
    run = await wf_env.start(sleeper)
    for call in (
        lambda: wf_env.start(sleeper),
        lambda: wf_env.run(sleeper),
        lambda: wf_env.wait_for_hook(run),
        lambda: wf_env.wait_for_sleep(run),
        lambda: wf_env.skip(1),
    ):
        with pytest.raises(RuntimeError, match="not in an async fixture"):
            await asyncio.to_thread(lambda call=call: asyncio.run(call()))
