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
"""How long a thread may take to notice that its read was interrupted."""

T = TypeVar("T")


class _Question(asyncio.Task[T]):
    """What is asked of a connection's thread: it ends with the answer, whoever cancels it."""

    def cancel(self, msg: Any | None = None) -> bool:
        return False


class _Desk(NamedTuple):
    connection: aiosqlite.Connection
    turn: asyncio.Lock


def _ask(awaitable: Awaitable[T]) -> _Question[T]:
    async def ask() -> T:
        return await awaitable

    question = _Question(ask(), loop=asyncio.get_running_loop())
    question.add_done_callback(_hear)
    return question


def _hear(question: asyncio.Task[Any]) -> None:
    question.exception()  # whoever asked may be gone, and asyncio would complain that nobody heard of it


async def _give_up(connection: aiosqlite.Connection, query: asyncio.Task[Any]) -> None:
    """Interrupt until it has ended: the thread may not have begun it."""
    while not query.done():
        await connection.interrupt()
        await asyncio.wait([query], timeout=0.01)


class Reader:
    """Read-only connections to a world file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()  # guards _connections
        self._connections: dict[asyncio.AbstractEventLoop, _Question[_Desk]] = {}
        self._is_closed = False

    async def fetch(self, sql: str, parameters: Any = ()) -> list[Row]:
        """Run one query, in one hop, and give all of its rows."""
        try:
            return await self._query(await self._connect(), sql, parameters)
        except sqlite3.Error as error:
            raise failures.translate(error, str(self._path)) from error
        except ValueError as error:
            if self._is_closed:
                raise WorldError(f"the world {self._path} is closed") from error
            raise

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
                raise WorldError(f"the world {self._path} is closed")
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
            if self._is_closed:  # meanwhile, by another loop, which does not wait for this one
                raise WorldError(f"the world {self._path} is closed")
        except BaseException:
            await connection.close()
            raise
        return _Desk(connection, asyncio.Lock())

    def _drop_closed_loops(self) -> None:
        for loop, made in list(self._connections.items()):
            if loop.is_closed():
                del self._connections[loop]
                if made.done() and made.exception() is None:
                    _abandon(made.result())

    async def close(self) -> None:
        """Close all connections, those of other loops included."""
        with self._guard:
            self._is_closed = True
            connections, self._connections = self._connections, {}
        here = asyncio.get_running_loop()
        closing: list[asyncio.Task[Any]] = []
        for loop, made in connections.items():
            if loop is here and not made.done():
                closing.append(made)  # it finds that this is closed
            elif made.done() and made.exception() is None:
                if loop.is_closed():
                    _abandon(made.result())
                else:
                    closing.append(_ask(made.result().connection.close()))
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
        if (
            desk.turn.locked()
        ):  # its loop was closed in the midst of a read, which may have no end, and close() would wait
            sqlite_side.interrupt()
            thread.join(ANSWER_SECONDS)
        sqlite_side.close()
    connection._running = False
    if hasattr(connection, "stop") and thread.is_alive():
        # From a thread without a loop, for it would tell the loop of this one, which may be closed by then.
        stopping = threading.Thread(target=connection.stop, name="stop-reader", daemon=True)
        stopping.start()
        stopping.join()
