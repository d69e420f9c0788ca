"""What a rule is. Each is a class whose docstring is its page in docs/rules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from typing import Any, ClassVar

import msgspec

from wfstudio.core.check.findings import Severity
from wfstudio.core.check.walking import Walk


class Problem(msgspec.Struct, frozen=True):
    """Something that a rule found. What is None is as the rule says for all its findings."""

    node: ast.AST
    message: str
    fix: str | None = None
    severity: Severity | None = None


class Rule:
    """A rule looks at the events that it names, and gives what is wrong with them.

    `why` and `fix` are a sentence each, in the manner of all error texts; the docstring is the page:
    a title, what is found, then `## Why`, `## Fix` and `## Example`.
    """

    code: ClassVar[str]
    severity: ClassVar[Severity] = "error"
    why: ClassVar[str]
    fix: ClassVar[str]
    events: ClassVar[tuple[type, ...]] = ()

    def look(self, walk: Walk, event: Any) -> Iterator[Problem]:
        """Give the problems of one event. Rules that the checker applies by itself look at none."""
        yield from ()
