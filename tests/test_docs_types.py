"""The Python in the documents is typed: what a reader copies, a type checker takes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from tests.pages import ROOT, read_blocks

PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "templates" / "skill").glob("*.md")])

# Steps of examples may have no body, and what `wf check` finds may be wrong for a checker, too.
ALLOWED = ["empty-body", "unused-coroutine"]


def test_what_is_shown_passes_a_type_checker(tmp_path: Path) -> None:
    """Each block is a module of its own; what it imports of another block (`flows`) is taken for anything."""
    files = {}
    for page in PAGES:
        for block in read_blocks(page):
            if block.words == ("python",):
                name = re.sub(r"\W", "_", block.place)
                files[name] = block.place
                (tmp_path / f"{name}.py").write_text(block.text, "utf-8")
    assert len(files) > 80
    (tmp_path / "mypy.ini").write_text(
        "[mypy]\nignore_missing_imports = true\ncheck_untyped_defs = true\n"
        f"mypy_path = {ROOT / 'runtime'}\ncache_dir = {tmp_path / 'cache'}\ndisable_error_code = {', '.join(ALLOWED)}\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--config-file", "mypy.ini", *(f"{name}.py" for name in files)],
        cwd=tmp_path, capture_output=True, text=True, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    told = re.sub(r"^(\w+)\.py:", lambda match: f"{files.get(match[1], match[1])} +", done.stdout, flags=re.MULTILINE)
    assert done.returncode == 0, told + done.stderr
