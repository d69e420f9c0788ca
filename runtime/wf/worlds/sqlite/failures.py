"""The seam: every error of SQLite becomes one of wf's here, and nowhere else."""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from wf.errors import StorageFull, WorldBusy, WorldError

NEARLY_NOTHING: Final = 1 << 20
"""Under 1 MiB a disk counts as full: file systems fail before the last byte is gone."""

_STORAGE: Final = frozenset(
    {
        sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_READONLY,
        sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_PROTOCOL, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_PERM,
    }
)  # fmt: skip


def is_storage_failure(error: BaseException) -> bool:
    """Tell a failing storage, which fails for everybody, from a statement that is itself wrong."""
    return isinstance(error, sqlite3.Error) and _primary_code(error) in _STORAGE


def is_outcome_unknown(error: BaseException) -> bool:
    """Tell whether a failed commit may be in the file all the same (a failed fsync, mostly).

    A write that failed for want of space is not among them: SQLite never wrote the commit mark.
    """
    return isinstance(error, sqlite3.Error) and _primary_code(error) == sqlite3.SQLITE_IOERR and not _is_write(error)


def translate(error: sqlite3.Error, path: str) -> WorldError:
    """Say in wf's words what SQLite reports about a world file."""
    code = _primary_code(error)
    name = getattr(error, "sqlite_errorname", type(error).__name__)
    is_growing = _is_write(error) or getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_SHMSIZE
    if code == sqlite3.SQLITE_FULL or (is_growing and _is_out_of_space(path)):
        return StorageFull(f"no space is left for the world {path} ({name})")
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
        busy = WorldBusy(f"another process holds the world {path} and did not let go in time ({name})")
        busy.hint = "end the program that has the file open for writing; wf itself never holds it for long"
        return busy
    text, hint = _TEXTS.get(code, ("the world {path} cannot be used: {error}", None))
    failure = WorldError(f"{text.format(path=path, error=error)} ({name})")
    failure.hint = hint
    return failure


_TEXTS: Final[dict[int, tuple[str, str | None]]] = {
    sqlite3.SQLITE_READONLY: (
        "the world {path} is read-only",
        "give this user the right to write the file, its folder and the -wal and -shm beside it",
    ),
    sqlite3.SQLITE_CANTOPEN: (
        "the world {path} cannot be opened",
        "check that its folder exists, is writable, and that descriptors are left (`ulimit -n`)",
    ),
    sqlite3.SQLITE_PERM: ("the world {path} may not be used by this user", None),
    sqlite3.SQLITE_CORRUPT: (
        "the world {path} is damaged: {error}",
        "keep a copy of the file with its -wal, then restore a backup",
    ),
    sqlite3.SQLITE_NOTADB: (
        "{path} is not a world: it is no SQLite file",
        "check the path of the world (`WF_WORLD`, `[tool.wf] world`)",
    ),
    sqlite3.SQLITE_IOERR: (
        "the disk failed under the world {path}: {error}",
        "look at the system's log for the disk; what was not acknowledged may be sent again",
    ),
    sqlite3.SQLITE_NOMEM: ("no memory is left for the world {path}", None),
}


def _primary_code(error: sqlite3.Error) -> int:
    # Errors of the Python module itself (a closed connection, a wrong binding) carry no code.
    return int(getattr(error, "sqlite_errorcode", sqlite3.SQLITE_MISUSE)) & 0xFF


def _is_write(error: sqlite3.Error) -> bool:
    return getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_IOERR_WRITE


def _is_out_of_space(path: str) -> bool:
    """Guess why a write failed: SQLite tells ENOSPC by name, but EFBIG and EDQUOT like a broken disk."""
    try:
        import resource

        if resource.getrlimit(resource.RLIMIT_FSIZE)[0] != resource.RLIM_INFINITY:
            return True
        disk = os.statvfs(os.path.dirname(path) or ".")
    except (ImportError, AttributeError, OSError):
        return False
    return disk.f_bavail * disk.f_frsize < NEARLY_NOTHING
