"""Transfers: runs out of a world into a bundle, and into a world out of a bundle or another runtime's folder.

1. What is taken in is checked whole before the first run is written. Then each run is one transaction, so a
   kill in the middle leaves whole runs, and importing again brings the others.
2. A run that the world has already is left as it is, whatever the file says of it.
3. An import writes nothing outside the world, and nothing into the folder that it reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Literal

import msgspec

from wf import events
from wf.catalog import seal_catalog, seal_source
from wf.durations import to_instant
from wf.errors import RunNotFoundError
from wf.records import decode_meta
from wf.session import Session
from wf.world import DeploymentRow, RunFilter
from wfstudio.core.views import RunQuery
from wfstudio.history.bundle.reading import Bundle
from wfstudio.history.log_rules import LogError, check_run
from wfstudio.history.portable import PortableRun, seal_run, tell_state
from wfstudio.history.vercel.mapping import Untranslatable, map_run
from wfstudio.history.vercel.reading import DataDirectory, Tell

PAGE = 1_000


class ImportedView(msgspec.Struct, frozen=True, kw_only=True):
    """A run of what was imported. Outcome: `imported`, `present` (the world has a run of this id, which stays
    as it is), or with a dry run `new`."""

    id: str
    workflow: str
    status: str
    events: int
    outcome: Literal["imported", "present", "new"]


class ProblemView(msgspec.Struct, frozen=True, kw_only=True):
    """What could not be read of what was imported. `where` is the file."""

    where: str
    message: str


class ImportView(msgspec.Struct, frozen=True, kw_only=True):
    """What an import did. Kind: `bundle`, `redacted` or `vercel`; `deployments` counts those that were new."""

    source: str
    kind: str
    items: list[ImportedView]
    deployments: int = 0
    problems: list[ProblemView] = []


# -- out ----------------------------------------------------------------------------------------


async def list_chosen(session: Session, query: RunQuery) -> list[str]:
    """List the ids of the runs that a query chooses, oldest first, all of them."""
    found: list[str] = []
    cursor: str | None = None
    while True:
        rows = await session.world.list_runs(
            RunFilter(
                status=query.status,
                workflow=query.workflow,
                attributes=query.attributes,
                since=None if query.since is None else to_instant(query.since, "since"),
                until=None if query.until is None else to_instant(query.until, "until"),
                limit=PAGE,
                cursor=cursor,
            )
        )
        found += [row.run_id for row in rows]
        if len(rows) < PAGE:
            return found[::-1]
        cursor = rows[-1].run_id


async def add_descendants(session: Session, run_ids: Sequence[str]) -> list[str]:
    """Add to runs their children, the runs that they continued as, and those of these; as far as they are there."""
    found: dict[str, None] = {}
    waiting = list(run_ids)[::-1]
    while waiting:
        run_id = waiting.pop()
        if run_id in found:
            continue
        row = await session.world.get_run(run_id)
        if row is None:
            if run_id in run_ids:
                raise RunNotFoundError(run_id)
            continue  # it was forgotten
        found[run_id] = None
        next_ids = [child async for child in _list_children(session, run_id)]
        if row.continued_as is not None:
            next_ids.append(row.continued_as)
        waiting += next_ids[::-1]
    return list(found)


async def _list_children(session: Session, run_id: str) -> AsyncIterator[str]:
    seq = 0
    while True:
        page = await session.world.read_events(run_id, seq, PAGE)
        for event in page:
            meta = decode_meta(event.meta) if event.type == events.CHILD_STARTED else {}
            if "run_id" in meta and not meta.get("watch"):
                yield meta["run_id"]
        if len(page) < PAGE:
            return
        seq = page[-1].seq


# -- in -----------------------------------------------------------------------------------------


async def import_bundle(session: Session, data: bytes, source: str, *, is_dry: bool = False) -> ImportView:
    """Take in the runs of a bundle, with their code. Raises `BundleError`; then nothing was written.

    `source` is what the runs' origin will name. A dry run checks and looks, and writes nothing.
    """
    bundle = await asyncio.to_thread(_open_bundle, data)
    deployments = 0 if is_dry else await _import_code(session, bundle)
    items = []
    for number in range(1, len(bundle.manifest.runs) + 1):
        run = await asyncio.to_thread(bundle.read_run, number)
        items.append(await import_run(session, run, source, is_dry=is_dry))
    kind = "redacted" if bundle.manifest.is_redacted else "bundle"
    return ImportView(source=source, kind=kind, items=items, deployments=deployments)


def _open_bundle(data: bytes) -> Bundle:
    bundle = Bundle(data)
    bundle.check()
    return bundle


async def import_run(session: Session, run: PortableRun, source: str, *, is_dry: bool = False) -> ImportedView:
    """Take in one run whose log was checked."""
    known = await session.world.get_run(run.run_id)
    outcome: Literal["imported", "present", "new"] = "present" if known is not None else "new"
    if known is None and not is_dry:
        sealed = await asyncio.to_thread(seal_run, session.keyring, run, source)
        outcome = "imported" if (await session.world.import_run(sealed)).is_new else "present"
    status = tell_state(run.events).status
    return ImportedView(id=run.run_id, workflow=run.workflow, status=status, events=len(run.events), outcome=outcome)


async def import_folder(session: Session, folder: Path, *, is_dry: bool = False) -> ImportView:
    """Take in the runs of a `.workflow-data` folder, oldest first. Raises `NotFoundError` for one that has none.

    What cannot be read is told as a problem, and the rest is taken in.
    """
    problems: list[ProblemView] = []

    def tell(where: str, message: str) -> None:
        problems.append(ProblemView(where=where, message=message))

    folder = folder.resolve()
    directory = await asyncio.to_thread(DataDirectory, folder, tell)
    source = f"{folder.parent.name}/{folder.name}"
    items = []
    for name in sorted(directory.runs):
        run = await asyncio.to_thread(_map_run, directory, name, tell)
        if run is not None:
            items.append(await import_run(session, run, source, is_dry=is_dry))
    return ImportView(source=source, kind="vercel", items=items, problems=problems)


def _map_run(directory: DataDirectory, name: str, tell: Tell) -> PortableRun | None:
    where = directory.runs[name].as_posix()
    try:
        mapped = map_run(directory, name)
        if mapped is None:
            return None
        check_run(mapped.run)
    except (Untranslatable, LogError) as error:
        tell(where, f"the run cannot be taken in: {error}")
        return None
    for problem in mapped.problems:
        tell(where, problem)
    return mapped.run


async def _import_code(session: Session, bundle: Bundle) -> int:
    """Keep the code that came with runs, to be read; say how many deployments were new."""
    there = set(bundle.list_sources())
    count = 0
    for deployment in bundle.read_deployments():
        if await session.world.get_deployment(deployment.deployment_id) is not None:
            continue
        digests = sorted(there.intersection(deployment.files.values()))
        sources = {digest: seal_source(session.keyring, digest, bundle.read_source(digest)) for digest in digests}
        catalog = deployment.catalog
        sealed = None if catalog is None else seal_catalog(session.keyring, deployment.deployment_id, catalog)
        row = DeploymentRow(deployment.deployment_id, deployment.created_at, deployment.files, 0, sealed)
        await session.world.put_deployment(row, sources)
        count += 1
    return count
