"""The tail of a log that this worker owns: where the next event goes.

1. Events get their seq, their link of the chain and their seal here, in the order of `add`.
2. `at` never goes back within a log, whatever the clock does: a body's `now()` must not.
3. What was added is handed out once, by `take`, and stays in force whether or not its commit's
   outcome is known: sending it again is harmless (world.py, law 2).
"""

from __future__ import annotations

from wf import chain, codec
from wf.events import Event
from wf.keys import RunKey
from wf.world import Append, Effect, RunRow


class LogTail:
    """Builds one run's appends under one lease."""

    __slots__ = (
        "_added",
        "_effects",
        "_taken",
        "_taken_seq",
        "at",
        "epoch",
        "head",
        "key",
        "payload_bytes",
        "run_id",
        "seq",
    )

    def __init__(self, row: RunRow, key: RunKey) -> None:
        self.run_id = row.run_id
        self.epoch = row.epoch
        self.key = key
        self.seq = row.seq
        self.head = row.head
        self.at = 0
        self.payload_bytes = row.payload_bytes
        self._added: list[Event] = []
        self._effects: list[Effect] = []
        self._taken: list[int] = []
        self._taken_seq = row.seq

    @property
    def is_empty(self) -> bool:
        return not (self._added or self._effects or self._taken)

    def add(
        self,
        now_us: int,
        type_: str,
        correlation_id: int | None = None,
        name: str | None = None,
        attempt: int | None = None,
        meta: str | None = None,
        data: bytes | None = None,
    ) -> Event:
        """Add an event; `data` is encoded and gets packed and sealed for this place."""
        seq = self.seq = self.seq + 1
        at = self.at = now_us if now_us > self.at else self.at
        run_id = self.run_id
        payload = None
        if data is not None:
            payload = self.key.seal(seq, type_, codec.pack(data))
            self.payload_bytes += len(payload)
        link = chain.link(self.head, run_id, seq, type_, correlation_id, name, attempt, at, meta, payload)
        self.head = link
        event = Event(run_id, seq, type_, correlation_id, name, attempt, at, meta, payload, link)
        self._added.append(event)
        return event

    def add_effect(self, effect: Effect) -> None:
        self._effects.append(effect)

    def take_message(self, message_id: int) -> None:
        """Delete a message from the inbox with the next append."""
        self._taken.append(message_id)

    def take(self) -> Append:
        """Hand out everything added since the last time, as one append."""
        append = Append(
            self.run_id,
            self.epoch,
            self._taken_seq,
            self._added,
            self.head,
            self.key.mac(self.seq, self.head),
            self._effects,
            self._taken,
        )
        self._taken_seq = self.seq
        self._added, self._effects, self._taken = [], [], []
        return append
