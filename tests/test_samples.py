"""The sample projects, as a reader meets them: copied elsewhere, with nothing but an installed `wf`."""

from __future__ import annotations

import json
import re
import shutil
import sqlite3
import subprocess
import sys
import threading
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import do
from tests.pages import check_commands, read_blocks
from tests.programs import PYTEST
from tests.quick import ask
from tests.test_hygiene import imports_of
from wfstudio.history.library import STARTERS

LEFTOVERS = shutil.ignore_patterns(".wf", "public", "__pycache__", ".*_cache")
SAMPLES = sorted(path.parent for path in (do.ROOT / "sample_projects").glob("*/pyproject.toml"))


@pytest.fixture(params=SAMPLES, ids=lambda path: path.name)
def sample(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    copy = tmp_path / request.param.name
    shutil.copytree(request.param, copy, ignore=LEFTOVERS)
    return copy


def run(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_the_samples_are_listed() -> None:
    text = (do.ROOT / "sample_projects" / "README.md").read_text("utf-8")
    assert re.findall(r"\]\((\w+)/README\.md\)", text) == [
        "site_builder", "endless_chess", "media_pipeline", "support_desk", "order_fulfilment",
    ]  # fmt: skip
    assert {path.name for path in SAMPLES} == set(re.findall(r"\]\((\w+)/README\.md\)", text))
    code = "\n".join(path.read_text("utf-8") for sample in SAMPLES for path in sample.glob("*.py"))
    for name in re.findall(r"`([a-z_]+)`", text):
        assert f"def {name}(" in code, name


def test_a_samples_own_tests_pass(sample: Path) -> None:
    assert " passed in " in run(sample, *PYTEST)


def test_a_samples_types_are_right(sample: Path, type_cache: Path) -> None:
    run(sample, "-m", "mypy", "--strict", "--cache-dir", str(type_cache), ".")


def test_wf_check_finds_nothing_in_a_sample(sample: Path, quick_wf: Path) -> None:
    code, report = ask(quick_wf, sample, "check", "--strict")
    assert code == 0
    assert report["findings"] == []
    assert report["workflows"]


MODULES = {"pillow": "PIL", "wfstudio": "wf"}
"""What a distribution is imported as, where its name does not say it."""


def test_a_sample_imports_the_standard_library_and_what_it_declares(sample: Path) -> None:
    project = tomllib.loads((sample / "pyproject.toml").read_text("utf-8"))["project"]
    names = [re.split(r"[^\w-]", need)[0] for need in project["dependencies"]]
    declared = {MODULES.get(name, name) for name in names}
    own = {path.stem for path in sample.glob("*.py")}
    imported = set(imports_of(sample)) - set(sys.stdlib_module_names) - own - {"pytest"}
    assert imported == declared


@pytest.mark.parametrize("page", [do.ROOT / "sample_projects", *SAMPLES], ids=lambda path: path.name)
def test_the_commands_of_a_readme_are_such(page: Path) -> None:
    blocks = read_blocks(page / "README.md")
    assert blocks
    for block in blocks:
        assert block.words == ("sh",), block.place
        check_commands(block)


def test_a_sample_brings_what_its_readme_speaks_of(sample: Path) -> None:
    text = (sample / "README.md").read_text("utf-8")
    for name in re.findall(r"`((?:queries/)?\w+\.(?:py|sql|html))`", text):
        assert (sample / name).is_file(), name
    saved = {path.stem for folder in (sample / "queries", STARTERS) for path in folder.glob("*.sql")}
    assert set(re.findall(r"[`\n]wf query ([a-z-]+)[`\n]", text)) <= saved


@pytest.mark.acceptance
def test_the_demo_runs_to_its_end_twice(tmp_path: Path) -> None:
    shutil.copytree(do.ROOT / "sample_projects", tmp_path / "sample_projects", ignore=LEFTOVERS)
    for _ in range(2):
        run(tmp_path, *do.DEMO)


# -- what the site builder's README promises --------------------------------------------------------

SECONDS = 60.0
"""What has not ended by then counts as hung, and is killed."""


class SiteBuilder:
    """A copy of the sample, and the processes that were started in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.public = folder / "public"
        self._processes: list[subprocess.Popen[str]] = []

    def start(self, *arguments: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-W", "error", *arguments],
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._processes.append(process)
        return process

    def build(self) -> subprocess.Popen[str]:
        return self.start("-m", "wf", "run", "flow.py:build_site", '"ada"', "--id", "site-ada")

    def build_until_it_waits_and_kill(self) -> None:
        kill_after(self.build(), lambda lines: lines[-1].startswith("waiting for approval"))

    def review(self, *arguments: str) -> str:
        output, words = self.start("review.py", *arguments).communicate(timeout=SECONDS)
        return output + words

    def read(self, query: str, *values: str) -> list[Any]:
        """Ask the world's file, which nobody uses any more, for one column."""
        connection = sqlite3.connect(self.folder / ".wf" / "world.db")
        try:
            return [value for (value,) in connection.execute(query, values)]
        finally:
            connection.close()

    def close(self) -> None:
        for process in self._processes:
            process.kill()
            process.communicate()


@pytest.fixture
def site_builder(tmp_path: Path) -> Iterator[SiteBuilder]:
    copy = tmp_path / "site_builder"
    shutil.copytree(do.ROOT / "sample_projects" / "site_builder", copy, ignore=LEFTOVERS)
    project = SiteBuilder(copy)
    watchdog = threading.Timer(SECONDS * 2, project.close)
    watchdog.start()
    try:
        yield project
    finally:
        watchdog.cancel()
        watchdog.join()
        project.close()


def kill_after(process: subprocess.Popen[str], is_time: Callable[[list[str]], bool]) -> None:
    """Read a process's words until it is time, and kill it with SIGKILL."""
    assert process.stderr is not None
    lines: list[str] = []
    for line in process.stderr:
        lines.append(line.rstrip())
        if is_time(lines):
            process.kill()
            process.communicate()
            return
    raise AssertionError(f"it ended too early; it said {lines}")


def finish(process: subprocess.Popen[str]) -> tuple[dict[str, Any], str]:
    """Give a process's result and its words."""
    output, words = process.communicate(timeout=SECONDS)
    assert process.returncode == 0, words
    result: dict[str, Any] = json.loads(output)
    return result, words


@pytest.mark.acceptance
def test_the_demo_publishes_a_site_and_says_where(site_builder: SiteBuilder) -> None:
    result, words = finish(site_builder.start("-m", "wf", "run", "flow.py:demo", '"ada"'))
    assert (result["published"], result["comment"], result["links_checked"]) == (True, "looks good", 17)
    assert Path(result["site"]) == site_builder.public.resolve() / "ada" / "index.html"
    assert all(Path(file).is_file() for file in result["files"])
    assert "waiting for approval, up to 7 days\n" in words


@pytest.mark.crash
def test_a_site_killed_while_it_waits_is_not_rendered_again(site_builder: SiteBuilder) -> None:
    site_builder.build_until_it_waits_and_kill()
    again = site_builder.build()
    assert site_builder.review("ada", "at last") == "told run site-ada\n"
    result, words = finish(again)
    assert (result["published"], result["comment"]) == (True, "at last")
    assert "rendered" not in words


@pytest.mark.crash
def test_an_answer_that_came_while_nothing_ran_is_taken(site_builder: SiteBuilder) -> None:
    site_builder.build_until_it_waits_and_kill()
    assert site_builder.review("ada", "too pale", "--reject") == "told run site-ada\n"
    result, _ = finish(site_builder.build())
    assert result == {"published": False, "comment": "too pale"}
    assert not site_builder.public.exists()


@pytest.mark.crash
def test_a_demo_killed_in_the_midst_of_rendering_completes_every_step_once(site_builder: SiteBuilder) -> None:
    demo = ("-m", "wf", "run", "flow.py:demo", '"ada"', "--id", "demo-ada")
    kill_after(site_builder.start(*demo), lambda lines: sum(line.startswith("rendered") for line in lines) == 2)
    result, _ = finish(site_builder.start(*demo))
    assert all(Path(file).is_file() for file in result["files"])
    [site_id] = site_builder.read("SELECT run_id FROM runs WHERE parent_run_id = 'demo-ada'")
    calls = "SELECT correlation_id FROM events WHERE run_id = ? AND type = ? ORDER BY correlation_id"
    assert site_builder.read(calls, site_id, "step_completed") == site_builder.read(calls, site_id, "step_created")


@pytest.mark.acceptance
def test_a_review_that_nobody_waits_for_says_so(site_builder: SiteBuilder) -> None:
    assert site_builder.review("ada").startswith("no live hook has the token 'site:ada'\n  fix: ")
