"""The stage of the dev server's tests: a project on disk, a studio half, and real worker processes."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from textwrap import dedent
from typing import Any

import wf
from tests.reliability.stage import PATIENCE_SECONDS, until
from wf.run import Run
from wf.session import Session, enter_session, leave_session, make_world
from wf.settings import load_settings
from wfstudio.core.client import Client
from wfstudio.dev.supervisor import Supervisor
from wfstudio.dev.wire import Order

__all__ = ["PATIENCE_SECONDS", "Dev", "Project", "developing", "until"]


class Project:
    """A folder with a pyproject.toml of its own, so that nothing above it counts."""

    def __init__(self, root: Path) -> None:
        self.root = root
        root.mkdir(parents=True, exist_ok=True)
        (root / "pyproject.toml").write_text("[tool.wf]\ndurability = 'process'\n")

    def write(self, name: str, text: str) -> None:
        """Save a file whole: on a busy machine a process may load it at any moment, and an empty one is code, too."""
        path = self.root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.draft")
        draft.write_text(dedent(text))
        os.replace(draft, path)


class Dev:
    """A supervisor with its world, and what it has said."""

    def __init__(self, project: Project, session: Session, supervisor: Supervisor, said: list[Any]) -> None:
        self.project = project
        self.session = session
        self.supervisor = supervisor
        self.client = Client(session)
        self.said = said

    async def save(self, name: str, text: str) -> dict[str, Any]:
        """Save a file, tell the supervisor, and give what the reload came to."""
        self.project.write(name, text)
        return await self.reload(name)

    async def reload(self, *names: str) -> dict[str, Any]:
        before = len(self.reloads)
        self.supervisor.files_changed(names)
        await until(lambda: len(self.reloads) > before, "the reload is done")
        return self.reloads[-1]

    @property
    def reloads(self) -> list[dict[str, Any]]:
        return [facts for kind, facts in self.said if kind == "reload"]

    def told(self, kind: str) -> list[dict[str, Any]]:
        return [facts for told, facts in self.said if told == kind]

    async def start(self, workflow: str, *args: Any, **options: Any) -> Run[Any]:
        return wf.get_run((await self.client.start(workflow, list(args), **options)).id)

    async def wait_for_hook(self, run: Run[Any]) -> str:
        async def has_hook() -> bool:
            return bool(await self.session.world.list_hooks(run.run_id))

        await until(has_hook, "the hook is there")
        return str((await self.client.list_hooks(run.run_id))[0].token)

    async def deployment_of(self, run: Run[Any]) -> str:
        row = await self.session.world.get_run(run.run_id)
        assert row is not None
        return row.deployment_id


@asynccontextmanager
async def developing(project: Project, target: str = "flow.py", *, size: int = 1) -> AsyncIterator[Dev]:
    """Run the studio's half of `wf dev`, without terminal, server and watcher."""
    settings = load_settings(project.root)
    world, keyring = make_world(settings, role="worker")
    await world.open()  # type: ignore[attr-defined]
    session = Session(world, keyring, settings)
    enter_session(session)
    said: list[Any] = []
    order = Order(str(project.root), [target], settings.address.url, settings.durability, 16)
    supervisor = Supervisor(session, order, size=size, publish=lambda kind, facts: said.append((kind, facts)))
    try:
        await supervisor.open()
        try:
            yield Dev(project, session, supervisor, said)
        finally:
            await supervisor.close(1.0)
    finally:
        leave_session(session)
        await world.close()
