"""Writing bundles: runs of a session's world, opened and put into one file.

1. A run is verified before any of it is written; what is not authentic ends the export.
2. What is written can be read: sizes are those that `reading` takes, or the export ends.
3. The same runs of the same moment give the same bytes.
"""

from __future__ import annotations

import asyncio
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import IO, Any, Final

import msgspec

import wfstudio
from wf.catalog import open_catalog, open_source
from wf.deployment import deployment_id
from wf.errors import DecryptionError
from wf.session import Session
from wf.world import DeploymentRow
from wf.worlds.sqlite.connection import MIGRATIONS
from wfstudio.core.views import show_instant
from wfstudio.history.bundle.form import (
    DEPLOYMENTS,
    FORMAT,
    MANIFEST,
    MAX_BUNDLE_BYTES,
    MAX_MEMBERS,
    MAX_OPEN_BYTES,
    MAX_RATIO,
    VERSION,
    BundleError,
    ChunkLine,
    DeploymentLine,
    EventLine,
    LogLine,
    Manifest,
    Member,
    RunRecord,
    run_members,
)
from wfstudio.history.bundle.redaction import redact
from wfstudio.history.portable import PortableRun, open_run

SCHEMA_VERSION: Final = MIGRATIONS[-1][0]

_FIRST_MOMENT: Final = (1980, 1, 1, 0, 0, 0)
"""A zip cannot say earlier; the manifest says when the bundle was made."""
_FILE_MODE: Final = 0o100600 << 16
_LEVEL: Final = 6
_ZLIB_FRAME: Final = 6
"""Bytes around a stream of zlib, which a zip leaves out."""
_TOO_LARGE: Final = "export fewer runs at a time, or leave their payloads out with `--redact`"

_encode = msgspec.json.Encoder().encode
_decode_any = msgspec.json.Decoder().decode


class Written(msgspec.Struct, frozen=True):
    """What is in a bundle that was written. `size` is bytes."""

    runs: list[str]
    events: int
    deployments: int
    is_redacted: bool
    size: int


async def write_bundle(session: Session, run_ids: Sequence[str], file: IO[bytes], *, is_redacted: bool) -> Written:
    """Write a bundle of runs to a file that is empty. Raises `DecryptionError` for what is not authentic."""
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL) as archive:
        bundle = _Bundle(file, archive)
        written = await _fill(bundle, session, run_ids, is_redacted=is_redacted)
    return msgspec.structs.replace(written, size=file.tell())


async def _fill(bundle: _Bundle, session: Session, run_ids: Sequence[str], *, is_redacted: bool) -> Written:
    deployments: dict[str, None] = {}
    events = 0
    for number, run_id in enumerate(run_ids, 1):
        run = await open_run(session, run_id)
        if is_redacted:
            run = redact(run)
        elif run.kind == "bundle":
            deployments.update(dict.fromkeys(run.deployments))
        events += len(run.events)
        for name, content in zip(run_members(number), await asyncio.to_thread(_encode_run, run), strict=True):
            bundle.add(name, content)
    rows = [row for name in deployments if (row := await session.world.get_deployment(name)) is not None]
    bundle.add(DEPLOYMENTS, _join(_describe_deployment(session, row) for row in rows))
    for digest in sorted({digest for row in rows for digest in row.manifest.values()}):
        blob = await session.world.read_source(digest)
        if blob is not None:
            bundle.add(f"sources/{digest}", open_source(session.keyring, digest, blob))
    bundle.finish(session.now_us(), list(run_ids), is_redacted=is_redacted)
    return Written(list(run_ids), events, len(rows), is_redacted, 0)


class _Bundle:
    """A zip file in the making, and what its manifest will say."""

    def __init__(self, file: IO[bytes], archive: zipfile.ZipFile) -> None:
        self._file = file
        self._zip = archive
        self._members: dict[str, Member] = {}
        self._open_bytes = 0

    def add(self, name: str, content: bytes) -> None:
        self._members[name] = Member(len(content), sha256(content).hexdigest())
        self._put(name, content)

    def _put(self, name: str, content: bytes) -> None:
        self._open_bytes += len(content)
        if self._open_bytes > MAX_OPEN_BYTES:
            raise BundleError(f"the bundle would be over {MAX_OPEN_BYTES} bytes, unpacked", name, _TOO_LARGE)
        if len(self._members) >= MAX_MEMBERS:
            raise BundleError(f"the bundle would have over {MAX_MEMBERS} members", name, _TOO_LARGE)
        info = zipfile.ZipInfo(name, _FIRST_MOMENT)
        info.external_attr = _FILE_MODE
        info.compress_type = zipfile.ZIP_DEFLATED if _is_worth_it(content) else zipfile.ZIP_STORED
        self._zip.writestr(info, content)
        if self._file.tell() > MAX_BUNDLE_BYTES:
            raise BundleError(f"the bundle would be over {MAX_BUNDLE_BYTES} bytes", name, _TOO_LARGE)

    def finish(self, now_us: int, run_ids: list[str], *, is_redacted: bool) -> None:
        """Write the manifest; nothing can be added any more."""
        manifest = Manifest(
            format=FORMAT,
            version=VERSION,
            created_at=show_instant(now_us),
            wf_version=wfstudio.__version__,
            schema_version=SCHEMA_VERSION,
            is_redacted=is_redacted,
            runs=run_ids,
            members=self._members,
        )
        self._put(MANIFEST, msgspec.json.format(_encode(manifest), indent=1))


def _is_worth_it(content: bytes) -> bool:
    """Tell whether to compress: not what does not shrink, nor what shrinks so much that it looks like a bomb."""
    packed = len(zlib.compress(content, _LEVEL)) - _ZLIB_FRAME
    return packed * MAX_RATIO >= len(content) > packed


# -- what members hold --------------------------------------------------------------------------


def _encode_run(run: PortableRun) -> tuple[bytes, bytes, bytes, bytes]:
    record = RunRecord(
        run_id=run.run_id,
        kind=run.kind,
        deployment_id=run.deployment_id,
        parent_run_id=run.parent_run_id,
        parent_correlation_id=run.parent_correlation_id,
        attention=run.attention,
        events=len(run.events),
    )
    events = (
        EventLine(
            event.seq, event.type, event.at, event.correlation_id, event.name, event.attempt, event.meta,
            _embed(run.run_id, event.seq, event.type, event.data),
        )
        for event in run.events
    )  # fmt: skip
    chunks = (
        ChunkLine(name, chunk.index, chunk.at, _embed(run.run_id, None, f"stream {name}", chunk.data))
        for name, stream in run.streams.items()
        for chunk in stream
    )
    logs = (
        LogLine(batch.correlation_id, batch.attempt, batch.index, batch.at, msgspec.json.decode(batch.data))
        for batch in run.logs
    )
    return _encode(record), _join(events), _join(chunks), _join(logs)


def _embed(run_id: str, seq: int | None, field: str, data: bytes | None) -> msgspec.Raw | msgspec.UnsetType:
    """Give an encoded value as a part of a line. What no encoder wrote is not authentic, whoever sealed it."""
    if data is None:
        return msgspec.UNSET
    try:
        if b"\n" in data:
            raise ValueError("it is not on one line")
        _decode_any(data)
    except (ValueError, RecursionError) as error:
        raise DecryptionError(run_id, seq, field, f"it is no value: {error}") from None
    return msgspec.Raw(data)


def _join(lines: Iterable[Any]) -> bytes:
    return b"".join(_encode(line) + b"\n" for line in lines)


def _describe_deployment(session: Session, row: DeploymentRow) -> DeploymentLine:
    if deployment_id(row.manifest) != row.deployment_id:
        text = f"the files of deployment {row.deployment_id} are not those that its id names"
        raise BundleError(text, hint="somebody changed the world's file; `--redact` leaves code out")
    catalog = None if row.catalog is None else msgspec.to_builtins(open_catalog(session.keyring, row))
    return DeploymentLine(row.deployment_id, row.created_at, row.manifest, catalog)


def name_bundle(run_ids: Sequence[str], now_us: int) -> str:
    """Give a bundle its file's name: that of its run, or the day and time."""
    if len(run_ids) == 1:
        safe = "".join(letter if letter.isalnum() or letter in "._-" else "_" for letter in run_ids[0])
        return f"{safe}.wf.zip"
    moment = show_instant(now_us)[:19].replace(":", "").replace("-", "")
    return f"runs-{moment}Z.wf.zip"
