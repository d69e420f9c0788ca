"""Bytecode: what Python keeps, beside a module's source, of having compiled it.

It is taken for the source's as long as the second of its last change and its length are the same. A file that is saved
twice in a second, with a digit changed, would be loaded as it was the first time. It is what git calls a racy index,
and has the same cure: of a file that has only just been saved nothing is kept. All others load as fast as ever.
"""

from __future__ import annotations

import os
import time
from importlib.machinery import SourceFileLoader
from typing import Any, Final

FRESH_SECONDS: Final = 2.0
"""Instants in bytecode are whole seconds; clocks of file systems are a little behind."""

_keep: Final[Any] = SourceFileLoader._cache_bytecode  # type: ignore[attr-defined]


def keep_none_of_fresh_files() -> None:
    """See to it in this process, before it imports what somebody edits. Doing it twice is harmless."""
    SourceFileLoader._cache_bytecode = _keep_settled  # type: ignore[attr-defined]


def _keep_settled(loader: SourceFileLoader, source_path: str, bytecode_path: str, data: bytes) -> Any:
    try:
        age_seconds = time.time() - os.stat(source_path).st_mtime
    except OSError:
        return None
    return _keep(loader, source_path, bytecode_path, data) if age_seconds > FRESH_SECONDS else None
