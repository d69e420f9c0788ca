"""Asking: a question in SQL goes to a process of its own, and its answer comes back in pieces.

1. Whatever the query does to its process, the asker goes on: the process is killed when its time is over, when
   the reader of its answers leaves, and when it is cancelled by its id.
2. At most `at_once` questions are answered at the same time; others wait for their turn, and their time
   begins with it.
3. A process that has loaded all it needs waits for the next question, where the asker is told to keep one
   warm: then an answer takes less than half the time.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncGenerator, AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from wf.errors import WorkflowError
from wf.settings import Settings
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.history.errors import QueryError, QueryLimitError
from wfstudio.history.feeds import feed_url, open_feed
from wfstudio.history.wire import LONGEST_FRAME, Answer, Done, Failed, Question, decode_answer, encode_question

AT_ONCE: Final = 4
SECONDS: Final = 30.0
MOST_SECONDS: Final = 3600.0
_CPU_SPARE: Final = 2
_WORDS: Final = 4096
_LAST_WORDS_SECONDS: Final = 5.0
_BUG: Final = "report it: this is a bug in wf"
_CANCELLED: Final = "the query was cancelled"
_QUERY_LIMIT: Final = QueryLimitError.slug


class Asker:
    """Asks questions about one world. For one event loop."""

    def __init__(self, settings: Settings, *, keeps_warm: bool = False, at_once: int = AT_ONCE) -> None:
        """Raises `UsageError` for a world in memory."""
        path = settings.local_path
        if path is None:
            raise UsageError(
                f"SQL needs a world in a file, and this is {settings.address.shown}",
                "name a file: `--world sqlite:///.wf/world.db`, or WF_WORLD",
            )
        self._world = path
        self._url = feed_url(settings)
        self._root = settings.root
        self._keeps_warm = keeps_warm
        self._turns = asyncio.Semaphore(at_once)
        self._spare: asyncio.subprocess.Process | None = None
        self._endings: set[asyncio.Task[None]] = set()
        self._is_closed = False
        self._under_way: set[asyncio.Event] = set()
        self._running: dict[str, asyncio.Event] = {}  # of those the ones with an id

    async def close(self) -> None:
        self._is_closed = True
        for cancelled in self._under_way:
            cancelled.set()
        spare, self._spare = self._spare, None
        if spare is not None:
            await _end(spare)
        await asyncio.gather(*self._endings, return_exceptions=True)

    async def ask(
        self, question: Question, *, seconds: float = SECONDS, id: str | None = None
    ) -> AsyncGenerator[Answer, None]:
        """Give what a question is answered, as it comes: `Head`, then rows or pieces, then `Done`.

        `world`, `root` and `cpu_seconds` of the question are the asker's to say. With an `id` it can be cancelled.
        Raises `QueryError`, `QueryLimitError`, and what the world says of itself.
        """
        if id is not None and id in self._running:
            raise ConflictError(f"a query with the id {id!r:.80} is being answered", "give each one its own")
        cancelled = asyncio.Event()
        self._under_way.add(cancelled)
        if id is not None:
            self._running[id] = cancelled
        try:
            async with self._turn(cancelled):
                asked = msgspec.structs.replace(
                    question,
                    world=str(self._world),
                    url=self._url,
                    root=str(self._root),
                    cpu_seconds=int(seconds) * 2 + _CPU_SPARE,  # of two threads
                )
                async with contextlib.aclosing(self._converse(asked, seconds, cancelled)) as answers:
                    async for answer in answers:
                        yield answer
        finally:
            self._under_way.discard(cancelled)
            if id is not None:
                del self._running[id]

    @contextlib.asynccontextmanager
    async def _turn(self, cancelled: asyncio.Event) -> AsyncIterator[None]:
        """Have one of the turns, once it is free. Raises `QueryLimitError` when it is cancelled before."""
        taking = asyncio.ensure_future(self._turns.acquire())
        stopping = asyncio.ensure_future(cancelled.wait())
        try:
            await asyncio.wait({taking, stopping}, return_when="FIRST_COMPLETED")
            if stopping.done():
                raise QueryLimitError(_CANCELLED)
            yield
        finally:
            stopping.cancel()
            if not taking.cancel():
                self._turns.release()
            await asyncio.gather(taking, stopping, return_exceptions=True)

    def cancel(self, id: str) -> bool:
        """End the query that was asked with this id; False where there is none (any more)."""
        cancelled = self._running.get(id)
        if cancelled is None:
            return False
        cancelled.set()
        return True

    async def warm_up(self) -> None:
        """Have a process ready for the next question."""
        if self._has_spare() or self._is_closed:
            return
        process = await _start()
        if self._has_spare() or self._is_closed:  # meanwhile
            await _end(process)
        else:
            self._spare = process

    def _has_spare(self) -> bool:
        return self._spare is not None and self._spare.returncode is None

    async def _converse(
        self, question: Question, seconds: float, cancelled: asyncio.Event
    ) -> AsyncGenerator[Answer, None]:
        process, self._spare = self._spare, None
        if process is None or process.returncode is not None:
            process = await _start()
        deadline = asyncio.get_running_loop().time() + seconds
        stopping = asyncio.ensure_future(cancelled.wait())
        try:
            assert process.stdin is not None
            with contextlib.suppress(ConnectionError):  # it died already: its end tells more
                process.stdin.write(encode_question(question))
                process.stdin.write_eof()
            while True:
                reading = asyncio.ensure_future(_read(process))
                try:
                    left = deadline - asyncio.get_running_loop().time()
                    await asyncio.wait({reading, stopping}, timeout=max(0, left), return_when="FIRST_COMPLETED")
                    if not reading.done():
                        text = _CANCELLED if stopping.done() else _out_of_time(seconds)
                        raise QueryLimitError(text)
                    answer = reading.result()
                finally:
                    reading.cancel()
                    await asyncio.gather(reading, return_exceptions=True)
                match answer:
                    case None:
                        raise await _explain_end(process, seconds)
                    case Failed():
                        raise _rebuild(answer)
                    case Done():
                        yield answer
                        break
                    case _:
                        yield answer
        finally:
            stopping.cancel()
            # Whoever is cancelled once more need not wait for it; `close` does.
            ending = asyncio.create_task(self._replace(process))
            self._endings.add(ending)
            ending.add_done_callback(self._endings.discard)
            await asyncio.shield(ending)

    async def _replace(self, process: asyncio.subprocess.Process) -> None:
        """End a process, and have another one ready, also where it failed: whoever mistyped asks again."""
        await _end(process)
        if self._keeps_warm:
            await self.warm_up()


KEEP_UP_SECONDS: Final = 30.0
KEEP_UP_CHANGES: Final = 50_000
"""A fifth of what the world remembers of its changes: who falls behind that must read the whole world anew."""


class LazyAsker:
    """The asker of a server, made at the first question: a world in memory has none, and needs none until then."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._asker: Asker | None = None
        self.kept: int | None = None
        """The position of the world's changes up to which the mirror was kept."""

    def get(self) -> Asker:
        """Give it. Raises `UsageError` for a world in memory."""
        if self._asker is None:
            self._asker = Asker(self._settings, keeps_warm=True)
        return self._asker

    async def keep_up(self) -> None:
        """Have the mirror brought up to date whenever much is new, for ever: the next question need not wait for it."""
        path = self._settings.local_path
        while path is not None:
            await asyncio.sleep(KEEP_UP_SECONDS)
            with contextlib.suppress(WorkflowError):  # whoever asks is told
                now = await asyncio.to_thread(self._find_position, path)
                if self.kept is None:
                    self.kept = now
                elif now - self.kept > KEEP_UP_CHANGES:
                    await _ask_anything(self.get())
                    self.kept = now

    def _find_position(self, path: Path) -> int:
        feed = open_feed(path, feed_url(self._settings))
        try:
            return feed.mark().position
        finally:
            feed.close()

    async def close(self) -> None:
        if self._asker is not None:
            await self._asker.close()


async def _ask_anything(asker: Asker) -> None:
    """Ask for nothing: what a question does first is what is wanted."""
    async for _ in asker.ask(make_question("SELECT 1", is_locked=True), seconds=MOST_SECONDS):
        pass


async def _start() -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",  # no module of the folder that we happen to be in
        "-m",
        "wfstudio.history.child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        process_group=0,  # Ctrl-C is its asker's to hear, who ends it
    )


async def _read(process: asyncio.subprocess.Process) -> Answer | None:
    assert process.stdout is not None
    try:
        size = int.from_bytes(await process.stdout.readexactly(4), "big")
        if size > LONGEST_FRAME:
            return Failed(QueryError.slug, "the process that answers queries talked nonsense", _BUG)
        return decode_answer(await process.stdout.readexactly(size))
    except (asyncio.IncompleteReadError, msgspec.MsgspecError):
        return None


async def _end(process: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.kill()
    await process.communicate()  # what is left in its pipes goes with it


async def _explain_end(process: asyncio.subprocess.Process, seconds: float) -> Exception:
    """Say why a process ended without its last answer."""
    assert process.stderr is not None
    said = b""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_LAST_WORDS_SECONDS):
            said = await process.stderr.read()
            await process.wait()
    words = said[-_WORDS:].decode(errors="replace").strip()
    code = process.returncode or 0
    if code < 0:  # the system ended it: it was out of processor time, or of memory
        return QueryLimitError(
            _out_of_time(seconds) if not words else f"the query took too much, and was ended: {words}"
        )
    last = words.rpartition("\n")[2]
    return QueryError(f"the process that answers queries failed: {last or f'exit code {code}'}", _BUG)


def _out_of_time(seconds: float) -> str:
    return f"the query took more than the {seconds:g} s that it may take"


def _rebuild(failed: Failed) -> Exception:
    """Give the error that the other process raised."""
    from wf.errors import WorldBusy, WorldError

    kinds = {_QUERY_LIMIT: QueryLimitError, QueryError.slug: QueryError}
    kind = kinds.get(failed.slug)
    if kind is not None:
        return kind(failed.message, failed.hint)
    error = (WorldBusy if failed.slug == WorldBusy.slug else WorldError)(failed.message)
    error.hint = failed.hint
    return error


def make_question(sql: str, **settings: object) -> Question:
    """Make a question about whatever world its asker has."""
    return msgspec.convert({"world": "", "root": "", "sql": sql, **settings}, Question)


__all__ = ["AT_ONCE", "MOST_SECONDS", "SECONDS", "Asker", "LazyAsker", "make_question"]
