"""Kinds: what is known of a value without running anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from wfstudio.core.check.scopes import Class, Function

_MOST: Final = 8
"""Kinds that one value may have; beyond that nothing is known of it."""


class Unknown(msgspec.Struct, frozen=True):
    """Nothing is known."""


class Outside(msgspec.Struct, frozen=True):
    """Something that is not the project's, by its dotted name: `time.time`, `builtins.open`, `wf.sleep`."""

    name: str

    @property
    def last(self) -> str:
        return self.name.rpartition(".")[2]


class Inside(msgspec.Struct, frozen=True):
    """A module of the project; without `module` the folder of a package that has no file of its own."""

    name: str
    module: Any = None


class Func(msgspec.Struct, frozen=True):
    """A function of the project. `is_bare`: it is what a step or workflow decorates (`.func`)."""

    function: Function
    is_bare: bool = False


class Type(msgspec.Struct, frozen=True):
    """A class of the project."""

    cls: Class


class Object(msgspec.Struct, frozen=True):
    """An instance. `part` is what it holds: a list's members, a dict's values, a hook's payload."""

    of: Outside | Type
    part: Kind = Unknown()


class SetOf(msgspec.Struct, frozen=True):
    """A set or frozenset. `is_new`: it was made empty, and its members are yet to be seen."""

    part: Kind = Unknown()
    is_new: bool = False


class TupleOf(msgspec.Struct, frozen=True):
    parts: tuple[Kind, ...]


class Awaitable(msgspec.Struct, frozen=True):
    """What a call gives that does nothing until it is awaited. `what` names the call."""

    of: Kind
    what: str


class Method(msgspec.Struct, frozen=True):
    """A method of a set, a container or the like, by its name."""

    owner: Kind
    name: str


class AnyOf(msgspec.Struct, frozen=True):
    """One of several."""

    kinds: tuple[Kind, ...]


Kind = Unknown | Outside | Inside | Func | Type | Object | SetOf | TupleOf | Awaitable | Method | AnyOf

UNKNOWN: Final = Unknown()


def each(kind: Kind) -> Iterator[Kind]:
    """Give the kinds that a value may have."""
    if isinstance(kind, AnyOf):
        yield from kind.kinds
    else:
        yield kind


def merge(kinds: Iterable[Kind]) -> Kind:
    """Give what is known of a value that comes from several places."""
    found: dict[Kind, None] = {}
    for kind in kinds:
        found.update(dict.fromkeys(each(kind)))
    if sum(isinstance(kind, SetOf) for kind in found) > 1:
        found.pop(SetOf(is_new=True), None)  # the same one, before it got its members
    if not found or len(found) > _MOST:
        return UNKNOWN
    return next(iter(found)) if len(found) == 1 else AnyOf(tuple(found))


def outside(name: str) -> Object:
    """Give an instance of a class that is not the project's."""
    return Object(Outside(name))


STR: Final = outside("builtins.str")
INT: Final = outside("builtins.int")
FLOAT: Final = outside("builtins.float")
BOOL: Final = outside("builtins.bool")
BYTES: Final = outside("builtins.bytes")
NONE: Final = outside("builtins.None")
LIST: Final = outside("builtins.list")
DICT: Final = outside("builtins.dict")
TASK: Final = outside("asyncio.Task")


def is_object(kind: Kind, *names: str) -> bool:
    """Tell whether a value is surely an instance of one of these classes."""
    return isinstance(kind, Object) and isinstance(kind.of, Outside) and kind.of.name in names


def may_be_set(kind: Kind) -> bool:
    """Tell whether a value may be a set whose members have no order of their own.

    Tasks and futures have one in a body: the order in which they were made.
    """
    return any(
        isinstance(one, SetOf) and not is_object(one.part, "asyncio.Task", "asyncio.Future") for one in each(kind)
    )
