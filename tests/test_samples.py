"""The sample projects: their own tests pass, and what their READMEs promise happens."""

from __future__ import annotations

import ast
import json
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import IO, Any

import pytest

import do

ROOT = Path(__file__).resolve().parents[1]
SAMPLES = sorted(path.parent for path in (ROOT / "sample_projects").glob("*/pyproject.toml"))
SITE_BUILDER = ROOT / "sample_projects" / "site_builder"

SECONDS = 60.0
"""What has not ended by then counts as hung, and is killed."""


def environment(**extra: str) -> dict[str, str]:
    """Give this process's environment without anybody's settings of wf and pytest."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "PYTEST_"))}
    return {**kept, "PYTHONDONTWRITEBYTECODE": "1", **extra}


def test_the_site_builder_is_among_them() -> None:
    assert SITE_BUILDER in SAMPLES


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_samples_own_tests_pass(sample: Path) -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    done = subprocess.run(command, cwd=sample, env=environment(), capture_output=True, text=True, timeout=SECONDS * 3)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda sample: sample.name)
def test_a_sample_imports_wf_and_the_standard_library_only(sample: Path) -> None:
    sources = list(sample.glob("*.py"))
    imported = {name for path in sources for name in imports_of(path)}
    assert imported - {path.stem for path in sources} - set(sys.stdlib_module_names) == {"wf"}


def imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0]


# -- the site builder, as its README has it ------------------------------------------------------


class Project:
    """A place of its own for the site builder: a world, a public folder, and its processes."""

    def __init__(self, folder: Path) -> None:
        self.world = folder / "world.db"
        self.public = folder / "public"
        self._environment = environment(WF_WORLD=f"sqlite:///{self.world}")
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, workflow: str, *arguments: str) -> subprocess.Popen[str]:
        """Start `python -m wf run`; its words come line by line."""
        target = f"{SITE_BUILDER.relative_to(ROOT)}/flow.py:{workflow}"
        directory = f"directory={json.dumps(str(self.public))}"
        return self._start("-m", "wf", "run", target, '"ada"', directory, *arguments)

    def review(self, *arguments: str) -> str:
        process = self._start(str(SITE_BUILDER / "review.py"), *arguments)
        output, words = process.communicate(timeout=SECONDS)
        return output + words

    def _start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()

    def read(self, query: str, *values: str) -> list[Any]:
        """Ask the world's file, which nobody uses any more, for one column."""
        connection = sqlite3.connect(self.world)
        try:
            return [value for (value,) in connection.execute(query, values)]
        finally:
            connection.close()


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    project = Project(tmp_path)
    watchdog = threading.Timer(SECONDS * 2, project.close)
    watchdog.start()
    try:
        yield project
    finally:
        watchdog.cancel()
        watchdog.join()
        project.close()


def read_until(stream: IO[str] | None, is_it: Callable[[list[str]], bool]) -> list[str]:
    """Read lines until they are what is waited for."""
    assert stream is not None
    lines: list[str] = []
    for line in stream:
        lines.append(line.rstrip())
        if is_it(lines):
            return lines
    raise AssertionError(f"the process ended too early; it said {lines}")


def is_waiting(lines: list[str]) -> bool:
    return lines[-1].startswith("waiting for approval")


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Give a process's result and its words."""
    output, words = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, words
    result: dict[str, Any] = json.loads(output)
    return result, words


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_the_launchers_demo_is_the_site_builders() -> None:
    assert do.DEMO == ["-m", "wf", "run", "sample_projects/site_builder/flow.py:demo", '"ada"']


def test_the_demo_runs_to_its_end_alone_and_leaves_a_site(project: Project) -> None:
    result, words = finish(project.start("demo"))
    assert (result["published"], result["comment"], result["links_checked"]) == (True, "looks good", 17)
    assert Path(result["site"]) == project.public / "ada" / "index.html"
    assert all(Path(file).is_file() for file in result["files"])
    assert "waiting for approval, up to 7 days\n" in words


@pytest.mark.crash
def test_a_site_killed_while_it_waits_is_not_rendered_again(project: Project) -> None:
    first = project.start("build_site", "--id", "site-ada")
    read_until(first.stderr, is_waiting)
    kill(first)
    second = project.start("build_site", "--id", "site-ada")
    assert project.review("ada", "at last") == "told run site-ada\n"
    result, words = finish(second)
    assert (result["published"], result["comment"]) == (True, "at last")
    assert "rendered" not in words


@pytest.mark.crash
def test_an_answer_that_came_while_nothing_ran_is_taken(project: Project) -> None:
    first = project.start("build_site", "--id", "site-ada")
    read_until(first.stderr, is_waiting)
    kill(first)
    assert project.review("ada", "too pale", "--reject") == "told run site-ada\n"
    result, _ = finish(project.start("build_site", "--id", "site-ada"))
    assert result == {"published": False, "comment": "too pale"}
    assert not project.public.exists()


@pytest.mark.crash
def test_a_demo_killed_in_the_midst_of_rendering_ends_with_each_page_rendered_once(project: Project) -> None:
    first = project.start("demo", "--id", "demo-ada")
    read_until(first.stderr, lambda lines: sum(line.startswith("rendered") for line in lines) == 2)
    kill(first)
    result, _ = finish(project.start("demo", "--id", "demo-ada"))
    assert all(Path(file).is_file() for file in result["files"])
    [site_id] = project.read("SELECT run_id FROM runs WHERE parent_run_id = 'demo-ada'")
    calls = "SELECT correlation_id FROM events WHERE run_id = ? AND type = ? ORDER BY correlation_id"
    created = project.read(calls, site_id, "step_created")
    assert project.read(calls, site_id, "step_completed") == created
    assert project.read("SELECT name FROM events WHERE type = 'step_failed'") == []


def test_a_review_of_nothing_says_so(project: Project) -> None:
    assert project.review("nobody").startswith("no live hook has the token 'site:nobody'\n  fix: ")
