"""API.md §4 and §8: streams."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import pytest

import wf


@dataclass
class Chunk:
    n: int


@wf.step
async def write(*values, namespace=None, close=False):
    writer = wf.get_writable(namespace=namespace)
    for value in values:
        await writer.write(value)
    if close:
        await writer.close()


@wf.step
async def write_to(writer, *values, close=False):
    for value in values:
        await writer.write(value)
    if close:
        await writer.close()


async def collect(iterator):
    return [value async for value in iterator]


async def test_values_not_just_bytes(wf_env):
    values = (1, "text", b"bytes", {"a": [1, (2,)]}, Chunk(3), None, {1, 2})

    @wf.workflow
    async def flow():
        await write(*values, close=True)

    run = await wf_env.start(flow)
    assert await collect(run.readable()) == list(values)
    await run.return_value()
    assert await collect(wf.read_stream(run.run_id, "default")) == list(values)


async def test_a_start_index_resumes_exactly_and_a_negative_one_counts_from_the_tail(wf_env):
    @wf.workflow
    async def flow():
        await write(*range(10), close=True)

    run = await wf_env.start(flow)
    await run.return_value()
    assert await collect(run.readable(start_index=7)) == [7, 8, 9]
    assert await collect(run.readable(None, 9)) == [9]
    assert await collect(run.readable(start_index=10)) == []
    assert await collect(run.readable(start_index=-3)) == [7, 8, 9]
    assert await collect(run.readable(start_index=-50)) == list(range(10))
    assert await collect(run.readable(start_index=0)) == list(range(10))


async def test_stream_info(wf_env):
    @wf.workflow
    async def flow():
        await wf.hook(token="a")
        await write(1, 2)
        await wf.hook(token="b")
        await write(close=True)

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="a")
    info = await run.stream_info()
    assert (info.tail_index, info.closed) == (-1, False)
    assert await run.list_streams() == []
    await wf.resume_hook("a")
    await wf_env.wait_for_hook(run, token="b")
    info = await run.stream_info()
    assert (info.tail_index, info.closed) == (1, False)
    await wf.resume_hook("b")
    await run.return_value()
    info = await run.stream_info()
    assert (info.tail_index, info.closed) == (1, True)
    assert await run.list_streams() == ["default"]


async def test_namespaces_are_streams_of_their_own(wf_env):
    @wf.workflow
    async def flow():
        await asyncio.gather(write(1, close=True), write(2, namespace="logs", close=True))

    run = await wf_env.start(flow)
    await run.return_value()
    assert sorted(await run.list_streams()) == ["default", "logs"]
    assert await collect(run.readable("logs")) == [2]
    assert await collect(run.readable(namespace="logs", start_index=-1)) == [2]
    assert await collect(run.readable()) == [1]
    assert await collect(wf.read_stream(run.run_id, "logs")) == [2]
    assert (await run.stream_info("logs")).tail_index == 0
    assert (await run.stream_info("nothing there")).tail_index == -1


async def test_default_is_refused_as_namespace(wf_env):
    run = wf.get_run("any")
    for call in (run.readable, run.readable_bytes):
        with pytest.raises(ValueError):
            call("default")
    with pytest.raises(ValueError):
        await run.stream_info("default")

    @wf.workflow
    async def flow():
        for namespace in ("default", ""):
            with pytest.raises(ValueError):
                wf.get_writable(namespace=namespace)
        return "refused"

    assert await wf_env.run(flow) == "refused"


async def test_readers_follow_while_the_run_writes(wf_env):
    gate = asyncio.Event()

    @wf.step
    async def slowly():
        writer = wf.get_writable()
        await writer.write(1)
        await gate.wait()
        await writer.write(2)
        await writer.close()

    @wf.workflow
    async def flow():
        await slowly()

    run = await wf_env.start(flow)
    reader = run.readable()
    assert await anext(reader) == 1
    gate.set()
    assert await collect(reader) == [2]


async def test_readers_may_be_many_slow_late_or_gone(wf_env):
    @wf.workflow
    async def flow():
        await write(*range(500))
        await write(close=True)

    run = await wf_env.start(flow)
    gone = run.readable()
    await anext(gone)
    await gone.aclose()
    many = await asyncio.gather(*(collect(run.readable()) for _ in range(5)))
    assert many == [list(range(500))] * 5
    await run.return_value()
    assert await collect(run.readable()) == list(range(500))


async def test_a_handle_from_a_body_passes_to_steps_and_children(wf_env, restart):
    @wf.workflow
    async def child(writer):
        await write_to(writer, "from the child")

    @wf.workflow
    async def flow():
        writer = wf.get_writable()
        other = wf.get_writable(namespace="other")
        await write_to(writer, "from a step")
        await child(writer)
        await write_to(other, "elsewhere", close=True)
        await wf.hook(token="go")
        await write_to(writer, "last", close=True)
        return writer

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    await run.return_value()
    assert await collect(run.readable()) == ["from a step", "from the child", "last"]
    assert await collect(run.readable("other")) == ["elsewhere"]


async def test_writing_belongs_in_steps(wf_env):
    @wf.workflow
    async def flow():
        writer = wf.get_writable()
        with pytest.raises(wf.NotInRunError):
            await writer.write(1)
        return "refused"

    assert await wf_env.run(flow) == "refused"
    with pytest.raises(wf.NotInRunError):
        wf.get_writable()


async def test_write_from_drain_and_async_with(wf_env):
    @wf.step
    async def works():
        async def numbers():
            for n in range(5):
                yield n

        async with wf.get_writable(int) as writer:
            await writer.write_from(numbers())
            await writer.drain()
            await writer.write(99)

    @wf.workflow
    async def flow():
        await works()

    run = await wf_env.start(flow)
    assert await collect(run.readable()) == [0, 1, 2, 3, 4, 99]
    assert (await run.stream_info()).closed


async def test_async_with_closes_on_success_only(wf_env):
    @wf.step(max_retries=1, retry_delay=0)
    async def works():
        async with wf.get_writable() as writer:
            await writer.write(wf.get_step_metadata().attempt)
            if wf.get_step_metadata().attempt == 1:
                raise ValueError

    @wf.workflow
    async def flow():
        await works()

    run = await wf_env.start(flow)
    await run.return_value()
    assert await collect(run.readable()) == [1, 2]  # the failed attempt's chunk stays


async def test_nothing_closes_a_stream_implicitly(wf_env):
    @wf.workflow
    async def flow():
        await write(1)

    run = await wf_env.start(flow)
    await run.return_value()
    assert not (await run.stream_info()).closed
    reader = run.readable()
    assert await anext(reader) == 1
    waiting = asyncio.create_task(anext(reader))
    for _ in range(20):
        await asyncio.sleep(0)
    assert not waiting.done()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)


async def test_what_is_written_right_before_a_cancel_reaches_a_reader_who_has_just_looked(wf_env, monkeypatch):
    @wf.workflow
    async def flow():
        await wf.hook("go")
        await write("last words")
        await wf.hook("never")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run, token="go")
    world = wf_env.session.world
    read_chunks = world.read_chunks

    async def look_slowly(*args):
        found = await read_chunks(*args)
        if (await run.status()) == "running":
            await wf.resume_hook("go", None)
            await wf_env.wait_for_hook(run, token="never")
            await run.cancel()
            while await run.status() == "running":
                await asyncio.sleep(0)
        return found

    monkeypatch.setattr(world, "read_chunks", look_slowly)
    assert await collect(wf.read_stream(run.run_id)) == ["last words"]


@pytest.mark.parametrize("how", ["cancel", "terminate"])
async def test_the_end_of_a_cancelled_run_ends_its_readers(wf_env, how):
    @wf.workflow
    async def flow():
        await write(1)
        await wf.hook(token="t")

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    reading = asyncio.create_task(collect(run.readable()))
    await asyncio.sleep(0)
    await getattr(run, how)()
    assert await reading == [1]
    assert await collect(run.readable()) == [1]


async def test_writing_after_close_is_an_error_and_closing_twice_is_harmless(wf_env):
    @wf.step(max_retries=0)
    async def works():
        writer = wf.get_writable()
        await writer.close()
        await writer.close()
        with pytest.raises(wf.WorkflowError):
            await writer.write(1)
        await wf.get_writable().close()
        with pytest.raises(wf.WorkflowError):
            await wf.get_writable().write(1)
        return "refused"

    @wf.workflow
    async def flow():
        return await works()

    run = await wf_env.start(flow)
    assert await run.return_value() == "refused"
    assert await collect(run.readable()) == []


async def test_a_chunk_that_cannot_be_carried_names_its_path(wf_env):
    @wf.step(max_retries=0)
    async def works():
        await wf.get_writable().write({"a": print})

    @wf.workflow
    async def flow():
        with pytest.raises(wf.SerializationError, match=r"^chunk\['a'\]: "):
            await works()

    await wf_env.run(flow)


async def test_readable_bytes(wf_env):
    @wf.workflow
    async def flow(*values):
        await write(*values, close=True)

    run = await wf_env.start(flow, b"a", "bä")
    assert await collect(run.readable_bytes()) == [b"a", "bä".encode()]
    odd = await wf_env.start(flow, 5)
    with pytest.raises(TypeError):
        await collect(odd.readable_bytes())


async def test_writers_side_by_side_lose_nothing(wf_env):
    @wf.step
    async def many(name):
        writer = wf.get_writable()
        await asyncio.gather(*(writer.write((name, n)) for n in range(20)))

    @wf.workflow
    async def flow():
        await asyncio.gather(*(many(name) for name in "abc"))
        await write(close=True)

    run = await wf_env.start(flow)
    got = await collect(run.readable())
    assert sorted(got) == sorted((name, n) for name in "abc" for n in range(20))


async def test_a_workflow_reads_streams_durably(wf_env, restart):
    @wf.workflow
    async def writer_flow():
        await write(1, 2, 3, close=True)

    source = await wf_env.start(writer_flow)

    @wf.workflow
    async def flow(source):
        got = [value async for value in source.readable()]
        info = await source.stream_info()
        names = await source.list_streams()
        await wf.hook(token="go")
        got += [value async for value in source.readable(start_index=-1)]
        return got, info.tail_index, names

    run = await wf_env.start(flow, source)
    await wf_env.wait_for_hook(run)
    await restart()
    await wf.resume_hook("go")
    assert await run.return_value() == ([1, 2, 3, 3], 2, ["default"])


async def test_stream_handles_and_step_results_travel_together(wf_env):
    @wf.step
    async def gives():
        return wf.get_writable(namespace="n")

    @wf.workflow
    async def flow():
        writer = await gives()
        await write_to(writer, "x", close=True)

    run = await wf_env.start(flow)
    await run.return_value()
    assert await collect(run.readable("n")) == ["x"]


async def test_a_plain_step_writes_from_its_thread(wf_env):
    @wf.step
    def works():
        async def main():
            async with wf.get_writable() as writer:
                await writer.write("from a thread")

        asyncio.run(main())

    @wf.workflow
    async def flow():
        await works()

    run = await wf_env.start(flow)
    await run.return_value()
    assert await collect(run.readable()) == ["from a thread"]


async def test_what_closed_a_stream_itself_is_refused_in_a_retry_too(wf_env):
    @wf.step(max_retries=1, retry_delay=0)
    async def stream():
        async with wf.get_writable() as writer:
            await writer.write("a")
            if wf.get_step_metadata().attempt == 1:
                raise ValueError("again")
        again = wf.get_writable()
        await again.close()
        try:
            await again.write("b")
        except wf.WorkflowError as error:
            return str(error)

    @wf.workflow
    async def flow():
        return await stream()

    run = await wf_env.start(flow)
    assert await run.return_value() == f"the stream default of run {run.run_id} is closed"
    assert await collect(run.readable()) == ["a", "a"]


async def test_a_reader_from_behind_the_end_ends(wf_env):
    @wf.workflow
    async def flow():
        await write("a", "b")
        await wf.hook(token="close it")
        await write(close=True)

    run = await wf_env.start(flow)
    await wf_env.wait_for_hook(run)
    early = asyncio.create_task(collect(run.readable(start_index=50)))
    await asyncio.sleep(0)
    await wf.resume_hook("close it")
    assert await asyncio.wait_for(early, 5) == []
    assert await asyncio.wait_for(collect(run.readable(start_index=50)), 5) == []
