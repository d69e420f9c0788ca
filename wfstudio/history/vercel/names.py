"""Names: ids, names and instants as Vercel's worlds write them, in ours."""

from __future__ import annotations

import base64
import re
from datetime import datetime
from typing import Final

from wf.durations import to_instant
from wfstudio.history.log_rules import LAST_INSTANT

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUES: Final = {letter: value for value, letter in enumerate(_ALPHABET)}
_ULID: Final = re.compile(rf"[{_ALPHABET}]{{26}}")
_ENTITY: Final = re.compile(r"(?:workflow|step|class)//(.+)//([^/]+)")
_MODULE: Final = re.compile(r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*")
_STREAM: Final = re.compile(r"strm_(.+?)_user(?:_([A-Za-z0-9_-]+))?")

DEFAULT_STREAM: Final = "default"


def read_name(text: str) -> str:
    """Give a workflow's, step's or class's id as ours are: `step//shop.flows//pay` is `shop.flows:pay`."""
    match = _ENTITY.fullmatch(text)
    return f"{match[1]}:{match[2]}" if match is not None else text


def is_python_name(text: str) -> bool:
    """Tell whether an id is of a Python module: JavaScript's are paths."""
    match = _ENTITY.fullmatch(text)
    return match is not None and _MODULE.fullmatch(match[1]) is not None


def read_instant(text: object) -> int | None:
    """Give an ISO 8601 text as microseconds since 1970; None for what is no instant of ours."""
    if not isinstance(text, str):
        return None
    try:
        found = to_instant(datetime.fromisoformat(text.replace("Z", "+00:00")))
    except (ValueError, OverflowError):
        return None
    return found if 0 <= found <= LAST_INSTANT else None


def read_ulid_instant(id: str) -> int | None:
    """Give the instant that a ULID holds, to the millisecond; its id may have a prefix."""
    ulid = id.rpartition("_")[2][-26:]
    if _ULID.fullmatch(ulid) is None:
        return None
    millis = 0
    for letter in ulid[:10]:
        millis = millis * 32 + _VALUES[letter]
    return millis * 1000 if millis * 1000 <= LAST_INSTANT else None


def read_stream_name(text: str) -> tuple[str, str] | None:
    """Give the run and the name of a run's own stream; None for a stream of another kind."""
    match = _STREAM.fullmatch(text)
    if match is None:
        return None
    return f"wrun_{match[1]}", DEFAULT_STREAM if match[2] is None else _read_namespace(match[2])


def _read_namespace(encoded: str) -> str:
    try:
        return base64.urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)).decode()
    except ValueError:  # not base64, or no UTF-8
        return encoded
