"""Devalue texts, as both of Vercel's SDKs write them, as values of ours."""

from __future__ import annotations

import json
import sys
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import wf
from tests.wfstudio.history.vercel_writer import UNDEFINED, Raw, Tagged, devalue, instance
from wf import codec
from wf.errors import SerializationError
from wfstudio.core.values import show_value
from wfstudio.history.vercel.devalue import MAX_BYTES, DevalueError, read_devalue

MOMENT = datetime(2026, 7, 30, 17, 6, 33, 759000, tzinfo=UTC)


def read(text: str, *, is_python: bool = True) -> Any:
    return json.loads(read_devalue(text, is_python=is_python, run_id="wrun_1"))


BOTH: list[tuple[Any, Any]] = [
    (None, None),
    (True, True),
    (5, 5),
    (-7, -7),
    (0.25, 0.25),
    ("", ""),
    ("naïve\n\u2028\0", "naïve\n\u2028\0"),
    ([], []),
    ({}, {}),
    ({"a": [1, {"b": None}], "c": "d"}, {"a": [1, {"b": None}], "c": "d"}),
    ([UNDEFINED], [None]),
    ([float("nan"), float("inf"), float("-inf")], [{"$float": "nan"}, {"$float": "inf"}, {"$float": "-inf"}]),
    (MOMENT, {"$datetime": "2026-07-30T17:06:33.759000+00:00"}),
    (2**70, {"$int": hex(2**70)}),
    (2**60, 2**60),
    ({3, 1, 2}, {"$set": [1, 2, 3]}),
    (set(), {"$set": []}),
    (frozenset({"only"}), {"$set": ["only"]}),
    ({1: "a", 2: "b"}, {"$dict": [[1, "a"], [2, "b"]]}),
    ({1: "a"}, {"$dict": [[1, "a"]]}),
    (b"\0\xff", {"$bytes": "AP8="}),
    (b"", {"$bytes": ""}),
    ({"$bytes": "no tag"}, {"$dict": [["$bytes", "no tag"]]}),
    ((1, 2), [1, 2]),
]


@pytest.mark.parametrize("is_python", [True, False])
@pytest.mark.parametrize(("value", "expected"), BOTH, ids=lambda value: repr(value)[:30])
def test_a_value_is_read_from_either_sdk(value: Any, expected: Any, is_python: bool) -> None:
    assert read(devalue(value, is_python=is_python), is_python=is_python) == expected


def test_a_value_by_itself_may_be_no_array() -> None:
    assert [read(text) for text in ("-1", "-2", "-3", "-6")] == [None, None, {"$float": "nan"}, -0.0]


PYTHON = [
    (instance("class//decimal//Decimal", "1.50"), {"$decimal": "1.50"}),
    (instance("class//uuid//UUID", "0" * 32), {"$uuid": "0" * 32}),
    (instance("class//datetime//date", "2026-01-02"), {"$date": "2026-01-02"}),
    (instance("class//datetime//time", "03:04:05"), {"$time": "03:04:05"}),
    (
        instance("class//datetime//timedelta", {"days": -1, "seconds": 2, "microseconds": 3}),
        {"$timedelta": [-1, 2, 3]},
    ),
    (instance("class//pathlib//Path", "/tmp/x"), {"$path": "/tmp/x"}),
    (instance("class//shop.models//Order", {"id": 1}), {"$object": ["shop.models:Order", {"id": 1}]}),
    (instance("class//decimal//Decimal", 5), {"$object": ["decimal:Decimal", 5]}),
    (instance("Weird", 5), {"$object": ["js:Weird", 5]}),
    ({(1, 2)}, {"$set": [[1, 2]]}),
    (Raw("ArrayBuffer", "AAE="), {"$bytearray": "AAE="}),
]


@pytest.mark.parametrize(("value", "expected"), PYTHON, ids=lambda value: repr(value)[:40])
def test_pythons_classes_have_values_of_ours(value: Any, expected: Any) -> None:
    assert read(devalue([value])) == [expected]


JAVASCRIPT = [
    (Tagged("RegExp", {"source": "a+", "flags": "gi"}), {"$object": ["js:RegExp", {"source": "a+", "flags": "gi"}]}),
    (Tagged("Map", [["a", 1], ["b", [2]]]), {"a": 1, "b": [2]}),
    (Tagged("Map", []), {}),
    (Tagged("Set", [[1], [1]]), {"$set": [[1]]}),
    (Tagged("ArrayBuffer", "AAE="), {"$bytearray": "AAE="}),
    (Tagged("ArrayBuffer", "."), {"$bytearray": ""}),
    (Tagged("Int16Array", "AQD//w=="), {"$object": ["js:Int16Array", [1, -1]]}),
    (Tagged("Float64Array", "AAAAAAAA8D8="), {"$object": ["js:Float64Array", [1.0]]}),
    (Tagged("BigInt64Array", "AQAAAAAAAAA="), {"$object": ["js:BigInt64Array", [1]]}),
    (Tagged("Date", "."), None),
    (Tagged("URL", "https://example.com/"), "https://example.com/"),
    (Tagged("Headers", [["a", "b"]]), {"$object": ["js:Headers", [["a", "b"]]]}),
    (
        Tagged("WorkflowFunction", {"workflowId": "w"}),
        {"$object": ["js:WorkflowFunction", {"workflowId": "w"}]},
    ),
    (Tagged("WritableStream", {"name": "strm_X_user", "runId": "wrun_X"}), {"$stream": ["wrun_X", "default"]}),
    (Tagged("WritableStream", {"name": "strm_X_user_bG9n"}), {"$stream": ["wrun_X", "log"]}),
    (Tagged("ReadableStream", {"name": "other"}), {"$stream": ["wrun_1", "other"]}),
    (Tagged("ReadableStream", {"bodyInit": "x"}), {"$object": ["js:Stream", {"bodyInit": "x"}]}),
]


@pytest.mark.parametrize(("value", "expected"), JAVASCRIPT, ids=lambda value: repr(value)[:40])
def test_javascripts_tags_have_values_of_ours(value: Any, expected: Any) -> None:
    assert read(devalue([value], is_python=False), is_python=False) == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('[["RegExp","a+","g"]]', {"$object": ["js:RegExp", {"source": "a+", "flags": "g"}]}),
        ('[["Uint8Array",1,1,2],["ArrayBuffer","AAECAw=="]]', {"$bytes": "AQI="}),
        ('[["DataView",1],["ArrayBuffer","AAE="]]', {"$bytes": "AAE="}),
        ('[["null","a",1],5]', {"a": 5}),
        ('[["Object",1],5]', 5),
        ('[["Temporal.Instant","2026-01-01T00:00:00Z"]]', "2026-01-01T00:00:00Z"),
        ('[[-7,4,1,1,3,2],"b","d"]', [None, "b", None, "d"]),
        ("[[1,1,1],[2],7]", [[7], [7], [7]]),
        ("[[99,-99,1.5]]", [None, None, None]),
        ("[[0,1],2]", [{"$circular": True}, 2]),
        ('[{"self":0}]', {"self": {"$circular": True}}),
        ('[["Date","+275760-09-13T00:00:00.000Z"]]', {"$object": ["js:Date", "+275760-09-13T00:00:00.000Z"]}),
        ("[100000000000000000000]", 1e20),
        ('["\\ud800"]', {"$str": "7aCA"}),
        ('[{"\\ud800":1},2]', {"$dict": [[{"$str": "7aCA"}, 2]]}),
        ('[["BigInt","' + "9" * 5000 + '"]]', {"$object": ["js:BigInt", "9" * 5000]}),
        ('[["Unheard",1],{"a":2},3]', {"$object": ["js:Unheard", {"a": 3}]}),
        ('[["Unheard"]]', {"$object": ["js:Unheard", None]}),
    ],
)
def test_odd_forms_are_read(text: str, expected: Any) -> None:
    assert read(text) == expected


def error(tag: str, **fields: Any) -> Tagged:
    return Tagged(tag, fields)


def test_errors_are_exceptions_with_their_causes() -> None:
    thrown = error("RetryableError", message="busy", stack="at x", cause=error("Error", name="Odd", message="why"))
    assert read(devalue(thrown, is_python=False), is_python=False) == {
        "$exception": {
            "type": "wf.errors:RetryableError",
            "message": "busy",
            "args": ["busy"],
            "cause": {"$exception": {"type": "js:Odd", "message": "why", "args": ["why"]}},
            "traceback": "at x",
        }
    }
    both = error("AggregateError", message="both", errors=[error("TypeError", message="a"), 5])
    members = read(devalue(both, is_python=False), is_python=False)["$exception"]["members"]
    assert [member["$exception"]["type"] for member in members] == ["builtins:TypeError"]


@pytest.mark.parametrize(
    ("tag", "type_"), [("TypeError", TypeError), ("RangeError", ValueError), ("FatalError", wf.FatalError)]
)
def test_an_error_arrives_as_the_exception_it_stands_for(tag: str, type_: type) -> None:
    data = read_devalue(devalue(error(tag, message="no"), is_python=False), is_python=False, run_id="wrun_1")
    decoded = codec.decode(data)
    assert (type(decoded), decoded.args) == (type_, ("no",))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "it is no JSON: "),
        ("[", "it is no JSON: "),
        ("{}", "it is no devalue: neither an array nor a number under 0"),
        ("[]", "it is no devalue: neither an array nor a number under 0"),
        ("5", "it is no devalue: neither an array nor a number under 0"),
        ("true", "it is no devalue: neither an array nor a number under 0"),
        ("[NaN]", "it is no JSON: NaN is no JSON"),
        ('[["Map",1],5]', "a value in it is malformed"),
        ('[["Date"]]', "a value in it is malformed"),
        ('[["Uint8Array",1],"A"]', "a value in it is malformed"),
        ("[[-7,99999999]]", "an array with holes has the length 99999999"),
        ("[[-7,3,9,1],5]", "a value in it is malformed"),
    ],
)
def test_what_is_no_devalue_is_refused(text: str, reason: str) -> None:
    with pytest.raises(DevalueError) as caught:
        read_devalue(text, is_python=True, run_id="wrun_1")
    assert str(caught.value).startswith(reason)


def test_few_bytes_that_mean_many_are_refused() -> None:
    bomb = [[1] * 10, *([slot + 1] * 10 for slot in range(1, 40)), "x" * 100]
    with pytest.raises(DevalueError) as caught:
        read(json.dumps(bomb))
    assert str(caught.value) == f"it expands to over {MAX_BYTES} bytes"
    deep = [[slot + 1] for slot in range(5_000)]
    with pytest.raises(DevalueError) as caught:
        read(json.dumps(deep))
    assert str(caught.value) == "it is nested over 200 deep"


ANY = st.recursive(
    st.integers(-9, 6) | st.text(max_size=6) | st.none() | st.booleans() | st.floats(allow_nan=False),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=20,
)
NAMES = """
Date Set Map RegExp BigInt Object null ArrayBuffer Uint8Array Float32Array URL Instance Error WritableStream Odd
"""
TAGS = st.sampled_from(NAMES.split())
TAGGED = st.tuples(TAGS, ANY) | st.tuples(TAGS, ANY, ANY, ANY)
SLOTS = st.lists(ANY | TAGGED.map(list) | st.lists(st.integers(-9, 9), max_size=5), min_size=1, max_size=8)


@given(SLOTS, st.booleans())
def test_whatever_a_text_holds_is_a_value_or_refused(slots: Any, is_python: bool) -> None:
    try:
        data = read_devalue(json.dumps(slots), is_python=is_python, run_id="wrun_1")
    except DevalueError:
        return
    show_value(data)
    with suppress(SerializationError):  # what no encoder of ours wrote
        codec.decode(data)


def test_nothing_is_imported_or_opened_by_a_value() -> None:
    seen: list[str] = []
    watching = [True]

    def hear(event: str, arguments: Any) -> None:
        if watching[0] and event in ("import", "open", "exec", "compile", "subprocess.Popen"):
            seen.append(f"{event} {arguments}"[:80])

    text = devalue([value for value, _ in PYTHON])
    read_devalue(text, is_python=True, run_id="wrun_1")  # what codecs import on first use
    sys.addaudithook(hear)
    try:
        read_devalue(text, is_python=True, run_id="wrun_1")
    finally:
        watching[0] = False
    assert seen == []
