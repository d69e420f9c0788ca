"""Locating: by which name of which module a test gets hold of a workflow, a step or a class.

The files are read and not imported, as `wf check` does it.
"""

from __future__ import annotations

import ast
import os
from typing import Final

import msgspec

from wf.catalog import StepEntry, WorkflowEntry
from wfstudio.core.check.inference import Inference, Place
from wfstudio.core.check.kinds import Outside, Type
from wfstudio.core.check.modules import Module, Project
from wfstudio.core.check.roles import Role, find_roles
from wfstudio.core.check.scopes import Assigned, Class, Function
from wfstudio.core.check.walking import Walk

NEEDS_RUN: Final = frozenset(
    f"wf.{name}"
    for name in ("get_step_metadata", "get_workflow_metadata", "get_writable", "set_attributes", "remove_attributes")
)
"""What a step may ask only within a run."""


class Located(msgspec.Struct, frozen=True):
    """`name` is the attribute of `module` (dotted, for what is in a class). `function` is what is decorated."""

    module: str
    base: str
    name: str
    function: Function


class Locator:
    """Finds definitions by what a catalog says of them. `root` is the project's, absolute."""

    def __init__(self, root: str) -> None:
        self.root = root
        self._project = Project(root)
        self._inference = Inference(self._project)
        self._roles: dict[str, list[Role]] = {}

    def find(self, entry: WorkflowEntry | StepEntry) -> Located | None:
        """Find a workflow or step; None if no import gets hold of it, or if it is not there any more."""
        path = os.path.join(self.root, *entry.file.split("/"))
        module = self._project.open(path)
        if module is None:
            return None
        if path not in self._roles:
            self._roles[path] = find_roles(module, self._inference)
        kind = "workflow" if isinstance(entry, WorkflowEntry) else "step"
        mine = [role for role in self._roles[path] if role.kind == kind]
        for role in [role for role in mine if role.id == entry.id] or [
            r for r in mine if r.function.first_line == entry.line
        ]:
            name = self._name(role.function, module)
            if name is not None:
                return Located(module.name, module.base, name, role.function)
        return None

    def _name(self, function: Function, module: Module) -> str | None:
        if function not in self._inference.applied:
            return None if "<locals>" in function.qualname else function.qualname
        for name, bindings in module.scope.bindings.items():  # `charge = wf.step(_charge)`
            value = bindings[-1].value if isinstance(bindings[-1], Assigned) else None
            if isinstance(value, ast.Call) and value.args:
                kind = self._inference.infer(value.args[0], Place(module.scope))
                if getattr(kind, "function", None) is function:
                    return name
        return None

    def needs_run(self, function: Function) -> bool:
        """Tell whether a step, or what it calls in the project, asks for what there is only in a run."""
        found: set[str] = set()

        def hear(walk: Walk, event: object) -> None:
            callee = getattr(event, "callee", None)
            if isinstance(callee, Outside):
                found.add(callee.name)

        seen: set[Function] = set()
        queue = [function]
        while queue:
            here = queue.pop()
            if here in seen:
                continue
            seen.add(here)
            walk = Walk(here, self._inference, hear)
            walk.run()
            queue += [edge.target for edge in walk.edges]
        return not found.isdisjoint(NEEDS_RUN)

    def find_class(self, name: str, asking: str) -> Class | None:
        """Find a class of the project by `module:qualname`; `asking` is a module of it."""
        module_name, _, qualname = name.partition(":")
        module = self._open(module_name, asking)
        if module is None:
            return None
        return next((cls for cls in module.classes.values() if cls.qualname == qualname), None)

    def _open(self, name: str, asking: str) -> Module | None:
        for module in self._project.list_opened():
            if module.name == asking:
                found = self._project.find(name, module)
                return found if isinstance(found, Module) else None
        return None

    def is_ours(self, module: str, asking: str) -> bool:
        """Tell whether a module is one of the project's files; `asking` is one that was found."""
        return self._open(module, asking) is not None

    def is_plain(self, cls: Class) -> bool:
        """Tell whether calling a class with its fields by name makes just what has these fields."""
        for kind in self._inference.ancestors(cls):
            if not isinstance(kind, Type):
                continue
            bindings = kind.cls.scope.bindings
            if {"__init__", "__new__", "__post_init__"} & bindings.keys():
                return False
            for found in bindings.values():
                value = getattr(found[-1], "value", None)
                if isinstance(value, ast.Call) and {"init", "alias", "validation_alias"} & {
                    k.arg for k in value.keywords
                }:
                    return False
        return True
