"""`PostgresWorld`: a schema of a Postgres database behind the interface of `wf.world`.

Any number of processes on any number of machines may have the same world open: nobody owns it, and what orders them is
the database (`transaction` says how). It may be called from any loop and thread of its process: every call runs on a
thread, since it waits for the network, and calls of one turn of a loop that start or send travel as one transaction.

A call whose outcome is not known, because the connection broke between COMMIT and its answer, is repeated so that it
happens once: appends are idempotent by law 2 of `wf.world`, messages carry a delivery id, and for the rest
`reconciling` asks what is there.
"""

from __future__ import annotations

import asyncio
import os
import threading
import time
import weakref
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import Any, Final, TypeVar

import msgspec

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
from wf.worlds.postgres import (
    commits,
    deletions,
    hooks,
    imports,
    inbox,
    leases,
    locks,
    pruning,
    reconciling,
    runs,
    streams,
)
from wf.worlds.postgres.bell import Announcer, Listener
from wf.worlds.postgres.core import CONNECTIONS, PATIENCE_SECONDS, Core, Operation, Patience
from wf.worlds.postgres.failures import Unsure
from wf.worlds.postgres.gathering import Gathering
from wf.worlds.postgres.place import Place
from wf.worlds.postgres.reconciling import Reconcile
from wf.worlds.postgres.server import ServerFacts, read_facts
from wf.worlds.postgres.transaction import Transaction
from wf.worlds.rows import read_deployment, read_hook, read_run

T = TypeVar("T")

HEAR_SECONDS: Final = LEASE_SECONDS / 10
"""How long a worker's sign of life holds before a commit or claim gives another one: each is a row that is written."""

SWEEP_PATIENCE_SECONDS: Final = 1.0
"""How long a worker's sign of life waits for the leases of others to be taken: one that stalled may hold them, and who
waited for it would lose its own."""
PRUNE_SECONDS: Final = 60.0
LEAVE_SECONDS: Final = 0.5
"""How long a cancelled caller waits for what it began to be over."""


class PostgresWorld:
    """A world in a Postgres database.

    `durability` is `power` (an answer means that the server has fsynced it, and what else its own synchronous_commit
    asks for) or `process` (it means that the server has it; one that dies may take the last commits with it).
    `is_making` False: a world that is not there is not made. `keys` are the ids of the keys that payloads are sealed
    with, the one that seals first; none: it is not looked at them. `lease_seconds` and `monotonic` are for tests.
    """

    def __init__(
        self,
        url: str,
        durability: str = "power",
        *,
        is_making: bool = True,
        keys: Sequence[str] = (),
        lease_seconds: float = LEASE_SECONDS,
        monotonic: Callable[[], float] | None = None,
    ) -> None:
        self.place: Final = Place(url)
        self.url = self.place.shown
        self.durability = durability
        self.core: Final = Core(
            self.place,
            durability,
            is_making=is_making,
            keys=keys,
            lease_seconds=lease_seconds,
            monotonic=monotonic,
        )
        self._leases = self.core.leases
        self._monotonic = monotonic or time.monotonic
        self._hear_seconds = HEAR_SECONDS if monotonic is None else 0.0  # a clock that is moved is to be seen exactly
        self._announcer = Announcer(self.core)
        self.core.tell_others = self._announcer.tell
        self._begin_anew()
        _instances.add(self)

    def _begin_anew(self) -> None:
        self._threads = ThreadPoolExecutor(CONNECTIONS, thread_name_prefix="wf-postgres")
        self._gathering = Gathering(self.core, self._run)
        self._listener: Listener | None = None
        self._listening = threading.Lock()  # guards _listener, and that there will be none any more
        self._is_leaving = False
        self._heard: dict[str, float] = {}
        self._owes_rings = False
        self._sweeping: Future[None] | None = None
        self._pruned_at = time.monotonic()
        self._swept_at = self._monotonic() - leases.SWEEP_SECONDS

    def begin_anew_in_child(self) -> None:
        """Forget, in a forked child, the parent's threads: they are not the child's."""
        self._announcer.begin_anew_in_child()
        self._begin_anew()

    async def open(self) -> None:
        """Connect; make the world if it is not there; free the leases of workers that are gone."""
        await self._run(self._sweep)

    async def close(self) -> None:
        if self.core.is_closed:
            return
        self._gathering.flush()
        with self._listening:
            self._is_leaving = True
            listener, self._listener = self._listener, None

        def part() -> None:
            if listener is not None:
                listener.close()
            self._announcer.close()

        try:
            await self._run(part)
        finally:
            self.core.close()
            self._threads.shutdown(wait=False)

    # -- clients: start, send, read

    async def create_run(self, run: NewRun) -> Created:
        return await self._write_together(
            run.event.run_id,
            lambda tx: runs.create(tx, run),
            lambda core, result: reconciling.create(core, run, result),
        )

    async def import_run(self, imported: ImportedRun) -> Created:
        return await self._write(
            lambda tx: imports.import_run(tx, imported), lambda core, result: reconciling.import_run(imported, result)
        )

    async def get_run(self, run_id: str) -> RunRow | None:
        rows = await self._fetch(runs.GET_RUN, (run_id,))
        return read_run(rows[0]) if rows else None

    async def list_runs(self, filter: RunFilter) -> list[RunRow]:
        workflows = None
        if filter.workflow is not None:
            tail = ":" + filter.workflow
            rows = await self._fetch(runs.LIST_WORKFLOWS, (filter.workflow, tail, tail))
            workflows = [workflow for (workflow,) in rows]
        return [read_run(row) for row in await self._fetch(*runs.list_query(filter, workflows))]

    async def read_events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        return [Event(*row) for row in await self._fetch(runs.GET_EVENTS, (run_id, after_seq, limit))]

    async def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Sent:
        is_own_id = message.delivery_id is None
        if is_own_id:
            message = msgspec.structs.replace(message, delivery_id=reconciling.draw_delivery_id())
        return await self._write_together(
            run_id,
            lambda tx: inbox.send(tx, run_id, message, token_hash),
            lambda core, result: reconciling.send(result, is_own_id=is_own_id),
        )

    async def find_delivery(self, delivery_id: str) -> str | None:
        rows = await self._fetch(inbox.FIND_DELIVERY, (delivery_id,))
        return rows[0][0] if rows else None

    async def find_hook(self, token_hash: bytes) -> HookRow | None:
        rows = await self._fetch(hooks.FIND_HOOK, (token_hash,))
        return read_hook(rows[0]) if rows else None

    async def list_hooks(self, run_id: str | None = None, limit: int = 1000) -> list[HookRow]:
        if run_id is None:
            rows = await self._fetch(hooks.LIST_HOOKS, (limit,))
        else:
            rows = await self._fetch(hooks.LIST_HOOKS_OF_RUN, (run_id, limit))
        return [read_hook(row) for row in rows]

    async def list_waits(self, run_id: str | None = None, limit: int = 1000) -> list[WaitRow]:
        if run_id is None:
            rows = await self._fetch(hooks.LIST_WAITS, (limit,))
        else:
            rows = await self._fetch(hooks.LIST_WAITS_OF_RUN, (run_id, limit))
        return [WaitRow(*row) for row in rows]

    async def list_locks(self, name: str | None = None, limit: int = 1000) -> list[LockRow]:
        if name is None:
            rows = await self._fetch(locks.LIST_LOCKS, (limit,))
        else:
            rows = await self._fetch(locks.LIST_LOCKS_OF_NAME, (name, limit))
        return [LockRow(*row) for row in rows]

    # -- workers: claim, append, release

    async def open_worker(self, hello: WorkerHello) -> None:
        await self._run(lambda: self._open_worker(hello))

    async def heartbeat(self, worker_id: str) -> bool:
        return await self._run(lambda: self._speaks(worker_id))

    async def close_worker(self, worker_id: str) -> None:
        self._heard.pop(worker_id, None)
        await self._write(lambda tx: self._leases.close_worker(tx, worker_id))

    async def claim(self, worker_id: str, now: int, limit: int) -> Claims:
        claiming = self._submit(lambda: self._claim(worker_id, now, limit))
        try:
            return await asyncio.shield(asyncio.wrap_future(claiming))
        except asyncio.CancelledError:
            claiming.add_done_callback(self._give_back)
            raise

    async def read_inbox(self, worker_id: str, run_ids: Sequence[str], after_id: int) -> list[InboxMessage]:
        rows = await self._fetch(inbox.READ_LEASED, (list(run_ids), after_id, worker_id))
        return [InboxMessage(*row) for row in rows]

    async def commit(self, appends: Sequence[Append]) -> list[Outcome]:
        return await self._run(lambda: self._commit(appends))

    async def release(self, worker_id: str, releases: Sequence[Release]) -> None:
        await self._write(lambda tx: self._leases.release(tx, worker_id, releases))

    async def set_attention(self, worker_id: str, run_id: str, epoch: int, attention: Attention | None) -> Outcome:
        return await self._write(lambda tx: self._leases.set_attention(tx, worker_id, run_id, epoch, attention))

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
        return await self._write_together(
            run_id,
            lambda tx: streams.append_chunks(tx, run_id, name, start_index, at, payloads, fence),
            lambda core, result: reconciling.append_chunks(core, run_id, name, start_index, payloads, result),
        )

    async def read_chunks(self, run_id: str, name: str, start_index: int, limit: int = 256) -> list[ChunkRow]:
        return [ChunkRow(*row) for row in await self._fetch(streams.READ_CHUNKS, (run_id, name, start_index, limit))]

    async def list_streams(self, run_id: str) -> list[StreamRow]:
        rows = await self._fetch(streams.LIST_STREAMS, {"run_id": run_id})
        return [StreamRow(run_id, name, tail - is_closed, is_closed) for name, tail, is_closed in rows]

    async def read_logs(self, run_id: str, limit: int = 1000) -> list[LogRow]:
        return [LogRow(*row) for row in await self._fetch(streams.READ_LOGS, (run_id, limit))]

    # -- deployments

    async def put_deployment(self, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
        await self._write(lambda tx: streams.put_deployment(tx, deployment, sources))

    async def get_deployment(self, deployment_id: str) -> DeploymentRow | None:
        rows = await self._fetch(streams.GET_DEPLOYMENT, (deployment_id,))
        return read_deployment(rows[0]) if rows else None

    async def list_deployments(self) -> list[DeploymentRow]:
        return [read_deployment(row) for row in await self._fetch(streams.LIST_DEPLOYMENTS)]

    async def peg_runs(self, run_ids: Sequence[str], deployment_id: str) -> list[str]:
        return await self._write(lambda tx: runs.peg(tx, run_ids, deployment_id))

    async def read_source(self, digest: str) -> bytes | None:
        rows = await self._fetch(streams.READ_SOURCE, (digest,))
        content: bytes | None = rows[0][0] if rows else None
        return content

    # -- forgetting

    async def delete_runs(self, run_ids: Sequence[str]) -> list[str]:
        return await self._write(
            lambda tx: deletions.delete_runs(tx, run_ids),
            lambda core, result: reconciling.delete_runs(core, run_ids, result),
        )

    async def delete_unused_code(self) -> int:
        return await self._write(deletions.delete_unused_code)

    async def compact(self) -> None:
        """Have the database look at what deletions freed: it uses the room again, and keeps it."""
        await self._run(lambda: self.core.vacuum())

    async def read_server_facts(self) -> ServerFacts:
        """Say what the database's server is, and how it keeps what it is given."""
        return await self._run(lambda: read_facts(self.core))

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        with self._listening:
            if self._is_leaving or self.core.is_closed:
                raise self.core.closed_error()
            if self._listener is None:
                self._listener = Listener(self.core)
            listener = self._listener
        undo = self.core.doorbells.subscribe(topic, ring)
        if not listener.is_ready:
            try:
                await self._run(listener.wait_ready)
            except BaseException:
                undo()
                raise
        return undo

    # -- on a thread

    def _open_worker(self, hello: WorkerHello) -> None:
        self._speaks(hello.worker_id)
        self._persist(lambda tx: self._leases.open_worker(tx, hello))

    def _claim(self, worker_id: str, now: int, limit: int) -> Claims:
        if self._is_to_be_heard(worker_id) and not self._speaks(worker_id):
            return Claims([])
        return self._persist(lambda tx: self._leases.claim(tx, worker_id, now, limit))

    def _give_back(self, claiming: Future[Claims]) -> None:
        """Give back what was leased to somebody who did not wait for it."""
        if claiming.exception() is not None:
            return
        claims = claiming.result()
        try:
            self._submit(lambda: self._persist(lambda tx: self._leases.give_back(tx, claims)))
        except WorldError:
            pass  # the world was closed: the leases end with their worker

    def _commit(self, appends: Sequence[Append]) -> list[Outcome]:
        heard: set[str] = set()

        def operation(tx: Transaction) -> list[Outcome]:
            heard.clear()
            return commits.commit(tx, appends, heard)

        outcomes = self._persist(operation)
        late = [worker_id for worker_id in heard if self._is_to_be_heard(worker_id)]
        if late:
            self._heard.update(dict.fromkeys(late, self._monotonic()))
            self.core.read(lambda tx: self._leases.hear_in_passing(tx, late))
        return outcomes

    def _is_to_be_heard(self, worker_id: str) -> bool:
        """Tell whether a sign of life is worth a row: the last one may be from just now."""
        heard_at = self._heard.get(worker_id)
        return heard_at is None or self._monotonic() - heard_at >= self._hear_seconds

    def _speaks(self, worker_id: str) -> bool:
        """Note that a worker speaks, and take the leases of those that were silent for too long."""
        is_heard = self.core.read(lambda tx: self._leases.hear(tx, worker_id))
        now = self._monotonic()
        if is_heard:
            self._heard[worker_id] = now
        else:
            self._heard.pop(worker_id, None)
        if not is_heard or now - self._swept_at >= leases.SWEEP_SECONDS:
            self._swept_at = now
            if self._sweeping is None or self._sweeping.done():
                self._sweeping = self._submit(self._sweep)
                wait([self._sweeping], timeout=SWEEP_PATIENCE_SECONDS)
        return is_heard

    def _sweep(self) -> None:
        if self.core.read(self._leases.find_lost):
            self._persist(self._leases.sweep)
        if time.monotonic() - self._pruned_at >= PRUNE_SECONDS:
            self._pruned_at = time.monotonic()
            self._persist(pruning.prune)

    def _persist(self, operation: Operation[T], reconcile: Reconcile[T] | None = None) -> T:
        """Write until it is known how that ended."""
        patience = Patience(PATIENCE_SECONDS)
        was_unsure = False
        while True:
            try:
                result = self.core.write(operation)
            except Unsure:
                was_unsure = self._owes_rings = True
                if not patience.lasts():
                    raise
                continue
            if self._owes_rings:
                self._ring_what_is_owed()
            return reconcile(self.core, result) if was_unsure and reconcile is not None else result

    def _ring_what_is_owed(self) -> None:
        """Ring for a call that was carried out before its line broke: repeated, it does nothing to ring for."""
        self._owes_rings = False
        self.core.doorbells.ring_all()

    # -- the ways to a thread

    async def _write(self, operation: Operation[T], reconcile: Reconcile[T] | None = None) -> T:
        return await self._run(lambda: self._persist(operation, reconcile))

    async def _write_together(self, run_id: str, operation: Operation[T], reconcile: Reconcile[T]) -> T:
        """Write with all others who call this in the same turn of the loop."""
        try:
            return await self._gathering.write(run_id, operation)
        except Unsure:
            self._owes_rings = True
            return await self._run(lambda: reconcile(self.core, self._persist(operation)))

    async def _fetch(self, query: str, parameters: Any = ()) -> list[Any]:
        return await self._run(lambda: self.core.fetch(query, parameters))

    async def _run(self, function: Callable[[], T]) -> T:
        """Run something on a thread. A caller that is cancelled leaves when it is over, or after a moment all the same:
        it goes on then."""
        working = asyncio.wrap_future(self._submit(function))
        try:
            return await asyncio.shield(working)
        except asyncio.CancelledError:
            await asyncio.wait([working], timeout=LEAVE_SECONDS)
            if working.done() and not working.cancelled():
                working.exception()  # heard of, or asyncio would complain
            raise

    def _submit(self, function: Callable[[], T]) -> Future[T]:
        if self.core.is_closed:
            raise self.core.closed_error()
        try:
            return self._threads.submit(function)
        except RuntimeError:
            raise self.core.closed_error() from None


_instances: Final[weakref.WeakSet[PostgresWorld]] = weakref.WeakSet()


def _begin_anew_in_child() -> None:
    for world in list(_instances):
        world.begin_anew_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_anew_in_child)
