"""Server-sent events as text: what is written, when it ends, and what is left behind."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from wf.errors import RunNotFoundError
from wfstudio.server.sse import Closing, Item, _write


class Source:
    """Gives items, then does as it was told."""

    def __init__(self, *items: Item, then: Exception | None = None, is_endless: bool = False) -> None:
        self._items = items
        self._then = then
        self._is_endless = is_endless
        self.is_closed = False

    async def read(self) -> AsyncIterator[Item]:
        try:
            for item in self._items:
                yield item
            if self._then is not None:
                raise self._then
            if self._is_endless:
                await asyncio.Event().wait()
        finally:
            self.is_closed = True


async def collect(source: Source, closing: Closing | None = None) -> list[str]:
    return [part.decode() async for part in _write(source.read(), closing or Closing(), 10)]


def test_an_item_is_written_on_lines_of_its_own() -> None:
    item = Item({"text": "one\ntwo\r\nthree", "n": 1}, "run", "7")
    lines = item.encode().decode().split("\n")
    assert lines[:2] == ["id: 7", "event: run"]
    assert json.loads(lines[2].removeprefix("data: ")) == {"text": "one\ntwo\r\nthree", "n": 1}
    assert lines[3:] == ["", ""]
    assert Item(None).encode() == b"data: null\n\n"


async def test_a_stream_begins_with_its_delay_and_ends_with_end() -> None:
    source = Source(Item(1), Item(2))
    assert await collect(source) == [
        "retry: 1000\n\n",
        "data: 1\n\n",
        "data: 2\n\n",
        "event: end\ndata: {}\n\n",
    ]
    assert source.is_closed


async def test_the_servers_end_is_told_at_once() -> None:
    closing, source = Closing(), Source(Item(1), is_endless=True)
    writing = _write(source.read(), closing, 10)
    assert [await anext(writing), await anext(writing)] == [b"retry: 1000\n\n", b"data: 1\n\n"]
    last = asyncio.ensure_future(anext(writing))
    await asyncio.sleep(0)
    closing.close()
    assert await asyncio.wait_for(last, 5) == b"event: bye\ndata: {}\n\n"
    with pytest.raises(StopAsyncIteration):
        await anext(writing)
    assert source.is_closed


async def test_silence_is_broken_now_and_then() -> None:
    writing = _write(Source(is_endless=True).read(), Closing(), 0.001)
    assert [await anext(writing) for _ in range(3)] == [b"retry: 1000\n\n", b": still here\n\n", b": still here\n\n"]
    await writing.aclose()


async def test_an_error_on_the_way_is_the_last_event() -> None:
    parts = await collect(Source(Item(1), then=RunNotFoundError("wrun_1")))
    assert parts[-1].startswith("event: error\n")
    assert json.loads(parts[-1].split("data: ")[1])["slug"] == "run-not-found"


async def test_an_unforeseen_error_is_logged_and_tells_nothing(caplog: pytest.LogCaptureFixture) -> None:
    parts = await collect(Source(then=RuntimeError("the secret is 42")))
    assert json.loads(parts[-1].split("data: ")[1])["slug"] == "internal"
    assert "42" not in parts[-1]
    assert "the secret is 42" in caplog.text


async def test_a_client_that_leaves_closes_the_source() -> None:
    source = Source(Item(1), is_endless=True)
    writing = _write(source.read(), Closing(), 10)
    await anext(writing)
    await anext(writing)
    waiting = asyncio.ensure_future(anext(writing))
    await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    await writing.aclose()
    assert source.is_closed
