"""Interference: a worker that is disturbed on purpose records it first, and carries on as if it were real."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import make_worker, open_world, until
from wf import codec, events, registry
from wf.embedding import EmbeddedWorker
from wf.errors import WorkflowRunFailedError
from wf.records import decode_meta, open_event, seal_message
from wf.worker.interference import cut_text
from wf.worker.verdicts import judge


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


class Disturber:
    """Does what a test says to attempts, by their steps' names; delivers payloads `twice`."""

    def __init__(self, act: Callable[[Any], Awaitable[None]] | None = None, *, is_repeating: bool = False) -> None:
        self._act = act
        self._is_repeating = is_repeating
        self.met: list[str] = []

    async def meet(self, attempt: Any) -> None:
        self.met.append(f"{attempt.name.rpartition('.')[2]} {attempt.attempt}")
        if self._act is not None and not attempt.name.startswith("wf/"):
            durable = asyncio.get_running_loop().create_future()
            attempt.live.note_fault(f"at position {attempt.number}", lambda: durable.set_result(None))
            await durable
            await self._act(attempt)

    def repeat(self, run: Any, hook: Any) -> str | None:
        return f"twice at position {hook.correlation_id}" if self._is_repeating else None


def play(folder: Path, disturber: Disturber, scene: Callable[[EmbeddedWorker], Awaitable[None]]) -> None:
    async def perform() -> None:
        for kind in ("memory", "sqlite"):
            (folder / kind).mkdir()
            world = await open_world(kind, folder / kind)
            async with make_worker(world) as worker:
                worker.worker.interference = disturber
                await scene(worker)
            await world.close()

    asyncio.run(perform())


async def faults_of(worker: EmbeddedWorker, run_id: str) -> list[tuple[int, str]]:
    """Give the faults that a run tells of, with where they are in its log."""
    return [
        (event.seq, decode_meta(event.meta)["set"]["$fault"])
        for event in await worker.world.read_events(run_id)
        if event.type == events.ATTRIBUTES_SET and event.name == "wf/fault"
    ]


async def check_replay(worker: EmbeddedWorker, run_id: str) -> None:
    row = await worker.world.get_run(run_id)
    assert row is not None
    assert (await judge(worker.world, worker.session.keyring, row, worker.session.settings.limits)).trouble is None


def test_an_attempt_that_is_made_to_fail_is_retried_and_told(tmp_path: Path) -> None:
    ran: list[int] = []

    @wf.step(retry_delay="1ms")
    async def work() -> int:
        ran.append(wf.get_step_metadata().attempt)
        return 1

    @wf.step(retry_delay="1ms")
    def plain() -> int:
        ran.append(-wf.get_step_metadata().attempt)
        return 2

    @wf.workflow
    async def flow() -> int:
        return await work() + await plain()

    async def fail(attempt: Any) -> None:
        if attempt.attempt < 3:
            raise ConnectionError("on purpose")

    async def scene(worker: EmbeddedWorker) -> None:
        ran.clear()
        run = await wf.start(flow)
        assert await run.return_value() == 3
        assert ran == [3, -3], "the function is not called"
        assert await run.attributes() == {"$fault": "at position 2"}
        assert [text for _, text in await faults_of(worker, run.run_id)] == ["at position 1"] * 3 + [
            "at position 2"
        ] * 3
        log = await worker.world.read_events(run.run_id)
        first = next(event for event in log if event.type == events.STEP_RETRYING)
        assert decode_meta(first.meta)["error_type"] == "builtins.ConnectionError"
        await check_replay(worker, run.run_id)

    play(tmp_path, Disturber(fail), scene)


def test_a_delay_counts_against_the_steps_timeout(tmp_path: Path) -> None:
    @wf.step(timeout="20ms", max_retries=0)
    async def slow() -> None:
        pass

    @wf.step(timeout="20ms", max_retries=0)
    def slow_thread() -> None:
        pass

    @wf.workflow
    async def flow(is_plain: bool) -> None:
        await (slow_thread() if is_plain else slow())

    async def delay(attempt: Any) -> None:
        await asyncio.sleep(30)

    async def scene(worker: EmbeddedWorker) -> None:
        for is_plain in (False, True):
            run = await wf.start(flow, is_plain)
            with pytest.raises(WorkflowRunFailedError) as failed:
                await run.return_value()
            assert isinstance(failed.value.__cause__, wf.errors.StepTimeoutError)
            await check_replay(worker, run.run_id)

    play(tmp_path, Disturber(delay), scene)


def test_a_fault_is_durable_before_it_strikes(tmp_path: Path) -> None:
    seen: list[dict[str, str]] = []

    @wf.step
    async def work() -> None:
        pass

    @wf.workflow
    async def flow() -> None:
        await work()

    async def scene(worker: EmbeddedWorker) -> None:
        async def look(attempt: Any) -> None:
            row = await worker.world.get_run(attempt.live.run_id)
            assert row is not None
            seen.append(row.attributes)

        worker.worker.interference = Disturber(look)
        await (await wf.start(flow)).return_value()

    play(tmp_path, Disturber(), scene)
    assert seen == [{"$fault": "at position 1"}] * 2


def test_wfs_own_steps_are_met_too(tmp_path: Path) -> None:
    @wf.workflow
    async def flow() -> str:
        return await wf.get_run(wf.get_workflow_metadata().run_id).status()

    disturber = Disturber()

    async def scene(worker: EmbeddedWorker) -> None:
        assert await (await wf.start(flow)).return_value() == "running"

    play(tmp_path, disturber, scene)
    assert disturber.met == ["wf/run_status 1"] * 2


def test_a_run_with_all_attributes_that_it_may_have_keeps_them(tmp_path: Path) -> None:
    many = {f"key{n}": "x" for n in range(64)}

    @wf.step
    async def work() -> None:
        pass

    @wf.workflow
    async def flow() -> None:
        await work()
        await wf.set_attributes(key0="y")

    async def nothing(attempt: Any) -> None:
        pass

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(attributes=many))
        await run.return_value()
        assert await run.attributes() == {**many, "key0": "y"}

    play(tmp_path, Disturber(nothing), scene)


def test_a_payload_is_delivered_twice(tmp_path: Path) -> None:
    @wf.workflow
    async def flow(is_disposing: bool) -> list[Any]:
        hook = wf.hook(token=f"news {is_disposing}")
        first = await hook
        if is_disposing:
            hook.dispose()
            return [first]
        return [first, await hook, await hook]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow, False)
        await until(lambda: worker.world.list_hooks(run.run_id), "the hook is there")
        await wf.resume_hook("news False", 1)
        await wf.resume_hook("news False", 2)
        assert await run.return_value() == [1, 1, 2]
        log = await worker.world.read_events(run.run_id)
        payloads = [event for event in log if event.type == events.HOOK_RECEIVED]
        key = worker.session.keyring.run(run.run_id)
        assert [codec.decode(open_event(key, event) or b"") for event in payloads][:3] == [1, 1, 2]
        (first, _), *_ = await faults_of(worker, run.run_id)
        assert first == payloads[0].seq + 1
        await check_replay(worker, run.run_id)
        disposing = await wf.start(flow, True)
        await until(lambda: worker.world.list_hooks(disposing.run_id), "the hook is there")
        await wf.resume_hook("news True", 1)
        assert await disposing.return_value() == [1]
        assert await faults_of(worker, disposing.run_id) == [], "nobody was there to be told twice"

    play(tmp_path, Disturber(is_repeating=True), scene)


def test_a_due_time_comes_when_a_message_says_so(tmp_path: Path) -> None:
    @wf.step(retry_delay="1h", max_retries=1)
    async def flaky() -> int:
        if wf.get_step_metadata().attempt == 1:
            raise OSError("later")
        return 1

    @wf.workflow(timeout="9h")
    async def flow(how: str) -> Any:
        if how == "sleep":
            await wf.sleep("1h")
            return "slept"
        if how == "retry":
            return await flaky()
        try:
            async with asyncio.timeout(3600):
                await wf.hook()
        except TimeoutError:
            if how == "deadline":
                return "late"
        await wf.hook()

    async def scene(worker: EmbeddedWorker) -> None:
        async def jump(run_id: str) -> str:
            await until(lambda: has_waits(run_id), "it waits")
            wait = (await worker.world.list_waits(run_id))[0]
            meta = {"due_at": wait.due_at, "fault": f"jump to position {wait.correlation_id}"}
            message = seal_message(
                worker.session.keyring, run_id, "timer", worker.session.now_us(),
                correlation_id=wait.correlation_id, meta=meta,
            )  # fmt: skip
            await worker.world.send(run_id, message)
            await worker.world.send(run_id, message)  # it has come already: nothing
            return wait.kind

        async def has_waits(run_id: str) -> bool:
            return any(wait.kind != "run" for wait in await worker.world.list_waits(run_id))

        for how, kind, result in (("sleep", "sleep", "slept"), ("retry", "retry", 1), ("deadline", "deadline", "late")):
            run = await wf.start(flow, how)
            assert await jump(run.run_id) == kind
            assert await run.return_value("20s") == result
            position = 2 if how == "deadline" else 1
            [(_, text)] = await faults_of(worker, run.run_id)
            assert text in (f"jump to position {position}", "jump to position 1")
            await check_replay(worker, run.run_id)
        run = await wf.start(flow, "timeout")
        assert await jump(run.run_id) == "deadline"

        async def only_the_runs_own() -> bool:
            return [wait.kind for wait in await worker.world.list_waits(run.run_id)] == ["run"]

        await until(only_the_runs_own, "its own timeout is left")
        wait = (await worker.world.list_waits(run.run_id))[0]
        await worker.world.send(
            run.run_id,
            seal_message(worker.session.keyring, run.run_id, "timer", worker.session.now_us(), correlation_id=0,
                         meta={"due_at": wait.due_at}),
        )  # fmt: skip
        with pytest.raises(WorkflowRunFailedError, match="TIMEOUT"):
            await run.return_value("20s")
        await check_replay(worker, run.run_id)

    play(tmp_path, Disturber(), scene)


def test_a_text_is_cut_to_what_an_attribute_holds() -> None:
    assert cut_text("short") == "short"
    for text in ("x" * 300, "ü" * 200, "€" * 100):
        assert len(cut_text(text).encode()) <= 256
        assert cut_text(text).endswith("…")
