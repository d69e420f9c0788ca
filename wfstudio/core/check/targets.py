"""Targets: which files a check is asked for. They are found as `wf.loading` finds what it imports, without
importing any of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path

import msgspec

from wf.errors import shorten
from wf.loading import find_flows
from wf.settings import find_root, load_settings
from wfstudio.core.errors import UsageError


class Scope(msgspec.Struct, frozen=True):
    """What to check of one project. `root` and `files` are absolute; `targets` is what its loader would get."""

    root: str
    files: list[str]
    targets: list[str]


def find_scopes(words: Sequence[str]) -> list[Scope]:
    """Find what words on a command line name: files, folders, modules; without any, the project that we are in.

    Each project is a scope of its own. Raises `UsageError` for what is not there.
    """
    found: dict[str, Scope] = {}
    for word in words or ["."]:
        root, files, targets = _find(word, is_default=not words)
        before = found.get(root, Scope(root, [], []))
        found[root] = Scope(root, list(dict.fromkeys([*before.files, *files])), [*before.targets, *targets])
    return list(found.values())


def _find(word: str, *, is_default: bool) -> tuple[str, list[str], list[str]]:
    path = Path(os.path.abspath(word))
    root = find_root(path if path.exists() else None)
    if path.is_dir():
        if is_default or path == root:
            named = load_settings(root).modules
            files = [file for name in named for file in _find_named(name, root)] if named else find_flows(root)
            return str(root), _show_all(files, root), list(named) or [str(root)]
        return str(root), _show_all(find_flows(path), path), [str(path)]
    if path.is_file():
        if path.suffix != ".py":
            raise UsageError(f"{word} is not a Python file", "name a file, a folder or a module")
        return str(root), [str(path)], [str(path)]
    return str(root), _show_all(_find_module(word, root), root), [word]


def _show_all(files: Iterator[Path] | list[Path], folder: Path) -> list[str]:
    found = [str(file) for file in files]
    if not found:
        raise UsageError(f"no Python file in {folder} speaks of wf", "name a file, or `modules` in [tool.wf]")
    return found


def _find_named(name: str, root: Path) -> list[Path]:
    if name.endswith(".py"):
        path = root / name
        if not path.is_file():
            raise UsageError(f"there is no file {name}, which [tool.wf] modules names", _suggest(path.name, root))
        return [path]
    return _find_module(name, root)


def _find_module(name: str, root: Path) -> list[Path]:
    """Find the files of a module or package by its dotted name."""
    if all(part.isidentifier() for part in name.split(".")):
        for base in dict.fromkeys((Path.cwd(), root, root / "src")):
            path = base.joinpath(*name.split("."))
            if path.with_suffix(".py").is_file() and not (path / "__init__.py").is_file():
                return [path.with_suffix(".py")]
            if path.is_dir():
                files = list(find_flows(path))
                first = path / "__init__.py"
                return [first, *files] if first.is_file() and first not in files else files
    what = "file" if name.endswith(".py") or os.sep in name else "file or module"
    raise UsageError(f"there is no {what} {shorten(name)}", _suggest(os.path.basename(name), root))


def _suggest(name: str, root: Path) -> str | None:
    known = {path.name: path for folder in (Path.cwd(), root) for path in sorted(folder.glob("*.py"))}
    known |= {path.stem: path for path in known.values()}
    close = get_close_matches(name, known, n=1, cutoff=0.5)
    return f"did you mean `{os.path.relpath(known[close[0]])}`?" if close else None
