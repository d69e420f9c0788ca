"""A real terminal for tests: tmux, of a server of its own, with a screen to be read and keys to be pressed."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 30.0
LOOK_SECONDS: Final = 0.05


class Terminal:
    """A program in a terminal."""

    def __init__(self, tmux: str, name: str) -> None:
        self._command = [tmux, "-L", name]

    def tmux(self, *arguments: str) -> str:
        done = subprocess.run(
            [*self._command, *arguments], capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=30
        )
        return done.stdout

    @property
    def screen(self) -> str:
        """What is on the screen, line by line, without colours."""
        return self.tmux("capture-pane", "-p")

    def press(self, *keys: str) -> None:
        """Press keys by tmux's names: `Enter`, `C-s`, `F5`."""
        self.tmux("send-keys", *keys)

    def type(self, text: str) -> None:
        self.tmux("send-keys", "-l", text)

    def wait_for(self, *patterns: str) -> str:
        """Wait until all patterns are on the screen, and give it."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not all(re.search(pattern, shown := self.screen) for pattern in patterns):
            assert time.monotonic() < deadline, f"waited in vain for {patterns}; the screen shows:\n{shown}"
            time.sleep(LOOK_SECONDS)
        return shown

    def resize(self, columns: int, lines: int) -> None:
        self.tmux("resize-window", "-x", str(columns), "-y", str(lines))


@contextmanager
def running(tmux: str, folder: Path, *arguments: str, columns: int = 100, lines: int = 30) -> Iterator[Terminal]:
    """Run `wf` with arguments in a terminal; afterwards the terminal is closed. What comes behind it is a prompt."""
    name = f"wf-{os.getpid()}-{time.monotonic_ns()}"
    terminal = Terminal(tmux, name)
    unset = [part for word in os.environ if word.startswith("WF_") for part in ("-u", word)]
    program = shlex.join(["env", *unset, "TERM=screen-256color", sys.executable, "-m", "wfstudio", *arguments])
    command = f"cd {shlex.quote(str(folder))} && {program}; echo ended $?; cat"
    size = ["-x", str(columns), "-y", str(lines)]
    terminal.tmux("-f", os.devnull, "new-session", "-d", *size, "sh", "-c", command)
    terminal.resize(columns, lines)
    try:
        yield terminal
    finally:
        terminal.tmux("kill-server")
