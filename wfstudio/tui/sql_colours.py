"""The colours of SQL: which part of which line is a keyword, a text, a number, a comment or a function."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pygments.lexers.sql import SqlLexer
from pygments.token import Comment, Keyword, Literal, Name, Number, Operator, String

from wfstudio.history.completion import KEYWORDS

LONGEST: Final = 50_000
"""Characters of a text that is coloured: a longer one was pasted, and is quick to type in all the same."""
_KINDS: Final[tuple[tuple[Any, str], ...]] = (
    (Comment, "comment"),
    (Keyword, "keyword"),
    (Number, "number"),
    (String, "string"),
    (Literal, "string"),
    (Operator, "operator"),
)
_WORDS: Final = frozenset(KEYWORDS)
_lexer: Final = SqlLexer()


class Span(NamedTuple):
    """Characters of a line, from `start` up to `end`."""

    start: int
    end: int
    kind: str


def colour_sql(text: str) -> list[list[Span]]:
    """Give the spans of each line of a text."""
    lines: list[list[Span]] = [[] for _ in range(text.count("\n") + 1)]
    if len(text) > LONGEST:
        return lines
    row = column = 0
    for index, token, value in _lexer.get_tokens_unprocessed(text):
        kind = _find_kind(token, value, text[index + len(value) :])
        for count, part in enumerate(value.split("\n")):
            if count:
                row, column = row + 1, 0
            if kind is not None and part:
                _add(lines[row], Span(column, column + len(part), kind))
            column += len(part)
    return lines


def _add(spans: list[Span], span: Span) -> None:
    """Add a span to a line's, or make the last one longer where it goes on."""
    if spans and spans[-1].end == span.start and spans[-1].kind == span.kind:
        span = Span(spans.pop().start, span.end, span.kind)
    spans.append(span)


def _find_kind(token: Any, value: str, rest: str) -> str | None:
    is_word = token in Name or token in Keyword
    if is_word and rest[:1] == "(" and value.upper() not in _WORDS:
        return "function"
    if is_word and value.upper() in _WORDS:  # DuckDB's own, SUMMARIZE or ILIKE, which the lexer does not know
        return "keyword"
    if token in Keyword and not value.isupper():
        return None  # `name`, `status`, `type` are columns here, though words of some dialect
    return next((kind for known, kind in _KINDS if token in known), None)
