"""Single keys in the dev terminal: read as they are pressed, where standard input is a terminal."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Final

_SEQUENCE: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|O?.)?", re.DOTALL)
"""What an arrow or Alt with a letter sends: no key of ours."""


@contextmanager
def listening(on_key: Callable[[str], None]) -> Iterator[None]:
    """Call `on_key` for each key while the block runs; the terminal is put back as it was."""
    if not sys.stdin.isatty() or os.name != "posix":
        yield
        return
    import termios  # POSIX only
    import tty

    number = sys.stdin.fileno()
    before = termios.tcgetattr(number)
    loop = asyncio.get_running_loop()

    def read() -> None:
        try:
            keys = os.read(number, 32).decode(errors="replace")
        except OSError:
            keys = ""
        if not keys:  # the terminal is gone, and who started us wants us to go on: it would be readable for ever
            loop.remove_reader(number)
        for key in _SEQUENCE.sub("", keys):
            on_key(key)

    tty.setcbreak(number, termios.TCSANOW)
    loop.add_reader(number, read)
    try:
        yield
    finally:
        loop.remove_reader(number)
        with suppress(termios.error):  # a terminal that is gone
            termios.tcsetattr(number, termios.TCSANOW, before)
