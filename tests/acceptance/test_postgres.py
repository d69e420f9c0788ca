"""Postgres from outside: processes that share nothing but a database."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.postgres import Cluster
from tests.reliability.stage import KEY, Place

FLOW = """
    import asyncio, os, signal
    import wf


    @wf.step(retry_delay=0)
    async def work(n: int) -> int:
        info = wf.get_step_metadata()
        with open(os.environ["EFFECTS"], "a") as file:
            file.write(f"{info.step_id} {info.attempt}\\n")
        await asyncio.sleep(0.02)
        if "VICTIM" in os.environ and os.path.exists("now"):
            os.kill(os.getpid(), signal.SIGKILL)  # by itself, so that the kill cuts an attempt off
        return n + 1


    @wf.workflow(name="chain")
    async def chain(n: int) -> int:
        value = 0
        for _ in range(n):
            value = await work(value)
            await wf.sleep("5ms")
        return value
"""

WORKER = """
    load_target("flow")
    async with wf.worker(capture_logs=False, concurrency=8):
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
"""


@pytest.fixture
def place(tmp_path: Path, emptied_postgres_url: str) -> Place:
    made = Place(tmp_path)
    made.environ |= {"WF_WORLD": emptied_postgres_url, "WF_DURABILITY": "power"}
    made.write(FLOW)
    return made


def wf_command(place: Place, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "wfstudio", *arguments],
        cwd=place.folder, env=place.environ, capture_output=True, text=True, timeout=60,
    )  # fmt: skip


def test_a_worker_that_is_killed_is_replaced_by_another_and_every_step_has_one_result(place: Place) -> None:
    workers = [place.spawn(WORKER, VICTIM="1"), place.spawn(WORKER)]
    try:
        for worker in workers:
            assert worker.stdout is not None
            assert worker.stdout.readline() == "ready\n"
        done = place.run(
            """
            load_target("flow")
            runs = [await wf.start(flow.chain, 12) for _ in range(20)]

            async def are_busy():
                path = os.environ["EFFECTS"]
                return os.path.exists(path) and len(open(path).readlines()) > 40

            await until(are_busy)
            open("now", "x").close()
            print(json.dumps([await run.return_value(timeout=40) for run in runs]))
            """.replace("load_target", "import flow; load_target")
        )
        assert json.loads(done.stdout) == [12] * 20
        assert workers[0].wait(10) == -signal.SIGKILL
        effects = place.effects()
        assert len(effects) == 20 * 12
        assert all(attempts == sorted(set(attempts)) for attempts in effects.values()), "no attempt ran twice"
        assert any(attempts[-1] > 1 for attempts in effects.values()), "the kill cut something off"

        shown = wf_command(place, "doctor", "--verify", "--json")
        assert shown.returncode == 1, "the tests' server does not fsync, and it says so"
        checks = {check["name"]: check for check in json.loads(shown.stdout)["checks"]}
        assert checks["durability"]["detail"] == "the server has fsync = off: a power cut may ruin it"
        assert checks["workers"]["detail"] == "1 announced"
        assert checks["logs"]["detail"].startswith("20 runs with ")
    finally:
        for worker in workers:
            worker.kill()
            worker.communicate()


def test_every_command_finds_a_world_in_a_database(place: Place) -> None:
    assert wf_command(place, "run", "flow.py:chain", "2").stdout == "2\n"
    listed = wf_command(place, "inspect")
    assert "completed" in listed.stdout
    asked = wf_command(place, "query", "SELECT status, count(*) FROM runs GROUP BY ALL", "--json")
    assert '"completed"' in asked.stdout
    forgotten = wf_command(place, "gc", "--keep", "0", "-y")
    assert forgotten.returncode == 0, forgotten.stderr
    assert "completed" not in wf_command(place, "inspect").stdout


def test_a_machine_without_the_worlds_key_is_told_so(place: Place) -> None:
    assert wf_command(place, "run", "flow.py:chain", "1").returncode == 0
    del place.environ["WF_KEY"]
    refused = wf_command(place, "run", "flow.py:chain", "1")
    assert refused.returncode == 1
    assert "is sealed with other keys" in refused.stderr
    assert "fix: give all processes of the world the same keys" in refused.stderr
    assert KEY not in refused.stderr


def test_a_database_that_is_not_there_is_named_without_its_password(place: Place, postgres: Cluster) -> None:
    place.environ["WF_WORLD"] = f"postgresql://locked:hunter2@127.0.0.1:{postgres.port}/postgres"
    refused = wf_command(place, "inspect")
    assert refused.returncode == 1
    assert refused.stderr.startswith(
        f"the database of the world postgresql://…@127.0.0.1:{postgres.port}/postgres refused"
    )
    assert "hunter2" not in refused.stderr + refused.stdout
    assert "Traceback" not in refused.stderr


def test_nothing_of_postgres_is_loaded_for_another_world(tmp_path: Path) -> None:
    program = (
        "import sys, wf, wf.session, wfstudio.cli.app\n"
        "from wf.settings import load_settings\n"
        "wf.session.make_world(load_settings(), role='client')\n"
        "print([name for name in sys.modules if name.startswith(('psycopg', 'wf.worlds.postgres'))])"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env=os.environ, capture_output=True, text=True)
    assert done.stdout == "[]\n", done.stderr
