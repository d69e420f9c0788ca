"""Code of users in a process that is there for it: today's, from the disk, or a deployment's, from its stored files."""

from __future__ import annotations

import os
import traceback
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path
from types import ModuleType

from wf.catalog import Catalog
from wf.deployment import snapshot
from wf.errors import WorkflowError
from wf.loading import LoadError, load_target, use_sources
from wf.registry import find_step, find_workflow, list_workflows
from wfstudio.core.bench.wire import Code, Loaded, NotLoaded


def load_code(code: Code) -> Loaded | NotLoaded:
    """Load the code that this process is for, and say what is in it."""
    try:
        with chdir(code.root):
            modules = _load_today(code.targets) if code.files is None else _load_kept(code, code.files)
    except LoadError as error:
        return _describe(error)
    except WorkflowError as error:
        return NotLoaded(str(error), error.where, error.hint)
    except OSError as error:
        return NotLoaded(f"the project's folder cannot be entered: {error}")
    taken = snapshot(Path(code.root), modules)
    return Loaded(taken.deployment_id, [workflow.id for workflow in list_workflows()], list(taken.manifest))


def _load_today(targets: list[str]) -> list[ModuleType]:
    return [module for target in targets for module in load_target(target)]


def _load_kept(code: Code, files: dict[str, bytes]) -> list[ModuleType]:
    return load_stored(code.root, files, code.entries) or load_target(code.root)


def list_entries(catalog: Catalog) -> dict[str, str]:
    """Give the ids of what a deployment defines, each with its file."""
    workflows = {entry.id: entry.file for entry in catalog.workflows}
    return workflows | {entry.id: entry.file for entry in catalog.steps}


def load_stored(root: str, files: Mapping[str, bytes], entries: Mapping[str, str]) -> list[ModuleType]:
    """Load a deployment from its files, once and first of all, by what its catalog says it defines.

    Not by today's targets: they may name what was not there yet, and would then load it from the disk,
    or leave out what was loaded as another one. Where the catalog names nothing, nothing is loaded yet.
    """
    use_sources(Path(root), dict(files))
    modules: list[ModuleType] = []
    for id, file in entries.items():
        if find_workflow(id) is None and find_step(id) is None:
            modules += _load_entry(root, id, file, files)
    return modules


def _load_entry(root: str, id: str, file: str, files: Mapping[str, bytes]) -> list[ModuleType]:
    """Load what defines a workflow or step: under the module name that its id has, if one does, else by its file."""
    name, colon, _ = id.rpartition("/")[2].partition(":")
    if colon:
        for tail in (f"{name.replace('.', '/')}.py", f"{name.replace('.', '/')}/__init__.py"):
            place = file if file in files else tail  # one from outside the root is kept by its module's name
            folder = os.path.join(root, place.removesuffix(tail))
            if place in files and (place == tail or place.endswith(f"/{tail}")) and os.path.isdir(folder):
                with chdir(folder):
                    return load_target(name)
    return load_target(os.path.join(root, *file.split("/"))) if file in files else []


def _describe(error: LoadError) -> NotLoaded:
    cause = error.__cause__
    text = None
    if cause is not None:
        text = "".join(traceback.format_exception(type(cause), cause, cause.__traceback__))
    return NotLoaded(str(error), error.where, error.hint, text)
