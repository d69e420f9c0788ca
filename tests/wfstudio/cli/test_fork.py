"""`wf fork`: from an event or a step, with what was otherwise; what it says of it, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.cli.conftest import Serving, Wf
from tests.wfstudio.studio import rest, until
from wfstudio.core.client import Client

ORIGIN = "origin-of-all-forks"


@pytest.fixture
def order(serving: Serving) -> str:
    """A run that has priced two items, charged them, and waits for a word."""

    async def begin(client: Client) -> str:
        started = await client.start("order", [["tea", "milk"]], id=ORIGIN, attributes={"tenant": "acme"})
        return (await rest(client, started.id, "waiting for hook")).id

    return str(serving.do(begin))


def answer(serving: Serving, run_id: str) -> Any:
    """Answer a fork's hook, and give how it ended."""

    async def act(client: Client) -> Any:
        hooks = await until(lambda: client.list_hooks(run_id))
        await client.resume(str(hooks[0].token), {"approved": True})
        return await client.wait_for_end(run_id, 10)

    return serving.do(act)


def test_a_fork_prints_its_id_and_says_where_it_was_cut(wf_cli: Wf, serving: Serving, order: str) -> None:
    told = wf_cli("fork", order, "--from", "charge", "--id", "mine", "--world", serving.url)
    assert told == (
        0,
        "mine\n",
        f"forked from {ORIGIN} after event 6, step_completed studio.price (position 2)\n"
        "follow it: wf inspect mine --watch\n",
    )
    assert answer(serving, "mine").output == "paid 7: True"
    snapped = wf_cli("fork", order, "--from", "5", "--world", serving.url)
    assert snapped.err.splitlines()[:2] == [
        "event 5 is no delivery to the body: the cut is before it",
        f"forked from {ORIGIN} after event 4, step_completed studio.price (position 1)",
    ]


def test_a_fork_goes_on_from_what_is_set(wf_cli: Wf, serving: Serving, order: str, tmp_path: Path) -> None:
    item = {"name": "tea", "price": "10", "note": ""}
    (tmp_path / "item.json").write_text(json.dumps(item))
    for value in (json.dumps(item), f"@{tmp_path}/item.json"):
        told = wf_cli(
            "fork", order, "--set", f"price#1={value}", "--attr", "why=test", "--json", "--world", serving.url
        )
        run = told.json["run"]
        assert run["fork"] == {
            "run_id": ORIGIN,
            "seq": 4,
            "is_beside": True,
            "edits": [{"what": "output", "correlation_id": 1, "name": "studio.price"}],
        }
        assert answer(serving, run["id"]).output == "paid 14: True"
    shown = wf_cli("inspect", run["id"], "--world", serving.url).out
    assert f"forked from {ORIGIN} after event 4, another output of studio.price (position 1)" in " ".join(shown.split())
    assert "tenant=acme why=test" in shown


def test_a_fork_goes_on_from_what_is_raised(wf_cli: Wf, serving: Serving, order: str) -> None:
    told = wf_cli("fork", order, "--raise", "charge=OSError: line cut", "--world", serving.url)
    assert answer(serving, told.out.strip()).output == "no line (line cut): True"


def test_a_fork_is_waited_for(wf_cli: Wf, serving: Serving, order: str) -> None:
    told = wf_cli("fork", order, "--payload", 'order:tea+milk={"approved": false}', "--wait", "--world", serving.url)
    assert (told.code, told.out) == (0, '"paid 7: False"\n')
    assert " completed in " not in told.err, "what was before the fork is none of its progress"
    failed = wf_cli("fork", order, "--raise", "charge=FatalError: no", "--wait", "--world", serving.url)
    assert failed.code == 1
    assert "wf.errors.FatalError: no" in failed.err
    as_json = wf_cli("fork", order, "--payload", '4={"approved": true}', "--wait", "--json", "--world", serving.url)
    assert as_json.json["output"] == "paid 7: True"


def test_a_fork_with_another_input_starts_from_the_beginning(wf_cli: Wf, serving: Serving, order: str) -> None:
    told = wf_cli("fork", order, "--input", '{"names": ["a"], "card": "bad"}', "--world", serving.url)
    assert told.err.splitlines()[0] == f"forked from {ORIGIN} at its beginning"
    assert answer(serving, told.out.strip()).output == "declined (bad): True"
    shown = " ".join(wf_cli("inspect", told.out.strip(), "--world", serving.url).out.split())
    assert f"forked from {ORIGIN} from its beginning, another input" in shown


def test_hooks_of_a_fork_are_answered_by_their_own_tokens(wf_cli: Wf, serving: Serving, order: str) -> None:
    wf_cli("fork", order, "--from", "charge", "--id", "mine", "--world", serving.url)
    serving.do(lambda client: until(lambda: client.list_hooks("mine")))
    tokens = {hook["run_id"]: hook["token"] for hook in wf_cli("hooks", "--jsonl", "--world", serving.url).jsonl}
    assert tokens == {ORIGIN: "order:tea+milk", "mine": "order:tea+milk~mine"}
    assert wf_cli("resume", "order:tea+milk~mine", '{"approved": true}', "--world", serving.url).code == 0
    assert serving.do(lambda client: client.wait_for_end("mine", 10)).output == "paid 7: True"
    kept = wf_cli("fork", order, "--from", "9", "--keep-tokens", "--world", serving.url)
    assert kept.code == 0, "the hook is made after the cut"


def test_a_fork_in_a_runs_place_says_so(wf_cli: Wf, serving: Serving, order: str) -> None:
    serving.do(lambda client: client.cancel(order, force=True))
    told = wf_cli("fork", order, "--keep-tokens", "--id", "heir", "--world", serving.url)
    assert told.code == 0
    serving.do(lambda client: until(lambda: client.list_hooks("heir")))
    assert wf_cli("hooks", "--jsonl", "--world", serving.url).jsonl[0]["token"] == "order:tea+milk"
    shown = " ".join(wf_cli("inspect", "heir", "--world", serving.url).out.split())
    assert f"forked from {ORIGIN} after event 8, in its place" in shown


MISUSES = {
    "--set charge": ["--set: 'charge' is not like STEP=…"],
    "--payload =1": ["--payload: '=1' is not like HOOK=…"],
    "--set charge=ada": [
        "--set charge: 'ada' is not JSON: Expecting value: line 1 column 1 (char 0)",
        '  fix: a text has quotes: `"ada"`',
    ],
    "--set charge=1 --set charge=2": [
        "--set: 'charge' is given twice",
        "  fix: `name#2` is the second call of a step",
    ],
    "--set charge=@none.json": [
        "--set charge: none.json cannot be read: No such file or directory",
    ],
    "--input 5": [
        "--input: the JSON is neither an object nor a list",
        '  fix: `{"name": value}`, or `[value]`',
    ],
    "--from chrage": [f"run {ORIGIN} has no step 'chrage'", "  fix: did you mean `charge`?"],
    "--from 99": [f"run {ORIGIN} has the events 1 to 9, and 99 is none of them"],
    "--raise charge=ValueErorr": [
        "no exception is called 'ValueErorr'",
        "  fix: did you mean `ValueError`?",
    ],
    "--payload 4={}": [
        "the payload does not fit the hook's schema: payload: 'approved' is a required property",
        "  fix: send what the hook's schema asks for",
    ],
    "--input [5]": [
        "the arguments do not fit order: names: 5 is not of type 'array'",
        "  fix: it is order(names, card='good')",
    ],
    "--id no!": ["'no!' is no run id", "  fix: use 1 to 200 letters, digits and ._:@+=/-"],
    "--deployment dep_x": ["no deployment has the id 'dep_x'", "  fix: `wf inspect deployments` lists them"],
}


@pytest.mark.parametrize("words", list(MISUSES))
def test_a_command_line_that_cannot_be_meant_is_a_misuse(words: str, wf_cli: Wf, serving: Serving, order: str) -> None:
    refused = wf_cli("fork", order, *words.split(), "--world", serving.url)
    assert (refused.code, refused.out) == (2, "")
    assert refused.err.splitlines() == [*MISUSES[words], "  more: wf fork --help"]


def test_a_fork_that_would_not_be_sound_fails_with_its_reason(wf_cli: Wf, serving: Serving, order: str) -> None:
    refused = wf_cli("fork", order, "--from", "8", "--set", 'price#1={"name": "", "price": 1, "note": ""}',
                     "--world", serving.url)  # fmt: skip
    assert refused.code == 1
    assert refused.err.splitlines() == [
        f"run {ORIGIN} cannot be forked after event 8: studio.price (position 1) was answered at event 4, and what came"
        " after it was made of that answer",
        "  fix: fork from 4, or say nothing of where",
        "  more: docs/errors/fork.md",
    ]


def test_names_and_notes_cannot_steer_the_terminal(wf_cli: Wf, serving: Serving, order: str) -> None:
    refused = wf_cli("fork", order, "--set", "\x1b[31mcharge=1", "--world", serving.url)
    assert refused.code == 2
    assert "\x1b" not in refused.err


def test_without_a_worker_a_fork_waits_and_the_command_says_so(wf_cli: Wf, world: Any) -> None:
    told = wf_cli("fork", world.completed, "--from", "2", "--world", world.url)
    assert told.code == 0
    assert "no worker serves" in told.err
