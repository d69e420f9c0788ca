"""Projects: a template, a place and answers become a plan."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from wf.errors import shorten
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.scaffold.names import ProjectName, read_project_name
from wfstudio.scaffold.plans import Plan, plan_file
from wfstudio.scaffold.rendering import render
from wfstudio.scaffold.templates import Template, list_files


def read_place(text: str) -> tuple[Path, ProjectName]:
    """Read where a project is to be: a name, or a path whose last part is one. `.` is the folder that we are in.

    Raises `UsageError` for a name that cannot be, `ConflictError` for a place that is a file.
    """
    if "\0" in text:
        raise UsageError(f"{shorten(text)} is no path")
    folder = Path(os.path.abspath(os.path.expanduser(text)))
    name = read_project_name(folder.name if text else "")
    for path in (folder, *folder.parents):
        if path.exists():
            if not path.is_dir():
                raise ConflictError(f"{path} is a file", "choose another place")
            break
    return folder, name


def list_content(folder: Path) -> list[str]:
    """List what is in a folder already. Hidden things do not count: `.git` and `.venv` are in many new ones."""
    return sorted(name for name in os.listdir(folder) if name[0] != ".") if folder.is_dir() else []


def plan_project(template: Template, folder: Path, name: ProjectName, answers: Mapping[str, int]) -> Plan:
    """Render a template. Nothing is written."""
    values = {
        "name": name.distribution,
        "module": name.module,
        "summary": template.summary,
        "dependencies": sorted([*template.dependencies, "wfstudio"]),
        "ignored": template.ignored,
        **answers,
    }
    files = []
    for file in list_files(template):
        content = render(file.content.decode(), values).encode() if file.is_rendered else file.content
        files.append(plan_file(folder, file.path.replace("MODULE", name.module), content))
    return Plan(folder, sorted(files, key=lambda planned: (planned.path.count("/"), planned.path)))
