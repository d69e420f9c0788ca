"""Drafts: what somebody has typed into a field so far. Text stays text until it is read.

    blank(field)        what an untouched field holds: what is required is there, the rest is left out
    fill(field, value)  what reads as a value: a remembered input
    read(field, draft)  the value, or what is wrong with it, by the paths that the form shows

1. What is left out is not sent, so that the code's own defaults hold.
2. Who receives the value checks it again, and has the last word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from wfstudio.tui.forms.fields import (
    BooleanField,
    ChoiceField,
    Field,
    JsonField,
    ListField,
    MapField,
    NumberField,
    ObjectField,
    TextField,
    UnionField,
)

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_MOST_DIGITS: Final = 1_000
"""Characters of a number. Python writes none of more than 4 300 digits, and an exponent makes it longer."""
_PLAIN: Final = re.compile(r"[A-Za-z_]\w*", re.ASCII)


class Typed(msgspec.Struct, frozen=True):
    """Of a text, a number, or JSON."""

    text: str = ""


class Flag(msgspec.Struct, frozen=True):
    is_on: bool = False


class Chosen(msgspec.Struct, frozen=True):
    index: int = 0


class Items(msgspec.Struct, frozen=True):
    items: tuple[Draft, ...] = ()


class Entries(msgspec.Struct, frozen=True):
    """The keys and values of a map. Keys may be there twice, while they are typed."""

    entries: tuple[tuple[str, Draft], ...] = ()


class Given(msgspec.Struct, frozen=True):
    """The properties of an object that are not left out."""

    given: dict[str, Draft] = {}


class Kind(msgspec.Struct, frozen=True):
    """Which variant of a union, and what that holds."""

    index: int
    draft: Draft


Draft = Typed | Flag | Chosen | Items | Entries | Given | Kind


class Problem(msgspec.Struct, frozen=True):
    """What is wrong, and where: `lines[2].price`. The path of the whole is empty."""

    path: str
    message: str

    @property
    def shown(self) -> str:
        return f"{self.path} {self.message}" if self.path else self.message


class Reading(msgspec.Struct, frozen=True):
    """`value` is there where there are no problems."""

    value: Any = None
    problems: tuple[Problem, ...] = ()


def blank(field: Field) -> Draft:
    """Give what an untouched field holds."""
    match field:
        case TextField() | NumberField() | JsonField():
            return Typed()
        case BooleanField():
            return Flag()
        case ChoiceField():
            return Chosen()
        case ListField():
            return Items()
        case MapField():
            return Entries()
        case ObjectField():
            return Given({one.name: blank(one.field) for one in field.properties if one.is_required})
        case UnionField():
            return Kind(0, blank(field.variants[0].field))


def fill(field: Field, value: Any) -> Draft:
    """Give the draft that reads as `value`. Where the value does not fit the field, the field is blank."""
    match field:
        case TextField():
            return Typed(value if isinstance(value, str) else "")
        case NumberField():
            return Typed(_dump(value) if _is_number(value) else "")
        case BooleanField():
            return Flag(value is True)
        case ChoiceField():
            found = [index for index, one in enumerate(field.values) if _is_same(one, value)]
            return Chosen(found[0] if found else 0)
        case ListField():
            return Items(tuple(fill(field.item, one) for one in value) if isinstance(value, list) else ())
        case MapField():
            pairs = value.items() if isinstance(value, dict) else ()
            return Entries(tuple((key, fill(field.item, one)) for key, one in pairs))
        case ObjectField():
            there = value if isinstance(value, dict) else {}
            return Given(
                {
                    one.name: fill(one.field, there[one.name]) if one.name in there else blank(one.field)
                    for one in field.properties
                    if one.name in there or one.is_required
                }
            )
        case UnionField():
            fitting = [index for index, one in enumerate(field.variants) if suits(one.field, value)]
            index = fitting[0] if fitting else 0
            return Kind(index, fill(field.variants[index].field, value))
        case JsonField():
            return Typed(json.dumps(value, ensure_ascii=False, indent=2))


def suits(field: Field, value: Any) -> bool:
    """Tell whether a value is of a field's kind, so that nothing of it is lost when the field is filled with it."""
    match field:
        case TextField():
            return isinstance(value, str)
        case NumberField():
            return _is_number(value) and (not field.is_integer or isinstance(value, int) or value.is_integer())
        case BooleanField():
            return isinstance(value, bool)
        case ChoiceField():
            return any(_is_same(one, value) for one in field.values)
        case ListField():
            return isinstance(value, list) and all(suits(field.item, one) for one in value)
        case MapField():
            return isinstance(value, dict) and all(suits(field.item, one) for one in value.values())
        case ObjectField():
            fields = {one.name: one.field for one in field.properties}
            return (
                isinstance(value, dict)
                and all(name in fields and suits(fields[name], one) for name, one in value.items())
                and all(one.name in value for one in field.properties if one.is_required)
            )
        case UnionField():
            return any(suits(one.field, value) for one in field.variants)
        case JsonField():
            return True


# -- reading ---------------------------------------------------------------------------------------


def read(field: Field, draft: Draft, path: str = "") -> Reading:
    """Read what was typed, or say what is wrong with it."""
    match field, draft:
        case TextField(), Typed():
            if field.pattern is not None and not _matches(field.pattern, draft.text):
                return _bad(path, f"must be like {field.pattern}")
            return Reading(draft.text)
        case NumberField(), Typed():
            return _read_number(field, draft.text.strip(), path)
        case JsonField(), Typed():
            return _read_json(draft.text, path)
        case BooleanField(), Flag():
            return Reading(draft.is_on)
        case ChoiceField(), Chosen() if draft.index < len(field.values):
            return Reading(field.values[draft.index])
        case ListField(), Items():
            parts = [read(field.item, one, f"{path}[{index}]") for index, one in enumerate(draft.items)]
            return _gather(parts, [part.value for part in parts])
        case MapField(), Entries():
            names = [name for name, _ in draft.entries]
            twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
            if twice is not None:
                return _bad(path, f"the key {_dump(twice)} is there twice")
            parts = [read(field.item, one, join(path, name)) for name, one in draft.entries]
            return _gather(parts, {name: part.value for name, part in zip(names, parts, strict=True)})
        case ObjectField(), Given():
            given = [one for one in field.properties if one.name in draft.given]
            parts = [read(one.field, draft.given[one.name], join(path, one.name)) for one in given]
            return _gather(parts, {one.name: part.value for one, part in zip(given, parts, strict=True)})
        case UnionField(), Kind() if draft.index < len(field.variants):
            return read(field.variants[draft.index].field, draft.draft, path)
    return _bad(path, "does not fit its field any more: fill it in again")


def join(path: str, name: str) -> str:
    """Give the path of a property or key, as Python would write it."""
    if path == "":
        return name
    return f"{path}.{name}" if _PLAIN.fullmatch(name) else f"{path}[{_dump(name)}]"


def _read_number(field: NumberField, text: str, path: str) -> Reading:
    if text == "":
        return _bad(path, "is needed")
    if not _NUMBER.fullmatch(text) or len(text) > _MOST_DIGITS:
        return _bad(path, f"{_dump(text)[:80]} is not a number")
    exact = Decimal(text)
    is_whole = exact == exact.to_integral_value()
    if field.is_integer and not is_whole:
        return _bad(path, "must be a whole number")
    value: float = int(exact) if field.is_integer or text.lstrip("+-").isdigit() else float(text)
    if abs(value) == float("inf"):
        return _bad(path, f"{_dump(text)[:80]} is too large")
    if field.low is not None and value < field.low:
        return _bad(path, f"must be at least {_dump(field.low)}")
    if field.high is not None and value > field.high:
        return _bad(path, f"must be at most {_dump(field.high)}")
    return Reading(value)


def _read_json(text: str, path: str) -> Reading:
    if text.strip() == "":
        return _bad(path, 'is needed: write JSON, like 17 or {"a": 1}')
    try:
        return Reading(json.loads(text, parse_constant=_refuse))
    except (ValueError, RecursionError) as error:
        return _bad(path, f"is not JSON: {error}")


def _refuse(name: str) -> Any:
    raise ValueError(f"there is no {name} in it")


def _gather(parts: Sequence[Reading], value: Any) -> Reading:
    problems = tuple(problem for part in parts for problem in part.problems)
    return Reading(None, problems) if problems else Reading(value)


def _bad(path: str, message: str) -> Reading:
    return Reading(None, (Problem(path, message),))


def _matches(pattern: str, text: str) -> bool:
    try:
        return re.search(pattern, text) is not None
    except (re.error, OverflowError, RecursionError):
        return True  # a pattern of another dialect: who receives it knows


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_same(one: Any, other: Any) -> bool:
    """Compare as JSON does: 1 is not `true`."""
    return _dump(one) == _dump(other)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
