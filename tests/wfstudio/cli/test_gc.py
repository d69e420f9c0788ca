"""`wf gc`: what would go, what goes, and what it asks first."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import wf
from tests.wfstudio.cli.conftest import Wf
from wf import registry


@pytest.fixture
def ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Three runs that have ended, oldest first, in the world of the working directory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\ndurability = 'process'\n")

    async def make() -> list[str]:
        with registry.isolated():

            @wf.workflow(name="gc-flow")
            async def flow() -> None: ...

            async with wf.worker():
                runs = []
                for _ in range(3):
                    runs.append(await wf.start(flow))
                    await runs[-1].return_value()
                return [run.run_id for run in runs]

    return asyncio.run(make())


def test_a_dry_run_says_how_many_would_go_and_deletes_none(ended: list[str], wf_cli: Wf) -> None:
    assert wf_cli("gc", "--keep", "1", "--dry-run").out == "2 runs would go\n"
    assert wf_cli("gc", "--keep", "1", "--dry-run", "--json").json == {"runs": ended[:2]}
    assert len(wf_cli("inspect", "--json").json["items"]) == 3


def test_old_runs_go_and_the_newest_stay(ended: list[str], wf_cli: Wf) -> None:
    told = wf_cli("gc", "--keep", "1", "-y")
    assert told.code == 0
    assert told.err.startswith("2 runs deleted")
    assert [run["id"] for run in wf_cli("inspect", "--json").json["items"]] == [ended[2]]
    assert wf_cli("gc", "--keep", "1", "-y", "--json").json["runs"] == []


def test_nothing_is_deleted_that_nobody_was_asked_about(ended: list[str], wf_cli: Wf) -> None:
    told = wf_cli("gc", "--keep", "0")
    assert told.code == 2
    assert told.err.startswith("this would delete 3 runs, and nobody can be asked\n  fix: say `-y`")
    assert len(wf_cli("inspect", "--json").json["items"]) == 3


def test_what_is_to_stay_must_be_said_somewhere(ended: list[str], wf_cli: Wf, tmp_path: Path) -> None:
    told = wf_cli("gc", "-y")
    assert (told.code, told.err.splitlines()[0]) == (2, "what is to stay?")
    assert wf_cli("gc", "--keep", "some", "-y").code != 0
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\nretention = '1h'\n")
    assert wf_cli("gc", "-y", "--json").json["runs"] == []


def test_a_number_in_the_settings_is_a_number_of_runs(ended: list[str], wf_cli: Wf, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("[tool.wf]\nretention = 2\n")
    assert wf_cli("gc", "-y", "--json").json["runs"] == ended[:1]


def test_what_was_imported_is_forgotten_by_itself(ended: list[str], wf_cli: Wf, tmp_path: Path) -> None:
    assert wf_cli("export", *ended[:2], "-o", "two.wf.zip").code == 0
    assert wf_cli("gc", "--imported", "-y").err.startswith("0 runs deleted")
    assert wf_cli("import", "two.wf.zip", "--world", "sqlite:///other.db").code == 0
    assert wf_cli("gc", "--imported", "--dry-run", "--world", "sqlite:///other.db").out == "2 runs would go\n"
    assert wf_cli("gc", "--imported", "-y", "--world", "sqlite:///other.db").err.startswith("2 runs deleted")
    assert len(wf_cli("inspect", "--json").json["items"]) == 3
