"""docs/testing.md: its examples are run as a user would run them, from files in a project."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.programs import PYTEST

DOCUMENT = (Path(__file__).resolve().parents[1] / "docs" / "testing.md").read_text("utf-8")
FILES = dict(re.findall(r"^```python\n# (\w+\.py)\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL))
RECORDING = """
import asyncio, sys
import wf
from flows import charge, fulfil
from record import keep

async def succeed(order, cents):
    return "receipt-1"

async def main():
    async with wf.worker() as worker:
        worker.worker.mocks[charge.id] = succeed
        await wf.start(fulfil.with_options(id="o1"), "o1", 500)
        await worker.drain()
    keep("o1", "histories/o1.json")

asyncio.run(main())
"""


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", *arguments]
    return subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "pyproject.toml").write_text('[tool.pytest.ini_options]\npythonpath = ["."]\n')
    for name, code in FILES.items():
        (tmp_path / name).write_text(code, "utf-8")
    return tmp_path


def test_every_python_block_is_a_file_of_the_project() -> None:
    assert list(FILES) == ["flows.py", "test_flows.py", "record.py", "test_histories.py"]
    assert DOCUMENT.count("```python") == len(FILES)


def test_the_examples_pass(project: Path) -> None:
    done = run(project, *PYTEST, "test_flows.py")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 passed" in done.stdout


def test_a_recorded_run_fits_its_code_and_a_changed_body_fails_with_the_words_of_the_document(project: Path) -> None:
    (project / "histories").mkdir()
    recorded = run(project, "-c", RECORDING)
    assert recorded.returncode == 0, recorded.stderr
    fits = run(project, *PYTEST, "test_histories.py")
    assert "1 passed" in fits.stdout, fits.stdout + fits.stderr

    flows = project / "flows.py"
    sleep, reminder = '    await wf.sleep("3d")\n', "    await remind(order)\n"
    changed = FILES["flows.py"].replace(sleep + reminder, reminder + sleep)
    assert changed != FILES["flows.py"]
    flows.write_text(changed, "utf-8")
    differs = run(project, *PYTEST, "test_histories.py")
    assert differs.returncode == 1
    [message] = re.findall(r"^```text\n(.*?)\n```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert f"E   {message}" in re.sub(r"^E +", "E   ", differs.stdout, flags=re.MULTILINE)
