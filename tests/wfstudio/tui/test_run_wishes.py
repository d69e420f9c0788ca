"""Wishes: what is typed into dialogs is read, or refused with the cure."""

from __future__ import annotations

import pytest

from wfstudio.core.errors import UsageError
from wfstudio.core.forks import ForkRequest
from wfstudio.tui.run_wishes import ForkForm, read_arguments, read_fork, read_json, write_json


@pytest.mark.parametrize(
    ("form", "request_"),
    [
        (ForkForm(), ForkRequest()),
        (ForkForm(start=" 12 "), ForkRequest(start=12)),
        (ForkForm(start="charge#2", keeps_tokens=True), ForkRequest(start="charge#2", keeps_tokens=True)),
        (ForkForm(instead="output", text='{"a": 1}', call="charge"), ForkRequest(outputs={"charge": {"a": 1}})),
        (ForkForm(instead="error", text=" shop.No: x ", call="charge"), ForkRequest(errors={"charge": "shop.No: x"})),
        (ForkForm(instead="payload", text="null", call="w:3"), ForkRequest(payloads={"w:3": None})),
        (ForkForm(instead="input", text="[1]"), ForkRequest(input=[1])),
    ],
)
def test_a_form_is_a_request(form: ForkForm, request_: ForkRequest) -> None:
    assert read_fork(form) == request_


@pytest.mark.parametrize(
    ("form", "said"),
    [
        (ForkForm(instead="output", text="{", call="charge"), "it is not JSON"),
        (ForkForm(instead="output", text="1"), "put the cursor on the call"),
        (ForkForm(instead="error", text="  ", call="charge"), "name the exception"),
        (ForkForm(instead="input", text="3"), "arguments are an object by name, or a list in order"),
    ],
)
def test_what_cannot_be_meant_is_refused(form: ForkForm, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        read_fork(form)


def test_a_text_without_quotes_is_told_how_to_be_one() -> None:
    with pytest.raises(UsageError) as caught:
        read_json("live\n")
    assert caught.value.hint == 'a text has quotes: "live"'


def test_only_arguments_that_differ_are_edited() -> None:
    recorded = {"card": "4242", "amount": 3}
    assert read_arguments('{"card": "4242", "amount": 5}', recorded) == {"amount": 5}
    assert read_arguments('{"card": "4242", "amount": 3}', recorded) == {}
    assert read_arguments('{"new": null}', recorded) == {"new": None}
    with pytest.raises(UsageError, match="an object by name"):
        read_arguments("[1]", recorded)


def test_a_value_is_offered_for_editing_unless_it_is_too_long() -> None:
    assert write_json({"a": "ü"}) == '{\n  "a": "ü"\n}'
    assert write_json("x" * 300_000) == ""
