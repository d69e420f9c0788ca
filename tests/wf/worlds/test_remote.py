"""The server and the wire: what other processes get of a world, and what they cannot do to it.

That a remote world is a world is the contract suite's to show; this is about the connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import random
import socket
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest

from tests.wf.worlds.acts import T0, Bell, ManualTime, claim, hello, new_run, own
from wf import errors
from wf.errors import (
    HookConflictError,
    NotRegisteredError,
    PayloadTooLargeError,
    StepTimeoutError,
    StorageFull,
    WorldBusy,
    WorldError,
)
from wf.world import LEASE_SECONDS, Claims, DeploymentRow, Message, RunFilter, World
from wf.worlds import lockfile, wire
from wf.worlds.memory import MemoryWorld
from wf.worlds.process import process_token
from wf.worlds.remote import RemoteWorld
from wf.worlds.server import WorldServer
from wf.worlds.wire import ConnectionLost, Hello, Welcome

RUNTIME = Path(wire.__file__).parents[2]
DEADLINE = 20.0


async def eventually(condition: Callable[[], Any]) -> None:
    """Wait until something holds; what takes over 20 s does not hold."""
    async with asyncio.timeout(DEADLINE):
        while not condition():
            await asyncio.sleep(0.002)


@asynccontextmanager
async def serve(world: World, folder: Path, **options: Any) -> AsyncIterator[WorldServer]:
    server = WorldServer(world, [str(folder / "w.sock")], **options)
    await server.start()
    try:
        yield server
    finally:
        await server.stop()


@asynccontextmanager
async def connect(server: WorldServer, **options: Any) -> AsyncIterator[RemoteWorld]:
    world = RemoteWorld(server.endpoint, **options)
    try:
        yield world
    finally:
        await world.close()


class Raw:
    """A connection that says whatever a test wants."""

    def __init__(self, server: WorldServer) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(server.endpoint.removeprefix("unix:"))

    def __enter__(self) -> Raw:
        return self

    def __exit__(self, *_: object) -> None:
        self.sock.close()

    def send(self, data: bytes) -> None:
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            self.sock.sendall(data)

    def greet(self, **changes: Any) -> Welcome:
        greeting = Hello(wire.WIRE_VERSION, wire.SCHEMA, process_token())
        self.send(wire.encode_line(msgspec.structs.replace(greeting, **changes)))
        return wire.decode_welcome(self.read_line())

    def read_line(self) -> bytes:
        line = b""
        while not line.endswith(b"\n"):
            byte = self.sock.recv(1)
            if not byte:
                raise EOFError(line)
            line += byte
        return line

    def is_closed_by_peer(self) -> bool:
        """Read to the end, which comes only if the server closes the connection."""
        try:
            while self.sock.recv(65536):
                pass
        except ConnectionResetError:
            pass
        return True


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder whose path is short enough for a socket, whatever the test is called."""
    with tempfile.TemporaryDirectory(prefix="wf-") as name:
        yield Path(name)


# -- calls ----------------------------------------------------------------------------------------


async def test_a_remote_world_says_what_it_is_a_view_of(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.open()
        assert (world.url, world.durability) == (server.world.url, server.world.durability)
        assert world.process == process_token()


async def test_calls_of_one_connection_are_pipelined_and_answered_each(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        created = await asyncio.gather(*(world.create_run(new_run(f"r{n}")) for n in range(500)))
        assert [each.run.run_id for each in created] == [f"r{n}" for n in range(500)]
        found = await asyncio.gather(*(world.get_run(f"r{n}") for n in range(600)))
        assert [row.run_id if row else None for row in found] == [*(f"r{n}" for n in range(500)), *[None] * 100]
        assert len(server.peers) == 1


async def test_loops_of_several_threads_use_one_world_each_on_its_own_connection(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:

        def work(name: str) -> None:
            async def create() -> None:
                await asyncio.gather(*(world.create_run(new_run(f"{name}{n}")) for n in range(50)))

            asyncio.run(create())

        threads = [threading.Thread(target=work, args=(name,)) for name in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            await asyncio.to_thread(thread.join)
        assert len(await world.list_runs(RunFilter(limit=1000))) == 200
        # A loop that ends takes its connection with it.
        await eventually(lambda: len(server.peers) == 1)


async def test_a_large_value_comes_through_whole(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        large = random.Random(1).randbytes(20_000_000)
        await world.put_deployment(DeploymentRow("d", T0, {"a.py": "x"}), {"x": large})
        assert await world.read_source("x") == large


async def test_an_owner_whose_loop_is_blocked_still_serves_others(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server:
        done = threading.Event()

        def work() -> None:
            async def use() -> None:
                async with connect(server) as world:
                    await world.create_run(new_run("r1"))

            asyncio.run(use())
            done.set()

        thread = threading.Thread(target=work)
        thread.start()
        # This blocks the loop that started the server, as user code would.
        assert done.wait(DEADLINE)
        thread.join()
        assert await server.world.get_run("r1") is not None


async def test_a_world_that_is_closed_takes_no_calls(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.open()
        await world.close()
        with pytest.raises(WorldError, match=r"^this world was closed$"):
            await world.get_run("r1")
        with pytest.raises(WorldError, match=r"^this world was closed$"):
            await world.subscribe("runs", print)


async def test_a_wrong_argument_is_the_callers_error_and_keeps_the_connection(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        with pytest.raises(WorldError, match=r"get_run: Expected `str`, got `int`"):
            await world.get_run(7)  # type: ignore[arg-type]
        assert await world.get_run("r1") is None


# -- errors ---------------------------------------------------------------------------------------


class Failing(MemoryWorld):
    """A world that raises what it is told to."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    async def get_run(self, run_id: str) -> Any:
        raise self.error


def full() -> StorageFull:
    error = StorageFull("no space is left")
    error.hint = "buy a disk"
    return error


@pytest.mark.parametrize(
    "error",
    [
        WorldError("it failed"),
        WorldBusy("process 7 holds it"),
        full(),
        HookConflictError("token", "wrun_1"),
        PayloadTooLargeError("result", 9, 8),
        NotRegisteredError("step", "m:f", ["m:g"]),
        StepTimeoutError("too long"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_errors_of_wf_arrive_as_they_were_raised(folder: Path, error: errors.WorkflowError) -> None:
    async with serve(Failing(error), folder) as server, connect(server) as world:
        with pytest.raises(type(error)) as caught:
            await world.get_run("r1")
        assert type(caught.value) is type(error)
        assert caught.value.args == error.args
        assert caught.value.hint == error.hint


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (KeyError("x"), "KeyError: 'x'"),
        (ConnectionLost("gone"), "gone"),
        (RuntimeError(), "RuntimeError"),
        (errors.StepError("m:E", object()), "StepError"),  # type: ignore[arg-type]
    ],
)
async def test_other_errors_arrive_as_world_errors_that_say_what_they_were(
    folder: Path, error: Exception, text: str
) -> None:
    async with serve(Failing(error), folder) as server, connect(server) as world:
        with pytest.raises(errors.WorkflowError, match=text) as caught:
            await world.get_run("r1")
        assert not isinstance(caught.value, ConnectionLost)
        await world.list_deployments()


def test_an_error_that_wf_does_not_have_is_not_looked_up_elsewhere() -> None:
    for name in ("SystemExit", "os.system", "__builtins__", "WorkflowErrors"):
        body = msgspec.msgpack.encode((name, ["echo pwned"], None))
        error = wire.decode_error(body)
        assert type(error) is WorldError
        assert str(error) == f"{name}: echo pwned"
    assert type(wire.decode_error(msgspec.msgpack.encode(("HookConflictError", [], None)))) is WorldError


# -- the greeting -----------------------------------------------------------------------------------


async def test_another_version_of_wf_is_refused_in_words(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        for changes in ({"wf_world": wire.WIRE_VERSION + 1}, {"schema": "0123456789abcdef"}):
            with Raw(server) as raw:
                welcome = raw.greet(**changes)
                assert welcome.refusal is not None
                assert f"process {os.getpid()}, which owns the world, runs another version of wf" in welcome.refusal
                assert raw.is_closed_by_peer()
        assert await world.get_run("r1") is None


@pytest.mark.parametrize(
    ("answer", "text"),
    [
        (Welcome(1, wire.SCHEMA, "1:1", refusal="process 9 is older"), "^process 9 is older$"),
        (Welcome(9, wire.SCHEMA, "1:1"), "^the world's owner runs another version of wf$"),
        (Welcome(1, "another", "1:1"), "^the world's owner runs another version of wf$"),
    ],
)
async def test_an_owner_of_another_version_is_an_error_that_says_what_to_do(
    folder: Path, answer: Welcome, text: str
) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(wire.encode_line(answer))
        await writer.drain()
        writer.close()
        await writer.wait_closed()

    path = str(folder / "w.sock")
    other = await asyncio.start_unix_server(greet, path)
    world = RemoteWorld(f"unix:{path}")
    with pytest.raises(WorldError, match=text) as caught:
        await world.open()
    assert caught.value.hint == "restart the older of the two, so that both run the same version of wf"
    assert not isinstance(caught.value, ConnectionLost)
    await world.close()
    other.close()
    await other.wait_closed()


async def test_something_else_that_answers_is_not_taken_for_a_world(folder: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.readline()
        writer.close()
        await writer.wait_closed()

    path = str(folder / "w.sock")
    other = await asyncio.start_unix_server(greet, path)
    world = RemoteWorld(f"unix:{path}")
    with pytest.raises(WorldError, match="does not speak its protocol"):
        await world.open()
    await world.close()
    other.close()
    await other.wait_closed()


async def test_nobody_at_the_endpoint_is_a_lost_connection(folder: Path) -> None:
    path = folder / "w.sock"
    world = RemoteWorld(f"unix:{path}")
    with pytest.raises(ConnectionLost, match="no answer from the world's owner: No such file or directory") as caught:
        await world.get_run("r1")
    assert not caught.value.was_sent
    await world.close()
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    world = RemoteWorld(f"unix:{path}")
    with pytest.raises(ConnectionLost, match="Connection refused"):
        await world.get_run("r1")
    await world.close()


async def test_over_tcp_a_token_is_needed(folder: Path) -> None:
    server = WorldServer(MemoryWorld())
    endpoint = await server.start()
    scheme, host, port, token = endpoint.split(":")
    assert (scheme, host) == ("tcp", "127.0.0.1")
    async with connect(server) as world:
        assert await world.get_run("r1") is None
    for wrong in ("", "x", token[:-1], token + "x"):
        world = RemoteWorld(f"tcp:{host}:{port}:{wrong}")
        with pytest.raises(ConnectionLost) as caught:
            await world.get_run("r1")
        assert token not in str(caught.value)
        await world.close()
    await server.stop()


def test_an_unknown_endpoint_is_refused_without_repeating_its_token() -> None:
    with pytest.raises(WorldError) as caught:
        wire.parse_endpoint("quic:host:1:secret")
    assert "secret" not in str(caught.value)
    with pytest.raises(WorldError):
        wire.parse_endpoint("tcp:host:port:secret")


def test_the_schema_names_every_method_and_struct() -> None:
    methods = {name for name, value in vars(World).items() if callable(value) and not name.startswith("_")}
    assert {method.name for method in wire.METHODS} == methods - {"close", "subscribe"}
    assert [method.number for method in wire.METHODS] == list(range(len(wire.METHODS)))


# -- garbage ----------------------------------------------------------------------------------------


def garbage() -> Iterator[bytes]:
    chance = random.Random(20)
    yield b"\n"
    yield b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
    yield b"x" * (wire.MAX_LINE + 1)
    yield b'{"wf_world": "1"}\n'
    yield b"\xff\xfe\n"
    for size in (1, 9, 10, 11, 100, 5000, 300_000):
        yield chance.randbytes(size)


def garbage_after_greeting() -> Iterator[bytes]:
    chance = random.Random(21)
    yield wire.HEADER.pack(wire.MAX_FRAME + 1, wire.REQUEST, 0, 1)
    yield wire.HEADER.pack(0xFFFFFFFF, wire.REQUEST, 0, 1)
    yield wire.frame(99, 1)
    yield wire.frame(wire.RESULT, 1)
    yield wire.frame(wire.RING, 1, b"\xa1x")
    yield wire.frame(wire.REQUEST, 1, b"\x90", method=200)
    yield wire.frame(wire.SUBSCRIBE, 1, b"\xc1")
    for _ in range(30):
        # Half of them begin like a frame.
        start = wire.HEADER.pack(chance.randrange(50), chance.randrange(12), chance.randrange(40), 1)
        yield (start if chance.random() < 0.5 else b"") + chance.randbytes(chance.randrange(1, 2000))


async def test_garbage_does_not_harm_the_server(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.create_run(new_run("r1"))
        for data in garbage():
            with Raw(server) as raw:
                raw.send(data)
        for data in garbage_after_greeting():
            with Raw(server) as raw:
                assert raw.greet().refusal is None
                raw.send(data)
        for data in (b"", b"{", wire.encode_line(Hello(1, wire.SCHEMA, "1:1"))[:-1]):
            with Raw(server) as raw:
                raw.send(data)
        assert (await world.get_run("r1")) is not None
        await eventually(lambda: len(server.peers) == 1)


async def test_what_can_be_no_frame_closes_its_connection(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server:
        for data in list(garbage_after_greeting())[:7]:
            with Raw(server) as raw:
                raw.greet()
                raw.send(data)
                assert raw.is_closed_by_peer()


async def test_a_well_formed_frame_with_a_wrong_body_gets_an_answer(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server):
        with Raw(server) as raw:
            raw.greet()
            raw.send(wire.frame(wire.REQUEST, 7, b"\xc1\xc1", method=wire.METHOD["get_run"].number))
            header = raw.sock.recv(wire.HEADER.size, socket.MSG_WAITALL)
            length, kind, _, id = wire.HEADER.unpack(header)
            assert (kind, id) == (wire.ERROR, 7)
            body = raw.sock.recv(length, socket.MSG_WAITALL)
            assert str(wire.decode_error(body)).startswith("get_run: ")


@pytest.mark.parametrize("size", [1, 3, 10, 11, 64])
def test_frames_are_found_however_the_stream_is_cut(size: int) -> None:
    sent = [(wire.REQUEST, n, bytes([n]) * n, n % 5) for n in range(40)]
    stream = b"".join(wire.frame(kind, id, body, method) for kind, id, body, method in sent)
    reader = wire.FrameReader(100)
    found = []
    for start in range(0, len(stream), size):
        for frame in reader.feed(stream[start : start + size]):
            found.append((frame.kind, frame.id, bytes(frame.body), frame.method))
    assert found == sent


async def test_a_frame_over_the_limit_is_an_error_to_its_sender_and_ends_nothing(folder: Path) -> None:
    async with serve(MemoryWorld(), folder, max_frame=10_000) as server:
        async with connect(server, max_frame=10_000) as world:
            with pytest.raises(PayloadTooLargeError) as caught:
                await world.put_deployment(DeploymentRow("d", T0, {}), {"x": b"x" * 10_001})
            assert (caught.value.what, caught.value.limit) == ("the arguments of put_deployment", 10_000)
            # Replies have the same limit, and the server the same answer.
            for n in range(4):
                await world.put_deployment(DeploymentRow(f"d{n}", T0, {str(k): "x" * 100 for k in range(40)}), {})
            with pytest.raises(PayloadTooLargeError, match=r"the reply to list_deployments is .* over the limit"):
                await world.list_deployments()
            assert await world.get_deployment("d1") is not None
        # A sender that keeps to no limit loses its connection.
        async with connect(server, max_frame=20_000) as world:
            with pytest.raises(ConnectionLost):
                await world.put_deployment(DeploymentRow("d", T0, {}), {"x": b"x" * 10_001})
        async with connect(server) as world:
            assert await world.get_deployment("d1") is not None


async def test_a_commit_over_the_limit_travels_in_parts(folder: Path) -> None:
    async with serve(MemoryWorld(), folder, max_frame=2_000) as server, connect(server, max_frame=2_000) as world:
        owners = [await own(server.world, f"r{n}") for n in range(20)]
        appends = [owner.append(events=3) for owner in owners]
        appends[7] = msgspec.structs.replace(appends[7], epoch=99)
        outcomes = await world.commit(appends)
        assert outcomes == ["applied"] * 7 + ["fenced"] + ["applied"] * 12
        with pytest.raises(PayloadTooLargeError, match="the arguments of commit"):
            await world.commit([owners[7].append(events=40)])


async def test_a_claim_over_the_limit_brings_shorter_logs(folder: Path) -> None:
    async with serve(MemoryWorld(), folder, max_frame=5_000) as server, connect(server, max_frame=5_000) as world:
        owner = await own(server.world, "r1")
        await owner.commit(events=200)
        await server.world.close_worker("w1")
        await world.open_worker(hello("w2"))
        claims = await world.claim("w2", T0, 10)
        [found] = claims.claimed
        assert found.run.seq == 201
        assert 1 <= len(found.events) < 100
        assert found.events == await server.world.read_events("r1", 0, len(found.events))


# -- doorbells --------------------------------------------------------------------------------------


async def test_doorbells_ring_on_the_subscribers_loop(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        bell = await Bell.at(world, "runs")
        loops = []
        undo = await world.subscribe("runs", lambda detail: loops.append(asyncio.get_running_loop()))
        await server.world.create_run(new_run("r1"))
        await eventually(lambda: bell.rings == ["r1"] and loops == [asyncio.get_running_loop()])
        undo()
        undo()
        bell.undo()
        await world.create_run(new_run("r2"))
        await world.get_run("r2")
        assert bell.rings == ["r1"]


async def test_a_ring_that_has_arrived_when_it_is_undone_is_not_rung(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        first, second = await Bell.at(world, "runs"), await Bell.at(world, "runs")
        [link] = world._links.values()
        for id in list(link._rings):
            link.data_received(wire.frame(wire.RING, id, wire.encode_body("r1")))
        first.undo()
        assert await second.heard() == ["r1"]
        assert first.rings == []


async def test_a_ring_that_raises_ends_no_connection(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        heard = []

        def ring(detail: str) -> None:
            heard.append(detail)
            raise RuntimeError("a subscriber's mistake")

        complaints: list[dict[str, Any]] = []
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
        await world.subscribe("runs", ring)
        await world.create_run(new_run("r1"))
        await eventually(lambda: heard == ["r1"])
        assert (await world.get_run("r1")) is not None
        assert [str(complaint["exception"]) for complaint in complaints] == ["a subscriber's mistake"]


async def test_a_connections_subscriptions_end_with_it(folder: Path) -> None:
    inner = MemoryWorld()
    async with serve(inner, folder) as server:
        async with connect(server) as world:
            await world.subscribe("runs", lambda detail: None)
            await world.subscribe("run:r1", lambda detail: None)
            await world.subscribe("log:r1", lambda detail: None)
            assert inner._doorbells._topics.keys() == {"runs", "run:r1", "log:r1"}
            assert inner._doorbells.followed == {"r1"}
        await eventually(lambda: not (server.peers or inner._doorbells._topics or inner._doorbells.followed))


async def test_the_owner_forgets_a_followed_run_when_its_last_follower_leaves(folder: Path) -> None:
    inner = MemoryWorld()
    async with serve(inner, folder) as server, connect(server) as world, connect(server) as other:
        first, second = await Bell.at(world, "log:r1"), await Bell.at(other, "log:r1")
        await world.create_run(new_run("r1"))
        await eventually(lambda: first.rings == second.rings == ["r1"])
        first.undo()
        await world.get_run("r1")
        assert inner._doorbells.followed == {"r1"}, "the other one still follows it"
        second.undo()
        await eventually(lambda: not inner._doorbells.followed)


async def test_a_subscription_cancelled_on_its_way_is_undone(folder: Path) -> None:
    inner = MemoryWorld()
    async with serve(inner, folder) as server, connect(server) as world:
        await world.open()
        subscribing = asyncio.create_task(world.subscribe("runs", print))
        await asyncio.sleep(0)
        subscribing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await subscribing
        await world.get_run("r1")
        await eventually(lambda: not inner._doorbells._topics)


# -- peers that do not read ---------------------------------------------------------------------------


async def test_a_peer_that_does_not_read_is_closed_and_the_others_are_served(folder: Path) -> None:
    inner = MemoryWorld()
    await inner.put_deployment(DeploymentRow("d", T0, {}), {"x": b"x" * 4_000_000, "y": b"y"})
    async with serve(inner, folder, stall_seconds=0.1) as server, connect(server) as world:
        await world.open()
        with Raw(server) as raw:
            raw.greet()
            assert len(server.peers) == 2
            request = wire.encode_body(("x",))
            for id in range(1, 21):
                raw.send(wire.frame(wire.REQUEST, id, request, wire.METHOD["read_source"].number))
            assert await world.read_source("y") == b"y"  # so little that this peer, too, is not slow if the machine is
            await eventually(lambda: len(server.peers) == 1)
            assert await world.get_run("r1") is None


async def test_a_slow_peer_gets_everything_and_each_ring_once_at_least(folder: Path) -> None:
    inner = MemoryWorld()
    await inner.put_deployment(DeploymentRow("d", T0, {}), {"x": b"x" * 4_000_000})
    async with serve(inner, folder) as server:
        with Raw(server) as raw:
            raw.greet()
            raw.send(wire.frame(wire.SUBSCRIBE, 1, wire.encode_body("runs")))
            raw.sock.recv(wire.HEADER.size + 1, socket.MSG_WAITALL)
            raw.send(wire.frame(wire.REQUEST, 2, wire.encode_body(("x",)), wire.METHOD["read_source"].number))
            [peer] = server.peers
            await eventually(lambda: peer._drained is not None)
            for n in range(50):
                await inner.create_run(new_run(f"r{n}"))
            await eventually(lambda: len(peer._held) == 50)

            def read_all() -> list[tuple[int, int]]:
                reader = wire.FrameReader(wire.MAX_FRAME)
                frames: list[tuple[int, int]] = []
                while len(frames) < 51:
                    frames += [(frame.kind, frame.id) for frame in reader.feed(raw.sock.recv(1 << 20))]
                return frames

            frames = await asyncio.to_thread(read_all)
            assert frames == [(wire.RESULT, 2), *[(wire.RING, 1)] * 50]


async def test_a_peer_that_sends_more_than_it_reads_is_not_read_either(folder: Path) -> None:
    inner = MemoryWorld()
    await inner.put_deployment(DeploymentRow("d", T0, {}), {"x": b"x" * 100_000})
    async with serve(inner, folder) as server, connect(server) as world:
        replies = await asyncio.gather(*(world.read_source("x") for _ in range(2000)))
        assert {len(reply or b"") for reply in replies} == {100_000}


# -- the end of a connection ----------------------------------------------------------------------------


async def test_calls_that_wait_when_the_server_stops_are_answered_first(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.open()
        calls = [asyncio.create_task(world.create_run(new_run(f"r{n}"))) for n in range(200)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await server.stop()
        results = await asyncio.gather(*calls, return_exceptions=True)
        known = {row.run_id for row in await server.world.list_runs(RunFilter(limit=1000))}
        answered = {result.run.run_id for result in results if not isinstance(result, BaseException)}
        assert answered <= known
        assert all(isinstance(result, ConnectionLost) for result in results if isinstance(result, BaseException))
        with pytest.raises(ConnectionLost):
            await world.get_run("r1")


async def test_a_lost_owner_is_told_once_and_fails_every_call_from_then_on(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        losses: list[int] = []
        world.on_lost = lambda: losses.append(1)
        await world.open()
        await server.stop()
        await eventually(lambda: losses)
        assert world.is_lost
        with pytest.raises(ConnectionLost):
            await world.get_run("r1")
        with pytest.raises(ConnectionLost):
            await world.subscribe("runs", print)
        assert losses == [1]


async def test_an_owner_that_says_nothing_for_too_long_counts_as_lost(folder: Path) -> None:
    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readline()
        writer.write(wire.encode_line(Welcome(wire.WIRE_VERSION, wire.SCHEMA, "1:1")))
        await reader.read()  # and never answers
        writer.close()
        await writer.wait_closed()

    path = str(folder / "w.sock")
    silent = await asyncio.start_unix_server(greet, path)
    world = RemoteWorld(f"unix:{path}", patience_seconds=0.05)
    with pytest.raises(ConnectionLost, match=r"the world's owner was silent for 0\.05 s"):
        await world.get_run("r1")
    await world.close()
    silent.close()
    await silent.wait_closed()


async def test_half_open_connections_are_closed_after_a_while(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "HANDSHAKE_SECONDS", 0.05)
    async with serve(MemoryWorld(), folder) as server:
        with Raw(server) as silent:
            assert silent.is_closed_by_peer()


# -- workers ----------------------------------------------------------------------------------------------


WORKER = """
import asyncio, sys
from wf.world import WorkerHello
from wf.worlds.process import process_token
from wf.worlds.remote import RemoteWorld

async def main():
    world = RemoteWorld(sys.argv[1])
    await world.open_worker(WorkerHello("w1", process_token(), ["flows.order:fulfil"], "dpl_1"))
    claims = await world.claim("w1", 2_000_000_000_000_000, 10)
    print(len(claims.claimed), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""


async def test_the_leases_of_a_killed_worker_are_free_at_once(folder: Path) -> None:
    async with serve(MemoryWorld(lease_seconds=3600), folder) as server, connect(server) as world:
        await world.create_run(new_run("r1"))
        program = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            WORKER,
            server.endpoint,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(RUNTIME)},
        )
        assert program.stdout is not None
        assert await program.stdout.readline() == b"1\n"
        await world.open_worker(hello("w2"))
        assert await claim(world, "w2") == []
        rung = asyncio.Event()
        await world.subscribe("claimable", lambda detail: rung.set())
        program.kill()
        await program.wait()
        async with asyncio.timeout(DEADLINE):
            await rung.wait()
        assert await claim(world, "w2") == ["r1"]


async def test_the_end_of_a_connection_frees_no_lease_of_a_process_that_lives(folder: Path) -> None:
    async with serve(MemoryWorld(lease_seconds=3600), folder) as server, connect(server) as world:
        await world.create_run(new_run("r1"))
        async with connect(server) as lost:
            await lost.open_worker(hello("w1"))
            assert await claim(lost, "w1") == ["r1"]
        await eventually(lambda: len(server.peers) <= 1)
        await world.open_worker(hello("w2"))
        assert await claim(world, "w2") == []
        assert await world.heartbeat("w1")


async def test_a_claim_that_was_cancelled_comes_with_the_next(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.open_worker(hello("w1"))
        await world.create_run(new_run("r1"))
        claiming = asyncio.create_task(world.claim("w1", T0, 10))
        await asyncio.sleep(0)
        claiming.cancel()
        with pytest.raises(asyncio.CancelledError):
            await claiming
        row = await world.get_run("r1")
        assert row is not None
        assert row.owner == "w1"
        await world.send("r1", Message("cancel", T0))
        found: list[Claims] = []

        async def was_found() -> bool:
            found.append(await world.claim("w1", T0, 10))
            return bool(found[-1].claimed)

        async with asyncio.timeout(DEADLINE):
            while not await was_found():
                pass
        [claimed] = found[-1].claimed
        assert (claimed.run.run_id, claimed.run.epoch) == ("r1", row.epoch)
        assert [message.kind for message in claimed.inbox] == ["cancel"]  # it came after the lost claim
        assert await claim(world, "w1") == []


async def test_a_claim_whose_connection_was_lost_comes_with_the_next(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        await world.open_worker(hello("w1"))
        await world.create_run(new_run("r1"))
        with Raw(server) as raw:
            raw.greet()
            raw.send(wire.frame(wire.REQUEST, 1, wire.encode_body(("w1", T0, 10)), wire.CLAIM.number))
            raw.sock.recv(wire.HEADER.size, socket.MSG_WAITALL)  # answered, but not said to be received
        await eventually(lambda: len(server.peers) == 1)
        assert await claim(world, "w1") == ["r1"]


async def test_a_lost_claim_whose_leases_are_lost_too_does_not_come_with_the_next(folder: Path) -> None:
    """Or a worker would have the same run twice in one claim, or one that is another's."""
    time = ManualTime()
    async with serve(MemoryWorld(monotonic=time), folder) as server, connect(server) as world:
        await world.open_worker(hello("w1"))
        await world.create_run(new_run("r1"))
        await world.create_run(new_run("r2"))
        with Raw(server) as raw:
            raw.greet()
            raw.send(wire.frame(wire.REQUEST, 1, wire.encode_body(("w1", T0, 10)), wire.CLAIM.number))
            raw.sock.recv(wire.HEADER.size, socket.MSG_WAITALL)  # answered, but not said to be received
        await eventually(lambda: len(server.peers) == 1)
        time.pass_by(LEASE_SECONDS)
        await world.open_worker(hello("w2"))
        assert len((await world.claim("w2", T0, 1)).claimed) == 1
        assert await world.heartbeat("w1") is False
        await world.open_worker(hello("w1"))
        [claimed] = (await world.claim("w1", T0, 10)).claimed
        assert claimed.run.epoch == 2


# -- who may connect ----------------------------------------------------------------------------------------


async def test_the_socket_is_its_owners_alone(folder: Path) -> None:
    before = os.umask(0)
    try:
        server = WorldServer(MemoryWorld(), [str(folder / "w.sock")])
        await server.start()
    finally:
        os.umask(before)
    assert stat.S_IMODE(os.stat(folder / "w.sock").st_mode) == 0o600
    await server.stop()
    assert not (folder / "w.sock").exists()


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root can become another user")
async def test_another_user_cannot_connect(folder: Path) -> None:
    folder.chmod(0o755)
    source = """
import os, socket, sys
os.setgid(65534); os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    try:
        sock.connect(sys.argv[1])
    except PermissionError:
        print("refused")
    else:
        print("connected")
"""
    async with serve(MemoryWorld(), folder) as server:
        path = server.endpoint.removeprefix("unix:")
        done = await asyncio.to_thread(
            subprocess.run, [sys.executable, "-c", source, path], capture_output=True, text=True
        )
        assert (done.stdout, done.stderr) == ("refused\n", "")


async def test_a_socket_left_by_a_dead_owner_is_replaced(folder: Path) -> None:
    path = folder / "w.sock"
    with socket.socket(socket.AF_UNIX) as left_behind:
        left_behind.bind(str(path))
    async with serve(MemoryWorld(), folder) as server, connect(server) as world:
        assert await world.get_run("r1") is None


async def test_a_server_removes_no_socket_but_its_own(folder: Path) -> None:
    async with serve(MemoryWorld(), folder) as first:
        assert first.is_reachable()
        async with serve(MemoryWorld(), folder) as second:
            assert not first.is_reachable()
            await first.stop()
            async with connect(second) as world:
                assert await world.get_run("r1") is None


async def test_a_place_that_cannot_have_a_socket_is_passed_over(folder: Path) -> None:
    server = WorldServer(MemoryWorld(), [str(folder / "missing" / "w.sock"), str(folder / "w.sock")])
    assert await server.start() == f"unix:{folder / 'w.sock'}"
    await server.stop()
    with pytest.raises(WorldError, match="cannot serve the world to other processes: No such file or directory"):
        await WorldServer(MemoryWorld(), [str(folder / "missing" / "w.sock")]).start()


def test_a_server_that_runs_out_of_descriptors_says_so_and_leaves_nothing(folder: Path) -> None:
    """It needs one for its socket and three for its loop, which is made on another thread."""
    program = """
import asyncio, gc, os, resource, sys, tempfile, threading
from wf.errors import WorldError
from wf.worlds.memory import MemoryWorld
from wf.worlds.server import WorldServer

async def start(left):
    free = os.dup(0)
    os.close(free)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + left, hard))
    server = WorldServer(MemoryWorld(), [sys.argv[1]])
    try:
        await server.start()
        print(left, "serves")
    except WorldError as error:
        print(left, error)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    await server.stop()
    if server._thread is not None:
        server._thread.join(10)
    assert threading.active_count() == 1
    assert not os.path.exists(sys.argv[1])

tempfile.gettempdir()  # which is looked for once, with a file
for left in range(5):
    asyncio.run(start(left))
    gc.collect()  # a half-made loop has a descriptor
"""
    path = folder / "w.sock"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, timeout=60)
    unservable = "cannot serve the world to other processes: Too many open files"
    assert done.stdout.splitlines() == [*(f"{left} {unservable}" for left in range(4)), "4 serves"], done.stderr
    assert done.returncode == 0
    assert "never awaited" not in done.stderr


async def test_a_socket_among_the_temporary_files_lies_in_a_private_directory(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    [path] = lockfile.socket_paths("/srv/" + 20 * "folder/" + "world.db")
    server = WorldServer(MemoryWorld(), [path])
    await server.start()
    async with connect(server) as world:
        assert await world.get_run("r1") is None
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    await server.stop()


async def test_a_forked_child_does_not_keep_connections_open(folder: Path) -> None:
    source = """
import asyncio, json, os, sys
from wf.worlds.memory import MemoryWorld
from wf.worlds.server import WorldServer

async def main():
    server = WorldServer(MemoryWorld(), [sys.argv[1]])
    print(await server.start(), flush=True)
    await asyncio.to_thread(sys.stdin.readline)  # until the test is connected
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(1)
        os.write(writer, b"!")
        sys.stdin.read()
        os._exit(0)
    os.read(reader, 1)
    print(json.dumps(child), flush=True)
    await asyncio.sleep(3600)

asyncio.run(main())
"""
    program = await asyncio.create_subprocess_exec(
        sys.executable,
        "-W",
        "ignore",
        "-c",
        source,
        str(folder / "w.sock"),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(RUNTIME)},
    )
    assert program.stdin is not None
    assert program.stdout is not None
    world = RemoteWorld((await program.stdout.readline()).decode().strip())
    await world.open()
    program.stdin.write(b"\n")
    child = json.loads(await program.stdout.readline())
    program.kill()
    await program.wait()
    await eventually(lambda: world.is_lost)
    os.kill(child, 9)
    await world.close()
