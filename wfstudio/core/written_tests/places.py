"""Places: where a generated test lies, how wide its lines are, and how it finds the code that it imports."""

from __future__ import annotations

import configparser
import os
import re
import site
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import msgspec

DEFAULT_WIDTH: Final = 88
"""Characters of a line, as ruff and black have it where nothing else is said."""

_LONGEST_NAME: Final = 24
_ULID: Final = re.compile(r"wrun_([0-9A-Z]{26})\Z")


class Style(msgspec.Struct, frozen=True):
    """How a project formats its code."""

    width: int = DEFAULT_WIDTH
    mark: str = '"'


def read_style(root: str) -> Style:
    """Read how a project's formatter is set: ruff's file or section, else black's."""
    for name in (".ruff.toml", "ruff.toml"):
        if os.path.isfile(os.path.join(root, name)):
            return _read_ruff(_read_toml(os.path.join(root, name)))
    tools = _read_toml(os.path.join(root, "pyproject.toml")).get("tool", {})
    if "ruff" in tools:
        return _read_ruff(tools["ruff"])
    width = _get(tools, "black").get("line-length")
    return Style(width) if isinstance(width, int) else Style()


def _read_ruff(section: Any) -> Style:
    width = section.get("line-length") if isinstance(section, dict) else None
    is_single = _get(section, "format").get("quote-style") == "single"
    return Style(width if isinstance(width, int) else DEFAULT_WIDTH, "'" if is_single else '"')


def _get(section: Any, name: str) -> Mapping[str, Any]:
    found = section.get(name) if isinstance(section, dict) else None
    return found if isinstance(found, dict) else {}


def _read_toml(path: str) -> dict[str, Any]:
    try:
        with open(path, "rb") as file:
            return tomllib.load(file)
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError):
        return {}


# -- names ----------------------------------------------------------------------------------------


def make_slug(text: str) -> str:
    """Make a part of a name of a text: letters, digits and underscores, not too many."""
    slug = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_").lower()
    if slug and len(slug) <= _LONGEST_NAME:
        return slug
    digest = sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:6]
    return f"{slug[:_LONGEST_NAME]}_{digest}".lstrip("_")


def shorten_run(run_id: str) -> str:
    """Give what tells a run from others in a file's name: the end of a drawn id, or all of a given one."""
    match = _ULID.match(run_id)
    return match[1][-6:].lower() if match else make_slug(run_id)


def name_workflow(workflow: str) -> str:
    """Give the short name of a workflow or step from its id."""
    return workflow.rpartition("/")[2].rpartition(":")[2].rpartition(".")[2] or workflow


def make_file_name(run_id: str) -> str:
    """Make a file's name of a run's id; ids may hold what file names may not."""
    safe = re.sub(r"[^A-Za-z0-9._-]", "_", run_id).lstrip(".")
    if safe == run_id and len(run_id) <= 100:
        return safe
    return f"{safe[:100]}_{sha256(run_id.encode()).hexdigest()[:6]}"


# -- importing ------------------------------------------------------------------------------------


def is_on_path(base: str, folder: str, root: str) -> bool:
    """Tell whether pytest, run on a test in `folder`, finds modules in `base`."""
    here = os.path.realpath(base)
    if here in list_installed():
        return True
    if here in [os.path.realpath(os.path.join(root, place)) for place in read_pythonpath(root)]:
        return True
    if os.path.isfile(os.path.join(base, "conftest.py")) and not os.path.isfile(os.path.join(base, "__init__.py")):
        return True  # pytest puts the folder of a conftest.py on the path
    top = folder
    while os.path.isfile(os.path.join(top, "__init__.py")):  # and what a package of tests lies in
        top = os.path.dirname(top)
    return here == os.path.realpath(top)


def list_installed() -> set[str]:
    """List the folders that this Python finds modules in, whoever starts it.

    Not `sys.path`: whoever has loaded the project's code has put its folders there for itself.
    """
    places = [*site.getsitepackages(), site.getusersitepackages(), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    found = [place for place in places if place]
    for place in places:
        for file in sorted(Path(place).glob("*.pth")) if place else []:
            try:
                lines = file.read_text("utf-8", "replace").splitlines()
            except OSError:
                continue
            found += [line.strip() for line in lines if os.path.isdir(line.strip())]
    return {os.path.realpath(place) for place in found}


def read_pythonpath(root: str) -> list[str]:
    """Read `pythonpath` of a project's pytest settings: the first file that has any decides."""
    for name in ("pytest.toml", ".pytest.toml"):
        if os.path.isfile(os.path.join(root, name)):
            return _split(_get(_read_toml(os.path.join(root, name)), "pytest").get("pythonpath"))
    for name, section in (("pytest.ini", "pytest"), (".pytest.ini", "pytest")):
        if os.path.isfile(os.path.join(root, name)):
            return _read_ini(os.path.join(root, name), section)
    pytest = _get(_read_toml(os.path.join(root, "pyproject.toml")).get("tool"), "pytest")
    if pytest:
        return _split(_get(pytest, "ini_options").get("pythonpath", pytest.get("pythonpath")))
    for name, section in (("tox.ini", "pytest"), ("setup.cfg", "tool:pytest")):
        found = _read_ini(os.path.join(root, name), section)
        if found:
            return found
    return []


def _read_ini(path: str, section: str) -> list[str]:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(path, "utf-8")
        return _split(parser.get(section, "pythonpath", fallback=None))
    except (configparser.Error, UnicodeDecodeError):
        return []


def _split(value: Any) -> list[str]:
    if isinstance(value, str):
        return value.split()
    return [str(item) for item in value] if isinstance(value, list) else []


def default_folder(root: Path | str) -> str:
    return os.path.join(root, "tests")
