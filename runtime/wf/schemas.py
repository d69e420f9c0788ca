"""Schemas: what a hook's payload must look like, checked before anything is written.

A schema is a type that msgspec or pydantic can check, or a JSON Schema dict. It is recorded with
the hook as JSON Schema, so that a process without the type can check, too. A payload travels as
plain JSON values and becomes an instance of the type in the body.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any, get_args
from uuid import UUID

import msgspec

from wf.errors import ValidationError

# The formats that msgspec and pydantic write. JSON Schema alone takes any text for them, and the
# body would be the first to notice.
_FORMATS = {
    "date": date,
    "date-time": datetime,
    "decimal": Decimal,
    "duration": timedelta,
    "time": time,
    "uuid": UUID,
}


def is_pydantic(schema: Any) -> bool:
    """Tell whether a class is pydantic's, a model or a dataclass, without importing pydantic."""
    return "pydantic" in sys.modules and isinstance(schema, type) and hasattr(schema, "__pydantic_validator__")


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
        return msgspec.json.schema(schema)
    except Exception:  # a type may have parts that JSON Schema has no word for; the type still checks
        return None


def to_plain(payload: Any) -> Any:
    """Turn instances of models, enums, times and the like into plain values, at any depth.

    What has no plain form is given back as it is: the check after this names it.
    """
    try:
        return msgspec.to_builtins(_model_to_plain(payload), enc_hook=_model_to_plain)
    except Exception:
        return payload


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
