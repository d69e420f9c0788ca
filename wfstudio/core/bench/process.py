"""The asking side of a bench: a process that is started, asked, timed, and ended.

1. Every question has its time. A process that takes longer, or dies, or answers nonsense, is killed, and
   who asked gets a `BenchError` that says what happened and what it printed last.
2. One question at a time. Who is cancelled while an answer is due has the process killed: the next one
   would get that answer.
3. `Launch` is how a process is started: `spawn` here, or whatever has one at hand (`wf dev` forks one from
   a process that has imported `wf` already).
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
from collections.abc import Awaitable, Callable
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from wfstudio.core.bench import wire
from wfstudio.core.errors import BenchError, ConflictError, NotFoundError, UsageError

A = TypeVar("A")

KEPT_OUTPUT: Final = 64 * 1024
SHOWN_LINES: Final = 5
LEAVE_SECONDS: Final = 2.0
_MODULE: Final = "wfstudio.core.bench.child"


class Started(NamedTuple):
    """A process. `ended` says in words how it ended."""

    pid: int
    ended: asyncio.Future[str]
    kill: Callable[[], None]


Launch = Callable[[socket.socket, int], Awaitable[Started]]
"""Start a bench's process with its end of the socket pair; what it prints goes to the descriptor."""


async def spawn(control: socket.socket, output: int) -> Started:
    """Start a fresh interpreter."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        str(control.fileno()),
        pass_fds=[control.fileno()],
        stdin=asyncio.subprocess.DEVNULL,
        stdout=output,
        stderr=output,
    )
    return _watch(process)


async def spawn_in_terminal(control: socket.socket, output: int) -> Started:
    """Start a fresh interpreter that has our terminal: a debugger will want it."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", _MODULE, str(control.fileno()), pass_fds=[control.fileno()]
    )
    return _watch(process)


def _watch(process: asyncio.subprocess.Process) -> Started:
    async def wait() -> str:
        return describe_end(await process.wait())

    def kill() -> None:
        with contextlib.suppress(ProcessLookupError):
            process.kill()

    return Started(process.pid, asyncio.get_running_loop().create_task(wait()), kill)


def describe_end(code: int) -> str:
    """Say in words how a process ended, from its exit code as `subprocess` gives it."""
    if code >= 0:
        return "ended" if code == 0 else f"exited with code {code}"
    try:
        return f"was killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"was killed by signal {-code}"


class _Output(asyncio.Protocol):
    """Keeps the last of what a process prints."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.is_over = asyncio.Event()

    def data_received(self, data: bytes) -> None:
        self.text += data
        del self.text[:-KEPT_OUTPUT]

    def connection_lost(self, error: Exception | None) -> None:
        self.is_over.set()


class Bench:
    """One process. Made by `open_bench`; closed by whoever opened it."""

    def __init__(
        self,
        started: Started,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        output: _Output,
        pipe: asyncio.ReadTransport,
    ) -> None:
        self.pid = started.pid
        self._started = started
        self._reader = reader
        self._writer = writer
        self._output = output
        self._pipe = pipe
        self._turn = asyncio.Lock()  # guards the conversation (law 2)

    @property
    def is_alive(self) -> bool:
        return not self._started.ended.done()

    @property
    def has_left(self) -> bool:
        """It ended by itself, with nothing wrong: whoever had its terminal quit."""
        return self._started.ended.done() and self._started.ended.result() == "ended"

    async def ask(self, question: Any, answer: type[A], seconds: float | None) -> A:
        """Ask, and give the answer; `seconds` None waits for ever.

        Raises `BenchError`, and what the question itself was refused with.
        """
        async with self._turn:
            try:
                async with asyncio.timeout(seconds):
                    data = await self._exchange(wire.encode_message(question))
            except TimeoutError:
                raise await self._give_up(f"gave no answer for {seconds:g} s, and was killed") from None
            except (ConnectionError, asyncio.IncompleteReadError):
                raise await self._give_up(None) from None
            except asyncio.CancelledError:
                self._started.kill()
                raise
            try:
                found = wire.decode_answer(data)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                raise await self._give_up("gave an answer that is none, and was killed") from None
        if isinstance(found, wire.Refused):
            raise _refusal(found)
        if not isinstance(found, answer):
            raise await self._give_up("gave an answer to another question, and was killed")
        return found

    async def _exchange(self, message: bytes) -> bytes:
        self._writer.write(message)
        await self._writer.drain()
        size = int.from_bytes(await self._reader.readexactly(wire.LENGTH), "big")
        if size > wire.LONGEST:
            raise ConnectionError
        return await self._reader.readexactly(size)

    async def _give_up(self, how: str | None) -> BenchError:
        """End the process, and give the error that says how it went; None: as its end says."""
        if how is not None:
            self._started.kill()
        ended = await self._wait_for_end()
        return BenchError(f"the process with the code {how or ended}", self._last_words())

    async def _wait_for_end(self) -> str:
        """Wait a moment for the end of a process that has closed its stream; one that stays is killed."""
        done, _ = await asyncio.wait([self._started.ended], timeout=LEAVE_SECONDS)
        if not done:
            self._started.kill()
        ended = await asyncio.shield(self._started.ended)
        # A process that it left behind may hold the pipe open: what is there by now is what it said.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0.1):
                await self._output.is_over.wait()
        return ended if done else "closed its stream, and was killed"

    def _last_words(self) -> str | None:
        lines = self._output.text.decode("utf-8", "replace").rstrip().splitlines()
        return "\n".join(lines[-SHOWN_LINES:]) or None

    async def close(self) -> None:
        """End the process: it leaves when its stream ends, or is killed."""
        self._writer.close()
        try:
            await self._wait_for_end()
        finally:
            self._pipe.close()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()

    def kill(self) -> None:
        self._started.kill()


async def open_bench(launch: Launch = spawn) -> Bench:
    """Start a bench that has loaded nothing yet. Raises `BenchError` where no process can be started."""
    ours, theirs = socket.socketpair()
    reading, output = os.pipe()
    heard = os.fdopen(reading, "rb", 0)
    with contextlib.ExitStack() as undo:  # of all that is there so far, wherever the caller is cancelled
        undo.callback(ours.close)
        undo.callback(heard.close)
        try:
            started = await launch(theirs, output)
        except OSError as error:
            raise BenchError(f"no process could be started: {error}") from error
        finally:
            theirs.close()
            os.close(output)
        undo.callback(started.kill)
        ours.setblocking(False)
        reader, writer = await asyncio.open_connection(sock=ours)
        undo.callback(writer.close)
        pipe, words = await asyncio.get_running_loop().connect_read_pipe(_Output, heard)
        undo.pop_all()
    return Bench(started, reader, writer, words, pipe)


def _refusal(refused: wire.Refused) -> Exception:
    kinds = {"usage": UsageError, "not-found": NotFoundError, "conflict": ConflictError}
    error = kinds.get(refused.kind)
    return BenchError(refused.message) if error is None else error(refused.message, refused.hint)
