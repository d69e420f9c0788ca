"""Doorbells ring on the subscriber's loop, whatever thread rings, and never hurt who rings."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

from tests.wf.worlds.acts import new_run
from wf.worlds.doorbells import Doorbells
from wf.worlds.sqlite import SqliteWorld


async def test_a_ring_from_another_thread_arrives_on_the_subscribers_loop() -> None:
    bells = Doorbells()
    arrived: asyncio.Future[tuple[str, threading.Thread]] = asyncio.get_running_loop().create_future()
    bells.subscribe("runs", lambda detail: arrived.set_result((detail, threading.current_thread())))
    thread = threading.Thread(target=bells.ring, args=([("runs", "r1")],))
    thread.start()
    assert await arrived == ("r1", threading.current_thread())
    thread.join()


def test_a_loop_that_is_closed_is_dropped_in_silence() -> None:
    bells = Doorbells()
    rings: list[str] = []

    async def subscribe() -> None:
        bells.subscribe("stream:r1/default", rings.append)

    asyncio.run(subscribe())
    assert bells.streams_of("r1") == ["stream:r1/default"]
    bells.ring([("stream:r1/default", "r1")])
    assert rings == []
    assert bells.streams_of("r1") == []


async def test_rings_of_one_commit_are_delivered_once_each() -> None:
    bells = Doorbells()
    rings: list[str] = []
    bells.subscribe("runs", rings.append)
    bells.ring([("runs", "a"), ("runs", "b"), ("runs", "a"), ("other", "c")])
    await asyncio.sleep(0)
    assert rings == ["a", "b"]


async def test_rings_that_are_on_their_way_stand_for_those_that_come_behind_them() -> None:
    bells = Doorbells()
    rings: list[str] = []
    bells.subscribe("log:r1", rings.append)
    bells.subscribe("log:r2", rings.append)
    for _ in range(100):
        bells.ring_logs(["r1", "r3", "r1"])
    await asyncio.sleep(0)
    assert rings == ["r1"]
    bells.ring_logs(["r1"])
    await asyncio.sleep(0)
    assert rings == ["r1", "r1"], "what is written after a delivery is rung anew"


async def test_a_ring_from_within_a_delivery_is_not_taken_for_the_one_that_is_delivered() -> None:
    bells = Doorbells()
    rings: list[str] = []

    def hear(detail: str) -> None:
        rings.append(detail)
        if len(rings) < 3:
            bells.ring_logs(["r1"])

    bells.subscribe("log:r1", hear)
    bells.ring_logs(["r1"])
    for _ in range(4):
        await asyncio.sleep(0)
    assert rings == ["r1"] * 3


async def test_a_log_is_followed_until_its_last_follower_leaves() -> None:
    bells = Doorbells()
    assert not bells.followed
    first, second = bells.subscribe("log:r1", print), bells.subscribe("log:r1", print)
    bells.subscribe("run:r2", print)
    first()
    first()
    assert bells.followed == {"r1"}
    second()
    assert not bells.followed


async def test_a_subscriber_that_fails_does_not_hurt_the_others() -> None:
    loop = asyncio.get_running_loop()
    failures: list[BaseException] = []
    loop.set_exception_handler(lambda _, context: failures.append(context["exception"]))
    bells = Doorbells()
    rings: list[str] = []

    def fail(detail: str) -> None:
        raise LookupError(detail)

    bells.subscribe("runs", fail)
    bells.subscribe("runs", rings.append)
    bells.ring([("runs", "a")])
    await asyncio.sleep(0)
    assert rings == ["a"]
    assert [type(failure) for failure in failures] == [LookupError]


async def test_an_undo_in_the_middle_of_a_ring_is_heeded() -> None:
    bells = Doorbells()
    rings: list[str] = []
    undo = bells.subscribe("runs", rings.append)
    bells.ring([("runs", "a")])
    undo()
    undo()
    await asyncio.sleep(0)
    assert rings == []


def test_one_world_serves_the_loops_of_many_threads(tmp_path: Path) -> None:
    """Each thread starts runs on its own loop; a listener on yet another loop hears of all of them."""
    world = SqliteWorld(tmp_path / "world.db", "process")
    heard: set[str] = set()

    async def start(prefix: str) -> None:
        for number in range(20):
            assert (await world.create_run(new_run(f"{prefix}{number}"))).is_new
            assert await world.get_run(f"{prefix}{number}") is not None
        assert len(await world.read_events(f"{prefix}0", 0, 1000)) == 1

    async def listen() -> None:
        await world.open()
        done = asyncio.Event()

        def hear(run_id: str) -> None:
            heard.add(run_id)
            if len(heard) == 60:
                done.set()

        await world.subscribe("runs", hear)
        threads = [threading.Thread(target=lambda p=prefix: asyncio.run(start(p))) for prefix in "abc"]
        for thread in threads:
            thread.start()
        async with asyncio.timeout(30):
            await done.wait()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        await world.close()

    asyncio.run(listen())
    assert len(heard) == 60


async def test_topics_that_somebody_listens_to_are_known_and_can_all_be_rung() -> None:
    doorbells, heard = Doorbells(), list[tuple[str, str]]()
    undo = [
        doorbells.subscribe(topic, lambda detail, topic=topic: heard.append((topic, detail))) for topic in ("a", "b")
    ]  # type: ignore[misc]
    assert sorted(doorbells.topics()) == ["a", "b"]
    assert doorbells.has("a") and not doorbells.has("c")
    undo[0]()
    assert not doorbells.has("a")
    doorbells.ring_all()
    await asyncio.sleep(0)
    assert heard == [("b", "")]
