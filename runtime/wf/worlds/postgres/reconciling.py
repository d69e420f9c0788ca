"""Reconciling: the answer to a repeated call becomes that of its first try, if that was carried out.

Each of these is asked only after the call was repeated since nobody knew how its first try ended. What needs no such
help: appends and attentions, which the world recognises, and whatever may be done twice.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from typing import TypeVar

from wf.world import Appended, Created, ImportedRun, NewRun, Sent
from wf.worlds.postgres import runs, streams
from wf.worlds.postgres.core import Core

T = TypeVar("T")
Reconcile = Callable[[Core, T], T]


def draw_delivery_id() -> str:
    """Draw an id for a message whose sender gave it none, so that it may be sent again."""
    return f"try_{secrets.token_hex(16)}"


def create(core: Core, run: NewRun, result: Created) -> Created:
    if not result.is_new:
        first = core.fetch(runs.GET_EVENTS, (run.event.run_id, 0, 1))
        if first and first[0][-1] == run.event.link:
            return Created(True, result.run)
    return result


def import_run(imported: ImportedRun, result: Created) -> Created:
    is_ours = not result.is_new and result.run.head == imported.run.head
    return Created(True, result.run) if is_ours else result


def send(result: Sent, *, is_own_id: bool) -> Sent:
    return Sent("queued", result.waits) if is_own_id and result.status == "duplicate" else result


def append_chunks(
    core: Core, run_id: str, name: str, start_index: int, payloads: Sequence[bytes | None], result: Appended
) -> Appended:
    if result.status in ("moved", "closed") and payloads:
        rows = core.fetch(streams.READ_CHUNKS, (run_id, name, start_index, len(payloads)))
        if [payload for _, _, payload in rows] == list(payloads):
            return Appended("written", result.tail_index)
    return result


def delete_runs(core: Core, run_ids: Sequence[str], result: list[str]) -> list[str]:
    left = {
        run_id for (run_id,) in core.fetch("SELECT run_id FROM runs WHERE run_id = ANY(%s::text[])", (list(run_ids),))
    }
    return [run_id for run_id in dict.fromkeys(run_ids) if run_id not in left]
