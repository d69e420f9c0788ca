"""Logs: what an attempt prints and logs, kept per attempt, and still shown where it went before.

`capture()` puts a tee in front of `sys.stdout` and `sys.stderr` and a handler on the root logger,
once in a process, while any worker is open. Outside an attempt both pass everything through, and where
nobody has configured logging, the handler shows what Python would have shown without it.
Lines are kept per attempt up to a bound, and sealed when they are handed to the world.
"""

from __future__ import annotations

import logging
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

import msgspec

from wf import codec
from wf.context import current_attempt
from wf.world import PutLog

if TYPE_CHECKING:
    from wf.worker.attempts import Attempt

MAX_LINES = 10_000
MAX_LINE = 16_384
MAX_BYTES = 1_000_000
"""What is kept of one attempt at most; what is over is counted, and the count is the last line."""


class LogLine(msgspec.Struct, frozen=True, array_like=True):
    """`source` is `stdout`, `stderr` or `logging:<LEVEL>`; `at` is microseconds since 1970 UTC."""

    at: int
    source: str
    text: str


class AttemptLog(msgspec.Struct):
    """The lines of one attempt. Threads of the attempt may add to it; order is order of arrival."""

    _lines: list[LogLine] | None = None
    _open: dict[str, str] = {}
    _bytes: int = 0
    _dropped: int = 0

    def write(self, source: str, text: str) -> None:
        """Add text as a stream gives it: lines are cut at newlines, the rest waits for more."""
        *lines, rest = (self._open.pop(source, "") + text).split("\n")
        for line in lines:
            self.add(source, line)
        if rest:
            self._open[source] = rest

    def add(self, source: str, line: str) -> None:
        if self._lines is None:
            self._lines = []
        line = line[:MAX_LINE]
        self._bytes += len(line)
        if len(self._lines) >= MAX_LINES or self._bytes > MAX_BYTES:
            self._dropped += 1
            return
        self._lines.append(LogLine(time.time_ns() // 1000, source, line))

    def finish(self) -> list[LogLine]:
        """Give all lines, with what was printed last and no newline ended; the last one tells what was not kept."""
        for source, rest in list(self._open.items()):
            self.add(source, rest)
        self._open.clear()
        lines = self._lines or []
        if self._dropped:
            lines.append(LogLine(lines[-1].at, "stderr", f"… {self._dropped} more lines were not kept"))
        return lines

    def take(self, attempt: Attempt) -> list[PutLog]:
        """Give all lines as one sealed batch, or none if nothing was printed."""
        if self._lines is None and not self._open:  # as most
            return []
        lines = self.finish()
        if not lines:
            return []
        number, count = attempt.number, attempt.attempt
        data = msgspec.json.encode([[line.at, line.source, printable(line.text)] for line in lines])
        payload = attempt.live.tail.key.seal(f"log:{number}:{count}:0", "log", codec.pack(data))
        return [PutLog(number, count, 0, lines[0].at, payload)]


def printable(text: str) -> str:
    """Replace lone surrogates, which JSON text cannot hold."""
    return text.encode("utf-8", "replace").decode("utf-8") if not text.isascii() else text


def open_log(key: Any, number: int, attempt: int, index: int, payload: bytes) -> list[LogLine]:
    """Open a batch that `AttemptLog.take` sealed."""
    data = codec.unpack(key.open(f"log:{number}:{attempt}:{index}", "log", payload))
    return msgspec.json.decode(data, type=list[LogLine])


# -- capturing ----------------------------------------------------------------------------------


class _Tee:
    """A text stream that also shows what it is given to the running attempt's log."""

    def __init__(self, inner: Any, source: str) -> None:
        self._inner = inner
        self._source = source

    def write(self, text: str) -> int:
        attempt = current_attempt.get()
        if attempt is not None and isinstance(text, str):
            attempt.log.write(self._source, text)
        return self._inner.write(text)  # type: ignore[no-any-return]

    def writelines(self, lines: Any) -> None:
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class _Handler(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        attempt = current_attempt.get()
        # Where nobody has configured logging, Python shows warnings, but not once there is a handler.
        last = logging.lastResort
        is_shown = last is not None and record.levelno >= last.level and _is_alone(record.name)
        if attempt is None and not is_shown:
            return
        try:
            text = self.format(record)
        except Exception as error:  # a broken format string is the user's, the run goes on
            text = f"{record.msg!r} (could not be formatted: {error})"
        if attempt is not None:
            for line in text.split("\n"):
                attempt.log.add(f"logging:{record.levelname}", line)
        if is_shown:
            stream = sys.stderr._inner if isinstance(sys.stderr, _Tee) else sys.stderr
            try:
                if stream is not None:
                    stream.write(printable(text) + "\n")
            except Exception:  # it is closed, or a pipe that nobody reads
                self.handleError(record)


def _is_alone(name: str) -> bool:
    """Tell whether no handler but ours gets the records of a logger."""
    logger: logging.Logger | None = logging.getLogger(name)
    while logger is not None:
        if any(handler is not _handler for handler in logger.handlers):
            return False
        logger = logger.parent if logger.propagate else None
    return True


_guard = threading.Lock()  # guards _users and what is installed
_users = 0
_installed: list[tuple[str, _Tee]] = []
_handler = _Handler()


def capture() -> None:
    """Start to capture, or count one more who wants it."""
    global _users
    with _guard:
        _users += 1
        if _users > 1:
            return
        for name in ("stdout", "stderr"):
            inner = getattr(sys, name)
            if inner is not None:
                tee = _Tee(inner, name)
                setattr(sys, name, tee)
                _installed.append((name, tee))
        logging.getLogger().addHandler(_handler)


def stop_capture() -> None:
    """Put the streams back when nobody wants to capture any more."""
    global _users
    with _guard:
        _users -= 1
        if _users:
            return
        for name, tee in _installed:
            if getattr(sys, name) is tee:  # someone else may have put a stream of theirs in front
                setattr(sys, name, tee._inner)
        _installed.clear()
        logging.getLogger().removeHandler(_handler)
