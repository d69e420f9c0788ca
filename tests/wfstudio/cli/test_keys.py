"""`wf keys`: ids, never keys."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from wf.keys import Keyring


@pytest.fixture
def key_file(project: Path) -> Path:
    path = project / ".wf" / "key"
    Keyring.load(path, {})
    return path


def test_keys_are_listed_by_their_ids(wf_cli: Wf, key_file: Path) -> None:
    [id] = Keyring.load(key_file, {}).key_ids
    assert wf_cli("keys") == (0, f"{id.hex()}  seals\n", f"keys from {key_file}\n")
    assert wf_cli("keys", "--json").json == {"source": str(key_file), "ids": [id.hex()], "is_off": False}


def test_rotating_puts_a_fresh_key_in_front_and_says_what_to_do(wf_cli: Wf, key_file: Path) -> None:
    [old] = Keyring.load(key_file, {}).key_ids
    rotated = wf_cli("keys", "rotate")
    fresh, second = Keyring.load(key_file, {}).key_ids
    assert second == old
    assert rotated.out == f"{fresh.hex()}  seals\n{old.hex()}  opens\n"
    assert "restart every process of this world now" in rotated.err


def test_no_key_is_ever_shown(wf_cli: Wf, key_file: Path) -> None:
    secret = key_file.read_text().strip()
    for told in (wf_cli("keys"), wf_cli("keys", "--json"), wf_cli("keys", "rotate")):
        assert secret not in told.out + told.err


def test_listing_makes_no_key(wf_cli: Wf, project: Path) -> None:
    told = wf_cli("keys")
    assert (told.code, told.err.splitlines()[0]) == (1, f"there is no key at {project}/.wf/key")
    assert not (project / ".wf").exists()


def test_keys_of_the_environment_are_not_rotated_here(
    wf_cli: Wf, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WF_KEY", "ab" * 32)
    assert wf_cli("keys").err == "keys from WF_KEY\n"
    told = wf_cli("keys", "rotate")
    assert (told.code, told.err.splitlines()[0]) == (1, "the keys come from WF_KEY")
    monkeypatch.setenv("WF_KEY", "off")
    assert wf_cli("keys") == (0, "", "keys from WF_KEY: off, payloads are stored in clear\n")


def test_no_fresh_key_hides_that_a_worlds_own_is_gone(
    project: Path, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert wf_cli("run", "shop_flow.py:pay", '"ada"', "--quiet").code == 0
    key = project / ".wf" / "key"
    kept = key.rename(project / "kept")
    for words in (["inspect"], ["run", "shop_flow.py:pay", '"bob"'], ["start", "pay", '"bob"'], ["query", "FROM runs"]):
        told = wf_cli(*words)
        assert (told.code, told.out) == (1, "")
        assert told.err == (
            f"the key of this world is gone: there is no {key}, and no WF_KEY\n"
            "  fix: put it back; `WF_KEY=off` shows what is not sealed, and is right for a world that was made so\n"
            "  more: docs/errors/world.md\n"
        )
        assert not key.exists()
    with monkeypatch.context() as patch:
        patch.setenv("WF_KEY", "off")
        [run] = wf_cli("inspect", "--json").json["items"]
        assert (run["workflow"], run["status"]) == ("shop_flow:pay", "completed")
        assert wf_cli("inspect", run["id"], "--json").json["is_locked"] is True
    kept.rename(key)
    assert wf_cli("inspect", run["id"], "--json").json["input"] == {"card": "ada"}


def test_a_place_that_cannot_be_written_is_told_with_the_cure(project: Path, wf_cli: Wf) -> None:
    (project / ".wf").write_text("in the way")
    told = wf_cli("run", "shop_flow.py:pay", '"ada"')
    assert told.code == 1
    assert told.err.startswith(f"the key file {project}/.wf/key cannot be used: ")
    assert told.err.splitlines()[1:] == [
        "  fix: let this user write there, or name another place: `--world sqlite:////…/world.db`, or WF_WORLD",
        "  more: docs/errors/world.md",
    ]
