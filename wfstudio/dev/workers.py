"""Worker processes as the studio sees them: started through the warm parent, spoken to, and buried.

1. Whatever a worker does (crash, hang, exit, close its socket), its end is noticed here once, with its
   cause in words, and nothing here raises because of it.
2. An answer is awaited with patience that ends: a worker whose code blocks its loop gives none.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from wfstudio.core.bench.process import Started, describe_end
from wfstudio.dev import wire
from wfstudio.dev.wire import LONGEST_LINE, BenchOrder, Order, Report, decode_report, encode_line, read_line
from wfstudio.dev.zygote import Exited, Forked, decode_news

R = TypeVar("R")
P = TypeVar("P", "WorkerProcess", "Started")
W = TypeVar("W", "WorkerProcess", "ForkedBench")

STDERR: Final = 2
LAST_WORDS_SECONDS: Final = 0.5
KILL_AFTER_SECONDS: Final = 2.0
"""How long beyond its grace a worker may take to leave before it is killed."""


class WorkerGone(Exception):
    """Internal: the process ended, or did not answer in time."""


class WorkerProcess:
    """One worker process. `on_report` hears of reports that nobody asked for; `ended` is its end in words."""

    def __init__(self, pid: int, order: Order, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.pid = pid
        self.order = order
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self.is_leaving = False
        self._reader = reader
        self._writer = writer
        self._reports: asyncio.Queue[Report | None] = asyncio.Queue()
        self._turn = asyncio.Lock()  # guards the conversation: one question at a time, each with its answer
        self._owed = 0
        """Answers to questions that were given up: they come all the same, before those to later ones."""
        self._reading = asyncio.get_running_loop().create_task(self._read())

    @property
    def is_alive(self) -> bool:
        return not self.ended.done()

    async def _read(self) -> None:
        try:
            while (line := await read_line(self._reader)) is not None:
                self._reports.put_nowait(decode_report(line))
            self._reports.put_nowait(None)
        finally:
            self._writer.close()

    @property
    def is_busy(self) -> bool:
        """It is being asked something, and has not answered yet."""
        return self._turn.locked()

    def send(self, command: Any) -> None:
        if not self._writer.is_closing():
            self._writer.write(encode_line(command))

    async def hear(self, timeout_seconds: float) -> Report:
        """Give the next report. Raises `WorkerGone`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                report = await self._reports.get()
        except TimeoutError:
            raise WorkerGone(f"it gave no answer for {timeout_seconds:g} s") from None
        if report is None:
            self._reports.put_nowait(None)  # for whoever asks next
            raise WorkerGone("it closed its connection")
        return report

    async def ask(self, command: Any, answer: type[R], timeout_seconds: float) -> R:
        """Send a command and wait for its answer. Raises `WorkerGone`."""
        async with self._turn:
            self.send(command)
            self._owed += 1
            while True:
                report = await self.hear(timeout_seconds)
                self._owed -= 1
                if self._owed == 0 and isinstance(report, answer):
                    return report

    async def leave(self, grace_seconds: float) -> None:
        """Have the process end: asked first, killed when it takes longer than it was given."""
        self.is_leaving = True
        self.send(wire.Leave(grace_seconds))
        done, _ = await asyncio.wait([self.ended], timeout=grace_seconds + KILL_AFTER_SECONDS)
        if not done:
            self.kill()
            await self.ended

    def kill(self) -> None:
        """End the process, which nobody wants any more."""
        self.is_leaving = True
        _strike(self.pid)

    def strike(self) -> None:
        """End the process, in whose place another one is wanted."""
        _strike(self.pid)

    def bury(self, status: int) -> None:
        """Note the end of the process; `status` is a wait status."""
        if not self.ended.done():
            self.ended.set_result(describe_status(status))
        # Not at once: its last words may lie in the socket, unread. A process that it has forked may
        # hold the other end open, so the end of the stream is not waited for either.
        asyncio.get_running_loop().call_later(LAST_WORDS_SECONDS, self._writer.close)


class ForkedBench:
    """A bench's process, from here: whoever asks it holds its line."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.ended: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def kill(self) -> None:
        if not self.ended.done():
            _strike(self.pid)

    def bury(self, status: int) -> None:
        if not self.ended.done():
            self.ended.set_result(describe_end(os.waitstatus_to_exitcode(status)))


class Nursery:
    """The warm parent and the workers that came from it. It is started anew if it ever dies.

    What user code prints goes to our standard output, or with `prints_to_stderr` to our standard error.
    """

    def __init__(self, *, prints_to_stderr: bool = False) -> None:
        self._prints_to_stderr = prints_to_stderr
        self._workers: dict[int, WorkerProcess | ForkedBench] = {}
        self._graves: dict[int, int] = {}  # ends that came before their `Forked` was read
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._starting: set[asyncio.Task[Any]] = set()
        self._turn = asyncio.Lock()  # guards the warm parent: one order at a time, each with its answer
        self._forked: asyncio.Queue[int | None]
        self._control: socket.socket
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Start the warm parent, so that the first worker need not wait for it."""
        async with self._turn:
            await self._ensure_parent()

    async def start(self, order: Order) -> WorkerProcess:
        """Start a worker process with an order. Raises `WorkerGone` where none can be had."""
        return await self._finish_starting(self._start(order))

    async def _finish_starting(self, start: Coroutine[Any, Any, P]) -> P:
        """Start a process. A caller that is cancelled leaves none behind: what it asked for is answered all the
        same, and would else be taken for the answer to the next one."""
        starting = asyncio.get_running_loop().create_task(start)
        self._starting.add(starting)
        starting.add_done_callback(self._starting.discard)
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            starting.add_done_callback(_kill_unwanted)
            raise

    async def _start(self, order: Order) -> WorkerProcess:
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours, limit=LONGEST_LINE)
        try:
            async with self._turn:
                pid = await self._fork(order, [theirs.fileno()])
                return self._take_in(WorkerProcess(pid, order, reader, writer))
        except OSError as error:
            writer.close()
            raise WorkerGone(f"no process could be started: {error}") from error
        finally:
            theirs.close()

    def _take_in(self, process: W) -> W:
        """Look after a process from now on; one that has ended already, by itself or with its parent, is buried.

        To be called in the turn that forked it: whoever comes next may replace the parent.
        """
        if process.pid in self._graves:
            process.bury(self._graves.pop(process.pid))
        elif self._reading is None or self._reading.done():
            _strike(process.pid)
            process.bury(signal.SIGKILL)
        else:
            self._workers[process.pid] = process
        return process

    async def start_bench(self, control: socket.socket, output: int) -> Started:
        """Start a bench: see `wfstudio.core.bench.process.Launch`. Raises `OSError` where none can be had."""
        # Of our own: a caller that is cancelled closes its descriptors, and the system gives their numbers away.
        return await self._finish_starting(self._start_bench([os.dup(control.fileno()), os.dup(output)]))

    async def _start_bench(self, descriptors: list[int]) -> Started:
        try:
            async with self._turn:
                bench = self._take_in(ForkedBench(await self._fork(BenchOrder(), descriptors)))
        finally:
            for descriptor in descriptors:
                os.close(descriptor)
        return Started(bench.pid, bench.ended, bench.kill)

    async def close(self) -> None:
        """End the warm parent; workers that are left end with it."""
        await asyncio.gather(*self._starting, return_exceptions=True)
        if self._process is None:
            return
        self._drop_control()
        try:
            async with asyncio.timeout(KILL_AFTER_SECONDS):
                await self._process.wait()
        except TimeoutError:
            self._process.kill()
            await self._process.wait()
        if self._reading is not None:
            await self._reading
        self._process = None

    async def _fork(self, order: Order | BenchOrder, descriptors: list[int]) -> int:
        """Have the warm parent start a process. One that died before it answered is replaced, once.

        Its death is seen at three places in any order: here, at the end of its news, and when it is reaped.
        """
        await self._ensure_parent()
        try:
            return await self._send_order(order, descriptors)
        except OSError:
            await self._bury_parent()
        await self._ensure_parent()
        return await self._send_order(order, descriptors)

    async def _bury_parent(self) -> None:
        assert self._process is not None
        assert self._reading is not None
        self._drop_control()
        with contextlib.suppress(ProcessLookupError):
            self._process.kill()
        await self._process.wait()
        await self._reading
        self._process = None

    async def _ensure_parent(self) -> None:
        if self._process is not None:
            if self._process.returncode is None and self._reading is not None and not self._reading.done():
                return
            await self._bury_parent()
        ours, theirs = socket.socketpair()
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "wfstudio.dev.zygote",
                str(theirs.fileno()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=STDERR if self._prints_to_stderr else None,
            )
        finally:
            theirs.close()
        self._control = ours.dup()  # asyncio's own socket cannot send descriptors
        ours.setblocking(False)
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._forked = asyncio.Queue()  # of this parent: nobody takes the end of another one for its answer
        self._reading = asyncio.get_running_loop().create_task(self._read_news(reader, self._forked))

    def _drop_control(self) -> None:
        self._writer.close()
        self._control.close()

    async def _send_order(self, order: Order | BenchOrder, descriptors: list[int]) -> int:
        socket.send_fds(self._control, [encode_line(order)], descriptors)
        pid = await self._forked.get()
        if pid is None:
            raise OSError("the process that starts workers has died")
        return pid

    async def _read_news(self, reader: asyncio.StreamReader, forked: asyncio.Queue[int | None]) -> None:
        while (line := await read_line(reader)) is not None:
            match decode_news(line):
                case Forked(pid=pid):
                    forked.put_nowait(pid)
                case Exited(pid=pid, status=status):
                    worker = self._workers.pop(pid, None)
                    if worker is None:
                        self._graves[pid] = status
                    else:
                        worker.bury(status)
        for worker in list(self._workers.values()):  # the parent died, and they with it
            _strike(worker.pid)  # not `kill`: nobody asked them to leave, and who misses them replaces them
            worker.bury(signal.SIGKILL)
        self._workers.clear()
        forked.put_nowait(None)


def _strike(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


def _kill_unwanted(starting: asyncio.Task[WorkerProcess] | asyncio.Task[Started]) -> None:
    if not starting.cancelled() and starting.exception() is None:
        starting.result().kill()


def describe_status(status: int) -> str:
    """Say in words how a process ended, from its wait status."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        try:
            name = signal.Signals(number).name
        except ValueError:
            name = f"signal {number}"
        return f"killed by {name}"
    code = os.waitstatus_to_exitcode(status)
    return "ended" if code == 0 else f"exited with code {code}"
