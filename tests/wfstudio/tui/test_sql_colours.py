from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wfstudio.tui.sql_colours import LONGEST, colour_sql


def show(text: str) -> list[list[tuple[str, str]]]:
    lines = text.split("\n")
    return [
        [(lines[row][span.start : span.end], span.kind) for span in spans] for row, spans in enumerate(colour_sql(text))
    ]


def test_words_texts_numbers_and_functions_are_told_apart():
    assert show("SELECT name, p95(ms) FROM runs WHERE x = 'a' AND n > 15 -- why")[0] == [
        ("SELECT", "keyword"),
        ("p95", "function"),
        ("FROM", "keyword"),
        ("WHERE", "keyword"),
        ("=", "operator"),
        ("'a'", "string"),
        ("AND", "keyword"),
        (">", "operator"),
        ("15", "number"),
        ("-- why", "comment"),
    ]


def test_what_goes_over_lines_is_coloured_on_each():
    assert show("/* one\ntwo */ SELECT 'a\nb'") == [
        [("/* one", "comment")],
        [("two */", "comment"), ("SELECT", "keyword"), ("'a", "string")],
        [("b'", "string")],
    ]


def test_words_of_duckdb_are_keywords_in_any_case():
    assert show("summarize runs")[0] == [("summarize", "keyword")]
    assert ("ILIKE", "keyword") in show("SELECT x ILIKE 'a'")[0]


def test_columns_that_are_words_of_some_dialect_are_columns():
    assert show("select name, status, type from runs")[0] == [("select", "keyword"), ("from", "keyword")]


def test_a_very_long_text_is_left_plain():
    assert colour_sql("SELECT 1\n" * LONGEST)[0] == []


@given(st.text(alphabet="SELECT 'x\"\n-/*()1.é日\x1b$", max_size=60))
def test_whatever_is_typed_every_line_has_its_spans_in_it(text):
    lines = text.split("\n")
    coloured = colour_sql(text)
    assert len(coloured) == len(lines)
    for line, spans in zip(lines, coloured, strict=True):
        assert all(0 <= span.start < span.end <= len(line) for span in spans)
