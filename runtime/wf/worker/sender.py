"""The sender: a thread for what may wait or fail without anybody waiting for it or failing with it.

Jobs are done in order. Too many are refused rather than kept, because then the exporter behind them
hangs; what is lost is said once. The thread is a daemon: a hanging exporter holds no exit.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import functools
import logging
import queue
import threading
from collections.abc import Callable
from contextvars import Context

log = logging.getLogger("wf.worker")

MAX_WAITING = 10_000  # spans that wait to be ended; the SDK's own queue, behind it, holds 2048
FLUSH_SECONDS = 2.0  # what a worker that leaves gives its exporter; a collector that is down must not hold it


class Sender:
    """See the top of this module. `post` and `complain` may be called on any thread."""

    def __init__(self) -> None:
        self._jobs: queue.Queue[Callable[[], object]] = queue.Queue(MAX_WAITING)
        self._is_closed = False
        self._has_complained = False
        threading.Thread(target=self._work, name="wf-spans", daemon=True).start()

    def post(self, job: Callable[[], object]) -> None:
        """Have something done soon, or never when too much waits: then the exporter hangs."""
        try:
            self._jobs.put_nowait(job)
        except queue.Full:
            self.complain("too many spans wait for their exporter")

    def complain(self, what: str) -> None:
        """Say once that spans are lost; in an empty context, so that no attempt takes it for its own log."""
        if not self._has_complained:
            self._has_complained = True
            Context().run(log.warning, "spans are lost (this is said once): %s", what)

    def _work(self) -> None:
        while not self._is_closed:
            try:
                self._jobs.get()()
            except Exception as error:  # of a processor or an exporter of the program's
                self.complain(repr(error))

    async def close(self) -> None:
        """Let what waits be done, for a bounded time, and end the thread."""
        done: concurrent.futures.Future[None] = concurrent.futures.Future()
        self.post(functools.partial(self._finish, done))
        try:
            await asyncio.wait_for(asyncio.wrap_future(done), FLUSH_SECONDS)
        except TimeoutError:
            self._is_closed = True
            self.complain(f"the exporter took over {FLUSH_SECONDS} s")

    def _finish(self, done: concurrent.futures.Future[None]) -> None:
        self._is_closed = True
        if done.set_running_or_notify_cancel():
            done.set_result(None)
