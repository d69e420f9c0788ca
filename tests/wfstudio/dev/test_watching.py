"""Watching: what counts as the project's code, and that a burst of saves is told as one."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from wfstudio.dev.watching import is_code, watch


@pytest.mark.parametrize(
    ("name", "counts"),
    [
        ("flow.py", True),
        ("deep/er/flow.py", True),
        ("pyproject.toml", True),
        ("sub/pyproject.toml", True),
        ("notes.txt", False),
        ("flow.pyc", False),
        (".venv/lib/x.py", False),
        (".wf/deployments/dep_1/flow.py", False),
        ("node_modules/x/y.py", False),
        ("__pycache__/flow.py", False),
        ("lib/site-packages/x.py", False),
        (".#flow.py", False),
    ],
)
def test_the_projects_own_python_counts(tmp_path: Path, name: str, counts: bool) -> None:
    assert is_code(str(tmp_path / name), tmp_path) is counts


def test_a_file_outside_the_root_does_not_count(tmp_path: Path) -> None:
    assert not is_code(str(tmp_path / "other" / "flow.py"), tmp_path / "root")


async def _watch_while(root: Path, act: object, wanted: int) -> list[list[str]]:
    told: list[list[str]] = []
    stop, seen = asyncio.Event(), asyncio.Event()

    def tell(files: list[str]) -> None:
        told.append(files)
        if len({file for burst in told for file in burst} - {"probe.py"}) >= wanted:
            seen.set()

    watching = asyncio.create_task(watch(root, tell, stop))
    probe = root / "probe.py"
    while not told and not watching.done():  # the watcher is there once it has told of something
        probe.write_text(probe.read_text() + "#\n" if probe.exists() else "")
        await asyncio.sleep(0.05)
    await asyncio.sleep(0.1)
    assert not watching.done(), watching.exception()
    told.clear()
    seen.clear()
    assert callable(act)
    act()
    try:
        async with asyncio.timeout(20):
            await seen.wait()
    finally:
        stop.set()  # its thread hears of nothing else
        await watching
    return [burst for burst in told if burst != ["probe.py"]]  # its last save may be told of late


def test_a_branch_switch_of_500_files_is_told_in_few_bursts_and_whole(tmp_path: Path) -> None:
    def switch() -> None:
        for number in range(500):
            (tmp_path / f"m{number}.py").write_text(f"x = {number}\n")

    told = asyncio.run(_watch_while(tmp_path, switch, 500))
    files = {file for burst in told for file in burst if file != "probe.py"}
    assert files == {f"m{number}.py" for number in range(500)}
    assert len(told) <= 3


def test_an_editor_that_saves_by_rename_is_one_save(tmp_path: Path) -> None:
    flow = tmp_path / "flow.py"
    flow.write_text("x = 1\n")

    def save() -> None:
        draft = tmp_path / ".flow.py.swp"
        draft.write_text("x = 2\n")
        draft.replace(flow)

    told = asyncio.run(_watch_while(tmp_path, save, 1))
    assert [file for burst in told for file in burst if file != "probe.py"] == ["flow.py"]
