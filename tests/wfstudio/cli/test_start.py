"""`wf start`: checked against the catalog, written once, carried out by whoever serves the world."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.wfstudio.cli.conftest import Outcome, Serving, Wf


@pytest.fixture
def start(wf_cli: Wf, serving: Serving) -> Wf:
    return lambda *words: wf_cli("start", *words, "--world", serving.url)


def result_of(ended: Outcome) -> Any:
    """Read the result; before it stands what the steps of the worker in this process printed."""
    return json.loads(ended.out.splitlines()[-1])


def test_the_id_is_on_stdout(start: Wf, serving: Serving) -> None:
    started = start("nap", "0.001")
    assert (started.code, started.err) == (0, "")
    view = serving.do(lambda client: client.wait_for_end(started.out.removesuffix("\n"), 10))
    assert (view.input, view.output) == ({"seconds": 0.001}, "rested")


def test_waiting_gives_the_result(start: Wf) -> None:
    ended = start("greet", '"ada"', "--wait")
    assert (ended.code, result_of(ended)) == (0, ["hello, ada"])
    assert "studio.greet_one completed in " in ended.err


def test_waiting_for_a_failure_shows_it_and_is_one(start: Wf) -> None:
    ended = start("fail", '"no money"', "--wait")
    assert (ended.code, ended.out) == (1, "")
    assert ", in explode\n" in ended.err
    assert "ValueError: no money\n" in ended.err


def test_a_run_has_an_id_and_attributes_and_may_begin_later(start: Wf) -> None:
    options = ["--id", "one", "--attr", "tenant=acme", "--attr", "note=a=b", "--delay", "1h", "--json"]
    run = start("greet", '"ada"', *options).json
    assert (run["id"], run["attributes"]) == ("one", {"tenant": "acme", "note": "a=b"})
    assert run["reason"].startswith("starts at ")
    assert start("greet", '"ada"', *options).json["created_at"] == run["created_at"], "the same id is the same run"


@pytest.mark.parametrize(
    ("content", "expected"),
    [('{"name": "ada", "loud": true}', ["HELLO, ADA"]), ('["bob", 2]', ["hello, bob", "hello, bob"])],
)
def test_arguments_come_from_a_file_or_stdin(
    content: str, expected: list[str], start: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "input.json").write_text(content)
    assert result_of(start("greet", "--input", f"{tmp_path}/input.json", "--wait")) == expected
    monkeypatch.setattr("sys.stdin", io.StringIO(content))
    assert result_of(start("greet", "--input", "-", "--wait")) == expected


@pytest.mark.parametrize(
    ("words", "text"),
    [
        (["gret", '"ada"'], "no workflow is registered as 'gret'"),
        (["greet"], "the arguments do not fit greet: name is missing\n  fix: it is greet(name, times=1, loud=False)\n"),
        (["greet", "5"], "the arguments do not fit greet: name: 5 is not of type 'string'\n"),
        (["greet", "ada"], "the argument 'ada' is not JSON\n  fix: for a text write '\"ada\"'\n"),
        (["greet", '"ada"', 'name="bob"'], "the arguments do not fit greet: name is given twice"),
        (["greet", "--input", "nowhere.json"], "--input: nowhere.json cannot be read: "),
        (["greet", '"ada"', "--input", "-"], "the arguments are given twice: on the command line, and with --input\n"),
        (["greet", '"ada"', "--deployment", "dep_x"], "no deployment has the id 'dep_x'\n"),
        (["greet", '"ada"', "--attr", "$note=x"], "attribute key '$note' begins with"),
        (["greet", '"ada"', "--delay", "soon"], "delay: 'soon' is not a duration"),
        (["greet", '"ada"', "--id", "no spaces"], "'no spaces' is no run id\n"),
        (["greet", '"ada"', "--wiat"], "no such option: --wiat\n  fix: did you mean `--wait`?\n"),
    ],
)
def test_what_does_not_fit_is_refused_before_anything_is_written(
    words: list[str], text: str, start: Wf, serving: Serving, wf_cli: Wf
) -> None:
    told = start(*words)
    assert (told.code, told.out) == (2, "")
    assert told.err.startswith(text)
    assert told.err.endswith("  more: wf start --help\n")
    assert wf_cli("inspect", "--json", "--world", serving.url).json["items"] == []


def test_an_id_of_another_workflow_is_refused(start: Wf) -> None:
    start("greet", '"ada"', "--id", "one")
    told = start("nap", "--id", "one")
    assert (told.code, told.err.splitlines()[0]) == (
        2,
        "the run id 'one' belongs to a run of studio.greet, not of studio.nap",
    )


def test_a_project_that_no_worker_has_loaded_yet_is_loaded(project: Path, wf_cli: Wf) -> None:
    started = wf_cli("start", "pay", '"ada"')
    assert started.code == 0
    assert started.err == (
        f"no worker serves {project}/.wf/world.db now; the next `wf dev` or `wf worker` takes this up\n"
    )
    run = wf_cli("inspect", "run", started.out.strip(), "--json").json
    assert (run["workflow"], run["status"]) == ("shop_flow:pay", "pending")
    assert json.loads(wf_cli("inspect", "deployments", "--jsonl").out)["files"].keys() == {"shop_flow.py"}


def test_who_no_longer_waits_leaves_the_run_alone(project: Path, serving: Serving) -> None:
    command = [sys.executable, "-m", "wfstudio", "start", "nap", "--id", "one", "--wait", "--world", serving.url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as waiting:
        assert waiting.stderr is not None
        assert any(line.startswith("sleeping until ") for line in waiting.stderr)
        waiting.send_signal(signal.SIGINT)
        out, err = waiting.communicate(timeout=20)
    assert (waiting.returncode, out, err) == (130, "", "interrupted; the run goes on without you: `wf inspect one`\n")
    assert serving.do(lambda client: client.get_run("one")).status == "running"
