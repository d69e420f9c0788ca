"""Retelling: the same run, told anew by the code itself from other inputs. This runs where the code is loaded.

The body is fed with a log whose inputs were changed, and makes its calls by itself. Each must be the call
that the log recorded there: of the same kind, to the same step. What it was called with is taken from the body.
"""

from __future__ import annotations

from typing import Any

import msgspec

from wf import events
from wf.engine import commands
from wf.engine.replay import Replay
from wf.errors import NondeterminismError, NotRegisteredError
from wf.events import Event
from wf.settings import Limits
from wf.worker.attention import describe_trouble
from wf.worker.tracing import quiet_context
from wf.worker.verdicts import begin_replay
from wf.world import RunRow
from wfstudio.core.bench.wire import Log, Refused, Retold

_RENAMED = (events.LOCK_REQUESTED, events.LOCK_RELEASED)
"""Calls whose names are the body's own words, which may hold what was changed."""


def retell(row: RunRow, log: Log, limits: Limits) -> Retold | Refused:
    """Give the log with the calls that the body makes now, or what stands in the way."""
    try:
        replay = begin_replay(row, log, limits)
        if replay is None:
            return Retold(log)
        teller = _Teller(replay)
        try:
            quiet_context().run(teller.tell, log)
        finally:
            replay.close()
    except NondeterminismError as error:
        return Retold([], describe_trouble(error))
    except NotRegisteredError as error:
        return Refused("conflict", f"this code cannot replay the run: {error}", error.hint)
    except Exception as error:  # what a class makes of values of another sort
        return Refused("conflict", f"this code cannot tell the run anew: {type(error).__name__}: {error}")
    return Retold(teller.told)


class _Teller:
    def __init__(self, replay: Replay) -> None:
        self._replay = replay
        self._names: dict[int | None, str | None] = {}
        self._children: dict[int | None, tuple[str, str]] = {}
        self.told: Log = []

    def tell(self, log: Log) -> None:
        self._replay.expect(log)
        for event, data in log:
            event, data = self._adapt(event, data)
            self._replay.feed(event, data)
            self.told.append((event, data))
        self._replay.finish()

    def _adapt(self, event: Event, data: bytes | None) -> tuple[Event, bytes | None]:
        """Give the event as it would have been recorded now."""
        if event.type == events.LOCK_ACQUIRED:
            return msgspec.structs.replace(event, name=self._names.get(event.correlation_id, event.name)), data
        if event.type == events.CHILD_COMPLETED:
            return self._adapt_child(event), data
        command = self._find_command(event)
        if command is None:
            return event, data
        self._names[event.correlation_id] = command.name
        if event.type == events.CHILD_STARTED:
            self._children[event.correlation_id] = (_run_id(event.meta), _run_id(command.meta))
        return msgspec.structs.replace(event, name=command.name, meta=command.meta), command.data

    def _adapt_child(self, event: Event) -> Event:
        before, now = self._children.get(event.correlation_id, ("", ""))
        meta = msgspec.json.decode(event.meta or "{}")
        if before != now and meta.get("run_id") == before:
            return msgspec.structs.replace(event, meta=msgspec.json.encode({**meta, "run_id": now}).decode())
        return event

    def _find_command(self, event: Event) -> commands.Command | None:
        """Find the call that the body makes where the log has this one; None if it is no such call."""
        command: Any = next((made for made in self._replay.commands if made.event is not None), None)
        if command is None or command.event != event.type or command.correlation_id != event.correlation_id:
            return None
        return command if command.name == event.name or event.type in _RENAMED else None


def _run_id(meta: str | None) -> str:
    return str(msgspec.json.decode(meta or "{}").get("run_id", ""))
