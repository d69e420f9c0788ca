from __future__ import annotations

from typing import Any

import duckdb
import pytest

from wfstudio.history.placeholders import find_placeholders, read_value


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ("SELECT $b, $a, $b", ["b", "a"]),
        ("SELECT $1 + $2", ["1", "2"]),
        ("SELECT '$a', 'it''s $b', $c", ["c"]),
        ('SELECT 1 AS "$a ""$b", $c', ["c"]),
        ("SELECT 1 -- $a\n, $b /* $c\n $d */", ["b"]),
        ("SELECT $$it is $a$$, $x$ $b $$ $x$, $c", ["c"]),
        ("SELECT x$a FROM (SELECT 1 AS x$a)", []),
        ("SELECT 'never $ended", []),
        ("SELECT /* never $ended", []),
        ("SELECT $$ never $ended", []),
        ("", []),
    ],
)
def test_the_names_of_a_query_are_found_where_duckdb_finds_them(sql: str, names: list[str]) -> None:
    assert find_placeholders(sql) == names
    try:
        [statement] = duckdb.extract_statements(sql)
    except (duckdb.Error, ValueError):
        return
    assert set(names) == statement.named_parameters


@pytest.mark.parametrize(
    ("text", "value"),
    [("5", 5), ("1.5", 1.5), ("true", True), ("null", None), ("acme", "acme"), ('"5"', "5"), ("", ""), ("[1]", "[1]")],
)
def test_what_is_given_is_what_it_says(text: str, value: Any) -> None:
    assert read_value(text) == value
