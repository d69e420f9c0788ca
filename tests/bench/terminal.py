"""The terminal studio, as a person has it: a process in a terminal of its own, keys in, frames out.

A frame ends where the studio says so (mode 2026, "synchronized output"): what is measured is from a key until
the frame that it led to has arrived whole.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import pty
import re
import select
import signal
import sqlite3
import struct
import subprocess
import sys
import termios
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from statistics import median, quantiles
from typing import Final

import wf
from tests.bench import flows
from tests.bench.histories import FIRST_AT, INSERT_RUN, write_world
from tests.bench.reading import Reading
from wf.embedding import EmbeddedWorker
from wf.keys import Keyring
from wf.session import make_world
from wf.settings import load_settings

RUNS: Final = 100_000
CHANGES: Final = 500
CHANGES_PER_RUN: Final = 3
SETTLING_SECONDS: Final = 3.0
PATIENCE_SECONDS: Final = 30.0
_END_OF_FRAME: Final = b"\x1b[?2026l"
_ROW: Final = rb"order_\d|run_five"
_LETTERS: Final = "жющф"
_DOWN, _UP, _PAGE_DOWN, _PAGE_UP, _END, _HOME = b"j", b"k", b"\x1b[6~", b"\x1b[5~", b"G", b"g"


class Screen:
    """A running `wf tui`."""

    def __init__(self, popen: subprocess.Popen[bytes], number: int) -> None:
        self.popen = popen
        self._number = number
        self._output = b""

    def press(self, keys: bytes) -> None:
        os.write(self._number, keys)

    def read(self, seconds: float) -> bytes:
        """Give what comes within so long; b"" where nothing does."""
        if not select.select([self._number], [], [], seconds)[0]:
            return b""
        data = os.read(self._number, 1 << 20)
        if b"\x1b[?2026$p" in data:
            self.press(b"\x1b[?2026;2$y")  # yes, this terminal shows frames whole
        return data

    def wait_for(self, pattern: bytes) -> float:
        """Wait until it was written, and give when that was."""
        deadline = time.perf_counter() + PATIENCE_SECONDS
        while not re.search(pattern, self._output):
            if time.perf_counter() > deadline:
                raise AssertionError(f"waited in vain for {pattern!r}; last came {self._output[-300:]!r}")
            self._output += self.read(0.05)
        self._output = b""
        return time.perf_counter()

    def settle(self, seconds: float = 0.3) -> None:
        """Wait until nothing comes any more."""
        while self.read(seconds):
            pass

    def time_key(self, keys: bytes, sign: bytes = b"") -> float:
        """Press keys, and give the seconds until the frame that shows it is there whole."""
        while self.read(0):  # what is on its way belongs to something else
            pass
        began = time.perf_counter()
        self.press(keys)
        data = b""
        while _END_OF_FRAME not in data or sign not in data:
            if time.perf_counter() - began > PATIENCE_SECONDS:
                raise AssertionError(f"no frame came for {keys!r}")
            data += self.read(0.05)
        return time.perf_counter() - began


@contextmanager
def opened(columns: int = 160, lines: int = 50) -> Iterator[tuple[Screen, float]]:
    """Open `wf tui` over the world of the environment; give it, and when it was called."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
    began = time.perf_counter()
    popen = subprocess.Popen(
        [sys.executable, "-m", "wfstudio", "tui"],
        stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True,
        env={**os.environ, "TERM": "xterm-256color", "COLORTERM": "truecolor"},
    )  # fmt: skip
    os.close(theirs)
    try:
        yield Screen(popen, ours), began
    finally:
        if popen.poll() is None:
            os.killpg(popen.pid, signal.SIGKILL)
        popen.wait()
        os.close(ours)


async def measure_terminal(is_quick: bool) -> list[Reading]:
    """100 000 runs: the first rows, scrolling through them, and keys while 500 runs a second change."""
    settings = load_settings()
    world, keyring = make_world(settings, role="client")
    await world.close()
    path = settings.address.path
    assert path is not None
    count = 5_000 if is_quick else RUNS
    _write_runs(path, keyring, count)
    async with wf.worker() as worker:
        first = [1000 * await asyncio.to_thread(_time_first_paint) for _ in range(2 if is_quick else 5)]
        scrolls = await asyncio.to_thread(_time_scrolling, count, 20 if is_quick else 90)
        async with _updating(worker, 100 if is_quick else CHANGES) as changes:
            began, before = time.perf_counter(), len(changes)
            keys = await asyncio.to_thread(_time_keys, 20 if is_quick else 150)
            rate = (len(changes) - before) / (time.perf_counter() - began)
    return [
        Reading("tui-first-paint", median(first), len(first), f"{count} runs; from the call of the process on"),
        _read_p95("tui-scroll-p95", scrolls, f"{count} runs; by lines, pages and ends"),
        _read_p95("tui-input-under-updates", keys, f"{rate:.0f} changes/s; a letter in the prompt"),
    ]


def _write_runs(path: Path, keyring: Keyring, count: int) -> None:
    """Write completed runs: whole ones at both ends, where they are looked at, and rows without logs between."""
    ends = count // 20
    write_world(path, keyring, ends)
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("BEGIN")
    for number in range(ends, count - ends):
        at = FIRST_AT + number * 50_000
        row = (f"wrun_{number:026}", f"shop.flows:order_{number % 5}", at, at + 1_000, at + 20_000, 13, b"", 13, 900)
        file.execute(INSERT_RUN, row)
    file.execute("COMMIT")
    file.close()
    write_world(path, keyring, ends, first=count - ends, is_new=False)


def _read_p95(name: str, seconds: list[float], what: str) -> Reading:
    ms = [1000 * value for value in seconds]
    note = f"{what}; median {median(ms):.1f} ms, slowest {max(ms):.0f} ms"
    return Reading(name, quantiles(ms, n=20)[-1], len(ms), note)


def _time_first_paint() -> float:
    with opened() as (screen, began):
        return screen.wait_for(_ROW) - began


def _time_scrolling(count: int, times: int) -> list[float]:
    """Go through the list by lines, by pages and from end to end; each key is timed until its frame is there."""
    with opened() as (screen, _):
        screen.wait_for(f"{count:,}".replace(",", " ").encode())
        screen.settle()
        found = []
        for index in range(times):
            found.append(screen.time_key((_END, _PAGE_UP, _UP, _HOME, _PAGE_DOWN, _DOWN)[index % 6]))
            screen.settle(0.15)  # the preview follows a moment later, and is no answer to the key
        return found


def _time_keys(times: int) -> list[float]:
    """Type letters that are nowhere else on the screen, and wait for each to appear."""
    with opened() as (screen, _):
        screen.wait_for(_ROW)
        time.sleep(SETTLING_SECONDS)  # it reads the older runs meanwhile, as it does whenever it is opened
        screen.press(b":")
        found = []
        for index in range(times):
            letter = _LETTERS[index % len(_LETTERS)].encode()
            found.append(screen.time_key(letter, letter))
            screen.press(b"\x7f")
            time.sleep(0.02)
        return found


@asynccontextmanager
async def _updating(worker: EmbeddedWorker, rate: int) -> AsyncIterator[list[float]]:
    """Start runs so that about so many changes a second are told; give when each was."""
    changes: list[float] = []
    undo = await worker.world.subscribe("runs", lambda run_id: changes.append(time.perf_counter()))
    updating = asyncio.create_task(_update(rate, changes))
    try:
        await asyncio.sleep(1)
        yield changes
    finally:
        updating.cancel()
        await asyncio.gather(updating, return_exceptions=True)
        undo()


async def _update(rate: int, changes: list[float]) -> None:
    began = time.perf_counter()
    while True:
        behind = rate * (time.perf_counter() - began) - len(changes)
        for number in range(max(0, round(behind / CHANGES_PER_RUN))):
            await wf.start(flows.run_five, number)
        await asyncio.sleep(0.02)
