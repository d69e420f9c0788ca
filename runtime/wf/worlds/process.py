"""Processes as the holders of leases: how one is named, and whether it is still there.

A name is `<pid>:<start time>`, so that a pid which was given to another program since does not
keep a dead worker's leases alive. The start time is field 22 of /proc/<pid>/stat (clock ticks
since boot); where it cannot be read it is left empty, and the pid's mere existence decides.
"""

from __future__ import annotations

import os


def process_token(pid: int | None = None) -> str:
    """Name this process, or another one that runs."""
    pid = os.getpid() if pid is None else pid
    started = _read_stat(pid)
    return f"{pid}:{started[1]}" if started else f"{pid}:"


def is_process_alive(token: str) -> bool:
    """Tell whether the process of a name still runs. A name that is none is nobody's."""
    digits, _, started = token.partition(":")
    if not digits.isdecimal() or int(digits) == 0:
        return False
    pid = int(digits)
    stat = _read_stat(pid)
    if stat is not None:
        # A zombie has a pid, but nobody is at home: its parent has only not asked yet.
        return stat[0] not in "ZX" and started in ("", stat[1])
    try:  # there is no such process, or no /proc, or no descriptor left to read it with
        os.kill(pid, 0)
    except PermissionError:  # somebody else's, but there
        return True
    except (OSError, OverflowError):
        return False
    return True


def _read_stat(pid: int) -> tuple[str, str] | None:
    """Read (state, start time) of a process; None if it is gone or there is no /proc."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read()
    except OSError:
        return None
    # Field 2 is the program's name in brackets and may hold anything, brackets and blanks included.
    fields = text[text.rindex(b")") + 2 :].split()
    return fields[0].decode(), fields[19].decode()
