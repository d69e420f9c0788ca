"""Access: who may ask this server anything. One token, one cookie made of it, codes that open a browser.

1. The token has 256 random bits unless one was given; it is never in a URL, a log or a page.
2. The cookie's value is derived from a secret (one that outlives the server, so that browsers stay signed in, or,
   where a token was chosen, that) and its name holds the port: cookies ignore ports, and another server of this
   machine must neither get ours nor overwrite it.
3. A launch code is good once, for 60 seconds. It travels in a URL's fragment, which browsers do not
   send, and is exchanged for the cookie by POST.
4. A `Host` is a name that was allowed *and our port*: a page that had its name rebound to this machine
   asks under its own name. Only a name that was allowed may come without a port, as proxies ask.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import time
from collections.abc import Callable, Sequence
from typing import Final

LOOPBACK: Final = ("127.0.0.1", "localhost", "[::1]")
CODE_SECONDS: Final = 60.0
MAX_CODES: Final = 32


class Access:
    """`port` is 0 until the server is bound. `allowed_hosts` are names besides the loopback ones; one
    without a port stands for that name at ours, and without any: behind a proxy at 80 or 443."""

    def __init__(
        self,
        token: str | None = None,
        *,
        port: int = 0,
        allowed_hosts: Sequence[str] = (),
        cookie_secret: str | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.token = new_token() if token is None else token
        self._cookie_secret = self.token if cookie_secret is None else cookie_secret
        self.port = port
        self._names = {name.lower() for name in allowed_hosts}
        self._monotonic = monotonic
        self._codes: dict[bytes, float] = {}  # by hash: when they die

    @property
    def cookie_name(self) -> str:
        return f"wf-session-{self.port}"

    @property
    def cookie_value(self) -> str:
        return hmac.new(self._cookie_secret.encode(), f"wf/cookie/{self.port}".encode(), hashlib.sha256).hexdigest()

    def serve_at(self, host: str, port: int) -> None:
        """Say where the server was bound; an address of its own may be asked for as such."""
        self.port = port
        if host not in ("0.0.0.0", "::", "[::]"):
            self._names.add((f"[{host}]" if ":" in host and not host.startswith("[") else host).lower())

    def is_host(self, host: str) -> bool:
        """Tell whether a `Host` header names this server."""
        asked = host.lower()
        if self._is_loopback_name(asked):
            return True
        return any(asked in _ways_to_ask(name, self.port) for name in self._names)

    def is_origin(self, origin: str, host: str) -> bool:
        """Tell whether an `Origin` is the page that was asked for under this (allowed) host.

        Another name than the loopback's may be a tunnel's, which ends TLS.
        """
        schemes = ("http",) if self._is_loopback_name(host.lower()) else ("http", "https")
        return origin in [f"{scheme}://{host.lower()}" for scheme in schemes]

    def _is_loopback_name(self, asked: str) -> bool:
        return asked in [f"{name}:{self.port}" for name in LOOPBACK]

    def is_token(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.token.encode())

    def is_cookie(self, text: str) -> bool:
        return hmac.compare_digest(text.encode("utf-8", "surrogateescape"), self.cookie_value.encode())

    def make_code(self) -> str:
        """Draw a launch code."""
        code = secrets.token_urlsafe(32)
        while len(self._codes) >= MAX_CODES:
            del self._codes[next(iter(self._codes))]
        self._codes[_hash(code)] = self._monotonic() + CODE_SECONDS
        return code

    def take_code(self, code: str) -> bool:
        """Use a launch code up; False where it is none, was used, or is too old."""
        dies_at = self._codes.pop(_hash(code), None)
        return dies_at is not None and self._monotonic() < dies_at


def new_token() -> str:
    """Draw a token: 256 random bits, base64url without padding."""
    return secrets.token_urlsafe(32)


def is_loopback(host: str) -> bool:
    """Tell whether who binds this host can be reached from this machine only."""
    if host.lower() == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _ways_to_ask(name: str, port: int) -> tuple[str, ...]:
    """Give the `Host` headers of an allowed name: at our port, or at its own, which browsers leave out
    where it is the scheme's."""
    _, _, own_port = name.rpartition("]")[2].partition(":")
    if not own_port.isdigit():
        return (f"{name}:{port}", name)
    short = name.removesuffix(f":{own_port}")
    return (name, short) if own_port in ("80", "443") else (name,)


def _hash(code: str) -> bytes:
    return hashlib.sha256(code.encode("utf-8", "surrogateescape")).digest()
