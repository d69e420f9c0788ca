"""Users' classes: filled without running their code, found only where they are, changed with care."""

from __future__ import annotations

import dataclasses
import functools
import gc
import os
import subprocess
import sys
import types
from enum import Enum, Flag
from typing import Any, ClassVar, NamedTuple

import msgspec
import pydantic
import pytest

from wf.codec import Opaque, decode, encode
from wf.errors import SerializationError

RAN: list[str] = []


@pytest.fixture(autouse=True)
def nothing_ran() -> None:
    RAN.clear()


@dataclasses.dataclass
class Careful:
    x: int
    shared: ClassVar[int] = 0
    start: dataclasses.InitVar[int] = 0
    total: int = dataclasses.field(init=False)

    def __post_init__(self, start: int) -> None:
        RAN.append("post_init")
        self.total = self.x + start

    @functools.cached_property
    def double(self) -> int:
        RAN.append("double")
        return self.x * 2


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    x: int
    y: int = dataclasses.field(init=False, default=5)


class Base:
    __slots__ = ("__private", "note")


@dataclasses.dataclass
class OnSlots(Base):
    x: int = 0


class Struct(msgspec.Struct, frozen=True):
    x: int

    def __post_init__(self) -> None:
        RAN.append("post_init")
        if self.x > 10:
            raise ValueError("too large")


class Doubling(msgspec.Struct, dict=True):
    x: int

    def __post_init__(self) -> None:
        self.x *= 2


class Model(pydantic.BaseModel):
    x: int
    _seen: list[int] = pydantic.PrivateAttr(default_factory=list)

    @pydantic.field_validator("x")
    @classmethod
    def check(cls, value: int) -> int:
        RAN.append("validator")
        return value + 1

    def model_post_init(self, context: Any) -> None:
        RAN.append("post_init")

    @functools.cached_property
    def double(self) -> int:
        return self.x * 2


def test_a_dataclass_is_filled_without_running_its_code() -> None:
    value = Careful(2, start=3)
    assert value.double == 4
    RAN.clear()
    again = decode(encode(value))
    assert RAN == []
    assert (again.x, again.total, again) == (2, 5, value)
    assert "double" not in vars(again)
    assert again.double == 4


def test_a_slotted_frozen_dataclass_comes_back() -> None:
    again = decode(encode({Slotted(1): Slotted(2)}))
    assert again == {Slotted(1): Slotted(2)}
    assert again[Slotted(1)].y == 5


def test_slots_that_are_no_fields_are_carried_too() -> None:
    value = OnSlots(1)
    value.note = [1]  # type: ignore[attr-defined]
    setattr(value, "_Base__private", 2)  # noqa: B010
    again = decode(encode(value))
    assert again.note == [1]
    assert getattr(again, "_Base__private") == 2  # noqa: B009


def test_a_field_without_a_value_stays_so() -> None:
    value = Careful(1)
    del value.total
    again = decode(encode(value))
    assert not hasattr(again, "total")


def test_a_struct_is_filled_without_running_its_code() -> None:
    value = Struct(5)
    object_with_large = msgspec.structs.replace(value)
    msgspec.structs.force_setattr(object_with_large, "x", 50)
    RAN.clear()
    again = decode(encode(object_with_large))
    assert RAN == []
    assert type(again) is Struct
    assert again.x == 50


def test_a_struct_that_changes_itself_comes_back_as_it_was() -> None:
    value = Doubling(2)
    value.extra = (1,)  # type: ignore[attr-defined]
    again: Any = decode(encode(value))
    assert isinstance(again, Doubling)
    assert (again.x, vars(again)["extra"]) == (4, (1,))


def test_a_model_is_filled_without_running_its_code() -> None:
    value = Model(x=1)
    value._seen.append(7)
    assert value.double == 4
    RAN.clear()
    again = decode(encode(value))
    assert RAN == []
    assert again == Model.model_construct(x=2) or again.x == 2
    assert again._seen == [7]
    assert "double" not in vars(again)
    assert again.double == 4


def test_a_deeper_class_is_found_by_its_qualified_name() -> None:
    assert decode(encode(Outer.Inner(1))) == Outer.Inner(1)
    assert decode(encode(Outer.Inner.Kind.A)) is Outer.Inner.Kind.A


class Outer:
    @dataclasses.dataclass
    class Inner:
        x: int

        class Kind(Enum):
            A = 1


def test_classes_of_a_function_are_found_in_this_process() -> None:
    @dataclasses.dataclass(frozen=True)
    class Local:
        x: Any

    class Kind(Enum):
        A = 1

    class Row(msgspec.Struct):
        x: Any

    class Form(pydantic.BaseModel):
        x: Any

    class Pair(NamedTuple):
        x: Any

    class Oops(Exception):
        pass

    value = [Local(Kind.A), Row(1), Form(x=2), Pair(3)]
    assert decode(encode(value)) == value
    error = decode(encode(Oops("x")))
    assert type(error) is Oops


def test_a_class_of_a_function_is_gone_with_the_function() -> None:
    def write() -> bytes:
        @dataclasses.dataclass
        class Gone:
            x: int

        return encode(Gone(1))

    data = write()
    gc.collect()
    again = decode(data)
    assert isinstance(again, Opaque)
    assert again.type_name.endswith("write.<locals>.Gone")
    assert encode(again) == data


# -- classes that changed, or are not here --------------------------------------------------------


@pytest.fixture
def module() -> Any:
    """A module of the user's, to be edited."""
    name = "a_users_module"
    made = types.ModuleType(name)
    sys.modules[name] = made
    yield made
    del sys.modules[name]


def put(module: types.ModuleType, source: str) -> None:
    for name in [name for name in vars(module) if not name.startswith("__")]:
        delattr(module, name)
    exec("import dataclasses, enum, msgspec, pydantic, typing\n" + source, vars(module))


VERSIONS = {
    "dataclass": "@dataclasses.dataclass\nclass Thing:\n",
    "slots": "@dataclasses.dataclass(slots=True)\nclass Thing:\n",
    "struct": "class Thing(msgspec.Struct):\n",
    "model": "class Thing(pydantic.BaseModel):\n",
}


@pytest.mark.parametrize("head", VERSIONS.values(), ids=VERSIONS)
def test_a_new_field_takes_its_default(module: Any, head: str) -> None:
    put(module, head + "    x: int\n")
    data = encode(module.Thing(x=1))
    put(module, head + "    x: int\n    y: int = 7\n    z: list = []\n" if "class Thing(" in head else
        head + "    x: int\n    y: int = 7\n    z: list = dataclasses.field(default_factory=list)\n")  # fmt: skip
    again = decode(data)
    assert (again.x, again.y, again.z) == (1, 7, [])
    assert decode(data).z is not again.z


@pytest.mark.parametrize("head", VERSIONS.values(), ids=VERSIONS)
def test_a_lost_field_does_no_harm(module: Any, head: str) -> None:
    put(module, head + "    x: int\n    y: int\n")
    data = encode(module.Thing(x=1, y=2))
    put(module, head + "    x: int\n")
    assert decode(data).x == 1


def test_a_factory_of_the_users_own_is_not_run(module: Any) -> None:
    put(module, "@dataclasses.dataclass\nclass Thing:\n    x: int\n")
    data = encode(module.Thing(1))
    put(
        module,
        "@dataclasses.dataclass\nclass Thing:\n    x: int\n"
        "    y: int = dataclasses.field(default_factory=lambda: ran.append(1))\nran = []\n",
    )
    assert not hasattr(decode(data), "y")
    assert module.ran == []


@pytest.mark.parametrize("head", VERSIONS.values(), ids=VERSIONS)
def test_a_value_of_a_class_that_is_not_loaded_is_opaque(module: Any, head: str) -> None:
    put(module, head + "    x: object\n    y: object\n")
    data = encode([module.Thing(x=(1,), y=module.Thing(x=1, y=2))])
    put(module, "")
    (again,) = decode(data)
    assert isinstance(again, Opaque)
    assert again.type_name == "a_users_module.Thing"
    assert again.data["x"] == (1,)
    assert again.data["y"] == decode(encode(again.data["y"]))
    assert encode([again]) == data
    assert again == decode(data)[0]
    assert hash(again) == hash(decode(data)[0])
    assert repr(again).startswith("<Opaque a_users_module.Thing {'x': (1,), 'y': <Opaque a_users_module.Thing")


@pytest.mark.parametrize(
    "other",
    [
        "Thing = 5\n",
        "class Thing:\n    pass\n",
        "class Thing(enum.Enum):\n    A = 1\n",
        "def Thing(): raise SystemExit\n",
        "class Thing(dict):\n    pass\n",
        "class Thing(Exception):\n    pass\n",
        "class Thing(typing.NamedTuple):\n    x: int\n",
    ],
)
@pytest.mark.parametrize("head", VERSIONS.values(), ids=VERSIONS)
def test_a_class_of_another_sort_is_not_used(module: Any, head: str, other: str) -> None:
    put(module, head + "    x: int\n")
    data = encode(module.Thing(x=1))
    put(module, other)
    again = decode(data)
    assert isinstance(again, Opaque)
    assert encode(again) == data


@pytest.mark.parametrize(
    ("before", "value", "after"),
    [
        ("class Thing(enum.Enum):\n    A = 1\n", "Thing.A", "class Thing(enum.Enum):\n    B = 1\n"),
        (
            "class Thing(enum.Flag):\n    A = 1\n    B = 2\n",
            "Thing.A | Thing.B",
            "class Thing(enum.Flag):\n    A = 1\n",
        ),
        (
            "class Thing(typing.NamedTuple):\n    a: int\n",
            "Thing(1)",
            "class Thing(typing.NamedTuple):\n    a: int\n    b: int\n",
        ),
    ],
)
def test_what_its_class_no_longer_has_is_opaque(module: Any, before: str, value: str, after: str) -> None:
    put(module, before)
    data = encode({eval(value, vars(module)): 1})
    put(module, after)
    (again,) = decode(data)
    assert isinstance(again, Opaque)
    assert again.type_name == "a_users_module.Thing"
    assert encode({again: 1}) == data


def test_an_opaque_value_says_what_to_do() -> None:
    value = decode(b'{"$dataclass":["shop:Order",{"total":5}]}')
    with pytest.raises(AttributeError) as caught:
        value.total  # noqa: B018
    assert str(caught.value) == "`shop.Order` is not loaded in this process: import its module to use `.total`"
    assert repr(value) == "<Opaque shop.Order {'total': 5}>"
    with pytest.raises(AttributeError):
        value.type_name = "x"
    with pytest.raises(AttributeError):
        del value.wire


def test_an_opaque_value_can_be_copied() -> None:
    import copy

    value = decode(b'{"$dataclass":["shop:Order",{"total":5}]}')
    assert copy.copy(value) == copy.deepcopy(value) == value


@pytest.mark.parametrize(
    "data",
    [
        b'{"$dataclass":["shop:Order",{"a":{"$set":[1]}}]}',
        b'{"$enum":["shop:Color","RED"]}',
        b'{"$object":["shop:Money",[1,2]]}',
        b'{"$object":["no/money",null]}',
        b'{"$run":"wrun_1"}',
        b'{"$brandnew":{"a":[1]}}',
        b'{"$datetime":["2024-01-02T00:00:00","Mars/Olympus",0]}',
        b'{"$time":["00:00:00","Mars/Olympus",0]}',
        b'{"$timezone":"Mars/Olympus"}',
        b'[{"$namedtuple":["shop:Pair",[1,{"$tuple":[]}]]}]',
        b'{"$dict":[[{"$enum":["shop:Color","RED"]},1]]}',
        b'{"$set":[{"$enum":["shop:Color","BLUE"]},{"$enum":["shop:Color","RED"]}]}',
    ],
)
def test_what_is_unknown_here_is_passed_on_byte_for_byte(data: bytes) -> None:
    if data.startswith(b'{"$run"'):
        data = data.replace(b"$run", b"$norun")
    again = decode(data)
    assert encode(again) == data
    assert decode(encode([again])) == [again]


def test_an_opaque_value_cannot_make_a_value_too_deep_to_be_read() -> None:
    deep: Any = 0
    for _ in range(60):
        deep = [deep]
    opaque: Any = decode(b'{"$dataclass":["shop:Order",{"a":' + encode(deep) + b"}]}")
    for _ in range(70):
        opaque = [opaque]
    with pytest.raises(SerializationError, match=r"is nested too deep$"):
        encode(opaque)


def test_a_subclass_that_is_no_dataclass_itself_keeps_what_it_adds() -> None:
    value = Sub(1)
    value.more = [1]
    again = decode(encode(value))
    assert type(again) is Sub
    assert again.more == [1]


@dataclasses.dataclass
class Parent:
    x: int


class Sub(Parent):
    more: list[int]


def test_pydantic_is_not_imported_by_the_codec() -> None:
    code = (
        "import sys; from wf.codec import decode, encode; import dataclasses\n"
        "from wf.codec import Opaque\n"
        'got = decode(b\'{"$pydantic":["shop:M",{}]}\'), decode(b\'{"$secret":["pydantic.types:SecretStr","x"]}\')\n'
        "assert all(isinstance(g, Opaque) for g in got)\n"
        "encode([1.5, (1,)])\n"
        "assert 'pydantic' not in sys.modules, 'imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True, env={"PYTHONPATH": os.pathsep.join(sys.path)})


class Bare(Flag):
    A = 1


def test_an_enum_of_another_name_is_malformed_as_a_number() -> None:
    with pytest.raises(SerializationError, match="malformed: its member is not named"):
        decode(f'{{"$enum":["{__name__}:Outer.Inner.Kind",1]}}'.encode())


def test_of_two_classes_of_one_name_the_one_written_last_is_meant() -> None:
    def make() -> Any:
        @dataclasses.dataclass
        class Twin:
            x: int

        return Twin

    first, second = make(), make()
    for cls in (first, second, first, second):
        assert type(decode(encode(cls(1)))) is cls
