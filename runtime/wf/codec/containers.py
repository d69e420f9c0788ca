"""Containers: lists, dicts, tuples, sets and the collections of the standard library.

Members of sets are written in the order of their encoded bytes, since their own order differs from
process to process and equal values must be written alike.
"""

from __future__ import annotations

import builtins
import math
from collections import Counter, OrderedDict, defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final

import msgspec

from wf.codec.walk import LIFT, LOWER, MAX_INT, Lowering, Malformed, Refusal, dump, lift
from wf.errors import shorten

_JUST_STR: Final = frozenset({str})
_ATOMS: Final = frozenset({str, int, float, bool, type(None)})
_MANY: Final = 16
_FACTORIES: Final = frozenset({list, dict, set, int, float, str, bool, tuple, bytes, frozenset})


def _are_plain(values: Collection[Any]) -> bool:
    """Say whether JSON carries all these as they are. Works at the speed of C for many."""
    kinds = set(map(type, values))
    if not kinds <= _ATOMS:
        return False
    if float in kinds and not all(map(math.isfinite, [v for v in values if type(v) is float])):
        return False
    if int in kinds:
        numbers = [v for v in values if type(v) is int]
        return min(numbers) >= -MAX_INT and max(numbers) < MAX_INT
    return True


def _lower_list(walk: Lowering, value: list[Any], depth: int) -> Any:
    depth = walk.enter(len(value), depth)
    return _lower_items(walk, value, depth, value)


def _lower_items(walk: Lowering, values: Sequence[Any], depth: int, owner: object) -> Sequence[Any]:
    """Lower the members of a sequence; gives the sequence itself where they all are plain."""
    if len(values) >= _MANY and not walk.is_careful and _are_plain(values):
        return values
    changed: list[Any] | None = None
    index = 0
    is_careful = walk.is_careful
    lower = walk.lower
    try:
        for index, item in enumerate(values):
            kind = type(item)
            if (kind is str and not is_careful) or (kind is int and -MAX_INT <= item < MAX_INT):
                continue
            lowered = lower(item, depth)
            if lowered is not item:
                if changed is None:
                    changed = list(values)
                changed[index] = lowered
    except Refusal as refusal:
        refusal.at(f"[{index}]", owner)
        raise
    return values if changed is None else changed


def _lower_dict(walk: Lowering, value: dict[Any, Any], depth: int) -> Any:
    depth = walk.enter(len(value), depth)
    is_careful = walk.is_careful
    # Keys come first: to find an odd one later would mean to lower all members again.
    if (
        not _JUST_STR.issuperset(map(type, value))
        or (len(value) == 1 and next(iter(value))[:1] == "$")
        or (is_careful and not all(map(_is_valid, value)))
    ):
        return {"$dict": _lower_pairs(walk, value, depth)}
    changed: dict[str, Any] | None = None
    key = ""
    lower = walk.lower
    try:
        for key, item in value.items():
            # The commonest kinds do without a call; this loop is where plain data spends its time.
            kind = type(item)
            if (kind is str and not is_careful) or (kind is int and -MAX_INT <= item < MAX_INT):
                continue
            lowered = lower(item, depth)
            if lowered is not item:
                if changed is None:
                    changed = {}
                changed[key] = lowered
    except Refusal as refusal:
        refusal.at(f"[{shorten(key)}]", value)
        raise
    return value if changed is None else value | changed


def _is_valid(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _lower_pairs(walk: Lowering, value: dict[Any, Any], depth: int) -> list[Any]:
    pairs = []
    for key, item in value.items():
        opening, closing = "{}"
        try:
            lowered = walk.lower(key, depth)
            opening, closing = "[]"
            pairs.append((lowered, walk.lower(item, depth)))
        except Refusal as refusal:
            refusal.at(opening + shorten(key) + closing, value)
            raise
    return pairs


def _lower_members(walk: Lowering, value: Iterable[Any], depth: int) -> list[msgspec.Raw]:
    members = []
    item: Any = None
    try:
        for item in value:
            members.append(dump(walk.lower(item, depth)))
    except Refusal as refusal:
        refusal.at("{" + shorten(item) + "}", value)
        raise
    members.sort()
    return list(map(msgspec.Raw, members))


def _lower_tuple(walk: Lowering, value: tuple[Any, ...], depth: int) -> Any:
    return {"$tuple": _lower_items(walk, value, walk.enter(len(value) + 8, depth), value)}


def _lower_set(walk: Lowering, value: set[Any], depth: int) -> Any:
    return {"$set": _lower_members(walk, value, walk.enter(len(value) + 8, depth))}


def _lower_frozenset(walk: Lowering, value: frozenset[Any], depth: int) -> Any:
    return {"$frozenset": _lower_members(walk, value, walk.enter(len(value) + 8, depth))}


def _lower_deque(walk: Lowering, value: deque[Any], depth: int) -> Any:
    depth = walk.enter(len(value) + 8, depth)
    return {"$deque": [_lower_items(walk, list(value), depth, value), value.maxlen]}


def _lower_ordered_dict(walk: Lowering, value: OrderedDict[Any, Any], depth: int) -> Any:
    return {"$ordereddict": _lower_pairs(walk, value, walk.enter(len(value) + 8, depth))}


def _lower_counter(walk: Lowering, value: Counter[Any], depth: int) -> Any:
    return {"$counter": _lower_pairs(walk, value, walk.enter(len(value) + 8, depth))}


def _lower_default_dict(walk: Lowering, value: defaultdict[Any, Any], depth: int) -> Any:
    factory = value.default_factory
    if factory is not None and factory not in _FACTORIES:
        raise Refusal(f"defaultdict with the factory {shorten(factory)} cannot be carried")
    name = None if factory is None else getattr(factory, "__name__", "")
    return {"$defaultdict": [name, _lower_pairs(walk, value, walk.enter(len(value) + 8, depth))]}


def _lift_tuple(tree: dict[str, Any], depth: int) -> Any:
    return tuple(_lift_items(tree["$tuple"], depth))


def _lift_items(items: Any, depth: int) -> list[Any]:
    if type(items) is not list:
        raise Malformed("its members are not a list")
    for index, item in enumerate(items):
        kind = type(item)
        if kind is dict or kind is list:
            items[index] = lift(item, depth)
    return items


def _lift_pairs(pairs: Any, depth: int) -> list[tuple[Any, Any]]:
    if type(pairs) is not list:
        raise Malformed("its members are not a list")
    return [(lift(key, depth), lift(item, depth)) for key, item in pairs]


def _lift_dict(tree: dict[str, Any], depth: int) -> Any:
    return dict(_lift_pairs(tree["$dict"], depth))


def _lift_set(tree: dict[str, Any], depth: int) -> Any:
    return set(_lift_items(tree["$set"], depth))


def _lift_frozenset(tree: dict[str, Any], depth: int) -> Any:
    return frozenset(_lift_items(tree["$frozenset"], depth))


def _lift_deque(tree: dict[str, Any], depth: int) -> Any:
    items, limit = tree["$deque"]
    return deque(_lift_items(items, depth), limit)


def _lift_ordered_dict(tree: dict[str, Any], depth: int) -> Any:
    return OrderedDict(_lift_pairs(tree["$ordereddict"], depth))


def _lift_counter(tree: dict[str, Any], depth: int) -> Any:
    return Counter(dict(_lift_pairs(tree["$counter"], depth)))


def _lift_default_dict(tree: dict[str, Any], depth: int) -> Any:
    name, pairs = tree["$defaultdict"]
    factory: Callable[[], Any] | None = None
    if name is not None:
        factory = getattr(builtins, name)
        if factory not in _FACTORIES:
            raise Malformed("its factory is not one that is carried")
    return defaultdict(factory, _lift_pairs(pairs, depth))


LOWER.update(
    {
        list: _lower_list,
        dict: _lower_dict,
        tuple: _lower_tuple,
        set: _lower_set,
        frozenset: _lower_frozenset,
        deque: _lower_deque,
        OrderedDict: _lower_ordered_dict,
        Counter: _lower_counter,
        defaultdict: _lower_default_dict,
    }
)
LIFT.update(
    {
        "$tuple": _lift_tuple,
        "$dict": _lift_dict,
        "$set": _lift_set,
        "$frozenset": _lift_frozenset,
        "$deque": _lift_deque,
        "$ordereddict": _lift_ordered_dict,
        "$counter": _lift_counter,
        "$defaultdict": _lift_default_dict,
    }
)
