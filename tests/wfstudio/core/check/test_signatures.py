"""Annotations that the codec cannot carry, and what the codec itself says of the same values."""

from __future__ import annotations

import asyncio
import collections
import dataclasses
import datetime
import decimal
import enum
import io
import logging
import pathlib
import random
import re
import threading
import types
import typing
import uuid
from collections.abc import Callable
from typing import Any

import attrs
import msgspec
import pydantic
import pytest

import wf
from tests.wfstudio.core.check.stage import check, check_body
from wf import codec

BEFORE = """
    import enum, typing, io, abc, threading
    from collections.abc import Callable, Iterator, AsyncIterator, Sequence, Mapping, Iterable
    from typing import Any, Literal, NamedTuple, NewType, Optional, TypedDict, Union, Annotated, IO
    from typing import Generic, TypeVar, Protocol
    from datetime import datetime
    from decimal import Decimal
    from pathlib import Path
    import attrs, msgspec, pydantic, attr

    T = TypeVar("T")

    class Plain:
        def __init__(self, n): self.n = n

    class Sub(Plain): ...

    @dataclass
    class Data:
        n: int

    class SubData(Data): ...

    class Colour(enum.Enum):
        RED = 1

    class Pair(NamedTuple):
        a: int

    class Typed(TypedDict):
        a: int

    class Failure(Exception): ...

    class Model(pydantic.BaseModel):
        n: int

    class SubModel(Model): ...

    class Struct(msgspec.Struct):
        n: int

    @wf.serializable
    class Money:
        def _workflow_serialize(self): ...
        @classmethod
        def _workflow_deserialize(cls, data): ...

    class Registered: ...
    wf.register_serializable(Registered, str, Registered)

    @attrs.define
    class Attrs:
        n: int

    @attr.s
    class OldAttrs:
        n = attr.ib()

    class Text(str): ...
    class Items(list[int]): ...
    class Table(dict): ...

    class Shape(abc.ABC): ...

    @dataclass
    class Circle(Shape):
        r: int

    class Base: ...

    @dataclass
    class Derived(Base):
        n: int

    class Proto(Protocol):
        n: int

    class Page(Generic[T]):
        items: list[T]

    @dataclass
    class Box(Generic[T]):
        item: T

    class Hook(wf.BaseHook):
        approved: bool

    class Odd(Mystery): ...

    @mystery
    class Decorated: ...

    UserId = NewType("UserId", str)
    Handler = NewType("Handler", Callable)
    Names = list[str]
    Handlers = dict[str, Callable[[], None]]
"""

REFUSED = {
    "Plain": "`Plain`, which is no dataclass",
    "Sub": "`Sub`, which is no dataclass",
    "'Plain'": "`Plain`, which is no dataclass",
    "list[Plain]": "`Plain`, which is no dataclass",
    "dict[str, tuple[Plain, ...]]": "`Plain`, which is no dataclass",
    "Optional[Plain]": "`Plain`, which is no dataclass",
    "Plain | None": "`Plain`, which is no dataclass",
    "Page[int]": "`Page`, which is no dataclass",
    "Hook": "`Hook`, which is no dataclass",
    "Attrs": "`Attrs`, a class of attrs",
    "OldAttrs": "`OldAttrs`, a class of attrs",
    "Text": "`Text`, a kind of `str`",
    "Items": "`Items`, a kind of `list`",
    "Table": "`Table`, a kind of `dict`",
    "Callable[[int], str]": "a function",
    "typing.Callable": "a function",
    "Handler": "a function",
    "Handlers": "a function",
    "Annotated[Callable, 1]": "a function",
    "type": "a class",
    "type[Data]": "a class",
    "Iterator[int]": "what is produced bit by bit",
    "AsyncIterator[str]": "what is produced bit by bit",
    "IO[str]": "`typing.IO`",
    "io.BytesIO": "`io.BytesIO`",
    "threading.Lock": "`threading.Lock`",
    "asyncio.Queue[int]": "`asyncio.Queue`",
    "memoryview": "`memoryview`",
}

CARRIED = [
    "str", "int", "float", "bool", "bytes", "None", "dict", "list", "set[str]", "frozenset", "tuple[int, str]",
    "complex", "dict[str, list[int]]", "Any", "object", "Literal['a', 1]", "Data", "SubData", "Colour", "Pair",
    "Typed", "Failure", "Model", "SubModel", "Struct", "Money", "Registered", "datetime", "Decimal", "Path",
    "UserId", "Names", "T", "Sequence[int]", "Mapping[str, int]", "Iterable[str]", "Shape", "Circle", "Base",
    "Proto", "Box[int]", "Odd", "Decorated", "wf.Run", "wf.Run[str]", "wf.Request", "wf.Response", "Exception",
    "ValueError", "wf.FatalError", "Unknown", "'Data'", "list['Data']", "Optional[Data]", "Union[str, int]",
    "str | int | None", "mystery.Thing", "Annotated[str, 3]",
]  # fmt: skip


@pytest.mark.parametrize(("annotation", "what"), REFUSED.items())
def test_it_cannot_be_carried(annotation: str, what: str) -> None:
    for signature in (
        f"order: {annotation}",
        f"*order: {annotation}",
        f"*, order: {annotation}",
        f"**order: {annotation}",
    ):
        [finding] = check_body("return 1", BEFORE, signature)
        assert (finding.code, finding.severity) == ("WF501", "error")
        assert finding.message == f"the parameter `order` of workflow flow is {what}, and that cannot be carried"
    step = f"{BEFORE}\n    @wf.step\n    def make() -> {annotation}: ...\n"
    [finding] = check_body("return 1", step)
    assert finding.message == f"the result of step make is {what}, and that cannot be carried"
    assert (finding.where, finding.workflows) == ("in flow:make", [])


@pytest.mark.parametrize("annotation", CARRIED)
def test_it_can_be_carried_or_is_not_known(annotation: str) -> None:
    assert [finding.message for finding in check_body("return 1", BEFORE, f"order: {annotation}")] == []


def test_a_union_with_members_that_are_carried_is_a_warning() -> None:
    [finding] = check_body("return 1", BEFORE, "order: str | Callable[[], str]")
    assert (finding.code, finding.severity) == ("WF501", "warning")
    assert finding.message == "the parameter `order` of workflow flow may be a function, and that cannot be carried"


def test_the_owner_of_a_bound_step_is_its_first_argument() -> None:
    before = "class Shop:\n    @wf.step\n    def buy(self, order: str) -> None: ...\n"
    [finding] = check_body("return 1", before)
    assert finding.message == (
        "the parameter `self` of step buy is `Shop`, which is no dataclass, and that cannot be carried"
    )
    assert check_body("return 1", f"@dataclass\n{before}") == []
    assert check_body("return 1", before.replace("self, ", "").replace("@wf", "@staticmethod\n    @wf")) == []


def test_a_finding_in_a_step_concerns_the_workflows_that_call_it() -> None:
    report = check(
        """
        import wf
        from typing import Callable

        @wf.step
        def use(f: Callable) -> None: ...

        @wf.workflow
        async def flow():
            await use(print)
        """
    )
    [finding] = report.findings
    assert finding.workflows == ["flow:flow"]


# -- the codec says the same -----------------------------------------------------------------------


class Plain: ...


class Text(str): ...


class Items(list[int]): ...


class Hook(wf.BaseHook): ...


@attrs.define
class Attrs:
    n: int


@dataclasses.dataclass
class Data:
    n: int


class SubData(Data): ...


class Colour(enum.Enum):
    RED = 1


class Pair(typing.NamedTuple):
    a: int


class Model(pydantic.BaseModel):
    n: int


class Struct(msgspec.Struct):
    n: int


class Failure(Exception): ...


VALUES: dict[str, Callable[[], Any]] = {
    "Plain": Plain,
    "Text": lambda: Text("a"),
    "Items": Items,
    "Hook": Hook,
    "Attrs": lambda: Attrs(1),
    "Data": lambda: Data(1),
    "SubData": lambda: SubData(1),
    "Colour": lambda: Colour.RED,
    "Pair": lambda: Pair(1),
    "Model": lambda: Model(n=1),
    "Struct": lambda: Struct(1),
    "Failure": Failure,
    "typing.Callable": lambda: print,
    "type": lambda: int,
    "Iterator[int]": lambda: iter([1]),
    "io.BytesIO": io.BytesIO,
    "threading.Lock": threading.Lock,
    "asyncio.Queue[int]": lambda: asyncio.Queue[int](),
    "memoryview": lambda: memoryview(b""),
    "datetime": lambda: datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC),
    "Decimal": lambda: decimal.Decimal(1),
    "Path": lambda: pathlib.Path("a"),
    "str": lambda: "a",
    "set[str]": lambda: {"a"},
    "complex": lambda: 1j,
    "ValueError": ValueError,
}


@pytest.mark.parametrize("annotation", VALUES)
def test_the_check_and_the_codec_agree(annotation: str) -> None:
    is_refused = False
    try:
        codec.encode(VALUES[annotation]())
    except wf.SerializationError:
        is_refused = True
    assert is_refused == (annotation in REFUSED)
    assert is_refused != (annotation in CARRIED)


def test_what_the_table_names_of_the_standard_library_is_there_and_is_refused() -> None:
    before = "import re, logging, collections, random, types, uuid"
    things = {
        "re.Pattern": re.compile("a"),
        "logging.Logger": logging.getLogger(),
        "collections.UserDict": collections.UserDict(),
        "types.SimpleNamespace": types.SimpleNamespace(),
        "random.Random": random.Random(1),
        "uuid.UUID": uuid.UUID(int=1),
    }
    for name, value in things.items():
        found = [f.code for f in check_body("return 1", before, f"order: {name}")]
        try:
            codec.encode(value)
        except wf.SerializationError:
            assert found == ["WF501"], name
        else:
            assert found == [], name
