"""What the world takes on the disk, over HTTP."""

from __future__ import annotations

import asyncio

from wfstudio.core.storage import StorageView, measure_storage
from wfstudio.server.routing import Call, Route


async def get_storage(call: Call) -> StorageView:
    return await asyncio.to_thread(measure_storage, call.client.session.settings)  # a disk may be slow


ROUTES = [
    Route(method="GET", path="/api/storage", handler=get_storage, summary="Say what the world takes on the disk",
          answer=StorageView),
]  # fmt: skip
