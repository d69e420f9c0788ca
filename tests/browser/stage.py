"""The stage of the browser's tests: a copy of the sample, `wf dev` in a terminal, Chromium, Node.

Where one of them is missing the tests are skipped, with one line that says which. On a Debian where this runs as
root in CI, Chromium is installed first; a machine of somebody's own is left as it is.
"""

from __future__ import annotations

import functools
import json
import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

ROOT: Final = Path(__file__).resolve().parents[2]
WEB_UI: Final = ROOT / "web_ui"
PATIENCE_SECONDS: Final = 30.0
SCRIPT_SECONDS: Final = 240.0
INSTALL_SECONDS: Final = 240.0

ASIDE: Final = Path(__file__).with_name("aside.py")
"""Workflows besides the sample's, which are put below it: what it has no reason to do."""

_EDITOR: Final = """#!/bin/sh
printf '%s\\n' "$1" >> "$(dirname "$0")/opened"
"""
"""An editor that notes what it was asked to open."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


@functools.cache
def find_chromium() -> str | None:
    """Find Chromium; in CI, as root on a Debian, install it first."""
    found = _look_for_chromium()
    is_ours_to_install = bool(os.environ.get("CI")) and hasattr(os, "geteuid") and os.geteuid() == 0
    if found is None and is_ours_to_install and shutil.which("apt-get"):
        for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", "chromium"]):
            try:
                subprocess.run(
                    ["apt-get", *command],
                    env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
                    stdin=subprocess.DEVNULL, capture_output=True, timeout=INSTALL_SECONDS,
                )  # fmt: skip
            except subprocess.TimeoutExpired:
                return None
        found = _look_for_chromium()
    return found


def _look_for_chromium() -> str | None:
    names = ("chromium", "chromium-browser", "google-chrome")
    return next((path for name in names if (path := shutil.which(name)) is not None), None)


@functools.cache
def make_ready() -> str | None:
    """Build the studio as its sources are, with the tools of its tests; give why that cannot be."""
    if shutil.which("node") is None:
        return "there is no Node on PATH"
    try:
        done = subprocess.run(
            [sys.executable, str(ROOT / "hatch_build.py"), "--tools"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return "npm took too long"
    return None if done.returncode == 0 else done.stderr.strip().splitlines()[0]


class Dev:
    """A running `wf dev` in a terminal of its own."""

    def __init__(self, project: Path, popen: subprocess.Popen[bytes], number: int) -> None:
        self.project = project
        self.popen = popen
        self._number = number
        self._screen = ""

    def wait_for(self, pattern: str) -> re.Match[str]:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while (found := re.search(pattern, self._screen)) is None:
            assert time.monotonic() < deadline, f"waited in vain for {pattern!r}; the screen shows:\n{self._screen}"
            if select.select([self._number], [], [], 0.1)[0]:
                piece = os.read(self._number, 65536)
                self._screen += _COLOURS.sub("", piece.decode(errors="replace")).replace("\r\n", "\n")
        return found

    def make_launch_url(self) -> str:
        """Press `u`, as a person would, and read the link."""
        os.write(self._number, b"u")
        return self.wait_for(r"(http://\S+#code=[\w-]+)\s")[1]


@contextmanager
def developing(folder: Path, prepare: Callable[[Path], None] = lambda project: None) -> Iterator[Dev]:
    """Run `wf dev` on a copy of the sample, which may be prepared first."""
    sample = ROOT / "sample_projects" / "site_builder"
    project = folder / "site_builder"
    ignore = shutil.ignore_patterns("public", ".wf", "__pycache__", "tests")
    shutil.copytree(sample, project, ignore=ignore)
    flow = project / "flow.py"
    flow.write_text(flow.read_text("utf-8") + "\n\n" + ASIDE.read_text("utf-8").partition("import wf\n")[2].lstrip())
    editor = folder / "editor"
    editor.write_text(_EDITOR)
    editor.chmod(0o755)
    prepare(project)
    ours, theirs = pty.openpty()
    environ = {name: value for name, value in os.environ.items() if not name.startswith(("WF_", "DISPLAY"))}
    popen = subprocess.Popen(
        [sys.executable, "-m", "wfstudio", "dev", "flow.py", "--no-open", "--port", "0"],
        cwd=project, env={**environ, "COLUMNS": "200", "WF_EDITOR": f"{editor} {{file}}:{{line}}"},
        start_new_session=True, stdin=theirs, stdout=theirs, stderr=theirs,
    )  # fmt: skip
    try:
        dev = Dev(project, popen, ours)
        dev.wait_for(r"workflows? loaded in")
        yield dev
    finally:
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        os.close(theirs)
        os.close(ours)


def drive(dev: Dev, chromium: str, shots: Path) -> list[dict[str, Any]]:
    """Go through the studio in a browser, and give what was claimed and whether it held."""
    launch_url = dev.make_launch_url()
    given = {
        "chromium": chromium,
        "url": launch_url.partition("/#")[0],
        "launchUrl": launch_url,
        "project": str(dev.project),
        "pid": dev.popen.pid,
        "shots": str(shots),
        "python": sys.executable,
        "opened": str(dev.project.parent / "opened"),
    }
    done = subprocess.run(
        ["node", "e2e/studio.mjs", json.dumps(given)],
        cwd=WEB_UI, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SCRIPT_SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]
