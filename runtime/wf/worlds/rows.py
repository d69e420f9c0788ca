"""Rows: the columns that every world in SQL has, in their order, and the values that they stand for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import msgspec

from wf.events import PENDING, Event
from wf.world import Attention, DeploymentRow, HookRow, NewRun, RunRow

Row = Sequence[Any]
Lease = tuple[str, int, str]
"""Run, epoch, worker."""

RUN: Final = (
    "run_id, workflow, status, deployment_id, created_at, started_at, ended_at, seq, head, mac, epoch, owner, wake_at,"
    " attributes, parent_run_id, parent_correlation_id, continued_from, continued_as, forked_from, error_code,"
    " result_seq, payload_bytes, attention, origin"
)
EVENT: Final = "run_id, seq, type, correlation_id, name, attempt, at, meta, payload, link"
MESSAGE: Final = "id, run_id, kind, correlation_id, at, meta, payload"
DEPLOYMENT: Final = "deployment_id, created_at, manifest, used_at, catalog"

_encode = msgspec.json.Encoder().encode
_decode_texts = msgspec.json.Decoder(dict[str, str]).decode
_decode_attention = msgspec.json.Decoder(Attention).decode


def make_first_row(new: NewRun, wake_at: int) -> RunRow:
    """Make the row of a run that has just been created."""
    event = new.event
    return RunRow(
        run_id=event.run_id,
        workflow=new.workflow,
        status=PENDING,
        deployment_id=new.deployment_id,
        created_at=event.at,
        started_at=None,
        ended_at=None,
        seq=event.seq,
        head=event.link,
        mac=new.mac,
        epoch=0,
        owner=None,
        wake_at=wake_at,
        attributes=dict(new.attributes),
        parent_run_id=new.parent_run_id,
        parent_correlation_id=new.parent_correlation_id,
        continued_from=new.continued_from,
        continued_as=None,
        forked_from=new.forked_from,
        error_code=None,
        result_seq=None,
        payload_bytes=0 if event.payload is None else len(event.payload),
        attention=None,
    )


def read_run(row: Row) -> RunRow:
    """Make a run of the columns `RUN`."""
    values = row if isinstance(row, list) else list(row)
    attributes, attention = values[13], values[22]
    values[13] = {} if attributes is None else _decode_texts(attributes)
    if attention is not None:
        values[22] = _decode_attention(attention)
    return RunRow(*values)


def read_hook(row: Row) -> HookRow:
    """Make a hook of (token_hash, run_id, correlation_id, kind) and the columns of its event."""
    token_hash, run_id, correlation_id, kind, *columns = row
    event = Event(*columns)
    return HookRow(token_hash, run_id, correlation_id, kind, event.at, event)


def read_deployment(row: Row) -> DeploymentRow:
    """Make a deployment of the columns `DEPLOYMENT`."""
    return DeploymentRow(row[0], row[1], _decode_texts(row[2]), row[3], row[4])


def encode_attributes(attributes: dict[str, str]) -> str | None:
    return to_json(attributes) if attributes else None


def to_json(value: object) -> str:
    return _encode(value).decode()
