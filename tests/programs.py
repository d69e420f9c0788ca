"""Programs beside Python that tests drive: Chromium, tmux, Postgres, and the browser studio with its tools (from npm).

    python -m tests.programs      make all of them ready, as `do.py test` does while types are checked

1. Where one is missing, the tests that need it are skipped, with one line that says which. On a Debian where this runs
   as root in CI it is installed first; a machine of somebody's own is left as it is.
2. Who asks for one while somebody is at it waits: two lanes of tests ask at once.
"""

from __future__ import annotations

import compileall
import fcntl
import functools
import os
import random
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final, TypeVar

T = TypeVar("T")

ROOT: Final = Path(__file__).resolve().parents[1]
WEB_UI: Final = ROOT / "web_ui"
INSTALL_SECONDS: Final = 240.0
STUDIO_SECONDS: Final = 300.0

WITHOUT_PLUGINS: Final = tuple(
    word
    for name in ("anyio", "hypothesispytest", "schemathesis", "xdist", "xdist.looponfail")
    for word in ("-p", f"no:{name}")
)
"""Options of a stranger's pytest: plugins that happen to be installed here take two seconds to load."""

PYTEST: Final = ("-m", "pytest", "-q", "-p", "no:cacheprovider", *WITHOUT_PLUGINS)

_CHROMIUM: Final = ("chromium", "chromium-browser", "google-chrome")
_TMUX: Final = ("tmux",)


@functools.cache
def find_chromium() -> str | None:
    return _find(_CHROMIUM)


@functools.cache
def find_tmux() -> str | None:
    return _find(_TMUX)


@functools.cache
def find_postgres() -> Path | None:
    """Give the folder with initdb and postgres, which Debian leaves out of PATH."""
    return _have(_look_for_postgres, "postgresql")


def find_port() -> int:
    """Give a port to be bound later, and again after a restart. It is none of those that the system gives to whoever
    asks for any: such a one may be somebody else's by then, or a client's own that tries to connect there."""
    for port in random.SystemRandom().sample(range(20_000, 32_000), 100):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("no port is free")


@functools.cache
def make_ready() -> str | None:
    """Build the browser studio as its sources are, with the tools of its tests; give why that cannot be."""
    if shutil.which("node") is None:
        return "there is no Node on PATH"
    try:
        with _one_at_a_time():
            done = subprocess.run(
                [sys.executable, str(ROOT / "hatch_build.py"), "--tools"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=STUDIO_SECONDS,
            )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "npm took too long"
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[0]


def _find(names: tuple[str, ...]) -> str | None:
    """Find a program by one of its names, the first of which is its Debian package."""
    return _have(lambda: _look_for(names), names[0])


def _have(look: Callable[[], T | None], package: str) -> T | None:
    """Look for something; install its Debian package where we may, and look again."""
    found = look()
    if found is None and _may_install():
        with _one_at_a_time():
            if look() is None and _update():
                _call_apt("install", "-y", "-qq", "--no-install-recommends", package)
        found = look()
    return found


def _may_install() -> bool:
    is_tried_already = "PYTEST_XDIST_WORKER" in os.environ  # lanes are opened by `do.py test`, which has called `main`
    is_root_in_ci = bool(os.environ.get("CI")) and hasattr(os, "geteuid") and os.geteuid() == 0
    return is_root_in_ci and not is_tried_already and shutil.which("apt-get") is not None


def _look_for_postgres() -> Path | None:
    folders = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    debian = Path("/usr/lib/postgresql").glob("*/bin")
    folders += sorted(debian, key=lambda folder: (len(folder.parent.name), folder.parent.name), reverse=True)
    return next((folder for folder in folders if (folder / "initdb").exists() and (folder / "postgres").exists()), None)


def _look_for(names: tuple[str, ...]) -> str | None:
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


@functools.cache
def _update() -> bool:
    return _call_apt("update", "-qq")


def _call_apt(*words: str) -> bool:
    try:
        subprocess.run(
            ["apt-get", *words], env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
            stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False
    return True


@contextmanager
def _one_at_a_time() -> Iterator[None]:
    with open(__file__, "rb") as own_file:
        fcntl.flock(own_file, fcntl.LOCK_EX)  # ends with the block
        yield


def main() -> None:
    # Tests start a few hundred interpreters, and some machines are told to keep no bytecode: then each of those would
    # compile all that it imports.
    for folder in ("runtime", "wfstudio", "tests", "sample_projects"):
        compileall.compile_dir(ROOT / folder, quiet=2)
    make_ready()
    find_chromium()
    find_tmux()
    find_postgres()


if __name__ == "__main__":
    main()
