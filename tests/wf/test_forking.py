"""Forks: a new run shares the history of another up to an event, and goes on with today's code."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from msgspec import Raw

import wf
from tests.reliability.stage import make_worker, open_world, until
from wf import codec, events, registry
from wf.embedding import EmbeddedWorker
from wf.engine.fork import own_token
from wf.errors import RunNotFoundError, WorkflowRunFailedError
from wf.forking import ForkError, create_fork, fork_run, prepare_fork, read_source, retry_run, seal_fork
from wf.ids import hash_token
from wf.records import Answer, decode_meta, open_event, seal_new_run
from wf.worker.verdicts import judge
from wf.world import RunFilter, WorkerHello


@pytest.fixture(autouse=True)
def own_registry() -> Iterator[None]:
    with registry.isolated():
        yield


@pytest.fixture(params=["memory", "sqlite"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def play(kind: str, folder: Path, scene: Callable[[EmbeddedWorker], Awaitable[None]]) -> None:
    async def perform() -> None:
        world = await open_world(kind, folder)
        async with make_worker(world) as worker:
            await scene(worker)
        await world.close()

    asyncio.run(perform())


async def seqs_of(worker: EmbeddedWorker, run_id: str, type_: str) -> list[int]:
    return [event.seq for event in await worker.world.read_events(run_id) if event.type == type_]


def test_a_fork_keeps_what_was_done_and_does_the_rest_again(kind: str, tmp_path: Path) -> None:
    done: list[str] = []

    @wf.step
    async def work(name: str) -> str:
        done.append(name)
        return f"{name}{len(done)}"

    @wf.workflow
    async def flow() -> list[str]:
        return [await work("a"), await work("b"), await work("c")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        assert await run.return_value() == ["a1", "b2", "c3"]
        (first, *_) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == ["a1", "b4", "c5"]
        row = await worker.world.get_run(forked.run_id)
        assert row is not None
        assert row.forked_from == run.run_id
        assert await run.return_value() == ["a1", "b2", "c3"]

    play(kind, tmp_path, scene)
    assert done == ["a", "b", "c", "b", "c"]


def test_a_fork_goes_on_with_other_code_after_the_cut(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(name: str) -> str:
        return name.upper()

    plan = ["a", "b"]

    @wf.workflow
    async def flow() -> list[str]:
        return [await work(name) for name in plan]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        (first, *_) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        plan[:] = ["a", "x", "y"]
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == ["A", "X", "Y"]
        plan[:] = ["z"]
        astray = await fork_run(worker.session, run.run_id, first)
        with pytest.raises(wf.errors.NondeterminismError):
            await astray.return_value()

    play(kind, tmp_path, scene)


def test_a_retry_runs_what_failed_and_keeps_what_did_not(kind: str, tmp_path: Path) -> None:
    calls: list[str] = []
    is_broken = True

    @wf.step(max_retries=0)
    async def good(name: str) -> str:
        calls.append(name)
        return name

    @wf.step(max_retries=0)
    async def bad() -> str:
        calls.append("bad")
        if is_broken:
            raise ValueError("not yet")
        return "fixed"

    @wf.workflow
    async def flow() -> Any:
        return [await good("one"), *await asyncio.gather(good("two"), bad())]

    async def scene(worker: EmbeddedWorker) -> None:
        nonlocal is_broken
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError):
            await run.return_value()
        is_broken = False
        again = await retry_run(worker.session, run.run_id)
        assert await again.return_value() == ["one", "two", "fixed"]

    play(kind, tmp_path, scene)
    assert sorted(calls) == ["bad", "bad", "one", "two"]


def test_a_retry_of_a_run_whose_body_failed_goes_on_from_what_it_heard_last(kind: str, tmp_path: Path) -> None:
    calls: list[int] = []
    is_broken = True

    @wf.step
    async def work(n: int) -> int:
        calls.append(n)
        return n

    @wf.workflow
    async def flow() -> int:
        n = await work(1)
        if is_broken:
            raise KeyError("body")
        return n + await work(2)

    async def scene(worker: EmbeddedWorker) -> None:
        nonlocal is_broken
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError):
            await run.return_value()
        is_broken = False
        assert await (await retry_run(worker.session, run.run_id)).return_value() == 3

    play(kind, tmp_path, scene)
    assert calls == [1, 2]


class Shop:
    """What the bodies below do; it is out of order until it is mended."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        self.is_broken = True

        @wf.step(name="do", max_retries=0)
        async def do(name: str) -> str:
            self.calls.append(name)
            if name.startswith("bad") and self.is_broken:
                raise ValueError(name)
            return name

        self.do = do


def _a_step_failed_in_a_saga(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        async with wf.saga() as saga:
            for name in ("one", "two"):
                saga.undo(shop.do, f"undo {await shop.do(name)}")
            return await shop.do("bad")

    return flow, ["one", "two", "bad", "undo two", "undo one", "bad"]


def _the_body_raised_in_a_saga(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        async with wf.saga() as saga:
            saga.undo(shop.do, f"undo {await shop.do('one')}")
            if shop.is_broken:
                raise KeyError("out of stock")
            return await shop.do("two")

    return flow, ["one", "undo one", "two"]


def _a_compensation_failed_too(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        async with wf.saga() as saga:
            for name in ("one", "two", "three"):
                saga.undo(shop.do, f"{'bad ' * (name == 'two')}undo {await shop.do(name)}")
            return await shop.do("bad")

    return flow, ["one", "two", "three", "bad", "undo three", "bad undo two", "undo one", "bad"]


def _the_saga_is_around_a_task_group(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        async with wf.saga() as saga:
            saga.undo(shop.do, f"undo {await shop.do('one')}")
            async with asyncio.TaskGroup() as group:
                group.create_task(shop.do("bad"))
            await wf.sleep("1ms")
            return "done"

    return flow, ["one", "bad", "undo one", "bad"]


def _a_task_cleaned_up_for_its_sibling(shop: Shop) -> Any:
    async def tidy() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            await shop.do("tidy")

    async def fail() -> None:
        await shop.do("one")
        if shop.is_broken:
            raise KeyError("of its own")

    @wf.workflow
    async def flow() -> str:
        async with asyncio.TaskGroup() as group:
            other = group.create_task(tidy())
            await group.create_task(fail())
            other.cancel()
        return "done"

    return flow, ["one", "tidy", "tidy"]


def _a_clean_up_ran(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        try:
            await shop.do("one")
            return await shop.do("bad")
        finally:
            await shop.do("clean")
            await shop.do("sweep")

    return flow, ["one", "bad", "clean", "sweep", "bad", "clean", "sweep"]


def _a_clean_up_failed_too(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        try:
            await shop.do("one")
            return await shop.do("bad")
        finally:
            await shop.do("clean")
            await shop.do("bad sweep")

    return flow, ["one", "bad", "clean", "bad sweep", "bad", "clean", "bad sweep"]


def _only_the_clean_up_failed(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        try:
            return await shop.do("one")
        finally:
            await shop.do("clean")
            await shop.do("bad sweep")

    return flow, ["one", "clean", "bad sweep", "bad sweep"]


def _the_failure_was_translated(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        await shop.do("one")
        try:
            return await shop.do("bad")
        except ValueError as error:
            await shop.do("tell")
            raise RuntimeError("no luck") from error

    return flow, ["one", "bad", "tell", "bad"]


def _the_failure_was_kept_and_raised_later(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        kept: list[ValueError] = []
        try:
            await shop.do("bad")
        except ValueError as error:
            kept.append(error)
        await shop.do("one")
        if kept:
            raise kept[0]
        return "done"

    return flow, ["bad", "one", "bad", "one"]


def _a_failure_was_dealt_with_before(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        with contextlib.suppress(ValueError):
            await shop.do("bad")
        await shop.do("one")
        try:
            return await shop.do("bad again")
        finally:
            await shop.do("clean")

    return flow, ["bad", "one", "bad again", "clean", "bad again", "clean"]


def _a_hook_was_waited_for_in_the_clean_up(shop: Shop) -> Any:
    @wf.workflow
    async def flow() -> str:
        hook = wf.hook(token="clean")
        try:
            return await shop.do("bad")
        except ValueError:
            await hook
            raise

    return flow, ["bad", "bad"]


def _a_child_run_failed(shop: Shop) -> Any:
    @wf.workflow
    async def child() -> str:
        return await shop.do("bad")

    @wf.workflow
    async def flow() -> str:
        await shop.do("one")
        try:
            return await child()
        finally:
            await shop.do("clean")

    return flow, ["one", "bad", "clean", "bad", "clean"]


CLEAN_UPS = [
    _a_step_failed_in_a_saga, _the_body_raised_in_a_saga, _a_compensation_failed_too, _the_saga_is_around_a_task_group,
    _a_task_cleaned_up_for_its_sibling, _a_clean_up_ran, _a_clean_up_failed_too, _only_the_clean_up_failed,
    _the_failure_was_translated, _the_failure_was_kept_and_raised_later, _a_failure_was_dealt_with_before,
    _a_hook_was_waited_for_in_the_clean_up, _a_child_run_failed,
]  # fmt: skip


@pytest.mark.parametrize("make", CLEAN_UPS, ids=[make.__name__.strip("_") for make in CLEAN_UPS])
def test_a_retry_tries_again_what_failed_whatever_the_body_did_after_that(
    kind: str, tmp_path: Path, make: Callable[[Shop], Any]
) -> None:
    shop = Shop()
    flow, expected = make(shop)

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        if make is _a_hook_was_waited_for_in_the_clean_up:
            await until(lambda: seqs_of(worker, run.run_id, events.STEP_FAILED), "it failed, and waits")
            await wf.resume_hook("clean")
        with pytest.raises(WorkflowRunFailedError):
            await run.return_value(timeout=20)
        await assert_replays(worker, run.run_id)
        shop.is_broken = False
        again = await retry_run(worker.session, run.run_id)
        await again.return_value(timeout=20)
        await assert_replays(worker, again.run_id)

    play(kind, tmp_path, scene)
    assert shop.calls == expected


def test_a_retry_gives_a_time_limit_its_whole_time_again(kind: str, tmp_path: Path) -> None:
    shop = Shop()
    limits = iter([0.005, 20])

    @wf.workflow
    async def flow() -> str:
        await shop.do("one")
        try:
            return await asyncio.wait_for(wf.hook(token="door"), next(limits))
        finally:
            await shop.do("clean")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError, match="TimeoutError"):
            await run.return_value(timeout=20)
        again = await retry_run(worker.session, run.run_id)
        await until(lambda: worker.world.list_hooks(again.run_id), "it waits again")
        await wf.resume_hook("door", "open")
        assert await again.return_value(timeout=20) == "open"

    play(kind, tmp_path, scene)
    assert shop.calls == ["one", "clean", "clean"]


def test_a_retry_of_a_run_whose_own_time_was_over_goes_on_from_before_that(kind: str, tmp_path: Path) -> None:
    shop = Shop()

    @wf.workflow(timeout="50ms")
    async def flow() -> str:
        try:
            await shop.do("one")
            if shop.is_broken:
                await wf.hook()
            return "done"
        finally:
            await shop.do("clean")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError, match="TIMEOUT"):
            await run.return_value(timeout=20)
        shop.is_broken = False
        assert await (await retry_run(worker.session, run.run_id)).return_value(timeout=20) == "done"

    play(kind, tmp_path, scene)
    assert shop.calls == ["one", "clean", "clean"]


def test_a_retry_claims_a_token_again_that_was_taken(kind: str, tmp_path: Path) -> None:
    shop = Shop()

    @wf.workflow
    async def holder() -> None:
        await wf.hook(token="mine")

    @wf.workflow
    async def flow() -> Any:
        await shop.do("one")
        hook = wf.hook(token="mine")
        try:
            return await hook
        finally:
            await shop.do("clean")

    async def scene(worker: EmbeddedWorker) -> None:
        other = await wf.start(holder)
        await until(worker.world.list_hooks, "it is taken")
        run = await wf.start(flow)
        with pytest.raises(WorkflowRunFailedError, match="HookConflictError"):
            await run.return_value(timeout=20)
        await other.terminate()
        again = await retry_run(worker.session, run.run_id)
        await until(lambda: worker.world.list_hooks(again.run_id), "it has the token")
        await wf.resume_hook("mine", "payload")
        assert await again.return_value(timeout=20) == "payload"

    play(kind, tmp_path, scene)
    assert shop.calls == ["one", "clean", "clean"]


@pytest.mark.parametrize("how", ["cancel", "terminate", "failure"])
def test_a_retry_begins_the_children_anew_that_were_cancelled_with_their_parent(
    kind: str, tmp_path: Path, how: str
) -> None:
    shop = Shop()

    @wf.workflow
    async def child(name: str) -> str:
        await shop.do(f"{name} begins")
        return str(await wf.hook(token=name))

    @wf.workflow
    async def flow() -> list[str]:
        await shop.do("one")
        early = asyncio.create_task(child("early"))
        await shop.do("two")
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(early, 0.005)
        return [await shop.do("three"), *await asyncio.gather(child("late"), wf.hook(token="door"), doubtful())]

    async def doubtful() -> str:
        await wf.hook(token="gate")
        if shop.is_broken:
            raise KeyError("no")
        return "well"

    async def scene(worker: EmbeddedWorker) -> None:
        async def tokens() -> bool:
            return len(await worker.world.list_hooks()) == 3

        run = await wf.start(flow)
        await until(tokens, "all is under way")
        if how == "failure":
            await wf.resume_hook("gate")
        else:
            await (run.cancel() if how == "cancel" else run.terminate())
        with pytest.raises((WorkflowRunFailedError, wf.WorkflowRunCancelledError)):
            await run.return_value(timeout=20)
        await until(lambda: no_hooks(worker), "the child is cancelled, too")
        shop.is_broken = False
        again = await retry_run(worker.session, run.run_id)
        await until(tokens, "all is under way again")
        for token in ("late", "door", "gate"):
            await wf.resume_hook(token, token)
        assert await again.return_value(timeout=20) == ["three", "late", "door", "well"]

    async def no_hooks(worker: EmbeddedWorker) -> bool:
        return not await worker.world.list_hooks()

    play(kind, tmp_path, scene)
    begun = ["one", "early begins", "two", "three", "late begins"]
    assert sorted(shop.calls) == sorted([*begun, "late begins"])


@pytest.mark.parametrize("does_clean_up_fail", [False, True])
def test_a_retry_of_a_cancelled_run_goes_on_from_before_the_cancel(
    kind: str, tmp_path: Path, does_clean_up_fail: bool
) -> None:
    shop = Shop()

    @wf.workflow
    async def flow() -> Any:
        async with wf.saga() as saga:
            saga.undo(shop.do, f"undo {await shop.do('one')}")
            try:
                return await wf.hook(token="door")
            finally:
                await shop.do("clean")
                await shop.do("bad sweep" if does_clean_up_fail else "sweep")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(worker.world.list_hooks, "it waits")
        await run.cancel("enough")
        with pytest.raises(WorkflowRunFailedError if does_clean_up_fail else wf.WorkflowRunCancelledError):
            await run.return_value(timeout=20)
        await assert_replays(worker, run.run_id)
        shop.is_broken = False
        again = await retry_run(worker.session, run.run_id)
        await until(lambda: worker.world.list_hooks(again.run_id), "it waits again")
        await wf.resume_hook("door", "open")
        assert await again.return_value(timeout=20) == "open"

    play(kind, tmp_path, scene)
    sweep = "bad sweep" if does_clean_up_fail else "sweep"
    assert shop.calls == ["one", "clean", sweep, "undo one", "clean", sweep]


def test_a_retry_of_a_terminated_run_goes_on_from_what_it_heard_last(kind: str, tmp_path: Path) -> None:
    shop = Shop()

    @wf.workflow
    async def flow() -> Any:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(wf.hook(), 0.005)
        await shop.do("one")
        with contextlib.suppress(ValueError):
            await shop.do("bad")
        return await wf.hook(token="door")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: len_of(seqs_of(worker, run.run_id, events.HOOK_CREATED), 2), "it waits")
        await run.terminate()
        again = await retry_run(worker.session, run.run_id)
        await until(lambda: len_of(worker.world.list_hooks(again.run_id), 2), "it waits again")
        await wf.resume_hook("door", "open")
        assert await again.return_value(timeout=20) == "open"

    play(kind, tmp_path, scene)
    assert shop.calls == ["one", "bad", "bad"], "a step that failed is tried again"


def test_a_run_in_flight_is_not_retried_and_an_unknown_one_neither(tmp_path: Path) -> None:
    @wf.workflow
    async def flow() -> None:
        await wf.sleep("1h")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        with pytest.raises(ForkError, match="has not ended"):
            await retry_run(worker.session, run.run_id)
        with pytest.raises(RunNotFoundError):
            await fork_run(worker.session, "wrun_none", 1)

    play("memory", tmp_path, scene)


def answer(event: events.Event, value: Any = None, *, error: BaseException | None = None, type: str = "") -> Answer:
    """Give what a fork brings for the call of an event of the old log."""
    ends = {events.STEP_CREATED: events.STEP_COMPLETED, events.HOOK_CREATED: events.HOOK_RECEIVED}
    ends |= {events.CHILD_STARTED: events.CHILD_COMPLETED}
    failed = events.STEP_FAILED if event.type == events.STEP_CREATED else ends[event.type]
    data = codec.encode(value if error is None else error, "output")
    error_type = None if error is None else codec.public_type_name(error.__class__)
    end = type or (ends[event.type] if error is None else failed)
    return Answer(event.correlation_id or 0, end, event.name or "", Raw(data), error_type=error_type)


async def calls_of(worker: EmbeddedWorker, run_id: str, *types: str) -> list[events.Event]:
    wanted = types or (events.STEP_CREATED,)
    return [event for event in await worker.world.read_events(run_id) if event.type in wanted]


async def token_of(worker: EmbeddedWorker, run_id: str) -> str:
    """Wait until a run has a hook, and give its token."""
    await until(lambda: worker.world.list_hooks(run_id), "the hook is there")
    (row,) = await worker.world.list_hooks(run_id)
    data = open_event(worker.session.keyring.run(run_id), row.event)
    assert data is not None
    token = str(codec.decode_arguments(data)["token"])
    assert hash_token(token) == row.token_hash
    return token


# -- hooks ----------------------------------------------------------------------------------------


def test_a_fork_beside_a_run_draws_the_tokens_of_its_live_hooks_anew(kind: str, tmp_path: Path) -> None:
    told: list[str] = []

    @wf.step
    async def tell(url: str) -> str:
        told.append(url)
        return f"sent {url}"

    @wf.workflow
    async def flow() -> Any:
        over = wf.hook()
        await tell(over.token)
        over.dispose()
        hook = wf.hook()
        sent = await tell(f"https://example.org/?token={hook.token}")
        return [sent, hook.token, await hook]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: len_of(seqs_of(worker, run.run_id, events.STEP_COMPLETED), 2), "both are told")
        (_, cut) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        before = await worker.world.read_events(run.run_id)
        forked = await fork_run(worker.session, run.run_id, cut)
        own, theirs = await token_of(worker, forked.run_id), await token_of(worker, run.run_id)
        assert own != theirs
        assert len(own) == len(theirs)
        assert await worker.world.read_events(run.run_id) == before, "the old run is untouched"
        await wf.resume_hook(own, "fork")
        assert await forked.return_value() == [f"sent https://example.org/?token={own}", own, "fork"]
        assert await run.status() == "running"
        await wf.resume_hook(theirs, "origin")
        assert await run.return_value() == [f"sent https://example.org/?token={theirs}", theirs, "origin"]

    play(kind, tmp_path, scene)
    assert len(told) == 2, "what the history says was sent is not sent again"


async def len_of(found: Awaitable[list[Any]], count: int) -> bool:
    return len(await found) == count


def test_a_fork_beside_a_run_has_given_tokens_under_its_own_id(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def tell(token: str) -> str:
        return token

    @wf.workflow
    async def flow(user: str) -> Any:
        first = wf.hook(token=f"first:{user}", metadata={"for": user})
        known = await tell(first.token)
        second = wf.hook(token=f"second:{user}")
        conflicts = [await first.get_conflict(), await second.get_conflict()]
        return [known, first.token, await first, second.token, await second, conflicts]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow, "ada")
        await until(lambda: len_of(seqs_of(worker, run.run_id, events.STEP_COMPLETED), 3), "it waits")
        (cut, *_) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, cut)
        await until(lambda: len_of(worker.world.list_hooks(forked.run_id), 2), "the fork has both hooks")
        for handle, suffix in ((forked, f"~{forked.run_id}"), (run, "")):
            await wf.resume_hook(f"first:ada{suffix}", f"1{suffix}")
            await wf.resume_hook(f"second:ada{suffix}", f"2{suffix}")
            told = ["first:ada", "first:ada", f"1{suffix}", "second:ada", f"2{suffix}", [None, None]]
            assert await handle.return_value() == told, "its body knows the tokens that it gave"

    play(kind, tmp_path, scene)


def test_forks_of_forks_have_tokens_of_their_own_whatever_their_ids(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def mark(n: int) -> int:
        return n

    @wf.workflow
    async def flow() -> Any:
        given, drawn = wf.hook(token="door"), wf.hook()
        await mark(1)
        return [await given, await drawn]

    async def scene(worker: EmbeddedWorker) -> None:
        ids = [(await wf.start(flow.with_options(id="origin"))).run_id]
        for name in ("short", "another-fork-with-a-long-id", "tiny"):
            await until(lambda: seqs_of(worker, ids[-1], events.STEP_COMPLETED), "it waits")
            source = await read_source(worker.session, ids[-1])
            (cut,) = await seqs_of(worker, ids[-1], events.STEP_COMPLETED)
            ids.append((await create_fork(worker.session, seal_fork(worker.session, source, cut, run_id=name))).run_id)
        await until(lambda: len_of(worker.world.list_hooks(ids[-1]), 2), "the last one waits")
        tokens = {row.run_id: [] for row in await worker.world.list_hooks()}
        for row in await worker.world.list_hooks():
            data = open_event(worker.session.keyring.run(row.run_id), row.event)
            tokens[row.run_id].append(codec.decode_arguments(data or b"")["token"])
        assert [tokens[run_id][0] for run_id in ids] == ["door", *(f"door~{name}" for name in ids[1:])]
        assert len({tokens[run_id][1] for run_id in ids}) == 4
        for run_id in ids:
            for token in tokens[run_id]:
                await wf.resume_hook(token, run_id)
            assert await wf.get_run(run_id).return_value() == [run_id, run_id]

    play(kind, tmp_path, scene)


def test_a_fork_in_a_runs_place_keeps_its_tokens(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def tell(token: str) -> str:
        return token

    @wf.workflow
    async def flow() -> Any:
        drawn, given = wf.hook(), wf.hook(token="site:ada")
        await tell(drawn.token)
        return [await drawn, await given]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the step is done")
        (told,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        hooks = [row.token_hash for row in await worker.world.list_hooks(run.run_id)]
        new = await prepare_fork(worker.session, run.run_id, told)
        await run.terminate()
        forked = await create_fork(worker.session, new)
        await until(lambda: len_of(worker.world.list_hooks(forked.run_id), 2), "the fork has registered its hooks")
        assert [row.token_hash for row in await worker.world.list_hooks(forked.run_id)] == hooks

    play(kind, tmp_path, scene)


def test_an_own_token_is_never_longer_than_a_token_may_be() -> None:
    assert own_token("site:ada", "wrun_1") == "site:ada~wrun_1"
    long = ["a" * 1024, "a" * 1023 + "b"]
    renamed = [own_token(token, "wrun_1") for token in long]
    assert all(len(token) <= 1024 and token.endswith("~wrun_1") for token in renamed)
    assert renamed[0] != renamed[1]


def test_a_webhook_of_a_fork_is_reached_by_its_own_token(tmp_path: Path) -> None:
    @wf.workflow
    async def flow() -> Any:
        first = wf.webhook(token="web")
        await wf.sleep("1ms")
        return [first.url, (await first).text()]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, events.WAIT_COMPLETED), "it waits")
        (cut,) = await seqs_of(worker, run.run_id, events.WAIT_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, cut)
        token = await token_of(worker, forked.run_id)
        assert (await wf.resume_webhook(token, wf.Request(body=b"fork"))).status == 202
        assert await forked.return_value() == ["/hooks/web", "fork"]
        assert await run.status() == "running"

    play("memory", tmp_path, scene)


# -- answers --------------------------------------------------------------------------------------


@dataclass
class Order:
    name: str
    price: int = 0


class Declined(ValueError):
    pass


def test_a_fork_goes_on_from_another_result(kind: str, tmp_path: Path) -> None:
    made: list[str] = []

    @wf.step
    async def work(text: str) -> str:
        made.append(text)
        return text

    @wf.workflow
    async def flow() -> list[str]:
        first = await work("a")
        return [first, await work(f"{first}b"), await work(f"{first}c")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        assert await run.return_value() == ["a", "ab", "ac"]
        (call, *_), (cut, *_) = await calls_of(worker, run.run_id), await seqs_of(worker, run.run_id, "step_completed")
        forked = await fork_run(worker.session, run.run_id, cut, answers=[answer(call, "x")])
        assert await forked.return_value() == ["x", "xb", "xc"]
        assert await run.return_value() == ["a", "ab", "ac"]
        log = await worker.world.read_events(forked.run_id)
        types = [event.type for event in log[:5]]
        assert types == ["run_created", "run_forked", "run_started", "step_created", "step_completed"]
        edits = decode_meta(log[0].meta)["fork"]["edits"]
        assert edits == [{"what": "output", "id": 1, "name": call.name}]
        await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)
    assert made == ["a", "ab", "ac", "xb", "xc"]


async def assert_replays(worker: EmbeddedWorker, run_id: str) -> None:
    row = await worker.world.get_run(run_id)
    assert row is not None
    verdict = await judge(worker.world, worker.session.keyring, row, worker.session.settings.limits)
    assert verdict.trouble is None


def test_a_fork_goes_on_from_a_raised_error_and_from_a_result_where_there_was_one(kind: str, tmp_path: Path) -> None:
    @wf.step(max_retries=0)
    async def charge(card: str) -> str:
        if card == "bad":
            raise Declined(card)
        return "paid"

    @wf.workflow
    async def flow(card: str) -> str:
        try:
            return await charge(card)
        except Declined as error:
            return f"declined: {error}"

    async def scene(worker: EmbeddedWorker) -> None:
        good, bad = await wf.start(flow, "good"), await wf.start(flow, "bad")
        assert [await good.return_value(), await bad.return_value()] == ["paid", "declined: bad"]
        for run, change, result in (
            (good, {"error": Declined("no")}, "declined: no"),
            (bad, {"value": "paid at last"}, "paid at last"),
            (bad, {"error": Declined("stolen")}, "declined: stolen"),
        ):
            (call,) = await calls_of(worker, run.run_id)
            (cut,) = await seqs_of(worker, run.run_id, "step_completed") or await seqs_of(
                worker, run.run_id, "step_failed"
            )
            forked = await fork_run(worker.session, run.run_id, cut, answers=[answer(call, **change)])
            assert await forked.return_value() == result
            await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)


def test_a_fork_goes_on_from_another_payload_of_a_hook(kind: str, tmp_path: Path) -> None:
    @wf.workflow
    async def flow() -> list[Any]:
        hook = wf.hook(token="news")
        return [await hook, await hook]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await token_of(worker, run.run_id)
        await wf.resume_hook("news", 1)
        await wf.resume_hook("news", 2)
        assert await run.return_value() == [1, 2]
        (call,) = await calls_of(worker, run.run_id, events.HOOK_CREATED)
        first, second = await seqs_of(worker, run.run_id, events.HOOK_RECEIVED)
        later = await fork_run(worker.session, run.run_id, second, answers=[answer(call, "b")])
        assert await later.return_value() == [1, "b"]
        both = [answer(call, "x"), answer(call, "y")]
        assert await (await fork_run(worker.session, run.run_id, first, answers=both)).return_value() == ["x", "y"]
        forked = await fork_run(worker.session, run.run_id, first, answers=[answer(call, "a")])
        await wf.resume_hook(await token_of(worker, forked.run_id), "next")
        assert await forked.return_value() == ["a", "next"]
        await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)


def test_a_fork_goes_on_from_another_outcome_of_a_child(kind: str, tmp_path: Path) -> None:
    @wf.workflow
    async def child(n: int) -> int:
        return n

    @wf.workflow
    async def parent() -> str:
        try:
            return f"got {await child(1)}"
        except Declined as error:
            return f"no: {error}"

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(parent)
        assert await run.return_value() == "got 1"
        (call,) = await calls_of(worker, run.run_id, events.CHILD_STARTED)
        (cut,) = await seqs_of(worker, run.run_id, events.CHILD_COMPLETED)
        for change, result in (({"value": 7}, "got 7"), ({"error": Declined("busy")}, "no: busy")):
            forked = await fork_run(worker.session, run.run_id, cut, answers=[answer(call, **change)])
            assert await forked.return_value() == result
            await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)


@pytest.mark.parametrize("limit", [None, 1])
def test_calls_that_nobody_has_answered_yet_are_answered_where_the_history_ends(
    kind: str, tmp_path: Path, limit: int | None
) -> None:
    gate = asyncio.Event()
    began: list[str] = []

    @wf.step(concurrency=limit)
    async def slow(name: str) -> str:
        began.append(f"{wf.get_step_metadata().run_id} {name}")
        await gate.wait()
        return name

    @wf.step
    async def quick() -> str:
        return "quick"

    @wf.workflow
    async def chain(name: str) -> list[str]:
        return [await slow(name), await slow(f"{name} again")]

    @wf.workflow
    async def flow() -> Any:
        grown = asyncio.create_task(chain("child"))
        parts = await asyncio.gather(slow("a"), quick(), slow("b"))
        return [*parts, await slow("c"), *await grown]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, "step_completed"), "the quick one is done")
        calls = {call.name: call for call in await calls_of(worker, run.run_id, "child_started")}
        a, _, b = await calls_of(worker, run.run_id)
        (cut,) = await seqs_of(worker, run.run_id, "step_completed")
        answers = [answer(b, "B"), answer(a, "A"), answer(next(iter(calls.values())), ["X", "Y"])]
        forked = await fork_run(worker.session, run.run_id, cut, answers=answers)
        await until(lambda: len_of(calls_of(worker, forked.run_id), 4), "it calls what comes then")
        assert not [name for name in began if name.startswith(forked.run_id) and not name.endswith(" c")]
        gate.set()
        assert await forked.return_value() == ["A", "quick", "B", "c", "X", "Y"]
        assert await run.return_value() == ["a", "quick", "b", "c", "child", "child again"]
        await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)


def test_a_call_that_the_body_makes_after_the_cut_is_answered_too(kind: str, tmp_path: Path) -> None:
    ran: list[str] = []

    @wf.step
    async def work(name: str) -> str:
        ran.append(name)
        return name

    @wf.workflow
    async def flow() -> list[str]:
        return [await work("a"), await work("b")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        _, b = await calls_of(worker, run.run_id)
        forked = await fork_run(worker.session, run.run_id, b.seq, answers=[answer(b, "x")])
        assert await forked.return_value() == ["a", "x"]
        await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)
    assert ran == ["a", "b"]


def test_a_plain_answer_gets_the_type_that_the_code_says(tmp_path: Path) -> None:
    @wf.step
    async def fetch() -> list[Order]:
        return [Order("real")]

    @wf.step
    async def untyped():
        return None

    @wf.workflow
    async def flow() -> Any:
        return [[f"{order.name} {order.price}" for order in await fetch()], await untyped()]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        first, second = await calls_of(worker, run.run_id)
        (cut, then) = await seqs_of(worker, run.run_id, "step_completed")
        plain = Answer(1, "step_completed", first.name or "", Raw(b'[{"name":"made up","price":3}]'), is_plain=True)
        assert await (await fork_run(worker.session, run.run_id, cut, answers=[plain])).return_value() == [
            ["made up 3"],
            None,
        ]
        other = Answer(2, "step_completed", second.name or "", Raw(b'{"any":[1]}'), is_plain=True)
        assert await (await fork_run(worker.session, run.run_id, then, answers=[other])).return_value() == [
            ["real 0"],
            {"any": [1]},
        ]

    play("memory", tmp_path, scene)


def test_what_was_made_of_an_edited_answer_is_never_copied(tmp_path: Path) -> None:
    @wf.step
    async def work(name: str) -> str:
        return name

    @wf.workflow
    async def child() -> int:
        return 1

    @wf.workflow
    async def flow() -> None:
        await asyncio.gather(work("a"), work("b"))
        await child()
        hook = wf.hook(token="t")
        await hook
        hook.dispose()
        await work("c")

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await token_of(worker, run.run_id)
        await wf.resume_hook("t")
        await run.return_value()
        log = await worker.world.read_events(run.run_id)
        a, b, c = await calls_of(worker, run.run_id)
        (young,) = await calls_of(worker, run.run_id, "child_started")
        (hook,) = await calls_of(worker, run.run_id, "hook_created")
        ends = [event.seq for event in log if event.type == "step_completed"]
        both = [answer(a, 1), answer(b, 2)]

        async def refuse(cut: int, *answers: Answer) -> str:
            with pytest.raises(ForkError) as refused:
                await fork_run(worker.session, run.run_id, cut, answers=answers)
            return str(refused.value).partition(": ")[2]

        name = a.name
        first = next(event for event in log if event.type == "step_completed")
        edited = a if first.correlation_id == a.correlation_id else b
        assert await refuse(ends[1], answer(edited, 1)) == (
            f"{name} (position {edited.correlation_id}) was answered at event {ends[0]},"
            " and what came after it was made of that answer"
        )
        assert await refuse(ends[0], answer(c, 1)) == f"{name} (position {c.correlation_id}) is not called by then"
        assert await refuse(ends[0], *both, answer(b, 3)) == f"{name} (position {b.correlation_id}) is answered twice"
        assert await refuse(2, answer(hook, 1)) == f"hook (position {hook.correlation_id}) is not called by then"
        assert await refuse(ends[1], answer(young, 1)) == (
            f"the child run {young.name} (position {young.correlation_id}) is not started by then"
        )
        assert await refuse(ends[1], answer(b, 1, type="hook_received")) != ""
        assert await refuse(1, answer(a, 1)) == "the run has not started by then"
        assert await refuse(ends[2], answer(hook, 1)) == (
            f"hook (position {hook.correlation_id}) was answered at event {c.seq - 1},"
            " and what came after it was made of that answer"
        )
        assert len(await worker.world.list_runs(RunFilter())) == 2, "nothing was written"
        await (await fork_run(worker.session, run.run_id, ends[0], answers=both)).status()

    play("memory", tmp_path, scene)


def test_an_answer_to_a_call_that_todays_code_does_not_make_needs_attention(kind: str, tmp_path: Path) -> None:
    plan = ["a"]

    @wf.step(name="work")
    async def work(name: str) -> str:
        return name

    @wf.step(name="other")
    async def other() -> str:
        return "other"

    @wf.workflow
    async def flow() -> str:
        return await work(plan[0]) if plan else await other()

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        (call,) = await calls_of(worker, run.run_id)
        plan.clear()
        forked = await fork_run(worker.session, run.run_id, 2, answers=[answer(call, "x")])
        with pytest.raises(wf.errors.NondeterminismError) as told:
            await forked.return_value()
        assert str(told.value) == (
            f"run {forked.run_id} cannot go on: it brings an answer to work (position 1), and its body does not wait"
            " for one there"
        )
        assert [event.type for event in await worker.world.read_events(forked.run_id)] == ["run_created"]

    play(kind, tmp_path, scene)


def test_answers_survive_an_owner_that_dies_before_its_first_append(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(name: str) -> str:
        return name

    @wf.workflow(name="flow")
    async def flow() -> str:
        return await work("a")

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await run.return_value()
            (call,), session = await calls_of(first, run.run_id), first.session
        forked = await fork_run(session, run.run_id, 99, answers=[answer(call, "x")])
        await world.open_worker(WorkerHello("doomed", "1:1", ["flow"], ""))
        claimed = (await world.claim("doomed", session.now_us(), 9)).claimed
        assert [message.kind for found in claimed for message in found.inbox] == ["fork"]
        await world.close_worker("doomed")
        async with make_worker(world):
            assert await forked.return_value() == "x"
        await world.close()

    asyncio.run(scene())


def test_answers_are_sealed_and_cannot_be_taken_away_or_exchanged(tmp_path: Path) -> None:
    @wf.step
    async def work(name: str) -> str:
        return name

    @wf.workflow
    async def flow() -> str:
        return await work("a")

    async def scene() -> None:
        world = await open_world("sqlite", tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await run.return_value()
            (call,), session = await calls_of(first, run.run_id), first.session
        kept = await fork_run(session, run.run_id, 99, answers=[answer(call, "a canary in clear")])
        robbed = await fork_run(session, run.run_id, 99, answers=[answer(call, "x")])
        given = await fork_run(session, run.run_id, 99, answers=[answer(call, "y")])
        await world.close()
        assert not [path for path in tmp_path.iterdir() if b"a canary" in path.read_bytes()]
        with contextlib.closing(sqlite3.connect(tmp_path / "world.db")) as file, file:
            (payload,) = file.execute("SELECT payload FROM inbox WHERE run_id = ?", (robbed.run_id,)).fetchone()
            file.execute("DELETE FROM inbox WHERE run_id = ?", (robbed.run_id,))
            file.execute("UPDATE inbox SET payload = ? WHERE run_id = ?", (payload, given.run_id))
        world = await open_world("sqlite", tmp_path)
        async with make_worker(world):
            assert await kept.return_value() == "a canary in clear"
            for run in (robbed, given):
                with pytest.raises(wf.errors.DecryptionError):
                    await run.return_value()
        await world.close()

    asyncio.run(scene())


# -- what stands beside the log ---------------------------------------------------------------------


def test_streams_come_along_as_far_as_the_cut(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def pour(out: Any, *values: Any) -> None:
        for value in values:
            await out.write(value)

    @wf.step
    async def close(out: Any) -> None:
        await out.close()

    @wf.workflow
    async def flow() -> None:
        out, side = wf.get_writable(), wf.get_writable(namespace="side")
        await pour(out, *range(300))
        await close(out)
        await pour(side, "before")
        await wf.sleep("2ms")
        await pour(side, "after")
        await close(side)

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await run.return_value()
            session, before = first.session, await world.read_chunks(run.run_id, "default", 0, 999)
            cut = (await seqs_of(first, run.run_id, "step_completed"))[2]
        forked = await fork_run(session, run.run_id, cut)
        keys = session.keyring.run(run.run_id), session.keyring.run(forked.run_id)
        first_chunk = keys[0].open("stream:default:0", "chunk", before[0].payload)
        copied = keys[1].seal("stream:default:0", "chunk", first_chunk)  # an owner died after the first chunk
        await world.append_chunks(forked.run_id, "default", 0, before[0].at, [copied], None)
        async with make_worker(world) as second:
            await until(lambda: calls_of(second, forked.run_id, "wait_created"), "it goes on")
            assert [chunk.at for chunk in await world.read_chunks(forked.run_id, "side", 0)][:1] == [
                (await world.read_chunks(run.run_id, "side", 0))[0].at
            ]
            await forked.return_value()
            assert [value async for value in forked.readable()] == list(range(300))
            assert [value async for value in forked.readable("side")] == ["before", "after"]
            assert [value async for value in run.readable("side")] == ["before", "after"]
            after = await world.read_chunks(forked.run_id, "default", 0, 999)
            assert [(chunk.at, chunk.payload is None) for chunk in after] == [
                (chunk.at, chunk.payload is None) for chunk in before
            ]
            again = await fork_run(second.session, forked.run_id, 99)
            await again.return_value()
            assert len(await world.read_chunks(again.run_id, "default", 0, 999)) == 301
        await world.close()

    asyncio.run(scene())


def test_attributes_come_along_as_far_as_the_cut(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(n: int) -> None:
        await wf.set_attributes(step=str(n))

    @wf.workflow
    async def flow() -> Any:
        await wf.set_attributes(stage="one")
        await work(1)
        hook = wf.hook()
        await hook
        await wf.set_attributes(stage="two")
        await work(2)

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(attributes={"tenant": "acme"}))
        await wf.resume_hook(await token_of(worker, run.run_id))
        await run.return_value()
        (cut, _) = await seqs_of(worker, run.run_id, "step_completed")
        forked = await fork_run(worker.session, run.run_id, cut)
        await token_of(worker, forked.run_id)
        assert await forked.attributes() == {"tenant": "acme", "stage": "one", "step": "1"}
        assert await run.attributes() == {"tenant": "acme", "stage": "two", "step": "2"}

    play(kind, tmp_path, scene)


def test_a_short_run_id_is_put_in_handles_and_nowhere_else(tmp_path: Path) -> None:
    @wf.step
    async def pour(out: Any, text: str) -> str:
        await out.write(text)
        return text

    @wf.workflow
    async def flow(user: str) -> list[str]:
        return [await pour(wf.get_writable(), f"for {user}"), await pour(wf.get_writable(), "end")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(id="ada"), "ada")
        assert await run.return_value() == ["for ada", "end"]
        (cut, _) = await seqs_of(worker, "ada", "step_completed")
        source = await read_source(worker.session, "ada")
        forked = await create_fork(worker.session, seal_fork(worker.session, source, cut, run_id="bob"))
        assert await forked.return_value() == ["for ada", "end"]
        assert len(await worker.world.read_chunks("bob", "default", 0)) == 2
        assert len(await worker.world.read_chunks("ada", "default", 0)) == 2

    play("memory", tmp_path, scene)


def test_a_fork_queues_for_the_lock_that_its_history_queued_for(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def mark() -> None:
        pass

    @wf.workflow
    async def holder() -> None:
        async with wf.lock("door"):
            await wf.hook(token="let go")

    @wf.workflow
    async def flow() -> str:
        async def enter() -> str:
            async with wf.lock("door"):
                return "in"

        entering = asyncio.create_task(enter())
        await mark()
        return await entering

    async def scene(worker: EmbeddedWorker) -> None:
        first = await wf.start(holder)
        await token_of(worker, first.run_id)
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, "step_completed"), "it queues")
        forked = await fork_run(worker.session, run.run_id, 99)
        await until(lambda: len_of(worker.world.list_locks("lock:door"), 3), "the fork queues behind it")
        await wf.resume_hook("let go")
        assert [await run.return_value(), await forked.return_value()] == ["in", "in"]
        assert await worker.world.list_locks() == []

    play(kind, tmp_path, scene)


# -- which runs -----------------------------------------------------------------------------------


def test_runs_are_forked_whatever_became_of_them(kind: str, tmp_path: Path) -> None:
    @wf.step(max_retries=0)
    async def work(text: str) -> str:
        if text == "fail":
            raise ValueError(text)
        return text

    @wf.workflow
    async def flow(how: str, left: int = 1) -> str:
        first = await work("first")
        if how == "continue" and left:
            await wf.continue_as_new(how, left - 1)
        if how in ("wait", "cancel"):
            await wf.sleep("1h")
        return f"{first}, {await work(how)}"

    async def scene(worker: EmbeddedWorker) -> None:
        runs = {how: await wf.start(flow, how) for how in ("done", "fail", "continue", "wait", "cancel")}
        for how in ("done", "fail", "continue"):
            with contextlib.suppress(WorkflowRunFailedError):
                await runs[how].return_value()
        await until(lambda: calls_of(worker, runs["cancel"].run_id, "wait_created"), "it sleeps")
        await runs["cancel"].cancel()
        await until(lambda: seqs_of(worker, runs["cancel"].run_id, "run_cancelled"), "it is cancelled")
        await until(lambda: calls_of(worker, runs["wait"].run_id, "wait_created"), "it sleeps")
        next_run = await runs["continue"].continued_as()
        assert next_run is not None
        runs["continued"] = next_run
        for how, run in runs.items():
            (call, *_), (cut, *_) = (
                await calls_of(worker, run.run_id),
                await seqs_of(worker, run.run_id, "step_completed"),
            )
            forked = await fork_run(worker.session, run.run_id, cut, answers=[answer(call, "edited")])
            if how in ("wait", "cancel"):
                while not await forked.wake_up():
                    await asyncio.sleep(0.002)
            if how == "fail":
                with pytest.raises(WorkflowRunFailedError):
                    await forked.return_value()
            else:
                first = "first" if how == "continue" else "edited"  # what it continued as ran on its own
                last = "continue" if how == "continued" else how
                assert await forked.return_value() == f"{first}, {last}"
            row = await worker.world.get_run(forked.run_id)
            assert row is not None
            assert (row.forked_from, row.continued_from) == (run.run_id, None)

    play(kind, tmp_path, scene)


def test_a_pending_run_is_forked_as_a_fresh_start_and_a_fork_that_has_not_begun_is_not(tmp_path: Path) -> None:
    @wf.workflow
    async def flow(n: int) -> int:
        return n

    async def scene() -> None:
        world = await open_world("memory", tmp_path)
        async with make_worker(world) as first:
            session = first.session
        pending = await create_fork(
            session,
            seal_new_run(
                session.keyring, run_id="pending", workflow=flow.id, arguments=b'{"n":3}', at=session.now_us(),
                deployment_id="", attributes={},
            ),
        )  # fmt: skip
        forked = await fork_run(session, pending.run_id, 99)
        with pytest.raises(ForkError) as refused:
            await fork_run(session, forked.run_id, 99)
        assert refused.value.explain().splitlines()[:2] == [
            f"run {forked.run_id} is a fork that has not begun: its history is yet to be copied",
            "  fix: fork pending, or wait until a worker has taken it up",
        ]
        async with make_worker(world):
            assert [await pending.return_value(), await forked.return_value()] == [3, 3]
        await world.close()

    asyncio.run(scene())


def test_a_fork_with_other_arguments_starts_from_the_beginning(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def show(order: Order) -> str:
        return f"{order.name}: {order.price}"

    @wf.workflow
    async def flow(order: Order) -> Any:
        return [await show(order), wf.random().random()]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(attributes={"tenant": "acme"}), Order("ada", 1))
        first = await run.return_value()
        source = await read_source(worker.session, run.run_id)
        new = seal_fork(
            worker.session, source, 1, arguments=b'{"order":{"name":"bob","price":2}}', attributes={"why": "a try"}
        )
        forked = await create_fork(worker.session, new)
        assert await forked.return_value() == ["bob: 2", first[1]], "chance is the same"
        assert await forked.attributes() == {"tenant": "acme", "why": "a try"}
        (created, *_) = await worker.world.read_events(forked.run_id)
        assert decode_meta(created.meta)["fork"] == {
            "run_id": run.run_id, "seq": 1, "seed_id": run.run_id, "beside": True, "edits": [{"what": "input"}],
        }  # fmt: skip
        await assert_replays(worker, forked.run_id)

    play(kind, tmp_path, scene)


# -- the rest of what a history may hold -----------------------------------------------------------


def test_a_fork_sleeps_on_what_is_left_and_survives_its_worker(kind: str, tmp_path: Path) -> None:
    @wf.step
    async def work(n: int) -> int:
        return n

    @wf.workflow
    async def flow() -> int:
        n = await work(1)
        await wf.sleep("1h")
        return n + await work(2)

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await until(lambda: seqs_of(first, run.run_id, events.WAIT_CREATED), "it sleeps")
            last = (await seqs_of(first, run.run_id, events.WAIT_CREATED))[0]
            forked = await fork_run(first.session, run.run_id, last)
            await until(lambda: world.list_waits(forked.run_id), "the fork sleeps")
            (mine,), (theirs,) = await world.list_waits(forked.run_id), await world.list_waits(run.run_id)
            assert mine.due_at == theirs.due_at, "the same instant: `now()` is inherited"
        async with make_worker(world):
            assert await forked.wake_up() == 1
            assert await forked.return_value() == 3
            assert await run.status() == "running"
        await world.close()

    asyncio.run(scene())


def test_a_body_that_uses_its_runs_id_uses_its_own_in_a_fork(tmp_path: Path) -> None:
    @wf.step
    async def name_it(text: str) -> str:
        return text

    @wf.workflow
    async def flow() -> list[str]:
        mine = wf.get_workflow_metadata().run_id
        return [await name_it(f"for {mine}"), await name_it("end")]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        assert await run.return_value() == [f"for {run.run_id}", "end"]
        (first, _) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, first)
        assert await forked.return_value() == [f"for {forked.run_id}", "end"]

    play("memory", tmp_path, scene)


def test_a_fork_draws_the_same_chance_as_its_first_ancestor(tmp_path: Path) -> None:
    @wf.step
    async def keep(number: float) -> float:
        return number

    @wf.workflow
    async def flow() -> list[float]:
        return [await keep(wf.random().random()) for _ in range(3)]

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        drawn = await run.return_value()
        _, second, _ = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, second)
        assert await forked.return_value() == drawn
        (once, *_) = await seqs_of(worker, forked.run_id, events.STEP_COMPLETED)
        assert await (await fork_run(worker.session, forked.run_id, once)).return_value() == drawn

    play("memory", tmp_path, scene)


def test_a_fork_hears_of_the_child_that_its_history_waits_for(kind: str, tmp_path: Path) -> None:
    gate = asyncio.Event()
    started: list[int] = []

    @wf.step
    async def wait_outside() -> str:
        started.append(1)
        await gate.wait()
        return "grown"

    @wf.workflow
    async def child() -> str:
        return await wait_outside()

    @wf.step
    async def before() -> int:
        return 7

    @wf.workflow
    async def parent() -> tuple[int, str]:
        task = asyncio.create_task(child())
        return await before(), await task

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(parent)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the step is done")
        (done,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, done)
        await until(lambda: seqs_of(worker, forked.run_id, events.STEP_COMPLETED), "the fork has its history")
        gate.set()
        assert await forked.return_value() == (7, "grown")
        assert await run.return_value() == (7, "grown")

    play(kind, tmp_path, scene)
    assert started == [1], "the child is shared, not started twice"


def test_a_run_is_not_forked_inside_a_lock(tmp_path: Path) -> None:
    @wf.step
    async def work() -> None:
        pass

    @wf.workflow
    async def flow() -> None:
        async with wf.lock("door"):
            await work()
        await work()

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await run.return_value()
        inside, outside = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        with pytest.raises(ForkError, match="holds a lock"):
            await fork_run(worker.session, run.run_id, inside)
        assert await (await fork_run(worker.session, run.run_id, outside)).return_value() is None

    play("memory", tmp_path, scene)


def test_a_fork_from_the_beginning_is_a_fresh_start_with_the_same_arguments(kind: str, tmp_path: Path) -> None:
    runs: list[str] = []

    @wf.step
    async def work(text: str) -> str:
        runs.append(text)
        return text

    @wf.workflow
    async def flow(text: str, *, twice: bool = False) -> str:
        return await work(text * (2 if twice else 1))

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow.with_options(attributes={"tenant": "acme"}), "ab", twice=True)
        await run.return_value()
        forked = await fork_run(worker.session, run.run_id, 1)
        assert await forked.return_value() == "abab"
        assert await forked.attributes() == {"tenant": "acme"}

    play(kind, tmp_path, scene)
    assert runs == ["abab", "abab"]


def test_a_step_under_way_at_the_cut_begins_anew_with_its_first_attempt(kind: str, tmp_path: Path) -> None:
    attempts: list[tuple[str, int]] = []
    gate = asyncio.Event()

    @wf.step(concurrency=2)
    async def slow() -> int:
        info = wf.get_step_metadata()
        attempts.append((info.run_id, info.attempt))
        await gate.wait()
        return info.attempt

    @wf.step
    async def quick() -> int:
        return 0

    @wf.workflow
    async def flow() -> list[int]:
        return list(await asyncio.gather(slow(), quick()))

    async def scene(worker: EmbeddedWorker) -> None:
        run = await wf.start(flow)
        await until(lambda: seqs_of(worker, run.run_id, events.STEP_COMPLETED), "the quick one is done")
        (done,) = await seqs_of(worker, run.run_id, events.STEP_COMPLETED)
        forked = await fork_run(worker.session, run.run_id, done)
        await until(lambda: len(attempts) == 2, "both run")
        gate.set()
        assert await forked.return_value() == [1, 0]
        assert await run.return_value() == [1, 0]
        assert sorted(attempts) == sorted([(run.run_id, 1), (forked.run_id, 1)])

    play(kind, tmp_path, scene)


def test_a_fork_with_steps_under_way_at_the_cut_goes_on_with_another_worker(kind: str, tmp_path: Path) -> None:
    attempts: list[tuple[str, int]] = []

    @wf.step
    async def work(n: int) -> int:
        attempts.append((wf.get_workflow_metadata().run_id, n))
        return n

    @wf.workflow
    async def flow() -> list[int]:
        aside = [asyncio.create_task(work(n)) for n in (1, 2)]
        ahead = [await work(3), await work(4)]
        await wf.hook(token="go")
        return ahead + [await task for task in aside]

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as worker:
            run = await wf.start(flow)
            await until(lambda: _has_hook(worker, run.run_id), "it waits")
            log = await worker.world.read_events(run.run_id)
            created = {event.correlation_id: event.seq for event in log if event.type == events.STEP_CREATED}
            third = next(e.seq for e in log if e.type == events.STEP_COMPLETED and e.correlation_id == 1)
            assert third < created[4], "at the cut the others are under way, and the fourth is called right after it"
            forked = await fork_run(worker.session, run.run_id, third)
            await until(lambda: _has_hook(worker, forked.run_id), "the fork waits")
            types = [event.type for event in await worker.world.read_events(forked.run_id)]
            begun = types.index(events.STEP_STARTED)
            assert types[begun - 1] == events.STEP_CREATED, "the calls of the last delivery come right behind it"
        async with make_worker(world):
            for token in ("go", own_token("go", forked.run_id)):
                await wf.resume_hook(token)
            for one in (run, forked):
                assert await one.return_value() == [3, 4, 1, 2]
            assert sorted(n for run_id, n in attempts if run_id == forked.run_id) == [1, 2, 4]
        await world.close()

    asyncio.run(scene())


async def _has_hook(worker: EmbeddedWorker, run_id: str) -> bool:
    return bool(await worker.world.list_hooks(run_id))


def test_a_fork_that_has_not_begun_is_judged_by_what_it_inherits(kind: str, tmp_path: Path) -> None:
    plan = ["a", "b"]

    @wf.step
    async def work(name: str) -> str:
        return name

    @wf.workflow
    async def flow() -> list[str]:
        return [await work(name) for name in plan]

    async def scene() -> None:
        world = await open_world(kind, tmp_path)
        async with make_worker(world) as first:
            run = await wf.start(flow)
            await run.return_value()
            session, (cut, _) = first.session, await seqs_of(first, run.run_id, "step_completed")
        forked = await fork_run(session, run.run_id, cut)

        async def outcome() -> str:
            row = await world.get_run(forked.run_id)
            assert row is not None
            return (await judge(world, session.keyring, row, session.settings.limits)).outcome

        assert await outcome() == "clean"
        plan[:] = ["a", "x", "y"]
        assert await outcome() == "clean", "what follows the cut is not inherited"
        plan[:] = ["x"]
        assert await outcome() == "diverges"
        await world.close()

    asyncio.run(scene())
