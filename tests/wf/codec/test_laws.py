"""The codec's laws, over values that nobody thought of."""

from __future__ import annotations

import dataclasses
import random
from collections import Counter, OrderedDict, deque
from datetime import timedelta, timezone
from enum import Enum
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec
import pydantic
from hypothesis import given
from hypothesis import strategies as st

from tests.wf.codec.test_odd_values import same
from wf.codec import decode, decode_arguments, encode, encode_arguments, pack, unpack
from wf.codec.walk import Lowering, dump
from wf.errors import SerializationError


class Color(Enum):
    RED = 1
    BLUE = "b"


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclasses.dataclass(frozen=True)
class Point:
    x: Any
    y: Any


class Row(msgspec.Struct, frozen=True):
    a: Any
    b: Any


class Model(pydantic.BaseModel, extra="allow"):
    a: Any = None


any_text = st.text(st.characters(codec=None, categories=None))
zones = (
    st.none()
    | st.just(ZoneInfo("Europe/Berlin"))
    | st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)))
    | st.builds(timezone, st.timedeltas(timedelta(hours=-23), timedelta(hours=23)), st.text(max_size=5))
)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats()
    | any_text
    | st.binary(max_size=20)
    | st.decimals()
    | st.fractions()
    | st.complex_numbers()
    | st.uuids()
    | st.dates()
    | st.times(timezones=zones)
    | st.datetimes(timezones=zones)
    | st.timedeltas()
    | st.ip_addresses()
    | st.sampled_from([*Color])
    | st.builds(lambda text: PurePosixPath(text.replace("\0", "")), any_text)
    | st.builds(lambda text: PureWindowsPath(text.replace("\0", "")), any_text)
    | st.builds(lambda text: Path(text.replace("\0", "")), any_text)
)


# The strategies are drawn through functions, since Hypothesis prints a strategy in full.
@st.composite
def scalar(draw: Any) -> Any:
    return draw(scalars)


@st.composite
def key(draw: Any) -> Any:
    return draw(keys)


@st.composite
def carried(draw: Any) -> Any:
    return draw(values)


keys = st.recursive(
    scalar().filter(lambda value: "nan" not in str(value).lower()),
    lambda inner: (
        st.tuples(inner, inner)
        | st.frozensets(inner, max_size=3)
        | st.builds(Point, inner, inner)
        | st.builds(Row, inner, inner)
    ),
    max_leaves=4,
)
values = st.recursive(
    scalar() | key(),
    lambda inner: (
        st.lists(inner, max_size=20)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(any_text, inner, max_size=4)
        | st.dictionaries(any_text.map("${}".format), inner, max_size=1)
        | st.dictionaries(key(), inner, max_size=4)
        | st.sets(key(), max_size=4)
        | st.lists(inner, max_size=3).map(deque)
        | st.dictionaries(key(), inner, max_size=3).map(OrderedDict)
        | st.dictionaries(key(), inner, max_size=3).map(Counter)
        | st.builds(Pair, inner, inner)
        | st.builds(Point, inner, inner)
        | st.builds(Row, inner, inner)
        | st.builds(lambda a, b: Model.model_validate({"a": a, "b": b}), inner, inner)
        | st.builds(lambda a: Model.model_construct(**{"$set": a}), inner)
    ),
    max_leaves=15,
)


@given(carried())
def test_a_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    data = encode(value)
    again = decode(data)
    assert same(value, again)
    assert encode(again) == data


@given(carried())
def test_packed_data_comes_back(value: Any) -> None:
    assert unpack(pack(encode(value))) == encode(value)


@given(st.dictionaries(st.text(min_size=1), carried(), max_size=4))
def test_arguments_come_back(arguments: dict[str, Any]) -> None:
    assert same(decode_arguments(encode_arguments(arguments)), arguments)


plain = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | any_text,
    lambda inner: st.lists(inner, max_size=30) | st.dictionaries(any_text, inner, max_size=5),
)


@given(plain)
def test_the_short_cuts_write_what_the_walk_writes(value: Any) -> None:
    slow = dump(Lowering(is_careful=True).lower(value, 0))
    assert encode(value) == slow
    if isinstance(value, dict):
        try:
            assert encode_arguments(value) == slow
        except SerializationError:
            assert any(name.encode(errors="replace") != name.encode("utf-8", "surrogatepass") for name in value)


@given(st.sets(key(), max_size=8), st.randoms())
def test_equal_sets_are_written_alike(members: set[Any], chance: random.Random) -> None:
    shuffled = list(members)
    chance.shuffle(shuffled)
    grown = {object() for _ in range(100)}  # a set that was large before has other places
    other: set[Any] = {*grown, *shuffled} - grown
    assert encode(other) == encode(members)
    assert encode(frozenset(other)) == encode(frozenset(members))


@given(carried())
def test_a_value_is_not_changed_by_writing_it(value: Any) -> None:
    before = encode(value)
    assert encode(value) == before
    assert same(decode(before), value)


kinds = st.sampled_from([ValueError, KeyError, OSError, RuntimeError])
exceptions = st.recursive(
    st.builds(lambda cls, args: cls(*args), kinds, st.lists(carried(), max_size=3)),
    lambda inner: (
        st.builds(lambda error, cause: _caused(error, cause), inner, inner)
        | st.builds(ExceptionGroup, any_text, st.lists(inner, min_size=1, max_size=3))
        | st.builds(lambda error, name, value: _with(error, name, value), inner, any_text, carried())
    ),
    max_leaves=4,
)


def _caused(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def _with(error: BaseException, name: str, value: Any) -> BaseException:
    vars(error)[name] = value
    error.add_note(name)
    return error


@given(exceptions)
def test_any_exception_can_be_written_and_read(error: BaseException) -> None:
    again = decode(encode(error))
    assert type(again) is type(error)
    if not isinstance(error, (ExceptionGroup, OSError)):
        assert same(again.args, error.args)
