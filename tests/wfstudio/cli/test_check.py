"""`wf check`: findings in words and as JSON, exit codes, and the runs in flight."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.recorded import recording, write
from wfstudio.core.check.pages import render_page
from wfstudio.core.check.rules import BY_CODE

WRONG = """
    import time
    import wf


    def price(order: str) -> float:
        return time.time()


    @wf.workflow
    async def buy(order: str, found: list[str] = []) -> float:
        return price(order)
"""


def test_a_project_without_findings_says_what_was_looked_at(wf_cli: Wf, project: Path) -> None:
    done = wf_cli("check")
    assert (done.code, done.out, done.err) == (0, "", "3 workflows in 1 file: no findings\n")


def test_findings_have_the_shape_of_errors_and_exit_with_1(wf_cli: Wf, project: Path) -> None:
    write(project, WRONG, "prices.py")
    done = wf_cli("check")
    assert (done.code, done.err) == (1, "4 workflows in 2 files: 1 error, 1 warning (WF101, WF303)\n")
    assert done.out == (
        "prices.py: 1 error, 1 warning\n"
        "prices.py:6:12 WF101 error: `time.time` asks the clock\n"
        "  in price, called by prices:buy\n"
        "  why: a replay asks again and gets another answer, so the run no longer fits its log\n"
        "  fix: ask `wf.now()` or `wf.time_ns()`, or ask the clock in a step\n"
        "  more: docs/rules/WF101.md\n"
        "prices.py:10:46 WF303 warning: the default of `found` is one container for all runs\n"
        "  in prices:buy\n"
        "  why: a default is made once: what one run puts into it, the next one finds there\n"
        "  fix: take `None` or `()` as the default, and make the container in the body\n"
        "  more: docs/rules/WF303.md\n"
        "\n"
    )


def test_json_is_stable(wf_cli: Wf, project: Path) -> None:
    write(project, WRONG, "prices.py")
    done = wf_cli("check", "prices.py", "--json", "--select", "WF101")
    assert (done.code, done.err) == (1, "")
    assert done.json == {
        "deployment_id": None,
        "errors": 1,
        "warnings": 0,
        "codes": {"WF101": 1},
        "findings": [
            {
                "code": "WF101",
                "severity": "error",
                "message": "`time.time` asks the clock",
                "why": "a replay asks again and gets another answer, so the run no longer fits its log",
                "fix": "ask `wf.now()` or `wf.time_ns()`, or ask the clock in a step",
                "more": "docs/rules/WF101.md",
                "file": "prices.py",
                "line": 6,
                "column": 12,
                "where": "in price, called by prices:buy",
                "workflows": ["prices:buy"],
            }
        ],
        "workflows": ["prices:buy"],
        "files": 1,
        "replay": None,
    }


def test_warnings_fail_only_where_they_are_asked_to(wf_cli: Wf, project: Path) -> None:
    write(project, WRONG, "prices.py")
    assert wf_cli("check", "--ignore", "WF101").code == 0
    assert wf_cli("check", "--ignore", "WF101", "--strict").code == 1
    assert wf_cli("check", "--ignore", "WF1,WF3", "--strict").code == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--select", "WF999"], "--select: there is no rule 'WF999'"),
        (["--ignore", "clock"], "--ignore: there is no rule 'CLOCK'"),
        (["--explain", "WF1"], "--explain: there is no rule 'WF1'"),
        (["nowhere.py"], "there is no file 'nowhere.py'"),
        (["nowhere"], "there is no file or module 'nowhere'"),
        (["pyproject.toml"], "pyproject.toml is not a Python file"),
    ],
)
def test_what_is_not_there_is_a_misuse(wf_cli: Wf, project: Path, words: list[str], message: str) -> None:
    done = wf_cli("check", *words)
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(message)


def test_close_names_are_offered(wf_cli: Wf, project: Path) -> None:
    assert "fix: did you mean `shop_flow.py`?" in wf_cli("check", "shop_flw.py").err
    assert "fix: did you mean `WF101`" in wf_cli("check", "--select", "WF1O1").err


def test_a_folder_without_workflows_says_so(wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    monkeypatch.chdir(tmp_path)
    done = wf_cli("check")
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith(f"no Python file in {tmp_path} speaks of wf\n")


def test_a_file_a_folder_a_module_and_the_projects_own_list_are_found(wf_cli: Wf, project: Path) -> None:
    write(project, "import wf\n", "flows/__init__.py")
    write(project, WRONG, "flows/prices.py")
    write(project, WRONG, "tests/test_prices.py")
    for word in ("flows/prices.py", "flows", "flows.prices", str(project / "flows")):
        assert wf_cli("check", word, "--json").json["workflows"] == ["flows.prices:buy"], word
    assert len(wf_cli("check", "--json").json["workflows"]) == 4
    assert wf_cli("check", "tests/test_prices.py", "--json").json["workflows"] == ["test_prices:buy"]
    (project / "pyproject.toml").write_text('[tool.wf]\nmodules = ["shop_flow"]\n')
    assert len(wf_cli("check", "--json").json["workflows"]) == 3


def test_files_are_named_as_seen_from_here(wf_cli: Wf, project: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(project, WRONG, "flows/prices.py")
    assert wf_cli("check", "flows", "--json").json["findings"][0]["file"] == "flows/prices.py"
    monkeypatch.chdir(project / "flows")
    assert wf_cli("check", "prices.py", "--json").json["findings"][0]["file"] == "prices.py"


def test_a_rules_page_can_be_read_where_there_are_no_documents(wf_cli: Wf) -> None:
    done = wf_cli("check", "--explain", "wf106")
    assert (done.code, done.out, done.err) == (0, render_page(BY_CODE["WF106"]), "")


def test_broken_files_are_findings(wf_cli: Wf, project: Path) -> None:
    write(project, "import wf\ndef f(:\n", "broken.py")
    done = wf_cli("check")
    assert done.code == 1
    assert done.out.startswith("broken.py: 1 error\nbroken.py:2:7 WF001 error: invalid syntax\n  why: ")


def test_what_code_says_cannot_steer_the_terminal(wf_cli: Wf, project: Path) -> None:
    write(project, 'import wf\n\n@wf.workflow(name="a\\x1b[31m\\u202eb")\nasync def f():\n    open("x")\n', "odd.py")
    done = wf_cli("check", "odd.py")
    assert "\x1b" not in done.out
    assert "in a\\x1b[31m\\u202eb\n" in done.out


# -- runs in flight -------------------------------------------------------------------------------


def record(project: Path) -> str:
    async def run() -> str:
        async with recording(project) as found:
            await found.run("pay", "ada")
            return await found.rest("order", "ada")

    return asyncio.run(run())


def test_runs_in_flight_that_fit_are_counted(wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = record(tmp_path)
    monkeypatch.chdir(tmp_path)
    done = wf_cli("check")
    assert (done.code, done.out) == (0, "")
    assert done.err == "2 workflows in 1 file: no findings\nruns in flight: 1 clean\n"
    [verdict] = wf_cli("check", "--json").json["replay"]["items"]
    assert (verdict["run_id"], verdict["outcome"]) == (run_id, "clean")


def test_one_that_diverges_fails_the_check(wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run_id = record(tmp_path)
    monkeypatch.chdir(tmp_path)
    flow = tmp_path / "flow.py"
    flow.write_text(flow.read_text().replace("charge(card, number)", "charge(card, number + 1)"))
    done = wf_cli("check")
    assert done.code == 1
    assert done.out.startswith(f"{run_id}  diverges at event 3  flow:order\n")
    assert done.err == "2 workflows in 1 file: no findings\nruns in flight: 1 diverges\n"
    assert wf_cli("check", "--no-replay").code == 0
    assert wf_cli("check", "--no-replay", "--json").json["replay"] is None


def test_with_paths_only_their_own_runs_are_replayed(
    wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record(tmp_path)
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "import wf\n\n\n@wf.workflow\nasync def other(): ...\n", "other.py")
    assert wf_cli("check", "other.py", "--json").json["replay"]["items"] == []
    assert len(wf_cli("check", "flow.py", "--json").json["replay"]["items"]) == 1


def test_code_that_does_not_load_is_not_replayed(wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record(tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "flow.py").write_text("import wf\ndef f(:\n")
    done = wf_cli("check")
    assert done.code == 1
    assert done.err.startswith("runs in flight are not replayed: the code does not load\n")


def test_workflows_are_listed_with_the_rules_that_they_break(
    wf_cli: Wf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def load() -> None:
        async with recording(tmp_path, WRONG):
            pass

    asyncio.run(load())
    monkeypatch.chdir(tmp_path)
    head, *rows = wf_cli("inspect", "workflows").out.splitlines()
    assert "findings" in head.lower().split()
    [row] = [row for row in rows if " flow:buy " in row]
    assert "  WF101, WF303" in row
    [view] = wf_cli("inspect", "workflows", "flow:buy", "--json").json["items"]
    assert [(finding["code"], finding["line"]) for finding in view["findings"]] == [("WF101", 6), ("WF303", 10)]
