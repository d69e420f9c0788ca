"""Fields: what a JSON Schema asks somebody to fill in. The browser studio has the same (`schema_forms.ts`).

1. Whatever a schema says, there is a field: what is not understood is edited as JSON.
2. A form is finite: a schema that contains itself, or is very large, ends in JSON.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import unquote

import msgspec

DEEPEST: Final = 6
MOST_FIELDS: Final = 400
"""Fields of one form; a schema that refers to itself three times has thousands within six levels."""
_LONG: Final = 200


class TextField(msgspec.Struct, frozen=True):
    is_long: bool = False
    format: str | None = None
    pattern: str | None = None
    note: str | None = None


class NumberField(msgspec.Struct, frozen=True):
    is_integer: bool = False
    low: float | None = None
    high: float | None = None
    note: str | None = None


class BooleanField(msgspec.Struct, frozen=True):
    note: str | None = None


class ChoiceField(msgspec.Struct, frozen=True):
    """One of some values; of a constant there is but one."""

    values: tuple[Any, ...]
    note: str | None = None


class ListField(msgspec.Struct, frozen=True):
    item: Field
    note: str | None = None


class MapField(msgspec.Struct, frozen=True):
    """An object with any keys, whose values are alike."""

    item: Field
    note: str | None = None


class ObjectField(msgspec.Struct, frozen=True):
    properties: tuple[Property, ...]
    note: str | None = None


class UnionField(msgspec.Struct, frozen=True):
    variants: tuple[Variant, ...]
    note: str | None = None


class JsonField(msgspec.Struct, frozen=True):
    """Anything, typed as JSON."""

    note: str | None = None


Field = (
    TextField | NumberField | BooleanField | ChoiceField | ListField | MapField | ObjectField | UnionField | JsonField
)


class Property(msgspec.Struct, frozen=True):
    """`fallback` is what the code takes where this is left out, as text."""

    name: str
    field: Field
    is_required: bool = False
    fallback: str | None = None


class Variant(msgspec.Struct, frozen=True):
    label: str
    field: Field


def describe(schema: Any) -> Field:
    """Describe a schema as fields. `$ref`s are followed into `$defs`."""
    return _Describer(schema).describe(schema, 0)


def name_type(field: Field) -> str:
    """Say in a word or two what a field takes: `whole number`, `list of text`."""
    match field:
        case TextField():
            return field.format or "text"
        case NumberField():
            return "whole number" if field.is_integer else "number"
        case BooleanField():
            return "true or false"
        case ChoiceField():
            return "one of" if len(field.values) > 1 else ""
        case ListField():
            return f"list of {name_type(field.item) or 'values'}"
        case MapField():
            return "keys and values"
        case ObjectField():
            return "object"
        case UnionField():
            return " or ".join(variant.label for variant in field.variants)
        case JsonField():
            return "any JSON"


class _Describer:
    """Describes the parts of one schema, and counts them."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = MOST_FIELDS

    def describe(self, schema: Any, depth: int) -> Field:
        self._left -= 1
        if not isinstance(schema, dict) or depth > DEEPEST or self._left < 0:
            return JsonField()
        note = _text(schema.get("description"))
        if isinstance(schema.get("$ref"), str):
            found = self._follow(schema["$ref"])
            return JsonField(note) if found is None else self.describe(found, depth + 1)
        if "const" in schema:
            return ChoiceField((schema["const"],), note)
        if isinstance(schema.get("enum"), list) and schema["enum"]:
            return ChoiceField(tuple(schema["enum"]), note)
        variants = schema.get("anyOf", schema.get("oneOf"))
        if isinstance(variants, list) and variants:
            return self._describe_union(variants, depth, note)
        every = schema.get("allOf")
        if isinstance(every, list) and len(every) == 1:
            return self.describe(every[0], depth + 1)
        kind = schema.get("type")
        if isinstance(kind, list) and kind:
            return self._describe_union([{**schema, "type": one} for one in kind], depth, note)
        return self._describe_type(schema, kind, depth, note)

    def _describe_type(self, schema: dict[str, Any], kind: Any, depth: int, note: str | None) -> Field:
        match kind:
            case "string":
                least = schema.get("minLength")
                is_long = schema.get("format") == "textarea" or (isinstance(least, int) and least > _LONG)
                format = _text(schema.get("format")) or _text(schema.get("contentEncoding"))
                return TextField(is_long, format, _text(schema.get("pattern")), note)
            case "integer" | "number":
                low, high = _number(schema.get("minimum")), _number(schema.get("maximum"))
                return NumberField(kind == "integer", low, high, note)
            case "boolean":
                return BooleanField(note)
            case "null":
                return ChoiceField((None,), note)
            case "array" if not isinstance(schema.get("prefixItems"), list):
                return ListField(self.describe(schema.get("items"), depth + 1), note)
            case "object":
                return self._describe_object(schema, depth, note)
        return JsonField(note)

    def _describe_object(self, schema: dict[str, Any], depth: int, note: str | None) -> Field:
        properties = schema.get("properties")
        more = schema.get("additionalProperties")
        if isinstance(properties, dict) and properties:
            named = schema.get("required")
            required = {name for name in named if isinstance(name, str)} if isinstance(named, list) else set[str]()
            found = [
                Property(name, self.describe(one, depth + 1), name in required, _find_fallback(one))
                for name, one in properties.items()
            ]
            return ObjectField(tuple(found), note)
        if isinstance(properties, dict) and more is False:
            return ObjectField((), note)
        if isinstance(more, dict) and more:
            return MapField(self.describe(more, depth + 1), note)
        return JsonField(note)

    def _describe_union(self, variants: list[Any], depth: int, note: str | None) -> Field:
        if len(variants) == 1:
            return self.describe(variants[0], depth + 1)
        found = [Variant(self._name(one), self.describe(one, depth + 1)) for one in variants]
        return UnionField(tuple(found), note)

    def _name(self, schema: Any) -> str:
        if not isinstance(schema, dict):
            return "any"
        title = _text(schema.get("title"))
        if title is not None:
            return title
        reference = _text(schema.get("$ref"))
        if reference is not None:
            found = self._follow(reference)
            return (found and _text(found.get("title"))) or reference.rpartition("/")[2]
        if "const" in schema:
            return _dump(schema["const"])
        if isinstance(schema.get("enum"), list):
            return " | ".join(_dump(one) for one in schema["enum"])
        return _text(schema.get("format")) or _text(schema.get("type")) or "any"

    def _follow(self, reference: str) -> dict[str, Any] | None:
        if not reference.startswith("#/"):
            return None
        found = self._root
        for part in reference[2:].split("/"):
            name = unquote(part).replace("~1", "/").replace("~0", "~")
            found = found.get(name) if isinstance(found, dict) else None
        return found if isinstance(found, dict) else None


def _find_fallback(schema: Any) -> str | None:
    return _dump(schema["default"]) if isinstance(schema, dict) and "default" in schema else None


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, (int, float)) and not isinstance(value, bool) else None


def rename_fallbacks(field: Field, fallbacks: dict[str, str | None]) -> Field:
    """Give an object's properties the defaults that the code writes, where those are known."""
    if not isinstance(field, ObjectField):
        return field
    known: Sequence[Property] = [
        msgspec.structs.replace(one, fallback=fallbacks.get(one.name) or one.fallback) for one in field.properties
    ]
    return ObjectField(tuple(known), field.note)
