"""`wf cancel` and `wf wake`: one run, or many that are asked about first."""

from __future__ import annotations

import io

import pytest

from tests.wfstudio.cli.conftest import Serving, Wf
from tests.wfstudio.studio import rest, run
from wf import operations


@pytest.fixture(autouse=True)
def _patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a forced end be waited for as long as a busy machine takes, which may be more than a moment."""
    monkeypatch.setattr(operations, "ENDING_SECONDS", 20.0)


@pytest.fixture
def naps(serving: Serving) -> list[str]:
    async def begin(client):
        return [
            (await rest(client, (await client.start("nap", [], id=name, attributes={"kind": "nap"})).id)).id
            for name in ("nap-1", "nap-2", "nap-3")
        ]

    return serving.do(begin)


def end_of(serving: Serving, run_id: str):
    return serving.do(lambda client: client.wait_for_end(run_id, 10))


def test_a_run_is_cancelled_with_its_reason(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    told = wf_cli("cancel", "nap-1", "--reason", "enough", "--world", serving.url)
    assert told.code == 0
    assert told.out in ("nap-1  is being cancelled\n", "nap-1  cancelled\n")
    ended = end_of(serving, "nap-1")
    assert (ended.status, ended.output) == ("cancelled", "enough")


def test_force_ends_it_at_once(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    [run] = wf_cli("cancel", "nap-1", "--force", "--jsonl", "--world", serving.url).jsonl
    assert run["status"] == "cancelled"


def test_several_runs_are_named_by_their_beginnings(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    told = wf_cli("cancel", "nap-1", "nap-2", "--world", serving.url)
    assert [line.split()[0] for line in told.out.splitlines()] == ["nap-1", "nap-2"]
    ambiguous = wf_cli("cancel", "nap-", "--world", serving.url)
    assert (ambiguous.code, ambiguous.err.splitlines()[0]) == (2, "3 runs begin with 'nap-'")


def test_sleeps_are_ended_early(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    assert wf_cli("wake", "nap-1", "--world", serving.url) == (0, "nap-1  1 sleep ended\n", "")
    assert end_of(serving, "nap-1").output == "rested"
    assert wf_cli("wake", "nap-2", "--jsonl", "--world", serving.url).jsonl == [{"id": "nap-2", "sleeps": 1}]
    assert wf_cli("wake", "nap-3", "--json", "--world", serving.url).json == {"items": [{"id": "nap-3", "sleeps": 1}]}
    none = wf_cli("wake", "--attr", "kind=none", "-y", "--json", "--world", serving.url)
    assert (none.code, none.json) == (0, {"items": []})


def test_filters_choose_runs_and_yes_is_the_answer(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    told = wf_cli("wake", "--attr", "kind=nap", "-y", "--world", serving.url)
    assert sorted(told.out.splitlines()) == [f"{name}  1 sleep ended" for name in naps]
    assert wf_cli("wake", "--attr", "kind=none", "-y", "--world", serving.url) == (
        0,
        "",
        "no run is like that; nothing was done\n",
    )


@pytest.mark.parametrize(("answer", "code", "left"), [("y\n", 0, 0), ("n\n", 1, 3)])
def test_who_is_asked_sees_the_count(
    answer: str, code: int, left: int, wf_cli: Wf, serving: Serving, naps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Keyboard(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr("sys.stdin", Keyboard(answer))
    told = wf_cli("cancel", "--workflow", "studio.nap", "--force", "--world", serving.url)
    assert told.code == code
    assert told.err.startswith("cancel 3 runs? [y/N] ")
    assert len(wf_cli("inspect", "--status", "running", "--json", "--world", serving.url).json["items"]) == left


def test_where_nobody_can_be_asked_nothing_is_done(
    wf_cli: Wf, serving: Serving, naps: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    told = wf_cli("cancel", "--workflow", "studio.nap", "--world", serving.url)
    assert told == (
        2,
        "",
        "this would cancel 3 runs, and nobody can be asked\n  fix: say `-y`\n  more: wf cancel --help\n",
    )


def test_a_failed_run_is_tried_again_as_a_new_one(wf_cli: Wf, serving: Serving) -> None:
    async def fail(client):
        return (await run(client, "fail", "no money")).id

    failed = serving.do(fail)
    told = wf_cli("retry", failed, "--world", serving.url)
    assert (told.code, told.err) == (0, "")
    old, _, new = told.out.removesuffix("\n").partition("  goes on as ")
    assert old == failed
    assert end_of(serving, new).forked_from == failed
    [again] = wf_cli("retry", "--status", "failed", "--since", "1h", "-y", "--jsonl", "--world", serving.url).jsonl[:1]
    assert again["forked_from"] in (failed, new)


def test_what_has_not_ended_is_not_tried_again(wf_cli: Wf, serving: Serving, naps: list[str]) -> None:
    told = wf_cli("retry", "nap-1", "--world", serving.url)
    assert (told.code, told.err.splitlines()[0]) == (1, "run nap-1 has not ended")


def test_one_of_many_that_cannot_be_acted_on_leaves_the_others_alone(
    wf_cli: Wf, serving: Serving, naps: list[str]
) -> None:
    wf_cli("cancel", "nap-2", "--force", "--world", serving.url)
    told = wf_cli("retry", "nap-1", "nap-2", "--world", serving.url)
    assert told.code == 1
    assert told.err.startswith("run nap-1 has not ended\n")
    assert told.out.startswith("nap-2  goes on as wrun_")


@pytest.mark.parametrize("name", ["cancel", "wake", "retry"])
def test_all_runs_are_never_meant_by_saying_nothing(name: str, wf_cli: Wf, serving: Serving) -> None:
    told = wf_cli(name, "--world", serving.url)
    assert (told.code, told.err.splitlines()[0]) == (2, f"name the runs to {name}, or choose them")
    both = wf_cli(name, "wrun_1", "--workflow", "nap", "--world", serving.url)
    assert (both.code, both.err.splitlines()[0]) == (2, "name the runs or choose them with filters, not both")
