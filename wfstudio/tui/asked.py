"""What was asked in SQL before: the history that the prompt of `wf query` keeps beside the world, read and added to.

Its format is prompt_toolkit's: an empty line, `# ` and when, and each line of the query with `+` in front. The file
is private as the world is, since a query may name what is in payloads.
"""

from __future__ import annotations

import os
from datetime import datetime
from pathlib import Path
from typing import Final

KEPT: Final = 50
"""Queries that are listed; the file keeps all."""
_LOOKED_AT: Final = 1 << 20


def asked_path(world: Path) -> Path:
    return world.with_name(f"{world.name}.queries")


def read_asked(path: Path) -> list[str]:
    """List what was asked, the last first, each once; nothing where there is no file that can be read."""
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - _LOOKED_AT))
            text = file.read(_LOOKED_AT).decode("utf-8", "replace")
    except OSError:
        return []
    found: dict[str, None] = {}
    for query in reversed(list(_split(text))):
        found.setdefault(query)
        if len(found) == KEPT:
            break
    return list(found)


def keep_asked(path: Path, query: str, at: datetime) -> None:
    """Add a query. Who may not write goes without."""
    lines = "".join(f"+{line}\n" for line in query.split("\n"))
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "ab") as file:
            file.write(f"\n# {at}\n{lines}".encode("utf-8", "replace"))
    except OSError:
        pass


def _split(text: str) -> list[str]:
    queries: list[str] = []
    lines: list[str] = []
    for line in [*text.split("\n"), ""]:
        if line.startswith("+"):
            lines.append(line[1:])
        elif lines:
            queries.append("\n".join(lines).strip())
            lines = []
    return [query for query in queries if query]
