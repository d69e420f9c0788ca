"""wf under another Python: the newest on this machine that is not the one of these tests, from 3.12 on.

It gets wf's three dependencies and what the tests are run with, in the versions that are installed here, once, as
wheels in `.venv/other_pythons`. A short core of the tests runs there: the laws of the engine, golden histories,
asyncio in bodies, and the world on a disk.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path
from typing import Final

import pytest

import do
from do import ROOT

OLDEST: Final = (3, 12)
NEEDS: Final = ("aiosqlite", "cryptography", "msgspec", "hypothesis", "pytest")
CORE: Final = (
    "tests/laws",
    "tests/acceptance/test_asyncio_in_bodies.py",
    "tests/wf/codec/test_names.py",
    "tests/wf/test_registry.py",
    "tests/wf/test_signature.py",
    "tests/wf/worlds/test_sqlite_file.py",
    "tests/wf/worlds/test_sqlite_lane.py",
    "--deselect=tests/wf/worlds/test_sqlite_file.py::test_a_read_only_file_is_refused_in_words",  # it drops PYTHONPATH
)


def find_python() -> tuple[str, tuple[int, int]] | None:
    """Give the newest Python that is not this one, from PATH or pyenv."""
    root = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv")
    paths = [*do.candidates(), *map(str, root.glob("versions/3.*/bin/python"))]
    found: dict[tuple[int, int], str] = {}
    for path in paths:
        given = do.version_of(path, needs="ctypes, sqlite3, ssl")
        major, minor = map(int, given.split(".")[:2]) if given else (0, 0)
        if (major, minor) >= OLDEST and (major, minor) != sys.version_info[:2]:
            found.setdefault((major, minor), path)
    return max(((path, one) for one, path in found.items()), key=lambda one: one[1], default=None)


def install(wanted: tuple[int, int]) -> Path:
    """Give the folder with what is needed for a Python, made once."""
    pins = [f"{name}=={version(name)}" for name in NEEDS]
    folder = Path(sys.prefix, "other_pythons", "-".join([f"{wanted[0]}.{wanted[1]}", *map(version, NEEDS)]))
    if folder.exists():
        return folder
    folder.parent.mkdir(exist_ok=True)
    draft = tempfile.mkdtemp(dir=folder.parent)
    command = [sys.executable, "-m", "pip", "install", "-q", "--disable-pip-version-check", "--no-input"]
    wheels = ["--only-binary", ":all:", "--python-version", f"{wanted[0]}.{wanted[1]}", "--target", draft]
    done = subprocess.run([*command, *wheels, *pins], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode != 0:
        shutil.rmtree(draft)
        pytest.skip(f"pip has no wheels for Python {wanted[0]}.{wanted[1]}: {done.stderr.strip().splitlines()[-1]}")
    try:
        os.rename(draft, folder)
    except OSError:  # another made it meanwhile
        shutil.rmtree(draft)
    return folder


def test_the_core_passes_under_the_newest_other_python() -> None:
    found = find_python()
    if found is None:
        pytest.skip("there is no other Python here from 3.12 on")
    python, wanted = found
    packages = install(wanted)
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHON", "COV_"))}
    done = subprocess.run(
        [python, "-s", "-B", "-m", "pytest", "-q", "-p", "wf.pytest_plugin", "-p", "no:cacheprovider", *CORE],
        cwd=ROOT,
        env={**kept, "CI": "1", "PYTHONPATH": os.pathsep.join([str(packages), str(ROOT / "runtime")])},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == 0, f"under {python}:\n{done.stdout[-20_000:]}"
    [passed] = re.findall(r"^(\d+) passed", done.stdout, re.MULTILINE)
    assert int(passed) > 600
