"""Ownership: workers race and stall, and still nothing is done twice or written by two."""

from __future__ import annotations

import asyncio
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import (
    KEYRING,
    LeaseClock,
    Place,
    check_steps,
    make_worker,
    open_world,
    read_log,
    until,
)
from wf import registry
from wf.engine.fork import own_token
from wf.forking import fork_run
from wf.ids import hash_token
from wf.records import seal_message
from wf.session import current_session
from wf.worker import leases as leases_module
from wf.world import InboxMessage

WORLDS = ["memory", "sqlite", "postgres"]
RUNS = 200


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


# -- races --------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
async def test_two_workers_on_one_world_share_runs_and_do_nothing_twice(kind: str, tmp_path: Path):
    executed: dict[str, list[int]] = {}
    workers: dict[str, set[str]] = {}

    def note() -> int:
        info = wf.get_step_metadata()
        executed.setdefault(info.step_id, []).append(info.attempt)
        return info.attempt

    @wf.step(name="add", retry_delay=0)
    async def add(a: int, b: int) -> int:
        note()
        return a + b

    @wf.step(name="add-in-thread", retry_delay=0)
    def add_in_thread(a: int, b: int) -> int:
        note()
        return a + b

    @wf.step(name="shaky", retry_delay=0)
    async def shaky() -> str:
        if note() == 1:
            raise OSError("once")
        return "twice"

    @wf.workflow(name="racing")
    async def racing(n: int) -> list[Any]:
        first = await add(n, 1)
        await wf.sleep("1ms")
        return [*await asyncio.gather(add(first, 1), shaky()), await add_in_thread(first, 2)]

    world = await open_world(kind, tmp_path)
    async with make_worker(world, concurrency=8) as one, make_worker(world, concurrency=8) as two:
        runs = await asyncio.gather(*(wf.start(racing, n) for n in range(RUNS)))
        values = await asyncio.gather(*(run.return_value(timeout=60) for run in runs))
        await one.drain()
        await two.drain()
        for run in runs:
            check_steps(await read_log(world, run.run_id), executed)
        for embedded in (one, two):
            assert embedded.worker._free_slots == 8
            workers[embedded.worker.worker_id] = set(embedded.worker.leases.active)
    assert values == [[n + 2, "twice", n + 3] for n in range(RUNS)]
    assert list(workers.values()) == [set(), set()]
    await world.close()


FLOW = """
import asyncio, os
import wf

def note():
    info = wf.get_step_metadata()
    with open(os.environ["EFFECTS"], "ab", buffering=0) as file:
        file.write(f"{info.step_id} {info.attempt}\\n".encode())
    return info.attempt

@wf.step
async def add(a: int, b: int) -> int:
    note()
    return a + b

@wf.step(retry_delay=0)
def shaky() -> str:
    if note() == 1:
        raise OSError("once")
    return "twice"

@wf.workflow
async def racing(n: int):
    first = await add(n, 1)
    await wf.sleep("1ms")
    return await asyncio.gather(add(first, 1), shaky())
"""


async def test_two_processes_on_one_file_share_runs_and_do_nothing_twice(tmp_path: Path):
    place = Place(tmp_path)
    place.write(FLOW)
    (tmp_path / "effects").touch()
    work = """
        async with wf.worker(modules=["flow"], concurrency=8):
            print("ready", flush=True)
            await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
            print(len(asyncio.all_tasks()) > 0, flush=True)
    """
    processes = [place.spawn(work) for _ in range(2)]
    try:
        for process in processes:
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "ready\n"
        done = await asyncio.to_thread(
            place.run,
            f"""
            import flow
            runs = await asyncio.gather(*(wf.start(flow.racing, n) for n in range({RUNS})))
            values = await asyncio.gather(*(run.return_value(timeout=60) for run in runs))
            assert values == [[n + 2, "twice"] for n in range({RUNS})]
            print(json.dumps([run.run_id for run in runs]))
            """,
            timeout=120,
        )
        run_ids = json.loads(done.stdout)
    finally:
        for process in processes:
            try:
                _, errors = process.communicate("leave\n", timeout=30)
            except subprocess.TimeoutExpired:
                process.kill()
                _, errors = process.communicate()
            assert process.returncode == 0, errors
    world = await open_world("sqlite", tmp_path)
    executed = place.effects()
    for run_id in run_ids:
        check_steps(await read_log(world, run_id), executed)
    assert len(executed) == 3 * RUNS
    await world.close()


# -- a worker that stalls -----------------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
async def test_a_worker_that_wakes_after_its_lease_records_nothing_and_the_others_result_stands(
    kind: str, tmp_path: Path
):
    gate = asyncio.Event()
    ended: list[tuple[int, str]] = []

    @wf.step(name="slow")
    async def slow() -> str:
        attempt = wf.get_step_metadata().attempt
        if attempt == 1:
            await gate.wait()
        return f"attempt {attempt}"

    @wf.step(name="beside", max_retries=3)
    async def beside() -> str:
        attempt = wf.get_step_metadata().attempt
        try:
            if attempt == 1:
                await asyncio.Event().wait()
        except asyncio.CancelledError as error:
            ended.append((attempt, str(error)))
            raise
        return f"attempt {attempt}"

    @wf.workflow(name="stalled")
    async def stalled() -> list[str]:
        return await asyncio.gather(slow(), beside())

    clock = LeaseClock()
    world = await open_world(kind, tmp_path, clock)
    async with make_worker(world, concurrency=4) as old:
        run = await wf.start(stalled)
        await until(lambda: len(_attempts(old)) == 2, "both attempts run")
        clock.seconds += 11
        async with make_worker(world, concurrency=4) as new:
            assert await run.return_value(timeout=20) == ["attempt 2", "attempt 2"]
            log = await read_log(world, run.run_id)
            assert ended == []
            gate.set()  # the old worker's attempt ends: what it records is refused, and it learns of it
            await until(lambda: old.worker.leases.runs == {}, "the old worker forgets the run")
            assert ended == [(1, "the worker lost this run")]
            assert await read_log(world, run.run_id) == log
            assert await run.return_value() == ["attempt 2", "attempt 2"]
            assert (old.worker._free_slots, new.worker._free_slots) == (4, 4)
    await world.close()


@pytest.mark.parametrize("kind", WORLDS)
async def test_a_heartbeat_that_comes_too_late_cancels_every_attempt_and_the_worker_goes_on(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leases_module, "LEASE_SECONDS", 0.06)
    ended: list[str] = []

    @wf.step(name="hang")
    async def hang() -> str:
        attempt = wf.get_step_metadata().attempt
        if attempt == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError as error:
                ended.append(str(error))
                raise
        return f"attempt {attempt}"

    @wf.workflow(name="hanging")
    async def hanging() -> str:
        return await hang()

    clock = LeaseClock()
    world = await open_world(kind, tmp_path, clock)
    async with make_worker(world, concurrency=4) as embedded:
        run = await wf.start(hanging)
        await until(lambda: len(_attempts(embedded)) == 1, "the attempt runs")
        clock.seconds += 11
        await _sweep(world)
        assert await run.return_value(timeout=20) == "attempt 2"
        assert ended == ["the worker lost this run"]
        assert embedded.worker._free_slots == 4
        events = await read_log(world, run.run_id)
        assert [(e.type, e.attempt) for e in events[2:-1]] == [
            ("step_created", 1), ("step_started", 2), ("step_completed", 2),
        ]  # fmt: skip
    await world.close()


@pytest.mark.parametrize("kind", WORLDS)
async def test_what_is_claimed_while_a_heartbeats_answer_is_under_way_is_not_what_was_lost(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A worker that announces itself again meanwhile, as `serve` does, gets leases that no heartbeat speaks of."""
    monkeypatch.setattr(leases_module, "LEASE_SECONDS", 0.06)

    @wf.workflow(name="waiting")
    async def waiting() -> str:
        return await wf.hook(token="go")

    clock = LeaseClock()
    world = await open_world(kind, tmp_path, clock)
    async with make_worker(world, concurrency=4) as embedded:
        run = await wf.start(waiting)
        await until(lambda: _has_hook(world), "the hook is there")
        worker, heartbeat = embedded.worker, world.heartbeat
        answered = asyncio.Event()

        async def answer_late(worker_id: str) -> bool:
            kept: bool = await heartbeat(worker_id)
            if not kept:
                await worker.announce()
                worker.leases.bell.set()
                await until(lambda: worker.leases.runs[run.run_id].tail.epoch == 2, "it is claimed again")
                await until(lambda: run.run_id in worker.leases.resting, "it waits again")
                answered.set()
            return kept

        monkeypatch.setattr(world, "heartbeat", answer_late)
        clock.seconds += 11
        await asyncio.wait_for(answered.wait(), 20)
        await wf.resume_hook("go", "done")
        assert await run.return_value(timeout=20) == "done"
    await world.close()


@pytest.mark.parametrize("kind", WORLDS)
async def test_a_message_that_comes_while_its_run_is_yet_to_be_taken_up_is_heard(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It is leased with others, one of which takes long to be taken up; what the claim brought is older."""

    @wf.workflow(name="waiting")
    async def waiting(token: str) -> str:
        return await wf.hook(token=token)

    if kind == "postgres":  # which looks by itself, and would find it
        monkeypatch.setattr("wf.worlds.postgres.bell.POLL_SECONDS", 3600.0)
    world = await open_world(kind, tmp_path)
    async with make_worker(world):
        first = await wf.start(waiting, "first")
        await until(lambda: _is_live(world, "first"), "the first one waits")
        second = await wf.start(waiting, "second")
        await until(lambda: _is_live(world, "second"), "the second one waits")
    is_slow, gate, take_up = asyncio.Event(), asyncio.Event(), leases_module.take_up

    async def take_up_slowly(worker: Any, claimed: Any) -> Any:
        if claimed.run.run_id == first.run_id:
            is_slow.set()
            await gate.wait()
        return await take_up(worker, claimed)

    monkeypatch.setattr(leases_module, "take_up", take_up_slowly)
    async with make_worker(world) as embedded:
        worker, rung = embedded.worker, list[str]()
        await asyncio.wait_for(is_slow.wait(), 20)
        await world.subscribe(f"worker:{worker.worker_id}", rung.append)
        await wf.resume_hook("second", "heard")
        await until(lambda: rung and not (worker._mail or worker._mail_bell.is_set()), "it was rung for")
        gate.set()
        assert await second.return_value(timeout=10) == "heard"
        await wf.resume_hook("first", "heard")
        assert await first.return_value(timeout=10) == "heard"
    await world.close()


async def test_a_run_that_is_to_be_handed_over_while_it_is_yet_to_be_taken_up_is_handed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    @wf.workflow(name="waiting")
    async def waiting(token: str) -> str:
        return await wf.hook(token=token)

    world = await open_world("memory", tmp_path)
    async with make_worker(world):
        first = await wf.start(waiting, "first")
        await until(lambda: _is_live(world, "first"), "the first one waits")
        second = await wf.start(waiting, "second")
        await until(lambda: _is_live(world, "second"), "the second one waits")
    is_slow, gate, take_up = asyncio.Event(), asyncio.Event(), leases_module.take_up

    async def take_up_slowly(worker: Any, claimed: Any) -> Any:
        if claimed.run.run_id == first.run_id:
            is_slow.set()
            await gate.wait()
        return await take_up(worker, claimed)

    monkeypatch.setattr(leases_module, "take_up", take_up_slowly)
    async with make_worker(world) as embedded:
        await asyncio.wait_for(is_slow.wait(), 20)
        await world.peg_runs([second.run_id], "other")
        await embedded.worker.serve([embedded.session.deployment_id])
        embedded.worker.hand_over([second.run_id])
        gate.set()

        async def is_free() -> bool:
            row = await world.get_run(second.run_id)
            return row is not None and row.owner is None

        await until(lambda: first.run_id in embedded.worker.leases.resting, "the first one is taken up")
        await until(is_free, "the second one is free for who has its code")
        assert second.run_id not in embedded.worker.leases.runs
    await world.close()


async def test_a_worker_that_cannot_announce_itself_anew_keeps_no_lease_that_it_does_not_know_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """It does so where it was offered a run of a workflow that was registered since; that call may fail."""
    monkeypatch.setattr(leases_module, "CLAIM_AGAIN_SECONDS", 0.01)

    @wf.workflow(name="early")
    async def early() -> str:
        return await wf.hook(token="early")

    world = await open_world("memory", tmp_path)
    async with make_worker(world):
        first = await wf.start(early)
        await until(lambda: _is_live(world, "early"), "it waits")
        stumbling: Any = Failing(world, "nothing")
    async with make_worker(stumbling) as embedded:
        await until(lambda: first.run_id in embedded.worker.leases.resting, "it is taken up")
        embedded.worker.leases.put_away(embedded.worker.leases.runs[first.run_id])

        @wf.workflow(name="late")
        async def late() -> str:
            return "done"

        stumbling._names = ("open_worker",)
        claim, both = world.claim, asyncio.Event()

        async def claim_both(*arguments: Any) -> Any:
            await both.wait()
            return await claim(*arguments)

        monkeypatch.setattr(world, "claim", claim_both)
        second = await wf.start(late)
        await wf.resume_hook("early", "heard")
        both.set()
        assert await second.return_value(timeout=10) == "done"
        assert await first.return_value(timeout=10) == "heard"
        assert stumbling.failures == 3
    await world.close()


async def test_what_was_read_for_a_lease_is_not_delivered_under_the_next_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """The lease before may have taken it meanwhile: the body would hear of it twice."""

    @wf.workflow(name="collects")
    async def collects() -> list[Any]:
        async with wf.hook(token="go") as hook:
            return [await hook, await hook]

    world = await open_world("memory", tmp_path)
    async with make_worker(world) as embedded:
        worker = embedded.worker
        run = await wf.start(collects)
        await until(lambda: run.run_id in worker.leases.resting, "it waits")
        read_inbox, commit = world.read_inbox, world.commit
        is_read, may_commit, answer = asyncio.Event(), asyncio.Event(), asyncio.Event()
        reads: list[Any] = []

        async def commit_late(appends: Any) -> Any:
            await may_commit.wait()
            return await commit(appends)

        async def answer_late(*arguments: Any) -> Any:
            reads.append(await read_inbox(*arguments))
            if len(reads) == 2:
                is_read.set()
                await answer.wait()
            return reads[-1]

        monkeypatch.setattr(world, "commit", commit_late)
        monkeypatch.setattr(world, "read_inbox", answer_late)
        await wf.resume_hook("go", 1)
        await until(lambda: len(reads) == 1, "it is told")
        worker.on_mail(run.run_id)
        await asyncio.wait_for(is_read.wait(), 20)
        assert len(reads[1]) == 1
        may_commit.set()
        await until(lambda: run.run_id in worker.leases.resting, "what it was told is written")
        worker.leases.hand_over([run.run_id])
        worker.leases.bell.set()
        await until(lambda: run.run_id in worker.leases.resting, "it is taken up again")
        answer.set()
        await worker.drain()
        await wf.resume_hook("go", 2)
        assert await run.return_value(timeout=20) == [1, 2]
    await world.close()


async def test_a_run_that_was_cancelled_before_it_began_is_given_back_when_it_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Or it could not be forgotten for as long as the worker lives."""
    monkeypatch.setattr(leases_module, "LEASE_SECONDS", 0.06)

    @wf.workflow(name="unwanted")
    async def unwanted() -> None: ...

    world = await open_world("memory", tmp_path)
    async with make_worker(world):
        run = await wf.start(unwanted.with_options(delay="1h"))
        await run.cancel()

        async def is_deleted() -> bool:
            return await world.delete_runs([run.run_id]) == [run.run_id]

        await until(is_deleted, "it can be forgotten")
    await world.close()


@pytest.mark.parametrize("kind", WORLDS)
async def test_calls_that_were_fenced_give_their_slots_back(kind: str, tmp_path: Path):
    """A call takes its slot before the commit that starts its attempt; a lost commit must not keep it."""

    @wf.step(name="one")
    async def one() -> None: ...

    @wf.workflow(name="waits-first")
    async def waits_first() -> str:
        await wf.hook(token="go")
        await asyncio.gather(*(one() for _ in range(3)))
        return "done"

    clock = LeaseClock()
    world = await open_world(kind, tmp_path, clock)
    async with make_worker(world, concurrency=4) as old:
        run = await wf.start(waits_first)
        await until(lambda: _has_hook(world), "the hook is there")
        live = old.worker.leases.runs[run.run_id]
        clock.seconds += 11
        async with make_worker(world, concurrency=4) as new:
            await until(lambda: run.run_id in new.worker.leases.runs, "the new worker has it")
            # The old one still believes that it has the run: a payload comes to it, and it calls three steps.
            sealed = seal_message(KEYRING, run.run_id, "hook_payload", 0, b"null", correlation_id=1)
            live.receive(InboxMessage(10**6, run.run_id, sealed.kind, 1, 0, None, sealed.payload))
            assert old.worker._free_slots == 1
            await until(lambda: old.worker.leases.runs == {}, "the old worker forgets the run")
            assert old.worker._free_slots == 4
            await wf.resume_hook("go")
            assert await run.return_value(timeout=20) == "done"
            assert (old.worker._free_slots, new.worker._free_slots) == (4, 4)
    await world.close()


async def test_a_cancelled_call_whose_start_is_being_committed_gives_its_slot_back(tmp_path: Path):
    @wf.step(name="one", cancellable=True)
    async def one() -> None:
        await asyncio.Event().wait()

    @wf.workflow(name="cancels")
    async def cancels() -> str:
        task = asyncio.create_task(one())
        await wf.hook(token="stop")
        task.cancel()
        await asyncio.wait([task])
        return "done"

    world = await open_world("memory", tmp_path)
    async with make_worker(world, concurrency=2) as embedded:
        gate, commit = asyncio.Event(), world.commit

        async def slow_commit(appends: Any) -> Any:
            outcomes = await commit(appends)
            await gate.wait()
            return outcomes

        world.commit = slow_commit
        run = await wf.start(cancels)
        await until(lambda: _has_hook(world), "the call is written, and its worker not yet told")
        live = embedded.worker.leases.runs[run.run_id]
        assert live.is_committing
        assert live.attempts == {}
        await wf.resume_hook("stop")
        await until(lambda: live.is_ended, "the body ended")
        gate.set()
        assert await run.return_value(timeout=20) == "done"
        assert embedded.worker._free_slots == 2
        world.commit = commit


def _make_queue(release: asyncio.Event) -> tuple[Any, Any]:
    """Make a workflow that holds a slot until it is released, and a step that waits for one meanwhile."""

    @wf.step(name="hold")
    async def hold() -> None:
        await release.wait()

    @wf.step(name="queued", cancellable=True)
    async def queued() -> None: ...

    @wf.workflow(name="holder")
    async def holder() -> None:
        await hold()

    return holder, queued


async def test_runs_whose_last_calls_never_got_a_slot_leave_the_worker_at_rest(tmp_path: Path):
    release = asyncio.Event()
    holder, queued = _make_queue(release)

    @wf.workflow(name="ends-with-queued-calls")
    async def ends_with_queued_calls() -> str:
        tasks = [asyncio.create_task(queued()) for _ in range(3)]
        await wf.sleep("1ms")
        del tasks
        return "done"

    @wf.workflow(name="drops-queued-calls")
    async def drops_queued_calls() -> str:
        tasks = [asyncio.create_task(queued()) for _ in range(3)]
        await wf.sleep("1ms")
        for task in tasks:
            task.cancel()
        await wf.hook(token="later")
        return "done"

    world = await open_world("memory", tmp_path)
    async with make_worker(world, concurrency=1) as embedded:
        holding = await wf.start(holder)
        await until(lambda: embedded.worker._free_slots == 0, "the only slot is taken")
        embedded.worker.leases.concurrency = 10  # room for runs, none for attempts
        ending = await wf.start(ends_with_queued_calls)
        dropping = await wf.start(drops_queued_calls)
        assert await ending.return_value(timeout=20) == "done"
        await until(lambda: _has_hook(world), "the calls were dropped")
        release.set()
        await holding.return_value(timeout=20)
        await embedded.drain()
        assert embedded.worker.leases.active == set()
        assert list(embedded.worker.leases.resting) == [dropping.run_id]
        assert embedded.worker._free_slots == 1
        await wf.resume_hook("later")
        assert await dropping.return_value(timeout=20) == "done"


async def test_a_place_that_becomes_free_without_a_commit_is_offered(tmp_path: Path):
    """As that of a run whose last call, given up long ago, waited for the slot of a run that was lost."""
    release = asyncio.Event()
    holder, queued = _make_queue(release)

    @wf.workflow(name="drops-a-queued-call")
    async def drops_a_queued_call() -> str:
        task = asyncio.create_task(queued())
        await wf.sleep("1ms")
        task.cancel()
        return await wf.hook(token="later")

    @wf.workflow(name="third")
    async def third() -> str:
        return "done"

    world = await open_world("memory", tmp_path)
    async with make_worker(world, concurrency=1) as embedded:
        worker = embedded.worker
        holding = await wf.start(holder)
        await until(lambda: worker._free_slots == 0, "the only slot is taken")
        worker.leases.concurrency = 10  # room for runs, none for attempts
        dropping = await wf.start(drops_a_queued_call)
        await until(lambda: _has_hook(world), "the call was dropped")
        worker.leases.concurrency = 1
        waiting = await wf.start(third)
        await until(lambda: worker.leases._is_full, "there is no room for it")
        await until(lambda: not worker.is_turning(), "all rests but the step")
        worker.leases.forget(worker.leases.runs[holding.run_id])  # as an append that was fenced does
        assert await waiting.return_value(timeout=20) == "done"
        assert worker.leases.active == set()
        await wf.resume_hook("later", "heard")
        assert await dropping.return_value(timeout=20) == "heard"
    await world.close()


@pytest.mark.parametrize("kind", WORLDS)
async def test_an_attempt_whose_run_was_lost_while_its_start_was_committed_does_not_begin(kind: str, tmp_path: Path):
    began: list[int] = []

    @wf.step(name="one")
    async def one() -> None:
        began.append(wf.get_step_metadata().attempt)

    @wf.workflow(name="single")
    async def single() -> str:
        await one()
        return "done"

    world = await open_world(kind, tmp_path)
    async with make_worker(world, concurrency=2) as embedded:
        worker = embedded.worker
        gate, commit, written = asyncio.Event(), worker.world.commit, asyncio.Event()

        async def slow_commit(appends: Any) -> Any:
            outcomes = await commit(appends)
            written.set()
            await gate.wait()
            return outcomes

        worker.world.commit = slow_commit
        run = await wf.start(single)
        await asyncio.wait_for(written.wait(), 20)
        worker.leases.forget(worker.leases.runs[run.run_id])  # as a refused heartbeat does
        gate.set()
        await until(lambda: not worker.busy, "the commit is over")
        await embedded.drain()
        assert began == []
        assert worker._free_slots == 2
        worker.world.commit = commit
    await world.close()


# -- helpers ------------------------------------------------------------------------------------


def _attempts(embedded: Any) -> list[Any]:
    return [attempt for run in embedded.worker.leases.runs.values() for attempt in run.attempts.values()]


async def _has_hook(world: Any) -> bool:
    return bool(await world.list_hooks())


async def _sweep(world: Any) -> None:
    """Have the world look whose leases have expired, as any other worker's call does."""
    from wf.world import WorkerHello
    from wf.worlds.process import process_token

    await world.open_worker(WorkerHello("wrk_sweeper", process_token(), [], ""))
    await world.claim("wrk_sweeper", current_session().now_us(), 1)
    await world.close_worker("wrk_sweeper")


# -- what a worker leaves behind ----------------------------------------------------------------


@pytest.mark.parametrize("kind", WORLDS)
@pytest.mark.parametrize("is_retry", [False, True])
async def test_a_step_whose_turn_came_while_its_worker_had_no_slot_begins_at_the_next_worker(
    kind: str, is_retry: bool, tmp_path: Path
):
    gate, is_busy, may_fail = asyncio.Event(), asyncio.Event(), asyncio.Event()
    tries: list[int] = []

    @wf.step(name="busy")
    async def busy() -> None:
        is_busy.set()
        await gate.wait()

    @wf.step(name="narrow", concurrency=1, retry_delay="1ms")
    async def narrow() -> str:
        tries.append(1)
        if is_retry and len(tries) == 1:
            await may_fail.wait()
            raise OSError("once")
        return "had its turn"

    @wf.workflow(name="waits-for-its-turn")
    async def waits_for_its_turn() -> str:
        return await narrow()

    @wf.workflow(name="keeps-the-slot")
    async def keeps_the_slot() -> None:
        await busy()

    world = await open_world(kind, tmp_path)
    async with make_worker(world, concurrency=1) as embedded:
        worker = embedded.worker
        worker.leases.concurrency = 10  # runs; there is one slot
        if is_retry:
            run = await wf.start(waits_for_its_turn)
            await until(lambda: bool(tries), "its first attempt has the slot")
            other = await wf.start(keeps_the_slot)
            await until(lambda: bool(worker._slot_queue), "the other one is next")
            may_fail.set()
            await is_busy.wait()
        else:
            other = await wf.start(keeps_the_slot)
            await is_busy.wait()
            run = await wf.start(waits_for_its_turn)
        await until(lambda: bool(worker._slot_queue), "it has its turn, and no slot")
    async with make_worker(world):
        assert await run.return_value(timeout=20) == "had its turn"
        gate.set()
        await other.return_value(timeout=20)
        assert await world.list_locks() == []
    await world.close()


class Failing:
    """Stands in front of a world, whose calls of some names fail for a while."""

    def __init__(self, world: Any, *names: str) -> None:
        self.failures = 0
        self._world = world
        self._names = names
        self._left = 3

    def __getattr__(self, name: str) -> Any:
        if name in self._names and self._left:
            return self._fail
        return getattr(self._world, name)

    async def _fail(self, *arguments: Any) -> Any:
        self._left -= 1
        self.failures += 1
        raise wf.WorldError("the disk stumbles")


async def test_a_run_whose_lease_could_not_be_given_back_at_once_is_given_back(tmp_path: Path):
    @wf.workflow(name="rests")
    async def rests(n: int) -> Any:
        return await wf.hook(token=f"rests-{n}")

    world = await open_world("sqlite", tmp_path)
    stumbling: Any = Failing(world, "release")
    async with make_worker(stumbling, live_runs=1):
        runs = [await wf.start(rests, n) for n in range(3)]

        async def are_there() -> bool:
            return len(await world.list_hooks()) == 3

        await until(are_there, "all rest")
        await until(lambda: stumbling.failures == 3, "giving back fails")
        for n, run in enumerate(runs):
            await wf.resume_hook(f"rests-{n}", n)
            assert await run.return_value(timeout=20) == n
    await world.close()


@pytest.mark.parametrize("call", ["read_events", "set_attention", "get_run"])
async def test_a_world_that_fails_while_a_run_is_taken_up_does_no_harm_to_it(
    call: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(leases_module, "CLAIM_AGAIN_SECONDS", 0.01)
    is_there: list[int] = []

    @wf.step(name="work")
    async def work(n: int) -> int:
        return n

    @wf.workflow(name="long")
    async def long(count: int) -> str:
        for n in range(count):
            await work(n)
        await wf.hook(token="long")
        if call == "set_attention" and not is_there:
            await work(-1)
        return await wf.hook(token="end") or "done"

    world = await open_world("sqlite", tmp_path)
    async with make_worker(world) as embedded:
        count = 1200 if call == "read_events" else 2
        run = await wf.start(long, count)
        await until(lambda: _is_live(world, "long"), "it waits")
        await wf.resume_hook("long")
        await until(lambda: _is_live(world, "end"), "it waits again")
        rested = await wf.start(long.with_options(id="fresh"), 1)
        await until(lambda: _is_live(world, "long"), "the other one waits")
        session = embedded.session
    is_there.append(1)  # with today's code the first run diverges, where that is what the scene is about
    if call == "get_run":
        forked = await fork_run(session, run.run_id, 7)
    stumbling: Any = Failing(world, call)
    async with make_worker(stumbling):
        await until(lambda: stumbling.failures >= 1, "it fails")
        await wf.resume_hook("long")
        if call == "get_run":
            own = own_token("long", forked.run_id)
            await until(lambda: _is_live(world, own), "the fork waits")
            assert await forked.attention() is None
        elif call == "set_attention":
            await until(lambda: _has_attention(run), "it says why it rests")
        else:
            await until(lambda: stumbling.failures == 3, "it fails three times")
            await wf.resume_hook("end")
            assert await run.return_value(timeout=20) == "done"
        assert await rested.attention() is None
    await world.close()


async def _is_live(world: Any, token: str) -> bool:
    return await world.find_hook(hash_token(token)) is not None


async def _has_attention(run: wf.Run[Any]) -> bool:
    return await run.attention() is not None
