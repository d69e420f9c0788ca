"""Retention: which ended runs are forgotten, and forgetting them.

Only runs that ended are ever chosen, and the world keeps those that somebody still needs (a parent
that goes on, a fork that has not copied its history). Their code goes with the last run that had it.
"""

from __future__ import annotations

from typing import Final

import msgspec

from wf.durations import parse_duration
from wf.events import ENDED
from wf.session import Session
from wf.world import RunFilter
from wfstudio.core.errors import UsageError

PAGE: Final = 1_000
BATCH: Final = 200
"""Runs of one transaction: commits of workers wait for it, a few milliseconds."""


class Keep(msgspec.Struct, frozen=True):
    """What stays: runs that ended less than `age_us` ago, or the `count` newest of those that ended."""

    age_us: int | None = None
    count: int | None = None


class Forgotten(msgspec.Struct, frozen=True):
    """`kept` had to stay although they were old enough. `freed_bytes` is None where storage has no size."""

    runs: list[str]
    kept: int
    deployments: int
    freed_bytes: int | None


def parse_keep(text: str) -> Keep:
    """Read `30d` (an age) or `1000` (a number of runs)."""
    if text.isdigit():
        return Keep(count=int(text))
    try:
        return Keep(age_us=parse_duration(text, "keep"))
    except (ValueError, TypeError):
        raise UsageError(f"{text!r:.40} is neither an age nor a number of runs", "write `30d`, or `1000`") from None


async def find_old(session: Session, keep: Keep) -> list[str]:
    """List the ended runs that need not stay, oldest first."""
    before = None if keep.age_us is None else session.now_us() - keep.age_us
    found: list[str] = []
    seen = 0
    cursor: str | None = None
    while True:
        rows = await session.world.list_runs(RunFilter(status=sorted(ENDED), limit=PAGE, cursor=cursor))
        for row in rows:
            seen += 1
            if keep.count is not None and seen <= keep.count:
                continue
            if before is None or (row.ended_at or 0) < before:
                found.append(row.run_id)
        if len(rows) < PAGE:
            return found[::-1]
        cursor = rows[-1].run_id


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
