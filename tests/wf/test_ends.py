"""Who waits for runs to end: one subscription for all, and no look at what cannot have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import wf
from tests.reliability.stage import make_worker
from wf.ends import MOST_STARTED, Ends
from wf.records import End
from wf.world import Doorbell, RunRow
from wf.worlds.memory import MemoryWorld

DONE = End("r1", "completed", None, b"1")


class Belfry(MemoryWorld):
    """A world that counts who listens to the ends of runs and how often it is asked for one; `ring` rings by hand."""

    def __init__(self) -> None:
        super().__init__()
        self.listeners: list[Doorbell] = []
        self.subscriptions = 0
        self.looks = 0

    async def subscribe(self, topic: str, ring: Doorbell) -> Callable[[], None]:
        undo = await super().subscribe(topic, ring)
        if topic != "results":
            return undo
        self.subscriptions += 1
        self.listeners.append(ring)

        def leave() -> None:
            self.listeners.remove(ring)
            undo()

        return leave

    async def get_run(self, run_id: str) -> RunRow | None:
        self.looks += 1
        return await super().get_run(run_id)

    def ring(self, detail: str) -> None:
        for listener in self.listeners:
            listener(detail)


async def test_thousands_who_wait_make_one_subscription_which_ends_with_the_last_of_them() -> None:
    world = Belfry()
    ends = Ends(world)
    waiters = await asyncio.gather(*(ends.enter(f"r{number}") for number in range(1000)))
    assert (world.subscriptions, len(world.listeners)) == (1, 1)
    for number, waiter in enumerate(waiters):
        assert len(world.listeners) == 1
        ends.leave(f"r{number}", waiter)
    assert world.listeners == []
    again = await ends.enter("r1")
    assert (world.subscriptions, len(world.listeners)) == (2, 1)
    ends.leave("r1", again)


async def test_who_is_cancelled_while_it_subscribes_leaves_no_subscription() -> None:
    world = Belfry()
    ends = Ends(world)
    entering = asyncio.ensure_future(ends.enter("r1"))
    await asyncio.sleep(0)
    entering.cancel()
    await asyncio.gather(entering, return_exceptions=True)
    if not entering.cancelled():  # it was there already
        ends.leave("r1", entering.result())
    assert world.listeners == []


async def test_all_who_wait_for_a_run_hear_of_it_and_nobody_else() -> None:
    world = Belfry()
    ends = Ends(world)
    first, second, other = [await ends.enter(run_id) for run_id in ("r1", "r1", "r2")]
    assert [waiter.is_rung for waiter in (first, second, other)] == [True, True, True]  # each looks first
    for waiter in (first, second, other):
        waiter.is_rung = False
    waiting = [asyncio.ensure_future(waiter.wait(None)) for waiter in (first, second, other)]
    await asyncio.sleep(0)
    world.ring("r1")
    await asyncio.gather(*waiting[:2])
    assert [waiter.is_rung for waiter in (first, second, other)] == [True, True, False]
    ends.tell(End("r2", "failed", "TIMEOUT", None))
    await waiting[2]
    assert other.end == End("r2", "failed", "TIMEOUT", None)
    assert first.end is None


async def test_a_ring_for_anything_wakes_everybody() -> None:
    world = Belfry()
    ends = Ends(world)
    one = await ends.enter("r1")
    ends.note_start("r2")
    other = await ends.enter("r2")
    one.is_rung = False
    assert not other.is_rung
    world.ring("")
    assert one.is_rung
    assert other.is_rung


async def test_a_run_that_was_started_here_is_not_looked_at_unless_it_has_rung_since() -> None:
    world = Belfry()
    ends = Ends(world)
    ends.note_start("early")  # nobody listens yet: it may have ended unheard
    keeper = await ends.enter("other")
    for run_id in ("fresh", "ended", "known", "lost"):
        ends.note_start(run_id)
    world.ring("ended")
    ends.forget_start("known")
    found = {run_id: (await ends.enter(run_id)).is_rung for run_id in ("early", "fresh", "ended", "known", "lost")}
    assert found == {"early": True, "fresh": False, "ended": True, "known": True, "lost": False}
    world.ring("")
    assert (await ends.enter("lost")).is_rung
    assert keeper.is_rung


async def test_what_was_started_is_not_kept_without_bounds_and_costs_a_look_at_most() -> None:
    ends = Ends(Belfry())
    await ends.enter("other")
    for number in range(MOST_STARTED + 1):
        ends.note_start(f"r{number}")
    assert (await ends.enter("r0")).is_rung
    assert not (await ends.enter(f"r{MOST_STARTED}")).is_rung


async def test_results_of_many_runs_of_this_process_cost_the_world_no_look_but_the_first() -> None:
    @wf.workflow(name="ends-doc")
    async def give(number: int) -> int:
        return number

    world = Belfry()
    async with make_worker(world):

        async def run_one(number: int) -> int:
            return await (await wf.start(give, number)).return_value()

        first = await wf.start(give, 0)
        assert await first.return_value() == 0
        world.looks = 0
        assert await asyncio.gather(*(run_one(number) for number in range(50))) == list(range(50))
        assert world.looks <= 32  # those that were started before anybody listened
        again = await wf.start(give.with_options(id=first.run_id), 0)  # it is there, and has ended long ago
        assert await again.return_value(timeout=20) == 0


async def test_a_time_that_is_over_is_told_after_a_last_look() -> None:
    ends = Ends(Belfry())
    waiter = await ends.enter("r1")
    waiter.is_rung = False
    await waiter.wait(0.0)
    assert waiter.is_rung
    ends.leave("r1", waiter)


async def test_an_end_that_came_before_the_wait_is_not_missed() -> None:
    ends = Ends(Belfry())
    await ends.enter("other")
    ends.note_start("r1")
    waiter = await ends.enter("r1")
    ends.tell(DONE)
    await waiter.wait(None)
    assert waiter.end is DONE
