"""A Postgres world: how it is made and found, what it refuses, and that many may work in it at once."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.postgres import PASSWORD, Cluster
from tests.reliability.stage import check_steps, make_worker, read_log, until
from tests.wf.worlds.acts import T0, Bell, claim, claim_all, hello, new_run, own, send
from wf import registry
from wf.errors import StorageFull, WorldBusy, WorldError
from wf.session import make_world
from wf.settings import Settings, SettingsError
from wf.world import LEASE_SECONDS, DeploymentRow, EndRun, PutHook, PutLog, PutWait, RunFilter, StartRun


@asynccontextmanager
async def opened(url: str, durability: str = "process", **options: Any) -> AsyncIterator[Any]:
    from wf.worlds.postgres import PostgresWorld

    world = PostgresWorld(url, durability, **options)
    await world.open()
    try:
        yield world
    finally:
        await world.close()


async def refuse(url: str, **options: Any) -> WorldError:
    with pytest.raises(WorldError) as caught:
        async with opened(url, **options):
            pass
    return caught.value


# -- where it is


async def test_worlds_in_two_schemas_of_a_database_know_nothing_of_each_other(postgres: Cluster) -> None:
    urls = [postgres.new_url(), postgres.new_url()]
    try:
        async with opened(urls[0]) as first, opened(urls[1]) as second:
            await first.create_run(new_run("r1"))
            assert await second.get_run("r1") is None
    finally:
        for url in urls:
            postgres.drop(url)


async def test_of_many_who_come_first_one_makes_the_world(postgres_url: str) -> None:
    async def come(number: int) -> None:
        async with opened(postgres_url) as world:
            await world.create_run(new_run(f"r{number}"))

    await asyncio.gather(*(come(number) for number in range(5)))
    async with opened(postgres_url) as world:
        assert len(await world.list_runs(RunFilter())) == 5


async def test_who_only_looks_makes_no_world(postgres: Cluster, postgres_url: str) -> None:
    from wf.worlds.postgres import PostgresWorld

    world = PostgresWorld(postgres_url, is_making=False)
    with pytest.raises(WorldError, match="there is no world at postgresql://…@/postgres") as caught:
        await world.get_run("r1")
    assert caught.value.hint is not None and "wf run" in caught.value.hint
    await world.close()
    with postgres.connect() as connection:
        schemas = {name for (name,) in connection.execute("SELECT nspname FROM pg_namespace")}
    assert postgres_url.rpartition("schema=")[2] not in schemas


@pytest.mark.parametrize("schema", ["", "Wf", "a-b", "pg_x", 'w"; drop', "x" * 64])
def test_a_schema_has_a_plain_name(schema: str) -> None:
    from wf.worlds.postgres.place import Place

    with pytest.raises(SettingsError, match="is no name of a schema"):
        Place(f"postgresql://host/db?schema={schema}")


def test_what_is_not_ours_in_a_url_is_for_libpq() -> None:
    from wf.worlds.postgres.place import Place

    place = Place("postgresql://ada:p%40ss@h1:1,h2:2/db?schema=mine&target_session_attrs=read-write&sslmode=require")
    assert place.schema == "mine"
    assert place.shown == "postgresql://…@h1:1,h2:2/db?schema=mine&target_session_attrs=read-write&sslmode=require"
    assert place._options["host"] == "h1,h2"
    assert place._options["target_session_attrs"] == "read-write"
    assert "schema" not in place._options
    assert Place("postgresql://host/db").schema == "wf"
    assert place.lock_key != Place("postgresql://host/db").lock_key


@pytest.mark.parametrize("rest", ["ada:hunter2@host/db?what=1", "ada:hunter2@[host/db"])
def test_a_url_that_libpq_does_not_read_is_refused_without_its_words(rest: str) -> None:
    from wf.worlds.postgres.place import Place

    with pytest.raises(SettingsError) as caught:
        Place(f"postgresql://{rest}")
    assert "is not a world's URL" in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert caught.value.__cause__ is None


# -- what it refuses


async def test_a_password_is_in_no_message(postgres: Cluster, postgres_url: str) -> None:
    secret = "hunter2-wrong"
    url = postgres.over_tcp(postgres_url, user=f"locked:{secret}")
    error = await refuse(url)
    assert "refused the login" in str(error)
    assert error.hint == "check user and password of the URL, or PGPASSWORD and ~/.pgpass"
    shown = f"{error} {error.hint} {error.__cause__}"
    assert secret not in shown and "locked:" not in shown
    other = postgres.over_tcp(postgres_url, user="locked").replace("locked@", "") + f"&user=locked&password={secret}"
    assert secret not in str(await refuse(other))
    with pytest.raises(WorldError, match="may not be used by this role"):  # the right one gets further
        async with opened(postgres.over_tcp(postgres_url, user=f"locked:{PASSWORD}")):
            pass


async def test_what_cannot_be_is_said_with_its_cure(postgres: Cluster, postgres_url: str) -> None:
    missing = await refuse(postgres_url.replace("/postgres?", "/nowhere?"))
    assert "is not there" in str(missing)
    assert missing.hint == "make it, `createdb <name>`, or name another one"
    poor = await refuse(postgres_url.replace("wf@", "poor@"))
    assert "may not be used by this role" in str(poor)
    standby = await refuse(f"{postgres_url}&options=-c%20default_transaction_read_only%3Don")
    assert "is read-only" in str(standby)


async def test_a_world_of_a_newer_wf_is_left_alone(postgres: Cluster, postgres_url: str) -> None:
    async with opened(postgres_url):
        pass
    with postgres.connect(postgres_url) as connection:
        connection.execute("UPDATE world SET version = 99")
    error = await refuse(postgres_url)
    assert "was written by a newer wf (schema version 99)" in str(error)
    assert error.hint == "upgrade wf, or name another world"


async def test_a_process_with_a_key_of_its_own_is_told_so_and_one_with_a_fresh_key_beside_is_not(
    postgres_url: str,
) -> None:
    async with opened(postgres_url, keys=["aa"]):
        pass
    error = await refuse(postgres_url, keys=["bb"])
    assert "is sealed with other keys (aa) than this process has (bb)" in str(error)
    assert error.hint is not None and "WF_KEY" in error.hint
    async with opened(postgres_url, keys=["bb", "aa"]):
        pass
    async with opened(postgres_url, keys=["bb"]), opened(postgres_url, keys=["aa"]):
        pass
    assert "(bb, aa) than this process has (off)" in str(await refuse(postgres_url, keys=["off"]))


async def test_text_that_postgres_cannot_keep_is_an_error_and_harms_nobody_else(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        starts = [world.create_run(new_run("r1")), world.create_run(new_run("r\0")), world.create_run(new_run("r3"))]
        first, second, third = await asyncio.gather(*starts, return_exceptions=True)
        assert first.is_new and third.is_new
        assert isinstance(second, WorldError) and "cannot keep this" in str(second)


async def test_an_attribute_with_a_nul_is_kept_and_found_by_no_filter(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        await world.create_run(new_run("r1", attributes={"a": "x\0", "b": "y"}))
        await world.create_run(new_run("r2", attributes={"b": "y"}))
        run = await world.get_run("r1")
        assert run is not None
        assert run.attributes == {"a": "x\0", "b": "y"}
        assert [row.run_id for row in await world.list_runs(RunFilter(attributes={"b": "y"}))] == ["r2"]


def test_errors_of_storage_are_told_apart() -> None:
    from psycopg import errors

    from wf.worlds.postgres.failures import translate

    full = translate(errors.DiskFull("could not extend file: No space left on device"), "postgresql://x")
    assert isinstance(full, StorageFull)
    assert str(full) == "no space is left for the world postgresql://x: could not extend file: No space left on device"
    assert isinstance(translate(errors.LockNotAvailable("x"), "postgresql://x"), WorldBusy)
    assert "is read-only" in str(translate(errors.ReadOnlySqlTransaction("x"), "postgresql://x"))
    assert "hunter2" not in str(translate(errors.OperationalError('bad "hunter2"'), "postgresql://x", ("hunter2",)))


async def test_a_url_without_psycopg_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    for name in [name for name in sys.modules if name.startswith(("wf.worlds.postgres", "psycopg"))]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(WorldError) as caught:
        make_world(Settings(tmp_path, "postgresql://ada:hunter2@host/db"), role="client")
    assert str(caught.value) == "the world postgresql://…@host/db needs psycopg, which is not installed"
    assert caught.value.hint == "pip install 'wfstudio[postgres]'"
    assert not (tmp_path / ".wf").exists(), "nothing was made for it"


# -- how it keeps what it is given


@pytest.mark.parametrize(
    ("durability", "server", "kept"),
    [
        ("power", "on", "on"),
        ("power", "off", "on"),
        ("power", "remote_apply", "remote_apply"),
        ("process", "on", "off"),
    ],
)
async def test_durability_is_the_servers_own_or_better(
    durability: str, server: str, kept: str, emptied_postgres_url: str
) -> None:
    async with opened(f"{emptied_postgres_url}&options=-c%20synchronous_commit%3D{server}", durability) as world:
        assert (await world.read_server_facts()).synchronous_commit == kept


async def test_facts_of_the_server_are_told(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        await world.open_worker(hello("w1"))
        facts = await world.read_server_facts()
        assert facts.workers == 1
        assert facts.is_fsyncing is False, "as the tests' own server is set"
        assert 0 < facts.world_bytes <= facts.database_bytes
        assert 0 < facts.connections < facts.most_connections


async def test_an_ordinary_commit_of_many_runs_waits_once_before_it_ends_and_for_nobody_else(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from wf.worlds.postgres.transaction import Transaction

    waits: list[bool] = []
    settle = Transaction.settle

    def count(tx: Transaction) -> None:
        waits.append(tx.is_crossing)
        settle(tx)

    async with opened(emptied_postgres_url) as world:
        owners = [await own(world, f"r{n}") for n in range(5)]
        await owners[0].commit()  # and with it a sign of life
        monkeypatch.setattr(Transaction, "settle", count)
        log = PutLog(1, 1, 0, T0, b"lines")
        appends = [owner.append(StartRun(T0), PutWait(1, "sleep", T0), log, events=3) for owner in owners]
        assert await world.commit(appends) == ["applied"] * 5
        assert waits == [False], "the locks: all else goes without waiting, to the commit's own answer"
        waits.clear()
        for owner in owners:
            owner.seq += 3
        ends = [owner.append(EndRun("completed", T0, owner.seq + 1)) for owner in owners]
        assert await world.commit(ends) == ["applied"] * 5
        assert waits == [False]


# -- many at once


async def test_a_run_that_is_due_goes_to_one_of_many(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        for worker_id, world in (("w1", first), ("w2", second)):
            await world.open_worker(hello(worker_id))
        await asyncio.gather(*(first.create_run(new_run(f"r{n}")) for n in range(60)))
        found: list[str] = []
        while len(found) < 60:
            for claimed in await asyncio.gather(claim(first, "w1", limit=7), claim(second, "w2", limit=7)):
                found += claimed
        assert len(set(found)) == len(found)


async def test_a_token_that_many_want_at_once_is_one_hooks(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        owners = [
            await own(world, f"r{n}", f"w{n}", workflow=f"f{n}")
            for n, world in enumerate((first, second, first, second))
        ]
        await asyncio.gather(*(owner.commit(PutHook(1, b"token", 2, "hook")) for owner in owners))
        conflicts = [await owner.inbox() for owner in owners]
        assert sorted(len(each) for each in conflicts) == [0, 1, 1, 1]


async def test_a_message_never_misses_a_run_that_is_given_back_at_the_same_moment(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as worker, opened(emptied_postgres_url) as client:
        await worker.create_run(new_run("r1"))
        await worker.open_worker(hello("w1"))
        for number in range(40):
            owner = (await claim_all(worker))["r1"]
            if number == 0:
                await owner.commit(StartRun(T0))
            taken = [message.id for message in owner.claimed.inbox]
            if taken:
                await owner.commit(taken=taken, events=0)
            await asyncio.gather(owner.release(), send(client, "r1"))
            run = await worker.get_run("r1")
            assert run is not None
            assert run.wake_at == 0, "the message is there, and the run wants a worker"


async def test_files_of_a_deployment_that_is_just_being_kept_are_not_deleted_as_unused(
    postgres: Cluster, emptied_postgres_url: str
) -> None:
    """Not even those that it shares with one that nobody needs any more."""
    from wf.worlds.postgres import streams

    kept = DeploymentRow("new", T0 + 2, {"a.py": "shared"})
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        await first.put_deployment(DeploymentRow("old", T0, {"a.py": "shared"}), {"shared": b"x"})
        await first.put_deployment(DeploymentRow("other", T0 + 1, {}), {})
        deleting: list[Future[int]] = []
        with postgres.connect(emptied_postgres_url) as watcher, ThreadPoolExecutor(1) as pool:

            def keep(tx: Any) -> None:
                streams.put_deployment(tx, kept, {"shared": b"x"})
                tx.settle()
                deleting.append(pool.submit(asyncio.run, second.delete_unused_code()))
                while (
                    not deleting[0].done()
                    and not watcher.execute(
                        "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
                    ).fetchone()
                ):
                    pass

            await asyncio.to_thread(first.core.write, keep)
            deleting[-1].result()
        assert await first.read_source("shared") == b"x"


async def test_what_a_worker_was_told_that_it_lost_is_lost_though_the_sweep_is_late(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or nobody would have those runs: the worker forgot them, and its heartbeats would keep their leases."""
    from wf.worlds.postgres import world as world_module

    seconds, gate = 1000.0, threading.Event()
    async with opened(emptied_postgres_url, monotonic=lambda: seconds) as world:
        owner = await own(world)
        monkeypatch.setattr(world_module, "SWEEP_PATIENCE_SECONDS", 0.01)
        sweep = world._sweep
        monkeypatch.setattr(world, "_sweep", lambda: (gate.wait(), sweep()))
        seconds += LEASE_SECONDS
        try:
            assert await world.heartbeat("w1") is False
            await world.open_worker(hello("w1"))
            assert await world.heartbeat("w1") is True
            assert await owner.try_commit() == "fenced"
            assert await claim(world, "w1") == ["r1"]
        finally:
            gate.set()


# -- whose notification was lost


async def test_mail_whose_news_was_lost_is_found_though_others_never_cease_to_work(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wf.worlds.postgres.bell._limit", lambda mail: [])  # as for very many workers at once
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        await own(first, "r1")
        busy = await own(first, "busy", worker_id="w2")
        mail = await Bell.at(second, "worker:w1")
        log = await Bell.at(second, "log:busy")

        async def work() -> None:
            while True:
                await busy.commit()
                await asyncio.sleep(0.02)

        working = asyncio.ensure_future(work())
        try:
            await until(lambda: bool(log.rings), "what others do is heard of")
            await send(first, "r1")
            await until(lambda: "r1" in mail.rings, "the mail is found")
        finally:
            working.cancel()
            await asyncio.wait([working])


async def test_a_run_that_is_due_is_rung_for_at_each_look_until_somebody_has_it(emptied_postgres_url: str) -> None:
    """Or one whose news was lost would be taken for the one that was due at the look before."""
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        first.core.tell_others = lambda tx: None
        claimable = await Bell.at(second, "claimable")
        await first.create_run(new_run("r1"))
        await until(lambda: bool(claimable.rings), "it is rung for")
        claimable.rings.clear()
        await until(lambda: bool(claimable.rings), "it is rung for again")


async def test_a_change_between_the_first_subscription_and_a_look_is_rung_for(
    emptied_postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Who subscribes reads before it; the bell has seen before that nobody wants to know, and looks after it."""
    async with opened(emptied_postgres_url) as first, opened(emptied_postgres_url) as second:
        owner = await own(first)
        await Bell.at(second, "worker:w9")
        topics, has_seen, may_look = second.core.doorbells.topics, threading.Event(), threading.Event()

        def list_topics() -> list[str]:
            found: list[str] = topics()
            if threading.current_thread().name == "wf-bell" and not has_seen.is_set():
                frame = sys._getframe(1)
                while frame.f_back is not None and frame.f_code.co_name != "_ring_changes":
                    frame = frame.f_back
                if frame.f_back is not None:
                    has_seen.set()
                    may_look.wait(20)
            return found

        monkeypatch.setattr(second.core.doorbells, "topics", list_topics)
        try:
            assert await asyncio.to_thread(has_seen.wait, 20)
            results = await Bell.at(second, "results")
            run = await second.get_run("r1")
            assert run is not None and run.ended_at is None
            await owner.end()
        finally:
            may_look.set()
        await until(lambda: results.rings == ["r1"], "the end is rung for")


def test_leases_that_became_doubtful_while_others_were_given_back_are_not_forgotten() -> None:
    from wf.worlds.postgres.leases import Leases

    class Doing:
        """A transaction that two who claim at once have begun, and that ends later."""

        def __init__(self) -> None:
            self.given_back: list[Any] = []
            self.finish: Any = None

        def cross(self) -> None: ...

        def lock(self, run_ids: Any) -> None: ...

        def execute(self, sql: str, lease: Any) -> None:
            self.given_back.append(lease)

        def after(self, remember: Any) -> None:
            self.finish = remember

    first, second, third = Doing(), Doing(), Doing()
    leases = Leases(10.0, None)
    leases.doubt([("r1", 1, "w1")])
    for each in (first, second):
        leases._give_back_doubtful(each)  # type: ignore[arg-type]
    first.finish()
    leases.doubt([("r2", 1, "w1")])
    second.finish()
    leases._give_back_doubtful(third)  # type: ignore[arg-type]
    assert third.given_back == [("r2", 1, "w1")]


@pytest.fixture
def _own_registry() -> Any:
    with registry.isolated():
        yield


@pytest.mark.usefixtures("_own_registry")
async def test_workers_whose_runs_reach_into_each_other_never_wait_in_a_circle(
    postgres: Cluster, emptied_postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Three workers, parents and children on whichever, behind locks and a gate: no deadlock is ever broken."""
    executed: dict[str, list[int]] = {}

    @wf.step(name="note", retry_delay=0)
    async def note() -> int:
        info = wf.get_step_metadata()
        executed.setdefault(info.step_id, []).append(info.attempt)
        return 1

    @wf.workflow(name="child")
    async def child(name: str) -> int:
        async with wf.lock(name):
            return await note()

    @wf.workflow(name="gated", concurrency=2)
    async def gated() -> int:
        return await note()

    @wf.workflow(name="parent")
    async def parent(n: int) -> int:
        return sum(await asyncio.gather(*(child(f"lock {(n + m) % 3}") for m in range(3)), gated()))

    def count_deadlocks() -> int:
        with postgres.connect() as connection:
            connection.execute("SELECT pg_sleep(0.01), pg_stat_clear_snapshot()")
            (row,) = connection.execute("SELECT sum(deadlocks)::int FROM pg_stat_database").fetchall()
            return int(row[0])

    before = count_deadlocks()
    async with (
        opened(emptied_postgres_url) as one,
        opened(emptied_postgres_url) as two,
        opened(emptied_postgres_url) as three,
        make_worker(one, concurrency=5),
        make_worker(two, concurrency=5),
        make_worker(three, concurrency=5),
    ):
        runs = [await wf.start(parent, n) for n in range(12)]
        assert await asyncio.gather(*(run.return_value(timeout=60) for run in runs)) == [4] * 12
        rows = await one.list_runs(RunFilter())
        assert len(rows) == 12 * 5

        async def has_nothing_left() -> bool:
            return not (await one.list_locks() or await one.list_waits())

        await until(has_nothing_left)
        for row in rows:
            check_steps(await read_log(one, row.run_id), executed)
        assert len({row.owner for row in rows}) >= 1
    assert count_deadlocks() == before
    assert [record.message for record in caplog.records if record.levelno >= logging.WARNING] == []
