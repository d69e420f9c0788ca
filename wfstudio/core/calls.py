"""Calls: what people mean by the name of a step, a child, a hook or a sleep of a run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from difflib import get_close_matches
from typing import Final, NamedTuple

import msgspec

from wf import events as types
from wf.errors import shorten
from wf.events import Event
from wfstudio.core.errors import NotFoundError, UsageError
from wfstudio.core.reasons import short_name
from wfstudio.core.values import show_value

Opened = tuple[Event, bytes | None]

CALLS: Final = {
    types.STEP_CREATED: "step",
    types.CHILD_STARTED: "child run",
    types.HOOK_CREATED: "hook",
    types.WAIT_CREATED: "sleep",
    types.LOCK_REQUESTED: "lock",
}
ANSWERS: Final = frozenset(
    {types.STEP_COMPLETED, types.STEP_FAILED, types.CHILD_COMPLETED, types.HOOK_RECEIVED, types.HOOK_CONFLICT}
    | {types.WAIT_COMPLETED, types.LOCK_ACQUIRED}
)
_MOST_NAMED: Final = 8


class Call(NamedTuple):
    """A call of a body: its event, and the events that answered it (of a hook one for each payload)."""

    event: Event
    data: bytes | None
    answers: list[Opened]

    @property
    def number(self) -> int:
        return self.event.correlation_id or 0

    @property
    def name(self) -> str:
        return self.event.name or CALLS[self.event.type]


def list_calls(log: Sequence[Opened], kinds: Iterable[str] = tuple(CALLS)) -> list[Call]:
    """List the calls of a log, of some types of events, in order."""
    wanted = set(kinds)
    calls: dict[int, Call] = {}
    for event, data in log:
        number = event.correlation_id or 0
        if event.type in wanted:
            calls[number] = Call(event, data, [])
        elif event.type in ANSWERS and number in calls:
            calls[number].answers.append((event, data))
    return list(calls.values())


def find_call(run_id: str, log: Sequence[Opened], text: str, kinds: Sequence[str]) -> Call:
    """Find the call that is meant: by its number, by `RUN:NUMBER`, or by a name, `name#2` for its second call.

    A name is an id, its short form, or a hook's token. Raises `NotFoundError`, and `UsageError` for a name
    that several calls have.
    """
    calls = list_calls(log, kinds)
    what = CALLS[kinds[0]] if len(kinds) == 1 or kinds[0] == types.STEP_CREATED else "call"
    tail = text.removeprefix(f"{run_id}:")
    if tail.isascii() and tail.isdecimal() and len(tail) <= 9:
        for call in calls:
            if call.number == int(tail):
                return call
        raise NotFoundError(f"run {run_id} has no {what} {tail}", _say_known(calls))
    name, mark, count = text.rpartition("#")
    if mark and count.isascii() and count.isdecimal() and 1 <= len(count) <= 6:
        found = [call for call in calls if name in _names(call)]
        place = int(count)
        if 1 <= place <= len(found):
            return found[place - 1]
        if found:
            text = f"run {run_id} calls {shorten(name)} {len(found)} {'time' if len(found) == 1 else 'times'}"
            raise NotFoundError(text, f"name one: {_list(found)}")
    found = [call for call in calls if text in _names(call)]
    if len(found) == 1:
        return found[0]
    if found:
        raise UsageError(f"{len(found)} calls of the run are named {shorten(text)}", f"name one: {_list(found)}")
    known = {name: None for call in calls for name in _names(call)}
    close = get_close_matches(text, list(known), n=1)
    hint = f"did you mean `{close[0]}`?" if close else _say_known(calls)
    raise NotFoundError(f"run {run_id} has no {what} {shorten(text)}", hint)


def name_call(call: Call) -> str:
    """Name a call for a reader: `charge (position 4)`."""
    return f"{short_name(call.name.removeprefix('lock:'))} (position {call.number})"


def _names(call: Call) -> list[str]:
    """List what a call may be called: its id, that without its module, a function's bare name, a hook's token."""
    name = (call.event.name or "").removeprefix("lock:")
    names = [name, short_name(name), name.rpartition(".")[2].rpartition(":")[2]] if name else []
    if call.event.type == types.HOOK_CREATED and call.data is not None:
        record = show_value(call.data)
        token = record.get("token") if isinstance(record, dict) else None
        names += [token] if isinstance(token, str) else []
    if call.event.type == types.WAIT_CREATED and call.event.meta is not None:
        names.append(str(msgspec.json.decode(call.event.meta).get("kind", "sleep")))
    return names


def _list(calls: Sequence[Call]) -> str:
    """List calls of one name: `charge#1 (position 4), charge#2 (position 7)`."""
    named = [
        f"{short_name(call.name)}#{place} (position {call.number})" for place, call in enumerate(calls[:_MOST_NAMED], 1)
    ]
    return ", ".join(named) + (" …" if len(calls) > _MOST_NAMED else "")


def _say_known(calls: Sequence[Call]) -> str:
    if not calls:
        return "it has none; `wf inspect events RUN` lists what it did"
    names = ", ".join(name_call(call) for call in calls[:_MOST_NAMED])
    return f"known are {names}" + (" …" if len(calls) > _MOST_NAMED else "")
