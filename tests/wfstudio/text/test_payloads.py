"""Payloads: short parts on one line, texts of several lines as lines, nothing that steers a terminal."""

from __future__ import annotations

import pytest

from wfstudio.text.payloads import MOST_LINES, draw_payload
from wfstudio.text.pen import Pen
from wfstudio.text.widths import cell_width

PLAIN = Pen(width=40, has_colour=False)


@pytest.mark.parametrize(
    ("value", "lines"),
    [
        (None, ["null"]),
        (3, ["3"]),
        ("tea", ['"tea"']),
        ([], ["[]"]),
        ({}, ["{}"]),
        ([1, 2, 3], ["[1,2,3]"]),
        ({"a": 1, "b": "c"}, ['{"a":1,"b":"c"}']),
        ({"a": {"b": [1]}}, ["{", '  "a": {', '    "b": [1]', "  }", "}"]),
        ({"$large": 1_234_567}, ["(1.2 MB, too large to be shown here)"]),
    ],
    ids=repr,
)
def test_what_is_short_stays_on_one_line(value: object, lines: list[str]) -> None:
    assert draw_payload(PLAIN, value) == lines


def test_a_text_of_several_lines_is_shown_as_lines() -> None:
    assert draw_payload(PLAIN, {"page": "<p>\n\thello\n</p>", "n": 1}) == [
        "{",
        '  "page": 3 lines',
        "  │ <p>",
        "  │     hello",
        "  │ </p>",
        '  "n": 1',
        "}",
    ]


def test_every_part_of_a_value_that_is_broken_is_still_there() -> None:
    text = "words and words " * 20
    lines = draw_payload(PLAIN, {"text": text, "dense": "z" * 100})
    joined = "".join(line.strip() for line in lines)
    assert joined.count("z") == 100
    assert joined.count("and") == 20
    assert max(cell_width(line) for line in lines) <= 40


def test_what_is_very_long_is_cut_and_says_so() -> None:
    lines = draw_payload(PLAIN, list(range(1_000)), most=10)
    assert len(lines) == 11
    assert lines[-1] == "… and more: `--json` prints all of it"


def test_nothing_of_a_payload_steers_a_terminal() -> None:
    hostile = "\x1b[2J\u202egnp.exe"
    value = {hostile: [hostile, f"{hostile}\n{hostile}", {"deep": {hostile: hostile}}]}
    for line in draw_payload(Pen(width=60, has_colour=False), value):
        assert all(character.isprintable() for character in line)


def test_a_margin_is_in_front_of_every_line() -> None:
    lines = draw_payload(PLAIN, {"a": {"b": "c\nd"}, "e": "f" * 100}, "    ")
    assert all(line.startswith("    ") for line in lines)


@pytest.mark.parametrize("text", ["日本" * 300_000, "x" * 900_000, "x" * 900_000 + "\n", "\u202e" * 200_000])
def test_of_an_endless_text_only_what_is_seen_is_drawn(text: str) -> None:
    lines = draw_payload(Pen(width=80, has_colour=False), {"text": text})
    assert len(lines) == MOST_LINES + 1
    assert "and more" in lines[-1]
    assert max(map(cell_width, lines[:-1])) <= 80
