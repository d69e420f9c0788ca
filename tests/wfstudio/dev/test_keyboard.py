"""`wf dev` in a terminal: a pseudo-terminal, keys pressed one by one, and the screen that answers."""

from __future__ import annotations

import asyncio
import os
import pty
import re
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Project
from tests.wfstudio.dev.test_reload import GREETER
from wfstudio.dev.keyboard import listening

_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


class Terminal:
    """The other end of the program's terminal."""

    def __init__(self, popen: subprocess.Popen[bytes], number: int) -> None:
        self.popen = popen
        self._number = number
        self.screen = ""

    def press(self, key: str) -> None:
        os.write(self._number, key.encode())

    def wait_for(self, text: str) -> None:
        """Read until the screen shows a text, from what was shown before on."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while text not in self.screen:
            assert time.monotonic() < deadline, f"waited in vain for {text!r}; the screen shows:\n{self.screen}"
            if not select.select([self._number], [], [], 0.1)[0]:
                continue
            try:
                piece = os.read(self._number, 65536)
            except OSError:  # Linux: the program has closed its end
                piece = b""
            assert piece or text in self.screen, f"it ended without {text!r}:\n{self.screen}"
            self.screen += _COLOURS.sub("", piece.decode(errors="replace")).replace("\r\n", "\n")
        self.screen = self.screen.partition(text)[2]


@contextmanager
def terminal(project: Project) -> Iterator[tuple[Terminal, int]]:
    ours, theirs = pty.openpty()
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith(("WF_", "DISPLAY", "WAYLAND", "TMUX"))
    }
    popen = subprocess.Popen(
        [sys.executable, "-m", "wfstudio", "dev", "flow.py", "--no-open", "--port", "0"],
        cwd=project.root,
        env=environ,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    try:
        yield Terminal(popen, ours), theirs
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        os.close(theirs)
        os.close(ours)


def test_single_keys_are_obeyed_and_the_terminal_is_given_back(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("flow.py", GREETER)
    with terminal(project) as (screen, number):
        before = termios.tcgetattr(number)
        screen.wait_for("studio    http://127.0.0.1:")
        screen.wait_for("1 workflow loaded in")
        screen.press("\x1bq\x1bOq\x1b[1;5q\n")  # Alt-q and an arrow are no keys of ours
        screen.press("h")
        screen.wait_for("r  reload")
        screen.wait_for("q  quit")
        screen.press("d")
        screen.wait_for("no run in flight diverges")
        screen.press("u")
        screen.wait_for("/hooks/TOKEN")
        screen.wait_for("/#code=")
        screen.press("o")
        screen.wait_for("open this in a browser, once, within a minute:")
        screen.wait_for("/#code=")
        screen.press("t")
        screen.wait_for("in another terminal: wf tui\n")
        screen.press("p")
        screen.wait_for("reloading is paused")
        project.write("flow.py", GREETER + "\n    # edited\n")
        screen.press("p")
        screen.wait_for("reloading again")
        screen.wait_for("flow.py › 1 workflow reloaded in")
        screen.press("r")
        screen.wait_for("nothing that is loaded changed")
        screen.press("q")
        screen.wait_for("stopping")
        assert screen.popen.wait(PATIENCE_SECONDS) == 0
        assert termios.tcgetattr(number) == before


def test_an_error_is_shown_with_its_lines_and_clears_with_the_next_good_save(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("flow.py", GREETER)
    with terminal(project) as (screen, _):
        screen.wait_for("1 workflow loaded in")
        project.write("flow.py", GREETER + "\n    def broken(:\n")
        screen.wait_for("not loaded, the code before goes on serving")
        screen.wait_for("SyntaxError")
        screen.wait_for("| def broken(:")
        project.write("flow.py", GREETER)
        screen.wait_for("flow.py › loads again, and is what serves (")
        project.write("flow.py", GREETER + "\n    fixed = True\n")
        screen.wait_for("flow.py › 1 workflow reloaded in")


def test_a_terminal_that_is_gone_is_read_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays readable for ever: who goes on without one would do nothing but read it, and fail when it ends."""
    reads, read = list[int](), os.read

    def note(number: int, size: int) -> bytes:
        reads.append(number)
        return read(number, size)

    monkeypatch.setattr(os, "read", note)

    async def listen() -> None:
        ours, theirs = pty.openpty()
        with open(theirs) as terminal:
            monkeypatch.setattr(sys, "stdin", terminal)
            with listening(lambda key: None):
                os.close(ours)
                async with asyncio.timeout(PATIENCE_SECONDS):
                    while theirs not in reads:
                        await asyncio.sleep(0)
                for _ in range(20):
                    await asyncio.sleep(0)
            assert reads.count(theirs) == 1

    asyncio.run(listen())
