"""`wf test gen`: where the files go, what is said, and what is refused."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.core.written_tests.stage import run_pytest
from tests.wfstudio.recorded import recording
from wf.histories import open_history


@pytest.fixture
def run_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A run of a project, which is the working directory; nobody has its world."""

    ids: list[str] = []

    async def run() -> None:
        async with recording(tmp_path) as found:
            ids.append(await found.run("pay", "ada lovelace"))

    asyncio.run(run())
    monkeypatch.chdir(tmp_path)
    return ids[0]


def test_the_files_are_named_on_stdout_and_the_rest_is_words(wf_cli: Wf, run_id: str, tmp_path: Path) -> None:
    done = wf_cli("test", "gen", run_id)
    short = run_id[-6:].lower()
    assert (done.code, done.out) == (0, f"tests/test_pay_{short}.py\ntests/histories/{run_id}.json\n")
    assert done.err == (
        "the history holds what the run was given in clear; --redact makes it unrecognizable\n"
        f"run it: python -m pytest tests/test_pay_{short}.py\n"
    )
    assert open_history(tmp_path / f"tests/histories/{run_id}.json").calls == ["step flow:charge"]
    assert "1 passed" in run_pytest(tmp_path, "tests").stdout


def test_a_second_time_needs_force(wf_cli: Wf, run_id: str, tmp_path: Path) -> None:
    assert wf_cli("test", "gen", run_id).code == 0
    again = wf_cli("test", "gen", run_id)
    assert (again.code, again.out) == (1, "")
    assert again.err.startswith(
        f"{tmp_path}/tests/test_pay_{run_id[-6:].lower()}.py is there already\n  fix: give --force"
    )
    assert wf_cli("test", "gen", run_id, "--force").code == 0


def test_it_may_go_elsewhere_or_only_be_shown(wf_cli: Wf, run_id: str, tmp_path: Path) -> None:
    shown = wf_cli("test", "gen", run_id, "-o", "-", "--step", "charge")
    assert shown.code == 0
    assert "def test_pay_replays(wf_env):\n" in shown.out
    assert "async def test_charge_gives_what_it_gave():\n" in shown.out
    assert not (tmp_path / "tests").exists()
    assert wf_cli("test", "gen", run_id, "-o", "checks/runs").out.startswith("checks/runs/test_pay_")
    assert "1 passed" in run_pytest(tmp_path, "checks").stdout


def test_json_says_where_everything_is(wf_cli: Wf, run_id: str) -> None:
    found = wf_cli(
        "test", "gen", run_id, "--json", "--step", "1", "--redact", "--keep", "input", "--keep", "charge"
    ).json
    assert found == {
        "run_id": run_id,
        "workflow": "flow:pay",
        "test": f"tests/test_pay_{run_id[-6:].lower()}.py",
        "history": f"tests/histories/{run_id}.json",
        "calls": ["step flow:charge"],
        "steps": [1],
        "is_redacted": True,
        "notes": ["tests of steps carry out the step for real, with what it was called with; they were not tried"],
    }


def test_the_test_names_the_command_that_writes_it_again(wf_cli: Wf, run_id: str) -> None:
    shown = wf_cli("test", "gen", run_id[5:12], "-o", "-", "--redact", "--hide", "charge.amount").out
    assert f"Written by `wf test gen {run_id} --hide charge.amount --redact`; it is yours to change.\n" in shown
    assert "lovelace" not in shown


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["make", "x"], 2, "test cannot 'make'\n  fix: `wf test gen RUN`"),
        (["gem", "x"], 2, "test cannot 'gem'\n  fix: did you mean `gen`?"),
        (["gen", "wrun_9"], 1, "no run has the id 'wrun_9'"),
        (["gen", "{run}", "--step", "charg"], 2, "the run called no step 'charg'\n  fix: it called charge"),
        (["gen", "{run}", "--keep", "charge"], 2, "keep goes with redact or hide"),
        (["gen", "{run}", "--redact", "--keep", "chrge"], 2, "keep: 'chrge' is nothing that this run was given"),
    ],
)
def test_what_cannot_be_done_is_said(wf_cli: Wf, run_id: str, words: list[str], code: int, message: str) -> None:
    done = wf_cli("test", *(run_id if word == "{run}" else word for word in words))
    assert (done.code, done.out) == (code, "")
    assert done.err.startswith(message)


def test_code_that_changed_is_no_ground_for_a_test(wf_cli: Wf, run_id: str, tmp_path: Path) -> None:
    flow = tmp_path / "flow.py"
    flow.write_text(flow.read_text().replace("await charge(card)", "await charge(card, 4)"))
    done = wf_cli("test", "gen", run_id)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(
        f"a test of this run would fail today: run {run_id} replayed differently: event 3 recorded"
    )
    assert not (tmp_path / "tests").exists()
