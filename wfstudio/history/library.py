"""The library: queries by name, those that come with wf and those that a project keeps.

A project's are files `queries/<name>.sql` under its root, to be committed with it; one of them hides the one
of the same name that comes with wf. What a query is for stands in its first lines, as comments.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final, Literal

import msgspec

from wfstudio.core.errors import ConflictError, UsageError

FOLDER: Final = "queries"
STARTERS: Final = Path(__file__).parent / "starters"
LARGEST: Final = 1_000_000
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")


class SavedQuery(msgspec.Struct, frozen=True):
    """A query with a name. `doc` is its leading comment; `origin` is whose it is."""

    name: str
    doc: str
    sql: str
    origin: Literal["wf", "project"]


class Library:
    """The queries of one project, read anew at every look."""

    def __init__(self, root: Path) -> None:
        self.folder: Final = root / FOLDER

    def list(self) -> list[SavedQuery]:
        """List all queries by name, the project's own first."""
        own = [query for name in _names(self.folder) if (query := _read(self.folder, name, "project")) is not None]
        hidden = {query.name for query in own}
        shipped = [_read(STARTERS, name, "wf") for name in _names(STARTERS) if name not in hidden]
        return own + [query for query in shipped if query is not None]

    def find(self, name: str) -> SavedQuery | None:
        if not is_query_name(name):
            return None
        return _read(self.folder, name, "project") or _read(STARTERS, name, "wf")

    def save(self, name: str, sql: str, *, is_replacing: bool = False) -> Path:
        """Keep a query with the project, and give its file.

        Raises `UsageError` for what is no name or no query, and `ConflictError` where the name is taken.
        """
        if not is_query_name(name):
            raise UsageError(
                f"{name!r:.80} is no name for a query", "use lower-case letters, digits, - and _: `slow-orders`"
            )
        if not sql.strip() or len(sql.encode()) > LARGEST:
            raise UsageError("this is no query to keep", f"give SQL, at most {LARGEST} bytes")
        path = self.folder / f"{name}.sql"
        if path.is_symlink():
            raise ConflictError(f"{path} is a link", "remove it first")
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            # Never over another one by accident.
            with open(path, "w" if is_replacing else "x", encoding="utf-8") as file:
                file.write(sql.strip() + "\n")
        except OSError as error:
            if isinstance(error, FileExistsError) and path.exists():
                taken = f"there is a query {name!r} already: {path}"
                raise ConflictError(taken, "give another name, or edit the file") from None
            raise UsageError(f"{path} cannot be written: {error.strerror}", "look at the folder's rights") from None
        return path


def is_query_name(text: str) -> bool:
    return _NAME.fullmatch(text) is not None


def _names(folder: Path) -> list[str]:
    try:
        found = sorted(name.removesuffix(".sql") for name in os.listdir(folder) if name.endswith(".sql"))
    except OSError:
        return []
    return [name for name in found if is_query_name(name)]


def _read(folder: Path, name: str, origin: Literal["wf", "project"]) -> SavedQuery | None:
    """Read a query; None where there is none that can be read. A file that is large is nobody's query."""
    path = folder / f"{name}.sql"
    try:
        if not path.is_file() or path.stat().st_size > LARGEST:  # a pipe would have us wait
            return None
        sql = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError):
        return None
    return SavedQuery(name, _read_doc(sql), sql, origin)


def _read_doc(sql: str) -> str:
    lines = []
    for line in sql.lstrip().splitlines():
        if not line.startswith("--"):
            break
        lines.append(line.removeprefix("--").strip())
    return " ".join(lines)
