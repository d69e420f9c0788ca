"""Places open in an editor: only files of the project, never through a shell, and only in one that has windows."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.reliability.stage import until
from wfstudio.core.errors import NotFoundError
from wfstudio.dev.editors import EditorError, Editors, find_editor, find_file


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "project"
    root.mkdir()
    (root / "flow.py").write_text("import wf\n")
    return root


@pytest.fixture
def programs(tmp_path: Path) -> Path:
    folder = tmp_path / "bin"
    folder.mkdir()
    return folder


def install(programs: Path, name: str, script: str = 'printf "%s\\n" "$@" > "$WROTE"') -> None:
    path = programs / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def environ(programs: Path, **more: str) -> dict[str, str]:
    return {"PATH": f"{programs}:/usr/bin:/bin", "WROTE": str(programs / "wrote"), **more}


async def opened(programs: Path) -> list[str]:
    await until((programs / "wrote").exists, "the editor was started")
    return (programs / "wrote").read_text().splitlines()


async def test_a_file_is_opened_at_its_line_from_the_root_or_whole(root: Path, programs: Path) -> None:
    install(programs, "code")
    editors = Editors(root, environ(programs))
    for file in ("flow.py", str(root / "flow.py"), "../project/flow.py"):
        (programs / "wrote").unlink(missing_ok=True)
        assert editors.open(file, 41, 7) == "code"
        assert await opened(programs) == ["--goto", f"{root}/flow.py:41:7"]


@pytest.mark.parametrize(
    "file",
    ["../secret", "/etc/passwd", "link/passwd", "out", ".", "", "gone.py", "a\0b", "x" * 5000, "loop", "-flow.py"],
)
def test_what_is_no_file_of_the_project_is_not_opened(root: Path, file: str) -> None:
    (root.parent / "secret").write_text("")
    (root / "link").symlink_to("/etc")
    (root / "out").symlink_to("../secret")
    (root / "loop").symlink_to("loop")
    with pytest.raises(NotFoundError, match="this project has no file"):
        find_file(root, file)


async def test_nothing_of_a_files_name_is_read_by_a_shell_or_put_in_twice(root: Path, programs: Path) -> None:
    name = "$(touch broken) {line} ;x.py"
    (root / name).write_text("")
    install(programs, "mine")
    Editors(root, environ(programs, WF_EDITOR="mine 'at {line}' {file}")).open(name, 3)
    assert await opened(programs) == ["at 3", str(root / name)]
    assert not (root / "broken").exists()


def test_the_editor_that_wf_is_told_of_comes_first_and_one_that_wants_a_terminal_never_by_itself(
    programs: Path,
) -> None:
    for name in ("code", "subl", "vim", "emacsclient"):
        install(programs, name)
    assert find_editor({"PATH": ""}) is None

    def words(**more: str) -> tuple[str, ...]:
        found = find_editor(environ(programs, **more))
        assert found is not None
        return found.words

    assert words() == ("code", "--goto", "{file}:{line}:{column}")
    assert words(VISUAL="vim", EDITOR="subl -w") == ("subl", "-w", "{file}:{line}:{column}")
    assert words(EDITOR="emacsclient -t") == ("emacsclient", "-t", "-n", "+{line}", "{file}")
    assert words(EDITOR="'vim") == words()
    assert words(WF_EDITOR="vim", EDITOR="subl") == ("vim", "{file}")
    assert words(WF_EDITOR="vim +{line} {file}") == ("vim", "+{line}", "{file}")


def test_an_editor_that_is_not_there_or_fails_says_so(root: Path, programs: Path) -> None:
    nobody = {"PATH": str(programs)}
    with pytest.raises(EditorError, match=r"^no editor is known that opens a file in a window of its own$") as caught:
        Editors(root, nobody).open("flow.py")
    assert (
        caught.value.hint == "set `WF_EDITOR`, like `WF_EDITOR='code --goto {file}:{line}'`, and start `wf dev` again"
    )
    assert Editors(root, nobody).name is None
    assert Editors(root, {**nobody, "WF_EDITOR": "gone"}).name is None
    with pytest.raises(EditorError, match=r"^WF_EDITOR is 'gone', and there is no such program$"):
        Editors(root, {**nobody, "WF_EDITOR": "gone"}).open("flow.py")
    install(programs, "code", "exit 3")
    with pytest.raises(EditorError, match=r"^`code` ended with status 3$"):
        Editors(root, environ(programs)).open("flow.py")


def test_an_editor_that_stays_open_is_not_waited_for_and_outlives_us(root: Path, programs: Path) -> None:
    os.mkfifo(programs / "closing")
    install(programs, "code", f'read line < "{programs}/closing"')
    editors = Editors(root, environ(programs))
    assert editors.open("flow.py") == "code"
    (process,) = editors._started
    assert process.poll() is None
    assert os.getsid(process.pid) != os.getsid(0), "Ctrl-C in our terminal is not for it"
    (programs / "closing").write_text("\n")
    assert process.wait(10) == 0
