"""What people prefer, and what is said of what cannot be read."""

from __future__ import annotations

from pathlib import Path

import pytest

from wf.settings import SettingsError, load_settings
from wfstudio.tui.preferences import Preferences, explain_unknown, find_clashes, load_preferences, user_file


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_users_own_file_wins_over_the_project(tmp_path: Path) -> None:
    environ = {"XDG_CONFIG_HOME": str(tmp_path / "config")}
    project = '[tool.wf.tui]\ntheme = "nord"\nkeys = {"runs.cancel" = "ctrl+x", "grid.down" = "down,n"}\n'
    write(tmp_path / "pyproject.toml", project)
    write(tmp_path / "config" / "wf" / "tui.toml", '[keys]\n"grid.down" = "down"\n')
    found = load_preferences(tmp_path, environ)
    assert found == Preferences("nord", {"runs.cancel": "ctrl+x", "grid.down": "down"})


def test_nothing_written_is_nothing_preferred(tmp_path: Path) -> None:
    assert load_preferences(tmp_path, {"HOME": str(tmp_path)}) == Preferences()
    assert user_file({"HOME": str(tmp_path)}) == tmp_path / ".config" / "wf" / "tui.toml"


def test_the_runtime_leaves_the_table_alone(tmp_path: Path) -> None:
    write(tmp_path / "pyproject.toml", '[tool.wf]\nport = 4711\n[tool.wf.tui]\ntheme = "nord"\n')
    assert load_settings(tmp_path, {}).port == 4711


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("theme = 3", "theme: 3 is not a text"),
        ("colour = 'red'", "colour is not a setting"),
        ("keys = 'j'", "keys is not a table"),
        ("[keys]\n'grid.down' = ''", "keys.grid.down: '' is no key"),
        ("[keys]\n'grid.down' = 'a,,b'", "keys.grid.down: 'a,,b' is no key"),
        ("[keys]\n'grid.down' = 7", "keys.grid.down: 7 is no key"),
        ("theme =", "is not TOML"),
    ],
)
def test_what_cannot_be_read_is_named_with_its_place(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path / "wf" / "tui.toml", text)
    with pytest.raises(SettingsError) as caught:
        load_preferences(tmp_path, {"XDG_CONFIG_HOME": str(tmp_path)})
    assert message in str(caught.value)
    assert str(tmp_path / "wf" / "tui.toml") in str(caught.value)


def test_an_unknown_action_is_told_with_the_nearest_one() -> None:
    assert explain_unknown("run.cancel", ["runs.cancel", "runs.wake"]) == (
        "keys: there is no action 'run.cancel'; did you mean 'runs.cancel'?"
    )
    assert explain_unknown("zzz", ["runs.cancel"]) == "keys: there is no action 'zzz'; `?` shows their ids"


def test_a_key_clashes_where_both_actions_may_be_met() -> None:
    known = {"runs.cancel": "c", "runs.wake": "w", "query.run": "w", "grid.down": "down,j", "studio.filter": "slash"}
    assert find_clashes({"runs.cancel": "w"}, known) == ["keys: 'w' is runs.cancel, and runs.wake, too"]
    assert find_clashes({"query.run": "c, j"}, known) == ["keys: 'j' is query.run, and grid.down, too"]
    assert find_clashes({"runs.cancel": "w", "runs.wake": "c"}, known) == []  # they changed places
