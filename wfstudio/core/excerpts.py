"""Excerpts: the lines around a place in the code as it is on the disk now."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from wfstudio.core.bench.views import LineView

LINES_AROUND: Final = 2


def read_excerpt(root: str, where: str) -> tuple[list[LineView], int] | None:
    """Give the lines around `file:line in function` as they are on the disk, and the number of the line."""
    file, _, rest = where.rpartition(":")
    number = rest.partition(" ")[0]
    try:
        lines = Path(root, file).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        return None
    if not number.isdecimal() or not 1 <= int(number) <= len(lines):
        return None
    line = int(number)
    span = range(max(1, line - LINES_AROUND), min(len(lines), line + LINES_AROUND) + 1)
    return [LineView(n, lines[n - 1]) for n in span], line
