"""Encoding: a value becomes canonical JSON text; the same value always becomes the same bytes."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

from wf.codec import classes
from wf.codec.exceptions import resolve_exception
from wf.codec.registered import resolve_registered
from wf.codec.walk import MAX_INT, RESOLVERS, Lowering, Refusal, dump
from wf.errors import SerializationError, WorkflowError

# What a class says itself comes first; an exception that is also a dataclass is an exception.
RESOLVERS.extend(
    [
        resolve_registered,
        resolve_exception,
        classes.resolve_enum,
        classes.resolve_model,
        classes.resolve_struct,
        classes.resolve_dataclass,
        classes.resolve_named_tuple,
        classes.resolve_pydantic_value,
    ]
)


def encode(value: Any, path: str = "value") -> bytes:
    """Write a value as tagged JSON.

    Raises SerializationError where a part of it cannot be carried; `path` names the value as a
    whole in that error, as in `value.points[0].y: function cannot be carried`.
    """
    # Every step encodes two small values, mostly these: they skip the walk.
    kind = type(value)
    try:
        if kind is dict:
            if _is_plain(value):
                return dump(value)
        elif kind is str or kind is bool or value is None or (kind is int and -MAX_INT <= value < MAX_INT):
            return dump(value)
    except UnicodeEncodeError:
        pass
    return _dump(lambda walk: walk.lower(value, 0), path)


def encode_arguments(arguments: dict[str, Any]) -> bytes:
    """Write arguments by parameter name; paths in errors begin with the parameter's name."""
    try:
        if _is_plain(arguments):
            return dump(arguments)
    except UnicodeEncodeError:
        pass
    return _dump(lambda walk: _lower_arguments(walk, arguments), "arguments")


def _is_plain(value: dict[Any, Any]) -> bool:
    key: Any = ""
    for key, item in value.items():
        if type(key) is not str:
            return False
        kind = type(item)
        if kind is str or kind is bool or item is None:
            continue
        if kind is int:
            if not -MAX_INT <= item < MAX_INT:
                return False
        elif kind is not float or not isfinite(item):
            return False
    return len(value) != 1 or key[:1] != "$"


def _lower_arguments(walk: Lowering, arguments: dict[str, Any]) -> Any:
    lowered = {}
    for name, value in arguments.items():
        try:
            lowered[name] = walk.lower(value, 1)
        except Refusal as refusal:
            raise refusal.to_error(name) from refusal.__cause__
    # As a dict of the user's would be: a function may take `**{"$set": 1}`.
    return {"$dict": list(lowered.items())} if len(lowered) == 1 and next(iter(lowered))[:1] == "$" else lowered


def _dump(lower: Callable[[Lowering], Any], path: str) -> bytes:
    try:
        try:
            return dump(lower(Lowering()))
        except UnicodeEncodeError:
            return dump(lower(Lowering(is_careful=True)))
    except Refusal as refusal:
        raise refusal.to_error(path) from refusal.__cause__
    except (WorkflowError, MemoryError):
        raise
    except RecursionError:
        raise SerializationError(path, "the stack of calls is too deep to encode it here") from None
    except Exception as error:  # what a property, a `__hash__` or a `__getattr__` of the user's raised
        raise SerializationError(path, f"reading it raised {type(error).__name__}") from error
