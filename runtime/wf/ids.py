"""Identifiers: how runs, steps and workers are named.

A run id is `wrun_` and a ULID (26 characters of Crockford's base 32: 48 bits of milliseconds,
80 random bits), so ids sort by time. A user may choose another one (`with_options(id=)`).
Ids are not secrets; hook tokens are, and are drawn elsewhere.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
import threading
from typing import NewType

RunId = NewType("RunId", str)
WorkerId = NewType("WorkerId", str)

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:@+=/-]{0,199}\Z")

_guard = threading.Lock()  # guards _last, so that ids of one process never go back
_last = 0


def encode_ulid(value: int) -> str:
    """Write 128 bits as 26 characters."""
    pairs = _PAIRS
    head = _ALPHABET[value >> 125]
    return (
        head
        + _ALPHABET[(value >> 120) & 31]
        + "".join([pairs[(value >> shift) & 1023] for shift in range(110, -1, -10)])
    )


def new_ulid(at_us: int) -> str:
    """Draw a ULID for an instant in microseconds; later calls of this process sort later."""
    global _last
    value = ((at_us // 1000) & ((1 << 48) - 1)) << 80 | int.from_bytes(os.urandom(10), "big")
    with _guard:
        if value <= _last:
            value = _last + 1
        _last = value
    return encode_ulid(value)


def new_run_id(at_us: int) -> str:
    return "wrun_" + new_ulid(at_us)


def derive_run_id(at_us: int, *parts: object) -> str:
    """Name a child run from its parent and position, so that a repeated commit names it alike."""
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    value = ((at_us // 1000) & ((1 << 48) - 1)) << 80 | int.from_bytes(digest[:10], "big")
    return "wrun_" + encode_ulid(value)


def is_run_id(text: str) -> bool:
    """Tell whether a text may name a run: 1 to 200 characters, letters, digits and `._:@+=/-`."""
    return isinstance(text, str) and _RUN_ID.match(text) is not None


def new_token() -> str:
    """Draw a hook token: 256 random bits, base64url without padding."""
    return secrets.token_urlsafe(32)


def hash_token(token: str) -> bytes:
    """Give the SHA-256 by which a token is stored and looked up."""
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()


def step_id(run_id: str, correlation_id: int) -> str:
    """Name a step of a run; the same for every attempt, unique in the world."""
    return f"{run_id}:{correlation_id}"
