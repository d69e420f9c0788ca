"""`wf dev` as its user has it: a process of its own, spoken to through its output, its API and signals."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from tests.wf.worlds.acts import T0, own
from tests.wfstudio.dev.process import Process, serving
from tests.wfstudio.dev.stage import PATIENCE_SECONDS, Project
from tests.wfstudio.dev.test_reload import CLEAN, DIVERGING, GREETER
from wf.keys import Keyring
from wf.worlds.sqlite import SqliteWorld


@pytest.fixture
def project(tmp_path: Path) -> Project:
    made = Project(tmp_path / "project")
    made.write("flow.py", GREETER)
    return made


def start_waiting_run(process: Process) -> str:
    run_id: str = process.call("POST", "/api/runs", {"workflow": "main", "args": ["ada"]})["id"]
    process.wait_for_run(run_id, lambda run: "waiting for hook" in (run["reason"] or ""))
    return run_id


def test_what_user_code_prints_is_not_among_the_json(project: Project) -> None:
    project.write("flow.py", GREETER.replace('return f"hello', 'print("printed by a step")\n        return f"hello'))
    with serving(project) as process:
        process.wait_for("reload")
        run_id = start_waiting_run(process)
        assert [line["text"] for line in process.call("GET", f"/api/runs/{run_id}/logs")["items"]] == [
            "printed by a step"
        ]
        assert process.stop() == 0
        assert process.popen.stderr is not None
        assert "printed by a step" in process.popen.stderr.read()


def test_it_forgets_what_the_projects_retention_lets_go(project: Project) -> None:
    async def fill() -> None:
        Keyring.load(project.root / ".wf" / "key", {})  # as whoever makes a world makes its key
        world = SqliteWorld(project.root / ".wf" / "world.db")
        await world.open()
        for number in range(3):
            owner = await own(world, f"run-{number}", at=T0 - 10 + number)
            await owner.end()
            await owner.release()
        await world.close()

    asyncio.run(fill())
    project.write("pyproject.toml", '[project]\nname = "x"\n[tool.wf]\nretention = 1\n')
    with serving(project) as process:
        told = process.wait_for("retention")
        assert (told["runs"], told["message"]) == (2, "2 old runs deleted (retention 1 run)")
        assert [run["id"] for run in process.call("GET", "/api/runs")["items"]] == ["run-2"]
        assert process.stop() == 0


def test_a_run_waits_while_its_code_is_edited_and_completes_on_its_own(project: Project) -> None:
    with serving(project) as process:
        assert process.wait_for("reload")["workflows"] == 1
        run_id = start_waiting_run(process)
        project.write("flow.py", CLEAN)
        clean = process.wait_for("reload")
        assert (clean["files"], clean["clean"], clean["diverging"]) == (["flow.py"], 1, [])
        project.write("flow.py", DIVERGING)
        (verdict,) = process.wait_for("reload")["diverging"]
        assert verdict["run_id"] == run_id
        assert process.call("GET", "/api/dev")["status"]["diverging"][0]["run_id"] == run_id
        process.call("POST", "/api/hooks/ask:ada/resume", {"payload": "yes"})
        run = process.wait_for_run(run_id, lambda run: run["status"] != "running")
        assert (run["status"], run["output"]) == ("completed", ["hello ada", "yes", "so long ada"])
        assert process.stop() == 0
        assert not (project.root / ".wf" / "studio.json").exists()


@pytest.mark.parametrize("victim", ["studio", "worker"])
def test_nothing_is_lost_when_either_process_is_killed(project: Project, victim: str) -> None:
    with serving(project) as process:
        process.wait_for("reload")
        run_id = start_waiting_run(process)
        if victim == "worker":
            os.kill(process.call("GET", "/api/dev")["status"]["current"]["pids"][0], signal.SIGKILL)
            assert process.wait_for("worker")["cause"] == "killed by SIGKILL"
            process.call("POST", "/api/hooks/ask:ada/resume", {"payload": "yes"})
            run = process.wait_for_run(run_id, lambda run: run["status"] == "completed")
            assert run["output"] == ["hello ada", "yes", "bye ada"]
            return
        process.popen.kill()
    with serving(project) as process:
        process.wait_for("reload")
        process.call("POST", "/api/hooks/ask:ada/resume", {"payload": "yes"})
        run = process.wait_for_run(run_id, lambda run: run["status"] == "completed")
        assert run["output"] == ["hello ada", "yes", "bye ada"]


def start_sleeping_run(process: Process) -> str:
    """Start a run that sleeps for a moment, and give it while it does; on a busy machine one may be over before."""
    while True:
        run_id: str = process.call("POST", "/api/runs", {"workflow": "main", "args": ["ada"]})["id"]
        run = process.wait_for_run(run_id, lambda run: "sleeping" in (run["reason"] or "") or run["ended_at"])
        if run["ended_at"] is None:
            return run_id


def test_a_machine_that_slept_goes_on_where_it_was(project: Project) -> None:
    project.write(
        "flow.py",
        """
        import wf

        @wf.step
        async def note(text: str) -> str:
            return text

        @wf.workflow
        async def main(name: str) -> str:
            await wf.sleep("500ms")
            return await note(name)
        """,
    )
    with serving(project) as process:
        process.wait_for("reload")
        pids = [process.popen.pid, *process.call("GET", "/api/dev")["status"]["current"]["pids"]]
        run_id = start_sleeping_run(process)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        time.sleep(1.5)  # the sleep of the run is over while nobody is awake
        for pid in reversed(pids):
            os.kill(pid, signal.SIGCONT)
        run = process.wait_for_run(run_id, lambda run: run["status"] != "running")
        assert (run["status"], run["output"]) == ("completed", "ada")
        assert process.call("GET", "/api/dev")["status"]["current"]["pids"] == pids[1:]


def test_a_second_one_on_the_same_world_says_where_the_first_is(project: Project) -> None:
    with serving(project) as process:
        process.wait_for("reload")
        with serving(project) as second:
            assert second.popen.wait(PATIENCE_SECONDS) == 3
            assert second.popen.stderr is not None
            words = second.popen.stderr.read()
            assert process.server["url"] in words
            assert str(process.popen.pid) in words
        assert process.call("GET", "/health")


def test_a_port_that_is_taken_is_followed_by_the_next_unless_told_otherwise(project: Project, tmp_path: Path) -> None:
    other = Project(tmp_path / "other")
    other.write("flow.py", GREETER)
    with serving(project) as process:
        process.wait_for("reload")
        port = int(process.server["url"].rpartition(":")[2])
        with serving(other, "--port", str(port)) as second:
            second.wait_for("reload")
            assert int(second.server["url"].rpartition(":")[2]) > port
        with serving(other, "--port", str(port), "--strict-port") as third:
            assert third.popen.wait(PATIENCE_SECONDS) == 2
            assert third.popen.stderr is not None
            assert f"the port {port} is taken" in third.popen.stderr.read()


def test_it_does_not_listen_to_others_without_a_token_that_was_chosen(project: Project) -> None:
    for options, said in (
        (["--host", "0.0.0.0"], "--host 0.0.0.0 needs a token that its callers know\n  fix: `--token`, or WF_TOKEN"),
        (["--host", "0.0.0.0", "--token", "secret"], "--token: 6 characters can be guessed; give 32 or more\n"),
    ):
        with serving(project, *options) as process:
            assert process.popen.wait(PATIENCE_SECONDS) == 2
            assert process.popen.stderr is not None
            assert process.popen.stderr.read().startswith(said)


def test_code_that_does_not_load_at_first_is_shown_and_a_good_save_serves(project: Project) -> None:
    project.write("flow.py", "import nothing_of_this_name\n")
    with serving(project) as process:
        assert process.wait_for("reload")["outcome"] == "not_loaded"
        project.write("flow.py", GREETER)
        assert process.wait_for("reload")["outcome"] == "loaded"
        start_waiting_run(process)


def test_a_world_of_a_newer_version_is_refused_in_words(project: Project) -> None:
    import sqlite3

    with serving(project) as process:
        process.wait_for("reload")
        assert process.stop() == 0
    connection = sqlite3.connect(project.root / ".wf" / "world.db")
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    with serving(project) as process:
        assert process.popen.wait(PATIENCE_SECONDS) == 1
        assert process.popen.stderr is not None
        assert "written by a newer wf" in process.popen.stderr.read()


def test_a_stop_ends_streams_and_attempts_in_bounded_time_and_a_second_one_at_once(project: Project) -> None:
    project.write(
        "flow.py",
        """
        import asyncio
        import wf

        @wf.step
        async def endless() -> None:
            await asyncio.sleep(600)

        @wf.workflow
        async def main(name: str) -> None:
            await endless()
        """,
    )
    with serving(project) as process:
        process.wait_for("reload")
        run_id = process.call("POST", "/api/runs", {"workflow": "main", "args": ["ada"]})["id"]
        process.wait_for_run(run_id, lambda run: run["status"] == "running")
        process.popen.send_signal(signal.SIGINT)
        time.sleep(0.3)  # a second signal in the same instant is the first one
        process.popen.send_signal(signal.SIGINT)
        assert process.popen.wait(PATIENCE_SECONDS) in (0, 130)
    with serving(project) as process:
        process.wait_for("reload")
        run = process.wait_for_run(run_id, lambda run: run["status"] == "running")
        assert run["attention"] is None
