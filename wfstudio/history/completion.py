"""Completion: what a word of SQL may go on as, for every face in which SQL is typed.

Offered are tables, columns (of the tables that are named, where any are), functions, keywords, and as a first word
the saved queries.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from contextlib import aclosing
from typing import Final, NamedTuple

import msgspec

from wf.errors import WorkflowError
from wfstudio.history.asking import Asker, make_question
from wfstudio.history.library import SavedQuery
from wfstudio.history.schema import MACROS, VIEWS
from wfstudio.history.wire import Rows

KEYWORDS: Final = (
    "SELECT FROM WHERE GROUP BY ORDER LIMIT HAVING JOIN LEFT USING ON AS AND OR NOT IN IS NULL LIKE ILIKE BETWEEN CASE"
    " WHEN THEN ELSE END DISTINCT UNION ALL WITH DESC ASC FILTER OVER PARTITION INTERVAL EXPLAIN DESCRIBE SUMMARIZE"
    " PIVOT UNNEST"
).split()
OURS: Final = tuple(macro.name for macro in MACROS)
"""Functions that come with wf; DuckDB's own are asked for."""
_FUNCTIONS: Final = "SELECT DISTINCT function_name FROM duckdb_functions() WHERE function_name ~ '^[a-z][a-z0-9_]+$'"
_WORD: Final = re.compile(r"\w+$")
_BEFORE_TABLES: Final = re.compile(r"\b(from|join|describe|summarize)\s+\w+$", re.IGNORECASE)
_rows: Final = msgspec.json.Decoder(list[tuple[str]])


class Offer(NamedTuple):
    """`about` is what it is: a column's type, a table's or a saved query's description."""

    text: str
    about: str


async def list_functions(asker: Asker) -> list[str]:
    """List the names of DuckDB's functions; none where it cannot be asked."""
    found: list[str] = []
    try:
        async with aclosing(asker.ask(make_question(_FUNCTIONS, is_locked=True))) as answers:
            async for answer in answers:
                if isinstance(answer, Rows):
                    found += [name for (name,) in _rows.decode(answer.data)]
    except WorkflowError:
        pass
    return found


def find_word(before: str) -> str:
    """Give the word that is being typed, of the text before the cursor; empty where none is."""
    found = _WORD.search(before)
    return found[0] if found else ""


def offer_sql(
    text: str, before: str, *, queries: Iterable[SavedQuery] = (), functions: Sequence[str] = OURS
) -> list[Offer]:
    """Say what the word before the cursor may become. `text` is the whole query, `before` what is before the cursor."""
    word = find_word(before)
    if not word:
        return []
    named = {one.strip("(),;").lower() for one in text.split()}
    used = [view for view in VIEWS if view.name in named] or list(VIEWS)
    known = [Offer(query.name, query.doc) for query in queries] if before.strip() == word else []
    columns = [Offer(column.name, column.type) for view in used for column in view.columns]
    tables = [Offer(view.name, view.doc) for view in VIEWS]
    known += tables + columns if _BEFORE_TABLES.search(before) else columns + tables
    known += [Offer(keyword, "") for keyword in KEYWORDS]
    known += [Offer(name + "(", "function") for name in functions]
    return choose(word, known)


def choose(word: str, known: Iterable[Offer]) -> list[Offer]:
    """Give those that begin with a word, each once."""
    lower = word.lower()
    found: dict[str, Offer] = {}
    for offer in known:
        if offer.text.lower().startswith(lower):
            found.setdefault(offer.text, offer)
    return list(found.values())
