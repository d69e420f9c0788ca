"""Modules: the project's files as syntax trees, and which file an import means.

A file is known to Python by its stem, or by its dotted name if it lies in a package, as `wf.loading`
imports it. An import is looked for beside the file (its package's parent), in the project's root and in
the root's `src`; what is not there is outside the project. Nothing is imported for it.
"""

from __future__ import annotations

import ast
import os
import sys
import warnings
from collections.abc import Mapping
from importlib.util import decode_source
from pathlib import Path
from typing import Final, Protocol

from wf.loading import is_own_file
from wfstudio.core.check.scopes import Scope, build_scopes

LARGEST_FILE: Final = 1_000_000
"""Bytes of a file that is read; a larger one is data."""

_NEVER_OURS: Final = frozenset(sys.stdlib_module_names) | {"wf", "wfstudio"}


class Files(Protocol):
    """Where the contents of files come from: the disk, or what was kept of a deployment."""

    def read(self, path: str) -> bytes | None:
        """Give a file's content, or None where there is no such file."""

    def has_folder(self, path: str) -> bool: ...


class DiskFiles:
    def read(self, path: str) -> bytes | None:
        try:
            if os.path.getsize(path) > LARGEST_FILE or not os.path.isfile(path):
                return None
            with open(path, "rb") as file:
                return file.read()
        except OSError:
            return None

    def has_folder(self, path: str) -> bool:
        return os.path.isdir(path)


class StoredFiles:
    """Contents by absolute path, in place of the disk."""

    def __init__(self, contents: Mapping[str, bytes]) -> None:
        self._contents = contents
        self._folders = {folder for path in contents for folder in _list_parents(path)}

    def read(self, path: str) -> bytes | None:
        return self._contents.get(path)

    def has_folder(self, path: str) -> bool:
        return path in self._folders


def _list_parents(path: str) -> list[str]:
    found = []
    while (parent := os.path.dirname(path)) != path:
        found.append(parent)
        path = parent
    return found


class Unreadable(Exception):
    """Internal: a file is no Python. `line` and `column` are from 1."""

    def __init__(self, message: str, line: int = 1, column: int = 1) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column


class Module:
    """A file of the project. `base` is the folder that its dotted name counts from."""

    scope: Scope

    def __init__(self, path: str, name: str, base: str, text: str, tree: ast.Module) -> None:
        self.path = path
        self.name = name
        self.base = base
        self.text = text
        self.tree = tree
        is_package = os.path.basename(path) == "__init__.py"
        built = build_scopes(self, tree, name if is_package else name.rpartition(".")[0])
        self.functions = built.functions
        self.classes = built.classes
        self.scopes = built.scopes
        self.rebound = built.rebound
        """By name: functions that change a variable of the module by `global`."""

    def __repr__(self) -> str:
        return f"<module {self.name}>"


class Project:
    """The files of a project, parsed when they are asked for. `root` is absolute."""

    def __init__(self, root: str, files: Files | None = None) -> None:
        self.root = root
        self.files: Files = files or DiskFiles()
        self.broken: dict[str, Unreadable] = {}
        self._modules: dict[str, Module | None] = {}
        self._found: dict[tuple[str, str], Module | str | None] = {}

    def open(self, path: str) -> Module | None:
        """Give a file's module; None where there is none, or where it is no Python (then `broken` says why)."""
        if path not in self._modules:
            self._modules[path] = None  # while it is read, and if it fails
            content = self.files.read(path)
            if content is not None:
                base, name = self.name_file(path)
                try:
                    text, tree = parse(content)
                    self._modules[path] = Module(path, name, base, text, tree)
                except Unreadable as error:
                    self.broken[path] = error
                except RecursionError:
                    self.broken[path] = Unreadable("it is nested too deep to be read")
        return self._modules[path]

    def list_opened(self) -> list[Module]:
        """List the modules that have been read, in that order."""
        return [module for module in self._modules.values() if module is not None]

    def name_file(self, path: str) -> tuple[str, str]:
        """Give the folder that goes on `sys.path` for a file, and the name of its module."""
        folder = os.path.dirname(path)
        parts = [os.path.splitext(os.path.basename(path))[0]]
        while self.files.read(os.path.join(folder, "__init__.py")) is not None:
            parts.insert(0, os.path.basename(folder))
            folder = os.path.dirname(folder)
            if os.path.dirname(folder) == folder:
                break
        if len(parts) > 1 and parts[-1] == "__init__":
            parts.pop()
        return folder, ".".join(parts)

    def find(self, name: str, asking: Module) -> Module | str | None:
        """Find what an absolute import means: a module of the project, the folder of a package that has no
        file of its own, or None for what is outside the project."""
        key = (name, asking.base)
        if key not in self._found:
            self._found[key] = self._find(name, asking.base)
        return self._found[key]

    def find_under(self, name: str) -> Module | str | None:
        """Find a module by its dotted name from the root, whoever asks."""
        return self._find(name, self.root)

    def _find(self, name: str, base: str) -> Module | str | None:
        if not name or name.partition(".")[0] in _NEVER_OURS:
            return None
        tail = name.split(".")
        for place in dict.fromkeys((base, self.root, os.path.join(self.root, "src"))):
            path = os.path.join(place, *tail)
            for file in (os.path.join(path, "__init__.py"), f"{path}.py"):
                if self._is_ours(file, base) and self.files.read(file) is not None:
                    return self.open(file)
            if self.files.has_folder(path) and self._is_ours(path, base):
                return path
        return None

    def _is_ours(self, path: str, base: str) -> bool:
        return is_own_file(path, Path(self.root)) or is_own_file(path, Path(base))


def parse(content: bytes) -> tuple[str, ast.Module]:
    """Read a file's text and tree. Raises `Unreadable`."""
    try:
        text = decode_source(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # `"\d"` is the compiler's business
            return text, ast.parse(text)
    except SyntaxError as error:
        raise Unreadable(f"{error.msg}", error.lineno or 1, error.offset or 1) from None
    except (UnicodeDecodeError, LookupError) as error:
        raise Unreadable(f"it is not text: {error}") from None
    except (ValueError, MemoryError) as error:  # a NUL, or nested beyond what the parser takes
        raise Unreadable(str(error) or "it is nested too deep to be read") from None
