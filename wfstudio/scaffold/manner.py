"""The manner of a project: how its own workflows and steps are written, so that a new one looks like them.

The files are read and not imported, as `wf check` does it.
"""

from __future__ import annotations

import ast
import io
import os
import tokenize
import tomllib
from collections.abc import Collection, Sequence
from typing import Final

import msgspec

from wfstudio.core.check.inference import Inference
from wfstudio.core.check.modules import Module, Project
from wfstudio.core.check.roles import Role, find_roles
from wfstudio.core.written_tests.places import read_style

DIRECTIVES: Final = ("use workflow", "use step")


class Manner(msgspec.Struct, frozen=True):
    """How a module is written. `workflow` and `step` are the decorators, empty where the project has directives.

    `has_wf` is the name that `wf` has in the module, or None; `is_async` is of steps; `mark` is the quote.
    """

    workflow: str
    step: str
    has_wf: str | None
    is_async: bool
    is_annotated: bool
    indent: str
    mark: str

    @property
    def is_directive(self) -> bool:
        return not self.workflow


class Code:
    """The code of a project: its modules that speak of wf, and what is defined in them."""

    def __init__(self, root: str, files: Sequence[str]) -> None:
        self.root = root
        self.files = files
        self._project = Project(root)
        inference = self._inference = Inference(self._project)
        opened = [self._project.open(file) for file in files]
        self.modules = [module for module in opened if module is not None]
        self.roles = {module: find_roles(module, inference) for module in self.modules}

    @property
    def broken(self) -> dict[str, str]:
        """The files that are no Python, with what is wrong."""
        return {path: error.message for path, error in self._project.broken.items()}

    def choose_module(self, files: Collection[str]) -> Module | None:
        """Give the module, of these files, that has the most workflows, then the most steps."""
        mine = [module for module in self.modules if module.path in files]
        workflows = {module: sum(role.kind == "workflow" for role in self.roles[module]) for module in mine}
        return max(mine, key=lambda m: (workflows[m], len(self.roles[m])), default=None)

    def find(self, name: str) -> Role | None:
        """Find a workflow or step by the name of its function."""
        for roles in self.roles.values():
            for role in roles:
                if role.function.name == name:
                    return role
        return None

    def read_manner(self, module: Module) -> Manner:
        """Read how a module is written; where it says nothing, the other modules do."""
        own = self.roles[module]
        everywhere = [*own, *(role for other in self.modules if other is not module for role in self.roles[other])]
        alias = _find_wf(module)
        directives = [role for role in own or everywhere if self._is_directive(role)]
        is_directive = len(directives) * 2 > len(own or everywhere)
        steps = [role for role in own if role.kind == "step"] or [r for r in everywhere if r.kind == "step"]
        plain = sum(not role.function.is_async for role in steps)
        return Manner(
            workflow="" if is_directive else self._spell("workflow", own, alias),
            step="" if is_directive else self._spell("step", own, alias),
            has_wf=alias,
            is_async=plain * 2 <= len(steps),
            is_annotated=not everywhere or any(_is_annotated(role) for role in everywhere),
            indent=_find_indent(module.tree, module.text),
            mark=_find_mark(module.text) or read_style(self.root).mark,
        )

    def _is_directive(self, role: Role) -> bool:
        is_decorated = any(self._inference.read_decorator(d, role.function) for d in role.function.decorators)
        return not is_decorated and _docstring(role) in DIRECTIVES

    def _spell(self, kind: str, own: Sequence[Role], alias: str | None) -> str:
        """Write a decorator as the module writes it: `wf.step`, `step`, `app.step`."""
        spelled = {role.kind: text for role in own if (text := self._decorator_of(role))}
        if kind in spelled:
            return spelled[kind]
        for text in spelled.values():
            owner, dot, _ = text.rpartition(".")
            if dot:
                return f"{owner}.{kind}"
        return f"{alias or 'wf'}.{kind}"

    def _decorator_of(self, role: Role) -> str | None:
        for decorator in role.function.decorators:
            if self._inference.read_decorator(decorator, role.function) == role.kind:
                return ast.unparse(decorator.func if isinstance(decorator, ast.Call) else decorator)
        return None


def _docstring(role: Role) -> str | None:
    node = role.function.node
    return ast.get_docstring(node) if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) else None


def _find_wf(module: Module) -> str | None:
    for node in module.tree.body:
        if isinstance(node, ast.Import):
            for name in node.names:
                if name.name == "wf":
                    return name.asname or "wf"
    return None


def _is_annotated(role: Role) -> bool:
    node = role.function.node
    has_return = isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.returns is not None
    return has_return or any(argument.annotation is not None for argument in role.function.parameters)


def _find_indent(tree: ast.Module, text: str) -> str:
    lines = text.splitlines()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            first = node.body[0]
            line = lines[first.lineno - 1] if first.lineno > node.lineno else ""
            found = line[: len(line) - len(line.lstrip())]
            if found:
                return found
    return "    "


def _find_mark(text: str) -> str | None:
    """Give the quote that most texts of a module are in; None where there is no majority."""
    counts = {"'": 0, '"': 0}
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            opening = token.string.lstrip("rbfuRBFU") if token.type in _TEXTS else ""
            if opening[:1] in counts and opening[:3] not in ('"""', "'''"):
                counts[opening[0]] += 1
    except (tokenize.TokenError, SyntaxError):
        return None
    singles, doubles = counts["'"], counts['"']
    return None if singles == doubles else "'" if singles > doubles else '"'


_TEXTS: Final = {getattr(tokenize, name) for name in ("STRING", "FSTRING_START") if hasattr(tokenize, name)}


def name_test(root: str, name: str) -> str:
    """Give the path of a new test, relative to the root, where and how the project keeps its tests."""
    folder = _find_tests(root)
    files = os.listdir(os.path.join(root, folder)) if os.path.isdir(os.path.join(root, folder)) else []
    behind = sum(file.endswith("_test.py") for file in files)
    before = sum(file.startswith("test_") and file.endswith(".py") for file in files)
    return f"{folder}/{name}_test.py" if behind > before else f"{folder}/test_{name}.py"


def _find_tests(root: str) -> str:
    for place in _read_testpaths(root):
        if os.path.isdir(os.path.join(root, place)) and not os.path.isabs(place):
            return os.path.normpath(place).replace(os.sep, "/")
    return next((place for place in ("tests", "test") if os.path.isdir(os.path.join(root, place))), "tests")


def _read_testpaths(root: str) -> list[str]:

    try:
        with open(os.path.join(root, "pyproject.toml"), "rb") as file:
            found = tomllib.load(file).get("tool", {}).get("pytest", {}).get("ini_options", {}).get("testpaths", [])
    except (OSError, ValueError, AttributeError):
        return []
    return found.split() if isinstance(found, str) else [str(place) for place in found]
