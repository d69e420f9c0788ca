"""Verdicts: a run in flight is replayed under other code, and nothing happens to it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import KEYRING, make_worker, open_world, until
from wf import registry
from wf.keys import Keyring
from wf.run import Run
from wf.settings import Limits
from wf.worker.verdicts import Verdict, judge
from wf.world import World


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


def judged(
    tmp_path: Path, start: Callable[[], Awaitable[Run[Any]]], edit: Callable[[], object], keyring: Keyring = KEYRING
) -> Verdict:
    """Start a run under some code, take the worker away, edit the code, and judge; the run must be untouched."""

    async def perform() -> Verdict:
        world: World = await open_world("sqlite", tmp_path)
        async with make_worker(world) as worker:
            run = await start()
            await worker.drain()
        row = await world.get_run(run.run_id)
        assert row is not None
        log = await world.read_events(run.run_id)
        with registry.isolated():
            edit()
            verdict = await judge(world, keyring, row, Limits())
        assert await world.get_run(run.run_id) == row
        assert await world.read_events(run.run_id) == log
        await world.close()
        return verdict

    return asyncio.run(perform())


calls: list[str] = []


def define(first: str = "first", *, name: str = "flow") -> Any:
    @wf.step(name="first")
    async def one() -> str:
        calls.append("one")
        return "1"

    @wf.step(name="second")
    async def two() -> str:
        calls.append("two")
        return "2"

    @wf.workflow(name=name)
    async def flow(text: str = "") -> str:
        found = await (one if first == "first" else two)()
        await wf.hook(token="go")
        return found + await two()

    return flow


def test_code_that_makes_the_same_calls_is_clean_and_no_step_runs(tmp_path: Path) -> None:
    calls.clear()
    verdict = judged(tmp_path, lambda: wf.start(define()), define)
    assert (verdict.outcome, verdict.workflow, verdict.trouble) == ("clean", "flow", None)
    assert calls == ["one"], "the run itself called it, the verdict did not"


def test_code_that_makes_another_call_diverges_there(tmp_path: Path) -> None:
    verdict = judged(tmp_path, lambda: wf.start(define()), lambda: define("second"))
    assert verdict.outcome == "diverges"
    assert verdict.trouble is not None
    assert (verdict.trouble.code, verdict.trouble.seq) == ("NONDETERMINISM", 3)
    assert "step first" in (verdict.trouble.recorded or "")
    assert "step second" in (verdict.trouble.actual or "")
    assert "test_verdicts.py:" in (verdict.trouble.where or "")


def test_code_that_goes_on_where_the_log_ends_diverges_as_an_extension(tmp_path: Path) -> None:
    def edit() -> None:
        @wf.step(name="first")
        async def one() -> str: ...

        @wf.step(name="second")
        async def two() -> str: ...

        @wf.workflow(name="flow")
        async def flow(text: str = "") -> None:
            await one()
            wf.hook(token="go")  # registered by the call, as it is when it is awaited
            await two()

    verdict = judged(tmp_path, lambda: wf.start(define()), edit)
    assert (verdict.outcome, verdict.is_extension) == ("diverges", True)
    assert verdict.trouble is not None
    assert (verdict.trouble.recorded, verdict.trouble.actual) == ("nothing more", "step second (position 3)")
    assert not judged(tmp_path, lambda: wf.start(define()), lambda: define("second")).is_extension


def test_a_workflow_that_is_gone_diverges_with_the_close_names(tmp_path: Path) -> None:
    def edit() -> None:
        registry._workflows.clear()
        define(name="flows")

    verdict = judged(tmp_path, lambda: wf.start(define()), edit)
    assert verdict.trouble is not None
    assert verdict.trouble.code == "NOT_REGISTERED"
    assert "flows" in verdict.trouble.message


@pytest.mark.parametrize("is_new_parameter", [True, False])
def test_a_run_that_has_not_begun_diverges_when_its_arguments_do_not_fit_any_more(
    tmp_path: Path, is_new_parameter: bool
) -> None:
    async def start() -> Run[Any]:
        return await wf.start(define().with_options(delay="1h"), "x")

    def edit() -> None:
        if is_new_parameter:

            @wf.workflow(name="flow")
            async def flow(text: str, more: int) -> None: ...
        else:

            @wf.workflow(name="flow")
            async def flow(words: str = "") -> None: ...

    verdict = judged(tmp_path, start, edit)
    assert verdict.trouble is not None
    assert "arguments for another signature" in verdict.trouble.message
    assert verdict.trouble.seq == 1


def test_a_run_that_has_not_begun_and_still_fits_is_clean(tmp_path: Path) -> None:
    async def start() -> Run[Any]:
        return await wf.start(define().with_options(delay="1h"), "x")

    assert judged(tmp_path, start, lambda: define("second")).outcome == "clean"


def test_a_log_that_cannot_be_opened_diverges_as_that(tmp_path: Path) -> None:
    verdict = judged(tmp_path, lambda: wf.start(define()), define, Keyring([b"x" * 32]))
    assert verdict.trouble is not None
    assert verdict.trouble.code == "DECRYPTION"


def test_a_body_that_fails_the_replay_itself_is_told_as_diverging(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def edit() -> None:
        @wf.workflow(name="flow")
        async def flow(text: str = "") -> None:
            raise SystemExit(3)

    assert judged(tmp_path, lambda: wf.start(define()), edit).outcome == "diverges"


def test_judging_leaves_no_task_behind(tmp_path: Path) -> None:
    async def perform() -> None:
        world: World = await open_world("memory", tmp_path)
        async with make_worker(world):
            run = await wf.start(define())
            await until(lambda: world.list_hooks(run.run_id), "it waits")
            row = await world.get_run(run.run_id)
            assert row is not None
            before = asyncio.all_tasks()
            for _ in range(5):
                assert (await judge(world, KEYRING, row, Limits())).outcome == "clean"
            assert asyncio.all_tasks() == before
            await wf.resume_hook("go", None)
            assert await run.return_value() == "12"

    asyncio.run(perform())
