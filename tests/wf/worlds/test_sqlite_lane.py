"""How calls reach the file: together where they can, on a thread where they must, and never by halves."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.wf.worlds.acts import T0, claim, claim_all, hello, new_run, own, send
from wf.errors import WorldError
from wf.world import Message, PutWait, RunFilter
from wf.worlds.sqlite import SqliteWorld, connection, lane, reader
from wf.worlds.sqlite.connection import TRUNCATE_BYTES, Connection


@asynccontextmanager
async def opened(folder: Path, durability: str = "process") -> AsyncIterator[SqliteWorld]:
    world = SqliteWorld(folder / "world.db", durability)
    await world.open()
    yield world
    await world.close()


class Trace:
    """What the writer's connection executes, and on which thread."""

    def __init__(self, world: SqliteWorld) -> None:
        self.commits = 0
        self.threads: set[str] = set()
        world._core.connection.cursor().connection.set_trace_callback(self._see)

    def _see(self, statement: str) -> None:
        if statement == "COMMIT":
            self.commits += 1
        self.threads.add(threading.current_thread().name.rpartition("_")[0] or "loop")


@pytest.fixture
def fast_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Commits that take no time, however busy this machine is, and no pause in which the WAL would be copied."""
    monkeypatch.setattr(connection, "time", SimpleNamespace(monotonic=time.monotonic, perf_counter=lambda: 0.0))
    monkeypatch.setattr(lane, "IDLE_SECONDS", 3600.0)


def make_slow(world: SqliteWorld) -> None:
    """Let the world believe that its disk takes a second to commit."""
    world._core.connection.commit_seconds = 1.0


async def test_calls_of_one_turn_share_a_commit(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r0"))
        trace = Trace(world)
        answers = await asyncio.gather(
            *(world.create_run(new_run(f"r{number}")) for number in range(50)),
            *(world.send("r0", Message("hook_payload", T0, number)) for number in range(50)),
            world.append_chunks("r0", "default", 0, T0, [b"a"], None),
        )
        assert trace.commits == 1
        assert [answer.is_new for answer in answers[:50]] == [False] + [True] * 49  # type: ignore[union-attr]
        assert len(await world.list_runs(RunFilter(limit=1000))) == 50


@pytest.mark.usefixtures("fast_disk")
async def test_a_burst_of_calls_goes_through_in_portions_in_its_order(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        trace = Trace(world)
        done: list[int] = []

        async def start(number: int) -> None:
            await world.create_run(new_run(f"r{number}"))
            done.append(number)

        burst = 2 * lane.TURN_LIMIT + 1
        await asyncio.gather(*(start(number) for number in range(burst)))
        assert done == list(range(burst))
        assert trace.commits == 3


async def test_closing_finishes_a_burst(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path / "world.db", "process")
    await world.open()
    tasks = [asyncio.ensure_future(world.create_run(new_run(f"r{number}"))) for number in range(500)]
    await asyncio.sleep(0)
    await world.close()
    assert all(created.is_new for created in await asyncio.gather(*tasks))


async def test_one_call_that_cannot_be_written_does_not_fail_its_neighbours(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        owner = await own(world)
        answers = await asyncio.gather(
            send(world, "r1", correlation_id=1),
            send(world, "r1", correlation_id=1 << 70),
            send(world, "r1", meta="\ud800"),
            send(world, "r1", correlation_id=2),
            return_exceptions=True,
        )
        assert [type(answer).__name__ for answer in answers] == ["str", "OverflowError", "UnicodeEncodeError", "str"]
        assert [number for _, number, _ in await owner.inbox()] == [1, 2]


@pytest.mark.usefixtures("fast_disk")
async def test_on_a_fast_disk_nothing_leaves_the_loop(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        trace = Trace(world)
        owner = await own(world)
        await owner.commit(events=3)
        await send(world, "r1")
        await owner.inbox()
        await owner.release()
        assert trace.threads == {"MainThread"} or trace.threads == {"loop"}


async def test_on_a_slow_disk_writes_move_to_one_thread_and_share_commits(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        for number in range(20):
            await world.create_run(new_run(f"r{number}"))
        await world.open_worker(hello())
        owners = await claim_all(world)
        trace = Trace(world)
        make_slow(world)
        outcomes = await asyncio.gather(*(owner.try_commit(PutWait(1, "sleep", T0)) for owner in owners.values()))
        assert outcomes == ["applied"] * 20
        assert trace.threads == {"wf-writer"}
        assert trace.commits < 20


@pytest.mark.usefixtures("fast_disk")
async def test_writes_come_back_to_the_loop_when_the_disk_is_fast_again(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        owner = await own(world)
        trace = Trace(world)
        make_slow(world)
        while "wf-writer" not in trace.threads or len(trace.threads) == 1:
            await owner.commit()
        assert world._core.connection.commit_seconds <= lane.FAST_AGAIN_SECONDS


async def test_a_caller_that_leaves_does_not_undo_what_is_on_its_way(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        owner = await own(world)
        make_slow(world)
        task = asyncio.create_task(owner.try_commit())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await world.heartbeat("w1")  # behind it on the thread
        run = await world.get_run("r1")
        assert run is not None
        assert run.seq == 2


async def test_leases_that_nobody_waited_for_are_given_back(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))
        await world.open_worker(hello("w1"))
        await world.open_worker(hello("w2"))
        make_slow(world)
        task = asyncio.create_task(world.claim("w1", T0, 10))
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        async with asyncio.timeout(30):
            while not (claims := await world.claim("w2", T0, 10)).claimed:
                pass
        assert claims.claimed[0].run.run_id == "r1"


async def test_two_claims_in_one_group_share_nothing(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        for number in range(4):
            await world.create_run(new_run(f"r{number}"))
        await world.open_worker(hello())
        make_slow(world)
        await asyncio.gather(world.heartbeat("w1"), *(world.claim("w1", T0, 2) for _ in range(3)))
        owned = [(run.owner, run.epoch) for run in await world.list_runs(RunFilter())]
        assert owned == [("w1", 1)] * 4


async def test_a_group_fails_as_one_when_the_disk_does(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        cursor = world._core.connection.cursor()
        (pages,) = cursor.execute("PRAGMA page_count").fetchone()
        cursor.execute(f"PRAGMA max_page_count = {pages}").fetchall()
        answers = await asyncio.gather(
            *(world.create_run(new_run(f"r{number}")) for number in range(200)), return_exceptions=True
        )
        assert {type(answer).__name__ for answer in answers} == {"StorageFull"}
        cursor.execute("PRAGMA max_page_count = 1000000").fetchall()
        assert (await world.create_run(new_run("r0"))).is_new


# -- an outcome that is unknown


def lose_next_answer(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Let the next commit reach the file and fail all the same, as a failing fsync may; count the losses."""
    commit = Connection.commit
    losses: list[int] = []

    def fail_once(self: Connection, written: int) -> None:
        commit(self, written)
        if not losses:
            losses.append(written)
            error = sqlite3.OperationalError("disk I/O error")
            error.sqlite_errorcode = sqlite3.SQLITE_IOERR_FSYNC
            error.sqlite_errorname = "SQLITE_IOERR_FSYNC"
            raise error

    monkeypatch.setattr(Connection, "commit", fail_once)
    return lambda: len(losses)


async def test_a_commit_whose_answer_was_lost_is_applied_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with opened(tmp_path, "power") as world:
        owner = await own(world)
        losses = lose_next_answer(monkeypatch)
        with pytest.raises(WorldError, match=r"the disk failed under the world .* \(SQLITE_IOERR_FSYNC\)") as caught:
            await owner.commit(PutWait(1, "sleep", T0))
        assert caught.value.hint is not None
        await owner.commit(PutWait(1, "sleep", T0))
        assert losses() == 1
        assert [event.seq for event in await world.read_events("r1")] == [1, 2]


async def test_leases_of_a_claim_whose_answer_was_lost_are_offered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, "power") as world:
        await world.create_run(new_run("r1"))
        await world.open_worker(hello())
        lose_next_answer(monkeypatch)
        with pytest.raises(WorldError):
            await claim(world)
        run = await world.get_run("r1")
        assert run is not None
        assert run.owner == "w1", "it is leased, and its worker does not know"
        assert await claim(world) == ["r1"]


async def test_a_start_and_a_delivery_whose_answers_were_lost_are_not_doubled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path, "power") as world:
        owner = await own(world)
        with monkeypatch.context() as patch:
            lose_next_answer(patch)
            with pytest.raises(WorldError):
                await world.create_run(new_run("r2"))
        assert not (await world.create_run(new_run("r2"))).is_new
        with monkeypatch.context() as patch:
            lose_next_answer(patch)
            with pytest.raises(WorldError):
                await send(world, "r1", delivery_id="d1")
        assert await send(world, "r1", delivery_id="d1") == "duplicate"
        assert len(await owner.inbox()) == 1


# -- the WAL


async def write(world: SqliteWorld, megabytes: int) -> None:
    for _ in range(megabytes):
        tails = await world.list_streams("r1")
        start = tails[0].tail_index + 1 if tails else 0
        await world.append_chunks("r1", "default", start, T0, [bytes(1 << 20)], None)


async def test_the_wal_is_copied_every_few_megabytes_and_stays_small(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))
        await write(world, 40)
        await world.heartbeat("w1")
        assert world._core.connection.wal_size() < 12 << 20
        assert (tmp_path / "world.db").stat().st_size > 28 << 20


async def test_the_wal_is_copied_when_nobody_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lane, "IDLE_SECONDS", 0.001)
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))
        async with asyncio.timeout(30):
            while world._core.connection.backlog or world._lane._is_checkpointing:
                await asyncio.sleep(0.001)
        copy = sqlite3.connect(f"file:{tmp_path}/world.db?immutable=1", uri=True)  # ignores the WAL
        assert copy.execute("SELECT run_id FROM runs").fetchall() == [("r1",)]
        copy.close()


async def test_a_reader_that_holds_the_wal_back_is_not_waited_for_and_it_shrinks_afterwards(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))
        reader = sqlite3.connect(tmp_path / "world.db", isolation_level=None)
        reader.execute("BEGIN")
        assert reader.execute("SELECT count(*) FROM runs").fetchone() == (1,)
        await write(world, 36)
        assert world._core.connection.wal_size() > TRUNCATE_BYTES
        reader.execute("COMMIT")
        reader.close()
        await write(world, 6)
        await world.heartbeat("w1")
        assert world._core.connection.wal_size() < TRUNCATE_BYTES


@pytest.mark.usefixtures("fast_disk")
async def test_no_write_overtakes_one_that_waits_for_the_thread_though_its_caller_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with opened(tmp_path) as world:
        drains: list[Callable[[], None]] = []
        with monkeypatch.context() as patch:
            patch.setattr(world._lane, "_submit", drains.append)
            patch.setattr(world._core.connection, "commit_seconds", 1.0)
            left = asyncio.create_task(world.create_run(new_run("r1")))
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            assert len(drains) == 1
            left.cancel()
            patch.setattr(world._core.connection, "commit_seconds", 0.0)
            behind = asyncio.create_task(world.create_run(new_run("r2")))
            for _ in range(5):
                await asyncio.sleep(0)
            assert not behind.done()
        drains[0]()
        await behind
        rows = await world._reader.fetch("SELECT run_id FROM runs ORDER BY id")
        assert [run_id for (run_id,) in rows] == ["r1", "r2"]
        await world.create_run(new_run("r3"))
        assert not world._lane._is_draining


# -- reads


async def test_long_reads_go_on_after_their_loop_was_closed_and_another_opened(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))

        def read() -> int:
            return len(asyncio.run(world.list_runs(RunFilter())))

        for _ in range(3):
            assert await asyncio.to_thread(read) == 1
        assert len(await world.list_runs(RunFilter())) == 1


async def test_a_reader_cannot_write(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        with pytest.raises(WorldError, match="read-only"):
            await world._reader.fetch("DELETE FROM runs")


async def test_a_cancelled_read_leaves_the_reader_usable(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        await world.create_run(new_run("r1"))
        for turns in range(8):
            task: asyncio.Task[Any] = asyncio.create_task(world.list_runs(RunFilter()))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            assert len(await world.list_runs(RunFilter())) == 1


LONG = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"


def connections_of(world: SqliteWorld) -> set[threading.Thread]:
    return {reader._thread_of(desk.connection) for desk in world._reader._opened.values()}


@pytest.mark.parametrize("is_connected", [False, True])
@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8])
def test_a_loop_is_closed_only_when_its_reads_are_answered(
    turns: int, is_connected: bool, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """`asyncio.run` cancels all that goes on, and logs what fails then; pytest fails a test for a thread that died."""
    world = SqliteWorld(tmp_path / "world.db", "process")

    async def begin(sql: str) -> asyncio.Task[Any]:
        if is_connected:
            await world._reader.fetch("SELECT 1")
        reading = asyncio.create_task(world._reader.fetch(sql))
        for _ in range(turns):
            await asyncio.sleep(0)
        return reading

    asyncio.run(world.open())
    for _ in range(10):
        assert asyncio.run(begin(LONG)).cancelled()
    asyncio.run(world.close())
    assert caplog.text == ""


def test_a_read_that_is_given_up_interrupts_no_other(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world._reader.fetch("SELECT 1")
            counting = (
                "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) SELECT max(i) FROM n"
            )
            for turns in range(6):
                wanted = asyncio.create_task(world._reader.fetch(counting))
                unwanted = asyncio.create_task(world._reader.fetch(LONG))
                for _ in range(turns):
                    await asyncio.sleep(0)
                unwanted.cancel()
                assert await wanted == [(30000,)]
                assert await world._reader.fetch(counting) == [(30000,)]

    asyncio.run(scenario())


def test_a_read_that_is_cancelled_twice_ends_at_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as world:
            await world._reader.fetch("SELECT 1")
            reading = asyncio.create_task(world._reader.fetch(LONG))
            await asyncio.sleep(0)
            for _ in range(3):
                reading.cancel()
                await asyncio.sleep(0)
            assert await asyncio.gather(reading, return_exceptions=True) != []
            assert reading.cancelled()
            assert await world._reader.fetch("SELECT 1") == [(1,)]

    asyncio.run(scenario())


def test_connections_of_loops_that_are_closed_end(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path / "world.db", "process")
    threads = set()
    asyncio.run(world.open())
    for _ in range(20):
        asyncio.run(world._reader.fetch("SELECT 1"))
        threads |= connections_of(world)
    asyncio.run(world.close())
    assert len(threads) == 20
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_loop_that_is_closed_in_the_midst_of_a_read_holds_up_no_other(tmp_path: Path) -> None:
    """Its thread dies of the answer: whoever closes a loop without ending its tasks is told so by asyncio, too."""
    world = SqliteWorld(tmp_path / "world.db", "process")
    asyncio.run(world.open())
    # SQLite takes milliseconds to read it, and is not interrupted then.
    slow_to_begin = LONG.replace("count(*)", ", ".join(f"count(i + {number})" for number in range(1500)))
    for sql, seconds in (LONG, 0.0), *((slow_to_begin, number * 0.002) for number in range(4)):
        loop = asyncio.new_event_loop()
        loop.set_exception_handler(lambda loop, context: None)
        reading = loop.create_task(world._reader.fetch(sql))
        loop.run_until_complete(world._reader._connect())
        loop.run_until_complete(asyncio.sleep(0))
        thread = reader._thread_of(world._reader._opened[loop].connection)
        thread.join(seconds)
        loop.close()
        assert asyncio.run(world._reader.fetch("SELECT 1")) == [(1,)]
        thread.join(10)
        assert not thread.is_alive()
        assert not reading.done()
    asyncio.run(world.close())


def test_a_connection_that_is_opened_while_another_loop_closes_the_world_is_closed_again(tmp_path: Path) -> None:
    world = SqliteWorld(tmp_path / "world.db", "process")
    asyncio.run(world.open())
    before = set(threading.enumerate())
    made: set[threading.Thread] = set()

    async def close_meanwhile() -> None:
        reading = asyncio.create_task(world._reader.fetch("SELECT 1"))
        while not made:
            await asyncio.sleep(0)
            made.update(set(threading.enumerate()) - before)
        closing = threading.Thread(target=lambda: asyncio.run(world.close()))
        closing.start()
        closing.join()  # this loop does nothing meanwhile
        with pytest.raises(WorldError, match="is closed"):
            await reading

    asyncio.run(close_meanwhile())
    for thread in made:
        thread.join(10)
        assert not thread.is_alive()


def test_a_connection_that_cannot_be_opened_leaves_no_thread(tmp_path: Path) -> None:
    before = set(threading.enumerate())
    for _ in range(5):
        with pytest.raises(WorldError, match="cannot be opened"):
            asyncio.run(reader.Reader(tmp_path / "nowhere.db").fetch("SELECT 1"))
    assert set(threading.enumerate()) <= before


async def test_threads_with_loops_of_their_own_share_one_world_without_loss(tmp_path: Path) -> None:
    async with opened(tmp_path) as world:
        for number in range(4):
            await world.create_run(new_run(f"r{number}"))
        await world.open_worker(hello())
        owners = list((await claim_all(world)).values())

        async def work(number: int) -> None:
            for _ in range(100):
                await owners[number].commit()
                await send(world, f"r{(number + 1) % 4}")

        await asyncio.gather(*(asyncio.to_thread(lambda n=n: asyncio.run(work(n))) for n in range(4)))  # type: ignore[misc]
        for number in range(4):
            assert len(await world.read_events(f"r{number}")) == 101
            assert len(await owners[number].inbox()) == 100
