"""Forks: which part of a run's history another run can go on from, and what becomes of it there.

1. The history is cut right after a delivery. The calls that followed it are not part of it: today's
   code makes them anew, and may make others.
2. Steps that were under way at the cut never ran in the new run: their calls are kept, their attempts
   are not.
3. The new run has an id of its own. Where the old one's stands in a value, the new one's is put, so
   that a body which uses its run's id makes the same calls. Ids under `SHORTEST_SWAPPED` characters,
   which may stand in a value by chance, are put only in handles of runs and streams.
4. A fork beside the old run takes no payload of its: a drawn token of a live hook is drawn anew, and put
   wherever the old one stands; a given one gets the run's id behind it (`own_token`), of which the body
   hears nothing.
5. An edited delivery is the last of the history. What came after it was made of what it brought.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from hashlib import sha256
from typing import Any, Final

import msgspec

from wf import codec, events
from wf.events import Event
from wf.records import Answer

SHORTEST_SWAPPED: Final = 16
LONGEST_TOKEN: Final = 1024

Opened = tuple[Event, bytes | None]

_STEP_ENDS: Final = frozenset({events.STEP_COMPLETED, events.STEP_FAILED})
_ATTEMPTS: Final = frozenset({events.STEP_STARTED, events.STEP_RETRYING})
_CALL_ENDS: Final = frozenset(
    {events.STEP_COMPLETED, events.STEP_FAILED, events.WAIT_COMPLETED, events.CHILD_COMPLETED, events.CHILD_CANCELLED}
    | {events.HOOK_DISPOSED, events.HOOK_CONFLICT, events.LOCK_RELEASED}
)
_ANSWERED: Final = {
    events.STEP_COMPLETED: events.STEP_CREATED,
    events.STEP_FAILED: events.STEP_CREATED,
    events.HOOK_RECEIVED: events.HOOK_CREATED,
    events.CHILD_COMPLETED: events.CHILD_STARTED,
}
_VAIN: Final = {
    events.CHILD_COMPLETED: events.CHILD_STARTED,
    events.HOOK_CONFLICT: events.HOOK_CREATED,
    events.WAIT_COMPLETED: events.WAIT_CREATED,
}
_OPENINGS: Final = events.CALLS - events.ENDS - {events.HOOK_DISPOSED, events.LOCK_RELEASED, events.ATTRIBUTES_SET}
_HANDLES: Final = (b'{"$stream":["', b'{"$run":"')


# -- where to cut -------------------------------------------------------------------------------


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

    The step that failed it runs again, whatever the body still did then: compensations of a saga, a `finally`. A child
    run that failed or was cancelled, a timeout and a token that was taken begin anew with their calls, since what has
    become of them stays as it is. Where the body itself failed, it goes on from the last thing it heard before.
    """
    end = next((event for event in log if event.type in events.ENDS), None)
    since = _find_since(log, end)
    heard = [event for event in log if event.type in events.DELIVERIES and event.seq <= since]
    if heard and end is not None and end.type == events.RUN_FAILED and "forced" not in _of_json(end.meta):
        opening = _find_vain_opening(log, heard[-1])
        while heard and heard[-1].seq >= opening:
            heard.pop()
    while heard and (heard[-1].type in (events.STEP_FAILED, events.CANCEL_REQUESTED) or _is_own_timeout(heard[-1])):
        heard.pop()
    _drop_given_up(log, heard)
    return heard[-1].seq if heard else 1


def _drop_given_up(log: Sequence[Event], heard: list[Event]) -> None:
    """Go back to before the calls of children that were given up later: they are cancelled, and begin anew, too."""
    while heard:
        cut = heard[-1].seq
        given_up = {event.correlation_id for event in log[cut:] if event.type == events.CHILD_CANCELLED}
        calls = (event.seq for event in log[:cut] if event.type == events.CHILD_STARTED)
        opening = next((seq for seq in calls if log[seq - 1].correlation_id in given_up), None)
        if opening is None:
            return
        while heard and heard[-1].seq > opening:
            heard.pop()


def _find_since(log: Sequence[Event], end: Event | None) -> int:
    """Give the delivery that the end of a run goes back to; behind it are only the last words of the body."""
    before = log if end is None else log[: end.seq - 1]
    if end is None or not before:
        return len(log)
    meta = _of_json(end.meta)
    since = int(meta.get("since", before[-1].seq))
    for event in before:
        is_cause = event.type == events.CANCEL_REQUESTED and end.type == events.RUN_CANCELLED
        if is_cause or (_is_own_timeout(event) and meta.get("code") == "TIMEOUT"):
            return min(event.seq, since)
    return since


def _is_own_timeout(event: Event) -> bool:
    """Tell whether the run's own timeout was over: a wait without a call (0). It is over for ever, in that run."""
    return event.type == events.WAIT_COMPLETED and event.correlation_id == 0


def _find_vain_opening(log: Sequence[Event], delivery: Event) -> int:
    """Give the call that must be made anew, or else its answer would be this one again; beyond the log: none."""
    type_ = _VAIN.get(delivery.type)
    if delivery.type == events.CHILD_COMPLETED and _of_json(delivery.meta).get("status") == events.COMPLETED:
        type_ = None
    for call in log[: delivery.seq] if type_ is not None else ():
        if call.type == type_ and call.correlation_id == delivery.correlation_id:
            is_sleep = type_ == events.WAIT_CREATED and _of_json(call.meta).get("kind") != "deadline"
            return len(log) + 1 if is_sleep else call.seq
    return len(log) + 1


def find_next_delivery(log: Sequence[Event], cut: int) -> int:
    """Give the seq of the first delivery after a cut, or of the run's end, or one beyond the log."""
    for event in log[cut:]:
        if event.type in events.DELIVERIES or event.type in events.ENDS:
            return event.seq
    return len(log) + 1


def find_open_calls(log: Sequence[Event], cut: int) -> dict[int, Event]:
    """Give the calls that nobody has answered at the cut, those that the body then makes among them.

    A hook is one for as long as it can be sent a payload.
    """
    found: dict[int, Event] = {}
    for event in log[: find_next_delivery(log, cut) - 1]:
        number = event.correlation_id or 0
        if event.type in _OPENINGS:
            found[number] = event
        elif event.type in _CALL_ENDS:
            found.pop(number, None)
    return found


def holds_lock(log: Sequence[Event], cut: int) -> bool:
    """Tell whether the run held a lock at the cut: another run cannot have it, too. One may queue for it."""
    held: set[int | None] = set()
    for event in log[:cut]:
        if event.type == events.LOCK_ACQUIRED:
            held.add(event.correlation_id)
        elif event.type == events.LOCK_RELEASED:
            held.discard(event.correlation_id)
    return bool(held)


def say_misplaced(log: Sequence[Event], cut: int, answers: Sequence[Answer]) -> str | None:
    """Say why calls cannot be answered at a cut; None: they can (law 5)."""
    if answers and cut < 2:
        return "the run has not started by then"
    seen: set[int] = set()
    open_calls = find_open_calls(log, cut) if answers else {}
    for answer in answers:
        what = f"{answer.name} (position {answer.id})"
        if answer.id in seen and answer.type != events.HOOK_RECEIVED:
            return f"{what} is answered twice"
        seen.add(answer.id)
        last = log[cut - 1]
        if last.correlation_id == answer.id and is_answer_to(answer.type, last.type):
            continue
        call = open_calls.get(answer.id)
        if call is None or _ANSWERED.get(answer.type) != call.type:
            ended = next((e.seq for e in log[:cut] if e.correlation_id == answer.id and e.type in _CALL_ENDS), None)
            if ended is not None:
                return f"{what} was answered at event {ended}, and what came after it was made of that answer"
            return f"{what} is not called by then"
        if call.seq > cut and call.type == events.CHILD_STARTED:
            return f"the child run {what} is not started by then"
    return None


# -- what is taken ------------------------------------------------------------------------------


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


def answer_last(history: Sequence[Opened], answers: Sequence[Answer]) -> tuple[list[Opened], list[Answer]]:
    """Put the answer to the history's last delivery in its place; give the history, and the answers that are left."""
    changed = list(history)
    for place, answer in enumerate(answers):
        last = history[-1][0] if history else None
        if last is None or last.correlation_id != answer.id or not is_answer_to(answer.type, last.type):
            continue
        meta = last.meta
        if answer.type in _STEP_ENDS:
            meta = None if answer.error_type is None else _to_json({"error_type": answer.error_type})
        elif answer.type == events.CHILD_COMPLETED:
            meta = outcome_meta(_of_json(last.meta)["run_id"], answer)
        changed[-1] = (msgspec.structs.replace(last, type=answer.type, meta=meta), bytes(answer.data))
        return changed, [*answers[:place], *answers[place + 1 :]]
    return changed, list(answers)


def is_answer_to(type_: str, recorded: str) -> bool:
    """Tell whether an event of a type can stand in place of a recorded one: a result for a failure, too."""
    return type_ == recorded or {type_, recorded} == _STEP_ENDS


def outcome_meta(run_id: str, answer: Answer) -> str:
    """Write the meta of a `child_completed` that nobody's end stands behind."""
    failed = answer.error_type is not None
    outcome = (events.FAILED, "USER_ERROR") if failed else (events.COMPLETED, None)
    return _to_json({"run_id": run_id, "status": outcome[0], "code": outcome[1]})


def make_own(
    history: Iterable[Opened], *, old_id: str, new_id: str, is_beside: bool, draw_token: Callable[[], str]
) -> list[Opened]:
    """Put the new run's id and tokens in place of the old one's, in all that it inherits (laws 3 and 4)."""
    history = list(history)
    live = _find_live_hooks([event for event, _ in history]) if is_beside else frozenset()
    swaps: list[tuple[bytes, bytes]] = []
    own: list[Opened] = []
    for event, data in history:
        if event.type == events.HOOK_CREATED and data is not None and is_beside:
            if not is_generated(event.meta):
                data = _rename_token(data, old_id, new_id)
            elif event.correlation_id in live:
                swaps.append((_read_token(data).encode(), draw_token().encode()))
        data = swap_id(data, old_id, new_id)
        for old, new in swaps if data is not None else ():
            data = (data or b"").replace(old, new)
        own.append((event, data))
    return own


def is_generated(meta: str | None) -> bool:
    """Tell whether a `hook_created` of this meta has a token that was drawn."""
    return bool(_of_json(meta).get("generated"))


def _find_live_hooks(history: Sequence[Event]) -> frozenset[int | None]:
    live = {event.correlation_id for event in history if event.type == events.HOOK_CREATED}
    gone = {event.correlation_id for event in history if event.type in (events.HOOK_DISPOSED, events.HOOK_CONFLICT)}
    return frozenset(live - gone)


def _read_token(data: bytes) -> str:
    return str(codec.decode(bytes(msgspec.json.decode(data, type=dict[str, msgspec.Raw])["token"])))


def _rename_token(data: bytes, old_id: str, new_id: str) -> bytes:
    """Give a hook's record its token under the new run; that of a fork has the old run's id behind it."""
    record = msgspec.json.decode(data, type=dict[str, msgspec.Raw])
    token = own_token(_read_token(data).removesuffix(f"~{old_id}"), new_id)
    return msgspec.json.encode({**record, "token": msgspec.Raw(codec.encode(token))})


def own_token(token: str, run_id: str) -> str:
    """Give the token that a fork beside another run has in place of one that its body gave."""
    suffix = f"~{run_id}"
    if len(token) + len(suffix) > LONGEST_TOKEN:
        token = sha256(token.encode("utf-8", "surrogatepass")).hexdigest()
    return token + suffix


def swap_id(data: bytes | None, old_id: str, new_id: str) -> bytes | None:
    """Put the new run's id where the old one's stands in an encoded value."""
    if data is None:
        return None
    if len(old_id) >= SHORTEST_SWAPPED:
        return data.replace(old_id.encode(), new_id.encode())
    for handle in _HANDLES:
        data = data.replace(handle + old_id.encode() + b'"', handle + new_id.encode() + b'"')
    return data


def _to_json(content: dict[str, Any]) -> str:
    return msgspec.json.encode(content).decode()


def _of_json(meta: str | None) -> dict[str, Any]:
    return msgspec.json.decode(meta) if meta else {}
