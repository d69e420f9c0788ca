"""Values of classes that are not loaded here: kept as they are written, so nothing is lost.

A studio or a client has not imported the user's modules. It can still show such a value, keep it in
a set, and pass it on: encoding it again gives the same bytes.
"""

from __future__ import annotations

import re
from typing import Any, Final

import msgspec

from wf.codec.walk import LIFT, LOWER, MAX_LIFT_DEPTH, UNKNOWN, Lowering, Refusal, dump, lift, load
from wf.errors import shorten

_SHALLOW: Final = 20
_NAME: Final = re.compile(r"[^:\s]+:[^\d:\s][^:]*")


class Opaque:
    """A value whose class is not loaded in this process. Immutable, equal by what is written.

    `type_name` is the class as `module.qualname`, or the tag when that is unknown here.
    """

    __slots__ = ("type_name", "wire")

    type_name: str
    wire: bytes

    def __init__(self, type_name: str, wire: bytes) -> None:
        object.__setattr__(self, "type_name", type_name)
        object.__setattr__(self, "wire", wire)

    @property
    def data(self) -> Any:
        """What is written of the value, decoded: a dict of fields for most classes."""
        (content,) = load(self.wire).values()
        return lift(content[1] if _is_named(content) else content)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Opaque cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Opaque cannot be changed")

    def __getattr__(self, name: str) -> Any:
        if name in Opaque.__slots__ or name[:2] == "__":
            raise AttributeError(name)
        raise AttributeError(f"`{self.type_name}` is not loaded in this process: import its module to use `.{name}`")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.wire == other.wire

    def __hash__(self) -> int:
        return hash(self.wire)

    def __repr__(self) -> str:
        return f"<Opaque {self.type_name} {shorten(self.data)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Opaque, (self.type_name, self.wire))


def unwrap(value: Any) -> Any:
    """Give a value with what is written in the place of each `Opaque`, for who knows what it is to become."""
    if isinstance(value, Opaque):
        return unwrap(value.data)
    if type(value) is list or type(value) is tuple:
        return type(value)(unwrap(item) for item in value)
    if type(value) is dict:
        return {key: unwrap(item) for key, item in value.items()}
    return value


def make_opaque(tree: dict[str, Any]) -> Opaque:
    """Keep a tagged tree, none of it lifted yet, as it is."""
    ((tag, content),) = tree.items()
    return Opaque(content[0].replace(":", ".") if _is_named(content) else tag, dump(tree))


def _is_named(content: Any) -> bool:
    """Say whether it begins with the name of a class, which has a colon before its last part."""
    return type(content) is list and len(content) > 1 and type(content[0]) is str and bool(_NAME.fullmatch(content[0]))


def _lower_opaque(walk: Lowering, value: Opaque, depth: int) -> Any:
    brackets = value.wire.count(b"{") + value.wire.count(b"[")
    # What is inside counts towards the depth, or the whole might be too deep to be read.
    if brackets > _SHALLOW and depth + tree_depth(load(value.wire)) > MAX_LIFT_DEPTH:
        raise Refusal("is nested too deep")
    return msgspec.Raw(value.wire)


def tree_depth(tree: Any) -> int:
    """Count the containers within containers of a JSON tree."""
    depth = 0
    level = [tree] if isinstance(tree, (dict, list)) else []
    while level:
        depth += 1
        members = [item for box in level for item in (box.values() if type(box) is dict else box)]
        level = [item for item in members if type(item) is dict or type(item) is list]
    return depth


def _lift_unknown(tree: dict[str, Any], depth: int) -> Any:
    return make_opaque(tree)


LOWER[Opaque] = _lower_opaque
LIFT[UNKNOWN] = _lift_unknown
