"""Plans: what is going to be written, before anything is."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

Action = Literal["create", "replace", "edit", "keep"]


class PlannedFile(msgspec.Struct, frozen=True):
    """A file to be. `path` is relative to the plan's folder, with `/`.

    `before` is its content when it was planned, None where there was nothing. `replace` overwrites
    what somebody else wrote; `edit` adds to it; `keep` finds there what it would have written.
    """

    path: str
    content: bytes
    action: Action = "create"
    before: bytes | None = None


class Plan(msgspec.Struct, frozen=True):
    """Files to write into a folder, which need not be there."""

    folder: Path
    files: list[PlannedFile]

    @property
    def replaced(self) -> list[str]:
        """The files that are there already, with another content."""
        return [file.path for file in self.files if file.action == "replace"]


def plan_file(folder: Path, path: str, content: bytes) -> PlannedFile:
    """Plan a file that is all ours; look whether there is another in its place."""
    target = folder / path
    before = target.read_bytes() if target.is_file() else None
    if before is None:
        return PlannedFile(path, content)
    return PlannedFile(path, content, "keep" if before == content else "replace", before)
