"""Workflow bodies as small programs, one interpreter for all of them, and a driver that feeds one.

A program is nested lists, so that it can be a run's argument:

    ["step", id]  ["flaky", id, failures]  ["broken", id]  ["sleep", id]  ["hook", id]
    ["seq", …]  ["gather", …]  ["race", …]  ["timeout", id, program]  ["guard", program]

Steps and hooks count from 1, sleeps and timeouts by themselves from 1. A wait lasts 2**id hours: no two
sums of different waits are equal, so what is due first never depends on a tie. There are at most
`MAX_WAITS`, since a wait ends at a thousand years.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from hypothesis import strategies as st

import wf
from tests.laws.stage import SECOND, T0, as_row, describe_state, make_replay
from wf import codec, events
from wf.engine import commands
from wf.engine.replay import Opened, Replay
from wf.events import Event
from wf.registry import Workflow

Program = list[Any]
MAX_CALLS = 12
MAX_WAITS = 20
HOUR = 3600


class Calls(Protocol):
    """What the interpreter asks of whoever runs it: wf, or plain asyncio."""

    def step(self, number: int) -> Awaitable[Any]: ...
    def flaky(self, number: int, failures: int) -> Awaitable[Any]: ...
    def broken(self, number: int) -> Awaitable[Any]: ...
    def hook(self, number: int) -> Awaitable[Any]: ...
    def note(self, number: int) -> None: ...


async def interpret(program: Program, calls: Calls) -> Any:
    """Run a program with asyncio's own means. What a call gives is noted where it arrives."""
    match program:
        case ["step", number]:
            value = await calls.step(number)
            calls.note(number)
            return value
        case ["flaky", number, failures]:
            value = await calls.flaky(number, failures)
            calls.note(number)
            return value
        case ["broken", number]:
            try:
                return await calls.broken(number)
            finally:
                calls.note(number)
        case ["sleep", number]:
            await asyncio.sleep(2**number * HOUR)
            calls.note(-number)
            return f"slept {number}"
        case ["hook", number]:
            value = await calls.hook(number)
            calls.note(number)
            return value
        case ["seq", *parts]:
            return [await interpret(part, calls) for part in parts]
        case ["gather", *parts]:
            return list(await asyncio.gather(*(interpret(part, calls) for part in parts)))
        case ["race", *parts]:
            tasks = [asyncio.create_task(interpret(part, calls)) for part in parts]
            done, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for loser in pending:
                loser.cancel()
            await asyncio.gather(*pending, return_exceptions=True)
            winners = [index for index, task in enumerate(tasks) if task in done]
            return [winners, *(tasks[index].result() for index in winners)]
        case ["timeout", number, part]:
            try:
                async with asyncio.timeout(2**number * HOUR):
                    return await interpret(part, calls)
            except TimeoutError:
                return "late"
        case ["guard", part]:
            try:
                return await interpret(part, calls)
            except wf.FatalError:
                return "caught"
    raise AssertionError(program)


# -- the strategy -------------------------------------------------------------------------------


@st.composite
def programs(draw: st.DrawFn, *, is_timed: bool = False) -> Program:
    """Draw a program of 1 to 12 calls. `is_timed`: what it gives depends on no tie, and on nobody outside."""
    left = draw(st.integers(1, MAX_CALLS))
    count = waits = 0

    def number() -> int:
        nonlocal count
        count += 1
        return count

    def wait() -> int:
        nonlocal waits
        waits += 1
        return waits

    def leaf() -> Program:
        nonlocal left
        left -= 1
        kind = draw(st.sampled_from(["step", "step", "flaky", "sleep", "broken"] + ([] if is_timed else ["hook"])))
        if kind == "flaky":
            return ["flaky", number(), draw(st.integers(1, 3))]
        if kind == "sleep" and waits < MAX_WAITS:
            return ["sleep", wait()]
        return ["step" if kind == "sleep" else kind, number()]

    def branch(depth: int) -> Program:
        nonlocal left
        if not is_timed:
            return node(depth)
        left -= 1
        return ["seq", ["sleep", wait()], node(depth)]

    def node(depth: int) -> Program:
        if depth == 0 or left <= 1 or waits + 3 > MAX_WAITS:
            return leaf()
        kind = draw(st.sampled_from(["leaf", "seq", "gather", "race", "timeout", "guard"]))
        match kind:
            case "leaf":
                return leaf()
            case "timeout":
                return ["timeout", wait(), node(depth - 1)]
            case "guard":
                return ["guard", node(depth - 1)]
            case "race":
                return ["race", *(branch(depth - 1) for _ in range(draw(st.integers(1, 3))))]
            case _:
                return [kind, *(node(depth - 1) for _ in range(draw(st.integers(1, 4))))]

    parts: list[Any] = ["seq"]
    while left > 0:
        parts.append(node(3))
    return parts


# -- in a workflow ------------------------------------------------------------------------------


class WfCalls:
    """The interpreter's calls as wf's steps and hooks; `notes` are the calls that gave something."""

    def __init__(self) -> None:
        self.notes: list[int] = []

    def note(self, number: int) -> None:
        self.notes.append(number)

    def step(self, number: int) -> Awaitable[Any]:
        return work(number)

    def flaky(self, number: int, failures: int) -> Awaitable[Any]:
        return flaky(number, failures)

    def broken(self, number: int) -> Awaitable[Any]:
        return broken(number)

    async def hook(self, number: int) -> Any:
        async with wf.hook(token=f"hook-{number}") as hook:
            return await hook


@wf.step(name="laws.work")
async def work(number: int) -> str:
    return f"worked {number}"


@wf.step(name="laws.flaky", retry_delay="1s")
async def flaky(number: int, failures: int) -> str:
    if wf.get_step_metadata().attempt <= failures:
        raise OSError(f"not yet {number}")
    return f"worked {number} after {failures} failures"


@wf.step(name="laws.broken")
async def broken(number: int) -> str:
    raise wf.FatalError(f"broken {number}")


@wf.workflow(name="laws.play")
async def play(program: Program) -> Any:
    return await interpret(program, WfCalls())


def observed(notes: list[list[int]]) -> Workflow[..., Any]:
    """`play`, but each body that is started puts its list of notes into `notes`."""

    async def watched(program: Program) -> Any:
        calls = WfCalls()
        notes.append(calls.notes)
        return await interpret(program, calls)

    return Workflow(watched, "laws.play")


# -- the driver ---------------------------------------------------------------------------------


class Driver:
    """Feeds a body with what it waits for, in an order that a seed decides, and writes its log.

    `bounds` are the places of the log at which a commit ended; `states` and `notes` are what the body
    waited for, and what had arrived, at each of them.
    """

    def __init__(
        self,
        program: Program,
        seed: int,
        log: list[Opened] | None = None,
        workflow: Workflow[..., Any] | None = None,
    ) -> None:
        self.program = program
        self.random = random.Random(seed)
        self.notes: list[list[int]] = []
        self.replay: Replay = make_replay(workflow or observed(self.notes))
        self.log: list[Opened] = list(log or [])
        self.made: list[tuple[Any, ...]] = []
        self.bounds: list[int] = []
        self.states: list[dict[str, Any]] = []
        self.failures: dict[int, int] = {}
        if log:
            self.replay.replay(self.log)
            self.bounds.append(len(self.log))
            self.states.append(describe_state(self.replay))
            if self.replay.is_started:
                self.take_up()
            else:
                self.deliver(events.RUN_STARTED)
        else:
            self.deliver(events.RUN_CREATED, meta="{}", data=codec.encode_arguments({"program": program}))
            self.deliver(events.RUN_STARTED)

    @property
    def now(self) -> int:
        return self.log[-1][0].at if self.log else T0

    def add(
        self,
        type_: str,
        number: int | None = None,
        name: str | None = None,
        attempt: int | None = None,
        meta: str | None = None,
        data: bytes | None = None,
        at: int | None = None,
    ) -> Opened:
        event = Event(
            "wrun_laws", len(self.log) + 1, type_, number, name, attempt,
            at or self.now + self.random.randrange(SECOND), meta, None, b"",
        )  # fmt: skip
        self.log.append((event, data))
        return self.log[-1]

    def deliver(self, *args: Any, **kwargs: Any) -> None:
        self.replay.apply(*self.add(*args, **kwargs))
        self.record()

    def record(self) -> None:
        """Write the body's new calls behind what was delivered: one commit."""
        for command in self.replay.take_commands():
            self.made.append(as_row(command))
            attempt = None
            if isinstance(command, commands.ScheduleStep):
                attempt = self.random.choice([0, 1])
            if command.event is not None:
                event, _ = self.add(
                    command.event, command.correlation_id, command.name, attempt, command.meta, command.data, self.now
                )
                if attempt:
                    self.replay._begin_attempt(self.replay.body.steps[command.correlation_id or 0], attempt, event.at)
        self.bounds.append(len(self.log))
        self.states.append(describe_state(self.replay))

    def take_up(self) -> None:
        """As a worker does after a crash: attempts that had begun are begun again, with the next number."""
        for number, state in sorted(self.replay.body.steps.items()):
            if state.attempt and state.due_at is None:
                self.deliver(events.STEP_STARTED, number, state.name, state.attempt + 1)

    def choices(self) -> list[Callable[[], None]]:
        found: list[Callable[[], None]] = []
        body = self.replay.body
        for number, state in body.steps.items():
            if state.attempt == 0 or state.due_at is not None:
                found.append(lambda n=number, s=state: self.begin(n, s))  # type: ignore[misc]
            else:
                found.append(lambda n=number, s=state: self.settle(n, s))  # type: ignore[misc]
        for number, wait in body.waits.items():
            found.append(lambda n=number, w=wait: self.fire(n, w.due_at))  # type: ignore[misc]
        for number, hook in body.hooks.items():
            if not hook.is_disposed:
                found.append(lambda n=number: self.deliver(events.HOOK_RECEIVED, n, data=b'"answer"'))  # type: ignore[misc]
        return found

    def begin(self, number: int, state: Any) -> None:
        due_at = state.due_at or self.now
        self.deliver(events.STEP_STARTED, number, state.name, state.attempt + 1, at=max(self.now, due_at))

    def settle(self, number: int, state: Any) -> None:
        """End an attempt; a flaky step fails as often as its arguments say, killed attempts not counted."""
        arguments = codec.decode_arguments(state.arguments)
        meta = None
        if state.name == "laws.broken":
            error = codec.encode(wf.FatalError(f"broken {number}"), "error")
            self.deliver(events.STEP_FAILED, number, state.name, state.attempt, "{}", error)
        elif self.failures.get(number, 0) < arguments.get("failures", 0):
            self.failures[number] = self.failures.get(number, 0) + 1
            meta = f'{{"due_at":{self.now + SECOND}}}'
            error = codec.encode(OSError("not yet"), "error")
            self.deliver(events.STEP_RETRYING, number, state.name, state.attempt, meta, error)
        else:
            data = codec.encode(f"worked {arguments['number']}", "result")
            self.deliver(events.STEP_COMPLETED, number, state.name, state.attempt, meta, data)

    def fire(self, number: int, due_at: int) -> None:
        self.deliver(events.WAIT_COMPLETED, number, at=max(self.now, due_at))

    def run(self, *, cancel_after: int | None = None) -> None:
        """Feed the body to its end, and the steps in flight to theirs."""
        turns = 0
        while not self.replay.is_ended:
            turns += 1
            assert turns < 1000, "the body does not end"
            if turns == cancel_after:
                self.deliver(events.CANCEL_REQUESTED, data=b'"enough"')
                continue
            found = self.choices()
            assert found, "the body waits for nothing"
            self.random.choice(found)()
        for number, state in list(self.replay.body.steps.items()):
            if state.attempt and state.due_at is None and self.random.random() < 0.5:
                self.deliver(events.STEP_COMPLETED, number, state.name, state.attempt, None, b'"late"')

    def close(self) -> None:
        self.replay.close()


def replayed_commands(program: Program, log: list[Opened]) -> list[tuple[Any, ...]]:
    """Feed a body only what reached it, and give all the calls that it makes then."""
    replay = make_replay(observed([]))
    made: list[tuple[Any, ...]] = []
    for event, data in log:
        if event.type in events.CALLS:
            if event.type == events.STEP_CREATED and event.attempt:
                replay._begin_attempt(replay.body.steps[event.correlation_id or 0], event.attempt, event.at)
            continue
        replay.apply(event, data)
        made += [as_row(command) for command in replay.take_commands()]
    replay.close()
    return made
