"""Worker processes: their ends in words, and a warm parent that is replaced when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from pathlib import Path

import pytest

from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Project, until
from wf.worker.verdicts import Verdict
from wfstudio.core.bench.process import open_bench
from wfstudio.dev.wire import Judge, Judged, NotLoaded, Order, encode_line
from wfstudio.dev.workers import Nursery, WorkerGone, WorkerProcess, describe_status


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (0, "ended"),
        (3 << 8, "exited with code 3"),
        (signal.SIGSEGV, "killed by SIGSEGV"),
        (signal.SIGKILL, "killed by SIGKILL"),
    ],
)
def test_an_end_is_said_in_words(status: int, words: str) -> None:
    assert describe_status(status) == words


def make_order(tmp_path: Path) -> Order:
    project = Project(tmp_path / "project")
    project.write("flow.py", "import time\ntime.sleep(60)\n")
    return Order(str(project.root), ["flow.py"], "memory://", "process", 1)


def test_a_process_that_does_not_answer_is_given_up_after_a_while_and_killed(tmp_path: Path) -> None:
    async def perform() -> None:
        nursery = Nursery()
        worker = await nursery.start(make_order(tmp_path))
        with pytest.raises(WorkerGone, match="no answer"):
            await worker.hear(0.05)
        worker.kill()
        assert await worker.ended == "killed by SIGKILL"
        await nursery.close()

    asyncio.run(perform())


def test_the_last_words_of_a_process_are_heard_although_its_end_came_first(tmp_path: Path) -> None:
    async def perform() -> None:
        ours, theirs = socket.socketpair()
        theirs.sendall(encode_line(NotLoaded("load", "there is no file")))
        theirs.close()
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = WorkerProcess(4_000_000, make_order(tmp_path), reader, writer)
        worker.bury(1 << 8)
        assert await worker.ended == "exited with code 1"
        assert await worker.hear(5) == NotLoaded("load", "there is no file")
        with pytest.raises(WorkerGone, match="closed its connection"):
            await worker.hear(5)
        await writer.wait_closed()

    asyncio.run(perform())


def test_an_answer_that_comes_late_is_not_taken_for_the_one_to_the_next_question(tmp_path: Path) -> None:
    async def perform() -> None:
        ours, theirs = socket.socketpair()
        reader, writer = await asyncio.open_connection(sock=ours)
        worker = WorkerProcess(4_000_000, make_order(tmp_path), reader, writer)
        with pytest.raises(WorkerGone, match="no answer"):
            await worker.ask(Judge(["slow"]), Judged, 0.01)
        for run_id in ("slow", "next"):
            theirs.sendall(encode_line(Judged([Verdict(run_id, "flow:main", "clean")])))
        judged = await worker.ask(Judge(["next"]), Judged, 5)
        assert [verdict.run_id for verdict in judged.verdicts] == ["next"]
        theirs.recv(1 << 16)  # what it was asked: left unread it would break the connection
        theirs.close()
        worker.bury(0)
        await writer.wait_closed()

    asyncio.run(perform())


def test_a_start_that_is_cancelled_leaves_no_process_and_no_answer_for_the_next(tmp_path: Path) -> None:
    async def perform() -> None:
        nursery = Nursery()
        await nursery.open()
        order = make_order(tmp_path)
        for turns in range(12):  # cancelled in every place where it may wait
            starting = asyncio.create_task(nursery.start(order))
            for _ in range(turns):
                await asyncio.sleep(0)
            starting.cancel()
            await asyncio.gather(starting, return_exceptions=True)
            if not starting.cancelled():
                starting.result().kill()
            worker = await nursery.start(order)
            assert worker.is_alive
            worker.kill()
            assert await worker.ended == "killed by SIGKILL"
        await until(lambda: not nursery._workers, "no process is left")
        await nursery.close()

    asyncio.run(perform())


def test_a_bench_whose_opening_is_cancelled_leaves_no_process_no_descriptor_and_no_answer_for_the_next(
    tmp_path: Path,
) -> None:
    async def perform() -> None:
        nursery = Nursery()
        await nursery.open()
        before = count_descriptors()
        for turns in range(30):  # cancelled in every place where it may wait
            opening = asyncio.create_task(open_bench(nursery.start_bench))
            for _ in range(turns):
                await asyncio.sleep(0)
            opening.cancel()
            await asyncio.gather(opening, return_exceptions=True)
            if not opening.cancelled():
                await opening.result().close()
            worker = await nursery.start(make_order(tmp_path))
            assert worker.is_alive
            worker.kill()
            assert await worker.ended == "killed by SIGKILL"
        await until(lambda: not nursery._workers, "no process is left")
        await until(lambda: count_descriptors() == before, "no descriptor is left")
        await nursery.close()

    asyncio.run(perform())


def count_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_warm_parent_that_died_is_replaced_and_its_children_are_gone(tmp_path: Path) -> None:
    async def perform() -> None:
        nursery = Nursery()
        first = await nursery.start(make_order(tmp_path))
        assert nursery._process is not None
        os.kill(nursery._process.pid, signal.SIGKILL)
        assert await first.ended == "killed by SIGKILL"
        await until(lambda: not is_alive(first.pid), "the child is gone, too")
        second = await nursery.start(make_order(tmp_path))
        assert second.pid != first.pid
        second.kill()
        await second.ended
        await nursery.close()

    asyncio.run(perform())


def test_a_signal_to_the_whole_group_ends_neither_warm_parent_nor_workers(tmp_path: Path) -> None:
    """`timeout` and service managers send SIGTERM to all processes; the studio decides what becomes of them."""

    async def perform() -> None:
        nursery = Nursery()
        order = make_order(tmp_path)
        place = tmp_path / "loading"
        (tmp_path / "project" / "flow.py").write_text(
            f"import pathlib, time\npathlib.Path({str(place)!r}).touch()\ntime.sleep(60)\n"
        )
        worker = await nursery.start(order)
        await until(place.exists, "the code is being loaded")
        assert nursery._process is not None
        os.kill(nursery._process.pid, signal.SIGTERM)
        os.kill(worker.pid, signal.SIGTERM)
        other = await nursery.start(order)  # so the parent has lived on
        other.kill()
        await other.ended
        assert worker.is_alive
        worker.kill()
        assert await worker.ended == "killed by SIGKILL"
        await nursery.close()

    asyncio.run(perform())


def test_a_warm_parent_that_dies_while_it_is_asked_is_replaced_and_the_order_is_carried_out(tmp_path: Path) -> None:
    async def perform() -> None:
        nursery = Nursery()
        await nursery.open()
        for _ in range(5):  # nothing is awaited between its death and the order: nobody has noticed yet
            assert nursery._process is not None
            dead = nursery._process.pid
            os.kill(dead, signal.SIGKILL)
            worker = await nursery.start(make_order(tmp_path))
            assert worker.is_alive
            assert nursery._process.pid != dead
        worker.kill()
        await worker.ended
        await nursery.close()

    asyncio.run(perform())


def test_a_process_whose_parent_dies_as_soon_as_it_has_forked_it_is_known_to_be_dead(tmp_path: Path) -> None:
    async def perform() -> None:
        nursery = Nursery()
        fork = nursery._fork

        async def fork_and_die(order: Order, descriptors: list[int]) -> int:
            pid = await fork(order, descriptors)
            assert nursery._process is not None
            assert nursery._reading is not None
            os.kill(nursery._process.pid, signal.SIGKILL)
            await asyncio.wait([nursery._reading])
            return pid

        nursery._fork = fork_and_die  # type: ignore[method-assign]
        worker = await nursery.start(make_order(tmp_path))
        async with asyncio.timeout(PATIENCE_SECONDS):
            assert await worker.ended == "killed by SIGKILL"
        await nursery.close()

    asyncio.run(perform())


def test_no_process_outlives_the_nursery(tmp_path: Path) -> None:
    async def perform() -> int:
        nursery = Nursery()
        worker = await nursery.start(make_order(tmp_path))
        assert nursery._process is not None
        parent = nursery._process.pid
        worker._writer.close()
        await nursery.close()
        assert not is_alive(parent)
        return worker.pid

    pid = asyncio.run(perform())

    async def is_gone() -> None:
        await until(lambda: not is_alive(pid), "the worker is gone")

    asyncio.run(is_gone())


def is_alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False
