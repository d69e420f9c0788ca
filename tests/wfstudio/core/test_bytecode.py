"""Bytecode beside sources: none of a file that was saved a moment ago, as ever of all others."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.programs import ROOT

PROGRAM = """
import sys
from wfstudio.core.bytecode import keep_none_of_fresh_files

if sys.argv[1] == "guarded":
    keep_none_of_fresh_files()
    keep_none_of_fresh_files()
import words
print(words.GREETING)
"""


def load(folder: Path, manner: str) -> str:
    env = {**os.environ, "PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}
    del env["PYTHONDONTWRITEBYTECODE"]
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, manner],
        cwd=folder, env=env, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return done.stdout.strip()


def save(folder: Path, greeting: str, at: int) -> None:
    (folder / "words.py").write_text(f"GREETING = {greeting!r}\n")
    os.utime(folder / "words.py", (at, at))


@pytest.mark.parametrize(("manner", "second"), [("plain", "hi"), ("guarded", "yo")])
def test_a_file_that_was_just_saved_is_compiled_at_each_load(tmp_path: Path, manner: str, second: str) -> None:
    now = int(time.time()) + 60
    save(tmp_path, "hi", now)
    assert load(tmp_path, manner) == "hi"
    save(tmp_path, "yo", now)
    assert load(tmp_path, manner) == second


def test_a_file_that_has_settled_keeps_its_bytecode(tmp_path: Path) -> None:
    save(tmp_path, "hi", int(time.time()) - 60)
    assert load(tmp_path, "guarded") == "hi"
    assert len(list((tmp_path / "__pycache__").glob("words.*.pyc"))) == 1
