"""The mirror: it sees all that was committed, waits for no reader, and is made anew whatever is wrong with it."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import textwrap
import threading
from pathlib import Path
from typing import Any

import duckdb
import pytest

from tests.wfstudio.history.stage import BEGAN, Log, WorldFile, make_completed
from wf import events as types
from wf.errors import WorldBusy, WorldError
from wf.worlds.feed import Mark
from wf.worlds.sqlite import connection as sqlite_connection
from wf.worlds.sqlite.connection import Connection
from wf.worlds.sqlite.feed import SqliteFeed
from wfstudio.history import mirror, news, staging
from wfstudio.history.locks import Lock
from wfstudio.history.mirror import History, mirror_path


@pytest.fixture
def world(tmp_path: Path) -> Any:
    found = WorldFile(tmp_path / "world.db")
    for number in range(5):
        found.write(make_completed(f"wrun_{number}").events)
    yield found
    found.close()


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have the file brought up to date at every question, where nobody reads it."""
    monkeypatch.setattr(mirror, "FAR_BEHIND", 0)


def ask(world: WorldFile, sql: str) -> list[tuple[Any, ...]]:
    with History(world.path) as history:
        return history.connection.execute(sql).fetchall()


def count(world: WorldFile) -> dict[str, int]:
    with History(world.path) as history:
        return {
            table: history.connection.execute(f"SELECT count(*) FROM past.{table}").fetchall()[0][0]
            for table in staging.TABLES
        }


def read_file(world: WorldFile, sql: str) -> list[tuple[Any, ...]]:
    """Ask the file alone."""
    with duckdb.connect(str(mirror_path(world.path)), read_only=True) as connection:
        return connection.execute(sql).fetchall()


WAYS = pytest.mark.parametrize(
    ("far", "few"), [(0, 0), (10**9, 0), (10**9, 10**9)], ids=["in the file", "derived in memory", "retold in memory"]
)


# -- it sees all that was committed ----------------------------------------------------------------


def test_a_world_without_runs_has_a_history_without_rows(tmp_path: Path) -> None:
    world = WorldFile(tmp_path / "world.db")
    assert set(count(world).values()) == {0}
    world.write(make_completed("wrun_1").events)
    assert count(world)["runs"] == 1
    world.close()


def test_what_was_committed_after_the_file_was_written_is_seen_without_writing_it_again(world: WorldFile) -> None:
    count(world)
    before = mirror_path(world.path).read_bytes()
    world.write(make_completed("wrun_new", steps=3).events)
    assert ask(world, "SELECT run_id, steps FROM past.runs WHERE run_id = 'wrun_new'") == [("wrun_new", 3)]
    assert count(world) == {
        "runs": 6, "steps": 13, "attempts": 13, "hooks": 0, "waits": 0, "events": 44, "chunks": 0, "logs": 0,
    }  # fmt: skip
    assert mirror_path(world.path).read_bytes() == before


def test_a_run_that_goes_on_is_there_once_as_it_is_now(world: WorldFile) -> None:
    log = Log("wrun_live")
    log.add(types.RUN_STARTED)
    log.add(types.STEP_CREATED, 1, name="shop:a", attempt=1)
    world.write(log.events)
    query = (
        "SELECT r.status, s.status, s.attempts FROM past.steps AS s JOIN past.runs AS r USING (run)"
        " WHERE run_id = 'wrun_live'"
    )
    assert ask(world, query) == [("running", "running", 1)]
    log.add(types.STEP_RETRYING, 1, attempt=1, due_at=BEGAN, error_type="shop.Broke")
    log.add(types.STEP_STARTED, 1, attempt=2)
    world.write(log.events)
    assert ask(world, query) == [("running", "running", 2)]
    log.add(types.STEP_COMPLETED, 1, attempt=2, value=1)
    log.add(types.RUN_COMPLETED, value=1)
    world.write(log.events)
    assert ask(world, query) == [("completed", "completed", 2)]


@WAYS
def test_appends_that_the_world_has_no_row_of_are_seen_too(
    world: WorldFile, far: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that goes on alone is not named again: the file remembers where its log ended."""
    log = Log("wrun_live")
    log.add(types.RUN_STARTED)
    log.add(types.STEP_CREATED, 1, name="shop:a", attempt=1)
    world.write(log.events)
    count(world)
    monkeypatch.setattr(mirror, "FAR_BEHIND", far)
    monkeypatch.setattr(news, "FEW", few)
    for number in range(1, 6):
        log.add(types.STEP_COMPLETED, number, attempt=1, value=1)
        log.add(types.STEP_CREATED, number + 1, name="shop:a", attempt=1)
        world.write(log.events)
        assert ask(world, "SELECT steps FROM past.runs WHERE run_id = 'wrun_live'") == [(number + 1,)]
        assert count(world)["events"] == 5 * 7 + len(log.events)


@pytest.mark.usefixtures("eager")
def test_a_file_that_is_far_behind_is_brought_up_to_date_and_holds_the_same(world: WorldFile) -> None:
    count(world)
    log = make_completed("wrun_new")
    world.write(log.events[:4])
    first = count(world)
    world.write(log.events)
    second = count(world)
    assert (first["events"], second["events"], second["runs"]) == (39, 42, 6)
    assert read_file(world, "SELECT count(*), max(seq) FROM events") == [(42, 7)]
    assert read_file(world, "SELECT status FROM runs WHERE run_id = 'wrun_new'") == [("completed",)]


@WAYS
def test_a_run_that_was_deleted_is_gone_with_all_that_it_had(
    world: WorldFile, far: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(world)
    monkeypatch.setattr(mirror, "FAR_BEHIND", far)
    monkeypatch.setattr(news, "FEW", few)
    world.delete("wrun_2")
    assert count(world) == {
        "runs": 4, "steps": 8, "attempts": 8, "hooks": 0, "waits": 0, "events": 28, "chunks": 0, "logs": 0,
    }  # fmt: skip


@WAYS
def test_a_run_that_took_the_place_of_a_deleted_one_has_nothing_of_it(
    world: WorldFile, far: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite gives the id of the newest row that was deleted to the next one."""
    count(world)
    monkeypatch.setattr(mirror, "FAR_BEHIND", far)
    monkeypatch.setattr(news, "FEW", few)
    world.delete("wrun_4")
    world.write(make_completed("wrun_other", steps=1).events)
    assert world.sqlite.execute("SELECT id FROM runs WHERE run_id = 'wrun_other'").fetchone() == (5,)
    assert ask(world, "SELECT run_id FROM past.runs ORDER BY run_id")[-1] == ("wrun_other",)
    assert count(world)["events"] == 4 * 7 + 5
    assert ask(world, "SELECT count(*) FROM past.steps") == [(9,)]


@WAYS
def test_a_damaged_run_keeps_nobody_from_the_others(
    world: WorldFile, far: int, few: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    count(world)
    monkeypatch.setattr(mirror, "FAR_BEHIND", far)
    monkeypatch.setattr(news, "FEW", few)
    world.write(make_completed("wrun_damaged").events)
    world.write(make_completed("wrun_whole", steps=3).events)
    world.sqlite.execute("DELETE FROM events WHERE run_id = 'wrun_damaged' AND seq = 1")
    query = "SELECT run_id, status, steps FROM past.runs WHERE run_id IN ('wrun_damaged', 'wrun_whole') ORDER BY run_id"
    assert ask(world, query) == [("wrun_damaged", "completed", 2), ("wrun_whole", "completed", 3)]


def test_chunks_and_logs_of_a_run_are_there(world: WorldFile) -> None:
    world.sqlite.execute(
        "INSERT INTO chunks VALUES ('wrun_1', 'default', 0, 5, x'00'), ('wrun_1', 'default', 1, 6, NULL)"
    )
    world.sqlite.execute("INSERT INTO chunks VALUES ('wrun_1', '$answer:1', 0, 5, x'00')")
    world.sqlite.execute("INSERT INTO logs VALUES ('wrun_1', 1, 1, 0, 5, x'0000')")
    assert ask(world, "SELECT name, place, payload_bytes FROM past.chunks ORDER BY place") == [
        ("default", 0, 1),
        ("default", 1, None),
    ]
    assert ask(world, "SELECT correlation_id, attempt, payload_bytes FROM past.logs") == [(1, 1, 2)]


def test_a_place_that_the_feed_has_dropped_is_no_loss(world: WorldFile, monkeypatch: pytest.MonkeyPatch) -> None:
    count(world)
    monkeypatch.setattr(sqlite_connection, "CHANGES_KEPT", 3)
    for number in range(10, 20):
        world.write(make_completed(f"wrun_{number}").events)
    world.delete("wrun_1")
    owner = Connection(world.path, "process")
    owner.open()
    owner.checkpoint()
    owner.close()
    assert world.sqlite.execute("SELECT count(*) FROM changes").fetchone() == (3,)
    assert count(world)["runs"] == 14
    assert ask(world, "SELECT count(*) FROM past.runs WHERE run_id = 'wrun_1'") == [(0,)]


# -- it is disposable ------------------------------------------------------------------------------


def spoil_content(path: Path) -> None:
    path.write_bytes(b"this is no database" * 1000)


def truncate(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def flip_bytes(path: Path) -> None:
    data = bytearray(path.read_bytes())
    for place in range(0, len(data), 97):
        data[place] ^= 0xFF
    path.write_bytes(data)


def make_older(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("UPDATE place SET place = replace(place, '\"version\":', '\"version\":9')")


def lose_place(path: Path) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute("DELETE FROM place")


@pytest.mark.parametrize("spoil", [Path.unlink, spoil_content, truncate, flip_bytes, make_older, lose_place])
def test_a_file_with_which_something_is_wrong_is_made_anew(world: WorldFile, spoil: Any) -> None:
    before = count(world)
    spoil(mirror_path(world.path))
    assert count(world) == before
    assert read_file(world, "SELECT count(*) FROM runs") == [(5,)]


def test_the_file_of_another_world_is_made_anew(world: WorldFile, tmp_path: Path) -> None:
    count(world)
    other = WorldFile(tmp_path / "other.db")
    for number in range(7):
        other.write(make_completed(f"wrun_other_{number}").events)
    shutil.copy(mirror_path(world.path), mirror_path(other.path))
    assert ask(other, "SELECT count(*) FROM past.runs WHERE run_id LIKE 'wrun_other_%'") == [(7,)]
    assert count(other)["runs"] == 7
    other.close()


def test_a_world_that_was_put_back_to_an_older_state_is_mirrored_anew(world: WorldFile, tmp_path: Path) -> None:
    world.sqlite.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    backup = world.path.read_bytes()
    world.write(make_completed("wrun_late").events)
    assert count(world)["runs"] == 6
    world.close()
    for suffix in ("-wal", "-shm"):
        Path(f"{world.path}{suffix}").unlink(missing_ok=True)
    world.path.write_bytes(backup)  # the same inode
    world.sqlite = WorldFile(world.path).sqlite
    world.write(make_completed("wrun_instead", steps=0).events)
    assert ask(world, "SELECT run_id FROM past.runs WHERE run_id IN ('wrun_late', 'wrun_instead')") == [
        ("wrun_instead",)
    ]


def test_the_files_are_as_private_as_the_world(world: WorldFile) -> None:
    mask = os.umask(0)
    try:
        count(world)
    finally:
        os.umask(mask)
    for path in (mirror_path(world.path), Path(f"{mirror_path(world.path)}.lock")):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_world_that_is_none_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    with pytest.raises(WorldError, match="cannot be opened"):
        History(path)
    path.write_bytes(b"")
    with pytest.raises(WorldError, match="is not a world"):
        History(path)
    assert not mirror_path(path).exists()


# -- several at once -------------------------------------------------------------------------------


@pytest.mark.usefixtures("eager")
def test_while_somebody_reads_the_file_others_read_the_news_from_the_world(world: WorldFile) -> None:
    with History(world.path) as first:
        world.write(make_completed("wrun_new").events)
        with History(world.path) as second:
            assert second.connection.execute("SELECT count(*) FROM past.runs").fetchall() == [(6,)]
        assert first.connection.execute("SELECT count(*) FROM past.runs").fetchall() == [(5,)]
    assert read_file(world, "SELECT count(*) FROM runs") == [(5,)]
    assert count(world)["runs"] == 6
    assert read_file(world, "SELECT count(*) FROM runs") == [(6,)]


def test_who_comes_while_the_file_is_written_waits_for_it(world: WorldFile) -> None:
    count(world)
    writer = Lock(mirror_path(world.path))
    assert writer.try_to_write()
    found: list[int] = []
    reading = threading.Thread(target=lambda: found.append(count(world)["runs"]))
    reading.start()
    assert found == []
    writer.close()
    reading.join(30)
    assert found == [5]


def test_who_waits_too_long_for_the_lock_is_told(tmp_path: Path) -> None:
    path = tmp_path / "world.db.history"
    holder, other = Lock(path), Lock(path, patience_seconds=0.05)
    assert holder.write()
    with pytest.raises(WorldBusy, match=r"another process has held .*world\.db\.history\.lock for 0\.05 s"):
        other.share()
    assert not other.try_to_write()
    holder.close()
    other.share()
    other.close()


PROGRAM = """
    import os, signal, sys
    from pathlib import Path
    from wfstudio.history import mirror, staging
    from wfstudio.history.mirror import History

    mirror.FAR_BEHIND, staging.PAGE = 0, 2
    stop, load, calls = int(sys.argv[2]), mirror._load, 0

    def load_and_die(*args, **kwargs):
        global calls
        load(*args, **kwargs)
        calls += 1
        if calls == stop:
            os.kill(os.getpid(), signal.SIGKILL)

    mirror._load = load_and_die
    History(Path(sys.argv[1])).close()
"""


@pytest.mark.parametrize("has_file", [False, True], ids=["making it", "going on"])
@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_a_writer_that_is_killed_costs_a_rebuild_at_most(world: WorldFile, stop: int, has_file: bool) -> None:
    if has_file:
        count(world)
        for number in range(10, 18):
            world.write(make_completed(f"wrun_{number}").events)
    else:
        for number in range(10, 13):
            world.write(make_completed(f"wrun_{number}").events)
    expected = 13 if has_file else 8
    program = [sys.executable, "-c", textwrap.dedent(PROGRAM), str(world.path), str(stop)]
    assert subprocess.run(program, timeout=60).returncode == -signal.SIGKILL
    assert count(world) == {
        "runs": expected, "steps": 2 * expected, "attempts": 2 * expected, "hooks": 0, "waits": 0,
        "events": 7 * expected, "chunks": 0, "logs": 0,
    }  # fmt: skip


# -- the feed that it reads ------------------------------------------------------------------------


def test_the_feed_names_runs_that_changed_and_those_that_are_gone(world: WorldFile) -> None:
    feed = SqliteFeed(world.path)
    try:
        mark = feed.mark()
        assert feed.changed_since(mark) == []
        world.write(make_completed("wrun_new").events)
        world.delete("wrun_0")
        assert feed.changed_since(mark) == [1, 6]
        assert feed.count_changes(mark) == 2
        assert feed.changed_since(Mark(0, 0)) == [1, 2, 3, 4, 5, 6]
        assert [row[1] for row in feed.read_runs([1, 2, 6])] == ["wrun_1", "wrun_new"]
    finally:
        feed.close()


def test_the_feed_of_a_newer_world_is_refused(world: WorldFile) -> None:
    world.sqlite.execute("PRAGMA user_version = 99")
    with pytest.raises(WorldError, match=r"written by a newer wf \(schema version 99\)"):
        SqliteFeed(world.path)
