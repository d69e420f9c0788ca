"""Names that sort by time, never collide, and can be told from what is no name."""

from __future__ import annotations

import hashlib
import re
import threading
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.ids import derive_run_id, encode_ulid, hash_token, is_run_id, new_run_id, new_token, new_ulid, step_id

AT = 1_700_000_000_000_000
ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def decode(text: str) -> int:
    value = 0
    for character in text:
        value = value * 32 + ALPHABET.index(character)
    return value


def test_a_ulid_is_the_published_example() -> None:
    # 01ARZ3NDEKTSV4RRFFQ69G5FAV is the example of the ULID specification.
    assert encode_ulid(decode("01ARZ3NDEKTSV4RRFFQ69G5FAV")) == "01ARZ3NDEKTSV4RRFFQ69G5FAV"


@given(st.integers(0, 2**128 - 1))
def test_encoding_is_exact_and_of_26_characters(value: int) -> None:
    text = encode_ulid(value)
    assert (len(text), decode(text)) == (26, value)


@given(st.integers(0, 2**128 - 1), st.integers(0, 2**128 - 1))
def test_texts_sort_as_their_numbers(one: int, other: int) -> None:
    assert (encode_ulid(one) < encode_ulid(other)) == (one < other)


def test_a_ulid_begins_with_its_milliseconds() -> None:
    far = AT * 2  # beyond whatever the other tests drew
    assert decode(new_ulid(far)) >> 80 >= far // 1000


def test_later_draws_of_one_instant_sort_later() -> None:
    drawn = [new_ulid(AT) for _ in range(1000)]
    assert drawn == sorted(set(drawn))


def test_a_clock_that_goes_back_does_not_take_ids_with_it() -> None:
    first = new_ulid(AT)
    assert new_ulid(AT - 3_600_000_000) > first


def test_threads_draw_no_id_twice() -> None:
    drawn: list[str] = []
    threads = [threading.Thread(target=lambda: drawn.extend([new_ulid(AT) for _ in range(500)])) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(drawn)) == 2000


def test_a_run_id_is_a_prefixed_ulid() -> None:
    drawn = new_run_id(AT)
    assert re.fullmatch(r"wrun_[0-9A-HJKMNP-TV-Z]{26}", drawn)
    assert is_run_id(drawn)


def test_a_derived_id_depends_on_time_and_position_only() -> None:
    child = derive_run_id(AT, "wrun_1", 7)
    assert child == derive_run_id(AT, "wrun_1", 7)
    assert len({child, derive_run_id(AT, "wrun_1", 8), derive_run_id(AT, "wrun_2", 7)}) == 3
    assert child[:15] == f"wrun_{encode_ulid(AT // 1000 << 80)}"[:15]


def test_derived_parts_do_not_run_together() -> None:
    assert derive_run_id(AT, "a", "bc") != derive_run_id(AT, "ab", "c")


@pytest.mark.parametrize("text", ["a", "order:42", "2024-06-01T12:00:00+02:00", "a/b@c=d._-", "x" * 200])
def test_what_may_name_a_run(text: str) -> None:
    assert is_run_id(text)


@pytest.mark.parametrize(
    "text", ["", "-a", ":a", "a b", "a\n", "é", "a?b", "a#b", "x" * 201, None, 3, b"a", "../x", "a\0"]
)
def test_what_may_not_name_a_run(text: Any) -> None:
    assert not is_run_id(text)


def test_tokens_have_256_bits_and_are_kept_by_their_hash() -> None:
    token = new_token()
    assert re.fullmatch(r"[\w-]{43}", token)
    assert token != new_token()
    assert hash_token("site:42") == hashlib.sha256(b"site:42").digest()
    assert len(hash_token("\ud800")) == 32


def test_a_step_id_names_run_and_call() -> None:
    assert step_id("wrun_1", 7) == "wrun_1:7"
