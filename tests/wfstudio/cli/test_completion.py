"""Completion: as a shell asks for it, and silent whatever is wrong."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import World
from wfstudio.cli.app import main


@pytest.fixture
def complete(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """Complete the last word of a line, as bash asks for it."""

    def ask(line: str) -> list[str]:
        monkeypatch.setenv("_WF_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", line)
        monkeypatch.setenv("COMP_CWORD", str(len(line.split(" ")) - 1))
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main([])
        assert end.value.code == 0
        out, err = capsys.readouterr()
        assert err == ""
        return out.split()

    return ask


def test_commands_are_completed_without_loading_them() -> None:
    program = (
        "import sys; from wfstudio.cli.app import main\n"
        "try: main([])\n"
        "except SystemExit: print(*sorted(set(sys.modules) & {'wf', 'msgspec', 'asyncio'}), file=sys.stderr)"
    )
    environ = {"_WF_COMPLETE": "complete_bash", "COMP_WORDS": "wf in", "COMP_CWORD": "1"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("inspect\n", "\n")


def test_runs_workflows_and_tokens_come_from_the_world(complete, world: World) -> None:
    at = f"--world {world.url}"
    # Ids of one millisecond differ in their last characters only, so a beginning may be that of several.
    assert world.completed in complete(f"wf inspect {at} run {world.completed[:-3]}")
    assert set(complete(f"wf logs {at} wrun_")) >= {world.completed, world.waiting}
    assert complete(f"wf cancel {at} {world.waiting}") == [world.waiting]
    assert complete(f"wf resume {at} si") == ["site:docs"]
    assert complete(f"wf start {at} studio.gr") == ["studio.greet"]
    assert complete(f"wf inspect {at} --workflow gre") == ["greet"]


def test_kinds_statuses_and_options_are_completed(complete, project: Path) -> None:
    assert complete("wf inspect ev") == ["events"]
    assert complete("wf inspect --status fa") == ["failed"]
    assert complete("wf inspect --sin") == ["--since"]
    assert complete("wf keys ro") == ["rotate"]


@pytest.mark.parametrize("line", ["wf logs wrun_", "wf resume to", "wf start gr", "wf inspect run w", "wf nothing x"])
def test_without_a_world_there_is_nothing_to_offer_and_nothing_is_made(line: str, complete, project: Path) -> None:
    before = sorted(project.iterdir())
    assert complete(line) == []
    assert sorted(project.iterdir()) == before


@pytest.mark.parametrize("url", ["sqlite:///pyproject.toml", "nonsense", "postgresql://nobody@nowhere/x"])
def test_a_world_that_cannot_be_used_is_silent(url: str, complete, project: Path) -> None:
    assert complete(f"wf logs --world {url} w") == []


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_installed_in_a_shell_it_completes_there(tmp_path: Path) -> None:
    """As a user does it: install, open another shell, press Tab."""
    program = tmp_path / "bin" / "wf"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m wfstudio "$@"\n')
    program.chmod(0o755)
    environ = {**os.environ, "HOME": str(tmp_path), "PATH": f"{program.parent}:{os.environ['PATH']}"}

    def bash(script: str) -> str:
        done = subprocess.run(
            ["bash", "--norc", "-c", f"{script}\nexit $?"], env=environ, capture_output=True, text=True, cwd=tmp_path
        )
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout

    assert "bash completion installed in " in bash("wf --install-completion")
    press = 'source ~/.bashrc; COMP_WORDS=(wf insp); COMP_CWORD=1; _wf_completion wf; echo "${COMPREPLY[@]}"'
    assert bash(press) == "inspect\n"
