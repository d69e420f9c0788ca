"""The walk over a value: values become JSON trees (lower), JSON trees become values (lift).

Each kind of value is a pair of functions in a module of its own noun, entered in `LOWER` (by exact
class), `RESOLVERS` (by the sort of class) and `LIFT` (by tag).

1. `lower` gives back the very object it was given when JSON carries it as it is, so plain data is
   never copied.
2. A path costs nothing until something is refused: each level adds its part to the `Refusal` that
   passes through it. The same trail shows whether a value contains itself.
3. Depth and size are bounded, so neither a cyclic nor a bomb-like value can exhaust the process.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, Final
from weakref import WeakKeyDictionary

import msgspec

from wf.errors import SerializationError

MAX_DEPTH: Final = 100
"""Containers within containers that a value may have."""

MAX_LIFT_DEPTH: Final = 120
"""The same when reading; more than anything written can have."""

MAX_PARTS: Final = 25_000_000
"""Members that a value may have in all; more cannot be within the 50 MB of a payload."""

MAX_INT: Final = 2**63
"""Integers from -MAX_INT to MAX_INT - 1 are JSON numbers."""

dump: Final = msgspec.json.Encoder().encode
load: Final = msgspec.json.Decoder().decode

_MAX_PATH: Final = 300


class Refusal(Exception):
    """What cannot be carried and, gathered on the way out, where it was. Never leaves the codec."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
        self.trail: list[tuple[str, int]] = []

    def at(self, part: str, owner: object) -> None:
        self.trail.append((part, id(owner)))

    def to_error(self, root: str) -> SerializationError:
        """Give the error that users see; `root` names the value that was walked."""
        trail = self.trail[::-1]
        seen: set[int] = set()
        for position, (_, owner) in enumerate(trail):
            if owner in seen:
                return SerializationError(_path(root, trail[:position]), "refers to itself")
            seen.add(owner)
        return SerializationError(_path(root, trail), self.reason)


def _path(root: str, trail: list[tuple[str, int]]) -> str:
    path = root + "".join(part for part, _ in trail)
    return path if len(path) <= _MAX_PATH else f"{path[: _MAX_PATH - 61]}…{path[-60:]}"


class Lowering:
    """One walk from a value to its JSON tree.

    `is_careful` says to look for lone surrogates in every string: that is slow, so it is done only
    after the JSON encoder has met one.
    """

    __slots__ = ("chain", "is_careful", "parts", "text_left")

    def __init__(self, is_careful: bool = False) -> None:
        self.is_careful = is_careful
        self.parts = 0
        self.chain: set[int] | None = None
        self.text_left = 0

    def lower(self, value: Any, depth: int) -> Any:
        """Give the JSON tree of a value that is inside `depth` containers."""
        kind = type(value)
        if kind is str:
            return lower_str(value) if self.is_careful else value
        if kind is bool or value is None:
            return value
        handler = LOWER.get(kind)
        if handler is None:
            handler = resolve(kind)
        return handler(self, value, depth)

    def enter(self, count: int, depth: int) -> int:
        """Count a container of `count` members in; give the depth of the members."""
        self.parts += count
        if self.parts > MAX_PARTS:
            raise Refusal(f"has more than {MAX_PARTS} parts")
        if depth >= MAX_DEPTH:
            raise Refusal(f"is nested deeper than {MAX_DEPTH}")
        return depth + 1


Lower = Callable[[Lowering, Any, int], Any]
Lift = Callable[[Any, int], Any]
Resolver = Callable[[type], Lower | None]

LOWER: dict[type, Lower] = {}
RESOLVERS: list[Resolver] = []
LIFT: dict[str, Lift] = {}
UNKNOWN: Final = ""
"""The entry of `LIFT` for tags that have none."""

_resolved: WeakKeyDictionary[type, Lower] = WeakKeyDictionary()


def resolve(kind: type) -> Lower:
    """Find what lowers instances of a class that has no entry of its own."""
    handler = _resolved.get(kind)
    if handler is None:
        # Handlers must not hold the class itself, or it would never be collected.
        for find in RESOLVERS:
            handler = find(kind)
            if handler is not None:
                break
        handler = _resolved[kind] = handler or refuse
    return handler


def forget_resolved() -> None:
    """Resolve every class anew: a registration may have changed what is right for it."""
    _resolved.clear()


def refuse(walk: Lowering, value: Any, depth: int) -> Any:
    raise Refusal(f"{type(value).__name__} cannot be carried")


def lower_str(value: str) -> Any:
    """Lower a string that may hold lone surrogates, which are not valid in JSON."""
    try:
        value.encode()
    except UnicodeEncodeError:
        return {"$str": value.encode("utf-8", "surrogatepass")}
    return value


def lower_float(walk: Lowering, value: float, depth: int) -> Any:
    return value if math.isfinite(value) else {"$float": repr(value)}


def lower_int(walk: Lowering, value: int, depth: int) -> Any:
    # Hexadecimal, since Python refuses to read or write more than 4300 decimal digits.
    return value if -MAX_INT <= value < MAX_INT else {"$int": hex(value)}


LOWER[int] = lower_int
LOWER[float] = lower_float


class Malformed(Exception):
    """Data that no encoder wrote. Never leaves the codec."""


def lift(tree: Any, depth: int = 0) -> Any:
    """Give the value of a JSON tree that is inside `depth` containers. Changes the tree in place."""
    kind = type(tree)
    if kind is dict:
        if depth >= MAX_LIFT_DEPTH:
            raise Malformed(f"it is nested deeper than {MAX_LIFT_DEPTH}")
        if len(tree) == 1:
            tag = next(iter(tree))
            if tag[:1] == "$":
                handler = LIFT.get(tag) or LIFT[UNKNOWN]
                return handler(tree, depth + 1)
        for key, item in tree.items():
            kind = type(item)
            if kind is dict or kind is list:
                tree[key] = lift(item, depth + 1)
    elif kind is list:
        if depth >= MAX_LIFT_DEPTH:
            raise Malformed(f"it is nested deeper than {MAX_LIFT_DEPTH}")
        for index, item in enumerate(tree):
            kind = type(item)
            if kind is dict or kind is list:
                tree[index] = lift(item, depth + 1)
    return tree
