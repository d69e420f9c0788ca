"""The chain: every event of a run is linked to all before it, so that a change shows.

    genesis  = SHA-256("wf/chain/1" ‖ 00 ‖ run_id)
    link(n)  = SHA-256(link(n-1) ‖ columns ‖ SHA-256(payload))        link(0) = genesis

`columns` is one MessagePack array in shortest form, as every MessagePack library writes it:
`[run_id, seq, type, correlation_id, name, attempt, at, meta, size]`, with nil for None and
`size` the payload's length in bytes, nil where there is no payload. Text is UTF-8. So None, ""
and 0 all differ, and no two rows have the same bytes. A missing payload is hashed as empty.

1. The payload is linked as it is stored (sealed): a log is verified without any key.
2. A link proves nothing alone, since anyone can compute it. The head of a run is MACed with a
   key (`keys.RunKey.mac`); that is what ties the chain to somebody who holds one.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256
from typing import Final

import msgspec

from wf.errors import DecryptionError
from wf.events import Event

_COLUMNS: Final = msgspec.msgpack.Encoder().encode
_NO_PAYLOAD: Final = sha256(b"").digest()


def genesis(run_id: str) -> bytes:
    """Give the link that stands before a run's first event."""
    return sha256(b"wf/chain/1\0" + run_id.encode()).digest()


def link(
    previous: bytes,
    run_id: str,
    seq: int,
    type: str,
    correlation_id: int | None,
    name: str | None,
    attempt: int | None,
    at: int,
    meta: str | None,
    payload: bytes | None,
) -> bytes:
    """Compute an event's link from the link before it and all of the event's columns."""
    if payload is None:
        row = _COLUMNS((run_id, seq, type, correlation_id, name, attempt, at, meta, None))
        return sha256(previous + row + _NO_PAYLOAD).digest()
    row = _COLUMNS((run_id, seq, type, correlation_id, name, attempt, at, meta, len(payload)))
    return sha256(previous + row + sha256(payload).digest()).digest()


def verify(events: Iterable[Event], run_id: str, previous: bytes | None = None, after_seq: int = 0) -> bytes:
    """Check a log, or the part of it after `after_seq`, and return its head.

    `previous` is the link of event `after_seq`; None stands for the beginning. With no events
    the head is `previous` itself. Raises `DecryptionError` for the first event that does not fit:
    nothing after it can be trusted, everything before it can, if the head's MAC is right.
    """
    if previous is None:
        if after_seq:
            raise ValueError("verify needs the link of the event it starts after")
        previous = genesis(run_id)
    seq = after_seq
    for event in events:
        seq += 1
        if event.seq != seq:
            raise DecryptionError(run_id, seq, "log", f"event {seq} is missing, event {event.seq} stands in its place")
        if event.run_id != run_id:
            raise DecryptionError(run_id, seq, "log", "the event belongs to another run")
        previous = link(
            previous,
            run_id,
            seq,
            event.type,
            event.correlation_id,
            event.name,
            event.attempt,
            event.at,
            event.meta,
            event.payload,
        )
        if event.link != previous:
            raise DecryptionError(run_id, seq, "log", "its columns, its payload or its link were changed")
    return previous
