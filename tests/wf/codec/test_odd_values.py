"""Law 1 of the codec: a value comes back equal and of the same type, or is refused when written."""

from __future__ import annotations

import asyncio
import dataclasses
import functools
import io
import ipaddress
import itertools
import re
import sys
import threading
import types
import weakref
from collections import ChainMap, Counter, OrderedDict, UserDict, defaultdict, deque, namedtuple
from datetime import UTC, date, datetime, time, timedelta, timezone, tzinfo
from decimal import Decimal, localcontext
from enum import Enum, Flag, IntEnum, IntFlag, StrEnum
from fractions import Fraction
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any, Generic, NamedTuple, TypeVar
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pydantic
import pytest

from wf.codec import decode, decode_arguments, encode, encode_arguments
from wf.errors import SerializationError

T = TypeVar("T")


class Color(Enum):
    RED = "r"
    CRIMSON = "r"  # noqa: PIE796  (an alias)
    PAIR = (1, 2)
    OPAQUE = object()


class Level(IntEnum):
    LOW = 1
    HIGH = 2


class Word(StrEnum):
    A = "a"
    B = "b"


class Rights(Flag):
    READ = 1
    WRITE = 2
    RUN = 4


class Bits(IntFlag):
    ONE = 1
    TWO = 2


class Pair(NamedTuple):
    left: Any
    right: Any = None


Old = namedtuple("Old", "x y")


@dataclasses.dataclass
class Point:
    x: Any
    y: Any = 0


@dataclasses.dataclass(frozen=True, slots=True)
class Frozen:
    x: Any
    tags: tuple[str, ...] = ()


@dataclasses.dataclass(kw_only=True)
class Derived(Point):
    total: int = dataclasses.field(init=False, default=7)
    hidden: list[int] = dataclasses.field(default_factory=list, repr=False, compare=False)


@dataclasses.dataclass
class Box(Generic[T]):
    item: T


class Row(msgspec.Struct):
    a: Any
    b: Any = 1


class Tagged(msgspec.Struct, frozen=True, kw_only=True, tag="t", array_like=True, rename="camel"):
    long_name: Any
    other: Any = msgspec.UNSET


class Model(pydantic.BaseModel):
    a: Any
    b: Any = 2


class Open(pydantic.BaseModel, extra="allow"):
    a: int = 1


class Root(pydantic.RootModel[list[int]]):
    pass


class Page(pydantic.BaseModel, Generic[T]):
    items: list[T]


class Typed(pydantic.BaseModel):
    url: pydantic.HttpUrl
    dsn: pydantic.PostgresDsn
    secret: pydantic.SecretStr
    at: datetime
    amount: Decimal


def same(a: Any, b: Any) -> bool:
    """Equal, of the same type, part by part; NaN is the same as NaN and 0.0 is not -0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (Flag, Enum)):
        return bool(a == b)
    if isinstance(a, float):
        return a.hex() == b.hex()
    if isinstance(a, complex):
        return same(a.real, b.real) and same(a.imag, b.imag)
    if isinstance(a, Decimal):
        return str(a) == str(b) and a.as_tuple() == b.as_tuple()
    if isinstance(a, (list, tuple, deque)):
        limits = [getattr(value, "maxlen", None) for value in (a, b)]
        return len(a) == len(b) and limits[0] == limits[1] and all(map(same, a, b))
    if isinstance(a, dict):
        factories = [getattr(value, "default_factory", None) for value in (a, b)]
        return factories[0] is factories[1] and same([*a], [*b]) and same([*a.values()], [*b.values()])
    if isinstance(a, (set, frozenset)):
        return len(a) == len(b) and all(any(same(x, y) for y in b) for x in a)
    if isinstance(a, (datetime, time)):
        return a.isoformat() == b.isoformat() and a.fold == b.fold and same(a.tzinfo, b.tzinfo)
    if isinstance(a, timezone):
        return str(a) == str(b) and a == b
    if dataclasses.is_dataclass(a):
        names = [{f.name: None for f in dataclasses.fields(a)} | getattr(value, "__dict__", {}) for value in (a, b)]
        names[0].pop("__orig_class__", None)
        return names[0].keys() == names[1].keys() and all(same(getattr(a, n), getattr(b, n)) for n in names[0])
    if isinstance(a, pydantic.BaseModel):
        return (
            same(a.__dict__, b.__dict__)
            and same(a.__pydantic_extra__, b.__pydantic_extra__)
            and same(a.__pydantic_private__, b.__pydantic_private__)
            and a.__pydantic_fields_set__ == b.__pydantic_fields_set__
        )
    if isinstance(a, msgspec.Struct):
        return all(same(getattr(a, f), getattr(b, f)) for f in a.__struct_fields__)
    return bool(a == b)


def nested(depth: int, wrap: Any, seed: Any = 0) -> Any:
    for _ in range(depth):
        seed = wrap(seed)
    return seed


BERLIN = ZoneInfo("Europe/Berlin")
NAIVE = datetime(2024, 10, 27, 2, 30, 0, 123456)  # noqa: DTZ001

INTS: list[Any] = [
    0, 1, -1, 127, 128, 2**31, -(2**31), 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, 2**63, -(2**63),
    -(2**63) - 1,
    2**64 - 1, 2**64, 2**70, -(2**70), 10**19, 10**100, -(10**100), 10**5000, True, False, None,
]  # fmt: skip
FLOATS: list[Any] = [
    0.0, -0.0, 1.0, -1.0, 0.1, 1 / 3, 1e16, 1e22, 1e23, 123456789012345680.0, 5e-324, -5e-324,
    2.2250738585072014e-308,
    1.7976931348623157e308, float("nan"), float("inf"), float("-inf"), 2.0**53, 1e-7, 1e21, 100.0,
]  # fmt: skip
STRINGS: list[Any] = [
    "", "a", "é", "e\u0301", "日本語", "שלום", "‮abc", "👩‍👩‍👧‍👦", "\0", "a\0b", "\n\r\t\b\f", "\x7f",
    "\x1b[31m", "\u2028\u2029", "\ufeff",
    "\ufffe", "\uffff", "\U0010ffff", "\ud800", "\udfff", "a\ud83db", "\ud83d\ude00", "\udc80", "$", "$str",
    '"$', '{"$set":[]}',
    "</script>", "'; drop table runs; --", "\\", '"', "\\u0000", "null", "NaN", "x" * 5000, " ", "\xa0", "%s%n",
    "{}", "0",
    "\ud800" * 3, "ß", "İ", "ﬀ", "\u0000\ud800", "\U000e0001",
]  # fmt: skip
BYTES: list[Any] = [
    b"", b"\0", b"a", b"ab", b"abc", bytes(range(256)), b"\xff" * 100, bytearray(b""), bytearray(b"\0\xff"),
    b'"$', b"\n",
]  # fmt: skip
CONTAINERS: list[Any] = [
    [], [[]], [None], [1, "a", 1.5, True], [[1], [2, [3]]], [()], [{}], list(range(100)), [0.5] * 50,
    ["a"] * 50,
    [1, 2**64] * 20, [1.5, float("nan")] * 20, ["\ud800"] * 20, [-0.0] * 20, [True, None] * 20,
    (), (1,), (1, (2, (3,))), ([],), ("a", b"b", None), tuple(range(50)),
    {}, {"a": 1}, {"": 0}, {"a": {"b": {"c": []}}}, {"b": 1, "a": 2}, {"\0": 1}, {"é": 1}, {"\ud800": 1},
    {"a": "\ud800"},
    {1: 2}, {1: 1, "1": 2}, {None: 0}, {True: 1}, {1.5: 1}, {(1, 2): 3}, {(): {}}, {b"x": 1},
    {frozenset({1}): 2},
    {Color.RED: 1}, {Word.A: 1}, {Level.LOW: 1}, {date(2024, 1, 1): 1}, {UUID(int=1): 1}, {Decimal("1.0"): 1},
    {float("inf"): 1},
    {"$set": [1]}, {"$": 1}, {"$x": 1}, {"$dict": [[1, 2]]}, {"$set": 1, "b": 2}, {"a": {"$tuple": [1]}},
    {"$$": {"$int": 1}},
    {"$exception": {"type": "builtins:ValueError", "message": "x"}}, [{"$bytes": "!"}], {"$unknown": None},
    set(), {1}, {1, "a", None, 2.5}, {(1, 2), (3,)}, {frozenset()}, set(range(100)), {"\ud800"}, {b"a", "a"},
    frozenset(), frozenset({1, 2}), frozenset({frozenset({1})}), [{1}, {2}], ({1: {2}},),
    deque(), deque([1, 2]), deque([1], maxlen=3), deque([[1], (2,)], maxlen=2),
    OrderedDict(), OrderedDict([("b", 1), ("a", 2)]), OrderedDict({1: 2}), OrderedDict({"$a": 1}),
    Counter(), Counter("aabbb"), Counter({("a", 1): -2}), Counter({"a": 1.5}),
    defaultdict(list), defaultdict(list, {"a": [1]}), defaultdict(int, a=1), defaultdict(None, {1: 2}),
    defaultdict(set, {1: {2}}),
    range(0), range(5), range(10, 0, -3), range(0, 2**70, 2**65),
    nested(100, lambda x: [x]), nested(99, lambda x: {"a": x}), nested(100, lambda x: (x,)),
    nested(100, lambda x: frozenset([x])),
    nested(99, lambda x: {1: x}, []), nested(100, lambda x: Point(x)), nested(50, lambda x: {"k": [x]}),
    *[[list(p)] for p in itertools.permutations([None, 2**63, "\ud800"])],
]  # fmt: skip
NUMBERS: list[Any] = [
    0j, 1 + 2j, complex(-0.0, float("nan")), complex(float("inf"), -0.0), Fraction(1, 3), Fraction(-(2**80), 3),
    Fraction(0),
    Decimal(0), Decimal("-0"), Decimal("0.00"), Decimal("1.10"), Decimal("1E+5"), Decimal("1E-400"),
    Decimal("-1.5e999"),
    Decimal("NaN"), Decimal("sNaN"), Decimal("-NaN"), Decimal("sNaN123"), Decimal("Infinity"),
    Decimal("-Infinity"),
    Decimal("1" * 60), Decimal("0E-10"), Decimal((1, (0,), 3)),
]  # fmt: skip
TIMES: list[Any] = [
    NAIVE.replace(tzinfo=timezone(timedelta(microseconds=1))),
    time(1, tzinfo=timezone(timedelta(microseconds=-1))),
    NAIVE.replace(tzinfo=timezone(timedelta(seconds=1, microseconds=5), "odd")),
    timezone(timedelta(microseconds=1)),
    NAIVE, datetime.min, datetime.max, NAIVE.replace(microsecond=0), NAIVE.replace(microsecond=1),
    NAIVE.replace(fold=1),
    NAIVE.replace(tzinfo=UTC), NAIVE.replace(tzinfo=UTC, fold=1),
    NAIVE.replace(tzinfo=timezone(timedelta(hours=5, minutes=45))),
    NAIVE.replace(tzinfo=timezone(timedelta(hours=-3, minutes=-30))),
    NAIVE.replace(tzinfo=timezone(timedelta(hours=1), "CET")),
    NAIVE.replace(tzinfo=timezone(timedelta(0), "Z")), NAIVE.replace(tzinfo=timezone(timedelta(0))),
    NAIVE.replace(tzinfo=timezone(timedelta(hours=1, seconds=7, microseconds=3))),
    NAIVE.replace(tzinfo=timezone(timedelta(hours=1), "")),
    NAIVE.replace(tzinfo=timezone(-timedelta(hours=23, minutes=59))), datetime.max.replace(tzinfo=UTC),
    datetime.min.replace(tzinfo=UTC),
    NAIVE.replace(tzinfo=BERLIN), NAIVE.replace(tzinfo=BERLIN, fold=1),
    datetime(2024, 3, 31, 2, 30, tzinfo=BERLIN),
    NAIVE.replace(tzinfo=ZoneInfo("UTC")), NAIVE.replace(tzinfo=ZoneInfo("Australia/Lord_Howe")),
    NAIVE.replace(tzinfo=ZoneInfo("Etc/GMT+5")),
    NAIVE.replace(tzinfo=ZoneInfo("America/Argentina/Buenos_Aires")),
    NAIVE.replace(tzinfo=ZoneInfo("Asia/Kathmandu")),
    date.min, date.max, date(2024, 2, 29), time(), time.max, time(1, 2, 3, 4), time(1, fold=1),
    time(1, tzinfo=UTC),
    time(1, tzinfo=BERLIN), time(1, tzinfo=timezone(timedelta(hours=1), "X")),
    time(23, 59, 59, 999999, tzinfo=timezone(timedelta(hours=-1))),
    timedelta(), timedelta(microseconds=1), timedelta(days=-1, seconds=5), timedelta.max, timedelta.min,
    timedelta(weeks=3, hours=5),
    UTC, timezone(timedelta(hours=2)), timezone(timedelta(hours=2), "CEST"),
    timezone(timedelta(hours=2), "\ud800"), BERLIN, [BERLIN],
]  # fmt: skip
NAMES: list[Any] = [
    UUID(int=0), UUID(int=2**128 - 1), UUID("12345678-1234-5678-1234-567812345678"), Path(), Path("/"),
    Path("a/b.txt"), Path(".."),
    Path("a b/ü\n"), Path("\udcff"), Path("/" + "x" * 1000), PurePosixPath("a/../b"),
    PureWindowsPath("C:\\a\\b"), PureWindowsPath("//srv/share"),
    ipaddress.ip_address("127.0.0.1"), ipaddress.ip_address("::1"), ipaddress.ip_address("fe80::1%eth0"),
    ipaddress.ip_network("10.0.0.0/8"),
    ipaddress.ip_interface("10.0.0.1/8"), ipaddress.ip_network("2001:db8::/32"), msgspec.UNSET,
]  # fmt: skip
ENUMS: list[Any] = [
    Color.RED, Color.CRIMSON, Color.PAIR, Color.OPAQUE, Level.LOW, Word.A, Rights.READ,
    Rights.READ | Rights.RUN, Rights(0), ~Rights.READ,
    Bits.ONE, Bits.ONE | Bits.TWO, Bits(0), Bits(64), {Level.HIGH: Word.B}, [Color.RED] * 20,
    {Color.RED, Color.PAIR},
]  # fmt: skip
CLASSES: list[Any] = [
    Pair(1), Pair(1, (2,)), Pair(Pair(1), [Pair(2)]), Old(1, None), Point(1),
    Point([Point({1: Point(None)})], ()), Frozen(1, ("a",)), Frozen(Frozen(2)),
    Derived(x=1), Derived(x=Point(2), hidden=[1]), Box(1), Box[int](1), Box([Box("a")]), {Frozen(1): Frozen(2)},
    {Frozen(1), Frozen("a")},
    Row(1), Row([Row(2)], {3: 4}), Tagged(long_name=1), Tagged(long_name=(1,), other=None),
    [Row(i) for i in range(20)],
    Model(a=1), Model(a=[Model(a=2, b=3)], b={1: 2}), Model.model_construct(b=1),
    Open.model_validate({"a": 2, "z": [1], "$set": (1,)}), Open(), Root([1, 2]),
    Page[int](items=[1]), Page[Point](items=[Point(1)]), Page(items=["x"]),
    Typed(url="https://a.b/c?d=e#f", dsn="postgresql://u:p@h1:1,h2:2/db", secret="s3cret", at=NAIVE, amount="1.50"),  # type: ignore[arg-type]
    pydantic.SecretStr("x"), pydantic.SecretBytes(b"x"), pydantic.AnyUrl("ftp://a/b"),
]  # fmt: skip

VALUES = INTS + FLOATS + STRINGS + BYTES + CONTAINERS + NUMBERS + TIMES + NAMES + ENUMS + CLASSES


def test_the_list_is_long_enough() -> None:
    assert len(VALUES) >= 300


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_equal_and_of_its_type(value: Any) -> None:
    data = encode(value)
    again = decode(data)
    assert same(value, again)
    assert encode(again) == data
    assert encode(value) == data


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_from_within_others(value: Any) -> None:
    whole = {"a": 0, "list": [value, 1], "tuple": (value,), "odd": {1: value}, "dc": Point(value)}
    try:
        data = encode(whole)
    except SerializationError as refused:
        assert refused.reason == "is nested deeper than 100"
        return
    assert same(whole, decode(data))


@pytest.mark.parametrize("value", VALUES, ids=lambda value: f"{type(value).__name__}")
def test_a_value_comes_back_as_an_argument(value: Any) -> None:
    try:
        data = encode_arguments({"first": value, "second": 1})
    except SerializationError as refused:
        assert refused.reason == "is nested deeper than 100"
        return
    assert same({"first": value, "second": 1}, decode_arguments(data))


async def coroutine() -> None: ...


async def async_generator() -> Any:
    yield 1


class Plain:
    pass


class Words(str):
    __slots__ = ()


class Number(int):
    pass


class Real(float):
    pass


class Names(dict[str, int]):
    pass


class Items(list[int]):
    pass


class Triple(tuple[int, ...]):
    __slots__ = ()


class MyDate(date):
    pass


class MyZone(tzinfo):
    def utcoffset(self, at: datetime | None) -> timedelta:
        return timedelta()

    def dst(self, at: datetime | None) -> timedelta:
        return timedelta()

    def tzname(self, at: datetime | None) -> str:
        return "mine"


@dataclasses.dataclass
class DictAndFields(dict[str, int]):
    x: int = 0


class Wide(Pair):
    pass


def wide() -> Wide:
    value = Wide(1, 2)
    value.extra = 3  # type: ignore[attr-defined]
    return value


REFUSED: list[tuple[Any, str]] = [
    (lambda: 0, "function"), (print, "builtin_function_or_method"), ([].append, "builtin_function_or_method"),
    (Plain().__repr__, "method-wrapper"),
    (Plain(), "Plain"), (object(), "object"), (Plain, "type"), (int, "type"), (list[int], "GenericAlias"),
    (sys, "module"), (iter([]), "list_iterator"),
    ((x for x in "a"), "generator"), (async_generator(), "async_generator"), (threading.Lock(), "lock"),
    (threading.local(), "_local"),
    (asyncio.Lock(), "Lock"), (io.StringIO(), "StringIO"), (memoryview(b""), "memoryview"),
    (..., "ellipsis"), (NotImplemented, "NotImplementedType"),
    (slice(1), "slice"), (re.compile("a"), "Pattern"), (functools.partial(int), "partial"),
    (ChainMap(), "ChainMap"), (UserDict(), "UserDict"),
    (types.SimpleNamespace(), "SimpleNamespace"), (types.MappingProxyType({}), "mappingproxy"),
    ({}.keys(), "dict_keys"), ({}.items(), "dict_items"),
    (Words("a"), "Words"), (Number(1), "Number"), (Real(1), "Real"), (Names(), "Names"), (Items(), "Items"),
    (Triple(), "Triple"),
    (MyDate(2024, 1, 1), "MyDate"), (map(str, []), "map"), (zip(), "zip"), (enumerate([]), "enumerate"),
    (property(), "property"),
    (weakref.WeakSet(), "WeakSet"), (itertools.count(), "count"), (DictAndFields(), "DictAndFields"),
    (sys.float_info, "float_info"),
    (msgspec.Raw(b"1"), "Raw"), (msgspec.json, "module"), (super(Plain, Plain()), "super"),
    (sys._getframe(), "frame"), (MyZone(), "MyZone"),
]  # fmt: skip


@pytest.mark.parametrize(
    ("value", "kind"), REFUSED, ids=[f"{kind}-{number}" for number, (_, kind) in enumerate(REFUSED)]
)
def test_what_cannot_be_carried_is_refused_by_its_kind(value: Any, kind: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode([value])
    assert str(caught.value) == f"value[0]: {kind} cannot be carried"


def test_a_coroutine_is_refused() -> None:
    value = coroutine()
    with pytest.raises(SerializationError, match=r"^value: coroutine cannot be carried$"):
        encode(value)
    value.close()


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (defaultdict(lambda: 1), "value: defaultdict with the factory <function"),
        (defaultdict(Plain), "value: defaultdict with the factory <class"),
        (NAIVE.replace(tzinfo=MyZone()), "value: MyZone cannot be carried as a zone"),
        (wide(), "value: Wide with more than its fields cannot be carried"),
    ],
)
def test_what_cannot_be_carried_is_refused_with_its_reason(value: Any, text: str) -> None:
    with pytest.raises(SerializationError) as caught:
        encode(value)
    assert str(caught.value).startswith(text)


def test_a_zone_without_a_key_is_refused() -> None:
    import importlib.resources
    import zoneinfo

    for place in zoneinfo.TZPATH:
        if (file := Path(place) / "Europe/Berlin").exists():
            break
    else:
        file = Path(str(importlib.resources.files("tzdata") / "zoneinfo/Europe/Berlin"))
    with file.open("rb") as content:
        zone = ZoneInfo.from_file(content)
    with pytest.raises(SerializationError, match=r"^value: ZoneInfo without a key cannot be carried$"):
        encode(NAIVE.replace(tzinfo=zone))


def test_the_context_of_decimals_does_not_show() -> None:
    expected = encode(Decimal("1E+5"))
    with localcontext() as context:
        context.capitals = 0
        assert encode(Decimal("1E+5")) == expected
    with localcontext() as context:
        context.prec = 3
        assert decode(encode(Decimal("1.23456789"))) == Decimal("1.23456789")
