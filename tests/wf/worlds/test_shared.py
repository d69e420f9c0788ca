"""Sharing a world between processes: one owns it, all reach it, and its death loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wf.worlds.acts import T0, Bell, Owner, claim, claim_all, event, hello, new_run, own, send
from wf.errors import StorageFull, WorldBusy, WorldError
from wf.world import Attention, Created, RunFilter, WorkerHello, World
from wf.worlds import keeper as keeping
from wf.worlds import lockfile, shared, wire
from wf.worlds.keeper import keeper
from wf.worlds.lockfile import read_holder, try_acquire
from wf.worlds.remote import RemoteWorld
from wf.worlds.shared import SharedWorld
from wf.worlds.wire import ConnectionLost

RUNTIME = Path(wire.__file__).parents[2]
ROOT = Path(__file__).parents[3]
DEADLINE = 30.0


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until something holds; what takes over 30 s does not hold."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)


@pytest.fixture
def path() -> Iterator[str]:
    """A world's path, short enough for a socket beside it."""
    with tempfile.TemporaryDirectory(prefix="wf-") as name:
        yield os.path.join(os.path.realpath(name), "world.db")


@asynccontextmanager
async def join(path: str, role: Any = "worker", **options: Any) -> AsyncIterator[SharedWorld]:
    world = SharedWorld(path, "process", role, **options)
    try:
        await world.open()
        yield world
    finally:
        await world.close()


def is_free(path: str) -> bool:
    lock = try_acquire(path)
    if lock is None:
        return False
    lock.release()
    return True


# -- other processes ------------------------------------------------------------------------------

ACTOR = """
import asyncio, json, sys, threading
from tests.wf.worlds.acts import T0, claim, hello, new_run, own
from wf.world import RunFilter
from wf.worlds.shared import SharedWorld

def say(**what):
    print(json.dumps(what), flush=True)

owners = {}

async def act(world, verb, arguments):
    match verb:
        case "open":
            await world.open()
            return world.is_owner
        case "create":
            return [(await world.create_run(new_run(run_id))).is_new for run_id in arguments]
        case "list":
            return [row.run_id for row in await world.list_runs(RunFilter(limit=10_000))]
        case "announce":
            await world.open_worker(hello(*arguments))
        case "claim":
            return await claim(world, *arguments)
        case "own":
            owners[arguments[0]] = await own(world, *arguments)
        case "append":
            await owners[arguments[0]].commit(events=arguments[1])
            return owners[arguments[0]].seq
        case "is_owner":
            return world.is_owner
        case "block":
            say(answer=None)
            sys.stdin.readline()  # on the loop, as user code would
        case "close":
            await world.close()

async def main():
    world = SharedWorld(sys.argv[1], "process", sys.argv[2])
    while line := await asyncio.to_thread(sys.stdin.readline):
        verb, *arguments = json.loads(line)
        try:
            say(answer=await act(world, verb, arguments))
        except Exception as error:
            say(error=type(error).__name__, text=str(error))
    await world.close()

asyncio.run(main())
"""


class Actor:
    """Another process with a `SharedWorld`, which does what it is told."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process

    @property
    def pid(self) -> int:
        return self.process.pid

    def tell(self, verb: str, *arguments: Any) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps([verb, *arguments]).encode() + b"\n")

    async def hear(self) -> Any:
        assert self.process.stdout is not None
        async with asyncio.timeout(DEADLINE):
            line = await self.process.stdout.readline()
        said = json.loads(line)
        if "error" in said:
            raise ActorError(f"{said['error']}: {said['text']}")
        return said["answer"]

    async def ask(self, verb: str, *arguments: Any) -> Any:
        self.tell(verb, *arguments)
        return await self.hear()

    def kill(self) -> None:
        self.process.kill()

    def stop(self) -> None:
        """Stop the process, and see that all its threads are: others go on until the one that has the signal runs."""
        os.kill(self.pid, signal.SIGSTOP)
        os.waitid(os.P_PID, self.pid, os.WSTOPPED)

    async def end(self) -> None:
        if self.process.returncode is None:
            self.process.kill()
        assert self.process.stdout is not None
        await self.process.stdout.read()
        await self.process.wait()


class ActorError(Exception):
    pass


Start = Callable[..., Awaitable[Actor]]


@asynccontextmanager
async def actors(path: str) -> AsyncIterator[Start]:
    started: list[Actor] = []

    async def start(role: str = "worker") -> Actor:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-W",
            "error",
            "-c",
            ACTOR,
            path,
            role,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": f"{RUNTIME}{os.pathsep}{ROOT}"},
        )
        started.append(Actor(process))
        return started[-1]

    try:
        yield start
    finally:
        for actor in started:
            await actor.end()


# -- one process ------------------------------------------------------------------------------------


async def test_the_first_worker_owns_the_world_and_publishes_where_it_answers(path: str) -> None:
    async with join(path) as world:
        assert world.is_owner
        assert (world.url, world.durability) == (f"sqlite:///{path}", "process")
        holder = read_holder(path)
        assert holder is not None
        assert (holder.pid, holder.endpoint, holder.url) == (os.getpid(), f"unix:{path}.sock", world.url)
        await world.create_run(new_run("r1"))
    assert read_holder(path) is None
    assert is_free(path)
    assert not os.path.exists(f"{path}.sock")


async def test_an_owners_calls_are_its_backends_own_methods(path: str) -> None:
    async with join(path) as world:
        home = keeper().homes[path]
        for name in ("commit", "claim", "read_inbox", "get_run"):
            assert getattr(world, name) == getattr(home.world, name)
        kept = world.get_run
    with pytest.raises(WorldError):
        await kept("r1")
    with pytest.raises(WorldError, match=r"^this world was closed$"):
        await world.get_run("r1")


async def test_two_workers_of_one_process_share_one_home_until_the_last_leaves(path: str) -> None:
    async with join(path) as first:
        async with join(path) as second:
            assert first.is_owner
            assert second.is_owner
            assert first.get_run == second.get_run
            await first.create_run(new_run("r1"))
        with pytest.raises(WorldError, match=r"^this world was closed$"):
            await second.get_run("r1")
        assert await first.get_run("r1") is not None
        assert not is_free(path)
    assert is_free(path)


async def test_a_symbolic_link_leads_to_the_same_world(path: str) -> None:
    link = os.path.join(os.path.dirname(path), "link.db")
    async with join(path) as world:
        os.symlink(path, link)
        async with join(link) as other:
            assert other.is_owner
            await other.create_run(new_run("r1"))
        assert await world.get_run("r1") is not None


async def test_a_client_uses_the_world_of_a_worker_in_its_process(path: str) -> None:
    async with join(path) as worker, join(path, "client") as client:
        assert (await client.create_run(new_run("r1"))).is_new
        assert await worker.get_run("r1") == await client.get_run("r1")
        bell = await Bell.at(client, "runs")
        await worker.create_run(new_run("r2"))
        await eventually(lambda: bell.rings == ["r2"])
        assert not client.is_owner


async def test_calls_come_from_loops_of_several_threads(path: str) -> None:
    async with join(path) as worker, join(path, "client") as client:

        def work(world: World, name: str) -> None:
            async def create() -> None:
                for n in range(20):
                    await world.create_run(new_run(f"{name}{n}"))

            asyncio.run(create())

        threads = [
            threading.Thread(target=work, args=(world, name))
            for world, name in [(worker, "a"), (client, "b"), (worker, "c"), (client, "d")]
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert len(await worker.list_runs(RunFilter(limit=1000))) == 80


async def test_closing_twice_is_harmless(path: str) -> None:
    async with join(path) as first:
        second = SharedWorld(path, "process", "worker")
        await second.open()
        await second.close()
        await second.close()
        assert await first.get_run("r1") is None
    client = SharedWorld(path)
    await client.close()
    await client.close()


async def test_a_file_that_is_no_world_is_refused_and_its_lock_let_go(path: str) -> None:
    Path(path).write_bytes(b"This is not a database. " * 100)
    for role in ("worker", "client"):
        world = SharedWorld(path, "process", role)
        with pytest.raises(WorldError, match="is not a world"):
            await world.open()
            await world.get_run("r1")
        await world.close()
        assert is_free(path)


async def test_a_worker_that_cannot_say_where_it_answers_leaves_no_server_behind(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever finds the disk full tries again and again: every server is a thread and some descriptors."""
    publish = lockfile.WorldLock.publish

    def find_no_room(self: lockfile.WorldLock, endpoint: str | None) -> None:
        if endpoint is not None:
            raise StorageFull("no space left")
        publish(self, endpoint)

    monkeypatch.setattr(lockfile.WorldLock, "publish", find_no_room)
    before = {thread for thread in threading.enumerate() if thread.name == "wf-world-server"}
    world = SharedWorld(path, "process", "worker")
    with pytest.raises(StorageFull):
        await world.open()
    await world.close()
    await eventually(lambda: {t for t in threading.enumerate() if t.name == "wf-world-server"} <= before)
    assert is_free(path)
    assert not os.path.exists(f"{path}.sock")


async def test_a_worker_is_cancelled_while_it_opens_and_leaves_nothing_behind(path: str) -> None:
    world = SharedWorld(path, "process", "worker")
    opening = asyncio.create_task(world.open())
    await asyncio.sleep(0)
    opening.cancel()
    with pytest.raises(asyncio.CancelledError):
        await opening
    await world.close()
    assert is_free(path)


# -- a client without an owner ------------------------------------------------------------------------


async def test_a_client_borrows_an_unowned_world_and_lets_go(path: str) -> None:
    async with join(path, "client") as client:
        assert (await client.create_run(new_run("r1"))).is_new
        assert await client.get_run("r1") is not None
        await eventually(lambda: is_free(path))
        assert read_holder(path) is None
        assert await client.get_run("r1") is not None


async def test_a_burst_of_a_clients_calls_opens_the_world_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "IDLE_SECONDS", 30.0)
    monkeypatch.setattr(keeping, "HOLD_SECONDS", 30.0)
    async with join(path, "client") as client:
        homes = set()
        for n in range(50):
            await client.create_run(new_run(f"r{n}"))
            homes.add(keeper().homes[path])
        await asyncio.gather(*(client.create_run(new_run(f"s{n}")) for n in range(50)))
        homes.add(keeper().homes[path])
        assert len(homes) == 1
        assert len(await client.list_runs(RunFilter(limit=1000))) == 100
    assert is_free(path)


async def test_a_client_lets_go_although_its_loop_is_blocked(path: str) -> None:
    async with actors(path) as start:
        client = await start("client")
        assert await client.ask("create", "r1") == [True]
        await client.ask("block")
        worker = await start()
        assert await worker.ask("open")
        assert await worker.ask("list") == ["r1"]


async def test_a_client_lets_go_although_its_loop_is_closed(path: str) -> None:
    def work() -> None:
        client = SharedWorld(path, "process")
        asyncio.run(_create(client, "r1"))

    await asyncio.to_thread(work)
    await eventually(lambda: is_free(path))


async def _create(world: World, run_id: str) -> Created:
    return await world.create_run(new_run(run_id))


async def test_a_process_that_ends_right_after_a_call_leaves_a_whole_file(path: str) -> None:
    source = """
import asyncio, sys
from tests.wf.worlds.acts import new_run
from wf.worlds.shared import SharedWorld
asyncio.run(SharedWorld(sys.argv[1]).create_run(new_run("r1")))
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-X", "dev", "-c", source, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{RUNTIME}{os.pathsep}{ROOT}"},
    )
    assert (done.returncode, done.stdout) == (0, "")
    assert [line for line in done.stderr.splitlines() if not line.startswith("Executing <")] == []
    assert is_free(path)
    assert not os.path.exists(path + "-wal")
    with sqlite3.connect(path) as connection:
        assert connection.execute("SELECT run_id FROM runs").fetchall() == [("r1",)]
    connection.close()


async def test_a_process_that_ends_without_closing_a_world_that_it_read_leaves_a_whole_file(path: str) -> None:
    """The loop that read is closed by then, and from Python 3.12 on no thread can be started any more."""
    source = """
import asyncio, sys
from tests.wf.worlds.acts import new_run
from wf.world import RunFilter
from wf.worlds.shared import SharedWorld
world = SharedWorld(sys.argv[1], "process", "worker")
async def read():
    await world.open()
    await world.create_run(new_run("r1"))
    return await world.list_runs(RunFilter())
assert len(asyncio.run(read())) == 1
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "error", "-c", source, path],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{RUNTIME}{os.pathsep}{ROOT}"},
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert is_free(path)
    assert not os.path.exists(path + "-wal")


async def test_a_client_and_a_worker_may_want_different_durabilities(path: str) -> None:
    async with join(path, "client") as client:
        await client.create_run(new_run("r1"))
        power = SharedWorld(path, "power", "worker")
        await power.open()
        assert power.durability == "power"
        assert keeper().homes[path].world.durability == "power"
        assert await client.get_run("r1") is not None
        await power.close()


async def test_clients_of_several_processes_take_turns(path: str) -> None:
    async with actors(path) as start:
        clients = [await start("client") for _ in range(3)]
        for round in range(5):
            for number, client in enumerate(clients):
                client.tell("create", *(f"r{round}.{number}.{n}" for n in range(5)))
            assert [await client.hear() for client in clients] == [[True] * 5] * 3
        assert len(await clients[0].ask("list")) == 75


async def test_clients_that_never_rest_let_a_worker_in(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "IDLE_SECONDS", 30.0)
    monkeypatch.setattr(keeping, "HOLD_SECONDS", 0.1)
    async with join(path, "client") as client, actors(path) as start:
        await client.get_run("r1")

        async def never_rest() -> None:
            while True:
                await client.get_run("r1")

        restless = [asyncio.create_task(never_rest()) for _ in range(3)]
        worker = await start()
        assert await worker.ask("open")
        for task in restless:
            task.cancel()
        await asyncio.wait(restless)


async def test_who_waits_for_a_home_to_be_given_back_goes_on_if_a_worker_moves_in_who_stays(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "IDLE_SECONDS", 30.0)
    async with join(path, "client") as client:
        await client.get_run("r1")
        home = keeper().homes[path]
        assert home.enter()  # another call, which goes on
        home.since -= keeping.HOLD_SECONDS
        power = SharedWorld(path, "power", "worker")
        waiting = [asyncio.create_task(work) for work in (client.get_run("r1"), power.open())]
        await asyncio.sleep(0)
        async with join(path):
            home.leave()
            async with asyncio.timeout(DEADLINE):
                await asyncio.gather(*waiting)
            assert keeper().homes[path] is home
            await power.close()


async def test_a_cancelled_call_of_a_client_is_done_all_the_same_and_lets_go(path: str) -> None:
    async with join(path, "client") as client:
        creating = asyncio.create_task(client.create_run(new_run("r1")))
        await asyncio.sleep(0)
        creating.cancel()
        with pytest.raises(asyncio.CancelledError):
            await creating
        async with asyncio.timeout(DEADLINE):
            while await client.get_run("r1") is None:
                pass
        await eventually(lambda: is_free(path))


async def test_a_holder_that_neither_answers_nor_lets_go_is_named(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ELECTION_SECONDS", 0.05)
    lock = try_acquire(path)
    assert lock is not None
    text = rf"^process {os.getpid()} holds the world {path} and did not answer or let go within 0.05 s$"
    for role in ("worker", "client"):
        world = SharedWorld(path, "process", role)
        with pytest.raises(WorldBusy, match=text) as caught:
            await world.open()
            await world.get_run("r1")
        assert caught.value.hint == f"see what process {os.getpid()} does; stop it if it hangs"
        await world.close()
    lock.release()


# -- an owner in another process ------------------------------------------------------------------------


async def test_workers_and_clients_reach_the_owner_of_another_process(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker, join(path, "client") as client:
            assert not worker.is_owner
            assert (await worker.create_run(new_run("r1"))).is_new
            assert (await client.create_run(new_run("r2"))).is_new
            assert await owner.ask("list") == ["r2", "r1"]
            bells = [await Bell.at(world, "runs") for world in (worker, client)]
            await owner.ask("create", "r3")
            await eventually(lambda: [bell.rings for bell in bells] == [["r3"], ["r3"]])
            assert not is_free(path)


async def test_an_owner_whose_loop_is_blocked_serves_the_others(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        await owner.ask("block")
        async with join(path) as worker, join(path, "client") as client:
            await worker.open_worker(hello("w1"))
            await client.create_run(new_run("r1"))
            assert await claim(worker, "w1") == ["r1"]


async def test_a_message_over_the_socket_has_a_delivery_id_of_its_own(path: str) -> None:
    async with actors(path) as start:
        assert await (await start()).ask("open")
        async with join(path) as worker:
            owner = await own(worker, "r1")
            assert await send(worker, "r1") == "queued"
            assert await send(worker, "r1") == "queued"
            assert await send(worker, "r1", delivery_id="d1") == "queued"
            assert await send(worker, "r1", delivery_id="d1") == "duplicate"
            assert len(await owner.inbox()) == 3


async def test_an_owner_that_is_stopped_is_not_waited_for_for_ever(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared, "ELECTION_SECONDS", 0.2)
    monkeypatch.setattr(wire, "HANDSHAKE_SECONDS", 0.1)
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        owner.stop()
        async with join(path, "client") as client:
            with pytest.raises(WorldBusy, match=f"^process {owner.pid} holds the world"):
                await client.get_run("r1")
            os.kill(owner.pid, signal.SIGCONT)
            monkeypatch.undo()
            assert await client.get_run("r1") is None


async def test_an_owner_of_another_version_is_an_error_at_once(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    async with actors(path) as start:
        assert await (await start()).ask("open")
        monkeypatch.setattr(wire, "SCHEMA", "another")
        async with join(path, "client") as client:
            with pytest.raises(WorldError, match="runs another version of wf than the caller"):
                await client.get_run("r1")
        worker = SharedWorld(path, "process", "worker")
        with pytest.raises(WorldError, match="runs another version of wf than the caller"):
            await worker.open()
        await worker.close()


# -- the owner's death ------------------------------------------------------------------------------------


@pytest.mark.crash
async def test_when_the_owner_is_killed_a_remote_worker_takes_over_and_nothing_acked_is_lost(path: str) -> None:
    changes: list[str] = []
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path, on_change=lambda: changes.append("changed")) as worker:
            await worker.open_worker(hello("w1"))
            bell = await Bell.at(worker, "runs")
            acked: list[str] = []

            async def create(name: str) -> None:
                for n in range(100):
                    created = await worker.create_run(new_run(f"{name}{n}"))
                    assert created.is_new
                    acked.append(created.run.run_id)

            creating = [asyncio.create_task(create(name)) for name in "abcdefgh"]
            await eventually(lambda: len(acked) > 200)
            owner.kill()
            await asyncio.gather(*creating)
            assert worker.is_owner
            known = {row.run_id for row in await worker.list_runs(RunFilter(limit=10_000))}
            assert known == {f"{name}{n}" for name in "abcdefgh" for n in range(100)}
            assert changes == ["changed"]
            await eventually(lambda: "" in bell.rings)
            bell.rings.clear()
            await worker.create_run(new_run("last"))
            await eventually(lambda: bell.rings == ["last"])
            # It was announced to the new owner, too: itself.
            assert await worker.heartbeat("w1")


@pytest.mark.crash
async def test_commits_go_on_after_the_owner_was_killed_and_each_is_applied_once(path: str) -> None:
    async with actors(path) as start:
        first = await start()
        assert await first.ask("open")
        async with join(path) as worker:
            await worker.open_worker(hello("w1"))
            for n in range(20):
                await worker.create_run(new_run(f"r{n}"))
            owners = await claim_all(worker)
            assert len(owners) == 20
            done = 0

            async def append(owner: Owner) -> None:
                nonlocal done
                for _ in range(50):
                    await owner.commit()
                    done += 1

            appending = [asyncio.create_task(append(owner)) for owner in owners.values()]
            await eventually(lambda: done > 300)
            first.kill()
            await asyncio.gather(*appending)
            assert worker.is_owner
            for run_id in owners:
                log = await worker.read_events(run_id, 0, 1000)
                assert log == [new_run(run_id).event, *(event(run_id, seq) for seq in range(2, 52))]


@pytest.mark.crash
async def test_of_many_processes_exactly_one_owns_the_world_however_often_it_is_killed(path: str) -> None:
    async with actors(path) as start:
        workers = [await start() for _ in range(5)]
        for worker in workers:
            worker.tell("open")
        assert sorted([await worker.hear() for worker in workers]) == [False] * 4 + [True]
        expected: set[str] = set()
        while workers:
            for number, worker in enumerate(workers):
                worker.tell("create", f"{len(workers)}.{number}")
                expected.add(f"{len(workers)}.{number}")
            assert [await worker.hear() for worker in workers] == [[True]] * len(workers)
            is_owner = [await worker.ask("is_owner") for worker in workers]
            assert is_owner.count(True) == 1
            holder = read_holder(path)
            owner = workers[is_owner.index(True)]
            assert holder is not None
            assert holder.pid == owner.pid
            workers.remove(owner)
            owner.kill()
        async with join(path) as world:
            assert {row.run_id for row in await world.list_runs(RunFilter(limit=1000))} == expected


async def test_when_the_owner_leaves_a_remote_worker_takes_over(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker:
            await worker.create_run(new_run("r1"))
            await owner.ask("close")
            assert await worker.get_run("r1") is not None
            assert worker.is_owner


async def test_a_worker_that_only_listens_takes_over_all_the_same(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker:
            bell = await Bell.at(worker, "claimable")
            owner.kill()
            await eventually(lambda: worker.is_owner and bell.rings == [""])


async def test_a_client_goes_on_without_the_owner_and_with_the_next(path: str) -> None:
    async with actors(path) as start, join(path, "client") as client:
        first = await start()
        assert await first.ask("open")
        await client.create_run(new_run("r1"))
        first.kill()
        assert await client.get_run("r1") is not None
        second = await start()
        assert await second.ask("open")
        await client.create_run(new_run("r2"))
        assert await second.ask("list") == ["r2", "r1"]


async def test_a_client_that_listens_is_rung_without_an_owner_and_attached_to_the_next(path: str) -> None:
    async with actors(path) as start, join(path, "client") as client:
        bell = await Bell.at(client, "runs")
        await eventually(lambda: len(bell.rings) >= 2)
        assert set(bell.rings) == {""}
        assert is_free(path)
        owner = await start()
        assert await owner.ask("open")

        number = 0
        async with asyncio.timeout(DEADLINE):
            while not any(bell.rings):  # until one comes with a detail: it is attached
                number += 1
                await owner.ask("create", f"r{number}")
        await eventually(lambda: f"r{number}" in bell.rings)
        bell.rings.clear()
        await owner.ask("create", "last")
        await eventually(lambda: "last" in bell.rings)
        owner.kill()
        bell.rings.clear()
        await eventually(lambda: bell.rings.count("") >= 2)
        bell.undo()
        await eventually(lambda: is_free(path))


async def test_a_follower_of_a_log_is_rung_by_the_owner_and_by_the_next_after_it_was_killed(path: str) -> None:
    async with actors(path) as start, join(path, "client") as client:
        first, second = await start(), await start()
        assert await first.ask("open")
        assert not await second.ask("open")
        await second.ask("own", "r1")
        bell, other = await Bell.at(client, "log:r1"), await Bell.at(client, "log:r2")
        seq = await second.ask("append", "r1", 3)
        await eventually(lambda: "r1" in bell.rings)
        assert len(await client.read_events("r1")) == seq

        bell.rings.clear()
        first.kill()
        await eventually(lambda: "" in bell.rings)  # what it rang last may have been lost with it
        async with asyncio.timeout(DEADLINE):
            while "r1" not in bell.rings:
                seq = await second.ask("append", "r1", 1)
        assert await second.ask("is_owner")
        assert len(await client.read_events("r1")) == seq
        assert set(other.rings) <= {""}


async def test_what_is_written_while_the_owner_is_killed_is_rung_for_or_seen_by_who_looks_when_rung(path: str) -> None:
    """A follower that reads at each ring ends up with every event that the writer was told is written."""
    async with actors(path) as start, join(path, "client") as follower, join(path, "client") as writer:
        owners = [await start() for _ in range(3)]
        assert await owners[0].ask("open")
        for spare in owners[1:]:
            await spare.ask("open")
        owner = await own(writer, "r1")
        has_news, seen, ends_at = asyncio.Event(), 0, 400

        async def follow() -> None:
            nonlocal seen
            await follower.subscribe("log:r1", lambda detail: has_news.set())
            while seen < ends_at:
                has_news.clear()
                seen += len(await follower.read_events("r1", seen))
                if seen < ends_at:
                    await has_news.wait()

        following = asyncio.create_task(follow())
        for victim in (*owners[:2], None):
            kills_at = owner.seq + 60
            while owner.seq < (ends_at if victim is None else kills_at):
                await owner.commit()
            if victim is not None:
                victim.kill()
        async with asyncio.timeout(DEADLINE):
            await following
        assert seen == ends_at


async def test_a_claim_that_the_owner_made_and_could_not_tell_is_found_again(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker:
            await worker.open_worker(hello("w1"))
            for run_id in ("r1", "r2", "r3"):
                await worker.create_run(new_run(run_id))
            [heard] = (await worker.claim("w1", T0, 1)).claimed
            # Another connection claims for this worker; nobody here hears of it, and the owner dies.
            assert await owner.ask("claim", "w1", T0, 1) == ["r2"]
            losing = _lose_reply_of(worker, "claim")
            claims = await worker.claim("w1", T0, 10)
            assert losing.is_set()
            assert sorted(found.run.run_id for found in claims.claimed) == ["r2", "r3"]
            assert heard.run.run_id == "r1"
            assert all(found.events for found in claims.claimed)
            assert await claim(worker, "w1") == []
            assert worker.is_owner is False


async def test_a_claim_that_failed_after_its_reply_was_lost_is_found_again_by_the_next(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or nobody would have that run: the worker does not know of it, and its heartbeats keep the lease."""
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker:
            await _claim_in_vain(worker, owner, monkeypatch)
            os.kill(owner.pid, signal.SIGCONT)
            assert await claim(worker, "w1") == ["r1"]
            assert await claim(worker, "w1") == []


async def test_a_claim_that_failed_is_found_again_by_who_owns_the_world_then(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        async with join(path) as worker:
            await _claim_in_vain(worker, owner, monkeypatch)
            owner.kill()
            assert await worker.heartbeat("w1")
            assert worker.is_owner
            assert await claim(worker, "w1") == ["r1"]
            assert await claim(worker, "w1") == []


async def test_a_run_in_hand_is_not_claimed_again_though_an_earlier_lease_of_it_was_fenced(path: str) -> None:
    async with actors(path) as start:
        assert await (await start()).ask("open")
        async with join(path) as worker:
            earlier = await own(worker, "r1")
            await earlier.release()
            later = (await claim_all(worker))["r1"]
            assert await earlier.try_commit() == "fenced"
            _lose_reply_of(worker, "claim")
            assert await claim(worker, "w1") == []
            await later.commit()


async def _claim_in_vain(worker: SharedWorld, owner: Actor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a run leased to a worker that is not told so, and stop the owner of its world."""
    await worker.open_worker(hello("w1"))
    await worker.create_run(new_run("r1"))
    assert await owner.ask("claim", "w1", T0, 1) == ["r1"]
    _lose_reply_of(worker, "claim")
    owner.stop()
    with monkeypatch.context() as impatient, pytest.raises(WorldBusy):
        impatient.setattr(shared, "ELECTION_SECONDS", 0.2)
        impatient.setattr(wire, "HANDSHAKE_SECONDS", 0.1)
        await worker.claim("w1", T0, 10)


def _lose_reply_of(world: SharedWorld, name: str) -> threading.Event:
    """Let the next reply to a call be lost with its connection, after the call was carried out."""
    remote = world._backend
    assert isinstance(remote, RemoteWorld)
    lost = threading.Event()
    call = remote.call

    async def carry_out_and_lose(method: wire.Method, *arguments: Any) -> Any:
        if method.name == name and not lost.is_set():
            if name != "claim":
                await call(method, *arguments)
            lost.set()
            remote.lose(ConnectionLost("the reply was lost"))
            raise ConnectionLost("the reply was lost")
        return await call(method, *arguments)

    remote.call = carry_out_and_lose  # type: ignore[method-assign]
    return lost


async def test_a_worker_that_takes_its_leave_during_an_election_disturbs_no_other_call(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with actors(path) as start:
        assert await (await start()).ask("open")
        async with join(path) as worker:
            await worker.open_worker(hello("w1"))
            announce, is_announcing, has_left = RemoteWorld.open_worker, threading.Event(), threading.Event()

            async def announce_slowly(self: RemoteWorld, hello: WorkerHello) -> None:
                await announce(self, hello)
                is_announcing.set()
                await eventually(has_left.is_set)

            monkeypatch.setattr(RemoteWorld, "open_worker", announce_slowly)
            _lose_reply_of(worker, "get_run")
            reading = asyncio.create_task(worker.get_run("r1"))
            await eventually(is_announcing.is_set)
            worker._note(wire.CLOSE_WORKER, ("w1",), None)  # the answer of the owner that was lost
            has_left.set()
            assert await reading is None


async def test_repeated_calls_answer_as_their_first_try_would_have(path: str) -> None:
    async with actors(path) as start:
        assert await (await start()).ask("open")
        async with join(path) as worker:
            lost = _lose_reply_of(worker, "create_run")
            assert (await worker.create_run(new_run("r1"))).is_new
            assert lost.is_set()
            # Somebody else's run of that name is still somebody else's.
            _lose_reply_of(worker, "create_run")
            other = new_run("r1")
            other = msgspec.structs.replace(other, event=msgspec.structs.replace(other.event, link=b"another"))
            assert not (await worker.create_run(other)).is_new

            await worker.open_worker(hello("w1"))
            [owner] = (await claim_all(worker)).values()
            _lose_reply_of(worker, "send")
            assert await send(worker, "r1") == "queued"
            assert len(await owner.inbox()) == 1
            _lose_reply_of(worker, "send")
            assert await send(worker, "r1", delivery_id="mine") == "duplicate"
            assert len(await owner.inbox()) == 2

            _lose_reply_of(worker, "commit")
            await owner.commit(events=3)
            assert len(await worker.read_events("r1")) == 4

            _lose_reply_of(worker, "append_chunks")
            written = await worker.append_chunks("r1", "s", 0, T0, [b"a", b"b"], owner.fence)
            assert (written.status, written.tail_index) == ("written", 1)
            _lose_reply_of(worker, "append_chunks")
            written = await worker.append_chunks("r1", "s", 2, T0, [b"c", None], owner.fence)
            assert (written.status, written.tail_index) == ("written", 2)
            chunks = [chunk.payload for chunk in await worker.read_chunks("r1", "s", 0)]
            assert chunks == [b"a", b"b", b"c", None]
            _lose_reply_of(worker, "append_chunks")
            written = await worker.append_chunks("r1", "s", 1, T0, [b"other"], owner.fence)
            assert written.status == "closed"

            _lose_reply_of(worker, "set_attention")
            attention = Attention("DECRYPTION", "no key")
            assert await worker.set_attention("w1", "r1", owner.epoch, attention) == "applied"


# -- files that vanish ------------------------------------------------------------------------------------


async def test_an_owner_whose_lock_file_was_removed_locks_the_new_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATROL_SECONDS", 0.01)
    async with join(path) as world:
        os.unlink(lockfile.lock_path(path))
        await eventually(lambda: (holder := read_holder(path)) is not None and holder.endpoint is not None)
        assert not is_free(path)
        assert await world.get_run("r1") is None


async def test_an_owner_whose_world_was_taken_by_another_gives_it_up_and_follows(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATROL_SECONDS", 3600.0)
    async with actors(path) as start, join(path) as world:
        await world.create_run(new_run("r1"))
        # The lock file is removed, and another takes it before the owner looks.
        os.unlink(lockfile.lock_path(path))
        other = await start()
        assert await other.ask("open")
        keeper()._loop.call_soon_threadsafe(keeper()._patrol)
        await eventually(lambda: not world.is_owner)
        await world.create_run(new_run("r2"))
        assert await other.ask("list") == ["r2", "r1"]
        assert not world.is_owner


async def test_an_owner_whose_world_was_deleted_says_so_and_makes_no_new_one(
    path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeping, "PATROL_SECONDS", 0.01)
    async with join(path) as world:
        await world.create_run(new_run("r1"))
        for name in os.listdir(os.path.dirname(path)):
            os.unlink(os.path.join(os.path.dirname(path), name))
        await eventually(lambda: path not in keeper().homes)
        with pytest.raises(WorldError, match="was deleted or replaced while it was open"):
            await world.create_run(new_run("r2"))
        assert not os.path.exists(path)


async def test_a_socket_that_was_removed_is_made_again(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "PATROL_SECONDS", 0.01)
    async with join(path) as world, actors(path) as start:
        os.unlink(f"{path}.sock")
        await eventually(lambda: os.path.exists(f"{path}.sock"))
        other = await start()
        assert await other.ask("open") is False
        await other.ask("create", "r1")
        assert await world.get_run("r1") is not None


async def test_a_copied_world_is_a_world_of_its_own(path: str) -> None:
    async with actors(path) as start:
        owner = await start()
        assert await owner.ask("open")
        await owner.ask("create", "r1")
        with tempfile.TemporaryDirectory(prefix="wf-") as folder:
            copy = os.path.join(os.path.realpath(folder), "world.db")
            source = sqlite3.connect(path)
            target = sqlite3.connect(copy)
            source.backup(target)
            source.close()
            target.close()
            Path(lockfile.lock_path(copy)).write_bytes(Path(lockfile.lock_path(path)).read_bytes())
            async with join(copy) as world:
                assert world.is_owner
                await world.create_run(new_run("r2"))
        assert await owner.ask("list") == ["r1"]


# -- forks --------------------------------------------------------------------------------------------------


async def test_a_forked_child_reaches_its_parents_world_as_any_other_process(path: str) -> None:
    source = """
import asyncio, os, sys
from tests.wf.worlds.acts import new_run
from wf.worlds.shared import SharedWorld

async def main():
    worker = SharedWorld(sys.argv[1], "process", "worker")
    await worker.open()
    client = SharedWorld(sys.argv[1], "process", "client")
    await client.create_run(new_run("r1"))
    child = os.fork()
    if child == 0:
        code = 1
        try:
            assert not worker.is_owner
            assert asyncio.run(client.get_run("r1")).run_id == "r1"
            assert asyncio.run(worker.create_run(new_run("r2"))).is_new
            assert not worker.is_owner
            code = 0
        finally:
            os._exit(code)
    _, status = await asyncio.to_thread(os.waitpid, child, 0)
    assert worker.is_owner
    assert (await worker.get_run("r2")) is not None
    await worker.close()
    sys.exit(os.waitstatus_to_exitcode(status))

asyncio.run(main())
"""
    done = await asyncio.to_thread(
        subprocess.run,
        [sys.executable, "-W", "ignore::DeprecationWarning", "-c", source, path],  # that one should not: we know
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        env={**os.environ, "PYTHONPATH": f"{RUNTIME}{os.pathsep}{ROOT}"},
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert is_free(path)
