"""Commands, held against a real shell."""

from __future__ import annotations

import json
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wfstudio.text.printable import printable
from wfstudio.tui.commands import command_of, curl_command, query_command, quote, resume_command, start_command

HARD = [
    "",
    "a b",
    "it's",
    "$HOME `id`",
    "a\nb",
    "\x1b[2J",
    "日本語",
    "\u202egnp",
    'say "hi"',
    "\\n",
    "a\\'b\x07",
    "\ud800",
]


def expand(line: str) -> list[str]:
    """Give the words that bash makes of a line."""
    script = f"for word in {line}; do printf '%s\\0' \"$word\"; done"
    out = subprocess.run(["bash", "-c", script], capture_output=True, check=True).stdout
    return out.decode().split("\0")[:-1]


def test_a_shell_reads_a_word_as_it_was():
    words = [word for word in HARD if word != "\ud800"]
    assert expand(" ".join(map(quote, words))) == words


@pytest.mark.parametrize("word", HARD)
def test_what_is_shown_is_what_is_run(word):
    assert printable(quote(word)) == quote(word)


@settings(max_examples=30)
@given(st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=8))
def test_whatever_the_word_a_shell_reads_it_as_it_was(word):
    assert expand(quote(word)) == [word]


def test_plain_words_stay_plain():
    assert command_of("inspect", "wrun_1", "--json") == "wf inspect wrun_1 --json"


def test_a_start_names_its_arguments():
    assert start_command("order", [], {"card": "ada", "amount": 3}, "order-1") == (
        """wf start order 'card="ada"' amount=3 --id order-1"""
    )
    assert start_command("demo", [], {}) == "wf start demo"
    assert start_command("sum", [1, "x=2"], {"loud": True}) == """wf start sum 1 '"x=2"' loud=true"""


def test_a_payload_is_json_that_holds_no_control_character():
    command = resume_command("site:ada", {"note": "a\x1b[2J\u202e"})
    assert command == r"""wf resume site:ada '{"note":"a\u001b[2J\u202e"}'"""
    assert json.loads(expand(command)[3]) == {"note": "a\x1b[2J\u202e"}


def test_a_request_leaves_the_token_to_its_reader():
    assert curl_command("http://127.0.0.1:4600/api/hooks/a%2Fb/resume", {"payload": None}) == (
        "curl http://127.0.0.1:4600/api/hooks/a%2Fb/resume"
        """ -H "Authorization: Bearer $TOKEN" --json '{"payload":null}'"""
    )


def test_a_query_goes_on_one_line_unless_that_would_change_it():
    assert query_command("-- why\nSELECT 1\nFROM runs", "-o", "a.csv") == "wf query 'SELECT 1 FROM runs' -o a.csv"
    assert expand(query_command("SELECT 'a\n b'"))[2] == "SELECT 'a\n b'"
    assert expand(query_command("SELECT 1 -- one\n, 2"))[2] == "SELECT 1 -- one\n, 2"
