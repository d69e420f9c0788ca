"""docs/rules: a page for every rule, which is its docstring; and its example is what the rule finds."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.wfstudio.core.check.stage import check
from wfstudio.core.check.pages import INDEX, read_example, render_index, render_page
from wfstudio.core.check.rules import BY_CODE, RULES, Rule

FOLDER = Path(__file__).resolve().parents[4] / "docs" / "rules"


def test_every_rule_has_a_page_and_every_page_a_rule() -> None:
    assert {page.stem for page in FOLDER.glob("WF*.md")} == set(BY_CODE)
    assert {page.name for page in FOLDER.iterdir()} == {INDEX, *(f"{code}.md" for code in BY_CODE)}


def test_no_two_rules_share_a_code() -> None:
    assert len(BY_CODE) == len(RULES)
    assert all(re.fullmatch(r"WF\d{3}", rule.code) for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_page_is_its_rules_docstring(rule: type[Rule]) -> None:
    """`python -m wfstudio.core.check.pages docs/rules` writes them anew."""
    page = (FOLDER / f"{rule.code}.md").read_text("utf-8")
    assert page == render_page(rule)
    assert re.findall(r"^## (.+)$", page, re.MULTILINE) == ["Why", "Fix", "Example"]


def test_the_index_lists_all_rules() -> None:
    index = (FOLDER / INDEX).read_text("utf-8")
    assert index == render_index()
    assert re.findall(r"^\| \[`(WF\d+)`\]", index, re.MULTILINE) == list(BY_CODE)


@pytest.mark.parametrize("rule", [rule for rule in RULES if rule.code != "WF001"], ids=lambda rule: rule.code)
def test_a_rule_finds_the_wrong_half_of_its_example_and_not_the_right_one(rule: type[Rule]) -> None:
    findings = check(read_example(rule)).findings
    assert {finding.code for finding in findings} == {rule.code}
    assert all("wrong" in (finding.where or "") for finding in findings)
    assert "def right" in read_example(rule)


def test_the_first_rules_page_shows_what_a_broken_file_comes_to() -> None:
    code = read_example(BY_CODE["WF001"])
    assert check(code).findings == []
    [finding] = check(code.replace("-> str:", "-> str")).findings
    page = (FOLDER / "WF001.md").read_text("utf-8")
    assert f"{finding.place} {finding.code} {finding.severity}: {finding.message}\n" in page


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.code)
def test_a_rule_says_why_and_how_to_mend_it_in_a_sentence(rule: type[Rule]) -> None:
    for text in (rule.why, rule.fix):
        assert text[:1] == text[:1].lower()
        assert not text.endswith(".")
        assert "\n" not in text
