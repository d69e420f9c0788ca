"""Values of classes that are not loaded here: kept as they are written, so nothing is lost.

A studio or a client has not imported the user's modules. It can still show such a value, keep it in
a set, and pass it on: encoding it again gives the same bytes.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wf.codec.walk import LIFT, LOWER, MAX_LIFT_DEPTH, UNKNOWN, Lowering, Refusal, dump, lift, load
from wf.errors import shorten

_SHALLOW: Final = 20


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
        if isinstance(content, list) and len(content) == 2 and isinstance(content[0], str):
            content = content[1]
        return lift(content)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError("an Opaque cannot be changed")

    def __delattr__(self, name: str) -> None:
        raise AttributeError("an Opaque cannot be changed")

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"`{self.type_name}` is not loaded in this process: import its module to use `.{name}`")

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opaque) and self.wire == other.wire

    def __hash__(self) -> int:
        return hash(self.wire)

    def __repr__(self) -> str:
        return f"<Opaque {self.type_name} {shorten(self.data)}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return (Opaque, (self.type_name, self.wire))


def make_opaque(tree: dict[str, Any]) -> Opaque:
    """Keep a tagged tree, none of it lifted yet, as it is."""
    ((tag, content),) = tree.items()
    name = content[0] if isinstance(content, list) and content else content
    if isinstance(content, dict):
        name = content.get("type")
    is_name = isinstance(name, str) and ":" in name and tag != "$datetime"
    return Opaque(name.replace(":", ".") if is_name else tag, dump(tree))


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
