"""Schemas: what a hook's payload must look like, checked before anything is written.

A schema is a type that msgspec or pydantic can check, or a JSON Schema dict. It is recorded with
the hook as JSON Schema, so that a process without the type can check, too. A payload travels as
plain JSON values and becomes an instance of the type in the body.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import msgspec
from msgspec import inspect as types

from wf.errors import ValidationError

# The formats that msgspec and pydantic write, and `_name_formats`. JSON Schema alone takes any text for
# them, and the body would be the first to notice.
_FORMATS = {
    "byte": bytes,
    "date": date,
    "date-time": datetime,
    "decimal": Decimal,
    "duration": timedelta,
    "partial-time": time,
    "time": time,
    "uuid": UUID,
}


def is_pydantic(schema: Any) -> bool:
    """Tell whether a class is pydantic's, a model or a dataclass, without importing pydantic."""
    return "pydantic" in sys.modules and isinstance(schema, type) and hasattr(schema, "__pydantic_validator__")


def is_model(cls: type) -> bool:
    """Tell whether a class says which fields its instances have."""
    return is_pydantic(cls) or dataclasses.is_dataclass(cls) or issubclass(cls, msgspec.Struct)


def _needs_pydantic(schema: Any) -> bool:
    """Tell whether pydantic must check a type: it is made of its models or has its constraints."""
    if is_pydantic(schema):
        return True
    constraints = getattr(schema, "__metadata__", ())
    if any(type(part).__module__.split(".")[0] in ("pydantic", "annotated_types") for part in constraints):
        return True
    return any(_needs_pydantic(part) for part in get_args(schema))


def _adapter(schema: Any) -> Any:
    return sys.modules["pydantic"].TypeAdapter(schema)  # loaded: the schema is made of it


def describe_schema(schema: Any) -> dict[str, Any] | None:
    """Give a schema as JSON Schema, or None where there is none or it has no such form."""
    if schema is None or isinstance(schema, dict):
        return schema
    try:
        if _needs_pydantic(schema):
            return _adapter(schema).json_schema()  # type: ignore[no-any-return]
        return _describe(schema)
    except Exception:  # a type may have parts that JSON Schema has no word for; the type still checks
        return None


def _describe(schema: Any) -> dict[str, Any]:
    """Give what msgspec says of a type, with the formats that it leaves out."""
    kind = types.type_info(schema)
    classes: dict[Any, Any] = {}
    _find_classes(kind, classes)
    (described, *references), definitions = msgspec.json.schema_components(
        [schema, *classes], ref_template="#/$defs/{name}"
    )
    _name_formats(described, kind)
    for reference, found in zip(references, classes.values(), strict=True):
        definition = definitions[reference["$ref"].rpartition("/")[2]]
        items = definition.get("prefixItems", [])  # of a class that is written as an array; a tag comes first
        parts = definition.get("properties") or dict(
            zip([field.encode_name for field in found.fields], items[len(items) - len(found.fields) :], strict=True)
        )
        for field in found.fields:
            _name_formats(parts[field.encode_name], field.type)
    return {**described, "$defs": definitions} if definitions else described


def _find_classes(kind: Any, found: dict[Any, Any]) -> None:
    """Collect the classes with fields that a type is made of, each with what msgspec knows of it."""
    match kind:
        case types.Metadata():
            _find_classes(kind.type, found)
        case types.UnionType():
            for part in kind.types:
                _find_classes(part, found)
        case types.CollectionType():
            _find_classes(kind.item_type, found)
        case types.TupleType():
            for part in kind.item_types:
                _find_classes(part, found)
        case types.DictType():
            _find_classes(kind.value_type, found)
        case types.StructType() | types.DataclassType() | types.TypedDictType() | types.NamedTupleType():
            if kind.cls not in found:
                found[kind.cls] = kind
                for field in kind.fields:
                    _find_classes(field.type, found)


def _name_formats(node: dict[str, Any], kind: Any) -> None:
    """Name the formats of bytes, and of times that need not have a zone, within one schema."""
    match kind:
        case types.Metadata():
            _name_formats(node, kind.type)
        case types.DateTimeType():
            node.setdefault("format", "date-time")
        case types.TimeType():
            node.setdefault("format", "time")
        case types.BytesType() | types.ByteArrayType():
            node.setdefault("format", "byte")
        case types.CollectionType() if "items" in node:
            _name_formats(node["items"], kind.item_type)
        case types.TupleType() if kind.item_types:
            for part, its_kind in zip(node["prefixItems"], kind.item_types, strict=True):
                _name_formats(part, its_kind)
        case types.DictType() if "additionalProperties" in node:
            _name_formats(node["additionalProperties"], kind.value_type)
        case types.UnionType():  # msgspec lets a union have one text, one array and one object at most
            for member in kind.types:
                for option in node["anyOf"]:
                    if option.get("type", "") == _json_type(member):
                        _name_formats(option, member)


def _json_type(kind: Any) -> str | None:
    """Give the JSON type of what may hold a format."""
    while isinstance(kind, types.Metadata):
        kind = kind.type
    match kind:
        case types.DateTimeType() | types.TimeType() | types.BytesType() | types.ByteArrayType():
            return "string"
        case types.CollectionType() | types.TupleType():
            return "array"
        case types.DictType():
            return "object"
    return None


def to_plain(payload: Any) -> Any:
    """Turn instances of models, enums, times and the like into plain values, at any depth.

    What has no plain form is given back as it is: the check after this names it.
    """
    try:
        return msgspec.to_builtins(_model_to_plain(payload), enc_hook=_model_to_plain)
    except Exception:
        return payload


def dump(payload: Any, options: dict[str, Any]) -> Any:
    """Turn a model or dataclass into plain values with options of its own (`exclude_none=True`)."""
    if is_pydantic(type(payload)) and hasattr(payload, "model_dump"):
        return payload.model_dump(**{"mode": "json", **options})
    return dataclasses.asdict(payload, **options)


def _model_to_plain(value: Any) -> Any:
    return _adapter(type(value)).dump_python(value, mode="json") if is_pydantic(type(value)) else value


def check(plain: Any, schema: Any) -> Any:
    """Give the payload as the schema's type (for a JSON Schema: as it is), or raise `ValidationError`."""
    if schema is None:
        return plain
    if isinstance(schema, dict):
        check_json(plain, schema)
        return plain
    try:
        if _needs_pydantic(schema):
            return _adapter(schema).validate_python(plain)
        return msgspec.convert(plain, schema, strict=True)
    except (ValueError, TypeError) as error:
        raise ValidationError(f"the payload does not fit {getattr(schema, '__name__', schema)}: {error}") from error


def check_value(value: Any, kind: Any, what: str) -> Any:
    """Give a value that was carried as a type asks for it, or raise `ValidationError`.

    Instances of the type pass as they are, plain values become instances, and a type that can be
    checked by neither msgspec nor pydantic checks nothing.
    """
    if kind is Any or (isinstance(kind, type) and isinstance(value, kind)):
        return value
    try:
        if _needs_pydantic(kind):
            return _adapter(kind).validate_python(value)
        return msgspec.convert(value, kind, strict=True, dec_hook=_keep_instance)
    except TypeError:
        return value
    except ValueError as error:
        raise ValidationError(f"{what} does not fit {getattr(kind, '__name__', kind)}: {error}") from error


def _keep_instance(kind: Any, value: Any) -> Any:
    if not isinstance(value, kind):
        raise ValueError(f"Expected `{kind.__name__}`, got `{type(value).__name__}`")
    return value


def check_json(plain: Any, schema: dict[str, Any]) -> None:
    """Check a payload against a JSON Schema."""
    import jsonschema  # only who checks against a recorded schema pays for it

    try:
        kind: Any = jsonschema.validators.validator_for(schema, default=jsonschema.Draft202012Validator)
        extend: Any = jsonschema.validators.extend
        kind.check_schema(schema)
        arrays = kind.TYPE_CHECKER.redefine("array", lambda checker, value: isinstance(value, (list, tuple)))
        validator = extend(kind, type_checker=arrays)(schema, format_checker=_formats(jsonschema.FormatChecker))
        misfit: Any = jsonschema.exceptions.best_match(validator.iter_errors(plain))
    except jsonschema.SchemaError as error:
        raise ValidationError(f"the hook's schema is no JSON Schema: {error.message}") from None
    if misfit is not None:
        place = misfit.json_path.removeprefix("$").lstrip(".") or "payload"
        raise ValidationError(f"the payload does not fit the hook's schema: {place}: {misfit.message}")


def _formats(make: Any) -> Any:
    formats = make(formats=())
    for name, type_ in _FORMATS.items():
        formats.checks(name, raises=ValueError)(_reads_as(type_))
    return formats


def _reads_as(type_: type) -> Callable[[object], bool]:
    def reads(value: object) -> bool:
        if isinstance(value, str):
            msgspec.convert(value, type_)
        return True

    return reads
