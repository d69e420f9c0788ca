"""`wf skill install`: what it writes, and what it leaves alone. That the skill is true, tests/test_pages.py tries."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from wfstudio.cli import skill as module
from wfstudio.cli.skill import read_text

SKILL = ".agents/skills/wf/SKILL.md"


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "pyproject.toml").touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_skill_and_a_stanza_are_written_and_a_second_time_kept(wf_cli: Wf, root: Path) -> None:
    first = wf_cli("skill", "install", "--json").json
    assert first == {
        "folder": str(root),
        "files": [
            {"path": SKILL, "action": "create", "is_edited": False},
            {"path": "AGENTS.md", "action": "create", "is_edited": False},
        ],
        "is_written": True,
    }
    text = (root / SKILL).read_text("utf-8")
    assert text.startswith(read_text("SKILL.md"))
    assert f"`{SKILL}`" in (root / "AGENTS.md").read_text("utf-8")
    assert wf_cli("skill").out == f"keep    {SKILL}\nkeep    AGENTS.md\n"
    assert (root / SKILL).read_text("utf-8") == text


def test_the_skill_has_the_head_that_agents_read() -> None:
    head = re.match(r"---\nname: ([a-z0-9-]{1,64})\ndescription: (.{1,1024})\n---\n\n# ", read_text("SKILL.md"))
    assert head is not None
    assert head[1] == "wf"
    assert ": " not in head[2], "it would end a value that has no quotes"


def test_it_fits_on_a_page_of_context() -> None:
    assert len(read_text("SKILL.md")) < 10_000


def test_where_claude_is_used_it_gets_the_skill_where_it_looks(wf_cli: Wf, root: Path) -> None:
    (root / ".claude").mkdir()
    wf_cli("skill", "install")
    assert (root / ".claude/skills/wf/SKILL.md").read_bytes() == (root / SKILL).read_bytes()


def test_folders_can_be_named_and_the_stanza_left_out(wf_cli: Wf, root: Path) -> None:
    done = wf_cli("skill", "install", "--dir", ".github/skills", "--dir", "skills/", "--no-agents-md", "--json").json
    assert [file["path"] for file in done["files"]] == [".github/skills/wf/SKILL.md", "skills/wf/SKILL.md"]
    assert not (root / "AGENTS.md").exists()


@pytest.mark.parametrize("folder", ["../elsewhere", "/tmp/skills"])
def test_nothing_is_written_outside_of_the_project(wf_cli: Wf, root: Path, folder: str) -> None:
    done = wf_cli("skill", "install", "--dir", folder)
    assert (done.code, list(root.iterdir())) == (1, [root / "pyproject.toml"])
    assert "is not in this project\n  fix: name a folder in it, `--dir .agents/skills`" in done.err


def test_a_dry_run_says_and_does_nothing(wf_cli: Wf, root: Path) -> None:
    assert wf_cli("skill", "install", "--dry-run").out == f"create  {SKILL}\ncreate  AGENTS.md\n"
    assert list(root.iterdir()) == [root / "pyproject.toml"]


def test_an_older_text_of_ours_is_replaced_without_a_question(
    wf_cli: Wf, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    texts = {"SKILL.md": "---\nname: wf\n---\nolder\n", "AGENTS.md": "older: {skill}\n"}
    with monkeypatch.context() as older:
        older.setattr(module, "read_text", texts.__getitem__)
        wf_cli("skill", "install")
    assert "older" in (root / SKILL).read_text("utf-8")
    assert wf_cli("skill", "install").out == f"replace {SKILL}\nedit    AGENTS.md\n"
    assert "older" not in (root / SKILL).read_text("utf-8") + (root / "AGENTS.md").read_text("utf-8")


def test_an_edited_skill_is_left_alone_where_nobody_can_be_asked(wf_cli: Wf, root: Path) -> None:
    wf_cli("skill", "install")
    edited = (root / SKILL).read_text("utf-8").replace("# wf", "# Our own rules", 1)
    (root / SKILL).write_text(edited, "utf-8")
    (root / "AGENTS.md").unlink()
    done = wf_cli("skill", "install")
    assert done.code == 1
    assert done.err == f"nothing was written: somebody has edited {SKILL}\n  fix: `--force` writes over it\n"
    assert (root / SKILL).read_text("utf-8") == edited
    assert not (root / "AGENTS.md").exists(), "all or nothing"
    dry = wf_cli("skill", "install", "--dry-run", "--json")
    assert (dry.code, dry.json["files"][0]) == (0, {"path": SKILL, "action": "replace", "is_edited": True})
    assert wf_cli("skill", "install", "--force").code == 0
    assert "Our own rules" not in (root / SKILL).read_text("utf-8")


@pytest.mark.parametrize(("answer", "is_kept"), [("y\n", False), ("\n", True), ("no\n", True)])
def test_on_a_terminal_it_asks(
    wf_cli: Wf, root: Path, monkeypatch: pytest.MonkeyPatch, answer: str, is_kept: bool
) -> None:
    (root / ".agents/skills/wf").mkdir(parents=True)
    (root / SKILL).write_text("my own skill\n", "utf-8")
    stdin = io.StringIO(answer)
    monkeypatch.setattr(stdin, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stdin", stdin)
    done = wf_cli("skill", "install")
    assert f"{SKILL} was edited; write over it? [y/N] " in done.err
    assert ((root / SKILL).read_text("utf-8") == "my own skill\n") is is_kept
    assert done.code == (1 if is_kept else 0)


def test_of_agents_md_only_the_stanza_is_ours(wf_cli: Wf, root: Path) -> None:
    (root / "AGENTS.md").write_text("# House rules\n\nBe kind.", "utf-8")
    assert wf_cli("skill", "install").out == f"create  {SKILL}\nedit    AGENTS.md\n"
    text = (root / "AGENTS.md").read_text("utf-8")
    assert text.startswith("# House rules\n\nBe kind.\n\n<!-- wf skill: begin ")
    (root / "AGENTS.md").write_text(text + "\n## More\n", "utf-8")
    assert wf_cli("skill", "install").out == f"keep    {SKILL}\nkeep    AGENTS.md\n"
    again = (root / "AGENTS.md").read_text("utf-8").replace("Before you write", "Long before you write")
    (root / "AGENTS.md").write_text(again, "utf-8")
    assert wf_cli("skill", "install").code == 1
    assert wf_cli("skill", "install", "--force").code == 0
    assert (root / "AGENTS.md").read_text("utf-8") == text + "\n## More\n"


def test_a_file_that_is_no_text_is_refused(wf_cli: Wf, root: Path) -> None:
    (root / "AGENTS.md").write_bytes(b"\xff\xfe\x00")
    done = wf_cli("skill", "install")
    assert (done.code, (root / SKILL).exists()) == (1, False)
    assert "AGENTS.md cannot be read" in done.err


def test_an_action_that_is_none_is_refused(wf_cli: Wf, root: Path) -> None:
    done = wf_cli("skill", "instal")
    assert (done.code, done.err.splitlines()[:2]) == (2, ["skill cannot 'instal'", "  fix: did you mean `install`?"])
