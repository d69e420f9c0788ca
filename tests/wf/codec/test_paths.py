"""Refusals name the part that cannot be carried, in Python's own notation."""

from __future__ import annotations

import dataclasses
from collections import Counter, OrderedDict, deque
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest

from wf.codec import encode, encode_arguments
from wf.errors import SerializationError


def bad() -> None: ...


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any = None


class Pair(NamedTuple):
    left: Any
    right: Any = None


class Row(msgspec.Struct):
    a: Any


class Model(pydantic.BaseModel):
    a: Any
    _secret: Any = pydantic.PrivateAttr(default=None)


class Open(pydantic.BaseModel, extra="allow"):
    pass


def model_with_private() -> Model:
    model = Model(a=1)
    model._secret = bad
    return model


@dataclasses.dataclass
class WithExtras:
    x: int = 0


def with_extras() -> WithExtras:
    value = WithExtras()
    value.client = bad  # type: ignore[attr-defined]
    return value


CASES: list[tuple[Any, str]] = [
    (bad, "value"),
    ([0, bad], "value[1]"),
    ([[[bad]]], "value[0][0][0]"),
    ((1, (bad,)), "value[1][0]"),
    ({"a": bad}, "value['a']"),
    ({"it's": bad}, 'value["it\'s"]'),
    ({"a": {"$b": [bad]}}, "value['a']['$b'][0]"),
    ({1: bad}, "value[1]"),
    ({(1, 2): [bad]}, "value[(1, 2)][0]"),
    ({Point(print): 1}, "value{Point(x=<built-in function print>, y=None)}.x"),
    ({Point(print)}, "value{Point(x=<built-in function print>, y=None)}.x"),
    (frozenset({Point(1, print)}), "value{Point(x=1, y=<built-in function print>)}.y"),
    (Point(Point([1, bad])), "value.x.x[1]"),
    (Pair(1, bad), "value.right"),
    (Row([bad]), "value.a[0]"),
    (Model(a={"b": bad}), "value.a['b']"),
    (model_with_private(), "value._secret"),
    (Open.model_validate({"z": bad}), "value.z"),
    (with_extras(), "value.client"),
    (deque([1, bad]), "value[1]"),
    (OrderedDict(a=bad), "value['a']"),
    (Counter({"a": bad}), "value['a']"),
]


@pytest.mark.parametrize(("value", "path"), CASES, ids=[path for _, path in CASES])
def test_a_refusal_names_the_path(value: Any, path: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode(value)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path}: ")


def test_the_root_of_the_path_is_the_callers() -> None:
    with pytest.raises(SerializationError) as caught:
        encode(Point([bad]), "result")
    assert str(caught.value) == "result.x[0]: function cannot be carried"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"handler": bad}, "handler: function cannot be carried"),
        ({"x": 1, "order": Point([0, 1, 2, Point(bad)])}, "order.x[3].x: function cannot be carried"),
        ({"options": {"a": bad}}, "options['a']: function cannot be carried"),
        ({"$odd name": [bad]}, "$odd name[0]: function cannot be carried"),
        ({"args": ("\ud800", bad)}, "args[1]: function cannot be carried"),
    ],
)
def test_paths_of_arguments_begin_with_the_parameter(arguments: dict[str, Any], text: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode_arguments(arguments)
    assert str(caught.value) == text


def test_a_value_that_contains_itself_is_refused() -> None:
    items: list[Any] = [1]
    items.append({"again": (items,)})
    with pytest.raises(SerializationError) as caught:
        encode(items)
    assert str(caught.value) == "value[1]['again'][0]: refers to itself"


def test_an_argument_that_contains_itself_is_refused() -> None:
    box: dict[str, Any] = {}
    box["self"] = box
    with pytest.raises(SerializationError) as caught:
        encode_arguments({"box": box})
    assert str(caught.value) == "box['self']: refers to itself"


def test_objects_that_contain_each_other_are_refused() -> None:
    @dataclasses.dataclass
    class Node:
        other: Any = None

    left, right = Node(), Node()
    left.other, right.other = [right], {"back": left}
    with pytest.raises(SerializationError) as caught:
        encode(left, "node")
    assert str(caught.value) == "node.other[0].other['back']: refers to itself"


def test_a_part_that_is_met_twice_is_not_a_cycle() -> None:
    part = [1]
    assert encode([part, part, {"a": part}]) == b'[[1],[1],{"a":[1]}]'


@pytest.mark.parametrize("depth", [101, 150, 2000, 10_000])
@pytest.mark.parametrize(
    "wrap", [lambda x: [x], lambda x: {"a": x}, lambda x: (x,), lambda x: Pair(x), lambda x: {1: x}]
)
def test_what_is_nested_too_deep_is_refused(depth: int, wrap: Any) -> None:
    value: Any = 0
    for _ in range(depth):
        value = wrap(value)
    with pytest.raises(SerializationError) as caught:
        encode(value)
    assert caught.value.reason == "is nested deeper than 100"
    assert len(caught.value.path) <= 300
    while isinstance(value, (list, dict, tuple)):  # by hand: to free it all at once overflows the stack of C
        value = next(iter(value.values())) if isinstance(value, dict) else value[0]


def test_a_stack_that_is_too_deep_already_is_an_ordinary_refusal() -> None:
    value: Any = 0
    for _ in range(95):
        value = (value,)

    def dig() -> None:
        try:
            dig()
        except RecursionError:
            raised.append(None)
        if len(raised) < 40:
            raised.append(None)
            try:
                encode(value)
            except SerializationError as refused:
                reasons.add(refused.reason)

    raised: list[None] = []
    reasons: set[str] = set()
    dig()
    assert reasons == {"the stack of calls is too deep to encode it here"}


def test_a_value_with_too_many_parts_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wf.codec.walk.MAX_PARTS", 10_000)
    value: Any = [1, 2]
    for _ in range(60):  # 2**60 members, and only 61 objects
        value = [value, value]
    with pytest.raises(SerializationError) as caught:
        encode(value)
    assert caught.value.reason == "has more than 10000 parts"


def test_what_the_users_code_raises_is_a_refusal() -> None:
    class Lazy:
        @property
        def name(self) -> str:
            raise LookupError("not loaded")

    Lazy.__qualname__ = "Lazy"
    cls = dataclasses.make_dataclass("Record", [("name", str)], bases=(), namespace={"name": Lazy.name})
    with pytest.raises(SerializationError) as caught:
        encode(object.__new__(cls), "record")
    assert str(caught.value) == "record: reading it raised LookupError"
    assert isinstance(caught.value.__cause__, LookupError)
