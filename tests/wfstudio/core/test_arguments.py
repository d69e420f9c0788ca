"""Arguments from outside, bound to a signature that is known only by its catalog."""

from __future__ import annotations

from typing import Any

import pytest

from wf.catalog import Parameter, WorkflowEntry
from wf.errors import NotRegisteredError, ValidationError
from wfstudio.core.arguments import bind_arguments, find_entry

INT = {"type": "integer"}


def entry(id: str = "m:flow", name: str = "flow", *parameters: Parameter) -> WorkflowEntry:
    return WorkflowEntry(id=id, name=name, file="m.py", line=1, parameters=list(parameters))


FLOW = entry(
    "m:flow",
    "flow",
    Parameter("a", schema=INT),
    Parameter("b", is_required=False, schema=INT, default="2"),
    Parameter("rest", "args", is_required=False, schema=INT),
    Parameter("c", "keyword"),
    Parameter("more", "kwargs", is_required=False, schema=INT),
)


@pytest.mark.parametrize(
    ("args", "kwargs", "record"),
    [
        ([1], {"c": 0}, {"a": 1, "c": 0}),
        ([], {"c": 0, "a": 1}, {"a": 1, "c": 0}),
        ([1, 2], {"c": None}, {"a": 1, "b": 2, "c": None}),
        ([1, 2, 3, 4], {"c": 0}, {"a": 1, "b": 2, "*rest": [3, 4], "c": 0}),
        ([1], {"c": 0, "x": 5, "y": 6}, {"a": 1, "c": 0, "**more": {"x": 5, "y": 6}}),
        ([1], {"c": 0, "rest": 5}, {"a": 1, "c": 0, "**more": {"rest": 5}}),
    ],
)
def test_arguments_are_recorded_by_name_in_the_parameters_order(args: list, kwargs: dict, record: dict) -> None:
    found = bind_arguments(FLOW, args, kwargs)
    assert list(found.items()) == list(record.items())


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ([], {"c": 0}, "the arguments do not fit flow: a is missing"),
        ([1], {}, "the arguments do not fit flow: c is missing"),
        ([1], {"a": 2, "c": 0}, "the arguments do not fit flow: a is given twice, by place and by name"),
        (["x"], {"c": 0}, "the arguments do not fit flow: a: 'x' is not of type 'integer'"),
        ([1, 2, "x"], {"c": 0}, "the arguments do not fit flow: rest: 'x' is not of type 'integer'"),
        ([1], {"c": 0, "x": "y"}, "the arguments do not fit flow: more: 'y' is not of type 'integer'"),
    ],
)
def test_what_does_not_fit_is_named(args: list, kwargs: dict, message: str) -> None:
    with pytest.raises(ValidationError) as caught:
        bind_arguments(FLOW, args, kwargs)
    assert str(caught.value) == message
    assert caught.value.hint == "it is flow(a, b=2, *rest, c, **more)"


def test_a_workflow_without_parameters_takes_none() -> None:
    assert bind_arguments(entry(), [], {}) == {}
    for args, kwargs in (([1], {}), ([], {"x": 1})):
        with pytest.raises(ValidationError):
            bind_arguments(entry(), args, kwargs)


def test_a_part_of_a_parameter_is_named_by_its_place() -> None:
    nested = entry(
        "m:n", "n", Parameter("order", schema={"type": "object", "properties": {"lines": {"type": "array"}}})
    )
    with pytest.raises(ValidationError, match=r"order: lines: 1 is not of type 'array'"):
        bind_arguments(nested, [{"lines": 1}], {})


def find(name: str, *ids: tuple[str, str]) -> Any:
    return find_entry([entry(id, short) for id, short in ids], name).id


def test_a_workflow_is_found_by_its_id_or_by_a_short_name_that_one_has() -> None:
    both = (("a:flow", "flow"), ("b:flow", "flow"), ("named", "other"))
    assert find("a:flow", *both) == "a:flow"
    assert find("other", *both) == "named"
    with pytest.raises(NotRegisteredError) as caught:
        find("flow", *both)
    assert caught.value.hint == "several have this name; give the id: `a:flow`, `b:flow`"
    with pytest.raises(NotRegisteredError) as caught:
        find("flwo", *both)
    assert "did you mean `flow`" in (caught.value.hint or "")
