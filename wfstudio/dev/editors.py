"""Editors: open a file of the project at a line, for who clicks on a place in the studio.

1. Only a file that is there, below the project's root: symlinks are followed first. A file outside and one
   that is not there are the same to who asks.
2. No shell. A command is a list of words, and the file is a whole word of it or a part of one.
3. Only editors with a window of their own: one that wants a terminal would take that of `wf dev`. `WF_EDITOR` is
   believed, whatever it is; `VISUAL` and `EDITOR` count where they name one that is known; else the first of those
   that people have is taken.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from wf.errors import WorkflowError
from wfstudio.core.errors import NotFoundError

FAILS_WITHIN_SECONDS: Final = 1.0
"""An editor that cannot open anything says so at once; one that goes on has opened the file."""

_GOTO: Final = ("--goto", "{file}:{line}:{column}")
_COLONS: Final = ("{file}:{line}:{column}",)
_LINE: Final = ("--line", "{line}", "{file}")
_PLUS: Final = ("+{line}", "{file}")
_FORMS: Final = {
    **dict.fromkeys(("code", "cursor", "windsurf", "codium", "code-insiders", "positron"), _GOTO),
    **dict.fromkeys(("zed", "zeditor", "subl"), _COLONS),
    **dict.fromkeys(("pycharm", "charm", "idea", "kate", "mate"), _LINE),
    **dict.fromkeys(("gvim", "mvim", "gedit", "bbedit"), _PLUS),
    "emacsclient": ("-n", *_PLUS),
}
"""How editors with windows are told file and line."""

_LOOKED_FOR: Final = (
    "code", "cursor", "windsurf", "zed", "zeditor", "codium", "code-insiders", "positron", "subl", "pycharm", "charm",
    "idea", "mate", "bbedit",
)  # fmt: skip
"""Who has one of these codes with it. The other forms are of programs that many have and few use for code."""

_HINT: Final = "set `WF_EDITOR`, like `WF_EDITOR='code --goto {file}:{line}'`, and start `wf dev` again"


class EditorError(WorkflowError):
    """No editor is known, or the one that is could not be started."""

    slug = "editor"

    def __init__(self, message: str, hint: str | None = _HINT) -> None:
        super().__init__(message)
        self.hint = hint


class Editor(msgspec.Struct, frozen=True):
    """`words` are the command, with `{file}`, `{line}` and `{column}` where they go."""

    name: str
    words: tuple[str, ...]

    def command(self, file: Path, line: int, column: int) -> list[str]:
        values = {"file": str(file), "line": str(line), "column": str(column)}
        return [re.sub(r"\{(file|line|column)\}", lambda match: values[match[1]], word) for word in self.words]


class Editors:
    """Opens files of one project. What it started goes on when we end."""

    def __init__(self, root: Path, environ: Mapping[str, str] = os.environ) -> None:
        self._root = root
        self._environ = environ
        self._started: list[subprocess.Popen[bytes]] = []

    @property
    def name(self) -> str | None:
        """The editor that would be started; None where none is known."""
        try:
            editor = find_editor(self._environ)
        except EditorError:
            return None
        return None if editor is None else editor.name

    def open(self, file: str, line: int = 1, column: int = 1) -> str:
        """Open a file, given from the project's root or whole, and say with what. Blocks up to a second."""
        path = find_file(self._root, file)
        editor = find_editor(self._environ)
        if editor is None:
            raise EditorError("no editor is known that opens a file in a window of its own")
        self._started = [process for process in self._started if process.poll() is None]
        try:
            process = subprocess.Popen(
                editor.command(path, line, column),
                cwd=self._root, env=dict(self._environ), start_new_session=True,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip
        except OSError as error:
            raise EditorError(f"`{editor.name}` could not be started: {error.strerror}") from None
        try:
            status = process.wait(FAILS_WITHIN_SECONDS)
        except subprocess.TimeoutExpired:
            self._started.append(process)
            return editor.name
        if status != 0:
            raise EditorError(f"`{editor.name}` ended with status {status}")
        return editor.name


def find_file(root: Path, file: str) -> Path:
    """Find a file of the project; of any other the answer is that there is none."""
    try:
        base = root.resolve()
        path = (base / file).resolve()
        is_ours = path.is_relative_to(base) and path.is_file()
    except (OSError, ValueError, RuntimeError):  # a name that is too long, a NUL, a loop of links
        is_ours = False
    if not is_ours:
        raise NotFoundError(f"this project has no file {file!r:.80}", "only files below the project's root are opened")
    return path


def find_editor(environ: Mapping[str, str]) -> Editor | None:
    """Choose the editor (law 3). Raises `EditorError` where `WF_EDITOR` names none that is there."""
    search = environ.get("PATH")
    if chosen := environ.get("WF_EDITOR", "").strip():
        words = _split(chosen)
        if not words or shutil.which(words[0], path=search) is None:
            raise EditorError(f"WF_EDITOR is {chosen!r:.80}, and there is no such program")
        return _complete(words, ("{file}",))
    for name in ("VISUAL", "EDITOR"):
        words = _split(environ.get(name, ""))
        if words and Path(words[0]).name in _FORMS and shutil.which(words[0], path=search):
            return _complete(words, ())
    found = next((name for name in _LOOKED_FOR if shutil.which(name, path=search)), None)
    return _complete([found], ()) if found else None


def _complete(words: list[str], otherwise: tuple[str, ...]) -> Editor:
    """Say where the file goes, unless the words do."""
    name = Path(words[0]).name
    if any("{file}" in word for word in words):
        return Editor(name, tuple(words))
    return Editor(name, (*words, *_FORMS.get(name, otherwise)))


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:  # a quote that is not closed
        return []


__all__ = ["Editor", "EditorError", "Editors", "find_editor", "find_file"]
