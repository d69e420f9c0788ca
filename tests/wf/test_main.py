"""`python -m wf run`: the small door, without the studio."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

FLOW = """
    import wf

    @wf.step(max_retries=0)
    async def charge(card):
        if card == "bad":
            raise ValueError(f"card {card}")
        return card

    @wf.workflow
    async def pay(card):
        return await charge(card)

    @wf.workflow
    async def order(card):
        return await pay(card)
"""


@pytest.fixture
def flow(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.wf]\nworld = "sqlite:///orders.db"\n')
    path = tmp_path / "order_flow.py"
    path.write_text(textwrap.dedent(FLOW))
    return path


def call(*words: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "wf", "run", *words]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=cwd)


def test_settings_are_those_of_the_files_project(flow: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    done = call(f"{flow}:pay", '"ada"', cwd=elsewhere)
    assert (done.returncode, json.loads(done.stdout)) == (0, "ada"), done.stderr
    assert (flow.parent / "orders.db").exists()
    assert list(elsewhere.iterdir()) == []


def test_a_failed_childs_traceback_is_shown(flow: Path) -> None:
    done = call("order_flow.py:order", '"bad"', cwd=flow.parent)
    assert (done.returncode, done.stdout) == (1, "")
    frames = [line.rpartition(" in ")[2] for line in done.stderr.splitlines() if line.startswith("  File ")]
    assert frames == ["order", "pay", "charge"]
    assert "ValueError: card bad\n  step order_flow:charge failed in attempt 1\n  in the child run wrun_" in done.stderr


def test_the_studio_is_not_needed(flow: Path) -> None:
    program = "import sys; from wf.__main__ import main; main(sys.argv[1:]); print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program, "run", "order_flow.py:pay", '"ada"'],
        capture_output=True,
        text=True,
        cwd=flow.parent,
    )
    assert not {"wfstudio", "typer", "rich"} & set(done.stdout.splitlines()[-1].split())
