"""Schemas: what a process that has not the type refuses, and what the body gets of what it lets pass."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Generic, Literal, NamedTuple, TypedDict, TypeVar
from uuid import UUID

import msgspec
import pydantic
import pytest

import wf
from wf import schemas
from wf.errors import ValidationError

T = TypeVar("T")

ID = "12345678-1234-5678-1234-567812345678"
NOON = "2026-01-02T12:00:00Z"

TEXTS = [
    (datetime, NOON, datetime(2026, 1, 2, 12, tzinfo=UTC), "2026-01-02"),
    (datetime, "2026-01-02T12:00:00", datetime(2026, 1, 2, 12), "noon"),  # noqa: DTZ001
    (date, "2026-01-02", date(2026, 1, 2), "2026-13-02"),
    (time, "12:00:00", time(12), "25:00:00"),
    (timedelta, "PT1H", timedelta(hours=1), "an hour"),
    (UUID, ID, UUID(ID), "1234"),
    (Decimal, "1.50", Decimal("1.50"), "1,50"),
    (bytes, "aGk=", b"hi", "not base64!"),
]


def refuses(schema: Any, payload: Any) -> bool:
    """Tell whether a process that knows only the recorded schema refuses a payload."""
    described = schemas.describe_schema(schema)
    assert described is not None
    try:
        schemas.check_json(payload, msgspec.json.decode(msgspec.json.encode(described)))
    except ValidationError:
        return True
    return False


@pytest.mark.parametrize(("type_", "good", "value", "bad"), TEXTS)
async def test_a_hook_of_a_type_that_is_written_as_text_refuses_other_texts_and_gives_the_type(
    wf_env: Any, type_: Any, good: str, value: Any, bad: str
) -> None:
    got = []

    @wf.workflow
    async def flow() -> None:
        got.append(await wf.hook(token="bare", schema=type_))
        got.append(await wf.hook(token="list", schema=list[type_]))
        got.append(await wf.hook(token="optional", schema=type_ | None))
        got.append(await wf.hook(token="none", schema=type_ | None))

    run = await wf_env.start(flow)
    for token, fitting, misfit in [("bare", good, bad), ("list", [good, good], [good, bad]), ("optional", good, bad)]:
        await wf_env.wait_for_hook(run, token=token)
        with pytest.raises(wf.ValidationError):
            await wf.resume_hook(token, misfit)
        await wf.resume_hook(token, fitting)
    await wf_env.wait_for_hook(run, token="none")
    await wf.resume_hook("none", None)
    await run.return_value()
    assert got == [value, [value, value], value, None]
    assert [type(part) for part in (got[0], got[1][1], got[2])] == [type(value)] * 3


@dataclass
class Visit:
    at: datetime
    until: time | None = None
    then: Visit | None = None


class Struct(msgspec.Struct):
    at: datetime


class Tagged(msgspec.Struct, tag="tagged", array_like=True):
    n: int
    at: datetime


class Other(msgspec.Struct, tag="other"):
    at: datetime


class Another(msgspec.Struct, tag="another"):
    at: time


class Pair(NamedTuple):
    at: datetime
    data: bytes = b""


class Typed(TypedDict, total=False):
    at: datetime


class Box(msgspec.Struct, Generic[T]):
    content: T


class Model(pydantic.BaseModel):
    at: datetime
    until: time | None = None


class Color(enum.Enum):
    RED = "red"


@pytest.mark.parametrize(
    ("type_", "good", "bad"),
    [
        (Visit, {"at": NOON}, {"at": "noon"}),
        (Visit, {"at": NOON, "until": "12:30:00"}, {"at": NOON, "until": "later"}),
        (Visit, {"at": NOON, "then": {"at": NOON}}, {"at": NOON, "then": {"at": "noon"}}),
        (list[Visit], [{"at": NOON}], [{"at": "noon"}]),
        (Struct, {"at": NOON}, {"at": "noon"}),
        (Tagged, ["tagged", 1, NOON], ["tagged", 1, "noon"]),
        (Other | Another | None, {"type": "other", "at": NOON}, {"type": "another", "at": NOON}),
        (Pair, [NOON, "aGk="], [NOON, "not base64!"]),
        (Typed, {"at": NOON}, {"at": "noon"}),
        (Box[datetime], {"content": NOON}, {"content": "noon"}),
        (Model, {"at": NOON}, {"at": "noon"}),
        (Model, {"at": NOON, "until": None}, {"at": NOON, "until": "later"}),
        (dict[str, datetime], {"a": NOON}, {"a": "noon"}),
        (set[UUID], [ID], ["1234"]),
        (tuple[datetime, int], [NOON, 1], ["noon", 1]),
        (tuple[datetime, ...], [NOON, NOON], [NOON, "noon"]),
        (list[datetime] | datetime | None, [NOON], ["noon"]),
        (list[datetime] | dict[str, time] | int, {"a": "12:00:00"}, {"a": NOON}),
        (Annotated[list[datetime], msgspec.Meta(min_length=1)], [NOON], ["noon"]),
        (Annotated[time, msgspec.Meta(tz=False)], "12:00:00", "later"),
    ],
    ids=str,
)
def test_a_process_without_the_type_refuses_what_the_body_would(type_: Any, good: Any, bad: Any) -> None:
    schemas.check(good, type_)
    assert not refuses(type_, good)
    with pytest.raises(ValidationError):
        schemas.check(bad, type_)
    assert refuses(type_, bad)


@pytest.mark.parametrize(
    "type_",
    [int, str | None, Any, list, tuple, dict, tuple[()], Literal["a"], Color, Annotated[int, msgspec.Meta(gt=1)]],
)
def test_what_needs_no_format_is_described_as_msgspec_does(type_: Any) -> None:
    assert schemas.describe_schema(type_) == msgspec.json.schema(type_)


def test_what_json_schema_has_no_word_for_is_not_described() -> None:
    assert schemas.describe_schema(complex) is None
    assert schemas.describe_schema(list[object]) is None
    assert schemas.describe_schema(None) is None
