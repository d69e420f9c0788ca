"""Processes are told apart from those that had their pid before."""

from __future__ import annotations

import errno
import os
import subprocess
import sys

import pytest

from wf.worlds.process import is_process_alive, process_token

has_proc = pytest.mark.skipif(not os.path.exists("/proc/self/stat"), reason="needs /proc")


def test_this_process_is_alive() -> None:
    assert process_token() == process_token(os.getpid())
    assert process_token().startswith(f"{os.getpid()}:")
    assert is_process_alive(process_token())


@has_proc
def test_another_start_time_is_another_process() -> None:
    pid, _, started = process_token().partition(":")
    assert not is_process_alive(f"{pid}:{int(started) + 1}")


def test_a_process_that_ended_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    token = process_token(child.pid)
    assert is_process_alive(token)
    child.communicate(b"\n")
    assert not is_process_alive(token)
    assert not is_process_alive(process_token(child.pid))


@has_proc
def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "print(input())"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    token = process_token(child.pid)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.write(b"bye\n")
    child.stdin.close()
    assert child.stdout.read() == b"bye\n"
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)  # dead, and not yet reaped
    assert not is_process_alive(token)
    child.stdout.close()
    child.wait()


def test_a_process_lives_though_no_descriptor_is_left_to_look_at_it_closely(monkeypatch: pytest.MonkeyPatch) -> None:
    """Or a worker's leases would be taken from it, because somebody else has too many files open."""
    token = process_token()

    def refuse(*_: object) -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with monkeypatch.context() as poor:
        poor.setattr("builtins.open", refuse)
        assert is_process_alive(token)
        assert not is_process_alive("4194305:7")


@pytest.mark.parametrize("token", ["", ":", "0:1", "-1:5", "x:1", "99999999999999999999:1", "4194305:7"])
def test_a_name_that_is_none_is_nobodys(token: str) -> None:
    assert not is_process_alive(token)
