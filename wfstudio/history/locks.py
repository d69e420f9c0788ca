"""The mirror's lock: shared by who reads its file, taken alone by who writes it.

A `flock` of `<mirror>.lock`, which the kernel lets go of when its holder dies. Changing from one kind to
the other lets go in between: who has it anew looks again at what it guards.
"""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

from wf.errors import WorldBusy, WorldError

PATIENCE_SECONDS: Final = 120.0
"""How long one waits for others: who writes a mirror of many millions of events takes this long."""
_PAUSE_SECONDS: Final = 0.02


class Lock:
    """See the top of this module. One object is one holder."""

    def __init__(self, path: Path, *, patience_seconds: float = PATIENCE_SECONDS) -> None:
        self._path = path.with_name(path.name + ".lock")
        self._patience_seconds = patience_seconds
        try:
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            refused = WorldError(f"the history beside the world cannot be kept: {self._path}: {error.strerror}")
            refused.hint = "give this user the right to write the world's folder"
            raise refused from error

    def share(self) -> None:
        """Hold it together with other readers, once no writer does. Raises `WorldBusy`."""
        self._wait(fcntl.LOCK_SH)

    def write(self) -> bool:
        """Hold it alone, once nobody else does. Raises `WorldBusy`. True, as `try_to_write`."""
        self._wait(fcntl.LOCK_EX)
        return True

    def try_to_write(self) -> bool:
        """Hold it alone, if nobody else does now. If somebody does, it is not held at all."""
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _wait(self, kind: int) -> None:
        deadline = time.monotonic() + self._patience_seconds
        while True:
            try:
                fcntl.flock(self._fd, kind | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                if time.monotonic() > deadline:
                    busy = WorldBusy(f"another process has held {self._path} for {self._patience_seconds:g} s")
                    busy.hint = "a long query may hold it; end it, and ask again"
                    raise busy from None
            time.sleep(_PAUSE_SECONDS)

    def close(self) -> None:
        os.close(self._fd)
