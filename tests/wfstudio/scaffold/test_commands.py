"""Commands: what is printed to type next can be typed."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from wfstudio.scaffold import commands


def run_shell(command: str, folder: Path, **environ: str) -> str:
    done = subprocess.run(
        command, shell=True, cwd=folder, env={**os.environ, **environ}, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.parametrize("has_path", [True, False], ids=["activated", "by its path"])
def test_the_commands_work_in_the_shell_that_it_was_called_in(has_path: bool, tmp_path: Path) -> None:
    """With the environment on PATH they are short; without, they name it."""
    bin_folder = str(Path(sys.executable).parent)
    path = f"{bin_folder}{os.pathsep}{os.environ['PATH']}" if has_path else "/usr/bin:/bin"
    told = json.loads(run_shell(f"{sys.executable} -m wfstudio new my-flows -t hello --json", tmp_path, PATH=path))
    [cd, dev, _] = [one["command"] for one in told["next"]]
    assert dev == ("wf dev" if has_path else f"{bin_folder}/wf dev")
    assert told["tests"] == ("python -m pytest" if has_path else f"{sys.executable} -m pytest")
    assert run_shell(f"{cd} && {dev} --help", tmp_path, PATH=path).startswith("Usage: wf dev ")
    assert " passed in " in run_shell(f"{cd} && {told['tests']} -q -p no:schemathesis", tmp_path, PATH=path)


def test_where_there_is_no_pytest_it_is_installed_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "find_python", lambda: "python")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert commands.make_test_command() == "python -m pip install pytest && python -m pytest"
