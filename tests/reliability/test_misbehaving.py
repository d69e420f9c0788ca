"""Steps and bodies that misbehave: what the worker does then, and that its neighbours are unaffected."""

from __future__ import annotations

import asyncio
import json
import logging
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import Place, make_worker, open_world, read_log, until
from wf import registry
from wf.engine import loop as engine_loop
from wf.errors import StepTimeoutError
from wf.forking import fork_run
from wf.worker import guard
from wf.worker.verdicts import judge


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


DEADLY = """
import os
import wf

@wf.step(max_retries=2)
async def deadly(survive_at: int) -> int:
    attempt = wf.get_step_metadata().attempt
    with open(os.environ["EFFECTS"], "a") as file:
        file.write(f"{attempt}\\n")
    if attempt < survive_at:
        os._exit(42)
    return attempt

@wf.workflow
async def main(survive_at: int) -> list:
    try:
        return ["value", await deadly(survive_at)]
    except wf.StepError as error:
        return ["failed", str(error)]
"""

WORK = """
async with wf.worker(modules=["flow"]):
    import flow
    run = await wf.start(flow.main.with_options(id="deadly"), SURVIVE)
    print(json.dumps(await run.return_value(timeout=20)))
"""


def test_a_step_that_kills_its_process_counts_as_an_attempt_and_the_next_worker_makes_the_second(tmp_path: Path):
    place = Place(tmp_path)
    place.write(DEADLY)
    work = WORK.replace("SURVIVE", "2")
    assert place.run(work, check=False).returncode == 42
    assert json.loads(place.run(work).stdout) == ["value", 2]
    assert (tmp_path / "effects").read_text() == "1\n2\n"


def test_a_step_whose_kills_use_up_its_retries_fails_as_worker_lost(tmp_path: Path):
    place = Place(tmp_path)
    place.write(DEADLY)
    work = WORK.replace("SURVIVE", "99")
    for _ in range(3):
        assert place.run(work, check=False).returncode == 42
    assert json.loads(place.run(work).stdout) == ["failed", "worker lost"]
    assert (tmp_path / "effects").read_text() == "1\n2\n3\n"


async def test_an_async_step_that_blocks_the_loop_is_named_in_the_log_with_its_line(
    wf_env: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    monkeypatch.setattr(guard, "BLOCKED_SECONDS", 0.1)
    assert guard._watch is not None

    @wf.step
    async def blocks() -> None:
        deadline = time.monotonic() + 20
        while not any("blocks it" in record.getMessage() for record in caplog.records):
            assert time.monotonic() < deadline

    @wf.workflow
    async def blocking() -> str:
        await blocks()
        return "done"

    with caplog.at_level(logging.ERROR, "wf.worker"):
        assert await wf_env.run(blocking) == "done"
    [record] = [record for record in caplog.records if "blocks it" in record.getMessage()]
    assert "in blocks" in record.getMessage()
    assert __file__ in record.getMessage()
    assert "make the step a plain `def`" in record.getMessage()


async def test_no_code_is_blamed_when_the_watch_comes_late_itself(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    """As when the process was stopped for a while, or the machine had no time for it: the loop turns all the same."""
    monkeypatch.setattr(guard, "BLOCKED_SECONDS", 0.1)
    watch = guard._Watch(asyncio.get_running_loop())
    looks: list[int] = []

    def wait(seconds: float) -> bool:
        time.sleep(0.15)
        looks.append(1)
        return len(looks) > 4

    monkeypatch.setattr(watch._stopped, "wait", wait)
    watch.start()
    await until(lambda: not watch.is_alive(), "it has looked")
    assert "blocks it" not in caplog.text


async def test_an_async_step_that_never_returns_is_cancelled_at_its_timeout_and_retried(wf_env: Any):
    ended: list[int] = []

    @wf.step(timeout="20ms", max_retries=1)
    async def never() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append(wf.get_step_metadata().attempt)

    @wf.workflow
    async def waits() -> str:
        try:
            await never()
        except StepTimeoutError as error:
            return str(error)
        return "?"

    text = await wf_env.run(waits)
    assert text == f"attempt 2 of step {never.id} took longer than 20 ms"
    assert ended == [1, 2]


async def test_a_plain_step_that_overruns_its_timeout_is_retried_and_its_late_result_ignored(wf_env: Any):
    release = threading.Event()
    returned: list[int] = []

    @wf.step(timeout="250ms", max_retries=20)  # on a busy machine the second attempt may overrun it, too
    def overruns() -> str:
        attempt = wf.get_step_metadata().attempt
        if attempt == 1:
            release.wait(20)
        returned.append(attempt)
        return f"attempt {attempt}"

    @wf.workflow
    async def waits() -> str:
        value = await overruns()
        await wf.hook(token="go")
        return value

    run = await wf_env.start(waits)
    await wf_env.wait_for_hook(run)
    release.set()
    await until(lambda: 1 in returned, "the overrun attempt returned")
    await wf.resume_hook("go")
    value = await run.return_value()
    events = await wf_env.session.world.read_events(run.run_id)
    (completed,) = [e.attempt for e in events if e.type == "step_completed"]
    assert completed > 1
    assert value == f"attempt {completed}"
    assert wf_env._embedded.worker._free_slots == wf_env._embedded.worker.concurrency


async def test_a_step_that_swallows_its_cancellation_ends_its_attempt_and_no_other(wf_env: Any):
    @wf.step(cancellable=True)
    async def stubborn() -> str:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            return "I stay"
        return "?"

    @wf.workflow
    async def gives_up() -> str:
        task = asyncio.create_task(stubborn())
        await wf.hook(token="stop")
        task.cancel("enough")
        try:
            return await task
        except asyncio.CancelledError as error:
            return f"cancelled: {error}"

    run = await wf_env.start(gives_up)
    await until(lambda: _attempts(wf_env) == 1, "the attempt runs")
    await wf.resume_hook("stop")
    assert await run.return_value(timeout=20) == "cancelled: enough"
    await until(lambda: _attempts(wf_env) == 0, "the attempt ended")
    assert wf_env._embedded.worker._free_slots == wf_env._embedded.worker.concurrency


@pytest.mark.parametrize("kind", ["SystemExit", "KeyboardInterrupt", "StopIteration", "GeneratorExit"])
@pytest.mark.parametrize("is_async", [True, False], ids=["async", "plain"])
async def test_a_step_that_raises_what_ends_programs_ends_its_attempt_only(wf_env: Any, kind: str, is_async: bool):
    error_type: Any = {
        "SystemExit": SystemExit, "KeyboardInterrupt": KeyboardInterrupt, "StopIteration": StopIteration,
        "GeneratorExit": GeneratorExit,
    }[kind]  # fmt: skip

    async def leaves() -> None:
        raise error_type("out")

    def leaves_plainly() -> None:
        raise error_type("out")

    step = wf.step(name="leaves", max_retries=0)(leaves if is_async else leaves_plainly)

    @wf.workflow
    async def catches() -> str:
        try:
            await step()
        except BaseException as error:
            return type(error).__name__
        return "?"

    expected = "RuntimeError" if kind == "StopIteration" else kind
    assert await asyncio.wait_for(wf_env.run(catches), 20) == expected


async def test_a_body_that_spins_fails_and_its_neighbour_completes(wf_env: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(engine_loop, "MAX_CALLBACKS", 2000)

    @wf.workflow
    async def spins() -> None:
        while True:
            await asyncio.sleep(0)

    @wf.workflow
    async def neighbour() -> str:
        await wf.sleep("1s")
        return "fine"

    beside = await wf_env.start(neighbour)
    with pytest.raises(wf.WorkflowRunFailedError) as caught:
        await wf_env.run(spins)
    assert caught.value.error_code == "RUNTIME_ERROR"
    assert await beside.return_value() == "fine"


@pytest.mark.parametrize("waits_for", ["sleep", "step"])
async def test_a_body_that_swallows_every_cancel_is_ended_by_the_second_one(wf_env: Any, waits_for: str):
    ran: list[int] = []

    @wf.step
    async def one() -> None:
        ran.append(1)
        await asyncio.sleep(3600)

    @wf.workflow
    async def stubborn() -> None:
        while True:
            try:
                if waits_for == "sleep":
                    await wf.sleep("1d")
                else:
                    await one()
            except BaseException:
                continue

    run = await wf_env.start(stubborn)
    await until(lambda: _has_events(wf_env, run, 3), "it waits")
    await run.cancel("first")
    await until(lambda: _has_events(wf_env, run, 5), "it swallowed the cancel")
    assert await run.status() == "running"
    calls = len(ran)
    await asyncio.wait_for(run.cancel("second"), 20)
    with pytest.raises(wf.WorkflowRunCancelledError, match="second"):
        await run.return_value(timeout=20)
    assert len(ran) <= calls + 1, "putting the body away ran its steps"


@pytest.mark.parametrize("where", ["finally", "behind the handler", "another task", "a saga"])
async def test_one_cancel_leaves_a_body_all_the_time_that_its_clean_up_takes(wf_env: Any, where: str):
    """Nothing tells these from a body that ignores the cancel: some call when no error is being handled."""
    cleaned: list[str] = []

    @wf.step
    async def clean_up(name: str) -> None:
        cleaned.append(name)

    async def slowly(name: str) -> None:
        await wf.sleep("1h")
        await clean_up(name)

    @wf.workflow
    async def tidy() -> None:
        async with wf.saga() as saga:
            saga.undo(slowly, "a saga")
            try:
                await wf.hook(token="never")
            except asyncio.CancelledError:
                if where == "behind the handler":
                    pass
                elif where == "another task":
                    await asyncio.gather(slowly("another task"), slowly("another task"))
                    raise
                elif where == "a saga":
                    raise
                else:
                    await slowly("finally")
                    raise
            await slowly("behind the handler")
            raise asyncio.CancelledError("enough")

    run = await wf_env.start(tidy)
    await wf_env.wait_for_hook(run)
    began = wf_env.time
    await run.cancel("enough")
    with pytest.raises(wf.WorkflowRunCancelledError, match="enough"):
        await run.return_value(timeout=20)
    assert set(cleaned) == {where, "a saga"}
    assert (wf_env.time - began).total_seconds() >= 3600


async def test_terminate_ends_a_body_that_swallows_everything_and_runs_none_of_its_clean_up(wf_env: Any):
    ran: list[str] = []

    @wf.step
    async def clean_up() -> None:
        ran.append("clean up")

    @wf.workflow
    async def tidy() -> None:
        try:
            await wf.hook(token="never")
        finally:
            await clean_up()

    run = await wf_env.start(tidy)
    await until(lambda: _has_events(wf_env, run, 3), "it waits")
    await run.terminate("now")
    with pytest.raises(wf.WorkflowRunCancelledError, match="now"):
        await run.return_value(timeout=20)
    await wf_env._embedded.drain()
    assert ran == []


async def test_a_run_that_is_put_away_runs_no_clean_up_and_is_taken_up_by_its_next_event(tmp_path: Path):
    ran: list[str] = []

    @wf.step
    async def clean_up() -> str:
        ran.append("clean up")
        return "clean"

    @wf.workflow
    async def tidy(token: str) -> str:
        try:
            await wf.hook(token=token)
        finally:
            result = await clean_up()
        return result

    world = await open_world("memory", tmp_path)
    async with make_worker(world, live_runs=1) as embedded:
        runs = [await wf.start(tidy, f"t{n}") for n in range(3)]

        async def all_wait() -> bool:
            return len(await world.list_hooks()) == 3

        await until(all_wait, "all three wait")
        await embedded.drain()
        assert len(embedded.worker.leases.runs) == 1
        assert ran == []
        for n in range(3):
            await wf.resume_hook(f"t{n}")
        assert [await run.return_value(timeout=20) for run in runs] == ["clean"] * 3
        assert len(ran) == 3
        for run in runs:
            await read_log(world, run.run_id)
    async with make_worker(world):
        assert len(ran) == 3


async def _has_events(env: Any, run: wf.Run[Any], count: int) -> bool:
    row = await env.session.world.get_run(run.run_id)
    return row is not None and row.seq >= count


def _attempts(env: Any) -> int:
    return sum(len(run.attempts) for run in env._embedded.worker.leases.runs.values())


# -- bodies that never wait


class Mill:
    """A workflow that runs on and on after its first step, until it is mended."""

    def __init__(self) -> None:
        self.is_broken = True
        self.ran: list[str] = []
        self.slow = asyncio.Event()

        @wf.step(max_retries=0)
        async def work(name: str) -> str:
            self.ran.append(name)
            if name == "slow":
                await self.slow.wait()
            return name

        @wf.workflow
        async def grind(*, at_once: bool = False) -> list[str]:
            if at_once:
                self.turn()
            slow = asyncio.create_task(work("slow"))
            done = [await work("quick")]
            self.turn()
            done += [await work("next"), await slow]
            return [*done, await wf.hook(token="go")]

        @wf.workflow
        async def neighbour() -> str:
            return str(await wf.hook(token="neighbour"))

        self.grind, self.neighbour = grind, neighbour

    def turn(self) -> None:
        while self.is_broken:
            pass


async def _attention(run: wf.Run[Any]) -> Any:
    return await run.attention()


async def _types(world: Any, run: wf.Run[Any]) -> list[str]:
    return [event.type for event in await world.read_events(run.run_id)]


async def _leave_blocked(world: Any, mill: Mill, run: wf.Run[Any]) -> None:
    """Wait until a run is left alone; its slow step has ended meanwhile."""
    await until(lambda: _has_type(world, run, "run_blocked"), "it was interrupted")
    mill.slow.set()
    await until(lambda: _attention(run), "it is left alone")


async def _has_type(world: Any, run: wf.Run[Any], type_: str) -> bool:
    return type_ in await _types(world, run)


@pytest.fixture
def soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hold a body for blocked after a tenth of a second."""
    monkeypatch.setattr(guard, "BLOCKED_SECONDS", 0.1)


@pytest.mark.usefixtures("soon")
@pytest.mark.parametrize("kind", ["memory", "sqlite"])
async def test_a_body_that_runs_on_and_on_is_left_alone_and_goes_on_with_other_code(
    tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture
):
    mill, world = Mill(), await open_world(kind, tmp_path)
    async with make_worker(world):
        beside = await wf.start(mill.neighbour)
        run = await wf.start(mill.grind)
        await _leave_blocked(world, mill, run)
        found = await run.attention()
        assert (found.code, found.seq, found.recorded) == ("BLOCKED", None, None)
        assert found.message == (
            f"the body of {mill.grind.id} ran on and on without waiting for anything, and was interrupted"
        )
        outer, inner = found.actual.splitlines()
        assert outer.startswith(f"{__file__}:")
        assert (outer.endswith(" in grind"), inner.endswith(" in turn"), found.where) == (True, True, inner)
        with pytest.raises(wf.errors.BlockedError) as caught:
            await run.return_value(timeout=20)
        assert caught.value.stack == (outer, inner)
        assert await run.status() == "running"
        await wf.resume_hook("neighbour", "fine")
        assert await beside.return_value(timeout=20) == "fine"
        assert f"run {run.run_id} needs attention (BLOCKED)" in caplog.text
        assert "blocks it" not in caplog.text
    assert (await _types(world, run))[-3:] == ["step_completed", "run_blocked", "step_completed"]

    async with make_worker(world):  # as it is, it is tried again once by whoever comes, and nothing is written
        await until(lambda: _tried_again(caplog), "it is tried again")
        assert (await _types(world, run)).count("run_blocked") == 1

    mill.is_broken = False
    async with make_worker(world):
        await until(lambda: _has_hook(world), "it goes on")
        assert await run.attention() is None
        await wf.resume_hook("go", "went on")
        assert await run.return_value(timeout=20) == ["quick", "next", "slow", "went on"]
        log = await read_log(world, run.run_id)
        assert [event.attempt for event in log if event.type == "step_completed"] == [1, 1, 1]
    assert sorted(mill.ran) == ["next", "quick", "slow"], "no step was run twice"
    async with make_worker(world) as embedded:  # what it is now replays
        row = await world.get_run(run.run_id)
        assert row is not None
        settings = embedded.session.settings
        assert (await judge(world, embedded.session.keyring, row, settings.limits)).trouble is None
    await world.close()


async def _tried_again(caplog: pytest.LogCaptureFixture) -> bool:
    return caplog.text.count("needs attention (BLOCKED)") > 1


async def _has_hook(world: Any) -> bool:
    return bool(await world.list_hooks())


@pytest.mark.usefixtures("soon")
async def test_a_body_that_never_gets_to_its_first_await_is_left_alone_too(wf_env: Any):
    mill = Mill()
    run = await wf_env.start(mill.grind, at_once=True)
    await until(lambda: _attention(run), "it is left alone")
    assert await _types(wf_env.session.world, run) == ["run_created", "run_started", "run_blocked"]
    assert mill.ran == []


@pytest.mark.usefixtures("soon")
async def test_what_is_sent_to_a_blocked_run_waits_until_it_goes_on(tmp_path: Path):
    mill, world = Mill(), await open_world("memory", tmp_path)

    @wf.workflow
    async def flow() -> list[Any]:
        hook = wf.hook(token="door")
        first = await hook
        mill.turn()
        return [first, await hook]

    async with make_worker(world):
        run = await wf.start(flow)
        await until(lambda: _has_hook(world), "it waits")
        await wf.resume_hook("door", 1)
        await wf.resume_hook("door", 2)
        await until(lambda: _attention(run), "it is left alone")
    mill.is_broken = False
    async with make_worker(world):
        assert await run.return_value(timeout=20) == [1, 2]


@pytest.mark.usefixtures("soon")
async def test_a_blocked_run_is_ended_by_terminate_without_its_code(wf_env: Any):
    mill = Mill()
    run = await wf_env.start(mill.grind, at_once=True)
    await until(lambda: _attention(run), "it is left alone")
    await run.terminate("enough")
    with pytest.raises(wf.WorkflowRunCancelledError, match="enough"):
        await run.return_value(timeout=20)


@pytest.mark.usefixtures("soon")
async def test_a_body_that_swallows_being_interrupted_is_left_alone_when_it_waits_at_last(wf_env: Any):
    mill = Mill()
    swallowed: list[str] = []

    @wf.workflow
    async def stubborn() -> str:
        while len(swallowed) < 2:
            try:
                mill.turn()
            except BaseException as error:
                swallowed.append(type(error).__name__)
        return "as if nothing had been"

    run = await wf_env.start(stubborn)
    await until(lambda: _attention(run), "it is left alone")
    assert set(swallowed) == {"Interruption"}, "once or twice: the second one may arrive in the handler itself"
    assert await run.status() == "running"


@pytest.mark.usefixtures("soon")
async def test_a_fork_whose_body_runs_on_and_on_has_written_nothing(wf_env: Any):
    mill = Mill()
    mill.is_broken = False
    mill.slow.set()
    run = await wf_env.start(mill.grind)
    await wf_env.wait_for_hook(run)
    cut = next(e.seq for e in await wf_env.session.world.read_events(run.run_id) if e.type == "run_started")
    mill.is_broken = True
    row = await wf_env.session.world.get_run(run.run_id)
    verdict = await judge(
        wf_env.session.world, wf_env.session.keyring, row, wf_env.session.settings.limits,
        watch=wf_env._embedded.worker.watch,
    )  # fmt: skip
    assert (verdict.outcome, verdict.trouble.code) == ("diverges", "BLOCKED")
    forked = await fork_run(wf_env.session, run.run_id, cut + 99)
    await until(lambda: _attention(forked), "it is left alone")
    assert await _types(wf_env.session.world, forked) == ["run_created"]
    assert await run.status() == "running"


@pytest.mark.usefixtures("soon")
async def test_a_body_that_sleeps_in_the_interpreter_is_named_in_the_log_and_left_alone_after_it(
    wf_env: Any, caplog: pytest.LogCaptureFixture
):
    @wf.workflow
    async def sleeps() -> str:
        time.sleep(1.5)  # several looks on a busy machine, too
        return "rested"

    with caplog.at_level(logging.ERROR, "wf.worker"):
        run = await wf_env.start(sleeps)
        await until(lambda: _attention(run), "it is left alone")
    assert "this code blocks it, and cannot be interrupted" in caplog.text
    assert str((await run.attention()).where).endswith(" in sleeps")


POISON = """
import os
import wf

@wf.workflow
async def main() -> str:
    os._exit(43)
    return "never"

@wf.workflow
async def neighbour() -> str:
    await wf.sleep("1ms")
    return "fine"
"""


def test_a_body_that_kills_its_process_is_not_run_a_fourth_time_and_the_worker_opens_normally(tmp_path: Path):
    place = Place(tmp_path)
    place.write(POISON)
    work = """
        async with wf.worker(modules=["flow"]):
            import flow
            other = await wf.start(flow.neighbour.with_options(id="neighbour"))
            run = await wf.start(flow.main.with_options(id="poison"))
            try:
                await run.return_value(timeout=20)
            except wf.WorkflowError as error:
                print(json.dumps([type(error).__name__, (await run.attention()).code, await run.status()]))
            print(json.dumps(await other.return_value(timeout=20)))
    """
    for _ in range(3):
        assert place.run(work, check=False).returncode == 43
    for _ in range(2):
        told, other = place.run(work).stdout.splitlines()
        assert json.loads(told) == ["DeadLetterError", "DEAD_LETTER", "pending"]
        assert json.loads(other) == "fine"
