"""Bodies that use what asyncio has, in the shapes in which its Pythons differ or might: `SHAPES`, by name.

They are run and recorded by `tests/laws/golden.py`. A shape that has a golden history is never edited, as a body
with runs in flight is not: a new one is added beside it.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import datetime
import decimal
import enum
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import wf
from tests.laws.bodies import HOUR, broken, work

SHAPES: dict[str, Callable[[], Awaitable[Any]]] = {}


def shape(function: Callable[[], Awaitable[Any]]) -> Callable[[], Awaitable[Any]]:
    SHAPES[function.__name__] = function
    return function


@wf.step(name="laws.keep")
async def keep(number: int, value: Any) -> None: ...


async def two(first: int, second: int) -> list[str]:
    return [await work(first), await work(second)]


async def late(number: int, hours: float) -> str:
    await asyncio.sleep(hours * HOUR)
    return await work(number)


async def tidied(number: int, hours: float) -> None:
    try:
        await late(number, hours)
    finally:
        await work(100 + number)


async def nothing(value: int = 1) -> int:
    return value


async def turns(count: int, number: int) -> str:
    for _ in range(count):
        await asyncio.sleep(0)
    return await work(number)


# -- wait_for -----------------------------------------------------------------------------------


@shape
async def wait_for_one() -> Any:
    return await asyncio.wait_for(work(1), HOUR)


@shape
async def wait_for_several() -> Any:
    bounded = [asyncio.wait_for(work(n), n * HOUR) for n in (1, 2)]
    return [
        repr(x) for x in await asyncio.gather(*bounded, asyncio.wait_for(broken(3), 3 * HOUR), return_exceptions=True)
    ]


@shape
async def wait_for_coroutines() -> Any:
    return await asyncio.gather(
        asyncio.wait_for(two(1, 2), HOUR), two(3, 4), asyncio.wait_for(two(5, 6), None), return_exceptions=True
    )


@shape
async def wait_for_in_a_row() -> Any:
    found: list[Any] = []
    for n in range(3):
        try:
            found.append(await asyncio.wait_for(two(2 * n, 2 * n + 1), HOUR * (n + 1)))
        except TimeoutError:
            found.append(await work(100 + n))
    return found


@shape
async def wait_for_no_time() -> Any:
    try:
        return await asyncio.wait_for(work(1), 0)
    except TimeoutError:
        return await work(2)


@shape
async def wait_for_a_task() -> Any:
    task = asyncio.create_task(two(1, 2))
    try:
        return await asyncio.wait_for(task, HOUR)
    except TimeoutError:
        return await work(3), task.cancelled()


@shape
async def wait_for_a_shielded_task() -> Any:
    task = asyncio.create_task(two(1, 2))
    try:
        return await asyncio.wait_for(asyncio.shield(task), HOUR)
    except TimeoutError:
        return [await work(3), await task]


@shape
async def wait_for_what_cleans_up() -> Any:
    try:
        return await asyncio.gather(asyncio.wait_for(tidied(1, 2), HOUR), two(3, 4))
    except TimeoutError:
        return await work(5)


@shape
async def wait_for_what_is_quick() -> Any:
    async def one() -> str:
        return await work(await asyncio.wait_for(nothing(), HOUR))

    return await asyncio.gather(one(), two(3, 4), one())


@shape
async def wait_for_an_event() -> Any:
    event = asyncio.Event()

    async def waiter(n: int) -> str:
        try:
            await asyncio.wait_for(event.wait(), HOUR * n)
        except TimeoutError:
            return await work(10 + n)
        return await work(20 + n)

    async def setter() -> None:
        await work(1)
        event.set()
        await work(2)

    return await asyncio.gather(waiter(1), setter(), waiter(2))


@shape
async def wait_for_a_queue() -> Any:
    queue: asyncio.Queue[Any] = asyncio.Queue(2)

    async def feed() -> None:
        for n in range(5):
            await queue.put(await work(n))
        await queue.put(None)

    async def eat() -> list[Any]:
        eaten: list[Any] = []
        while len(eaten) < 9:
            try:
                one = await asyncio.wait_for(queue.get(), HOUR)
            except TimeoutError:
                one = await work(99)
            if one is None:
                break
            eaten.append(one)
        return eaten

    return await asyncio.gather(feed(), eat())


# -- timeout ------------------------------------------------------------------------------------


@shape
async def timeouts_side_by_side() -> Any:
    async def bounded(n: int) -> Any:
        try:
            async with asyncio.timeout(HOUR * n):
                return await two(n * 10, n * 10 + 1)
        except TimeoutError:
            return await work(n)

    return await asyncio.gather(*map(bounded, (1, 2, 3)))


@shape
async def timeouts_in_each_other() -> Any:
    try:
        async with asyncio.timeout(2 * HOUR):
            try:
                async with asyncio.timeout(HOUR):
                    return await two(1, 2)
            except TimeoutError:
                return await two(3, 4)
    except TimeoutError:
        return await work(5)


@shape
async def a_timeout_that_moves() -> Any:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout_at(loop.time() + HOUR) as timeout:
            await work(1)
            timeout.reschedule(loop.time() + 2 * HOUR)
            await work(2)
    except TimeoutError:
        return await work(3)


@shape
async def a_timeout_that_nobody_catches() -> Any:
    async with asyncio.timeout(HOUR):
        await two(1, 2)


# -- as_completed, gather, wait -----------------------------------------------------------------


@shape
async def as_completed() -> Any:
    found: list[Any] = []
    for one in asyncio.as_completed([late(1, 3), late(2, 1), two(3, 4)]):
        found.append(await one)
        await work(50 + len(found))
    return found


@shape
async def as_completed_in_time() -> Any:
    found: list[Any] = []
    try:
        for one in asyncio.as_completed([late(1, 3), late(2, 1), two(3, 4)], timeout=2 * HOUR):
            found.append(await one)
            await work(50 + len(found))
    except TimeoutError:
        found.append(await work(77))
    return found


@shape
async def as_completed_asked_later() -> Any:
    those = asyncio.as_completed([two(3, 4), two(5, 6)], timeout=9 * HOUR)
    await work(1)
    return [await one for one in those]


@shape
async def gather_what_is_done() -> Any:
    async def gathers() -> str:
        tasks = [asyncio.create_task(nothing(n)) for n in range(3)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return await work(sum(await asyncio.gather(*tasks)))

    return await asyncio.gather(gathers(), turns(3, 10), turns(4, 11), turns(5, 12))


@shape
async def gather_some_that_are_done() -> Any:
    async def gathers() -> str:
        task = asyncio.create_task(nothing(7))
        await task
        return await work(sum(await asyncio.gather(task, nothing(2), task)))

    return await asyncio.gather(gathers(), turns(2, 10), turns(3, 11), turns(4, 12))


@shape
async def gather_nothing() -> Any:
    async def gathers() -> str:
        await asyncio.gather()
        return await work(1)

    return await asyncio.gather(gathers(), turns(1, 2))


@shape
async def gather_gathered() -> Any:
    return await asyncio.gather(asyncio.gather(two(1, 2), work(3)), two(4, 5), asyncio.gather(work(6), work(7)))


@shape
async def gather_that_fails() -> Any:
    try:
        return await asyncio.gather(two(1, 2), broken(3), late(4, 1))
    except wf.FatalError:
        return await two(5, 6)


@shape
async def gather_that_is_cancelled() -> Any:
    gathered = asyncio.gather(two(1, 2), late(3, 1), late(4, 2))
    await work(5)
    gathered.cancel()
    try:
        return await gathered
    except asyncio.CancelledError:
        return await work(6)


@shape
async def wait_for_the_first() -> Any:
    tasks = [asyncio.create_task(late(n, n), name=str(n)) for n in (3, 1, 2)]
    _, pending = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    await work(50)
    done, pending = await asyncio.wait(pending, timeout=HOUR / 2)
    await work(51)
    for task in pending:
        task.cancel()
    await asyncio.gather(*pending, return_exceptions=True)
    return sorted(task.get_name() for task in done)


@shape
async def wait_for_what_is_done() -> Any:
    async def waits() -> str:
        task = asyncio.create_task(nothing())
        await asyncio.sleep(0)
        await asyncio.wait([task], timeout=HOUR)
        return await work(1)

    return await asyncio.gather(waits(), turns(2, 2))


@shape
async def shielded() -> Any:
    async def shields(task: asyncio.Task[Any]) -> Any:
        return await asyncio.shield(task)

    task = asyncio.create_task(two(1, 2))
    outer = asyncio.create_task(shields(task))
    await work(3)
    outer.cancel()
    try:
        await outer
    except asyncio.CancelledError:
        await work(4)
    return await task


# -- groups -------------------------------------------------------------------------------------


@shape
async def group() -> Any:
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(two(n * 2, n * 2 + 1)) for n in range(4)]
        await work(50)
    return [task.result() for task in tasks]


@shape
async def group_that_fails() -> Any:
    try:
        async with asyncio.TaskGroup() as group:
            for n in range(1, 4):
                group.create_task(tidied(n, n))
            await work(50)
            group.create_task(broken(51))
            await two(52, 53)
    except* wf.FatalError:
        pass
    return await work(54)


@shape
async def group_in_a_timeout() -> Any:
    try:
        async with asyncio.timeout(2 * HOUR):
            async with asyncio.TaskGroup() as group:
                for n in range(1, 4):
                    group.create_task(tidied(n, n))
    except TimeoutError:
        return await work(5)
    return await work(6)


@shape
async def groups_in_a_group() -> Any:
    async def inner(n: int) -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(work(n))
            group.create_task(work(n + 1))
        return await work(n + 2)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner(1))
            group.create_task(inner(10))
            group.create_task(broken(30))
    except* wf.FatalError:
        pass
    return await work(40)


@shape
async def groups_that_fail_together() -> Any:
    async def inner() -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(late(1, 1))
            group.create_task(broken(2))
            await work(3)

    async def other() -> None:
        await work(4)
        raise wf.FatalError("x")

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(inner())
            group.create_task(other())
    except* wf.FatalError:
        pass
    return await two(5, 6)


@shape
async def group_that_goes_on_when_it_is_cancelled() -> Any:
    async def stubborn(n: int) -> str:
        try:
            return await late(n, 1)
        except asyncio.CancelledError:
            return await work(n + 10)

    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(stubborn(1))
            group.create_task(stubborn(2))
            group.create_task(broken(3))
            try:
                await work(5)
            except asyncio.CancelledError:
                await work(6)
            await work(7)
    except* wf.FatalError:
        await work(8)
    return await work(9)


@shape
async def group_of_what_is_quick() -> Any:
    async def side() -> str:
        async with asyncio.TaskGroup() as group:
            group.create_task(nothing())
        return await work(1)

    return await asyncio.gather(side(), turns(3, 2), turns(2, 3))


@shape
async def group_that_nobody_catches() -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(broken(1))
        group.create_task(late(2, 1))


@shape
async def a_task_that_is_not_cancelled_after_all() -> Any:
    async def stubborn() -> Any:
        try:
            return await late(1, 1)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.uncancel()
            return await two(2, 3)

    task = asyncio.create_task(stubborn())
    await work(4)
    task.cancel()
    return await task


# -- what is waited for side by side ------------------------------------------------------------


@shape
async def locks() -> Any:
    lock, semaphore, condition = asyncio.Lock(), asyncio.Semaphore(2), asyncio.Condition()

    async def one(n: int) -> str:
        async with lock:
            await work(n)
        async with semaphore:
            await work(n + 10)
        async with condition:
            condition.notify()
            await work(n + 20)
        async with semaphore, lock:
            return await work(n + 30)

    return await asyncio.gather(*map(one, range(4)))


def _late_for(lock: Any) -> Callable[[int], Awaitable[Any]]:
    async def one(n: int) -> Any:
        try:
            async with asyncio.timeout(HOUR * n), lock:
                return await two(n, n + 10)
        except TimeoutError:
            return await work(n + 20)

    return one


@shape
async def a_lock_in_time() -> Any:
    return await asyncio.gather(*map(_late_for(asyncio.Lock()), range(1, 5)))


@shape
async def a_semaphore_in_time() -> Any:
    return await asyncio.gather(*map(_late_for(asyncio.Semaphore(1)), range(1, 5)))


@shape
async def a_condition_in_time() -> Any:
    condition = asyncio.Condition()

    async def one(n: int) -> str:
        try:
            async with asyncio.timeout(HOUR * n), condition:
                await condition.wait()
                return await work(n)
        except TimeoutError:
            return await work(n + 20)

    async def bell() -> None:
        for n in range(4):
            await work(50 + n)
            async with condition:
                condition.notify()

    return await asyncio.gather(*map(one, range(1, 5)), bell())


@shape
async def a_barrier() -> Any:
    barrier = asyncio.Barrier(3)

    async def one(n: int) -> str:
        await work(n)
        await barrier.wait()
        return await work(n + 10)

    return await asyncio.gather(*map(one, range(3)))


@shape
async def a_queue_that_is_joined() -> Any:
    queue: asyncio.Queue[int] = asyncio.Queue()

    async def worker(n: int) -> None:
        while True:
            await work(n * 10 + await queue.get())
            queue.task_done()

    workers = [asyncio.create_task(worker(n)) for n in (1, 2)]
    for n in range(5):
        queue.put_nowait(n)
    await queue.join()
    for task in workers:
        task.cancel()
    await asyncio.gather(*workers, return_exceptions=True)
    return await work(99)


@shape
async def generators_and_stacks() -> Any:
    async def numbers() -> AsyncIterator[str]:
        try:
            for n in range(3):
                yield await work(n)
        finally:
            await work(50)

    found: list[str] = []
    async for one in numbers():
        found.append(one)
        if len(found) == 2:
            break
    async with contextlib.aclosing(numbers()) as closing:  # type: ignore[type-var]
        async for one in closing:
            found.append(one)
    async with contextlib.AsyncExitStack() as stack:
        stack.push_async_callback(work, 60)
        stack.push_async_callback(work, 61)
        await work(62)
    return found


# -- values -------------------------------------------------------------------------------------


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


class Bits(enum.IntFlag):
    A = 1
    B = 2


@dataclasses.dataclass
class Line:
    text: str
    size: int = 1


@shape
async def values() -> Any:
    values: list[Any] = [
        {3, 1, 2}, frozenset({"b", "a"}), {"b": 1, "a": 2}, {("a", 1): {"x"}}, {Colour.RED, Colour.BLUE}, (1, 2),
        Colour.RED, Bits.A | Bits.B, Line("x"), None, True, 1.5, -0.0, float("inf"), 2**80, complex(1, 2), b"abc", "ü",
        datetime.datetime(2026, 1, 2, tzinfo=datetime.UTC), datetime.date(2026, 1, 1), datetime.time(1, 2), range(3),
        datetime.timedelta(seconds=3), decimal.Decimal("1.50"), uuid.UUID(int=5),
        ValueError("x"), KeyError("k"), ExceptionGroup("g", [ValueError(1)]), wf.FatalError("f"),
    ]  # fmt: skip
    for number, value in enumerate(values):
        await keep(number, value)


@shape
async def chance() -> Any:
    dice = wf.random()
    letters = list("abcdefghi")
    dice.shuffle(letters)
    await keep(
        1, [dice.random(), dice.randint(1, 100), dice.choice("abc"), dice.sample(range(10), 3), dice.gauss(0, 1)]
    )
    await keep(2, [wf.uuid4(), wf.now(), wf.time_ns(), letters])
    await keep(
        3, [dice.expovariate(2.0), dice.betavariate(1, 2), dice.triangular(), dice.randbytes(5), dice.uniform(1, 2)]
    )
    await keep(4, [dice.choices("abc", k=3), dice.getrandbits(70), dice.randrange(5, 50, 5), dice.normalvariate()])


@shape
async def errors_as_values() -> Any:
    def fail(number: int) -> Any:
        match number:
            case 1:
                return int("x")
            case 2:
                return [][0]
            case 3:
                return {}["k"]
            case 4:
                raise ExceptionGroup("several", [ValueError("a"), wf.FatalError("b")])

    for number in range(1, 5):
        try:
            fail(number)
        except Exception as error:
            await keep(number, error)
    try:
        await broken(5)
    except wf.FatalError as error:
        await keep(6, error)
