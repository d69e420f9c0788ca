"""Looks: a run and its children, read again and again."""

from __future__ import annotations

from tests.wfstudio.studio import open_studio, rest, run
from wfstudio.text.looks import Looker, lay_out, look_at


async def test_looking_again_gives_what_looking_afresh_gives() -> None:
    async with open_studio() as client:
        started = await rest(client, (await client.start("approve", ["docs"])).id)
        looker = Looker(client, started.id)
        await looker.look()
        assert looker.is_new
        await looker.look()
        assert not looker.is_new
        await client.resume("site:docs", {"approved": True})
        await client.wait_for_end(started.id, 10)
        assert await looker.look() == await look_at(client, started.id)
        assert looker.is_new


async def test_a_row_names_the_run_that_its_span_is_of() -> None:
    async with open_studio() as client:
        ended = await run(client, "parent", "ada")
        looker = Looker(client, ended.id)
        rows = lay_out(await looker.look())
        [child] = [row.span.child_run_id for row in rows if row.span.kind == "child"]
        assert [(row.span.kind, row.depth, row.run_id) for row in rows] == [
            ("run", 0, ended.id),
            ("child", 1, ended.id),
            ("step", 2, child),
        ]
        assert set(looker.runs) == {ended.id, child}
