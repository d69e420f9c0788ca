"""A program beside the dev server's terminal: in a pane of tmux, where that is what it runs in.

Not in the dev server's own terminal: what steps print goes there, and would run over what the program draws.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

PATIENCE_SECONDS: Final = 2.0


def open_beside(command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> bool:
    """Open a program in a pane beside this one. False: this is no tmux, or it has no room."""
    tmux = shutil.which("tmux", path=environ.get("PATH"))
    if tmux is None or not environ.get("TMUX"):
        return False
    pane = [f"-t{environ['TMUX_PANE']}"] if environ.get("TMUX_PANE") else []
    words = [tmux, "split-window", *pane, "-h", "-l", "65%", "-c", str(folder), *command]
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=PATIENCE_SECONDS, check=False, env=dict(environ),
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
