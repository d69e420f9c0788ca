"""The server file: private, whole, and never believed longer than its process lives."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from wf.settings import Settings
from wf.worlds.process import process_token
from wfstudio.core.server_file import (
    ServerFile,
    read_server_file,
    remove_server_file,
    server_file_path,
    write_server_file,
)

OURS = ServerFile(os.getpid(), process_token(), "http://127.0.0.1:4600", "secret", "2026-01-01T00:00:00.000000Z")


def test_what_was_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / ".wf" / "studio.json"
    write_server_file(path, OURS)
    assert read_server_file(path) == OURS
    assert [found.name for found in path.parent.iterdir()] == ["studio.json"]


def test_only_its_owner_can_read_it(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        path = tmp_path / ".wf" / "studio.json"
        write_server_file(path, OURS)
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_a_new_server_replaces_the_file_of_one_that_died(tmp_path: Path) -> None:
    path = tmp_path / "studio.json"
    path.write_text("{}")
    path.chmod(0o644)
    write_server_file(path, OURS)
    assert read_server_file(path) == OURS
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_file_whose_process_is_gone_is_none(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as other:
        theirs = msgspec.structs.replace(OURS, pid=other.pid, process=process_token(other.pid))
        path = tmp_path / "studio.json"
        write_server_file(path, theirs)
        assert read_server_file(path) == theirs
        other.communicate(b"\n")
    assert read_server_file(path) is None


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"pid": 1}', b"\xff\xfe", b"0" * 100_000])
def test_a_file_that_is_none_is_nobodys(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "studio.json"
    path.write_bytes(content)
    assert read_server_file(path) is None
    remove_server_file(path, OURS)
    assert path.exists(), "it is not ours to remove"


def test_no_file_is_no_server(tmp_path: Path) -> None:
    assert read_server_file(tmp_path / "studio.json") is None
    remove_server_file(tmp_path / "studio.json", OURS)


def test_a_server_that_leaves_late_keeps_the_next_ones_file(tmp_path: Path) -> None:
    path = tmp_path / "studio.json"
    theirs = msgspec.structs.replace(OURS, process="1:1")
    write_server_file(path, OURS)
    remove_server_file(path, theirs)
    assert read_server_file(path) == OURS
    remove_server_file(path, OURS)
    assert not path.exists()


def test_it_lies_beside_the_world(tmp_path: Path) -> None:
    def place(world: str) -> str:
        return server_file_path(Settings(root=tmp_path, world=world)).relative_to(tmp_path).as_posix()

    assert place("sqlite:///.wf/world.db") == ".wf/studio.json"
    assert place("sqlite:///data/orders.db") == "data/orders.db.studio.json"
    assert place("memory://") == ".wf/studio.json"
