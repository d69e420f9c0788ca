"""docs/event-log.md is enough to read a world, and says nothing that is not so.

The worlds are made by a program in processes of its own, and read by `event_log_reader`, which was
written from the document alone: nothing of `wf` is imported here. The document's tables are read,
too: what they do not name may not be in a log.
"""

from __future__ import annotations

import base64
import json
import os
import random
import re
import struct
import subprocess
import sys
from collections import Counter, OrderedDict, deque
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from fractions import Fraction
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from tests.event_log_reader import (
    Event,
    Refused,
    World,
    additional_data,
    check_chain,
    check_head,
    columns_of,
    derive,
    genesis,
    key_id,
    mac256,
    open_sealed,
    read,
    sha256,
    tags_in,
)

ROOT = Path(__file__).resolve().parents[1]
DOCUMENT = (ROOT / "docs" / "event-log.md").read_text("utf-8")
OLD_KEY, NEW_KEY = bytes(range(32)), bytes(range(100, 132))


# -- the document's tables ------------------------------------------------------------------------


def table_after(heading: str, number: int = 0) -> list[list[str]]:
    """Give the cells of the rows of a section's table, without its head."""
    section = re.split(r"^##+ ", DOCUMENT.split(f"\n## {heading}\n", 1)[1], flags=re.MULTILINE)[0]
    tables = re.findall(r"^\|[-|]+\|\n((?:\|.*\|\n)+)", section, re.MULTILINE)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in tables[number].splitlines()]


def words(cell: str) -> list[str]:
    return re.findall(r"`([^`]+)`", cell)


class Described(NamedTuple):
    """A row of the table of types."""

    type: str
    by: str
    kind: str
    id: str
    name: str
    attempt: str
    meta: str
    payload: str

    @property
    def required(self) -> set[str]:
        return set(words(re.sub(r"\[.*?\]", "", self.meta)))

    @property
    def allowed(self) -> set[str]:
        return set(words(self.meta))


TYPES = [Described(words(first)[0], *rest) for first, *rest in table_after("3. Types of events")]
KEYS = {
    (key, type_)
    for keys, types, _ in table_after("3. Types of events", 1)
    for key in words(keys)
    for type_ in words(types)
}
TABLES = {words(first)[0]: words(columns) for first, _, columns in table_after("1. The file")}
TAGS = {tag for first, *_ in table_after("5. Values") for tag in words(first)}
MESSAGES = {words(row[0])[0]: row for row in table_after("9. Inbox")}
VECTORS = [words(row[-1])[0] for row in table_after("11. Numbers to check with")]


# -- the worlds that are read ---------------------------------------------------------------------

PROGRAM = ROOT / "tests" / "event_log_program.py"


def run_program(folder: Path, part: str, keys: str) -> None:
    path = folder / "program.py"
    path.write_bytes(PROGRAM.read_bytes())
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WF_")}
    environment = {**kept, "WF_WORLD": f"sqlite:///{folder / 'world.db'}", "WF_KEY": keys}
    command = [sys.executable, "-W", "error", str(path), part]
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with every type of event but `run_forked`, and a message that nobody took."""
    folder = tmp_path_factory.mktemp("world")
    run_program(folder, "first", OLD_KEY.hex())
    world = World(folder / "world.db", [OLD_KEY])
    yield world
    world.close()


@pytest.fixture(scope="module")
def rotated(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The same world after it went on with a new key in front."""
    folder = tmp_path_factory.mktemp("rotated")
    (folder / "world.db").write_bytes(world.path.read_bytes())
    run_program(folder, "second", f"{base64.b64encode(NEW_KEY).decode()},{OLD_KEY.hex()}")
    rotated = World(folder / "world.db", [NEW_KEY, OLD_KEY])
    yield rotated
    rotated.close()


# -- the file -----------------------------------------------------------------------------------


def test_the_file_says_that_it_is_a_world(world: World) -> None:
    assert world.rows("PRAGMA application_id") == [(0x77666462,)]
    assert world.rows("PRAGMA user_version") == [(4,)]


def test_the_document_names_every_table_and_column(world: World) -> None:
    found = {
        table: [row[1] for row in world.rows(f"PRAGMA table_info({table})")]
        for (table,) in world.rows("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite%'")
    }
    assert found == TABLES


def test_the_schema_that_the_document_points_to_is_there() -> None:
    assert "(../runtime/wf/worlds/sqlite/schema.sql)" in DOCUMENT
    assert (ROOT / "runtime" / "wf" / "worlds" / "sqlite" / "schema.sql").is_file()


# -- chain and seal -------------------------------------------------------------------------------


def test_every_log_is_whole_and_its_head_authentic(world: World) -> None:
    assert len(world.run_ids()) > 15
    for run_id in world.run_ids():
        world.verify(run_id)


def test_every_payload_opens(world: World) -> None:
    kinds = Counter(kind for kind, _ in world.everything_sealed())
    assert kinds["inbox"] == 1
    assert kinds["chunk"] == 3
    assert kinds["log"] >= 3
    assert kinds["step_completed"] > 7


def test_logs_and_payloads_of_a_rotated_world_are_read_with_both_keys(rotated: World) -> None:
    for run_id in rotated.run_ids():
        rotated.verify(run_id)
    assert rotated.rows("SELECT count(*) FROM inbox") == [(0,)]
    used = {event.payload[1:5] for event in rotated.log("open") if event.payload is not None}
    assert used == {key_id(OLD_KEY), key_id(NEW_KEY)}
    assert [kind for kind, _ in rotated.everything_sealed()]


def test_a_world_without_keys_holds_the_packed_values_and_no_mac(tmp_path: Path) -> None:
    run_program(tmp_path, "first", "off")
    world = World(tmp_path / "world.db", [])
    try:
        for run_id in world.run_ids():
            world.verify(run_id)
        assert world.rows("SELECT DISTINCT mac FROM runs") == [(b"",)]
        assert world.log("other")[0].payload == b'\x00j{"number":5}'
    finally:
        world.close()


@pytest.mark.parametrize("column", ["type", "correlation_id", "name", "attempt", "at", "meta", "payload"])
def test_a_change_of_any_column_breaks_the_chain(world: World, column: str) -> None:
    log = world.log("everything")
    index = next(i for i, event in enumerate(log) if getattr(event, column) not in (None, 0))
    value = getattr(log[index], column)
    log[index] = log[index]._replace(
        **{column: value + (b"x" if column == "payload" else 1 if isinstance(value, int) else "x")}
    )
    with pytest.raises(Refused, match=f"event {index + 1} of everything"):
        check_chain("everything", log)


def test_a_log_that_was_cut_off_or_reordered_is_noticed(world: World) -> None:
    log = world.log("everything")
    [(seq, head, mac)] = world.rows("SELECT seq, head, mac FROM runs WHERE run_id = 'everything'")
    assert check_chain("everything", log[:-1]) != head
    with pytest.raises(Refused):
        check_head(world.roots, "everything", seq - 1, check_chain("everything", log[:-1]), mac)
    with pytest.raises(Refused):
        check_chain("everything", [log[1], log[0], *log[2:]])


def test_a_payload_opens_in_its_own_place_only(world: World) -> None:
    event = next(event for event in world.log("everything") if event.type == "step_completed")
    assert event.payload is not None
    places: list[tuple[str, int | str, str]] = [
        ("other", event.seq, event.type),
        ("everything", event.seq + 1, event.type),
        ("everything", str(event.seq), event.type),
        ("everything", event.seq, "step_failed"),
    ]
    for run_id, place, field in places:
        with pytest.raises(Refused):
            world.open(run_id, place, field, event.payload)


def test_the_documents_numbers_are_right() -> None:
    run_id, kid = "wrun_example", key_id(OLD_KEY)
    seal_key = derive(OLD_KEY, b"wf/seal", run_id)
    nonce = bytes(range(12))
    sealed = AESGCM(seal_key).encrypt(nonce, b'j"hello"', additional_data(kid, run_id, 3, "step_completed"))
    event = Event(
        run_id, 1, "run_created", None, "welcome", None, 1_700_000_000_000_000, '{"deployment_id":""}', None, b""
    )
    link = sha256(genesis(run_id) + columns_of(event) + sha256(b""))
    mac_key = derive(OLD_KEY, b"wf/mac", run_id)
    numbers = [
        kid,
        mac256(b"wf/hkdf/1", OLD_KEY),
        seal_key,
        mac_key,
        b"\1" + kid + nonce + sealed,
        genesis(run_id),
        columns_of(event),
        link,
        mac256(mac_key, struct.pack(">Q", 1) + link),
    ]
    assert [number.hex() for number in numbers] == VECTORS


# -- events -------------------------------------------------------------------------------------


def describe(event: Event) -> Described:
    """Find the row of the document's table that this event is."""
    rows = [row for row in TYPES if row.type == event.type]
    return next(row for row in rows if len(rows) == 1 or (row.id == "n") == (event.correlation_id is not None))


def meta_of(event: Event) -> dict[str, Any]:
    meta: dict[str, Any] = json.loads(event.meta) if event.meta is not None else {}
    return meta


def test_the_program_leaves_every_type_of_event_that_is_written(world: World) -> None:
    assert {event.type for event in world.all_events()} == {row.type for row in TYPES} - {"run_forked"}


def test_every_event_has_the_columns_that_the_document_gives_its_type(world: World) -> None:
    for event in world.all_events():
        row = describe(event)
        assert (event.correlation_id is not None) == (row.id != "–"), event
        assert (event.correlation_id != 0) or row.id == "n or 0", event
        assert (event.name is not None) == (row.name != "–") or row.name.endswith("or –"), event
        assert (event.attempt is not None) == (row.attempt != "–"), event
        assert event.attempt != 0 or row.attempt in ("0 or 1", "from 0"), event
        assert event.attempt in (None, 0, 1) or row.attempt.startswith("from"), event
        has_payload = event.payload is not None
        assert has_payload == (row.payload != "–") or row.payload.endswith("or none"), event


def test_every_key_of_meta_is_in_the_document_and_none_that_must_be_there_is_missing(world: World) -> None:
    for event in world.all_events():
        row = describe(event)
        assert row.required <= set(meta_of(event)) <= row.allowed, event
        assert {(key, event.type) for key in meta_of(event)} <= KEYS, event


def test_the_two_tables_of_meta_name_the_same_keys() -> None:
    assert {(key, row.type) for row in TYPES for key in row.allowed} == KEYS


def test_meta_is_json_without_white_space_in_the_documents_order(world: World) -> None:
    order = [key for keys, _, _ in table_after("3. Types of events", 1) for key in words(keys)]
    for event in world.all_events():
        if event.meta is not None:
            assert event.meta == json.dumps(meta_of(event), ensure_ascii=False, separators=(",", ":"))
            if event.type == "run_created":
                assert sorted(meta_of(event), key=order.index) == list(meta_of(event))
    events = [event for event in world.all_events() if event.type == "attributes_set"]
    assert any("röd" in (event.meta or "") for event in events)


# -- the laws of order ------------------------------------------------------------------------------

ENDS = {"run_completed", "run_failed", "run_cancelled"}


def logs_of(world: World) -> list[list[Event]]:
    return [world.log(run_id) for run_id in world.run_ids()]


def test_law_1_a_log_is_dense_from_1(world: World) -> None:
    for log in logs_of(world):
        assert [event.seq for event in log] == list(range(1, len(log) + 1))


def test_law_2_a_log_begins_with_its_creation_and_then_its_start_or_a_forced_end(world: World) -> None:
    for log in logs_of(world):
        assert [event.seq for event in log if event.type == "run_created"] == [1]
        second = log[1]
        assert second.type == "run_started" or (second.type == "run_cancelled" and meta_of(second)["forced"])
    assert [event.type for event in world.log("pending")] == ["run_created", "run_cancelled"]


def test_law_4_calls_are_counted_from_1_in_the_order_of_the_log(world: World) -> None:
    again = {"hook_disposed", "lock_released", "child_cancelled"}
    for log in logs_of(world):
        calls = [event for event in log if describe(event).kind == "call" and event.correlation_id is not None]
        firsts = [event.correlation_id for event in calls if event.type not in again]
        assert firsts == list(range(1, len(firsts) + 1))
        made: set[int | None] = set()
        for event in log:
            if event.type in again or describe(event).kind != "call":
                assert event.correlation_id in made | {None, 0}, event
            made.add(event.correlation_id)


def test_law_6_a_log_ends_once_and_only_results_of_steps_follow(world: World) -> None:
    for run_id, log in zip(world.run_ids(), logs_of(world), strict=True):
        ends = [event.seq for event in log if event.type in ENDS]
        assert len(ends) == (0 if run_id == "open" else 1)
        [(result_seq,)] = world.rows("SELECT result_seq FROM runs WHERE run_id = ?", run_id)
        assert result_seq == (ends[0] if ends else None)
        after = {event.type for event in log[result_seq:]} if ends else set()
        assert after <= {"step_completed", "step_failed"}


def test_law_7_time_never_goes_back_within_a_log(world: World) -> None:
    for log in logs_of(world):
        assert [event.at for event in log] == sorted(event.at for event in log)


def test_forced_ends_are_those_that_no_body_made(world: World) -> None:
    forced = {event.run_id: event.type for event in world.all_events() if "forced" in meta_of(event)}
    assert forced == {"terminated": "run_cancelled", "pending": "run_cancelled", "chatty": "run_failed"}
    [end] = [event for event in world.log("chatty") if event.type == "run_failed"]
    assert meta_of(end)["code"] == "LIMIT_EXCEEDED"
    assert meta_of(world.log("slow")[-1])["code"] == "TIMEOUT"


def test_attempts_of_a_step_count_up_as_the_document_says(world: World) -> None:
    for log in logs_of(world):
        attempts: dict[int | None, int | None] = {}
        for event in log:
            if not event.type.startswith("step_"):
                continue
            before = attempts.get(event.correlation_id)
            if event.type == "step_created":
                assert before is None
            elif event.type == "step_started":
                assert event.attempt == (before or 0) + 1
            else:
                assert event.attempt == before
            attempts[event.correlation_id] = event.attempt
    queued = [event for event in world.log("everything") if event.type == "step_created" and event.attempt == 0]
    assert [event.name for event in queued] == ["program:alone"] * 2


def test_ids_of_children_and_continuations_follow_from_their_parents(world: World) -> None:
    created = {event.run_id: event for event in world.all_events() if event.seq == 1}
    children = [event for event in created.values() if "parent_run_id" in meta_of(event)]
    assert len(children) >= 3
    for event in children:
        parent, number = meta_of(event)["parent_run_id"], meta_of(event)["parent_correlation_id"]
        log = world.log(parent)
        call = next(e for e in log if e.type == "child_started" and e.correlation_id == number)
        assert event.run_id == meta_of(call)["run_id"] == derived_id(now_before(log, call), parent, str(number))
    ends = [event for event in world.all_events() if "continued_as" in meta_of(event)]
    assert len(ends) == 2
    for end in ends:
        following = meta_of(end)["continued_as"]
        assert following == derived_id(now_before(world.log(end.run_id), end), end.run_id, "next")
        assert meta_of(created[following])["continued_from"] == end.run_id


def now_before(log: list[Event], call: Event) -> int:
    """Give the body's `now()` at a call: the time of the last delivery before it."""
    return max(event.at for event in log[: call.seq - 1] if describe(event).kind == "delivery")


def derived_id(now: int, run_id: str, what: str) -> str:
    value = (now // 1000) << 80 | int.from_bytes(sha256(f"{run_id}\0{what}".encode())[:10], "big")
    alphabet = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    return "wrun_" + "".join(alphabet[(value >> shift) & 31] for shift in range(125, -1, -5))


# -- forks --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def forks(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A world with runs that share a history."""
    folder = tmp_path_factory.mktemp("forks")
    run_program(folder, "forks", OLD_KEY.hex())
    world = World(folder / "world.db", [OLD_KEY])
    yield world
    world.close()


FORKS = [
    "failed-by-an-edit", "beside-with-edits", "fork-of-a-fork", "tiny", "fork-of-a-short-one", "in-its-place",
]  # fmt: skip
HANDLES = ('{"$stream":["', '{"$run":"')
Opened = tuple[Event, str | None]


def open_text(world: World, event: Event) -> str | None:
    if event.payload is None:
        return None
    return json.dumps(world.open_event(event), separators=(",", ":"), ensure_ascii=False)


def copy_by_the_page(world: World, fork_id: str) -> list[Opened]:
    """Derive what a fork inherits from the other run's log, as *A fork* says; drawn tokens are the fork's own."""
    own, fork = world.log(fork_id), meta_of(world.log(fork_id)[0])["fork"]
    log = world.log(fork["run_id"])
    was_beside = meta_of(log[0]).get("fork", {}).get("beside", False)
    shared = [event for event in log[1 : fork["seq"]] if event.type != "run_forked"]
    ended = {event.correlation_id for event in shared if event.type in ("step_completed", "step_failed")}
    gone = {event.correlation_id for event in shared if event.type in ("hook_disposed", "hook_conflict")}
    drawn: list[tuple[str, str]] = []
    copy: list[Opened] = []
    for event in shared:
        if event.type.startswith("step_") and event.correlation_id not in ended:
            if event.type != "step_created":
                continue
            event = event._replace(attempt=0)
        text = open_text(world, event)
        if event.type == "hook_created" and fork.get("beside"):
            hook = world.open_event(event)
            if not meta_of(event).get("generated"):
                given = hook["token"].removesuffix(f"~{fork['run_id']}") if was_beside else hook["token"]
                text = json.dumps({**hook, "token": f"{given}~{fork_id}"}, separators=(",", ":"))
            elif event.correlation_id not in gone:
                new = next(e for e in own if e.type == event.type and e.correlation_id == event.correlation_id)
                drawn.append((hook["token"], world.open_event(new)["token"]))
        if text is not None:
            if len(fork["run_id"]) >= 16:
                text = text.replace(fork["run_id"], fork_id)
            for handle in HANDLES:
                text = text.replace(f'{handle}{fork["run_id"]}"', f'{handle}{fork_id}"')
            for old, new_token in drawn:
                text = text.replace(old, new_token)
        copy.append((event, text))
    assert all(old != new_token and len(old) == len(new_token) for old, new_token in drawn)
    return copy


def strip(event: Event, text: str | None) -> tuple[Any, ...]:
    return (event.type, event.correlation_id, event.name, event.attempt, event.at, event.meta, text)


def test_a_forks_log_is_whole_like_any_other(forks: World) -> None:
    assert len(forks.run_ids()) == 9
    for run_id in forks.run_ids():
        forks.verify(run_id)
    for event in forks.all_events():
        row = describe(event)
        assert row.required <= set(meta_of(event)) <= row.allowed, event
    assert {event.type for event in forks.all_events()} >= {"run_forked"}


@pytest.mark.parametrize("fork_id", FORKS)
def test_a_fork_begins_with_the_copy_that_the_page_describes(forks: World, fork_id: str) -> None:
    log = forks.log(fork_id)
    fork = meta_of(log[0])["fork"]
    assert (log[1].type, log[1].name, meta_of(log[1])) == ("run_forked", fork["run_id"], {"seq": fork["seq"]})
    expected = copy_by_the_page(forks, fork_id)
    copied = [(event, open_text(forks, event)) for event in log[2 : 2 + len(expected)]]
    if fork.get("edits"):
        edited = copied.pop()[0]
        before = expected.pop()[0]
        assert (edited.correlation_id, edited.name, edited.attempt, edited.at) == (
            before.correlation_id, before.name, before.attempt, before.at,
        )  # fmt: skip
        assert (edited.correlation_id, edited.name) == (fork["edits"][0]["id"], fork["edits"][0]["name"])
    assert [strip(*event) for event in copied] == [strip(*event) for event in expected]
    assert len(copied) > 10


def test_seeds_cuts_and_edits_are_in_a_forks_first_event(forks: World) -> None:
    origin = "the-origin-of-all-forks"
    found = {run_id: meta_of(forks.log(run_id)[0]).get("fork") for run_id in forks.run_ids()}
    assert [found.pop(origin), found.pop("small")] == [None, None]
    of_small = {"tiny", "fork-of-a-short-one"}
    assert {run_id for run_id, fork in found.items() if fork["seed_id"] == "small"} == of_small
    assert {fork["seed_id"] for run_id, fork in found.items() if run_id not in of_small} == {origin}
    assert [run_id for run_id, fork in found.items() if "beside" not in fork] == ["in-its-place"]
    assert found["failed-by-an-edit"]["edits"] == [{"what": "error", "id": 7, "name": "program:echo"}]
    assert found["beside-with-edits"]["edits"] == [
        {"what": "output", "id": 7, "name": "program:echo"},
        {"what": "output", "id": 6, "name": "program:endless"},
    ]
    assert (found["afresh"]["seq"], found["afresh"]["edits"]) == (1, [{"what": "input"}])
    assert [event.type for event in forks.log("afresh")[:2]] == ["run_created", "run_forked"]


def test_edits_are_delivered_where_the_page_says(forks: World) -> None:
    failed = next(event for event in forks.log("failed-by-an-edit") if event.type == "step_failed")
    assert meta_of(failed) == {"error_type": "builtins.KeyError"}
    assert forks.open_event(failed)["$exception"]["args"] == ["made up"]
    log = forks.log("beside-with-edits")
    answered = [event for event in log if event.name == "program:endless"]
    assert [(event.type, event.attempt) for event in answered] == [
        ("step_created", 0), ("step_started", 1), ("step_completed", 1),
    ]  # fmt: skip
    assert forks.open_event(answered[-1]) == "it ended"
    cut = next(event.seq for event in log if event.correlation_id == 7 and event.type == "step_completed")
    between = [event.type for event in log[cut : answered[1].seq - 1]]
    assert between == ["attributes_set", "step_created"], "the calls that the edited answer led to"


def test_hooks_of_a_fork_are_found_by_the_tokens_in_its_log(forks: World) -> None:
    for run_id in forks.run_ids():
        rows = {n: (h, s) for n, h, s in forks.rows(
            "SELECT correlation_id, token_hash, seq FROM hooks WHERE run_id = ?", run_id)}  # fmt: skip
        for event in forks.log(run_id):
            if event.type == "hook_created" and event.correlation_id in rows:
                token = forks.open_event(event)["token"]
                assert rows[event.correlation_id] == (sha256(token.encode()), event.seq)


def test_chunks_up_to_the_cut_are_a_forks_own(forks: World) -> None:
    query = 'SELECT "index", at, payload FROM chunks WHERE run_id = ? AND name = ? ORDER BY 1'
    for run_id in FORKS:
        origin = meta_of(forks.log(run_id)[0])["fork"]["seed_id"]
        (_, first_at, _), (_, second_at, _) = forks.rows(query, origin, "default")
        chunks = forks.rows(query, run_id, "default")
        assert chunks[0][1] == first_at
        assert all(at > second_at for _, at, _ in chunks[1:])
        values = [forks.open(run_id, f"stream:default:{i}", "chunk", payload) for i, _, payload in chunks]
        assert values == ["before", "after"][: len(values)]
        assert len(values) == (1 if run_id == "failed-by-an-edit" else 2)


# -- values -------------------------------------------------------------------------------------


def result_of(world: World, run_id: str, step: str) -> Any:
    event = next(e for e in world.log(run_id) if e.type == "step_completed" and e.name == step)
    return read(world.open_event(event))


def test_every_tag_that_is_written_is_in_the_document(world: World) -> None:
    found = {tag for kind, tree in world.everything_sealed() for tag in tags_in(tree) if kind != "log"}
    assert found <= TAGS
    assert sorted(TAGS - found) == []


def test_values_are_read_as_what_they_were(world: World) -> None:
    values = result_of(world, "everything", "program:echo")
    assert values.pop("nan") != 0
    cet = {"$timezone": ["+01:00", "CET"]}
    person = values.pop("person")["$pydantic"]
    assert person[0] == "program:Person"
    assert person[1]["password"] == {"$secret": ["pydantic.types:SecretStr", "secret"]}
    assert person[1]["home"]["$url"][1] == "https://example.org/"
    assert values == {
        "plain": [None, True, 1, -5, 1.5, "text", {"a": {"b": 1}}],
        "int": 1 << 70,
        "inf": float("-inf"),
        "surrogate": "\udcff",
        "bytes": b"\x00\xff",
        "bytearray": bytearray(b"abc"),
        "dict": {1: "one"},
        "dollar": {"$set": 1},
        "tuple": (1, (2,)),
        "set": {1, 2, 3},
        "frozenset": frozenset("ab"),
        "deque": deque([1], 5),
        "ordered": OrderedDict(a=1),
        "counter": Counter("aab"),
        "defaultdict": ("list", {"k": [1]}),
        "range": range(1, 9, 2),
        "complex": 1 + 2j,
        "fraction": Fraction(1, 3),
        "decimal": Decimal("1.10"),
        "uuid": UUID(int=5),
        "datetime": datetime.fromisoformat("2026-01-02T03:04:05.000006+00:00"),
        "naive": datetime.fromisoformat("2026-01-02T00:00:00"),
        "berlin": ("2026-01-02T00:00:00", "Europe/Berlin", 0),
        "time": time(1, 2),
        "date": date(2026, 1, 2),
        "timedelta": timedelta(1, 2, 3),
        "timezone": cet,
        "path": {"$path": "a/b"},
        "posix": PurePosixPath("a"),
        "windows": {"$purewindowspath": "a"},
        "ip": {"$ip": ["IPv4Address", "127.0.0.1"]},
        "enum": {"$enum": ["program:Color", "RED"]},
        "dataclass": {"$dataclass": ["program:Point", {"x": 1.0, "y": 2.0}]},
        "struct": {"$struct": ["program:Box", {"content": "x"}]},
        "pair": {"$namedtuple": ["program:Pair", [1, 2]]},
        "unset": {"$unset": True},
        "own": {"$object": ["program:Own", "own"]},
        "long": "all work and no play " * 200,
    }


def test_a_long_value_is_compressed_and_a_short_one_is_not(world: World) -> None:
    marks = {
        (event.type, event.name): open_sealed(world.roots, event.run_id, event.seq, event.type, event.payload)[:1]
        for event in world.log("everything")
        if event.payload is not None
    }
    assert marks["step_completed", "program:echo"] == b"z"
    assert marks["step_completed", "program:alone"] == b"j"


def test_arguments_go_by_the_names_of_parameters(world: World) -> None:
    child = next(event for event in world.all_events() if "kind" in meta_of(event).get("attributes", {}))
    assert world.open_event(child) == {"number": 1, "*rest": [2, 3], "**named": {"key": "word"}}


def test_exceptions_carry_what_the_document_says(world: World) -> None:
    tree = world.open_event(world.log("failing")[-1])["$exception"]
    known = set(words(DOCUMENT.split("The content of `$exception` is an object: ", 1)[1].split("\n\n")[0]))
    assert set(tree) <= known
    assert (tree["type"], tree["message"], tree["args"]) == (
        "builtins:RuntimeError",
        "the step failed",
        ["the step failed"],
    )
    assert tree["cause"]["$exception"]["args"] == ["no", 7]
    assert "in failing" in tree["traceback"]


def test_hooks_hold_token_metadata_and_schema(world: World) -> None:
    [event] = [event for event in world.log("open") if event.type == "hook_created"]
    hook = world.open_event(event)
    assert list(hook) == ["token", "metadata", "schema"]
    assert read(hook["metadata"]) == {"asked": date(2026, 1, 2)}
    [(token_hash, seq)] = world.rows("SELECT token_hash, seq FROM hooks WHERE run_id = 'open'")
    assert (token_hash, seq) == (sha256(b"open"), event.seq)
    assert event.name == "program:Answer"


def test_a_message_that_nobody_took_waits_as_the_document_says(world: World) -> None:
    [(run_id, kind, correlation_id, meta, payload)] = world.rows(
        "SELECT run_id, kind, correlation_id, meta, payload FROM inbox"
    )
    assert (run_id, kind, correlation_id, meta) == ("open", "hook_payload", 1, None)
    assert world.open(run_id, "inbox", kind, payload) == {"text": "late"}
    assert kind in MESSAGES


def test_streams_end_with_a_mark_and_logs_are_lines(world: World) -> None:
    chunks = world.rows(
        'SELECT name, "index", payload IS NULL FROM chunks WHERE run_id = ? ORDER BY 1, 2', "everything"
    )
    assert chunks == [("default", 0, 0), ("other", 0, 0), ("other", 1, 1)]
    lines = [line for kind, batch in world.everything_sealed() if kind == "log" for line in batch]
    assert {source for _, source, _ in lines} == {"stdout", "logging:WARNING"}
    assert [text for _, source, text in lines if source == "stdout"] == ["attempt 1", "attempt 2"]


# -- the example ----------------------------------------------------------------------------------


def test_the_example_in_the_document_is_what_its_program_writes(tmp_path: Path) -> None:
    code = re.search(r"^```python\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    assert code is not None
    program = tmp_path / "example.py"
    program.write_text(code[1] + "\n\nwf.run(welcome.with_options(id='example'), 'ada')\n", "utf-8")
    kept = {name: value for name, value in os.environ.items() if not name.startswith("WF_")}
    environment = {**kept, "WF_WORLD": f"sqlite:///{tmp_path / 'world.db'}", "WF_KEY": OLD_KEY.hex()}
    done = subprocess.run([sys.executable, str(program)], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    world = World(tmp_path / "world.db", [OLD_KEY])
    try:
        log = world.log("example")
        rows = table_after("12. An example")
        assert len(log) == len(rows)
        for event, row in zip(log, rows, strict=True):
            payload = world.open_event(event)
            text = json.dumps(payload, separators=(",", ":")) if event.payload is not None else ""
            values = [event.seq, f"`{event.type}`", event.correlation_id, event.name, event.attempt]
            assert ["" if value is None else str(value) for value in values] == row[:5]
            assert is_like(event.meta or "", row[5]), (event.meta, row[5])
            assert is_like(text, row[6]), (text, row[6])
    finally:
        world.close()


def is_like(text: str, pattern: str) -> bool:
    """Tell whether a text is what the document shows, `…` standing for anything."""
    parts = map(re.escape, pattern.strip("`").split("…"))
    return re.fullmatch(".*".join(parts), text, re.DOTALL) is not None


def test_random_numbers_of_a_body_follow_from_the_run_id() -> None:
    """The document's rule, as a number: whoever changes it breaks the replay of every log."""
    seed = int.from_bytes(sha256(b"wrun_example")[:7], "big")
    assert random.Random(seed).getrandbits(32) == 399965565
