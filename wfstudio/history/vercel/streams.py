"""Streams: the chunk files of Vercel's local world as chunks of ours.

A chunk file is a byte, 1 where the stream ends, and then data. The data of all of them together are frames,
each four bytes of length and a payload; before there were formats, lines of devalue; or the bytes that a
byte stream was given, as they are.
"""

from __future__ import annotations

import base64
import struct
from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple

import msgspec

from wfstudio.history.portable import PortableChunk
from wfstudio.history.vercel.names import read_ulid_instant
from wfstudio.history.vercel.payloads import PayloadOpener

_END: Final = 1
_LENGTH: Final = struct.Struct("!I")
_FORMAT_SIZE: Final = 4
_FORMATS: Final = (b"devl", b"gzip", b"zstd", b"encr", b"encp")


class _Piece(NamedTuple):
    at: int
    data: bytes


def read_stream(
    files: Iterable[tuple[str, bytes]], opener: PayloadOpener, began_at: int
) -> tuple[list[PortableChunk], list[str]]:
    """Give the chunks of a stream's files, in order, and what could not be opened. `began_at` is for ids without an
    instant."""
    pieces: list[_Piece] = []
    ended_at: int | None = None
    at = began_at
    for id, content in files:
        at = max(at, read_ulid_instant(id.partition(".")[0]) or at)
        if content[:1] and content[0] == _END:
            ended_at = at
            break
        if len(content) > 1:
            pieces.append(_Piece(at, content[1:]))
    chunks, troubles = _open_pieces(pieces, opener)
    if ended_at is not None:
        chunks.append(PortableChunk(len(chunks), ended_at, None))
    return chunks, troubles


def _open_pieces(pieces: list[_Piece], opener: PayloadOpener) -> tuple[list[PortableChunk], list[str]]:
    frames = _read_frames(pieces)
    if frames is not None:
        opened = [(frame.at, opener.open_bytes(frame.data)) for frame in frames]
        troubles = [payload.trouble for _, payload in opened if payload.trouble is not None]
        return [PortableChunk(n, at, payload.data) for n, (at, payload) in enumerate(opened)], troubles
    lines = list(_cut_lines(pieces))
    if lines and all(line.data[:1] in (b"[", b"-") for line in lines):
        opened = [(line.at, opener.open_bytes(line.data)) for line in lines]
        if all(payload.trouble is None for _, payload in opened):
            return [PortableChunk(n, at, payload.data) for n, (at, payload) in enumerate(opened)], []
    return [PortableChunk(n, piece.at, _write_bytes(piece.data)) for n, piece in enumerate(pieces)], []


def _write_bytes(data: bytes) -> bytes:
    return msgspec.json.encode({"$bytes": base64.b64encode(data).decode()})


def _read_frames(pieces: list[_Piece]) -> list[_Piece] | None:
    """Cut data into frames; None where it is something else. A last one that is cut off is left out."""
    found: list[_Piece] = []
    rest = b""
    for piece in pieces:
        rest += piece.data
        while len(rest) >= _LENGTH.size + _FORMAT_SIZE:
            if rest[_LENGTH.size : _LENGTH.size + _FORMAT_SIZE] not in _FORMATS:
                return None
            end = _LENGTH.size + _LENGTH.unpack_from(rest)[0]
            if end > len(rest):
                break
            found.append(_Piece(piece.at, rest[_LENGTH.size : end]))
            rest = rest[end:]
    return found or None


def _cut_lines(pieces: list[_Piece]) -> Iterator[_Piece]:
    rest = b""
    at = 0
    for piece in pieces:
        at = piece.at
        *lines, rest = (rest + piece.data).split(b"\n")
        yield from (_Piece(at, line) for line in lines if line)
    if rest:
        yield _Piece(at, rest)
