"""Schemas: what a hook's payload must look like, checked before anything is written.

A schema is a type that msgspec or pydantic can check, or a JSON Schema dict. It is recorded with
the hook as JSON Schema, so that a process without the type can check, too. A payload travels as
plain JSON values and becomes an instance of the type in the body.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

import msgspec

from wf.errors import ValidationError


def is_pydantic(schema: Any) -> bool:
    """Tell whether a class is a pydantic model, without importing pydantic."""
    pydantic = sys.modules.get("pydantic")
    return pydantic is not None and isinstance(schema, type) and issubclass(schema, pydantic.BaseModel)


def describe_schema(schema: Any) -> dict[str, Any] | None:
    """Give a schema as JSON Schema, or None where there is none or it has no such form."""
    if schema is None or isinstance(schema, dict):
        return schema
    try:
        if is_pydantic(schema):
            return schema.model_json_schema()  # type: ignore[no-any-return]
        return msgspec.json.schema(schema)
    except Exception:  # a type may have parts that JSON Schema has no word for; the type still checks
        return None


def to_plain(payload: Any) -> Any:
    """Turn an instance of a model into plain values; anything else is given back as it is."""
    if is_pydantic(type(payload)):
        return payload.model_dump(mode="json")
    if isinstance(payload, msgspec.Struct) or dataclasses.is_dataclass(payload):
        return msgspec.to_builtins(payload)
    return payload


def check(plain: Any, schema: Any) -> Any:
    """Give the payload as the schema's type (for a JSON Schema: as it is), or raise `ValidationError`."""
    if schema is None:
        return plain
    if isinstance(schema, dict):
        check_json(plain, schema)
        return plain
    try:
        if is_pydantic(schema):
            return schema.model_validate(plain)
        return msgspec.convert(plain, schema, strict=True)
    except (msgspec.ValidationError, ValueError, TypeError) as error:
        raise ValidationError(f"the payload does not fit {getattr(schema, '__name__', schema)}: {error}") from error


def check_json(plain: Any, schema: dict[str, Any]) -> None:
    """Check a payload against a JSON Schema."""
    import jsonschema  # only who checks against a recorded schema pays for it

    try:
        jsonschema.validate(plain, schema)
    except jsonschema.ValidationError as error:
        place = error.json_path.removeprefix("$").lstrip(".") or "payload"
        raise ValidationError(f"the payload does not fit the hook's schema: {place}: {error.message}") from None
    except jsonschema.SchemaError as error:
        raise ValidationError(f"the hook's schema is no JSON Schema: {error.message}") from None
