"""A second implementation of docs/event-log.md: a reader written from that page alone, without `wf`.

It checks what can be checked, and opens what is sealed. A tag of a class that it does not have stays
the JSON that it is, as the page asks.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import sqlite3
import struct
import zlib
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class Event(NamedTuple):
    run_id: str
    seq: int
    type: str
    correlation_id: int | None
    name: str | None
    attempt: int | None
    at: int
    meta: str | None
    payload: bytes | None
    link: bytes


class Refused(Exception):
    """A log, or a value, is not what was written."""


def sha256(data: bytes) -> bytes:
    return hashlib.sha256(data).digest()


def mac256(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")


def key_id(root: bytes) -> bytes:
    return sha256(b"wf/kid" + root)[:4]


def derive(root: bytes, purpose: bytes, run_id: str) -> bytes:
    return mac256(mac256(b"wf/hkdf/1", root), purpose + b"\0" + run_id.encode() + b"\1")


def additional_data(kid: bytes, run_id: str, place: int | str, field: str) -> bytes:
    run = run_id.encode()
    if isinstance(place, int):
        where = b"i" + str(place).encode() + b":"
    else:
        where = b"s" + struct.pack(">I", len(place.encode())) + place.encode()
    return b"\1" + kid + struct.pack(">I", len(run)) + run + where + field.encode()


def open_sealed(roots: list[bytes], run_id: str, place: int | str, field: str, blob: bytes) -> bytes:
    if not roots:
        if blob[:1] != b"\0":
            raise Refused("sealed, and there is no key")
        return blob[1:]
    if blob[:1] != b"\1":
        raise Refused("not sealed, although there are keys")
    kid, nonce, sealed = blob[1:5], blob[5:17], blob[17:]
    root = next((root for root in roots if key_id(root) == kid), None)
    if root is None:
        raise Refused("sealed with a key that is not here")
    try:
        return AESGCM(derive(root, b"wf/seal", run_id)).decrypt(
            nonce, sealed, additional_data(kid, run_id, place, field)
        )
    except InvalidTag:
        raise Refused("changed, or from another place") from None


def unpack(packed: bytes) -> Any:
    return json.loads(packed[1:] if packed[:1] == b"j" else zlib.decompress(packed[1:]))


def message_pack(value: Any) -> bytes:
    """Write an array of texts, integers and None in shortest form."""
    if value is None:
        return b"\xc0"
    if isinstance(value, list):
        assert len(value) < 16
        return bytes([0x90 | len(value)]) + b"".join(map(message_pack, value))
    if isinstance(value, str):
        data = value.encode()
        size = len(data)
        if size < 32:
            return bytes([0xA0 | size]) + data
        if size < 1 << 8:
            return b"\xd9" + bytes([size]) + data
        return (b"\xda" + struct.pack(">H", size) if size < 1 << 16 else b"\xdb" + struct.pack(">I", size)) + data
    assert isinstance(value, int)
    if value < 0:
        for limit, code, form in (
            (1 << 5, "", ">b"),
            (1 << 7, "d0", ">b"),
            (1 << 15, "d1", ">h"),
            (1 << 31, "d2", ">i"),
        ):
            if value >= -limit:
                return bytes.fromhex(code) + struct.pack(form, value)
        return b"\xd3" + struct.pack(">q", value)
    for limit, code, form in ((1 << 7, "", ">B"), (1 << 8, "cc", ">B"), (1 << 16, "cd", ">H"), (1 << 32, "ce", ">I")):
        if value < limit:
            return bytes.fromhex(code) + struct.pack(form, value)
    return b"\xcf" + struct.pack(">Q", value)


def genesis(run_id: str) -> bytes:
    return sha256(b"wf/chain/1\0" + run_id.encode())


def columns_of(event: Event) -> bytes:
    size = None if event.payload is None else len(event.payload)
    return message_pack([*event[:8], size])


def check_chain(run_id: str, log: list[Event]) -> bytes:
    """Give the head of a whole log."""
    link = genesis(run_id)
    for seq, event in enumerate(log, 1):
        link = sha256(link + columns_of(event) + sha256(event.payload or b""))
        if (event.run_id, event.seq, event.link) != (run_id, seq, link):
            raise Refused(f"event {seq} of {run_id}")
    return link


def check_head(roots: list[bytes], run_id: str, seq: int, head: bytes, mac: bytes) -> None:
    message = struct.pack(">Q", seq) + head
    expected = [mac256(derive(root, b"wf/mac", run_id), message) for root in roots] or [b""]
    if mac not in expected:
        raise Refused(f"the head of {run_id}")


class World:
    """A reader of a world's file."""

    def __init__(self, path: Path, roots: list[bytes]) -> None:
        self.path = path
        self.roots = roots
        self._connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)

    def close(self) -> None:
        self._connection.close()

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self._connection.execute(query, values).fetchall()

    def log(self, run_id: str) -> list[Event]:
        names = ", ".join(Event._fields)
        return [Event(*row) for row in self.rows(f"SELECT {names} FROM events WHERE run_id = ? ORDER BY seq", run_id)]

    def run_ids(self) -> list[str]:
        return [run_id for (run_id,) in self.rows("SELECT run_id FROM runs ORDER BY id")]

    def all_events(self) -> list[Event]:
        return [event for run_id in self.run_ids() for event in self.log(run_id)]

    def open(self, run_id: str, place: int | str, field: str, blob: bytes) -> Any:
        """Give the JSON that was sealed."""
        return unpack(open_sealed(self.roots, run_id, place, field, blob))

    def open_event(self, event: Event) -> Any:
        return None if event.payload is None else self.open(event.run_id, event.seq, event.type, event.payload)

    def verify(self, run_id: str) -> None:
        [(seq, head, mac)] = self.rows("SELECT seq, head, mac FROM runs WHERE run_id = ?", run_id)
        log = self.log(run_id)
        if len(log) != seq or check_chain(run_id, log) != head:
            raise Refused(f"the log of {run_id} does not end where it should")
        check_head(self.roots, run_id, seq, head, mac)

    def everything_sealed(self) -> Iterator[tuple[str, Any]]:
        """Open all there is: what it is, and its JSON."""
        for event in self.all_events():
            if event.payload is not None:
                yield event.type, self.open_event(event)
        for run_id, kind, blob in self.rows("SELECT run_id, kind, payload FROM inbox WHERE payload IS NOT NULL"):
            yield "inbox", self.open(run_id, "inbox", kind, blob)
        for run_id, name, index, blob in self.rows(
            'SELECT run_id, name, "index", payload FROM chunks WHERE payload IS NOT NULL'
        ):
            yield "chunk", self.open(run_id, f"stream:{name}:{index}", "chunk", blob)
        for run_id, number, attempt, index, blob in self.rows(
            'SELECT run_id, correlation_id, attempt, "index", payload FROM logs'
        ):
            yield "log", self.open(run_id, f"log:{number}:{attempt}:{index}", "log", blob)


def read_zone(text: str, zone: Any, fold: int) -> Any:
    return (text, zone, fold)


UNTAG: dict[str, Callable[[Any], Any]] = {
    "$int": lambda c: int(c, 16),
    "$float": float,
    "$str": lambda c: base64.b64decode(c, validate=True).decode("utf-8", "surrogatepass"),
    "$bytes": lambda c: base64.b64decode(c, validate=True),
    "$bytearray": lambda c: bytearray(base64.b64decode(c, validate=True)),
    "$dict": lambda c: {read(key): read(item) for key, item in c},
    "$tuple": lambda c: tuple(map(read, c)),
    "$set": lambda c: set(map(read, c)),
    "$frozenset": lambda c: frozenset(map(read, c)),
    "$deque": lambda c: deque(map(read, c[0]), c[1]),
    "$ordereddict": lambda c: OrderedDict((read(key), read(item)) for key, item in c),
    "$counter": lambda c: Counter({read(key): read(item) for key, item in c}),
    "$defaultdict": lambda c: (c[0], {read(key): read(item) for key, item in c[1]}),
    "$range": lambda c: range(*map(read, c)),
    "$complex": lambda c: complex(*map(read, c)),
    "$fraction": lambda c: Fraction(*map(read, c)),
    "$decimal": Decimal,
    "$uuid": UUID,
    "$datetime": lambda c: datetime.fromisoformat(c) if isinstance(c, str) else read_zone(*c),
    "$time": lambda c: time.fromisoformat(c) if isinstance(c, str) else read_zone(*c),
    "$date": date.fromisoformat,
    "$timedelta": lambda c: timedelta(*c),
    "$pureposixpath": lambda c: PurePosixPath(read(c)),
}


def read(tree: Any) -> Any:
    """Give the value of a JSON tree; a tag of a class stays as it is, with what is in it read."""
    if isinstance(tree, list):
        return [read(item) for item in tree]
    if not isinstance(tree, dict):
        return tree
    if len(tree) == 1:
        [(tag, content)] = tree.items()
        if tag in UNTAG:
            return UNTAG[tag](content)
    return {key: read(item) for key, item in tree.items()}


def tags_in(tree: Any) -> Iterator[str]:
    if isinstance(tree, list):
        for item in tree:
            yield from tags_in(item)
    elif isinstance(tree, dict):
        if len(tree) == 1:
            yield from (key for key in tree if key.startswith("$"))
        for item in tree.values():
            yield from tags_in(item)
