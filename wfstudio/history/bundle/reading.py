"""Reading bundles: a file from anybody, until it is runs that a world may keep.

1. Members are read in memory. Nothing is written to the disk, and no name in the file is a path to anything.
2. The file says everything twice, and both must agree: the manifest names all members with their sizes and
   digests, and there are no others.
3. No size is believed: a member is unpacked up to what the manifest announced, and all together up to a cap.
4. A bundle is taken in whole or not at all: `check` reads every run before the first is given.
5. Nothing that it holds is imported, built or executed: values stay the JSON they are.
"""

from __future__ import annotations

import io
import re
import stat
import zipfile
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, TypeVar

import msgspec

from wf.catalog import Catalog
from wf.deployment import deployment_id
from wf.errors import shorten
from wfstudio.history.bundle.form import (
    DEPLOYMENTS,
    FORMAT,
    MANIFEST,
    MAX_BUNDLE_BYTES,
    MAX_MANIFEST_BYTES,
    MAX_MEMBERS,
    MAX_OPEN_BYTES,
    MAX_RATIO,
    VERSION,
    BundleError,
    ChunkLine,
    DeploymentLine,
    EventLine,
    Header,
    LogLine,
    Manifest,
    RunRecord,
    is_member,
    run_members,
)
from wfstudio.history.log_rules import LogError, check_run
from wfstudio.history.portable import PortableChunk, PortableEvent, PortableLog, PortableRun

T = TypeVar("T")

_NOT_OURS: Final = "give a file that `wf export` wrote, or a `.workflow-data` folder"
_ENCRYPTED: Final = 0x1
_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_SOURCE: Final = re.compile(r"sources/([0-9a-f]{64})")


class Deployment(msgspec.Struct, frozen=True):
    """Code that came with a bundle: `sources` are contents by their SHA-256 (hex), as far as they are there."""

    deployment_id: str
    created_at: int
    files: dict[str, str]
    catalog: Catalog | None


class Bundle:
    """A bundle whose manifest and members are as they say. `check` looks into them."""

    def __init__(self, data: bytes) -> None:
        if len(data) > MAX_BUNDLE_BYTES:
            raise BundleError(f"the file has {len(data)} bytes, over the limit of {MAX_BUNDLE_BYTES}", hint=_NOT_OURS)
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(data))
        except (zipfile.BadZipFile, zipfile.LargeZipFile, ValueError, OverflowError, NotImplementedError) as error:
            raise BundleError(f"the file is no bundle: {_say(error)}", hint=_NOT_OURS) from None
        self._infos = self._list_members()
        self.manifest = self._read_manifest()
        self._compare()

    # -- the file and its manifest

    def _list_members(self) -> dict[str, zipfile.ZipInfo]:
        infos = self._zip.infolist()
        if len(infos) > MAX_MEMBERS + 1:
            raise BundleError(f"the file has {len(infos)} members, over the limit of {MAX_MEMBERS}")
        found: dict[str, zipfile.ZipInfo] = {}
        for info in infos:
            name = info.orig_filename
            if name != MANIFEST and not is_member(name):
                raise BundleError(f"a bundle has no member {shorten(name)}", hint=_NOT_OURS)
            if name in found:
                raise BundleError("there are two members of this name", name)
            kind = stat.S_IFMT(info.external_attr >> 16)
            if kind not in (0, stat.S_IFREG):
                raise BundleError("it is a link or another thing that is no file", name)
            if info.flag_bits & _ENCRYPTED or info.compress_type not in _METHODS:
                raise BundleError("it is packed in a way that bundles are not", name)
            found[name] = info
        if MANIFEST not in found:
            raise BundleError("the file is no bundle: it has no manifest.json", hint=_NOT_OURS)
        return found

    def _read_manifest(self) -> Manifest:
        data = self._unpack(MANIFEST, min(self._infos[MANIFEST].file_size, MAX_MANIFEST_BYTES))
        header = _decode(data, Header, MANIFEST)
        if header.format != FORMAT:
            raise BundleError(f"its format is {shorten(header.format)}, not {FORMAT}", MANIFEST, _NOT_OURS)
        if header.version != VERSION:
            text = f"its format has the version {header.version}, and this version of wf reads {VERSION}"
            raise BundleError(text, MANIFEST, "upgrade wf" if header.version > VERSION else "export the runs again")
        return _decode(data, Manifest, MANIFEST)

    def _compare(self) -> None:
        """Compare what the manifest says with what there is."""
        runs, members = self.manifest.runs, self.manifest.members
        if len(set(runs)) != len(runs):
            raise BundleError("it names a run twice", MANIFEST)
        missing = sorted(members.keys() - self._infos.keys())
        if missing:
            raise BundleError("the member is missing", missing[0])
        unknown = sorted(self._infos.keys() - members.keys() - {MANIFEST})
        if unknown:
            raise BundleError("the manifest does not name this member", unknown[0])
        expected = {name for number in range(1, len(runs) + 1) for name in run_members(number)} | {DEPLOYMENTS}
        lost = sorted(expected - members.keys())
        if lost:
            raise BundleError("the member is missing", lost[0])
        extra = sorted(name for name in members.keys() - expected if not _SOURCE.fullmatch(name))
        if extra:
            raise BundleError("it belongs to no run of the manifest", extra[0])
        total = 0
        for name, member in members.items():
            info = self._infos[name]
            total += member.size
            if info.file_size != member.size:
                raise BundleError(f"it has {info.file_size} bytes, and the manifest says {member.size}", name)
            if member.size > info.compress_size * MAX_RATIO:
                raise BundleError(f"it is packed more than {MAX_RATIO} to 1, as no bundle is", name)
        if total > MAX_OPEN_BYTES:
            text = f"its members have {total} bytes, over the limit of {MAX_OPEN_BYTES}"
            raise BundleError(text, MANIFEST, "export fewer runs at a time")

    def _unpack(self, name: str, size: int) -> bytes:
        try:
            with self._zip.open(self._infos[name]) as member:
                data = member.read(size)
                # Reading on to the end makes zipfile compare the checksum.
                if len(data) < size or member.read(1):
                    raise BundleError("it is longer or shorter than it says", name)
                return data
        except (
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            ValueError,
            OSError,
            NotImplementedError,
            RuntimeError,
        ) as error:
            raise BundleError(f"it cannot be unpacked: {_say(error)}", name) from None

    def _read(self, name: str) -> bytes:
        member = self.manifest.members[name]
        data = self._unpack(name, member.size)
        if sha256(data).hexdigest() != member.sha256:
            raise BundleError("its content is not the one that the manifest names", name)
        return data

    # -- what is in it

    def check(self) -> None:
        """Read everything once. Raises `BundleError` for the first thing that does not fit."""
        for number in range(1, len(self.manifest.runs) + 1):
            self.read_run(number)
        self.read_deployments()
        for digest in self.list_sources():
            self.read_source(digest)

    def read_run(self, number: int) -> PortableRun:
        """Give the Nth run, checked against the rules of a log."""
        names = run_members(number)
        record = _decode(self._read(names[0]), RunRecord, names[0])
        events = [_take_event(line, where) for line, where in self._lines(names[1], EventLine)]
        run = PortableRun(
            run_id=record.run_id,
            kind=record.kind,
            deployment_id=record.deployment_id,
            parent_run_id=record.parent_run_id,
            parent_correlation_id=record.parent_correlation_id,
            attention=record.attention,
            events=events,
            streams=self._read_streams(names[2]),
            logs=[
                PortableLog(line.correlation_id, line.attempt, line.index, line.at, msgspec.json.encode(line.lines))
                for line, _ in self._lines(names[3], LogLine)
            ],
        )
        if run.run_id != self.manifest.runs[number - 1]:
            raise BundleError(f"it is the run {shorten(run.run_id)}, and the manifest names another", names[0])
        if self.manifest.is_redacted and run.kind != "redacted":
            raise BundleError("it is not redacted, and the manifest says that all runs are", names[0])
        if len(events) != record.events:
            raise BundleError(f"it has {len(events)} events, and its record says {record.events}", names[1])
        try:
            check_run(run)
        except LogError as error:
            raise BundleError(error.text, f"{names[1]}:{error.seq}" if error.seq else names[1]) from None
        return run

    def _read_streams(self, name: str) -> dict[str, list[PortableChunk]]:
        streams: dict[str, list[PortableChunk]] = {}
        for line, where in self._lines(name, ChunkLine):
            chunk = PortableChunk(line.index, line.at, _take_value(line.payload, where))
            streams.setdefault(line.stream, []).append(chunk)
        return streams

    def read_deployments(self) -> list[Deployment]:
        found: list[Deployment] = []
        for line, where in self._lines(DEPLOYMENTS, DeploymentLine):
            if deployment_id(line.files) != line.deployment_id:
                raise BundleError(f"the files of {shorten(line.deployment_id)} are those of another deployment", where)
            try:
                catalog = None if line.catalog is None else msgspec.convert(line.catalog, Catalog)
            except msgspec.ValidationError as error:
                raise BundleError(f"the catalog does not fit: {error}", where) from None
            found.append(Deployment(line.deployment_id, line.created_at, line.files, catalog))
        return found

    def list_sources(self) -> list[str]:
        """List the digests of the source files that are there."""
        return [match[1] for name in self.manifest.members if (match := _SOURCE.fullmatch(name)) is not None]

    def read_source(self, digest: str) -> bytes:
        name = f"sources/{digest}"
        content = self._read(name)
        if sha256(content).hexdigest() != digest:
            raise BundleError("its content is not the one that its name says", name)
        return content

    def _lines(self, name: str, type: type[T]) -> Iterator[tuple[T, str]]:
        """Decode a member's lines, each with its place."""
        data = self._read(name)
        if data and not data.endswith(b"\n"):
            raise BundleError("its last line is cut off", name)
        decode = msgspec.json.Decoder(type).decode
        for number, line in enumerate(data.split(b"\n")[:-1], 1):
            where = f"{name}:{number}"
            try:
                yield decode(line), where
            except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
                raise BundleError(f"the line does not fit: {_say(error)}", where) from None


def _take_event(line: EventLine, where: str) -> PortableEvent:
    return PortableEvent(
        line.seq, line.type, line.correlation_id, line.name, line.attempt, line.at, line.meta,
        _take_value(line.payload, where),
    )  # fmt: skip


def _take_value(payload: msgspec.Raw | msgspec.UnsetType, where: str) -> bytes | None:
    if payload is msgspec.UNSET:
        return None
    data = bytes(payload)
    try:
        msgspec.json.decode(data)  # a line's decoder only skips it
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BundleError(f"the payload is no JSON: {_say(error)}", where) from None
    return data


def _decode(data: bytes, type: type[T], name: str) -> T:
    try:
        return msgspec.json.decode(data, type=type)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        raise BundleError(f"it does not fit: {_say(error)}", name) from None


def _say(error: BaseException) -> str:
    text = str(error) or type(error).__name__
    return (text[:1].lower() + text[1:])[:200]


def looks_like_bundle(data: bytes) -> bool:
    """Tell a zip file from anything else, by its first bytes."""
    return data[:4] in (b"PK\x03\x04", b"PK\x05\x06")
