"""Travelling: moments one at a time, the last that was asked for, and an error that is said."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.wfstudio.recorded import recording
from wf.errors import WorkflowError
from wfstudio.core.errors import NotFoundError
from wfstudio.core.replays import Replays
from wfstudio.tui.travel import Sight, Travel


class Slow:
    """Replays that give a moment when they are told to, and note what they were asked."""

    def __init__(self) -> None:
        self.asked: list[int] = []
        self.turn = asyncio.Semaphore(0)
        self.is_closed = False
        self.error: WorkflowError | None = None

    async def look(self, run_id: str, seq: int) -> str:
        self.asked.append(seq)
        await self.turn.acquire()
        if self.error is not None:
            raise self.error
        return f"{run_id} at {seq}"

    async def close(self) -> None:
        self.is_closed = True


async def settle() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_what_is_asked_for_meanwhile_is_skipped_but_for_the_last() -> None:
    slow, seen = Slow(), []
    travel = Travel(slow, seen.append)
    for seq in (3, 4, 5, 6):
        travel.go("wrun_1", seq)
        await settle()
    assert slow.asked == [3]
    slow.turn.release()
    await settle()
    assert slow.asked == [3, 6]
    assert travel.is_busy
    slow.turn.release()
    await settle()
    assert seen == [Sight("wrun_1", 3, "wrun_1 at 3"), Sight("wrun_1", 6, "wrun_1 at 6")]
    assert not travel.is_busy


async def test_an_error_is_seen_and_the_journey_goes_on() -> None:
    slow, seen = Slow(), []
    slow.error = NotFoundError("no such event")
    travel = Travel(slow, seen.append)
    travel.go("wrun_1", 9)
    slow.turn.release()
    await settle()
    assert seen == [Sight("wrun_1", 9, error=slow.error)]
    slow.error = None
    travel.go("wrun_1", 2)
    slow.turn.release()
    await settle()
    assert seen[1:] == [Sight("wrun_1", 2, "wrun_1 at 2")]


async def test_who_leaves_sees_nothing_more() -> None:
    slow, seen = Slow(), []
    travel = Travel(slow, seen.append)
    travel.go("wrun_1", 3)
    await settle()
    await travel.close()
    assert seen == []
    assert slow.is_closed


async def test_a_recorded_run_is_travelled_through(tmp_path: Path) -> None:
    async with recording(tmp_path) as found:
        run_id = await found.rest("order", "ada")
        seen: asyncio.Queue[Sight] = asyncio.Queue()
        travel = Travel(Replays(found.session, targets=["flow.py"]), seen.put_nowait)
        travel.go(run_id, 5)
        sight = await asyncio.wait_for(seen.get(), 20)
        assert sight.moment is not None
        assert (sight.seq, sight.moment.seq) == (5, 5)
        assert sight.moment.tasks[0].frames[0].function == "order"
        await travel.close()
