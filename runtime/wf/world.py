"""The world: what a runtime needs of storage, as one narrow interface.

A world keeps event logs, inboxes, leases and streams, and rings doorbells. It never opens a
payload and holds no key: all `bytes` fields named `payload` are sealed by the caller.

1. Only a run's owner appends. `claim` gives a lease with an epoch; `commit` refuses an append
   whose epoch is not the run's (`FENCED`) and applies all of an append or none of it.
2. `commit` is idempotent: an append whose head is already the run's head is `APPLIED` again
   without effect, so an append whose outcome is unknown may be sent again.
3. A reply means durable (as the world's durability says). An error means nothing was written,
   or, for `WorldError`, that the outcome is unknown and the call may be repeated.
4. Messages to a run are kept in order until the append that takes them; none is lost or doubled.
5. Doorbells are hints. Whoever misses one finds the work by asking (`claim`, `read_inbox`).
6. A run that was imported is read, and forgotten, and nothing else: no worker claims it, it takes no
   message, and it holds no token, lock or wait.

All instants (`at`, `*_at`, `now`) are microseconds since 1970 UTC, given by the caller: a world
has no clock of its own, except that leases expire by its monotonic clock.
Every method may raise `WorldError` (`StorageFull`, `WorldBusy`). Unknown ids give None or False.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, Literal, Protocol

import msgspec

from wf.events import Event

LEASE_SECONDS: Final = 10.0
"""A worker that was not heard of for this long loses its leases."""


# -- rows ---------------------------------------------------------------------------------------


class Attention(msgspec.Struct, frozen=True):
    """Why a run rests although it has not ended. `recorded`, `actual`, `where` are text."""

    code: Literal["NONDETERMINISM", "NOT_REGISTERED", "DECRYPTION", "DEAD_LETTER", "BLOCKED"]
    message: str
    seq: int | None = None
    recorded: str | None = None
    actual: str | None = None
    where: str | None = None


class RunRow(msgspec.Struct, frozen=True):
    """The current state of a run, kept in step with its log by the same transactions.

    `wake_at` is the instant from which an unowned run wants a worker, or None: it waits for a
    message. `mac` authenticates (`seq`, `head`). `result_seq` is the event that ended the run.
    `payload_bytes` sums the sizes of all payloads in its log. `origin` says where a run came from
    that did not run here (see `wf.origin`); None: it is ours.
    """

    run_id: str
    workflow: str
    status: str
    deployment_id: str
    created_at: int
    started_at: int | None
    ended_at: int | None
    seq: int
    head: bytes
    mac: bytes
    epoch: int
    owner: str | None
    wake_at: int | None
    attributes: dict[str, str]
    parent_run_id: str | None
    parent_correlation_id: int | None
    continued_from: str | None
    continued_as: str | None
    forked_from: str | None
    error_code: str | None
    result_seq: int | None
    payload_bytes: int
    attention: Attention | None
    origin: str | None = None


class InboxMessage(msgspec.Struct, frozen=True):
    """A message that waits for its run's owner. `id` grows with arrival and is never used again."""

    id: int
    run_id: str
    kind: str
    correlation_id: int | None
    at: int
    meta: str | None
    payload: bytes | None


class HookRow(msgspec.Struct, frozen=True):
    """A live hook. `event` is its `hook_created`, whose sealed payload holds token and schema."""

    token_hash: bytes
    run_id: str
    correlation_id: int
    kind: str
    created_at: int
    event: Event


class WaitRow(msgspec.Struct, frozen=True):
    """A pending wait. Kinds: `sleep`, `deadline` (timeouts), `retry`, `run` (a run's timeout)."""

    run_id: str
    correlation_id: int
    kind: str
    due_at: int


class LockRow(msgspec.Struct, frozen=True):
    name: str
    run_id: str
    correlation_id: int
    limit: int
    position: int
    is_held: bool


class ChunkRow(msgspec.Struct, frozen=True):
    """A chunk of a stream, from index 0. `payload` None is the end mark that `close` wrote."""

    index: int
    at: int
    payload: bytes | None


class StreamRow(msgspec.Struct, frozen=True):
    """`tail_index` is the last chunk's index, −1 when there is none."""

    run_id: str
    name: str
    tail_index: int
    is_closed: bool


class LogRow(msgspec.Struct, frozen=True):
    """One sealed batch of lines that an attempt printed or logged."""

    run_id: str
    correlation_id: int
    attempt: int
    index: int
    at: int
    payload: bytes


class DeploymentRow(msgspec.Struct, frozen=True):
    """`manifest` maps a project file's relative path to the SHA-256 (hex) of its content.

    `used_at` is when a worker last loaded it (None when put: as `created_at` says; 0: no worker of this
    world ever did, the code came with a run that was imported). `catalog` is a
    sealed wf.catalog.Catalog: what the code defines, for processes that do not load it. Sources are
    sealed, too: code holds secrets more often than it should.
    """

    deployment_id: str
    created_at: int
    manifest: dict[str, str]
    used_at: int | None = None
    catalog: bytes | None = None


# -- what a caller writes -----------------------------------------------------------------------


class NewRun(msgspec.Struct, frozen=True):
    """A run to create, with its first event (`run_created`, seq 1), whose link is `event.link`.

    `not_before` delays its first activation. `concurrency` bounds how many runs of the workflow
    execute at once; runs over the bound wait in order of creation. `inbox` are messages for its first
    owner, written with it; a run that is delayed has none.
    """

    event: Event
    mac: bytes
    workflow: str
    deployment_id: str
    not_before: int | None = None
    attributes: dict[str, str] = {}
    concurrency: int | None = None
    parent_run_id: str | None = None
    parent_correlation_id: int | None = None
    continued_from: str | None = None
    forked_from: str | None = None
    inbox: list[Message] = []


class ImportedRun(msgspec.Struct, frozen=True):
    """A run that ran elsewhere, whole, sealed for this world. `run.origin` says where it came from.

    What of `run` only a live run has (lease, `wake_at`) is not kept. `streams` maps names to chunks.
    """

    run: RunRow
    events: list[Event]
    streams: dict[str, list[ChunkRow]] = {}
    logs: list[LogRow] = []


class Message(msgspec.Struct, frozen=True):
    """A message to put into a run's inbox.

    Kinds a client sends: `hook_payload`, `cancel`, `terminate`, `wake`. Kinds only a world writes:
    `cancel` of a child whose parent gave it up (meta `{"reason"}`, in clear), `child_ended` (meta
    `{"run_id"}`), `lock_granted`, `hook_conflict` (meta `{"run_id"}`: whose the token is),
    `child_conflict` (meta `{"run_id"}`: the id belongs to a run of another workflow, or to one that
    was imported).
    `delivery_id` makes a delivery idempotent: a second message of the same id is not written.
    """

    kind: str
    at: int
    correlation_id: int | None = None
    meta: str | None = None
    payload: bytes | None = None
    delivery_id: str | None = None


class PutWait(msgspec.Struct, frozen=True, tag="put_wait"):
    """Keep a due time; replaces the one of this correlation id."""

    correlation_id: int
    kind: str
    due_at: int


class DropWait(msgspec.Struct, frozen=True, tag="drop_wait"):
    correlation_id: int


class PutHook(msgspec.Struct, frozen=True, tag="put_hook"):
    """Register a token. If a live hook has it, the run gets a `hook_conflict` message instead.

    `seq` is its `hook_created` event; `kind` is `hook` or `webhook`.
    """

    correlation_id: int
    token_hash: bytes
    seq: int
    kind: str


class DropHook(msgspec.Struct, frozen=True, tag="drop_hook"):
    correlation_id: int


class RequestLock(msgspec.Struct, frozen=True, tag="request_lock"):
    """Queue for a lock. The grant, at once or later, arrives as a `lock_granted` message.

    Granted in order of request to whoever is first in the queue while fewer than its `limit`
    hold the name.
    """

    correlation_id: int
    name: str
    limit: int


class ReleaseLock(msgspec.Struct, frozen=True, tag="release_lock"):
    """Leave a lock's queue or give it up; grants the next."""

    correlation_id: int


class StartChild(msgspec.Struct, frozen=True, tag="start_child"):
    """Create a run (or find it, if the id exists with this workflow and ran here) and watch it."""

    correlation_id: int
    run: NewRun


class WatchRun(msgspec.Struct, frozen=True, tag="watch_run"):
    """Ask for a `child_ended` message when a run ends; at once if it has ended already.

    A run that continued as new passes its watchers on. An unknown run gives `child_ended`, too, and
    one that was imported: who reads the run then finds none, or one that never ends here.
    """

    correlation_id: int
    run_id: str


class CancelChild(msgspec.Struct, frozen=True, tag="cancel_child"):
    """Put a `cancel` message (meta `{"reason"}`) into the inbox of a run that this one started, unless it has ended.

    A child that continued as new passes it on. Nothing comes of it for a run that somebody else started.
    """

    correlation_id: int
    run_id: str
    reason: str


class SetAttributes(msgspec.Struct, frozen=True, tag="set_attributes"):
    """Replace the run's attributes by these (the whole state, not a change)."""

    attributes: dict[str, str]


class StartRun(msgspec.Struct, frozen=True, tag="start_run"):
    at: int


class EndRun(msgspec.Struct, frozen=True, tag="end_run"):
    """End the run: drop its waits, hooks, locks and remaining inbox, wake watchers.

    `continued` is created in the same transaction, linked both ways, and inherits the parent link
    and the watchers. The lease stays until `release`, for steps still in flight.
    """

    status: str
    at: int
    result_seq: int
    error_code: str | None = None
    continued: NewRun | None = None


class PutLog(msgspec.Struct, frozen=True, tag="put_log"):
    correlation_id: int
    attempt: int
    index: int
    at: int
    payload: bytes


Effect = (
    PutWait | DropWait | PutHook | DropHook | RequestLock | ReleaseLock | StartChild | WatchRun | CancelChild
    | SetAttributes | StartRun | EndRun | PutLog
)  # fmt: skip


class Append(msgspec.Struct, frozen=True):
    """What a run's owner commits: events after `after_seq`, and their effects in order.

    `head` and `mac` are the chain after the last event. `taken` are the inbox messages that
    became these events; they are deleted in the same transaction. `events` may be empty (only
    logs, or messages that came to nothing); then `head` is the present one.
    """

    run_id: str
    epoch: int
    after_seq: int
    events: list[Event]
    head: bytes
    mac: bytes
    effects: list[Effect] = []
    taken: list[int] = []


Outcome = Literal["applied", "fenced"]


class Fence(msgspec.Struct, frozen=True):
    """Proof of ownership for writes outside the log (chunks): the executing run and its epoch."""

    run_id: str
    epoch: int


class Appended(msgspec.Struct, frozen=True):
    """The answer to `append_chunks`.

    `written`: done. `moved`: nothing written, the tail is `tail_index`; seal again and retry.
    `closed`, `fenced`, `unknown`: refused for good.
    """

    status: Literal["written", "moved", "closed", "fenced", "unknown"]
    tail_index: int = -1


class Created(msgspec.Struct, frozen=True):
    is_new: bool
    run: RunRow


class Sent(msgspec.Struct, frozen=True):
    """The answer to `send`.

    `queued`: written. `duplicate`: this delivery id was written before. `ended`: the run has
    ended, nothing written. `no_hook`: the hook asked for is gone. `unknown`: no such run.
    `imported`: the run came from elsewhere, ended or not. `waits` counts the pending sleeps that a
    `wake` message ends.
    """

    status: Literal["queued", "duplicate", "ended", "no_hook", "unknown", "imported"]
    waits: int = 0


class WorkerHello(msgspec.Struct, frozen=True):
    """`process` is `<pid>:<start time>`: a lease of a process that is gone is free at once.

    A worker that names `deployments` is offered only runs that are pegged to one of them, and no
    worker that names none is offered those while it lives.
    """

    worker_id: str
    process: str
    workflows: list[str]
    deployment_id: str
    deployments: list[str] | None = None


class Claimed(msgspec.Struct, frozen=True):
    """A leased run, with the first `EVENTS_PER_CLAIM` events of its log and its whole inbox."""

    run: RunRow
    events: list[Event]
    inbox: list[InboxMessage]


EVENTS_PER_CLAIM: Final = 2000


class Claims(msgspec.Struct, frozen=True):
    """`unregistered` are runs due whose workflow no live worker knows; they are leased, too, so
    that the worker can say so. `next_due_at` is when the next unowned run wants a worker."""

    claimed: list[Claimed]
    unregistered: list[Claimed] = []
    next_due_at: int | None = None


class Release(msgspec.Struct, frozen=True):
    """Give a lease back. The world sets `wake_at`: now if messages wait, else the first due time.

    With `is_due` now in any case: the next worker is to look at the run, which its code may not fit.
    """

    run_id: str
    epoch: int
    is_due: bool = False


class RunFilter(msgspec.Struct, frozen=True):
    """Newest first, and of one instant the last created. `cursor` is the run id of the last row of
    the page before. `is_imported` None: both those that ran here and those that did not."""

    status: list[str] | None = None
    workflow: str | None = None
    attributes: dict[str, str] = {}
    since: int | None = None
    until: int | None = None
    limit: int = 100
    cursor: str | None = None
    is_imported: bool | None = None


Doorbell = Callable[[str], None]


class World(Protocol):
    """Storage with leases. See the laws at the top of this module."""

    url: str
    durability: str

    async def close(self) -> None:
        """Let go of the world. Whoever still calls it gets `WorldError`."""

    # -- clients: start, send, read

    async def create_run(self, run: NewRun) -> Created:
        """Create a run, or find the one that has this id, whatever its workflow and status."""

    async def import_run(self, imported: ImportedRun) -> Created:
        """Keep a run that ran elsewhere, whole or not at all; one that has its id already is left as it is.

        Raises `WorldError` for one that names no origin, or whose log is not numbered from 1 to its end.
        """

    async def get_run(self, run_id: str) -> RunRow | None: ...

    async def list_runs(self, filter: RunFilter) -> list[RunRow]: ...

    async def read_events(self, run_id: str, after_seq: int = 0, limit: int = 1000) -> list[Event]: ...

    async def send(self, run_id: str, message: Message, token_hash: bytes | None = None) -> Sent:
        """Put a message into a run's inbox; with `token_hash` only while that hook of it lives."""

    async def find_delivery(self, delivery_id: str) -> str | None:
        """Give the run that a message of this id was sent to, whatever became of both; None: none was."""

    async def find_hook(self, token_hash: bytes) -> HookRow | None: ...

    async def list_hooks(self, run_id: str | None = None, limit: int = 1000) -> list[HookRow]: ...

    async def list_waits(self, run_id: str | None = None, limit: int = 1000) -> list[WaitRow]: ...

    async def list_locks(self, name: str | None = None, limit: int = 1000) -> list[LockRow]: ...

    # -- workers: claim, append, release

    async def open_worker(self, hello: WorkerHello) -> None:
        """Announce a worker; announcing it again updates it and counts as a heartbeat."""

    async def heartbeat(self, worker_id: str) -> bool:
        """Keep a worker's leases for another `LEASE_SECONDS`. False: they are lost already."""

    async def close_worker(self, worker_id: str) -> None:
        """Take leave: every lease still held is free at once."""

    async def claim(self, worker_id: str, now: int, limit: int) -> Claims:
        """Lease up to `limit` runs that want a worker, oldest wish first.

        A run with an attention that this worker set is left out.
        """

    async def read_inbox(self, worker_id: str, run_ids: Sequence[str], after_id: int) -> list[InboxMessage]:
        """Messages with an id over `after_id` of runs that this worker has leased, by id."""

    async def commit(self, appends: Sequence[Append]) -> list[Outcome]:
        """Append to several logs in one transaction. A fenced append leaves the others alone."""

    async def release(self, worker_id: str, releases: Sequence[Release]) -> None: ...

    async def set_attention(self, worker_id: str, run_id: str, epoch: int, attention: Attention | None) -> Outcome:
        """Set or clear a run's attention. Setting it gives the lease back, and this worker is not
        offered the run again; a worker of another id is, so new code or keys get their try."""

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
        """Add chunks at exactly `start_index` (compare and append), so that a chunk can be sealed
        for its place. `at` is the instant of all of them, or a list of one for each. A None closes
        the stream and must be last; closing twice is `written`. To a stream of an imported run nothing
        is added: it counts as `closed`."""

    async def read_chunks(self, run_id: str, name: str, start_index: int, limit: int = 256) -> list[ChunkRow]: ...

    async def list_streams(self, run_id: str) -> list[StreamRow]: ...

    async def read_logs(self, run_id: str, limit: int = 1000) -> list[LogRow]: ...

    # -- deployments

    async def put_deployment(self, deployment: DeploymentRow, sources: dict[str, bytes]) -> None:
        """Keep a deployment and those of its sources (sealed, by SHA-256 hex) that are not kept yet.

        Of one that is kept already only `used_at` (to this `created_at`) and the catalog change.
        """

    async def get_deployment(self, deployment_id: str) -> DeploymentRow | None: ...

    async def list_deployments(self) -> list[DeploymentRow]:
        """List all deployments, the one that was used last first."""

    async def peg_runs(self, run_ids: Sequence[str], deployment_id: str) -> list[str]:
        """Peg runs of this world that have not ended to another deployment; give those that were there.

        Whoever has a run's lease keeps it; the next claim goes by the new deployment.
        """

    async def read_source(self, digest: str) -> bytes | None: ...

    # -- forgetting

    async def delete_runs(self, run_ids: Sequence[str]) -> list[str]:
        """Delete runs with all that belongs to them, and give the ids of those that were deleted.

        A run stays that has not ended, whose lease nobody has given back yet, whose parent or a
        watcher has yet to hear of its end, or whose history a fork has yet to copy. One that was
        imported need not have ended.
        """

    async def delete_unused_code(self) -> int:
        """Delete deployments that no run and no worker has, but for the one used last, and their sources.

        Gives how many deployments were deleted.
        """

    async def compact(self) -> None:
        """Give storage that deletions have freed back to the system. Others wait meanwhile."""

    # -- doorbells

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        """Call `ring(detail)` on the subscriber's loop whenever a topic has news; returns the undo.

        Topics: `worker:<id>` (detail: a leased run with new messages), `claimable` (an unowned
        run wants a worker), `run:<id>` (status, attention or continuation changed), `results` (detail: a
        run that ended, or rests with an attention: who waits for its result looks),
        `log:<id>` (more of the run can be read: events, log lines, or chunks of any of its streams),
        `stream:<run_id>/<name>` (chunks, or the run was cancelled), `runs` (detail: any run that
        changed state). A ring that is on its way to a subscriber stands for all like it.
        """
