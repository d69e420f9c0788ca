"""A world of many events, written straight into its file, to measure what reads it."""

from __future__ import annotations

import os
import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Final

from tests.bench.reading import Reading
from wf import codec
from wf import events as types
from wf.events import Event
from wf.keys import Keyring
from wf.records import encode_meta
from wf.worlds.sqlite.connection import Connection
from wf.worlds.sqlite.feed import SqliteFeed
from wf.worlds.sqlite.runs import INSERT_EVENT
from wfstudio.history.locks import Lock
from wfstudio.history.mirror import History, bring_up_to_date, mirror_path
from wfstudio.history.payloads import Payloads
from wfstudio.history.schema import make_views

FIRST_AT: Final = 1_700_000_000_000_000
STEPS: Final = 5
EVENTS_PER_RUN: Final = 2 * STEPS + 3
INSERT_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, started_at, ended_at, seq, head, mac, result_seq,
  payload_bytes)
VALUES (?, ?, 'completed', 'd1', ?, ?, ?, ?, ?, x'00', ?, ?)
"""


def write_world(path: Path, keyring: Keyring, runs: int, *, first: int = 0, is_new: bool = True) -> int:
    """Write completed runs of five steps; give how many events that is. Chains are not made: nobody checks them."""
    if is_new:
        made = Connection(path, "process")
        made.open()
        made.close()
    file = sqlite3.connect(path, isolation_level=None)
    file.execute("PRAGMA synchronous = OFF")
    for start in range(first, first + runs, 2_000):
        file.execute("BEGIN")
        for number in range(start, min(start + 2_000, first + runs)):
            log = _make_log(number, keyring)
            size = sum(len(event.payload or b"") for event in log)
            at = log[0].at
            row = (log[0].run_id, log[0].name, at, at + 1_000, log[-1].at, len(log), log[-1].link, len(log), size)
            file.execute(INSERT_RUN, row)
            file.executemany(
                INSERT_EVENT, [tuple(getattr(event, field) for field in Event.__struct_fields__) for event in log]
            )
        file.execute("COMMIT")
    file.close()
    return runs * EVENTS_PER_RUN


def _make_log(number: int, keyring: Keyring) -> list[Event]:
    run_id = f"wrun_{number:026}"
    key = keyring.run(run_id)
    at = FIRST_AT + number * 50_000
    log: list[Event] = []

    def add(type: str, name: str | None = None, id: int | None = None, attempt: int | None = None,
            meta: str | None = None, value: object = None, is_sealed: bool = False) -> None:  # fmt: skip
        nonlocal at
        at += 1_000 + (number * 7 + len(log) * 13) % 900
        seq = len(log) + 1
        payload = key.seal(seq, type, codec.pack(codec.encode(value))) if is_sealed else None
        log.append(Event(run_id, seq, type, id, name, attempt, at, meta, payload, os.urandom(32)))

    add(types.RUN_CREATED, f"shop.flows:order_{number % 5}", meta=encode_meta({"deployment_id": "d1"}),
        value={"number": number}, is_sealed=True)  # fmt: skip
    add(types.RUN_STARTED)
    for step in range(1, STEPS + 1):
        name = f"shop.steps:step_{step}"
        add(types.STEP_CREATED, name, step, 1, value={"number": number}, is_sealed=True)
        add(types.STEP_COMPLETED, name, step, 1, value=number, is_sealed=True)
    add(types.RUN_COMPLETED, value="done", is_sealed=True)
    return log


EVENTS: Final = 1_000_000
TAIL_RUNS: Final = 16
P95: Final = "SELECT name, p95(duration_ms) FROM steps GROUP BY name"


async def measure_history(is_quick: bool) -> list[Reading]:
    """Mirror a world of a million events; then read its news, and ask for the 95th percentile by step."""
    path = Path(os.environ["WF_WORLD"].removeprefix("sqlite://"))
    keyring = Keyring([os.urandom(32)])
    runs = EVENTS // EVENTS_PER_RUN // (20 if is_quick else 1)
    count = write_world(path, keyring, runs)
    began = time.perf_counter()
    History(path).close()
    ingest = count / (time.perf_counter() - began)
    bare, tails = [], []
    for turn in range(5):
        bare.append(_open(path))
        write_world(path, keyring, TAIL_RUNS, first=runs + turn * TAIL_RUNS, is_new=False)
        tails.append(_open(path))
        with SqliteFeed(path) as feed, _locked(path):
            bring_up_to_date(mirror_path(path), feed)
    return [
        Reading("history-ingest", ingest, count, f"{count} events"),
        Reading(
            "history-tail", (median(tails) - median(bare)) * 1000, len(tails), f"besides {median(bare) * 1000:.0f} ms"
        ),
        Reading("history-p95", _ask(path, P95) * 1000, 9, f"{runs * STEPS} steps"),
    ]


def _open(path: Path) -> float:
    began = time.perf_counter()
    History(path).close()
    return time.perf_counter() - began


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    lock = Lock(mirror_path(path))
    try:
        lock.write()
        yield
    finally:
        lock.close()


def _ask(path: Path, sql: str) -> float:
    with History(path) as history:
        Payloads(history.feed, None).register(history.connection)
        make_views(history.connection)
        times = []
        for _ in range(9):
            began = time.perf_counter()
            history.connection.execute(sql).fetchall()
            times.append(time.perf_counter() - began)
    return median(times)
