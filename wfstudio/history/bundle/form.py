"""The form of a bundle: its members, what their lines hold, and how large it may be.

    manifest.json              Manifest
    runs/1/run.json            RunRecord
    runs/1/events.jsonl        EventLine, in order of seq
    runs/1/chunks.jsonl        ChunkLine, stream by stream
    runs/1/logs.jsonl          LogLine
    runs/2/…                   runs are numbered in the order of the manifest
    deployments.jsonl          DeploymentLine
    sources/<SHA-256, hex>     a source file's content

Payloads are open: a bundle is as secret as what they say. docs/bundle.md is written for a second
implementation; whatever changes here changes there, and gets another `VERSION`.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Final

import msgspec
from msgspec import UNSET, Meta, UnsetType

from wf.errors import WorkflowError
from wf.origin import Kind
from wf.world import Attention
from wfstudio.history.log_rules import Instant, Name, Number

FORMAT: Final = "wf-bundle"
VERSION: Final = 1
MEDIA_TYPE: Final = "application/zip"

MANIFEST: Final = "manifest.json"
DEPLOYMENTS: Final = "deployments.jsonl"

MAX_BUNDLE_BYTES: Final = 100 * 1000 * 1000
"""Of the file."""
MAX_OPEN_BYTES: Final = 500 * 1000 * 1000
"""Of all members, unpacked. They are held in memory one run at a time, and all together while they are checked."""
MAX_RATIO: Final = 100
"""Of a member that is compressed, unpacked to packed. Writers store what compresses better than that."""
MAX_MEMBERS: Final = 20_000
MAX_MANIFEST_BYTES: Final = 10 * 1000 * 1000

_MEMBER: Final = re.compile(
    r"runs/[1-9]\d{0,5}/(run\.json|(events|chunks|logs)\.jsonl)|deployments\.jsonl|sources/[0-9a-f]{64}"
)


class BundleError(WorkflowError):
    """A file is no bundle, or one that cannot be taken in. Nothing of it was imported.

    `where` is the member, and in it the line.
    """

    slug = "bundle"
    hint = "export the runs again with `wf export`; a bundle is never repaired by hand"

    def __init__(self, message: str, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(message)
        self.where = where
        if hint is not None:
            self.hint = hint


def is_member(name: str) -> bool:
    """Tell whether a bundle may have a member of this name, besides its manifest."""
    return _MEMBER.fullmatch(name) is not None


def run_members(number: int) -> tuple[str, str, str, str]:
    """Name a run's members: its record, events, chunks and log lines."""
    folder = f"runs/{number}"
    return f"{folder}/run.json", f"{folder}/events.jsonl", f"{folder}/chunks.jsonl", f"{folder}/logs.jsonl"


# -- the manifest -----------------------------------------------------------------------------------


class Member(msgspec.Struct, frozen=True):
    """`size` is bytes, unpacked."""

    size: Number
    sha256: str


class Header(msgspec.Struct, frozen=True):
    """What every version of the format begins with: enough to refuse one that is not known."""

    format: str
    version: int


class Manifest(msgspec.Struct, frozen=True):
    """`runs` are the ids, the Nth under `runs/N`; `schema_version` is that of the world they came from."""

    format: str
    version: int
    created_at: str
    wf_version: str
    schema_version: int
    is_redacted: bool
    runs: list[str]
    members: dict[str, Member]


# -- members ------------------------------------------------------------------------------------


class RunRecord(msgspec.Struct, frozen=True):
    """What a run's log does not say of it. `kind` is that of `wf.origin`; `events` is their number."""

    run_id: str
    kind: Kind
    deployment_id: Name
    parent_run_id: str | None
    parent_correlation_id: Number | None
    attention: Attention | None
    events: Number


class EventLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """`meta` is the text that was recorded, `payload` the value as it was encoded; missing, if there is none."""

    seq: Number
    type: str
    at: Instant
    correlation_id: Number | None = None
    name: str | None = None
    attempt: Number | None = None
    meta: str | None = None
    payload: msgspec.Raw | UnsetType = UNSET


class ChunkLine(msgspec.Struct, frozen=True, omit_defaults=True):
    """A line without `payload` is the end mark."""

    stream: str
    index: Number
    at: Instant
    payload: msgspec.Raw | UnsetType = UNSET


class LogLine(msgspec.Struct, frozen=True):
    """A batch; each of `lines` is `[at, source, text]`."""

    correlation_id: Number
    attempt: Number
    index: Number
    at: Instant
    lines: list[tuple[Instant, str, str]]


class DeploymentLine(msgspec.Struct, frozen=True):
    """`files` maps paths to the SHA-256 (hex) of their contents; `catalog` is what the code defines."""

    deployment_id: Annotated[str, Meta(min_length=1, max_length=200)]
    created_at: Instant
    files: dict[str, Annotated[str, Meta(pattern="^[0-9a-f]{64}$")]]
    catalog: dict[str, Any] | None
