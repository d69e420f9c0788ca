"""Arguments by parameter name, as Python itself would bind them."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from functools import wraps
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.signature import Signature


def charge(amount: int, note: str = "", *, currency: str = "eur") -> None: ...
def join(first: str, *rest: str, sep: str = " ", **tags: str) -> None: ...
def place(x: int, y: int = 0, /, z: int = 0) -> None: ...
def nothing() -> None: ...


def bind(func: Callable[..., Any], *args: Any, **kwargs: Any) -> dict[str, Any]:
    return Signature(func).bind(args, kwargs)


def test_a_call_by_place_and_by_name_is_recorded_alike_and_in_order() -> None:
    calls = [
        bind(charge, 1, "tip", currency="usd"),
        bind(charge, 1, currency="usd", note="tip"),
        bind(charge, currency="usd", note="tip", amount=1),
    ]
    assert [list(call.items()) for call in calls] == [[("amount", 1), ("note", "tip"), ("currency", "usd")]] * 3


def test_defaults_are_not_recorded_but_a_given_value_that_equals_one_is() -> None:
    assert bind(charge, 1) == {"amount": 1}
    assert bind(charge, 1, note="") == {"amount": 1, "note": ""}


def test_star_arguments_are_recorded_under_their_starred_names() -> None:
    assert bind(join, "a", "b", "c", sep="-", kind="x") == {
        "first": "a",
        "*rest": ["b", "c"],
        "sep": "-",
        "**tags": {"kind": "x"},
    }


def test_empty_star_arguments_are_not_recorded() -> None:
    assert bind(join, "a") == {"first": "a"}


def test_a_positional_only_name_may_come_again_as_a_keyword() -> None:
    def save(key: str, /, **values: Any) -> None: ...

    assert bind(save, "k", key="v") == {"key": "k", "**values": {"key": "v"}}
    assert Signature(save).apply({"key": "k", "**values": {"key": "v"}}) == (("k",), {"key": "v"})


def test_names_that_the_binder_itself_uses_may_be_parameters() -> None:
    def odd(list: int, missing: int = 1, record: int = 2, *bind: int, _missing: int = 3) -> None: ...

    signature = Signature(odd)
    assert signature.bind((1,), {"record": 4}) == {"list": 1, "record": 4}
    assert signature.bind((1, 2, 3, 4), {"_missing": 5}) == {
        "list": 1, "missing": 2, "record": 3, "*bind": [4], "_missing": 5,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("func", "args", "kwargs"),
    [
        (charge, (), {}),
        (charge, (1, 2, 3), {}),
        (charge, (1,), {"amount": 2}),
        (charge, (1,), {"curency": "usd"}),
        (join, (), {"sep": "-"}),
        (place, (), {"x": 1}),
        (place, (1,), {"y": 2}),
        (nothing, (1,), {}),
        (nothing, (), {"x": 1}),
    ],
)
def test_what_python_refuses_is_refused_in_its_own_words(
    func: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> None:
    with pytest.raises(TypeError) as refusal:
        Signature(func).bind(args, kwargs)
    with pytest.raises(TypeError) as pythons:
        func(*args, **kwargs)
    assert str(refusal.value) == str(pythons.value)


def test_a_refusal_names_the_function_by_its_qualified_name() -> None:
    class Shop:
        @staticmethod
        def pay(amount: int) -> None: ...

    with pytest.raises(TypeError) as refusal:
        Signature(Shop.pay).bind((), {})
    name = "test_a_refusal_names_the_function_by_its_qualified_name.<locals>.Shop.pay"
    assert str(refusal.value) == f"{name}() missing 1 required positional argument: 'amount'"


def test_a_wrapped_function_is_bound_by_the_parameters_of_the_inner_one() -> None:
    @wraps(charge)
    def wrapper(*args: Any, **kwargs: Any) -> None: ...

    assert bind(wrapper, 1, "x") == {"amount": 1, "note": "x"}


def test_a_record_is_given_by_place_as_far_as_there_is_no_gap() -> None:
    signature = Signature(charge)
    assert signature.apply({"amount": 1, "note": "x"}) == ((1, "x"), {})
    assert signature.apply({"amount": 1, "currency": "usd"}) == ((1,), {"currency": "usd"})
    assert signature.apply({"currency": "usd"}) == ((), {"currency": "usd"})
    assert signature.apply({}) == ((), {})


def test_a_record_in_another_order_is_the_same_call() -> None:
    assert Signature(charge).apply({"note": "x", "amount": 1}) == ((1, "x"), {})


def test_a_parameter_added_since_takes_its_default_before_star_arguments() -> None:
    def join_now(first: str, glue: str = "+", *rest: str) -> None: ...

    assert Signature(join_now).apply({"first": "a", "*rest": ["b"]}) == (("a", "+", "b"), {})


def test_star_arguments_renamed_since_still_arrive() -> None:
    def join_now(first: str, *others: str, **labels: str) -> None: ...

    recorded = {"first": "a", "*rest": ["b"], "**tags": {"k": "v"}}
    assert Signature(join_now).apply(recorded) == (("a", "b"), {"k": "v"})


def test_a_record_that_no_longer_fits_is_refused_at_the_call() -> None:
    args, kwargs = Signature(charge).apply({"amount": 1, "vat": 2})
    with pytest.raises(TypeError, match=r"charge\(\) got an unexpected keyword argument 'vat'"):
        charge(*args, **kwargs)


def test_star_arguments_never_slip_into_a_parameter_that_was_not_recorded() -> None:
    def join_now(head: str, *rest: str) -> None: ...

    with pytest.raises(TypeError, match=r"join_now\(\) missing 1 required positional argument: 'head'"):
        Signature(join_now).apply({"first": "a", "*rest": ["b"]})


NAMES = ["a", "b", "c", "d", "list"]


@st.composite
def functions(draw: st.DrawFn) -> Callable[..., Any]:
    """Draw a function of any shape that returns what it was given."""
    places = draw(st.integers(0, 3))
    only_by_place = draw(st.integers(0, places))
    defaults_from = draw(st.integers(0, places))
    head = [name if place < defaults_from else f"{name}='-'" for place, name in enumerate(NAMES[:places])]
    if only_by_place:
        head.insert(only_by_place, "/")
    star = draw(st.sampled_from(["", "*args", "*"]))
    by_name = [f"{name}{draw(st.sampled_from(['', '=0']))}" for name in NAMES[places : places + 2]]
    if star == "*args" or by_name:
        head.append(star or "*")
        head += by_name
    if draw(st.booleans()):
        head.append("**kwargs")
    names: dict[str, Any] = {}
    exec(f"def drawn({', '.join(head)}): return locals()", names)
    drawn: Callable[..., Any] = names["drawn"]
    return drawn


@given(functions(), st.lists(st.integers(), max_size=5), st.dictionaries(st.sampled_from([*NAMES, "x"]), st.integers()))
def test_binding_then_applying_is_the_call_itself(
    func: Callable[..., Any], args: list[int], kwargs: dict[str, int]
) -> None:
    signature = Signature(func)
    try:
        expected = func(*args, **kwargs)
    except TypeError as error:
        with pytest.raises(TypeError, match=f"^{re.escape(str(error))}$"):
            signature.bind(args, kwargs)
        return
    recorded = signature.bind(args, kwargs)
    again_args, again_kwargs = signature.apply(recorded)
    assert func(*again_args, **again_kwargs) == expected
    assert [name.lstrip("*") for name in recorded] == [
        name for name in inspect.signature(func).parameters if name in {key.lstrip("*") for key in recorded}
    ]
