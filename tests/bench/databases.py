"""Databases: what a step and a crowd cost where the world is in Postgres, on this machine and with its disk."""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from time import perf_counter

import wf
from tests.bench import flows
from tests.bench.reading import Reading
from tests.bench.steps import time_run
from tests.postgres import Cluster
from tests.programs import find_postgres


@contextmanager
def served() -> Iterator[Cluster]:
    """A server of its own, which fsyncs; on the disk of the temporary folder."""
    binaries = find_postgres()
    if binaries is None:
        raise SystemExit("no Postgres here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="wf-bench-pg-"))
    folder.chmod(0o755)
    cluster = Cluster(binaries, folder, is_durable=os.environ["WF_DURABILITY"] == "power")
    try:
        cluster.make()
        yield cluster
    finally:
        cluster.stop()
        shutil.rmtree(folder, ignore_errors=True)


async def measure_postgres(is_quick: bool) -> list[Reading]:
    """The slope between a short and a long run, and five steps each of many runs at once."""
    with served() as cluster:
        os.environ["WF_WORLD"] = cluster.new_url()
        async with wf.worker():
            for _ in range(10):
                await time_run(10)
            n, short, long = (2 if is_quick else 5), 20, 220
            slopes = [(await time_run(long) - await time_run(short)) / (long - short) * 1000 for _ in range(n)]
            crowd = 100 if is_quick else 2000
            began = perf_counter()
            runs = await asyncio.gather(*(wf.start(flows.run_steps, 5) for _ in range(crowd)))
            await asyncio.gather(*(run.return_value() for run in runs))
            rate = 5 * crowd / (perf_counter() - began)
    return [
        Reading("postgres", median(slopes), n, f"a step, {min(slopes):.2f} to {max(slopes):.2f} ms"),
        Reading("postgres-throughput", rate, 1, f"{crowd} runs of 5 steps"),
    ]
