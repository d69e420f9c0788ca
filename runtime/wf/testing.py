"""Testing: a throw-away world, a worker, and a clock that jumps.

The clock stands still while anything can run. When nothing can, it jumps to the next timer: at
once while somebody waits for a run, else after 50 ms without any news, so that a test that is
about to act gets its turn first. `wait_for_hook` and `wait_for_sleep` hold it: the first until the
run goes on or somebody waits for a run, the second until `skip`.

In a test: `async def test_x(wf_env): ...`; no other plugin is needed.
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable, Generator
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, ParamSpec, Self, TypeVar, cast

from wf import events, registry
from wf.clock import ManualClock, SystemClock
from wf.durations import Duration, from_instant, parse_duration
from wf.embedding import EmbeddedWorker
from wf.errors import NotRegisteredError, WorkflowError
from wf.histories import History, encode_history, open_history, read_history, replay_history
from wf.hooks import Hook, make_hook, read_hook_record
from wf.keys import Keyring
from wf.registry import Step, Workflow
from wf.run import Run
from wf.session import Session, current_session
from wf.starting import start
from wf.worlds.memory import MemoryWorld

P = ParamSpec("P")
R = TypeVar("R")

QUIET_SECONDS = 0.05
QUIET_TURNS = 5


class WorkflowEnvironment:
    """A world in memory with a worker and a clock of its own. Use it as `async with`, or the fixture."""

    def __init__(self, *, concurrency: int | None = None, start_at: datetime | None = None) -> None:
        at = SystemClock().now_us() if start_at is None else round(start_at.timestamp() * 1_000_000)
        self._clock = ManualClock(at)
        self._keyring = Keyring([os.urandom(32)])
        self._embedded = EmbeddedWorker(
            MemoryWorld(),
            concurrency=concurrency,
            grace=0,
            clock=self._clock,
            keyring=self._keyring,
            capture_logs=False,
        )
        self._is_frozen = False
        self._held: dict[str, int] = {}  # run id -> its seq when `wait_for_hook` returned
        self._waiting_when_held = 0
        self._sleepers: list[tuple[str, asyncio.Future[None]]] = []
        self._driver: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self.runner: asyncio.Runner | None = None  # the fixture's, on whose loop its tests run

    async def __aenter__(self) -> Self:
        await self._embedded.__aenter__()
        self._loop = asyncio.get_running_loop()
        self._driver = self._loop.create_task(self._drive(), name="wf test clock")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._driver is not None:
            self._driver.cancel()
            await asyncio.gather(self._driver, return_exceptions=True)
        await self._embedded.__aexit__(kind, error, trace)

    @property
    def session(self) -> Session:
        return self._embedded.session

    @property
    def time(self) -> datetime:
        """The environment's present: aware, UTC."""
        return from_instant(self._clock.now_us())

    def _check_loop(self) -> None:
        """Refuse to be awaited where nothing would ever come: a fixture of another plugin has a loop of its own."""
        if self._loop is not asyncio.get_running_loop():
            raise RuntimeError(
                "the environment is awaited on another event loop than its own; "
                "await it in the test, or in a function that the test awaits, not in an async fixture"
            )

    # -- running

    async def start(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> Run[R]:
        self._check_loop()
        return await start(workflow, *args, **kwargs)

    async def run(self, workflow: Workflow[P, R], /, *args: P.args, **kwargs: P.kwargs) -> R:
        """Start a run and give its result; raises `WorkflowRunFailedError` as `return_value` does."""
        self._check_loop()
        handle = await start(workflow, *args, **kwargs)
        return await handle.return_value()

    def mock(self, step: Step[..., Any] | str, stand_in: Any) -> None:
        """Put a function, a value, or an exception to raise, in a step's place.

        A function gets the step's arguments, and may be `async def`.
        """
        if not isinstance(step, (str, Step)):
            raise TypeError(f"mock: {step!r:.80} is not a step; mark it with @wf.step")
        step_id = step if isinstance(step, str) else step.id
        if registry.find_step(step_id) is None:
            raise NotRegisteredError("step", step_id, [known.id for known in registry.list_steps()])
        self._embedded.worker.mocks[step_id] = _make_stand_in(stand_in)

    async def wait_for_hook(self, run: Run[Any], token: str | None = None) -> Hook:
        """Wait until the run has a live hook (with this token).

        The clock stands still until the run goes on, or the test waits for a run's end.
        """
        self._check_loop()
        while True:
            for row in await self.session.world.list_hooks(run.run_id):
                found = make_hook(row, read_hook_record(self.session, row))
                if token is None or found.token == token:
                    seen = await self.session.world.get_run(run.run_id)
                    self._held[run.run_id] = seen.seq if seen is not None else 0  # no jump while it settles
                    self._waiting_when_held = self.session.waiting
                    await self._settle()
                    state = await self.session.world.get_run(run.run_id)
                    self._held[run.run_id] = state.seq if state is not None else 0
                    self._waiting_when_held = self.session.waiting
                    return found
            await self._refuse_ended(run, "reached a hook")
            await asyncio.sleep(0.001)

    async def wait_for_sleep(self, run: Run[Any]) -> None:
        """Wait until the run sleeps, and hold the clock until `skip`."""
        self._check_loop()
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._sleepers.append((run.run_id, future))
        while not future.done():
            await self._refuse_ended(run, "slept")
            await asyncio.wait([future], timeout=0.02)

    async def _refuse_ended(self, run: Run[Any], what: str) -> None:
        status = await run.status()
        if status in events.ENDED:
            raise WorkflowError(f"run {run.run_id} {status} before it {what}")

    # -- time

    async def skip(self, duration: Duration) -> None:
        """Move the clock on, through every timer on the way, and let it go again."""
        self._check_loop()
        target = self._clock.now_us() + parse_duration(duration, "skip")
        self._is_frozen = True
        try:
            await self._settle()
            while (due_at := self._embedded.worker.next_due_at()) is not None and due_at <= target:
                await self._jump(due_at)
            await self._jump(target)
        finally:
            self._is_frozen = False
            self._held.clear()

    async def _jump(self, at: int) -> None:
        self._clock.move_to(at)
        self._embedded.worker.look()
        await self._settle()

    async def _settle(self) -> None:
        """Wait until nothing can run: quiet for a few turns of the loop in a row."""
        quiet = 0
        while quiet < QUIET_TURNS:
            if self._embedded.worker.is_quiet():
                quiet += 1
                await asyncio.sleep(0)
            else:
                quiet = 0
                await asyncio.sleep(0 if self._embedded.worker.is_turning() else 0.001)

    async def _drive(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await self._settle()
            if await self._wake_sleepers() or self._is_frozen or await self._is_held():
                await asyncio.sleep(0.001)
                continue
            due_at = self._embedded.worker.next_due_at()
            if due_at is None:
                await asyncio.sleep(0.001)
                continue
            if self._sleepers or await self._is_expected(loop):
                await self._jump(due_at)

    async def _is_expected(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Tell whether the clock may jump: somebody waits for a run, or nothing happens for a while."""
        quiet_until = loop.time() + QUIET_SECONDS
        turns = self._embedded.worker.turns
        while not self.session.waiting and loop.time() < quiet_until:  # noqa: ASYNC110  nobody rings when nothing happens
            await asyncio.sleep(0.002)
        # Who waits now may just have sent something, whose doorbell rings in the next turn of the loop:
        # what it makes happen is before the next timer.
        for _ in range(QUIET_TURNS):
            await asyncio.sleep(0)
            if self._is_frozen or self._held or self._sleepers or not self._embedded.worker.is_quiet():
                return False
        return self._embedded.worker.turns == turns

    async def _wake_sleepers(self) -> bool:
        """Tell who waits for a sleep that is there, and hold the clock for them."""
        for run_id, future in list(self._sleepers):
            if future.done():
                self._sleepers.remove((run_id, future))
                continue
            waits = await self.session.world.list_waits(run_id)
            if any(wait.kind == "sleep" for wait in waits):
                self._sleepers.remove((run_id, future))
                self._is_frozen = True
                future.set_result(None)
        return self._is_frozen

    async def _is_held(self) -> bool:
        if self.session.waiting > self._waiting_when_held:  # somebody waits for a run since: time must pass
            self._held.clear()
        for run_id, seq in list(self._held.items()):
            row = await self.session.world.get_run(run_id)
            if row is None or row.seq != seq or row.status in events.ENDED:
                del self._held[run_id]
        return bool(self._held)

    # -- replaying

    def replay(self, history: Path | str) -> Replayed:
        """Replay a recorded run against today's code, and give what it did.

        Raises `NondeterminismError` with the difference.
        """
        return Replayed(replay_history(Path(history)))


def _make_stand_in(stand_in: Any) -> Callable[..., Any]:
    if isinstance(stand_in, type) and issubclass(stand_in, BaseException):
        stand_in = stand_in()
    if isinstance(stand_in, BaseException):
        error = stand_in

        async def fail(*args: Any, **kwargs: Any) -> Any:
            raise error

        return fail
    if isinstance(stand_in, Step):
        return stand_in.func
    if callable(stand_in):
        return cast(Callable[..., Any], stand_in)

    async def give(*args: Any, **kwargs: Any) -> Any:
        return stand_in

    return give


# -- histories ----------------------------------------------------------------------------------


class Replayed:
    """What a replay came to. `calls` are those of the body, in order. It is over; awaiting it is harmless."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.calls: list[str] = history.calls

    def __await__(self) -> Generator[Any, None, Replayed]:
        yield from ()
        return self


class HistoryPath(type(Path())):  # type: ignore[misc]
    """A path that may be awaited, too: `record` is done when it returns."""

    def __await__(self) -> Generator[Any, None, Path]:
        yield from ()
        return Path(self)


def record(run: Run[Any], path: Path | str | None = None) -> HistoryPath:
    """Write a run's history, in clear, to a file that `env.replay` takes.

    The default is `<run id>.history.json` in the current directory.
    """
    session = current_session()
    history = _call_elsewhere(lambda: read_history(session, run.run_id))
    safe = "".join(c if c.isalnum() or c in "._-" else "_" for c in run.run_id)
    target = HistoryPath(path if path is not None else f"{safe}.history.json")
    target.write_bytes(encode_history(history))
    return target


def _call_elsewhere(make: Callable[[], Any]) -> Any:
    """Run a coroutine to its end although this thread may be inside an event loop."""
    outcome: list[Any] = []

    def call() -> None:
        try:
            outcome.append((True, asyncio.run(make())))
        except BaseException as error:
            outcome.append((False, error))

    thread = threading.Thread(target=call)
    thread.start()
    thread.join()
    succeeded, value = outcome[0]
    if not succeeded:
        raise value
    return value


__all__ = ["History", "Replayed", "WorkflowEnvironment", "open_history", "record", "replay_history"]
