"""The stage of the check's tests: code as texts, and what is found in it."""

from __future__ import annotations

from collections.abc import Mapping
from textwrap import dedent, indent

from wfstudio.core.check.checking import check_sources
from wfstudio.core.check.findings import Finding, Report

ROOT = "/project"

HEAD = """
import asyncio
import time
from dataclasses import dataclass
import wf

@dataclass
class Approval(wf.BaseHook):
    approved: bool

@wf.step
async def charge(order: str, cents: int = 0) -> str: ...

@wf.step
def render(page: str) -> bytes: ...

@wf.workflow
async def child(order: str) -> str:
    return order
"""


def check(code: str, files: Mapping[str, str] | None = None) -> Report:
    """Check `flow.py` with this code, and what stands beside it, by paths."""
    contents = {"flow.py": code, **(files or {})}
    return check_sources(ROOT, {path: dedent(text).encode() for path, text in contents.items()})


def list_codes(report: Report) -> list[str]:
    return [finding.code for finding in report.findings]


def check_body(body: str, before: str = "", signature: str = "order: str, **given") -> list[Finding]:
    """Check a workflow with this body, behind some helpers and steps."""
    code = f"{HEAD}\n{dedent(before)}\n@wf.workflow\nasync def flow({signature}):\n{indent(dedent(body), '    ')}\n"
    return check(code).findings


def codes_of(body: str, before: str = "", signature: str = "order: str, **given") -> list[str]:
    return [finding.code for finding in check_body(body, before, signature)]
