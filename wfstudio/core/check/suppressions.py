"""Suppressions: `# wf: ignore[WF101]`, behind a line or above a statement.

Behind a line it speaks of that line, and on the first or last line of a statement of all of it. Alone on a
line it speaks of the statement that follows. Of a compound statement only the head is meant, never its
block. Without codes it speaks of every rule.
"""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from typing import Final

_MARK: Final = re.compile(r"#\s*wf:\s*ignore\b\s*(\[[^\]]*\]?)?", re.IGNORECASE)
_CODE: Final = re.compile(r"WF\d{3}\Z")


class Suppression:
    """One such comment. `codes` is empty where it speaks of every rule; `used` are those it was needed for."""

    def __init__(self, line: int, column: int, codes: list[str], lines: frozenset[int], *, is_readable: bool) -> None:
        self.line = line
        self.column = column
        self.codes = codes
        self.lines = lines
        self.is_readable = is_readable
        self.used: set[str] = set()

    def covers(self, code: str, line: int) -> bool:
        return self.is_readable and line in self.lines and (not self.codes or code in self.codes)


def find_suppressions(text: str, tree: ast.Module) -> list[Suppression]:
    """Find all such comments of a file."""
    if "ignore" not in text:
        return []
    spans: list[tuple[int, int]] | None = None
    found = []
    for comment, line, column, is_alone in _list_comments(text):
        match = _MARK.search(comment)
        if match is None:
            continue
        spans = _list_spans(tree) if spans is None else spans
        codes, is_readable = _read_codes(match[1])
        lines = _lines_below(line, spans) if is_alone else _lines_around(line, spans)
        found.append(Suppression(line, column + match.start() + 1, codes, lines, is_readable=is_readable))
    return found


def _read_codes(text: str | None) -> tuple[list[str], bool]:
    if text is None:
        return [], True
    codes = [code.strip().upper() for code in text.strip("[]").split(",") if code.strip()]
    return codes, text.endswith("]") and bool(codes) and all(_CODE.match(code) for code in codes)


def _list_comments(text: str) -> Iterator[tuple[str, int, int, bool]]:
    """Give each comment with its place, and whether it is alone on its line."""
    try:
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            if token.type == tokenize.COMMENT:
                line, column = token.start
                yield token.string, line, column, not token.line[:column].strip()
    except (tokenize.TokenError, SyntaxError):  # what the parser takes, this may not
        return


def _list_spans(tree: ast.Module) -> list[tuple[int, int]]:
    """List the first and last line of each statement; of a compound one, of its head."""
    spans = []
    for node in ast.walk(tree):
        if isinstance(node, ast.stmt):
            first = first_line(node)
            body = getattr(node, "body", None) or getattr(node, "cases", None)
            inner = body[0] if isinstance(body, list) and body else None
            if inner is None:
                last = node.end_lineno or first
            else:
                begins = first_line(inner) if isinstance(inner, ast.stmt) else inner.pattern.lineno
                last = max(first, begins - 1)
            spans.append((first, last))
    return sorted(spans)


def first_line(node: ast.stmt) -> int:
    """Give a statement's first line, its decorators included."""
    decorators: list[ast.expr] = getattr(node, "decorator_list", [])
    return min([node.lineno, *(decorator.lineno for decorator in decorators)])


def _lines_below(line: int, spans: list[tuple[int, int]]) -> frozenset[int]:
    for first, last in spans:
        if first > line:
            return frozenset(range(first, last + 1))
    return frozenset()


def _lines_around(line: int, spans: list[tuple[int, int]]) -> frozenset[int]:
    lines = {line}
    for first, last in spans:
        if line in (first, last):
            lines.update(range(first, last + 1))
    return frozenset(lines)
