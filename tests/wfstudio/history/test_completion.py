"""What a word of SQL may go on as. That it is offered at the prompt is tried there."""

from __future__ import annotations

import pytest

from wfstudio.history.completion import Offer, find_word, offer_sql
from wfstudio.history.library import SavedQuery

MINE = SavedQuery("mine", "Mine.", "SELECT 1", "project")


@pytest.mark.parametrize(
    ("before", "word"), [("", ""), ("SELECT ", ""), ("SELECT na", "na"), ("r.sta", "sta"), ("(", "")]
)
def test_the_word_before_the_cursor_is_found(before, word):
    assert find_word(before) == word


def test_what_stands_behind_the_cursor_names_tables_too():
    names = {offer.text for offer in offer_sql("SELECT wa FROM runs", "SELECT wa")}
    assert "waited_ms" not in names
    assert offer_sql("SELECT attri FROM runs", "SELECT attri") == [Offer("attributes", "MAP(VARCHAR, VARCHAR)")]


def test_an_offer_is_made_once_and_says_what_it_is():
    offers = offer_sql("run_i", "run_i")
    assert offers == [Offer("run_id", "VARCHAR")]


def test_saved_queries_are_offered_as_the_first_word_only():
    assert Offer("mine", "Mine.") in offer_sql("mi", "mi", queries=[MINE])
    assert Offer("mine", "Mine.") not in offer_sql("SELECT mi", "SELECT mi", queries=[MINE])


def test_the_functions_that_are_known_are_offered():
    assert Offer("quantile_cont(", "function") in offer_sql("SELECT qu", "SELECT qu", functions=["quantile_cont"])
    assert Offer("p95(", "function") in offer_sql("SELECT p9", "SELECT p9")


def test_where_a_table_is_named_tables_come_first():
    assert offer_sql("SELECT 1 FROM ru", "SELECT 1 FROM ru")[0].text == "runs"
    assert offer_sql("from runs join st", "from runs join st")[0].text == "steps"
    assert offer_sql("SELECT ru FROM runs", "SELECT ru")[0].text == "run_id"
