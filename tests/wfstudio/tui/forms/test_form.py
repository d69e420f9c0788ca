from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.wfstudio.tui.forms.test_drafts import ORDER
from tests.wfstudio.tui.forms.test_fields import JSON, SCHEMA
from wfstudio.tui.forms.drafts import Chosen, Given, Problem, Reading, Typed
from wfstudio.tui.forms.fields import JsonField, describe
from wfstudio.tui.forms.form import INSIDE, Form, make_form, place_problems


def make(schema: object) -> Form:
    return make_form(describe(schema))


def show(form: Form) -> list[str]:
    shown = []
    for row in form.rows():
        text = row.label if row.is_adder else f"{row.label}: {row.type}{'' if row.draft else ' (left out)'}"
        shown.append("  " * row.depth + text)
    return shown


def test_a_form_is_laid_out_from_top_to_bottom():
    form = make(ORDER).add(("lines",)).add(("lines",))
    assert show(form) == [
        "card: text",
        "amount: whole number",
        "lines: list of object",
        "  0: object",
        "    price: number",
        "  1: object",
        "    price: number",
        "  + add an item",
        "note: string or null (left out)",
        "kind: one of (left out)",
    ]
    assert [row.place for row in form.rows()][3:5] == ["lines[0]", "lines[0].price"]


def test_what_was_typed_is_read_from_where_it_was_typed():
    form = make(ORDER).put(("card",), Typed("ada")).put(("amount",), Typed("3")).add(("lines",))
    form = form.put(("lines", 0, "price"), Typed("1.5"))
    assert form.read() == Reading({"card": "ada", "amount": 3, "lines": [{"price": 1.5}]})


def test_an_act_leaves_the_form_that_was_as_it_is():
    form = make(ORDER)
    form.put(("card",), Typed("ada"))
    assert form == make(ORDER)


def test_an_optional_property_is_given_and_left_out():
    form = make(ORDER).give(("kind",))
    assert isinstance(form.draft, Given)
    assert form.draft.given["kind"] == Chosen(0)
    assert form.leave_out(("kind",)) == make(ORDER)


def test_a_union_shares_its_row_with_a_simple_variant():
    form = make(ORDER).give(("note",))
    row = next(row for row in form.rows() if row.label == "note")
    assert (row.path, row.whole, row.kinds, row.kind) == (("note", INSIDE), ("note",), ("string", "null"), 0)
    form = form.put(row.path, Typed("soon")).put(("card",), Typed("a")).put(("amount",), Typed("1"))
    assert form.read().value["note"] == "soon"
    assert form.choose(("note",), 1).read().value["note"] is None


def test_a_union_within_a_union_has_a_row_below():
    inner = {"title": "maybe", "anyOf": [{"type": "string"}, {"type": "null"}]}
    form = make({"anyOf": [inner, {"type": "integer"}]})
    assert show(form) == ["value: string or null", "  value: text"]
    assert [row.is_head for row in form.rows()] == [True, False]
    assert form.put((INSIDE, INSIDE), Typed("x")).read() == Reading("x")
    assert form.choose((INSIDE,), 1).read() == Reading(None)
    assert form.choose((), 1).put((INSIDE,), Typed("7")).read() == Reading(7)


def test_the_entries_of_a_map_are_added_named_and_removed():
    form = make({"type": "object", "additionalProperties": {"type": "integer"}})
    assert show(form) == ["value: keys and values", "  + add a key"]
    form = form.add(()).rename((0,), "a").put((0,), Typed("1")).add(()).rename((1,), "b c").put((1,), Typed("2"))
    assert [(row.key, row.place, row.is_removable) for row in form.rows()[1:3]] == [
        ("a", "a", True),
        ("b c", "b c", True),
    ]
    assert form.read() == Reading({"a": 1, "b c": 2})
    assert form.remove((0,)).read() == Reading({"b c": 2})


def test_the_items_of_a_list_move_up_when_one_is_removed():
    form = make({"type": "array", "items": {"type": "string"}})
    for place, text in enumerate("abc"):
        form = form.add(()).put((place,), Typed(text))
    assert form.remove((1,)).read() == Reading(["a", "c"])


def test_a_form_that_takes_nothing_has_no_rows():
    form = make({"type": "object", "properties": {}, "additionalProperties": False})
    assert form.rows() == []
    assert form.read() == Reading({})


def test_a_form_of_anything_is_one_row_of_json():
    [row] = make(None).rows()
    assert (row.label, row.field, row.type) == ("value", JsonField(), "any JSON")


def test_a_form_is_cleared_and_filled():
    value = {"card": "ada", "amount": 3, "lines": []}
    assert make(ORDER).fill(value).read() == Reading(value)
    assert make(ORDER).fill(value).clear() == make(ORDER)


def test_what_was_filled_in_is_kept_where_the_schema_still_asks_for_it():
    form = make(ORDER).put(("card",), Typed("ada")).put(("amount",), Typed("3")).give(("kind",))
    changed = {**ORDER["properties"], "amount": {"type": "string"}, "new": {"type": "integer"}}  # type: ignore[dict-item]
    anew = make({**ORDER, "properties": changed, "required": ["card", "amount", "new"]}).carry_over(form)
    assert anew.put(("amount",), Typed("x")).put(("new",), Typed("1")).read().value == {
        "card": "ada",
        "amount": "x",
        "kind": "sale",
        "lines": [],
        "new": 1,
    }
    text, number = make({"type": "string"}).put((), Typed("a")), make({"type": "integer"})
    assert number.carry_over(text) == number
    assert make({"type": "string"}).carry_over(text) == text


def test_a_problem_is_told_at_the_row_of_its_place():
    rows = make(ORDER).add(("lines",)).rows()
    told = place_problems(rows, [Problem("lines[0].price", "is needed"), Problem("elsewhere", "is odd")])
    assert told == {4: "is needed", 0: "is odd"}


@pytest.mark.parametrize("path", [("gone",), ("card", "deeper"), ("lines", 0), (INSIDE,)])
def test_an_act_where_nothing_is_is_an_error(path):
    with pytest.raises((LookupError, StopIteration)):
        make(ORDER).put(path, Typed(""))


@given(SCHEMA, JSON, st.data())
def test_every_row_can_be_put_back_where_it_was(schema, value, data):
    form = make(schema).fill(value)
    rows = [row for row in form.rows() if row.draft is not None]
    if rows:
        row = data.draw(st.sampled_from(rows))
        assert row.draft is not None
        assert form.put(row.path, row.draft) == form
