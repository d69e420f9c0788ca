"""Benches of `wf dev`: forked from its warm parent, and as harmless as any other."""

from __future__ import annotations

import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.wfstudio.dev.process import serving
from tests.wfstudio.dev.stage import Dev, Project, developing, until
from wfstudio.core.errors import BenchError
from wfstudio.core.replays import Replays

FLOW = """
    import wf

    @wf.step
    async def greet(name: str) -> str:
        print("greeting", name)
        return f"hello {name}"

    @wf.workflow
    async def welcome(name: str) -> str:
        word = await greet(name)
        answer = await wf.hook(token=name)
        return f"{word} {answer}"
"""


@asynccontextmanager
async def replaying(dev: Dev) -> AsyncIterator[Replays]:
    replays = Replays(dev.session, targets=["flow.py"], launch=dev.supervisor.fleet.start_bench)
    try:
        yield replays
    finally:
        await replays.close()


async def test_a_bench_is_forked_from_the_warm_parent_and_ends_with_its_question(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev, replaying(dev) as replays:
        run = await dev.start("welcome", "ada")
        await dev.wait_for_hook(run)
        assert (await replays.replay_run(run.run_id)).outcome == "clean"
        view = await replays.look(run.run_id, "last")
        assert (view.is_own, view.tasks[0].frames[0].function) == (True, "welcome")
        [trip] = replays._time_travel._trips.values()
        pid = trip.loaded.bench.pid
        assert parent_of(pid) == dev.supervisor.fleet._nursery._process.pid
        step = await replays.replay_step(run.run_id, "greet")
        assert (step.outcome, [line.text for line in step.logs]) == ("same", ["greeting ada"])
        await replays.close()
        await until(lambda: not Path(f"/proc/{pid}").exists(), "the bench has ended")
        assert await run.status() == "running"


async def test_a_run_of_older_code_is_looked_at_after_a_save(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev, replaying(dev) as replays:
        run = await dev.start("welcome", "ada")
        await dev.wait_for_hook(run)
        old = await dev.deployment_of(run)
        await dev.save("flow.py", FLOW.replace("await greet(name)", "await greet(name + '!')"))
        assert await dev.deployment_of(run) == old
        assert (await replays.replay_run(run.run_id)).outcome == "diverges"
        assert (await replays.replay_run(run.run_id, deployment="own")).outcome == "clean"
        view = await replays.look(run.run_id, 4)
        assert (view.deployment_id, view.is_own) == (old, True)
        [text] = [line.text for line in view.tasks[0].frames[0].source if "hook" in line.text]
        assert text == "    answer = await wf.hook(token=name)"


async def test_code_that_dies_on_a_bench_says_what_it_printed_and_leaves_the_workers_alone(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev, replaying(dev) as replays:
        run = await dev.start("welcome", "ada")
        await dev.wait_for_hook(run)
        project.write(
            "flow.py", FLOW.replace('print("greeting", name)', 'print("bye", flush=True); import os; os._exit(9)')
        )
        with pytest.raises(BenchError, match="exited with code 9; it printed last:\nbye"):
            await replays.replay_step(run.run_id, "greet")
        assert dev.supervisor.fleet.current is not None
        assert all(worker.is_alive for worker in dev.supervisor.fleet.current.workers)
        assert dev.told("worker") == []


async def test_a_warm_parent_that_died_is_replaced_for_a_bench_too(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    async with developing(project) as dev, replaying(dev) as replays:
        run = await dev.start("welcome", "ada")
        await dev.wait_for_hook(run)
        await replays.look(run.run_id, "last")
        os.kill(dev.supervisor.fleet._nursery._process.pid, signal.SIGKILL)
        assert (await replays.replay_run(run.run_id)).outcome == "clean"
        assert (await replays.look(run.run_id, "last")).seq == 5


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


@pytest.mark.acceptance
def test_a_running_wf_dev_answers_all_of_it_over_http_and_goes_on(tmp_path: Path) -> None:
    project = Project(tmp_path)
    project.write("flow.py", FLOW)
    with serving(project) as dev:
        dev.wait_for("reload")
        run_id = dev.call("POST", "/api/runs", {"workflow": "welcome", "args": ["ada"]})["id"]
        dev.wait_for_run(run_id, lambda run: (run["reason"] or "").startswith("waiting for hook"))
        assert dev.call("POST", f"/api/runs/{run_id}/replay", {})["outcome"] == "clean"
        assert dev.call("POST", "/api/replay", {})["clean"] == 1
        assert dev.call("POST", f"/api/runs/{run_id}/steps/greet/replay", {})["outcome"] == "same"
        assert dev.call("GET", f"/api/runs/{run_id}/at/last")["tasks"][0]["awaits"]["text"] == "hook ada"
        dev.call("POST", "/api/hooks/ada/resume", {"payload": "there"})
        ended = dev.wait_for_run(run_id, lambda run: run["ended_at"] is not None)
        assert ended["output"] == "hello ada there"
        assert dev.call("GET", f"/api/runs/{run_id}/at/last")["end"]["value"]["text"] == "'hello ada there'"
        assert dev.stop() == 0
