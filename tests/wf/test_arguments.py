"""Arguments from outside: JSON values become what the annotations say, and what does not fit is named."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pydantic
import pytest

from wf.arguments import give_types
from wf.errors import ValidationError


@dataclass
class Line:
    sku: str
    count: int = 1


class Order(pydantic.BaseModel):
    lines: list[Line]
    due: datetime


class Opaque: ...


async def plain(x, y=1): ...  # type: ignore[no-untyped-def]


async def rich(
    when: datetime, line: Line, order: Order, ids: list[UUID], price: Decimal | None = None, ratio: float = 1.0
) -> None: ...


async def many(*lines: Line, **waits: timedelta) -> None: ...


async def odd(what: Opaque, any: Any) -> None: ...


def test_values_become_their_types_at_any_depth() -> None:
    typed = give_types(
        rich,
        {
            "when": "2026-11-22T10:00:00Z",
            "line": {"sku": "a"},
            "order": {"lines": [{"sku": "b", "count": 2}], "due": "2026-11-22T10:00:00Z"},
            "ids": ["00000000-0000-0000-0000-000000000001"],
            "price": "1.50",
            "ratio": 2,
        },
    )
    assert typed["when"] == datetime.fromisoformat("2026-11-22T10:00:00+00:00")
    assert typed["line"] == Line("a")
    assert typed["order"].lines == [Line("b", 2)]
    assert typed["ids"] == [UUID(int=1)]
    assert typed["price"] == Decimal("1.50")
    assert (typed["ratio"], type(typed["ratio"])) == (2.0, float)


def test_what_is_typed_already_stays_so() -> None:
    again = give_types(rich, {"line": Line("a", 3), "ratio": 0.5})
    assert again == {"line": Line("a", 3), "ratio": 0.5}


def test_collected_arguments_are_given_their_types_one_by_one() -> None:
    typed = give_types(many, {"*lines": [{"sku": "a"}, {"sku": "b"}], "**waits": {"short": "PT1S"}})
    assert typed == {"*lines": [Line("a"), Line("b")], "**waits": {"short": timedelta(seconds=1)}}


def test_without_an_annotation_or_a_json_form_a_value_stays_as_it_came() -> None:
    assert give_types(plain, {"x": "2026-11-22", "y": {"a": 1}}) == {"x": "2026-11-22", "y": {"a": 1}}
    assert give_types(odd, {"what": {"a": 1}, "any": [1]}) == {"what": {"a": 1}, "any": [1]}


@pytest.mark.parametrize(
    ("recorded", "name"),
    [
        ({"when": "tomorrow"}, "when"),
        ({"line": {"count": 1}}, "line"),
        ({"order": {"lines": []}}, "order"),
        ({"ids": ["x"]}, "ids"),
    ],
)
def test_what_does_not_fit_is_named(recorded: dict[str, Any], name: str) -> None:
    with pytest.raises(ValidationError, match=f"the argument {name} does not fit"):
        give_types(rich, recorded)
    with pytest.raises(ValidationError, match=r"\*lines\[1\]"):
        give_types(many, {"*lines": [{"sku": "a"}, {"sku": 7}]})
