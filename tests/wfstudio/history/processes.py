"""The processes that answer questions of ours, as the system lists them."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Set
from pathlib import Path
from typing import Final

import pytest

LISTS: Final = pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="it counts processes in /proc")


def children() -> set[int]:
    """Give the processes of ours that answer questions, or wait for one."""
    return {int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit() and _answers_us(entry)}


def _answers_us(entry: Path) -> bool:
    try:
        parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
        return parent == os.getpid() and b"wfstudio.history.child" in (entry / "cmdline").read_bytes()
    except (OSError, IndexError):  # it went meanwhile
        return False


async def wait_for_children(before: Set[int] = frozenset()) -> set[int]:
    """Wait until there are others than before, and give those."""
    async with asyncio.timeout(20):
        while not (found := children() - before):
            await asyncio.sleep(0.01)
    return found


async def wait_until_gone(pids: set[int]) -> None:
    async with asyncio.timeout(20):
        while children() & pids:
            await asyncio.sleep(0.01)
