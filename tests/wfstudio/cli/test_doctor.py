"""`wf doctor`: what it finds, and that it changes nothing by looking."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.studio import open_studio, run


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    async def fill() -> None:
        async with open_studio("sqlite", tmp_path) as client:
            for name in ("ada", "bob"):
                await run(client, "greet", name)

    asyncio.run(fill())
    return tmp_path


@pytest.fixture
def doctor(wf_cli: Wf, folder: Path) -> Wf:
    return lambda *words: wf_cli("doctor", *words, "--world", f"sqlite:///{folder}/world.db")


def findings(told) -> dict[str, str]:
    return {check["name"]: check["detail"] for check in told.json["checks"] if check["status"] == "finding"}


def test_a_healthy_world_has_no_findings(doctor: Wf, folder: Path) -> None:
    told = doctor("--verify", "--json")
    assert (told.code, told.json["is_healthy"], findings(told)) == (0, True, {})
    details = {check["name"]: check["detail"] for check in told.json["checks"]}
    assert details["logs"].startswith("2 runs with ")
    assert details["logs"].endswith(" events are whole")
    assert details["world"] == f"sqlite:///{folder}/world.db"
    assert details["owner"] == "nobody has the world; runs rest until a worker comes"


def test_a_reader_sees_one_line_a_check(doctor: Wf) -> None:
    told = doctor()
    assert (told.code, told.err) == (0, "")
    assert [line.split()[0] for line in told.out.splitlines()] == ["ok"] * 7 + ["--"] * 2 + ["ok"] * 2


def test_looking_makes_nothing(wf_cli: Wf, project: Path) -> None:
    before = sorted(project.iterdir())
    told = wf_cli("doctor")
    assert told.code == 0
    assert f"sqlite:///{project}/.wf/world.db is not there yet" in told.out
    assert sorted(project.iterdir()) == before


def test_files_that_others_can_read_are_found(doctor: Wf, folder: Path) -> None:
    (folder / "world.db").chmod(0o644)
    told = doctor("--json")
    assert (told.code, findings(told)) == (1, {"modes": f"{folder}/world.db is open to other users (mode 0644)"})
    assert f"  fix: chmod 600 {folder}/world.db\n" in doctor().out


def test_a_lost_key_is_found_and_no_other_is_made(doctor: Wf, folder: Path) -> None:
    (folder / "world.db.key").unlink()
    assert findings(doctor("--json")) == {"key": f"there is no key at {folder}/world.db.key"}
    assert not (folder / "world.db.key").exists()


def test_another_key_is_found(doctor: Wf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WF_KEY", "ab" * 32)
    found = findings(doctor("--json"))
    assert list(found) == ["payloads"]
    assert "sealed with the key" in found["payloads"]
    assert "ab" * 8 not in str(found)


def test_a_changed_event_is_found_when_verifying(doctor: Wf, folder: Path) -> None:
    with sqlite3.connect(folder / "world.db") as file:
        file.execute("UPDATE events SET at = at + 1 WHERE seq = 3 AND run_id = (SELECT min(run_id) FROM runs)")
    file.close()
    assert doctor().code == 0
    told = doctor("--verify", "--json")
    assert told.code == 1
    assert findings(told)["logs"].endswith("; 1 runs before it are whole")
    assert "event 3: cannot open log" in findings(told)["logs"]


def test_settings_that_cannot_be_read_are_a_finding(wf_cli: Wf, project: Path) -> None:
    (project / "pyproject.toml").write_text("[tool.wf]\ndurabilty = 'power'\n")
    told = wf_cli("doctor", "--json")
    assert told.code == 1
    assert findings(told)["settings"].endswith("durabilty is not a setting")
