"""Loading: from what a user names on a command line to modules whose workflows are registered.

A target is a file (`flow.py`), a module or package (`flows.orders`), or a directory.

1. A file is imported under the name by which Python would know it: its stem, or its dotted name if
   it lies in a package. Its directory (the package's parent) comes first on `sys.path`.
2. Of a package and of a directory, those files are imported that speak of wf: they import it, carry
   a directive, or decorate something with `@….workflow` or `@….step`. No tests, no `__main__`.
3. Directives are registered as a module is loaded, so whoever imports the function from it gets the
   registered object.
4. All or nothing. What fails to load leaves no module of its own, no registration and no path.
5. An error shows the user's frames and none of ours.
6. Stored sources (`use_sources`) are loaded in place of the files, under the files' own paths: data
   beside the code is found where it is, and names stay what they were.
"""

from __future__ import annotations

import importlib
import importlib.util
import linecache
import os
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path
from types import FunctionType, ModuleType, TracebackType
from typing import Any, Final

from wf.errors import NotRegisteredError, WorkflowError, shorten
from wf.registry import Definition, Step, Workflow, isolated, list_workflows, register_directives
from wf.settings import find_root, load_settings

_SPEAKS_OF_WF = re.compile(
    rb"^[ \t]*(?:import|from)[ \t]+wf\b"
    rb"|^[ \t]*@[\w.]*\b(?:workflow|step)\b"
    rb"|^[ \t]*[rR]?(?:\"|')+\s*use (?:workflow|step)\s*(?:\"|')",
    re.MULTILINE,
)
_FOREIGN: Final = frozenset({"node_modules", "site-packages", "dist-packages", "__pycache__"})
_NOT_FLOWS = re.compile(r"(?:__main__|setup|conftest|noxfile|test_.*|.*_test)\Z")
_TESTS: Final = frozenset({"tests", "test"})
_MOST_FILES: Final = 5_000
_LARGEST_FILE: Final = 1_000_000


class LoadError(WorkflowError):
    """A target is not there or cannot be imported; then the user's own exception is the cause."""

    slug = "load"

    def __init__(self, message: str, *, hint: str | None = None, where: str | None = None) -> None:
        super().__init__(message)
        self.hint = hint
        self.where = where


_stored: dict[str, bytes] = {}
"""Contents that stand for files, by absolute path."""


def use_sources(root: Path, files: Mapping[str, bytes]) -> None:
    """From now on, in this process, load these contents where the project's files would be.

    `files` are by paths relative to `root`, as a deployment's manifest has them. A file of the
    project that is not among them is read from the disk, as far as anything asks for it.
    """
    for name, content in files.items():
        path = os.path.join(root, *name.split("/"))
        _stored[path] = content
        lines = importlib.util.decode_source(content).splitlines(keepends=True)
        linecache.cache[path] = (len(content), None, lines, path)  # tracebacks quote what really runs


def _is_file(path: Path) -> bool:
    return str(path) in _stored or path.is_file()


def split_target(text: str) -> tuple[str, str | None]:
    """Split `flow.py:main` into the target and the name of a workflow in it, None if there is none."""
    target, colon, name = text.rpartition(":")
    if not colon or not target or "/" in name or "\\" in name:  # a lone `C:\\flow.py` has a drive, not a name
        return text, None
    return target, name or None


def load_target(target: str) -> list[ModuleType]:
    """Import what a target names and give its modules, in order; what is loaded already stays so.

    Raises `LoadError`, whose cause is the user's exception with a traceback of the user's frames.
    """
    path = Path(os.path.abspath(target))
    if path.is_dir():
        base = path
    elif _is_file(path):
        if path.suffix != ".py":
            raise LoadError(f"{target} is not a Python file")
        base = path.parent
    elif target.endswith(".py") or "/" in target or os.sep in target:
        raise LoadError(f"there is no file {target}", hint=_suggest_file(path))
    elif not all(part.isidentifier() for part in target.split(".")):
        raise LoadError(f"{shorten(target)} is neither a file nor a module's name")
    else:
        base = Path.cwd()
    with isolated(keep=True), _importing(target, base):
        if path.is_dir():
            modules = _load_directory(path)
        elif _is_file(path):
            modules = [_load_file(path)]
        else:
            modules = _load_name(target, base)
        for module in modules:
            register_directives(module)  # of modules that were loaded before, by somebody else
    return list(dict.fromkeys(modules))


def find_in(modules: Sequence[ModuleType], name: str | None) -> Workflow[Any, Any]:
    """Give a workflow of these modules by its name (or id); without a name, the only one there is.

    Raises `NotRegisteredError` with the close matches, and `LoadError` where it is not a workflow.
    """
    names = {module.__name__ for module in modules}
    own = {workflow.id: workflow for workflow in list_workflows() if workflow.func.__module__ in names}
    if name is None:
        if len(own) == 1:
            return next(iter(own.values()))
        places = ", ".join(module.__name__ for module in modules) or "nothing"
        if not own:
            raise LoadError(f"there is no workflow in {places}", hint="decorate an `async def` with `@wf.workflow`")
        listed = ", ".join(_short_name(workflow) for workflow in own.values())
        raise LoadError(f"there are {len(own)} workflows in {places}", hint=f"name one of them after a colon: {listed}")
    others: list[Any] = []
    for module in modules:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, Workflow):
            return found
        others.append(found)
    for workflow in own.values():
        if name in (workflow.id, _short_name(workflow)):
            return workflow
    for other in others:
        if isinstance(other, Step):
            raise LoadError(f"{other.id} is a step", hint="name a workflow; steps run in workflows")
        if isinstance(other, FunctionType):
            raise LoadError(f"{other.__module__}:{name} is not a workflow", hint="decorate it with `@wf.workflow`")
    raise NotRegisteredError("workflow", name, [_short_name(workflow) for workflow in own.values()])


def _short_name(definition: Definition[Any, Any]) -> str:
    return definition.id.rpartition("/")[2].rpartition(":")[2]


# -- the three kinds of targets -----------------------------------------------------------------


def _load_file(path: Path) -> ModuleType:
    folder, parts = path.parent, [path.stem]
    while _is_file(folder / "__init__.py") and folder.parent != folder:
        parts.insert(0, folder.name)
        folder = folder.parent
    if len(parts) == 1:
        _put_first(folder)
        return _load_script(path)
    if parts[-1] == "__init__":
        parts.pop()
    _put_first(folder)
    module = importlib.import_module(".".join(parts))
    _check_origin(module, path)
    return module


def _load_script(path: Path) -> ModuleType:
    """Import a file as the module of its stem, whatever the stem is (`my-flow`, `flow.v2`)."""
    name = path.stem
    loaded = sys.modules.get(name)
    if loaded is not None:
        _check_origin(loaded, path)
        return loaded
    if name in sys.stdlib_module_names:
        raise LoadError(f"{path.name} would hide Python's own module `{name}`", hint="rename the file")
    spec = importlib.util.spec_from_file_location(name, path, loader=_DirectiveLoader(name, str(path)))
    assert spec is not None  # a loader was given
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    assert spec.loader is not None
    try:
        spec.loader.exec_module(module)
    except BaseException:
        sys.modules.pop(name, None)
        raise
    return module


def _check_origin(module: ModuleType, path: Path) -> None:
    origin = file_of(module)
    if origin is None or os.path.realpath(origin) != os.path.realpath(path):
        raise LoadError(
            f"{path} would be the module `{module.__name__}`, which is loaded already from {origin or 'elsewhere'}",
            hint="rename one of them, or put it in a package",
        )


def _load_name(name: str, base: Path) -> list[ModuleType]:
    _put_first(base)
    if (base / "src").is_dir():
        _put_first(base / "src")
    try:
        module = importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise  # it is there, and what it imports is not
        known = [path.stem if path.is_file() else path.name for path in _list_python(base)]
        close = get_close_matches(name, known, n=1, cutoff=0.5)
        raise LoadError(
            f"there is no module {name}",
            hint=f"did you mean `{close[0]}`?" if close else f"it is looked for in {base} and what is installed",
        ) from None
    modules = [module]
    for folder in getattr(module, "__path__", ()):
        modules += [_load_file(path) for path in find_flows(Path(folder)) if path.name != "__init__.py"]
    return modules


def _load_directory(path: Path) -> list[ModuleType]:
    if find_root(path) == path:
        named = load_settings(path).modules
        if named:
            return [module for name in named for module in _load_named(name, path)]
    modules = [_load_file(file) for file in find_flows(path)]
    if not modules:
        raise LoadError(f"no Python file in {path} speaks of wf", hint="name a file, or `modules` in [tool.wf]")
    return modules


def _load_named(name: str, root: Path) -> list[ModuleType]:
    if name.endswith(".py"):
        if not _is_file(root / name):
            raise LoadError(f"there is no file {name}, which [tool.wf] modules names", hint=_suggest_file(root / name))
        return [_load_file(root / name)]
    return _load_name(name, root)


def find_flows(folder: Path) -> Iterator[Path]:
    """Walk a folder for files to import, in the order of their names, a package's `__init__` first."""
    if _stored:
        top = os.path.join(folder, "")
        for name in sorted(_stored):
            path = Path(name)
            if name.startswith(top) and not _NOT_FLOWS.match(path.stem) and _SPEAKS_OF_WF.search(_stored[name]):
                yield path
        return
    budget = _MOST_FILES
    for top, folders, files in os.walk(folder):
        folders[:] = sorted(f for f in folders if f not in _FOREIGN | _TESTS and f[0] != "." and _is_ours(top, f))
        for file in sorted(files):
            path = Path(top, file)
            if path.suffix != ".py" or _NOT_FLOWS.match(path.stem):
                continue
            budget -= 1
            if budget < 0:
                raise LoadError(f"{folder} has more than {_MOST_FILES} Python files", hint="name a file or a module")
            if path.stat().st_size <= _LARGEST_FILE and _SPEAKS_OF_WF.search(path.read_bytes()):
                yield path


def _is_ours(top: str, folder: str) -> bool:
    return not os.path.exists(os.path.join(top, folder, "pyvenv.cfg"))


# -- imports ------------------------------------------------------------------------------------


class _DirectiveLoader(SourceFileLoader):
    def get_data(self, path: str) -> bytes:
        stored = _stored.get(path)
        return super().get_data(path) if stored is None else stored

    def path_stats(self, path: str) -> Mapping[str, Any]:
        if path in _stored:
            raise OSError("a stored source has no bytecode")  # that of the file beside it is of other code
        return super().path_stats(path)

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        register_directives(module)


class _DirectiveFinder:
    """Finds what `PathFinder` finds, and loads the project's own files with their directives."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = _find_stored(name, path) if _stored else None
        if spec is not None:
            return spec
        spec = PathFinder.find_spec(name, path, target)
        if spec is not None and type(spec.loader) is SourceFileLoader and is_own_file(spec.loader.path, self._root):
            spec.loader = _DirectiveLoader(spec.loader.name, spec.loader.path)
        return spec


def _find_stored(name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """Find a module among the stored sources, where the files themselves may be gone."""
    tail = name.rpartition(".")[2]
    for folder in sys.path if path is None else path:
        package = os.path.join(os.path.abspath(folder or "."), tail)
        for file, places in ((os.path.join(package, "__init__.py"), [package]), (f"{package}.py", None)):
            if file in _stored:
                loader = _DirectiveLoader(name, file)
                return importlib.util.spec_from_file_location(
                    name, file, loader=loader, submodule_search_locations=places
                )
    return None


def is_own_file(file: str, root: Path) -> bool:
    """Tell whether a file is the project's own: under its root, and not installed there."""
    top = os.path.join(root, "")
    return file.startswith(top) and _FOREIGN.isdisjoint(file[len(top) :].split(os.sep))


def file_of(module: object) -> str | None:
    """Give a module's file, without waking a lazy module by looking at it."""
    try:
        file = object.__getattribute__(module, "__dict__").get("__file__")
    except AttributeError:  # sys.modules may hold anything
        return None
    return file if isinstance(file, str) else None


@contextmanager
def _importing(target: str, base: Path) -> Iterator[None]:
    root = find_root(base)
    before, paths = set(sys.modules), list(sys.path)
    cwd = os.getcwd()
    if cwd not in sys.path:
        sys.path.append(cwd)
    finder = _DirectiveFinder(root)
    # Before PathFinder, not first: Python's own modules and the import hooks of others come before ours.
    sys.meta_path.insert(sys.meta_path.index(PathFinder) if PathFinder in sys.meta_path else 0, finder)
    importlib.invalidate_caches()  # files may be younger than the last look at their folder
    try:
        yield
    except BaseException as error:
        for name in set(sys.modules) - before:
            if is_own_file(file_of(sys.modules[name]) or "", root):
                del sys.modules[name]
        sys.path[:] = paths
        if isinstance(error, (WorkflowError, KeyboardInterrupt)):
            raise
        raise _explain(target, error, root) from error.with_traceback(_user_frames(error.__traceback__))
    finally:
        sys.meta_path.remove(finder)


def _put_first(folder: Path) -> None:
    path = str(folder)
    if path in sys.path:
        sys.path.remove(path)
    sys.path.insert(0, path)


def _explain(target: str, error: BaseException, root: Path) -> LoadError:
    hint = None
    if isinstance(error, SyntaxError) and error.filename:
        where: str | None = f"{error.filename}:{error.lineno or 0}"
    else:
        where = _deepest_frame(error.__traceback__, root)
    if isinstance(error, SystemExit):
        hint = 'put what runs the program under `if __name__ == "__main__":`'
    elif isinstance(error, ModuleNotFoundError):
        hint = "install what is missing into this environment, or run wf from the one that has it"
    lines = str(error).strip() or repr(error)
    what = _name_file(error, root) or target if os.path.isdir(target) else target
    return LoadError(f"{what} cannot be imported: {type(error).__name__}: {lines}", hint=hint, where=where)


def _name_file(error: BaseException, root: Path) -> str | None:
    """Name the file of a directory that failed, as seen from the root: the first of the project's on the way."""
    file, traceback = None, error.__traceback__
    while file is None and traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not _is_machinery(name) and is_own_file(name, root):
            file = name
        traceback = traceback.tb_next
    if file is None and isinstance(error, SyntaxError):  # of a file of which nothing ran
        file = error.filename
    return os.path.relpath(file, root) if file is not None and is_own_file(file, root) else None


def _user_frames(traceback: TracebackType | None) -> TracebackType | None:
    """Drop the frames of ours and of the import machinery that lead to the user's first one."""
    while traceback is not None and _is_machinery(traceback.tb_frame.f_code.co_filename):
        traceback = traceback.tb_next
    return traceback


def _deepest_frame(traceback: TracebackType | None, root: Path) -> str | None:
    """Where the project's own code was last, whatever library it was in when that raised."""
    where = None
    while traceback is not None:
        code = traceback.tb_frame.f_code
        if not _is_machinery(code.co_filename) and is_own_file(code.co_filename, root):
            where = f"{code.co_filename}:{traceback.tb_lineno} in {code.co_qualname}"
        traceback = traceback.tb_next
    return where


_OWN_FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")
_LIBRARY: Final = os.path.join(os.path.dirname(os.path.abspath(importlib.__file__)), "")


def _is_machinery(file: str) -> bool:
    return file.startswith(("<frozen importlib", _OWN_FOLDER, _LIBRARY))


# -- suggestions --------------------------------------------------------------------------------


def _suggest_file(path: Path) -> str | None:
    for folder in (path.parent, Path.cwd()):
        if folder.is_dir():
            names = {found.name: found for found in _list_python(folder)}
            close = get_close_matches(path.name, names, n=1, cutoff=0.5)
            if close:
                return f"did you mean `{os.path.relpath(names[close[0]])}`?"
    return None


def _list_python(folder: Path) -> list[Path]:
    """List a folder's modules and packages, and those of `src`."""
    found: list[Path] = []
    for place in (folder, folder / "src"):
        if place.is_dir():
            found += [p for p in sorted(place.iterdir()) if p.suffix == ".py" or (p / "__init__.py").is_file()]
    return found
