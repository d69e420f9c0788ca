"""Worlds for the tests of history: logs of any shape, written straight into a world's file."""

from __future__ import annotations

import os
import random
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec

from wf import codec
from wf import events as types
from wf.events import Event
from wf.keys import Keyring
from wf.records import encode_meta
from wf.worlds.sqlite.connection import Connection
from wf.worlds.sqlite.runs import INSERT_EVENT

KEYRING: Final = Keyring([b"k" * 32])
BEGAN: Final = 1_700_000_000_000_000
_RUN: Final = """
INSERT INTO runs (run_id, workflow, status, deployment_id, created_at, started_at, ended_at, seq, head, mac, attributes,
  forked_from, error_code, result_seq, payload_bytes)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, x'00', ?, ?, ?, ?, ?)
"""


class WorldFile:
    """A world's file that a test writes. `commit` is what a worker's transaction is."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.exists():
            made = Connection(path, "process")
            made.open()
            made.close()
        self.sqlite = sqlite3.connect(path, isolation_level=None)

    def close(self) -> None:
        self.sqlite.close()

    def write(self, log: Sequence[Event], pending: Sequence[int] = (), **columns: Any) -> None:
        """Write a run, or what its log has grown by; `pending` are the waits that are pending now."""
        run_id = log[0].run_id
        end = next((event for event in log if event.type in types.ENDS), None)
        started = next((event.at for event in log if event.type == types.RUN_STARTED), None)
        status = types.PENDING if started is None else types.RUNNING
        if end is not None:
            status = end.type.removeprefix("run_")
        self.sqlite.execute("BEGIN IMMEDIATE")
        known = self.sqlite.execute("SELECT seq FROM runs WHERE run_id = ?", (run_id,)).fetchone()
        seq, ended_at, result_seq = len(log), end and end.at, end and end.seq
        if known is None:
            size = sum(len(event.payload or b"") for event in log)
            row = (run_id, log[0].name, status, "dep_1", log[0].at, started, ended_at, seq, log[-1].link,
                   columns.get("attributes"), columns.get("forked_from"), columns.get("error_code"), result_seq,
                   size)  # fmt: skip
            self.sqlite.execute(_RUN, row)
        else:
            self.sqlite.execute(
                "UPDATE runs SET status = ?, started_at = ?, ended_at = ?, result_seq = ?, seq = ?, head = ?"
                " WHERE run_id = ?",
                (status, started, ended_at, result_seq, seq, log[-1].link, run_id),
            )
        new = log[0 if known is None else known[0] :]
        self.sqlite.executemany(INSERT_EVENT, [msgspec.structs.astuple(event) for event in new])
        self.sqlite.execute("DELETE FROM waits WHERE run_id = ?", (run_id,))
        self.sqlite.executemany("INSERT INTO waits VALUES (?, ?, 'sleep', 0)", [(run_id, number) for number in pending])
        self.sqlite.execute("COMMIT")

    def delete(self, run_id: str) -> None:
        self.sqlite.execute("BEGIN IMMEDIATE")
        for table in ("events", "chunks", "logs", "waits", "runs"):
            self.sqlite.execute(f"DELETE FROM {table} WHERE run_id = ?", (run_id,))
        self.sqlite.execute("COMMIT")


class Log:
    """A log in the making: events get their seq, and times that go on by a millisecond unless told otherwise."""

    def __init__(self, run_id: str, workflow: str = "shop:order", at: int = BEGAN) -> None:
        self.run_id = run_id
        self.at = at
        self.events: list[Event] = []
        self.add(types.RUN_CREATED, name=workflow, value={"number": 1})

    def add(
        self,
        type: str,
        number: int | None = None,
        *,
        name: str | None = None,
        attempt: int | None = None,
        value: Any = msgspec.UNSET,
        by: int = 1000,
        **meta: Any,
    ) -> None:
        self.at += by
        seq = len(self.events) + 1
        payload = None
        if value is not msgspec.UNSET:
            payload = KEYRING.run(self.run_id).seal(seq, type, codec.pack(codec.encode(value)))
        text = encode_meta(meta) if meta else None
        self.events.append(Event(self.run_id, seq, type, number, name, attempt, self.at, text, payload, os.urandom(32)))


def make_completed(run_id: str, steps: int = 2, workflow: str = "shop:order", at: int = BEGAN) -> Log:
    """Make the log of a run of steps that completed at once."""
    log = Log(run_id, workflow, at)
    log.add(types.RUN_STARTED)
    for number in range(1, steps + 1):
        log.add(types.STEP_CREATED, number, name=f"shop:step_{number}", attempt=1, value={"n": number})
        log.add(types.STEP_COMPLETED, number, name=f"shop:step_{number}", attempt=1, value=number)
    log.add(types.RUN_COMPLETED, value="done")
    return log


class RandomLog:
    """A log of what may happen to a run, in any order that may be. `pending` are the waits that are pending."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)
        self.is_fork = self._chance.random() < 0.25
        self._log = Log(f"wrun_{seed:04}", at=BEGAN + seed * 1_000_000)
        self._steps: dict[int, tuple[str, int]] = {}  # open ones: state, attempt
        self.pending: set[int] = set()
        self._hooks: set[int] = set()
        self._calls = 0
        self._has_ended = False
        self._make()

    @property
    def events(self) -> list[Event]:
        return self._log.events

    def _make(self) -> None:
        chance, log = self._chance, self._log
        if self.is_fork:  # a history that is older than the run
            log.at -= 40_000_000
            log.add(types.RUN_FORKED, name="wrun_old", seq=9)
            log.at -= 100_000
        if chance.random() < 0.05 and not self.is_fork:
            return
        log.add(types.RUN_STARTED)
        inherits = chance.randrange(8) if self.is_fork else 0
        for turn in range(chance.randrange(40)):
            if self.is_fork and turn == inherits:
                log.at = log.events[0].at
            self._act(is_inherited=self.is_fork and turn < inherits)
        if self.is_fork and log.at < log.events[0].at:
            log.at = log.events[0].at
        if chance.random() < 0.7:
            kind = chance.choice([types.RUN_COMPLETED, types.RUN_FAILED, types.RUN_CANCELLED])
            log.add(kind, **({"code": "USER_ERROR", "error_type": "shop.Broke"} if kind == types.RUN_FAILED else {}))
            self._has_ended = True
            self.pending.clear()
            for number, (state, attempt) in list(self._steps.items()):
                if state == "running" and chance.random() < 0.5:  # it was in flight
                    self._end(number, attempt)

    def _act(self, *, is_inherited: bool) -> None:
        chance = self._chance
        acts = [self._call_step, self._call_wait, self._call_hook, self._go_on, self._go_on, self._go_on, self._wake]
        acts += [self._receive, self._dispose]
        chance.choice(acts)()
        self._log.at += chance.choice([0, 0, 1, 999, 250_000])

    def _number(self) -> int:
        self._calls += 1
        return self._calls

    def _call_step(self) -> None:
        number, attempt = self._number(), self._chance.choice([0, 1, 1])
        name = self._chance.choice(["shop:a", "shop:b", "wf/resume_hook"])
        self._log.add(types.STEP_CREATED, number, name=name, attempt=attempt)
        self._steps[number] = ("running", 1) if attempt else ("queued", 0)

    def _go_on(self) -> None:
        """Do the next thing to a step: begin, fail, be lost, end."""
        if not self._steps:
            return
        number = self._chance.choice(sorted(self._steps))
        state, attempt = self._steps[number]
        if state in ("queued", "retrying"):
            if self._chance.random() < 0.1:  # it was cancelled while it waited
                self._log.add(
                    types.STEP_FAILED, number, attempt=attempt, error_type="asyncio.exceptions.CancelledError"
                )
                del self._steps[number]
                return
            self._log.add(types.STEP_STARTED, number, attempt=attempt + 1)
            self._steps[number] = ("running", attempt + 1)
        elif (fate := self._chance.random()) < 0.3:
            due = self._log.at + self._chance.choice([0, 500, 100_000])
            self._log.add(types.STEP_RETRYING, number, attempt=attempt, due_at=due, error_type="shop.Flaky")
            self._steps[number] = ("retrying", attempt)
        elif fate < 0.4:  # its process was killed
            self._log.add(types.STEP_STARTED, number, attempt=attempt + 1)
            self._steps[number] = ("running", attempt + 1)
        else:
            self._end(number, attempt)

    def _end(self, number: int, attempt: int) -> None:
        if self._chance.random() < 0.7:
            self._log.add(types.STEP_COMPLETED, number, attempt=attempt)
        else:
            kind = self._chance.choice(["shop.Broke", "asyncio.exceptions.CancelledError"])
            self._log.add(types.STEP_FAILED, number, attempt=attempt, error_type=kind)
        del self._steps[number]

    def _call_wait(self) -> None:
        number = self._number()
        kind = self._chance.choice(["sleep", "deadline"])
        self._log.add(types.WAIT_CREATED, number, kind=kind, due_at=self._log.at + self._chance.choice([1_000, 10**9]))
        self.pending.add(number)

    def _wake(self) -> None:
        if not self.pending:
            return
        number = self._chance.choice(sorted(self.pending))
        self.pending.discard(number)
        if self._chance.random() < 0.7:  # else it was given up, which leaves no event
            self._log.add(types.WAIT_COMPLETED, number)

    def _call_hook(self) -> None:
        number = self._number()
        self._log.add(types.HOOK_CREATED, number, name=self._chance.choice(["shop:Approval", "hook", "webhook"]))
        self._hooks.add(number)

    def _receive(self) -> None:
        if self._hooks:
            self._log.add(types.HOOK_RECEIVED, self._chance.choice(sorted(self._hooks)))

    def _dispose(self) -> None:
        if self._hooks:
            number = self._chance.choice(sorted(self._hooks))
            self._hooks.discard(number)
            self._log.add(self._chance.choice([types.HOOK_DISPOSED, types.HOOK_CONFLICT]), number)


def random_logs(count: int) -> Iterator[RandomLog]:
    for seed in range(count):
        yield RandomLog(seed)
