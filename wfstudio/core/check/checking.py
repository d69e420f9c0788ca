"""Checking: from files to findings.

A body is walked from its workflow; what it calls is walked once, whoever calls it. A finding in a helper
names the shortest way there from the first workflow that leads to it, and all workflows that do.
"""

from __future__ import annotations

import ast
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any, Final

from wfstudio.core.check.carrying import Carrier
from wfstudio.core.check.events import Declared, Event
from wfstudio.core.check.findings import CheckedWorkflow, Finding, Report
from wfstudio.core.check.inference import Inference
from wfstudio.core.check.modules import Files, Module, Project, StoredFiles
from wfstudio.core.check.roles import Role, find_roles
from wfstudio.core.check.rules import RULES, Problem, Rule
from wfstudio.core.check.rules.source import Unreadable, UnusedSuppression
from wfstudio.core.check.scopes import Function
from wfstudio.core.check.suppressions import Suppression, find_suppressions
from wfstudio.core.check.visiting import Edge
from wfstudio.core.check.walking import Walk

DEEPEST: Final = 20_000
"""Frames that a check may take."""

LONGEST_WAY: Final = 6
"""Functions that are named of the way from a workflow to a finding."""


def check_files(
    root: str, paths: Iterable[str], *, rules: Collection[type[Rule]] = RULES, shown_from: str | None = None
) -> Report:
    """Check files of the project at `root` (both absolute), with what their workflows call elsewhere in it.

    Findings name files as seen from `shown_from`, by default the root.
    """
    return _Check(Project(root), rules, shown_from or root).run(paths)


def check_sources(root: str, contents: Mapping[str, bytes], *, rules: Collection[type[Rule]] = RULES) -> Report:
    """Check contents in place of the disk. Their paths are relative to `root`, as a deployment's manifest has them."""
    stored = {os.path.join(root, *path.split("/")): content for path, content in contents.items()}
    files: Files = StoredFiles(stored)
    return _Check(Project(root, files), rules, root).run(sorted(stored))


class _Found:
    """A problem with where it is, before it is known which workflows it concerns."""

    __slots__ = ("function", "module", "problem", "rule")

    def __init__(self, rule: Rule, problem: Problem, module: Module, function: Function) -> None:
        self.rule = rule
        self.problem = problem
        self.module = module
        self.function = function

    @property
    def line(self) -> int:
        return getattr(self.problem.node, "lineno", 1)


class _Check:
    def __init__(self, project: Project, rules: Collection[type[Rule]], shown_from: str) -> None:
        self._project = project
        self._shown_from = os.path.join(shown_from, "")
        self._inference = Inference(project)
        self._codes = {rule.code for rule in rules}
        made = [rule() for rule in rules]
        self._by_event: dict[type, list[Rule]] = {}
        for rule in made:
            for event in rule.events:
                self._by_event.setdefault(event, []).append(rule)
        self._walks: dict[Function, Walk] = {}
        self._found: list[_Found] = []
        self._roles: dict[Function, Role] = {}
        self._scanned: set[Module] = set()

    def run(self, paths: Iterable[str]) -> Report:
        with _deep_stack():
            return self._run(paths)

    def _run(self, paths: Iterable[str]) -> Report:
        roots = [module for path in paths if (module := self._project.open(path)) is not None]
        for module in roots:
            self._scan(module)
        workflows = [role for role in self._roles.values() if role.kind == "workflow"]
        for role in workflows:
            self._walk_all(role.function)
        self._declare()
        ways = self._find_ways(workflows)
        findings = [*self._list_broken(), *self._list_findings(ways, roots)]
        return Report(
            findings=sorted(set_once(findings), key=lambda f: (f.file, f.line, f.column, f.code)),
            workflows=[
                CheckedWorkflow(role.id, self._shorten(role.function.module.path), role.function.first_line)
                for role in workflows
            ],
            steps=sum(role.kind == "step" for role in self._roles.values()),
            files=len(self._list_modules()),
        )

    # -- walking

    def _scan(self, module: Module) -> None:
        """Find the workflows and steps of a module, once."""
        if module not in self._scanned:
            self._scanned.add(module)
            for role in find_roles(module, self._inference):
                self._roles[role.function] = role

    def _walk_all(self, root: Function) -> None:
        """Walk a function and all that it leads to. Steps and children are noted, and not walked."""
        queue = [root]
        while queue:
            function = queue.pop()
            self._scan(function.module)
            if function not in self._walks:
                walk = self._walks[function] = Walk(function, self._inference, self._hear)
                with suppress(RecursionError):  # what comes behind an expression without end is not looked at
                    walk.run()
                for edge in walk.edges:
                    self._scan(edge.target.module)
                    if self._is_inside(edge):
                        queue.append(edge.target)

    def _is_inside(self, edge: Edge) -> bool:
        """Tell whether what an edge leads to is a part of the same body."""
        return edge.is_bare or not self._inference.role_of(edge.target)

    def _hear(self, walk: Walk, event: Event) -> None:
        for rule in self._by_event.get(type(event), ()):
            for problem in rule.look(walk, event):
                self._found.append(_Found(rule, problem, walk.module, walk.function))

    def _declare(self) -> None:
        """Look at the signatures of all workflows and steps, now that all modules are read."""
        carrier = Carrier(self._inference, self._list_modules())
        for role in list(self._roles.values()):
            walk = self._walks.get(role.function) or Walk(role.function, self._inference, self._hear)
            self._hear(walk, Declared(role.function, role.kind, carrier))

    def _list_modules(self) -> list[Module]:
        return self._project.list_opened()

    # -- which workflows a finding concerns

    def _find_ways(self, workflows: list[Role]) -> dict[Function, list[tuple[Role, list[Function]]]]:
        """Give, for each function, the workflows that lead to it, each with its shortest way."""
        ways: dict[Function, list[tuple[Role, list[Function]]]] = {}
        for role in workflows:
            seen: dict[Function, list[Function]] = {role.function: []}
            queue = [role.function]
            for function in queue:
                for edge in self._walks[function].edges:
                    is_inside = self._is_inside(edge)
                    if edge.target in seen or not (is_inside or self._inference.role_of(edge.target) == "step"):
                        continue
                    seen[edge.target] = [*seen[function], function]
                    if is_inside:
                        queue.append(edge.target)
            for function, way in seen.items():
                ways.setdefault(function, []).append((role, way))
        return ways

    def _describe(self, found: _Found, ways: list[tuple[Role, list[Function]]]) -> str | None:
        """Say where it is: `in price, called by total, called by flow:order`."""
        own = self._roles.get(found.function)
        if own is not None:
            return f"in {own.id}"
        text = f"in {_name(found.function)}"
        if not ways:
            return text
        role, way = min(ways, key=lambda pair: len(pair[1]))
        between = [_name(function) for function in reversed(way[1:])]
        if len(between) > LONGEST_WAY:
            between = [*between[:LONGEST_WAY], "…"]
        return ", called by ".join([text, *between, role.id])

    # -- findings

    def _list_findings(
        self, ways: dict[Function, list[tuple[Role, list[Function]]]], roots: list[Module]
    ) -> Iterator[Finding]:
        suppressions: dict[Module, list[Suppression]] = {
            module: find_suppressions(module.text, module.tree) for module in self._list_modules()
        }
        for found in self._found:
            hiding = [s for s in suppressions[found.module] if s.covers(found.rule.code, found.line)]
            for suppression in hiding:
                suppression.used.add(found.rule.code)
            if not hiding:
                yield self._show(found, ways.get(found.function, []))
        if UnusedSuppression.code in self._codes:
            for module, listed in suppressions.items():
                for suppression in listed:
                    yield from self._show_unused(module, suppression, module in roots, ways)

    def _show(self, found: _Found, ways: list[tuple[Role, list[Function]]]) -> Finding:
        rule, problem = found.rule, found.problem
        return self._make(
            type(rule),
            problem.message,
            found.module.path,
            found.line,
            _column(found.module, problem.node),
            fix=problem.fix,
            severity=problem.severity,
            where=self._describe(found, ways),
            workflows=[role.id for role, _ in ways],
        )

    def _make(
        self,
        rule: type[Rule],
        message: str,
        path: str,
        line: int,
        column: int,
        *,
        fix: str | None = None,
        severity: Any = None,
        where: str | None = None,
        workflows: Iterable[str] = (),
    ) -> Finding:
        return Finding(
            code=rule.code,
            severity=severity or rule.severity,
            message=message,
            why=rule.why,
            fix=fix or rule.fix,
            more=f"docs/rules/{rule.code}.md",
            file=self._shorten(path),
            line=line,
            column=column,
            where=where,
            workflows=sorted(set(workflows)),
        )

    def _list_broken(self) -> Iterator[Finding]:
        if Unreadable.code in self._codes:
            for path, error in sorted(self._project.broken.items()):
                yield self._make(Unreadable, error.message, path, error.line, error.column)

    def _show_unused(
        self,
        module: Module,
        suppression: Suppression,
        is_root: bool,
        ways: dict[Function, list[tuple[Role, list[Function]]]],
    ) -> Iterator[Finding]:
        """Tell of a suppression that was not needed, where the check has looked at its lines."""
        if not suppression.is_readable:
            if is_root:
                yield self._make(
                    UnusedSuppression,
                    "the suppression cannot be read",
                    module.path,
                    suppression.line,
                    suppression.column,
                    fix="write `# wf: ignore[WF101]`, several codes with commas between them",
                )
            return
        left = [code for code in suppression.codes if code in self._codes and code not in suppression.used]
        unknown = [code for code in suppression.codes if code not in {rule.code for rule in RULES}]
        is_all = len(self._codes) == len(RULES)
        if not (left or unknown or (not suppression.codes and not suppression.used and is_all)):
            return
        function = self._find_function(module, suppression)
        if function is None or not (function in self._walks or (is_root and function in self._roles)):
            return
        names = ", ".join([*left, *unknown])
        yield self._make(
            UnusedSuppression,
            f"the suppression of {names} hides nothing" if names else "the suppression hides nothing",
            module.path,
            suppression.line,
            suppression.column,
            where=f"in {self._roles[function].id if function in self._roles else _name(function)}",
            workflows=[role.id for role, _ in ways.get(function, [])],
        )

    def _find_function(self, module: Module, suppression: Suppression) -> Function | None:
        """Give the innermost function that the suppressed lines are in."""
        best: Function | None = None
        line = min(suppression.lines, default=suppression.line)
        for function in module.functions.values():
            end = function.node.end_lineno or function.first_line
            is_around = function.first_line <= line <= end and not isinstance(function.node, ast.Lambda)
            if is_around and (best is None or function.first_line >= best.first_line):
                best = function
        return best

    def _shorten(self, path: str) -> str:
        return path.removeprefix(self._shown_from).replace(os.sep, "/")


@contextmanager
def _deep_stack() -> Iterator[None]:
    """Let trees be walked that are as deep as the parser takes them."""
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(max(before, DEEPEST))
    try:
        yield
    finally:
        sys.setrecursionlimit(before)


def _name(function: Function) -> str:
    return function.qualname.replace("<locals>.", "")


def _column(module: Module, node: ast.AST) -> int:
    """Give a node's column from 1, in characters: the tree counts bytes."""
    line = module.text.splitlines()[node.lineno - 1] if hasattr(node, "lineno") else ""
    offset = getattr(node, "col_offset", 0)
    return len(line.encode()[:offset].decode("utf-8", "ignore")) + 1


def set_once(findings: Iterable[Finding]) -> list[Finding]:
    """Keep one finding of each rule at each place: a lambda may be walked with its function and by itself."""
    found: dict[tuple[str, str, int, int], Finding] = {}
    for finding in findings:
        key = (finding.code, finding.file, finding.line, finding.column)
        before = found.get(key)
        if before is None:
            found[key] = finding
    return list(found.values())
