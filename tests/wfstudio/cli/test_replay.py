"""`wf replay`: verdicts, steps and moments as a reader and as a program sees them, and how it exits."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.recorded import recording
from wfstudio.cli.terminal import Terminal
from wfstudio.core.bench.views import MomentView
from wfstudio.text.moment import draw_moment
from wfstudio.text.verdicts import name_outcome

ROOT = Path(__file__).resolve().parents[3]


class Place(NamedTuple):
    """A project whose runs rest, and whose world nobody has: `order` waits, `pay` is done."""

    root: Path
    order: str
    pay: str
    deployment: str

    def edit(self, old: str, new: str) -> None:
        path = self.root / "flow.py"
        text = path.read_text()
        assert old in text
        path.write_text(text.replace(old, new))

    def run(self, *words: str, input: str = "", **environ: str) -> subprocess.CompletedProcess[str]:
        """Run `wf` as a process of its own, as a debugger needs it."""
        return subprocess.run(
            [sys.executable, "-m", "wfstudio", "replay", *words],
            cwd=self.root, input=input, capture_output=True, text=True, timeout=60,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **environ},
        )  # fmt: skip


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    async def fill() -> Place:
        async with recording(tmp_path) as found:
            order, pay = await found.rest("order", "ada"), await found.run("pay", "ada")
            return Place(tmp_path, order, pay, found.session.deployment_id)

    filled = asyncio.run(fill())
    monkeypatch.chdir(tmp_path)
    return filled


# -- verdicts -----------------------------------------------------------------------------------


def test_a_clean_run_is_said_in_two_lines_and_exits_with_0(place: Place, wf_cli: Wf) -> None:
    done = wf_cli("replay", place.order)
    assert (done.code, done.err) == (0, "")
    assert done.out == f"{place.order}  clean  flow:order\n  7 events fit the code {place.deployment}\n"


def test_a_run_that_diverges_is_shown_with_both_calls_and_its_line_and_exits_with_1(place: Place, wf_cli: Wf) -> None:
    place.edit("charge(card, number)", "charge(card, 9)")
    done = wf_cli("replay", place.order)
    assert done.code == 1
    lines = done.out.splitlines()
    assert lines[0] == f"{place.order}  diverges at event 3  flow:order"
    assert lines[1:4] == [
        "  recorded  step flow:charge (position 1)",
        "  actual    step flow:charge (position 1) with another `amount`",
        "  at        flow.py:26 in order",
    ]
    assert "  >    26 |         receipt = await charge(card, 9)" in lines
    assert lines[-1].startswith("  fix: put the call back")
    own = wf_cli("replay", place.order, "--code", "own")
    assert (own.code, own.out.splitlines()[0]) == (0, f"{place.order}  clean  flow:order")


def test_a_run_that_is_extended_says_after_what(place: Place, wf_cli: Wf) -> None:
    place.edit("    return receipt\n", "    await charge('more')\n    return receipt\n")
    done = wf_cli("replay", place.pay, "--json")
    assert done.code == 1
    assert (done.json["outcome"], done.json["seq"], done.json["actual"]) == (
        "extends",
        5,
        "step flow:charge (position 2)",
    )
    assert wf_cli("replay", place.pay).out.splitlines()[0] == f"{place.pay}  extends at event 5  flow:pay"


def test_code_that_does_not_load_is_said_with_its_line(place: Place, wf_cli: Wf) -> None:
    place.edit("import asyncio", "import asyncioo")
    done = wf_cli("replay", place.pay)
    assert done.code == 1
    assert done.out.splitlines()[:3] == [
        f"{place.pay}  cannot load  flow:pay",
        "  because   flow.py cannot be imported: ModuleNotFoundError: No module named 'asyncioo'",
        "  at        flow.py:1 in <module>",
    ]


@pytest.mark.parametrize(
    ("outcome", "one", "two"),
    [
        ("clean", "clean", "clean"),
        ("extends", "extends", "extend"),
        ("diverges", "diverges", "diverge"),
        ("cannot_load", "cannot load", "cannot load"),
    ],
)
def test_an_outcome_is_named_of_one_run_and_of_several(outcome: str, one: str, two: str) -> None:
    assert (name_outcome(outcome), name_outcome(outcome, 2)) == (one, two)


def test_several_runs_are_a_table_with_a_count_and_json_for_programs(place: Place, wf_cli: Wf) -> None:
    done = wf_cli("replay", "--runs", "all")
    assert (done.code, done.err) == (0, "2 clean\n")
    assert [line.split()[:3] for line in done.out.splitlines()] == [
        ["RUN", "VERDICT", "WORKFLOW"], [place.pay, "clean", "flow:pay"], [place.order, "clean", "flow:order"],
    ]  # fmt: skip
    place.edit("charge(card, number)", "charge(card, 9)")
    lines = wf_cli("replay", "--runs", "last:2", "--jsonl")
    assert ([item["outcome"] for item in lines.jsonl], lines.code, lines.err) == (
        ["clean", "diverges"], 1, "1 clean, 1 diverges\n",
    )  # fmt: skip
    whole = wf_cli("replay", "--runs", "open", "--json")
    assert (whole.json["diverges"], len(whole.json["items"])) == (1, 1)
    none = wf_cli("replay", "--runs", "failed")
    assert (none.code, none.out, none.err) == (0, "", "no run is like that\n")


# -- moments ------------------------------------------------------------------------------------


def test_a_moment_is_drawn_with_source_variables_and_open_calls(place: Place, wf_cli: Wf) -> None:
    place.edit("total", "sum_")  # its own code is shown, not the disk's
    done = wf_cli("replay", place.order, "--at", "4")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{place.order}  event 4 of 7: step_completed flow:charge (call 1)"
    assert f"replayed by its own code, {place.deployment}" in lines[1]
    assert lines[3] == "main  waits for step flow:charge (call 2)"
    assert lines[4] == "  flow.py:26 in order"
    assert "  >    26 |         receipt = await charge(card, number)" in lines
    assert [line for line in lines if line[:4] in ("  + ", "  * ")] == [
        "  * number   1", "  + receipt  {'card': 'ada', 'amount': 0}",
    ]  # fmt: skip
    assert "    card     'ada'" in lines
    assert lines[-2:] == ["open calls", '    2  step  flow:charge  queued  {"card":"ada","amount":1}']


def test_a_moment_is_json_for_programs(place: Place, wf_cli: Wf) -> None:
    view = wf_cli("replay", place.order, "--at", "last", "--json").json
    assert (view["seq"], view["tasks"][0]["awaits"]["text"]) == (7, "hook order:ada")


def test_an_event_that_the_code_does_not_reach_is_shown_as_far_and_exits_with_1(place: Place, wf_cli: Wf) -> None:
    place.edit("charge(card, number)", "charge(card, 9)")
    done = wf_cli("replay", place.order, "--at", "5", "--code", "today")
    assert done.code == 1
    assert done.out.splitlines()[0].startswith(f"{place.order}  event 2 of 7")
    assert "this code goes no further at flow.py:26 in order: run" in done.out.splitlines()[-1]


def test_the_end_of_a_run_is_drawn(place: Place, wf_cli: Wf) -> None:
    done = wf_cli("replay", place.pay, "--at", "last")
    assert "the body returned {'card': 'ada', 'amount': 3}" in done.out.splitlines()


def test_what_a_value_says_cannot_steer_the_terminal(make_terminal: Callable[..., Terminal]) -> None:
    from wfstudio.core.bench.views import (
        AwaitView,
        FrameView,
        LineView,
        LocalView,
        MomentEventView,
        OpenCallView,
        TaskView,
        ValueView,
    )

    evil = "\x1b[2J\u202e"
    value = ValueView(type="str", text=evil, problem=evil)
    view = MomentView(
        run_id="wrun_1", workflow=evil, status="running", deployment_id="dep_1", seq=1, events=1, reached_seq=1,
        event=MomentEventView(seq=1, type="step_created", at="now", name=evil, where=evil),
        tasks=[
            TaskView(
                number=1, name=evil, awaits=AwaitView(kind="hook", text=evil),
                frames=[
                    FrameView(
                        file=evil, line=1, function=evil, source=[LineView(1, evil)], gone=[evil],
                        locals=[LocalView(name=evil, value=value, change="new")],
                    )
                ],
            )
        ],
        open_calls=[OpenCallView(correlation_id=1, kind="hook", token=evil, status="waiting", input={"a": evil})],
    )  # fmt: skip
    text = "\n".join(draw_moment(make_terminal(NO_COLOR="1"), view))
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert text.count("\\x1b[2J\\u202e") >= 9


# -- steps --------------------------------------------------------------------------------------


def test_a_step_that_is_the_same_exits_with_0(place: Place, wf_cli: Wf) -> None:
    done = wf_cli("replay", place.pay, "--step", "charge")
    assert done.code == 0
    lines = done.out.splitlines()
    assert lines[0] == f"{place.pay}:1  same as recorded  flow:charge"
    assert lines[2:5] == [
        '  input     {"card":"ada"}',
        '  recorded  returned {"card":"ada","amount":3}',
        '  actual    returned {"card":"ada","amount":3}',
    ]
    assert lines[-2:] == ["printed", "  stdout charging ada"]


def test_a_step_that_differs_exits_with_1_and_says_where(place: Place, wf_cli: Wf) -> None:
    done = wf_cli("replay", place.pay, "--step", "1", "--input", '{"amount": 9}')
    assert (done.code, "  result.amount: 3 -> 9" in done.out.splitlines()) == (1, True)
    assert '  input     {"card":"ada","amount":9} (edited)' in done.out.splitlines()
    failed = wf_cli("replay", place.pay, "--step", "1", "--input", '{"card": "bad"}')
    assert failed.code == 1
    assert "  actual    raised flow.Declined: card bad" in failed.out.splitlines()
    assert "flow.Declined: card bad" in failed.out.splitlines()
    assert wf_cli("replay", place.pay, "--step", "1", "--json").json["outcome"] == "same"


def test_a_step_that_takes_too_long_exits_with_1(place: Place, wf_cli: Wf) -> None:
    place.edit('    print("charging", card)', "    await asyncio.sleep(60)")
    done = wf_cli("replay", place.pay, "--step", "1", "--timeout", "100ms")
    assert done.code == 1
    assert done.out.splitlines()[0] == f"{place.pay}:1  took too long, and was stopped  flow:charge"


# -- which code, and what is no question --------------------------------------------------------


def test_code_may_be_a_file_and_a_deployment(place: Place, wf_cli: Wf) -> None:
    (place.root / "flow.py").rename(place.root / "kept.py")
    (place.root / "other").mkdir()
    (place.root / "other" / "flow.py").write_text((place.root / "kept.py").read_text())
    (place.root / "kept.py").unlink()
    assert wf_cli("replay", place.pay, "--code", "other/flow.py").code == 0
    assert wf_cli("replay", place.pay, "--code", place.deployment).code == 0
    assert wf_cli("replay", place.pay, "--code", "latest").code == 0


@pytest.mark.parametrize(
    ("words", "message", "fix"),
    [
        ([], "name a run, or several with --runs", "`wf replay RUN`, or `wf replay --runs open`"),
        (
            ["RUN", "--runs", "open"],
            "name a run, or several with --runs",
            "`wf replay RUN`, or `wf replay --runs open`",
        ),
        (["--runs", "some"], "'some' names no runs", "open, failed, all, or last:N (N up to 10000)"),
        (
            ["--runs", "open", "--at", "1"],
            "--runs goes with neither --step, --at nor --debug: they are about one run",
            None,
        ),
        (["RUN", "--step", "1", "--at", "1"], "--step and --at are two questions", "ask one after the other"),
        (["RUN", "--input", "{}"], "--input, --attempt and --timeout go with --step", None),
        (["RUN", "--attempt", "1"], "--input, --attempt and --timeout go with --step", None),
        (
            ["RUN", "--step", "1", "--input", "[1]"],
            "--input: '[1]' is no JSON object",
            "arguments by name: '{\"amount\": 5}'",
        ),
        (["RUN", "--step", "1", "--timeout", "soon"], "--timeout: 'soon' is no duration", None),
        (["RUN", "--code", "todai"], "--code: 'todai' is no code", "did you mean `today`?"),
        (["RUN", "--debugger", "emacs"], "--debugger: 'emacs' is none", "pdb or debugpy"),
        (["RUN", "--at", "99"], "run RUN has no event 99", "it has 5: from 1 on"),
    ],
)
def test_what_is_no_question_is_refused_with_the_cure(
    place: Place, wf_cli: Wf, words: list[str], message: str, fix: str | None
) -> None:
    done = wf_cli("replay", *(word.replace("RUN", place.pay) for word in words))
    assert done.code in (1, 2)
    assert done.out == ""
    assert done.err.splitlines()[0].startswith(message.replace("RUN", place.pay).partition(" 'soon'")[0])
    if fix is not None:
        assert f"  fix: {fix}" in done.err.splitlines()


# -- debuggers ----------------------------------------------------------------------------------


def test_pdb_stops_in_the_body_where_it_goes_on_with_the_event(place: Place) -> None:
    done = place.run(place.order, "--at", "4", "--debug", input="p number, receipt\nn\nn\np number\nn\np receipt\nc\n")
    assert done.returncode == 0, done.stderr
    assert "flow.py(27)order()" in done.stdout
    assert "(Pdb) (0, {'card': 'ada', 'amount': 0})" in done.stdout
    assert "(Pdb) {'card': 'ada', 'amount': 1}" in done.stdout  # stepped over the await, to the next delivery
    assert done.stderr == "the log ends here; nothing was written\n"


def test_pdb_stops_at_the_first_line_of_a_body(place: Place) -> None:
    done = place.run(place.pay, "--debug", input="p card\nc\n")
    assert done.returncode == 0, done.stderr
    assert "flow.py(18)pay()" in done.stdout
    assert "(Pdb) 'ada'" in done.stdout


def test_pdb_shows_a_step_that_failed_in_the_line_that_awaited_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fill() -> Place:
        async with recording(tmp_path) as found:
            return Place(tmp_path, "", await found.run("pay", "bad"), found.session.deployment_id)

    failed = asyncio.run(fill())
    done = failed.run(failed.pay, "--debug", input="n\nn\nc\n")
    assert done.returncode == 0, done.stderr
    assert "flow.Declined: card bad\n" in done.stdout
    # Before the await, and where it raised; from 3.13 on pdb stops there once more on the way out.
    assert done.stdout.count("flow.py(18)pay()") == (2 if sys.version_info < (3, 13) else 3)
    assert "body.py" not in done.stdout


def test_pdb_stops_in_a_step_and_its_result_is_compared(place: Place) -> None:
    done = place.run(place.pay, "--step", "charge", "--debug", input="card = 'bob'\nc\n")
    assert done.returncode == 1, done.stderr
    assert "flow.py(10)charge()" in done.stdout
    assert '  result.card: "ada" -> "bob"' in done.stdout


def test_quitting_pdb_ends_it_and_records_nothing(place: Place) -> None:
    for words in (["--step", "charge"], ["--at", "2"]):
        done = place.run(place.pay, *words, "--debug", input="q\n")
        assert done.returncode == 0, done.stderr
        assert done.stderr.startswith("quit; nothing was")


def test_debugpy_that_is_not_there_is_said(place: Place) -> None:
    done = place.run(place.pay, "--step", "charge", "--debugger", "debugpy")
    assert done.returncode == 2
    assert done.stderr.splitlines()[:2] == [
        "debugpy is not installed in this environment", "  fix: pip install debugpy, or use pdb",
    ]  # fmt: skip


FAKE_DEBUGPY = """
import sys, types
told = []
def is_client_connected(): return False
def listen(address): return ("127.0.0.1", 5678)
def wait_for_client(): told.append("waits")
def settrace(suspend, trace_only_current_thread, patch_multiprocessing, stop_at_frame):
    code = stop_at_frame.f_code
    print("stops in", code.co_name, "of", code.co_filename.rpartition("/")[2], told, file=sys.stderr)
pydevd = types.ModuleType("pydevd")
pydevd.settrace = settrace
sys.modules["pydevd"] = pydevd
"""


def test_debugpy_tells_its_address_waits_and_stops_in_the_users_frame(place: Place, tmp_path_factory: Any) -> None:
    """With a stand-in that has debugpy's calls; the real one was tried by hand."""
    folder = tmp_path_factory.mktemp("fake")
    (folder / "debugpy.py").write_text(FAKE_DEBUGPY)
    path = f"{folder}{os.pathsep}{os.environ.get('PYTHONPATH', '')}"
    step = place.run(place.pay, "--step", "charge", "--debugger", "debugpy", PYTHONPATH=path)
    assert step.returncode == 0, step.stderr
    assert step.stderr.splitlines()[:2] == [
        "debugpy listens at 127.0.0.1:5678; attach your editor to it", "stops in charge of flow.py ['waits']",
    ]  # fmt: skip
    body = place.run(place.order, "--at", "4", "--debugger", "debugpy", PYTHONPATH=path)
    assert "stops in order of flow.py ['waits']" in body.stderr.splitlines()
