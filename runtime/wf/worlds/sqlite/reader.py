"""The reader: long reads, on aiosqlite connections that cannot write.

A connection per loop, made at its first long read: an aiosqlite thread dies with an answer that it
cannot deliver because the loop is closed, and must not take other loops' reads with it.
"""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from pathlib import Path
from typing import Any, cast

import aiosqlite

from wf.errors import WorldError
from wf.worlds.rows import Row
from wf.worlds.sqlite import failures

SETTINGS = (
    "PRAGMA query_only = ON",
    "PRAGMA wal_autocheckpoint = 0",  # only the writer checkpoints
    "PRAGMA trusted_schema = OFF",
    "PRAGMA cell_size_check = ON",
    "PRAGMA mmap_size = 0",
    "PRAGMA temp_store = MEMORY",
)


class Reader:
    """Read-only connections to a world file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._guard = threading.Lock()  # guards _connections
        self._connections: dict[asyncio.AbstractEventLoop, asyncio.Future[aiosqlite.Connection]] = {}
        self._is_closed = False

    async def fetch(self, sql: str, parameters: Any = ()) -> list[Row]:
        """Run one query, in one hop, and give all of its rows."""
        try:
            connection = await self._connect()
            return await self._query(connection, sql, parameters)
        except sqlite3.Error as error:
            raise failures.translate(error, str(self._path)) from error
        except ValueError as error:
            if self._is_closed:
                raise WorldError(f"the world {self._path} is closed") from error
            raise

    async def _query(self, connection: aiosqlite.Connection, sql: str, parameters: Any) -> list[Row]:
        """Wait for the answer even if the caller is cancelled: its loop may end right after, and the
        connection's thread would die of an answer that it cannot deliver."""
        query = asyncio.ensure_future(connection.execute_fetchall(sql, parameters))
        try:
            return list(await asyncio.shield(query))
        except asyncio.CancelledError:
            await connection.interrupt()
            await asyncio.wait([query])
            if not query.cancelled():
                query.exception()  # heard of, or asyncio would complain
            raise

    async def _connect(self) -> aiosqlite.Connection:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._is_closed:
                raise WorldError(f"the world {self._path} is closed")
            made = self._connections.get(loop)
            if made is None:
                self._drop_closed_loops()
                made = self._connections[loop] = loop.create_task(self._open())
        if made.done() and not made.cancelled() and made.exception() is None:
            return made.result()
        try:
            return await asyncio.shield(made)
        except BaseException:
            if made.done() and self._connections.get(loop) is made:
                del self._connections[loop]  # the next read tries again
            raise

    async def _open(self) -> aiosqlite.Connection:
        connection = aiosqlite.connect(
            f"{self._path.absolute().as_uri()}?mode=ro",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            timeout=5.0,
        )
        _thread_of(connection).daemon = True  # a world that nobody closed must not keep its process alive
        connection = await connection
        for setting in SETTINGS:
            await connection.execute_fetchall(setting)
        return connection

    def _drop_closed_loops(self) -> None:
        for loop, made in list(self._connections.items()):
            if loop.is_closed():
                del self._connections[loop]
                if made.done() and not made.cancelled() and made.exception() is None:
                    _abandon(made.result())

    async def close(self) -> None:
        """Close all connections, those of other loops included."""
        with self._guard:
            self._is_closed = True
            connections, self._connections = self._connections, {}
        for loop, made in connections.items():
            if loop is asyncio.get_running_loop() and not made.done():
                await asyncio.wait([made])
            if made.done() and not made.cancelled() and made.exception() is None:
                connection = made.result()
                if _thread_of(connection).is_alive():
                    await connection.close()
                else:
                    _abandon(connection)


def _thread_of(connection: aiosqlite.Connection) -> threading.Thread:
    # Up to aiosqlite 0.21 the connection is its own thread.
    thread: Any = getattr(connection, "_thread", connection)
    return cast(threading.Thread, thread)


def _abandon(connection: aiosqlite.Connection) -> None:
    """Close the SQLite side of a connection that can answer nobody: its loop is closed."""
    sqlite_side, connection._connection = connection._connection, None
    if sqlite_side is not None:
        sqlite_side.close()
    connection._running = False
    if hasattr(connection, "stop") and _thread_of(connection).is_alive():
        _ = connection.stop()
