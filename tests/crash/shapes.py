"""The corpus: workflow shapes that are killed at every commit.

Every step notes each attempt that really executes (`note`), so that a test can compare what
happened with what the log says. Steps are quick; waits are a few milliseconds.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import msgspec

import wf
from wf import codec
from wf.errors import HookNotFoundError
from wf.events import STEP_COMPLETED
from wf.forking import create_fork, read_source, seal_fork
from wf.records import Answer
from wf.session import current_session

FORK_ID = "crash-run-forked"

Drive = Callable[[wf.Run[Any]], Awaitable[None]]


@dataclass(frozen=True)
class Shape:
    """A workflow, and what the outside does to its run (`drive`, repeated after a kill)."""

    workflow: Any
    drive: Drive | None = None
    streams: tuple[str, ...] = ()


def note() -> int:
    """Append a line for this attempt to the effects file; return the attempt's number."""
    info = wf.get_step_metadata()
    line = f"{info.step_id} {info.attempt}\n".encode()
    with open(os.environ["CRASH_EFFECTS"], "ab", buffering=0) as file:
        file.write(line)
    return info.attempt


@wf.step(retry_delay="1ms")
async def add(a: int, b: int) -> int:
    note()
    return a + b


@wf.step(retry_delay="1ms")
def add_in_thread(a: int, b: int) -> int:
    note()
    return a + b


@wf.step(max_retries=8, retry_delay="2ms")
async def fail_until(key: str, good: int) -> str:
    """Fail until this many attempts were made, killed ones included."""
    attempt = note()
    if attempt < good:
        raise ValueError(f"{key}: attempt {attempt}")
    return key


@wf.step(max_retries=8, retry_delay="1ms")
async def refuse(what: str) -> None:
    note()
    raise wf.FatalError(what)


@wf.step(max_retries=8, retry_delay="1ms", concurrency=1)
async def alone(key: int) -> int:
    note()
    return key * 10


@wf.step(max_retries=8, retry_delay="1ms", timeout="5ms")
async def slow_at_first(good: int) -> str:
    if note() < good:
        await asyncio.sleep(10)
    return "in time"


@wf.step(max_retries=8, retry_delay="1ms")
async def pour(count: int) -> int:
    attempt = note()
    writer = wf.get_writable()
    for index in range(count):
        await writer.write([attempt, index])
    return count


@wf.step(max_retries=8, retry_delay="1ms")
async def close_stream() -> None:
    note()
    await wf.get_writable().close()


@wf.step(max_retries=8, retry_delay="1ms")
async def tag(value: str) -> None:
    note()
    await wf.set_attributes(stage=value)


@wf.step(max_retries=8, retry_delay="1ms")
async def answer(request: wf.Request) -> str:
    note()
    return request.text()


# -- the shapes ---------------------------------------------------------------------------------


@wf.workflow
async def sequence() -> int:
    total = 0
    for number in range(4):
        total = await add(total, number)
    return total


@wf.workflow
async def fan_out() -> list[int]:
    return await asyncio.gather(*(add(number, number) for number in range(5)), add_in_thread(1, 2))


@wf.workflow
async def race() -> str:
    """The timer wins against a step that the body gives up; what the loser says is ignored."""
    slow = asyncio.create_task(slow_at_first(100))
    await wf.sleep(0.003)
    slow.cancel()
    return "the timer won"


@wf.workflow
async def retry() -> list[str]:
    return [await fail_until("once", 2), await fail_until("twice", 3)]


@wf.workflow
async def sleeping() -> list[int]:
    first = await add(1, 1)
    await wf.sleep("4ms")
    second = await add(first, 1)
    await asyncio.sleep(0.004)
    return [first, second, wf.random().randrange(1000) - wf.random().randrange(1000)]


@wf.workflow
async def hooked() -> list[Any]:
    got: list[Any] = []
    async with wf.hook(token="crash-hook") as hook:
        async for payload in hook:
            got.append(await add(payload["n"], 100))
            if payload["last"]:
                break
    return got


@wf.workflow
async def webhooked() -> str:
    hook = wf.webhook(token="crash-webhook", respond_with=wf.Response(200, b"thanks"))
    return await answer(await hook)


@wf.workflow
async def child(n: int) -> int:
    await wf.sleep("1ms")
    return await add(n, 1)


@wf.workflow
async def parent() -> list[int]:
    started = await wf.start(child, 10)
    direct = await child(20)
    return [await started.return_value(), direct, *await asyncio.gather(child(30), child(40))]


@wf.workflow
async def failing_child() -> None:
    await refuse("no child")


@wf.workflow
async def parent_of_failure() -> str:
    try:
        await failing_child()
    except wf.FatalError as error:
        return f"caught {error}"
    return "nothing was raised"


@wf.workflow
async def holder(n: int) -> int:
    async with wf.lock("crash-lock"):
        return await add(n, 1)


@wf.workflow
async def locked() -> list[int]:
    return await asyncio.gather(*(holder(number) for number in range(3)))


@wf.workflow
async def saga() -> list[str]:
    undone: list[str] = []
    try:
        async with wf.saga() as saga:
            await add(1, 1)
            saga.undo(add, 1, -1)
            await add(2, 2)
            saga.undo(fail_until, "undo", 2)
            await refuse("the third")
    except wf.FatalError as error:
        undone.append(str(error))
    return undone


@wf.workflow
async def streaming() -> int:
    count = await pour(4)
    await close_stream()
    return count


@wf.workflow
async def cancelled() -> str:
    try:
        await wf.hook(token="crash-never")
    except asyncio.CancelledError:
        await add(7, 7)
        raise
    return "not cancelled"


@wf.workflow
async def parent_of_cancelled() -> str:
    return await cancelled()


@wf.workflow
async def attributes() -> dict[str, str]:
    await wf.set_attributes(stage="one", other="x")
    await tag("two")
    wf.remove_attributes("other")
    await add(1, 1)
    return {"stage": "set"}


@wf.workflow
async def countdown(n: int = 2) -> str:
    await add(n, 0)
    if n:
        await wf.continue_as_new(n - 1)
    return "lift-off"


@wf.workflow
async def timeouts() -> list[str]:
    results = []
    try:
        async with asyncio.timeout(0.004):
            await wf.hook(token="crash-timeout")
    except TimeoutError:
        results.append("the hook was late")
    results.append(await slow_at_first(2))
    return results


@wf.workflow
async def task_group() -> list[int]:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(add(number, 1)) for number in range(3)]
        group.create_task(wf.sleep("2ms"))
    return [task.result() for task in tasks]


@wf.workflow
async def one_at_a_time() -> list[int]:
    return await asyncio.gather(*(alone(number) for number in range(3)))


@wf.workflow
async def forked() -> list[int]:
    """Forked once it has ended: what `add` gave is another there, and the hook has a token of its own."""
    hook = wf.hook(token="crash-word")
    poured = await pour(4)
    await close_stream()
    await tag("poured")
    total = await add(poured, 1)
    return [total, await add(total, 1), await hook]


@wf.workflow
async def ends_by_error() -> None:
    await add(1, 2)
    raise KeyError("no such luck")


# -- what the outside does ----------------------------------------------------------------------


async def _send_payloads(run: wf.Run[Any]) -> None:
    for number in range(3):
        await _until_sent(run, "crash-hook", {"n": number, "last": number == 2}, f"delivery-{number}")


async def _until_sent(run: wf.Run[Any], token: str, payload: Any, delivery_id: str) -> None:
    """Send once, whatever was acknowledged before a kill: the delivery id makes it so."""
    while await run.status() in ("pending", "running"):
        try:
            await wf.resume_hook(token, payload, delivery_id=delivery_id)
            return
        except HookNotFoundError:
            await asyncio.sleep(0.001)


async def _call_webhook(run: wf.Run[Any]) -> None:
    request = wf.Request("POST", "/hooks/crash-webhook", {"X-From": "test"}, b"hello")
    while await run.status() in ("pending", "running"):
        try:
            response = await wf.resume_webhook("crash-webhook", request, delivery_id="webhook-1")
            assert (response.status, response.body) == (200, b"thanks")
            return
        except HookNotFoundError:
            await asyncio.sleep(0.001)


async def _cancel(run: wf.Run[Any]) -> None:
    """Cancel once the run waits for its hook; never a second time, which would end it by force."""
    while await run.status() in ("pending", "running"):
        try:
            await wf.get_hook_by_token("crash-never")
        except HookNotFoundError:
            await asyncio.sleep(0.001)
            continue
        mark = os.environ["CRASH_EFFECTS"] + ".cancelled"
        if not os.path.exists(mark):
            await run.cancel("enough")
            open(mark, "x").close()
        return


async def _fork(run: wf.Run[Any]) -> None:
    """Fork the run by a name of the fork's own: however often it is asked for, there is one."""
    session = current_session()
    while sum(event.type == STEP_COMPLETED for event in await session.world.read_events(run.run_id)) < 5:
        await asyncio.sleep(0.001)  # a payload that came before the cut would be inherited
    await _until_sent(run, "crash-word", 1, "word-1")
    assert await run.return_value() == [5, 6, 1]
    source = await read_source(session, run.run_id)
    cut = next(event for event in source.events if event.type == STEP_COMPLETED and event.name == add.id)
    answer = Answer(cut.correlation_id or 0, STEP_COMPLETED, add.id, msgspec.Raw(codec.encode(40)))
    fork = await create_fork(session, seal_fork(session, source, cut.seq, answers=[answer], run_id=FORK_ID))
    await _until_sent(fork, f"crash-word~{FORK_ID}", 2, "word-2")
    assert await fork.return_value() == [40, 41, 2]
    chunks = [[chunk async for chunk in wf.read_stream(run_id)] for run_id in (run.run_id, fork.run_id)]
    assert chunks[0] == chunks[1], "the fork has its chunks, each once"


SHAPES: dict[str, Shape] = {
    "sequence": Shape(sequence),
    "fan_out": Shape(fan_out),
    "race": Shape(race),
    "retry": Shape(retry),
    "sleep": Shape(sleeping),
    "hook": Shape(hooked, _send_payloads),
    "webhook": Shape(webhooked, _call_webhook),
    "child": Shape(parent),
    "failing_child": Shape(parent_of_failure),
    "lock": Shape(locked),
    "saga": Shape(saga),
    "stream": Shape(streaming, streams=("default",)),
    "cancel": Shape(cancelled, _cancel),
    "cancelled_child": Shape(parent_of_cancelled, _cancel),
    "attributes": Shape(attributes),
    "continue_as_new": Shape(countdown),
    "timeouts": Shape(timeouts),
    "task_group": Shape(task_group),
    "concurrency": Shape(one_at_a_time),
    "error": Shape(ends_by_error),
    "fork": Shape(forked, _fork, streams=("default",)),
}
