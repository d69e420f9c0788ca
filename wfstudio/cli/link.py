"""`wf link`: a link that opens the browser studio of a server that runs, `wf dev` or `wf serve`.

1. What is printed holds a launch code, never the token: it is good for one browser, once, for a minute, and lies in
   the URL's fragment, which browsers send to nobody.
2. Only who has the token gets one: from the server's file, which is only its user's to read, or by hand.
3. The token is sent to whom it was given for: to this machine's server, or, where it was given by hand, to `--url`.
"""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlsplit

import typer

from wfstudio.cli import parameters
from wfstudio.cli.asking import ask_at
from wfstudio.cli.connection import find_server, settle
from wfstudio.cli.misuse import Misuse
from wfstudio.cli.terminal import results, words
from wfstudio.core.errors import NotFoundError
from wfstudio.dev.terminal import open_browser
from wfstudio.server.access import is_loopback


def link(
    url: Annotated[
        str | None,
        typer.Option("--url", metavar="URL", help="The address under which browsers reach the server."),
    ] = None,
    token: Annotated[
        str | None,
        typer.Option("--token", metavar="TEXT", help="With --url: ask there, with this token.", envvar="WF_TOKEN"),
    ] = None,
    is_opening: Annotated[bool, typer.Option("--open", help="Open it here, where there is a desktop.")] = False,
    is_json: parameters.Json = False,
    world: parameters.World = None,
) -> int:
    """Print a link that opens the studio of the running `wf serve` or `wf dev` in a browser: once, within a minute.

    The server is the one beside the world. Another one is asked with --url and its token, from anywhere.

    Examples:

        wf link --open

        ssh shop.example.com 'cd /srv/shop && wf link --url https://flows.example.com'

        WF_TOKEN=... wf link --url https://flows.example.com
    """
    shown = None if url is None else read_address(url)
    if shown is not None and token:
        drawn = draw_code(shown, token)
    else:
        server = find_server(settle(world))
        if server is None:
            hint = "start one, `wf serve` or `wf dev`, or ask another machine's: `--url`, with WF_TOKEN"
            raise NotFoundError("no server runs beside this world", hint)
        drawn = draw_code(server.url, server.token)
        shown = shown or server.url
    address = make_link(shown, "/", drawn)
    _warn_of_clear_text(shown)
    if is_json:
        results().print_json({"url": address, "expires_in_ms": drawn["expires_in_ms"]})
    elif not (is_opening and open_browser(address)):
        results().print(address)
        words().print("opens the studio in one browser, once, within a minute")
    return 0


def read_address(text: str) -> str:
    """Give an address without what follows its host; a bare name is behind TLS, but for this machine's."""
    try:
        bare = urlsplit(f"//{text}").hostname or ""
        parts = urlsplit(text if "://" in text else f"{'http' if is_loopback(bare) else 'https'}://{text}")
        is_address = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:  # a port that is none
        is_address = False
    if not is_address or parts.path not in ("", "/") or parts.query or parts.fragment or "@" in parts.netloc:
        raise Misuse(f"--url: {text!r:.80} is no address of a server", hint="like `https://flows.example.com`")
    return f"{parts.scheme}://{parts.netloc}"


def draw_code(url: str, token: str) -> dict[str, Any]:
    """Have a server draw a launch code. Raises `WorkflowError`."""
    drawn: dict[str, Any] = ask_at(url, token, "POST", "/api/link", {})
    return drawn


def make_link(url: str, place: str, drawn: dict[str, Any]) -> str:
    """Give the link that opens a browser at a place of the studio."""
    return f"{url}{place}#code={drawn['code']}"


def _warn_of_clear_text(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        words().print("the browser will send its code and its cookie in clear: put TLS in front of the server")
