"""The cookie's secret: the same after a restart, private, and drawn anew where it was not."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from wf.settings import load_settings
from wfstudio.core.cookie_secret import cookie_secret_path, keep_cookie_secret


def test_it_stays_the_same_and_is_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / ".wf" / "session"
    old = os.umask(0)
    try:
        drawn = keep_cookie_secret(path)
    finally:
        os.umask(old)
    assert keep_cookie_secret(path) == drawn
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["session"]
    assert len({keep_cookie_secret(tmp_path / str(number)) for number in range(5)} | {drawn}) == 6


def test_one_that_others_could_know_or_set_is_drawn_anew(tmp_path: Path) -> None:
    path = tmp_path / "session"
    drawn = keep_cookie_secret(path)
    path.chmod(0o640)
    fresh = keep_cookie_secret(path)
    assert fresh != drawn
    for planted in ("", "short", "é" * 40):
        path.write_text(planted)
        path.chmod(0o600)
        assert keep_cookie_secret(path) != planted
    fresh = keep_cookie_secret(path)
    path.rename(tmp_path / "elsewhere")
    path.symlink_to("elsewhere")
    assert keep_cookie_secret(path) != fresh, "who can plant a link could know what it leads to"


def test_where_nothing_can_be_written_it_is_good_for_this_process(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    place = tmp_path / "file" / "session"
    assert len(keep_cookie_secret(place)) >= 43


def test_each_world_has_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert cookie_secret_path(load_settings(tmp_path)) == tmp_path / ".wf" / "session"
    monkeypatch.setenv("WF_WORLD", f"sqlite:///{tmp_path}/other.db")
    assert cookie_secret_path(load_settings(tmp_path)) == tmp_path / "other.db.session"
