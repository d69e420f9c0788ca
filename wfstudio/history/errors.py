"""Errors of questions in SQL.

WorkflowError
├── QueryError        the query is not understood, is refused, or failed
└── QueryLimitError   it took more time or memory than it may, or was cancelled
"""

from __future__ import annotations

from wf.errors import WorkflowError


class QueryError(WorkflowError):
    """The query is not understood, or does what a query may not. The message is DuckDB's where that says it best."""

    slug = "query"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint


class QueryLimitError(WorkflowError):
    """The query took more than it may. Nothing was changed by it, and others are not affected."""

    slug = "query-limit"
    hint = "ask for less: a narrower WHERE, fewer columns, no payloads"

    def __init__(self, message: str, hint: str | None = None) -> None:
        super().__init__(message)
        if hint is not None:
            self.hint = hint
