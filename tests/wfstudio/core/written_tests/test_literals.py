"""Recorded values as code: it gives the value again, and is formatted as a formatter leaves it."""

from __future__ import annotations

import collections
import datetime
import decimal
import enum
import fractions
import functools
import ipaddress
import math
import pathlib
import subprocess
import sys
import uuid
import zoneinfo
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
import pydantic
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

import wf
from wf import codec
from wfstudio.core.written_tests.layout import Code, lay_out, lay_out_equal
from wfstudio.core.written_tests.literals import Imports, Unwritable, Writer, decode_error_parts
from wfstudio.core.written_tests.locating import Locator

ROOT = Path(__file__).resolve().parents[4]
WIDTHS = (60, 79, 88, 120)


@dataclass
class Line:
    sku: str
    count: int = 1
    notes: list[str] = field(default_factory=list)


@dataclass
class Odd:
    total: int = field(init=False, default=0)


@dataclass
class Checked:
    n: int

    def __post_init__(self) -> None:
        self.n = abs(self.n)


class Pair(NamedTuple):
    a: Any
    b: Any


class Struct(msgspec.Struct):
    n: Any


class Model(pydantic.BaseModel):
    n: Any


class Colour(enum.Enum):
    RED = 1


class Outer:
    @dataclass
    class Inner:
        n: int


@functools.cache
def find_this_module() -> tuple[Locator, str]:
    """Read this file as a project's, once: it is asked about a thousand times."""
    locator = Locator(str(ROOT))
    locator._project.open(__file__)
    return locator, locator._project.list_opened()[0].name


def make_writer() -> Writer:
    return Writer(Imports({"pytest"}), *find_this_module())


def write(value: Any) -> tuple[Code, Writer]:
    writer = make_writer()
    data = codec.encode(value).replace(f'"{__name__}:'.encode(), b'"test_literals:')
    return writer.write(data), writer


def evaluate(code: Code, writer: Writer, width: int = 88) -> Any:
    names: dict[str, Any] = {}
    exec("\n".join(writer.imports.list_libraries()), names)
    for line, module in writer.imports.list_modules():
        if module == "test_literals":
            names["test_literals"] = sys.modules[__name__]
        else:
            exec(line, names)
    return eval(lay_out(code, width=width), names)


BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")
ZONES = [None, datetime.UTC, datetime.timezone(datetime.timedelta(hours=2)), BERLIN]
moments = st.datetimes(timezones=st.sampled_from([*ZONES, datetime.timezone(datetime.timedelta(minutes=-90), "X")]))
leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text(max_size=120)
    | st.binary(max_size=60)
    | st.builds(bytearray, st.binary(max_size=8))
    | st.decimals(allow_nan=False)
    | st.fractions()
    | st.complex_numbers(allow_nan=False, allow_infinity=False)
    | st.uuids()
    | moments
    | st.dates()
    | st.times()
    | st.timedeltas()
    | st.ip_addresses()
    | st.sampled_from(
        [Colour.RED, range(3), range(1, 9, 2), pathlib.Path("a/b"), pathlib.PurePosixPath("x"), msgspec.UNSET]
    )
)
keys = st.text(max_size=20) | st.integers() | st.booleans()
values = st.recursive(
    leaves,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(keys, inner, max_size=4)
        | st.dictionaries(st.text(max_size=10), inner, max_size=4).map(collections.OrderedDict)
        | st.frozensets(st.text(max_size=20) | st.integers(), max_size=4)
        | st.sets(st.text(max_size=20), max_size=4)
        | st.lists(inner, max_size=3).map(lambda items: collections.deque(items, maxlen=5))
        | st.builds(Line, st.text(max_size=10), st.integers(), st.lists(st.text(max_size=60), max_size=3))
        | st.builds(Pair, inner, inner)
        | st.builds(Struct, inner)
        | st.builds(lambda n: Model(n=n), inner)
    ),
    max_leaves=12,
)


@given(values, st.sampled_from(WIDTHS))
def test_code_gives_the_value_again(value: Any, width: int) -> None:
    code, writer = write(value)
    again = evaluate(code, writer, width)
    assert codec.encode(again) == codec.encode(value)


@settings(max_examples=6, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(found=st.lists(values, min_size=40, max_size=40))
def test_code_is_what_a_formatter_leaves(found: list[Any], tmp_path: Path) -> None:
    """Many values in a file for each width, and ruff has nothing to change in it."""
    for width in WIDTHS:
        parts = []
        for number, value in enumerate(found):
            code, _ = write(value)
            text = lay_out_equal("result", code, width=width, depth=1)
            parts.append(f"def test_{number}():\n    {text}\n")
        path = tmp_path / f"width_{width}.py"
        path.write_text("\n\n".join(parts), "utf-8")
        command = ["ruff", "format", "--isolated", "--diff", "--line-length", str(width), str(path)]
        done = subprocess.run([sys.executable, "-m", *command], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("it's", '"it\'s"'),
        ('say "no"', "'say \"no\"'"),
        ("a\nb\t\x1b\\", '"a\\nb\\t\\x1b\\\\"'),
        ("ünï", '"ünï"'),
        ("\ud800", '"\\ud800"'),
        (b"a\"'\xff\0", 'b"a\\"\'\\xff\\x00"'),
        (2**70, str(2**70)),
        (math.inf, 'float("inf")'),
        ((), "()"),
        ((1,), "(1,)"),
        (set(), "set()"),
        (frozenset({"a"}), 'frozenset({"a"})'),
        ({1: "a", "$set": 2}, '{1: "a", "$set": 2}'),
        (decimal.Decimal("1.50"), 'Decimal("1.50")'),
        (fractions.Fraction(1, 3), "Fraction(1, 3)"),
        (uuid.UUID(int=1), 'UUID("00000000-0000-0000-0000-000000000001")'),
        (datetime.datetime(2026, 1, 2, 3, 4, tzinfo=datetime.UTC), "datetime(2026, 1, 2, 3, 4, tzinfo=UTC)"),
        (datetime.datetime(2026, 1, 2, 3, 4, 5, 6), "datetime(2026, 1, 2, 3, 4, 5, 6)"),  # noqa: DTZ001
        (datetime.datetime(2026, 1, 2, tzinfo=BERLIN), 'datetime(2026, 1, 2, 0, 0, tzinfo=ZoneInfo("Europe/Berlin"))'),
        (datetime.time(3, 4), "time(3, 4)"),
        (datetime.date(2026, 1, 2), "date(2026, 1, 2)"),
        (datetime.timedelta(days=1, seconds=2), "timedelta(days=1, seconds=2)"),
        (datetime.timedelta(), "timedelta()"),
        (ipaddress.ip_address("127.0.0.1"), 'IPv4Address("127.0.0.1")'),
        (collections.Counter("aab"), 'Counter({"a": 2, "b": 1})'),
        (collections.defaultdict(list, a=[1]), 'defaultdict(list, {"a": [1]})'),
        (Line("a", 2), 'test_literals.Line(sku="a", count=2, notes=[])'),
        (Outer.Inner(1), "test_literals.Outer.Inner(n=1)"),
        (Pair(1, "b"), 'test_literals.Pair(1, "b")'),
        (Colour.RED, "test_literals.Colour.RED"),
        (pydantic.SecretStr("a"), 'SecretStr("a")'),
        (wf.Response(404), 'wf.Response(status=404, body=b"", headers={})'),
    ],
)
def test_values_read_as_people_write_them(value: Any, text: str) -> None:
    code, _ = write(value)
    assert lay_out(code, width=120) == text


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (Odd(), "a Odd is not made by its fields alone"),
        (Checked(1), "a Checked is not made by its fields alone"),
        (math.nan, "not-a-number equals nothing, not even itself"),
        ({(1, 2): 3}, "a dict has a key that takes more than a word"),
        (ValueError("a"), "a value with the tag `$exception` has no form in code"),
    ],
)  # fmt: skip
def test_what_has_no_readable_form_says_why(value: Any, reason: str) -> None:
    with pytest.raises(Unwritable) as refused:
        write(value)
    assert refused.value.reason == reason


def test_modules_of_one_name_are_told_apart() -> None:
    imports = Imports({"pytest"})
    assert [imports.use(name) for name in ("shop.models", "bank.models", "pytest", "flow", "shop.models")] == [
        "models",
        "bank.models",
        "pytest",
        "flow",
        "models",
    ]
    assert [line for line, _ in imports.list_modules()] == [
        "from shop import models",
        "import bank.models",
        "import pytest",
        "import flow",
    ]


def test_an_errors_class_and_message_are_read() -> None:
    data = codec.encode(ValueError("no \ud800"))
    assert decode_error_parts(data) == ("builtins:ValueError", "no \ud800")
