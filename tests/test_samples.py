"""The sample projects, as a reader meets them: copied elsewhere, with nothing but an installed `wf`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import do
from tests.test_hygiene import imports_of

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


def test_there_are_samples() -> None:
    assert SAMPLES


def test_a_samples_own_tests_pass(sample: Path) -> None:
    assert " passed in " in run(sample, "-m", "pytest", "-q")


def test_a_sample_imports_wf_and_the_standard_library_only(sample: Path) -> None:
    own = {path.stem for path in sample.glob("*.py")}
    allowed = own | {"wf", "pytest"} | set(sys.stdlib_module_names)
    assert set(imports_of(sample)) - allowed == set()


@pytest.mark.acceptance
def test_the_demo_runs_to_its_end_twice(tmp_path: Path) -> None:
    shutil.copytree(do.ROOT / "sample_projects", tmp_path / "sample_projects", ignore=LEFTOVERS)
    for _ in range(2):
        run(tmp_path, *do.DEMO)
