"""Packing: marks, compression, and bombs."""

from __future__ import annotations

import os
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.codec import pack, unpack
from wf.codec.packing import PACK_OVER
from wf.errors import PayloadTooLargeError, SerializationError


def test_small_data_is_kept_as_it_is() -> None:
    assert pack(b"") == b"j"
    assert pack(b"[1]") == b"j[1]"
    assert pack(b"a" * PACK_OVER) == b"j" + b"a" * PACK_OVER


def test_large_data_is_compressed_where_that_saves() -> None:
    data = b"a" * (PACK_OVER + 1)
    assert pack(data)[:1] == b"z"
    assert len(pack(data)) < 100
    assert zlib.decompress(pack(data)[1:]) == data


def test_what_does_not_shrink_is_kept_as_it_is() -> None:
    data = os.urandom(5000)
    assert pack(data) == b"j" + data


@given(
    st.binary(max_size=5000) | st.builds(lambda part, times: part * times, st.binary(max_size=50), st.integers(0, 2000))
)
def test_unpack_undoes_pack(data: bytes) -> None:
    assert unpack(pack(data)) == data
    assert len(pack(data)) <= len(data) + 1


def test_a_bomb_is_refused_before_it_unfolds() -> None:
    bomb = b"z" + zlib.compress(bytes(200_000_000), 9)
    assert len(bomb) < 300_000
    with pytest.raises(PayloadTooLargeError) as caught:
        unpack(bomb)
    assert caught.value.limit == 64 * 1024 * 1024
    assert caught.value.size == caught.value.limit + 1


def test_the_limit_is_settable_and_exact() -> None:
    data = pack(b"a" * 5000)
    assert unpack(data, limit=5000) == b"a" * 5000
    with pytest.raises(PayloadTooLargeError):
        unpack(data, limit=4999)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "not a packed value: it begins with neither `j` nor `z`"),
        (b"x[1]", "not a packed value: it begins with neither `j` nor `z`"),
        (b"[1]", "not a packed value: it begins with neither `j` nor `z`"),
        (b"z", "not a packed value: its stream is cut off or followed by other data"),
        (b"z" + zlib.compress(b"a" * 2000)[:-1], "not a packed value: its stream is cut off or followed by other data"),
        (b"z" + zlib.compress(b"a") + b"!", "not a packed value: its stream is cut off or followed by other data"),
    ],
)
def test_what_was_not_packed_is_refused(data: bytes, reason: str) -> None:
    with pytest.raises(SerializationError) as caught:
        unpack(data)
    assert str(caught.value) == reason


def test_a_damaged_stream_is_refused() -> None:
    with pytest.raises(SerializationError, match=r"^not a packed value: Error -3"):
        unpack(b"z" + b"\xff" * 50)
