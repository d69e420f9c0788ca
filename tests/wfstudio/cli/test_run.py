"""`wf run`: the result on stdout, everything else on stderr, and a run that is never lost."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf


def test_the_result_is_json_and_alone_on_stdout(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"ada"', "amount=5")
    assert (ran.code, ran.json) == (0, {"card": "ada", "amount": 5})
    lines = [line for line in ran.err.splitlines() if line != "waiting for a worker"]  # who is slow on a busy machine
    assert lines[1:] == ["charging ada", lines[-1]]
    assert lines[-1].startswith("charge completed in ")


def test_quiet_is_quiet(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"ada"', "--quiet")
    assert (ran.code, ran.err) == (0, "charging ada\n")


def test_the_whole_run_as_json(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"ada"', "--json", "-q", "--id", "one", "--attr", "tenant=acme")
    assert ran.json["id"] == "one"
    assert ran.json["attributes"] == {"tenant": "acme"}
    assert (ran.json["status"], ran.json["output"]) == ("completed", {"card": "ada", "amount": 3})


def test_the_same_id_is_the_same_run(project: Path, wf_cli: Wf) -> None:
    first = wf_cli("run", "shop_flow.py:pay", '"ada"', "--id", "one")
    again = wf_cli("run", "shop_flow.py:pay", '"ada"', "--id", "one")
    assert again.json == first.json
    assert "charging" not in again.err


def test_a_failure_shows_the_steps_traceback_first(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"bad"', "--id", "one", "-q")
    assert (ran.code, ran.out) == (1, "")
    assert ran.err.replace(str(project), "") == (
        "charging bad\ncharging bad\n"
        "Traceback (most recent call last):\n"
        '  File "/shop_flow.py", line 22, in pay\n'
        "    return await charge(card, amount)\n"
        "           ^^^^^^^^^^^^^^^^^^^^^^^^^^\n"
        '  File "/shop_flow.py", line 15, in charge\n'
        '    raise Declined(f"card {card}")\n'
        "shop_flow.Declined: card bad\n"
        "run one failed (USER_ERROR)\n"
        "  more: wf inspect one\n"
    )


def test_a_childs_failure_shows_the_childs_frames(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:order", '"bad"')
    assert ran.code == 1
    places = [line.rpartition(" in ")[2] for line in ran.err.splitlines() if line.startswith("  File ")]
    assert places == ["order", "pay", "charge"]
    assert "child pay failed in" in ran.err


def test_a_failed_run_can_be_had_as_json_too(project: Path, wf_cli: Wf) -> None:
    ran = wf_cli("run", "shop_flow.py:pay", '"bad"', "--json", "-q")
    assert ran.code == 1
    assert (ran.json["status"], ran.json["error"]["type"]) == ("failed", "shop_flow.Declined")


@pytest.mark.parametrize(
    ("words", "start"),
    [
        (["shop_flow.py:pay", "ada"], "the argument 'ada' is not JSON\n  fix: for a text write '\"ada\"'\n"),
        (["shop_flow.py:pay"], "pay() missing 1 required positional argument: 'card'\n"),
        (["shop_flow.py:pay", '"a"', 'card="b"'], "pay() got multiple values for argument 'card'\n"),
        (["shop_flow.py:pya", '"a"'], "no workflow is registered as 'pya'; close: pay\n  fix: did you mean `pay`?\n"),
        (["shop_flo.py:pay", '"a"'], "there is no file shop_flo.py\n  fix: did you mean `shop_flow.py`?\n"),
        (["shop_flow.py:pay", '"a"', "--quite"], "no such option: --quite\n  fix: did you mean `--quiet`?\n"),
        (["shop_flow.py:pay", '"a"', "--id", "no spaces"], "id: 'no spaces' is not a run id"),
        (["shop_flow.py:charge", '"a"'], "shop_flow:charge is a step\n  fix: name a workflow; steps run in"),
    ],
)  # fmt: skip
def test_what_cannot_be_started_is_said_before_anything_is_written(
    words: list[str], start: str, project: Path, wf_cli: Wf
) -> None:
    ran = wf_cli("run", *words)
    assert (ran.code, ran.out) == (2, "")
    assert ran.err.startswith(start)
    assert ran.err.endswith("  more: wf run --help\n")
    assert not (project / ".wf").exists()


def test_an_id_or_an_attribute_that_cannot_be_is_refused(project: Path, wf_cli: Wf) -> None:
    assert wf_cli("run", "shop_flow.py:pay", '"ada"', "-q", "--id", "one").code == 0
    told = wf_cli("run", "shop_flow.py:order", '"ada"', "-q", "--id", "one")
    assert (told.code, told.err.splitlines()[0]) == (
        2,
        "the run id 'one' belongs to a run of shop_flow:pay, not of shop_flow:order",
    )
    told = wf_cli("run", "shop_flow.py:pay", '"ada"', "-q", "--attr", f"note={'x' * 300}")
    assert (told.code, told.out) == (2, "")
    assert "256" in told.err


def test_a_file_that_does_not_import_shows_the_users_frames(project: Path, wf_cli: Wf) -> None:
    (project / "broken_flow.py").write_text("import wf\n\n1 / 0\n")
    ran = wf_cli("run", "broken_flow.py:main")
    assert ran.code == 2
    assert ran.err.splitlines()[:3] == [
        "Traceback (most recent call last):",
        f'  File "{project}/broken_flow.py", line 3, in <module>',
        "    1 / 0",
    ]
    assert f"  at {project}/broken_flow.py:3 in <module>\n" in ran.err


def test_a_negative_number_is_an_argument(project: Path, wf_cli: Wf) -> None:
    (project / "below.py").write_text("import wf\n\n@wf.workflow\nasync def twice(n: int) -> int:\n    return 2 * n\n")
    assert wf_cli("run", "below.py:twice", "-5", "-q").json == -10


def test_an_argument_of_another_type_is_refused_before_anything_runs(project: Path, wf_cli: Wf) -> None:
    told = wf_cli("run", "shop_flow.py:pay", "5", "-q")
    assert told.code == 2
    assert told.err.startswith(
        "the argument card does not fit: Expected `str`, got `int`\n  fix: give what the annotation"
    )


def test_settings_are_those_of_the_files_project(
    project: Path, wf_cli: Wf, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "pyproject.toml").write_text('[tool.wf]\nworld = "sqlite:///here.db"\n')
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    assert wf_cli("run", f"{project}/shop_flow.py:pay", '"ada"', "-q").code == 0
    assert (project / "here.db").exists()
    assert list(elsewhere.iterdir()) == []


def test_what_a_run_waits_for_is_said(project: Path, wf_cli: Wf) -> None:
    """The hook's payload comes from another `wf`, as soon as the first one says its token."""
    command = [sys.executable, "-m", "wfstudio", "run", "shop_flow.py:approve", '"docs"']
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "waiting for hook site:docs\n" in running.stderr
        assert wf_cli("resume", "site:docs", '"yes"').code == 0
        assert running.communicate(timeout=20)[0] == '"yes"\n'


def test_an_interrupted_run_says_how_it_goes_on(project: Path, wf_cli: Wf) -> None:
    command = [sys.executable, "-m", "wfstudio", "run", "shop_flow.py:approve", '"docs"', "--id", "one"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "waiting for hook site:docs\n" in running.stderr
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    assert (running.returncode, out) == (130, "")
    assert err.splitlines()[-3:] == [
        "interrupted; the run one goes on with the next worker of this world",
        "  fix: `wf run shop_flow.py:approve … --id one` goes on here, `wf dev` or `wf worker` anywhere",
        "  more: wf inspect one",
    ]
    assert wf_cli("inspect", "run", "one", "--json").json["reason"] == "waiting for hook site:docs"


def test_what_an_interrupted_run_waits_for_is_said(project: Path) -> None:
    (project / "shop_flow.py").write_text(
        textwrap.dedent(
            """
            import time
            from pathlib import Path
            import wf

            @wf.step
            def work() -> None:
                print("working", flush=True)
                for _ in range(2000):
                    if Path("finish").exists():
                        return
                    time.sleep(0.01)

            @wf.workflow
            async def main() -> None:
                await work()
            """
        )
    )
    command = [sys.executable, "-m", "wfstudio", "run", "shop_flow.py:main", "--id", "one"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        assert running.stderr is not None
        assert "working\n" in running.stderr
        running.send_signal(signal.SIGINT)
        said = next(line for line in running.stderr if line.startswith("interrupted"))  # after what was said before
        (project / "finish").touch()
        running.communicate(timeout=20)
    assert said == "interrupted: what runs may finish; Ctrl-C again to force\n"
    assert running.returncode == 130


def test_on_a_terminal_the_run_is_drawn_as_a_tree(project: Path) -> None:
    """A real pseudo terminal, since what is drawn in place depends on one."""
    code, screen = run_on_terminal("run", "shop_flow.py:order", '"ada"')
    assert code == 0
    assert "charging ada" in screen
    last = screen[screen.rindex("order") :]
    assert "✓ child pay" in last.replace("\x1b[0m", "").replace("\x1b[32m", "")
    assert '"card": "ada"' in last


def run_on_terminal(*words: str) -> tuple[int, str]:
    environ = {**os.environ, "TERM": "xterm", "COLUMNS": "80", "LINES": "24", "PYTHONUTF8": "1"}
    environ.pop("NO_COLOR", None)
    main, other = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "wfstudio", *words], stdin=other, stdout=other, stderr=other, env=environ
    ) as running:
        os.close(other)
        screen = b"".join(read_all(main))
        os.close(main)
    return running.returncode, screen.decode()


def read_all(descriptor: int) -> Iterator[bytes]:
    while True:
        try:
            data = os.read(descriptor, 65_536)
        except OSError:  # Linux says so when the last writer is gone
            return
        if not data:
            return
        yield data
