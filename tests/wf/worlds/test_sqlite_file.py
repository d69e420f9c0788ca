"""The file of an SQLite world: safe settings, private, ours, of a version we know, and never replaced in silence."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest

from tests.wf.worlds.acts import T0, ManualTime, Owner, claim, claim_all, hello, new_run, own, send
from wf.errors import StorageFull, WorldBusy, WorldError
from wf.world import LEASE_SECONDS, Message, RunFilter
from wf.worlds.sqlite import SqliteWorld, files
from wf.worlds.sqlite.connection import APPLICATION_ID, MIGRATIONS, Connection

ROOT = Path(__file__).parents[3]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "world.db"


async def opened(path: Path, durability: str = "process", **more: Any) -> SqliteWorld:
    world = SqliteWorld(path, durability, **more)
    await world.open()
    return world


async def refusal(path: Path) -> WorldError:
    with pytest.raises(WorldError) as caught:
        await opened(path)
    return caught.value


def pragma(world: SqliteWorld, name: str) -> Any:
    return world._core.connection.cursor().execute(f"PRAGMA {name}").fetchone()[0]


# -- opening


@pytest.mark.parametrize(("durability", "synchronous"), [("power", 2), ("process", 1)])
async def test_every_setting_that_durability_rests_on_is_in_force(
    path: Path, durability: str, synchronous: int
) -> None:
    world = await opened(path, durability)
    expected = {
        "journal_mode": "wal",
        "synchronous": synchronous,
        "busy_timeout": 5000,
        "foreign_keys": 1,
        "wal_autocheckpoint": 0,
        "journal_size_limit": 64 << 20,
        "mmap_size": 0,
        "trusted_schema": 0,
        "cell_size_check": 1,
        "secure_delete": 2,
        "temp_store": 2,
        "application_id": APPLICATION_ID,
        "user_version": MIGRATIONS[-1][0],
    }
    assert {name: pragma(world, name) for name in expected} == expected
    assert world.durability == durability
    assert world.url == f"sqlite:///{path}"
    await world.close()


def test_durability_is_one_of_two_words(path: Path) -> None:
    with pytest.raises(ValueError, match='durability is "power" or "process", not \'fast\''):
        SqliteWorld(path, "fast")


async def test_files_and_folders_are_made_private(tmp_path: Path) -> None:
    umask = os.umask(0)
    try:
        path = tmp_path / "new" / "folder" / "world.db"
        world = await opened(path)
        await world.create_run(new_run("r1"))
        await world.list_runs(RunFilter())
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        assert modes == {"world.db": 0o600, "world.db-wal": 0o600, "world.db-shm": 0o600}
        assert [stat.S_IMODE(folder.stat().st_mode) for folder in (path.parent, path.parent.parent)] == [0o700] * 2
        await world.close()
    finally:
        os.umask(umask)


async def test_what_was_written_is_there_after_a_reopen(path: Path) -> None:
    world = await opened(path)
    owner = await own(world)
    await owner.commit(events=3)
    await send(world, "r1")
    before = await world.get_run("r1")
    await world.close()
    assert sorted(file.name for file in path.parent.iterdir()) == ["world.db"], "close leaves one file"
    world = await opened(path)
    assert await world.get_run("r1") == before
    assert len(await world.read_events("r1")) == 4
    assert await Owner(world, "w1", owner.claimed).inbox() == [("hook_payload", None, None)]
    await world.close()


async def test_a_path_may_hold_any_character(tmp_path: Path) -> None:
    path = tmp_path / "a b%20?x=1#y" / "wörld.db"
    world = await opened(path)
    await world.create_run(new_run("r1"))
    assert len(await world.list_runs(RunFilter())) == 1
    await world.close()
    assert path.exists()


async def test_a_world_that_is_not_open_yet_refuses_calls(path: Path) -> None:
    world = SqliteWorld(path)
    with pytest.raises(WorldError, match="is closed"):
        await world.get_run("r1")
    assert not path.exists()
    await world.close()


# -- what is refused


async def test_a_world_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    await (await opened(path)).close()
    with sqlite3.connect(path) as file:
        file.execute("PRAGMA user_version = 99")
    file.close()
    before = path.read_bytes()
    error = await refusal(path)
    assert str(error) == (
        f"the world {path} was written by a newer wf (schema version 99; this one knows {MIGRATIONS[-1][0]})"
    )
    assert error.hint == "upgrade wf, or name another world"
    assert path.read_bytes() == before


async def test_the_file_of_another_program_is_refused_and_left_alone(path: Path) -> None:
    with sqlite3.connect(path) as file:
        file.execute("CREATE TABLE precious (x)")
    file.close()
    before = path.read_bytes()
    error = await refusal(path)
    assert str(error) == f"{path} is not a world: it is the SQLite file of another program"
    assert path.read_bytes() == before
    assert [each.name for each in path.parent.iterdir()] == [path.name]


async def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path) -> None:
    path.write_bytes(b"dear diary\n" * 500)
    error = await refusal(path)
    assert str(error) == f"{path} is not a world: it is no SQLite file (SQLITE_NOTADB)"
    assert path.read_bytes() == b"dear diary\n" * 500


async def test_a_folder_is_refused(path: Path) -> None:
    path.mkdir()
    assert str(await refusal(path)) == f"the world {path} is a folder, not a file"


async def test_a_place_where_nothing_can_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    error = await refusal(tmp_path / "file" / "world.db")
    assert str(error).startswith(f"the world {tmp_path}/file/world.db cannot be created: ")
    assert error.hint


READ_ONLY = """
import asyncio, os, sys
from wf.errors import WorldError
from wf.worlds.sqlite import SqliteWorld

async def main():
    try:
        await SqliteWorld(sys.argv[1]).open()
    except WorldError as error:
        print(error, error.hint, sep="\\n")

if os.geteuid() == 0:  # root may write anything
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
asyncio.run(main())
"""


async def test_a_read_only_file_is_refused_in_words() -> None:
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "world.db"
        await (await opened(path)).close()
        path.parent.chmod(0o755)
        path.chmod(0o444)
        done = subprocess.run(
            [sys.executable, "-c", READ_ONLY, str(path)],
            capture_output=True,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT / "runtime")},
        )
        assert done.stdout.replace("_DIRECTORY", "").splitlines() == [
            f"the world {path} is read-only (SQLITE_READONLY)",
            "give this user the right to write the file, its folder and the -wal and -shm beside it",
        ], done.stderr


MOUNTS = """\
22 1 8:1 / / rw,relatime shared:1 - ext4 /dev/sda1 rw
30 22 0:25 / /srv rw shared:2 - nfs4 server:/srv rw
31 30 8:2 / /srv/m/my\\040dísk rw - xfs /dev/sdb1 rw
32 22 0:30 / /mnt rw - tmpfs tmpfs rw
33 22 0:31 / /mnt rw - cifs //server/share rw
a line that is none
"""


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("/world.db", "ext4"),
        ("/srvly/world.db", "ext4"),
        ("/srv/m/world.db", "nfs4"),
        ("/srv/m/my dísk/world.db", "xfs"),
        ("/mnt/world.db", "cifs"),
    ],
)
def test_the_file_system_of_a_path_is_that_of_its_innermost_last_mount(file: str, kind: str) -> None:
    assert files.find_file_system(Path(file), MOUNTS) == kind


def test_a_network_file_system_is_refused() -> None:
    files.refuse_network(Path("/world.db"), MOUNTS)
    with pytest.raises(WorldError, match=r"the world /srv/world\.db is on a network file system \(nfs4\)") as caught:
        files.refuse_network(Path("/srv/world.db"), MOUNTS)
    assert caught.value.hint is not None


# -- what the process's `sqlite3` is told


def test_bytes_and_nothing_are_stored_as_they_are_by_everybody_in_the_process() -> None:
    connection = sqlite3.connect(":memory:")
    values = (b"", b"\0\xff", bytearray(b"x"), None, "", 0)
    kinds = connection.execute(f"SELECT {', '.join('typeof(?)' for _ in values)}", values).fetchone()
    assert kinds == ("blob", "blob", "blob", "null", "text", "integer")
    assert connection.execute("SELECT ?, ?, ?, ?, ?, ?", values).fetchone() == values
    connection.close()


def test_no_parameter_has_a_number() -> None:
    """Python 3.12.0 to 3.12.3 take `?1` for a name, and warn at each statement that is given a sequence."""
    for path in Path(files.__file__).parent.glob("*.py"):
        assert not re.search(r"= ?\?\d", path.read_text("utf-8")), path.name


def test_who_adapts_bytes_in_a_way_of_their_own_goes_on_doing_so() -> None:
    program = """
import sqlite3
mine = lambda value: value.hex()
sqlite3.register_adapter(bytes, mine)
import wf.worlds.sqlite
connection = sqlite3.connect(":memory:")
print(connection.execute("SELECT ?, ?", (b"wf", None)).fetchone())
connection.close()
"""
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("('7766', None)\n", "")


# -- migration


NEXT = (*MIGRATIONS, (MIGRATIONS[-1][0] + 1, "ALTER TABLE runs ADD COLUMN colour TEXT;"))
BROKEN = (*NEXT, (NEXT[-1][0] + 1, "CREATE TABLE half (x) STRICT; CREATE TABLE runs (x);"))


def version_of(path: Path) -> tuple[int, set[str]]:
    file = sqlite3.connect(path)
    version = file.execute("PRAGMA user_version").fetchone()[0]
    names = {name for (name,) in file.execute("SELECT name FROM pragma_table_info('runs')")}
    names |= {name for (name,) in file.execute("SELECT name FROM sqlite_master WHERE name = 'half'")}
    file.close()
    return version, names & {"run_id", "colour", "half"}


async def test_an_older_world_is_brought_up_to_date_with_its_runs(path: Path) -> None:
    world = await opened(path)
    await world.create_run(new_run("r1"))
    await world.close()
    connection = Connection(path, "process", migrations=NEXT)
    connection.open()
    assert connection.cursor().execute("SELECT run_id, colour FROM runs").fetchall() == [("r1", None)]
    connection.close()
    assert version_of(path) == (NEXT[-1][0], {"run_id", "colour"})


async def test_a_migration_that_fails_leaves_the_version_before_it(path: Path) -> None:
    await (await opened(path)).close()
    with pytest.raises(WorldError):
        Connection(path, "process", migrations=BROKEN).open()
    assert version_of(path) == (NEXT[-1][0], {"run_id", "colour"}), "the one before it is done, of this one nothing"


async def test_a_world_is_made_whole_or_not_at_all(path: Path) -> None:
    with pytest.raises(WorldError):
        Connection(path, "process", migrations=((1, "CREATE TABLE half (x) STRICT; nonsense;"),)).open()
    assert version_of(path) == (0, set())
    world = await opened(path)
    assert await world.list_runs(RunFilter()) == []
    await world.close()


# -- trouble while it is open


async def test_a_world_that_was_deleted_under_us_is_not_made_anew(path: Path) -> None:
    world = await opened(path)
    await world.create_run(new_run("r1"))
    for file in path.parent.iterdir():
        file.unlink()
    world._core.connection._look_again_at = 0.0  # it looks once a second
    with pytest.raises(WorldError, match=f"the world {path} was deleted or replaced while it was open"):
        await world.create_run(new_run("r2"))
    assert not path.exists()
    await world.close()
    assert not path.exists()


async def test_a_frozen_world_is_read_whole_and_touches_nothing(path: Path, tmp_path: Path) -> None:
    world = await opened(path)
    owner = await own(world, "r1")
    await owner.commit(events=300)
    other = tmp_path / "copy"
    other.mkdir()
    for name in (path.name, f"{path.name}-wal"):  # all is in the WAL
        shutil.copy(path.with_name(name), other / name)
    await world.close()
    before = {file.name: file.read_bytes() for file in other.iterdir()}
    frozen = await opened(other / path.name, is_frozen=True)
    assert [run.owner for run in await frozen.list_runs(RunFilter())] == ["w1"]
    assert len(await frozen.read_events("r1")) == 301
    for refused in (frozen.create_run(new_run("r2")), frozen.heartbeat("w1"), frozen.send("r1", Message("wake", T0))):
        with pytest.raises(StorageFull, match="no space is left for the world"):
            await refused
    assert {file.name: file.read_bytes() for file in other.iterdir()} == before
    await frozen.close()


async def test_a_full_disk_refuses_writes_and_only_those(path: Path) -> None:
    world = await opened(path)
    owner = await own(world)
    pages = pragma(world, "page_count")
    pragma(world, f"max_page_count = {pages}")
    with pytest.raises(StorageFull, match=r"no space is left for the world .* \(SQLITE_FULL\)") as caught:
        while True:
            await owner.commit(events=20)
    assert caught.value.hint is not None
    run = await world.get_run("r1")
    assert run is not None
    assert run.seq == owner.seq == len(await world.read_events("r1", 0, 10_000))
    pragma(world, "max_page_count = 1000000")
    await owner.commit(events=20)
    await world.close()


HOLD = """
import sqlite3, sys
file = sqlite3.connect(sys.argv[1], isolation_level=None)
file.execute("BEGIN IMMEDIATE")
print("held", flush=True)
input()
file.execute("ROLLBACK")
print("free", flush=True)
input()
"""


def hold(path: Path) -> subprocess.Popen[str]:
    """Have another process hold the file for writing, until it is given a line."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert child.stdout is not None
    assert child.stdout.readline() == "held\n"
    return child


async def test_another_process_that_holds_the_file_makes_writers_wait_and_then_fail(path: Path) -> None:
    world = await opened(path, busy_timeout_ms=150)
    owner = await own(world)
    with hold(path) as child:
        with pytest.raises(WorldBusy, match=rf"another process holds the world {path} and did not let go in time"):
            await owner.commit()
        with pytest.raises(WorldBusy):
            await world.create_run(new_run("r2"))
        assert await world.get_run("r1") is not None, "reads go on"
        assert child.stdin is not None
        print(file=child.stdin, flush=True)
        assert child.stdout is not None
        assert child.stdout.readline() == "free\n"
        await owner.commit()
        assert (await world.create_run(new_run("r2"))).is_new
        print(file=child.stdin, flush=True)
    await world.close()


async def test_a_writer_that_waits_for_another_process_does_not_hold_its_loop_up(path: Path) -> None:
    world = await opened(path)
    owner = await own(world)
    with hold(path) as child:
        waiting = [asyncio.create_task(owner.commit()), asyncio.create_task(world.create_run(new_run("r2")))]
        turns = 0
        while turns < 50:  # the loop turns while both wait
            await asyncio.sleep(0)
            turns += 1
        assert not any(task.done() for task in waiting)
        assert child.stdin is not None
        print(file=child.stdin, flush=True)
        await asyncio.gather(*waiting)
        print(file=child.stdin, flush=True)
    assert owner.seq == 2
    await world.close()


# -- leases across a restart


async def test_leases_of_processes_that_are_gone_are_free_at_once(path: Path) -> None:
    world = await opened(path)
    await world.open_worker(hello("dead", process="4194305:7"))
    await world.open_worker(hello("alive"))
    await world.create_run(new_run("r1"))
    await claim_all(world, "dead")
    await world.create_run(new_run("r2"))
    await claim_all(world, "alive")
    await world.close()
    world = await opened(path)
    owners = {run.run_id: run.owner for run in await world.list_runs(RunFilter())}
    assert owners == {"r1": None, "r2": "alive"}
    await world.open_worker(hello("next"))
    assert await claim(world, "next") == ["r1"]
    assert await world.heartbeat("dead") is False
    assert await world.heartbeat("alive") is True
    await world.close()


async def test_a_living_workers_leases_are_kept_for_their_time_from_the_restart(path: Path, time: ManualTime) -> None:
    world = await opened(path, monotonic=time)
    owner = await own(world, worker_id="w1")
    await world.close()
    time.pass_by(LEASE_SECONDS * 5)
    world = await opened(path, monotonic=time)
    owner.world = world
    await world.open_worker(hello("w2"))
    time.pass_by(LEASE_SECONDS * 0.9)
    await owner.commit()
    await world.heartbeat("w2")
    time.pass_by(LEASE_SECONDS * 0.9)
    assert await claim(world, "w2") == []
    time.pass_by(LEASE_SECONDS * 0.5)
    assert await claim(world, "w2") == ["r1"]
    await world.close()


async def test_a_thousand_runs_of_a_dead_worker_are_owned_again_in_one_claim(path: Path) -> None:
    world = await opened(path)
    await world.open_worker(hello("dead", process="4194305:7"))
    for number in range(1000):
        await world.create_run(new_run(f"r{number}"))
    assert len(await claim_all(world, "dead")) == 1000
    await world.close()
    world = await opened(path)
    await world.open_worker(hello("w1"))
    claims = await world.claim("w1", T0, 1000)
    assert [claimed.run.run_id for claimed in claims.claimed] == [f"r{number}" for number in range(1000)]
    await world.close()
