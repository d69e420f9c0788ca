"""What the tests of docs/event-log.md let run, as `program.py`: something of every kind of event."""

import asyncio
import logging
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from ipaddress import ip_address
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
from msgspec import Raw

import wf
from wf import codec
from wf.forking import create_fork, read_source, seal_fork
from wf.records import Answer as Edited
from wf.worker import guard


class Color(Enum):
    RED = 1


@dataclass
class Point:
    x: float
    y: float


class Pair(NamedTuple):
    left: int
    right: int


class Box(msgspec.Struct):
    content: str


class Person(pydantic.BaseModel):
    name: str
    password: pydantic.SecretStr
    home: pydantic.AnyUrl


@wf.serializable
class Own:
    def _workflow_serialize(self):
        return "own"

    @classmethod
    def _workflow_deserialize(cls, data):
        return cls()


@dataclass
class Answer(wf.BaseHook):
    text: str


VALUES = {
    "plain": [None, True, 1, -5, 1.5, "text", {"a": {"b": 1}}],
    "int": 1 << 70,
    "nan": float("nan"),
    "inf": float("-inf"),
    "surrogate": "\udcff",
    "bytes": b"\x00\xff",
    "bytearray": bytearray(b"abc"),
    "dict": {1: "one"},
    "dollar": {"$set": 1},
    "tuple": (1, (2,)),
    "set": {3, 1, 2},
    "frozenset": frozenset("ab"),
    "deque": deque([1], 5),
    "ordered": OrderedDict(a=1),
    "counter": Counter("aab"),
    "defaultdict": defaultdict(list, {"k": [1]}),
    "range": range(1, 9, 2),
    "complex": 1 + 2j,
    "fraction": Fraction(1, 3),
    "decimal": Decimal("1.10"),
    "uuid": UUID(int=5),
    "datetime": datetime(2026, 1, 2, 3, 4, 5, 6, tzinfo=UTC),
    "naive": datetime(2026, 1, 2),  # noqa: DTZ001
    "berlin": datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
    "time": time(1, 2),
    "date": date(2026, 1, 2),
    "timedelta": timedelta(1, 2, 3),
    "timezone": timezone(timedelta(hours=1), "CET"),
    "path": Path("a/b"),
    "posix": PurePosixPath("a"),
    "windows": PureWindowsPath("a"),
    "ip": ip_address("127.0.0.1"),
    "enum": Color.RED,
    "dataclass": Point(1.0, 2.0),
    "struct": Box("x"),
    "pair": Pair(1, 2),
    "unset": msgspec.UNSET,
    "own": Own(),
    "person": Person(name="Ada", password=pydantic.SecretStr("secret"), home=pydantic.AnyUrl("https://example.org/")),
    "long": "all work and no play " * 200,
}


@wf.step(retry_delay="1ms")
async def flaky():
    print("attempt", wf.get_step_metadata().attempt)
    if wf.get_step_metadata().attempt == 1:
        raise ConnectionError("no line")


@wf.step(max_retries=0)
def broken():
    raise ValueError("no", 7)


@wf.step(concurrency=1)
async def alone(number):
    return number


@wf.step
async def echo(value):
    return value


@wf.step(cancellable=True)
async def endless():
    await asyncio.Event().wait()


@wf.step
async def tell(stream):
    logging.getLogger("program").warning("about to tell")
    await wf.set_attributes(told="yes")
    await stream.write({"at": datetime(2026, 1, 2, tzinfo=UTC)})
    await wf.get_writable(namespace="other").write("end")
    await wf.get_writable(namespace="other").close()


@wf.step
async def answer(request):
    await request.respond(201, b"done")


@wf.workflow
async def small(number, *rest, **named):
    return number


@wf.workflow
async def failing():
    try:
        await broken()
    except ValueError as error:
        raise RuntimeError("the step failed") from error


@wf.workflow
async def rival(token):
    await Answer.wait(token=token)


@wf.workflow
async def countdown(number):
    if number:
        await wf.continue_as_new(number - 1)
    return "zero"


@wf.workflow(timeout="20ms")
async def slow():
    await wf.sleep("1h")


@wf.workflow
async def waiting(token):
    try:
        return await Answer.wait(token=token, metadata={"asked": date(2026, 1, 2)})
    finally:
        await echo("clean-up")


@wf.workflow
async def chatty():
    for number in range(400):
        await wf.set_attributes(number=str(number))
    await echo("over the limit")


@wf.workflow
async def hooked():
    request = await wf.webhook(token="web", respond_with="manual")
    await answer(request)


@wf.workflow
async def everything(other):
    await flaky()
    try:
        await broken()
    except ValueError:
        pass
    await asyncio.gather(alone(1), alone(2))
    await echo(VALUES)
    await tell(wf.get_writable())
    await wf.set_attributes(color="röd")
    await wf.remove_attributes("color")
    async with wf.lock("printer", limit=2):
        await wf.sleep("1ms")
    async with Answer.wait(token="taken"):
        try:
            await rival("taken")
        except wf.HookConflictError:
            pass
    try:
        async with asyncio.timeout(0.002):
            await wf.hook()
    except TimeoutError:
        pass
    async with asyncio.timeout(60):  # left in time: a wait that is never completed
        await asyncio.sleep(0.001)
    child = await wf.start(small.with_options(attributes={"kind": "child"}), 1, 2, 3, key="word")
    await child.return_value()
    try:
        await failing()
    except RuntimeError:
        pass
    await wf.get_run(other).return_value()
    await wf.get_run(other).status()
    task = asyncio.create_task(endless())
    await wf.sleep("5ms")
    task.cancel()
    try:
        await task
    except asyncio.CancelledError:
        pass
    return child, wf.get_writable()


@wf.workflow
async def parent_of_waiting():
    await waiting("child")


IS_MENDED = []


@wf.workflow
async def grinding():
    done = [await echo("before")]
    while not IS_MENDED:
        pass
    return [*done, await echo("after")]


async def until_hook(token):
    while True:
        try:
            return await wf.get_hook_by_token(token)
        except wf.HookNotFoundError:
            await asyncio.sleep(0.002)


async def quietly(run):
    try:
        await run.return_value()
    except (wf.WorkflowRunFailedError, wf.WorkflowRunCancelledError):
        pass


async def first():
    async with wf.worker():
        other = await wf.start(small.with_options(id="other"), 5)
        await quietly(await wf.start(everything.with_options(id="everything"), other.run_id))
        for workflow in (failing, slow, chatty):
            await quietly(await wf.start(workflow.with_options(id=workflow.func.__name__)))
        await quietly(await wf.start(countdown.with_options(id="countdown"), 2))
        cancelled = await wf.start(waiting.with_options(id="cancelled"), "c")
        await until_hook("c")
        await cancelled.cancel("changed my mind")
        await quietly(cancelled)
        parent = await wf.start(parent_of_waiting.with_options(id="parent"))
        await until_hook("child")
        await parent.cancel()
        await quietly(parent)
        terminated = await wf.start(waiting.with_options(id="terminated"), "t")
        await until_hook("t")
        await terminated.terminate("enough")
        await quietly(terminated)
        pending = await wf.start(small.with_options(id="pending", delay="1h", attributes={"a": "b"}), 1)
        await pending.cancel()
        await quietly(pending)
        web = await wf.start(hooked.with_options(id="hooked"))
        await until_hook("web")
        assert (await wf.resume_webhook("web", wf.Request(body=b"hi"))).status == 201
        await web.return_value()
        woken = await wf.start(slow_sleeper.with_options(id="woken"))
        while not await woken.wake_up():
            await asyncio.sleep(0.002)
        await woken.return_value()
        await wf.start(waiting.with_options(id="open"), "open")
        await until_hook("open")
        guard.BLOCKED_SECONDS = 0.05
        blocked = await wf.start(grinding.with_options(id="blocked"))
        while not await blocked.attention():
            await asyncio.sleep(0.002)
        guard.BLOCKED_SECONDS = 2.0
    IS_MENDED.append(True)
    async with wf.worker():
        await blocked.return_value()
    # Nobody works now: the message stays where it is.
    await Answer("late").resume("open")


@wf.workflow
async def slow_sleeper():
    await wf.sleep("1h")


@wf.workflow
async def branching(names_itself=True):
    """Hooks of every kind, a stream, a step that goes on and one that has ended, and then a wait."""
    drawn, given, gone = wf.hook(), Answer.wait(token="door" if names_itself else "gate"), wf.hook()
    gone.dispose()
    await pour(wf.get_writable(), "before")
    endless_one = asyncio.create_task(endless())
    me = wf.get_workflow_metadata().run_id if names_itself else "a run"
    first = await echo(f"{me} {drawn.token} {gone.token}")
    await echo("edited")
    await wf.set_attributes(stage="late")
    await pour(wf.get_writable(), "after")
    return [first, await given, await endless_one]


@wf.step
async def pour(stream, value):
    await wf.set_attributes(poured=value)
    await stream.write(value)


async def forks():
    """Runs that share a history: beside the first and in its place, with edits, forks of forks, one afresh."""
    async with wf.worker() as worker:
        session = wf.session.current_session()
        run = await wf.start(branching.with_options(id="the-origin-of-all-forks"))

        async def log_of(run_id):
            return await worker.world.read_events(run_id)

        async def until_poured(run_id, count):
            while sum(e.type == "step_completed" for e in await log_of(run_id)) < count:
                await asyncio.sleep(0.002)

        async def fork(origin, name, cut, **more):
            source = await read_source(session, origin)
            new = seal_fork(session, source, cut, run_id=name, **more)
            return (await create_fork(session, new)).run_id

        await until_poured(run.run_id, 4)
        log = await log_of(run.run_id)
        ends = [event for event in log if event.type == "step_completed"]
        endless_call = next(e for e in log if e.type == "step_created" and e.name == "program:endless")
        edits = [
            Edited(ends[2].correlation_id, "step_failed", "program:echo", Raw(codec.encode(KeyError("made up"))),
                   error_type="builtins.KeyError"),
        ]  # fmt: skip
        await fork(run.run_id, "failed-by-an-edit", ends[2].seq, answers=edits)
        edits = [
            Edited(ends[2].correlation_id, "step_completed", "program:echo", Raw(b'"made up"')),
            Edited(endless_call.correlation_id, "step_completed", "program:endless", Raw(b'"it ended"')),
        ]
        await fork(run.run_id, "beside-with-edits", ends[2].seq, answers=edits)
        await until_poured("beside-with-edits", 5)
        await fork("beside-with-edits", "fork-of-a-fork", ends[2].seq + 1)
        await until_poured("fork-of-a-fork", 4)
        await wf.start(branching.with_options(id="small"), False)
        await until_poured("small", 4)
        await fork("small", "tiny", ends[2].seq)
        await until_poured("tiny", 4)
        await fork("tiny", "fork-of-a-short-one", ends[2].seq + 1)
        await until_poured("fork-of-a-short-one", 4)
        await fork(run.run_id, "afresh", 1, arguments=b"{}")
        await until_hook("door~afresh")
        await run.terminate()
        await fork(run.run_id, "in-its-place", ends[2].seq, is_beside=False)
        await until_poured("in-its-place", 4)


async def second():
    async with wf.worker():
        await wf.get_run("open").return_value()
        await (await wf.start(small.with_options(id="later"), 6)).return_value()


wf.configure(limits={"events": 300})
asyncio.run({"first": first, "second": second, "forks": forks}[sys.argv[1]]())
