"""`wf link`: a browser is let in by a link that holds no token, and once."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.wfstudio.cli.conftest import Wf
from tests.wfstudio.cli.test_worker import TOKEN, running
from wfstudio.cli.link import read_address
from wfstudio.cli.misuse import Misuse


def exchange(url: str, code: str) -> tuple[int, str]:
    """Do what the page does with its code; give the status and the cookie."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=10)
    headers = {
        "Origin": url, "Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "cors", "X-WF": "1",
        "Content-Type": "application/json",
    }  # fmt: skip
    try:
        connection.request("POST", "/api/session", json.dumps({"code": code}), headers)
        answer = connection.getresponse()
        return answer.status, answer.getheader("set-cookie") or ""
    finally:
        connection.close()


def test_a_link_opens_the_served_studio_once(project: Path, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WF_TOKEN", raising=False)
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    with running("serve", "--port", "0", "--token", TOKEN) as server:
        url = server.wait_for("serving")["url"]
        told = wf_cli("link")
        assert (told.code, told.err) == (0, "opens the studio in one browser, once, within a minute\n")
        address, _, code = told.out.strip().partition("/#code=")
        assert address == url
        assert len(code) == 43
        status, cookie = exchange(url, code)
        assert (status, cookie.startswith("wf-session-"), "HttpOnly" in cookie) == (204, True, True)
        assert exchange(url, code)[0] == 401, "once"

        asked = wf_cli("link", "--url", "https://flows.example.com", "--json").json
        assert asked["url"].startswith("https://flows.example.com/#code=")
        assert asked["expires_in_ms"] == 60_000.0

        drawn = wf_cli("link", "--url", url, "--token", TOKEN, "--world", "sqlite:///nowhere.db")
        assert drawn.out.startswith(f"{url}/#code=")
        nobody = wf_cli("link", "--url", "http://127.0.0.1:1", "--token", TOKEN).err.splitlines()
        assert nobody[0].startswith("the studio at http://127.0.0.1:1 does not answer: ")
        assert nobody[1] == "  fix: check the address, and that it runs"
        refused = wf_cli("link", "--url", url, "--token", "x" * 32)
        assert (refused.code, refused.err.splitlines()[-1]) == (1, "  more: docs/errors/access.md")

        seen = wf_cli("inspect", "workflows", "--web").out.strip()
        place, _, code = seen.partition("#code=")
        assert (place, exchange(url, code)[0]) == (f"{url}/studio/workflows", 204)
        assert TOKEN not in told.out + drawn.out + refused.err + seen
        assert server.stop() == 0


def test_without_a_server_it_says_where_one_would_be(project: Path, wf_cli: Wf) -> None:
    told = wf_cli("link")
    assert told.code == 1
    assert told.err.startswith(
        "no server runs beside this world\n"
        "  fix: start one, `wf serve` or `wf dev`, or ask another machine's: `--url`, with WF_TOKEN\n"
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("https://flows.example.com", "https://flows.example.com"),
        ("https://flows.example.com/", "https://flows.example.com"),
        ("flows.example.com", "https://flows.example.com"),
        ("localhost:4600", "http://localhost:4600"),
        ("127.0.0.1:4600", "http://127.0.0.1:4600"),
        ("[::1]:4600", "http://[::1]:4600"),
        ("http://[::1]:4600", "http://[::1]:4600"),
    ],
)
def test_an_address_is_read(text: str, address: str) -> None:
    assert read_address(text) == address


@pytest.mark.parametrize(
    "text", ["", "ftp://x", "https://x/path", "https://x?y", "https://me@x", "https://x:y", "https://x:99999", "/runs"]
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(Misuse, match="is no address of a server"):
        read_address(text)


@contextmanager
def answering(status: int, body: bytes, **headers: str) -> Iterator[str]:
    """Serve one answer to whatever is asked, as something that is no studio does."""

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("status", "body"), [(502, b"<html>Bad Gateway</html>"), (308, b""), (200, b"hello"), (404, b'{"detail": "no"}')]
)
def test_what_is_no_studio_is_told_so_and_no_redirection_gets_the_token(
    project: Path, wf_cli: Wf, status: int, body: bytes
) -> None:
    with answering(status, body, Location="http://127.0.0.1:1/") as url:
        told = wf_cli("link", "--url", url, "--token", TOKEN)
    assert told.code == 1
    assert told.err.startswith(f"what answers at {url} is no studio (HTTP {status})\n  fix: check the address\n")


def test_a_link_over_the_network_in_clear_is_warned_of(
    project: Path, wf_cli: Wf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wfstudio.cli.link.ask_at", lambda *asked: {"code": "c", "expires_in_ms": 60_000.0})
    told = wf_cli("link", "--url", "http://flows.example.com", "--token", TOKEN)
    assert told.out == "http://flows.example.com/#code=c\n"
    assert told.err.startswith(
        "the browser will send its code and its cookie in clear: put TLS in front of the server\n"
    )
    for url in ("https://flows.example.com", "http://127.0.0.1:4600", "http://[::1]:4600", "http://localhost:4600"):
        assert "in clear" not in wf_cli("link", "--url", url, "--token", TOKEN).err
