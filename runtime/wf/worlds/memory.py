"""`MemoryWorld`: a world that lives as long as its process.

1. It is the interface of `wf.world` in the plainest form, and the oracle that other worlds are
   compared with; so it shares no code with them but the ringing of doorbells.
2. Every method is atomic: it checks first, then changes, and does not await in between. One lock
   guards all of it, for callers from other threads.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import msgspec

from wf.errors import WorldError
from wf.events import CANCELLED, PENDING, RUNNING, Event
from wf.world import (
    EVENTS_PER_CLAIM,
    LEASE_SECONDS,
    Append,
    Appended,
    Attention,
    CancelChild,
    ChunkRow,
    Claimed,
    Claims,
    Created,
    DeploymentRow,
    Doorbell,
    DropHook,
    DropWait,
    Effect,
    EndRun,
    Fence,
    HookRow,
    ImportedRun,
    InboxMessage,
    LockRow,
    LogRow,
    Message,
    NewRun,
    Outcome,
    PutHook,
    PutLog,
    PutWait,
    Release,
    ReleaseLock,
    RequestLock,
    RunFilter,
    RunRow,
    Sent,
    SetAttributes,
    StartChild,
    StartRun,
    StreamRow,
    WaitRow,
    WatchRun,
    WorkerHello,
)
from wf.worlds.doorbells import Doorbells
from wf.worlds.rows import make_first_row

SWEEP_SECONDS: Final = 0.25
GATE: Final = 0
"""The correlation id under which a run queues for its workflow's gate; calls count from 1."""


class _Watcher(NamedTuple):
    run_id: str
    correlation_id: int


@dataclass(slots=True)
class _Lock:
    name: str
    run_id: str
    correlation_id: int
    limit: int
    position: int
    is_held: bool = False


@dataclass(slots=True)
class _Run:
    """All that is known of one run. `number` is its place in the order of creation."""

    row: RunRow
    number: int
    concurrency: int | None
    events: list[Event]
    inbox: list[InboxMessage] = field(default_factory=list)
    waits: dict[int, WaitRow] = field(default_factory=dict)
    hooks: dict[int, bytes] = field(default_factory=dict)
    locks: dict[int, _Lock] = field(default_factory=dict)
    watchers: set[_Watcher] = field(default_factory=set)
    streams: dict[str, list[ChunkRow]] = field(default_factory=dict)
    logs: dict[tuple[int, int, int], LogRow] = field(default_factory=dict)
    refusals: dict[str, int] = field(default_factory=dict)
    """Worker → the last cancel or terminate it knew of when it set the run's attention."""

    def change(self, **changes: object) -> None:
        self.row = msgspec.structs.replace(self.row, **changes)

    @property
    def is_ended(self) -> bool:
        return self.row.ended_at is not None

    @property
    def is_at_closed_gate(self) -> bool:
        """A run that was asked to end executes nothing, so it may go through."""
        return GATE in self.locks and not self.locks[GATE].is_held and not self.last_ending()

    def last_ending(self) -> int:
        """The id of the newest message that asks the run to end, 0 if there is none."""
        return max((m.id for m in self.inbox if m.kind in ("cancel", "terminate")), default=0)

    def is_refused_by(self, worker_id: str) -> bool:
        known = self.refusals.get(worker_id)
        return self.row.attention is not None and known is not None and self.last_ending() <= known


@dataclass(slots=True)
class _Worker:
    hello: WorkerHello
    heard_at: float
    told: int | None = None
    """When it asks again by itself, as `claim` told it; None: at the next doorbell."""


class MemoryWorld:
    """A world of dicts. `lease_seconds` and `monotonic` are for tests."""

    url = "memory://"
    durability = "none"

    def __init__(
        self, *, lease_seconds: float = LEASE_SECONDS, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._lease_seconds = lease_seconds
        self._monotonic = monotonic
        self._guard = threading.RLock()  # guards everything below
        self._is_open = True
        self._doorbells = Doorbells()
        self._rings: list[tuple[str, str]] = []
        self._runs: dict[str, _Run] = {}
        self._wanting: dict[str, _Run] = {}
        """The unowned runs with a `wake_at`: a claim must not look at every run there ever was."""
        self._owned: dict[str, dict[str, _Run]] = {}
        self._hooks: dict[bytes, HookRow] = {}
        self._locks: dict[str, list[_Lock]] = {}
        self._workers: dict[str, _Worker] = {}
        self._deliveries: dict[str, str] = {}  # by delivery id: whose it was
        self._deployments: dict[str, DeploymentRow] = {}
        self._sources: dict[str, bytes] = {}
        self._last_message = 0
        self._last_position = 0
        self._swept_at = monotonic()

    async def open(self) -> None:
        """Do nothing; a world of memory is open from its creation to its close."""

    async def close(self) -> None:
        self._is_open = False

    # -- clients: start, send, read

    async def create_run(self, run: NewRun) -> Created:
        with self._change():
            return self._create(run)

    async def import_run(self, imported: ImportedRun) -> Created:
        events, run_id = imported.events, imported.run.run_id
        if not imported.run.origin:
            raise WorldError(f"the run {run_id} cannot be imported: it does not say where it came from")
        if not events or [event.seq for event in events] != list(range(1, imported.run.seq + 1)):
            raise WorldError(f"the run {run_id} cannot be imported: its log is not numbered from 1 to its end")
        with self._change():
            known = self._runs.get(run_id)
            if known is not None:
                return Created(False, known.row)
            row = msgspec.structs.replace(imported.run, epoch=0, owner=None, wake_at=None)
            run = _Run(row, len(self._runs), None, list(events))
            run.streams = {name: list(chunks) for name, chunks in imported.streams.items() if chunks}
            run.logs = {(log.correlation_id, log.attempt, log.index): log for log in imported.logs}
            self._runs[run_id] = run
            self._ring_run(run_id)
            self._ring_log(run_id)
            if run.is_ended:
                self._ring("results", run_id)
            return Created(True, row)

    async def get_run(self, run_id: str) -> RunRow | None:
        with self._look():
            run = self._runs.get(run_id)
            return None if run is None else run.row

    async def list_runs(self, filter: RunFilter) -> list[RunRow]:
        with self._look():
            runs = [run for run in self._runs.values() if _matches(run.row, filter)]
            runs.sort(key=_age, reverse=True)
            if filter.cursor is not None:
                last = self._runs.get(filter.cursor)
                runs = [] if last is None else [run for run in runs if _age(run) < _age(last)]
            return [run.row for run in runs[: filter.limit]]

    async def read_events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]:
        with self._look():
            run = self._runs.get(run_id)
            return [] if run is None else run.events[after_seq : after_seq + limit]

    async def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Sent:
        with self._change():
            run = self._runs.get(run_id)
            if run is None:
                return Sent("unknown")
            if run.row.origin is not None:
                return Sent("imported")
            if message.delivery_id is not None and message.delivery_id in self._deliveries:
                return Sent("duplicate")
            if run.is_ended:
                return Sent("ended")
            if token_hash is not None:
                hook = self._hooks.get(token_hash)
                if hook is None or hook.run_id != run_id:
                    return Sent("no_hook")
            meta, waits = message.meta, 0
            if message.kind == "wake":
                sleeps = sorted(wait.correlation_id for wait in run.waits.values() if wait.kind == "sleep")
                if not sleeps:
                    return Sent("queued")
                meta, waits = _to_json({"waits": sleeps}), len(sleeps)
            if message.delivery_id is not None:
                self._deliveries[message.delivery_id] = run_id
            self._put_message(run, message.kind, message.at, message.correlation_id, meta, message.payload)
            return Sent("queued", waits)

    async def find_delivery(self, delivery_id: str) -> str | None:
        with self._look():
            return self._deliveries.get(delivery_id)

    async def find_hook(self, token_hash: bytes) -> HookRow | None:
        with self._look():
            return self._hooks.get(token_hash)

    async def list_hooks(self, run_id: str | None = None, limit: int = 1000) -> list[HookRow]:
        with self._look():
            hooks = [hook for hook in self._hooks.values() if run_id in (None, hook.run_id)]
            return sorted(hooks, key=lambda hook: (hook.created_at, hook.run_id, hook.correlation_id))[:limit]

    async def list_waits(self, run_id: str | None = None, limit: int = 1000) -> list[WaitRow]:
        with self._look():
            waits = [
                wait for run in self._runs.values() if run_id in (None, run.row.run_id) for wait in run.waits.values()
            ]
            return sorted(waits, key=lambda wait: (wait.due_at, wait.run_id, wait.correlation_id))[:limit]

    async def list_locks(self, name: str | None = None, limit: int = 1000) -> list[LockRow]:
        with self._look():
            return [
                LockRow(lock.name, lock.run_id, lock.correlation_id, lock.limit, lock.position, lock.is_held)
                for queue in sorted(self._locks)
                if name in (None, queue)
                for lock in self._locks[queue]
            ][:limit]

    # -- workers: claim, append, release

    async def open_worker(self, hello: WorkerHello) -> None:
        with self._change():
            self._speaks(hello.worker_id)
            known = self._workers.get(hello.worker_id)
            told = known.told if known is not None else None
            self._workers[hello.worker_id] = _Worker(hello, self._monotonic(), told)
            if any(run.row.attention is not None for run in self._wanting.values()):
                self._ring("claimable")

    async def heartbeat(self, worker_id: str) -> bool:
        with self._change():
            return self._speaks(worker_id)

    async def close_worker(self, worker_id: str) -> None:
        with self._change():
            self._lose(worker_id)

    async def claim(self, worker_id: str, now: int, limit: int) -> Claims:
        with self._change():
            if not self._speaks(worker_id):
                return Claims([])
            worker = self._workers[worker_id]
            claimed, unregistered = list[Claimed](), list[Claimed]()
            offers = self._offers(worker.hello)
            due = sorted((run for run in offers if _wish(run) <= now), key=lambda run: (_wish(run), run.number))
            for run in due[: max(limit, 0)]:
                if not self._enters_gate(run):
                    continue
                self._own(run, worker_id)
                found = Claimed(run.row, run.events[:EVENTS_PER_CLAIM], list(run.inbox))
                (claimed if run.row.workflow in worker.hello.workflows else unregistered).append(found)
            left = (run for run in offers if run.row.owner is None and not run.is_at_closed_gate)
            worker.told = min((_wish(run) for run in left), default=None)
            return Claims(claimed, unregistered, worker.told)

    async def read_inbox(self, worker_id: str, run_ids: Sequence[str], after_id: int) -> list[InboxMessage]:
        with self._look():
            found = [
                message
                for run_id in dict.fromkeys(run_ids)
                if (run := self._runs.get(run_id)) is not None and run.row.owner == worker_id
                for message in run.inbox
                if message.id > after_id
            ]
            return sorted(found, key=lambda message: message.id)

    async def commit(self, appends: Sequence[Append]) -> list[Outcome]:
        with self._change():
            for append in appends:
                seqs = [event.seq for event in append.events]
                if seqs != list(range(append.after_seq + 1, append.after_seq + 1 + len(seqs))):
                    raise WorldError(
                        f"events appended to run {append.run_id} after {append.after_seq} are not numbered from there"
                    )
            return [self._append(append) for append in appends]

    async def release(self, worker_id: str, releases: Sequence[Release]) -> None:
        with self._change():
            for item in releases:
                run = self._leased(item.run_id, item.epoch, worker_id)
                if run is None:
                    continue
                wake_at: int | None
                if run.is_ended:
                    wake_at = None
                elif item.is_due or run.inbox or run.row.status == PENDING:
                    wake_at = 0
                else:
                    wake_at = min((wait.due_at for wait in run.waits.values()), default=None)
                self._free(run, wake_at)
                if wake_at is not None and any(
                    worker.told is None or wake_at < worker.told for worker in self._workers.values()
                ):
                    self._ring("claimable")

    async def set_attention(self, worker_id: str, run_id: str, epoch: int, attention: Attention | None) -> Outcome:
        with self._change():
            run = self._leased(run_id, epoch, worker_id)
            if run is None or (attention is not None and run.is_ended):
                known = self._runs.get(run_id)
                is_repeated = (
                    known is not None
                    and attention is not None
                    and known.row.attention == attention
                    and (known.row.epoch, known.row.owner) == (epoch, None)
                    and worker_id in known.refusals
                )
                return "applied" if is_repeated else "fenced"
            run.change(attention=attention)
            if attention is None:
                run.refusals.clear()
            else:
                # A first refusal knows of no cancel: one may have come unread, and is worth a try.
                run.refusals[worker_id] = run.last_ending() if worker_id in run.refusals else 0
                self._free(run, 0)
                self._ring("claimable")
                self._ring("results", run_id)
            self._ring_run(run_id)
            return "applied"

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
        if None in payloads[:-1]:
            raise WorldError(f"chunks after the end mark of stream {name!r} of run {run_id}")
        times = at if isinstance(at, list) else [at] * len(payloads)
        if len(times) != len(payloads):
            raise WorldError(f"{len(payloads)} chunks of stream {name!r} of run {run_id} with {len(times)} times")
        with self._change():
            run = self._runs.get(run_id)
            if run is None:
                return Appended("unknown")
            if fence is not None:
                writer = self._runs.get(fence.run_id)
                if writer is None or writer.row.owner is None or writer.row.epoch != fence.epoch:
                    return Appended("fenced")
            chunks = run.streams.get(name, [])
            if run.row.origin is not None:
                return Appended("closed", _tail(chunks))
            if chunks and chunks[-1].payload is None:
                return Appended("written" if list(payloads) == [None] else "closed", _tail(chunks))
            if start_index != len(chunks):
                return Appended("moved", _tail(chunks))
            if payloads:
                chunks = run.streams.setdefault(name, chunks)
                added = zip(times, payloads, strict=True)
                chunks += [ChunkRow(index, *chunk) for index, chunk in enumerate(added, start_index)]
                self._ring(f"stream:{run_id}/{name}", run_id)
                self._ring_log(run_id)
            return Appended("written", _tail(chunks))

    async def read_chunks(self, run_id: str, name: str, start_index: int, limit: int = 256) -> list[ChunkRow]:
        with self._look():
            run = self._runs.get(run_id)
            chunks = [] if run is None else run.streams.get(name, [])
            return chunks[max(start_index, 0) :][:limit]

    async def list_streams(self, run_id: str) -> list[StreamRow]:
        with self._look():
            run = self._runs.get(run_id)
            streams = {} if run is None else run.streams
            return [
                StreamRow(run_id, name, _tail(streams[name]), streams[name][-1].payload is None)
                for name in sorted(streams, key=str.encode)
            ]

    async def read_logs(self, run_id: str, limit: int = 1000) -> list[LogRow]:
        with self._look():
            run = self._runs.get(run_id)
            logs = [] if run is None else list(run.logs.values())
            return sorted(logs, key=lambda log: (log.at, log.correlation_id, log.attempt, log.index))[:limit]

    # -- deployments

    async def put_deployment(self, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
        with self._change():
            known = self._deployments.get(deployment.deployment_id, deployment)
            self._deployments[deployment.deployment_id] = msgspec.structs.replace(
                known,
                used_at=max(_used_at(known), _used_at(deployment)),
                catalog=deployment.catalog or known.catalog,
            )
            for digest, content in sources.items():
                self._sources.setdefault(digest, content)

    async def get_deployment(self, deployment_id: str) -> DeploymentRow | None:
        with self._look():
            return self._deployments.get(deployment_id)

    async def list_deployments(self) -> list[DeploymentRow]:
        with self._look():
            rows = self._deployments.values()
            return sorted(rows, key=lambda row: (row.used_at, row.deployment_id), reverse=True)

    async def peg_runs(self, run_ids: Sequence[str], deployment_id: str) -> list[str]:
        with self._change():
            pegged = [
                run_id
                for run_id in run_ids
                if (run := self._runs.get(run_id)) is not None and not run.is_ended and run.row.origin is None
            ]
            for run_id in pegged:
                self._runs[run_id].change(deployment_id=deployment_id)
                self._ring(f"run:{run_id}", run_id)
                self._ring("runs", run_id)
            if pegged:
                self._ring("claimable")
            return pegged

    async def read_source(self, digest: str) -> bytes | None:
        with self._look():
            return self._sources.get(digest)

    # -- forgetting

    async def delete_runs(self, run_ids: Sequence[str]) -> list[str]:
        with self._change():
            deleted = [run_id for run_id in dict.fromkeys(run_ids) if self._is_deletable(run_id)]
            for run_id in deleted:
                run = self._runs.pop(run_id)
                for token_hash in run.hooks.values():  # an append behind its end may have left something
                    del self._hooks[token_hash]
                for lock in run.locks.values():
                    self._locks[lock.name].remove(lock)
                self._deliveries = {key: owner for key, owner in self._deliveries.items() if owner != run_id}
                self._ring("runs", run_id)
            return deleted

    def _is_deletable(self, run_id: str) -> bool:
        run = self._runs.get(run_id)
        if run is None or run.row.owner is not None or not (run.is_ended or run.row.origin is not None):
            return False
        for other in self._runs.values():
            if other.is_ended or other.row.origin is not None:
                continue
            is_parent = other.row.run_id == run.row.parent_run_id
            is_heir = other.row.forked_from == run_id and other.row.seq == 1
            is_told = any(m.kind == "child_ended" and _names(m, run_id) for m in other.inbox)
            if is_parent or is_heir or is_told:
                return False
        return True

    async def delete_unused_code(self) -> int:
        with self._change():
            used = {run.row.deployment_id for run in self._runs.values()}
            for worker in self._workers.values():
                used.update([worker.hello.deployment_id, *(worker.hello.deployments or ())])
            if self._deployments:
                used.add(
                    max(self._deployments.values(), key=lambda row: (row.used_at, row.deployment_id)).deployment_id
                )
            unused = [name for name in self._deployments if name not in used]
            for name in unused:
                del self._deployments[name]
            kept = {digest for row in self._deployments.values() for digest in row.manifest.values()}
            self._sources = {digest: content for digest, content in self._sources.items() if digest in kept}
            return len(unused)

    async def compact(self) -> None:
        return None

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        with self._look():
            return self._doorbells.subscribe(topic, ring)

    def _ring(self, topic: str, detail: str = "") -> None:
        self._rings.append((topic, detail))

    def _ring_run(self, run_id: str) -> None:
        self._ring(f"run:{run_id}", run_id)
        self._ring("runs", run_id)

    def _ring_log(self, run_id: str) -> None:
        if run_id in self._doorbells.followed:  # who begins to follow now waits for the guard, and reads after it
            self._ring(f"log:{run_id}", run_id)

    # -- runs

    def _create(self, new: NewRun) -> Created:
        event = new.event
        known = self._runs.get(event.run_id)
        if known is not None:
            return Created(False, known.row)
        not_before = new.not_before or 0
        if new.inbox and not_before > event.at:
            raise WorldError(f"the new run {event.run_id} is to wait, and brings messages that would not")
        row = make_first_row(new, 0 if new.inbox else max(event.at, not_before))
        run = _Run(row, len(self._runs), new.concurrency, [event])
        self._runs[row.run_id] = self._wanting[row.run_id] = run
        for message in new.inbox:  # it is due in any case: nothing rings for them
            self._last_message += 1
            kind, number, at = message.kind, message.correlation_id, message.at
            run.inbox.append(
                InboxMessage(self._last_message, row.run_id, kind, number, at, message.meta, message.payload)
            )
        # One that is to wait asks for its gate when its time has come, not before.
        if not_before > event.at or self._enters_gate(run):
            self._ring("claimable")
        self._ring_run(row.run_id)
        self._ring_log(row.run_id)
        return Created(True, row)

    def _start(self, run: _Run, effect: StartRun) -> None:
        if run.row.status == PENDING:
            run.change(status=RUNNING, started_at=effect.at)
            self._ring_run(run.row.run_id)

    def _end(self, run: _Run, effect: EndRun) -> None:
        if run.is_ended:
            return
        run_id, new = run.row.run_id, effect.continued
        run.change(
            status=effect.status,
            ended_at=effect.at,
            result_seq=effect.result_seq,
            error_code=effect.error_code,
            continued_as=None if new is None else new.event.run_id,
            wake_at=None,
            attention=None,
        )
        run.waits.clear()
        run.inbox.clear()
        run.refusals.clear()
        for token_hash in run.hooks.values():
            del self._hooks[token_hash]
        run.hooks.clear()
        self._leave_queues(run, list(run.locks), effect.at)
        if new is not None:
            self._create(
                msgspec.structs.replace(
                    new,
                    continued_from=run_id,
                    parent_run_id=run.row.parent_run_id,
                    parent_correlation_id=run.row.parent_correlation_id,
                )
            )
        watchers, run.watchers = sorted(run.watchers), set()
        for watcher in watchers:
            self._watch(self._runs[watcher.run_id], watcher.correlation_id, run_id, effect.at)
        if effect.status == CANCELLED:
            for topic in self._doorbells.streams_of(run_id):
                self._ring(topic, run_id)
        self._ring_run(run_id)
        self._ring("results", run_id)

    # -- messages

    def _put_message(
        self, run: _Run, kind: str, at: int, correlation_id: int | None, meta: str | None, payload: bytes | None
    ) -> None:
        run_id, owner = run.row.run_id, run.row.owner
        self._last_message += 1
        run.inbox.append(InboxMessage(self._last_message, run_id, kind, correlation_id, at, meta, payload))
        if owner is not None:
            self._ring(f"worker:{owner}", run_id)
            return
        run.change(wake_at=0)
        self._wanting[run_id] = run
        self._ring("claimable")

    def _notify(
        self, run: _Run, kind: str, at: int, correlation_id: int | None, meta: dict[str, str] | None = None
    ) -> None:
        if not run.is_ended:
            self._put_message(run, kind, at, correlation_id, None if meta is None else _to_json(meta), None)

    def _cancel_child(self, parent_run_id: str, run_id: str, reason: str, at: int) -> None:
        while True:
            child = self._runs.get(run_id)
            if child is None or child.row.parent_run_id != parent_run_id or child.row.origin is not None:
                return
            if child.row.continued_as is None:
                break
            run_id = child.row.continued_as
        self._notify(child, "cancel", at, None, {"reason": reason})

    def _watch(self, watcher: _Run, correlation_id: int, run_id: str, at: int) -> None:
        watched = self._runs.get(run_id)
        while watched is not None and watched.row.continued_as is not None:
            run_id = watched.row.continued_as
            watched = self._runs.get(run_id)
        if watched is None or watched.is_ended or watched.row.origin is not None:
            self._notify(watcher, "child_ended", at, correlation_id, {"run_id": run_id})
        else:
            watched.watchers.add(_Watcher(watcher.row.run_id, correlation_id))

    # -- locks and gates

    def _request(self, run: _Run, correlation_id: int, name: str, limit: int, at: int) -> None:
        if correlation_id not in run.locks:
            self._last_position += 1
            lock = _Lock(name, run.row.run_id, correlation_id, limit, self._last_position)
            run.locks[correlation_id] = lock
            self._locks.setdefault(name, []).append(lock)
        self._grant(name, at)

    def _leave_queues(self, run: _Run, correlation_ids: Sequence[int], at: int) -> None:
        left = [run.locks.pop(number) for number in correlation_ids if number in run.locks]
        for lock in left:
            self._locks[lock.name].remove(lock)
        for name in dict.fromkeys(lock.name for lock in left):
            self._grant(name, at)

    def _grant(self, name: str, at: int) -> None:
        queue = self._locks.get(name, [])
        while first := next((lock for lock in queue if not lock.is_held), None):
            if sum(lock.is_held for lock in queue) >= first.limit:
                break
            first.is_held = True
            run = self._runs[first.run_id]
            if first.correlation_id == GATE:
                self._ring("claimable")
            else:
                self._notify(run, "lock_granted", at, first.correlation_id)
        if not queue:
            self._locks.pop(name, None)

    def _enters_gate(self, run: _Run) -> bool:
        """Let a pending run ask for its workflow's gate if it did not; tell whether it may go on."""
        is_asking = run.row.status == PENDING and GATE not in run.locks and not run.last_ending()
        if run.concurrency is not None and is_asking:
            self._request(run, GATE, f"workflow:{run.row.workflow}", run.concurrency, 0)
        return not run.is_at_closed_gate

    # -- leases

    def _own(self, run: _Run, worker_id: str) -> None:
        run.change(owner=worker_id, epoch=run.row.epoch + 1, wake_at=None)
        self._wanting.pop(run.row.run_id, None)
        self._owned.setdefault(worker_id, {})[run.row.run_id] = run

    def _free(self, run: _Run, wake_at: int | None) -> None:
        assert run.row.owner is not None
        del self._owned[run.row.owner][run.row.run_id]
        run.change(owner=None, wake_at=wake_at)
        if wake_at is not None:
            self._wanting[run.row.run_id] = run

    def _leased(self, run_id: str, epoch: int, worker_id: str) -> _Run | None:
        run = self._runs.get(run_id)
        return run if run is not None and (run.row.owner, run.row.epoch) == (worker_id, epoch) else None

    def _offers(self, hello: WorkerHello) -> list[_Run]:
        """List the unowned runs that this worker may have, now or later."""
        mine = set(hello.workflows)
        others = {name for worker in self._workers.values() for name in worker.hello.workflows} - mine
        named = {name for worker in self._workers.values() for name in worker.hello.deployments or ()}

        def is_offered(run: _Run) -> bool:
            pegged = run.row.deployment_id
            return pegged in hello.deployments if hello.deployments is not None else pegged not in named

        return [
            run
            for run in self._wanting.values()
            if is_offered(run)
            and run.row.workflow not in others
            and not run.is_at_closed_gate
            and not run.is_refused_by(hello.worker_id)
        ]

    def _speaks(self, worker_id: str) -> bool:
        """Note that a worker speaks, unless it is too late; take the leases of the silent ones."""
        now = self._monotonic()
        worker = self._workers.get(worker_id)
        is_heard = worker is not None and now - worker.heard_at < self._lease_seconds
        if worker is not None and is_heard:
            worker.heard_at = now
        if (worker is not None and not is_heard) or now - self._swept_at >= SWEEP_SECONDS:
            self._swept_at = now
            for other_id, other in list(self._workers.items()):
                if now - other.heard_at >= self._lease_seconds:
                    self._lose(other_id)
        return is_heard

    def _lose(self, worker_id: str) -> None:
        """Free all leases of a worker; attempts may have been in flight, so its runs are due at once."""
        self._workers.pop(worker_id, None)
        for run in self._runs.values():
            run.refusals.pop(worker_id, None)
        for run in list(self._owned.get(worker_id, {}).values()):
            self._free(run, None if run.is_ended else 0)
        self._owned.pop(worker_id, None)
        self._ring("claimable")  # even if it had none: runs that only it knew are now anybody's

    # -- appends

    def _append(self, append: Append) -> Outcome:
        run = self._runs.get(append.run_id)
        if run is None:
            return "fenced"
        row, after = run.row, append.after_seq + len(append.events)
        if row.owner is None or (row.epoch, row.seq) != (append.epoch, append.after_seq):
            is_repeated = bool(append.events) and (row.epoch, row.seq, row.head) == (append.epoch, after, append.head)
            if is_repeated:
                self._ring_log(append.run_id)
            return "applied" if is_repeated else "fenced"
        size = sum(len(event.payload or b"") for event in append.events)
        run.events += append.events
        run.change(seq=after, head=append.head, mac=append.mac, payload_bytes=row.payload_bytes + size)
        run.inbox = [message for message in run.inbox if message.id not in append.taken]
        self._ring_log(append.run_id)
        at = append.events[-1].at if append.events else 0
        for effect in append.effects:
            self._apply(run, effect, at)
        owner = self._workers.get(row.owner)
        if owner is not None and self._monotonic() - owner.heard_at < self._lease_seconds:
            owner.heard_at = self._monotonic()
        return "applied"

    def _apply(self, run: _Run, effect: Effect, at: int) -> None:
        run_id = run.row.run_id
        match effect:
            case PutWait(correlation_id, kind, due_at):
                run.waits[correlation_id] = WaitRow(run_id, correlation_id, kind, due_at)
            case DropWait(correlation_id):
                run.waits.pop(correlation_id, None)
            case PutHook(correlation_id, token_hash, seq, kind):
                owner = self._hooks.get(token_hash)
                if owner is not None:
                    self._notify(run, "hook_conflict", at, correlation_id, {"run_id": owner.run_id})
                else:
                    event = run.events[seq - 1]
                    self._hooks[token_hash] = HookRow(token_hash, run_id, correlation_id, kind, event.at, event)
                    run.hooks[correlation_id] = token_hash
            case DropHook(correlation_id):
                if correlation_id in run.hooks:
                    del self._hooks[run.hooks.pop(correlation_id)]
            case RequestLock(correlation_id, name, limit):
                self._request(run, correlation_id, name, limit, at)
            case ReleaseLock(correlation_id):
                self._leave_queues(run, [correlation_id], at)
            case StartChild(correlation_id, new):
                child = self._create(new).run
                if child.workflow != new.workflow or child.origin is not None:
                    self._notify(run, "child_conflict", at, correlation_id, {"run_id": child.run_id})
                else:
                    self._watch(run, correlation_id, child.run_id, at)
            case WatchRun(correlation_id, watched_id):
                self._watch(run, correlation_id, watched_id, at)
            case CancelChild(_, child_id, reason):
                self._cancel_child(run_id, child_id, reason, at)
            case SetAttributes(attributes):
                run.change(attributes=dict(attributes))
            case StartRun():
                self._start(run, effect)
            case EndRun():
                self._end(run, effect)
            case PutLog(correlation_id, attempt, index, logged_at, payload):
                key = (correlation_id, attempt, index)
                run.logs.setdefault(key, LogRow(run_id, correlation_id, attempt, index, logged_at, payload))

    # -- atomicity

    def _look(self) -> threading.RLock:
        if not self._is_open:
            raise WorldError("the world memory:// is closed")
        return self._guard

    def _change(self) -> _Change:
        if not self._is_open:
            raise WorldError("the world memory:// is closed")
        return _Change(self._guard, self._rings, self._doorbells)


class _Change:
    """One atomic change; what it rang is delivered when it is over."""

    __slots__ = ("_doorbells", "_guard", "_rings")

    def __init__(self, guard: threading.RLock, rings: list[tuple[str, str]], doorbells: Doorbells) -> None:
        self._guard = guard
        self._rings = rings
        self._doorbells = doorbells

    def __enter__(self) -> None:
        self._guard.acquire()

    def __exit__(self, *_: object) -> None:
        rings = self._rings.copy()
        self._rings.clear()
        self._guard.release()
        if rings:
            self._doorbells.ring(rings)


def _tail(chunks: list[ChunkRow]) -> int:
    """The index of the last chunk; the end mark is none."""
    return len(chunks) - 1 - (bool(chunks) and chunks[-1].payload is None)


def _used_at(row: DeploymentRow) -> int:
    return row.created_at if row.used_at is None else row.used_at


def _wish(run: _Run) -> int:
    return run.row.wake_at or 0


def _age(run: _Run) -> tuple[int, int]:
    return run.row.created_at, run.number


def _matches(row: RunRow, filter: RunFilter) -> bool:
    return (
        (filter.status is None or row.status in filter.status)
        and (filter.workflow is None or f":{row.workflow}".endswith(f":{filter.workflow}"))
        and all(row.attributes.get(key) == value for key, value in filter.attributes.items())
        and (filter.since is None or row.created_at >= filter.since)
        and (filter.until is None or row.created_at < filter.until)
        and (filter.is_imported is None or filter.is_imported == (row.origin is not None))
    )


def _to_json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _names(message: InboxMessage, run_id: str) -> bool:
    meta = msgspec.json.decode(message.meta) if message.meta else {}
    return meta.get("run_id") == run_id
