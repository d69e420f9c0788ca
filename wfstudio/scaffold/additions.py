"""Additions: a workflow or a step for a project that is there, in the project's own manner, with a test."""

from __future__ import annotations

import ast
import io
import os
import re
import sys
import tokenize
from contextlib import suppress
from pathlib import Path
from typing import Final, Literal

import msgspec

from wf.errors import shorten
from wf.settings import find_root
from wfstudio.core.check.modules import Module
from wfstudio.core.check.targets import find_scopes
from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.core.written_tests.places import is_on_path
from wfstudio.scaffold.manner import Code, Manner, name_test
from wfstudio.scaffold.names import check_definition_name
from wfstudio.scaffold.plans import Plan, PlannedFile, plan_file
from wfstudio.scaffold.rendering import render
from wfstudio.scaffold.templates import find_folder

Kind = Literal["workflow", "step"]

FOLDER: Final = "additions"


class Addition(msgspec.Struct, frozen=True):
    """What is added. `module` is dotted; `test` is relative to the plan's folder, which is the project's root.

    `test_path` is what PYTHONPATH must be for the test to find the module, None where it finds it anyway.
    """

    plan: Plan
    kind: Kind
    name: str
    module: str
    file: str
    line: int
    test: str
    test_path: str | None


def plan_addition(kind: Kind, name: str, *, target: str | None = None) -> Addition:
    """Plan a new workflow or step. `target` is a file or module; by default, the one with the most workflows.

    Raises `UsageError` for a name or target that cannot be, `ConflictError` for a name that is taken.
    """
    check_definition_name(name, kind)
    code, candidates = _read_code(target)
    module = code.choose_module(candidates)
    if module is None:
        path, message = next(iter(code.broken.items()), (candidates[0], "it is too large"))
        raise UsageError(f"{os.path.relpath(path)} cannot be read: {message}", "mend it first")
    if target is None:
        _check_own(code, module)
    _check_free(name, code, module)
    manner = code.read_manner(module)
    values = {"kind": kind, "name": name, "manner": manner, "module": module.name}
    root = Path(code.root)
    content = Path(module.path).read_bytes()
    edited, line = _extend(content, _render(f"{kind}.py", values, manner), manner, needs_wf=_needs_wf(kind, manner))
    relative = Path(module.path).relative_to(root).as_posix()
    test = name_test(code.root, name)
    written = _render(f"test_{kind}.py", values, manner).encode()
    test_folder = os.path.dirname(os.path.join(root, test))
    is_found = is_on_path(module.base, test_folder, code.root) or Path(module.base) == root
    return Addition(
        plan=Plan(root, [PlannedFile(relative, edited, "edit", content), plan_file(root, test, written)]),
        kind=kind,
        name=name,
        module=module.name,
        file=relative,
        line=line,
        test=test,
        test_path=None if is_found else os.path.relpath(module.base, root),
    )


def _read_code(target: str | None) -> tuple[Code, list[str]]:
    """Read the project's code; give the files, too, that the new function may go to."""
    try:
        scope = find_scopes([target] if target else [])[0]
    except UsageError as error:
        if target:
            raise
        raise UsageError(f"{error}: this is no project of workflows", "`wf new NAME` makes one") from None
    files = scope.files
    if target:
        with suppress(UsageError):  # nothing else there speaks of wf
            files = list(dict.fromkeys([*files, *find_scopes([scope.root])[0].files]))
    return Code(scope.root, files), scope.files


def _check_own(code: Code, module: Module) -> None:
    """Refuse to choose a module of another project, in a folder below: nobody has named it."""
    own = find_root(Path(module.path))
    if own != Path(code.root):
        file, folder = os.path.relpath(module.path), os.path.relpath(own)
        raise UsageError(f"{file} is of the project in {folder}", f"go there, `cd {folder}`, or name it: `--in {file}`")


def _check_free(name: str, code: Code, module: Module) -> None:
    found = code.find(name)
    if found is not None:
        place = f"{os.path.relpath(found.function.module.path)}:{found.function.first_line}"
        raise ConflictError(f"there is a {found.kind} {shorten(name)} already, at {place}", "choose another name")
    if name in module.scope.bindings:
        raise ConflictError(f"{os.path.relpath(module.path)} has {shorten(name)} already", "choose another name")


def _needs_wf(kind: Kind, manner: Manner) -> bool:
    """Tell whether what is added speaks of `wf`: a decorator of its own, or the sleep in a workflow."""
    decorator = manner.workflow if kind == "workflow" else manner.step
    return manner.has_wf is None and (kind == "workflow" or decorator.startswith("wf."))


def _render(name: str, values: dict[str, object], manner: Manner) -> str:
    text = render((find_folder() / FOLDER / f"{name}.jinja").read_text("utf-8"), values)
    if manner.mark == "'":
        text = re.sub(r'(?<!")"(?!")', "'", text)  # the templates have no text with an apostrophe
    if manner.indent != "    ":
        text = re.sub(r"^(?: {4})+", lambda match: manner.indent * (len(match[0]) // 4), text, flags=re.MULTILINE)
    return text


# -- the text of a module ---------------------------------------------------------------------------


def _extend(content: bytes, code: str, manner: Manner, *, needs_wf: bool) -> tuple[bytes, int]:
    """Put code at a module's end, before its `if __name__ == "__main__":`; give the line where it begins.

    Encoding and ends of lines stay what they were, and so does everything else.
    """
    encoding, _ = tokenize.detect_encoding(io.BytesIO(content).readline)
    text = content.decode(encoding)
    newline = "\r\n" if "\r\n" in text else "\n"
    text = text.replace("\r\n", "\n")
    if needs_wf:
        text = _add_import(text)
    lines = text.split("\n")
    end = _find_guard(ast.parse(text), lines)
    head, tail = "\n".join(lines[:end]).rstrip("\n"), "\n".join(lines[end:]).strip("\n")
    parts = [part for part in (head, code.strip("\n"), tail) if part]
    begins = head.count("\n") + 4 if head else 1
    return ("\n\n\n".join(parts) + "\n").replace("\n", newline).encode(encoding), begins


def _find_guard(tree: ast.Module, lines: list[str]) -> int:
    """Give the index of the line where the part that runs as a script begins, with the comment above it."""
    for node in tree.body:
        if isinstance(node, ast.If) and "__name__" in ast.unparse(node.test):
            index = node.lineno - 1
            while index and lines[index - 1].startswith("#"):
                index -= 1
            return index
    return len(lines)


def _add_import(text: str) -> str:
    """Add `import wf` where a sorted file has it: behind the standard library, among what is installed."""
    tree = ast.parse(text)
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    standard = [node for node in imports if _top_of(node) in sys.stdlib_module_names]
    others = [node for node in imports if node not in standard]
    lines = text.split("\n")
    earlier = [n for n in others if isinstance(n, ast.Import) and _top_of(n) < "wf"]
    if earlier:
        lines.insert(earlier[-1].end_lineno or earlier[-1].lineno, "import wf")
    elif others:
        lines.insert(others[0].lineno - 1, "import wf")
    elif standard:
        lines[(at := standard[-1].end_lineno or 0) : at] = ["", "import wf"]
    else:
        first = tree.body[0] if tree.body else None
        is_documented = isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
        at = (first.end_lineno or 0) if is_documented and first is not None else 0
        lines[at:at] = ["", "import wf"] if at else ["import wf", ""]
    return "\n".join(lines)


def _top_of(node: ast.Import | ast.ImportFrom) -> str:
    name = node.names[0].name if isinstance(node, ast.Import) else node.module or ""
    return name.partition(".")[0]
