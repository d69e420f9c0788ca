"""Packing: larger values are compressed before they are sealed.

    packed = "j" ‖ JSON text                 as it is
           | "z" ‖ zlib stream of JSON text  when over 1 KiB and at least 5 % smaller

Small texts are not worth the 10–20 µs, and what does not shrink is not worth reading back. Whoever
can choose part of a text and sees its sealed size may guess at the rest (as with CRIME); payloads
of one value come from one program, so they are compressed all the same.
"""

from __future__ import annotations

import zlib
from typing import Final

from wf.errors import PayloadTooLargeError, SerializationError

PACK_OVER: Final = 1024
"""Bytes from which compression is tried."""

UNPACK_LIMIT: Final = 64 * 1024 * 1024
"""Bytes that one payload may unpack to, above the default limit of 50 MB for a payload."""

_LEVEL: Final = 1


def pack(data: bytes) -> bytes:
    """Put the mark in front of encoded data, compressing it where that helps."""
    size = len(data)
    if size > PACK_OVER:
        packed = zlib.compress(data, _LEVEL)
        if len(packed) * 100 <= size * 95:
            return b"z" + packed
    return b"j" + data


def unpack(data: bytes, limit: int = UNPACK_LIMIT) -> bytes:
    """Undo `pack`; a stream that would grow past `limit` bytes raises PayloadTooLargeError."""
    mark = data[:1]
    if mark == b"j":
        return data[1:]
    if mark != b"z":
        raise SerializationError("", "not a packed value: it begins with neither `j` nor `z`")
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(memoryview(data)[1:], limit + 1)
    except zlib.error as error:
        raise SerializationError("", f"not a packed value: {error}") from None
    if len(text) > limit:
        raise PayloadTooLargeError("an unpacked payload", len(text), limit)
    if not stream.eof or stream.unused_data:
        raise SerializationError("", "not a packed value: its stream is cut off or followed by other data")
    return text
