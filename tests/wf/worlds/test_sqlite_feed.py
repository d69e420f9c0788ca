"""The feed of an SQLite world: whoever remembers a mark is told of every run that changed after it."""

from __future__ import annotations

import asyncio
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.wf.worlds.acts import FLOW, T0, Owner, claim_all, hello, new_run, own
from wf.world import Attention, EndRun, PutLog, SetAttributes
from wf.worlds.feed import Mark
from wf.worlds.sqlite import SqliteWorld
from wf.worlds.sqlite import connection as sqlite_connection
from wf.worlds.sqlite.feed import SqliteFeed

RUNS = ("r1", "r2", "r3")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "world.db"


async def opened(path: Path) -> SqliteWorld:
    world = SqliteWorld(path, "process")
    await world.open()
    return world


def count_rows(world: SqliteWorld) -> int:
    (count,) = world._core.connection.cursor().execute("SELECT count(*) FROM changes").fetchone()
    return int(count)


async def test_a_run_that_goes_on_alone_is_named_every_16_events_and_found_by_who_has_a_mark(path: Path) -> None:
    world = await opened(path)
    owner = await own(world)
    with SqliteFeed(path) as feed:
        before, mark = count_rows(world), feed.mark()
        assert feed.changed_since(mark) == []
        for _ in range(64):
            last = feed.mark()
            await owner.commit(events=2)
            assert feed.changed_since(last) == feed.changed_since(mark) == [1]
            assert feed.count_changes(last) in (1, 2)
            assert feed.mark() != last
        assert count_rows(world) - before == 64 * 2 // 16
        assert feed.changed_since(feed.mark()) == []
    await world.close()


async def test_runs_that_take_turns_are_named_at_each(path: Path) -> None:
    world = await opened(path)
    first, second = await own(world, "r1"), await own(world, "r2")
    before = count_rows(world)
    for _ in range(5):
        await first.commit()
        await second.commit()
    assert count_rows(world) - before == 10
    await world.close()


async def test_what_changes_but_a_log_has_a_row_of_its_own(path: Path) -> None:
    world = await opened(path)
    owner = await own(world)
    before = count_rows(world)
    await owner.commit(PutLog(1, 1, 0, T0, b"lines"), events=0)
    await owner.commit(SetAttributes({"tenant": "acme"}))
    await world.peg_runs(["r1"], "dpl_2")
    await world.append_chunks("r1", "default", 0, T0, [b"a"], None)
    await world.set_attention("w1", "r1", owner.epoch, Attention("DECRYPTION", "no key"))
    assert count_rows(world) - before == 5
    await world.close()


async def test_a_mark_whose_row_was_dropped_is_no_mark_any_more(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_connection, "CHANGES_KEPT", 2)
    world = await opened(path)
    with SqliteFeed(path) as feed:
        assert feed.changed_since(feed.mark()) == []
        marks = []
        for run_id in RUNS:
            await world.create_run(new_run(run_id))
            marks.append(feed.mark())
        world._core.checkpoint()
        assert [feed.changed_since(mark) for mark in marks] == [None, [3], []]
        assert feed.changed_since(Mark(0, 0)) is None
    await world.close()


class Past:
    """What somebody copied at a mark: each run's row and how much there is of it."""

    def __init__(self, mark: Mark, runs: dict[str, Any]) -> None:
        self.mark = mark
        self.runs = runs


ACTS = ("append", "append", "append", "log", "attributes", "chunk", "peg", "attention", "end", "delete", "create")


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(ACTS), st.sampled_from(RUNS), st.integers(1, 9), st.booleans()), max_size=40))
def test_who_remembers_a_mark_is_told_of_all_that_changed_after_it(acts: list[tuple[str, str, int, bool]]) -> None:
    async def body(path: Path) -> None:
        world = await opened(path)
        await world.open_worker(hello("w1", FLOW))
        owners: dict[str, Owner] = {}
        feed, pasts, numbers = SqliteFeed(path), list[Past](), dict[str, int]()

        async def look() -> dict[str, Any]:
            found = {}
            for run_id in RUNS:
                run = await world.get_run(run_id)
                chunks = len(await world.read_chunks(run_id, "default", 0))
                logs = len(await world.read_logs(run_id))
                if run is not None:  # who holds a lease is nobody's history
                    found[run_id] = (
                        run.seq,
                        run.status,
                        run.deployment_id,
                        run.attributes,
                        run.attention,
                        chunks,
                        logs,
                    )
            return found

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
            ids = world._core.connection.cursor().execute("SELECT run_id, id FROM runs").fetchall()
            numbers.update(ids)
            if is_marked:
                pasts.append(Past(feed.mark(), await look()))
        now = await look()
        for past in pasts:
            changed = {run_id for run_id in RUNS if past.runs.get(run_id) != now.get(run_id)}
            told = feed.changed_since(past.mark)
            assert told is not None
            assert {numbers[run_id] for run_id in changed} <= set(told)
        assert feed.changed_since(feed.mark()) == []
        feed.close()
        await world.close()

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(body(Path(folder) / "world.db"))


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
