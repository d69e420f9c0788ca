"""Templates: the programs that `wf new` can write, and what it asks about each.

A template is a folder with a manifest, `template.toml`, and files. A file that ends in `.jinja` is
rendered and loses that ending, all others are copied. `MODULE` in a file's name is the project's
module. The folder `shared` has what all projects get. `gitignore` becomes `.gitignore`: packagers
obey files of that name, and would leave out what a template ships.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

import wfstudio
from wf.errors import shorten
from wfstudio.core.errors import NotFoundError, UsageError
from wfstudio.scaffold.names import suggest

MANIFEST: Final = "template.toml"
SHARED: Final = "shared"
RENDERED: Final = ".jinja"


class Question(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Something to decide about a project, always a whole number so far; the default does."""

    name: str
    ask: str
    default: int
    at_least: int
    at_most: int

    def read(self, text: str) -> int:
        """Read an answer. Raises `UsageError`."""
        word = text.strip()
        if not (word.isascii() and word.isdigit() and len(word) < 10):
            raise UsageError(f"{self.name}: {shorten(text)} is not a whole number", f"`{self.default}`, for example")
        if not self.at_least <= int(word) <= self.at_most:
            raise UsageError(f"{self.name}: {int(word)} is not between {self.at_least} and {self.at_most}")
        return int(word)


class NextCommand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A command to try, and what it does. `{python}`, `{module}` and a leading `wf` are filled in."""

    command: str
    note: str


class Template(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a manifest says. `ignored` is what the project's steps write; `place` orders the list."""

    place: int
    summary: str
    next: list[NextCommand]
    name: str = ""
    folder: str = ""
    is_default: bool = False
    questions: list[Question] = []
    dependencies: list[str] = []
    ignored: list[str] = []

    def answer(self, given: Mapping[str, str]) -> dict[str, int]:
        """Give all answers: those that are given, and the defaults. Raises `UsageError` for what nobody asked."""
        known = {question.name: question for question in self.questions}
        for name in given:
            if name not in known:
                listed = f"known are {', '.join(known)}" if known else "it asks nothing"
                raise UsageError(
                    f"the template {self.name} does not ask for {shorten(name)}", suggest(name, known) or listed
                )
        return {n: q.read(given[n]) if n in given else q.default for n, q in known.items()}


class TemplateFile(msgspec.Struct, frozen=True):
    """A file of a template. `path` is where it goes, with `MODULE` in it."""

    path: str
    content: bytes
    is_rendered: bool


def find_folder() -> Path:
    """Find the templates: in the package, or beside it where that is a checkout."""
    package = Path(wfstudio.__file__).resolve().parent
    for folder in (package / "_templates", package.parent / "templates"):
        if (folder / SHARED).is_dir():
            return folder
    raise NotFoundError("this installation of wfstudio has no templates", "install it again")


def list_templates() -> list[Template]:
    """List the templates, in the order in which they are shown."""
    found = [_read(path) for path in find_folder().glob(f"*/{MANIFEST}")]
    return sorted(found, key=lambda template: template.place)


def _read(path: Path) -> Template:
    told: dict[str, Any] = tomllib.loads(path.read_text("utf-8"))
    return msgspec.convert({**told, "name": path.parent.name, "folder": str(path.parent)}, Template)


def find_template(name: str) -> Template:
    """Give a template by its name. Raises `UsageError` with what was probably meant."""
    known = {template.name: template for template in list_templates()}
    if name not in known:
        raise UsageError(
            f"there is no template {shorten(name)}", suggest(name, known) or f"there are {', '.join(known)}"
        )
    return known[name]


def default_template() -> Template:
    return next(template for template in list_templates() if template.is_default)


def list_files(template: Template) -> Iterator[TemplateFile]:
    """List what a template writes, shared files first, in one order everywhere."""
    for folder in (find_folder() / SHARED, Path(template.folder)):
        for path in sorted(folder.rglob("*")):
            name = path.relative_to(folder).as_posix()
            if path.is_file() and name != MANIFEST and "__pycache__" not in path.parts:
                target = name.removesuffix(RENDERED)
                if target == "gitignore":
                    target = ".gitignore"
                yield TemplateFile(target, path.read_bytes(), name != name.removesuffix(RENDERED))
