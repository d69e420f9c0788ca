"""The cookie's secret: what keeps a browser's session over a restart of the server.

The token of the API is drawn anew by every server; the cookie of the studio is made of this secret instead, which
lies beside the world's file as `session`, mode 0600, 256 random bits in base64url. Removing it signs all
browsers out. One that others could read or write is drawn anew.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import stat
from pathlib import Path
from typing import Final

from wf.settings import Settings
from wfstudio.core.server_file import server_file_path

_BYTES: Final = 32


def cookie_secret_path(settings: Settings) -> Path:
    place = server_file_path(settings)
    return place.with_name(place.name.removesuffix("studio.json") + "session")


def keep_cookie_secret(path: Path) -> str:
    """Give the secret, and make it where there is none. Where it cannot be written it is good for this process."""
    found = _read(path)
    if found is not None:
        return found
    drawn = secrets.token_urlsafe(_BYTES)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(drawn)
        os.replace(draft, path)
    except OSError:
        with contextlib.suppress(OSError):
            draft.unlink()
    return drawn


def _read(path: Path) -> str | None:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    except OSError:
        return None
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(file.fileno())
        is_private = status.st_mode & (stat.S_IRWXG | stat.S_IRWXO) == 0 and status.st_uid == os.getuid()
        text = file.read(200)
    is_whole = is_private and len(text) >= _BYTES and text.isascii()
    return text.decode() if is_whole else None


__all__ = ["cookie_secret_path", "keep_cookie_secret"]
