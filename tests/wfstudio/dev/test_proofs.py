"""Proofs after the fact: what stands in the way of one keeps nobody from the next."""

from __future__ import annotations

import asyncio
from typing import Any

from tests.jumping import jump
from tests.wf.worlds.acts import own
from wf.errors import WorldError
from wf.keys import Keyring
from wf.session import Session
from wf.settings import load_settings
from wf.worker.verdicts import Verdict
from wf.world import RunRow
from wf.worlds.memory import MemoryWorld
from wfstudio.dev.proofs import Proofs


def test_a_world_that_is_away_for_a_moment_does_not_end_the_proofs() -> None:
    class Away(MemoryWorld):
        """A world of which the first read fails."""

        has_failed = False

        async def get_run(self, run_id: str) -> RunRow | None:
            if not self.has_failed:
                self.has_failed = True
                raise WorldError("the database does not answer")
            return await super().get_run(run_id)

    proved: list[str] = []

    async def prove(run_ids: list[str]) -> list[Verdict]:
        proved.extend(run_ids)
        return []

    async def body() -> None:
        world = Away()
        session = Session(world, Keyring([b"k" * 32]), load_settings())
        published: list[Any] = []
        proofs = Proofs(
            session,
            prove=prove,
            find_current=lambda: "dpl_1",
            publish=lambda kind, facts: published.append((kind, facts)),
        )
        following = asyncio.create_task(proofs.follow())
        await asyncio.sleep(0)
        for run_id in ("first", "second"):
            owner = await own(world, run_id)
            await owner.end()
            await asyncio.sleep(5)
        assert not following.done()
        following.cancel()
        assert (proved, published) == (["second"], [])

    jump(body)
