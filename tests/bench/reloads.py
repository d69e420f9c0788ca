"""Reloads: from a save to new code that serves, and to a verdict on all runs in flight.

A real `wf dev` is watched through its output, so the watcher, the process that loads the code and the
printing are in the figures.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from tests.bench.reading import Reading
from tests.wfstudio.dev.process import Process, serving
from tests.wfstudio.dev.stage import Project

FLOW = """
import wf


@wf.step
async def greet(name: str) -> str:
    return f"hello {name}, edit EDIT"


@wf.workflow
async def main(name: str) -> str:
    for _ in range(3):
        await greet(name)
    return await wf.hook(token=f"ask:{name}")
"""


async def measure_reload(is_quick: bool) -> list[Reading]:
    """Saves with nothing in flight, then with 100 runs that wait for a hook; all of them replay clean."""
    n, in_flight = (3 if is_quick else 10), 100
    with tempfile.TemporaryDirectory() as folder:
        project = Project(Path(folder) / "project")
        project.write("flow.py", FLOW)
        with serving(project) as process:
            process.wait_for("reload")
            served = [save(process, project, number) for number in range(n)]
            for number in range(in_flight):
                process.call("POST", "/api/runs", {"workflow": "main", "args": [f"n{number}"]})
            last = process.call("GET", "/api/runs?limit=1")["items"][0]["id"]
            process.wait_for_run(last, lambda run: "waiting for hook" in (run["reason"] or ""))
            judged = [save(process, project, n + number, clean=in_flight) for number in range(n)]
            process.stop()  # one that is killed leaves workers, which look after the world for a moment
    note = f"{min(served):.0f} to {max(served):.0f} ms"
    return [
        Reading("save-to-serving", median(served), n, note),
        Reading(
            "save-to-verdict", median(judged) / 1000, n, f"{in_flight} runs; {min(judged):.0f} to {max(judged):.0f} ms"
        ),
    ]


def save(process: Process, project: Project, number: int, *, clean: int = 0) -> float:
    """Save an edit and give the milliseconds until the line that tells of it."""
    began = perf_counter()
    (project.root / "flow.py").write_text(FLOW.replace("EDIT", str(number)))
    reload = process.wait_for("reload")
    took = (perf_counter() - began) * 1000
    if (reload["outcome"], reload["clean"]) != ("loaded", clean):
        raise AssertionError(f"the reload went otherwise: {reload}")
    return took


async def measure_help(is_quick: bool) -> list[Reading]:
    """`wf --help` as a whole process."""
    n = 5 if is_quick else 15
    times = [time_help() for _ in range(n + 1)][1:]
    return [Reading("wf-help", median(times), n, f"{min(times):.0f} to {max(times):.0f} ms")]


def time_help() -> float:
    began = perf_counter()
    subprocess.run(
        [sys.executable, "-m", "wfstudio", "--help"],
        check=True,
        stdout=subprocess.DEVNULL,
        env={**os.environ, "NO_COLOR": "1"},
    )
    return (perf_counter() - began) * 1000
