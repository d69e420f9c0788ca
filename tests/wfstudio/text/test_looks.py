"""Looks: a run and its children, read again and again."""

from __future__ import annotations

from msgspec import structs

from tests.wfstudio.studio import open_studio, rest, run
from tests.wfstudio.tui.spans import ORDER, PACK, span
from wfstudio.text.looks import Layout, Look, Looker, Row, lay_out, look_at


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


def test_laying_out_what_is_new_gives_what_laying_out_all_gives() -> None:
    """Spans change, come last and come in the middle, under a child's call; what stayed has the row that it had."""
    shipped = span("3", "shop:ship", ("running", 900, 1000, "completed"))
    more = span("4", "shop:thank", ("running", 1000, 1100))
    looks = [
        Look(structs.replace(ORDER, spans=ORDER.spans[:2])),
        Look(ORDER),
        Look(ORDER, {"wrun_2": structs.replace(PACK, spans=PACK.spans[:2])}),
        Look(structs.replace(ORDER, spans=[*ORDER.spans[:3], shipped]), {"wrun_2": PACK}),
        Look(structs.replace(ORDER, spans=[*ORDER.spans[:3], shipped, more]), {"wrun_2": PACK}),
        Look(structs.replace(ORDER, spans=ORDER.spans[:2])),
        Look(ORDER, {"wrun_2": PACK}),
    ]
    layout, before = Layout(), list[Row]()
    for look in looks:
        rows = layout.lay_out(look)
        assert rows == lay_out(look)
        known = {(row.run_id, id(row.span)): row for row in before if row.depth < 2}
        for row in rows:
            assert known.get((row.run_id, id(row.span)), row) is row
        before = rows
    assert [row.depth for row in before] == [0, 1, 1, 2, 2, 1]
