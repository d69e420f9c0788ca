"""Names: what a project, a workflow or a step may be called.

A project's name is that of its distribution (`my-flows`); its module has the same name as Python
can import it (`my_flows`). A name that Python, pytest or an installed package has already would
hide that, and fail later in ways that nobody connects with a name; so it is refused.
"""

from __future__ import annotations

import builtins
import keyword
import re
import sys
import unicodedata
from collections.abc import Iterable
from difflib import get_close_matches
from importlib.metadata import packages_distributions
from typing import Final

import msgspec

from wf.errors import shorten
from wfstudio.core.errors import UsageError

LONGEST: Final = 60
_DISTRIBUTION: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?")
_NOT_IN_A_NAME: Final = re.compile(r"[^A-Za-z0-9._-]+")
_NOT_FLOWS: Final = re.compile(r"(?:test|tests|conftest|setup|noxfile|build|dist|src|test_.*|.*_test)\Z")
"""What pytest, pip and wf's own discovery take for something else."""


class ProjectName(msgspec.Struct, frozen=True):
    """`distribution` is how pip knows the project, `module` how Python imports it."""

    distribution: str
    module: str


def read_project_name(text: str) -> ProjectName:
    """Check what a project is to be called. Raises `UsageError` with a name that would do."""
    if not text:
        raise UsageError("a project needs a name", "`my-flows`, for example")
    if not _DISTRIBUTION.fullmatch(text):
        plain = unicodedata.normalize("NFKD", text.replace("ß", "ss"))
        bare = "".join(letter for letter in plain if not unicodedata.combining(letter))
        close = _NOT_IN_A_NAME.sub("-", bare).strip("-._")
        raise UsageError(
            f"{shorten(text)} is no name for a project",
            "use letters, digits, `-`, `_` and `.`" + (f": `{close[:LONGEST]}`" if close else ""),
        )
    if len(text) > LONGEST:
        raise UsageError(f"{shorten(text)} is too long for a name", f"use at most {LONGEST} characters")
    module = re.sub(r"[-_.]+", "_", text).lower()
    _check_module(text, module)
    return ProjectName(text, module)


def _check_module(text: str, module: str) -> None:
    said = f"`{text}`" if module == text else f"`{text}` is the module `{module}`, which"
    better = f"name it otherwise: `my-{text}`"
    if not module.isidentifier():
        raise UsageError(f"{said} begins with a digit, which no Python module can", better)
    if keyword.iskeyword(module):
        raise UsageError(f"{said} is a word of Python's", better)
    if module in sys.stdlib_module_names:
        raise UsageError(f"{said} would hide Python's own module of that name", better)
    if _NOT_FLOWS.match(module):
        raise UsageError(f"{said} is taken for tests or for packaging", better)
    installed = _find_distribution(module)
    if installed is not None:
        raise UsageError(f"{said} would hide the installed package {installed}", better)


def _find_distribution(module: str) -> str | None:
    if module in ("wf", "wfstudio", "pytest"):  # also where they are not installed like others
        return module
    owners = packages_distributions().get(module)
    return owners[0] if owners else None


def check_definition_name(name: str, kind: str) -> None:
    """Check what a workflow or step is to be called. Raises `UsageError`."""
    if not name.isidentifier() or not name.isascii():
        close = re.sub(r"\W+", "_", name, flags=re.ASCII).strip("_").lstrip("0123456789_")
        raise UsageError(
            f"{shorten(name)} is no name for a {kind}: it becomes a function",
            f"did you mean `{close}`?" if close else "use letters, digits and `_`, as in `send_letter`",
        )
    if keyword.iskeyword(name):
        raise UsageError(f"`{name}` is a word of Python's", f"name it otherwise: `{name}_it`")
    if hasattr(builtins, name):
        raise UsageError(f"`{name}` would hide Python's own", f"name it otherwise: `{name}_it`")
    if len(name) > LONGEST:
        raise UsageError(f"{shorten(name)} is too long for a name", f"use at most {LONGEST} characters")


def suggest(word: str, known: Iterable[str]) -> str | None:
    """Give the hint for a mistyped word, or None if nothing is close to it."""
    close = get_close_matches(word.lower(), list(known), n=1, cutoff=0.6)
    return f"did you mean `{close[0]}`?" if close else None
