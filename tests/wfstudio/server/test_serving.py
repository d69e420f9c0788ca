"""The server over sockets: ports, streams of events, clients that misbehave, and the end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket

import pytest

from tests.wfstudio.site import TOKEN, Wire, open_site, serving
from tests.wfstudio.studio import rest
from wf.errors import WorldError
from wfstudio.core import reading
from wfstudio.core.errors import UsageError
from wfstudio.server import studio
from wfstudio.server.serving import bind


async def test_it_answers_on_both_loopback_addresses_and_says_where() -> None:
    async with open_site() as site, serving(site) as server:
        assert server.port == site.access.port > 0
        assert server.url == f"http://127.0.0.1:{server.port}"
        for host in ("127.0.0.1", "::1"):
            wire = await Wire.open(server.port, host)
            await wire.ask("GET", "/health", "connection: close")
            assert (await wire.head())[0] == 200
            assert json.loads(await wire.read())["status"] == "ok"
            await wire.close()


async def test_the_launch_url_carries_its_code_in_the_fragment() -> None:
    async with open_site() as site, serving(site) as server:
        head, _, code = server.launch_url.partition("#code=")
        assert head == f"http://127.0.0.1:{server.port}/"
        assert site.access.take_code(code)
        assert server.launch_url != server.launch_url
        assert TOKEN not in server.launch_url


async def test_a_port_that_is_taken_is_followed_by_the_next() -> None:
    [taken, *others] = bind("127.0.0.1", 0)
    port = taken.getsockname()[1]
    try:
        async with open_site() as site:
            async with serving(site, port=port) as server:
                assert port < server.port < port + 50
            with pytest.raises(UsageError) as caught:
                async with serving(site, port=port, is_strict_port=True):
                    pass
            assert (str(caught.value), "--port" in (caught.value.hint or "")) == (f"the port {port} is taken", True)
    finally:
        for found in (taken, *others):
            found.close()


async def test_a_number_that_somebody_has_on_the_other_address_is_taken() -> None:
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as other:
        other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        other.bind(("::1", 0))
        other.listen()
        with pytest.raises(UsageError):
            bind("127.0.0.1", other.getsockname()[1], is_strict_port=True)


@pytest.mark.parametrize(
    ("host", "port"), [("256.0.0.1", 0), ("192.0.2.1", 0), ("127.0.0.1", 99999), ("127.0.0.1", -1)]
)
def test_an_address_that_is_not_ours_is_refused(host: str, port: int) -> None:
    with pytest.raises(UsageError):
        bind(host, port)


async def test_what_the_block_raises_comes_out_as_it_is() -> None:
    async with open_site() as site:
        with pytest.raises(LookupError, match="mine"):
            async with serving(site):
                raise LookupError("mine")


async def listen(port: int, path: str, *headers: str) -> Wire:
    wire = await Wire.open(port)
    await wire.ask("GET", path, "accept: text/event-stream", *headers)
    status, head = await wire.head()
    assert status == 200, head
    assert "content-type: text/event-stream" in head
    return wire


async def read_chunked(wire: Wire) -> dict[str, str]:
    """Read the next event of a chunked response."""
    while True:
        size = int((await asyncio.wait_for(wire.reader.readline(), 10)).strip() or b"0", 16)
        text = (await asyncio.wait_for(wire.reader.readexactly(size + 2), 10)).decode()
        found = dict(line.split(": ", 1) for line in text.split("\n") if line[:3] in ("id:", "eve", "dat"))
        if found:
            return found
        if size == 0:
            return {}


async def test_live_events_tell_of_runs_and_of_what_is_published() -> None:
    async with open_site() as site, serving(site) as server:
        wire = await listen(server.port, "/api/live")
        site.feed.publish("reload", {"ms": 140})
        event = await read_chunked(wire)
        assert (event["event"], json.loads(event["data"])) == ("reload", {"ms": 140})
        started = await site.client.start("nap")
        event = await read_chunked(wire)
        assert (event["event"], json.loads(event["data"])["id"]) == ("run", started.id)
        await wire.close()


async def test_when_many_runs_change_at_once_it_is_said_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "LIVE_SECONDS", 1.0)  # at once, on a slow machine too
    async with open_site() as site, serving(site) as server:
        wire = await listen(server.port, "/api/live")
        for _ in range(300):
            await site.client.start("nap", delay="1h")
        event = await read_chunked(wire)
        while event["event"] == "run":  # those that changed before the first look
            event = await read_chunked(wire)
        assert (event["event"], json.loads(event["data"])["changed"] > 100) == ("runs", True)
        await wire.close()


async def test_what_could_not_be_read_when_it_changed_is_said_to_have_changed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(studio, "_AGAIN_SECONDS", 0.0)
    async with open_site() as site, serving(site) as server:
        wire = await listen(server.port, "/api/live")
        find = site.client.find_run

        async def fail(run_id: str) -> None:
            monkeypatch.setattr(site.client, "find_run", find)
            raise WorldError("its owner went")

        monkeypatch.setattr(site.client, "find_run", fail)
        await site.client.start("nap", delay="1h")
        told = [await read_chunked(wire) for _ in range(2)]
        assert [(event["event"], json.loads(event["data"])) for event in told] == [
            ("error", {"slug": "world", "message": "its owner went", "where": None, "hint": None}),
            ("runs", {"changed": 1}),
        ]
        again = await site.client.start("nap", delay="1h")
        event = await read_chunked(wire)
        assert (event["event"], json.loads(event["data"])["id"]) == ("run", again.id)
        await wire.close()


async def test_a_live_client_goes_on_where_it_left() -> None:
    async with open_site() as site, serving(site) as server:
        for number in range(5):
            site.feed.publish("worker", {"n": number})
        wire = await listen(server.port, "/api/live", "last-event-id: 3")
        assert [(await read_chunked(wire))["id"] for _ in range(2)] == ["4", "5"]
        await wire.close()
        wire = await listen(server.port, "/api/live?last_id=4")
        assert (await read_chunked(wire))["id"] == "5"
        await wire.close()
        wire = await listen(server.port, "/api/live?last_id=99")
        assert (await read_chunked(wire))["event"] == "gap"
        await wire.close()


async def test_events_logs_and_streams_are_followed_to_their_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "LOOK_SECONDS", 3600.0)  # they are rung, or nothing comes
    async with open_site() as site, serving(site) as server:
        started = await site.client.start("stream", [1], {"is_closing": False, "waits_for": "more"})
        await rest(site.client, started.id)
        base = f"/api/runs/{started.id}"
        events = await listen(server.port, f"{base}/events", "last-event-id: 2")
        chunks = await listen(server.port, f"{base}/streams/default")
        assert (await read_chunked(events))["id"] == "3"
        assert json.loads((await read_chunked(chunks))["data"])["value"] == {"n": 0}
        await site.client.resume("more", None)
        seen = [await read_chunked(events) for _ in range(6)]
        assert [event["id"] for event in seen] == [str(number) for number in range(4, 10)]
        assert (await read_chunked(events))["event"] == "end"
        assert (await read_chunked(chunks))["id"] == "1"
        assert (await read_chunked(chunks))["event"] == "end"
        greeted = await site.client.start("greet", ["ada"])
        logs = await listen(server.port, f"/api/runs/{greeted.id}/logs")
        assert json.loads((await read_chunked(logs))["data"])["text"] == "greeting ada"
        last = json.loads((await read_chunked(logs))["data"])["position"]
        assert (await read_chunked(logs))["event"] == "end"
        for position, count in ((last, 0), (last[:-1] + "0", 1)):
            again = await listen(server.port, f"/api/runs/{greeted.id}/logs", f"last-event-id: {position}")
            assert [(await read_chunked(again)).get("event") for _ in range(count + 1)] == [None] * count + ["end"]
            await again.close()
        for wire in (events, chunks, logs):
            await wire.close()


async def test_an_unknown_run_is_not_followed() -> None:
    async with open_site() as site, serving(site) as server:
        for path in ("events", "logs", "streams/default"):
            wire = await Wire.open(server.port)
            await wire.ask("GET", f"/api/runs/none/{path}", "accept: text/event-stream", "connection: close")
            assert (await wire.head())[0] == 404
            await wire.close()


async def test_a_client_that_leaves_is_forgotten() -> None:
    async with open_site() as site, serving(site) as server:
        wire = await listen(server.port, "/api/live")
        async with asyncio.timeout(10):
            while site.feed.readers != 1:
                await asyncio.sleep(0.001)
            await wire.close()
            while site.feed.readers != 0:
                await asyncio.sleep(0.001)


async def test_a_client_that_stops_reading_holds_nobody_up() -> None:
    async with asyncio.timeout(20), open_site() as site:
        async with serving(site, grace_seconds=1) as server:
            dead = socket.create_connection(("127.0.0.1", server.port))
            dead.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            head = f"GET /api/live HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\nauthorization: Bearer {TOKEN}\r\n\r\n"
            dead.sendall(head.encode())
            while site.feed.readers != 1:
                await asyncio.sleep(0.001)
            live = await listen(server.port, "/api/live")
            for number in range(3000):
                site.feed.publish("worker", {"n": number, "text": "x" * 2000})
                if number % 50 == 0:
                    await asyncio.sleep(0)
            event = await read_chunked(live)
            while event["id"] != "3000":
                event = await read_chunked(live)
            assert all(len(reader.waiting) <= 256 for reader in site.feed._readers)
            await live.close()
        dead.close()  # the server closed all the same, in its own time


async def test_the_end_is_told_to_who_listens() -> None:
    async with open_site() as site:
        async with serving(site) as server:
            wires = [await listen(server.port, "/api/live") for _ in range(3)]
            started = await site.client.start("nap")
            wires.append(await listen(server.port, f"/api/runs/{started.id}/events", "last-event-id: 9"))
        for wire in wires:
            text = (await wire.read()).decode()
            assert text.rstrip("\r\n0").rstrip().endswith("data: {}")
            assert "event: bye" in text
            await wire.close()
        with pytest.raises(OSError):
            await Wire.open(server.port)


ROUGH = [
    b"\0\0\0\0\r\n\r\n",
    b"GET\r\n\r\n",
    b"GET /health HTTP/9.9\r\n\r\n",
    b"GET /health HTTP/1.1\r\n\r\n",
    b"GET /health HTTP/1.0\r\n\r\n",
    b"GET /%zz HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n",
    b"GET /hooks/%ff%fe HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n",
    b"GET http://127.0.0.1:PORT/health HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n",
    b"POST /hooks/x HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\nhello",
    b"POST /hooks/x HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    b"POST /hooks/x HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-length: -1\r\n\r\n",
    b"POST /hooks/x HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\ncontent-length: 99999999999\r\n\r\n",
    b"GET / HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nx: " + b"y" * 200_000 + b"\r\n\r\n",
    b"CONNECT 127.0.0.1:PORT HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n",
    b"TRACE / HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\n\r\n",
    b"GET /api/live HTTP/1.1\r\nhost: 127.0.0.1:PORT\r\nupgrade: websocket\r\nconnection: upgrade\r\n"
    b"sec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n\r\n",
]


async def test_malformed_requests_get_a_refusal_and_the_server_lives(caplog: pytest.LogCaptureFixture) -> None:
    async with open_site() as site, serving(site) as server:
        for rough in ROUGH:
            wire = await Wire.open(server.port)
            with contextlib.suppress(ConnectionError):
                await wire.send(rough.replace(b"PORT", str(server.port).encode()))
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                status, _ = await wire.head()
                assert 400 <= status < 500, rough[:60]
            await wire.close()
        wire = await Wire.open(server.port)
        await wire.ask("GET", "/health", "connection: close")
        assert (await wire.head())[0] == 200
        await wire.close()
        assert not [record for record in caplog.records if record.exc_info], "nothing of it was unforeseen"


async def test_a_body_over_the_cap_is_refused_while_it_is_sent() -> None:
    async with open_site() as site, serving(site) as server:
        wire = await Wire.open(server.port)
        await wire.send(
            f"POST /hooks/x HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\ntransfer-encoding: chunked\r\n\r\n".encode()
        )
        with contextlib.suppress(ConnectionError):
            for _ in range(40):
                await wire.send(b"10000\r\n" + b"x" * 65536 + b"\r\n")
        assert (await wire.head())[0] == 413
        await wire.close()


async def test_hundreds_of_connections_at_once_are_served() -> None:
    async with open_site() as site, serving(site) as server:

        async def ask() -> int:
            wire = await Wire.open(server.port)
            await wire.ask("GET", "/api/runs", "connection: close")
            status, _ = await wire.head()
            await wire.close()
            return status

        async with asyncio.timeout(20):
            assert set(await asyncio.gather(*(ask() for _ in range(300)))) == {200}
