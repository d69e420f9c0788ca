"""The stage of the engine's tests: logs written by hand, and workflows from source text.

A `Log` numbers events and gives each its time, one second after the one before. `load` compiles
source under the name `flow.py`, so that an error's place can be claimed by line.
"""

from __future__ import annotations

import asyncio
import sys
import textwrap
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import msgspec

import wf
from wf import codec, events, registry
from wf.engine import commands
from wf.engine.replay import Opened, Replay
from wf.errors import NondeterminismError
from wf.events import Event
from wf.registry import Workflow

RUN_ID = "wrun_laws"
MODULE = "flow_of_laws"
T0 = 1_700_000_000_000_000
SECOND = 1_000_000


class Log:
    """A log written by hand: each method adds the event of its name."""

    def __init__(self, **arguments: Any) -> None:
        self.events: list[Opened] = []
        self.add(events.RUN_CREATED, meta="{}", data=codec.encode_arguments(arguments))
        self.add(events.RUN_STARTED)

    def add(
        self,
        type_: str,
        number: int | None = None,
        name: str | None = None,
        attempt: int | None = None,
        meta: str | None = None,
        data: bytes | None = None,
    ) -> Log:
        seq = len(self.events) + 1
        event = Event(RUN_ID, seq, type_, number, name, attempt, T0 + (seq - 1) * SECOND, meta, None, b"")
        self.events.append((event, data))
        return self

    @property
    def now(self) -> int:
        return self.events[-1][0].at

    def step(self, number: int, name: str, /, attempt: int = 1, **arguments: Any) -> Log:
        return self.add(events.STEP_CREATED, number, name, attempt, None, codec.encode_arguments(arguments))

    def completed(self, number: int, value: Any) -> Log:
        return self.add(events.STEP_COMPLETED, number, None, 1, None, codec.encode(value, "result"))

    def failed(self, number: int, error: BaseException) -> Log:
        return self.add(events.STEP_FAILED, number, None, 1, "{}", codec.encode(error, "error"))

    def wait(self, number: int, seconds: float, kind: str = "sleep", since: int | None = None) -> Log:
        started = self.last_delivery() if since is None else since
        due_at = started + round(seconds * SECOND)
        return self.add(events.WAIT_CREATED, number, None, None, f'{{"kind":"{kind}","due_at":{due_at}}}')

    def fired(self, number: int) -> Log:
        return self.add(events.WAIT_COMPLETED, number)

    def hook(self, number: int, token: str, name: str = "hook") -> Log:
        record = {"token": token, "metadata": None, "schema": None}
        return self.add(events.HOOK_CREATED, number, name, None, None, codec.encode_arguments(record))

    def received(self, number: int, payload: Any) -> Log:
        return self.add(events.HOOK_RECEIVED, number, None, None, None, codec.encode(payload, "payload"))

    def cancel(self, reason: str | None = None) -> Log:
        return self.add(events.CANCEL_REQUESTED, data=codec.encode(reason, "reason"))

    def end(self, value: Any = None) -> Log:
        return self.add(events.RUN_COMPLETED, data=codec.encode(value, "result"))

    def forced_end(self, type_: str = events.RUN_CANCELLED) -> Log:
        return self.add(type_, meta='{"forced":true}')

    def last_delivery(self) -> int:
        return next(event.at for event, _ in reversed(self.events) if event.type in events.DELIVERIES)


def make_replay(workflow: Workflow[..., Any], run_id: str = RUN_ID) -> Replay:
    def start_body(arguments: dict[str, Any]) -> Any:
        args, kwargs = workflow.signature.apply(arguments)
        return workflow.func(*args, **kwargs)

    drawn = iter(range(1000))
    return Replay(
        run_id=run_id,
        workflow_id=workflow.id,
        start_body=start_body,
        draw_token=lambda: f"drawn-{next(drawn)}",
        payload_limit=1_000_000,
    )


class Stage:
    """A live body: what happens to it is said by the test, what it asks is noted in `asked`."""

    def __init__(self, workflow: Workflow[..., Any], **arguments: Any) -> None:
        self.replay = make_replay(workflow)
        self.log = Log(**arguments)
        self.asked: list[commands.Command] = []
        for event, data in self.log.events:
            self.replay.apply(event, data)
        self.note()

    def note(self) -> list[commands.Command]:
        """Record the body's new calls in the log, as a worker would."""
        made = self.replay.take_commands()
        for command in made:
            if command.event is not None:
                attempt = 1 if isinstance(command, commands.ScheduleStep) else None
                self.log.add(command.event, command.correlation_id, command.name, attempt, command.meta, command.data)
        self.asked += made
        return made

    def give(self, event: Callable[[Log], Log]) -> list[commands.Command]:
        """Deliver the event that `event` adds to the log."""
        event(self.log)
        self.replay.apply(*self.log.events[-1])
        return self.note()

    def result(self) -> Any:
        command = self.asked[-1]
        assert isinstance(command, commands.CompleteRun), command
        return codec.decode(command.data or b"null")

    def failure(self) -> BaseException:
        command = self.asked[-1]
        assert isinstance(command, commands.FailRun), command
        error = codec.decode(command.data or b"null")
        assert isinstance(error, BaseException)
        return error


@contextmanager
def load(source: str, name: str = "flow") -> Iterator[Workflow[..., Any]]:
    """Compile a module from text and give its workflow `name`; its registrations end with the block."""
    code = compile(textwrap.dedent(source).lstrip("\n"), "flow.py", "exec")
    module = types.ModuleType(MODULE)
    vars(module).update(wf=wf, asyncio=asyncio)
    before = sys.modules.get(MODULE)
    sys.modules[MODULE] = module  # dataclasses look their module up
    try:
        with registry.isolated():
            exec(code, vars(module))
            yield vars(module)[name]
    finally:
        if before is None:
            del sys.modules[MODULE]
        else:
            sys.modules[MODULE] = before


def replay(source: str, log: Log) -> Replay:
    """Replay a log against source text; give the replay for its state."""
    with load(source) as workflow:
        made = make_replay(workflow)
        made.replay(log.events)
        return made


def refuse(source: str, log: Log) -> NondeterminismError:
    """Replay a log that does not fit, and give the error."""
    try:
        replay(source, log).close()
    except NondeterminismError as error:
        return error
    raise AssertionError("the log replayed")


def describe_state(body_replay: Replay) -> dict[str, Any]:
    """Everything that a body waits for, comparable between a live body and a replayed one."""
    body = body_replay.body
    if body_replay.is_ended:
        return {"ended": True}
    return {
        "ended": False,
        "now": body.loop.now_us,
        "steps": {n: (s.name, s.arguments, s.attempt, s.due_at, s.is_cancelled) for n, s in body.steps.items()},
        "waits": {n: (w.kind, w.due_at) for n, w in body.waits.items()},
        "hooks": {
            n: (h.token, list(h.payloads), h.is_disposed, len(h.waiters), str(h.conflict))
            for n, h in body.hooks.items()
        },
        "locks": {n: (lock.name, lock.future.done()) for n, lock in body.locks.items()},
        "attributes": body.attributes,
        "cancelling": body_replay.is_cancelling,
        "tasks": len(body.loop.tasks),
    }


def as_row(command: commands.Command) -> tuple[Any, ...]:
    return (command.event, command.correlation_id, command.name, command.meta, command.data)


def decode_meta(text: str | None) -> dict[str, Any]:
    return msgspec.json.decode(text or "{}")  # type: ignore[no-any-return]
