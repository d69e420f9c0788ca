"""The feed: order, coming back, and readers that do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator

from wfstudio.core.live import GAP, Feed, LiveEvent, ids_from_now


async def take(reader: AsyncGenerator[LiveEvent, None], count: int) -> list[LiveEvent]:
    return [await asyncio.wait_for(anext(reader), 5) for _ in range(count)]


def ids(events: list[LiveEvent]) -> list[int]:
    return [event.id for event in events]


async def attend(reader: AsyncGenerator[LiveEvent, None]) -> asyncio.Task[LiveEvent]:
    """Have a reader wait for its next event."""
    task = asyncio.ensure_future(anext(reader))
    await asyncio.sleep(0)
    return task


async def test_a_reader_gets_what_is_published_from_then_on() -> None:
    feed = Feed()
    feed.publish("run", {"id": "before"})
    reader = feed.subscribe()
    first = await attend(reader)
    assert feed.publish("run", {"id": "a"}) == 2
    assert await first == LiveEvent(2, "run", {"id": "a"})


async def test_a_reader_that_comes_back_goes_on_where_it_left() -> None:
    feed = Feed()
    for number in range(5):
        feed.publish("run", {"n": number})
    assert ids(await take(feed.subscribe(2), 3)) == [3, 4, 5]


async def test_a_ring_that_does_not_reach_back_says_so_first() -> None:
    feed = Feed(ring=3)
    for number in range(10):
        feed.publish("run", {"n": number})
    events = await take(feed.subscribe(2), 4)
    assert [event.kind for event in events] == [GAP, "run", "run", "run"]
    assert ids(events) == [7, 8, 9, 10]
    assert ids(await take(feed.subscribe(7), 3)) == [8, 9, 10], "8 is the first after 7: nothing was missed"


async def test_an_id_of_an_earlier_process_is_a_gap_however_much_the_new_one_has_told() -> None:
    old = Feed(after=ids_from_now())
    for _ in range(50):
        old.publish("run", {})
    await asyncio.sleep(0.002)
    new = Feed(after=ids_from_now())
    assert new.last_id > old.last_id
    [event] = await take(new.subscribe(old.last_id), 1)
    assert event.kind == GAP
    for _ in range(100):
        new.publish("run", {})
    assert (await take(new.subscribe(old.last_id), 3))[0].kind == GAP
    assert len(str(new.last_id)) <= 15, "a cursor takes no more digits"


async def test_an_id_of_another_process_is_a_gap() -> None:
    feed = Feed()
    feed.publish("run", {})
    [event] = await take(feed.subscribe(99), 1)
    assert (event.id, event.kind) == (1, GAP)
    reader = feed.subscribe(99)
    await take(reader, 1)
    following = await attend(reader)
    feed.publish("run", {"after": True})
    assert (await following).id == 2


async def test_a_slow_reader_is_caught_up_from_the_ring() -> None:
    feed = Feed(ring=100, buffer=4)
    reader = feed.subscribe()
    first = await attend(reader)
    feed.publish("run", {})
    await first
    for _ in range(50):
        feed.publish("run", {})
    assert ids(await take(reader, 50)) == list(range(2, 52))


async def test_a_reader_that_never_reads_holds_nobody_up_and_costs_a_bounded_buffer() -> None:
    feed = Feed(ring=10, buffer=4)
    slow = feed.subscribe()
    first = await attend(slow)
    feed.publish("run", {})
    await first
    for _ in range(1000):
        feed.publish("run", {})
        assert all(len(reader.waiting) <= 4 for reader in feed._readers)
    events = await take(slow, 11)
    assert (events[0].kind, ids(events)) == (GAP, list(range(991, 1002)))


async def test_nothing_is_missed_between_subscribing_and_the_first_read() -> None:
    feed = Feed()
    reader = feed.subscribe()
    feed.publish("run", {})
    assert ids(await take(reader, 1)) == [1]


async def test_a_reader_that_leaves_is_forgotten() -> None:
    feed = Feed()
    reader = feed.subscribe()
    waiting = await attend(reader)
    assert feed.readers == 1
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await reader.aclose()
    assert feed.readers == 0
