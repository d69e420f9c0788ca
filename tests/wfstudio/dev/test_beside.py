"""A pane beside the dev server's: tmux is asked for it, where it runs, and for nothing elsewhere."""

from __future__ import annotations

import os
from pathlib import Path

from wfstudio.dev.beside import open_beside

TMUX = """#!/bin/sh
for word in "$@"; do printf '%s\\n' "$word"; done > "{asked}"
exit {code}
"""


def make_tmux(folder: Path, *, code: int = 0) -> dict[str, str]:
    """Put a program in tmux's place that keeps what it was asked, and give the environment of its panes."""
    program = folder / "tmux"
    program.write_text(TMUX.format(asked=folder / "asked", code=code))
    program.chmod(0o755)
    return {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}", "TMUX": "/tmp/tmux-1,2,3", "TMUX_PANE": "%7"}


def test_tmux_opens_a_pane_beside_the_one_that_asks(tmp_path: Path) -> None:
    environ = make_tmux(tmp_path)
    assert open_beside(["wf", "tui", "--world", "sqlite:///a b.db"], tmp_path, environ)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked[:2] == ["split-window", "-t%7"]
    assert asked[-6:] == ["-c", str(tmp_path), "wf", "tui", "--world", "sqlite:///a b.db"]


def test_without_tmux_or_room_nothing_is_opened_and_that_is_said(tmp_path: Path) -> None:
    environ = make_tmux(tmp_path)
    assert not open_beside(["wf", "tui"], tmp_path, {**environ, "TMUX": ""})
    assert not open_beside(["wf", "tui"], tmp_path, {**environ, "PATH": str(tmp_path / "nowhere")})
    assert not (tmp_path / "asked").exists()
    assert not open_beside(["wf", "tui"], tmp_path, make_tmux(tmp_path, code=1))
