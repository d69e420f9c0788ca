"""A world of many events, written straight into its file, to measure what reads it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Final

from wf import codec
from wf import events as types
from wf.events import Event
from wf.keys import Keyring
from wf.records import encode_meta
from wf.worlds.sqlite.connection import Connection
from wf.worlds.sqlite.runs import INSERT_EVENT

FIRST_AT: Final = 1_700_000_000_000_000
STEPS: Final = 5
EVENTS_PER_RUN: Final = 2 * STEPS + 3
_RUN: Final = """
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
            file.execute(_RUN, row)
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
