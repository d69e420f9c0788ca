"""A writer of `.workflow-data` folders, as Vercel's SDKs leave them: written from the description of their format.

It is a second implementation of what `wfstudio.history.vercel` reads, and shares no code with it.
"""

from __future__ import annotations

import base64
import gzip
import json
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa

BEGAN = datetime(2026, 8, 20, 10, 0, 0, tzinfo=UTC)
_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"


def iso(moment: datetime) -> str:
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{moment.microsecond // 1000:03}Z"


def ulid(moment: datetime, number: int) -> str:
    value = (round(moment.timestamp() * 1000) << 80) + number
    return "".join(_LETTERS[(value >> shift) & 31] for shift in range(125, -1, -5))


# -- devalue ------------------------------------------------------------------------------------


class Tagged:
    """A value under a tag, as reducers write it: `["tag", slot]`."""

    def __init__(self, tag: str, value: Any) -> None:
        self.tag = tag
        self.value = value


class Raw:
    """Slots to be written as they are; numbers in them are slots of their own."""

    def __init__(self, *parts: Any) -> None:
        self.parts = parts


class _Undefined:
    """JavaScript's `undefined`. Its name is the same in every process, and so are the names of tests that have it."""

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED = _Undefined()


def devalue(value: Any, *, is_python: bool = True) -> str:
    """Write a value as devalue: as Python's SDK does, or JavaScript's."""
    slots: list[Any] = []

    def put(item: Any) -> int:
        if item is UNDEFINED:
            return -1
        if isinstance(item, float):
            if item != item:
                return -3
            if item in (float("inf"), float("-inf")):
                return -4 if item > 0 else -5
            if item == 0 and str(item) == "-0.0":
                return -6
        slot = len(slots)
        slots.append(None)
        slots[slot] = write(item)
        return slot

    def write(item: Any) -> Any:
        match item:
            case Tagged():
                return [item.tag, put(item.value)]
            case Raw():
                return [part if isinstance(part, str) else put(part) for part in item.parts]
            case bool() | None | str():
                return item
            case int() if abs(item) > 2**53 - 1:
                return ["BigInt", str(item)] if is_python else ["BigInt", put(str(item))]
            case int() | float():
                return item
            case datetime():
                return ["Date", iso(item)] if is_python else ["Date", put(iso(item))]
            case set() | frozenset():
                members = sorted(item, key=repr)
                return ["Set", *map(put, members)] if is_python else ["Set", put(members)]
            case bytes():
                text = base64.b64encode(item).decode()
                if is_python:
                    return ["Uint8Array", put(Raw("ArrayBuffer", text))]
                return ["Uint8Array", put(text or ".")]
            case dict() if all(isinstance(key, str) for key in item):
                return {key: put(inner) for key, inner in item.items()}
            case dict():
                pairs = [list(pair) for pair in item.items()]
                return ["Map", put(pairs)] if not is_python else ["Map", *(put(x) for pair in pairs for x in pair)]
            case list() | tuple():
                return [put(inner) for inner in item]
        raise TypeError(item)

    first = put(value)
    return json.dumps(slots, ensure_ascii=False) if first == 0 else str(first)


def instance(class_id: str, data: Any) -> Tagged:
    return Tagged("Instance", {"classId": class_id, "data": data})


def devl(value: Any, *, is_python: bool = True) -> bytes:
    return b"devl" + devalue(value, is_python=is_python).encode()


def gzipped(payload: bytes) -> bytes:
    return b"gzip" + gzip.compress(payload)


def zstd(payload: bytes) -> bytes:
    return b"zstd" + pa.Codec("zstd").compress(payload, asbytes=True)


def blob(data: bytes) -> dict[str, str]:
    return {"__type": "Uint8Array", "data": base64.b64encode(data).decode()}


def frame(payload: bytes) -> bytes:
    return struct.pack("!I", len(payload)) + payload


# -- the directory ------------------------------------------------------------------------------


class Writer:
    """Writes a data directory. `is_nested`: a folder per run for events and steps, as newer versions have."""

    def __init__(self, path: Path, *, is_nested: bool = True, is_python: bool = True, spec: int = 5) -> None:
        self.path = path
        self.is_nested = is_nested
        self.is_python = is_python
        self.spec = spec
        self.now = BEGAN
        self.count = 0

    def tick(self, ms: int = 10) -> datetime:
        self.now += timedelta(milliseconds=ms)
        return self.now

    def new_id(self, prefix: str) -> str:
        self.count += 1
        return f"{prefix}_{ulid(self.now, self.count)}"

    def put(self, name: str, value: Any) -> Path:
        file = self.path / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(value, indent=2, ensure_ascii=False), encoding="utf-8")
        return file

    def payload(self, value: Any) -> Any:
        """A payload's field, as this version keeps it."""
        if self.spec == 1:
            return json.loads(devalue(value, is_python=self.is_python))
        return blob(devl(value, is_python=self.is_python))


class RunWriter:
    """Writes one run, event by event, with the rows that go along."""

    def __init__(self, writer: Writer, workflow: str = "workflow//shop.flows//order", *, run_id: str = "") -> None:
        self.writer = writer
        self.run_id = run_id or writer.new_id("wrun")
        self.row: dict[str, Any] = {
            "runId": self.run_id,
            "status": "pending",
            "deploymentId": "dpl_local",
            "workflowName": workflow,
            "specVersion": writer.spec,
            "attributes": {},
            "createdAt": iso(writer.now),
        }

    def save(self, **changes: Any) -> None:
        self.row.update(changes, updatedAt=iso(self.writer.now))
        self.writer.put(f"runs/{self.run_id}.json", self.row)

    def event(self, type_: str, correlation_id: str | None = None, data: Any = None, **more: Any) -> dict[str, Any]:
        """Write an event, and give its row."""
        writer = self.writer
        moment = writer.tick()
        row = {
            "eventType": type_,
            **({"correlationId": correlation_id} if correlation_id else {}),
            "specVersion": writer.spec,
            **({"eventData": data} if data is not None else {}),
            "runId": self.run_id,
            "eventId": writer.new_id("evnt"),
            "createdAt": iso(moment),
            **more,
        }
        folder = f"events/{self.run_id}" if writer.is_nested else "events"
        writer.put(f"{folder}/{self.run_id}-{row['eventId']}.json", row)
        return row

    def step_row(self, step_id: str, **columns: Any) -> None:
        folder = f"steps/{self.run_id}" if self.writer.is_nested else "steps"
        row = {"runId": self.run_id, "stepId": step_id, "attempt": 0, "createdAt": iso(self.writer.now), **columns}
        self.writer.put(f"{folder}/{self.run_id}-{step_id}.json", row)

    # -- a run as the Python SDK writes it

    def create(self, arguments: list[Any], **data: Any) -> None:
        payload = self.writer.payload(arguments)
        self.event(
            "run_created",
            data={
                "deploymentId": "dpl_local",
                "workflowName": self.row["workflowName"],
                "input": payload,
                **data,
            },
        )
        self.save(input=payload)

    def start(self) -> None:
        self.event("run_started")
        self.save(status="running", startedAt=iso(self.writer.now))

    def create_step(self, name: str, arguments: list[Any]) -> str:
        step_id = self.writer.new_id("step")
        payload = self.writer.payload({"args": arguments})
        self.event("step_created", step_id, {"stepName": name, "input": payload})
        self.step_row(step_id, stepName=name, status="pending", input=payload)
        return step_id

    def complete_step(self, step_id: str, result: Any) -> None:
        self.event("step_completed", step_id, {"result": self.writer.payload(result)})

    def step(self, name: str, arguments: list[Any], result: Any) -> str:
        step_id = self.create_step(name, arguments)
        self.event("step_started", step_id)
        self.complete_step(step_id, result)
        return step_id

    def complete(self, result: Any) -> None:
        payload = self.writer.payload(result)
        self.event("run_completed", data={"output": payload})
        self.save(status="completed", output=payload, completedAt=iso(self.writer.now))

    # -- streams

    def chunk(self, stream: str, content: bytes, *, is_end: bool = False) -> None:
        writer = self.writer
        writer.tick()
        data = bytes([is_end]) + content
        if writer.is_nested:
            file = writer.path / "streams" / "chunks" / stream / f"{writer.new_id('chnk')}.bin"
        else:
            file = writer.path / "streams" / "chunks" / f"{stream}-{writer.new_id('strm')}.json"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)

    def stream_name(self, namespace: str | None = None) -> str:
        name = self.run_id.replace("wrun_", "strm_", 1) + "_user"
        if namespace is None:
            return name
        return f"{name}_{base64.urlsafe_b64encode(namespace.encode()).decode().rstrip('=')}"
