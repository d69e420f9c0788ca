"""The reader: long reads, on aiosqlite connections that cannot write.

An aiosqlite thread dies with an answer that it cannot deliver because the loop is closed. Hence:

1. A connection per loop, made at its first long read: it must not take other loops' reads with it.
2. Whatever the thread was asked on a loop is waited for on that loop, in a task that cannot be
   cancelled: `asyncio.run` cancels all tasks, and closes its loop when they have ended.
3. A connection is asked one thing at a time: giving up a read interrupts no other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
from collections.abc import Awaitable
from pathlib import Path
from typing import Any, Final, NamedTuple, TypeVar, cast

import aiosqlite

from wf.errors import WorldError
from wf.worlds.rows import Row
from wf.worlds.sqlite import failures

SETTINGS: Final = (
    "PRAGMA query_only = ON",
    "PRAGMA wal_autocheckpoint = 0",  # only the writer checkpoints
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",
)

ANSWER_SECONDS: Final = 1.0
"""How long a thread may take to end a read that is interrupted."""

T = TypeVar("T")


class _Asking(asyncio.Task[None]):
    """What is asked of a connection's thread: it ends with the answer, whoever cancels it."""

    def cancel(self, msg: Any | None = None) -> bool:
        return False


class _Desk(NamedTuple):
    connection: aiosqlite.Connection
    turn: asyncio.Lock


def _ask(awaitable: Awaitable[T]) -> asyncio.Future[T]:
    """Give the answer as a future beside the task: `asyncio.run` complains of a task that fails while it ends."""
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[T] = loop.create_future()
    answer.add_done_callback(_hear)

    async def ask() -> None:
        try:
            answer.set_result(await awaitable)
        except Exception as error:
            answer.set_exception(error)

    _Asking(ask(), loop=loop)
    return answer


def _hear(answer: asyncio.Future[Any]) -> None:
    answer.exception()  # whoever asked may be gone, and asyncio would complain that nobody heard of it


async def _give_up(connection: aiosqlite.Connection, query: asyncio.Future[Any]) -> None:
    """Interrupt until it has ended: the thread may not have begun it."""
    while not query.done():
        await connection.interrupt()
        await asyncio.wait([query], timeout=0.01)


class Reader:
    """Read-only connections to a world file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()  # guards all of these
        self._connections: dict[asyncio.AbstractEventLoop, asyncio.Future[_Desk]] = {}
        self._opened: dict[asyncio.AbstractEventLoop, _Desk] = {}
        self._is_closed = False

    async def fetch(self, sql: str, parameters: Any = ()) -> list[Row]:
        """Run one query, in one hop, and give all of its rows."""
        try:
            return await self._query(await self._connect(), sql, parameters)
        except (sqlite3.Error, ValueError) as error:
            if self._is_closed:
                raise self._closed() from error
            if isinstance(error, sqlite3.Error):
                raise failures.translate(error, str(self._path)) from error
            raise

    def _closed(self) -> WorldError:
        return WorldError(f"the world {self._path} is closed")

    async def _query(self, desk: _Desk, sql: str, parameters: Any) -> list[Row]:
        await desk.turn.acquire()
        query = _ask(desk.connection.execute_fetchall(sql, parameters))
        query.add_done_callback(lambda _: desk.turn.release())
        try:
            await asyncio.wait([query])
        except asyncio.CancelledError:
            _ask(_give_up(desk.connection, query))
            raise
        return list(query.result())

    async def _connect(self) -> _Desk:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._is_closed:
                raise self._closed()
            made = self._connections.get(loop)
            if made is None:
                self._drop_closed_loops()
                made = self._connections[loop] = _ask(self._open())
        if not made.done():
            await asyncio.wait([made])
        if made.exception() is not None:
            with self._guard:
                if self._connections.get(loop) is made:
                    del self._connections[loop]  # the next read tries again
        return made.result()

    async def _open(self) -> _Desk:
        connection = aiosqlite.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        thread = _thread_of(connection)
        thread.daemon = True  # a world that nobody closed must not keep its process alive
        try:
            await connection
        except BaseException:
            await asyncio.to_thread(thread.join)  # it was told to stop, and tells this loop when it does
            raise
        try:
            for setting in SETTINGS:
                await connection.execute_fetchall(setting)
            desk = _Desk(connection, asyncio.Lock())
            with self._guard:
                if self._is_closed:  # meanwhile, by another loop, which does not wait for this one
                    raise self._closed()
                self._opened[asyncio.get_running_loop()] = desk
        except BaseException:
            await connection.close()
            raise
        return desk

    def _drop_closed_loops(self) -> None:
        for loop in [loop for loop in self._connections if loop.is_closed()]:
            del self._connections[loop]
            if loop in self._opened:
                _abandon(self._opened.pop(loop))

    async def close(self) -> None:
        """Close all connections, those of other loops included."""
        with self._guard:
            self._is_closed = True
            opening = self._connections.get(asyncio.get_running_loop())
            opened, self._opened = self._opened, {}
        closing: list[asyncio.Future[Any]] = [opening] if opening is not None else []  # it finds that this is closed
        for loop, desk in opened.items():
            if loop.is_closed():
                _abandon(desk)
            else:
                closing.append(_ask(desk.connection.close()))
        if closing:
            await asyncio.wait(closing)


def _thread_of(connection: aiosqlite.Connection) -> threading.Thread:
    # Up to aiosqlite 0.21 the connection is its own thread.
    thread: Any = getattr(connection, "_thread", connection)
    return cast(threading.Thread, thread)


def _abandon(desk: _Desk) -> None:
    """Close the SQLite side of a connection that can answer nobody: its loop is closed."""
    connection, thread = desk.connection, _thread_of(desk.connection)
    sqlite_side, connection._connection = connection._connection, None
    if sqlite_side is not None:
        if desk.turn.locked():
            # Its loop was closed in the midst of a read, which may have no end, and close() would wait. One that is
            # only about to begin does not hear of an interruption, and one that ended has left an idle thread.
            patience = time.monotonic() + ANSWER_SECONDS
            while thread.is_alive() and time.monotonic() < patience:
                sqlite_side.interrupt()
                thread.join(0.01)
        sqlite_side.close()
    connection._running = False
    if hasattr(connection, "stop") and thread.is_alive():
        # From a thread without a loop, for it would tell the loop of this one, which may be closed by then.
        stopping = threading.Thread(target=connection.stop, name="stop-reader", daemon=True)
        try:
            stopping.start()
        except RuntimeError:  # the interpreter ends, and with it the thread: from Python 3.12 on none begins then
            return
        stopping.join()
