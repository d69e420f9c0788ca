"""The server file: how the other faces find the server that runs beside a world.

`.wf/studio.json` lies beside the world's file, mode 0600 because it holds the session token:
`{pid, process, url, token, started_at}`. It is written whole or not at all.

1. It is a hint. A file whose process is gone is as good as none, and nobody has to clean it up.
2. Only the process that wrote it removes it: a server that leaves late must not take away the file
   of the one that came after it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

import msgspec

from wf.settings import Settings
from wf.worlds.process import is_process_alive

NAME: Final = "studio.json"
_LARGEST: Final = 64 * 1024


class ServerFile(msgspec.Struct, frozen=True):
    """`process` is `<pid>:<start time>` (`wf.worlds.process`), `url` has no path, `started_at` is ISO 8601 UTC."""

    pid: int
    process: str
    url: str
    token: str
    started_at: str


_decoder: Final = msgspec.json.Decoder(ServerFile)


def server_file_path(settings: Settings) -> Path:
    """Give where the server of a world says where it is: beside the world's file, else in the project's `.wf`."""
    path = settings.address.path
    if path is None:
        return settings.root / ".wf" / NAME
    if path.parts[-2:] == (".wf", "world.db"):
        return path.with_name(NAME)
    return path.with_name(f"{path.name}.{NAME}")  # `.wf` is not the only place for worlds, and may hold several


def write_server_file(path: Path, server: ServerFile) -> None:
    """Say where this process serves; replaces what stood there."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.unlink(missing_ok=True)  # of a killed process that had our pid
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(server))
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def read_server_file(path: Path) -> ServerFile | None:
    """Give the server that runs, or None: no file, none that can be read, or its process is gone."""
    try:
        with open(path, "rb") as file:
            server = _decoder.decode(file.read(_LARGEST))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    return server if is_process_alive(server.process) else None


def remove_server_file(path: Path, server: ServerFile) -> None:
    """Remove the file if it is still the one that this server wrote."""
    try:
        with open(path, "rb") as file:
            found = _decoder.decode(file.read(_LARGEST))
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return
    if found.process == server.process:
        path.unlink(missing_ok=True)
