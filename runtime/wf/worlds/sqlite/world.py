"""`SqliteWorld`: an SQLite file behind the interface of `wf.world`.

It assumes that its process alone writes the file (the election is made elsewhere), and may be
called from any loop and thread of that process. Calls that a worker makes on its hot path (`commit`,
`claim`, `read_inbox`, `get_run`) run on the caller's loop while the disk is fast; see `lane`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Final

from wf.errors import WorldError
from wf.events import Event
from wf.world import (
    LEASE_SECONDS,
    Append,
    Appended,
    Attention,
    ChunkRow,
    Claims,
    Created,
    DeploymentRow,
    Doorbell,
    Fence,
    HookRow,
    ImportedRun,
    InboxMessage,
    LockRow,
    LogRow,
    Message,
    NewRun,
    Outcome,
    Release,
    RunFilter,
    RunRow,
    Sent,
    StreamRow,
    WaitRow,
    WorkerHello,
)
from wf.worlds.rows import Row, read_deployment, read_hook, read_run
from wf.worlds.sqlite import commits, deletions, hooks, imports, inbox, locks, runs, streams
from wf.worlds.sqlite.core import Core
from wf.worlds.sqlite.lane import Lane
from wf.worlds.sqlite.reader import Reader

SHORT_READ: Final = 200
"""Up to so many events are read on the spot: a hop costs as much as reading them."""


class SqliteWorld:
    """A world in a file.

    `durability` is `power` (an answer means fsynced) or `process` (it survives the death of the
    process; a power cut may take the last commits). One that `is_frozen` can be read although its disk
    is full, and raises `StorageFull` for all else. `lease_seconds`, `monotonic` and `busy_timeout_ms`
    are for tests.
    """

    def __init__(
        self,
        path: str | Path,
        durability: str = "power",
        *,
        is_frozen: bool = False,
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] = time.monotonic,
        busy_timeout_ms: int = 5000,
    ) -> None:
        self.path: Final = Path(path).expanduser().absolute()
        self.url = f"sqlite:///{self.path.as_posix()}"
        self.durability = durability
        self._core = Core(
            self.path,
            durability,
            lease_seconds=lease_seconds,
            monotonic=monotonic,
            busy_timeout_ms=busy_timeout_ms,
            is_frozen=is_frozen,
        )
        self.is_frozen: Final = is_frozen
        self._leases = self._core.leases
        self._lane = Lane(self._core)
        self._reader = Reader(self.path)

    async def open(self) -> None:
        """Open the file, or create it; free the leases of processes that are gone."""
        await self._lane.on_thread(self._core.open)

    async def close(self) -> None:
        await self._reader.close()
        await self._lane.close()

    # -- clients: start, send, read

    async def create_run(self, run: NewRun) -> Created:
        return await self._lane.write_together(lambda tx: runs.create(tx, run))

    async def import_run(self, imported: ImportedRun) -> Created:
        return await self._lane.write_apart(lambda tx: imports.import_run(tx, imported))

    async def get_run(self, run_id: str) -> RunRow | None:
        return await self._lane.read(lambda tx: runs.get(tx, run_id))

    async def list_runs(self, filter: RunFilter) -> list[RunRow]:
        workflows = None
        if filter.workflow is not None:
            tail = ":" + filter.workflow
            rows = await self._read(runs.LIST_WORKFLOWS, (filter.workflow, tail, tail))
            workflows = [workflow for (workflow,) in rows]
        return [read_run(row) for row in await self._read(*runs.list_query(filter, workflows))]

    async def read_events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        if limit <= SHORT_READ:
            return await self._lane.read(lambda tx: runs.read_events(tx, run_id, after_seq, limit))
        return [Event(*row) for row in await self._read(runs.GET_EVENTS, (run_id, after_seq, limit))]

    async def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Sent:
        return await self._lane.write_together(lambda tx: inbox.send(tx, run_id, message, token_hash))

    async def find_delivery(self, delivery_id: str) -> str | None:
        rows = await self._read(inbox.FIND_DELIVERY, (delivery_id,))
        return rows[0][0] if rows else None

    async def find_hook(self, token_hash: bytes) -> HookRow | None:
        return await self._lane.read(lambda tx: hooks.find(tx, token_hash))

    async def list_hooks(self, run_id: str | None = None, limit: int = 1000) -> list[HookRow]:
        if run_id is None:
            rows = await self._read(hooks.LIST_HOOKS, (limit,))
        else:
            rows = await self._read(hooks.LIST_HOOKS_OF_RUN, (run_id, limit))
        return [read_hook(row) for row in rows]

    async def list_waits(self, run_id: str | None = None, limit: int = 1000) -> list[WaitRow]:
        if run_id is None:
            rows = await self._read(hooks.LIST_WAITS, (limit,))
        else:
            rows = await self._read(hooks.LIST_WAITS_OF_RUN, (run_id, limit))
        return [WaitRow(*row) for row in rows]

    async def list_locks(self, name: str | None = None, limit: int = 1000) -> list[LockRow]:
        if name is None:
            rows = await self._read(locks.LIST_LOCKS, (limit,))
        else:
            rows = await self._read(locks.LIST_LOCKS_OF_NAME, (name, limit))
        return [
            LockRow(name_, run_id, number, limit_, position, bool(is_held))
            for name_, run_id, number, limit_, position, is_held in rows
        ]

    # -- workers: claim, append, release

    async def open_worker(self, hello: WorkerHello) -> None:
        await self._lane.write(lambda tx: self._leases.open_worker(tx, hello))

    async def heartbeat(self, worker_id: str) -> bool:
        return await self._lane.write(lambda tx: self._leases.heartbeat(tx, worker_id))

    async def close_worker(self, worker_id: str) -> None:
        await self._lane.write(lambda tx: self._leases.close_worker(tx, worker_id))

    async def claim(self, worker_id: str, now: int, limit: int) -> Claims:
        return await self._lane.write(lambda tx: self._leases.claim(tx, worker_id, now, limit), self._give_back)

    def _give_back(self, claims: Claims) -> None:
        self._lane.write_later(lambda tx: self._leases.give_back(tx, claims))

    async def read_inbox(self, worker_id: str, run_ids: Sequence[str], after_id: int) -> list[InboxMessage]:
        return await self._lane.read(lambda tx: inbox.read_leased(tx, worker_id, run_ids, after_id))

    async def commit(self, appends: Sequence[Append]) -> list[Outcome]:
        return await self._lane.write(partial(commits.commit, leases=self._leases, appends=appends))

    async def release(self, worker_id: str, releases: Sequence[Release]) -> None:
        # Nobody waits for it: it need not have a commit of its own.
        await self._lane.write_together(lambda tx: self._leases.release(tx, worker_id, releases))

    async def set_attention(self, worker_id: str, run_id: str, epoch: int, attention: Attention | None) -> Outcome:
        return await self._lane.write(lambda tx: self._leases.set_attention(tx, worker_id, run_id, epoch, attention))

    # -- streams and logs

    async def append_chunks(
        self,
        run_id: str,
        name: str,
        start_index: int,
        at: int | list[int],
        payloads: Sequence[bytes | None],
        fence: Fence | None,
    ) -> Appended:
        return await self._lane.write_together(
            lambda tx: streams.append_chunks(tx, run_id, name, start_index, at, payloads, fence)
        )

    async def read_chunks(self, run_id: str, name: str, start_index: int, limit: int = 256) -> list[ChunkRow]:
        return [ChunkRow(*row) for row in await self._read(streams.READ_CHUNKS, (run_id, name, start_index, limit))]

    async def list_streams(self, run_id: str) -> list[StreamRow]:
        rows = await self._read(streams.LIST_STREAMS, (run_id,) * 4)
        return [StreamRow(run_id, name, tail - is_closed, bool(is_closed)) for name, tail, is_closed in rows]

    async def read_logs(self, run_id: str, limit: int = 1000) -> list[LogRow]:
        return [LogRow(*row) for row in await self._read(streams.READ_LOGS, (run_id, limit))]

    # -- deployments

    async def put_deployment(self, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
        await self._lane.write(lambda tx: streams.put_deployment(tx, deployment, sources))

    async def get_deployment(self, deployment_id: str) -> DeploymentRow | None:
        return await self._lane.read(lambda tx: streams.get_deployment(tx, deployment_id))

    async def delete_runs(self, run_ids: Sequence[str]) -> list[str]:
        return await self._lane.write_apart(lambda tx: deletions.delete_runs(tx, run_ids))

    async def delete_unused_code(self) -> int:
        return await self._lane.write_apart(deletions.delete_unused_code)

    async def compact(self) -> None:
        await self._lane.on_thread(self._core.compact)

    async def peg_runs(self, run_ids: Sequence[str], deployment_id: str) -> list[str]:
        return await self._lane.write(lambda tx: runs.peg(tx, run_ids, deployment_id))

    async def list_deployments(self) -> list[DeploymentRow]:
        return [read_deployment(row) for row in await self._read(streams.LIST_DEPLOYMENTS, ())]

    async def read_source(self, digest: str) -> bytes | None:
        rows = await self._read(streams.READ_SOURCE, (digest,))
        content: bytes | None = rows[0][0] if rows else None
        return content

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        if not self._core.is_open:
            raise WorldError(f"the world {self.path} is closed")
        return self._core.doorbells.subscribe(topic, ring)

    async def _read(self, sql: str, parameters: Sequence[object]) -> list[Row]:
        if self.is_frozen:  # it shares the file with no other connection
            return await self._lane.on_thread(
                lambda: self._core.read(lambda tx: tx.execute(sql, parameters).fetchall())
            )
        return await self._reader.fetch(sql, parameters)
