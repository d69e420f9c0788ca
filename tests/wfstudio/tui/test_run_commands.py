"""Commands: what the run screen does can be typed, and is read as it was meant."""

from __future__ import annotations

import shlex

import msgspec
import pytest

from tests.wfstudio.studio import open_studio, run
from tests.wfstudio.tui.spans import ORDER, span
from wf.events import STEP_CREATED
from wfstudio.core.calls import find_call
from wfstudio.core.followed import FollowedRun
from wfstudio.core.forks import ForkRequest
from wfstudio.tui.run_commands import (
    cancel_command,
    fork_command,
    inspect_command,
    name_call,
    replay_step_command,
    write_command,
)

RUN = "wrun_1"


def test_a_call_is_named_by_its_name_and_which_of_that_name_it_is() -> None:
    again = span("9", "shop:ship", ("running", 0, 1))
    spans = [*ORDER.spans, again]
    assert name_call(RUN, spans, ORDER.spans[1]) == "charge"
    assert name_call(RUN, spans, ORDER.spans[2]) == "pack"
    assert name_call(RUN, spans, ORDER.spans[3]) == "ship#1"
    assert name_call(RUN, spans, again) == "ship#2"


def test_a_call_that_no_name_is_certain_for_is_named_by_its_number() -> None:
    sleep = span("4", "sleep", ("waiting", 0, 1), kind="sleep")
    hook = span("5", "ship", ("waiting", 0, 1), kind="hook")
    spans = [*ORDER.spans, sleep, hook]
    assert name_call(RUN, spans, sleep) == "wrun_1:4"
    assert name_call(RUN, spans, ORDER.spans[3]) == "wrun_1:3", "a hook has its name, too"


async def test_names_are_understood_as_they_are_meant() -> None:
    async with open_studio() as client:
        ended = await run(client, "greet", "ada", times=3)
        followed = FollowedRun(client, ended.id)
        await followed.look()
        log = [(event, None) for event in followed.log]
        for one in followed.trace.spans:
            if one.kind == "step":
                name = name_call(ended.id, followed.trace.spans, one)
                assert find_call(ended.id, log, name, [STEP_CREATED]).number == one.correlation_id


def test_what_is_shown_can_be_inspected() -> None:
    assert inspect_command(RUN, ORDER.spans[0]) == "wf inspect wrun_1"
    assert inspect_command(RUN, ORDER.spans[1]) == "wf inspect step wrun_1:1"
    assert inspect_command(RUN, ORDER.spans[1], "events") == "wf inspect events wrun_1"


def test_a_cancel_says_why_and_how() -> None:
    assert cancel_command(RUN, None, is_forced=False) == "wf cancel wrun_1"
    assert cancel_command(RUN, "it's wrong", is_forced=True) == "wf cancel wrun_1 --reason 'it'\"'\"'s wrong' --force"


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (ForkRequest(), []),
        (ForkRequest(start=7), ["--from", "7"]),
        (ForkRequest(start="charge", keeps_tokens=True), ["--from", "charge", "--keep-tokens"]),
        (ForkRequest(outputs={"charge": {"paid": True}}), ["--set", 'charge={"paid":true}']),
        (ForkRequest(payloads={"Approval": "yes; rm -rf"}), ["--payload", 'Approval="yes; rm -rf"']),
        (ForkRequest(errors={"charge": "shop.Declined: no $HOME"}), ["--raise", "charge=shop.Declined: no $HOME"]),
        (ForkRequest(input={"items": ["a'b", "ü"]}), ["--input", '{"items":["a\'b","ü"]}']),
    ],
    ids=lambda value: None if isinstance(value, list) else str(msgspec.to_builtins(value)),
)
def test_a_fork_is_read_by_a_shell_as_it_was_meant(request_: ForkRequest, words: list[str]) -> None:
    assert shlex.split(fork_command(RUN, request_)) == ["wf", "fork", RUN, *words]


def test_a_step_replay_names_only_what_was_edited() -> None:
    assert replay_step_command(RUN, "charge", {}) == "wf replay wrun_1 --step charge"
    assert replay_step_command(RUN, "charge", {"amount": 5}) == (
        "wf replay wrun_1 --step charge --input '{\"amount\":5}'"
    )


def test_what_users_wrote_is_quoted() -> None:
    assert shlex.split(write_command("wf", "inspect", "a b; $(c)")) == ["wf", "inspect", "a b; $(c)"]
