"""The wire form, value by value: what these tests pin is in every log that was ever written."""

from __future__ import annotations

import dataclasses
import os
import re
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, Flag
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from wf import codec
from wf.codec import decode, decode_arguments, encode, encode_arguments, register_tag, serializable
from wf.codec.walk import LIFT, LOWER

ME = __name__


class Color(Enum):
    RED = "r"


class Rights(Flag):
    READ = 1
    WRITE = 2


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


def point_with_note() -> Point:
    point = Point(1)
    point.note = ()  # type: ignore[attr-defined]
    return point


class Row(msgspec.Struct):
    a: int


class Model(pydantic.BaseModel, extra="allow"):
    a: int = 1
    _p: Any = pydantic.PrivateAttr(default=None)


class Plain(pydantic.BaseModel):
    a: int = 1


@serializable
class Money:
    def __init__(self, cents: int) -> None:
        self.cents = cents

    def _workflow_serialize(self) -> Any:
        return (self.cents,)

    @classmethod
    def _workflow_deserialize(cls, data: Any) -> Money:
        return cls(*data)


@serializable(class_id="money/2")
class OtherMoney(Money):
    pass


CASES: list[tuple[Any, str]] = [
    (None, "null"),
    (True, "true"),
    (-12, "-12"),
    (2**63 - 1, "9223372036854775807"),
    (-(2**63), "-9223372036854775808"),
    (2**63, '{"$int":"0x8000000000000000"}'),
    (-(2**63) - 1, '{"$int":"-0x8000000000000001"}'),
    (1.5, "1.5"),
    (1.0, "1.0"),
    (-0.0, "-0.0"),
    (1e22, "1e22"),
    (float("nan"), '{"$float":"nan"}'),
    (float("-inf"), '{"$float":"-inf"}'),
    ('é\0\n"\\/\u2028', '"é\\u0000\\n\\"\\\\/\u2028"'),
    ("\x1f\x7f\b\f\r\t", '"\\u001f\x7f\\b\\f\\r\\t"'),
    ("$set", '"$set"'),
    ("a\ud800", '{"$str":"Ye2ggA=="}'),
    (b"\0\xff", '{"$bytes":"AP8="}'),
    (bytearray(b"a"), '{"$bytearray":"YQ=="}'),
    ([1, [2.0, "x"]], '[1,[2.0,"x"]]'),
    ({"b": 1, "a": [None]}, '{"b":1,"a":[null]}'),
    ({1: 2, "a": b""}, '{"$dict":[[1,2],["a",{"$bytes":""}]]}'),
    ({"$a": 1}, '{"$dict":[["$a",1]]}'),
    ({"$a": 1, "b": 2}, '{"$a":1,"b":2}'),
    ({"\ud800": 1}, '{"$dict":[[{"$str":"7aCA"},1]]}'),
    ((), '{"$tuple":[]}'),
    ((1, (2,)), '{"$tuple":[1,{"$tuple":[2]}]}'),
    ({"b", "a", 10, 9}, '{"$set":["a","b",10,9]}'),
    (frozenset({(1,)}), '{"$frozenset":[{"$tuple":[1]}]}'),
    (deque([1], maxlen=2), '{"$deque":[[1],2]}'),
    (OrderedDict(b=1, a=2), '{"$ordereddict":[["b",1],["a",2]]}'),
    (Counter("aab"), '{"$counter":[["a",2],["b",1]]}'),
    (defaultdict(list, {"a": []}), '{"$defaultdict":["list",[["a",[]]]]}'),
    (defaultdict(None), '{"$defaultdict":[null,[]]}'),
    (range(1, 9, 2), '{"$range":[1,9,2]}'),
    (1 - 2j, '{"$complex":[1.0,-2.0]}'),
    (Fraction(-1, 3), '{"$fraction":[-1,3]}'),
    (Decimal("1.10"), '{"$decimal":"1.10"}'),
    (Decimal("1E+5"), '{"$decimal":"1E+5"}'),
    (UUID(int=1), '{"$uuid":"00000000-0000-0000-0000-000000000001"}'),
    (datetime(2024, 1, 2, 3, 4, 5), '{"$datetime":"2024-01-02T03:04:05"}'),  # noqa: DTZ001
    (datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC), '{"$datetime":"2024-01-02T03:04:05.000006+00:00"}'),
    (datetime(2024, 1, 2, fold=1), '{"$datetime":["2024-01-02T00:00:00",null,1]}'),  # noqa: DTZ001
    (
        datetime(2024, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")),
        '{"$datetime":["2024-01-02T00:00:00","Europe/Berlin",0]}',
    ),
    (
        datetime(2024, 1, 2, tzinfo=timezone(timedelta(hours=-1), "X")),
        '{"$datetime":["2024-01-02T00:00:00",["-01:00","X"],0]}',
    ),
    (time(1, 2, tzinfo=timezone(timedelta(hours=2))), '{"$time":"01:02:00+02:00"}'),
    (time(1, 2, fold=1), '{"$time":["01:02:00",null,1]}'),
    (date(2024, 1, 2), '{"$date":"2024-01-02"}'),
    (timedelta(days=-1, seconds=2, microseconds=3), '{"$timedelta":[-1,2,3]}'),
    (timezone(timedelta(hours=2)), '{"$timezone":"+02:00"}'),
    (Path("/a/b"), '{"$path":"/a/b"}'),
    (PurePosixPath("a"), '{"$pureposixpath":"a"}'),
    (PureWindowsPath("C:/a"), '{"$purewindowspath":"C:\\\\a"}'),
    (msgspec.UNSET, '{"$unset":true}'),
    (Color.RED, f'{{"$enum":["{ME}:Color","RED"]}}'),
    (Rights.READ | Rights.WRITE, f'{{"$enum":["{ME}:Rights",3]}}'),
    (Pair(1, "a"), f'{{"$namedtuple":["{ME}:Pair",[1,"a"]]}}'),
    (Point((1,)), f'{{"$dataclass":["{ME}:Point",{{"x":{{"$tuple":[1]}},"y":0}}]}}'),
    (point_with_note(), f'{{"$dataclass":["{ME}:Point",{{"x":1,"y":0}},{{"note":{{"$tuple":[]}}}}]}}'),
    (Row(1), f'{{"$struct":["{ME}:Row",{{"a":1}}]}}'),
    (Plain(a=2), f'{{"$pydantic":["{ME}:Plain",{{"a":2}}]}}'),
    (Plain(), f'{{"$pydantic":["{ME}:Plain",{{"a":1}},{{"set":[]}}]}}'),
    (
        Model.model_validate({"z": 1}),
        f'{{"$pydantic":["{ME}:Model",{{"a":1}},{{"set":["z"],"extra":{{"z":1}},"private":{{"_p":null}}}}]}}',
    ),
    (pydantic.SecretStr("x"), '{"$secret":["pydantic.types:SecretStr","x"]}'),
    (pydantic.AnyUrl("http://a.b/"), '{"$url":["pydantic.networks:AnyUrl","http://a.b/"]}'),
    (Money(5), f'{{"$object":["{ME}:Money",{{"$tuple":[5]}}]}}'),
    (OtherMoney(5), '{"$object":["money/2",{"$tuple":[5]}]}'),
    (ValueError("a", 1), '{"$exception":{"type":"builtins:ValueError","message":"(\'a\', 1)","args":["a",1]}}'),
]


@pytest.mark.parametrize(("value", "text"), CASES, ids=[text[:40] for _, text in CASES])
def test_a_value_has_exactly_this_form(value: Any, text: str) -> None:
    assert encode(value).decode() == text
    again = decode(text.encode())
    assert type(again) is type(value)
    assert encode(again).decode() == text


def test_every_tag_is_in_the_table_and_is_pinned_above() -> None:
    table = set(re.findall(r"`(\$[a-z]+)`", (codec.__doc__ or "").split("Classes are named")[0]))
    tags = {tag for tag in LIFT if tag and "register_tag" not in LIFT[tag].__qualname__}
    assert table == tags
    pinned = set(re.findall(r'"(\$[a-z]+)"', " ".join(text for _, text in CASES)))
    assert tags - pinned == {"$ip"}


def test_arguments_are_an_object_by_name() -> None:
    assert encode_arguments({}) == b"{}"
    assert encode_arguments({"b": 1, "a": (1,)}) == b'{"b":1,"a":{"$tuple":[1]}}'
    assert encode_arguments({"$set": 1}) == b'{"$dict":[["$set",1]]}'
    assert decode_arguments(b'{"$dict":[["$set",1]]}') == {"$set": 1}
    assert encode_arguments({"a": 1, "b": [{"x": 2.0}]}) == encode({"a": 1, "b": [{"x": 2.0}]})


def test_sets_are_written_alike_whatever_their_order() -> None:
    code = "from wf.codec import encode; s = set('abcdefgh'); print(encode([s, {(1,): frozenset(s)}]), [*s])"
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(sys.path)},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in "123"
    }
    assert len(outputs) == 3, "the seeds give orders that differ"
    assert len({output.split(" [")[0] for output in outputs}) == 1


def test_the_order_of_a_dict_is_part_of_the_value() -> None:
    assert encode({"a": 1, "b": 2}) != encode({"b": 2, "a": 1})
    assert list(decode(encode({"b": 1, "a": 2}))) == ["b", "a"]


def test_a_tag_can_be_registered() -> None:
    class Run:
        def __init__(self, run_id: str) -> None:
            self.run_id = run_id

    register_tag("$testrun", Run, lambda run: run.run_id, Run)
    try:
        assert encode([Run("wrun_1")]) == b'[{"$testrun":"wrun_1"}]'
        (again,) = decode(b'[{"$testrun":"wrun_1"}]')
        assert type(again) is Run
        assert again.run_id == "wrun_1"
    finally:
        del LOWER[Run], LIFT["$testrun"]
