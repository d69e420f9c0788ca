"""Storage: what a world's files take on this disk."""

from __future__ import annotations

import shutil
from typing import Final, Literal

import msgspec

from wf.settings import Settings

WorldFileKind = Literal["world", "log", "mirror", "other"]
"""`log` is SQLite's write-ahead log, which is emptied into the world; `mirror` is SQL's copy, and disposable."""

_KINDS: Final[dict[str, WorldFileKind]] = {
    "": "world",
    "-wal": "log",
    "-shm": "log",
    ".history": "mirror",
    ".history.wal": "mirror",
}


class WorldFileView(msgspec.Struct, frozen=True):
    name: str
    kind: WorldFileKind
    bytes: int


class StorageView(msgspec.Struct, frozen=True):
    """`files` are those of the world, largest first; none where it is not on this disk. `free_bytes` is the disk's."""

    world: str
    files: list[WorldFileView] = []
    free_bytes: int | None = None


def measure_storage(settings: Settings) -> StorageView:
    """Look at the files of a world as they are now. A file that goes while they are looked at is left out."""
    path = settings.address.path
    if path is None or not path.parent.is_dir():
        return StorageView(settings.address.shown)
    files = []
    for file in path.parent.iterdir():
        if not file.name.startswith(path.name):
            continue
        try:
            size = file.stat().st_size
        except OSError:
            continue
        files.append(WorldFileView(file.name, _KINDS.get(file.name.removeprefix(path.name), "other"), size))
    files.sort(key=lambda file: (-file.bytes, file.name))
    return StorageView(settings.address.shown, files, shutil.disk_usage(path.parent).free)
