"""Commands: what to type next, so that it works in the shell that `wf new` was typed in.

Where `wf` or `python` on PATH is another one than ours, or none, the command names ours.
"""

from __future__ import annotations

import importlib.util
import os
import shlex
import shutil
import sys
from pathlib import Path

import msgspec

from wfstudio.scaffold.additions import Addition
from wfstudio.scaffold.names import ProjectName
from wfstudio.scaffold.templates import Template


class Command(msgspec.Struct, frozen=True):
    """A command, and what it is for."""

    command: str
    note: str


def list_project_commands(template: Template, folder: Path, name: ProjectName) -> list[Command]:
    """List the first commands in a new project."""
    wf, python = find_wf(), find_python()
    found = [] if _is_here(folder) else [Command(f"cd {shlex.quote(_shorten(folder))}", "")]
    found.append(Command(f"{wf} dev", "the studio, in the browser; every save is loaded at once"))
    for told in template.next:
        command = told.command.replace("{python}", python).replace("{module}", name.module)
        found.append(Command(f"{wf}{command[2:]}" if command.startswith("wf ") else command, told.note))
    return found


def list_addition_commands(addition: Addition) -> list[Command]:
    """List what to do with a new workflow or step."""
    found = [] if _is_here(addition.plan.folder) else [Command(f"cd {shlex.quote(_shorten(addition.plan.folder))}", "")]
    before = f"PYTHONPATH={shlex.quote(addition.test_path)} " if addition.test_path else ""
    found.append(Command(f"{before}{make_test_command()} {shlex.quote(addition.test)}", "its test"))
    found.append(Command(f"{find_wf()} check", "whether a replay repeats what the bodies do"))
    if addition.kind == "workflow":
        argument = shlex.quote('"ada"')
        found.append(Command(f"{find_wf()} run {shlex.quote(addition.file)}:{addition.name} {argument}", "a run"))
    return found


def find_wf() -> str:
    """Write how this `wf` is called."""
    beside = os.path.join(os.path.dirname(sys.executable), "wf")
    found = shutil.which("wf")
    if found is not None and os.path.exists(beside) and os.path.samefile(found, beside):
        return "wf"
    return shlex.quote(beside) if os.path.exists(beside) else f"{find_python()} -m wfstudio"


def find_python() -> str:
    """Write how this Python is called."""
    for name in ("python", os.path.basename(sys.executable)):
        found = shutil.which(name)
        if found is not None and _is_same(found, sys.executable):
            return name
    return shlex.quote(sys.executable)


def _is_same(one: str, other: str) -> bool:
    """Tell whether two names are the same Python in the same environment: those of all venvs are links to one file."""
    return os.path.dirname(os.path.abspath(one)) == os.path.dirname(os.path.abspath(other)) and os.path.samefile(
        one, other
    )


def make_test_command() -> str:
    """Write how tests are run here; where there is no pytest, it is installed first."""
    python = find_python()
    has_pytest = importlib.util.find_spec("pytest") is not None
    return f"{python} -m pytest" if has_pytest else f"{python} -m pip install pytest && {python} -m pytest"


def _is_here(folder: Path) -> bool:
    return folder == Path.cwd()


def _shorten(folder: Path) -> str:
    """Write a folder as seen from here, if that is shorter."""
    try:
        relative = os.path.relpath(folder)
    except ValueError:  # another drive
        return str(folder)
    return relative if len(relative) < len(str(folder)) else str(folder)
