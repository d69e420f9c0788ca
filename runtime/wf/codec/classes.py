"""Instances of users' classes: dataclasses, enums, named tuples, msgspec Structs, pydantic models.

1. An instance is written as its class's name and its fields, and rebuilt field by field: no
   `__init__`, `__post_init__` or validator runs, when writing or when reading.
2. What an instance holds beside its fields is carried too, or refused; never dropped. Cached
   properties are the exception, since they can be computed again.
3. The class is found among loaded modules and must be of the sort that was written; else the
   value stays opaque. Fields that the class got since then take their defaults.
"""

from __future__ import annotations

import copy
import dataclasses
import functools
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from enum import Enum, Flag
from typing import Any, Final

import msgspec

from wf.codec.names import find_class, remember, type_name
from wf.codec.opaque import make_opaque
from wf.codec.walk import LIFT, Lower, Lowering, Malformed, Refusal, lift

_MISSING: Final = object()
_DERIVED: Final = frozenset({"__orig_class__"})
"""What Python itself leaves in instances: `Box[int](1)` notes there how it was called."""


def _lower_attributes(walk: Lowering, values: Mapping[str, Any], depth: int, owner: object) -> dict[str, Any]:
    name = ""
    lowered = {}
    try:
        for name, item in values.items():
            if type(name) is not str:
                raise Refusal("attribute without a name cannot be carried")
            lowered[name] = walk.lower(item, depth)
    except Refusal as refusal:
        refusal.at(f".{name}", owner)
        raise
    return lowered


def _lift_attributes(tree: Any, depth: int) -> dict[str, Any]:
    if type(tree) is not dict:
        raise Malformed("its attributes are not an object")
    return {name: lift(item, depth) for name, item in tree.items()}


def _extras(value: object, fields: Iterable[str]) -> dict[str, Any]:
    """Collect what an instance holds beside its fields, in its dict and in slots."""
    cls = type(value)
    fields = frozenset(fields)
    extras = {
        name: item
        for name, item in getattr(value, "__dict__", {}).items()
        if name not in fields and name not in _DERIVED and not isinstance(_static(cls, name), functools.cached_property)
    }
    for name in slots_of(cls):
        if name not in fields and (item := getattr(value, name, _MISSING)) is not _MISSING:
            extras[name] = item
    return extras


def _static(cls: type, name: str) -> object:
    return next((vars(base)[name] for base in cls.__mro__ if name in vars(base)), None)


def slots_of(cls: type) -> list[str]:
    """Name all slots that Python code gave a class and its bases."""
    found: list[str] = []
    for base in cls.__mro__:
        slots = vars(base).get("__slots__", ())
        for slot in (slots,) if isinstance(slots, str) else slots:
            if slot not in ("__dict__", "__weakref__"):
                private = slot.startswith("__") and not slot.endswith("__")
                found.append(f"_{base.__name__.lstrip('_')}{slot}" if private else slot)
    return found


def _set(instance: object, attributes: Mapping[str, Any]) -> None:
    for name, item in attributes.items():
        # A class may have lost a slot since then; what it dropped has no place any more.
        with suppress(AttributeError):
            object.__setattr__(instance, name, item)


# -- dataclasses --------------------------------------------------------------------------------


def resolve_dataclass(cls: type) -> Lower | None:
    if not is_dataclass(cls):
        return None
    fields = tuple(field.name for field in dataclasses.fields(cls))
    known = frozenset(fields)
    is_exact = not slots_of(cls)

    def lower_dataclass(walk: Lowering, value: Any, depth: int) -> Any:
        depth = walk.enter(len(fields) + 8, depth)
        name = remember(type(value))
        field = ""
        lowered = {}
        lower = walk.lower
        try:
            for field in fields:
                item = getattr(value, field, _MISSING)
                if item is not _MISSING:
                    lowered[field] = lower(item, depth)
        except Refusal as refusal:
            refusal.at(f".{field}", value)
            raise
        if is_exact and value.__dict__.keys() <= known:
            return {"$dataclass": [name, lowered]}
        extras = _extras(value, known)
        if extras:
            return {"$dataclass": [name, lowered, _lower_attributes(walk, extras, depth, value)]}
        return {"$dataclass": [name, lowered]}

    return lower_dataclass


def is_dataclass(cls: type) -> bool:
    # Only classes laid out like plain objects: a dataclass that is also a dict has more than fields.
    maker: Any = cls.__new__
    return hasattr(cls, "__dataclass_fields__") and (maker is object.__new__ or native_base(cls) is object)


def native_base(cls: type) -> type:
    """Give the nearest base that was written in C and makes the instances."""
    is_python = 1 << 9  # Py_TPFLAGS_HEAPTYPE
    return next(base for base in cls.__mro__ if "__new__" in vars(base) and not base.__flags__ & is_python)


def _lift_dataclass(tree: dict[str, Any], depth: int) -> Any:
    name, fields, *more = tree["$dataclass"]
    cls = find_class(name, is_dataclass)
    if cls is None:
        return make_opaque(tree)
    instance: Any = object.__new__(cls)
    place = object.__setattr__
    known: Mapping[str, Any] = cls.__dataclass_fields__  # type: ignore[attr-defined]
    for field, item in fields.items():
        kind = type(item)
        if kind is dict or kind is list:
            item = lift(item, depth)
        if field in known:
            place(instance, field, item)
        else:
            _set(instance, {field: item})
    if len(fields) < len(known):
        for missing in dataclasses.fields(cls):
            if missing.name not in fields:
                _set(instance, _default(missing.name, missing.default, missing.default_factory, dataclasses.MISSING))
    if more:
        _set(instance, _lift_attributes(more[0], depth))
    return instance


def _default(name: str, default: Any, factory: Any, missing: object) -> dict[str, Any]:
    if default is not missing:
        # pydantic lets instances have mutable defaults, and copies them.
        return {name: copy.deepcopy(default) if isinstance(default, (list, dict, set)) else default}
    # Factories of the user's own are not run: loading data runs no code.
    if isinstance(factory, type) and factory.__module__ == "builtins":
        return {name: factory()}
    return {}


# -- enums --------------------------------------------------------------------------------------


def resolve_enum(cls: type) -> Lower | None:
    return _lower_enum if issubclass(cls, Enum) else None


def _lower_enum(walk: Lowering, value: Enum, depth: int) -> Any:
    cls = type(value)
    name = remember(cls)
    member = value._name_
    if member is not None and cls.__members__.get(member) is value:
        return {"$enum": [name, member]}
    if isinstance(value, Flag):  # a combination of members has no name of its own
        return {"$enum": [name, walk.lower(value._value_, depth)]}
    raise Refusal(f"{cls.__name__} member without a name cannot be carried")


def _lift_enum(tree: dict[str, Any], depth: int) -> Any:
    name, member = tree["$enum"]
    cls: Any = find_class(name, lambda found: issubclass(found, Enum))
    if cls is None:
        return make_opaque(tree)
    if type(member) is str:
        found = cls.__members__.get(member)
        return make_opaque(tree) if found is None else found
    if not issubclass(cls, Flag):
        raise Malformed("its member is not named")
    try:
        return cls(lift(member, depth))
    except ValueError:  # a flag that the class has lost
        return make_opaque(tree)


# -- named tuples -------------------------------------------------------------------------------


def resolve_named_tuple(cls: type) -> Lower | None:
    return _lower_named_tuple if _is_named_tuple(cls) else None


def _is_named_tuple(cls: type) -> bool:
    return issubclass(cls, tuple) and isinstance(getattr(cls, "_fields", None), tuple)


def _lower_named_tuple(walk: Lowering, value: Any, depth: int) -> Any:
    depth = walk.enter(len(value) + 8, depth)
    if getattr(value, "__dict__", None) or len(value) != len(value._fields):
        raise Refusal(f"{type(value).__name__} with more than its fields cannot be carried")
    name = remember(type(value))
    fields = dict(zip(value._fields, tuple.__iter__(value), strict=True))
    return {"$namedtuple": [name, list(_lower_attributes(walk, fields, depth, value).values())]}


def _lift_named_tuple(tree: dict[str, Any], depth: int) -> Any:
    name, items = tree["$namedtuple"]
    cls: Any = find_class(name, _is_named_tuple)
    if cls is None or len(cls._fields) != len(items):
        return make_opaque(tree)
    return tuple.__new__(cls, [lift(item, depth) for item in items])


# -- msgspec Structs ----------------------------------------------------------------------------


def resolve_struct(cls: type) -> Lower | None:
    return _lower_struct if issubclass(cls, msgspec.Struct) else None


def _lower_struct(walk: Lowering, value: Any, depth: int) -> Any:
    depth = walk.enter(len(value.__struct_fields__) + 8, depth)
    name = remember(type(value))
    items = {field: getattr(value, field, _MISSING) for field in value.__struct_fields__}
    fields = {field: item for field, item in items.items() if item is not _MISSING}
    lowered = _lower_attributes(walk, fields, depth, value)
    extras = {field: item for field, item in getattr(value, "__dict__", {}).items() if field not in items}
    if extras:
        return {"$struct": [name, lowered, _lower_attributes(walk, extras, depth, value)]}
    return {"$struct": [name, lowered]}


def _lift_struct(tree: dict[str, Any], depth: int) -> Any:
    name, fields, *more = tree["$struct"]
    cls: Any = find_class(name, lambda found: issubclass(found, msgspec.Struct))
    if cls is None:
        return make_opaque(tree)
    lifted = _lift_attributes(fields, depth)
    known = {field: item for field, item in lifted.items() if field in cls.__struct_fields__}
    if hasattr(cls, "__post_init__"):
        instance = _quiet(cls)(**known)
        msgspec.structs.force_setattr(instance, "__class__", cls)
    else:
        instance = cls(**known)
    if more:
        for field, item in _lift_attributes(more[0], depth).items():
            msgspec.structs.force_setattr(instance, field, item)
    return instance


@functools.lru_cache(maxsize=64)
def _quiet(cls: Any) -> Any:
    """Make the class that is `cls` without `__post_init__`; Structs have no other way around it."""
    return msgspec.defstruct(cls.__name__, [], bases=(cls,), namespace={"__post_init__": lambda instance: None})


# -- pydantic -----------------------------------------------------------------------------------
# pydantic is never imported here: a model can only exist where the user's code has imported it.


# Attributes of its package are not asked for either: they import what they name.


def _loaded(module: str, name: str) -> Any:
    return vars(sys.modules[module]).get(name) if module in sys.modules else None


def _is_model(cls: type) -> bool:
    base = _loaded("pydantic.main", "BaseModel")
    return base is not None and issubclass(cls, base)


def resolve_model(cls: type) -> Lower | None:
    return _lower_model if _is_model(cls) else None


def _lower_model(walk: Lowering, value: Any, depth: int) -> Any:
    cls: Any = type(value)
    name = remember(cls)
    content = value.__dict__
    depth = walk.enter(len(content) + 8, depth)
    kept = {
        field: item
        for field, item in content.items()
        if field in cls.model_fields or not isinstance(_static(cls, field), functools.cached_property)
    }
    fields = _lower_attributes(walk, kept, depth, value)
    more: dict[str, Any] = {}
    if value.__pydantic_fields_set__ != kept.keys():
        more["set"] = sorted(value.__pydantic_fields_set__)
    if value.__pydantic_extra__ is not None:
        more["extra"] = _lower_attributes(walk, value.__pydantic_extra__, depth, value)
    if value.__pydantic_private__ is not None:
        undefined = _loaded("pydantic_core", "PydanticUndefined")
        private = {field: item for field, item in value.__pydantic_private__.items() if item is not undefined}
        more["private"] = _lower_attributes(walk, private, depth, value)
    return {"$pydantic": [name, fields, more] if more else [name, fields]}


def _lift_model(tree: dict[str, Any], depth: int) -> Any:
    name, fields, *rest = tree["$pydantic"]
    cls: Any = find_class(name, _is_model)
    if cls is None:
        return make_opaque(tree)
    more = rest[0] if rest else {}
    content = _lift_attributes(fields, depth)
    fields_set = set(more["set"]) if "set" in more else set(content)
    _add_defaults(content, cls.model_fields)
    instance = object.__new__(cls)
    object.__setattr__(instance, "__dict__", content)
    object.__setattr__(instance, "__pydantic_fields_set__", fields_set)
    if cls.__pydantic_root_model__:  # it has neither extra nor private attributes
        return instance
    extra = _lift_attributes(more["extra"], depth) if "extra" in more else None
    object.__setattr__(instance, "__pydantic_extra__", extra)
    private = _lift_attributes(more["private"], depth) if "private" in more else None
    if cls.__private_attributes__:
        private = private or {}
        _add_defaults(private, cls.__private_attributes__)
    object.__setattr__(instance, "__pydantic_private__", private)
    return instance


def _add_defaults(content: dict[str, Any], declared: Mapping[str, Any]) -> None:
    undefined = _loaded("pydantic_core", "PydanticUndefined")
    for name, info in declared.items():
        if name not in content:
            content.update(_default(name, info.default, info.default_factory, undefined))


def resolve_pydantic_value(cls: type) -> Lower | None:
    if _is_secret(cls):
        return _lower_secret
    return _lower_url if _is_url(cls) else None


def _is_secret(cls: type) -> bool:
    return cls in (_loaded("pydantic.types", "SecretStr"), _loaded("pydantic.types", "SecretBytes"))


def _is_url(cls: type) -> bool:
    return cls.__module__ in ("pydantic.networks", "pydantic_core._pydantic_core") and cls.__name__.endswith(
        ("Url", "Dsn")
    )


def _lower_secret(walk: Lowering, value: Any, depth: int) -> Any:
    return {"$secret": [type_name(type(value)), walk.lower(value.get_secret_value(), depth)]}


def _lower_url(walk: Lowering, value: Any, depth: int) -> Any:
    return {"$url": [type_name(type(value)), str(value)]}


def _lift_secret(tree: dict[str, Any], depth: int) -> Any:
    name, secret = tree["$secret"]
    cls = find_class(name, _is_secret)
    return make_opaque(tree) if cls is None else cls(lift(secret, depth))


def _lift_url(tree: dict[str, Any], depth: int) -> Any:
    name, text = tree["$url"]
    cls = find_class(name, _is_url)
    return make_opaque(tree) if cls is None else cls(text)


LIFT.update(
    {
        "$dataclass": _lift_dataclass,
        "$enum": _lift_enum,
        "$namedtuple": _lift_named_tuple,
        "$struct": _lift_struct,
        "$pydantic": _lift_model,
        "$secret": _lift_secret,
        "$url": _lift_url,
    }
)
