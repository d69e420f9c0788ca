"""The bell: how processes that share a world hear of each other's news.

1. A ring is a hint. `NOTIFY` carries it, and may lose it: so a listener also looks by itself, every `POLL_SECONDS`, and
   after every time that its connection was lost it rings all it has subscribers for.
2. `NOTIFY` is not part of the transactions that it tells of: Postgres takes one lock for all commits that notify, so
   that they could not happen side by side. What happens at once is told together, after the commit.
3. That a run changed is read from the feed of changes, by who wants to know it; a notification says only that there
   are some. So it names no runs, however many there are, and what was missed is found again.
4. What a process wrote itself it has rung itself.

Only a process that subscribes has the thread and the connection that listens.
"""

from __future__ import annotations

import os
import selectors
import threading
import time
from typing import Any, Final

import msgspec
import psycopg
from psycopg import Connection, sql

from wf.errors import WorldError
from wf.worlds.doorbells import CLAIMABLE, LOG, RUNS, Doorbells
from wf.worlds.postgres.core import PATIENCE_SECONDS, Core
from wf.worlds.postgres.transaction import Row, Transaction

POLL_SECONDS: Final = 1.0
READY_SECONDS: Final = 10.0
LISTEN_AGAIN_SECONDS: Final = (0.05, 1.0)
"""The first pause before a lost connection is made again, and the longest."""
FEED_SECONDS: Final = 0.1
"""How often at most a process says that runs changed: with every step of every run there would be no end of it."""
MOST_MAIL_BYTES: Final = 7_000
"""Of the runs that are named one by one in a notification, which takes less than 8 000 bytes."""

_NOTIFY: Final = "SELECT pg_notify(%s, %s)"
_MAIL: Final = """
SELECT DISTINCT r.owner, r.run_id FROM inbox AS i JOIN runs AS r USING (run_id) WHERE r.owner = ANY(%s::text[])
"""
_DUE: Final = """
SELECT min(wake_at), (SELECT max(id) FROM runs) FROM runs WHERE owner IS NULL AND barred = 0 AND wake_at IS NOT NULL
"""
_SNAPSHOT: Final = "SELECT pg_current_snapshot()::text"
# What was written by transactions that were under way, or had not begun, in the snapshot before: so however long one
# of them takes, in whatever database of the server, no row is read twice.
_CHANGED: Final = """
SELECT pg_current_snapshot()::text, c.run_id, c.is_state
FROM (SELECT) AS always LEFT JOIN changes AS c ON c.source <> %s
  AND (c.xid >= pg_snapshot_xmax(%s::text::pg_snapshot)
    OR c.xid = ANY(ARRAY(SELECT pg_snapshot_xip(%s::text::pg_snapshot))))
"""
WORKER: Final = "worker:"
RESULTS: Final = "results"
_RUN_TOPICS: Final = ("run:", LOG, "stream:")


class News(msgspec.Struct):
    """What one process tells the others. `mail`: worker and run, or a worker and "" for any of its runs."""

    source: str
    is_claimable: bool = False
    has_changes: bool = False
    mail: list[tuple[str, str]] = []


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(News).decode


def _limit(mail: set[tuple[str, str]]) -> list[tuple[str, str]]:
    """Name run by run in a notification, or worker by worker where it does not fit; who is not named looks."""
    if len(_encode(mail)) > MOST_MAIL_BYTES:
        mail = {(worker_id, "") for worker_id, _ in mail}
    return sorted(mail) if len(_encode(mail)) <= MOST_MAIL_BYTES else []


class Announcer:
    """Tells other processes what this one committed: a thread, which sleeps while there is nothing to tell."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._news = threading.Condition()  # guards all below
        self._is_claimable = False
        self._has_changes = False
        self._mail: set[tuple[str, str]] = set()
        self._thread: threading.Thread | None = None
        self._is_closed = False

    def begin_anew_in_child(self) -> None:
        self._begin_anew()

    def tell(self, tx: Transaction) -> None:
        """Have others told of what a transaction did, now that it is durable."""
        mail = {
            (topic.removeprefix(WORKER), detail)
            for topic, detail in tx.rings
            if topic.startswith(WORKER) and not self._core.doorbells.has(topic)
        }
        is_claimable = any(topic == CLAIMABLE for topic, _ in tx.rings)
        has_changes = bool(tx.grown or tx.deleted) or any(topic == RUNS for topic, _ in tx.rings)
        if not (mail or is_claimable or has_changes):
            return
        with self._news:
            self._mail |= mail
            self._is_claimable |= is_claimable
            self._has_changes |= has_changes
            if self._thread is None and not self._is_closed:
                self._thread = threading.Thread(target=self._run, name="wf-announcer", daemon=True)
                self._thread.start()
            self._news.notify()

    def close(self) -> None:
        """Tell what there is to tell, and end the thread."""
        with self._news:
            self._is_closed = True
            thread = self._thread
            self._news.notify()
        if thread is not None:
            thread.join(PATIENCE_SECONDS)

    # -- on the thread

    def _run(self) -> None:
        feed_told_at = -FEED_SECONDS
        while True:
            with self._news:
                while not (self._is_closed or self._is_claimable or self._mail):
                    wait = feed_told_at + FEED_SECONDS - time.monotonic() if self._has_changes else None
                    if wait is not None and wait <= 0:
                        break
                    self._news.wait(wait)
                mail, self._mail = self._mail, set()
                news = News(self._core.source, self._is_claimable, self._has_changes, _limit(mail))
                self._is_claimable = self._has_changes = False
                is_last = self._is_closed
            if news.has_changes:
                feed_told_at = time.monotonic()
            if news.is_claimable or news.has_changes or news.mail:
                try:
                    self._core.fetch(_NOTIFY, (self._core.place.channel, _encode(news).decode()))
                except WorldError:
                    pass  # others find by their own looking what was not told
            if is_last:
                return


class Listener:
    """Rings this process's subscribers for what others did: a thread, with a connection of its own."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._doorbells: Doorbells = core.doorbells
        self._stopping = threading.Event()
        self._ready = threading.Event()
        self._failure: WorldError | None = None
        self._snapshot = ""
        self._due: tuple[Any, ...] = ()
        self._woken, self._wake = os.pipe()
        self._thread = threading.Thread(target=self._run, name="wf-bell", daemon=True)
        self._thread.start()

    @property
    def is_ready(self) -> bool:
        return self._ready.is_set()

    def wait_ready(self) -> None:
        """Wait until nothing can happen any more that would not be heard of. Raises `WorldError`."""
        if not self._ready.wait(READY_SECONDS) and self._failure is not None:
            raise self._failure.with_traceback(None)

    def close(self) -> None:
        self._stopping.set()
        os.write(self._wake, b"x")
        self._thread.join(PATIENCE_SECONDS)
        if not self._thread.is_alive():
            os.close(self._woken)
            os.close(self._wake)

    # -- on the thread

    def _run(self) -> None:
        pause = LISTEN_AGAIN_SECONDS[0]
        was_ready = False
        while not self._stopping.is_set():
            try:
                connection = self._core.connect()
            except WorldError as error:
                self._failure = error
                self._stopping.wait(pause)
                pause = min(2 * pause, LISTEN_AGAIN_SECONDS[1])
                continue
            try:
                channel = sql.Identifier(self._core.place.channel)
                connection.execute(sql.SQL("LISTEN {}").format(channel))
                connection.execute("SET synchronous_commit = off")
                ((self._snapshot,),) = connection.execute(_SNAPSHOT).fetchall()
                pause = LISTEN_AGAIN_SECONDS[0]
                self._ready.set()
                if was_ready:
                    self._doorbells.ring_all()  # whatever was rung in between, they missed
                was_ready = True
                self._listen(connection)
            except (psycopg.Error, WorldError) as error:
                if isinstance(error, WorldError):
                    self._failure = error
                self._stopping.wait(pause)
            finally:
                connection.close()

    def _listen(self, connection: Connection[Row]) -> None:
        with selectors.DefaultSelector() as selector:
            selector.register(connection, selectors.EVENT_READ)
            selector.register(self._woken, selectors.EVENT_READ)
            self._listen_with(connection, selector)

    def _listen_with(self, connection: Connection[Row], selector: selectors.BaseSelector) -> None:
        looked_at = time.monotonic()
        while not self._stopping.is_set():
            has_changes = False
            while not self._stopping.is_set() and (left := looked_at + POLL_SECONDS - time.monotonic()) > 0:
                for notify in connection.notifies(timeout=0):  # first: some may have come with the last answers
                    has_changes |= self._hear(notify.payload)
                if has_changes:
                    break
                selector.select(left)
            if self._stopping.is_set():
                return
            self._core.take_up(connection)
            try:
                if has_changes:
                    self._ring_changes(connection)
                else:
                    looked_at = time.monotonic()
                    self._look(connection)
            finally:
                self._core.put_down(connection)

    def _hear(self, payload: str) -> bool:
        """Ring for news of another process; True if runs have changed."""
        try:
            news = _decode(payload)
        except msgspec.DecodeError:
            return False
        if news.source == self._core.source:
            return False
        rings = [(f"{WORKER}{worker_id}", run_id) for worker_id, run_id in news.mail]
        if news.is_claimable:
            rings.append((CLAIMABLE, ""))
        self._doorbells.ring(rings)
        return news.has_changes

    def _look(self, connection: Connection[Row]) -> None:
        """Look for what there is to ring for, as if no notification had come."""
        topics = self._doorbells.topics()
        rings: list[tuple[str, str]] = []
        workers = [topic.removeprefix(WORKER) for topic in topics if topic.startswith(WORKER)]
        if workers:
            found = connection.execute(_MAIL, (workers,)).fetchall()
            rings += [(f"{WORKER}{owner}", run_id) for owner, run_id in found]
        if CLAIMABLE in topics:
            due = connection.execute(_DUE).fetchall()[0]
            # What is due is rung for until somebody has it: a later one, for which nobody rang, looks the same here.
            if due[0] is not None and (due != self._due or due[0] <= time.time_ns() // 1000):
                rings.append((CLAIMABLE, ""))
            self._due = due
        self._doorbells.ring(rings)
        self._ring_changes(connection)

    def _ring_changes(self, connection: Connection[Row]) -> None:
        """Ring for the runs that others changed since we looked last."""
        if not self._is_followed():
            ((snapshot,),) = connection.execute(_SNAPSHOT).fetchall()
            if not self._is_followed():  # asked after it: who subscribes from now on reads what it holds
                self._snapshot = snapshot  # nobody wants to know, and none is owed
                return
        rings: list[tuple[str, str]] = []
        found = connection.execute(_CHANGED, (self._core.source, self._snapshot, self._snapshot)).fetchall()
        for _, run_id, is_state in found:
            if run_id is None:
                continue
            rings.append((LOG + run_id, run_id))
            rings += [(topic, run_id) for topic in self._doorbells.streams_of(run_id)]
            if is_state:
                rings += [(RUNS, run_id), (RESULTS, run_id), (f"run:{run_id}", run_id)]
        self._snapshot = found[0][0]
        self._doorbells.ring(rings)

    def _is_followed(self) -> bool:
        """Tell whether anybody wants to know of changes."""
        return any(topic in (RUNS, RESULTS) or topic.startswith(_RUN_TOPICS) for topic in self._doorbells.topics())
