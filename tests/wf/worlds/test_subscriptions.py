"""Subscriptions while nobody serves the world: whoever subscribes is rung, at once with a reason, else seldom."""

from __future__ import annotations

import asyncio
import gc
import itertools
from collections.abc import Awaitable, Callable

import pytest

from tests.jumping import jump
from wf.world import Doorbell
from wf.worlds.memory import MemoryWorld
from wf.worlds.subscriptions import POLL_SECONDS, Backend, Bench
from wf.worlds.wire import ConnectionLost

MINUTE = 60.0


class Owner(MemoryWorld):
    """Whoever serves the world. One that is `dying` takes calls and does not answer."""

    def __init__(self, *, is_dying: bool = False) -> None:
        super().__init__()
        self.is_lost = False
        self.is_dying = is_dying

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        if self.is_dying:
            raise ConnectionLost("gone", was_sent=True)
        return await super().subscribe(topic, ring)


class Seat:
    """A world whose owner is set by the test; it counts how often one is looked for."""

    def __init__(self, find_owner: Callable[[], Owner | None]) -> None:
        self.find_owner = find_owner
        self.looks = 0
        self.bench = Bench(self, asyncio.get_running_loop())

    async def find_bell(self) -> Backend | None:
        self.looks += 1
        return self.find_owner()  # type: ignore[return-value]

    def lose(self, backend: Backend | None) -> None:
        assert backend is not None
        self.bench.lose_from_anywhere(backend)


class Ear:
    """A subscriber, and when it was rung."""

    def __init__(self) -> None:
        self.rung: list[tuple[float, str]] = []
        self.began = asyncio.get_running_loop().time()

    def ring(self, detail: str) -> None:
        self.rung.append((round(asyncio.get_running_loop().time() - self.began, 3), detail))

    @property
    def times(self) -> list[float]:
        return [at for at, _ in self.rung]


def sit(find_owner: Callable[[], Owner | None], body: Callable[[Seat, Ear], Awaitable[None]]) -> None:
    """Run a test in virtual time, at a seat of its own."""

    async def run() -> None:
        seat = Seat(find_owner)
        try:
            await body(seat, Ear())
        finally:
            seat.bench.close_from_anywhere()

    jump(run)


def nobody() -> None:
    """Serve nothing."""


async def test_who_subscribes_when_the_last_one_goes_is_rung() -> None:
    bench = Seat(nobody).bench
    first, second = asyncio.Event(), asyncio.Event()
    undo = await bench.subscribe("run:1", lambda detail: first.set())
    async with asyncio.timeout(5):
        await first.wait()
    undo()  # cancels the search, which has not ended when the next one comes
    await bench.subscribe("run:1", lambda detail: second.set())
    async with asyncio.timeout(5):
        await second.wait()
    bench.close_from_anywhere()


def test_while_nobody_serves_an_owner_is_looked_for_often_and_a_subscriber_rung_seldom() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        ears = [ear, *(Ear() for _ in range(9))]
        for ear in ears:
            await seat.bench.subscribe("run:1", ear.ring)
        await asyncio.sleep(MINUTE)
        assert ears[0].times[:5] == [0.1, 0.2, 0.4, 0.8, 1.6]
        later = ears[0].times[4:]
        assert all(0.99 < after - before < 1.11 for before, after in itertools.pairwise(later))
        assert all(ear.rung == ears[0].rung for ear in ears)
        assert 595 <= seat.looks - len(ears) <= MINUTE / POLL_SECONDS  # for all of them together

    sit(nobody, body)


def test_who_subscribes_again_whenever_it_is_rung_is_not_rung_more_often() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        bell = asyncio.Event()
        began, rings = asyncio.get_running_loop().time(), 0
        while asyncio.get_running_loop().time() < began + MINUTE:
            undo = await seat.bench.subscribe("run:1", lambda detail: bell.set())
            await bell.wait()
            bell.clear()
            undo()
            rings += 1
        assert 55 < rings < 65

    sit(nobody, body)


def test_an_owner_who_appears_is_found_at_the_next_look_however_long_there_was_none() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        await seat.bench.subscribe("run:1", ear.ring)
        await asyncio.sleep(MINUTE - 0.33)
        rings, looks, owner = len(ear.rung), seat.looks, Owner()
        seat.find_owner = lambda: owner
        await asyncio.sleep(POLL_SECONDS)
        assert (len(ear.rung), seat.looks) == (rings + 1, looks + 1)
        owner._doorbells.ring([("run:1", "1")])
        await asyncio.sleep(MINUTE)
        assert ear.rung[rings + 1 :] == [(59.77, "1")]
        assert seat.looks == looks + 1

    sit(nobody, body)


def test_who_loses_its_owner_is_rung_at_once_and_again_when_there_is_another() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        await seat.bench.subscribe("run:1", ear.ring)
        await asyncio.sleep(10)
        seat.find_owner = nobody
        seat.lose(first)  # type: ignore[arg-type]
        await asyncio.sleep(0.25)
        seat.find_owner = lambda: second
        await asyncio.sleep(10)
        assert ear.times == [10, 10.1, 10.3]

    first, second = Owner(), Owner()
    sit(lambda: first, body)


def test_owners_who_die_at_every_call_are_looked_for_as_seldom_as_one_who_does_not_come() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        await seat.bench.subscribe("run:1", ear.ring)
        await asyncio.sleep(MINUTE)
        assert seat.looks <= MINUTE / POLL_SECONDS + 2
        assert len(ear.rung) < 65

    sit(lambda: Owner(is_dying=True), body)


def test_owners_who_go_as_soon_as_they_are_there_are_looked_for_as_seldom() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        await seat.bench.subscribe("run:1", ear.ring)
        ends = asyncio.get_running_loop().time() + MINUTE
        while asyncio.get_running_loop().time() < ends:
            for subscription in seat.bench._subscriptions:
                if subscription.backend is not None:
                    seat.lose(subscription.backend)
            await asyncio.sleep(0.01)
        assert seat.looks <= MINUTE / POLL_SECONDS + 2

    sit(Owner, body)


def test_who_went_when_another_was_rung_is_not_rung_any_more() -> None:
    async def body(seat: Seat, ear: Ear) -> None:
        undo: list[Callable[[], None]] = []
        await seat.bench.subscribe("run:1", lambda detail: undo[0]())
        undo.append(await seat.bench.subscribe("run:1", ear.ring))
        await asyncio.sleep(MINUTE)
        assert ear.rung == []

    sit(nobody, body)


def test_a_loop_that_ends_takes_the_search_with_it(caplog: pytest.LogCaptureFixture) -> None:
    """`asyncio.run` cancels it, and would leave behind a task that begins then; asyncio logs that."""

    async def listen() -> None:
        await Seat(nobody).bench.subscribe("run:1", lambda detail: None)
        await asyncio.sleep(0)

    asyncio.run(listen())
    gc.collect()
    assert caplog.text == ""
