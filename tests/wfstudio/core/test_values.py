"""Recorded values as plain JSON: every tag, and whatever else bytes may say."""

from __future__ import annotations

import base64
import ipaddress
import subprocess
import sys
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntFlag
from fractions import Fraction
from pathlib import PurePosixPath
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr

import wf
from wf import codec
from wfstudio.core.values import MAX_DEPTH, show_arguments, show_value


@dataclass
class Order:
    id: int
    lines: tuple[str, ...] = ()


class Model(BaseModel):
    name: str
    password: SecretStr


class Point(msgspec.Struct):
    x: int


class Color(Enum):
    RED = 1


class Right(IntFlag):
    READ = 1
    WRITE = 2


Pair = namedtuple("Pair", "left right")

SHOWN: list[tuple[Any, Any]] = [
    (None, None),
    ([1, 2.5, "x", True], [1, 2.5, "x", True]),
    ({"a": {"b": []}}, {"a": {"b": []}}),
    (2**70, str(2**70)),
    (-(16**4000), "-0x1" + "0" * 4000),
    (float("nan"), "nan"),
    (float("-inf"), "-inf"),
    ("\ud800x", "?x"),
    (b"\x00\xff", {"$bytes": base64.b64encode(b"\x00\xff").decode()}),
    ((1, (2,)), [1, [2]]),
    ({3, 1}, [1, 3]),
    (frozenset({"a"}), ["a"]),
    (deque([1, 2], maxlen=3), [1, 2]),
    ({1: "a", None: "b"}, {"1": "a", "null": "b"}),
    ({1: "a", "1": "b"}, [[1, "a"], ["1", "b"]]),
    ({(1, 2): "a"}, [[[1, 2], "a"]]),
    ({"$set": 1}, {"$set": 1}),
    (OrderedDict(b=1), {"b": 1}),
    (Counter("aa"), {"a": 2}),
    (defaultdict(list, a=[1]), {"a": [1]}),
    (range(4), "range(0, 4)"),
    (range(0, 9, 2), "range(0, 9, 2)"),
    (1 - 2j, "(1.0-2.0j)"),
    (Fraction(1, 3), "1/3"),
    (Decimal("1.10"), "1.10"),
    (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
    (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC), "2026-01-02T03:04:05+00:00"),
    (datetime(2026, 1, 2, tzinfo=ZoneInfo("Europe/Berlin")), "2026-01-02T00:00:00[Europe/Berlin]"),
    (datetime(2026, 1, 2, tzinfo=timezone(timedelta(hours=1), "CET")), "2026-01-02T00:00:00+01:00"),
    (date(2026, 1, 2), "2026-01-02"),
    (time(1, 2, 3), "01:02:03"),
    (timedelta(days=1, seconds=2), "P1DT2S"),
    (timedelta(milliseconds=1500), "PT1.5S"),
    (timedelta(seconds=-1), "-PT1S"),
    (timedelta(0), "PT0S"),
    (timedelta(days=2), "P2D"),
    (PurePosixPath("/tmp/x"), "/tmp/x"),
    (ipaddress.ip_address("10.0.0.1"), "10.0.0.1"),
    (Color.RED, "Color.RED"),
    (Right.READ | Right.WRITE, "Right(3)"),
    (Order(1, ("a",)), {"id": 1, "lines": ["a"]}),
    (Point(1), {"x": 1}),
    (Pair(1, 2), [1, 2]),
    (Model(name="a", password="hunter2"), {"name": "a", "password": "**********"}),
    (wf.get_run("wrun_1"), "wrun_1"),
]


@pytest.mark.parametrize(("value", "shown"), SHOWN, ids=lambda value: type(value).__name__)
def test_every_value_has_a_plain_form(value: Any, shown: Any) -> None:
    assert show_value(codec.encode(value)) == shown


def test_a_secret_is_never_shown() -> None:
    data = codec.encode({"login": Model(name="a", password="hunter2"), "again": SecretStr("hunter2")})
    assert b"hunter2" in data
    assert "hunter2" not in str(show_value(data))


def test_an_exception_shows_type_message_and_its_chain() -> None:
    try:
        try:
            raise KeyError("k")
        except KeyError as cause:
            raise ValueError("no") from cause
    except ValueError as error:
        shown = show_value(codec.encode(error))
    assert (shown["type"], shown["message"], shown["args"]) == ("ValueError", "no", ["no"])
    assert shown["cause"]["type"] == "KeyError"
    assert "test_values.py" in shown["traceback"]


def test_an_unknown_tag_is_shown_as_it_is_written() -> None:
    assert show_value(b'{"$martian":["a:b",{"$tuple":[1]}]}') == {"$martian": ["a:b", [1]]}


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b'{"$int":"zz"}', b'{"$enum":3}', b'{"$exception":{}}', b'{"$dict":[[1]]}']
)
def test_bytes_that_no_encoder_wrote_are_shown_all_the_same(data: bytes) -> None:
    msgspec.json.encode(show_value(data))


def test_what_nests_too_deep_is_cut() -> None:
    data = b"[" * (MAX_DEPTH + 50) + b"]" * (MAX_DEPTH + 50)
    shown = show_value(data)
    for _ in range(MAX_DEPTH):
        (shown,) = shown
    assert shown == "…"
    assert show_value(b"[" * 100_000 + b"]" * 100_000) is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    )
)
def test_whatever_is_encoded_can_be_shown_as_json(value: Any) -> None:
    msgspec.json.encode(show_value(codec.encode(value)))


def test_arguments_are_shown_by_name() -> None:
    assert show_arguments(codec.encode_arguments({"a": (1,), "*rest": [2]})) == {"a": [1], "*rest": [2]}
    assert show_arguments(None) == {}


def test_what_is_too_large_to_be_shown_says_how_large_it_is() -> None:
    data = codec.encode("x" * 98)
    assert show_value(data, 100) == "x" * 98
    assert show_value(data, 99) == {"$large": 100}
    assert show_arguments(codec.encode_arguments({"a": "x" * 98}), 50) == {"$large": 106}


def test_showing_imports_and_executes_nothing() -> None:
    program = """
import sys
from wfstudio.core.values import show_value
known = set(sys.modules)
seen = []
sys.addaudithook(lambda event, args: seen.append(event) if event in ("import", "exec", "open", "compile") else None)
show_value(b'{"$dataclass":["antigravity:Thing",{"x":{"$enum":["this:Zen","A"]}}]}')
show_value(b'{"$exception":{"type":"turtle:Terminator","message":"m"}}')
assert set(sys.modules) == known, set(sys.modules) - known
assert seen == [], seen
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
