"""Rendering: any value has a bounded text and bounded parts, whatever its class would do to who asks it."""

from __future__ import annotations

import enum
import re
import subprocess
import sys
import textwrap
import threading
import time
from collections import Counter, OrderedDict, defaultdict, deque, namedtuple
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import Decimal
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, SecretBytes, SecretStr

from wf.run import Run
from wf.streams import Writable
from wfstudio.core.bench.rendering import (
    ALL_NODES,
    LONGEST_TEXT,
    MOST_ITEMS,
    MOST_NODES,
    Renderer,
    fingerprint,
)
from wfstudio.core.bench.views import ValueView


@dataclass
class Order:
    card: str
    lines: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Slotted:
    x: int
    y: int = 2


class Plain:
    def __init__(self, size: int) -> None:
        self.size = size


class Spoken:
    def __init__(self) -> None:
        self.inner = 1

    def __repr__(self) -> str:
        return "spoken for"


class Struct(msgspec.Struct):
    x: int


class Model(BaseModel):
    name: str
    password: SecretStr


class Colour(enum.Enum):
    RED = 1


class Level(enum.IntEnum):
    HIGH = 3


Point = namedtuple("Point", "x y")
LOOP: list[Any] = [1]
LOOP.append(LOOP)


def render(value: Any, **options: bool) -> ValueView:
    return Renderer(**options).render(value)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (None, "NoneType", "None"),
        (True, "bool", "True"),
        (3, "int", "3"),
        (1.5, "float", "1.5"),
        ("it's", "str", '"it\'s"'),
        (b"\x00a", "bytes", "b'\\x00a'"),
        (bytearray(b"a"), "bytearray", "bytearray(b'a')"),
        ([1, "a"], "list", "[1, 'a']"),
        ((1,), "tuple", "(1,)"),
        ((), "tuple", "()"),
        ({"a": [1]}, "dict", "{'a': [1]}"),
        ({3, 1, 2}, "set", "{1, 2, 3}"),
        (frozenset({1}), "frozenset", "frozenset({1})"),
        (deque([1]), "collections.deque", "deque([1])"),
        (range(3), "range", "range(0, 3)"),
        (OrderedDict(a=1), "collections.OrderedDict", "OrderedDict({'a': 1})"),
        (Counter("a"), "collections.Counter", "Counter({'a': 1})"),
        (defaultdict(list, a=[1]), "collections.defaultdict", "defaultdict({'a': [1]})"),
        (Decimal("1.50"), "decimal.Decimal", "Decimal('1.50')"),
        (timedelta(1), "datetime.timedelta", "datetime.timedelta(days=1)"),
        (
            datetime(2026, 1, 2, tzinfo=UTC),
            "datetime.datetime",
            "datetime.datetime(2026, 1, 2, 0, 0, tzinfo=datetime.timezone.utc)",
        ),
        (PurePosixPath("a/b"), "pathlib.PurePosixPath", "PurePosixPath('a/b')"),
        (Colour.RED, f"{__name__}.Colour", "Colour.RED"),
        (Level.HIGH, f"{__name__}.Level", "<Level.HIGH: 3>"),
        (Point(1, 2), f"{__name__}.Point", "Point(x=1, y=2)"),
        (Order("ada", [1]), f"{__name__}.Order", "Order(card='ada', lines=[1])"),
        (Slotted(1), f"{__name__}.Slotted", "Slotted(x=1, y=2)"),
        (Plain(3), f"{__name__}.Plain", "Plain(size=3)"),
        (Spoken(), f"{__name__}.Spoken", "spoken for"),
        (Struct(1), f"{__name__}.Struct", "Struct(x=1)"),
        (SimpleNamespace(a=1), "types.SimpleNamespace", "SimpleNamespace(a=1)"),
        (ValueError("no", 3), "ValueError", "ValueError('no', 3)"),
        (len, "builtin_function_or_method", "<function len>"),
        (render, "function", "<function render>"),
        (Plain, "type", "<class tests.wfstudio.core.bench.test_rendering.Plain>"),
        (re, "module", "<module re>"),
        (Run("wrun_1"), "wf.run.Run", "<run wrun_1>"),
        (Writable("wrun_1", "default"), "wf.streams.Writable", "<stream default of run wrun_1>"),
        (LOOP, "list", "[1, …]"),
    ],
    ids=lambda value: str(value)[:20] if isinstance(value, str) else None,
)
def test_a_value_is_shown_as_python_writes_it(value: Any, type_: str, text: str) -> None:
    view = render(value)
    assert (view.type.replace(__name__, "m"), view.text.replace(__name__, "m")) == (
        type_.replace(__name__, "m"),
        text.replace("tests.wfstudio.core.bench.test_rendering", "m").replace(__name__, "m"),
    )
    assert view.problem is None


def test_parts_are_given_by_key_index_and_name() -> None:
    view = render({"order": Order("ada", [7, 8])})
    [order] = view.items
    assert (order.key, order.value.type.rpartition(".")[2]) == ("'order'", "Order")
    assert [(part.key, part.value.text) for part in order.value.items] == [("card", "'ada'"), ("lines", "[7, 8]")]
    assert [(part.key, part.value.text) for part in order.value.items[1].value.items] == [("0", "7"), ("1", "8")]
    assert (view.size, order.value.size, order.value.items[1].value.size) == (1, None, 2)


# -- bounds -------------------------------------------------------------------------------------


def test_large_values_are_cut_and_say_so() -> None:
    for value in ("x" * 10_000, b"x" * 10_000, list(range(10_000)), {n: n for n in range(10_000)}, 10**5000):
        view = render(value)
        assert len(view.text) <= LONGEST_TEXT
        assert len(view.items) <= MOST_ITEMS
        assert view.is_cut
    assert render("x" * 10_000).size == 10_000
    assert render(10**5000).text == "<an int of 16610 bits>"


def count(view: ValueView) -> int:
    return 1 + sum(count(item.value) for item in view.items)


def test_no_value_has_more_parts_than_are_shown_of_one_and_no_moment_more_than_of_all() -> None:
    wide = [[[[1] * 40] * 40] * 40] * 40
    assert count(render(wide)) <= MOST_NODES + MOST_ITEMS
    renderer = Renderer()
    total = sum(count(renderer.render(wide)) for _ in range(200))
    assert total <= ALL_NODES + 200 * MOST_ITEMS
    assert renderer.render(wide).is_cut


def test_deep_values_are_cut_at_the_same_depth() -> None:
    deep: Any = 1
    for _ in range(100_000):
        deep = [deep]
    view = render(deep)
    assert (view.text, view.is_cut) == ("[[[[[…]]]]]", True)
    assert fingerprint(deep) == 0 or isinstance(fingerprint(deep), int)


# -- the user's classes -------------------------------------------------------------------------


class Hangs:
    def __repr__(self) -> str:
        while True:
            pass


class Raises:
    def __repr__(self) -> str:
        raise SystemExit(3)


class Nonsense:
    def __repr__(self) -> Any:
        return 3


class Recurses:
    def __repr__(self) -> str:
        return repr(self)


class Hostile(list):  # type: ignore[type-arg]
    """Everything that could be asked of it lies, or raises."""

    def __len__(self) -> int:
        raise ValueError

    def __iter__(self) -> Any:
        raise ValueError

    def __getitem__(self, index: Any) -> Any:
        raise ValueError

    def __getattribute__(self, name: str) -> Any:
        raise ValueError(name)

    def __eq__(self, other: object) -> bool:
        raise ValueError

    def __hash__(self) -> int:
        raise ValueError


def make_liar() -> Any:
    """Give an object whose class answers nothing; made here, since pytest asks what a module holds."""

    class LyingType(type):
        def __getattribute__(cls, name: str) -> Any:
            raise ValueError(name)

        def __instancecheck__(cls, other: Any) -> bool:
            raise ValueError

        def __hash__(cls) -> int:
            raise ValueError

    class Liar(metaclass=LyingType):
        def __getattr__(self, name: str) -> Any:
            raise ValueError(name)

    return object.__new__(Liar)


class BadZone(tzinfo):
    def utcoffset(self, at: Any) -> Any:
        raise ValueError

    tzname = dst = utcoffset

    def __repr__(self) -> str:
        raise ValueError


@pytest.mark.parametrize(
    ("value", "problem"),
    [
        (Hangs(), "its __repr__ takes longer than 0.1 s"),
        (Raises(), "its __repr__ raises SystemExit"),
        (Nonsense(), "its __repr__ gives no text"),
        (Recurses(), "its __repr__ raises RecursionError"),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, str) else None,
)
def test_a_repr_that_does_not_work_is_told_and_survived(value: Any, problem: str) -> None:
    view = render({"before": 1, "it": value, "after": 2})
    assert [item.key for item in view.items] == ["'before'", "'it'", "'after'"]
    inner = view.items[1].value
    assert (inner.problem, inner.text) == (problem, f"<{inner.type}>")


def test_a_class_that_lies_is_taken_apart_without_being_asked() -> None:
    for value in (Hostile([1, 2]), make_liar(), datetime(2026, 1, 2, tzinfo=BadZone())):
        assert render(value).problem is None
        assert fingerprint(value) == fingerprint(value)
    view = render(Hostile([1, 2]))
    assert (view.text, view.size) == ("Hostile([1, 2])", 2)
    assert render(make_liar()).text == "Liar()"


def test_many_reprs_that_hang_take_no_longer_together_than_all_may() -> None:
    began = time.perf_counter()
    view = render([Hangs() for _ in range(40)])
    assert time.perf_counter() - began < 3
    problems = {item.value.problem for item in view.items}
    assert "its __repr__ was not called: others took all the time" in problems


def test_plain_rendering_calls_nothing() -> None:
    for value in (Hangs(), Raises(), Spoken()):
        view = render(value, is_plain=True)
        assert (view.text, view.problem) == (f"<{view.type}>", "its __repr__ was not called")
    assert [item.key for item in render(Spoken(), is_plain=True).items] == ["inner"]


def test_secrets_are_stars_wherever_they_are() -> None:
    view = render({"model": Model(name="ada", password=SecretStr("hunter2")), "bare": SecretBytes(b"hunter2")})
    text = msgspec.json.encode(view).decode()
    assert "hunter2" not in text
    assert text.count("SecretStr('**********')") >= 1
    assert "SecretBytes('**********')" in text


# -- comparing ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (1, 1.0),
        (1, True),
        ([1], (1,)),
        ("1", 1),
        ({"a": 1}, {"a": 2}),
        (Order("a"), Order("b")),
        (Slotted(1), Slotted(2)),
    ],
)
def test_values_that_differ_have_other_fingerprints(one: Any, other: Any) -> None:
    assert fingerprint(one) != fingerprint(other)


def test_a_change_deeper_than_what_is_shown_is_noticed() -> None:
    deep = {"a": [[[[[[{"b": 1}]]]]]]}
    before = fingerprint(deep)
    assert fingerprint(deep) == before
    deep["a"][0][0][0][0][0][0]["b"] = 2
    assert fingerprint(deep) != before


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner)
        | st.dictionaries(st.text(), inner)
        | st.tuples(inner)
        | st.builds(Order, st.text(), st.lists(inner))
    ),
    max_leaves=20,
)


@settings(max_examples=200, deadline=None)
@given(anything)
def test_any_value_has_one_rendering_and_one_fingerprint(value: Any) -> None:
    view = render(value)
    assert render(value) == view
    assert fingerprint(value) == fingerprint(value)
    assert msgspec.json.decode(msgspec.json.encode(view), type=ValueView) == view


def test_a_lock_or_a_thread_is_shown_like_anything_else() -> None:
    for value in (threading.Lock(), threading.current_thread(), iter([1]), object()):
        assert render(value).text


def test_rendering_imports_no_library() -> None:
    program = textwrap.dedent("""
        import sys
        from wfstudio.core.bench.rendering import Renderer
        Renderer().render({"a": 1})
        print(sorted(set(sys.modules) & {"pydantic", "numpy", "duckdb", "starlette", "typer"}))
    """)
    done = subprocess.run([sys.executable, "-W", "error", "-c", program], capture_output=True, text=True)
    assert (done.stdout.strip(), done.stderr) == ("[]", "")
