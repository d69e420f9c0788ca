"""A run that was written by hand and imported, so that every time in it is known: for pictures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import msgspec

from tests.wfstudio.history.test_bundle_doc import write
from tests.wfstudio.studio import open_studio
from wfstudio.core.client import Client
from wfstudio.history.transfers import import_bundle

RUN = "wrun_written"
CREATED_US = 1_767_322_245_000_000
HOUR_MS = 3_600_000


def event(seq: int, at_ms: float, type: str, **facts: Any) -> dict[str, Any]:
    if "meta" in facts:
        facts["meta"] = msgspec.json.encode(facts["meta"]).decode()
    return {"seq": seq, "type": type, "at": CREATED_US + int(at_ms * 1000), **facts}


def error(text: str) -> dict[str, Any]:
    trace = f'  File "shop.py", line 12, in ship\n    raise Declined("{text}")\n'
    return {"$exception": {"type": "shop:Declined", "message": text, "args": [text], "traceback": trace}}


EVENTS = [
    event(1, 0, "run_created", name="shop:order", meta={}, payload={"card": "4242", "items": ["tea", "milk"]}),
    event(2, 20, "run_started"),
    event(3, 20, "step_created", correlation_id=1, name="shop:price", attempt=1, payload={"item": "tea"}),
    event(4, 20, "step_created", correlation_id=2, name="shop:price", attempt=0, payload={"item": "milk"}),
    event(5, 60, "step_started", correlation_id=2, name="shop:price", attempt=1),
    event(6, 90, "step_completed", correlation_id=1, name="shop:price", attempt=1, payload=4.5),
    event(7, 120, "step_completed", correlation_id=2, name="shop:price", attempt=1, payload=6.0),
    event(8, 120, "step_created", correlation_id=3, name="shop:charge", attempt=1, payload={"card": "4242"}),
    event(
        9, 150, "step_retrying", correlation_id=3, name="shop:charge", attempt=1, payload=error("the line was busy"),
        meta={"due_at": CREATED_US + 250_000, "error_type": "shop.Declined"},
    ),
    event(10, 250, "step_started", correlation_id=3, name="shop:charge", attempt=2),
    event(
        11, 300, "step_completed", correlation_id=3, name="shop:charge", attempt=2,
        payload={"amount": 10.5, "receipt": "RECEIPT\n-------\nthank you"},
    ),
    event(
        12, 300, "wait_created", correlation_id=4, name="sleep",
        meta={"kind": "sleep", "due_at": CREATED_US + (HOUR_MS + 300) * 1000},
    ),
    event(13, HOUR_MS + 300, "wait_completed", correlation_id=4, name="sleep"),
    event(14, HOUR_MS + 300, "step_created", correlation_id=5, name="shop:ship", attempt=1, payload={"to": "日本"}),
    event(
        15, HOUR_MS + 400, "step_failed", correlation_id=5, name="shop:ship", attempt=1,
        payload=error("no such street"), meta={"error_type": "shop.Declined"},
    ),
    event(
        16, HOUR_MS + 400, "run_failed", payload=error("no such street"),
        meta={"code": "USER_ERROR", "error_type": "shop.Declined"},
    ),
]  # fmt: skip
LOGS = [
    {
        "correlation_id": 3, "attempt": 2, "index": 0, "at": CREATED_US + 300_000,
        "lines": [
            [CREATED_US + 260_000, "stdout", "charging 4242"], [CREATED_US + 270_000, "logging:WARNING", "slow line"],
        ],
    },
]  # fmt: skip


@asynccontextmanager
async def open_written() -> AsyncIterator[Client]:
    """Open a world that holds the run."""
    record = {
        "run_id": RUN, "kind": "bundle", "deployment_id": "", "parent_run_id": None, "parent_correlation_id": None,
        "attention": None, "events": len(EVENTS),
    }  # fmt: skip
    data = write({RUN: {"record": record, "events": EVENTS, "chunks": [], "logs": LOGS}})
    async with open_studio() as client:
        await import_bundle(client.session, data, "written.wf.zip")
        yield client
