"""Callers: those who give up in the middle of a call, and those who give what cannot be taken."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import make_worker, open_world, read_log, until
from wf import registry
from wf.errors import (
    FatalError,
    HookNotFoundError,
    PayloadTooLargeError,
    SerializationError,
    ValidationError,
)
from wf.world import RunFilter

WORLDS = ["memory", "sqlite", "postgres"]


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


# -- callers that are cancelled -----------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
async def test_starts_and_resumes_that_are_cancelled_anywhere_happen_wholly_or_not_at_all(kind: str, tmp_path: Path):
    @wf.step(name="one")
    async def one(n: int) -> int:
        return n

    @wf.workflow(name="collects")
    async def collects(n: int) -> list[int]:
        got: list[int] = [await one(n)]
        async with wf.hook(token=f"collect-{n}") as hook:
            async for payload in hook:
                if payload is None:
                    return got
                got.append(payload)
        return got

    rng = random.Random(41)
    world = await open_world(kind, tmp_path)
    async with make_worker(world) as embedded:

        async def give_up(call: Any) -> bool:
            task = asyncio.ensure_future(call)
            for _ in range(rng.randrange(12)):
                await asyncio.sleep(0)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                return False
            return True

        acknowledged = []
        for n in range(150):
            if await give_up(wf.start(collects.with_options(id=f"run-{n}"), n)):
                acknowledged.append(n)
        await embedded.drain()
        rows = {row.run_id: row for row in await world.list_runs(RunFilter(limit=1000))}
        assert {f"run-{n}" for n in acknowledged} <= set(rows)
        sent: dict[str, list[int]] = {}
        for run_id in rows:
            n = int(run_id.removeprefix("run-"))
            await until(lambda n=n: _is_live(f"collect-{n}"), "its hook is there")
            for payload in range(4):
                if await give_up(wf.resume_hook(f"collect-{n}", payload)):
                    sent.setdefault(run_id, []).append(payload)
        for run_id in rows:
            await wf.resume_hook(f"collect-{run_id.removeprefix('run-')}", None)
        for run_id in rows:
            first, *got = await wf.get_run(run_id).return_value(timeout=30)
            assert run_id == f"run-{first}"
            assert len(set(got)) == len(got), "a payload arrived twice"
            assert got == sorted(got)
            assert set(sent.get(run_id, [])) <= set(got), "an acknowledged payload was lost"
            await read_log(world, run_id)
        # the world still works for those who wait
        assert len(rows) >= len(acknowledged)
        last = await wf.start(collects, 1000)
        await until(lambda: _is_live("collect-1000"), "its hook is there")
        await wf.resume_hook("collect-1000", None)
        assert await last.return_value(timeout=20) == [1000]
    await world.close()


async def _is_live(token: str) -> bool:
    try:
        await wf.get_hook_by_token(token)
    except HookNotFoundError:
        return False
    return True


# -- what cannot be taken -----------------------------------------------------------------------


def deep(levels: int) -> Any:
    value: Any = []
    for _ in range(levels):
        value = [value]
    return value


def circular() -> Any:
    value: list[Any] = []
    value.append({"again": value})
    return value


BAD_VALUES: dict[str, tuple[Any, str]] = {
    "a function": (print, "value: builtin_function_or_method cannot be carried"),
    "a lambda in a dict": ({"a": [lambda: 0]}, "value['a'][0]: function cannot be carried"),
    "a file": (open, "value: builtin_function_or_method cannot be carried"),
    "a lock": ([asyncio.Lock()], "value[0]: Lock cannot be carried"),
    "a generator": ((x for x in ()), "value: generator cannot be carried"),
    "a module": (asyncio, "value: module cannot be carried"),
    "an object": (object(), "value: object cannot be carried"),
}


async def _rows(world: Any) -> tuple[int, ...]:
    runs = await world.list_runs(RunFilter(limit=1000))
    events = [len(await world.read_events(row.run_id)) for row in runs]
    return (len(runs), sum(events), len(await world.list_hooks()))


@pytest.mark.parametrize("what", list(BAD_VALUES))
async def test_an_argument_that_cannot_be_carried_is_refused_with_its_path_and_nothing_is_written(
    wf_env: Any, what: str
):
    @wf.workflow(name="takes")
    async def takes(value: Any) -> Any:
        return value

    value, text = BAD_VALUES[what]
    world = wf_env.session.world
    before = await _rows(world)
    with pytest.raises(SerializationError) as caught:
        await wf.start(takes, value)
    assert str(caught.value) == text
    assert await _rows(world) == before == (0, 0, 0)


@pytest.mark.parametrize("make", [lambda: deep(100_000), circular], ids=["too deep", "circular"])
async def test_a_structure_without_end_is_refused_and_nothing_is_written(wf_env: Any, make: Any):
    @wf.workflow(name="takes")
    async def takes(value: Any) -> Any:
        return value

    with pytest.raises(SerializationError) as caught:
        await wf.start(takes, make())
    assert str(caught.value).startswith("value[0]")
    assert len(str(caught.value)) < 1000
    assert await _rows(wf_env.session.world) == (0, 0, 0)


@pytest.mark.parametrize("value", [float("inf"), "\ud800 lone", "\0", 10**300, {1: 2, (3,): 4}, {None: 1}], ids=repr)
async def test_odd_values_that_python_allows_are_carried_as_they_are(wf_env: Any, value: Any):
    @wf.step(name="same")
    async def same(value: Any) -> Any:
        return value

    @wf.workflow(name="takes")
    async def takes(value: Any) -> Any:
        return await same(value)

    assert await wf_env.run(takes, value) == value


async def test_nan_is_carried_as_nan(wf_env: Any):
    @wf.workflow(name="takes")
    async def takes(value: Any) -> Any:
        return value

    result = await wf_env.run(takes, float("nan"))
    assert result != result


async def test_a_payload_of_50_mb_is_taken_and_one_byte_more_is_refused_and_not_written(tmp_path: Path):
    @wf.workflow(name="takes")
    async def takes(value: str) -> int:
        return len(value)

    limit = 50 * 10**6
    around = len('{"value":""}')
    world = await open_world("sqlite", tmp_path)
    async with make_worker(world):
        with pytest.raises(PayloadTooLargeError) as caught:
            await wf.start(takes, "x" * (limit - around + 1))
        assert str(caught.value) == f"the arguments of takes is {limit + 1} bytes, over the limit of {limit}"
        assert await _rows(world) == (0, 0, 0)
        run = await wf.start(takes, "x" * (limit - around))
        assert await run.return_value(timeout=60) == limit - around
    await world.close()


@dataclass
class Approval(wf.BaseHook):
    approved: bool
    count: int = 0


BAD_PAYLOADS = [{"approved": "yes"}, {}, None, 3, {"approved": True, "count": "x"}, [True]]


@pytest.mark.parametrize("payload", BAD_PAYLOADS, ids=repr)
async def test_a_payload_that_does_not_fit_is_refused_before_anything_is_written(wf_env: Any, payload: Any):
    @wf.workflow(name="approves")
    async def approves() -> bool:
        return (await Approval.wait(token="t")).approved

    run = await wf_env.start(approves)
    await wf_env.wait_for_hook(run)
    world = wf_env.session.world
    before = await _rows(world)
    with pytest.raises(ValidationError):
        await wf.resume_hook("t", payload)
    assert await _rows(world) == before
    await wf.resume_hook("t", {"approved": True})
    assert await run.return_value() is True


@pytest.mark.parametrize("token", ["", "x" * 1025])
async def test_a_token_that_is_empty_or_huge_is_refused_where_it_is_registered(wf_env: Any, token: str):
    @wf.workflow(name="waits")
    async def waits() -> str:
        try:
            wf.hook(token=token)
        except ValueError as error:
            return str(error)
        return "?"

    assert await wf_env.run(waits) == f"token: a text of {len(token)} characters; use 1 to 1024"
    with pytest.raises(HookNotFoundError):
        await wf.resume_hook(token, 1)


BAD_ATTRIBUTES: dict[str, tuple[dict[str, Any], str]] = {
    "no key": ({"": "v"}, "attribute key '' is not a text of 1 to 256 characters"),
    "a long key": ({"k" * 257: "v"}, f"attribute key '{'k' * 79} is not a text of 1 to 256 characters"),
    "a long value": ({"k": "é" * 129}, "attribute 'k' is 258 bytes, over the limit of 256"),
    "a number": ({"k": 3}, "attribute 'k': int is not a text"),
    "a reserved key": ({"$k": "v"}, "attribute key '$k' begins with `$`, which is reserved"),
    "a surrogate": ({"k": "\ud800"}, "attribute 'k' holds a lone surrogate"),
    "too many": ({str(n): "v" for n in range(65)}, "the run would have 65 attributes, over the limit of 64"),
}


@pytest.mark.parametrize("what", list(BAD_ATTRIBUTES))
async def test_attributes_over_a_limit_are_a_fatal_error_and_nothing_is_written(wf_env: Any, what: str):
    attributes, text = BAD_ATTRIBUTES[what]

    @wf.workflow(name="tags")
    async def tags() -> list[str]:
        texts = []
        for call in (lambda: wf.set_attributes(attributes), lambda: set_in_step()):
            try:
                await call()
            except FatalError as error:
                texts.append(str(error))
        return texts

    @wf.step(name="set-in-step")
    async def set_in_step() -> None:
        await wf.set_attributes(BAD_ATTRIBUTES[what][0])

    with pytest.raises(FatalError) as caught:
        await wf.start(tags.with_options(attributes=attributes))
    assert str(caught.value) == text
    assert await _rows(wf_env.session.world) == (0, 0, 0)
    run = await wf_env.start(tags)
    assert await run.return_value() == [text, text]
    assert await run.attributes() == {}


@pytest.mark.parametrize(
    "duration",
    [-1, "soon", "1 fortnight", float("nan"), float("inf"), 10**30, "99999999999999w", True, None, "", b"1s"],
    ids=repr,
)
async def test_an_absurd_duration_is_refused_in_the_body_and_no_wait_is_written(wf_env: Any, duration: Any):
    @wf.workflow(name="sleeps")
    async def sleeps() -> str:
        try:
            await wf.sleep(duration)
        except (TypeError, ValueError) as error:
            return str(error)
        return "slept"

    run = await wf_env.start(sleeps)
    text = await run.return_value()
    assert text.startswith("sleep: "), text
    assert len(text) < 200
    events = await wf_env.session.world.read_events(run.run_id)
    assert [e.type for e in events] == ["run_created", "run_started", "run_completed"]
