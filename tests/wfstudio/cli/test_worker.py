"""`wf worker` and `wf serve`: real processes, told to stop as production does."""

from __future__ import annotations

import asyncio
import io
import json
import os
import signal
import stat
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.forker import FORKER
from tests.wfstudio.studio import open_studio, run
from wf.errors import WorldError
from wf.session import Session
from wf.world import RunRow, World
from wfstudio.cli.journal import Journal
from wfstudio.cli.terminal import Terminal
from wfstudio.cli.worker import tell_troubles

TOKEN = "t" * 32


class Process:
    """A `wf` that runs, and what it says as JSON lines."""

    def __init__(self, popen: subprocess.Popen[str]) -> None:
        self.popen = popen
        self.told: list[dict[str, Any]] = []

    def wait_for(self, event: str) -> dict[str, Any]:
        assert self.popen.stdout is not None
        for line in self.popen.stdout:
            self.told.append(json.loads(line))
            if self.told[-1]["event"] == event:
                return self.told[-1]
        raise AssertionError(f"it ended without {event}: {self.told}")

    def stop(self) -> int:
        self.popen.send_signal(signal.SIGTERM)
        self.wait_for("stopped")
        return self.popen.wait(20)


@contextmanager
def running(*words: str) -> Iterator[Process]:
    command = [sys.executable, "-m", "wfstudio", *words, "--json"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as popen:
        try:
            yield Process(popen)
        finally:
            if popen.poll() is None:
                popen.kill()
            popen.communicate()


def test_a_worker_runs_what_is_started_until_it_is_told_to_stop(project: Path, wf_cli: Wf) -> None:
    with running("worker") as worker:
        ready = worker.wait_for("ready")
        assert ready["workflows"] == ["shop_flow:pay", "shop_flow:order", "shop_flow:approve"]
        assert ready["world"] == f"sqlite:///{project}/.wf/world.db"
        assert wf_cli("start", "pay", '"ada"', "--wait").json == {"card": "ada", "amount": 3}
        assert wf_cli("start", "pay", '"bad"', "--wait").code == 1
        failed = worker.wait_for("run_failed")
        assert (failed["workflow"], failed["code"]) == ("shop_flow:pay", "USER_ERROR")
        waiting = wf_cli("start", "approve", '"docs"', "--id", "docs")
        assert waiting.err == "", "somebody serves this world"
        assert worker.stop() == 0
    assert [line["event"] for line in worker.told] == ["ready", "run_failed", "stopping", "stopped"]


def test_a_step_that_ends_a_process_of_its_own_does_not_stop_the_worker(project: Path, wf_cli: Wf) -> None:
    (project / "forker.py").write_text(FORKER)
    with running("worker", "forker.py") as worker:
        worker.wait_for("ready")
        assert wf_cli("start", "forker", "--wait").json == -signal.SIGTERM
        assert worker.stop() == 0
    assert [line["event"] for line in worker.told] == ["ready", "stopping", "stopped"]


@pytest.mark.parametrize("command", [["worker"], ["serve", "--port", "0"]])
def test_it_forgets_what_the_projects_retention_lets_go(project: Path, wf_cli: Wf, command: list[str]) -> None:
    for name in "abc":
        assert wf_cli("run", "shop_flow.py:pay", f'"{name}"', "--quiet").code == 0
    (project / "pyproject.toml").write_text("[tool.wf]\nretention = 1\n")
    with running(*command) as worker:
        told = worker.wait_for("retention")
        assert (told["runs"], told["message"]) == (2, "2 old runs deleted (retention 1 run)")
        [left] = wf_cli("inspect", "--json").json["items"]
        assert wf_cli("inspect", left["id"], "--json").json["input"] == {"card": "c"}
        assert worker.stop() == 0


async def test_a_world_that_is_away_for_a_moment_does_not_end_the_worker() -> None:
    class Away:
        """A world of which the first read fails."""

        def __init__(self, world: World) -> None:
            self.subscribe = world.subscribe
            self._get_run = world.get_run
            self._has_failed = False

        async def get_run(self, run_id: str) -> RunRow | None:
            if not self._has_failed:
                self._has_failed = True
                raise WorldError("the database does not answer")
            return await self._get_run(run_id)

    said = io.StringIO()
    async with open_studio() as client, asyncio.timeout(20):
        session = client.session
        away: Any = Away(session.world)
        journal = Journal(Terminal(said), is_json=True)
        telling = asyncio.create_task(tell_troubles(journal, Session(away, session.keyring, session.settings)))
        while "run_failed" not in said.getvalue() and not telling.done():
            await run(client, "fail", "no money")
        telling.cancel()
        assert not telling.done()
        await asyncio.gather(telling, return_exceptions=True)
    first, *_ = [json.loads(line) for line in said.getvalue().splitlines()]
    assert first["event"] == "warning"
    assert first["message"].endswith(" could not be looked at: the database does not answer")


def test_a_project_that_does_not_load_is_no_worker(project: Path, wf_cli: Wf) -> None:
    (project / "shop_flow.py").write_text("import wf\n1 / 0\n")
    told = wf_cli("worker")
    assert told.code == 2
    assert "ZeroDivisionError: division by zero\n" in told.err
    assert not (project / ".wf").exists()


def test_a_grace_that_is_no_duration_is_refused(project: Path, wf_cli: Wf) -> None:
    told = wf_cli("worker", "--grace", "soon")
    assert (told.code, told.err.splitlines()[0].startswith("--grace: 'soon' is not a duration")) == (2, True)


def test_a_server_answers_who_shows_the_token(project: Path, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_TOKEN", TOKEN)
    with running("serve", "--port", "0") as server:
        url = server.wait_for("serving")["url"]
        assert ask(f"{url}/api/runs", TOKEN) == (200, {"items": [], "cursor": None})
        assert ask(f"{url}/api/runs", "another")[0] == 401
        file = project / ".wf" / "studio.json"
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert json.loads(file.read_text())["url"] == url
        assert wf_cli("inspect", "runs", "--url").out == f"{url}/runs\n"
        told = wf_cli("serve", "--port", "0")
        assert (told.code, told.err.splitlines()[0]) == (
            3,
            f"this world is served already: {url}, process {server.popen.pid}",
        )
        server.wait_for("ready")
        assert server.stop() == 0
        assert not file.exists()
    assert TOKEN not in json.dumps(server.told)


def ask(url: str, token: str) -> tuple[int, Any]:
    request = urllib.request.Request(url, headers={"authorization": f"Bearer {token}"})
    try:
        with urllib.request.urlopen(request, timeout=10) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, None


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["--host", "0.0.0.0", "--token", TOKEN], "--host 0.0.0.0 lets other machines in\n"),
        (["--host", "0.0.0.0", "--allow-remote"], "--host 0.0.0.0 needs a token that its callers know\n"),
        (["--token", "short"], "--token: 5 characters can be guessed; give 32 or more\n"),
    ],
)
def test_nobody_is_let_in_by_accident(words: list[str], text: str, project: Path, wf_cli: Wf) -> None:
    told = wf_cli("serve", *words)
    assert told.code == 2
    assert told.err.startswith(text)
    assert not (project / ".wf").exists()


def test_a_port_that_is_taken_is_refused(project: Path, wf_cli: Wf) -> None:
    with running("serve", "--port", "0") as server:
        port = server.wait_for("serving")["url"].rpartition(":")[2]
        told = wf_cli("serve", "--port", port, "--world", "sqlite:///other.db")
        assert told.code == 2
        assert told.err.startswith(f"the port {port} is taken\n  fix: stop what uses it")
        assert os.path.exists(project / "shop_flow.py")
