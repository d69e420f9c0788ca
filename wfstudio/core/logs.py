"""Logs: what attempts printed and logged, in the order in which the attempts ended.

An attempt's lines are one batch, which is committed with the event that ends the attempt. So that
event's place in the run's log is the batch's: a new batch always comes after all that were there, and a
reader that names the last line it saw goes on right behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

import msgspec

from wf import events as types
from wf.errors import WorkflowError
from wf.events import Event
from wf.keys import Keyring
from wf.worker.logs import LogLine, open_log
from wf.world import LogRow
from wfstudio.core.views import LogView, show_instant

ENDS: Final = frozenset({types.STEP_RETRYING, types.STEP_COMPLETED, types.STEP_FAILED})

UNREADABLE: Final = "(these lines cannot be opened with the keys that are here)"


class Batches:
    """The batches of one run that are there now, by attempt."""

    def __init__(self, rows: Iterable[LogRow]) -> None:
        self._rows: dict[tuple[int | None, int | None], list[LogRow]] = {}
        for row in rows:
            self._rows.setdefault((row.correlation_id, row.attempt), []).append(row)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def of(self, log: Sequence[Event]) -> list[LogRow]:
        """Give the batches of the attempts that these events end, in order."""
        ended = ((event.correlation_id, event.attempt) for event in log if event.type in ENDS)
        return [row for key in ended for row in sorted(self._rows.get(key, ()), key=lambda row: row.index)]


def is_in_batch(position: str, row: LogRow) -> bool:
    return position.rpartition(":")[0] == _name_batch(row)


def open_batch(keyring: Keyring, row: LogRow) -> list[LogView]:
    """Give a batch's lines; one that says so where the key is not here."""
    key = keyring.run(row.run_id)
    try:
        lines = open_log(key, row.correlation_id, row.attempt, row.index, row.payload)
    except (WorkflowError, msgspec.DecodeError):  # another key's, or changed
        lines = [LogLine(row.at, "stderr", UNREADABLE)]
    return [
        LogView(
            position=f"{_name_batch(row)}:{place}",
            at=show_instant(line.at),
            run_id=row.run_id,
            correlation_id=row.correlation_id,
            attempt=row.attempt,
            source=line.source,
            text=line.text,
        )
        for place, line in enumerate(lines)
    ]


def _name_batch(row: LogRow) -> str:
    return f"{row.correlation_id}:{row.attempt}:{row.index}"
