"""Payloads: what stands in a field of a row, opened and given as a value of ours.

Bytes begin with four letters that say what follows: `devl` a devalue text, `gzip` and `zstd` another such
payload, `encr` and `encp` one that is encrypted for a key that no local world has. Version 1 of their format
keeps the parsed devalue text itself. What cannot be opened stands as `{"$locked": format}` or
`{"$unreadable": bytes}`, and is told.
"""

from __future__ import annotations

import base64
import json
import zlib
from typing import Any, Final, NamedTuple

import msgspec

from wf.codec.packing import UNPACK_LIMIT
from wfstudio.history.vercel.devalue import DevalueError, read_devalue, read_parsed, write_object, write_text

MAX_WRAPS: Final = 4
_ENCRYPTED: Final = {b"encr": "encr", b"encp": "encp"}
_MAX_DEPTH: Final = 200


class Payload(NamedTuple):
    """An encoded value; `trouble` says why it is only a stand-in for one."""

    data: bytes
    trouble: str | None = None


class PayloadOpener:
    """Opens the payloads of one run."""

    def __init__(self, run_id: str, *, is_python: bool) -> None:
        self._run_id = run_id
        self._is_python = is_python

    def open(self, field: Any) -> Payload:
        """Open what a field of a row holds: bytes, a parsed devalue text, or plain JSON."""
        blob = read_bytes(field)
        if blob is not None:
            return self.open_bytes(blob)
        try:
            if isinstance(field, list) or (type(field) is int and field < 0):
                return Payload(read_parsed(field, is_python=self._is_python, run_id=self._run_id))
            return Payload(msgspec.json.encode(write_plain(field)))
        except DevalueError as error:
            return _unreadable(len(json.dumps(field)), str(error))

    def open_bytes(self, blob: bytes) -> Payload:
        """Open a payload that begins with its format."""
        size = len(blob)
        for _ in range(MAX_WRAPS):
            form, body = blob[:4], blob[4:]
            if form == b"devl":
                return self._read_text(body, size)
            if form in _ENCRYPTED:
                name = _ENCRYPTED[form]
                return Payload(
                    msgspec.json.encode({"$locked": name}), f"encrypted ({name}), for a key that is not here"
                )
            if form not in (b"gzip", b"zstd"):
                break
            try:
                blob = _unpack(form, body)
            except (zlib.error, OSError, ValueError) as error:
                return _unreadable(size, f"{form.decode()}: {error}")
        if blob[:1] in (b"[", b"-"):  # a devalue text from before they had formats
            return self._read_text(blob, size)
        return _unreadable(size, f"its format is {blob[:4]!r}, not known here")

    def _read_text(self, body: bytes, size: int) -> Payload:
        try:
            return Payload(read_devalue(body.decode(), is_python=self._is_python, run_id=self._run_id))
        except (DevalueError, UnicodeDecodeError) as error:
            return _unreadable(size, str(error))


def read_bytes(field: Any) -> bytes | None:
    """Give the bytes that a row holds as `{"__type": "Uint8Array", "data": base64}`; None for anything else."""
    if not (isinstance(field, dict) and field.get("__type") == "Uint8Array" and isinstance(field.get("data"), str)):
        return None
    try:
        return base64.b64decode(field["data"])
    except ValueError:
        return b""


def write_plain(tree: Any, depth: int = 0) -> Any:
    """Give plain JSON as a part of an encoded value."""
    if depth > _MAX_DEPTH:
        raise DevalueError(f"it is nested over {_MAX_DEPTH} deep")
    blob = read_bytes(tree)
    if blob is not None:
        return {"$bytes": base64.b64encode(blob).decode()}
    if isinstance(tree, str):
        return write_text(tree)
    if isinstance(tree, dict):
        return write_object([(write_text(key), write_plain(value, depth + 1)) for key, value in tree.items()])
    if isinstance(tree, list):
        return [write_plain(item, depth + 1) for item in tree]
    if type(tree) is int and not -(2**63) <= tree < 2**63:
        return float(tree)
    return tree


def _unpack(form: bytes, body: bytes) -> bytes:
    """Unpack a payload, up to what one may hold."""
    if form == b"gzip":
        stream = zlib.decompressobj(wbits=31)
        data = stream.decompress(body, UNPACK_LIMIT + 1)
    else:
        # pyarrow has it on every Python, is here for the index, and costs only who needs it.
        import pyarrow as pa

        with pa.CompressedInputStream(pa.BufferReader(body), "zstd") as stream:
            data = stream.read(UNPACK_LIMIT + 1)
    if len(data) > UNPACK_LIMIT:
        raise ValueError(f"it unpacks to over {UNPACK_LIMIT} bytes")
    return bytes(data)


def _unreadable(size: int, reason: str) -> Payload:
    return Payload(msgspec.json.encode({"$unreadable": size}), f"not readable: {reason[:200]}")
