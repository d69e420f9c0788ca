"""The lock file: one owner at a time, whatever becomes of the one before."""

from __future__ import annotations

import errno
import os
import signal
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from wf.errors import StorageFull, WorldError
from wf.worlds import lockfile
from wf.worlds.lockfile import Holder, read_holder, try_acquire
from wf.worlds.process import process_token

RUNTIME = Path(lockfile.__file__).parents[2]


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "world.db")


def test_a_full_disk_keeps_nobody_from_the_lock(path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(fd: int, content: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "write", write)
        lock = try_acquire(path)
        assert lock is not None
        assert try_acquire(path) is None
        with pytest.raises(StorageFull):  # who serves must be found
            lock.publish("unix:/tmp/socket")
    assert read_holder(path) is None
    lock.release()


class Program:
    """A process that does something and then waits until it is killed. It says one line first."""

    def __init__(self, source: str, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", source, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        )
        assert self.process.stdout is not None
        self.said = self.process.stdout.readline().strip()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def close(self) -> None:
        self.kill()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()


@pytest.fixture
def programs() -> Iterator[list[Program]]:
    started: list[Program] = []
    yield started
    for program in started:
        program.close()


HOLD = """
import sys
from wf.worlds.lockfile import try_acquire
lock = try_acquire(sys.argv[1])
lock.publish("unix:/nowhere")
print("held", flush=True)
sys.stdin.read()
"""


def test_a_held_world_cannot_be_acquired_again_not_even_by_its_own_process(path: str) -> None:
    lock = try_acquire(path)
    assert lock is not None
    assert try_acquire(path) is None
    lock.release()
    again = try_acquire(path)
    assert again is not None
    again.release()


def test_the_holder_says_who_it_is_and_where_it_answers(path: str) -> None:
    lock = try_acquire(path, "sqlite:///x")
    assert lock is not None
    assert read_holder(path) == Holder(os.getpid(), process_token(), None, "sqlite:///x")
    lock.publish("unix:/somewhere/world.db.sock")
    assert read_holder(path) == Holder(os.getpid(), process_token(), "unix:/somewhere/world.db.sock", "sqlite:///x")
    lock.publish(None)
    assert read_holder(path) == Holder(os.getpid(), process_token(), None, "sqlite:///x")
    lock.release()
    assert read_holder(path) is None


def test_releasing_twice_is_harmless(path: str) -> None:
    lock = try_acquire(path)
    assert lock is not None
    lock.release()
    other = try_acquire(path)
    assert other is not None
    lock.release()
    assert other.is_current()
    assert read_holder(path) is not None
    other.release()


def test_a_world_without_a_lock_file_is_held_by_nobody(path: str) -> None:
    assert read_holder(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"pid": "x"}', b"[]", b'{"pid":1,"process":"0:0"}'])
def test_content_that_says_nothing_names_nobody(path: str, content: bytes) -> None:
    Path(lockfile.lock_path(path)).write_bytes(content)
    assert read_holder(path) is None


def test_the_lock_of_a_killed_process_is_free_at_once_and_its_content_names_nobody(
    path: str, programs: list[Program]
) -> None:
    programs.append(Program(HOLD, path))
    holder = read_holder(path)
    assert holder is not None
    assert (holder.pid, holder.endpoint) == (programs[0].process.pid, "unix:/nowhere")
    assert try_acquire(path) is None
    programs[0].kill()
    assert read_holder(path) is None
    lock = try_acquire(path)
    assert lock is not None
    lock.release()


def test_a_forked_child_does_not_keep_the_lock_of_its_killed_parent(path: str, programs: list[Program]) -> None:
    source = """
import os, sys
from wf.worlds.lockfile import try_acquire
lock = try_acquire(sys.argv[1])
reader, writer = os.pipe()
child = os.fork()
if child == 0:
    os.write(writer, b"!")
    sys.stdin.read()  # outlives the parent: its end of the pipe is the test's
else:
    os.read(reader, 1)
    print(child, flush=True)
    sys.stdin.read()
"""
    programs.append(Program(source, path))
    child = int(programs[0].said)
    assert try_acquire(path) is None
    programs[0].kill()
    os.kill(child, 0)  # it is there
    lock = try_acquire(path)
    assert lock is not None
    lock.release()
    os.kill(child, signal.SIGKILL)


def test_a_child_that_is_spawned_does_not_inherit_the_lock(path: str, programs: list[Program]) -> None:
    source = """
import subprocess, sys
from wf.worlds.lockfile import try_acquire
lock = try_acquire(sys.argv[1])
child = subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], close_fds=False)
print(child.pid, flush=True)
sys.stdin.read()
"""
    programs.append(Program(source, path))
    programs[0].kill()
    lock = try_acquire(path)
    assert lock is not None
    lock.release()
    os.kill(int(programs[0].said), signal.SIGKILL)


def test_a_lock_file_that_was_removed_is_noticed_and_never_locked_twice(path: str) -> None:
    lock = try_acquire(path)
    assert lock is not None
    assert lock.is_current()
    os.unlink(lockfile.lock_path(path))
    assert not lock.is_current()
    successor = try_acquire(path)
    assert successor is not None
    assert successor.is_current()
    assert not lock.is_current()
    lock.release()
    assert successor.is_current()
    successor.release()


def test_the_lock_file_and_the_folders_made_for_it_are_private(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        lock = try_acquire(str(tmp_path / "made" / "for" / "world.db"))
    finally:
        os.umask(before)
    assert lock is not None
    assert stat.S_IMODE(os.stat(lock.path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(tmp_path / "made").st_mode) == 0o700
    assert stat.S_IMODE(os.stat(tmp_path / "made" / "for").st_mode) == 0o700
    lock.release()


def test_a_lock_file_that_others_could_read_is_made_private(path: str) -> None:
    file = Path(lockfile.lock_path(path))
    file.touch()
    file.chmod(0o644)
    lock = try_acquire(path)
    assert lock is not None
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    lock.release()


def test_a_lock_that_cannot_be_had_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WorldError, match=r"cannot lock the world: .*Not a directory"):
        try_acquire(str(tmp_path / "file" / "world.db"))
    (tmp_path / "world.db.lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(WorldError, match="cannot lock the world"):
        try_acquire(str(tmp_path / "world.db"))
    assert not (tmp_path / "elsewhere").exists()


def test_the_socket_lies_beside_the_world_unless_the_path_is_too_long_for_one() -> None:
    assert lockfile.socket_paths("/srv/app/.wf/world.db")[0] == "/srv/app/.wf/world.db.sock"
    long = "/srv/" + 20 * "folder/" + "world.db"
    [apart] = lockfile.socket_paths(long)
    assert os.path.dirname(apart) == lockfile.private_directory()
    assert len(os.fsencode(apart)) <= lockfile.SOCKET_PATH_LIMIT
    assert lockfile.socket_paths(long + "2") != [apart]


def test_no_place_for_a_socket_is_an_error_that_names_the_cure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", "/srv/" + 20 * "folder/")
    with pytest.raises(WorldError, match="no path short enough for a socket") as caught:
        lockfile.socket_paths("/srv/" + 20 * "folder/" + "world.db")
    assert caught.value.hint == "set TMPDIR to a shorter directory"


def test_the_private_directory_for_sockets_is_ours_or_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    lockfile.prepare_private_directory()
    directory = Path(lockfile.private_directory())
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.chmod(0o777)
    lockfile.prepare_private_directory()
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    directory.rmdir()
    (tmp_path / "theirs").mkdir()
    directory.symlink_to(tmp_path / "theirs")
    with pytest.raises(WorldError, match="not a directory of this user"):
        lockfile.prepare_private_directory()


def test_the_content_is_json_that_a_person_can_read(path: str) -> None:
    lock = try_acquire(path, "sqlite:///x")
    assert lock is not None
    content = msgspec.json.decode(Path(lock.path).read_bytes())
    assert sorted(content) == ["endpoint", "pid", "process", "url"]
    lock.release()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
def test_a_lock_file_of_another_user_is_not_believed(programs: list[Program]) -> None:
    source = """
import os, sys
from wf.errors import WorldError
from wf.worlds.lockfile import read_holder, try_acquire
os.setgid(65534); os.setuid(65534)
for function in (read_holder, try_acquire):
    try:
        print(function(sys.argv[1]), end=" ")
    except WorldError as error:
        print(error, end=" ")
print(flush=True)
"""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o777)
        path = os.path.join(folder, "world.db")
        Path(lockfile.lock_path(path)).touch()
        os.chmod(lockfile.lock_path(path), 0o666)
        programs.append(Program(source, path))
        assert programs[0].said == " ".join(2 * [f"the lock file '{path}.lock' belongs to another user"])
