"""A world file that somebody changed: it is noticed, named, and the other runs go on."""

from __future__ import annotations

import asyncio
import random
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import wf
from tests.reliability.stage import KEYRING, Place, make_worker, open_world, until
from wf import registry

Connection = sqlite3.Connection
UNFINISHED, FINISHED, OTHER = "run-unfinished", "run-finished", "run-other"


@pytest.fixture(autouse=True)
def _own_registry():
    with registry.isolated():
        yield


def define() -> tuple[Any, Any]:
    @wf.step(name="double")
    async def double(text: str) -> str:
        return text * 2

    @wf.workflow(name="waits")
    async def waits(text: str) -> str:
        doubled = await double(text)
        payload = await wf.hook(token=f"first-{text}")
        doubled = await double(doubled)
        return f"{doubled} {payload} {await wf.hook(token=f'second-{text}')}"

    @wf.workflow(name="ends")
    async def ends(text: str) -> str:
        return await double(text)

    return waits, ends


async def prepare(folder: Path) -> None:
    """Two runs that wait for their second hook, and two that have ended."""
    waits, ends = define()
    world = await open_world("sqlite", folder)
    async with make_worker(world) as embedded:
        for run_id in (UNFINISHED, OTHER):
            await wf.start(waits.with_options(id=run_id), run_id)
        for run_id in (FINISHED, "finished-other"):
            await (await wf.start(ends.with_options(id=run_id), run_id)).return_value(timeout=20)
        for run_id in (UNFINISHED, OTHER):
            await until(lambda run_id=run_id: _has_hook(world, f"first-{run_id}"), "the first hook")
            await wf.resume_hook(f"first-{run_id}", {"n": 1})
            await until(lambda run_id=run_id: _has_hook(world, f"second-{run_id}"), "the second hook")
        await embedded.drain()
    await world.close()


async def _has_hook(world: Any, token: str) -> bool:
    from wf.ids import hash_token

    return await world.find_hook(hash_token(token)) is not None


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("prepared")
    with registry.isolated():
        asyncio.run(prepare(folder))
    with sqlite3.connect(folder / "world.db") as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    return folder / "world.db"


async def look(folder: Path, run_id: str) -> tuple[wf.Attention | None, str]:
    """Open the changed file with a worker, and say what has become of a run and of its neighbour."""
    define()
    world = await open_world("sqlite", folder)
    async with make_worker(world) as embedded:
        await wf.resume_hook(f"second-{OTHER}", {"n": 2})
        expected = f"{OTHER * 4} {{'n': 1}} {{'n': 2}}"
        assert await wf.get_run(OTHER).return_value(timeout=20) == expected, "the other run was not left in peace"
        await embedded.drain()
        run = wf.get_run(run_id)
        attention = await run.attention()
        try:
            outcome = repr(await run.return_value(timeout=0.05))
        except wf.DecryptionError as error:
            outcome = str(error)
        except TimeoutError:
            outcome = "it waits as if nothing had happened"
    await world.close()
    return attention, outcome


def change(source: Path, folder: Path, act: Callable[[Connection], Any]) -> None:
    """Copy the world file and change the copy by plain SQL."""
    (folder / "world.db").write_bytes(source.read_bytes())
    db = sqlite3.connect(folder / "world.db")
    with db:
        act(db)
    db.close()


def payload_of(db: Connection, run_id: str, seq: int) -> bytes:
    return db.execute("SELECT payload FROM events WHERE run_id = ? AND seq = ?", (run_id, seq)).fetchone()[0]


def put_payload(db: Connection, run_id: str, seq: int, payload: bytes | None) -> None:
    db.execute("UPDATE events SET payload = ? WHERE run_id = ? AND seq = ?", (payload, run_id, seq))


def flip(run_id: str, seq: int, place: float) -> Callable[[Connection], None]:
    def act(db: Connection) -> None:
        payload = bytearray(payload_of(db, run_id, seq))
        payload[int(place * (len(payload) - 1))] ^= 1
        put_payload(db, run_id, seq, bytes(payload))

    return act


def events_with_payload(source: Path, run_id: str) -> list[int]:
    db = sqlite3.connect(source)
    rows = db.execute("SELECT seq FROM events WHERE run_id = ? AND payload IS NOT NULL", (run_id,)).fetchall()
    db.close()
    return [seq for (seq,) in rows]


async def test_a_flipped_byte_of_any_payload_of_an_unfinished_run_stops_it_and_names_the_event(
    prepared: Path, tmp_path: Path
):
    places = random.Random(7)
    seqs = events_with_payload(prepared, UNFINISHED)
    assert len(seqs) == 8
    for seq in seqs:
        for place in (0.0, 0.02, places.random(), 1.0):
            change(prepared, tmp_path, flip(UNFINISHED, seq, place))
            with registry.isolated():
                attention, outcome = await look(tmp_path, UNFINISHED)
            assert attention is not None, f"event {seq} was changed at {place}, and nobody noticed"
            assert (attention.code, attention.seq) == ("DECRYPTION", seq)
            assert attention.message.startswith(f"run {UNFINISHED} event {seq}: cannot open ")
            assert outcome == attention.message
            _clear(tmp_path)


async def test_a_flipped_byte_of_the_result_of_a_finished_run_is_refused_on_reading(prepared: Path, tmp_path: Path):
    seq = events_with_payload(prepared, FINISHED)[-1]
    for place in (0.0, 0.02, 0.3, 0.7, 1.0):
        change(prepared, tmp_path, flip(FINISHED, seq, place))
        with registry.isolated():
            attention, outcome = await look(tmp_path, FINISHED)
        assert attention is None
        assert outcome.startswith(f"run {FINISHED} event {seq}: cannot open ")
        _clear(tmp_path)


def _copy(seq: int, run_id: str, from_seq: int, from_run: str | None = None) -> Callable[[Connection], None]:
    return lambda db: put_payload(db, run_id, seq, payload_of(db, from_run or run_id, from_seq))


CHANGES: dict[str, tuple[Callable[[Connection], Any], int]] = {
    "a truncated payload": (lambda db: put_payload(db, UNFINISHED, 4, payload_of(db, UNFINISHED, 4)[:-1]), 4),
    "an empty payload": (lambda db: put_payload(db, UNFINISHED, 4, b""), 4),
    "a payload taken away": (lambda db: put_payload(db, UNFINISHED, 4, None), 4),
    "a payload in clear": (lambda db: put_payload(db, UNFINISHED, 4, b'\0"forged"'), 4),
    "a payload of another event": (_copy(4, UNFINISHED, 8), 4),
    "a payload of another field": (_copy(4, UNFINISHED, 3), 4),
    "a payload of another run": (_copy(4, UNFINISHED, 4, OTHER), 4),
    "another name": (lambda db: _set(db, "name = 'halve'", 3), 3),
    "another type": (lambda db: _set(db, "type = 'step_failed'", 4), 4),
    "another attempt": (lambda db: _set(db, "attempt = 2", 3), 3),
    "another correlation id": (lambda db: _set(db, "correlation_id = 9", 3), 3),
    "another time": (lambda db: _set(db, "at = at + 1", 4), 4),
    "another meta": (lambda db: _set(db, "meta = '{}'", 3), 3),
    "another link": (lambda db: _set(db, "link = zeroblob(32)", 3), 3),
    "a dropped last event": (lambda db: _drop(db, UNFINISHED), 9),
    "a dropped event in the middle": (lambda db: db.execute("DELETE FROM events WHERE run_id = ? AND seq = 4",
                                                           (UNFINISHED,)), 4),
    "a dropped first event": (lambda db: db.execute("DELETE FROM events WHERE run_id = ? AND seq = 1",
                                                   (UNFINISHED,)), 1),
    "no events at all": (lambda db: db.execute("DELETE FROM events WHERE run_id = ?", (UNFINISHED,)), 1),
    "a meta at the start that is no JSON": (lambda db: _set(db, "meta = '{'", 1), 1),
    "an older state of the run's row": (lambda db: _roll_back(db, UNFINISHED), 8),
    "a MAC of another run": (lambda db: db.execute(
        "UPDATE runs SET mac = (SELECT mac FROM runs WHERE run_id = ?) WHERE run_id = ?", (OTHER, UNFINISHED)), 9),
    "a log that ends earlier, and its row with it": (lambda db: _cut(db, UNFINISHED), 8),
}  # fmt: skip


def _set(db: Connection, assignment: str, seq: int, run_id: str = UNFINISHED) -> None:
    assert db.execute(f"UPDATE events SET {assignment} WHERE run_id = ? AND seq = ?", (run_id, seq)).rowcount == 1


def _drop(db: Connection, run_id: str) -> None:
    db.execute("DELETE FROM events WHERE run_id = ? AND seq = (SELECT max(seq) FROM events WHERE run_id = ?)",
               (run_id, run_id))  # fmt: skip


def _roll_back(db: Connection, run_id: str) -> None:
    """Make the row what it was one event ago; its MAC of then is what a thief does not have."""
    db.execute(
        "UPDATE runs SET seq = seq - 1, head = (SELECT link FROM events AS e WHERE e.run_id = runs.run_id"
        " AND e.seq = runs.seq - 1) WHERE run_id = ?",
        (run_id,),
    )


def _cut(db: Connection, run_id: str) -> None:
    _drop(db, run_id)
    _roll_back(db, run_id)


@pytest.mark.parametrize("what", list(CHANGES))
async def test_a_changed_log_of_an_unfinished_run_stops_it_and_it_alone(what: str, prepared: Path, tmp_path: Path):
    act, seq = CHANGES[what]
    change(prepared, tmp_path, act)
    attention, outcome = await look(tmp_path, UNFINISHED)
    assert attention is not None
    assert attention.code == "DECRYPTION"
    assert attention.seq is not None
    assert attention.message.startswith(f"run {UNFINISHED} event {attention.seq}: cannot open ")
    assert outcome == attention.message
    assert abs(attention.seq - seq) <= (2 if "log" in what or "row" in what or "last" in what or "MAC" in what else 0)


FINISHED_CHANGES: dict[str, Callable[[Connection], Any]] = {
    "another result": lambda db: put_payload(db, FINISHED, 5, payload_of(db, "finished-other", 5)),
    "the step's result as the run's": _copy(5, FINISHED, 4),
    "another time of the end": lambda db: _set(db, "at = at + 1", 5, FINISHED),
    "a dropped end": lambda db: _drop(db, FINISHED),
    "an older row": lambda db: _roll_back(db, FINISHED),
    "a status of failure": lambda db: db.execute("UPDATE runs SET status = 'failed' WHERE run_id = ?", (FINISHED,)),
    "a status of cancellation": lambda db: db.execute(
        "UPDATE runs SET status = 'cancelled' WHERE run_id = ?", (FINISHED,)
    ),
    "another event as the result": lambda db: db.execute(
        "UPDATE runs SET result_seq = 4 WHERE run_id = ?", (FINISHED,)
    ),
    "another run as the next one": lambda db: db.execute(
        "UPDATE runs SET continued_as = 'finished-other' WHERE run_id = ?", (FINISHED,)
    ),
}


@pytest.mark.parametrize("what", list(FINISHED_CHANGES))
async def test_a_changed_end_of_a_finished_run_is_refused_on_reading(what: str, prepared: Path, tmp_path: Path):
    change(prepared, tmp_path, FINISHED_CHANGES[what])
    attention, outcome = await look(tmp_path, FINISHED)
    assert attention is None
    assert outcome.startswith(f"run {FINISHED} event "), outcome
    assert "cannot open" in outcome


async def test_an_unfinished_run_whose_row_says_completed_gives_no_result(prepared: Path, tmp_path: Path):
    change(prepared, tmp_path, lambda db: db.execute(
        "UPDATE runs SET status = 'completed', ended_at = 1, result_seq = 4 WHERE run_id = ?", (UNFINISHED,)
    ))  # fmt: skip
    _, outcome = await look(tmp_path, UNFINISHED)
    assert "cannot open" in outcome


async def test_an_untouched_copy_is_read_as_it_was(prepared: Path, tmp_path: Path):
    change(prepared, tmp_path, lambda db: None)
    attention, outcome = await look(tmp_path, UNFINISHED)
    assert (attention, outcome) == (None, "it waits as if nothing had happened")


def _clear(folder: Path) -> None:
    for path in folder.glob("world.db*"):
        path.unlink()


# -- what nobody may read -----------------------------------------------------------------------

CANARIES = {
    name: f"canary-{name}-8d1f0c"
    for name in ("argument", "step-argument", "result", "error", "payload", "token", "metadata", "chunk", "line",
                 "logged", "reason", "child-argument", "run-result", "wrong-payload")
}  # fmt: skip

SPILL = """
import logging
import wf
from canaries import CANARIES as C

@wf.step(max_retries=0)
async def talk(text: str) -> str:
    print(C["line"])
    logging.getLogger("spill").warning(C["logged"])
    await wf.get_writable().write({"chunk": C["chunk"]})
    return C["result"]

@wf.step(max_retries=0)
async def fail() -> None:
    raise ValueError(C["error"])

@wf.workflow
async def child(text: str) -> str:
    return text

@wf.workflow
async def main(text: str) -> str:
    await talk(C["step-argument"])
    try:
        await fail()
    except ValueError:
        pass
    await child(C["child-argument"])
    hook = wf.hook(token=C["token"], metadata={"m": C["metadata"]})
    await hook
    return C["run-result"]
"""

SPILL_PROGRAM = """
from canaries import CANARIES as C
async with wf.worker(modules=["flow"]) as worker:
    import flow
    run = await wf.start(flow.main, C["argument"])
    async def is_waiting():
        return bool(await worker.world.list_hooks())
    await until(is_waiting)
    await wf.resume_hook(C["token"], {"p": C["payload"]})
    assert await run.return_value(timeout=20) == C["run-result"]
    other = await wf.start(flow.main, C["argument"])
    await until(is_waiting)
    await wf.resume_hook(C["token"], C["wrong-payload"])
    await other.cancel(C["reason"])
    await worker.drain()
    os.kill(os.getpid(), 9)    # nothing is tidied up
"""


@pytest.mark.parametrize("key", ["given", "made"])
def test_no_value_of_a_user_is_in_any_file_of_the_world(key: str, tmp_path: Path):
    place = Place(tmp_path / "project")
    world = tmp_path / "world"
    place.folder.mkdir()
    world.mkdir()
    place.write(SPILL)
    (place.folder / "canaries.py").write_text(f"CANARIES = {CANARIES!r}\n")
    environ = {"WF_WORLD": f"sqlite:///{world}/world.db"}
    if key == "made":
        del place.environ["WF_KEY"]
    done = place.run(SPILL_PROGRAM, check=False, **environ)
    assert done.returncode == -9, done.stderr
    assert CANARIES["line"] in done.stdout, "what is printed is still shown"
    files = [path for path in world.rglob("*") if path.is_file()]
    names = {path.name for path in files}
    assert "world.db" in names
    assert "world.db-wal" in names
    assert ("world.db.key" in names) == (key == "made")
    for path in files:
        content = path.read_bytes()
        for name, canary in CANARIES.items():
            assert canary.encode() not in content, f"{name} is in {path.name}"
            assert canary.encode("utf-16-le") not in content
        if path.suffix != ".key":
            assert KEYRING.key_ids  # the key itself is nowhere either
            assert bytes.fromhex("c7" * 32) not in content
            assert b"c7" * 32 not in content
        if sys.platform != "win32":
            assert path.stat().st_mode & 0o077 == 0, f"{path.name} is open to others"
