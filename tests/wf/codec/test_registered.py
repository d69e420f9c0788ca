"""Classes that carry themselves."""

from __future__ import annotations

import dataclasses
from enum import Enum
from typing import Any

import pytest

from wf.codec import Opaque, decode, encode, register_serializable, serializable
from wf.errors import SerializationError


@serializable
class Money:
    def __init__(self, cents: int, currency: str) -> None:
        self.cents = cents
        self.currency = currency

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and vars(other) == vars(self)

    __hash__ = None  # type: ignore[assignment]

    def _workflow_serialize(self) -> dict[str, Any]:
        return {"cents": self.cents, "currency": (self.currency,)}

    @classmethod
    def _workflow_deserialize(cls, data: dict[str, Any]) -> Money:
        return cls(data["cents"], data["currency"][0])


class Coins(Money):
    pass


def test_a_class_carries_itself() -> None:
    assert decode(encode([Money(5, "EUR")])) == [Money(5, "EUR")]


def test_a_subclass_is_carried_as_itself() -> None:
    again = decode(encode(Coins(5, "EUR")))
    assert type(again) is Coins
    assert again == Coins(5, "EUR")


def test_functions_carry_a_class() -> None:
    class Ext:
        def __init__(self, x: int) -> None:
            self.x = x

    class Sub(Ext):
        pass

    with pytest.raises(SerializationError):
        encode(Ext(1))
    register_serializable(Ext, lambda value: value.x, Ext)
    again = decode(encode(Ext(1)))
    assert type(again) is Ext
    assert again.x == 1
    # A function cannot tell the subclass from its base, so it would come back as another class.
    with pytest.raises(SerializationError, match=r"^value: Sub cannot be carried$"):
        encode(Sub(1))


def test_registering_again_replaces() -> None:
    class Ext:
        made_by = ""

    def second(data: int) -> Ext:
        made = Ext()
        made.made_by = f"second from {data}"
        return made

    register_serializable(Ext, lambda value: 1, lambda data: Ext())
    register_serializable(Ext, serialize=lambda value: 2, deserialize=second)
    assert decode(encode(Ext())).made_by == "second from 2"


def test_a_dataclass_that_says_how_is_carried_so() -> None:
    @serializable
    @dataclasses.dataclass
    class Point:
        x: int

        def _workflow_serialize(self) -> int:
            return self.x

        @classmethod
        def _workflow_deserialize(cls, data: int) -> Any:
            return cls(data)

    assert encode(Point(3)).endswith(b'Point",3]}')
    assert decode(encode(Point(3))) == Point(3)


def test_a_static_method_carries_the_class_but_no_subclass() -> None:
    class Plain:
        def _workflow_serialize(self) -> None:
            return None

        @staticmethod
        def _workflow_deserialize(data: None) -> Any:
            return Plain()

    class Sub(Plain):
        pass

    register_serializable(Plain)
    assert type(decode(encode(Plain()))) is Plain
    with pytest.raises(SerializationError):
        encode(Sub())


def test_a_class_id_is_the_name_in_the_log() -> None:
    class First:
        def _workflow_serialize(self) -> int:
            return 1

        @classmethod
        def _workflow_deserialize(cls, data: int) -> Any:
            return cls()

    serializable(class_id="shop/thing")(First)
    data = encode(First())
    assert data == b'{"$object":["shop/thing",1]}'
    assert type(decode(data)) is First


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Thing needs a method `_workflow_serialize(self)`, or pass serialize="),
        (
            {"_workflow_serialize": lambda self: 1},
            "Thing needs a class method `_workflow_deserialize(cls, data)`, or pass deserialize=",
        ),
        (
            {"_workflow_serialize": lambda self: 1, "_workflow_deserialize": lambda cls, data: 1},
            "Thing needs a class method `_workflow_deserialize(cls, data)`, or pass deserialize=",
        ),
        (
            {"_workflow_deserialize": classmethod(lambda cls, data: 1)},
            "Thing needs a method `_workflow_serialize(self)`, or pass serialize=",
        ),
        ({"_workflow_serialize": 5}, "Thing needs a method `_workflow_serialize(self)`, or pass serialize="),
    ],
)
def test_registering_without_the_two_methods_is_a_type_error(body: dict[str, Any], message: str) -> None:
    with pytest.raises(TypeError) as caught:
        register_serializable(type("Thing", (), body))
    assert str(caught.value) == message


def test_only_classes_can_be_registered() -> None:
    with pytest.raises(TypeError, match=r"^register_serializable needs a class, not int$"):
        register_serializable(5)  # type: ignore[arg-type]


def test_an_enum_needs_no_methods() -> None:
    @serializable
    class Tier(Enum):
        PRO = "pro"

    assert decode(encode(Tier.PRO)) is Tier.PRO


def test_what_a_class_gives_must_be_carried() -> None:
    class Odd:
        pass

    register_serializable(Odd, lambda value: {"a": [print]}, lambda data: data)
    with pytest.raises(SerializationError) as caught:
        encode([Odd()])
    assert str(caught.value) == ("value[0]._workflow_serialize()['a'][0]: builtin_function_or_method cannot be carried")


def test_a_class_that_gives_itself_is_refused() -> None:
    class Odd:
        pass

    register_serializable(Odd, lambda value: [value], lambda data: data)
    with pytest.raises(SerializationError, match=r"^value\._workflow_serialize\(\)\[0\]: refers to itself$"):
        encode(Odd())


def test_what_its_methods_raise_is_said() -> None:
    class Odd:
        def _workflow_serialize(self) -> Any:
            raise OSError("no")

        @classmethod
        def _workflow_deserialize(cls, data: Any) -> Any:
            raise LookupError("gone")

    register_serializable(Odd)
    with pytest.raises(SerializationError) as caught:
        encode({"a": Odd()})
    assert str(caught.value) == "value['a']: serializing Odd raised OSError: no"
    assert isinstance(caught.value.__cause__, OSError)
    register_serializable(Odd, serialize=lambda value: 1)
    with pytest.raises(SerializationError) as caught:
        decode(encode(Odd()))
    assert str(caught.value).endswith(".Odd raised LookupError: gone")
    assert isinstance(caught.value.__cause__, LookupError)


def test_a_registered_exception_is_always_written() -> None:
    class Oops(Exception):
        pass

    register_serializable(Oops, lambda value: value.args[0], lambda data: Oops("from", data))
    assert decode(encode(Oops("x"))).args == ("from", "x")
    again = decode(encode(Oops(print)))
    assert type(again) is Oops
    assert again.args == ("<built-in function print>",)


def test_a_class_that_is_not_registered_here_is_opaque() -> None:
    data = f'{{"$object":["{__name__}:NotRegistered",[1]]}}'.encode()
    again = decode(data)
    assert isinstance(again, Opaque)
    assert encode(again) == data


class NotRegistered:
    def _workflow_serialize(self) -> Any: ...

    @classmethod
    def _workflow_deserialize(cls, data: Any) -> Any:
        raise AssertionError("run although it was never registered")
