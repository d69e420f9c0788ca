from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path

from prompt_toolkit.history import FileHistory

from wfstudio.tui.asked import KEPT, asked_path, keep_asked, read_asked

AT = datetime(2026, 1, 2, tzinfo=UTC)


def test_what_was_asked_is_listed_with_the_last_first_and_each_once(tmp_path: Path) -> None:
    path = asked_path(tmp_path / "world.db")
    for query in ("SELECT 1", "SELECT 2\nFROM runs", "SELECT 1"):
        keep_asked(path, query, AT)
    assert read_asked(path) == ["SELECT 1", "SELECT 2\nFROM runs"]
    assert path.name == "world.db.queries"
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_the_prompt_and_the_studio_share_their_history(tmp_path: Path) -> None:
    path = tmp_path / "world.db.queries"
    prompt = FileHistory(str(path))
    prompt.store_string("SELECT 1;\n")
    keep_asked(path, "SELECT 'é\n+ 2'", AT)
    assert read_asked(path) == ["SELECT 'é\n+ 2'", "SELECT 1;"]
    assert list(prompt.load_history_strings()) == ["SELECT 'é\n+ 2'", "SELECT 1;\n"]


def test_only_the_last_queries_are_listed(tmp_path: Path) -> None:
    path = tmp_path / "q"
    for number in range(KEPT + 5):
        keep_asked(path, f"SELECT {number}", AT)
    assert read_asked(path)[0] == f"SELECT {KEPT + 4}"
    assert len(read_asked(path)) == KEPT


def test_where_there_is_no_file_nothing_was_asked(tmp_path: Path) -> None:
    assert read_asked(tmp_path / "none") == []
    keep_asked(tmp_path / "no" / "folder", "SELECT 1", AT)


def test_bytes_that_are_no_text_are_no_crash(tmp_path: Path) -> None:
    (tmp_path / "q").write_bytes(b"+\xff\xfe\n\n# x\n+SELECT 1")
    assert read_asked(tmp_path / "q") == ["SELECT 1", "��"]
