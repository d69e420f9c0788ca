"""Writing: all files of a plan, or none, whatever gets in between."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wfstudio.core.errors import ConflictError, UsageError
from wfstudio.scaffold import writing
from wfstudio.scaffold.plans import Plan, PlannedFile, plan_file
from wfstudio.scaffold.writing import write_plan


def look(folder: Path) -> dict[str, str]:
    """Give everything in a folder, hidden things and empty folders too."""
    return {
        path.relative_to(folder).as_posix(): "/" if path.is_dir() else path.read_text()
        for path in sorted(folder.rglob("*"))
    }


def test_a_folder_that_is_not_there_is_made_with_all_that_leads_to_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    write_plan(Plan(folder, [PlannedFile("x.txt", b"1"), PlannedFile("tests/y.txt", b"2")]))
    assert look(tmp_path) == {"a": "/", "a/b": "/", "a/b/tests": "/", "a/b/tests/y.txt": "2", "a/b/x.txt": "1"}
    mask = os.umask(0)
    os.umask(mask)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o777 & ~mask


def test_files_join_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    write_plan(Plan(tmp_path, [PlannedFile("x.txt", b"1"), PlannedFile("deep/er/y.txt", b"2")]))
    assert look(tmp_path) == {
        "mine.txt": "mine", "x.txt": "1", "deep": "/", "deep/er": "/", "deep/er/y.txt": "2",
    }  # fmt: skip


def test_an_edited_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "run.py"
    path.write_bytes(b"old")
    path.chmod(0o750)
    write_plan(Plan(tmp_path, [PlannedFile("run.py", b"new", "edit", b"old")]))
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (b"new", 0o750)


def test_a_file_that_is_as_it_should_be_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "same.txt"
    path.write_bytes(b"same")
    before = path.stat()
    write_plan(Plan(tmp_path, [plan_file(tmp_path, "same.txt", b"same")]))
    assert (path.stat().st_ino, path.stat().st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


@pytest.mark.parametrize("fails_at", [1, 2, 3])
def test_when_one_file_cannot_be_put_in_place_all_is_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails_at: int
) -> None:
    (tmp_path / "edited.py").write_text("before")
    plan = Plan(
        tmp_path,
        [
            PlannedFile("first/new.txt", b"1"),
            PlannedFile("edited.py", b"after", "edit", b"before"),
            PlannedFile("tests/last.txt", b"2"),
        ],
    )
    calls = 0
    true_check = writing._check_unchanged

    def fail_later(target: Path, file: PlannedFile) -> None:
        nonlocal calls
        calls += 1
        if calls == fails_at:
            raise OSError(28, "No space left on device")
        true_check(target, file)

    monkeypatch.setattr(writing, "_check_unchanged", fail_later)
    with pytest.raises(UsageError) as refused:
        write_plan(plan)
    assert str(refused.value) == f"{tmp_path} cannot be written: No space left on device; it is as it was"
    assert look(tmp_path) == {"edited.py": "before"}


def test_a_new_folder_that_cannot_be_filled_is_not_there(tmp_path: Path) -> None:
    plan = Plan(tmp_path / "new", [PlannedFile("a", b"1"), PlannedFile("a/b", b"2")])
    with pytest.raises(UsageError, match="cannot be written: "):
        write_plan(plan)
    assert look(tmp_path) == {}


def test_a_link_stays_a_link_and_what_it_points_to_is_edited_or_put_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real.py").write_text("before")
    (tmp_path / "flow.py").symlink_to("real.py")
    write_plan(Plan(tmp_path, [PlannedFile("flow.py", b"after", "edit", b"before")]))
    assert (tmp_path / "flow.py").is_symlink()
    assert (tmp_path / "real.py").read_text() == "after"
    (tmp_path / "taken").mkdir()
    plan = [PlannedFile("flow.py", b"again", "edit", b"after"), PlannedFile("taken", b"1")]
    with pytest.raises(UsageError, match="Is a directory"):
        write_plan(Plan(tmp_path, plan))
    assert (tmp_path / "flow.py").is_symlink()
    assert look(tmp_path) == {"real.py": "after", "flow.py": "after", "taken": "/"}


def test_what_changed_since_the_plan_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "flow.py").write_text("old")
    plan = Plan(tmp_path, [PlannedFile("test.py", b"1"), PlannedFile("flow.py", b"new", "edit", b"old")])
    (tmp_path / "flow.py").write_text("edited meanwhile")
    with pytest.raises(ConflictError, match=r"flow\.py has changed meanwhile; nothing was written"):
        write_plan(plan)
    assert look(tmp_path) == {"flow.py": "edited meanwhile"}


def test_a_file_that_came_meanwhile_is_not_overwritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where it came after the last look at it."""
    monkeypatch.setattr(writing, "_check_unchanged", lambda target, file: target.write_text("somebody else's"))
    with pytest.raises(ConflictError, match="has changed meanwhile"):
        write_plan(Plan(tmp_path, [PlannedFile("new.txt", b"1")]))
    assert look(tmp_path) == {"new.txt": "somebody else's"}


def test_a_folder_that_came_meanwhile_stays_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    true_fill = writing._fill

    def fill_late(folder: Path, files: list[PlannedFile]) -> None:
        true_fill(folder, files)
        (tmp_path / "new").mkdir()
        (tmp_path / "new" / "mine.txt").write_text("mine")

    monkeypatch.setattr(writing, "_fill", fill_late)
    with pytest.raises(ConflictError, match="came into being meanwhile"):
        write_plan(Plan(tmp_path / "new", [PlannedFile("a.txt", b"1")]))
    assert look(tmp_path) == {"new": "/", "new/mine.txt": "mine"}


def test_a_file_in_the_folders_place_is_told(tmp_path: Path) -> None:
    (tmp_path / "new").write_text("a file")
    with pytest.raises(ConflictError, match="is a file"):
        write_plan(Plan(tmp_path / "new", [PlannedFile("a.txt", b"1")]))
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    with pytest.raises(ConflictError, match="is a file"):
        write_plan(Plan(tmp_path / "dangling", [PlannedFile("a.txt", b"1")]))
