"""A soak: runs go through while their code is saved and their processes are killed at random.

Short by default; `SOAK_SECONDS=600 python -m pytest tests/wfstudio/dev/test_soak.py -s` is the long form.
"""

from __future__ import annotations

import asyncio
import os
import random
import signal
from collections import Counter
from pathlib import Path

from tests.wfstudio.dev.stage import Dev, Project, developing, until
from wf import events

SECONDS = float(os.environ.get("SOAK_SECONDS", "6"))
SEED = int(os.environ.get("SOAK_SEED", "11"))

FLOW = """
    import asyncio
    import wf

    @wf.step(max_retries=1000, retry_delay="10ms")
    async def work(number: int) -> int:
        await asyncio.sleep(0.02)
        return number + 1  # edit EDIT

    @wf.workflow
    async def main(number: int) -> int:
        for _ in range(3):
            number = await work(number)
            await wf.sleep("20ms")
        return number
"""


def test_every_run_ends_right_whatever_happens_to_its_code_and_its_processes(tmp_path: Path) -> None:
    project = Project(tmp_path / "project")
    project.write("flow.py", FLOW)
    chance = random.Random(SEED)
    done: Counter[str] = Counter()

    async def disturb(dev: Dev, until_time: float) -> None:
        loop = asyncio.get_running_loop()
        while loop.time() < until_time:
            await asyncio.sleep(chance.uniform(0.02, 0.4))
            if chance.random() < 0.6:
                done["saves"] += 1
                text = FLOW.replace("EDIT", str(done["saves"]))
                if chance.random() < 0.15:
                    text += "\n    def broken(:\n"
                project.write("flow.py", text)
                dev.supervisor.files_changed(["flow.py"])
            else:
                current = dev.supervisor.status()["current"]
                if current and current["pids"]:
                    done["kills"] += 1
                    os.kill(chance.choice(current["pids"]), signal.SIGKILL)

    async def perform() -> None:
        async with developing(project, size=2) as dev:
            loop = asyncio.get_running_loop()
            end = loop.time() + SECONDS
            disturbing = asyncio.create_task(disturb(dev, end))
            runs = []
            while loop.time() < end:
                runs.append((len(runs), await dev.start("main", len(runs))))
                await asyncio.sleep(chance.uniform(0, 0.05))
            await disturbing
            project.write("flow.py", FLOW)
            dev.supervisor.files_changed(["flow.py"])
            for number, run in runs:
                assert await run.return_value("60s") == number + 3
            for _, run in runs:
                log = await dev.session.world.read_events(run.run_id)
                assert [event.seq for event in log] == list(range(1, len(log) + 1))
                ends = Counter(event.correlation_id for event in log if event.type == events.STEP_COMPLETED)
                assert set(ends.values()) == {1}, "a step has one recorded result"
            await until(lambda: not dev.supervisor.status()["pegged"], "no old code is served any more")
            print(f"{len(runs)} runs, {done['saves']} saves, {done['kills']} kills, seed {SEED}, {SECONDS:g} s")

    asyncio.run(perform())
