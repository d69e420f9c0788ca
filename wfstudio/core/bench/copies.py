"""Copies: forks of this process, which is single-threaded, so that a copy is in the state that it is in.

A copy ends without anything of the interpreter's end: no `finally` of the user's runs, nothing is flushed.
"""

from __future__ import annotations

import contextlib
import os
import resource
import select
import signal
import sys
import time
import warnings
from collections.abc import Callable
from typing import Final

from wfstudio.core.parentage import die_with_parent

_LENGTH: Final = 8
_PIECE: Final = 1 << 16
_MEMORY: Final = 1 << 30


def fork_quietly() -> int:
    """Fork, as `os.fork` does. Threads that the user's modules started are not in the copy; it needs none."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def ask_copy(act: Callable[[], bytes], seconds: float) -> bytes | None:
    """Do something in a copy of this process and give what it gives; None where it came to no end in time."""
    reading, writing = os.pipe()
    pid = fork_quietly()
    if pid == 0:
        _be_a_copy(act, writing)
    os.close(writing)
    try:
        data = _read_until(reading, time.monotonic() + seconds)
    finally:
        os.close(reading)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)  # one that is done has written all and has nothing left to do
        os.waitpid(pid, 0)
    return data or None


def _be_a_copy(act: Callable[[], bytes], writing: int) -> None:
    try:
        die_with_parent()
        _limit_memory()
        answer = act()
        data = memoryview(len(answer).to_bytes(_LENGTH, "big") + answer)
        while data:
            data = data[os.write(writing, data) :]
    finally:
        os._exit(0)


def _read_until(reading: int, deadline: float) -> bytes:
    """Read an answer that begins with its length; nothing where it does not come whole."""
    found = bytearray()
    while len(found) < _LENGTH or len(found) < _LENGTH + int.from_bytes(found[:_LENGTH], "big"):
        left = deadline - time.monotonic()
        ready, _, _ = select.select([reading], [], [], max(left, 0))
        piece = os.read(reading, _PIECE) if ready else b""
        if not piece:
            return b""
        found += piece
    return bytes(found[_LENGTH:])


def _limit_memory() -> None:
    """Let a copy have a gigabyte more than it has: a `__repr__` that wants all there is gets a MemoryError."""
    if sys.platform != "linux":
        return
    with open("/proc/self/statm", "rb") as file:
        pages = int(file.read().split()[0])
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _MEMORY, resource.RLIM_INFINITY))
