from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wfstudio.tui.forms.fields import (
    MOST_FIELDS,
    BooleanField,
    ChoiceField,
    JsonField,
    ListField,
    MapField,
    NumberField,
    ObjectField,
    Property,
    TextField,
    UnionField,
    Variant,
    describe,
    name_type,
    rename_fallbacks,
)

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
WORDS = st.sampled_from(
    "type properties required items additionalProperties anyOf oneOf allOf enum const $ref $defs prefixItems"
    " minimum maximum pattern format minLength description title default".split()
)
TYPES = st.sampled_from(["string", "integer", "number", "boolean", "null", "array", "object", "#/$defs/A", "#"])
SCHEMA = st.recursive(
    st.dictionaries(WORDS, JSON | TYPES, max_size=4),
    lambda inner: st.dictionaries(
        WORDS, inner | TYPES | st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("schema", "field"),
    [
        ({}, JsonField()),
        (None, JsonField()),
        (True, JsonField()),
        ({"type": "object"}, JsonField()),
        ({"type": "object", "additionalProperties": False, "properties": {}}, ObjectField(())),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, MapField(NumberField(True))),
        ({"type": "array", "items": {"type": "boolean"}}, ListField(BooleanField())),
        ({"type": "array"}, ListField(JsonField())),
        ({"type": "array", "prefixItems": [{"type": "string"}]}, JsonField()),
        ({"type": "string", "format": "date"}, TextField(format="date")),
        ({"type": "string", "contentEncoding": "base64"}, TextField(format="base64")),
        ({"type": "string", "minLength": 500}, TextField(is_long=True)),
        ({"type": "string", "pattern": "^a", "description": "how"}, TextField(pattern="^a", note="how")),
        ({"type": "integer", "minimum": 1, "maximum": 9}, NumberField(True, 1, 9)),
        ({"type": "null"}, ChoiceField((None,))),
        ({"const": 3}, ChoiceField((3,))),
        ({"enum": ["a", 1]}, ChoiceField(("a", 1))),
        ({"enum": []}, JsonField()),
        ({"anyOf": [{"type": "boolean"}]}, BooleanField()),
        ({"allOf": [{"type": "boolean"}]}, BooleanField()),
        ({"$ref": "#/$defs/Gone"}, JsonField()),
        ({"$ref": "https://elsewhere/schema"}, JsonField()),
    ],
)
def test_a_schema_has_its_field(schema, field):
    assert describe(schema) == field


def test_variants_are_named_by_their_titles_formats_and_types():
    schema = {
        "anyOf": [
            {"type": "string", "format": "uuid"},
            {"$ref": "#/$defs/Line"},
            {"$ref": "#/$defs/Other"},
            {"const": "x"},
            {"enum": [1, 2]},
            {"type": "null"},
            {},
        ],
        "$defs": {"Line": {"type": "integer", "title": "A line"}, "Other": {"type": "integer"}},
    }
    field = describe(schema)
    assert isinstance(field, UnionField)
    assert [variant.label for variant in field.variants] == ["uuid", "A line", "Other", '"x"', "1 | 2", "null", "any"]
    assert name_type(field) == 'uuid or A line or Other or "x" or 1 | 2 or null or any'


def test_two_types_are_a_union_of_both():
    field = describe({"type": ["string", "null"]})
    assert field == UnionField((Variant("string", TextField()), Variant("null", ChoiceField((None,)))))


def test_properties_tell_whether_they_are_required_and_what_they_are_otherwise():
    schema = {"type": "object", "properties": {"a": {"type": "string"}, "b": {"default": [1]}}, "required": ["a"]}
    assert describe(schema) == ObjectField(
        (Property("a", TextField(), is_required=True), Property("b", JsonField(), fallback="[1]"))
    )


def test_the_defaults_that_the_code_writes_come_first():
    field = describe({"type": "object", "properties": {"a": {"default": 1}, "b": {"default": 2}}})
    known = rename_fallbacks(field, {"a": "SMALL", "b": None})
    assert isinstance(known, ObjectField)
    assert [one.fallback for one in known.properties] == ["SMALL", "2"]


def test_a_schema_that_contains_itself_ends_in_json():
    tree = {
        "$ref": "#/$defs/Tree",
        "$defs": {"Tree": {"type": "object", "properties": {"left": {"$ref": "#/$defs/Tree"}}}},
    }
    text = repr(describe(tree))
    assert text.count("ObjectField") < 10
    assert "JsonField" in text


def test_a_schema_that_multiplies_has_a_bounded_number_of_fields():
    parts = {f"p{index}": {"$ref": "#/$defs/Tree"} for index in range(20)}
    tree = {"$ref": "#/$defs/Tree", "$defs": {"Tree": {"type": "object", "properties": parts}}}
    # Every field that is described has at most its own properties, which are JSON when the count is used up.
    assert repr(describe(tree)).count("Field(") <= MOST_FIELDS * 21


@given(SCHEMA | JSON)
def test_whatever_a_schema_says_there_is_a_field(schema):
    field = describe(schema)
    assert isinstance(name_type(field), str)
    assert msgspec.structs.asdict(field) is not None
