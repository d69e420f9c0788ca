"""What a bench is asked and what it answers: one question, one answer, in turn, over a socket pair.

A message is its length (4 bytes, big-endian), then as many bytes of MessagePack: logs are mostly bytes,
which JSON would have to write as text. What the user's code prints goes elsewhere.
"""

from __future__ import annotations

import socket
from typing import Any, Final, Literal

import msgspec

from wf.events import Event
from wf.settings import Limits
from wf.worker.verdicts import Verdict
from wf.world import RunRow

LONGEST: Final = 1 << 30
"""Bytes of a question or an answer. A run's log may be 2 GB by the limits; one this long is not looked into."""

LENGTH: Final = 4

Log = list[tuple[Event, bytes | None]]
"""A log with its payloads opened; the events' own, which are sealed, are left out."""


# -- questions --------------------------------------------------------------------------------------


class Code(msgspec.Struct, frozen=True, tag="code"):
    """Load this code, once and first of all.

    `targets` are paths relative to `root`, or module names. `files` are a deployment's, by path: they
    stand for those of the disk, and `entries` say which of them define its workflows (id → path), which
    other targets than today's may have loaded.
    """

    root: str
    targets: list[str]
    limits: Limits
    files: dict[str, bytes] | None = None
    entries: dict[str, str] = {}


class Judge(msgspec.Struct, frozen=True, tag="judge"):
    """Replay this run."""

    run: RunRow
    log: Log


# -- answers ----------------------------------------------------------------------------------------


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """`deployment_id` names the content of what was loaded, wherever it came from."""

    deployment_id: str
    workflows: list[str]


class NotLoaded(msgspec.Struct, frozen=True, tag="not_loaded"):
    """The code does not load. `traceback` begins at the user's frames."""

    message: str
    where: str | None = None
    hint: str | None = None
    traceback: str | None = None


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """`is_missing`: the code has no such workflow, so there was nothing to compare."""

    verdict: Verdict
    is_missing: bool = False


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The question has no answer."""

    kind: Literal["usage", "not-found"]
    message: str
    hint: str | None = None


Question = Code | Judge
Answer = Loaded | NotLoaded | Judged | Refused

decode_question: Final = msgspec.msgpack.Decoder(Question).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def encode_message(message: Any) -> bytes:
    data = _encode(message)
    return len(data).to_bytes(LENGTH, "big") + data


def read_message(stream: socket.socket) -> bytes | None:
    """Give the next message of a blocking socket, or None at its end."""
    head = _read_exactly(stream, LENGTH)
    return None if head is None else _read_exactly(stream, int.from_bytes(head, "big"))


def _read_exactly(stream: socket.socket, size: int) -> bytes | None:
    data = bytearray(size)
    view, done = memoryview(data), 0
    while done < size:
        count = stream.recv_into(view[done:])
        if not count:
            return None
        done += count
    return bytes(data)
