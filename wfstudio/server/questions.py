"""Questions: the queries and bodies that routes take. The OpenAPI document is made from them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from wf.durations import from_instant, parse_duration
from wfstudio.core.errors import UsageError
from wfstudio.core.reading import MAX_PAGE
from wfstudio.core.views import RunQuery

Limit = Annotated[int, Meta(ge=1, le=MAX_PAGE, description="How many at most.")]
Locked = Annotated[bool, Meta(description="Do not open payloads.")]
MaxBytes = Annotated[
    int, Meta(ge=0, le=2**53, description='Payloads that are larger are given as `{"$large": bytes}`.')
]
SHOWN_BYTES = 1_000_000
"""What a browser is given of a payload unless it asks for more."""

Cursor = Annotated[str | None, Meta(description="The `cursor` of the page before.")]


class RunsQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    status: Annotated[
        list[str], Meta(description="`pending`, `running`, `completed`, `failed` or `cancelled`; may be repeated.")
    ] = []
    workflow: Annotated[str | None, Meta(description="A workflow's id, or its short name.")] = None
    attr: Annotated[list[str], Meta(description="`key=value`: an attribute of the run; may be repeated.")] = []
    since: Annotated[str | None, Meta(description="Created then or later: ISO 8601 with a zone, or `1h` ago.")] = None
    until: Annotated[str | None, Meta(description="Created before: ISO 8601 with a zone, or `1h` ago.")] = None
    limit: Limit = 100
    cursor: Cursor = None

    def read(self, now_us: int) -> RunQuery:
        attributes: dict[str, str] = {}
        for text in self.attr:
            key, is_there, value = text.partition("=")
            if not is_there or not key:
                raise UsageError(f"attr {text!r:.80} is not like key=value")
            attributes[key] = value
        return RunQuery(
            status=self.status or None,
            workflow=self.workflow,
            attributes=attributes,
            since=read_moment(self.since, now_us, "since"),
            until=read_moment(self.until, now_us, "until"),
            limit=self.limit,
            cursor=self.cursor,
        )


def read_moment(text: str | None, now_us: int, what: str) -> datetime | None:
    """Read an instant: ISO 8601 with a zone, or a duration before now."""
    if text is None:
        return None
    try:
        return from_instant(now_us - parse_duration(text, what))
    except (ValueError, OverflowError):
        pass
    try:
        found = datetime.fromisoformat(text)
        if found.utcoffset() is not None:
            return found.astimezone(UTC)
    except (ValueError, OverflowError):
        pass
    raise UsageError(f"{what} {text!r:.80} is no instant", "write `2026-01-02T03:04:05Z`, or `1h` for an hour ago")


class LockedQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    locked: Locked = False
    max_bytes: MaxBytes = SHOWN_BYTES


class PageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cursor: Cursor = None
    limit: Limit = 1000


class PayloadPageQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    cursor: Cursor = None
    limit: Limit = 1000
    locked: Locked = False
    max_bytes: MaxBytes = SHOWN_BYTES


class StreamQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    start: Annotated[
        int, Meta(ge=-(2**53), le=2**53, description="The first index; a negative one counts from the tail.")
    ] = 0
    limit: Limit = 1000
    max_bytes: MaxBytes = SHOWN_BYTES


class HooksQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    run: Annotated[str | None, Meta(description="Only those of this run.")] = None
    locked: Locked = False


class LiveQuery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    last_id: Annotated[
        Annotated[int, Meta(ge=0, le=2**53)] | None,
        Meta(description="As `Last-Event-ID`, which wins: go on after this event."),
    ] = None


def read_number(cursor: str | None) -> int:
    """Read a cursor that is a number; None is the beginning."""
    if cursor is None:
        return 0
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 15):
        raise UsageError(f"cursor {cursor!r:.80} is none that this list gave")
    return int(cursor)


# -- bodies -------------------------------------------------------------------------------------


class StartBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Arguments go by place (`args`), by name (`kwargs`), or both. With an `id` a start may be repeated."""

    workflow: Annotated[str, Meta(description="A workflow's id, or its short name.")]
    args: list[Any] = []
    kwargs: dict[str, Any] = {}
    id: str | None = None
    attributes: dict[str, str] = {}
    deployment: str | None = None
    delay: Annotated[int | float | str | None, Meta(description="Seconds, or like `1h 30m`.")] = None


class CancelBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`force` ends the run at once, without any clean-up of its body."""

    reason: str | None = None
    force: bool = False


class ResumeBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The same `delivery_id` delivers once, however often it is sent."""

    payload: Any
    delivery_id: Annotated[str, Meta(min_length=1, max_length=200)] | None = None


class RemedyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    action: str


class OpenBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`file` is given from the project's root, or whole."""

    file: Annotated[str, Meta(min_length=1, max_length=4096)]
    line: Annotated[int, Meta(ge=1, le=10_000_000)] = 1
    column: Annotated[int, Meta(ge=1, le=10_000_000)] = 1


class SessionBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    code: str


class EmptyBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    pass
