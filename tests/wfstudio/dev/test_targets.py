"""What `wf dev` is pointed at: a file, a directory, a module's name, or nothing."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wfstudio.dev.stage import Project, developing
from wfstudio.dev.main import find_project

FLOW = "import wf\n\n@wf.workflow\nasync def {name}() -> str:\n    return '{name}'\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    made = Project(tmp_path / "project")
    made.write("one.py", FLOW.format(name="first"))
    made.write("pkg/__init__.py", "")
    made.write("pkg/two.py", FLOW.format(name="second"))
    monkeypatch.chdir(made.root)
    return made


@pytest.mark.parametrize(
    ("target", "loaded", "workflows"),
    [
        ("one.py", ["one.py"], ["one:first"]),
        ("pkg", ["pkg"], ["pkg.two:second"]),
        (".", ["."], ["one:first", "pkg.two:second"]),
        (None, ["."], ["one:first", "pkg.two:second"]),
        ("pkg.two", ["pkg.two"], ["pkg.two:second"]),
    ],
)
def test_a_target_is_loaded_as_seen_from_the_projects_root(
    project: Project, target: str | None, loaded: list[str], workflows: list[str]
) -> None:
    settings, targets = find_project(target)
    assert (settings.root, targets) == (project.root, loaded)

    async def perform() -> list[str]:
        async with developing(project, targets[0]) as dev:
            return sorted(view.id for view in await dev.client.list_workflows())

    assert asyncio.run(perform()) == workflows


def test_the_settings_name_what_is_loaded_without_a_target(project: Project) -> None:
    project.write("pyproject.toml", '[tool.wf]\nmodules = ["pkg.two"]\n')
    assert find_project(None)[1] == ["pkg.two"]


def test_a_target_from_outside_brings_its_own_project(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings, targets = find_project("project/pkg/two.py")
    assert (settings.root, targets) == (project.root, ["pkg/two.py"])


def test_a_target_that_is_not_there_is_told_with_the_nearest_name(project: Project) -> None:
    async def perform() -> str:
        async with developing(project, "onee.py") as dev:
            error = dev.reloads[0]["error"]
            return f"{error['message']} / {error['hint']}"

    assert asyncio.run(perform()) == "there is no file onee.py / did you mean `one.py`?"
