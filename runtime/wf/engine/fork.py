"""Forks: which part of a run's history another run can go on from.

1. The history is cut right after a delivery. The calls that followed it are not part of it: today's
   code makes them anew, and may make others.
2. Steps that were under way at the cut never ran in the new run: their calls are kept, their attempts
   are not.
3. The new run has an id of its own. Where the old one's stands in a value, the new one's is put, so
   that a body which uses its run's id makes the same calls. Ids under `SHORTEST_SWAPPED` characters,
   which may stand in a value by chance, are left.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import msgspec

from wf import events
from wf.events import Event

SHORTEST_SWAPPED: Final = 16

_STEP_ENDS: Final = frozenset({events.STEP_COMPLETED, events.STEP_FAILED})
_ATTEMPTS: Final = frozenset({events.STEP_STARTED, events.STEP_RETRYING})


def find_cut(log: Sequence[Event], from_seq: int) -> int:
    """Give the seq of the last delivery up to `from_seq`, 1 where there is none: a fresh start."""
    cut = 1
    for event in log:
        if event.seq > from_seq or event.type in events.ENDS:
            break
        if event.type in events.DELIVERIES:
            cut = event.seq
    return cut


def find_retry_cut(log: Sequence[Event]) -> int:
    """Give the cut from which an ended run is tried again: what failed or was cancelled comes after it.

    The step that failed it runs again; where the body itself failed, the body goes on from the last
    thing it heard.
    """
    deliveries = [event for event in log if event.type in events.DELIVERIES]
    end = next((event for event in log if event.type in events.ENDS), None)
    before = [event for event in deliveries if end is None or event.seq < end.seq]
    while before and before[-1].type in (events.STEP_FAILED, events.CANCEL_REQUESTED):
        before.pop()
    # The run's own timeout is a wait without a call (0). It is over for ever, in this run.
    while before and before[-1].type == events.WAIT_COMPLETED and before[-1].correlation_id == 0:
        before.pop()
    return before[-1].seq if before else 1


def holds_lock(log: Sequence[Event], cut: int) -> bool:
    """Tell whether the run held a lock at the cut, or queued for one: another run cannot have it, too."""
    open_locks: set[int | None] = set()
    for event in log[:cut]:
        if event.type == events.LOCK_REQUESTED:
            open_locks.add(event.correlation_id)
        elif event.type == events.LOCK_RELEASED:
            open_locks.discard(event.correlation_id)
    return bool(open_locks)


def take_history(log: Sequence[Event], cut: int) -> list[Event]:
    """Give the events between `run_created` and the cut, inclusive, as another run inherits them.

    Their seqs are the old run's; whoever copies them numbers them anew.
    """
    shared = [event for event in log[:cut] if event.type not in (events.RUN_CREATED, events.RUN_FORKED)]
    done = {event.correlation_id for event in shared if event.type in _STEP_ENDS}
    history = []
    for event in shared:
        is_under_way = event.correlation_id is not None and event.correlation_id not in done
        if event.type in _ATTEMPTS and is_under_way:
            continue
        if event.type == events.STEP_CREATED and is_under_way and event.attempt:
            event = msgspec.structs.replace(event, attempt=0)
        history.append(event)
    return history


def swap_id(data: bytes | None, old_id: str, new_id: str) -> bytes | None:
    """Put the new run's id where the old one's stands in an encoded value."""
    if data is None or len(old_id) < SHORTEST_SWAPPED:
        return data
    return data.replace(old_id.encode(), new_id.encode())
