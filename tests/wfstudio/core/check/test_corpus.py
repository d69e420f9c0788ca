"""Code that is known to be right: the samples, the documents, the tests' own workflows. Nothing may be found in it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from wfstudio.core.check.checking import check_files, check_sources
from wfstudio.core.check.targets import find_scopes
from wfstudio.scaffold.names import read_project_name
from wfstudio.scaffold.projects import plan_project
from wfstudio.scaffold.templates import Template, list_templates

ROOT = Path(__file__).resolve().parents[4]
SAMPLES = sorted(path.parent for path in (ROOT / "sample_projects").glob("*/pyproject.toml"))
DOCUMENTS = sorted(path for path in (ROOT / "docs").rglob("*.md") if path.parent.name != "rules")
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("folder", SAMPLES, ids=lambda path: path.name)
def test_nothing_is_found_in_a_sample(folder: Path) -> None:
    [scope] = find_scopes([str(folder)])
    everything = [str(path) for path in sorted(folder.rglob("*.py"))]
    for files in (scope.files, everything):
        report = check_files(scope.root, files)
        assert [f"{finding.place} {finding.message}" for finding in report.findings] == []
        assert report.workflows


@pytest.mark.parametrize("template", list_templates(), ids=lambda template: template.name)
def test_nothing_is_found_in_what_a_template_writes(template: Template) -> None:
    plan = plan_project(template, Path("/project"), read_project_name("my-flows"), template.answer({}))
    report = check_sources("/project", {f.path: f.content for f in plan.files if f.path.endswith(".py")})
    assert [f"{finding.place} {finding.message}" for finding in report.findings] == []
    assert report.workflows


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.stem)
def test_nothing_is_found_in_the_documents_but_in_what_they_call_wrong(path: Path) -> None:
    for number, code in enumerate(BLOCK.findall(path.read_text("utf-8"))):
        report = check_sources("/project", {f"block_{number}.py": code.encode()})
        found = [f"{f.code} {f.where}" for f in report.findings if "wrong" not in (f.where or "")]
        assert found == [], code


def test_nothing_is_found_in_the_workflows_that_the_studios_tests_run() -> None:
    report = check_files(str(ROOT), [str(ROOT / "tests" / "wfstudio" / "flows.py")])
    assert len(report.workflows) > 10
    assert [f"{finding.place} {finding.message}" for finding in report.findings] == []


def test_what_the_acceptance_tests_do_on_purpose_is_all_that_is_found_in_them() -> None:
    """Bodies there tell their test what they saw, through its variables; what else they do wrong is refused."""
    paths = sorted((ROOT / "tests" / "acceptance").glob("test_*.py"))
    report = check_files(str(ROOT), [str(path) for path in paths])
    assert len(report.workflows) > 250
    known = {
        "WF202": "refused", "WF203": "refused", "WF204": "refused", "WF402": "odd_exceptions",
        "WF401": "refused|does_not_fit|must_make_sense|free_again",
    }  # fmt: skip
    surprising = [
        f"{finding.place} {finding.code} {finding.where}"
        for finding in report.findings
        if finding.code != "WF301" and not re.search(known.get(finding.code, "no such test"), finding.where or "")
    ]
    assert surprising == []
