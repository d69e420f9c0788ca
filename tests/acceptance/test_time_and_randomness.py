"""API.md §1: `sleep`, `now`, `time_ns`, `random`, `uuid4`."""

from __future__ import annotations

import asyncio
import random
import uuid
from datetime import UTC, datetime, timedelta, timezone

import pytest

import wf


@wf.step
async def nothing(): ...


@pytest.mark.parametrize(
    ("duration", "seconds"),
    [
        (90, 90),
        (0.5, 0.5),
        ("1h 30m", 5400),
        ("1h30m", 5400),
        ("250ms", 0.25),
        ("10s", 10),
        ("2m", 120),
        ("1d", 86400),
        ("2w", 14 * 86400),
        ("1.5h", 5400),
        (timedelta(minutes=3), 180),
    ],
)
async def test_sleep_takes_seconds_texts_and_timedeltas_and_is_never_early(wf_env, duration, seconds):
    @wf.workflow
    async def flow(duration):
        before = wf.now()
        await wf.sleep(duration)
        return (wf.now() - before).total_seconds()

    slept = await wf_env.run(flow, duration)
    assert seconds <= slept < seconds + 1


async def test_sleep_until_an_aware_datetime(wf_env):
    @wf.workflow
    async def flow(until):
        await wf.sleep(until)
        return wf.now()

    until = (wf_env.time + timedelta(days=2)).astimezone(timezone(timedelta(hours=5, minutes=30)))
    woke = await wf_env.run(flow, until)
    assert until <= woke < until + timedelta(seconds=1)
    assert await wf_env.run(flow, wf_env.time - timedelta(days=2)) <= wf_env.time


@pytest.mark.parametrize(
    ("duration", "error"),
    [
        ("soon", ValueError),
        ("1y", ValueError),
        ("", ValueError),
        (-1, ValueError),
        (float("nan"), ValueError),
        (float("inf"), ValueError),
        (datetime(2030, 1, 1), ValueError),  # noqa: DTZ001  naive on purpose
        (None, TypeError),
        (True, TypeError),
        ([1], TypeError),
    ],
)
async def test_what_is_no_duration_is_refused_in_the_body(wf_env, duration, error):
    @wf.workflow
    async def flow(duration):
        with pytest.raises(error):
            await wf.sleep(duration)
        return "refused"

    assert await wf_env.run(flow, duration) == "refused"


async def test_a_sleep_of_zero_is_fine(wf_env):
    @wf.workflow
    async def flow():
        await wf.sleep(0)
        await wf.sleep("0s")
        return "awake"

    assert await wf_env.run(flow) == "awake"


async def test_a_sleep_survives_a_restart(wf_env, restart):
    @wf.workflow
    async def flow():
        before = wf.now()
        await wf.sleep("3d")
        return before, wf.now()

    run = await wf_env.start(flow)
    await wf_env.wait_for_sleep(run)
    await restart()
    await wf_env.skip("2d")
    assert await run.status() == "running"
    await restart()
    await wf_env.skip("1d")
    before, after = await run.return_value()
    assert timedelta(days=3) <= after - before < timedelta(days=3, seconds=1)


async def test_now_is_aware_utc_and_stands_still_between_events(wf_env):
    @wf.workflow
    async def flow():
        first, second = wf.now(), wf.now()
        assert first == second
        assert first.tzinfo is UTC or first.utcoffset() == timedelta(0)
        assert wf.time_ns() // 1000 == round(first.timestamp() * 1_000_000)
        assert isinstance(wf.time_ns(), int)
        await wf.sleep(5)
        assert wf.now() >= first + timedelta(seconds=5)
        return first

    assert abs(await wf_env.run(flow) - wf_env.time) < timedelta(minutes=1)


async def test_everything_is_the_same_on_replay(wf_env, restart):
    seen = []

    @wf.workflow
    async def flow():
        mine = []
        mine += [wf.now(), wf.time_ns(), wf.random().random(), wf.uuid4(), wf.random().randint(0, 10**9)]
        await nothing()
        mine += [wf.now(), wf.uuid4(), wf.random().sample(range(1000), 5)]
        await wf.sleep(10)
        mine += [wf.now(), wf.time_ns(), wf.random().gauss(0, 1)]
        seen.append(mine)
        await wf.hook(token="go")
        return mine

    run = await wf_env.start(flow)
    await wf_env.skip("20s")
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    value = await run.return_value()
    assert len(seen) == 2
    assert seen[0] == seen[1] == value


async def test_kinds(wf_env):
    @wf.workflow
    async def flow():
        assert isinstance(wf.random(), random.Random)
        made = wf.uuid4()
        assert isinstance(made, uuid.UUID)
        assert made.version == 4
        assert made.variant == uuid.RFC_4122
        assert len({wf.uuid4() for _ in range(100)}) == 100
        return wf.uuid4()

    first, second = await asyncio.gather(wf_env.run(flow), wf_env.run(flow))
    assert first != second


@pytest.mark.parametrize("name", ["now", "time_ns", "random", "uuid4"])
def test_outside_a_body_each_raises_runtime_error(name):
    with pytest.raises(RuntimeError) as caught:
        getattr(wf, name)()
    assert isinstance(caught.value, wf.NotInRunError)


async def test_sleep_outside_a_body_is_refused():
    with pytest.raises(wf.NotInRunError):
        await wf.sleep(1)


async def test_in_a_step_they_are_refused_too(wf_env):
    @wf.step(max_retries=0)
    async def tries():
        for call in (wf.now, wf.time_ns, wf.random, wf.uuid4):
            with pytest.raises(RuntimeError):
                call()
        with pytest.raises(RuntimeError):
            await wf.sleep(1)

    @wf.workflow
    async def flow():
        await tries()

    await wf_env.run(flow)
