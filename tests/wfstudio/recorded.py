"""Recorded runs for tests: a project on disk whose code has run here, and replays of it in processes of their own."""

from __future__ import annotations

import os
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import msgspec

import wf
from tests.reliability.stage import until
from wf.embedding import EmbeddedWorker
from wf.loading import file_of
from wf.registry import isolated, list_workflows
from wf.run import Run
from wf.session import Session
from wf.settings import load_settings
from wf.world import World
from wfstudio.core.client import Client
from wfstudio.core.replays import Replays

FLOW = """
    import asyncio
    import wf


    class Declined(ValueError): ...


    @wf.step(max_retries=1, retry_delay=0)
    async def charge(card: str, amount: int = 3) -> dict:
        print("charging", card)
        if card == "bad":
            raise Declined(f"card {card}")
        return {"card": card, "amount": amount}


    @wf.workflow
    async def pay(card: str) -> dict:
        receipt = await charge(card)
        return receipt


    @wf.workflow
    async def order(card: str) -> str:
        total = 0
        for number in range(2):
            receipt = await charge(card, number)
            total += receipt["amount"]
        word = await wf.hook(token=f"order:{card}")
        return f"{total} {word}"
"""


class Recording:
    """A project, its world with a worker on it, and what asks benches about its runs."""

    def __init__(self, root: Path, embedded: EmbeddedWorker, targets: list[str]) -> None:
        self.root = root
        self.embedded = embedded
        self.session: Session = embedded.session
        self.client = Client(self.session)
        self.replays = Replays(self.session, targets=targets)

    @property
    def world(self) -> World:
        return self.session.world

    def write(self, text: str, name: str = "flow.py") -> None:
        write(self.root, text, name)

    def edit(self, old: str, new: str, name: str = "flow.py") -> None:
        """Change the code on the disk; the worker goes on with what it has loaded."""
        path = self.root / name
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    async def start(self, workflow: str, *args: Any, **options: Any) -> Run[Any]:
        """Start a run of the project's workflow of this name; those of other tests may have it, too."""
        own = [known.id for known in list_workflows() if known.where[0].startswith(os.path.join(self.root, ""))]
        [id] = [id for id in own if id.rpartition(":")[2] == workflow]
        return wf.get_run((await self.client.start(id, list(args), **options)).id)

    async def run(self, workflow: str, *args: Any) -> str:
        """Start a run, wait for its end, and give its id."""
        started = await self.start(workflow, *args)
        return (await self.client.wait_for_end(started.run_id, 20)).id

    async def rest(self, workflow: str, *args: Any, **options: Any) -> str:
        """Start a run, wait until nothing of it can go on, and give its id."""
        run = await self.start(workflow, *args, **options)
        await self.embedded.drain()
        return run.run_id

    async def read_everything(self, run_id: str) -> Any:
        """Give all that the world holds of a run.

        A worker lets go of a run some time after its end, so who has it is left out; whoever takes it raises its epoch.
        """
        row = await self.world.get_run(run_id)
        row = row and msgspec.structs.replace(row, owner=None)
        streams = await self.world.list_streams(run_id)
        return row, await self.world.read_events(run_id, 0, 100_000), streams, await self.world.read_logs(run_id)


def write(root: Path, text: str, name: str = "flow.py") -> None:
    path = root / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(dedent(text).lstrip("\n"))


@contextmanager
def own_modules(root: Path) -> Iterator[None]:
    """Forget afterwards what was loaded of a project."""
    paths = list(sys.path)
    try:
        with isolated():
            yield
    finally:
        sys.path[:] = paths
        for name, module in list(sys.modules.items()):
            if (file_of(module) or "").startswith(os.path.join(root, "")):
                del sys.modules[name]


@asynccontextmanager
async def recording(
    root: Path, text: str = FLOW, *, target: str = "flow.py", name: str = "flow.py"
) -> AsyncIterator[Recording]:
    """Write a project with one file, load it, and run a worker on its world."""
    (root / "pyproject.toml").write_text("[tool.wf]\ndurability = 'process'\n")
    write(root, text, name)
    with own_modules(root):
        async with serving(root, target) as found:
            yield found


@asynccontextmanager
async def serving(root: Path, target: str = "flow.py") -> AsyncIterator[Recording]:
    """Load a project as it is on the disk, and run a worker on its world."""
    settings = load_settings(root)
    async with EmbeddedWorker(modules=[str(root / target)], settings=settings, grace=0) as embedded:
        found = Recording(root, embedded, [target])
        try:
            yield found
        finally:
            await found.replays.close()


__all__ = ["FLOW", "Recording", "own_modules", "recording", "serving", "until", "write"]
