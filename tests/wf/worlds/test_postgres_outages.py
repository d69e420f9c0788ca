"""A Postgres world whose database dies, or whose line to it is cut: nothing is lost, nothing happens twice."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import time
import warnings
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.postgres import Cluster
from tests.wf.worlds.acts import T0, Bell, Owner, claim_all, hello, new_run, own, send
from tests.wf.worlds.proxy import Proxy
from wf.errors import WorldError
from wf.world import EndRun, Message, PutWait, Release, RequestLock, StartChild, StartRun, World

ROOT = Path(__file__).parents[3]
PATIENCE_SECONDS = 30.0


@asynccontextmanager
async def opened(url: str, durability: str = "process", **options: Any) -> AsyncIterator[Any]:
    from wf.worlds.postgres import PostgresWorld

    world = PostgresWorld(url, durability, **options)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


@pytest.fixture
def proxy(postgres: Cluster) -> Iterator[Proxy]:
    with Proxy(postgres.port) as made:
        yield made


async def until(condition: Callable[[], Any]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not await condition():
        assert time.monotonic() < deadline, "waited in vain"
        await asyncio.sleep(0.01)


# -- the line is cut at a COMMIT: nobody knows whether it was carried out


async def started(world: World) -> Owner:
    """A run that is owned, with a message in its inbox, beside one that ends first."""
    await world.create_run(new_run("other"))
    owner = await own(world)
    await send(world, "r1", correlation_id=7)
    return owner


async def act_commit(world: World, owner: Owner) -> None:
    (message,) = await world.read_inbox("w1", ["r1"], 0)
    await owner.commit(StartRun(T0), PutWait(1, "sleep", T0), taken=[message.id], events=3)
    assert [event.seq for event in await world.read_events("r1")] == [1, 2, 3, 4]
    assert await owner.inbox() == []


async def act_reach_out(world: World, owner: Owner) -> None:
    await owner.commit(RequestLock(1, "db", 1), StartChild(2, new_run("child")))
    assert [kind for kind, _, _ in await owner.inbox()] == ["hook_payload", "lock_granted"]
    assert len(await world.read_events("child")) == 1


async def act_end(world: World, owner: Owner) -> None:
    await owner.commit(EndRun("completed", T0, 2, None, new_run("next")))
    run = await world.get_run("r1")
    assert run is not None
    assert (run.status, run.continued_as) == ("completed", "next")


async def act_create(world: World, owner: Owner) -> None:
    created = await world.create_run(new_run("new"))
    assert created.is_new, "it is ours, whichever try it was"
    assert len(await world.read_events("new")) == 1
    assert not (await world.create_run(new_run("new", at=T0 + 1))).is_new


async def act_send(world: World, owner: Owner) -> None:
    sent = await world.send("r1", Message("hook_payload", T0, 8))
    assert sent.status == "queued"
    assert [number for _, number, _ in await owner.inbox()] == [7, 8]
    named = Message("hook_payload", T0, 9, delivery_id="d1")
    assert (await world.send("r1", named)).status == "queued"
    assert (await world.send("r1", named)).status == "duplicate"


async def act_chunks(world: World, owner: Owner) -> None:
    appended = await world.append_chunks("r1", "default", 0, T0, [b"a", b"b", None], owner.fence)
    assert appended.status == "written"
    assert [chunk.payload for chunk in await world.read_chunks("r1", "default", 0)] == [b"a", b"b", None]


async def act_claim(world: World, owner: Owner) -> None:
    await world.create_run(new_run("due"))
    found: dict[str, Owner] = {}

    async def has_it() -> bool:
        found.update(await claim_all(world))
        return "due" in found

    await until(has_it)
    await found["due"].commit()


async def act_release(world: World, owner: Owner) -> None:
    await world.release("w1", [Release("r1", owner.epoch)])
    run = await world.get_run("r1")
    assert run is not None
    assert (run.owner, run.wake_at) == (None, 0)


async def act_delete(world: World, owner: Owner) -> None:
    await owner.end()
    await owner.release()
    assert await world.delete_runs(["r1"]) == ["r1"]
    assert await world.get_run("r1") is None


ACTS = {
    "commit": act_commit, "reach out": act_reach_out, "end": act_end, "create": act_create, "send": act_send,
    "chunks": act_chunks, "claim": act_claim, "release": act_release, "delete": act_delete,
}  # fmt: skip
COMMITS = {"claim": 2, "delete": 3}


@pytest.mark.parametrize("where", ["before", "after"])
@pytest.mark.parametrize("name", list(ACTS))
async def test_a_line_cut_at_a_commit_changes_nothing_of_the_answer(
    name: str, where: Any, postgres: Cluster, emptied_postgres_url: str, proxy: Proxy
) -> None:
    async with opened(postgres.over_tcp(emptied_postgres_url, proxy.port)) as world:
        owner = await started(world)
        for number in range(1, COMMITS.get(name, 1) + 1):
            if number == COMMITS.get(name, 1):
                proxy.cut_at_commit(where, number)
        await ACTS[name](world, owner)
        assert proxy.cuts == 1


async def test_what_was_carried_out_before_its_line_was_cut_is_rung_for_in_its_own_process(
    postgres: Cluster, emptied_postgres_url: str, proxy: Proxy
) -> None:
    """Others find it by their own looking; that one was to ring its own bells, and its repeated call does nothing."""
    async with opened(postgres.over_tcp(emptied_postgres_url, proxy.port)) as world:
        owner = await started(world)
        results = await Bell.at(world, "results")
        proxy.cut_at_commit("after")
        await owner.end()
        assert proxy.cuts == 1

        async def is_rung_for() -> bool:
            return bool(results.rings)

        await until(is_rung_for)


async def test_a_lease_whose_commit_goes_on_after_its_line_was_cut_is_given_back(
    postgres: Cluster, emptied_postgres_url: str
) -> None:
    """Nobody else would: the worker lives, and does not know of it."""
    async with opened(emptied_postgres_url) as world:
        await world.create_run(new_run("r1"))
        await world.open_worker(hello())
        with postgres.connect(emptied_postgres_url) as other, postgres.connect(emptied_postgres_url) as watcher:
            other.execute("BEGIN")
            other.execute("UPDATE runs SET owner = 'w1', epoch = epoch + 1, wake_at = NULL")
            world.core.leases.doubt([("r1", 1, "w1")])
            claiming = asyncio.ensure_future(claim_all(world))

            async def has_come_to_it() -> bool:
                waiting = watcher.execute("SELECT 1 FROM pg_locks WHERE NOT granted").fetchone()
                return claiming.done() or waiting is not None

            await until(has_come_to_it)
            other.execute("COMMIT")
        owner = (await claiming)["r1"]
        assert owner.epoch == 2
        await owner.commit()


async def test_a_call_while_the_database_is_away_waits_for_it_and_then_says_so(
    postgres: Cluster, emptied_postgres_url: str, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wf.worlds.postgres import core

    async with opened(postgres.over_tcp(emptied_postgres_url, proxy.port)) as world:
        owner = await own(world)
        proxy.is_refusing = True
        proxy.cut()
        waiting = asyncio.ensure_future(owner.try_commit())
        await asyncio.sleep(0.1)
        assert not waiting.done()
        proxy.is_refusing = False
        assert await waiting == "applied"
        owner.seq = 2
        monkeypatch.setattr(core, "PATIENCE_SECONDS", 0.2)
        proxy.is_refusing = True
        proxy.cut()
        with pytest.raises(WorldError, match="cannot be reached") as caught:
            await owner.try_commit()
        assert "127.0.0.1" in str(caught.value)
        assert caught.value.hint is not None
        proxy.is_refusing = False
        await owner.commit()


@pytest.mark.parametrize("is_listening", [True, False])
async def test_a_line_that_is_frozen_is_given_up_and_the_call_goes_on_by_another(
    is_listening: bool,
    postgres: Cluster,
    emptied_postgres_url: str,
    proxy: Proxy,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from wf.worlds.postgres import core

    monkeypatch.setattr(core, "WATCH_SECONDS", 0.1)
    async with opened(postgres.over_tcp(emptied_postgres_url, proxy.port)) as world:
        owner = await own(world)
        bell = await Bell.at(world, "claimable") if is_listening else None
        proxy.freeze()
        waiting = asyncio.ensure_future(owner.try_commit())
        await asyncio.sleep(0.2)
        assert not waiting.done()
        proxy.thaw_new()
        monkeypatch.setattr(core, "STUCK_SECONDS", 0.3)  # only now: a line made before would be frozen, too
        assert await waiting == "applied"
        if bell is not None:
            await until(bell.heard)  # its own line was frozen, too


async def test_room_is_made_for_as_long_as_it_takes(
    postgres: Cluster, emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wf.worlds.postgres import core

    monkeypatch.setattr(core, "STUCK_SECONDS", 0.1)
    monkeypatch.setattr(core, "WATCH_SECONDS", 0.02)
    async with opened(emptied_postgres_url) as world:
        made: list[int] = []
        monkeypatch.setattr(world.core, "connect", lambda: made.append(1))
        with postgres.connect(emptied_postgres_url) as other, other.transaction():
            other.execute("LOCK TABLE runs IN SHARE UPDATE EXCLUSIVE MODE")
            working = asyncio.ensure_future(world.compact())
            done, _ = await asyncio.wait([working], timeout=0.4)
            assert not done
        await working
        assert made == []
        monkeypatch.setattr(core, "_EMPTIED", ("nowhere",))
        with pytest.raises(WorldError):
            await world.compact()
        assert world.core.fetch("SHOW statement_timeout") == [("30s",)]


async def test_who_only_reads_is_not_ended_for_those_who_wait(
    postgres: Cluster, emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from psycopg import OperationalError

    from wf.worlds.postgres import core

    monkeypatch.setattr(core, "IDLE_SECONDS", 0)
    async with opened(emptied_postgres_url) as world:
        await world.create_run(new_run("r1"))
        with postgres.connect(emptied_postgres_url) as reader, postgres.connect(emptied_postgres_url) as writer:
            for connection, statement in ((reader, "SELECT 1 FROM runs"), (writer, "SELECT 1 FROM runs FOR UPDATE")):
                connection.execute("BEGIN")
                connection.execute(statement)
            world.core._persist(world.core._end_stalled)

            async def is_ended() -> bool:
                try:
                    writer.execute("SELECT 1")
                except OperationalError:
                    return True
                return False

            await until(is_ended)
            assert reader.execute("SELECT 1").fetchone() == (1,)


async def test_doorbells_ring_again_after_the_line_was_cut(
    postgres: Cluster, emptied_postgres_url: str, proxy: Proxy
) -> None:
    async with (
        opened(postgres.over_tcp(emptied_postgres_url, proxy.port)) as world,
        opened(emptied_postgres_url) as other,
    ):
        bell = await Bell.at(world, "claimable")
        proxy.cut()
        await until(bell.heard)  # whatever was rung in between, it missed
        await bell.heard()
        await other.create_run(new_run("r1"))
        await until(bell.heard)


async def test_news_whose_notification_was_lost_are_found_by_looking(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wf.worlds.postgres import bell as bells

    assert bells.POLL_SECONDS <= 1.0, "they are to be found within two seconds"
    monkeypatch.setattr(bells, "POLL_SECONDS", 0.2)
    monkeypatch.setattr(bells, "_NOTIFY", "SELECT %s::text, %s::text")
    async with opened(emptied_postgres_url) as world, opened(emptied_postgres_url) as other:
        await own(world)
        topics = ["claimable", "worker:w1", "runs", "log:r1", "run:r2", "stream:r1/default"]
        listening = [await Bell.at(world, topic) for topic in topics]
        await asyncio.sleep(bells.POLL_SECONDS * 1.2)  # it has looked once: what it finds now is new
        for each in listening:
            await each.heard()
        await other.create_run(new_run("r2"))
        await send(other, "r1")
        await other.append_chunks("r1", "default", 0, T0, [b"a"], None)
        heard: dict[str, list[str]] = {topic: [] for topic in topics}

        async def has_all() -> bool:
            for topic, each in zip(topics, listening, strict=True):
                heard[topic] += await each.heard()
            return all(heard.values())

        await until(has_all)
        assert set(heard["worker:w1"]) == {"r1"}
        assert heard["run:r2"] == ["r2"]


async def test_other_processes_are_told_of_what_concerns_them(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wf.worlds.postgres.bell.POLL_SECONDS", 3600.0)  # nobody finds it by himself
    async with opened(emptied_postgres_url) as world, opened(emptied_postgres_url) as other:
        owner = await own(world)
        mail, result = await Bell.at(world, "worker:w1"), await Bell.at(other, "results")
        runs, log = await Bell.at(other, "runs"), await Bell.at(other, "log:r1")
        for _ in range(3):
            await send(other, "r1")
            await until(mail.heard)
        await owner.commit(StartRun(T0))
        await until(log.heard)
        changed: list[str] = []

        async def is_told() -> bool:
            changed.extend(await runs.heard())
            return bool(changed)

        await until(is_told)  # one bell after the other is rung, on a thread
        assert changed == ["r1"]
        assert await result.heard() in ([], ["r1"])
        await owner.end()
        await until(result.heard)


async def test_of_changes_only_the_new_ones_are_read_however_long_another_transaction_takes(
    postgres: Cluster, emptied_postgres_url: str
) -> None:
    from wf.worlds.postgres import bell as bells

    async with opened(emptied_postgres_url) as world:
        ((snapshot,),) = world.core.fetch(bells._SNAPSHOT)

        def read() -> list[str]:
            nonlocal snapshot
            rows = world.core.fetch(bells._CHANGED, ("nobody", snapshot, snapshot))
            snapshot = rows[0][0]
            return [run_id for _, run_id, _ in rows if run_id is not None]

        with postgres.connect(emptied_postgres_url) as other, other.transaction():
            other.execute("INSERT INTO changes (run, run_id, is_state, source) VALUES (0, 'late', true, 'other')")
            for number in range(3):
                await world.create_run(new_run(f"r{number}"))
                assert set(read()) == {f"r{number}"}
                assert read() == []
        assert read() == ["late"]
        assert read() == []


def test_a_notification_holds_as_much_as_one_may() -> None:
    from wf.worlds.postgres.bell import News, _encode, _limit

    long = {(f"worker {number % 3}", f"{number}" * 60) for number in range(200)}
    many = {("w" * 150 + str(number), "r1") for number in range(200)}
    assert _limit({("w1", "r2"), ("w1", "r1")}) == [("w1", "r1"), ("w1", "r2")]
    assert _limit(long) == [("worker 0", ""), ("worker 1", ""), ("worker 2", "")]
    assert _limit(many) == []
    for mail in (long, many, set(list(long)[:40])):
        assert len(_encode(News("s" * 12, True, True, _limit(mail)))) < 8000


# -- the database dies


async def test_a_database_that_is_killed_loses_nothing_that_was_acknowledged(
    postgres: Cluster, postgres_url: str
) -> None:
    """Two workers append as fast as they can while the postmaster is killed; each goes on when it is back."""
    acknowledged: dict[str, int] = {}

    async def work(world: World, owner: Owner) -> None:
        run_id = owner.run_id
        while not is_over.is_set() or owner.seq < 20:
            append = owner.append()
            while True:
                try:
                    outcomes = await world.commit([append])
                    break
                except WorldError:
                    await asyncio.sleep(0.05)
            assert outcomes == ["applied"]
            owner.seq += 1
            acknowledged[run_id] = owner.seq

    is_over = asyncio.Event()
    async with opened(postgres_url, "power") as first, opened(postgres_url, "power") as second:
        owners = [await own(first, "r1", "w1"), await own(second, "r2", "w2")]
        working = [asyncio.ensure_future(work(owner.world, owner)) for owner in owners]

        async def is_busy() -> bool:
            return len(acknowledged) == 2 and min(acknowledged.values()) > 10

        await until(is_busy)
        for _ in range(2):
            before = dict(acknowledged)
            await asyncio.to_thread(postgres.kill)
            await asyncio.to_thread(postgres.start)

            async def goes_on(before: dict[str, int] = before) -> bool:
                return all(acknowledged[run_id] > seq + 5 for run_id, seq in before.items())

            await until(goes_on)
        is_over.set()
        await asyncio.gather(*working)
        for run_id, seq in acknowledged.items():
            assert [event.seq for event in await first.read_events(run_id, 0, 100_000)] == list(range(1, seq + 1))


async def test_a_database_that_was_away_for_longer_than_a_lease_leaves_everybody_theirs(
    postgres: Cluster, postgres_url: str
) -> None:
    async with (
        opened(postgres_url, "power", lease_seconds=4.0) as world,
        opened(postgres_url, "power", lease_seconds=4.0) as other,
    ):
        owner = await own(world)
        await other.open_worker(hello("w2"))
        await asyncio.to_thread(postgres.kill)
        await asyncio.sleep(4.1)
        await asyncio.to_thread(postgres.start)
        assert await other.heartbeat("w2")
        assert await world.heartbeat("w1")
        assert await claim_all(other, "w2") == {}
        await owner.commit()


# -- a fork


async def test_a_forked_child_makes_lines_of_its_own_and_leaves_the_parents_alone(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        await own(world)
        bell = await Bell.at(world, "runs")
        await world.get_run("r1")
        read, write = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is what is tried
            pid = os.fork()
        if pid == 0:
            try:
                answer = asyncio.new_event_loop().run_until_complete(world.get_run("r1"))
                os.write(write, answer.run_id.encode())
            finally:
                os._exit(0)
        os.close(write)
        assert await asyncio.to_thread(os.read, read, 100) == b"r1"
        os.close(read)
        os.waitpid(pid, 0)
        await world.create_run(new_run("r2"))
        assert await bell.heard() == ["r2"]
        assert await world.get_run("r2") is not None


# -- a process stalls


STALLER = """
import asyncio, signal, sys, threading, time
from tests.wf.worlds.acts import *
from wf.worlds.postgres import PostgresWorld, core
from wf.worlds.postgres.transaction import Transaction

core.IDLE_SECONDS = 1
core.PATIENCE_SECONDS = 1.0  # it stalls for longer than that
where = sys.argv[2]

async def main():
    world = PostgresWorld(sys.argv[1], "process", lease_seconds=4.0)
    await world.open()
    owner = await own(world, "r1", "stalled")
    await owner.commit()
    take = Transaction.take_locked

    def stall(tx, wanted, cursor):
        if wanted != ["r1"]:  # what the world does by itself meanwhile
            return take(tx, wanted, cursor)
        Transaction.take_locked = take
        if where == "idle":
            found = take(tx, wanted, cursor)
        else:
            time.sleep(0.2)  # what was sent has arrived, and the server waits for more
        print("stalled", flush=True)  # holding the run's row, in the middle of a transaction
        # To this thread: whichever else took the signal, this one would go on until that has its turn.
        signal.pthread_kill(threading.get_ident(), signal.SIGSTOP)
        return found if where == "idle" else take(tx, wanted, cursor)

    Transaction.take_locked = stall
    outcome = await owner.try_commit()
    print(outcome, await world.heartbeat("stalled"), flush=True)
    await world.close()

asyncio.run(main())
"""


@pytest.mark.parametrize("where", ["idle", "in a pipeline"])
async def test_a_worker_that_stalls_in_a_transaction_holds_nobody_up_for_long_and_is_fenced(
    where: str, emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wf.worlds.postgres import core

    monkeypatch.setattr(core, "IDLE_SECONDS", 1)
    monkeypatch.setattr(core, "LOCK_SECONDS", 1)
    stalled = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(STALLER), emptied_postgres_url, where],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert stalled.stdout is not None
    try:
        assert await asyncio.to_thread(stalled.stdout.readline) == "stalled\n"
        async with opened(emptied_postgres_url, lease_seconds=4.0) as world:
            await world.create_run(new_run("r2"))
            await world.open_worker(hello("w2"))
            found: dict[str, Owner] = {}

            async def has_both() -> bool:
                await world.heartbeat("w2")
                found.update(await claim_all(world, "w2"))
                return len(found) == 2

            await until(has_both)
            await found["r1"].commit()
            os.kill(stalled.pid, signal.SIGCONT)
            assert await asyncio.to_thread(stalled.stdout.readline) == "fenced False\n"
            assert [event.seq for event in await world.read_events("r1")] == [1, 2, 3]
            await found["r1"].commit()
    finally:
        stalled.kill()
        stalled.wait()
        stalled.stdout.close()


async def test_a_dead_process_on_this_machine_is_missed_at_once(emptied_postgres_url: str) -> None:
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    from wf.worlds.process import process_token

    async with opened(emptied_postgres_url) as world:
        await world.create_run(new_run("r1"))
        await world.open_worker(hello("dead", process=process_token(process.pid)))
        assert list(await claim_all(world, "dead")) == ["r1"]
        process.kill()
        process.wait()
        assert process.stdin is not None
        process.stdin.close()
        async with opened(emptied_postgres_url) as other:
            await other.open_worker(hello("w2"))
            assert list(await claim_all(other, "w2")) == ["r1"]
