"""The feed of a Postgres world: whoever remembers a mark is told of every run that changed after it, in whatever order
transactions commit."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.postgres import Cluster
from tests.wf.worlds.acts import FLOW, T0, Owner, claim_all, hello, new_run, own
from wf.world import Attention, EndRun, PutLog, SetAttributes
from wf.worlds.feed import Mark

RUNS = ("r1", "r2", "r3")


@asynccontextmanager
async def opened(url: str) -> AsyncIterator[Any]:
    from wf.worlds.postgres import PostgresWorld

    world = PostgresWorld(url, "process")
    await world.open()
    try:
        yield world
    finally:
        await world.close()


def open_feed(url: str) -> Any:
    from wf.worlds.postgres.feed import PostgresFeed

    return PostgresFeed(url)


async def test_a_mark_stays_while_nothing_changes_and_tells_of_what_does(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        owner = await own(world)
        with open_feed(emptied_postgres_url) as feed:
            mark = feed.mark()
            assert feed.changed_since(mark) == []
            await world.heartbeat("w1")
            assert feed.mark() == mark
            await owner.commit()
            (number,) = feed.changed_since(mark)
            assert feed.count_changes(mark) == 1
            assert [row[:2] for row in feed.read_runs([number])] == [(number, "r1")]
            assert feed.mark() != mark
            assert feed.changed_since(feed.mark()) == []


async def test_a_transaction_that_commits_after_a_later_one_is_not_missed(
    postgres: Cluster, emptied_postgres_url: str
) -> None:
    async with opened(emptied_postgres_url) as world:
        first, second = await own(world, "r1"), await own(world, "r2")
        with open_feed(emptied_postgres_url) as feed, postgres.connect(emptied_postgres_url) as slow:
            numbers = {row[1]: row[0] for row in feed.read_runs(feed.list_ids(0, 10))}
            slow.execute("BEGIN")  # it draws its number first, and commits last
            note = "INSERT INTO changes (run, run_id, is_state, source) VALUES (%s, %s, true, 'slow')"
            slow.execute(note, (numbers["r1"], "r1"))
            before = feed.mark()
            await second.commit()
            assert feed.changed_since(before) == [numbers["r2"]]
            between = feed.mark()
            slow.execute("COMMIT")
            assert feed.changed_since(between) is not None
            assert numbers["r1"] in feed.changed_since(between)
            assert feed.changed_since(feed.mark()) == []
            await first.commit()


async def test_a_snapshot_is_of_one_moment(emptied_postgres_url: str) -> None:
    async with opened(emptied_postgres_url) as world:
        owner = await own(world)
        with open_feed(emptied_postgres_url) as feed:
            with feed.snapshot():
                (row,) = feed.read_runs(feed.list_ids(0, 10))
                await owner.commit(events=3)
                (batch,) = feed.read_events([(row[0], 0)])
                assert [event[1] for event in batch] == [1]
            (batch,) = feed.read_events([(row[0], 1)])
            assert [event[1] for event in batch] == [2, 3, 4]


async def test_a_mark_whose_changes_were_dropped_is_no_mark_any_more(
    emptied_postgres_url: str, monkeypatch: Any
) -> None:
    from wf.worlds.postgres import pruning

    monkeypatch.setattr(pruning, "CHANGES_KEPT", 2)
    async with opened(emptied_postgres_url) as world:
        with open_feed(emptied_postgres_url) as feed:
            marks = [feed.mark()]
            for run_id in RUNS:
                await world.create_run(new_run(run_id))
                marks.append(feed.mark())
            world.core.write(pruning.prune)
            assert [feed.changed_since(mark) is None for mark in marks] == [True, False, False, False]
            assert [len(feed.changed_since(mark)) for mark in marks[1:]] == [2, 1, 0]
            assert feed.changed_since(Mark(0, 0)) is None


async def test_a_world_that_was_restored_elsewhere_is_told_from_the_one_that_was_copied(
    postgres: Cluster, postgres_url: str
) -> None:
    async with opened(postgres_url) as world:
        await world.create_run(new_run("r1"))
    with open_feed(postgres_url) as feed:
        before = feed.identify()
    with postgres.connect(postgres_url) as connection:  # as a dump from a server that has done more would leave it
        connection.execute("UPDATE changes SET xid = '9999999999'")
    async with opened(postgres_url) as world:
        with open_feed(postgres_url) as feed:
            assert feed.identify() != before
            await world.create_run(new_run("r2"))
            assert feed.mark().position < 9999999999


async def test_readers_among_writers_miss_nothing(emptied_postgres_url: str) -> None:
    """Three processes' worth of writers, and a reader that copies what it is told of: its copy is right at the end."""
    async with (
        opened(emptied_postgres_url) as one,
        opened(emptied_postgres_url) as two,
        opened(emptied_postgres_url) as three,
    ):
        owners = [await own(world, f"r{n}", f"w{n}", workflow=f"f{n}") for n, world in enumerate((one, two, three))]
        is_over = threading.Event()
        copied: dict[str, int] = {}

        def copy() -> None:
            with open_feed(emptied_postgres_url) as feed:
                mark = Mark(1, 0)
                while True:
                    was_over = is_over.is_set()
                    now, changed = feed.mark(), feed.changed_since(mark)
                    copied.update({row[1]: row[8] for row in feed.read_runs(changed)})
                    mark = now
                    if was_over:
                        return

        async def write(owner: Owner) -> None:
            for _ in range(40):
                await owner.commit()

        copying = asyncio.ensure_future(asyncio.to_thread(copy))
        await asyncio.gather(*(write(owner) for owner in owners))
        is_over.set()
        await copying
        assert copied == {"r0": 41, "r1": 41, "r2": 41}


ACTS = ("append", "append", "append", "log", "attributes", "chunk", "peg", "attention", "end", "delete", "create")


@settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    acts=st.lists(
        st.tuples(st.sampled_from(ACTS), st.sampled_from(RUNS), st.integers(1, 9), st.booleans()), max_size=30
    )
)
def test_who_remembers_a_mark_is_told_of_all_that_changed_after_it(
    postgres: Cluster, emptied_postgres_url: str, acts: list[tuple[str, str, int, bool]]
) -> None:
    postgres.empty(emptied_postgres_url)

    async def look(world: Any) -> dict[str, Any]:
        found = {}
        for run_id in RUNS:
            run = await world.get_run(run_id)
            if run is not None:  # who holds a lease is nobody's history
                chunks, logs = await world.read_chunks(run_id, "default", 0), await world.read_logs(run_id)
                state = (run.seq, run.status, run.deployment_id, run.attributes, run.attention)
                found[run_id] = (*state, len(chunks), len(logs))
        return found

    async def body() -> None:
        async with opened(emptied_postgres_url) as world:
            await world.open_worker(hello("w1", FLOW))
            owners: dict[str, Owner] = {}
            pasts = list[tuple[Mark, dict[str, Any]]]()
            numbers: dict[str, set[int]] = {run_id: set() for run_id in RUNS}
            with open_feed(emptied_postgres_url) as feed:
                for what, run_id, n, is_marked in acts:
                    if what == "create":
                        await world.create_run(new_run(run_id))
                    owners.update(await claim_all(world))
                    owner = owners.get(run_id)
                    if what == "chunk":
                        start = len(await world.read_chunks(run_id, "default", 0))
                        await world.append_chunks(run_id, "default", start, T0, [b"a"] * n, None)
                    elif what == "peg":
                        await world.peg_runs([run_id], f"dpl_{n}")
                    elif what == "delete":
                        if owner is not None:
                            await owner.release()
                        await world.delete_runs([run_id])
                    elif owner is not None:
                        await _DO[what](owner, n)
                    for number, name in (row[:2] for row in feed.read_runs(feed.list_ids(0, 10))):
                        numbers[name].add(number)
                    if is_marked:
                        pasts.append((feed.mark(), await look(world)))
                now = await look(world)
                for mark, past in pasts:
                    told = feed.changed_since(mark)
                    for run_id in RUNS:
                        if past.get(run_id) != now.get(run_id):
                            assert numbers[run_id] & set(told)
                assert feed.changed_since(feed.mark()) == []

    asyncio.run(body())


async def _set_attention(owner: Owner, n: int) -> None:
    await owner.world.set_attention("w1", owner.run_id, owner.epoch, Attention("DECRYPTION", f"no key {n}"))


_DO: dict[str, Callable[[Owner, int], Any]] = {
    "create": lambda owner, n: asyncio.sleep(0),
    "append": lambda owner, n: owner.try_commit(events=n),
    "log": lambda owner, n: owner.try_commit(PutLog(n, 1, 0, T0, b"lines"), events=0),
    "attributes": lambda owner, n: owner.try_commit(SetAttributes({"n": str(n)})),
    "attention": _set_attention,
    "end": lambda owner, n: owner.try_commit(EndRun("completed", T0, owner.seq + 1)),
}
