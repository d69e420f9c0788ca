"""What users' programs wrote reaches a terminal without its control characters, wherever it is shown."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.cli.app import main

HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\u202egnp\u2066"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, list[str]]:
    """A world whose runs carry control characters in every field that a program can choose."""
    folder = tmp_path_factory.mktemp("hostile")

    async def fill() -> list[str]:
        async with open_studio("sqlite", folder) as client:
            return [
                (await run(client, "greet", HOSTILE)).id,
                (await run(client, "fail", HOSTILE)).id,
                (await run(client, "collect", 1, **{HOSTILE: HOSTILE})).id,
                (await rest(client, (await client.start("approve", [HOSTILE])).id)).id,
                (await rest(client, (await client.start("guard", [HOSTILE])).id)).id,
            ]

    return f"sqlite:///{folder}/world.db", asyncio.run(fill())


def safe(text: str) -> bool:
    return all(character.isprintable() or character == "\n" for character in text)


@pytest.mark.parametrize("form", [[], ["--jsonl"]], ids=["text", "json"])
def test_no_listing_and_no_detail_lets_a_control_character_through(
    form: list[str], place: tuple[str, list[str]], wf_cli: Wf
) -> None:
    url, runs = place
    lines = [["inspect"], ["hooks"], ["inspect", "waits"], ["inspect", "workflows"]]
    for run_id in runs:
        lines += [["inspect", kind, run_id] for kind in ("run", "steps", "events", "hooks", "logs", "attributes")]
        lines += [["logs", run_id]]
    shown = ""
    for words in lines:
        told = wf_cli(*words, *form, "--world", url)
        assert told.code == 0
        assert safe(told.out + told.err), words
        shown += told.out
    assert shown.count("\\u001b[2J" if form else "\\x1b[2J") > 10, "they are escaped, not lost"


def test_neither_does_an_error(place: tuple[str, list[str]], wf_cli: Wf) -> None:
    url, runs = place
    for words in (
        ["resume", HOSTILE, "1"],
        ["resume", f"site:{HOSTILE}", "1"],
        ["inspect", HOSTILE],
        ["inspect", HOSTILE, HOSTILE],
        ["stream", runs[0], HOSTILE],
        ["start", HOSTILE],
        ["start", "greet", HOSTILE],
        ["cancel", runs[3], f"--{HOSTILE}"],
        ["keys", HOSTILE],
        ["run", f"{HOSTILE}.py:main"],
    ):
        told = wf_cli(*words, "--world", url)
        assert told.code != 0, words
        assert safe(told.err), words


def test_nor_does_a_terminal_get_more_than_colours(
    place: tuple[str, list[str]], make_terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, runs = place
    for words in (["inspect"], ["inspect", runs[1]], ["hooks"], ["logs", runs[0]]):
        terminal = make_terminal(80)
        monkeypatch.setattr("sys.stdout", terminal.stream)
        assert main([*words, "--world", url]) == 0
        shown = terminal.stream.text
        for code in ("0", "1", "2", *map(str, range(31, 37))):
            shown = shown.replace(f"\x1b[{code}m", "")
        assert safe(shown), words


def test_a_projects_path_is_shown_safely(tmp_path: Path, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a\x1b[2Jb"
    folder.mkdir()
    (folder / "pyproject.toml").write_text("[tool.wf]\n")
    monkeypatch.chdir(folder)
    for words in (["doctor"], ["inspect"], ["keys"]):
        told = wf_cli(*words)
        assert safe(told.out + told.err), words
