"""Workflows for the browser's tests: long waits whose code is edited, steady talk, values that mean harm."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import wf


@wf.step
async def note(text: str) -> str:
    print(f"noted {text}")
    return text.upper()


@wf.workflow
async def wait_for_word(name: str) -> str:
    """Wait for a word, so that code can be edited meanwhile."""
    await note(name)
    async with wf.hook(token=f"word:{name}") as hook:
        return f"{name}: {await hook}"


@wf.step
async def say(number: int) -> None:
    print(f"said {number}")
    await wf.get_writable(str, namespace="talk").write(f"word {number}")
    await asyncio.sleep(0.05)


@wf.workflow
async def talk() -> int:
    """Say something twenty times a second, in a stream and in the log, until somebody says that it is enough."""
    words = 0
    async with wf.hook(token="enough") as hook:
        told = asyncio.ensure_future(anext(hook))
        while not told.done():
            await say(words)
            words += 1
    return words


@wf.workflow
async def talk_until_told(number: int, words: int = 60) -> int:
    """Talk, and go on being there until somebody says that it is enough."""
    for word in range(words):
        await say(word)
    async with wf.hook(token=f"enough:{number}") as hook:
        await hook
    return words


@wf.workflow
async def crowd(runs: int = 6) -> list[int]:
    """Have several talk at once, as child runs."""
    children = [await wf.start(talk_until_told, number) for number in range(runs)]
    return list(await asyncio.gather(*(child.return_value() for child in children)))


@wf.step(max_retries=1, retry_delay="300ms")
def divide(sum: int, parts: int) -> float:
    return sum / parts


@wf.workflow
async def share(sum: int, people: int = 0) -> float:
    """Share a sum out. Its code has a mistake."""
    await note("shared")
    return await divide(sum, people)


@wf.step
def make_hostile(kind: str) -> Any:
    sys.stdout.write("\x1b[2J\x1b[31m<script>alert(1)</script>\u202egnp.exe\x07\n")
    deep: Any = "at the end"
    for _ in range(60):
        deep = [deep]
    return {
        "markup": "</pre><img src=x onerror=alert(1)><script>alert(2)</script><style>*{display:none}</style>",
        "ansi": "\x1b[31mred\x1b[0m \x1b]0;title\x07",
        "direction": "\u202egnp.exe\u202c \u2066\u2067",
        "long": "x" * 48_000_000,
        "list": list(range(100_000)),
        "wide": {f"key {number}": number for number in range(20_000)},
        "deep": deep,
    }[kind]


@wf.workflow
async def hostile() -> list[Any]:
    """Record what means harm to whoever looks at it."""
    kinds = ["markup", "ansi", "direction", "long", "list", "wide", "deep"]
    for kind in kinds:
        await make_hostile(kind)
    await wf.set_attributes(evil="<b onmouseover=alert(1)>\u202etxt", many="y" * 250)
    return [await make_hostile(kind) for kind in ("markup", "direction")]
