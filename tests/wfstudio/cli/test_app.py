"""The `wf` command as a whole: quick, helpful about mistakes, and the same in every way to call it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import wfstudio
from tests.wfstudio.cli.conftest import Wf
from wfstudio.cli.app import COMMANDS, load_command, main

HEAVY = [
    "asyncio",
    "cryptography",
    "duckdb",
    "msgspec",
    "rich",
    "sqlite3",
    "starlette",
    "textual",
    "uvicorn",
    "watchfiles",
    "wf",
]

NAMES = [name for entries in COMMANDS.values() for name in entries]


@pytest.mark.parametrize("words", [["--help"], ["rnu"], ["--version"], []], ids=str)
def test_the_commands_are_listed_without_loading_any(words: list[str]) -> None:
    program = (
        "import sys; from wfstudio.cli.app import main; code = main(sys.argv[1:]);"
        f"print(*sorted(set(sys.modules) & set({HEAVY})), file=sys.stderr); sys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program, *words], capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == "", f"loaded {done.stderr}"


def test_python_m_wfstudio_is_wf() -> None:
    done = subprocess.run([sys.executable, "-m", "wfstudio", "--version"], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"wf {wfstudio.__version__} (Python 3.")


def test_help_names_arguments_as_the_document_does(wf_cli: Wf) -> None:
    shown = wf_cli("inspect", "--help").out
    assert shown.startswith("Usage: wf inspect [OPTIONS] [KIND|RUN] [ID]\n")
    assert "  KIND|RUN  What to show: runs, " in shown
    assert "[1 to 10000]" in shown
    assert wf_cli("run", "--help").out.startswith("Usage: wf run [OPTIONS] TARGET:WORKFLOW [ARG]...\n")
    assert "[1 or more]" in wf_cli("worker", "--help").out


def test_no_command_at_all_is_a_call_for_help(wf_cli: Wf) -> None:
    assert wf_cli() == wf_cli("--help")
    assert wf_cli().code == 0


@pytest.mark.parametrize("name", NAMES)
def test_help_names_every_command_and_every_command_has_help(name: str, wf_cli: Wf) -> None:
    assert f"  {name} " in wf_cli("--help").out
    told = wf_cli(name, "-h")
    assert (told.code, told.err) == (0, "")
    assert told.out.startswith(f"Usage: wf {name} ")
    command = load_command(name)
    assert [parameter.name for parameter in command.params if not parameter.help and parameter.name != "help"] == []


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (
            ["rnu", "flow.py:main"],
            "there is no command 'rnu'\n  fix: did you mean `run`?\n  more: wf --help\n",
        ),
        (["\x1b[2Jxyzzy"], "there is no command '\\x1b[2Jxyzzy'\n  fix: `wf --help` lists them\n  more: wf --help\n"),
        (
            ["keys", "--jsn"],
            "no such option: --jsn\n  fix: did you mean `--json`?\n  more: wf keys --help\n",
        ),
        (["inspect", "\udcff"], "the argument '\\udcff' is not UTF-8\n  more: wf inspect --help\n"),
        (["logs"], "missing argument 'RUN'\n  more: wf logs --help\n"),
        (
            ["inspect", "--status", "complete"],
            "--status: 'complete' is no status\n  fix: did you mean `completed`?\n  more: wf inspect --help\n",
        ),
        (["cancel", "--attr", "tenant"], "--attr: 'tenant' is not `key=value`\n  more: wf cancel --help\n"),
        (["keys", "rotat"], "keys cannot 'rotat'\n  fix: did you mean `rotate`?\n  more: wf keys --help\n"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)  # fmt: skip
def test_a_wrong_command_line_is_told_what_it_should_be(words: list[str], text: str, wf_cli: Wf) -> None:
    assert wf_cli(*words) == (2, "", text)


def test_a_command_that_reads_makes_no_world(project, wf_cli: Wf) -> None:
    told = wf_cli("inspect")
    assert (told.code, told.out) == (1, "")
    assert told.err.startswith(f"there is no world at {project}/.wf/world.db\n  fix: ")
    assert not (project / ".wf").exists()


def test_a_world_in_memory_is_nobody_elses(project, wf_cli: Wf) -> None:
    told = wf_cli("inspect", "--world", "memory://")
    assert told.code == 1
    assert told.err.startswith("a world in memory belongs to one process, and this is another\n")


def test_a_mistyped_setting_is_an_error_of_every_command(project, wf_cli: Wf) -> None:
    (project / "pyproject.toml").write_text('[tool.wf]\nwrld = "x"\n')
    told = wf_cli("hooks")
    assert told.code == 1
    assert "fix: did you mean `world`?" in told.err


def test_an_error_nobody_foresaw_shows_where_it_was(wf_cli: Wf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(COMMANDS["Runs"], "logs", COMMANDS["Runs"]["logs"]._replace(place="app:nowhere"))
    told = wf_cli("logs")
    assert told.code == 1
    assert "AttributeError" in told.err
    assert told.err.endswith("this is a bug in wf; what it did before is in the world, and nothing of it is lost\n")


def test_a_reader_that_went_away_is_no_news(world) -> None:
    """As `wf inspect | head` does, only that the reader is gone for sure."""
    reader, writer = os.pipe()
    os.close(reader)
    command = [sys.executable, "-m", "wfstudio", "inspect", "--world", world.url]
    done = subprocess.run(command, stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


def test_main_gives_exit_codes_and_does_not_exit() -> None:
    assert main(["--version"]) == 0


def test_only_servers_load_a_server_and_nobody_loads_what_draws_before_drawing() -> None:
    names = [name for name in NAMES if name not in ("dev", "serve")]
    program = (
        f"import sys; from wfstudio.cli.app import load_command\nfor name in {names}: load_command(name)\n"
        "print(*sorted(set(sys.modules) & {'starlette', 'uvicorn', 'watchfiles', 'rich', 'textual', 'duckdb'}))"
    )
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("\n", "")


def test_no_one_is_let_into_the_dev_server_by_accident(project, wf_cli: Wf) -> None:
    told = wf_cli("dev", "--host", "0.0.0.0", "--no-open")
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith("--host 0.0.0.0 needs a token that its callers know\n")
    assert wf_cli("dev", "--port", "70000").code == 2
