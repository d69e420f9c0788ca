"""Opening: from a run's row and its sealed log to a body that can be fed with it.

Whoever replays a run does it by these: the worker that takes it up, and the verdict on code that has
just been edited.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from wf import chain, ids
from wf.arguments import give_types
from wf.engine.replay import Opened, Replay
from wf.errors import DecryptionError
from wf.events import Event
from wf.keys import RunKey
from wf.records import decode_meta, open_as_made, open_event, read_fork
from wf.registry import Workflow
from wf.world import RunRow, World

EVENTS_AT_ONCE: Final = 2_000


async def read_whole_log(world: World, row: RunRow, first: Sequence[Event] = ()) -> list[Event]:
    """Give a run's log up to its row's seq; `first` is the part that is at hand already."""
    log = list(first)
    while len(log) < row.seq:
        more = await world.read_events(row.run_id, len(log), min(EVENTS_AT_ONCE, row.seq - len(log)))
        if not more:
            break
        log += more
    return log


def open_log(row: RunRow, key: RunKey, log: Sequence[Event]) -> list[Opened]:
    """Verify a whole log against the chain and the run's row, and open its payloads."""
    arguments = open_as_made(key, row, log)
    if arguments is not None:
        return [(log[0], arguments)]
    head = chain.verify(log, row.run_id)
    last = log[-1].seq if log else 0
    if last != row.seq or head != row.head:
        raise DecryptionError(row.run_id, row.seq, "log", "the log does not end where the run says it does")
    if not key.check_mac(row.seq, row.head, row.mac):
        raise DecryptionError(row.run_id, row.seq, "log", "the head of the log is not authentic")
    return [(event, open_event(key, event)) for event in log]


def make_replay(row: RunRow, workflow: Workflow[..., Any], created: Event, *, payload_limit: int) -> Replay:
    """Make the body of a run, to be fed with its log, whose first event is `created`."""
    fork = read_fork(created) if row.forked_from else None

    return Replay(
        run_id=row.run_id,
        workflow_id=workflow.id,
        start_body=make_body_starter(workflow, created.meta),
        draw_token=ids.new_token,
        payload_limit=payload_limit,
        seed_id=None if fork is None else fork.seed_id,
        is_beside=fork is not None and fork.is_beside,
    )


def make_body_starter(workflow: Workflow[..., Any], meta: str | None) -> Callable[[dict[str, Any]], Any]:
    """Give what makes a body's coroutine from recorded arguments; `meta` is that of `run_created`."""
    is_plain = meta is not None and decode_meta(meta).get("plain", False)

    def start_body(arguments: dict[str, Any]) -> Any:
        if is_plain:
            arguments = give_types(workflow.func, arguments)
        args, kwargs = workflow.signature.apply(arguments)
        return workflow.func(*args, **kwargs)

    return start_body
