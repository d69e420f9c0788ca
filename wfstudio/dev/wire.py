"""What the studio process and a worker process say to each other, as JSON lines over a socket pair.

The studio commands (imperative), the worker reports (what happened). A worker whose studio is gone
reads the end of the stream, and leaves.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final

import msgspec

from wf.worker.verdicts import Verdict
from wfstudio.core.faults import FaultRule

LONGEST_LINE: Final = 64 << 20  # verdicts on thousands of runs, or a traceback, in one line


class Order(msgspec.Struct, frozen=True, tag="work"):
    """What a new worker process is to load and where it works.

    `targets` are paths relative to `root`, or module names. `pegged_to` names a deployment whose stored
    files are loaded in place of the project's; None: the project's own are loaded, and kept.
    """

    root: str
    targets: list[str]
    world: str
    durability: str
    concurrency: int
    url: str | None = None
    pegged_to: str | None = None


class BenchOrder(msgspec.Struct, frozen=True, tag="bench"):
    """Be a bench (`wfstudio.core.bench`). What it is to do it hears over its socket; what it prints goes to the
    descriptor that comes with that."""


class Judge(msgspec.Struct, frozen=True, tag="judge"):
    """Replay these runs: those in flight, or those that have ended."""

    run_ids: list[str]
    is_ended: bool = False


class Serve(msgspec.Struct, frozen=True, tag="serve"):
    """Take runs that are pegged to these deployments."""

    deployments: list[str]


class HandOver(msgspec.Struct, frozen=True, tag="hand_over"):
    """Give these runs back as soon as no attempt of theirs is under way; they belong elsewhere now."""

    run_ids: list[str]


class Newest(msgspec.Struct, frozen=True, tag="newest"):
    """There is newer code than yours, in this deployment: what starts on the latest starts there."""

    deployment_id: str


class SetFaults(msgspec.Struct, frozen=True, tag="set_faults"):
    """Disturb runs by these rules from now on, and by no others."""

    rules: list[FaultRule]


class Leave(msgspec.Struct, frozen=True, tag="leave"):
    grace_seconds: float


class Ping(msgspec.Struct, frozen=True, tag="ping"):
    pass


class Loaded(msgspec.Struct, frozen=True, tag="loaded"):
    deployment_id: str
    workflows: list[str]
    steps: int


class NotLoaded(msgspec.Struct, frozen=True, tag="not_loaded"):
    """`frame` is the user's line with those around it, as text; `traceback` begins at the user's frames."""

    slug: str
    message: str
    where: str | None = None
    hint: str | None = None
    traceback: str | None = None
    frame: str | None = None


class Judged(msgspec.Struct, frozen=True, tag="judged"):
    verdicts: list[Verdict]


class Serving(msgspec.Struct, frozen=True, tag="serving"):
    deployments: list[str]


class FaultsSet(msgspec.Struct, frozen=True, tag="faults_set"):
    """`unknown` are the exceptions of the rules that the code here does not know."""

    unknown: list[str] = []


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    pass


class Failed(msgspec.Struct, frozen=True, tag="failed"):
    """The worker cannot go on, for a reason that is not the user's code (the world, the keys)."""

    slug: str
    message: str
    hint: str | None = None


Command = Judge | Serve | HandOver | Newest | SetFaults | Leave | Ping
Report = Loaded | NotLoaded | Judged | Serving | FaultsSet | Pong | Failed

decode_command = msgspec.json.Decoder(Command).decode
decode_report = msgspec.json.Decoder(Report).decode
_encode = msgspec.json.Encoder().encode


def encode_line(message: Any) -> bytes:
    return _encode(message) + b"\n"


async def read_line(reader: asyncio.StreamReader) -> bytes | None:
    """Give the next line, or None at the end of the stream, however it came."""
    try:
        line = await reader.readline()
    except (ConnectionError, ValueError):
        return None
    return line if line.endswith(b"\n") else None
