"""Redaction: what of a run may be shown to somebody who must not see its values.

Left out are all payloads (arguments, results, exceptions, reasons, hooks' tokens, metadata and payloads,
chunks), what steps printed, the code, and the values of attributes. What stands for a payload is
`{"$redacted": bytes}`. What a log says in clear stays, and with it ids, and the names of workflows, steps,
locks, streams, attributes and exceptions' classes: whoever puts secrets into names finds them there.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from wf import events as types
from wf.origin import REDACTED
from wf.records import decode_meta, encode_meta
from wf.world import Attention
from wfstudio.history.portable import PortableChunk, PortableEvent, PortableRun

ATTRIBUTE: Final = "redacted"
"""What stands for the value of an attribute."""


def redact(run: PortableRun) -> PortableRun:
    """Give a run without what `--redact` leaves out."""
    return msgspec.structs.replace(
        run,
        kind="redacted",
        attention=None if run.attention is None else _redact_attention(run.attention),
        events=[_redact_event(event) for event in run.events],
        streams={name: [_redact_chunk(chunk) for chunk in chunks] for name, chunks in run.streams.items()},
        logs=[],
    )


def _redact_event(event: PortableEvent) -> PortableEvent:
    meta = event.meta
    if event.type in _META and meta is not None:
        meta = encode_meta(_META[event.type](decode_meta(meta)))
    return msgspec.structs.replace(event, meta=meta, data=_redact_payload(event.data))


def _redact_chunk(chunk: PortableChunk) -> PortableChunk:
    return msgspec.structs.replace(chunk, data=_redact_payload(chunk.data))


def _redact_payload(data: bytes | None) -> bytes | None:
    return None if data is None else msgspec.json.encode({REDACTED: len(data)})


def _redact_attention(attention: Attention) -> Attention:
    """Keep that there is one, and where: its texts name code and files."""
    return Attention(attention.code, "redacted", attention.seq)


def _redact_values(attributes: dict[str, str | None]) -> dict[str, str | None]:
    return {key: None if value is None else ATTRIBUTE for key, value in attributes.items()}


def _redact_created(meta: dict[str, Any]) -> dict[str, Any]:
    if "attributes" in meta:
        meta["attributes"] = _redact_values(meta["attributes"])
    return meta


def _redact_started(meta: dict[str, Any]) -> dict[str, Any]:
    meta.pop("url", None)  # it names a host
    return meta


def _redact_set(meta: dict[str, Any]) -> dict[str, Any]:
    return {**meta, "set": _redact_values(meta["set"])}


_META: Final = {
    types.RUN_CREATED: _redact_created,
    types.RUN_STARTED: _redact_started,
    types.ATTRIBUTES_SET: _redact_set,
}
