"""The workbench: what is put on a bench, and how benches are had.

Code is chosen by a word: `today`, or None, is the project's code as it is on the disk now, `latest` the newest
deployment that is kept, `own` the one that a run is pegged to, anything else the id of one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Final

import msgspec

from wf.catalog import open_catalog
from wf.deployment import read_deployment
from wf.errors import RunNotFoundError, shorten
from wf.ids import is_run_id
from wf.loading import LoadError
from wf.origin import say_unreplayable
from wf.session import Session
from wf.worker.opening import open_log, read_whole_log
from wf.world import RunRow
from wfstudio.core.bench import wire
from wfstudio.core.bench.code import list_entries
from wfstudio.core.bench.process import Bench, Launch, open_bench, spawn
from wfstudio.core.errors import BenchError, ConflictError, NotFoundError

TODAY: Final = "today"
LOAD_SECONDS: Final = 60.0
BENCHES_AT_ONCE: Final = 4
"""Processes that judge or try at the same time; who comes meanwhile waits. Kept ones (time travel) are beside them."""

LARGEST_LOG: Final = 512 * 1024 * 1024
"""Bytes of payloads of a run that is still handed to a bench, all at once."""


class LoadedBench(msgspec.Struct):
    """A bench with code in it. `files` are the project's own, absolute."""

    bench: Bench
    deployment_id: str
    files: list[str]


class Workbench:
    """`targets` are what today's code is, relative to the project's root; by default what `[tool.wf] modules`
    names, else all of the project that speaks of wf."""

    def __init__(self, session: Session, *, targets: Sequence[str] = (), launch: Launch = spawn) -> None:
        self.session = session
        self.root = os.path.abspath(session.settings.root)
        self.targets = list(targets) or list(session.settings.modules) or ["."]
        self.launch = launch
        self._gate = asyncio.Semaphore(BENCHES_AT_ONCE)

    # -- runs

    async def read_row(self, run_id: str) -> RunRow:
        row = await self.session.world.get_run(run_id) if is_run_id(run_id) else None
        if row is None:
            raise RunNotFoundError(run_id)
        return row

    async def open_log(self, row: RunRow) -> wire.Log:
        """Read, verify and open a run's log. Raises `DecryptionError`, or `ConflictError`: it cannot be replayed."""
        reason = say_unreplayable(row.origin)
        if row.payload_bytes > LARGEST_LOG:
            reason = f"its payloads are {row.payload_bytes} bytes, and {LARGEST_LOG} are handed over at most"
        if reason is not None:
            raise ConflictError(f"run {row.run_id} cannot be replayed: {reason}")
        log = await read_whole_log(self.session.world, row)
        key = self.session.keyring.run(row.run_id)
        opened = await asyncio.to_thread(open_log, row, key, log)  # 30 ms for 10 000 events
        return [(msgspec.structs.replace(event, payload=None), data) for event, data in opened]

    # -- code

    async def choose_code(self, row: RunRow, deployment: str | None) -> str | None:
        """Give the id of the deployment that a word means for a run, None for the code on the disk."""
        if deployment in (None, TODAY):
            return None
        if deployment == "own":
            return row.deployment_id
        if deployment == "latest":
            found = await self.session.world.list_deployments()
            if not found or found[0].used_at == 0:  # imported code is nobody's newest
                raise NotFoundError("no code is kept in this world", "`wf dev` and `wf worker` keep what they load")
            return found[0].deployment_id
        return deployment

    async def describe_code(self, deployment_id: str | None) -> wire.Code:
        """Say what a bench is to load. Raises `NotFoundError` for a deployment that is not kept whole, and
        `ConflictError` for one that nobody here has ever loaded."""
        limits = self.session.settings.limits
        if deployment_id is None:
            return wire.Code(self.root, self.targets, limits)
        row = await self.session.world.get_deployment(deployment_id)
        if row is not None and row.used_at == 0:
            text = f"the code of {shorten(deployment_id)} came with a run that was imported, and is not run here"
            raise ConflictError(text, "replay against the code on the disk, or load what you trust with `wf dev`")
        files = await read_deployment(self.session, deployment_id)
        if row is None or files is None:
            what = "is not kept whole" if row is not None else "is not kept"
            text = f"the code of the deployment {shorten(deployment_id)} {what}"
            raise NotFoundError(text, "`wf inspect deployments` lists what there is")
        entries = list_entries(open_catalog(self.session.keyring, row))
        return wire.Code(self.root, [], limits, files, entries)

    # -- benches

    @asynccontextmanager
    async def loaded(self, deployment_id: str | None, launch: Launch | None = None) -> AsyncIterator[LoadedBench]:
        """Have a bench with some code for the time of a block, when it is one's turn. Raises `LoadError`."""
        code = await self.describe_code(deployment_id)
        async with self._gate:
            found = await self.open_loaded(code, deployment_id, launch)
            try:
                yield found
            finally:
                await found.bench.close()

    async def open_loaded(
        self, code: wire.Code, deployment_id: str | None, launch: Launch | None = None
    ) -> LoadedBench:
        """Open a bench and have it load code. Raises `LoadError`, also where the code makes its process die."""
        bench = await open_bench(launch or self.launch)
        try:
            answer = await bench.ask(code, wire.Loaded | wire.NotLoaded, LOAD_SECONDS)  # type: ignore[arg-type]
            if isinstance(answer, wire.NotLoaded):
                raise LoadError(answer.message, hint=answer.hint, where=self.shorten(answer.where))
        except BaseException as error:
            await bench.close()
            if isinstance(error, BenchError):
                raise LoadError(error.message, hint="look at what runs when the modules are imported") from error
            raise
        files = [os.path.join(self.root, *name.split("/")) for name in answer.files]
        return LoadedBench(bench, deployment_id or answer.deployment_id, files)

    def shorten(self, where: str | None) -> str | None:
        """Give `file:line in function` with the file relative to the project, where it is in it."""
        return None if where is None else where.removeprefix(os.path.join(self.root, ""))
