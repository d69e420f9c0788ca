"""Watching: which saved files are a reason to load the code anew.

Python files of the project and its pyproject.toml. Editors save by writing a draft and renaming it,
tools touch hundreds of files at once: what comes in one burst is told as one.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from watchfiles import Change, awatch

from wf.loading import is_own_file

QUIET_MS: Final = 30
"""A burst is over when nothing was saved for so long. An editor's rename takes under 5 ms."""
LONGEST_BURST_MS: Final = 1_000


async def watch(root: Path, tell: Callable[[list[str]], None], stop: asyncio.Event) -> None:
    """Tell of saved files, by their paths relative to `root`, until `stop` is set."""

    def is_wanted(change: Change, path: str) -> bool:
        return is_code(path, root)

    async for changes in awatch(
        root,
        watch_filter=is_wanted,
        debounce=LONGEST_BURST_MS,
        step=QUIET_MS,
        stop_event=stop,
        ignore_permission_denied=True,
    ):
        tell(sorted({os.path.relpath(path, root) for _, path in changes}))


def is_code(path: str, root: Path) -> bool:
    """Tell whether a file is the project's code: not installed, not hidden, not made by a tool."""
    if not path.endswith((".py", f"{os.sep}pyproject.toml")) or not is_own_file(path, root):
        return False
    return not any(part.startswith(".") for part in Path(path).relative_to(root).parts)
