"""Embedding: a worker inside any program.

`worker` for a block, `lifespan` for a Starlette or FastAPI app, `run` for a ten-line script.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from types import ModuleType, TracebackType
from typing import TYPE_CHECKING, Any, ParamSpec, Self, TypeVar

import msgspec

import wf.worker  # noqa: F401  # the package, before `wf.worker` is the function: whoever imported it later would put it there
from wf.clock import Clock
from wf.durations import Duration, parse_duration
from wf.registry import Workflow, register_directives
from wf.session import Session, enter_session, leave_session, make_world
from wf.settings import DEFAULT_LIVE_RUNS, Settings, load_settings
from wf.starting import start
from wf.world import World

if TYPE_CHECKING:
    from wf.worker.worker import Worker

P = ParamSpec("P")
R = TypeVar("R")

DEFAULT_GRACE = "5s"


class EmbeddedWorker:
    """A worker for the time of a block: `async with wf.worker() as worker:`.

    Within the process it decides the world of `start`, `get_run` and the like. Leaving the block
    waits up to `grace` for attempts in flight, then cancels them; the next worker retries them.
    """

    def __init__(
        self,
        world: str | World | None = None,
        modules: str | ModuleType | Iterable[str | ModuleType] = (),
        concurrency: int | None = None,
        *,
        grace: Duration = DEFAULT_GRACE,
        live_runs: int = DEFAULT_LIVE_RUNS,
        clock: Clock | None = None,
        keyring: Any = None,
        capture_logs: bool = True,
        settings: Settings | None = None,
    ) -> None:
        if concurrency is not None and (isinstance(concurrency, bool) or not isinstance(concurrency, int)):
            raise TypeError(f"concurrency: {concurrency!r:.40} is not a number")
        if concurrency is not None and concurrency < 1:
            raise ValueError(f"concurrency: {concurrency} is less than 1")
        if world is not None and not isinstance(world, str) and not hasattr(world, "commit"):
            raise TypeError(f"world: {world!r:.80} is neither a URL nor a world")
        self._asked = world
        self._modules = (modules,) if isinstance(modules, (str, ModuleType)) else tuple(modules)
        for module in self._modules:
            if not isinstance(module, (str, ModuleType)):
                raise TypeError(f"modules: {module!r:.80} is neither a module nor its name")
        self._concurrency = concurrency
        self._grace_us = parse_duration(grace, "grace")
        self._live_runs = live_runs
        self._clock = clock
        self._keyring = keyring
        self._capture_logs = capture_logs
        self._settings = settings
        self._owns_world = False
        self.session: Session
        self.worker: Worker

    @property
    def world(self) -> World:
        return self.session.world

    async def drain(self) -> None:
        """Wait until nothing can run: what is left waits for time, a hook, or somebody else."""
        await self.worker.drain()

    async def __aenter__(self) -> Self:
        # What loads and describes code takes a fifth of the time of `import wf`, which clients need not pay.
        from wf.deployment import keep_deployment
        from wf.loading import load_target

        modules: list[ModuleType] = []
        for module in self._modules:
            if isinstance(module, str):
                modules += load_target(module)
            else:
                register_directives(module)
                modules.append(module)
        settings = self._settings or load_settings()
        if isinstance(self._asked, str):
            settings = msgspec.structs.replace(settings, world=self._asked)
        if self._asked is None or isinstance(self._asked, str):
            world, keyring = make_world(settings, role="worker")
            self._owns_world = settings.address.kind != "memory"  # that one is the process's, and goes on
        else:
            world, keyring = self._asked, self._keyring
            if keyring is None:
                raise TypeError("give the keyring of a world that you made yourself")
        opening = getattr(world, "open", None)
        if self._owns_world and opening is not None:
            await opening()
        from wf.worker.worker import (
            Worker,
        )  # and with it the engine: who only declares or starts workflows needs neither

        self.session = Session(world, keyring, settings, clock=self._clock)
        try:
            self.session.deployment_id = await keep_deployment(self.session, modules)
            self.worker = Worker(
                self.session,
                concurrency=self._concurrency or settings.concurrency,
                live_runs=self._live_runs,
                is_capturing=self._capture_logs,
            )
            await self.worker.open()
            await self.worker.look_first()
        except BaseException:
            await self._let_go()
            raise
        enter_session(self.session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        leave_session(self.session)
        try:
            await self.worker.close(self._grace_us / 1_000_000)
        finally:
            await self._let_go()

    async def _let_go(self) -> None:
        if self._owns_world:
            await self.session.world.close()


def worker(
    world: str | World | None = None,
    modules: str | ModuleType | Iterable[str | ModuleType] = (),
    concurrency: int | None = None,
    *,
    grace: Duration = DEFAULT_GRACE,
    **options: Any,
) -> EmbeddedWorker:
    """Run a worker for the time of a block.

    `world` is a URL (default: as configured), `modules` are imported and their directives
    registered, `concurrency` bounds the attempts that run at once.
    """
    return EmbeddedWorker(world, modules, concurrency, grace=grace, **options)


@asynccontextmanager
async def lifespan(app: Any = None) -> AsyncIterator[None]:
    """Run a worker for the life of an app: `Starlette(lifespan=wf.lifespan)`."""
    async with worker():
        yield


async def run_once(workflow: Workflow[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Start a run on a worker of this process and wait for it; the async half of `run`."""
    async with worker():
        handle = await start(workflow, *args, **kwargs)
        return await handle.return_value()


def run(workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
    """Run one workflow to its end in this process, on the local world, and give its result.

    Blocks. Raises as `Run.return_value` does. After a kill, the next call of the script finishes
    the run that was interrupted, beside its own; give an id (`with_options`) to go on with that one.
    """
    if not isinstance(workflow, Workflow):
        raise TypeError(f"run: {workflow!r:.80} is not a workflow; mark it with @wf.workflow")
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        pass
    else:
        raise RuntimeError("wf.run blocks and cannot be used in a running event loop; use `await wf.start(...)`")
    return asyncio.run(run_once(workflow, *args, **kwargs))
