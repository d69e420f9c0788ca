"""Texts: a finding in the shape that all errors have: what, where, why, the cure, more."""

from __future__ import annotations

from collections.abc import Mapping

from wfstudio.core.check.findings import Finding, Report


def describe_finding(finding: Finding) -> list[str]:
    """Give the lines that show a finding. They quote the user's code: escape them for a terminal."""
    lines = [f"{finding.place} {finding.code} {finding.severity}: {finding.message}"]
    if finding.where is not None:
        lines.append(f"  {finding.where}")
    return [*lines, f"  why: {finding.why}", f"  fix: {finding.fix}", f"  more: {finding.more}"]


def summarize(report: Report) -> str:
    """Say in a line what a check came to."""
    looked = f"{count(len(report.workflows), 'workflow')} in {count(report.files, 'file')}"
    if not report.findings:
        return f"{looked}: no findings"
    return f"{looked}: {count_findings(report.errors, report.warnings)} ({list_codes(report.count_codes())})"


def count_findings(errors: int, warnings: int) -> str:
    parts = [count(errors, "error")] if errors or not warnings else []
    if warnings:
        parts.append(count(warnings, "warning"))
    return ", ".join(parts)


def list_codes(codes: Mapping[str, int]) -> str:
    return ", ".join(code if number == 1 else f"{code} ×{number}" for code, number in codes.items())


def count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
