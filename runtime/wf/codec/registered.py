"""Classes that say themselves how they are carried, and the runtime's own tags."""

from __future__ import annotations

import inspect
import operator
from collections.abc import Callable
from enum import Enum
from types import FunctionType
from typing import Any, TypeVar, overload
from weakref import WeakKeyDictionary, WeakValueDictionary

import msgspec

from wf.codec.exceptions import lower_exception
from wf.codec.names import find_class, remember, type_name
from wf.codec.opaque import make_opaque
from wf.codec.walk import LIFT, LOWER, Lower, Lowering, Refusal, forget_resolved, lift
from wf.errors import SerializationError, WorkflowError

T = TypeVar("T")


class _Registration(msgspec.Struct, frozen=True):
    """How a class is carried. Without `deserialize` the class's own methods are used."""

    class_id: str | None
    serialize: Callable[[Any], Any]
    deserialize: Callable[[Any], Any] | None


_registrations: WeakKeyDictionary[type, _Registration] = WeakKeyDictionary()
_by_class_id: WeakValueDictionary[str, type] = WeakValueDictionary()


@overload
def serializable(cls: type[T]) -> type[T]: ...


@overload
def serializable(*, class_id: str | None = None) -> Callable[[type[T]], type[T]]: ...


def serializable(cls: type[T] | None = None, *, class_id: str | None = None) -> Any:
    """Mark a class that carries itself.

    It has a method `_workflow_serialize(self)`, which gives any carried value, and a class method
    `_workflow_deserialize(cls, data)`, which makes an instance of it. Subclasses are carried in the
    same way, as themselves. `class_id` fixes the name under which instances are recorded.
    """

    def mark(target: type[T]) -> type[T]:
        register_serializable(target, class_id=class_id)
        return target

    return mark if cls is None else mark(cls)


def register_serializable(
    cls: type[T],
    serialize: Callable[[T], Any] | None = None,
    deserialize: Callable[[Any], T] | None = None,
    *,
    class_id: str | None = None,
) -> None:
    """Say how instances of a class are carried, with functions or the class's own two methods.

    Functions cover the class itself and not its subclasses, which they could not tell apart.
    Raises TypeError for a class that has not both methods when no functions are given. Enums need
    neither. Registering a class again replaces what was said before.
    """
    if not isinstance(cls, type):
        raise TypeError(f"register_serializable needs a class, not {type(cls).__name__}")
    is_enum = issubclass(cls, Enum)
    if is_enum and serialize is None and deserialize is None and not hasattr(cls, "_workflow_serialize"):
        return
    if serialize is None:
        if not callable(getattr(cls, "_workflow_serialize", None)):
            raise TypeError(f"{cls.__qualname__} needs a method `_workflow_serialize(self)`, or pass serialize=")
        serialize = operator.methodcaller("_workflow_serialize")
    if deserialize is None and not _is_bound(cls):
        raise TypeError(
            f"{cls.__qualname__} needs a class method `_workflow_deserialize(cls, data)`, or pass deserialize="
        )
    _registrations[cls] = _Registration(class_id, serialize, deserialize)
    _by_class_id[class_id or remember(cls)] = cls
    forget_resolved()


def register_tag(tag: str, cls: type[T], to_data: Callable[[T], Any], from_data: Callable[[Any], T]) -> None:
    """Give one of wf's own classes a tag, `{"$tag": data}`. Only exact instances are carried by it.

    `to_data` gives any carried value, `from_data` makes the instance of it. A tag is part of the
    log's format: it must never change or be used again for something else.
    """
    if not tag.startswith("$"):
        tag = f"${tag}"

    def lower_tagged(walk: Lowering, value: Any, depth: int) -> Any:
        return {tag: walk.lower(to_data(value), walk.enter(8, depth))}

    def lift_tagged(tree: dict[str, Any], depth: int) -> Any:
        return from_data(lift(tree[tag], depth))

    LOWER[cls] = lower_tagged
    LIFT[tag] = lift_tagged
    forget_resolved()


def _is_bound(cls: type) -> bool:
    """Say whether the class has a `_workflow_deserialize` that can be called with data alone."""
    method = inspect.getattr_static(cls, "_workflow_deserialize", None)
    if isinstance(method, FunctionType):  # without @classmethod: right only if it takes just the data
        return method.__code__.co_argcount == 1
    return callable(getattr(cls, "_workflow_deserialize", None))


def _registration(cls: type) -> _Registration | None:
    """Find what covers a class: its own registration, or that of a base whose methods it inherits."""
    for base in cls.__mro__:
        found = _registrations.get(base)
        if found is None:
            continue
        if base is cls:
            return found
        # Only a class method knows which class it is to make; others would change the class silently.
        method = inspect.getattr_static(cls, "_workflow_deserialize", None)
        return found if found.deserialize is None and isinstance(method, classmethod) else None
    return None


def _is_registered(cls: type) -> bool:
    return _registration(cls) is not None


def resolve_registered(cls: type) -> Lower | None:
    if not _is_registered(cls):
        return None
    own = _registrations.get(cls)
    name = (own.class_id if own else None) or remember(cls)

    def lower_registered(walk: Lowering, value: Any, depth: int) -> Any:
        depth = walk.enter(8, depth)
        registration = _registration(type(value))
        assert registration is not None
        try:
            data = registration.serialize(value)
        except WorkflowError:
            raise
        except Exception as error:
            if isinstance(value, BaseException):
                return lower_exception(walk, value, depth)
            raise Refusal(f"serializing {type(value).__name__} raised {_describe(error)}") from error
        try:
            return {"$object": [name, walk.lower(data, depth)]}
        except Refusal as refusal:
            if isinstance(value, BaseException):
                return lower_exception(walk, value, depth)
            refusal.at("._workflow_serialize()", value)
            raise

    return lower_registered


def _lift_registered(tree: dict[str, Any], depth: int) -> Any:
    name, data = tree["$object"]
    cls = _by_class_id.get(name) or find_class(name, _is_registered)
    registration = _registration(cls) if cls else None
    if cls is None or registration is None:
        return make_opaque(tree)
    data = lift(data, depth)
    deserialize = registration.deserialize or cls._workflow_deserialize  # type: ignore[attr-defined]
    try:
        return deserialize(data)
    except WorkflowError:
        raise
    except Exception as error:
        reason = f"deserializing {type_name(cls).replace(':', '.')} raised {_describe(error)}"
        raise SerializationError("", reason) from error


def _describe(error: Exception) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:  # a user's __str__ may do anything
        return type(error).__name__


LIFT["$object"] = _lift_registered
