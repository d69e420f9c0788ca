from __future__ import annotations

import json

import pytest
from hypothesis import given

from tests.wfstudio.tui.forms.test_fields import JSON, SCHEMA
from wfstudio.tui.forms.drafts import (
    Chosen,
    Entries,
    Flag,
    Given,
    Kind,
    Problem,
    Reading,
    Typed,
    blank,
    fill,
    join,
    read,
    suits,
)
from wfstudio.tui.forms.fields import describe

ORDER = {
    "type": "object",
    "properties": {
        "card": {"type": "string"},
        "amount": {"type": "integer", "minimum": 1},
        "lines": {"type": "array", "items": {"$ref": "#/$defs/Line"}},
        "note": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "kind": {"enum": ["sale", "gift"]},
    },
    "required": ["card", "amount", "lines"],
    "$defs": {"Line": {"type": "object", "properties": {"price": {"type": "number"}}, "required": ["price"]}},
}


def test_required_fields_are_there_from_the_beginning_and_others_are_left_out():
    draft = blank(describe(ORDER))
    assert isinstance(draft, Given)
    assert list(draft.given) == ["card", "amount", "lines"]


@pytest.mark.parametrize(
    "value",
    [
        {"card": "ada", "amount": 3, "lines": []},
        {"card": "ada", "amount": 3, "lines": [{"price": 1.5}, {"price": 2}], "note": None, "kind": "gift"},
        {"card": "", "amount": 1, "lines": [], "note": "no hurry"},
    ],
)
def test_a_remembered_input_reads_as_it_was(value):
    field = describe(ORDER)
    assert read(field, fill(field, value)) == Reading(value)


def test_problems_carry_the_path_as_the_form_shows_it():
    field = describe(ORDER)
    draft = fill(field, {"card": "ada", "amount": 3, "lines": [{"price": 1}, {}]})
    reading = read(field, draft)
    assert reading == Reading(None, (Problem("lines[1].price", "is needed"),))
    assert reading.problems[0].shown == "lines[1].price is needed"
    assert Problem("", "is needed").shown == "is needed"


@pytest.mark.parametrize(
    ("text", "value", "problem"),
    [
        ("7", 7, None),
        (" 7 ", 7, None),
        ("7.0", 7, None),
        ("1e3", 1000, None),
        ("90071992547409931", 90071992547409931, None),
        ("", None, "is needed"),
        ("seven", None, '"seven" is not a number'),
        ("1_000", None, '"1_000" is not a number'),
        ("٣", None, '"٣" is not a number'),
        ("nan", None, '"nan" is not a number'),
        ("7.5", None, "must be a whole number"),
        ("0", None, "must be at least 1"),
        ("1e99999", None, '"1e99999" is not a number'),
    ],
)
def test_a_whole_number_stays_text_until_it_is_read(text, value, problem):
    reading = read(describe({"type": "integer", "minimum": 1}), Typed(text))
    assert reading.value == value
    assert [one.message for one in reading.problems] == ([] if problem is None else [problem])


@pytest.mark.parametrize(
    ("text", "value"), [("1.5", 1.5), ("2", 2), ("-.5", -0.5), ("+3", 3), ("1e-3", 0.001), ("3.", 3.0)]
)
def test_a_number_may_have_a_fraction(text, value):
    assert read(describe({"type": "number"}), Typed(text)) == Reading(value)


def test_a_number_that_no_float_holds_is_told():
    [problem] = read(describe({"type": "number"}), Typed("1.5e999")).problems
    assert problem.message == '"1.5e999" is too large'


def test_the_largest_number_that_can_be_typed_can_be_written():
    reading = read(describe({"type": "integer"}), Typed("9" * 996 + "e999"))
    assert len(json.dumps(reading.value)) == 996 + 999


def test_a_number_over_its_limit_is_told():
    field = describe({"type": "number", "maximum": 2.5})
    assert read(field, Typed("3")).problems[0].message == "must be at most 2.5"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'is needed: write JSON, like 17 or {"a": 1}'),
        ('{"a": }', "is not JSON: Expecting value: line 1 column 7 (char 6)"),
        ("NaN", "is not JSON: there is no NaN in it"),
    ],
)
def test_json_that_does_not_parse_says_where(text, message):
    assert read(describe({}), Typed(text)).problems == (Problem("", message),)


def test_json_that_nests_without_end_is_a_problem_and_no_crash():
    assert len(read(describe({}), Typed("[" * 100_000)).problems) == 1


def test_a_text_is_checked_against_its_pattern():
    field = describe({"type": "string", "pattern": "^a+$"})
    assert read(field, Typed("aa")) == Reading("aa")
    assert read(field, Typed("b")).problems[0].message == "must be like ^a+$"


def test_a_pattern_of_another_dialect_refuses_nothing():
    assert read(describe({"type": "string", "pattern": r"\p{Lu}("}), Typed("b")) == Reading("b")


def test_a_key_that_is_there_twice_is_a_problem():
    field = describe({"type": "object", "additionalProperties": {"type": "string"}})
    reading = read(field, Entries((("a", Typed("x")), ("a", Typed("y")))))
    assert reading.problems == (Problem("", 'the key "a" is there twice'),)


def test_a_draft_of_another_shape_is_told_and_not_sent():
    told = (Problem("", "does not fit its field any more: fill it in again"),)
    assert read(describe({"type": "string"}), Flag(True)).problems == told
    assert read(describe({"enum": [1]}), Chosen(1)).problems == told
    assert read(describe({"type": ["string", "null"]}), Kind(2, Typed(""))).problems == told


def test_one_is_not_true():
    field = describe({"enum": [True, 1, 1.0, "1"]})
    assert [fill(field, value) for value in (True, 1, 1.0, "1")] == [Chosen(0), Chosen(1), Chosen(2), Chosen(3)]


def test_a_value_finds_its_variant():
    field = describe({"anyOf": [{"type": "array", "items": {"type": "integer"}}, {"type": "array"}, {"type": "null"}]})
    assert [fill(field, value).index for value in ([1], ["a"], None, "?")] == [0, 1, 2, 0]  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("path", "name", "joined"),
    [("", "a", "a"), ("a", "b", "a.b"), ("a", "b c", 'a["b c"]'), ("a", "é", 'a["é"]'), ("", "b c", "b c")],
)
def test_paths_read_as_python(path, name, joined):
    assert join(path, name) == joined


@given(SCHEMA, JSON)
def test_what_suits_a_field_reads_as_it_was(schema, value):
    field = describe(schema)
    reading = read(field, fill(field, value))
    if suits(field, value) and not reading.problems:
        assert json.dumps(reading.value, sort_keys=True) == json.dumps(value, sort_keys=True)


@given(SCHEMA)
def test_what_is_untouched_can_be_read(schema):
    field = describe(schema)
    reading = read(field, blank(field))
    assert reading.problems or json.dumps(reading.value) is not None
