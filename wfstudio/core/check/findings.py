"""Findings: what a check says, as every face shows it. The JSON of `wf check --json` is made of these.

Files are relative to the project's root where they lie in it, lines and columns count from 1. Fields are
only ever added.
"""

from __future__ import annotations

from collections import Counter
from typing import Literal

import msgspec

from wfstudio.core.bench.views import ReplayList

Severity = Literal["error", "warning"]


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong at one place.

    `where` is `function` of the file, with the calls that lead there from a workflow:
    `in price, called by flow:order`. `workflows` are the ids of all workflows whose runs it concerns.
    """

    code: str
    severity: Severity
    message: str
    why: str
    fix: str
    more: str
    file: str
    line: int
    column: int
    where: str | None = None
    workflows: list[str] = []

    @property
    def place(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


class CheckedWorkflow(msgspec.Struct, frozen=True):
    """A workflow as the check found it. `line` is that of its first decorator."""

    id: str
    file: str
    line: int


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a check came to. `files` counts the files that were read for it."""

    findings: list[Finding] = []
    workflows: list[CheckedWorkflow] = []
    steps: int = 0
    files: int = 0

    @property
    def errors(self) -> int:
        return sum(finding.severity == "error" for finding in self.findings)

    @property
    def warnings(self) -> int:
        return len(self.findings) - self.errors

    def count_codes(self) -> dict[str, int]:
        """Give how often each rule was broken, in the order of the codes."""
        return dict(sorted(Counter(finding.code for finding in self.findings).items()))


class CheckView(msgspec.Struct, frozen=True, kw_only=True):
    """What a check came to, for faces. `workflows` are the ids of those that were checked, `codes` how often
    each rule was broken. `replay` are the verdicts on runs in flight, null where none were asked for.
    `deployment_id` names the code, null where it is the disk's."""

    deployment_id: str | None = None
    errors: int = 0
    warnings: int = 0
    codes: dict[str, int] = {}
    findings: list[Finding] = []
    workflows: list[str] = []
    files: int = 0
    replay: ReplayList | None = None


def show_report(report: Report, *, deployment_id: str | None = None, replay: ReplayList | None = None) -> CheckView:
    return CheckView(
        deployment_id=deployment_id,
        errors=report.errors,
        warnings=report.warnings,
        codes=report.count_codes(),
        findings=report.findings,
        workflows=[workflow.id for workflow in report.workflows],
        files=report.files,
        replay=replay,
    )
