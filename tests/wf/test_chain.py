"""The chain: what is linked cannot be changed, dropped, moved or added without being noticed."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wf.chain import genesis, link, verify
from wf.errors import DecryptionError
from wf.events import Event

RUN = "wrun_01K3ABCDEFGHJKMNPQRSTVWXYZ"


def grow(count: int, run_id: str = RUN) -> list[Event]:
    """Make a log of `count` events."""
    head = genesis(run_id)
    log = []
    for seq in range(1, count + 1):
        columns: tuple[Any, ...] = (
            run_id, seq, "step_completed", seq // 2 or None, f"shop:step{seq}", 1, 1_700_000_000_000_000 + seq,
            '{"a":1}' if seq % 2 else None, bytes([seq % 256]) * seq if seq % 3 else None,
        )  # fmt: skip
        head = link(head, *columns)
        log.append(Event(*columns, head))
    return log


def changed(event: Event, **columns: Any) -> Event:
    return msgspec.structs.replace(event, **columns)


def test_the_form_is_the_one_that_is_documented() -> None:
    # Known answers: every log ever written depends on them.
    assert genesis("wrun_1").hex() == "1eed2a7d9d7358075fda3a5b1e426aa06e9060e1bb4140b9ba3cac7ab04ae429"
    first = link(
        genesis("wrun_1"),
        "wrun_1",
        1,
        "run_created",
        None,
        "shop:order",
        None,
        1_700_000_000_000_000,
        '{"a":1}',
        b"\1x",
    )
    assert first.hex() == "d6c798756d521c2baea8113588d84c543b6ee66adfe3612c82eb7ea774095c51"
    second = link(first, "wrun_1", 2, "run_started", None, None, None, 1_700_000_000_000_001, None, None)
    assert second.hex() == "27bcf7872e12d3456cfecc65ffd360f5107fc067407a692975e4c9898caece1a"


def test_a_second_implementation_agrees() -> None:
    # MessagePack by hand, from its specification: fixarray, fixstr, positive fixint, uint64, nil.
    columns = (
        b"\x99" + b"\xa6wrun_1" + b"\x01" + b"\xabrun_created" + b"\xc0" + b"\xaashop:order" + b"\xc0"
        + b"\xcf" + (1_700_000_000_000_000).to_bytes(8, "big") + b"\xa7" + b'{"a":1}' + b"\x02"
    )  # fmt: skip
    start = hashlib.sha256(b"wf/chain/1\0wrun_1").digest()
    expected = hashlib.sha256(start + columns + hashlib.sha256(b"\1x").digest()).digest()
    assert genesis("wrun_1") == start
    assert (
        link(start, "wrun_1", 1, "run_created", None, "shop:order", None, 1_700_000_000_000_000, '{"a":1}', b"\1x")
        == expected
    )


def test_a_log_that_was_not_touched_verifies() -> None:
    log = grow(50)
    assert verify(log, RUN) == log[-1].link
    assert verify(iter(log), RUN) == log[-1].link
    assert verify([], RUN) == genesis(RUN)


def test_a_part_of_a_log_verifies_from_the_link_before_it() -> None:
    log = grow(50)
    assert verify(log[20:], RUN, log[19].link, 20) == log[-1].link
    assert verify([], RUN, log[19].link, 20) == log[19].link
    with pytest.raises(ValueError, match="needs the link of the event it starts after"):
        verify(log[20:], RUN, after_seq=20)
    with pytest.raises(DecryptionError):
        verify(log[20:], RUN, log[18].link, 20)


CHANGES: dict[str, Any] = {
    "type": "step_failed",
    "correlation_id": 99,
    "name": "shop:other",
    "attempt": 2,
    "at": 1_700_000_000_000_000,
    "meta": '{"a":2}',
    "payload": b"forged",
    "link": bytes(32),
    "run_id": "wrun_other",
}


@pytest.mark.parametrize("column", CHANGES)
@pytest.mark.parametrize("at", [0, 1, 6, 9])
def test_a_changed_column_is_noticed_at_its_event(column: str, at: int) -> None:
    log = grow(10)
    log[at] = changed(log[at], **{column: CHANGES[column]})
    with pytest.raises(DecryptionError) as caught:
        verify(log, RUN)
    error = caught.value
    assert (error.run_id, error.seq, error.field) == (RUN, at + 1, "log")
    reason = (
        "the event belongs to another run"
        if column == "run_id"
        else "its columns, its payload or its link were changed"
    )
    assert str(error) == f"run {RUN} event {at + 1}: cannot open log ({reason})"


@pytest.mark.parametrize("column", ["correlation_id", "name", "attempt", "meta", "payload"])
def test_nothing_differs_from_empty_and_zero(column: str) -> None:
    empty: Any = {"name": "", "meta": "", "payload": b""}.get(column, 0)
    event = changed(grow(4)[3], **{column: None})
    other = changed(event, **{column: empty})
    assert relinked(event) != relinked(other)


def relinked(event: Event, previous: bytes = bytes(32)) -> bytes:
    return link(
        previous, event.run_id, event.seq, event.type, event.correlation_id, event.name, event.attempt, event.at,
        event.meta, event.payload,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("name", "spoil", "seq", "reason"),
    [
        ("dropped", lambda log: log.pop(4), 5, "event 5 is missing, event 6 stands in its place"),
        ("first dropped", lambda log: log.pop(0), 1, "event 1 is missing, event 2 stands in its place"),
        ("doubled", lambda log: log.insert(4, log[4]), 6, "event 6 is missing, event 5 stands in its place"),
        (
            "swapped",
            lambda log: log.__setitem__(slice(3, 5), log[4:2:-1]),
            4,
            "event 4 is missing, event 5 stands in its place",
        ),
        (
            "renumbered",
            lambda log: log.__setitem__(slice(3, 5), [changed(log[4], seq=4), changed(log[3], seq=5)]),
            4,
            "its columns, its payload or its link were changed",
        ),
    ],
)
def test_events_cannot_be_dropped_doubled_or_moved(name: str, spoil: Any, seq: int, reason: str) -> None:
    log = grow(10)
    spoil(log)
    with pytest.raises(DecryptionError) as caught:
        verify(log, RUN)
    assert (caught.value.seq, caught.value.reason) == (seq, reason)


def test_an_event_of_another_run_does_not_fit() -> None:
    log, other = grow(5), grow(5, "wrun_2")
    log[2] = changed(other[2], run_id=RUN)
    with pytest.raises(DecryptionError) as caught:
        verify(log, RUN)
    assert caught.value.seq == 3


def test_a_forged_link_moves_the_damage_to_the_next_event() -> None:
    # Whoever recomputes one link must recompute all after it, and then the head's MAC is wrong.
    log = grow(5)
    forged = changed(log[2], name="forged")
    log[2] = changed(forged, link=relinked(forged, log[1].link))
    with pytest.raises(DecryptionError) as caught:
        verify(log, RUN)
    assert caught.value.seq == 4


def test_a_dropped_tail_shows_in_the_head() -> None:
    log = grow(5)
    assert verify(log[:-1], RUN) != log[-1].link


texts = st.none() | st.text(st.characters(codec="utf-8"), max_size=5)
numbers = st.none() | st.integers(-(2**63), 2**64 - 1)
columns = st.tuples(
    st.text(max_size=5),
    st.integers(0, 2**40),
    st.text(max_size=5),
    numbers,
    texts,
    numbers,
    st.integers(-(2**40), 2**60),
    texts,
    st.none() | st.binary(max_size=5),
)


@given(columns, columns, st.binary(min_size=32, max_size=32), st.binary(min_size=32, max_size=32))
def test_different_events_have_different_links(one: Any, other: Any, first: bytes, second: bytes) -> None:
    assert len(link(first, *one)) == 32
    assert (link(first, *one) == link(first, *other)) == (one == other)
    assert (link(first, *one) == link(second, *one)) == (first == second)
