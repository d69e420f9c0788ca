from __future__ import annotations

import os
from pathlib import Path

from wfstudio.tui.given import KEPT, given_path, keep_given, read_given


def test_what_was_given_last_is_remembered_by_name(tmp_path: Path) -> None:
    path = given_path(tmp_path / "world.db")
    keep_given(path, {"tenant": "acme", "limit": "5"})
    keep_given(path, {"limit": "\u202e7\n"})
    assert read_given(path) == {"tenant": "acme", "limit": "\u202e7\n"}
    assert path.name == "world.db.values"
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert [found.name for found in tmp_path.iterdir()] == [path.name]


def test_names_that_were_not_given_for_long_are_forgotten(tmp_path: Path) -> None:
    path = tmp_path / "v"
    keep_given(path, {"old": "1"})
    keep_given(path, {f"n{number}": "" for number in range(KEPT)})
    assert len(read_given(path)) == KEPT
    assert "old" not in read_given(path)


def test_a_file_that_is_none_or_holds_something_else_is_no_trouble(tmp_path: Path) -> None:
    assert read_given(tmp_path / "none") == {}
    (tmp_path / "v").write_bytes(b"\xff[]")
    assert read_given(tmp_path / "v") == {}
    keep_given(tmp_path / "no" / "folder", {"a": "b"})
