"""Every method of `World` as one: the common half of worlds that only pass calls on."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Coroutine, Sequence
from typing import Any

from wf.events import Event
from wf.world import (
    Append,
    Appended,
    Attention,
    ChunkRow,
    Claims,
    Created,
    DeploymentRow,
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
from wf.worlds import wire
from wf.worlds.wire import METHOD

Call = Coroutine[Any, Any, Any]


class ForwardingWorld(ABC):
    """Every method of `World` as one `call`; what the call then does is the subclass's noun."""

    @abstractmethod
    def call(self, method: wire.Method, *arguments: Any) -> Call: ...

    def create_run(self, run: NewRun) -> Coroutine[Any, Any, Created]:
        return self.call(METHOD["create_run"], run)

    def import_run(self, imported: ImportedRun) -> Coroutine[Any, Any, Created]:
        return self.call(METHOD["import_run"], imported)

    def get_run(self, run_id: str) -> Coroutine[Any, Any, RunRow | None]:
        return self.call(METHOD["get_run"], run_id)

    def list_runs(self, filter: RunFilter) -> Coroutine[Any, Any, list[RunRow]]:
        return self.call(METHOD["list_runs"], filter)

    def read_events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> Coroutine[Any, Any, list[Event]]:
        return self.call(METHOD["read_events"], run_id, after_seq, limit)

    def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Coroutine[Any, Any, Sent]:
        return self.call(METHOD["send"], run_id, message, token_hash)

    def find_delivery(self, delivery_id: str) -> Coroutine[Any, Any, str | None]:
        return self.call(METHOD["find_delivery"], delivery_id)

    def find_hook(self, token_hash: bytes) -> Coroutine[Any, Any, HookRow | None]:
        return self.call(METHOD["find_hook"], token_hash)

    def list_hooks(self, run_id: str | None = None, limit: int = 1000) -> Coroutine[Any, Any, list[HookRow]]:
        return self.call(METHOD["list_hooks"], run_id, limit)

    def list_waits(self, run_id: str | None = None, limit: int = 1000) -> Coroutine[Any, Any, list[WaitRow]]:
        return self.call(METHOD["list_waits"], run_id, limit)

    def list_locks(self, name: str | None = None, limit: int = 1000) -> Coroutine[Any, Any, list[LockRow]]:
        return self.call(METHOD["list_locks"], name, limit)

    def open_worker(self, hello: WorkerHello) -> Coroutine[Any, Any, None]:
        return self.call(METHOD["open_worker"], hello)

    def heartbeat(self, worker_id: str) -> Coroutine[Any, Any, bool]:
        return self.call(METHOD["heartbeat"], worker_id)

    def close_worker(self, worker_id: str) -> Coroutine[Any, Any, None]:
        return self.call(METHOD["close_worker"], worker_id)

    def claim(self, worker_id: str, now: int, limit: int) -> Coroutine[Any, Any, Claims]:
        return self.call(METHOD["claim"], worker_id, now, limit)

    def read_inbox(
        self, worker_id: str, run_ids: Sequence[str], after_id: int
    ) -> Coroutine[Any, Any, list[InboxMessage]]:
        return self.call(METHOD["read_inbox"], worker_id, run_ids, after_id)

    def commit(self, appends: Sequence[Append]) -> Coroutine[Any, Any, list[Outcome]]:
        return self.call(METHOD["commit"], appends)

    def release(self, worker_id: str, releases: Sequence[Release]) -> Coroutine[Any, Any, None]:
        return self.call(METHOD["release"], worker_id, releases)

    def set_attention(
        self, worker_id: str, run_id: str, epoch: int, attention: Attention | None
    ) -> Coroutine[Any, Any, Outcome]:
        return self.call(METHOD["set_attention"], worker_id, run_id, epoch, attention)

    def append_chunks(
        self,
        run_id: str,
        name: str,
        start_index: int,
        at: int | list[int],
        payloads: Sequence[bytes | None],
        fence: Fence | None,
    ) -> Coroutine[Any, Any, Appended]:
        return self.call(METHOD["append_chunks"], run_id, name, start_index, at, payloads, fence)

    def read_chunks(
        self, run_id: str, name: str, start_index: int, limit: int = 256
    ) -> Coroutine[Any, Any, list[ChunkRow]]:
        return self.call(METHOD["read_chunks"], run_id, name, start_index, limit)

    def list_streams(self, run_id: str) -> Coroutine[Any, Any, list[StreamRow]]:
        return self.call(METHOD["list_streams"], run_id)

    def read_logs(self, run_id: str, limit: int = 1000) -> Coroutine[Any, Any, list[LogRow]]:
        return self.call(METHOD["read_logs"], run_id, limit)

    def put_deployment(self, deployment: DeploymentRow, sources: dict[str, bytes]) -> Coroutine[Any, Any, None]:
        return self.call(METHOD["put_deployment"], deployment, sources)

    def get_deployment(self, deployment_id: str) -> Coroutine[Any, Any, DeploymentRow | None]:
        return self.call(METHOD["get_deployment"], deployment_id)

    def list_deployments(self) -> Coroutine[Any, Any, list[DeploymentRow]]:
        return self.call(METHOD["list_deployments"])

    def peg_runs(self, run_ids: Sequence[str], deployment_id: str) -> Coroutine[Any, Any, list[str]]:
        return self.call(METHOD["peg_runs"], run_ids, deployment_id)

    def delete_runs(self, run_ids: Sequence[str]) -> Coroutine[Any, Any, list[str]]:
        return self.call(METHOD["delete_runs"], run_ids)

    def delete_unused_code(self) -> Coroutine[Any, Any, int]:
        return self.call(METHOD["delete_unused_code"])

    def compact(self) -> Coroutine[Any, Any, None]:
        return self.call(METHOD["compact"])

    def read_source(self, digest: str) -> Coroutine[Any, Any, bytes | None]:
        return self.call(METHOD["read_source"], digest)
