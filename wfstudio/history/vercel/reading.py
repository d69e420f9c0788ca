"""Reading: what files a data directory of Vercel's local world has, by the run that they belong to.

    runs/<runId>.json
    events/<runId>/<runId>-<eventId>.json      up to 0.11 of the Python SDK: events/<runId>-<eventId>.json
    steps/<runId>/<runId>-<stepId>.json        and: steps/<runId>-<stepId>.json
    hooks/<hookId>.json                        live hooks only
    streams/runs/<runId>.json                  which streams a run has
    streams/chunks/<stream>/chnk_<ULID>.bin    and: streams/chunks/<stream>-strm_<ULID>.json

1. Nothing is written, renamed or locked, and no link is followed.
2. A file that is missing, cut off or no JSON is told once and left out; the others are read all the same.
3. A name says to which run a file belongs; where it can be read in two ways, the file itself does.
4. Only files that were found by listing are opened: what a row says is never part of a path.

Writes there are a rename away from being whole, and a `….tmp.…` is one that never was.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from wfstudio.core.errors import NotFoundError
from wfstudio.history.vercel.names import read_stream_name

MAX_FILE_BYTES: Final = 128 * 1024 * 1024

Row = dict[str, Any]
Tell = Callable[[str, str], None]
"""Told what could not be read: the file's name in the directory, and why."""


class DataDirectory:
    """A data directory, as it was when this was made. `tell` hears of what cannot be read."""

    def __init__(self, path: Path, tell: Tell) -> None:
        self.path = path
        self._hear = tell
        self._told: set[tuple[str, str]] = set()
        self.runs = {_stem(file): file for file in self._list("runs")}
        if not self.runs:
            text = f"{path} is no data directory of a workflow: it has no runs"
            raise NotFoundError(text, "name the `.workflow-data` folder itself")
        self._events = self._index("events", "-evnt_")
        self._steps = self._index("steps", "-step_")
        self._hooks = self._index_hooks()
        self._registers = {_stem(file): file for file in self._list("streams/runs")}
        self._chunks = self._index_chunks()

    def _tell(self, where: str, why: str) -> None:
        """Tell what could not be read, once."""
        if (where, why) not in self._told:
            self._told.add((where, why))
            self._hear(where, why)

    # -- rows

    def read_run(self, name: str) -> Row | None:
        return self._read_row(self.runs[name])

    def read_events(self, run_id: str) -> list[Row]:
        """Give a run's events, in the order that the log has."""
        rows: dict[str, Row] = {}
        for file in self._events.get(run_id, ()):
            row = self._read_row(file)
            if row is None:
                continue
            if not all(isinstance(row.get(key), str) for key in ("eventId", "createdAt", "eventType")):
                self._tell(self._name(file), "it is no event: it lacks `eventId`, `createdAt` or `eventType`")
            elif row.get("runId", run_id) == run_id:
                rows.setdefault(row["eventId"], row)
        return sorted(rows.values(), key=lambda row: (row["createdAt"], row["eventId"]))

    def read_steps(self, run_id: str) -> dict[str, Row]:
        """Give a run's steps by their ids."""
        rows = [row for file in self._steps.get(run_id, ()) if (row := self._read_row(file)) is not None]
        return {row["stepId"]: row for row in rows if isinstance(row.get("stepId"), str)}

    def read_hooks(self, run_id: str) -> dict[str, Row]:
        """Give a run's hooks that are live, by their ids."""
        return {row["hookId"]: row for row in self._hooks.get(run_id, ())}

    # -- streams

    def list_streams(self, run_id: str) -> list[str]:
        """Give the names of a run's streams: those that it registered, and those that are named after it."""
        names: dict[str, None] = {}
        file = self._registers.get(run_id)
        if file is not None:
            row = self._read_row(file)
            listed = row.get("streams") if row is not None else None
            if isinstance(listed, list):
                names.update(dict.fromkeys(name for name in listed if isinstance(name, str)))
        for name in self._chunks:
            known = read_stream_name(name)
            if known is not None and known[0] == run_id:
                names[name] = None
        return list(names)

    def read_chunks(self, stream: str) -> Iterator[tuple[str, bytes]]:
        """Give a stream's chunks, each with its id: a byte that says whether it is the end, and the rest."""
        for id, file in sorted(self._chunks.get(stream, ())):
            data = self._read_bytes(file)
            if data is not None:
                yield id, data

    # -- files

    def _index(self, folder: str, separator: str) -> dict[str, list[Path]]:
        found: dict[str, list[Path]] = {}
        for file in self._list(folder):
            run_id = self._run_of(file, separator)
            if run_id is not None:
                found.setdefault(run_id, []).append(file)
        for entry in self._scan(Path(folder)):
            if entry.is_dir(follow_symlinks=False):
                found.setdefault(entry.name, []).extend(self._list(f"{folder}/{entry.name}"))
        return found

    def _run_of(self, file: Path, separator: str) -> str | None:
        """Tell which run a file in the flat layout belongs to."""
        run_id, has_one, rest = file.name.partition(separator)
        if has_one and run_id and separator not in rest:
            return run_id
        row = self._read_row(file)
        stored = row.get("runId") if row is not None else None
        return stored if isinstance(stored, str) else None

    def _index_hooks(self) -> dict[str, list[Row]]:
        found: dict[str, list[Row]] = {}
        for file in self._list("hooks"):
            row = self._read_row(file)
            if row is not None and isinstance(row.get("runId"), str) and isinstance(row.get("hookId"), str):
                found.setdefault(row["runId"], []).append(row)
        return found

    def _index_chunks(self) -> dict[str, list[tuple[str, Path]]]:
        """Map streams to their chunks: ids, which order them, and files."""
        found: dict[str, list[tuple[str, Path]]] = {}
        root = Path("streams", "chunks")
        for entry in self._scan(root):
            if entry.is_dir(follow_symlinks=False):
                for inner in self._scan(root / entry.name):
                    if inner.name.endswith(".bin") and inner.is_file(follow_symlinks=False):
                        chunk = (inner.name, root / entry.name / inner.name)
                        found.setdefault(entry.name, []).append(chunk)
            elif entry.name.endswith(".json") and entry.is_file(follow_symlinks=False):
                stream, has_one, id = entry.name.removesuffix(".json").rpartition("-")
                if has_one:
                    found.setdefault(stream, []).append((id, root / entry.name))
        return found

    def _list(self, folder: str) -> list[Path]:
        """List the JSON files right in a folder."""
        return [
            Path(folder, entry.name)
            for entry in self._scan(Path(folder))
            if entry.name.endswith(".json") and entry.is_file(follow_symlinks=False)
        ]

    def _scan(self, folder: Path) -> list[os.DirEntry[str]]:
        try:
            with os.scandir(self.path / folder) as entries:
                found = sorted(entries, key=lambda entry: entry.name)
        except (FileNotFoundError, NotADirectoryError):
            return []
        except OSError as error:
            self._tell(folder.as_posix(), f"it cannot be read: {error.strerror or error}")
            return []
        for entry in found:
            if entry.is_symlink():
                self._tell((folder / entry.name).as_posix(), "it is a link, which is not followed")
        return found

    def _read_row(self, file: Path) -> Row | None:
        data = self._read_bytes(file)
        if data is None:
            return None
        try:
            row = json.loads(data)
        except (ValueError, RecursionError) as error:
            self._tell(self._name(file), f"it is no JSON: {error}")
            return None
        if not isinstance(row, dict):
            self._tell(self._name(file), "it is no JSON object")
            return None
        return row

    def _read_bytes(self, file: Path) -> bytes | None:
        try:
            with open(self.path / file, "rb") as opened:
                data = opened.read(MAX_FILE_BYTES + 1)
        except OSError as error:
            self._tell(self._name(file), f"it cannot be read: {error.strerror or error}")
            return None
        if len(data) > MAX_FILE_BYTES:
            self._tell(self._name(file), f"it has over {MAX_FILE_BYTES} bytes")
            return None
        return data

    def _name(self, file: Path) -> str:
        return file.as_posix()


def _stem(file: Path) -> str:
    return file.name.removesuffix(".json")
