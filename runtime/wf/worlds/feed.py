"""What a world's feed gives: in bulk and read-only, for who keeps a copy of the world.

Any process may open one while others work in the world: it takes no lease, opens no payload and writes nothing. Runs
are named by `runs.id`, which orders them by their creation. The id of a run that was deleted may be given to another
one: who keeps a copy compares run ids.

    mark = feed.mark()                     before anything is read
    ids = feed.changed_since(remembered)   None: the feed does not reach back so far, compare all runs
    with feed.snapshot(): ...              rows of these runs, of one moment

What was committed before `mark()` was asked is in what is read after it; what came since may be, too,
and will be named again by the next `changed_since`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from typing import Any, Final, NamedTuple, Protocol

Row = Sequence[Any]

BATCH: Final = 20_000
"""Rows that are held at once while events are read."""

RUN_COLUMNS: Final = (
    "id", "run_id", "workflow", "status", "deployment_id", "created_at", "started_at", "ended_at", "seq",
    "attributes", "parent_run_id", "continued_from", "continued_as", "forked_from", "error_code", "result_seq",
    "payload_bytes", "attention", "origin",
)  # fmt: skip
EVENT_COLUMNS: Final = ("run", "seq", "type", "correlation_id", "name", "attempt", "at_us", "meta", "payload_bytes")
CHUNK_COLUMNS: Final = ("run", "name", "place", "at_us", "payload_bytes")
LOG_COLUMNS: Final = ("run", "correlation_id", "attempt", "place", "at_us", "payload_bytes")
DEPLOYMENT_COLUMNS: Final = ("deployment_id", "created_at", "used_at", "manifest")


class Mark(NamedTuple):
    """How far somebody has read. Two marks are the same only where nothing came between them.

    In a file: the last change, and where the log of the run that it names ended, since that run may go on without
    another change. In a database: the first transaction that may not have been over, and the last change.
    """

    position: int
    seq: int


class Feed(Protocol):
    """See above. May be used from any thread, from one at a time. Raises `WorldError`."""

    def close(self) -> None: ...

    def identify(self) -> tuple[int, int]:
        """Name what this is the feed of, as long as it is the same: marks mean nothing in another one."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Have all that is read in the block be of one moment. Keep it short: nothing can be tidied up meanwhile."""

    def mark(self) -> Mark: ...

    def count_changes(self, mark: Mark) -> int:
        """Count the changes after a mark, more or less."""

    def list_heads(self, limit: int) -> list[tuple[int, str, int, bytes]]:
        """Give (run, run id, seq, link) of the last events of runs that changed lately: no other history has them."""

    def find_link(self, run_id: str, seq: int) -> bytes | None: ...

    def changed_since(self, mark: Mark) -> list[int] | None:
        """List the runs that changed after a mark, or None where the feed does not reach back so far."""

    def list_ids(self, after: int, limit: int) -> list[int]: ...

    def read_runs(self, ids: Sequence[int]) -> list[Row]: ...

    def read_events(self, wanted: Sequence[tuple[int, int]]) -> Iterator[list[Row]]:
        """Give events, in batches; `wanted` are (run, seq after which they are wanted)."""

    def read_chunks(self, ids: Sequence[int]) -> list[Row]: ...

    def read_logs(self, ids: Sequence[int]) -> list[Row]: ...

    def read_pending_waits(self, ids: Sequence[int]) -> list[Row]:
        """Give (run, correlation id) of the waits that are pending."""

    def read_deployments(self) -> list[Row]: ...

    def find_payload(self, run: int, seq: int) -> tuple[str, str, bytes | None] | None:
        """Give an event's run id, type and sealed payload."""

    def find_chunk(self, run: int, name: str, place: int) -> tuple[str, bytes | None] | None: ...

    def find_log(self, run: int, correlation_id: int, attempt: int, place: int) -> tuple[str, bytes] | None: ...
