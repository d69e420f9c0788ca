"""`wf new`: asks on a terminal only, writes all or nothing, and says what to type next."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from prompt_toolkit.application import create_app_session
from prompt_toolkit.input import PipeInput, create_pipe_input
from prompt_toolkit.output import DummyOutput

from tests.wfstudio.cli.conftest import Screen, Wf
from wfstudio.cli.new import CommandView, NewView, _show_next, is_terminal
from wfstudio.scaffold import commands
from wfstudio.scaffold.templates import list_templates

DOWN, ENTER, CTRL_C, CTRL_D = "\x1b[B", "\r", "\x03", "\x04"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty folder, in a shell in which `wf` and `python` are ours and pytest is there."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(commands, "find_wf", lambda: "wf")
    monkeypatch.setattr(commands, "find_python", lambda: "python")
    return tmp_path


@pytest.fixture
def keys(monkeypatch: pytest.MonkeyPatch) -> Iterator[PipeInput]:
    """A terminal, and what is typed into it."""
    monkeypatch.setattr("wfstudio.cli.new.is_terminal", lambda: True)
    with create_pipe_input() as found, create_app_session(input=found, output=DummyOutput()):
        yield found


# -- without a terminal -----------------------------------------------------------------------------


def test_a_project_is_written_and_what_to_type_next_is_said(wf_cli: Wf, here: Path) -> None:
    told = wf_cli("new", "my-flows", "--template", "hello")
    assert told == (
        0,
        "my-flows made from the template hello\n"
        "  .gitignore\n"
        "  README.md\n"
        "  my_flows.py\n"
        "  pyproject.toml\n"
        "  tests/test_my_flows.py\n"
        "\n"
        "next:\n"
        "  cd my-flows\n"
        "  wf dev                         # the studio, in the browser; every save is loaded at once\n"
        "  wf start greet '\"Ada\"' --wait  # a run: in a second terminal, here (or under Workflows in the studio)\n"
        "\n"
        "README.md says more; the tests: python -m pytest\n",
        "",
    )
    assert (here / "my-flows" / "tests" / "test_my_flows.py").is_file()


def test_nobody_is_asked_where_nobody_is_there(wf_cli: Wf, here: Path) -> None:
    told = wf_cli("new")
    assert told.code == 0
    assert told.out.startswith("my-approval made from the template approval\n")
    assert "timedelta(days=7)" in (here / "my-approval" / "my_approval.py").read_text("utf-8")


def test_json_says_the_same_to_programs(wf_cli: Wf, here: Path) -> None:
    told = wf_cli("new", "shop/my-flows", "-t", "drip", "--set", "days=5", "--json")
    assert (told.code, told.err) == (0, "")
    assert told.json == {
        "kind": "project",
        "name": "my-flows",
        "module": "my_flows",
        "folder": str(here / "shop" / "my-flows"),
        "template": "drip",
        "answers": {"days": 5},
        "files": [
            {"path": path, "action": "create"}
            for path in (".gitignore", "README.md", "my_flows.py", "pyproject.toml", "tests/test_my_flows.py")
        ],
        "next": [
            {"command": "cd shop/my-flows", "note": ""},
            {"command": "wf dev", "note": "the studio, in the browser; every save is loaded at once"},
            {
                "command": "wf start campaign '\"ada@example.com\"'",
                "note": "a run that sleeps until `wf wake RUN`: in a second terminal, here",
            },
        ],
        "tests": "python -m pytest",
        "written": True,
    }


def test_a_dry_run_writes_nothing_and_says_the_same(wf_cli: Wf, here: Path) -> None:
    told = wf_cli("new", "my-flows", "-t", "hello", "--dry-run")
    assert told.code == 0
    assert told.out.startswith("my-flows would be made from the template hello\n  .gitignore\n")
    assert list(here.iterdir()) == []
    dry = wf_cli("new", "my-flows", "-t", "hello", "--dry-run", "--json").json
    wet = wf_cli("new", "my-flows", "-t", "hello", "--json").json
    assert dry == {**wet, "written": False}


def test_templates_are_listed_with_a_line_each(wf_cli: Wf) -> None:
    told = wf_cli("new", "--list")
    assert (told.code, told.err) == (0, "")
    lines = told.out.splitlines()
    assert [line.split()[0] for line in lines[1:]] == [template.name for template in list_templates()]
    assert "A person says yes or no: a run waits for days, with a web form." in lines[2]
    assert lines[2].endswith("days=7")
    approval = wf_cli("new", "--list", "--json").json["items"][1]
    assert (approval["name"], approval["is_default"]) == ("approval", True)
    assert approval["questions"] == [
        {
            "name": "days",
            "question": "How many days has a reviewer to answer?",
            "default": 7,
            "at_least": 1,
            "at_most": 365,
        }
    ]


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["-t", "aproval"], "there is no template 'aproval'\n  fix: did you mean `approval`?\n"),
        (["random"], "`random` would hide Python's own module of that name\n  fix: name it otherwise: `my-random`\n"),
        (["my", "flows"], "a project has one name, and this is 2\n  fix: `my-flows`?\n"),
        (["x", "--set", "days"], "--set: 'days' is not `key=value`\n"),
        (
            ["x", "-t", "drip", "--set", "dayz=1"],
            "the template drip does not ask for 'dayz'\n  fix: did you mean `days`?\n",
        ),
        (
            ["x", "--in", "flow.py"],
            "--in belongs to workflow and step\n  fix: `wf new step NAME --in MODULE`\n",
        ),
        (
            ["step"],
            "which step?\n  fix: `wf new step NAME`; a project of that name is `wf new ./step`\n",
        ),
        (["step", "a", "b"], "a step has one name, and this is 2\n  fix: `a_b`?\n"),
        (
            ["workflow", "a", "-t", "hello"],
            "--template and --set belong to projects\n  fix: leave them out\n",
        ),
        (
            ["workflow", "send-letter"],
            "'send-letter' is no name for a workflow: it becomes a function\n  fix: did you mean `send_letter`?\n",
        ),
    ],
    ids=lambda value: "-".join(value) if isinstance(value, list) else "",
)
def test_a_wrong_command_line_is_told_what_it_should_be(words: list[str], text: str, wf_cli: Wf, here: Path) -> None:
    assert wf_cli("new", *words) == (2, "", f"{text}  more: wf new --help\n")
    assert list(here.iterdir()) == []


# -- what is there already --------------------------------------------------------------------------


def test_what_is_there_is_never_overwritten_unasked(wf_cli: Wf, here: Path) -> None:
    folder = here / "my-flows"
    folder.mkdir()
    (folder / "README.md").write_text("mine")
    for option in ("--yes", "--json", "--dry-run"):
        assert wf_cli("new", "my-flows", "-t", "hello", option) == (
            1,
            "",
            "1 file in my-flows would be overwritten: README.md\n"
            "  fix: choose another name, or say `--force`\n"
            "  more: docs/errors/conflict.md\n",
        )
    assert {path.name for path in folder.iterdir()} == {"README.md"}
    told = wf_cli("new", "my-flows", "-t", "hello", "--force")
    assert told.code == 0
    assert "  README.md  (overwritten)\n" in told.out
    assert (folder / "README.md").read_text("utf-8").startswith("# my-flows\n")


def test_a_folder_that_holds_something_is_not_written_into_unasked(wf_cli: Wf, here: Path) -> None:
    (here / "my-flows").mkdir()
    for number in range(8):
        (here / "my-flows" / f"notes-{number}.txt").write_text("mine")
    told = wf_cli("new", "my-flows")
    assert told.code == 1
    assert told.err.startswith(
        "my-flows is not empty: it has "
        + ", ".join(f"notes-{number}.txt" for number in range(6))
        + " and 2 more\n  fix: choose another name, or say `--force`\n"
    )
    assert wf_cli("new", "my-flows", "--force").code == 0
    assert (here / "my-flows" / "notes-0.txt").read_text() == "mine"


def test_the_folder_that_we_are_in_needs_no_cd(wf_cli: Wf, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (here / "my-place" / ".git").mkdir(parents=True)
    monkeypatch.chdir(here / "my-place")
    told = wf_cli("new", ".", "-t", "hello")
    assert told.out.startswith(". made from the template hello\n")
    assert "next:\n  wf dev " in told.out
    again = wf_cli("new", ".", "-t", "hello")
    assert again.code == 1  # now it is not empty
    assert "is not empty" in again.err
    told = wf_cli("new", ".", "-t", "hello", "--force")
    assert told.out.count("(was there already)") == 5


def test_a_place_that_cannot_be_written_or_looked_at_is_told(
    wf_cli: Wf, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = wf_cli("new", f"{'x' * 300}/my-flows")
    assert told.code == 2
    assert told.err == f"{here}/{'x' * 300}/my-flows cannot be read: File name too long\n  more: wf new --help\n"

    def fail(*path: object, **how: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr("tempfile.mkdtemp", fail)
    told = wf_cli("new", "my-flows", "-t", "hello")
    assert told == (
        2,
        "",
        f"{here}/my-flows cannot be written: Read-only file system; it is as it was\n"
        "  fix: mend that, or choose another place\n  more: wf new --help\n",
    )
    assert list(here.iterdir()) == []


def test_names_cannot_steer_a_terminal(wf_cli: Wf, here: Path) -> None:
    (here / "my-flows").mkdir()
    (here / "my-flows" / "\x1b[2Jx").write_text("")
    told = wf_cli("new", "my-flows")
    assert "it has \\x1b[2Jx\n" in told.err
    assert wf_cli("new", "\x1b[2Jx").code == 2
    assert wf_cli("new", "nul\0").code == 2


# -- in a project -----------------------------------------------------------------------------------


def test_a_workflow_and_a_step_are_added_and_how_to_try_them_is_said(
    wf_cli: Wf, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wf_cli("new", "my-flows", "-t", "hello")
    monkeypatch.chdir(here / "my-flows")
    assert wf_cli("new", "workflow", "send_report") == (
        0,
        "workflow send_report added to my_flows\n"
        "  my_flows.py  (edited)\n"
        "  tests/test_send_report.py\n"
        "\n"
        "next:\n"
        "  python -m pytest tests/test_send_report.py  # its test\n"
        "  wf check                                    # whether a replay repeats what the bodies do\n"
        "  wf run my_flows.py:send_report '\"ada\"'      # a run\n",
        "",
    )
    told = wf_cli("run", "my_flows.py:send_report", '"ada"')
    assert (told.code, told.json) == (0, "send_report of ada")
    assert wf_cli("check").code == 0


def test_an_addition_is_planned_told_and_refused_like_a_project(
    wf_cli: Wf, here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wf_cli("new", "my-flows", "-t", "hello")
    monkeypatch.chdir(here / "my-flows" / "tests")
    before = (here / "my-flows" / "my_flows.py").read_bytes()
    dry = wf_cli("new", "step", "fetch", "--dry-run", "--json").json
    assert (dry["kind"], dry["name"], dry["module"], dry["template"], dry["written"]) == (
        "step", "fetch", "my_flows", None, False,
    )  # fmt: skip
    assert dry["files"] == [
        {"path": "my_flows.py", "action": "edit"},
        {"path": "tests/test_fetch.py", "action": "create"},
    ]
    assert dry["next"][0] == {"command": "cd ..", "note": ""}
    assert (here / "my-flows" / "my_flows.py").read_bytes() == before
    (here / "my-flows" / "tests" / "test_fetch.py").write_text("mine")
    told = wf_cli("new", "step", "fetch")
    assert told.code == 1
    assert told.err.startswith("1 file in .. would be overwritten: tests/test_fetch.py\n")
    assert (here / "my-flows" / "my_flows.py").read_bytes() == before
    told = wf_cli("new", "step", "say")
    assert (told.code, told.err) == (
        1,
        "there is a step 'say' already, at ../my_flows.py:12\n  fix: choose another name\n"
        "  more: docs/errors/conflict.md\n",
    )


# -- on a terminal ----------------------------------------------------------------------------------


def test_enter_alone_takes_what_is_proposed(wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    keys.send_text(ENTER * 3)
    assert wf_cli("new").code == 0
    assert "timedelta(days=7)" in (here / "my-approval" / "my_approval.py").read_text("utf-8")


def test_arrow_keys_choose_and_answers_are_taken(wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    keys.send_text(f"{DOWN}{DOWN}{ENTER}letters{ENTER}14{ENTER}")
    assert wf_cli("new").code == 0
    assert "days: float = 14" in (here / "letters" / "letters.py").read_text("utf-8")


def test_what_was_said_is_not_asked(wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    told = wf_cli("new", "my-flows", "-t", "approval", "--set", "days=3")
    assert told.code == 0
    assert "timedelta(days=3)" in (here / "my-flows" / "my_flows.py").read_text("utf-8")


def test_an_answer_that_will_not_do_is_asked_for_again(wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    clear = "\x15"
    keys.send_text(f"random{ENTER}{clear}my-flows{ENTER}999{ENTER}{clear}9{ENTER}")
    assert wf_cli("new", "-t", "approval").code == 0
    assert "timedelta(days=9)" in (here / "my-flows" / "my_flows.py").read_text("utf-8")


@pytest.mark.parametrize("typed", [CTRL_C, CTRL_D, f"{ENTER}{CTRL_C}", f"{ENTER}{CTRL_D}", f"{ENTER}{ENTER}{CTRL_C}"])
def test_leaving_writes_nothing(typed: str, wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    keys.send_text(typed)
    assert wf_cli("new") == (1, "", "aborted; nothing was done\n")
    assert list(here.iterdir()) == []


def test_overwriting_is_asked_and_enter_is_a_no(wf_cli: Wf, keys: PipeInput, here: Path) -> None:
    (here / "my-flows").mkdir()
    (here / "my-flows" / "README.md").write_text("mine")
    said = "1 file in my-flows would be overwritten: README.md\n"
    for answer in (ENTER, f"n{ENTER}", CTRL_C):
        keys.send_text(answer)
        assert wf_cli("new", "my-flows", "-t", "hello") == (1, "", f"{said}aborted; nothing was done\n")
    assert (here / "my-flows" / "README.md").read_text() == "mine"
    keys.send_text(f"y{ENTER}")
    assert wf_cli("new", "my-flows", "-t", "hello").code == 0
    assert (here / "my-flows" / "README.md").read_text("utf-8").startswith("# my-flows")


def test_the_name_of_a_step_is_asked(wf_cli: Wf, keys: PipeInput, here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wf_cli("new", "my-flows", "-t", "hello", "--yes")
    monkeypatch.chdir(here / "my-flows")
    keys.send_text(f"{ENTER}no-name{ENTER}\x15fetch{ENTER}")
    assert wf_cli("new", "step").out.startswith("step fetch added to my_flows\n")


def test_a_terminal_that_cannot_draw_is_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in ("stdin", "stdout"):
        monkeypatch.setattr(sys, stream, Screen())
    monkeypatch.setenv("TERM", "xterm")
    assert is_terminal()
    monkeypatch.setenv("TERM", "dumb")
    assert not is_terminal()


def test_notes_that_do_not_fit_stand_above_their_commands(make_terminal: Callable[..., object]) -> None:
    view = NewView(
        kind="project", name="x", module="x", folder="/x", template="hello", answers={}, files=[],
        next=[CommandView("cd x", ""), CommandView("wf dev", "the studio, in the browser")], tests="t", written=True,
    )  # fmt: skip
    terminal = make_terminal(30, NO_COLOR="1")
    _show_next(view, terminal)  # type: ignore[arg-type]
    assert isinstance(terminal.stream, Screen)  # type: ignore[attr-defined]
    text = terminal.stream.text  # type: ignore[attr-defined]
    assert text.startswith("\nnext:\n  cd x\n  # the studio, in the browser\n  wf dev\n")


# -- in a real one ----------------------------------------------------------------------------------


@pytest.mark.skipif(shutil.which("tmux") is None, reason="there is no tmux")
def test_in_a_real_terminal_a_question_that_is_answered_is_one_line(here: Path) -> None:
    """Drawn by prompt_toolkit into a real screen: the list goes when it is answered."""
    socket = ["tmux", "-L", f"wf-new-{os.getpid()}"]
    command = f"{sys.executable} -m wfstudio new; echo ended; sleep 60"
    environ = {**os.environ, "TERM": "xterm-256color"}
    subprocess.run([*socket, "new-session", "-d", "-x", "100", "-y", "30", command], check=True, cwd=here, env=environ)
    try:
        wait_for_screen(socket, r"❯ approval ")
        subprocess.run([*socket, "send-keys", "Down", "Up", "Up", "Enter"], check=True)
        wait_for_screen(socket, r"What is it called\? \(my-hello\)")
        subprocess.run([*socket, "send-keys", "Enter"], check=True)
        screen = wait_for_screen(socket, r"ended")
        assert screen.startswith(
            "What do you want to begin with? hello\nWhat is it called? my-hello\nmy-hello made from the template"
        )
    finally:
        subprocess.run([*socket, "kill-server"], check=False)


def wait_for_screen(socket: list[str], pattern: str) -> str:
    deadline = time.monotonic() + 30
    while True:
        shown = subprocess.run([*socket, "capture-pane", "-p"], capture_output=True, text=True, check=True).stdout
        if re.search(pattern, shown):
            return shown
        assert time.monotonic() < deadline, shown
        time.sleep(0.05)
