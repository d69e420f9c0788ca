"""A process that writes to a world and says on stdout what was acknowledged, until it ends or is killed.

    python crash_child.py <path> <durability> <how many commits>

Every line is flushed before the next act begins, so what was printed had been acknowledged.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable
from typing import TypeVar

from tests.wf.worlds.acts import T0, Owner, hello, new_run
from wf.errors import WorldError
from wf.world import Message, PutWait, StartRun
from wf.worlds.sqlite import SqliteWorld

T = TypeVar("T")


def say(*words: object) -> None:
    print(*words, flush=True)


async def insist(name: str, call: Callable[[], Awaitable[T]]) -> T:
    """Do it again as long as the world fails, as its third law allows."""
    while True:
        try:
            return await call()
        except WorldError as error:
            say("failed", name, type(error).__name__, error.__cause__)


async def main(path: str, durability: str, commits: int) -> None:
    world = SqliteWorld(path, durability)
    await insist("open", world.open)
    say("open")
    await insist("create_run", lambda: world.create_run(new_run("r1")))
    say("created")
    await insist("open_worker", lambda: world.open_worker(hello("w1")))
    while True:
        claims = await insist("claim", lambda: world.claim("w1", T0, 10))
        if claims.claimed:
            break
    owner = Owner(world, "w1", claims.claimed[0])
    say("claimed", owner.epoch)
    for number in range(commits):
        append = owner.append(StartRun(T0), PutWait(number, "sleep", T0), events=2)
        outcomes = await insist("commit", lambda append=append: world.commit([append]))  # type: ignore[misc]
        assert outcomes == ["applied"], outcomes
        owner.seq += 2
        say("committed", owner.seq)
        sent = await insist(
            "send", lambda n=number: world.send("r1", Message("hook_payload", T0, n, delivery_id=f"d{n}"))
        )  # type: ignore[misc]
        say("sent", number, sent.status)
    await world.close()
    say("closed")


asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
