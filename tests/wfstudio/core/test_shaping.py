"""Shaping: edited JSON gets back the types of the value that it was shown of."""

from __future__ import annotations

import enum
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf import codec
from wfstudio.core.shaping import Misfit, shape_like, shape_plain, unwrap_bytes
from wfstudio.core.values import show_value


class Color(enum.Enum):
    RED = 1
    BLUE = 2


@dataclass
class Line:
    name: str
    price: Decimal


@dataclass
class Order:
    id: UUID
    lines: list[Line]
    note: str | None = None


class Box(msgspec.Struct):
    content: bytes


class Login(pydantic.BaseModel):
    user: str
    password: pydantic.SecretStr


Pair = namedtuple("Pair", "left right")

ORDER = Order(UUID(int=1), [Line("tea", Decimal("1.50"))])


def edit(recorded: Any, change: Any, value: Any = None) -> Any:
    """Show a value, edit what is shown (`change` is a function of it, or the new value), and shape it again."""
    data = codec.encode(recorded)
    shown = msgspec.json.decode(msgspec.json.encode(show_value(data)))
    edited = change(shown) if callable(change) else change
    return codec.decode(shape_like(edited, data, "output").data)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
)

EVERYTHING = [
    None, True, 1, 1.5, "text", 1 << 70, float("inf"), "\udcff", b"\x00\xff", bytearray(b"a"), [1, [2]],
    {"a": {"b": 1}},
    {1: "one", "1": "text"}, {1: "one", 2: "two"}, {"$set": 1}, (1, (2,)), {3, 1, 2}, frozenset("ab"), deque([1], 5),
    OrderedDict(a=1), Counter("aab"), defaultdict(list, {"k": [1]}), range(3), 1 + 2j, Fraction(1, 3), Decimal("1.10"),
    UUID(int=5), datetime(2026, 1, 2, tzinfo=UTC), datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), time(1, 2),
    date(2026, 1, 2), timedelta(1, 2, 3), Path("a/b"), Color.RED, ORDER, Box(b"x"), Pair(1, 2),
    Login(user="ada", password=pydantic.SecretStr("secret")),
]  # fmt: skip


@pytest.mark.parametrize("value", EVERYTHING, ids=lambda value: f"{type(value).__name__} {value!r:.20}")
def test_what_was_not_edited_is_what_was_recorded(value: Any) -> None:
    data = codec.encode(value)
    shaped = shape_like(show_value(data), data, "output")
    assert shaped.data == data
    inside = codec.encode({"before": 1, "value": [value, value]})
    assert shape_like(show_value(inside), inside, "output").data == inside


@given(JSON)
def test_any_value_that_was_not_edited_is_what_was_recorded(value: Any) -> None:
    data = codec.encode(value)
    assert shape_like(show_value(data), data, "output").data == data


def test_an_edited_part_has_the_type_of_what_it_replaces() -> None:
    def reprice(shown: Any) -> Any:
        shown["lines"][0]["price"] = "2.00"
        return shown

    assert edit(ORDER, reprice) == Order(ORDER.id, [Line("tea", Decimal("2.00"))])
    assert edit(ORDER, lambda shown: {**shown, "note": "soon"}) == Order(ORDER.id, ORDER.lines, "soon")
    assert edit((1, 2), [3, 4, 5]) == (3, 4, 5)
    assert edit({1, 2}, [2, 3, 3]) == {2, 3}
    assert edit(date(2026, 1, 2), "2027-01-02") == date(2027, 1, 2)
    assert edit(datetime(2026, 1, 2, tzinfo=UTC), "2027-01-02T03:04:05Z") == datetime(2027, 1, 2, 3, 4, 5, tzinfo=UTC)
    assert edit(Color.RED, "Color.BLUE") is edit(Color.RED, "BLUE") is Color.BLUE
    assert edit(b"a", {"$bytes": "YmI="}) == edit(b"a", "YmI=") == b"bb"
    assert edit(1 << 70, 5) == 5
    assert edit(float("nan"), 1.5) == 1.5
    assert edit({1: "one"}, {"1": "eins"}) == {1: "eins"}
    assert edit({(1, 2): "a"}, [[[1, 2], "b"], [[3, 4], "c"]]) == {(1, 2): "b", (3, 4): "c"}
    assert edit(Counter("aab"), {"a": 5, "c": 1}) == Counter(a=5, c=1)
    assert edit(defaultdict(list, {"k": [1]}), {"k": [], "l": [2]})["l"] == [2]
    assert edit(Pair(1, "x"), [2, "y"]) == Pair(2, "y")
    assert edit(Path("a"), "b/c") == Path("b/c")
    assert edit(deque([1], 3), [1, 2]) == deque([1, 2], 3)
    assert edit(Decimal("1.5"), 2) == Decimal("2")


def test_a_further_item_is_like_the_last_one() -> None:
    def add(shown: Any) -> Any:
        shown["lines"].append({"name": "milk", "price": 1})
        return shown

    assert edit(ORDER, add).lines == [*ORDER.lines, Line("milk", Decimal(1))]


def test_a_secret_that_was_not_touched_stays_and_another_can_be_given() -> None:
    login = Login(user="ada", password=pydantic.SecretStr("secret"))
    renamed = edit(login, lambda shown: {**shown, "user": "bob"})
    assert (renamed.user, renamed.password.get_secret_value()) == ("bob", "secret")
    changed = edit(login, lambda shown: {**shown, "password": "other"})
    assert changed.password.get_secret_value() == "other"


@pytest.mark.parametrize(
    ("recorded", "value", "reason"),
    [
        (ORDER, {"id": str(ORDER.id), "lines": []}, "output.note: it is missing, and Order was recorded with it"),
        (ORDER, {"id": str(ORDER.id), "lines": [], "note": None, "x": 1}, "output.x: Order was recorded without it"),
        (ORDER, [1], "output: it was recorded as Order"),
        ([ORDER], [{"id": "1", "lines": [], "note": None}], "output[0].id: it is not written as the recorded one"),
        (Pair(1, 2), [1], "output: it was recorded as Pair with 2 members"),
        (timedelta(1), "P2D", "output: it was recorded as $timedelta"),
        ((1,), {"a": 1}, "output: it was recorded as a list"),
        (Decimal(1), "one", "output: it is no decimal number"),
        (Decimal(1), True, "output: it is no decimal number"),
        (Color.RED, 1, "output: it is no member of Color"),
        (b"a", "not base64!", "output: its bytes are no base64"),
        ({1: "a"}, {"2": "b"}, "output['2']: the type of a new key cannot be told"),
        ({(1, 2): "a"}, [[1]], "output[0]: it was recorded as a pair of key and value"),
        ({"a": [1]}, {"a": {"$large": 9}}, "output.a: it was too large to be shown; give the whole value"),
        (1, {"x": {"$bytes": 5}}, "output.x: its bytes are no base64"),
    ],
)
def test_what_has_no_recorded_type_is_named(recorded: Any, value: Any, reason: str) -> None:
    with pytest.raises(Misfit) as refused:
        edit(recorded, value)
    assert str(refused.value) == reason


def test_objects_and_lists_without_a_recorded_type_are_told() -> None:
    def news(recorded: Any, value: Any) -> bool:
        return shape_like(value, codec.encode(recorded), "output").has_new

    assert news(None, {"a": 1})
    assert news([], [1])
    assert news({"a": 1}, {"a": 1, "b": [2]})
    assert not news({"a": 1}, {"a": 2, "b": "text"})
    assert not news([ORDER.lines[0]], [])
    assert not news([1], [1, 2])


def test_plain_json_is_encoded_with_bytes_as_they_are_shown() -> None:
    assert codec.decode(shape_plain({"a": [{"$bytes": "YQ=="}], "n": 1 << 70}, "output")) == {"a": [b"a"], "n": 1 << 70}
    assert codec.decode(shape_plain({"$set": [1]}, "output")) == {"$set": [1]}, "no tag can be smuggled in"
    assert unwrap_bytes({"a": [{"$bytes": "YQ=="}], "b": {"c": 1}}) == {"a": ["YQ=="], "b": {"c": 1}}


def test_a_value_nested_too_deep_is_refused() -> None:
    value: Any = 1
    for _ in range(300):
        value = [value]
    with pytest.raises(Misfit, match="nested too deep"):
        shape_plain(value, "output")
