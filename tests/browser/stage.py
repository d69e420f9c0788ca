"""The stage of the browser's tests: a copy of the sample, `wf dev` in a terminal, Chromium, Node."""

from __future__ import annotations

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

from tests.programs import ROOT, WEB_UI, find_port

PATIENCE_SECONDS: Final = 30.0
SCRIPT_SECONDS: Final = 480.0

ASIDE: Final = Path(__file__).with_name("aside.py")
"""Workflows besides the sample's, which are put below it: what it has no reason to do."""

_EDITOR: Final = """#!/bin/sh
printf '%s\\n' "$1" >> "$(dirname "$0")/opened"
"""
"""An editor that notes what it was asked to open."""

_COLOURS: Final = re.compile(r"\x1b\[[0-9;]*m")


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
        [sys.executable, "-m", "wfstudio", "dev", "flow.py", "--no-open", "--port", str(find_port())],
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
