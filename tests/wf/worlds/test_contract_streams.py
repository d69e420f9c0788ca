"""The contract of every world: chunks keep their place, and what is stored once stays."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.wf.worlds.acts import T0, claim_all, hello, new_run, own
from wf.errors import WorldError
from wf.world import Appended, ChunkRow, DeploymentRow, Fence, StreamRow, World


async def test_chunks_are_read_from_any_index(world: World) -> None:
    await own(world)
    assert await world.append_chunks("r1", "default", 0, T0, [b"a", b"b"], None) == Appended("written", 1)
    assert await world.append_chunks("r1", "default", 2, T0 + 1, [b""], None) == Appended("written", 2)
    chunks = [ChunkRow(0, T0, b"a"), ChunkRow(1, T0, b"b"), ChunkRow(2, T0 + 1, b"")]
    assert await world.read_chunks("r1", "default", 0) == chunks
    assert await world.read_chunks("r1", "default", 1) == chunks[1:]
    assert await world.read_chunks("r1", "default", 1, limit=1) == chunks[1:2]
    assert await world.read_chunks("r1", "default", 3) == []
    assert await world.read_chunks("r1", "other", 0) == []


async def test_chunks_may_each_have_their_own_time(world: World) -> None:
    await own(world)
    times = [T0 + 5, T0 + 3, T0 + 9]
    assert await world.append_chunks("r1", "default", 0, times, [b"a", b"b", None], None) == Appended("written", 1)
    assert [chunk.at for chunk in await world.read_chunks("r1", "default", 0)] == times
    with pytest.raises(WorldError):
        await world.append_chunks("r1", "other", 0, [T0], [b"a", b"b"], None)
    assert await world.read_chunks("r1", "other", 0) == []


async def test_a_chunk_sealed_for_another_place_is_not_written(world: World) -> None:
    await own(world)
    await world.append_chunks("r1", "default", 0, T0, [b"a", b"b"], None)
    for start in (0, 1, 3, 99):
        assert await world.append_chunks("r1", "default", start, T0, [b"c"], None) == Appended("moved", 1)
    assert await world.append_chunks("r1", "new", 1, T0, [b"c"], None) == Appended("moved", -1)
    assert len(await world.read_chunks("r1", "default", 0)) == 2
    assert await world.read_chunks("r1", "new", 0) == []


async def test_writers_that_retry_lose_no_chunk(world: World) -> None:
    await own(world)

    async def write(text: bytes) -> None:
        start = 0
        while True:
            answer = await world.append_chunks("r1", "default", start, T0, [text], None)
            if answer.status == "written":
                return
            start = answer.tail_index + 1

    texts = [b"%d" % number for number in range(20)]
    await asyncio.gather(*(write(text) for text in texts))
    chunks = await world.read_chunks("r1", "default", 0)
    assert sorted(chunk.payload or b"" for chunk in chunks) == sorted(texts)
    assert [chunk.index for chunk in chunks] == list(range(20))


async def test_a_closed_stream_takes_no_more_but_may_be_closed_again(world: World) -> None:
    await own(world)
    assert await world.append_chunks("r1", "default", 0, T0, [b"a", None], None) == Appended("written", 0)
    assert await world.append_chunks("r1", "default", 1, T0, [None], None) == Appended("written", 0)
    assert await world.append_chunks("r1", "default", 7, T0, [None], None) == Appended("written", 0)
    assert await world.append_chunks("r1", "default", 2, T0, [b"b"], None) == Appended("closed", 0)
    assert await world.append_chunks("r1", "default", 2, T0, [b"b", None], None) == Appended("closed", 0)
    assert await world.read_chunks("r1", "default", 0) == [ChunkRow(0, T0, b"a"), ChunkRow(1, T0, None)]


async def test_a_stream_may_be_closed_empty(world: World) -> None:
    await own(world)
    assert await world.append_chunks("r1", "default", 0, T0, [None], None) == Appended("written", -1)
    assert await world.list_streams("r1") == [StreamRow("r1", "default", -1, True)]


async def test_an_end_mark_comes_last(world: World) -> None:
    await own(world)
    with pytest.raises(WorldError, match="after the end mark"):
        await world.append_chunks("r1", "default", 0, T0, [None, b"a"], None)
    assert await world.list_streams("r1") == []


async def test_no_chunks_are_no_stream(world: World) -> None:
    await own(world)
    assert await world.append_chunks("r1", "default", 0, T0, [], None) == Appended("written", -1)
    assert await world.list_streams("r1") == []


async def test_streams_of_a_run_are_listed_by_name_with_their_tails(world: World) -> None:
    await own(world, "r1")
    await own(world, "r2")
    await world.append_chunks("r1", "über/all", 0, T0, [b"a"] * 3, None)
    await world.append_chunks("r1", "default", 0, T0, [b"a", None], None)
    await world.append_chunks("r1", "b", 0, T0, [b"a"], None)
    await world.append_chunks("r2", "c", 0, T0, [b"a"], None)
    assert await world.list_streams("r1") == [
        StreamRow("r1", "b", 0, False),
        StreamRow("r1", "default", 0, True),
        StreamRow("r1", "über/all", 2, False),
    ]


async def test_chunks_of_a_past_owner_are_fenced(world: World) -> None:
    owner = await own(world, worker_id="w1")

    async def write(fence: Fence) -> str:
        tails = await world.list_streams("r1")
        start = tails[0].tail_index + 1 if tails else 0
        return (await world.append_chunks("r1", "default", start, T0, [b"a"], fence)).status

    assert await write(owner.fence) == "written"
    assert await write(Fence("r1", owner.epoch + 1)) == "fenced"
    assert await write(Fence("r?", 1)) == "fenced"
    await world.close_worker("w1")
    assert await write(owner.fence) == "fenced"
    await world.open_worker(hello("w2"))
    second = (await claim_all(world, "w2"))["r1"]
    assert await write(owner.fence) == "fenced"
    assert await write(second.fence) == "written"


async def test_a_run_may_write_to_the_stream_of_another(world: World) -> None:
    await world.create_run(new_run("parent"))
    child = await own(world, "child")
    answer = await world.append_chunks("parent", "default", 0, T0, [b"a"], child.fence)
    assert answer == Appended("written", 0)
    assert await world.list_streams("child") == []


async def test_the_stream_of_an_unknown_run_is_refused(world: World) -> None:
    owner = await own(world)
    assert (await world.append_chunks("r?", "default", 0, T0, [b"a"], None)).status == "unknown"
    assert (await world.append_chunks("r?", "default", 0, T0, [b"a"], owner.fence)).status == "unknown"


async def test_steps_in_flight_may_write_after_the_end_of_their_run(world: World) -> None:
    owner = await own(world)
    await owner.end()
    assert (await world.append_chunks("r1", "default", 0, T0, [b"a"], owner.fence)).status == "written"
    await owner.release()
    assert (await world.append_chunks("r1", "default", 1, T0, [b"a"], owner.fence)).status == "fenced"


# -- deployments


async def test_a_deployment_is_kept_with_its_sources(world: World) -> None:
    deployment = DeploymentRow("dpl_1", T0, {"flows/order.py": "aa", "flows/ümlaut.py": "bb"})
    await world.put_deployment(deployment, {"aa": b"print(1)", "bb": b""})
    assert await world.get_deployment("dpl_1") == msgspec.structs.replace(deployment, used_at=T0)
    assert await world.read_source("aa") == b"print(1)"
    assert await world.read_source("bb") == b""
    assert await world.read_source("cc") is None


async def test_a_deployment_is_kept_once(world: World) -> None:
    first = DeploymentRow("dpl_1", T0, {"a.py": "aa"})
    await world.put_deployment(first, {"aa": b"1"})
    await world.put_deployment(DeploymentRow("dpl_1", T0 + 1, {}), {"aa": b"1", "bb": b"2"})
    kept = await world.get_deployment("dpl_1")
    assert kept is not None
    assert (kept.created_at, kept.manifest) == (T0, {"a.py": "aa"})
    assert await world.read_source("bb") == b"2"


async def test_a_deployment_that_is_put_again_was_used_then_and_keeps_the_newer_catalog(world: World) -> None:
    await world.put_deployment(DeploymentRow("dpl_1", T0, {}, catalog=b"one"), {})
    await world.put_deployment(DeploymentRow("dpl_2", T0 + 1, {}), {})
    await world.put_deployment(DeploymentRow("dpl_1", T0 + 2, {}), {})
    assert [
        (row.deployment_id, row.created_at, row.used_at, row.catalog) for row in await world.list_deployments()
    ] == [
        ("dpl_1", T0, T0 + 2, b"one"),
        ("dpl_2", T0 + 1, T0 + 1, None),
    ]
    await world.put_deployment(DeploymentRow("dpl_1", T0 + 3, {}, catalog=b"two"), {})
    row = await world.get_deployment("dpl_1")
    assert row is not None
    assert row.catalog == b"two"


async def test_deployments_are_listed_newest_first(world: World) -> None:
    rows = [DeploymentRow(name, at, {}) for name, at in (("b", T0), ("a", T0), ("c", T0 - 1), ("d", T0 + 1))]
    for row in rows:
        await world.put_deployment(row, {})
    assert [row.deployment_id for row in await world.list_deployments()] == ["d", "b", "a", "c"]
