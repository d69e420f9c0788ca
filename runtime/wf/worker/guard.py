"""The guard: what a body or a step may not do to the worker, noticed where it happens.

- I/O in a body. An audit hook of the interpreter sees sockets, processes and threads being made,
  whatever library makes them, and raises `WorkflowIOError` in the body. It cannot be taken out
  again, so it is put in once a process and asks a flag first.
- Blocking. A thread looks a few times in `BLOCKED_SECONDS` what the worker's loop does.
  - A body that has been running since then without making a call is interrupted (`watching.py`): its run is
    left alone, the others go on. What cannot be interrupted is named in the log.
  - Where the loop does not turn for another reason, an `async def` step as a rule, the log names the line.

Things that don't work: patching `socket` and `threading` (they are imported by name before us).
"""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import traceback
from asyncio import events as asyncio_events
from typing import Any

from wf.engine.loop import BodyLoop
from wf.errors import WorkflowIOError
from wf.worker.watching import LOOKS, BodyWatch

log = logging.getLogger("wf.worker")

BLOCKED_SECONDS = 2.0
_FORBIDDEN = {
    "socket.connect": "a socket",
    "socket.bind": "a socket",
    "socket.getaddrinfo": "a name lookup",
    "socket.gethostbyname": "a name lookup",
    "subprocess.Popen": "a subprocess",
    "os.system": "a subprocess",
    "os.posix_spawn": "a subprocess",
    "os.fork": "a subprocess",
    "_thread.start_new_thread": "a thread",
    "_thread.start_joinable_thread": "a thread",
}

_guard = threading.Lock()  # guards _users, _is_hooked and _watch
_users = 0
_is_hooked = False
_watch: _Watch | None = None


def install() -> BodyWatch | None:
    """Guard the running loop, or count one more worker on it; None: another loop of this process is guarded."""
    global _users, _watch
    forbid_io()
    loop = asyncio.get_running_loop()
    with _guard:
        _users += 1
        if _watch is None:
            _watch = _Watch(loop)
            _watch.start()
        return _watch.bodies if _watch.loop is loop else None


def forbid_io() -> None:
    """Refuse I/O in bodies from now on, also where no worker is: a replay must see what the run saw."""
    global _is_hooked
    with _guard:
        if _is_hooked:
            return
        _is_hooked = True
        sys.addaudithook(_audit)
        if sys.version_info < (3, 12):  # there, starting a thread raises no audit event
            _guard_thread_start()


def uninstall() -> None:
    global _users, _watch
    with _guard:
        _users -= 1
        if _users == 0 and _watch is not None:
            _watch.stop()
            _watch = None


def _refuse(what: str) -> None:
    raise WorkflowIOError(f"a workflow body cannot use {what}: it would not replay; move it into a step")


def _audit(event: str, args: tuple[Any, ...]) -> None:
    if event in _FORBIDDEN and isinstance(asyncio_events._get_running_loop(), BodyLoop):
        _refuse(_FORBIDDEN[event])


def _guard_thread_start() -> None:
    start = threading.Thread.start

    def guarded(self: threading.Thread) -> None:
        if isinstance(asyncio_events._get_running_loop(), BodyLoop):
            _refuse("a thread")
        start(self)

    threading.Thread.start = guarded  # type: ignore[method-assign]


class _Watch(threading.Thread):
    """Looks what a loop does: whether it turns, by asking it to set a mark, and how long a body has been running."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="wf-watch", daemon=True)
        self.bodies = BodyWatch(loop)
        self.loop = loop
        self._thread_id = threading.get_ident()
        self._stopped = threading.Event()
        self._looks = 0
        self._turned_at = 0  # the look after which the loop turned last; in looks, as of bodies (watching.py, law 3)
        self._is_reported = False

    def stop(self) -> None:
        self._stopped.set()

    def run(self) -> None:
        while not self._stopped.wait(BLOCKED_SECONDS / LOOKS):
            stuck = self.bodies.look()
            self._looks += 1
            if self._looks - self._turned_at > LOOKS and (stuck or not self.bodies.is_running):
                self._report()
            try:
                self.loop.call_soon_threadsafe(self._mark, self._looks)
            except RuntimeError:  # the loop was closed
                return

    def _mark(self, look: int) -> None:
        self._turned_at = look
        self._is_reported = False

    def _report(self) -> None:
        frame = sys._current_frames().get(self._thread_id)
        if self._is_reported or frame is None:
            return
        self._is_reported = True
        stack = "".join(traceback.format_stack(frame)[-6:])
        log.error(
            "the worker's loop has not turned for %.0f s: this code blocks it%s\n%s"
            "  fix: make the step a plain `def` (it gets a thread), or await instead of blocking",
            BLOCKED_SECONDS,
            ", and cannot be interrupted" if self.bodies.is_running else "",
            stack,
        )
