"""Deployments: which code a worker runs, as the content of the project's files it has loaded.

    manifest = {path, relative to the project's root, with `/`: SHA-256 (hex) of the content}
    id       = "dep_" ‖ first 24 hex digits of SHA-256 over `path ‖ 00 ‖ hash ‖ 0A`, paths sorted

1. The same files have the same id, on any machine, in whatever order they were loaded.
2. Only Python files that this process has loaded belong to it; nothing that is installed, nothing
   of wf itself, no file over 1 MB.
3. A loaded file outside the root that lies beside a target goes by its module's name.

A snapshot reads the files as they are now. Take it right after loading: what is edited between the
import and the snapshot is the one thing it gets wrong.
"""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from types import ModuleType
from typing import Final, NamedTuple

from wf.catalog import make_catalog, open_source, seal_catalog, seal_source
from wf.loading import file_of, is_own_file
from wf.session import Session
from wf.world import DeploymentRow

LARGEST_FILE: Final = 1_000_000
_OURS: Final = ("wf", "wfstudio")
_PYTHON: Final = tuple({os.path.join(sysconfig.get_path(name), "") for name in ("stdlib", "platstdlib")})
_OUR_FOLDER: Final = os.path.join(os.path.dirname(os.path.abspath(__file__)), "")  # `python -m wf` is `__main__`


class Snapshot(NamedTuple):
    """`sources` maps the hashes that `manifest` names to the files' contents."""

    deployment_id: str
    manifest: dict[str, str]
    sources: dict[str, bytes]


class _Source(NamedTuple):
    stamp: tuple[int, int, int]
    digest: str
    content: bytes


_read: dict[str, _Source] = {}  # by path; a file of the same inode, time and size is not read again


def snapshot(root: Path, modules: Iterable[ModuleType]) -> Snapshot:
    """Give the id, manifest and sources of the code that this process has loaded of a project."""
    manifest: dict[str, str] = {}
    sources: dict[str, bytes] = {}
    for path, file in sorted(_list_files(root, modules).items()):
        source = _read_source(file)
        if source is not None:
            manifest[path] = source.digest
            sources[source.digest] = source.content
    return Snapshot(deployment_id(manifest), manifest, sources)


async def keep_deployment(session: Session, modules: Iterable[ModuleType]) -> str:
    """Keep what this process has loaded in the session's world, with its catalog; give the deployment's id."""
    root = session.settings.root
    taken = snapshot(root, modules)
    keyring, name = session.keyring, taken.deployment_id
    catalog = seal_catalog(keyring, name, make_catalog(root))
    row = DeploymentRow(name, session.now_us(), taken.manifest, catalog=catalog)
    is_known = await session.world.get_deployment(name) is not None
    sources = {} if is_known else {d: seal_source(keyring, d, content) for d, content in taken.sources.items()}
    await session.world.put_deployment(row, sources)
    return name


async def read_deployment(session: Session, deployment_id: str) -> dict[str, bytes] | None:
    """Give a deployment's files by their paths, or None where it, or one of them, is not kept."""
    row = await session.world.get_deployment(deployment_id)
    if row is None:
        return None
    files: dict[str, bytes] = {}
    for path, digest in row.manifest.items():
        blob = await session.world.read_source(digest)
        if blob is None:
            return None
        files[path] = open_source(session.keyring, digest, blob)
    return files


def deployment_id(manifest: dict[str, str]) -> str:
    """Name a deployment by what is in it."""
    lines = [f"{path}\0{digest}\n" for path, digest in sorted(manifest.items())]
    return "dep_" + sha256("".join(lines).encode("utf-8", "surrogateescape")).hexdigest()[:24]


def _list_files(root: Path, modules: Iterable[ModuleType]) -> dict[str, str]:
    """Map the manifest's paths to the files of loaded modules."""
    root = Path(os.path.abspath(root))
    named = list(modules)
    besides = {Path(file).parent for file in map(_file_of, named) if file and not is_own_file(file, root)}
    found: dict[str, str] = {}
    for name, module in [*((m.__name__, m) for m in named), *list(sys.modules.items())]:
        file = _file_of(module)
        if file is None or name.partition(".")[0] in _OURS or file.startswith((_OUR_FOLDER, *_PYTHON)):
            continue
        if is_own_file(file, root):
            found.setdefault(Path(file).relative_to(root).as_posix(), file)
        elif Path(file).parent in besides and is_own_file(file, Path(file).parent.parent):
            found.setdefault(_path_by_name(name, file), file)
    return found


def _file_of(module: object) -> str | None:
    file = file_of(module)
    if file is None or not file.endswith(".py"):
        return None
    return file if os.path.isabs(file) else os.path.abspath(file)


def _path_by_name(name: str, file: str) -> str:
    if name == "__main__":
        return os.path.basename(file)
    tail = "/__init__.py" if os.path.basename(file) == "__init__.py" else ".py"
    return name.replace(".", "/") + tail


def _read_source(file: str) -> _Source | None:
    try:
        status = os.stat(file)
        stamp = (status.st_ino, status.st_mtime_ns, status.st_size)
        known = _read.get(file)
        if known is not None and known.stamp == stamp:
            return known
        if status.st_size > LARGEST_FILE:
            return None
        content = Path(file).read_bytes()
    except OSError:
        return None  # deleted since it was loaded: nothing of it can be kept
    source = _read[file] = _Source(stamp, sha256(content).hexdigest(), content)
    return source
