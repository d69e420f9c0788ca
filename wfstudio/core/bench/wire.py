"""What a bench is asked and what it answers: one question, one answer, in turn, over a socket pair.

A message is its length (4 bytes, big-endian), then as many bytes of MessagePack: logs are mostly bytes,
which JSON would have to write as text. What the user's code prints goes elsewhere.
"""

from __future__ import annotations

import socket
from typing import Any, Final, Literal

import msgspec

from wf.context import StepInfo, WorkflowInfo
from wf.events import Event
from wf.settings import Limits
from wf.worker.logs import LogLine
from wf.worker.verdicts import Verdict
from wf.world import Attention, RunRow
from wfstudio.core.bench.views import EffectView, MomentView
from wfstudio.core.check.findings import Report

LONGEST: Final = 1 << 30
"""Bytes of a question or an answer. A run's log may be 2 GB by the limits; one this long is not looked into."""

LENGTH: Final = 4

Debugger = Literal["pdb", "debugpy"]

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


class Check(msgspec.Struct, frozen=True, tag="check"):
    """Read these files, by paths relative to `root`, for what a replay would not repeat. None of it is loaded, and
    this may be asked before, or instead of, any code."""

    root: str
    files: dict[str, bytes]


class Judge(msgspec.Struct, frozen=True, tag="judge"):
    """Replay this run."""

    run: RunRow
    log: Log


class Retell(msgspec.Struct, frozen=True, tag="retell"):
    """Tell this run anew: its inputs in the log are others than those that the recorded calls were made with."""

    run: RunRow
    log: Log


class Travel(msgspec.Struct, frozen=True, tag="travel"):
    """Replay this run, and keep states of it to look at. Asked once of a process."""

    run: RunRow
    log: Log


class GoOn(msgspec.Struct, frozen=True, tag="go_on"):
    """The run went on meanwhile: what its log has more."""

    log: Log


class Look(msgspec.Struct, frozen=True, tag="look"):
    """Say how the run was right after an event."""

    seq: int


class TryStep(msgspec.Struct, frozen=True, tag="try_step"):
    """Carry out a step once more: with its recorded `arguments` (encoded), those that are `edited` (JSON) replaced.

    `attributes` are the run's. A `debugger` stops in the step's first line, and then there is no time limit.
    """

    correlation_id: int
    info: StepInfo
    workflow_info: WorkflowInfo
    arguments: bytes
    edited: dict[str, Any]
    attributes: dict[str, str]
    timeout_seconds: float
    debugger: Debugger | None = None


class Debug(msgspec.Struct, frozen=True, tag="debug"):
    """Replay this run, and stop in a debugger where the body goes on after the event `seq`."""

    run: RunRow
    log: Log
    seq: int
    debugger: Debugger


# -- answers ----------------------------------------------------------------------------------------


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    """`deployment_id` names the content of what was loaded, `files` are the project's own among it."""

    deployment_id: str
    workflows: list[str]
    files: list[str] = []


class NotLoaded(msgspec.Struct, frozen=True, tag="not_loaded"):
    """The code does not load. `traceback` begins at the user's frames."""

    message: str
    where: str | None = None
    hint: str | None = None
    traceback: str | None = None


class Checked(msgspec.Struct, frozen=True, tag="checked"):
    report: Report


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    """`is_missing`: the code has no such workflow, so there was nothing to compare."""

    verdict: Verdict
    is_missing: bool = False


class Retold(msgspec.Struct, frozen=True, tag="retold"):
    """The log with the calls that the body makes from its new inputs; or, with `trouble`, where they part."""

    log: Log
    trouble: Attention | None = None


class Travelled(msgspec.Struct, frozen=True, tag="travelled"):
    """How far the code follows the log."""

    reached_seq: int


class Seen(msgspec.Struct, frozen=True, tag="seen"):
    moment: MomentView


class Tried(msgspec.Struct, frozen=True, tag="tried"):
    """`data` is the encoded result, or exception; of an attempt that took too long there is none."""

    outcome: Literal["returned", "raised", "timed_out"]
    data: bytes
    took_ms: float
    lines: list[LogLine]
    effects: list[EffectView]


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """The question has no answer."""

    kind: Literal["usage", "not-found", "conflict", "bench"]
    message: str
    hint: str | None = None


Question = Code | Check | Judge | Retell | Travel | GoOn | Look | TryStep | Debug
Answer = Loaded | NotLoaded | Checked | Judged | Retold | Travelled | Seen | Tried | Refused

decode_question: Final = msgspec.msgpack.Decoder(Question).decode
decode_answer: Final = msgspec.msgpack.Decoder(Answer).decode
_encode: Final = msgspec.msgpack.Encoder().encode


def encode_message(message: Any) -> bytes:
    """Give a message as it goes over the wire; bytes are one that is encoded already."""
    data = message if isinstance(message, bytes) else _encode(message)
    return len(data).to_bytes(LENGTH, "big") + data


def encode_answer(answer: Answer) -> bytes:
    return _encode(answer)


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
