"""The launcher: says what is missing, installs once, stops at the first check that fails."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import do


@pytest.fixture
def no_processes(monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """Collect what the launcher would become, instead of becoming it; fetch nothing ahead."""
    became: list[list[str]] = []
    monkeypatch.setattr(do, "AHEAD", [sys.executable, "-c", ""])
    monkeypatch.setenv("PYTHONHASHSEED", "1")  # which it would choose

    def become(command: list[str]) -> int:
        became.append(command)
        return 0

    monkeypatch.setattr(do, "become", become)
    return became


def test_an_older_python_can_read_it() -> None:
    ast.parse(Path(do.__file__).read_text(), feature_version=(3, 6))


def test_it_needs_the_standard_library_only() -> None:
    program = f"import sys; sys.path.insert(0, {str(do.ROOT)!r}); import do"
    done = subprocess.run([sys.executable, "-I", "-S", "-W", "error", "-c", program], capture_output=True)
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("arguments", [[], ["tset"], ["setup", "now"]])
def test_anything_else_is_answered_with_what_there_is(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert do.main(arguments) == 2
    assert "python3 do.py test " in capsys.readouterr().out


def test_an_old_python_without_a_newer_one_says_which_is_needed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sys, "version_info", (3, 9, 2))
    assert do.main(["test"]) == 1
    assert capsys.readouterr().err == (
        "do: this is Python 3.9, and wf needs 3.11 or newer\n"
        "  fix: none was found on PATH; install one (any of 3.11 to 3.14) and run this again with it\n"
    )


def test_a_python_that_does_not_run_is_passed_over(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    broken = tmp_path / "python3.14"
    broken.write_text("#!/bin/sh\nexit 127\n")
    broken.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert do.candidates() == [str(broken)]
    assert do.version_of(str(broken)) is None
    assert do.version_of(sys.executable) == "{}.{}.{}".format(*sys.version_info[:3])


def test_a_changed_pyproject_makes_venv_stale(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "wfstudio").mkdir()
    (tmp_path / "wfstudio" / "__init__.py").write_text("__version__ = '1'\n")
    (tmp_path / "pyproject.toml").write_text("[project]\n")
    monkeypatch.setattr(do, "ROOT", tmp_path)
    monkeypatch.setattr(do, "STAMP", tmp_path / "stamp")
    monkeypatch.setattr(do, "UNFINISHED", tmp_path / "unfinished")
    monkeypatch.setattr(do, "PYTHON", Path(sys.executable))
    assert not do.is_ready()
    do.STAMP.write_text(do.wanted_stamp())
    assert do.is_ready()
    do.UNFINISHED.touch()
    assert not do.is_ready()
    do.UNFINISHED.unlink()
    (tmp_path / "pyproject.toml").write_text("[project]\nname = 'x'\n")
    assert not do.is_ready()


def test_a_changed_studio_makes_venv_stale_and_what_npm_puts_there_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for name in ("pyproject.toml", "hatch_build.py", "wfstudio/__init__.py", "web_ui/src/main.tsx"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    monkeypatch.setattr(do, "ROOT", tmp_path)
    monkeypatch.setattr(do, "PYTHON", Path(sys.executable))
    before = do.wanted_stamp()
    for name in ("node_modules/vite/index.js", "e2e/way.mjs", "src/main.test.ts"):
        (tmp_path / "web_ui" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "web_ui" / name).write_text("changes nothing of what is built")
    assert do.wanted_stamp() == before
    (tmp_path / "web_ui" / "src" / "main.tsx").write_text("other")
    assert do.wanted_stamp() != before


def test_the_first_check_that_fails_ends_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], no_processes: list[list[str]]
) -> None:
    python = sys.executable
    checks = [
        ("good", [python, "-c", ""]),
        ("bad", [python, "-c", "print('what is wrong'); raise SystemExit(3)"]),
        ("later", [python, "-c", "print('never')"]),
    ]
    monkeypatch.setattr(do, "CHECKS", checks)
    assert do.check([]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("do: good     ok in ")
    assert lines[1] == "what is wrong"
    assert lines[2].startswith("do: bad      failed after ")
    assert lines[3:] == ["1 passed, 1 failed; the tests did not run"]
    assert no_processes == []


def test_further_arguments_go_to_pytest_only(monkeypatch: pytest.MonkeyPatch, no_processes: list[list[str]]) -> None:
    monkeypatch.setattr(do, "CHECKS", [])
    do.check(["-k", "sleep"])
    assert no_processes == [[str(do.PYTHON), "-m", "pytest", "-k", "sleep"]]


@pytest.mark.parametrize(("processors", "lanes"), [(1, []), (2, do.LANES), (64, do.LANES)])
def test_all_tests_go_in_two_lanes_where_there_are_two_processors(
    monkeypatch: pytest.MonkeyPatch, no_processes: list[list[str]], processors: int, lanes: list[str]
) -> None:
    monkeypatch.setattr(do, "CHECKS", [])
    monkeypatch.setattr(do, "count_processors", lambda: processors)
    do.check([])
    assert no_processes == [[str(do.PYTHON), "-m", "pytest", *lanes]]


@pytest.mark.parametrize("code", [0, 1])
def test_what_the_tests_need_is_fetched_during_the_checks_and_awaited_whatever_they_say(
    monkeypatch: pytest.MonkeyPatch, no_processes: list[list[str]], tmp_path: Path, code: int
) -> None:
    program = f"import time; time.sleep(0.2); open({str(tmp_path / 'fetched')!r}, 'x')"
    monkeypatch.setattr(do, "AHEAD", [sys.executable, "-c", program])
    monkeypatch.setattr(do, "CHECKS", [("types", [sys.executable, "-c", f"raise SystemExit({code})"])])
    assert do.check([]) == code
    assert (tmp_path / "fetched").exists()
    assert len(no_processes) == 1 - code
