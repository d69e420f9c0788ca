"""A world survives the death of its process and the faults of its disk: what was acknowledged is there."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wf.worlds.acts import T0, claim, hello
from wf.world import World
from wf.worlds.sqlite import SqliteWorld

ROOT = Path(__file__).parents[3]
CHILD = [sys.executable, str(Path(__file__).with_name("crash_child.py"))]

pytestmark = pytest.mark.crash


def can_trace() -> bool:
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True).returncode == 0


needs_strace = pytest.mark.skipif(not can_trace(), reason="needs strace")


def run_child(path: Path, durability: str, commits: int, *fault: str) -> tuple[int, list[list[str]]]:
    """Run the writer, under strace if a fault is to be injected; give its exit code and its acks."""
    trace = ["strace", "-f", "-qq", "-o", "/dev/null", *fault] if fault else []
    done = subprocess.run(
        [*trace, *CHILD, str(path), durability, str(commits)],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'runtime'}"},
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [line.split() for line in done.stdout.splitlines(keepends=True) if line.endswith("\n")]


async def check(path: Path, acks: list[list[str]]) -> None:
    """Open what is left and compare it with what was acknowledged: a prefix, whole, nothing twice."""
    said = {words[0]: words[1:] for words in acks}
    acked_seq = int(said["committed"][0]) if "committed" in said else 1
    world = SqliteWorld(path, "process")
    await world.open()
    try:
        run = await world.get_run("r1")
        if run is None:
            assert "created" not in said
            return
        events = await world.read_events("r1", 0, 10_000)
        assert [event.seq for event in events] == list(range(1, run.seq + 1))
        assert run.seq in (acked_seq, acked_seq + 2), "the acknowledged, and at most the one on its way"
        assert run.head == events[-1].link
        assert len(await world.list_waits("r1")) == (run.seq - 1) // 2
        if "claimed" in said:
            assert run.epoch >= int(said["claimed"][0])
        await world.open_worker(hello("w2"))
        assert await claim(world, "w2") == ["r1"], "the dead process's lease is free at once"
        sent = [int(words[1]) for words in acks if words[0] == "sent"]
        inbox = [message.correlation_id for message in await world.read_inbox("w2", ["r1"], 0)]
        assert inbox[: len(sent)] == sent
        assert len(inbox) <= len(sent) + 1
        assert len(set(inbox)) == len(inbox)
    finally:
        await world.close()
    with sqlite3.connect(path) as file:
        assert file.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file.close()


async def test_an_undisturbed_child_acknowledges_everything(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    code, acks = run_child(path, "power", 3)
    assert (code, acks[-1]) == (0, ["closed"])
    assert [words[0] for words in acks] == ["open", "created", "claimed", *["committed", "sent"] * 3, "closed"]
    await check(path, acks)


@pytest.mark.parametrize("durability", ["power", "process"])
async def test_what_was_acknowledged_survives_kill_9_between_commits(tmp_path: Path, durability: str) -> None:
    path = tmp_path / "world.db"
    child = subprocess.Popen(
        [*CHILD, str(path), durability, "100000"],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'runtime'}"},
    )
    assert child.stdout is not None
    acks: list[list[str]] = []
    for line in child.stdout:
        if line.endswith("\n"):  # one that the kill cut off is no acknowledgement
            acks.append(line.split())
        if len(acks) == 200:
            os.kill(child.pid, signal.SIGKILL)
    child.stdout.close()
    assert child.wait() == -signal.SIGKILL
    await check(path, acks)


@needs_strace
@pytest.mark.parametrize("call", ["fdatasync", "pwrite64"])
@pytest.mark.parametrize("when", [1, 2, 3, 5, 8, 12, 17])
async def test_kill_9_in_the_middle_of_a_write_leaves_a_whole_world(tmp_path: Path, call: str, when: int) -> None:
    """The first of these hit the making of the file and of its schema, the later ones commits."""
    path = tmp_path / "world.db"
    code, acks = run_child(path, "power", 12, "-e", f"trace={call}", "-e", f"inject={call}:signal=SIGKILL:when={when}")
    assert code != 0
    await check(path, acks)


@needs_strace
@pytest.mark.parametrize("when", range(3, 12))
async def test_a_failing_fsync_is_no_answer_and_a_retry_makes_it_one(tmp_path: Path, when: int) -> None:
    path = tmp_path / "world.db"
    code, acks = run_child(path, "power", 6, "-e", "trace=fdatasync", "-e", f"inject=fdatasync:error=EIO:when={when}")
    assert code == 0, acks
    assert acks[-1] == ["closed"]
    assert [words[0] for words in acks].count("failed") <= 2  # strace counts the calls of each thread
    assert [words for words in acks if words[0] == "committed"] == [["committed", str(seq)] for seq in range(3, 14, 2)]
    await check(path, acks)


@needs_strace
@pytest.mark.parametrize("when", range(20, 60, 7))
async def test_a_disk_without_space_is_named_and_a_retry_succeeds(tmp_path: Path, when: int) -> None:
    path = tmp_path / "world.db"
    code, acks = run_child(path, "power", 3, "-e", "trace=pwrite64", "-e", f"inject=pwrite64:error=ENOSPC:when={when}")
    assert code == 0, acks
    assert {words[2] for words in acks if words[0] == "failed"} == {"StorageFull"}
    await check(path, acks)


FULL = """
import asyncio, resource, sys
from pathlib import Path
from tests.wf.worlds.acts import T0, claim_all, hello, new_run
from wf.errors import StorageFull
from wf.world import RunFilter
from wf.worlds.sqlite import SqliteWorld
import msgspec

async def main():
    world = SqliteWorld(sys.argv[1], "process")
    await world.open()
    await world.create_run(new_run("r1"))
    await world.open_worker(hello("w1"))
    owner = (await claim_all(world))["r1"]
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, hard))  # a write beyond gives EFBIG
    refused = None
    for _ in range(50):
        append = owner.append()
        append.events[0] = msgspec.structs.replace(append.events[0], payload=bytes(20_000))
        try:
            outcome = await world.commit([append])
        except StorageFull as error:
            refused = error
            break
        assert outcome == ["applied"]
        owner.seq += 1
    assert refused is not None, "it was never full"
    print(refused)
    run = await world.get_run("r1")
    assert run.seq == owner.seq, "nothing of what was refused was written"
    assert len(await world.read_events("r1", 0, 1000)) == run.seq, "reads go on"
    assert len(await world.list_runs(RunFilter())) == 1
    try:
        await world.create_run(new_run("r2"))
    except StorageFull:
        pass
    assert await world.read_inbox("w1", ["r1"], 0) == []
    resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert await world.commit([append]) == ["applied"], "it goes on by itself when there is space"
    await world.create_run(new_run("r3"))
    await world.close()

asyncio.run(main())
"""


def test_a_file_that_may_not_grow_refuses_writes_and_goes_on_when_it_may(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "world.db")],
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{ROOT / 'runtime'}"},
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"no space is left for the world {tmp_path}/world.db (SQLITE_")


# -- leases across a restart


async def leave_open(path: Path) -> SqliteWorld:
    world = SqliteWorld(path, "process")
    await world.open()
    return world


async def test_a_lease_of_a_living_process_outlives_the_worlds_restart(tmp_path: Path) -> None:
    path = tmp_path / "world.db"
    code, _ = run_child(path, "process", 1)
    assert code == 0
    # The child closed its world and not its worker; its process is gone, ours is alive.
    world: World = await leave_open(path)
    await world.open_worker(hello("w2"))
    assert await claim(world, "w2") == ["r1"]
    await world.close()
    world = await leave_open(path)
    run = await world.get_run("r1")
    assert run is not None
    assert run.owner == "w2"
    assert await world.heartbeat("w2") is True
    await world.open_worker(hello("w3"))
    assert (await world.claim("w3", T0, 10)).claimed == []
    await world.close()
