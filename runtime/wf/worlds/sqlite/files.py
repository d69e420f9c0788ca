"""The world's file on disk: made private, told from another one, refused on a network."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from typing import Final

from wf.errors import StorageFull, WorldError

_OCTAL: Final = re.compile(r"\\([0-7]{3})")
NETWORKED: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "ncpfs", "fuse.sshfs"})
"""File systems whose locks and shared memory do not hold between machines: WAL corrupts there."""


def make_private(path: Path) -> None:
    """Create the file (0600) and its missing folders (0700), durably; leave what exists alone.

    SQLite gives -wal and -shm the mode of the file, so it must be right before SQLite comes.
    """
    try:
        missing = [folder for folder in (path.parent, *path.parent.parents) if not folder.exists()]
        for folder in reversed(missing):
            folder.mkdir(mode=0o700, exist_ok=True)
            sync_folder(folder.parent)
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600)
    except FileExistsError:
        if path.is_dir():
            raise WorldError(f"the world {path} is a folder, not a file") from None
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise StorageFull(f"no space is left for the world {path}") from error
        refused = WorldError(f"the world {path} cannot be created: {error.strerror}")
        refused.hint = "name a folder where this user may write (`WF_WORLD`, `[tool.wf] world`)"
        raise refused from error
    else:
        os.close(descriptor)
        sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder survive a power cut, where the system can do that."""
    try:
        descriptor = os.open(folder, os.O_RDONLY)
    except OSError:  # Windows opens no folders, and needs no such thing
        return
    try:
        os.fsync(descriptor)
    except OSError:  # some file systems refuse it; the file itself is synced by SQLite
        pass
    finally:
        os.close(descriptor)


def identify(path: Path) -> tuple[int, int] | None:
    """Name the file behind a path, so that a deleted or replaced one is noticed."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_dev, found.st_ino


def refuse_network(path: Path, mounts: str | None = None) -> None:
    """Raise `WorldError` for a file on a network file system. `mounts` is /proc/self/mountinfo."""
    if mounts is None:
        try:
            mounts = Path("/proc/self/mountinfo").read_text(errors="replace")
        except OSError:
            return
    kind = find_file_system(path, mounts)
    if kind in NETWORKED:
        refused = WorldError(f"the world {path} is on a network file system ({kind}), where SQLite loses data")
        refused.hint = "put the world on a local disk (`WF_WORLD`, `[tool.wf] world`)"
        raise refused


def find_file_system(path: Path, mounts: str) -> str | None:
    """Find the type of the file system that holds a path; the format is that of proc(5)."""
    target = path.absolute()
    best, kind = -1, None
    for line in mounts.splitlines():
        left, _, right = line.partition(" - ")
        fields, types = left.split(" "), right.split(" ")
        if len(fields) < 5 or not types[0]:
            continue
        point = Path(_OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4]))  # a blank is written as \040
        # Of two mounts on one point the later hides the earlier.
        if target.is_relative_to(point) and len(point.parts) >= best:
            best, kind = len(point.parts), types[0]
    return kind
