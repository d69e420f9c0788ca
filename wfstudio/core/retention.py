"""Retention: which runs are forgotten, and forgetting them: once when asked (`wf gc`), or for ever in the background.

1. Only runs that ended are chosen, and those that were imported, of which nothing goes on. The world keeps
   what somebody still needs (a parent that goes on, a fork that has not copied its history).
2. Code goes with the last run that had it.
3. In the background nothing waits long: few events a transaction, and pauses. What was imported stays
   there until somebody says otherwise: who imported an old run wants to look at it.
4. The file is not rewritten in the background: everybody would wait. Its free pages are used again, so it does
   not grow; `wf gc` gives them back to the disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Final

import msgspec

from wf.durations import show_duration
from wf.errors import WorkflowError
from wf.events import ENDED
from wf.session import Session
from wf.settings import Keep
from wf.settings import parse_keep as _parse_keep
from wf.world import RunFilter, RunRow
from wfstudio.core.errors import UsageError

PAGE: Final = 1_000
BATCH: Final = 200
"""Runs of one transaction of `forget`: commits of workers wait for it, a few milliseconds."""

HOUR_SECONDS: Final = 3_600.0
FEW_EVENTS: Final = 1_000
"""Events that a transaction in the background deletes at most, unless one run alone has more: some 5 ms."""
PAUSE_SECONDS: Final = 0.1


class Forgotten(msgspec.Struct, frozen=True):
    """`kept` had to stay although they were old enough. `freed_bytes` is None where storage has no size."""

    runs: list[str]
    kept: int
    deployments: int
    freed_bytes: int | None


def parse_keep(text: str) -> Keep:
    """Read `30d` (an age) or `1000` (a number of runs)."""
    try:
        return _parse_keep(text)
    except ValueError as error:
        raise UsageError(str(error), "write `30d`, or `1000`") from None


def show_keep(keep: Keep) -> str:
    """Write what stays the way it is set: `30d`, `1000 runs`."""
    if keep.age_us is not None:
        return show_duration(keep.age_us)
    return f"{keep.count} run{'' if keep.count == 1 else 's'}"


# -- once ---------------------------------------------------------------------------------------


async def find_old(session: Session, keep: Keep, *, is_imported: bool | None = None) -> list[str]:
    """List the runs that need not stay, oldest first. `is_imported`: only those that were, True, or were not, False."""
    return [row.run_id async for row in _choose(session, keep, is_imported)][::-1]


async def _choose(session: Session, keep: Keep, is_imported: bool | None) -> AsyncIterator[RunRow]:
    """Give the runs that need not stay, newest first. A run that was imported before it ended is as old as its start.

    Those that were given may be deleted meanwhile.
    """
    before = None if keep.age_us is None else session.now_us() - keep.age_us
    status = sorted(ENDED) if is_imported is False else None
    # Who ended before then was created before then.
    filter = RunFilter(status=status, until=before, limit=PAGE, is_imported=is_imported)
    seen = 0
    async for rows in _read_pages(session, filter):
        for row in rows:
            if row.status not in ENDED and row.origin is None:
                continue
            seen += 1
            if before is None and seen <= (keep.count or 0):
                continue
            if before is None or (row.ended_at or row.created_at) < before:
                yield row


async def _read_pages(session: Session, filter: RunFilter) -> AsyncIterator[list[RunRow]]:
    """Give pages of runs, each after the next was read: the last run of a page is the place where that begins."""
    rows = await session.world.list_runs(filter)
    while len(rows) == filter.limit:
        following = await session.world.list_runs(msgspec.structs.replace(filter, cursor=rows[-1].run_id))
        yield rows
        rows = following
    yield rows


async def forget(session: Session, run_ids: list[str]) -> Forgotten:
    """Delete runs and the code that no run has any more, and give the disk its space back.

    Children may be listed before their parents: who had to stay is tried once more at the end.
    """
    size = _measure(session)
    deleted: list[str] = []
    left = run_ids
    for _ in range(2):
        gone: set[str] = set()
        for start in range(0, len(left), BATCH):
            gone.update(await session.world.delete_runs(left[start : start + BATCH]))
        deleted += [run_id for run_id in left if run_id in gone]
        left = [run_id for run_id in left if run_id not in gone]
        if not left or not gone:
            break
    deployments = await session.world.delete_unused_code()
    if deleted or deployments:
        await session.world.compact()
    after = _measure(session)
    freed = None if size is None or after is None else max(0, size - after)
    return Forgotten(deleted, len(left), deployments, freed)


def _measure(session: Session) -> int | None:
    path = session.settings.address.path
    if path is None:
        return None
    files = [file for file in path.parent.glob(f"{path.name}*") if file.name in (path.name, f"{path.name}-wal")]
    return sum(file.stat().st_size for file in files)


# -- for ever -----------------------------------------------------------------------------------

Tell = Callable[[str, int], None]
"""Told a line, and how many runs were deleted; 0 where it failed."""
Wait = Callable[[float], Awaitable[None]]


async def keep_forgetting(session: Session, tell: Tell, *, wait: Wait = asyncio.sleep) -> None:
    """Forget what the settings' retention lets go: now, and every hour, for ever; at once over, if it names nothing.

    Of the processes that share a world, the one that owns it does the work. `wait` is for tests.
    """
    keep = session.settings.retention
    if keep is None:
        return
    while True:
        if getattr(session.world, "is_owner", True):
            try:
                count = await forget_gently(session, keep, wait=wait)
                if count:
                    runs = "run" if count == 1 else "runs"
                    tell(f"{count} old {runs} deleted (retention {show_keep(keep)})", count)
            except WorkflowError as error:  # the disk is full, or the world has a new owner: the next hour, then
                tell(f"old runs could not be deleted: {error}", 0)
        await wait(HOUR_SECONDS)


async def forget_gently(session: Session, keep: Keep, *, wait: Wait = asyncio.sleep) -> int:
    """Delete what need not stay of this world's own runs, a few at a time; give how many."""
    count = 0
    batch: list[str] = []
    events = 0
    async for row in _choose(session, keep, is_imported=False):
        if batch and (events + row.seq > FEW_EVENTS or len(batch) == BATCH):
            count += len(await session.world.delete_runs(batch))
            await wait(PAUSE_SECONDS)
            batch, events = [], 0
        batch.append(row.run_id)
        events += row.seq
    if batch:
        count += len(await session.world.delete_runs(batch))
    if count:
        await session.world.delete_unused_code()
    return count
