"""What is loaded when: textual only where the terminal studio is opened, the server never."""

from __future__ import annotations

import subprocess
import sys

import pytest


def loaded(program: str, asked: str) -> str:
    code = f"{program}\nimport sys\nprint(*sorted(set(sys.modules) & set({asked!r}.split())))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_the_terminal_studio_loads_no_server_no_cli_and_nothing_that_takes_long() -> None:
    program = "import wfstudio.tui.app, wfstudio.tui.screens.runs, wfstudio.tui.screens.dev"
    asked = "starlette typer uvicorn watchfiles duckdb pyarrow pydantic wfstudio.server wfstudio.cli wfstudio.dev"
    assert loaded(program, asked) == ""


@pytest.mark.parametrize(
    "module",
    "attachment columns dev_lines filters listed preferences resources run_cells server_link".split(),
)
def test_what_can_be_thought_without_a_terminal_loads_no_textual(module: str) -> None:
    assert loaded(f"import wfstudio.tui.{module}", "textual") == ""


def test_the_command_line_loads_textual_only_for_wf_tui() -> None:
    program = "from wfstudio.cli.app import load_command\nload_command('inspect'); load_command('tui')"
    assert loaded(program, "textual wfstudio.tui") == ""
