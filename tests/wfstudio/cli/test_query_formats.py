"""Formats: each one to the letter, with every value as exact as it came."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from wfstudio.cli.query_formats import TEXT_FORMATS, make_writer
from wfstudio.cli.terminal import Terminal
from wfstudio.history.formats import decode_rows, format_of, name_columns, read_text
from wfstudio.history.wire import Column, Rows

COLUMNS = [Column("name", "VARCHAR"), Column("n", "BIGINT"), Column("price", "DECIMAL(38,2)"), Column("output", "JSON")]
ROWS = rb"""[["a, \"b\"", 1, 12345678901234567890123456.70, {"ok":true,"of":[1,2.50]}], ["", null, -0.10, "text"]]"""
HOSTILE = "\x1b[2J\x1b]0;owned\x07\x9b31m\r\n\u202egnp\u2066"


def write(form: str, columns: list[Column], *batches: bytes, terminal: Terminal | None = None) -> str:
    written: list[str] = []
    writer = make_writer(form, written.append, terminal or Terminal(io.StringIO()))
    writer.begin(columns)
    for batch in batches:
        writer.add(decode_rows(Rows(batch)))
    writer.end()
    return "".join(written)


def test_json_is_one_array_with_an_object_a_line() -> None:
    assert write("json", COLUMNS, ROWS) == (
        '[\n{"name":"a, \\"b\\"","n":1,"price":12345678901234567890123456.70,"output":{"ok":true,"of":[1,2.50]}},\n'
        '{"name":"","n":null,"price":-0.10,"output":"text"}\n]\n'
    )
    assert write("json", COLUMNS) == "[]\n"


def test_jsonl_is_an_object_a_line() -> None:
    assert write("jsonl", COLUMNS, ROWS, b"[]", ROWS).count("\n") == 4
    assert write("jsonl", COLUMNS, ROWS).splitlines()[1] == '{"name":"","n":null,"price":-0.10,"output":"text"}'
    assert write("jsonl", COLUMNS) == ""


def test_csv_tells_nothing_from_an_empty_text() -> None:
    assert write("csv", COLUMNS, ROWS) == (
        "name,n,price,output\r\n"
        '"a, ""b""",1,12345678901234567890123456.70,"{""ok"":true,""of"":[1,2.50]}"\r\n'
        '"",,-0.10,text\r\n'
    )
    assert write("csv", COLUMNS) == "name,n,price,output\r\n"


def test_csv_is_read_back_by_others() -> None:
    texts = ["plain", 'a "quoted" one', "two\nlines", "carriage\r", ",", "", " spaced ", HOSTILE, "é日🙂"]
    written = write("csv", [Column("t", "VARCHAR")], json.dumps([[text] for text in texts]).encode())
    assert [row[0] for row in csv.reader(io.StringIO(written, newline=""))] == ["t", *texts]


def test_markdown_keeps_a_cell_in_its_cell() -> None:
    columns = [Column("a|b", "VARCHAR"), Column("n", "DOUBLE")]
    assert write("markdown", columns, rb'[["x|y\nz", 1.5], ["<b>", null]]') == (
        "| a\\|b | n |\n| --- | ---: |\n| x\\|y\\nz | 1.5 |\n| \\<b> |  |\n"
    )


def test_a_table_that_is_piped_is_plain_and_whole() -> None:
    assert write("table", COLUMNS, ROWS).splitlines() == [
        "name    n                          price  output",
        'a, "b"  1  12345678901234567890123456.70  {"ok":true,"of":[1,2.50]}',
        "                                   -0.10  text",
    ]


def test_columns_of_one_name_are_told_apart() -> None:
    columns = [Column(name, "INTEGER") for name in ("a", "b", "a", "a", "a_2")]
    assert name_columns(columns) == ["a", "b", "a_2", "a_3", "a_2_2"]
    assert write("jsonl", columns, b"[[1,2,3,4,5]]") == '{"a":1,"b":2,"a_2":3,"a_3":4,"a_2_2":5}\n'


@pytest.mark.parametrize(
    ("data", "text"),
    [("null", None), ('""', ""), ('"null"', "null"), ("1.50", "1.50"), ("true", "true"), ('"\\u001b"', "\x1b")],
)
def test_a_value_as_text_is_what_json_says(data: str, text: str | None) -> None:
    [[value]] = decode_rows(Rows(f"[[{data}]]".encode()))
    assert read_text(value) == text


@pytest.mark.parametrize("form", TEXT_FORMATS)
def test_a_terminal_gets_no_control_character(form: str, make_terminal: Any) -> None:
    columns = [Column(HOSTILE, "VARCHAR"), Column("other", "JSON")]
    rows = json.dumps([[HOSTILE, {HOSTILE: HOSTILE}], [HOSTILE, None]]).encode()
    shown = write(form, columns, rows, terminal=make_terminal(400, NO_COLOR="1"))
    assert all(character.isprintable() or character in "\n" for character in shown.replace("\r\n", "\n")), shown
    assert shown.count("1b[2J") >= 5, "it is escaped, not lost"


@pytest.mark.parametrize("form", ["json", "jsonl", "csv"])
def test_a_program_gets_every_value_as_it_is(form: str) -> None:
    written = write(form, [Column("x", "VARCHAR")], json.dumps([[HOSTILE]]).encode())
    if form == "csv":
        assert written == f'x\r\n"{HOSTILE}"\r\n'
    else:
        found = json.loads(written)
        assert (found[0] if form == "json" else found) == {"x": HOSTILE}


@pytest.mark.parametrize(
    ("name", "form"),
    [("a.csv", "csv"), ("a.JSONL", "jsonl"), ("x/a.parquet", "parquet"), ("a.md", "markdown"), ("a.txt", None)],
)
def test_a_files_name_says_its_format(name: str, form: str | None) -> None:
    assert format_of(Path(name)) == form
